#include <chrono>
#include <utility>
#include "base/allocate.h"
#include "base/relax.h"
#include "core/tape.h"
#include "core/work.h"
#include "miniten/base/parallel.h"
#include "miniten/core/observer.h"

namespace miniten {

void Call::fail(std::string want, std::string got, std::string hint, ErrorKind kind) const {
  throw Error(kind, op.name, std::move(want), std::move(got), std::move(hint));
}

Mode& mode() {
  static thread_local Mode m;
  return m;
}

Watcher* watcher() {
  Observer* observer = mode().observer;
  return observer ? dynamic_cast<Watcher*>(observer) : nullptr;
}

void infer_outputs(const OpDef& op, const void* attrs, std::span<const Spec> in, Specs& out, std::span<const Input> known) {
  Call call{op, attrs ? attrs : op.attrs.defaults, in, {}, known};
  if (int(in.size()) < op.min_inputs || int(in.size()) > op.max_inputs) {
    std::string want = std::to_string(op.min_inputs);
    if (op.max_inputs != op.min_inputs) want += " to " + std::to_string(op.max_inputs);
    call.fail(want + " inputs", std::to_string(in.size()));
  }
  op.infer(call, out);
}

Layout wanted_layout(const OpDef& op, int input) {
  if (op.traits.dense >> input & 1) return Layout::dense;
  return op.traits.channels_last >> input & 1 ? Layout::channels_last : Layout::any;
}

static bool is_dense(const Shape& shape, const Strides& strides) {   // some order of the axes without gaps
  Axes order = Dims::iota(shape.rank);
  std::stable_sort(order.begin(), order.end(), [&](Dim a, Dim b) { return strides[int(a)] < strides[int(b)]; });
  int64_t expected = 1;
  for (Dim axis : order) {
    if (shape[int(axis)] == 1) continue;
    if (strides[int(axis)] != expected) return false;
    expected *= shape[int(axis)];
  }
  return true;
}

static bool has_channels_fastest(const Shape& shape, const Strides& strides) {
  if (same_layout(shape, strides, contiguous(shape))) return false;
  Strides order = channels_last(shape);
  for (int i = 0; i < shape.rank; ++i)
    for (int j = 0; j < shape.rank; ++j)
      if (shape[i] > 1 && shape[j] > 1 && order[i] < order[j] && strides[i] >= strides[j]) return false;
  return shape[1] == 1 || strides[1] == 1;
}

Strides output_strides(const Call& call, std::span<const Strides> in, int i) {
  const Shape& shape = call.out[size_t(i)].shape;
  switch (call.op.traits.out) {
    case Layout::dense: return contiguous(shape);
    case Layout::channels_last: return channels_last(shape);
    case Layout::any: break;
  }
  if (call.op.traits.pointwise)
    for (size_t k = 0; k < in.size(); ++k)
      if (call.in[k].shape == shape && is_dense(shape, in[k])) {
        bool row_major = same_layout(shape, in[k], contiguous(shape));
        if (!row_major || k + 1 == in.size()) return row_major ? contiguous(shape) : in[k];
      }
  // What joins parts that all lie channels-last, or are cut from what does, leaves them so.
  bool joined = call.op.traits.movement && !call.op.view && shape.rank == 4 && !in.empty();
  for (size_t k = 0; k < in.size() && joined; ++k) joined = call.in[k].shape.rank == 4 && has_channels_fastest(call.in[k].shape, in[k]);
  if (joined) return channels_last(shape);
  return contiguous(shape);
}

namespace {

struct Region {
  Context context;
  const Work* work;
  uint64_t scratch;
  std::byte* memory;
  std::atomic<int> next{0}, done{0};
};

void work_on(void* argument, int worker) {
  auto& r = *static_cast<Region*>(argument);
  Context c = r.context;
  c.scratch = r.memory + r.scratch * size_t(worker);
  int total = r.work->pieces * r.work->phases;
  for (;;) {                                   // pieces of a phase are taken only when the phase before is over
    int ticket = r.next.fetch_add(1);
    if (ticket >= total) return;
    c.phase = ticket / c.pieces;
    c.piece = ticket % c.pieces;
    for (int spins = 0; r.done.load(std::memory_order_acquire) < c.phase * c.pieces; ++spins) relax(spins);
    c.op.eval(c);
    r.done.fetch_add(1, std::memory_order_release);
  }
}

struct ScratchMemory {
  std::byte* data = nullptr;
  size_t size = 0;
  ~ScratchMemory() { std::free(data); }
  std::byte* get(uint64_t n) {
    if (n > size) {
      std::free(std::exchange(data, nullptr));
      size = 0;
      n = aligned(n, 4096);
      data = static_cast<std::byte*>(allocate("workspace", 64, n));
      size = size_t(n);
    }
    return data;
  }
};

}  // namespace

Work work_of(const Call& c) {
  Work work = c.op.work ? c.op.work(c) : Work{};
  bool empty = !c.out.empty() && std::all_of(c.out.begin(), c.out.end(), [](const Spec& s) { return s.shape.has(0); });
  if (empty) work.phases = 0;
  return work;
}

void run_pieces(Context c, const Work& work, int threads) {
  static thread_local ScratchMemory memory;
  c.pieces = work.pieces;
  c.phases = work.phases;
  int workers = work.pieces > 1 ? std::min(work.pieces, threads > 0 ? threads : get_num_threads()) : 1;
  uint64_t scratch = aligned(work.scratch), total = scratch * uint64_t(workers) + work.shared + 64;
  std::byte* base = work.scratch + work.shared ? memory.get(total) : nullptr;
  c.shared = base ? base + scratch * size_t(workers) : nullptr;
  if (workers > 1) {
    Region region{c, &work, scratch, base, {}, {}};
    run_team(workers, work_on, &region);
    return;
  }
  c.scratch = base;
  for (c.phase = 0; c.phase < work.phases; ++c.phase)
    for (c.piece = 0; c.piece < c.pieces; ++c.piece) c.op.eval(c);
}

static Tensor laid_out(const Tensor& t, Layout wanted) {
  View v = t.view();
  if (wanted == Layout::any || (wanted == Layout::dense ? v.is_contiguous() : v.is_channels_last())) return t;
  Tensor copy = Tensor::empty(t.spec(), wanted == Layout::dense ? contiguous(t.shape()) : channels_last(t.shape()));
  copy_values(v, copy.view());
  return copy;
}

static void eval_now(const Call& call, std::span<const Input> in, std::span<Tensor> out) {
  for (size_t i = 0; i < in.size(); ++i)
    if (!in[i].tensor->has_data() && !(call.op.traits.shape_only >> i & 1)) call.fail("values", "a traced " + in[i].tensor->spec().text(), "the tensor belongs to a trace that has ended", ErrorKind::unsupported);
  if (call.op.view) {
    const Tensor& source = *in[0].tensor;
    int64_t offset = 0;
    if (auto strides = call.op.view(call, source.strides(), offset)) {
      out[0] = Tensor(new Tensor::Impl(call.out[0], *strides));
      out[0]->storage = source->storage;
      out[0]->history = call.op.traits.stops_gradient ? Tensor::Impl::any_history : source->history;
      out[0]->offset = source->offset + size_t(offset) * bytes_of(source.dtype(), 1);
      return;
    }
  }
  if (!call.op.eval) call.fail("an op that computes", "one that only describes", "run it through a Session", ErrorKind::unsupported);
  Few<View, max_inputs> from;
  Few<Strides, max_inputs> strides;
  Few<View, max_outputs> to;
  std::vector<Tensor> copies;
  for (size_t i = 0; i < in.size(); ++i) {
    const Tensor& t = *in[i].tensor;
    Layout wanted = wanted_layout(call.op, int(i));
    if (call.op.traits.shape_only >> i & 1) from.push({nullptr, t.spec(), t.strides()});
    else if (wanted == Layout::any) from.push(t.view());
    else {
      Tensor dense = laid_out(t, wanted);
      from.push(dense.view());
      if (!dense.same(t)) copies.push_back(std::move(dense));
    }
    strides.push(from.at[i].strides);
  }
  const auto& writes = call.op.traits.writes;
  for (size_t i = 0; i < out.size(); ++i) {
    if (int(i) < writes.n) {
      out[i] = *in[size_t(writes.at[i])].tensor;
      if (!out[i]->storage->writable) call.fail("memory it may write", "a read-only array", "copy the array first");
      if (mode().states) mode().states->before_write(out[i]);
    } else out[i] = Tensor::empty(call.out[i], output_strides(call, strides.span(), int(i)));
    to.push(out[i].view());
  }
  Context c{.op = call.op, .attrs = call.attrs, .in = from.span(), .out = to.span()};
  run_pieces(c, work_of(call));
  for (int i = 0; i < writes.n; ++i) {
    out[size_t(i)]->storage->version++;
    out[size_t(i)]->storage->last_writer = &call.op;
  }
}

void apply(const OpDef& op, std::span<const Input> in, const void* attrs, std::span<Tensor> out) {
  if (!attrs) attrs = op.attrs.defaults;
  Few<Spec, max_inputs> in_specs;
  Specs out_specs;
  bool needs_grad = false;
  Mode& m = mode();
  for (const Input& i : in) {
    const Tensor& t = *i.tensor;
    in_specs.push(t.spec());
    needs_grad |= t->requires_grad;
    if (m.grad && t->storage && t->history != t->storage->history && !op.traits.stops_gradient) check_history(op, t);
  }
  infer_outputs(op, attrs, in_specs.span(), out_specs, in);
  Call call{op, attrs, in_specs.span(), out_specs.span(), in};
  if (int(out.size()) != out_specs.n) call.fail(std::to_string(out_specs.n) + " outputs", std::to_string(out.size()));
  needs_grad &= m.grad && !op.traits.stops_gradient && is_float(out_specs.at[0].dtype);
  if (needs_grad && op.traits.writes.n)
    call.fail("a state outside the tape", "one that needs a gradient", "wrap the update in no_grad");

  Observer* observer = m.observer;
  auto start = observer ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
  if (Recorder* recorder = m.recorder) recorder->record(call, in, out);
  else eval_now(call, in, out);
  if (m.inference) for (Tensor& t : out) t->inference = true;
  if (needs_grad) push_tape(op, in, attrs, out);
  if (observer && observer == mode().observer) {
    observer->saw(call, std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count());
    if (Watcher* w = watcher()) w->gave(call, out);
  }
}

}  // namespace miniten
