#include <algorithm>
#include "core/tape.h"
#include "miniten/base/random.h"

namespace miniten {

namespace {

struct Segment {                                     // what one call of checkpoint leaves on the tape
  TensorFunction f;
  std::vector<Tensor> in, captured;
  std::vector<uint32_t> versions;
  Generator generator;
  std::vector<std::pair<Tensor, Tensor>> states;     // overwritten by f, and their values before
};
struct SegmentAttrs {
  std::shared_ptr<Segment> segment;
  void fields(auto) {}
};

struct Log : StateLog {
  std::vector<std::pair<Tensor, Tensor>>& states;
  explicit Log(std::vector<std::pair<Tensor, Tensor>>& states) : states(states) {}
  void before_write(const Tensor& state) override {
    for (auto& [t, before] : states) if (t->storage.get() == state->storage.get() && t->offset == state->offset) return;
    states.emplace_back(state, state.clone());
  }
};
// States and random numbers as they were; afterwards as they are now.
struct AsBefore {
  const Segment& s;
  std::vector<std::pair<Tensor, uint32_t>> now;
  Generator generator = default_generator();
  explicit AsBefore(const Segment& s) : s(s) {
    default_generator() = s.generator;
    for (auto& [t, before] : s.states) {
      now.emplace_back(t.clone(), t->storage->version);
      copy_values(before.view(), t.view());
    }
  }
  ~AsBefore() {
    default_generator() = generator;
    for (size_t i = 0; i < now.size(); ++i) {
      const Tensor& t = s.states[i].first;
      copy_values(now[i].first.view(), t.view());
      t->storage->version = now[i].second;
    }
  }
};

Tensor leaf_like(const Tensor& t) {
  Tensor r(new Tensor::Impl(t.spec(), t.strides()));
  r->storage = t->storage;
  r->offset = t->offset;
  r->history = Tensor::Impl::any_history;
  r->requires_grad = t->requires_grad;
  return r;
}

void segment_vjp(const Vjp& v) {
  const Segment& s = *v.as<SegmentAttrs>().segment;
  for (size_t i = 0; i < s.in.size(); ++i)
    if (s.in[i]->storage->version != s.versions[i]) {
      const OpDef* writer = s.in[i]->storage->last_writer;
      throw Error(ErrorKind::value, "checkpoint", "its inputs as they were", "one overwritten by " + (writer ? std::string(writer->name) : "an outside write"),
                  "copy the tensor before it is overwritten");
    }
  bool create_graph = mode().grad;
  std::vector<Tensor> in, wanted;
  for (const Tensor& t : s.in) in.push_back(create_graph ? t : leaf_like(t));
  wanted = in;
  wanted.insert(wanted.end(), s.captured.begin(), s.captured.end());
  std::vector<Tensor> out;
  {
    AsBefore as_before(s);
    Swap grad(mode().grad, true);
    out = s.f(in);
  }
  if (out.size() != v.grad.size()) throw Error(ErrorKind::value, "checkpoint", std::to_string(v.grad.size()) + " results, as the first time", std::to_string(out.size()));
  for (size_t k = 0; k < out.size(); ++k) {
    if (!v.grad[k] || !out[k].requires_grad()) continue;
    std::vector<Tensor> part = gradients_up_to(out[k], wanted, create_graph, v.grad[k]);
    for (size_t i = 0; i < part.size(); ++i)
      if (part[i]) v.result[i] = v.result[i] ? apply(add_op, {v.result[i], part[i]}) : part[i];
  }
}

constinit const OpDef segment_op{.name = "checkpoint", .doc = "a function run again for its gradient", .min_inputs = 0, .max_inputs = max_inputs,
                                 .vjp = segment_vjp, .attrs = codec<SegmentAttrs>};

// Leaves and earlier results that the nodes made since `start` read, but `own`.
std::vector<Tensor> captured_by(const std::vector<Tensor>& out, std::span<const Tensor> own, uint64_t start) {
  std::vector<Tensor> found;
  std::vector<TapeNode*> seen, todo;
  for (const Tensor& t : out) if (t->producer && t->producer->order > start) todo.push_back(t->producer.get());
  auto known = [&](const Tensor& t) {
    auto same = [&](const Tensor& o) { return o.same(t) || (t->producer && o->producer == t->producer && o->producer_output == t->producer_output); };
    return std::any_of(own.begin(), own.end(), same) || std::any_of(found.begin(), found.end(), same);
  };
  while (!todo.empty()) {
    TapeNode* node = todo.back();
    todo.pop_back();
    auto at = std::lower_bound(seen.begin(), seen.end(), node);
    if (at != seen.end() && *at == node) continue;
    seen.insert(at, node);
    for (int i = 0; i < node->inputs; ++i) {
      const Saved& s = node->saved()[i];
      if (!s.requires_grad) continue;
      if (s.producer && s.producer->order > start) { todo.push_back(s.producer.get()); continue; }
      Tensor t = s.producer ? revived(s, s.producer, s.producer_output, true) : s.tensor;
      if (!known(t)) found.push_back(t);
    }
  }
  return found;
}

}  // namespace

std::vector<Tensor> checkpoint(const TensorFunction& f, const std::vector<Tensor>& in) {
  if (!mode().grad || mode().recorder) return f(in);
  auto s = std::make_shared<Segment>();
  s->f = f;
  s->in = in;
  s->generator = default_generator();
  std::vector<Tensor> inside;
  for (const Tensor& t : in) {
    s->versions.push_back(t.view().data ? t->storage->version : 0);
    inside.push_back(leaf_like(t));
  }
  uint64_t start = tape_position();
  std::vector<Tensor> results, out;
  {
    Log log(s->states);
    Swap<StateLog*> on(mode().states, &log);
    results = f(inside);
  }
  s->captured = captured_by(results, inside, start);
  std::vector<Input> inputs(s->in.begin(), s->in.end());
  inputs.insert(inputs.end(), s->captured.begin(), s->captured.end());
  bool needs_grad = false;
  for (const Tensor& t : results) {
    needs_grad |= t.requires_grad();
    out.push_back(leaf_like(t));
    out.back()->requires_grad = false;
    out.back()->history = t->history;
  }
  SegmentAttrs attrs{s};
  if (needs_grad) push_tape(segment_op, inputs, &attrs, out);
  return out;
}

}  // namespace miniten
