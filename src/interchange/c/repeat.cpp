#include "interchange/c/repeat.h"
#include <functional>
#include <map>
#include <set>
#include "graph/layout.h"
#include "interchange/c/prepare.h"
#include "miniten/graph/passes.h"

namespace miniten {

constinit const OpDef repeat_op{.name = "repeat", .doc = "the same several times",
                                .cost = [](const Call& c) { return Cost{cost_of(c.as<Repeat>().body).macs * c.as<Repeat>().times, cost_of(c.as<Repeat>().body).flops * c.as<Repeat>().times}; },
                                .traits = {.out = Layout::dense}};

namespace {

constexpr int64_t fewest = 3;                              // times
constexpr size_t longest = 64;                             // steps that are repeated
constexpr int most_tries = 4096;                           // each looks at every step

// What a step of the repeated ones computes: its number among them, and of its outputs.
struct Role {
  size_t step;
  size_t out;
  auto operator<=>(const Role&) const = default;
};

class Roller {
 public:
  Roller(Graph& g, const PlanOptions& options) : g_(g), options_(options), l_(layouts_of(g)), made_by_(g.values.size(), -1), out_(g.values.size()) {
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      const Node& n = g.nodes[i];
      if (is_view(n)) continue;
      for (size_t k = 0; k < n.out.size(); ++k) {
        made_by_[size_t(n.out[k])] = int64_t(steps_.size());
        out_[size_t(n.out[k])] = k;
      }
      steps_.push_back(i);
      kinds_.push_back(kind_of(n));
    }
  }
  // Rolls the first repeats from node `from` on. -> the node that they became, -1: none.
  int64_t roll(size_t from) {
    for (size_t s = 0; s < steps_.size(); ++s) {
      if (steps_[s] < from) continue;
      for (size_t period = 1; period <= longest && s + period * fewest <= steps_.size(); ++period) {
        size_t same = 0;
        while (s + period + same < steps_.size() && kinds_[s + same] == kinds_[s + period + same]) ++same;
        if (same / period + 1 < size_t(fewest) || ++tries_ > most_tries) continue;
        begin_ = s;
        period_ = period;
        for (times_ = int64_t(same / period) + 1; times_ >= fewest; --times_) {
          const int64_t fit = fitting();
          if (fit < times_) { times_ = fit + 1; continue; }
          if (!finds_readers()) break;
          return replace();
        }
      }
    }
    return -1;
  }

 private:
  enum class From { constant, inside, before, outside };   // a weight, this time's, the time before's, what does not repeat
  struct Operand { From from; Role role; int64_t advance; };

  bool is_view(const Node& n) const { return n.op->view && !n.out.empty() && l_.owner[size_t(n.out[0])] != n.out[0]; }
  const Node& node(size_t step, int64_t time) const { return g_.nodes[steps_[begin_ + size_t(time) * period_ + step]]; }
  int owner(int id) const { return l_.owner[size_t(id)]; }
  int64_t count(int id) const { return g_.values[size_t(id)].spec.shape.count(); }
  bool is_dense(int id) const { const Shape& s = g_.values[size_t(id)].spec.shape; return same_layout(s, l_.strides[size_t(id)], contiguous(s)); }
  bool is_whole(int id) const { return l_.offset[size_t(id)] == 0 && count(id) == count(owner(id)) && is_dense(id) && is_dense(owner(id)); }
  // The time that computes a value, -1: none of them.
  int64_t time_of(int id) const {
    const int64_t step = made_by_[size_t(owner(id))] - int64_t(begin_);
    return made_by_[size_t(owner(id))] < int64_t(begin_) || step >= times_ * int64_t(period_) ? -1 : step / int64_t(period_);
  }
  Role role_of(int id) const { return {size_t(made_by_[size_t(owner(id))] - int64_t(begin_)) % period_, out_[size_t(owner(id))]}; }
  int value_of(Role r, int64_t time) const { return node(r.step, time).out[r.out]; }

  // Equal numbers: the same but for what they read.
  int kind_of(const Node& n) {
    std::string text = std::string(n.op->name) + attrs_to_text(n.op->attrs, n.attributes());
    for (const std::vector<int>* ids : {&n.in, &n.out}) {
      text += "|";
      for (int id : *ids) text += g_.values[size_t(id)].spec.text();
    }
    return kind_numbers_.try_emplace({n.op, n.op->traits.writes.n ? std::to_string(kind_numbers_.size()) : text}, int(kind_numbers_.size())).first->second;
  }
  // Equal numbers: the same constant.
  int constant_of(int id) {
    auto [known, is_new] = constant_by_id_.try_emplace(id);
    if (!is_new) return known->second;
    const Tensor& t = g_.values[size_t(id)].constant;
    int64_t elements = 0;
    std::vector<std::byte> bytes = bytes_in_memory_order(t, elements);
    std::string key = t.spec().text() + t.strides().text() + ":" + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return known->second = constant_numbers_.try_emplace(std::move(key), int(constant_numbers_.size())).first->second;
  }

  // -> how many times what the steps read is alike from one to the next.
  int64_t fitting() {
    operands_.assign(period_, {});
    int64_t fit = times_;
    for (size_t j = 0; j < period_ && fit >= fewest; ++j)
      for (size_t i = 0; i < node(j, 0).in.size() && fit >= fewest; ++i) {
        const int first = node(j, 0).in[i], second = node(j, 1).in[i];
        Operand o{From::constant, {}, 0};
        if (!g_.is_constant(second)) {
          const int64_t time = time_of(second);
          if (time > 1) return 0;
          o.from = time == 1 ? From::inside : time == 0 ? From::before : From::outside;
          if (time >= 0) o.role = role_of(second);
          o.advance = l_.offset[size_t(second)] - l_.offset[size_t(first)];
        }
        int64_t k = 0;
        while (k < fit && is_alike(o, j, i, k)) ++k;
        fit = k;
        operands_[j].push_back(o);
      }
    return fit;
  }
  bool is_alike(const Operand& o, size_t step, size_t input, int64_t time) {
    const int first = node(step, 0).in[input], second = node(step, 1).in[input], id = node(step, time).in[input];
    const auto at = size_t(id);
    if (o.from == From::constant) return g_.is_constant(id) && constant_of(id) == constant_of(second);
    if (o.from == From::before) {
      if (count(id) != count(second) || count(id) == 0) return false;
      if (time == 0) return made_by_[size_t(owner(id))] < int64_t(begin_) && is_dense(id) && starts(o.role, id);
      return !g_.is_constant(id) && time_of(id) == time - 1 && role_of(id) == o.role && is_whole(id);
    }
    if (g_.is_constant(id) || l_.strides[at] != l_.strides[size_t(second)]) return false;
    if (o.from == From::inside) return time_of(id) == time && role_of(id) == o.role && l_.offset[at] == l_.offset[size_t(second)];
    return owner(id) == owner(first) && made_by_[size_t(owner(id))] < int64_t(begin_) && !g_.values[size_t(owner(id))].constant && is_dense(owner(id)) && count(owner(id)) > 0 &&
           l_.offset[at] == l_.offset[size_t(first)] + time * o.advance;
  }
  // A value has one beginning, whoever reads it.
  bool starts(Role r, int id) {
    for (size_t j = 0; j < period_; ++j)
      for (size_t i = 0; i < operands_[j].size(); ++i)
        if (operands_[j][i].from == From::before && operands_[j][i].role == r) {
          const int other = node(j, 0).in[i];
          if (g_.is_constant(id) != g_.is_constant(other)) return false;
          if (g_.is_constant(id) ? constant_of(id) != constant_of(other) : owner(id) != owner(other) || l_.offset[size_t(id)] != l_.offset[size_t(other)]) return false;
        }
    return true;
  }

  // ---- who reads what they give ----
  // A node that lays its operands one after the other.
  bool joins(const Node& n) const {
    static const OpDef* concat = find_op("concat");
    if (n.op != concat || !is_dense(n.out[0])) return false;
    const Shape &to = g_.values[size_t(n.out[0])].spec.shape, &part = g_.values[size_t(n.in[0])].spec.shape;
    int64_t outer = 1;
    for (int i = 0; i < to.rank && (n.in.size() == 1 || to[i] == part[i]); ++i) outer *= to[i];
    return outer == 1;
  }
  std::vector<size_t> readers(int id) const {              // nodes, views and what reads these
    std::vector<size_t> all;
    for (size_t i : steps_) if (std::any_of(g_.nodes[i].in.begin(), g_.nodes[i].in.end(), [&](int in) { return owner(in) == owner(id); })) all.push_back(i);
    return all;
  }
  bool ends(int id) const {                                // an output of the graph
    auto same = [&](int other) { return owner(other) == owner(id); };
    return std::any_of(g_.outputs.begin(), g_.outputs.end(), same) || std::any_of(g_.states.begin(), g_.states.end(), [&](const State& s) { return same(s.exit); });
  }
  // What a joining node joins, through others that it alone reads.
  void leaves(size_t n, std::vector<int>& ids, std::vector<size_t>& nodes) const {
    nodes.push_back(n);
    for (int id : g_.nodes[n].in) {
      const int64_t by = made_by_[size_t(id)];
      if (by >= 0 && owner(id) == id && joins(g_.nodes[steps_[size_t(by)]]) && readers(id).size() == 1 && !ends(id)) leaves(steps_[size_t(by)], ids, nodes);
      else ids.push_back(id);
    }
  }
  struct Joint { size_t root; std::vector<size_t> nodes; std::vector<int> leaves; };

  bool finds_readers() {
    finals_.clear();
    joints_.clear();
    std::set<size_t> joined;
    for (size_t s = steps_.size(); s-- > 0;) {             // roots come before what they read
      if (s >= begin_ && s < begin_ + size_t(times_) * period_) continue;
      const size_t i = steps_[s];
      if (joined.count(i)) continue;
      const Node& n = g_.nodes[i];
      bool early = false;
      Joint joint{i, {}, {}};
      if (joins(n)) {
        leaves(i, joint.leaves, joint.nodes);
        for (int id : joint.leaves) early |= !g_.is_constant(id) && time_of(id) >= 0 && time_of(id) < times_ - 1;
      }
      if (early) {
        if (!is_joint(joint)) return false;
        joined.insert(joint.nodes.begin(), joint.nodes.end());
        joints_.push_back(std::move(joint));
        continue;
      }
      for (int id : n.in) {
        if (g_.is_constant(id) || time_of(id) < 0) continue;
        if (time_of(id) < times_ - 1) return false;
        finals_.insert(role_of(id));
      }
    }
    for (size_t i = 0; i < g_.values.size(); ++i) {
      const int id = int(i);
      if (owner(id) != id || made_by_[i] < 0 || time_of(id) < 0 || !ends(id)) continue;
      if (time_of(id) < times_ - 1) return false;
      finals_.insert(role_of(id));
    }
    for (Role r : finals_) if (count(value_of(r, 1)) == 0 || !is_dense(value_of(r, 1))) return false;
    return true;
  }
  // All times of what repeats at even distances, all else known before.
  bool is_joint(const Joint& joint) const {
    std::map<Role, std::vector<int64_t>> lines;
    int64_t at = 0;
    for (int id : joint.leaves) {
      if (!g_.is_constant(id) && time_of(id) >= 0) {
        if (!is_whole(id) || count(id) == 0) return false;
        auto& line = lines[role_of(id)];
        line.resize(size_t(times_), -1);
        if (line[size_t(time_of(id))] >= 0) return false;
        line[size_t(time_of(id))] = at;
      } else if (made_by_[size_t(owner(id))] >= int64_t(begin_) || g_.is_state(owner(id)) || !is_dense(id)) return false;
      at += count(id);
    }
    for (auto& [role, line] : lines)
      for (int64_t k = 0; k < times_; ++k) if (line[size_t(k)] < 0 || line[size_t(k)] != line[0] + k * (line[1] - line[0])) return false;
    return true;
  }

  // ---- the loop ----
  int64_t replace() {
    auto r = std::make_shared<Repeat>();
    Node n{&repeat_op, nullptr, {}, {}, node(0, 1).name, {}};
    r->times = times_;
    Graph& body = r->body;
    std::map<int, int> own;                                // values of time 1, or that do not repeat and do not move on
    std::map<std::pair<int, int64_t>, int> moving;         // by owner and how far
    std::map<std::pair<Role, std::string>, int> handed;    // and the shape it is read in
    auto added = [&](int id) { body.values.push_back(g_.values[size_t(id)]); return int(body.values.size()) - 1; };
    auto input = [&](int id) {
      n.in.push_back(id);
      return int(n.in.size()) - 1;
    };
    std::vector<std::pair<int, Role>> hands;               // inputs of the body
    std::function<int(int, int64_t, std::map<int, int>&)> looked_at = [&](int id, int64_t advance, std::map<int, int>& known) -> int {
      if (auto at = known.find(id); at != known.end()) return at->second;
      if (g_.is_constant(id)) return known[id] = added(id);
      if (owner(id) == id) {                               // what does not repeat
        auto [at, is_new] = moving.try_emplace({id, advance}, -1);
        if (is_new) {
          at->second = added(id);
          body.inputs.push_back(at->second);
          r->reads.push_back({input(id), advance});
        }
        return at->second;
      }
      Node view = g_.nodes[size_t(g_.producer(id))];
      for (int& in : view.in) in = looked_at(in, advance, known);
      const int to = view.out[0] = added(id);
      body.nodes.push_back(std::move(view));
      return known[id] = to;
    };
    std::map<int64_t, std::map<int, int>> outside;
    for (size_t j = 0; j < period_; ++j) {
      Node inner = node(j, 1);
      for (size_t i = 0; i < inner.in.size(); ++i) {
        const Operand& o = operands_[j][i];
        int& id = inner.in[i];
        if (o.from == From::before) {
          auto [at, is_new] = handed.try_emplace({o.role, g_.values[size_t(id)].spec.text()}, -1);
          if (is_new) {
            at->second = added(id);
            hands.emplace_back(at->second, o.role);
            starts_[o.role] = node(j, 0).in[i];
          }
          id = at->second;
        } else if (o.from == From::outside) id = looked_at(node(j, 0).in[i], o.advance, outside[o.advance]);
        else id = looked_at(id, 0, own);
      }
      for (int& id : inner.out) {
        const int to = added(id);
        own[id] = to;
        id = to;
      }
      body.nodes.push_back(std::move(inner));
    }
    for (auto& [id, role] : hands) finals_.insert(role);
    std::map<Role, int> kept;                              // outputs of the node
    auto gives = [&](int id, Repeat::Place place) {
      body.outputs.push_back(id);
      r->outputs.push_back(place);
    };
    for (Role role : finals_) {
      const int to = kept[role] = int(n.out.size());
      n.out.push_back(value_of(role, times_ - 1));
      if (starts_.count(role)) r->starts.push_back({to, input(starts_.at(role)), 0});
      gives(own.at(value_of(role, 1)), {to});
    }
    for (auto& [id, role] : hands) {
      body.inputs.push_back(id);
      r->handed.push_back(kept.at(role));
    }
    for (const Joint& joint : joints_) {
      int64_t at = 0;
      const int to = int(n.out.size());
      std::map<Role, std::pair<int64_t, int64_t>> places;  // of the first two times
      n.out.push_back(g_.nodes[joint.root].out[0]);
      for (int id : joint.leaves) {
        const int64_t time = g_.is_constant(id) ? -1 : time_of(id);
        if (time < 0) r->starts.push_back({to, input(id), at});
        else if (time < 2) (time ? places[role_of(id)].second : places[role_of(id)].first) = at;
        at += count(id);
      }
      for (auto& [role, place] : places) {
        const int id = own.at(value_of(role, 1));
        if (kept.count(role)) r->joined.push_back({kept.at(role), to, place.first, place.second - place.first});
        else if (!std::count(body.outputs.begin(), body.outputs.end(), id)) gives(id, {to, place.first, place.second - place.first});
        else gives(copied(body, id), {to, place.first, place.second - place.first});
      }
    }
    verify(body);
    PlanOptions options = options_;
    options.caller_holds_outputs = true;
    r->plan = plan(body, options);
    for (size_t k = 0; k < body.outputs.size(); ++k) if (!may_replace(*r, k)) body.outputs[k] = copied(body, body.outputs[k]);
    r->plan = plan(body, options);
    n.attrs = r;
    return put(std::move(n));
  }
  static int copied(Graph& body, int id) {
    const int copy = body.add_value(body.values[size_t(id)].spec);
    body.nodes.push_back({&copy_op, nullptr, {id}, {copy}, body.nodes.back().name, {}});
    return copy;
  }
  // Is nobody left who wants what its memory held the time before when the body writes there?
  static bool may_replace(const Repeat& r, size_t output) {
    const Graph& body = r.body;
    const int id = body.outputs[output];
    if (r.plan.held_by[size_t(id)] != int(output)) return false;
    const Layouts l = layouts_of(body);
    const int begin = r.plan.buffers[size_t(r.plan.places[size_t(id)].root)].first;
    for (size_t i = 0; i < r.handed.size(); ++i) {
      if (r.handed[i] != r.outputs[output].to) continue;
      const int before = body.inputs[r.reads.size() + i];
      for (size_t s = size_t(begin); s < r.plan.steps.size(); ++s) {
        const Node& n = body.nodes[size_t(r.plan.steps[s])];
        for (int in : n.in) {
          const bool in_place = int(s) == begin && n.op->traits.pointwise && in == before && body.values[size_t(in)].spec == body.values[size_t(n.out[0])].spec;
          if (l.owner[size_t(in)] == before && !in_place) return false;
        }
      }
    }
    return true;
  }
  // In place of the steps and of what joined them. Views of what stands before come before it.
  int64_t put(Node repeat) {
    std::set<size_t> gone;
    for (size_t k = 0; k < size_t(times_) * period_; ++k) gone.insert(steps_[begin_ + k]);
    for (const Joint& joint : joints_) gone.insert(joint.nodes.begin(), joint.nodes.end());
    std::set<int> still(repeat.out.begin(), repeat.out.end());
    const size_t first = steps_[begin_], last = steps_[begin_ + size_t(times_) * period_ - 1];
    std::vector<Node> nodes, after;
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      Node& n = g_.nodes[i];
      if (gone.count(i)) continue;
      if (is_view(n) && i > first) {
        const int from = owner(n.out[0]);
        const int64_t by = made_by_[size_t(from)];
        if (by >= 0 && gone.count(steps_[size_t(by)]) && !still.count(from)) continue;
        if (by < int64_t(begin_) && (i < last || !g_.is_state(from))) { nodes.push_back(std::move(n)); continue; }
      }
      (i < first ? nodes : after).push_back(std::move(n));
    }
    const auto at = int64_t(nodes.size());
    nodes.push_back(std::move(repeat));
    std::move(after.begin(), after.end(), std::back_inserter(nodes));
    g_.nodes = std::move(nodes);
    return at;
  }

  Graph& g_;
  const PlanOptions& options_;
  Layouts l_;
  std::vector<size_t> steps_;                              // nodes that compute
  std::vector<int64_t> made_by_;                           // by value: the step, -1: none
  std::vector<size_t> out_;                                // by value: its number among that step's outputs
  std::vector<int> kinds_;                                 // by step
  std::map<std::pair<const OpDef*, std::string>, int> kind_numbers_;
  std::map<std::string, int> constant_numbers_;
  std::map<int, int> constant_by_id_;

  size_t begin_ = 0, period_ = 1;                          // the steps that are looked at
  int64_t times_ = 0;
  int tries_ = 0;
  std::vector<std::vector<Operand>> operands_;             // by step of one time
  std::map<Role, int> starts_;
  std::set<Role> finals_;                                  // read afterwards as they are at the end
  std::vector<Joint> joints_;
};

}  // namespace

void roll_repeats(Graph& g, const PlanOptions& options) {
  for (int64_t from = 0; from >= 0;) {
    from = Roller(g, options).roll(size_t(from));
    if (from >= 0) ++from;
  }
  remove_dead(g);
}

}  // namespace miniten
