#include "miniten/graph/session.h"
#include <chrono>
#include <climits>
#include <map>
#include <mutex>
#include <unordered_set>
#include <utility>
#include "base/allocate.h"
#include "base/pages.h"
#include "base/relax.h"
#include "core/work.h"
#include "graph/pace.h"
#include "graph/tune.h"
#include "miniten/base/parallel.h"
#include "miniten/graph/passes.h"
#include "miniten/graph/plan.h"

namespace miniten {

namespace {

struct Prepared {                          // of all nodes in one piece
  std::unique_ptr<Pages> memory;
  std::vector<std::byte*> at;              // by node; null: none
};

struct Step {
  int node;
  Context context, alone;                  // as the team runs it and as the caller does without
  Work work;                               // of the team
  uint64_t scratch;                        // bytes for each worker
};
// The steps of a run as its team shares them out, phase after phase. A phase is over when its pieces are done, not when every worker has
// arrived. A worker takes the pieces of its own share first, the same part of every phase and step: what it reads is often what it wrote,
// and in its cache. All counts go on from run to run, and each lies where one worker writes it.
class Stages {
 public:
  Stages(const std::vector<Step>& steps, int workers) : members_(new Member[size_t(workers)]), workers_(workers), of_run_(size_t(workers)) {
    for (const Step& step : steps) {
      Stage stage{&step, std::min(workers, step.work.pieces), of_run_, 0};
      for (int share = 0; share < stage.shares && stage.shares > 1; ++share) of_run_[size_t(share)] += uint32_t(step.work.phases * stage.size(share));
      stage.end = pieces_ += uint32_t(step.work.phases * step.work.pieces);
      stages_.push_back(std::move(stage));
    }
  }
  void begin_run() {
    if (under_way_) {                                          // the last one was left by an exception
      for (int i = 0; i < workers_; ++i) members_[size_t(i)].taken = members_[size_t(i)].finished = 0;
      run_ = 0;
    } else ++run_;
    under_way_ = true;
  }
  void end_run() { under_way_ = false; }
  bool was_helped() {                                          // since the last time: did others than the caller finish a piece?
    uint32_t by_others = 0;
    for (int i = 1; i < workers_; ++i) by_others += members_[size_t(i)].finished.load(std::memory_order_relaxed);
    return std::exchange(by_others_, by_others) != by_others;
  }
  void run(int worker) {
    const Stage* alone = nullptr;                              // the last stage, if it had one piece
    uint32_t done = 0;
    int patience = hurried;
    for (const Stage& stage : stages_) {
      if (stage.step->work.pieces == 1) {                      // small steps stay in the caller's cache
        alone = &stage;
        if (worker != 0) continue;                             // nor is their end looked at, but that of the last of them
        Context c = stage.step->context;
        for (c.phase = 0; c.phase < c.phases; ++c.phase) c.op.eval(c);
        done += uint32_t(c.phases);
        continue;
      }
      if (alone && worker == 0) finish(0, std::exchange(done, 0));
      if (alone && worker != 0)
        for (int spins = 0; !is_over(alone->end); ++spins) relax(spins);
      alone = nullptr;
      run(stage, worker, patience);
    }
    if (done) finish(0, done);
  }

 private:
  struct Stage {
    const Step* step;
    int shares;
    std::vector<uint32_t> before;                              // of each share, the pieces of earlier stages
    uint32_t end;                                              // the pieces of all stages up to this one
    int begin(int share) const { return step->work.pieces * share / shares; }
    int size(int share) const { return begin(share + 1) - begin(share); }
  };
  struct Member {
    alignas(64) std::atomic<uint32_t> taken{0};                // pieces of its share, by whomever
    alignas(64) std::atomic<uint32_t> finished{0};             // pieces of whatever share, by itself
  };
  static constexpr int hurried = 6, patient = 24;              // pauses: more than a word takes from core to core, less than a microsecond

  // Patience, the worker's own: turns to wait for the owners of pieces that are left, before they are taken from them. One that was late
  // is waited for less until it is seen at work again.
  void run(const Stage& stage, int worker, int& patience) {
    Context c = stage.step->context;
    c.scratch += stage.step->scratch * size_t(worker);
    for (c.phase = 0; c.phase < c.phases; ++c.phase) {
      const uint32_t end = stage.end - uint32_t((c.phases - 1 - c.phase) * c.pieces);
      if (is_over(end)) continue;
      bool left = worker < stage.shares, found = false;
      if (left) work_on(stage, c, worker, worker, INT_MAX);
      for (int spins = 0; !is_over(end); ++spins) {
        if (!left || spins < patience) {
          relax(spins);
          continue;
        }
        left = false;
        for (int i = 1; i < stage.shares && !left; ++i) left = work_on(stage, c, (worker + i) % stage.shares, worker, 1);
        found |= left;
        patience = found ? hurried : patient;
      }
    }
  }
  bool work_on(const Stage& stage, Context& c, int share, int worker, int most) {              // -> whether there was a piece left
    const int end = stage.begin(share + 1);
    const uint32_t last = run_ * of_run_[size_t(share)] + stage.before[size_t(share)] + uint32_t((c.phase + 1) * stage.size(share));
    std::atomic<uint32_t>& taken = members_[size_t(share)].taken;
    uint32_t done = 0;
    for (uint32_t at = taken.load(std::memory_order_relaxed); int32_t(last - at) > 0 && int(done) < most;) {
      if (!taken.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) continue;
      c.piece = end - int(last - at++);
      c.op.eval(c);
      ++done;
    }
    if (done) finish(worker, done);
    return done > 0;
  }
  void finish(int worker, uint32_t pieces) {
    std::atomic<uint32_t>& finished = members_[size_t(worker)].finished;
    finished.store(finished.load(std::memory_order_relaxed) + pieces, std::memory_order_release);
  }
  bool is_over(uint32_t end) const {
    uint32_t done = 0;
    for (int i = 0; i < workers_; ++i) done += members_[size_t(i)].finished.load(std::memory_order_acquire);
    return int32_t(done - run_ * pieces_ - end) >= 0;
  }

  std::vector<Stage> stages_;
  std::unique_ptr<Member[]> members_;
  int workers_;
  std::vector<uint32_t> of_run_;                               // the pieces of each share, where there are several
  uint32_t pieces_ = 0, run_ = UINT32_MAX;                     // all pieces of a run; runs so far
  bool under_way_ = false;
  uint32_t by_others_ = 0;
};

// A run of a training step moves its states: measurements put them back.
struct SavedStates {
  const Graph& graph;
  std::vector<Tensor> homes;
  explicit SavedStates(const Graph& g) : graph(g) {
    for (const State& s : g.states) homes.push_back(g.values[size_t(s.entry)].constant.clone());
  }
  void restore() const {
    for (size_t i = 0; i < homes.size(); ++i) copy_values(homes[i].view(), graph.values[size_t(graph.states[i].entry)].constant.view());
  }
};

struct ByteCounter : Observer {
  size_t bytes = 0;
  void saw(const Call& call, double) override { for (const Spec& s : call.out) bytes += s.bytes(); }
};
}  // namespace

struct Session::Impl {
  Graph graph;
  CompileOptions options;
  TuningReport tuning;
  int workers = 1;
  bool planned = false;                    // else sizes are known at run time: replay
  Plan plan;
  std::shared_ptr<Prepared> prepared;
  uint64_t packed_bytes = 0;
  std::unique_ptr<Pages> arena;
  std::vector<View> views;
  std::vector<Work> work_alone;            // by step
  std::vector<Step> steps;
  std::unique_ptr<Stages> stages;
  struct Bound { View* view; int input; int64_t bytes; };
  std::vector<Bound> bound;                         // views to point into an input's memory at each run
  std::vector<std::byte*> input_data;
  std::vector<Tensor> staged, dynamic_outputs;      // inputs that had to be laid out; results of a replay
  std::vector<std::unique_ptr<std::mutex>> running; // one: a session runs once at a time
  size_t dynamic = 0;
  bool parallel = false;
  Pace pace;

  explicit Impl(Graph g, const CompileOptions& o) : graph(std::move(g)), options(o) {
    const bool narrower = options.precision != Precision::float32;
    if (narrower && options.exact) throw Error(ErrorKind::value, "compile", "exact or a narrower precision", "both", "exact results need float32");
    optimize(graph, options.passes);
    if (narrower && !graph.is_static()) throw Error(ErrorKind::unsupported, "compile", "sizes that are known, for a narrower precision", "open ones", "bind them, or compile in float32");
    narrow(graph, options.precision);
    if (!options.tune.empty() && graph.is_static()) tuning = tune(graph, options.tune, team(), options.exact);
    drop_unread();
    finish(nullptr);
  }
  int team() const { return std::min(options.threads > 0 ? options.threads : get_num_threads(), 255); }
  Impl(const Impl& other) : graph(other.graph), options(other.options), tuning(other.tuning) {
    for (const State& s : graph.states) {
      Value& home = graph.values[size_t(s.entry)];
      Tensor own = Tensor::empty(home.spec, home.constant.strides());
      copy_values(home.constant.view(), own.view());
      home.constant = own;
    }
    finish(other.prepared);
  }

  void finish(std::shared_ptr<Prepared> shared) {
    running.push_back(std::make_unique<std::mutex>());
    workers = team();
    planned = graph.is_static();
    for (const Node& n : graph.nodes) planned &= n.op->eval != nullptr || n.op->view != nullptr;
    if (!planned) return;
    prepared = shared ? shared : pack();
    std::vector<bool> has;
    for (std::byte* p : prepared->at) has.push_back(p != nullptr);
    plan = miniten::plan(graph, {.workers = workers, .exact = options.exact, .work = [this](const Call& call) { return work_both_ways(call); }}, has);
    arena = std::make_unique<Pages>("session", plan.arena_bytes);
    make_steps();
  }

  // The team's work, with memory enough for the caller alone, whose work goes to work_alone.
  Work work_both_ways(Call call) {
    Work work = work_of(call);
    call.workers = 1;
    const Work& alone = work_alone.emplace_back(workers > 1 ? work_of(call) : work);
    const uint64_t own = aligned(work.scratch) * uint64_t(std::min(work.pieces, workers)), needed = aligned(alone.scratch) + alone.shared;
    work.shared = std::max(work.shared, needed - std::min(needed, own));
    return work;
  }
  // By value: reads of nodes, outputs and states.
  std::vector<int> readers() const {
    std::vector<int> n(graph.values.size());
    for (const Node& node : graph.nodes) for (int id : node.in) ++n[size_t(id)];
    for (int id : graph.outputs) ++n[size_t(id)];
    for (const State& s : graph.states) { ++n[size_t(s.entry)]; ++n[size_t(s.exit)]; }
    return n;
  }
  // Constants that passes put others in the place of.
  void drop_unread() {
    std::vector<int> n = readers();
    for (size_t i = 0; i < n.size(); ++i)
      if (Value& v = graph.values[i]; !n[i]) v.constant = v.mask = v.codebook = {};
  }

  // Do both nodes pack the same? Of one op, with its attributes, shapes and constants.
  bool pack_alike(const Node& a, const Node& b, std::span<const View> constants) const {
    if (a.op != b.op || a.in.size() != b.in.size() || !attrs_equal(a.op->attrs, a.attributes(), b.attributes())) return false;
    for (size_t i = 0; i < a.in.size(); ++i) {
      const Value &x = graph.values[size_t(a.in[i])], &y = graph.values[size_t(b.in[i])];
      if (x.spec != y.spec || graph.is_constant(a.in[i]) != graph.is_constant(b.in[i])) return false;
      if (constants[i].data && (x.constant.view().data != constants[i].data || x.constant.strides() != constants[i].strides)) return false;
    }
    return graph.specs(a.out) == graph.specs(b.out);
  }
  // Before the plan: what is packed here needs no scratch there. A layer used again, as at each step of a sequence, packs once.
  std::shared_ptr<Prepared> pack() {
    auto all = std::make_shared<Prepared>();
    std::map<const std::byte*, std::vector<size_t>> known;                    // by the data of a node's first constant
    std::vector<uint64_t> offset(graph.nodes.size(), UINT64_MAX);
    auto constants_of = [&](const Node& n) {
      std::vector<View> constants;
      for (int id : n.in) constants.push_back(graph.is_constant(id) ? graph.values[size_t(id)].constant.view() : View{});
      return constants;
    };
    auto prepare = [&](const Node& n, std::span<const View> constants, std::byte* to) {
      auto in = graph.specs(n.in), out = graph.specs(n.out);
      return n.op->prepare({.op = *n.op, .attrs = n.attributes(), .in = in, .out = out, .exact = options.exact}, constants, to);
    };
    std::vector<size_t> own;                                                  // nodes that pack
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& n = graph.nodes[i];
      if (!n.op->prepare) continue;
      std::vector<View> constants = constants_of(n);
      auto first = std::find_if(constants.begin(), constants.end(), [](const View& v) { return v.data != nullptr; });
      if (first == constants.end()) continue;
      auto& alike = known[first->data];
      auto same = std::find_if(alike.begin(), alike.end(), [&](size_t k) { return pack_alike(graph.nodes[k], n, constants); });
      if (same != alike.end()) { offset[i] = offset[*same]; continue; }
      uint64_t bytes = prepare(n, constants, nullptr);
      if (!bytes) continue;
      alike.push_back(i);
      own.push_back(i);
      offset[i] = aligned(packed_bytes);
      packed_bytes = offset[i] + bytes;
    }
    if (packed_bytes) all->memory = std::make_unique<Pages>("session", packed_bytes);
    for (uint64_t at : offset) all->at.push_back(at == UINT64_MAX ? nullptr : all->memory->data() + at);
    std::vector<int> left = readers();                                        // that want a value as it is, or packed
    auto let_go = [&](const Node& n) {                                        // it has its weights packed
      for (size_t k = 0; k < n.in.size() && !options.keep_constants; ++k) {
        if (!(n.op->traits.weights >> k & 1) || !graph.is_constant(n.in[k]) || --left[size_t(n.in[k])]) continue;
        Value& v = graph.values[size_t(n.in[k])];
        v.constant = Tensor(new Tensor::Impl(v.spec, v.constant.strides()));
      }
    };
    for (size_t i = 0; i < graph.nodes.size(); ++i)                           // those that pack like another first: it is still to read what they share
      if (all->at[i] && !std::binary_search(own.begin(), own.end(), i)) let_go(graph.nodes[i]);
    for (size_t i : own) {
      prepare(graph.nodes[i], constants_of(graph.nodes[i]), all->at[i]);
      let_go(graph.nodes[i]);
    }
    return all;
  }

  View view_of(int id) const {
    const Place& p = plan.places[size_t(id)];
    const Spec& spec = graph.values[size_t(id)].spec;
    std::byte* at = p.kind == Place::arena ? arena->data() + plan.buffers[size_t(p.root)].offset
                  : p.kind == Place::constant && graph.values[size_t(p.root)].constant.has_data() ? graph.values[size_t(p.root)].constant.view().data : nullptr;
    return {at ? at + p.offset * int64_t(bytes_of(spec.dtype, 1)) : nullptr, spec, p.strides};
  }

  void make_steps() {
    size_t operands = 0;
    for (int n : plan.steps) operands += graph.nodes[size_t(n)].in.size() + graph.nodes[size_t(n)].out.size();
    views.reserve(operands);                         // steps point into it
    steps.reserve(plan.steps.size());
    for (size_t s = 0; s < plan.steps.size(); ++s) {
      const Node& n = graph.nodes[size_t(plan.steps[s])];
      View* first = views.data() + views.size();
      for (int id : n.in) {
        views.push_back(view_of(id));
        const Place& p = plan.places[size_t(id)];
        if (p.kind == Place::input)
          bound.push_back({&views.back(), input_index(p.root), p.offset * int64_t(bytes_of(graph.values[size_t(id)].spec.dtype, 1))});
      }
      for (int id : n.out) views.push_back(view_of(id));
      auto context = [&](const Work& work, int team) {
        Context c{*n.op, n.attributes(), {first, n.in.size()}, {first + n.in.size(), n.out.size()}};
        c.pieces = work.pieces;
        c.phases = work.phases;
        c.exact = options.exact;
        c.prepared = prepared->at[size_t(plan.steps[s])];
        if (plan.scratch[s] < 0) return c;
        c.scratch = arena->data() + plan.buffers[size_t(plan.scratch[s])].offset;
        c.shared = c.scratch + aligned(work.scratch) * size_t(std::min(work.pieces, team));
        return c;
      };
      const Work& work = plan.work[s];
      Step step{plan.steps[s], context(work, workers), context(work_alone[s], 1), work, aligned(work.scratch)};
      parallel |= work.pieces > 1 && workers > 1;
      steps.push_back(step);
    }
    if (parallel) stages = std::make_unique<Stages>(steps, workers);
    input_data.resize(graph.inputs.size());
  }
  int input_index(int value) const {
    return int(std::find(graph.inputs.begin(), graph.inputs.end(), value) - graph.inputs.begin());
  }

  void run_alone() {
    for (const Step& step : steps) {
      Context c = step.alone;
      for (c.phase = 0; c.phase < c.phases; ++c.phase)
        for (c.piece = 0; c.piece < c.pieces; ++c.piece) c.op.eval(c);
    }
  }

  void check(std::span<const Tensor> inputs) const {
    if (inputs.size() != graph.inputs.size())
      throw Error(ErrorKind::value, "session", std::to_string(graph.inputs.size()) + " inputs", std::to_string(inputs.size()));
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Value& v = graph.values[size_t(graph.inputs[i])];
      if (inputs[i].spec() == v.spec || (!v.spec.shape.is_static() && inputs[i].dtype() == v.spec.dtype && inputs[i].rank() == v.spec.shape.rank)) continue;
      throw Error(inputs[i].dtype() == v.spec.dtype ? ErrorKind::value : ErrorKind::type, "session",
                  "input \"" + v.name + "\" of " + v.spec.text(), inputs[i].spec().text(), "compile again for another shape");
    }
  }
  void check_sizes_known() const {
    if (!planned) throw Error(ErrorKind::unsupported, "session", "sizes that are known, to write into given outputs", "sizes known at run time", "run(inputs) makes them");
  }
  void check_outputs(std::span<const Tensor> outputs) const {
    check_sizes_known();
    if (outputs.size() != graph.outputs.size())
      throw Error(ErrorKind::value, "session", std::to_string(graph.outputs.size()) + " outputs", std::to_string(outputs.size()));
    for (size_t i = 0; i < outputs.size(); ++i)
      if (const Value& v = graph.values[size_t(graph.outputs[i])]; outputs[i].spec() != v.spec)
        throw Error(ErrorKind::value, "session", "output \"" + v.name + "\" of " + v.spec.text(), outputs[i].spec().text());
  }
  void run(std::span<const Tensor> inputs) {
    check(inputs);
    if (!planned) return run_dynamic(inputs);
    for (size_t i = 0; i < inputs.size(); ++i) {
      View v = inputs[i].view();
      if (v.is_contiguous()) { input_data[i] = v.data; continue; }
      if (staged.empty()) staged.resize(inputs.size());
      if (!staged[i]) staged[i] = Tensor::empty(inputs[i].spec());
      copy_values(v, staged[i].view());
      input_data[i] = staged[i].view().data;
    }
    for (const Bound& b : bound) b.view->data = input_data[size_t(b.input)] + b.bytes;
    if (mode().observer) return run_observed(*mode().observer);
    if (!parallel || in_region()) return run_alone();
    if (!pace.is_trial()) {
      run_now();
      return pace.ran();
    }
    const auto start = std::chrono::steady_clock::now();
    run_now();
    pace.ran(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), stages->was_helped());
  }
  // One piece after the other, each with the scratch of the worker whose share it is.
  void run_shares() {
    for (const Step& step : steps) {
      Context c = step.context;
      for (c.phase = 0; c.phase < c.phases; ++c.phase)
        for (c.piece = 0; c.piece < c.pieces; ++c.piece) {
          c.scratch = step.context.scratch + step.scratch * size_t(((c.piece + 1) * std::min(workers, c.pieces) - 1) / c.pieces);
          c.op.eval(c);
        }
    }
  }
  void run_now() {
    if (!pace.together()) return run_alone();
    stages->begin_run();
    run_team(workers, [](void* self, int worker) { static_cast<Stages*>(self)->run(worker); }, stages.get());
    stages->end_run();
  }
  // Who keeps what follows from a state, as a packed weight, learns that it was overwritten.
  void run_counted(std::span<const Tensor> inputs) {
    run(inputs);
    if (!planned) return;
    for (const State& s : graph.states) graph.values[size_t(s.entry)].constant->storage->version++;
  }
  void run_observed(Observer& observer) {
    for (const Step& step : steps) {
      const Node& n = graph.nodes[size_t(step.node)];
      LayerScope layer(n.name);
      std::vector<Spec> in = graph.specs(n.in), out = graph.specs(n.out);
      auto start = std::chrono::steady_clock::now();
      run_pieces(step.context, step.work, workers);
      observer.saw({*n.op, n.attributes(), in, out}, std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count());
    }
  }
  void run_dynamic(std::span<const Tensor> inputs) {
    NoGrad no_grad;
    ByteCounter counter;
    Swap<Observer*> observe(mode().observer, &counter);
    Swap<Recorder*> eager(mode().recorder, nullptr);
    dynamic_outputs = replay(graph, {inputs.begin(), inputs.end()});
    dynamic = counter.bytes;
  }
  View output(int i) const {
    if (i < 0 || size_t(i) >= graph.outputs.size())
      throw Error(ErrorKind::index, "session", "an output below " + std::to_string(graph.outputs.size()), std::to_string(i));
    if (!planned) {
      if (dynamic_outputs.empty()) throw Error(ErrorKind::value, "session", "a run before its outputs are read", "none");
      return dynamic_outputs[size_t(i)].view();
    }
    int id = graph.outputs[size_t(i)];
    View v = view_of(id);
    const Place& p = plan.places[size_t(id)];
    if (p.kind == Place::input) v.data = input_data[size_t(input_index(p.root))] + p.offset * int64_t(bytes_of(v.spec.dtype, 1));
    return v;
  }
  std::unique_lock<std::mutex> lock() {
    std::unique_lock l(*running[0], std::try_to_lock);
    if (!l) throw Error(ErrorKind::value, "session", "one run at a time", "a second one from another thread", "give each thread session.clone(): it shares the weights");
    return l;
  }
};

Session::Session(Graph graph, const CompileOptions& options) : impl_(std::make_unique<Impl>(std::move(graph), options)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::run_into(std::span<const Tensor> inputs) {
  auto lock = impl_->lock();
  impl_->run_counted(inputs);
}
std::vector<Tensor> Session::run(std::span<const Tensor> inputs) {
  auto lock = impl_->lock();
  impl_->run_counted(inputs);
  std::vector<Tensor> results;
  for (size_t i = 0; i < impl_->graph.outputs.size(); ++i) {
    View v = impl_->output(int(i));
    results.push_back(Tensor::empty(v.spec));
    copy_values(v, results.back().view());
  }
  return results;
}
void Session::run(std::span<const Tensor> inputs, std::span<const Tensor> outputs) {
  auto lock = impl_->lock();
  impl_->check_outputs(outputs);
  impl_->run_counted(inputs);
  for (size_t i = 0; i < outputs.size(); ++i) {
    copy_values(impl_->output(int(i)), outputs[i].view());
    outputs[i]->storage->version++;
  }
}
std::vector<Tensor> Session::outputs_for(std::span<const Tensor> inputs) const {
  impl_->check_sizes_known();
  impl_->check(inputs);
  std::vector<Tensor> outputs;
  for (const Spec& spec : output_specs()) outputs.push_back(Tensor::zeros(spec.shape, spec.dtype));
  return outputs;
}
View Session::output(int i) const { return impl_->output(i); }
std::vector<Spec> Session::input_specs() const { return impl_->graph.specs(impl_->graph.inputs); }
std::vector<Spec> Session::output_specs() const { return impl_->graph.specs(impl_->graph.outputs); }
static std::vector<std::string> names_of(const Graph& g, const std::vector<int>& ids) {
  std::vector<std::string> names;
  for (int id : ids) names.push_back(g.values[size_t(id)].name);
  return names;
}
std::vector<std::string> Session::input_names() const { return names_of(impl_->graph, impl_->graph.inputs); }
std::vector<std::string> Session::output_names() const { return names_of(impl_->graph, impl_->graph.outputs); }
size_t Session::arena_bytes() const { return size_t(impl_->plan.arena_bytes); }
size_t Session::dynamic_bytes() const { return impl_->dynamic; }
size_t Session::weight_bytes() const {
  auto bytes = size_t(impl_->packed_bytes);
  std::vector<bool> used(impl_->graph.values.size());
  for (const Node& n : impl_->graph.nodes) for (int id : n.in) used[size_t(id)] = true;
  std::unordered_set<const std::byte*> counted;
  for (size_t i = 0; i < used.size(); ++i) {
    const Value& v = impl_->graph.values[i];
    if (used[i] && v.constant && v.constant.has_data() && counted.insert(v.constant.view().data).second) bytes += v.spec.bytes();
  }
  return bytes;
}
Session Session::clone() const {
  Session s(Graph{});
  s.impl_ = std::make_unique<Impl>(*impl_);
  return s;
}
const Graph& Session::graph() const { return impl_->graph; }
const TuningReport& Session::tuning() const { return impl_->tuning; }
const Plan& Session::plan() const { return impl_->plan; }
std::string Session::to_text() const { return impl_->graph.to_text() + (impl_->planned ? impl_->plan.to_text(impl_->graph) : "sizes known at run time: no plan\n"); }

size_t Session::measured_arena_bytes(std::span<const Tensor> inputs) {
  auto lock = impl_->lock();
  if (!impl_->planned) return 0;
  const Graph& g = impl_->graph;
  SavedStates saved(g);
  size_t touched = 0, total = arena_bytes();
  std::byte* base = impl_->arena->data();
  for (std::byte pattern : {std::byte{0xCB}, std::byte{0x34}}) {
    std::memset(base, int(pattern), total);
    impl_->run(inputs);
    impl_->run_shares();
    for (size_t i = total; i > touched; --i)
      if (base[i - 1] != pattern) { touched = i; break; }
    saved.restore();
  }
  return touched;
}

std::vector<StepProfile> Session::profile(std::span<const Tensor> inputs, int runs) {
  if (runs < 1) throw Error(ErrorKind::value, "profile", "at least one run", std::to_string(runs));
  auto lock = impl_->lock();
  const Graph& g = impl_->graph;
  SavedStates saved(g);
  impl_->run(inputs);
  std::vector<StepProfile> rows;
  if (!impl_->planned) throw Error(ErrorKind::unsupported, "profile", "a graph whose sizes are known", "one with sizes known at run time");
  std::vector<std::vector<double>> times(impl_->steps.size());
  for (int r = 0; r < runs; ++r)
    for (size_t s = 0; s < impl_->steps.size(); ++s) {
      const Step& step = impl_->steps[s];
      auto start = std::chrono::steady_clock::now();
      run_pieces(step.context, step.work, impl_->workers);
      times[s].push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count());
    }
  saved.restore();
  for (size_t s = 0; s < impl_->steps.size(); ++s) {
    const Node& n = g.nodes[size_t(impl_->steps[s].node)];
    std::nth_element(times[s].begin(), times[s].begin() + runs / 2, times[s].end());
    rows.push_back({n.name, std::string(n.op->name), g.specs(n.in), g.specs(n.out), cost_of(g, n), times[s][size_t(runs / 2)]});
  }
  return rows;
}

}  // namespace miniten
