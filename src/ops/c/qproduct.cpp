#include <cmath>
#include "miniten/ops/attrs.h"
#include "miniten/ops/ops.h"
#include "ops/c/qkinds.h"
#include "ops/c_rules.h"
#include "ops/quantized/checks.h"

namespace miniten::c {

namespace {

// n rows of k weights in the order of row_ and two_rows_.
std::vector<int16_t> in_pairs(const Kinds& t, const int16_t* w, int64_t n, int64_t k) {
  std::vector<int16_t> to;
  for (int64_t o = 0; o < n; o += 2) {
    const int16_t *a = w + o * k, *b = o + 1 < n ? a + k : nullptr;
    auto second = [&](int64_t i) { return b ? b[i] : int16_t(0); };
    int64_t i = 0;
    auto at = [&](int64_t j) { return i + (t.crossed() && j % 3 ? 3 - j : j); };
    for (; i + 4 <= k; i += 4) {
      for (int64_t j = 0; j < 4; ++j) to.push_back(a[at(j)]);
      for (int64_t j = 0; j < 4; ++j) to.push_back(second(at(j)));
    }
    for (; i < k; ++i) { to.push_back(a[i]); to.push_back(second(i)); }
    if (t.vectors() && k % 2) to.insert(to.end(), 2, 0);
  }
  return to;
}
// bias - x_zero * sum of each row's weights. Sums with it must fit int32 in any order; those of int16 may take more.
Tensor folded_bias(const CCall& c, Kinds& t, const std::vector<int16_t>& w, const Tensor* bias, int64_t n, int64_t k, int64_t x_zero) {
  std::vector<int64_t> b(size_t(n), 0);
  if (bias) b = miniten::cast(*bias, DType::i64).to_vector<int64_t>();
  t.fits = t.words();
  for (int64_t o = 0; o < n; ++o) {
    int64_t& sum = b[size_t(o)];
    int64_t reach = 0;
    for (int64_t i = 0; i < k; ++i) { sum -= x_zero * w[size_t(o * k + i)]; reach += (t.words() ? 32768 : 255) * std::abs(int64_t(w[size_t(o * k + i)])); }
    if (std::abs(sum) + reach <= INT32_MAX) continue;
    if (!t.words()) c.refuse("sums that fit int32", "output " + text(o) + " reaches " + text(std::abs(sum) + reach));
    t.fits = false;
  }
  b.push_back(0);                                         // the pair of an odd last output
  return miniten::cast(Tensor::of<int64_t>({n + 1}, b), t.wide() ? DType::i64 : DType::i32);
}
std::string store(CWriter& w, const Kinds& t, const std::vector<int16_t>& values) { return w.constant(miniten::cast(Tensor::of<int16_t>({int64_t(values.size())}, values), t.w), "weight"); }
// n rows of k, packed where that is worth it.
std::string store_rows(CWriter& w, Kinds& t, const std::vector<int16_t>& weight, int64_t n, int64_t k) {
  std::vector<float> values(weight.begin(), weight.end());
  t.form = choose_form(values, n, k, t.w);
  return t.form.packed() ? store_packed(w, t.form, values, n, k, t.w) : store(w, t, in_pairs(t, weight.data(), n, k));
}
Kinds kinds_of(const CCall& c) { return {c.in[0].spec.dtype, weight_of(c, 1).dtype(), c.out[0].spec.dtype, {}}; }
// at: of the op, with y_zero, lo and hi; multiplier: the stored ones.
template <class A> std::string record_of(CWriter& w, const CCall& c, Kinds& t, const A& at, const std::vector<int16_t>& weight, const Tensor* bias, const std::string& multiplier, int64_t n, int64_t k, int64_t x_zero) {
  std::string b = w.constant(folded_bias(c, t, weight, bias, n, k, x_zero), "bias");
  define_scaling(w, t);
  return w.record(t.in("struct @F"), "scaling", join({{"bias", b}, {"multiplier", multiplier}, {"zero", at.y_zero}, {"lo", at.lo}, {"hi", at.hi}}));
}
template <class A> std::string scaling_record(CWriter& w, const CCall& c, Kinds& t, const A& at, const std::vector<int16_t>& weight, int64_t n, int64_t k) {
  std::vector<float> scale = weight_of(c, 2).to_vector<float>(), multiplier(size_t(n + 1), 0.0f);
  multipliers_of(at.x_scale, Tensor::of<float>({n}, scale).view(), at.y_scale, multiplier.data());
  return record_of(w, c, t, at, weight, c.in.size() == 4 ? &weight_of(c, 3) : nullptr, w.constant(multiplier_bits(multiplier), "multiplier"), n, k, at.x_zero);
}
// Of ops in fixed point: inputs 2 and 3 are multipliers and shifts, 4 the bias.
template <class A> std::string fixed_record(CWriter& w, const CCall& c, Kinds& t, const A& at, const std::vector<int16_t>& weight, int64_t n, int64_t k, int64_t x_zero) {
  return record_of(w, c, t, at, weight, c.in.size() == 5 ? &weight_of(c, 4) : nullptr, store_fixed_point(w, weight_of(c, 2), weight_of(c, 3), n), n, k, x_zero);
}
// Less their zero point; t.w becomes the type that holds them.
Tensor centred_weights(const CCall& c, Kinds& t, int64_t zero) {
  std::vector<int16_t> w = miniten::cast(weight_of(c, 1), DType::i16).to_vector<int16_t>();
  for (int16_t& v : w) {
    v = int16_t(v - zero);
    if (v < -128 || v > 127) t.w = DType::i16;
  }
  return Tensor::of<int16_t>(c.in[1].spec.shape, w);
}
void write_convolution(CWriter& w, const CCall& c, Kinds& t, const ConvGeometry& g, const std::vector<int16_t>& weight, const std::string& f, int64_t x_zero) {
  if (is_product(g)) {
    std::string stored = store_rows(w, t, weight, g.o, g.c);
    return write_dense(w, t, f, c.in[0], stored, c.out[0], g.n * g.p * g.q, g.c, g.o);
  }
  std::string shape = conv_record(w, g, ".x_zero = " + text(x_zero));
  if (g.is_depthwise()) return write_depthwise(w, t, f, c.in[0], store(w, t, taps_first(weight, g.c, g.r * g.s)), c.out[0], shape);
  if (g.groups == 1) {
    std::string stored = store_rows(w, t, weight, g.o, g.taps());
    return write_conv(w, t, f, c.in[0], stored, c.out[0], shape);
  }
  std::vector<int16_t> packed;
  for (int64_t k = 0; k < g.groups; ++k) {
    auto part = in_pairs(t, weight.data() + k * g.o_group() * g.taps(), g.o_group(), g.taps());
    packed.insert(packed.end(), part.begin(), part.end());
  }
  write_conv(w, t, f, c.in[0], store(w, t, packed), c.out[0], shape);
}
template <class A> uint64_t convolution_scratch(const Call& c) {
  ConvGeometry g = conv_geometry(c.in[0].shape, c.in[1].shape, c.out[0].shape, c.as<A>());
  return is_product(g) ? 0 : bytes_of(c.in[0].dtype, g.r * g.s * (g.is_depthwise() ? g.c : 2 * g.c_group()));
}

}  // namespace

const CRules qconv2d{
    [](CWriter& w, const CCall& c) {
      const auto& at = c.call.as<QConv2dAttrs>();
      ConvGeometry g = conv_geometry(c.call.in[0].shape, c.call.in[1].shape, c.call.out[0].shape, at);
      Kinds t = kinds_of(c);
      std::vector<int16_t> weight = channels_last_values<int16_t>(miniten::cast(weight_of(c, 1), DType::i16));
      write_convolution(w, c, t, g, weight, scaling_record(w, c, t, at, weight, g.o, g.taps()), at.x_zero);
    },
    convolution_scratch<QConv2dAttrs>};
const CRules exact_conv2d{
    [](CWriter& w, const CCall& c) {
      const auto& at = c.call.as<ExactConv2dAttrs>();
      ConvGeometry g = conv_geometry(c.call.in[0].shape, c.call.in[1].shape, c.call.out[0].shape, at);
      Kinds t{c.in[0].spec.dtype, DType::i8, at.dtype, {}, Kinds::by_fixed_point};
      std::vector<int16_t> weight = channels_last_values<int16_t>(centred_weights(c, t, at.w_zero));
      write_convolution(w, c, t, g, weight, fixed_record(w, c, t, at, weight, g.o, g.taps(), at.x_zero), at.x_zero);
    },
    convolution_scratch<ExactConv2dAttrs>};

const CRules exact_conv2d_input{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<ExactConv2dAttrs>();
  ConvGeometry g = conv_geometry(c.out[0].spec.shape, c.in[1].spec.shape, c.in[0].spec.shape, at);
  Kinds t{c.in[0].spec.dtype, DType::i8, at.dtype, {}, Kinds::by_fixed_point};
  std::vector<int16_t> given = centred_weights(c, t, at.w_zero).to_vector<int16_t>(), weight;       // (o, c, r, s) to (c, r, s, o)
  for (int64_t i = 0; i < g.c * g.r * g.s; ++i) for (int64_t o = 0; o < g.o; ++o) weight.push_back(given[size_t(o * g.c * g.r * g.s + i)]);
  std::string f = fixed_record(w, c, t, at, weight, g.c, g.r * g.s * g.o, 0), shape = conv_record(w, g, ".x_zero = " + text(at.x_zero)), stored = store(w, t, weight), name = "conv_transposed_" + t.suffix();
  w.define(name, replaced(t.in(R"(/* Each value of y (height x width x channels) gathers what of x (out_height x out_width x out_channels) reaches it. Weights
   [channel][kernel row][kernel column][channel of x]. */
static void @N(const struct conv *c, const @T *x, const @Q *w, const struct @F *f, @Y *y) {
  const int32_t n = c->out_channels, taps = c->kernel_height * c->kernel_width;
  for (int32_t b = 0; b < c->batch; ++b, x += c->out_height * c->out_width * n)
    for (int32_t i = 0; i < c->height * c->width; ++i) {
      const @Q *q = w;
      for (int32_t k = 0; k < c->channels; ++k) {
        @A sum = f->bias[k];
        for (int32_t t = 0; t < taps; ++t, q += n) {
          const int32_t row = i / c->width + c->top - t / c->kernel_width, column = i % c->width + c->left - t % c->kernel_width;
          if (row < 0 || column < 0 || row % c->stride_y || column % c->stride_x || row / c->stride_y >= c->out_height || column / c->stride_x >= c->out_width) continue;
          const @T *from = x + (row / c->stride_y * c->out_width + column / c->stride_x) * n;
          for (int32_t o = 0; o < n; ++o) sum += (from[o] - c->x_zero) * q[o];
        }
        *y++ = (@Y)@R(sum, @M(f->multiplier,k), f->zero, f->lo, f->hi);
      }
    }
}
)"), "@N", name));
  w.line(call(name, {shape, w.pointer(c.in[0]), stored, f, w.pointer(c.out[0])}));
}};

const CRules qmatmul{[](CWriter& w, const CCall& c) {
  const Tensor& b = weight_of(c, 1);
  Kinds t = kinds_of(c);
  int64_t k = b.dim(0), n = b.dim(1);
  std::vector<int16_t> weight = taps_first(miniten::cast(b, DType::i16).to_vector<int16_t>(), k, n);
  std::string f = scaling_record(w, c, t, c.call.as<QMatmulAttrs>(), weight, n, k);
  std::string stored = store_rows(w, t, weight, n, k);
  write_dense(w, t, f, c.in[0], stored, c.out[0], c.out[0].spec.shape.count() / std::max<int64_t>(n, 1), k, n);
}};

// a (.., rows, inner) times b (.., inner, columns), both computed. product_ takes strides, so b may lie either way.
namespace {
struct Zeros { int64_t a, b, y, lo, hi; };
void write_pair(CWriter& w, const CCall& c, const Kinds& t, const Zeros& at, int64_t columns, int64_t b_row, int64_t b_column, const std::string& multiplier) {
  const COperand& a = c.in[0];
  const int64_t k = a.spec.shape[-1];
  if (!t.wide() && k > INT32_MAX / (255 * 255)) c.refuse("sums that fit int32", text(k) + " products");
  define_requantize_of(w, t);
  const bool floats = t.scaling == Kinds::by_float;
  std::string type = floats ? "struct pair" : "struct fixed_pair", name = "product_" + t.suffix();
  w.define(type, join({type, R"( {
  int32_t rows, inner, columns, a_row, a_column, b_row, b_column; /* sizes and strides */
  int32_t a_zero, b_zero, zero, lo, hi;
)", floats ? "  uint32_t multiplier; /* bits of float32: scales of the inputs / of the output */\n" : "  const int32_t *multiplier; /* and a shift: scales of the inputs / of the output */\n", "};\n"}));
  w.define(name, replaced(replaced(t.in(R"(/* y (rows, columns) = a (rows, inner) times b (inner, columns), both computed. */
static void @N(const @KIND *p, const @T *a, const @Q *b, @Y *y) {
  for (int32_t i = 0; i < p->rows; ++i, a += p->a_row)
    for (int32_t j = 0; j < p->columns; ++j) {
      const @T *u = a;
      const @Q *v = b + j * p->b_column;
      @A sum = 0;
      for (int32_t k = 0; k < p->inner; ++k, u += p->a_column, v += p->b_row) sum += (*u - p->a_zero) * (*v - p->b_zero);
      *y++ = (@Y)@R(sum, p->multiplier, p->zero, p->lo, p->hi);
    }
}
)"), "@N", name), "@KIND", type));
  std::string record = w.record(type, "product", join({{"rows", a.spec.shape[-2]}, {"inner", k}, {"columns", columns}, {"a_row", a.strides[-2]}, {"a_column", a.strides[-1]},
      {"b_row", b_row}, {"b_column", b_column}, "\n  ", {"a_zero", at.a}, {"b_zero", at.b}, {"zero", at.y}, {"lo", at.lo}, {"hi", at.hi}, {"multiplier", multiplier}}));
  write_batches(w, c, name + "(" + record + ", ", ");");
}
}  // namespace
const CRules qmatmul_pair{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<QAddAttrs>();
  const COperand& b = c.in[1];
  Kinds t{c.in[0].spec.dtype, b.spec.dtype, c.out[0].spec.dtype, {}};
  float multiplier = std::min(at.a_scale * at.b_scale / at.y_scale, std::numeric_limits<float>::max());
  write_pair(w, c, t, {at.a_zero, at.b_zero, at.y_zero, at.lo, at.hi}, b.spec.shape[-1], b.strides[-2], b.strides[-1], multiplier_literal(multiplier));
}};

const CRules exact_matmul{[](CWriter& w, const CCall& c) {
  const auto& at = c.call.as<ExactMatmulAttrs>();
  const COperand& b = c.in[1];
  const int64_t n = b.spec.shape[-2], k = b.spec.shape[-1];
  Kinds t{c.in[0].spec.dtype, DType::i8, at.dtype, {}, at.once ? Kinds::by_fixed_point_once : Kinds::by_fixed_point};
  if (c.call.value(1) && b.spec.shape.rank == 2) {
    std::vector<int16_t> weight = centred_weights(c, t, at.b_zero).to_vector<int16_t>();
    std::string f = fixed_record(w, c, t, at, weight, n, k, at.a_zero), stored = store_rows(w, t, weight, n, k);
    return write_dense(w, t, f, c.in[0], stored, c.out[0], c.out[0].spec.shape.count() / std::max<int64_t>(n, 1), k, n);
  }
  if (c.in.size() == 5 || c.in[2].spec.shape.count() != 1) c.refuse("one scale and no bias for a product of two activations", "more", "load the model without exact");
  t.w = b.spec.dtype;
  write_pair(w, c, t, {at.a_zero, at.b_zero, at.y_zero, at.lo, at.hi}, n, b.strides[-1], b.strides[-2], store_fixed_point(w, weight_of(c, 2), weight_of(c, 3), 1));
}};

}  // namespace miniten::c
