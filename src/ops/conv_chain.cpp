#include "ops/conv_chain.h"
#include "kernels/activation.h"
#include "kernels/unary.h"
#include "miniten/ops/ops.h"
#include "ops/conv_parts.h"
#include "ops/loops.h"
#include "ops/forms.h"
#include "ops/sparse.h"

namespace miniten {

// What lies between the convolutions exists for a band of rows at a time, with the padding that its reader wants, and
// stays in the cache: an inverted residual never writes its wide middle to memory.
namespace {

constexpr uint64_t cache_bytes = 256 * 1024;   // of the second cache, for the rows between the stages
constexpr int most = 3;

int weight_of(int stage) { return 1 + 2 * stage; }
int bias_of(int stage) { return 2 + 2 * stage; }

struct Chain {
  int stages;
  ConvGeometry g[most];
  bool bf16 = false, ends_in_function = false;
  bool narrow(int i) const { return bf16 && g[i].groups == 1 && g[i].c % 2 == 0 && bf16_pays(g[i].taps(), g[i].o); }
  uint64_t packed(int i) const { return narrow(i) ? uint64_t(kernels::bf16_packed_bytes(g[i].taps(), g[i].o)) : conv::floats(int64_t(conv::packed_floats(g[i]))); }
  const ConvGeometry& last() const { return g[stages - 1]; }
};
template <class ShapeOf> Chain chain_of(const ConvChainAttrs& at, ShapeOf shape, bool bf16 = false) {
  Chain c{int(at.stages), {}, bf16, at.function[size_t(at.stages - 1)] != ConvChainAttrs::none};
  Shape x = shape(0);
  for (int i = 0; i < c.stages; ++i) {
    const Shape& w = shape(weight_of(i));
    const Conv2dAttrs& a = at.stage[size_t(i)];
    Shape y{x[0], w[0], conv_size(x[2], a.padding[0], a.padding[2], w[2], a.stride[0], a.dilation[0]),
            conv_size(x[3], a.padding[1], a.padding[3], w[3], a.stride[1], a.dilation[1])};
    c.g[i] = conv_geometry(x, w, y, a);
    x = y;
  }
  return c;
}
Chain chain_of(const Call& c, bool packs) {
  return chain_of(c.as<ConvChainAttrs>(), [&](int i) -> const Shape& { return c.in[size_t(i)].shape; }, packs && bf16_kind(c.op));
}

// In front of the packed weights: of each stage how they are packed, and in how many bytes.
struct alignas(64) PreparedChain {
  int64_t kind[most] = {};                   // of SparsePanels
  uint64_t bytes[most] = {}, all = 0;
  explicit PreparedChain(const Chain& c) {
    for (int i = 0; i < c.stages; ++i) set(i, c.narrow(i) ? bf16_both : not_bf16, c.packed(i));
  }
  void set(int i, int64_t how, uint64_t size) {
    kind[i] = how;
    all += size - bytes[i];
    bytes[i] = size;
  }
};

// Bytes of the rows in front of each stage but the first, for a band of `rows` outputs, and of those that a function passes over again.
struct Rows {
  uint64_t bytes[most] = {}, total = 0, again = 0;
  uint64_t in_cache() const { return total + again; }
};
Rows rows_of(const Chain& c, int64_t rows) {
  Rows r;
  if (c.ends_in_function) r.again = conv::floats(rows * c.last().q * c.last().o);
  for (int i = c.stages; --i > 0;) {
    rows = std::min(conv::band_reach(c.g[i], rows), conv::pads_itself(c.g[i]) ? c.g[i].h : c.g[i].padded_h());
    r.total += r.bytes[i] = aligned(conv::floats(rows * conv::row_floats(c.g[i])));
  }
  return r;
}
// Weights are read once for each band: the larger they are, the fewer bands.
int64_t band_of(const Chain& c) {
  uint64_t weights = 0;
  for (int i = 0; i < c.stages; ++i) weights += c.packed(i);
  int64_t p = c.last().p, rows = 1;
  while (rows < p && rows_of(c, rows + 1).in_cache() <= std::max(cache_bytes, weights)) ++rows;
  int64_t bands = (p + rows - 1) / rows;
  return (p + bands - 1) / bands;
}

class Bands {
 public:
  Bands(const Context& c, const Chain& chain, const PreparedChain& ready, const std::byte* packed) : c_(c), chain_(chain), band_(band_of(chain)) {
    Rows rows = rows_of(chain, band_);
    std::byte* at = c.scratch;
    for (int i = 1; i < chain.stages; ++i) {
      stage_[i].rows = reinterpret_cast<float*>(at);
      at += rows.bytes[i];
    }
    padding_ = reinterpret_cast<float*>(at);
    for (int i = 0; i < chain.stages; ++i) {
      stage_[i].weights = {packed, has_packed ? ready.kind[i] : 0};
      packed += ready.bytes[i];
    }
  }
  // Output rows [begin, end) of n * p.
  void run(int64_t begin, int64_t end) {
    const ConvGeometry& g = chain_.last();
    int64_t row = g.q * g.o;
    for (int64_t i = begin, image = -1; i < end;) {
      int64_t n = i / g.p, p = i % g.p, rows = std::min({band_, end - i, g.p - p});
      if (n != image) for (Stage& s : stage_) s.first = s.end = 0;
      image = n;
      float* to = c_.out[0].f32() + i * row;
      const View* residual = c_.as<ConvChainAttrs>().residual ? &c_.in[c_.in.size() - 1] : nullptr;
      make(chain_.stages - 1, n, p, p + rows, {to, rows * row, row, g.o}, residual ? residual->f32() + i * row : nullptr);
      i += rows;
    }
  }

 private:
  struct Stage {
    conv::SparsePanels weights;
    float* rows = nullptr;                   // of its padded input: [first, end)
    int64_t first = 0, end = 0;
  };

  // Rows [begin, end) of what stage i puts out, the first at y.
  void make(int i, int64_t n, int64_t begin, int64_t end, conv::Target y, const float* residual = nullptr) {
    ConvGeometry g = chain_.g[i];
    const auto& at = c_.as<ConvChainAttrs>().stage[size_t(i)];
    kernels::Epilogue finish{.bias = c_.in[size_t(bias_of(i))].f32(), .residual = residual, .lo = at.lo, .hi = at.hi};
    const conv::SparsePanels& weights = stage_[i].weights;
    auto* packed = reinterpret_cast<const float*>(weights.packed);
    if (i == 0) {
      conv::Target from_0 = y;
      from_0.data -= begin * y.row;
      from_0.image = 0;
      conv::convolve(g, c_.in[0].f32(), packed, finish, from_0, n * g.p + begin, n * g.p + end, padding_, 0, weights);
      return apply_function(i, y, end - begin);
    }
    int64_t first = begin * g.stride_h;
    fill(i, n, first, first + conv::band_reach(g, end - begin));
    const Stage& s = stage_[i];
    g.n = 1;
    g.p = end - begin;
    g.h = s.end - s.first;
    if (conv::pads_itself(g)) g.top = s.first - first;
    else {
      g.w = g.padded_w();
      g.top = g.left = g.right = 0;
    }
    g.bottom = 0;
    conv::convolve(g, s.rows, packed, finish, y, 0, g.p, nullptr, 0, weights);
    apply_function(i, y, end - begin);
  }
  // While they are in the cache.
  void apply_function(int i, const conv::Target& y, int64_t rows) {
    const auto& at = c_.as<ConvChainAttrs>();
    const int64_t function = at.function[size_t(i)], width = chain_.g[i].q * chain_.g[i].o;
    if (function == ConvChainAttrs::none) return;
    const int64_t step = y.row == width ? rows : 1;
    for (int64_t r = 0; r < rows; r += step) {
      float* row = y.data + r * y.row;
      if (function == ConvChainAttrs::silu) kernels::unary(kernels::Unary::silu, row, row, step * width);
      else kernels::activation(function == ConvChainAttrs::hard_swish ? kernels::Activation::hard_swish : kernels::Activation::leaky_relu, at.alpha[size_t(i)], row, row, step * width);
    }
  }
  // Padded rows [first, end) in front of stage i; what the last band left of them is kept.
  void fill(int i, int64_t n, int64_t first, int64_t end) {
    Stage& s = stage_[i];
    const ConvGeometry& g = chain_.g[i];
    const bool itself = conv::pads_itself(g);
    if (itself) {                              // of its own rows alone
      first = std::clamp(first, g.top, g.top + g.h);
      end = std::clamp(end, g.top, g.top + g.h);
    }
    int64_t row = conv::row_floats(g), kept = std::max<int64_t>(0, s.end - first);
    if (kept) std::memmove(s.rows, s.rows + (first - s.first) * row, conv::floats(kept * row));
    s.first = first;
    s.end = end;
    int64_t begin = std::clamp(first + kept, g.top, g.top + g.h), stop = std::clamp(end, g.top, g.top + g.h);
    auto at = [&](int64_t r) { return s.rows + (r - first) * row; };
    auto clear = [](float* from, int64_t n) { if (n > 0) std::memset(from, 0, conv::floats(n)); };
    clear(at(first + kept), (begin - first - kept) * row);
    clear(at(stop), (end - stop) * row);
    if (stop <= begin) return;
    if (!itself && (g.left || g.right))
      for (int64_t r = begin; r < stop; ++r) {
        clear(at(r), g.left * g.c);
        clear(at(r) + (g.left + g.w) * g.c, g.right * g.c);
      }
    make(i - 1, n, begin - g.top, stop - g.top, {at(begin) + (itself ? 0 : g.left * g.c), (stop - begin) * row, row, g.c});
  }

  const Context& c_;
  const Chain& chain_;
  int64_t band_;
  Stage stage_[most];
  float* padding_;
};

void pack(const ConvGeometry& g, int64_t kind, const float* w, std::byte* to) {
  if (kind) kernels::bf16_pack(w, g.taps(), g.o, 1, g.taps(), to);
  else conv::pack_weights(g, w, reinterpret_cast<float*>(to), 0, 1);
}

void chain_infer(const Call& c, Specs& out) {
  const auto& at = c.as<ConvChainAttrs>();
  if (at.stages < 1 || at.stages > most) c.fail("1 to 3 stages", std::to_string(at.stages));
  if (c.in.size() != size_t(1 + 2 * at.stages + at.residual)) c.fail("x, a weight and a bias for each stage and the residual", std::to_string(c.in.size()) + " inputs");
  for (const Spec& s : c.in) if (s.dtype != DType::f32) c.fail("float32", s.text(), "", ErrorKind::type);
  Shape x = c.in[0].shape;
  for (int i = 0; i < at.stages; ++i) {
    const Conv2dAttrs& a = at.stage[size_t(i)];
    if (!(a.lo <= a.hi)) c.fail("lo <= hi", std::to_string(a.lo) + " and " + std::to_string(a.hi));
    x = conv_output(c, x, c.in[size_t(weight_of(i))].shape, a);
    const Shape& bias = c.in[size_t(bias_of(i))].shape;
    if (bias != Shape{x[1]}) c.fail("a bias of shape (" + std::to_string(x[1]) + ",)", bias.text());
  }
  if (at.residual && c.in.back().shape != x) c.fail("a residual of shape " + x.text(), c.in.back().shape.text());
  out.push({DType::f32, x});
}
Work chain_work(const Call& c) {
  Chain chain = chain_of(c, c.prepared);
  int64_t macs = 0, rows = chain.last().n * chain.last().p;
  for (int i = 0; i < chain.stages; ++i) macs += chain.g[i].macs();
  // Each piece computes the rows that reach over its edge again: not more of them than threads where they are few.
  int64_t most = c.workers < 2 ? 1 : rows < 12 * c.workers ? c.workers : 2 * c.workers;
  Work w{.pieces = pieces_for_threads(c, int(std::clamp<int64_t>(std::min({macs / 393216, rows / 3, most}), 1, 64)), std::min(macs / 65536, rows / 3)),
         .scratch = rows_of(chain, band_of(chain)).total + conv::band_bytes(chain.g[0])};
  if (!c.prepared) { w.shared = PreparedChain(chain).all; w.phases = 2; }
  return w;
}
uint64_t chain_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  Chain chain = chain_of(c, true);
  for (int i = 0; i < chain.stages; ++i) if (!in[size_t(weight_of(i))].data) return 0;
  PreparedChain ready(chain);
  std::byte* at = to ? to + sizeof ready : nullptr;
  for (int i = 0; i < chain.stages; ++i) {
    const float* w = in[size_t(weight_of(i))].f32();
    PreparedForm form{};
    if (uint64_t sparse = ready.kind[i] ? 0 : conv::pack_sparse(chain.g[i], 1, w, form, at)) ready.set(i, form.sparse, sparse);
    else if (to) pack(chain.g[i], ready.kind[i], w, at);
    if (to) at += ready.bytes[i];
  }
  if (to) new (to) PreparedChain(ready);
  return sizeof ready + ready.all;
}
void chain_eval(const Context& c) {
  Chain chain = chain_of(c.as<ConvChainAttrs>(), [&](int i) -> const Shape& { return c.in[size_t(i)].shape(); }, c.prepared && bf16_kind(c.op));
  auto [begin, end] = c.slice(chain.last().n * chain.last().p);
  if (c.prepared) return Bands(c, chain, *reinterpret_cast<const PreparedChain*>(c.prepared), c.prepared + sizeof(PreparedChain)).run(begin, end);
  const PreparedChain dense(chain);
  if (c.phase == 1) return Bands(c, chain, dense, c.shared).run(begin, end);
  std::byte* to = c.shared;
  for (int i = 0; i < chain.stages && c.piece == 0; to += dense.bytes[i++]) pack(chain.g[i], 0, c.in[size_t(weight_of(i))].f32(), to);
}
Cost chain_cost(const Call& c) {
  Chain chain = chain_of(c, false);
  Cost cost;
  for (int i = 0; i < chain.stages; ++i) {
    cost.macs += chain.g[i].macs();
    cost.flops += chain.g[i].n * chain.g[i].o * chain.g[i].p * chain.g[i].q;
  }
  if (c.as<ConvChainAttrs>().residual) cost.flops += c.out[0].shape.count();
  return cost;
}

Sample sample(Shape x, std::initializer_list<Shape> weights, ConvChainAttrs at, Shape residual = {}) {
  Sample s{{sample_values(x)}, nullptr};
  for (const Shape& w : weights) {
    s.in.push_back(sample_values(w));
    s.in.push_back(sample_values({w[0]}));
  }
  at.stages = int64_t(weights.size());
  at.residual = residual.rank > 0;
  if (at.residual) s.in.push_back(sample_values(residual));
  s.attrs = std::make_shared<ConvChainAttrs>(at);
  return s;
}
std::vector<Sample> chain_samples() {
  Conv2dAttrs same{.padding = {1, 1, 1, 1}, .groups = 6, .lo = 0, .hi = 6}, down = same;
  down.stride = {2, 2};
  Conv2dAttrs wide{.padding = {1, 1, 1, 1}, .groups = 18};
  Conv2dAttrs first{.stride = {2, 1}, .padding = {1, 0, 1, 2}, .lo = 0};
  return {sample({2, 3, 5, 6}, {{6, 3, 1, 1}, {6, 1, 3, 3}, {3, 6, 1, 1}}, {.stage = {Conv2dAttrs{.hi = 1}, same, {}}}, {2, 3, 5, 6}),
          sample({1, 2, 9, 5}, {{6, 2, 3, 2}, {6, 1, 3, 3}, {4, 6, 1, 1}}, {.stage = {first, down, {}}}),
          sample({1, 6, 4, 7}, {{6, 1, 3, 3}, {2, 6, 1, 1}}, {.stage = {same, {}, {}}}),
          sample({1, 3, 4, 3}, {{18, 3, 1, 1}, {18, 1, 3, 3}}, {.stage = {Conv2dAttrs{}, wide, {}}, .function = {ConvChainAttrs::silu, ConvChainAttrs::hard_swish}}),
          sample({2, 3, 5, 4}, {{4, 3, 1, 1}}, {.function = {ConvChainAttrs::leaky_relu}, .alpha = {0.3}})};
}

}  // namespace

// ---- when ----
// A function of the last stage's outputs, while they are in the cache. Winograd's tiles leave none.
static std::optional<Absorbed> absorb_function(const Fusion& f, ConvChainAttrs at) {
  auto last = size_t(at.stages - 1);
  const Conv2dAttrs& conv = at.stage[last];
  if (at.function[last] || conv.lo > -infinity || conv.hi < infinity) return {};
  if (&f.next.op == &hard_swish_op) at.function[last] = ConvChainAttrs::hard_swish;
  else if (&f.next.op == &silu_op) at.function[last] = ConvChainAttrs::silu;
  else {
    at.function[last] = ConvChainAttrs::leaky_relu;
    at.alpha[last] = f.next.as<AlphaAttrs>().alpha;
  }
  if (at.stages == 1 && conv::choose(conv_geometry(f.first.in[0].shape, f.first.in[1].shape, f.first.out[0].shape, conv), false)) return {};
  return Absorbed{std::make_shared<ConvChainAttrs>(at), {}, {}, &conv_chain_op};
}

std::optional<Absorbed> absorb_stage(const Fusion& f) {
  const Call &first = f.first, &next = f.next;
  bool grown = &first.op == &conv_chain_op;
  if (f.slot != 0 || first.in[0].dtype != DType::f32 || (!grown && first.in.size() < 3) || !first.value(1) || !first.value(2)) return {};
  ConvChainAttrs at;
  if (grown) at = first.as<ConvChainAttrs>();
  else {
    at.stages = 1;
    at.stage[0] = first.as<Conv2dAttrs>();
    at.residual = first.in.size() == 4;
  }
  for (const OpDef* function : {&hard_swish_op, &silu_op, &leaky_relu_op}) if (&next.op == function) return absorb_function(f, at);
  if (&next.op != &conv2d_op || next.in.size() < 3 || at.residual || at.stages == most || !next.value(1) || !next.value(2)) return {};
  int stages = int(at.stages);
  at.stage[size_t(stages)] = next.as<Conv2dAttrs>();
  at.stages = stages + 1;
  at.residual = next.in.size() == 4;
  Chain c = chain_of(at, [&](int i) -> const Shape& { return i < int(first.in.size()) ? first.in[size_t(i)].shape : next.in[1].shape; });
  const ConvGeometry &before = c.g[stages - 1], &after = c.g[stages];
  bool narrow = after.r == 1 && after.s == 1 && after.stride_h == 1 && after.stride_w == 1 && after.groups == 1 && !after.is_padded();
  // Winograd and tiles of few pixels do better alone, and what stays in the cache anyway needs no bands.
  bool wide = before.groups == 1 && (before.r * before.s == 1 || before.stride_h * before.stride_w > 1) && before.q >= 12;
  if (!(after.is_depthwise() ? wide : narrow && before.is_depthwise())) return {};
  if (conv::floats(before.o * before.p * before.q) < cache_bytes) return {};
  Absorbed a{std::make_shared<ConvChainAttrs>(at), {1, 2}, {}, &conv_chain_op};
  if (at.residual) a.inputs_of_next.push_back(3);
  return a;
}

static consteval OpDef conv_chain_row(std::string_view name) {
  return {.name = name, .doc = "one to three convolutions and functions in turn, by bands of rows", .min_inputs = 3, .max_inputs = 8,
    .infer = chain_infer, .eval = chain_eval, .work = chain_work, .cost = chain_cost,
    .absorb = [](const Fusion& f) { return f.chains ? absorb_stage(f) : std::nullopt; }, .prepare = chain_prepare, .samples = chain_samples,
    .traits = {.dense = 0b1010100, .channels_last = 0b10101011, .out = Layout::channels_last, .weights = 0b101010, .channel_axis = 0}, .attrs = codec<ConvChainAttrs>};
}
constinit const OpDef conv_chain_op = conv_chain_row("conv_chain");
constinit const OpDef conv_chain_bf16_op = conv_chain_row("conv_chain_bf16");

}  // namespace miniten
