#include "kernels/depthwise.h"
#include "ops/conv_parts.h"
#include "ops/loops.h"
#include "ops/sparse.h"

namespace miniten::conv {

// Each piece reads all weights once more and is waited for: some microseconds of work make that cheap.
int pieces_of(const ConvGeometry& g, int64_t units, int speed) { return even_pieces(std::min(g.macs() / (g.is_depthwise() ? 131072 : 1310720 * speed), units)); }

// In double precision, the formula as it stands: `which` is the operand computed (0 x, 1 weight, 2 y).
void conv_f64(const Context& c, const ConvGeometry& g, const View& x, const View& w, const View& y, int which) {
  if (c.piece) return;
  const auto& at = c.as<Conv2dAttrs>();
  double* result = c.out[0].as<double>();
  for (int64_t i = 0, n = c.out[0].shape().count(); i < n; ++i) result[i] = 0;
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t p = 0; p < g.p; ++p)
      for (int64_t q = 0; q < g.q; ++q)
        for (int64_t o = 0; o < g.o; ++o) {
          double& fy = y.as<double>()[n * y.strides[0] + o * y.strides[1] + p * y.strides[2] + q * y.strides[3]];
          for (int64_t r = 0; r < g.r; ++r)
            for (int64_t s = 0; s < g.s; ++s) {
              int64_t h = p * g.stride_h + r * g.dilation_h - g.top, v = q * g.stride_w + s * g.dilation_w - g.left;
              if (h < 0 || h >= g.h || v < 0 || v >= g.w) continue;
              for (int64_t k = 0; k < g.c_group(); ++k) {
                int64_t channel = o / g.o_group() * g.c_group() + k;
                double& fx = x.as<double>()[n * x.strides[0] + channel * x.strides[1] + h * x.strides[2] + v * x.strides[3]];
                double& fw = w.as<double>()[o * w.strides[0] + k * w.strides[1] + r * w.strides[2] + s * w.strides[3]];
                if (which == 2) fy += fx * fw;
                else if (which == 0) fx += fy * fw;
                else fw += fx * fy;
              }
            }
          if (which != 2) continue;
          if (c.in.size() >= 3) fy += c.in[2].as<double>()[o];
          if (c.in.size() == 4) {
            const View& r = c.in[3];
            fy += r.as<double>()[n * r.strides[0] + o * r.strides[1] + p * r.strides[2] + q * r.strides[3]];
          }
          fy = fy < double(at.lo) ? double(at.lo) : fy > double(at.hi) ? double(at.hi) : fy;
        }
}

// Weights in the form the kernels take: depthwise [r * s][c]; else one packed matrix (r, s, c / groups) x o a group.
uint64_t packed_floats(const ConvGeometry& g) {
  if (g.is_depthwise()) return uint64_t(g.r * g.s * g.c);
  return uint64_t(g.groups) * uint64_t(kernels::gemm_packed_floats(g.taps(), g.o_group()));
}
void pack_weights(const ConvGeometry& g, const float* w, float* to, int piece, int pieces) {
  auto range = [&](int64_t n) { return std::pair<int64_t, int64_t>{n * piece / pieces, n * (piece + 1) / pieces}; };
  if (g.is_depthwise()) {
    auto [begin, end] = range(g.c);
    for (int64_t i = 0; i < g.r * g.s; ++i)
      for (int64_t o = begin; o < end; ++o) to[i * g.c + o] = w[o * g.r * g.s + i];
    return;
  }
  int64_t panels = (g.o_group() + 15) / 16, each = kernels::gemm_packed_floats(g.taps(), g.o_group());
  auto [begin, end] = range(g.groups * panels);
  for (int64_t i = begin; i < end; ++i) {
    int64_t group = i / panels, first = i % panels * 16, n = std::min<int64_t>(16, g.o_group() - first);
    kernels::gemm_pack(w + (group * g.o_group() + first) * g.taps(), g.taps(), n, 1, g.taps(), to + group * each + first * g.taps());
  }
}

// Output rows made at a time: their input, copied with its padding, stays in the first cache.
static int64_t band_rows(const ConvGeometry& g) {
  int64_t row = g.stride_h * g.padded_w() * g.c;
  return std::clamp<int64_t>(6144 / std::max<int64_t>(row, 1), std::min<int64_t>(4, g.p), g.p);
}
uint64_t band_bytes(const ConvGeometry& g) {
  return g.is_padded() && !pads_itself(g) ? aligned(floats(band_reach(g, band_rows(g)) * g.padded_w() * g.c)) : 0;
}

// The walk of `rows` output rows from output row p on.
static kernels::DepthwiseShape depthwise_shape(const ConvGeometry& g, int64_t p, int64_t rows) {
  int64_t first = p * g.stride_h;
  return {.channels = g.c, .out_h = rows, .out_w = g.q, .kernel_h = g.r, .kernel_w = g.s, .stride_h = g.stride_h, .stride_w = g.stride_w,
          .dilation_h = g.dilation_h, .dilation_w = g.dilation_w, .x_row = g.w * g.c, .x_col = g.c,
          .row_begin = g.top - first, .row_end = g.top + g.h - first, .col_begin = g.left, .col_end = g.left + g.w};
}
bool pads_itself(const ConvGeometry& g) { return g.is_depthwise() && kernels::depthwise_pads(depthwise_shape(g, 0, g.p)); }

// The walk of `rows` output rows over an input of this row stride.
static kernels::GemmShape product_shape(const ConvGeometry& g, int64_t rows, int64_t n, const Target& y) {
  int64_t row = g.padded_w() * g.c;
  bool runs = g.groups == 1 && g.dilation_w == 1;              // a kernel row is one contiguous segment
  return {.rows = rows, .cols = g.q, .n = n, .a_row = g.stride_h * row, .a_col = g.stride_w * g.c, .c_row = y.row, .c_col = y.col, .r_row = y.row, .r_col = y.col,
          .outer = runs ? 1 : g.r, .outer_stride = g.dilation_h * row, .inner = runs ? g.r : g.s, .inner_stride = runs ? g.dilation_h * row : g.dilation_w * g.c,
          .segment = runs ? g.s * g.c : g.c_group()};
}

void convolve(const ConvGeometry& g, const float* x, const float* packed, const kernels::Epilogue& finish, const Target& y, int64_t begin, int64_t end,
              float* band, int64_t columns, SparsePanels sparse) {
  const bool itself = pads_itself(g), padded = g.is_padded() && !itself;
  bool pointwise = !padded && g.r == 1 && g.s == 1 && g.stride_h == 1 && g.stride_w == 1 && g.groups == 1 && y.col == g.o && y.row == g.q * y.col && y.image == g.p * y.row;
  const int64_t row = itself ? g.w * g.c : g.padded_w() * g.c, image = (itself ? g.h : g.padded_h()) * row, corner = itself ? g.top * row + g.left * g.c : 0;
  for (int64_t i = begin; i < end;) {
    int64_t n = i / g.p, p = i % g.p, rows = pointwise ? end - i : std::min({end - i, g.p - p, padded ? band_rows(g) : g.p});
    const float* from = x + n * image + p * g.stride_h * row - corner;
    if (padded) {
      int64_t first = n * g.padded_h() + p * g.stride_h;
      pad_rows(x, g, 0.0f, first, first + band_reach(g, rows), band);
      from = band;
    }
    float* to = y.data + n * y.image + p * y.row;
    if (g.is_depthwise()) {
      kernels::DepthwiseShape shape = depthwise_shape(g, p, rows);
      shape.x_row = row;
      if (!itself) shape.row_begin = shape.col_begin = 0, shape.row_end = shape.col_end = shape.kUnbounded;
      shape.y_row = y.row;
      shape.y_col = y.col;
      kernels::depthwise(shape, from, packed, finish.bias, finish.lo, finish.hi, to);
    } else {
      int64_t each = kernels::gemm_packed_floats(g.taps(), g.o_group());
      kernels::GemmShape shape = product_shape(g, rows, columns ? columns : g.o_group(), y);
      if (pointwise) { shape.cols *= rows; shape.rows = 1; }
      for (int64_t k = 0; k < g.groups; ++k) {
        kernels::Epilogue e{.bias = finish.bias ? finish.bias + k * g.o_group() : nullptr,
                            .residual = finish.residual ? finish.residual + (to - y.data) + k * g.o_group() : nullptr, .lo = finish.lo, .hi = finish.hi};
        if (sparse.kind == 1) kernels::sparse_gemm(shape, from, sparse.packed, sparse.first / 16, to, e);
        else if (sparse.kind == 2) kernels::csr_gemm(shape, from, sparse.packed, sparse.first, to, e);
        else if (sparse.kind) kernels::gemm_bf16(shape, from, sparse.packed + sparse.first * kernels::bf16_column_bytes(g.taps()), to, e, sparse.kind == bf16_weights);
        else kernels::gemm(shape, from + k * g.c_group(), packed + k * each, to + k * g.o_group(), e);
      }
    }
    i += rows;
  }
}

// ---- the choice of an algorithm ----
static kernels::WinogradShape winograd_shape(const ConvGeometry& g, int64_t tile) {
  return {.tile = tile, .channels = g.c, .n = g.o, .images = g.n, .height = g.h, .width = g.w, .out_h = g.p, .out_w = g.q, .top = g.top, .left = g.left};
}
// In multiplications that take as long: products, transforms and the traffic of weights beyond the first cache.
bool may_winograd(const ConvGeometry& g) {
  return g.groups == 1 && g.r == 3 && g.s == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 && g.dilation_w == 1 && g.c >= 8 && g.o >= 8;
}
static int64_t winograd_tile(const ConvGeometry& g, bool exact, double& share) {
  if (exact || !may_winograd(g)) return 0;
  auto traffic = [&](int64_t products) { return products * g.c * g.o * (products * g.c * g.o > 262144 ? 13 : 4); };
  int64_t best = 0, direct = g.macs() + traffic(9), least = direct;
  for (int64_t tile : {2, 4}) {
    int64_t tiles = kernels::winograd_tiles(winograd_shape(g, tile)), products = (tile + 2) * (tile + 2);
    int64_t cost = tiles * products * (g.c * g.o * 11 / 10 + (g.c + g.o) * 11) + traffic(products);
    if (cost < least) { least = cost; best = tile; }
  }
  share = double(least) / double(std::max<int64_t>(direct, 1));
  return best;
}
// What the rows of bfloat16 do is direct.
static Choice choose(const ConvGeometry& g, const OpDef& op, bool exact) {
  BF16Kind kind = bf16_kind(op);
  return choose(g, exact || kind, kind == bf16_both ? kernels::bf16_speed() : 1, fixed_form(op));
}
Choice choose(const ConvGeometry& g, bool exact, int speed, FixedForm fixed) {
  Choice c;
  c.winograd = winograd_shape(g, fixed.split == FixedForm::by_model ? winograd_tile(g, exact, c.share) : fixed.winograd);
  int64_t pairs = g.o / 32;                                    // of panels
  if (c) {
    c.packed = floats(kernels::winograd_packed_floats(c.winograd));
    c.scratch = floats(kernels::winograd_scratch_floats(c.winograd));
    c.pieces = pieces_of(g, kernels::winograd_tiles(c.winograd) / 28);
    if (int columns = pieces_of(g, std::min(pairs, g.macs() / 4194304)); columns > c.pieces) {      // two phases ask for more work
      c.pieces = columns;
      c.inputs = aligned(floats(kernels::winograd_input_floats(c.winograd)));
    }
  } else {
    c.packed = packed_floats(g) * sizeof(float);
    c.scratch = band_bytes(g);
    c.pieces = pieces_of(g, g.n * g.p, speed);
    bool few = g.n * g.p * g.q < 28 * int64_t(pieces_of(g, pairs, speed));
    if (g.groups == 1 && (fixed.split == FixedForm::by_model ? few : fixed.split == FixedForm::columns) && pairs > 1) {
      c.by_columns = true;
      c.pieces = pieces_of(g, pairs, speed);
    }
  }
  return c;
}
Work work_of(const Choice& choice, uint64_t shared, int phases) {
  return {.pieces = choice.pieces, .scratch = choice.scratch, .shared = aligned(shared) + choice.inputs, .phases = choice.inputs ? 2 : phases};
}
static void pack_for(const Choice& choice, const ConvGeometry& g, const float* w, float* to, int piece, int pieces) {
  if (!choice) return pack_weights(g, w, to, piece, pieces);
  int64_t panels = (g.o + 15) / 16;
  kernels::winograd_pack(choice.winograd, w, 9 * g.c, g.c, 1, panels * piece / pieces * 16, std::min(g.o, panels * (piece + 1) / pieces * 16), to);
}

void transform(const Choice& choice, const Context& c, const float* x, float* inputs) {
  auto [begin, end] = c.slice(kernels::winograd_tiles(choice.winograd));
  kernels::winograd_transform(choice.winograd, x, begin, end, inputs, reinterpret_cast<float*>(c.scratch));
}
void run(const Choice& choice, const ConvGeometry& g, const Context& c, const float* x, const float* packed, const float* inputs, kernels::Epilogue finish, SparsePanels sparse) {
  auto* scratch = reinterpret_cast<float*>(c.scratch);
  float* y = c.out[0].f32();
  if (choice && !sparse.kind) {
    if (choice.inputs) {
      auto [first, last] = c.slice(g.o, 32);
      return kernels::winograd_columns(choice.winograd, inputs, packed, finish, y, first, last, scratch);
    }
    auto [begin, end] = c.slice(kernels::winograd_tiles(choice.winograd));
    return kernels::winograd(choice.winograd, x, packed, finish, y, begin, end, scratch);
  }
  if (choice.by_columns) {
    auto [first, last] = c.slice(g.o, 32);
    if (finish.bias) finish.bias += first;
    if (finish.residual) finish.residual += first;
    if (last <= first) return;
    sparse.first = first;
    return convolve(g, x, packed + first * g.taps(), finish, dense(g, y + first), 0, g.n * g.p, scratch, last - first, sparse);
  }
  auto [begin, end] = c.slice(g.n * g.p);
  convolve(g, x, packed, finish, dense(g, y), begin, end, scratch, 0, sparse);
}

uint64_t pack_sparse(const ConvGeometry& g, double dense_share, const float* w, PreparedForm& form, std::byte* to) {
  if (g.groups != 1) return 0;
  bool plain = g.r == 1 && g.s == 1 && !g.is_padded();
  SparseQuestion q{reinterpret_cast<const std::byte*>(w), g.o * g.taps(), false, (g.o + 15) / 16, g.taps(), g.n * g.p * g.q, dense_share, plain ? g.o : 0};
  if (!may_be_sparse(q)) return 0;
  std::vector<float> panels(addressable(packed_floats(g)));
  pack_weights(g, w, panels.data(), 0, 1);
  return miniten::pack_sparse(q, product_shape(g, 1, g.o, dense(g, nullptr)), {w, g.taps(), g.o, 1, g.taps()}, reinterpret_cast<const std::byte*>(panels.data()), form, to);
}

}  // namespace miniten::conv

namespace miniten {

using namespace conv;

// ---- y from x and weight ----
Work conv2d_work(const Call& c) {
  if (c.in[0].dtype == DType::f64) return {};
  ConvGeometry g = conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, c.as<Conv2dAttrs>());
  Choice choice = choose(g, c.op, c.exact);
  const int64_t units = choice ? kernels::winograd_tiles(choice.winograd) / 28 : choice.by_columns ? g.o / 32 : g.n * g.p;
  if (bf16_kind(c.op) == bf16_both) choice.pieces = std::min(choice.pieces, bf16_pieces(c));
  if (!choice.inputs) choice.pieces = pieces_for_threads(c, choice.pieces, std::min(units, g.macs() / (g.is_depthwise() ? 16384 : 32768)));
  if (!c.prepared) return work_of(choice, choice.packed, 2);
  choice.scratch = std::max(choice.scratch, band_bytes(g));    // sparse weights are multiplied directly
  return work_of(choice, 0, 1);
}
// In front of packed weights, what eval would reckon again at each run: of small convolutions that is a good part.
struct alignas(64) PreparedConv {
  PreparedForm form;
  ConvGeometry g;
  Choice choice;
};
uint64_t conv2d_prepare(const Call& c, std::span<const View> in, std::byte* to) {
  if (!in[1].data || c.in[0].dtype == DType::f64 || !in[1].is_channels_last()) return 0;
  ConvGeometry g = conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, c.as<Conv2dAttrs>());
  PreparedConv ready{{.sparse = bf16_kind(c.op)}, g, choose(g, c.op, c.exact)};
  std::byte* weights = to ? to + sizeof ready : nullptr;
  if (ready.form.sparse) {
    if (to) kernels::bf16_pack(in[1].f32(), g.taps(), g.o, 1, g.taps(), (new (to) PreparedConv(ready), weights));
    return sizeof ready + uint64_t(kernels::bf16_packed_bytes(g.taps(), g.o));
  }
  bool dense = fixed_form(c.op).split != FixedForm::by_model;
  uint64_t sparse = dense ? 0 : conv::pack_sparse(g, ready.choice.share, in[1].f32(), ready.form, weights);
  if (to) new (to) PreparedConv(ready);
  if (to && !sparse) pack_for(ready.choice, g, in[1].f32(), reinterpret_cast<float*>(weights), 0, 1);
  return sizeof ready + (sparse ? sparse : ready.choice.packed);
}
void conv2d_eval(const Context& c) {
  const auto& at = c.as<Conv2dAttrs>();
  const kernels::Epilogue finish{.bias = c.in.size() > 2 ? c.in[2].f32() : nullptr, .residual = c.in.size() > 3 ? c.in[3].f32() : nullptr, .lo = at.lo, .hi = at.hi};
  auto* inputs = reinterpret_cast<float*>(c.shared);
  if (c.prepared) {
    const auto& ready = *reinterpret_cast<const PreparedConv*>(c.prepared);
    const std::byte* weights = c.prepared + sizeof ready;
    SparsePanels sparse{weights, form_of(c.prepared).sparse};
    if (c.phase == 0 && ready.choice.inputs) return sparse.kind ? void() : transform(ready.choice, c, c.in[0].f32(), inputs);
    return run(ready.choice, ready.g, c, c.in[0].f32(), reinterpret_cast<const float*>(weights), inputs, finish, sparse);
  }
  ConvGeometry g = conv_geometry(c.in[0].shape(), c.in[1].shape(), c.out[0].shape(), at);
  if (c.out[0].spec.dtype == DType::f64) return conv_f64(c, g, c.in[0], c.in[1], c.out[0], 2);
  Choice choice = choose(g, c.op, c.exact);
  auto* packing = std::exchange(inputs, inputs + aligned(choice.packed) / sizeof(float));
  if (c.phase == 0) {
    pack_for(choice, g, c.in[1].f32(), packing, c.piece, c.pieces);
    if (choice.inputs) transform(choice, c, c.in[0].f32(), inputs);
    return;
  }
  run(choice, g, c, c.in[0].f32(), packing, inputs, finish);
}

}  // namespace miniten
