// Every integer op of the registry, on its own samples and on every instruction set, against plain int64 and double: an op
// that is not in the table below fails.
#include <map>
#include "check.h"
#include "kernels/dispatch.h"
#include "ops/quantized/lowering.h"

namespace miniten {
namespace {

using Numbers = std::vector<double>;
struct Reference {
  const Sample& s;
  std::vector<Tensor> out;                           // as computed, for the shapes
  Numbers at(size_t i) const {
    if (s.in[i].dtype() != DType::i4) return cast(s.in[i], DType::f64).to_vector<double>();
    Tensor one = Tensor::full({}, 1), none = packed_int4(Tensor::zeros({}, DType::i8));
    return cast(dequantize(s.in[i], one, none), DType::f64).to_vector<double>();
  }
  const Shape& shape(size_t i) const { return s.in[i].shape(); }
  template <class A> const A& as() const { return *static_cast<const A*>(s.attrs.get()); }
};

double cut(double v, double lo, double hi) { return std::clamp(v, lo, hi); }
double requantised(double acc, float multiplier, int64_t zero, int64_t lo, int64_t hi) {
  return cut(std::nearbyint(double(float(acc) * multiplier)) + double(zero), double(lo), double(hi));
}
double ends(DType t, bool upper) {
  const double half = std::ldexp(1.0, bits_of(t) - 1);
  return is_signed(t) ? (upper ? half - 1 : -half) : (upper ? 2 * half - 1 : 0);
}

// f(y, x): where an index of y reads a broadcast operand.
int64_t spread(const Shape& y, const Shape& x, int64_t index) {
  int64_t at = 0, step = 1;
  for (int i = 1; i <= y.rank; ++i) {
    const int64_t k = index % y[-i];
    index /= y[-i];
    if (i > x.rank) continue;
    if (x[-i] != 1) at += k * step;
    step *= x[-i];
  }
  return at;
}
size_t along(const Shape& x, int64_t axis, size_t i) {
  if (axis < 0) return 0;
  int64_t inner = 1;
  for (int a = int(axis) + 1; a < x.rank; ++a) inner *= x[a];
  return size_t(int64_t(i) / inner % x[int(axis)]);
}

Numbers quantised(const Reference& r) {
  const auto& at = r.as<QuantizeAttrs>();
  Numbers x = r.at(0), scale = r.at(1), zero = r.at(2);
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t k = along(r.shape(0), at.axis, i);
    x[i] = cut(std::nearbyint(double(float(x[i]) / float(scale[k]))) + zero[k], ends(at.dtype, false), ends(at.dtype, true));
  }
  return x;
}
Numbers dequantised(const Reference& r) {
  Numbers q = r.at(0), scale = r.at(1), zero = r.at(2);
  for (size_t i = 0; i < q.size(); ++i) {
    const size_t k = along(r.shape(0), r.as<QuantizeAttrs>().axis, i);
    q[i] = float(q[i] - zero[k]) * float(scale[k]);
  }
  return q;
}
Numbers dynamically_quantised(const Reference& r) {
  const bool wide = r.out[0].dtype() == DType::i16;
  Numbers x = r.at(0);
  float lo = 0, hi = 0;
  for (double v : x) { lo = std::min(lo, float(v)); hi = std::max(hi, float(v)); }
  const float scale = float(r.out[1].item());
  const double zero = cast(r.out[2], DType::f64).item();
  EXPECT_NEAR(double(scale), double(wide ? std::max(-lo, hi) / 32767.0f : (hi - lo) / 255.0f), 1e-6 * double(scale));
  if (!wide) EXPECT_EQ(zero, cut(std::nearbyint(double(-lo / scale)), 0, 255));
  for (double& v : x) v = cut(std::nearbyint(double(float(v) / scale)) + zero, ends(r.out[0].dtype(), false), ends(r.out[0].dtype(), true));
  return x;
}

// As LiteRT rounds: each row in steps of its own range, halves away from 0.
Numbers rows_quantised(const Reference& r) {
  const bool asymmetric = !r.s.attrs || attrs_to_text(find_op("quantize_rows")->attrs, r.s.attrs.get()).find("asymmetric=false") == std::string::npos;
  Numbers x = r.at(0), scales = cast(r.out[1], DType::f64).to_vector<double>(), zeros = cast(r.out[2], DType::f64).to_vector<double>();
  const size_t inner = x.size() / scales.size();
  for (size_t row = 0; row < scales.size(); ++row) {
    auto first = x.begin() + int64_t(row * inner), last = first + int64_t(inner);
    const double lo = std::min(0.0, *std::min_element(first, last)), hi = std::max(0.0, *std::max_element(first, last));
    const double scale = asymmetric ? (hi - lo) / 255 : std::max(-lo, hi) / 127;
    EXPECT_NEAR(scales[row], scale, 1e-6 * scale);
    EXPECT_NEAR(zeros[row], asymmetric ? std::round(-lo / scale) : 128, 1e-9);
    for (; first != last; ++first) *first = cut(std::round(double(float(*first) * (1 / float(scale)))) + zeros[row], asymmetric ? 0 : 1, 255);
  }
  return x;
}

// Sums of (x - zero) * w: f(index of y, channel, sum). zero: one, or one for each image or row.
template <class F> void convolve(const Reference& r, size_t w_at, const Numbers& zero, const Dims& stride, const Dims& padding, const Dims& dilation, int64_t groups, F f) {
  const Numbers x = r.at(0), w = r.at(w_at);
  const Shape &in = r.shape(0), &k = r.shape(w_at), &y = r.out[0].shape();
  size_t at = 0;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t o = 0; o < y[1]; ++o)
      for (int64_t p = 0; p < y[2]; ++p)
        for (int64_t q = 0; q < y[3]; ++q, ++at) {
          double sum = 0;
          for (int64_t i = 0; i < k[1]; ++i)
            for (int64_t a = 0; a < k[2]; ++a)
              for (int64_t b = 0; b < k[3]; ++b) {
                const int64_t row = p * stride[0] - padding[0] + a * dilation[0], column = q * stride[1] - padding[1] + b * dilation[1], c = o / (y[1] / groups) * k[1] + i;
                if (row < 0 || column < 0 || row >= in[2] || column >= in[3]) continue;
                sum += (x[size_t(((n * in[1] + c) * in[2] + row) * in[3] + column)] - zero[zero.size() > 1 ? size_t(n) : 0]) * w[size_t(((o * k[1] + i) * k[2] + a) * k[3] + b)];
              }
          f(at, size_t(o), sum);
        }
}
template <class F> void multiply(const Reference& r, size_t w_at, const Numbers& zero, F f) {
  const Numbers x = r.at(0), w = r.at(w_at);
  const int64_t k = r.shape(0)[-1], n = r.shape(w_at)[1], rows = int64_t(x.size()) / std::max<int64_t>(k, 1);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t q = 0; q < k; ++q) sum += (x[size_t(i * k + q)] - zero[zero.size() > 1 ? size_t(i) : 0]) * w[size_t(q * n + j)];
      f(size_t(i * n + j), size_t(j), sum);
    }
}
template <class A, class Walk> Numbers product(const Reference& r, const A& at, Walk walk) {
  Numbers y(size_t(r.out[0].numel())), scale = r.at(2), bias = r.s.in.size() > 3 ? r.at(3) : Numbers();
  walk([&](size_t i, size_t c, double sum) {
    const float multiplier = at.x_scale * float(scale[c]);
    y[i] = requantised(sum + (bias.empty() ? 0 : bias[c]), multiplier / at.y_scale, at.y_zero, at.lo, at.hi);
  });
  return y;
}
template <class Walk> Numbers dynamic_product(const Reference& r, float lo, float hi, Walk walk) {
  Numbers y(size_t(r.out[0].numel())), scale = r.at(4), bias = r.s.in.size() > 5 ? r.at(5) : Numbers();
  const Numbers x_scale = r.at(1);                 // of each image or row
  walk([&](size_t i, size_t c, double sum) {
    const float v = float(sum) * (float(x_scale[i / (y.size() / x_scale.size())]) * float(scale[c]));
    y[i] = double(std::clamp(bias.empty() ? v : v + float(bias[c]), lo, hi));
  });
  return y;
}
Numbers qconv(const Reference& r) {
  const auto& at = r.as<QConv2dAttrs>();
  return product(r, at, [&](auto f) { convolve(r, 1, {double(at.x_zero)}, at.stride, at.padding, at.dilation, at.groups, f); });
}
Numbers qconv_dynamic(const Reference& r) {
  const auto& at = r.as<Conv2dAttrs>();
  return dynamic_product(r, at.lo, at.hi, [&](auto f) { convolve(r, 3, r.at(2), at.stride, at.padding, at.dilation, at.groups, f); });
}
Numbers qmatmul(const Reference& r) {
  const auto& at = r.as<QMatmulAttrs>();
  return product(r, at, [&](auto f) { multiply(r, 1, {double(at.x_zero)}, f); });
}
Numbers qmatmul_dynamic(const Reference& r) {
  const ClampAttrs none, &at = r.s.attrs ? r.as<ClampAttrs>() : none;
  return dynamic_product(r, at.lo, at.hi, [&](auto f) { multiply(r, 3, r.at(2), f); });
}
template <class F> Numbers pairs(const Reference& r, F f) {
  const Numbers a = r.at(0), b = r.at(1);
  Numbers y(size_t(r.out[0].numel()));
  const auto& at = r.as<QAddAttrs>();
  for (size_t i = 0; i < y.size(); ++i)
    y[i] = f(at, a[size_t(spread(r.out[0].shape(), r.shape(0), int64_t(i)))] - double(at.a_zero), b[size_t(spread(r.out[0].shape(), r.shape(1), int64_t(i)))] - double(at.b_zero));
  return y;
}
template <int Sign> Numbers sum(const Reference& r) {
  return pairs(r, [](const QAddAttrs& at, double a, double b) {
    const float left = float(a) * at.a_scale, right = float(b) * at.b_scale, both = Sign > 0 ? left + right : left - right;
    return requantised(1, both / at.y_scale, at.y_zero, at.lo, at.hi);
  });
}
Numbers qmul(const Reference& r) {
  return pairs(r, [](const QAddAttrs& at, double a, double b) { return requantised(a * b, at.a_scale * at.b_scale / at.y_scale, at.y_zero, at.lo, at.hi); });
}
Numbers qmatmul_pair(const Reference& r) {
  const auto& at = r.as<QAddAttrs>();
  const Numbers a = r.at(0), b = r.at(1);
  const Shape& y = r.out[0].shape();
  const int64_t m = y[-2], n = y[-1], k = r.shape(0)[-1];
  Numbers out(size_t(r.out[0].numel()));
  auto first = [&](const Shape& x, int64_t batch) {
    Shape outer = y, own = x;
    outer.rank -= 2;
    own.rank -= 2;
    return spread(outer, own, batch) * x[-2] * x[-1];
  };
  for (int64_t p = 0; p < y.count() / std::max<int64_t>(m * n, 1); ++p)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double total = 0;
        for (int64_t q = 0; q < k; ++q) total += (a[size_t(first(r.shape(0), p) + i * k + q)] - double(at.a_zero)) * (b[size_t(first(r.shape(1), p) + q * n + j)] - double(at.b_zero));
        out[size_t((p * m + i) * n + j)] = requantised(total, at.a_scale * at.b_scale / at.y_scale, at.y_zero, at.lo, at.hi);
      }
  return out;
}
Numbers qtable(const Reference& r) {
  Numbers x = r.at(0), table = r.at(1);
  const DType t = r.s.in[0].dtype();
  for (double& v : x) {
    const auto at = int64_t(v - ends(t, false));
    if (t != DType::i16) { v = table[size_t(at)]; continue; }
    const int64_t width = 65536 / int64_t(table.size() - 1), rest = at % width;
    v = table[size_t(at / width)] + std::floor(((table[size_t(at / width + 1)] - table[size_t(at / width)]) * double(rest) + double(width / 2)) / double(width));
  }
  return x;
}
Numbers qsoftmax(const Reference& r) {
  const auto& at = r.as<QSoftmaxAttrs>();
  Numbers x = r.at(0), table = r.at(1), y(x.size());
  const DType t = r.s.in[0].dtype();
  const auto n = size_t(r.shape(0)[-1]);
  for (size_t row = 0; row < x.size(); row += n) {
    const double greatest = *std::max_element(x.begin() + int64_t(row), x.begin() + int64_t(row + n));
    auto power = [&](double v) {
      const auto d = int64_t(greatest - v);
      return t == DType::i16 ? std::floor((table[size_t(d & 255)] * table[size_t(256 + (d >> 8))] + std::ldexp(1.0, 29)) / std::ldexp(1.0, 30)) : table[size_t(d)];
    };
    double total = 0;
    for (size_t i = 0; i < n; ++i) total += power(x[row + i]);
    const auto multiplier = float(1.0 / (total * double(at.y_scale)));
    for (size_t i = 0; i < n; ++i) y[row + i] = requantised(power(x[row + i]), multiplier, at.y_zero, int64_t(ends(t, false)), int64_t(ends(t, true)));
  }
  return y;
}
Numbers qavg_pool(const Reference& r) {
  const auto& at = r.as<QAvgPool2dAttrs>();
  const Numbers x = r.at(0);
  const Shape &in = r.shape(0), &out = r.out[0].shape();
  Numbers y(size_t(r.out[0].numel()));
  size_t i = 0;
  for (int64_t plane = 0; plane < in[0] * in[1]; ++plane)
    for (int64_t p = 0; p < out[2]; ++p)
      for (int64_t q = 0; q < out[3]; ++q, ++i) {
        const int64_t top = p * at.stride[0] - at.padding[0], left = q * at.stride[1] - at.padding[1];
        double total = 0;
        int64_t inside = 0, counted = 0;
        for (int64_t a = top; a < top + at.kernel[0]; ++a)
          for (int64_t b = left; b < left + at.kernel[1]; ++b) {
            counted += a < in[2] + at.padding[2] && b < in[3] + at.padding[3];
            if (a < 0 || b < 0 || a >= in[2] || b >= in[3]) continue;
            total += x[size_t((plane * in[2] + a) * in[3] + b)] - double(at.x_zero);
            ++inside;
          }
        const auto count = float(at.count_include_pad ? counted : inside);
        y[i] = requantised(total, at.x_scale / at.y_scale / count, at.y_zero, int64_t(ends(r.s.in[0].dtype(), false)), int64_t(ends(r.s.in[0].dtype(), true)));
      }
  return y;
}
Numbers blocks(const Reference& r) {
  const auto& at = r.as<MatmulBlocksAttrs>();
  const bool zeros = r.s.in.size() > 3 && r.shape(3).rank == 2;
  const size_t bias_at = zeros ? 4 : 3;
  const Numbers x = r.at(0), w = r.at(1), scale = r.at(2), zero = zeros ? r.at(3) : Numbers(), bias = r.s.in.size() > bias_at ? r.at(bias_at) : Numbers();
  const int64_t k = r.shape(0)[-1], n = r.shape(1)[0], padded = r.shape(1)[1], blocks = padded / at.block, rows = int64_t(x.size()) / k;
  Numbers y(size_t(rows * n));
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double total = bias.empty() ? 0 : bias[size_t(j)];
      for (int64_t q = 0; q < k; ++q) {
        const auto b = size_t(j * blocks + q / at.block);
        total += x[size_t(i * k + q)] * (w[size_t(j * padded + q)] - (zeros ? zero[b] : 0)) * scale[b];
      }
      y[size_t(i * n + j)] = cut(total, double(at.lo), double(at.hi));
    }
  return y;
}

struct Entry { Numbers (*reference)(const Reference&); double tolerance = 0; };      // tolerance: of float sums
const std::map<std::string_view, Entry> references{
    {"quantize", {quantised}}, {"dequantize", {dequantised}}, {"dynamic_quantize", {dynamically_quantised}}, {"quantize_rows", {rows_quantised}}, {"qconv2d", {qconv}}, {"qconv2d_dynamic", {qconv_dynamic}},
    {"qmatmul", {qmatmul}}, {"qmatmul_dynamic", {qmatmul_dynamic}}, {"qadd", {sum<1>}}, {"qsub", {sum<-1>}}, {"qmul", {qmul}}, {"qmatmul_pair", {qmatmul_pair}},
    {"qtable", {qtable}}, {"qsoftmax", {qsoftmax}}, {"qavg_pool2d", {qavg_pool}}, {"matmul_blocks", {blocks, 1e-4}}};
// Integer ops whose arithmetic is another's, with tests of their own.
const std::map<std::string_view, std::string_view> elsewhere{{"requantize", "Exact, beside LiteRT's fixed point"}, {"exact_conv2d", "Exact"}, {"exact_conv2d_input", "Exact"}, {"exact_matmul", "Exact"}, {"exact_pair", "Exact"},
    {"exact_avg_pool2d", "Exact"}, {"exact_softmax", "Exact"}, {"exact_quantize", "Exact"}};

// An op with an integer form's attributes or storage: it reads int4 or scales beside bytes.
bool is_integer_op(const OpDef& op) {
  if (op.traits.converts != Conversion::none || op.name == "dynamic_quantize" || op.name == "quantize_rows") return true;
  bool scaled = false;
  if (op.attrs.defaults) {
    auto copy = op.attrs.clone(op.attrs.defaults);
    op.attrs.fields(copy.get(), [&](std::string_view name, FieldSlot) { scaled |= name.ends_with("_scale") || name == "block" || name == "once"; });
  }
  return scaled || op.name.ends_with("_dynamic") || op.name.starts_with("exact_");
}

TEST(EveryIntegerOp, HasAReferenceAndEqualsIt) {
  const std::string before(kernels::isa());
  size_t seen = 0;
  for (const OpDef* op : all_ops()) {
    if (!is_integer_op(*op)) continue;
    ++seen;
    if (elsewhere.count(op->name)) continue;
    auto entry = references.find(op->name);
    ASSERT_NE(entry, references.end()) << op->name << " has no reference here";
    ASSERT_NE(op->samples, nullptr) << op->name;
    for (std::string_view isa : kernels::available_isas()) {
      ASSERT_TRUE(kernels::set_isa(isa));
      size_t k = 0;
      for (const Sample& s : op->samples()) {
        Reference r{s, std::vector<Tensor>(size_t(op->outputs))};
        std::vector<Input> in(s.in.begin(), s.in.end());
        apply(*op, in, s.attrs.get(), r.out);
        const Numbers want = entry->second.reference(r), got = cast(r.out[0], DType::f64).to_vector<double>();
        ASSERT_EQ(want.size(), got.size()) << op->name;
        for (size_t i = 0; i < want.size(); ++i)
          ASSERT_NEAR(got[i], want[i], entry->second.tolerance * std::max(1.0, std::abs(want[i]))) << op->name << " sample " << k << " on " << isa << " at " << i;
        ++k;
      }
    }
  }
  kernels::set_isa(before);
  EXPECT_EQ(seen, references.size() + elsewhere.size());
}

}  // namespace
}  // namespace miniten
