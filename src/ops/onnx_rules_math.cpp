#include <bit>
#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// Elementwise ONNX operators as compositions, or reckoned at once where MiniTen has no op for them.
namespace miniten::onnx {

namespace {

Tensor zero_like(const Tensor& x) { return Tensor::full({}, 0, x.dtype()); }
Tensor positive(const Tensor& x, const Tensor& a, const Tensor& b) { return miniten::where(greater(x, zero_like(x)), a, b); }
Tensor x_of(const ForeignNode& n) { return n.required(0); }

Tensors read_celu(const ForeignNode& n) {
  Tensor x = x_of(n);
  double alpha = n.number("alpha", 1);
  DType t = x.dtype();
  x = miniten::cast(x, t == DType::f64 ? t : DType::f32);                  // one rounding
  return {miniten::cast(positive(x, x, (exp(x / alpha) - 1.0) * alpha), t)};
}
Tensors read_selu(const ForeignNode& n) {
  Tensor x = x_of(n);
  double alpha = n.number("alpha", 1.67326319217681884765625), gamma = n.number("gamma", 1.05070102214813232421875);
  return {positive(x, x, (exp(x) - 1.0) * alpha) * gamma};
}
Tensors read_prelu(const ForeignNode& n) { Tensor x = x_of(n); return {positive(x, x, x * n.required(1))}; }
Tensors read_softsign(const ForeignNode& n) { Tensor x = x_of(n); return {x / (abs(x) + 1.0)}; }
Tensors read_thresholded(const ForeignNode& n) {
  Tensor x = x_of(n);
  return {miniten::where(greater(x, number_like(x, n.number("alpha", 1))), x, zero_like(x))};
}
Tensors read_shrink(const ForeignNode& n) {
  Tensor x = x_of(n);
  double edge = n.number("lambd", 0.5), bias = n.number("bias", 0);
  Tensor limit = miniten::cast(number_like(x, edge), promote(x.dtype(), number_like(x, edge).dtype()));
  Tensor up = miniten::cast(x - bias, x.dtype()), down = miniten::cast(x + bias, x.dtype());
  return {miniten::where(less(x, -limit), down, miniten::where(greater(x, limit), up, zero_like(x)))};
}
Tensors read_mish(const ForeignNode& n) { Tensor x = x_of(n); return {x * miniten::tanh(softplus(x))}; }
Tensors read_swish(const ForeignNode& n) {
  Tensor x = x_of(n);
  double alpha = n.number("alpha", 1);
  return {alpha == 1 ? miniten::silu(x) : x * sigmoid(x * alpha)};
}
Tensors read_hard_sigmoid(const ForeignNode& n) { return {miniten::clamp(x_of(n) * n.number("alpha", double(0.2f)) + n.number("beta", 0.5), 0, 1)}; }
Tensors read_nan(const ForeignNode& n) { return {miniten::not_equal(x_of(n), x_of(n))}; }
Tensors read_inf(const ForeignNode& n) {
  Tensor x = x_of(n), up = equal(x, number_like(x, double(infinity))), down = equal(x, number_like(x, -double(infinity)));
  bool positive_too = n.integer("detect_positive", 1) != 0, negative_too = n.integer("detect_negative", 1) != 0;
  Tensor none = Tensor::full({}, 0, DType::boolean);
  if (!positive_too && !negative_too) return {miniten::where(up, none, none)};
  return {!negative_too ? up : !positive_too ? down : miniten::where(up, up, down)};
}

// ---- truth values ----
Tensor truth(bool v) { return Tensor::full({}, v, DType::boolean); }
Tensors read_not(const ForeignNode& n) { return {equal(x_of(n), truth(false))}; }
Tensors read_and(const ForeignNode& n) { return {miniten::where(x_of(n), n.required(1), truth(false))}; }
Tensors read_or(const ForeignNode& n) { return {miniten::where(x_of(n), truth(true), n.required(1))}; }
Tensors read_xor(const ForeignNode& n) { return {miniten::not_equal(x_of(n), n.required(1))}; }

// ---- integers, at once ----
template <class F> Tensor by_elements(const ForeignNode& n, const Tensor& a, const Tensor& b, F f) {
  if (a.dtype() != b.dtype()) n.fail("inputs of one dtype", a.spec().text() + " and " + b.spec().text());
  if (!a.has_data() || !b.has_data()) n.fail("known values", "computed ones", "it runs node by node");
  Shape shape = broadcast(n.type(), a.shape(), b.shape());
  Tensor left = miniten::copy(miniten::expand(a, shape)).clone(), right = miniten::copy(miniten::expand(b, shape)).clone(), out = Tensor::empty({a.dtype(), shape});
  bool known = visit_dtype(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0, count = shape.count(); i < count; ++i) out.view().as<T>()[i] = T(f(left.view().as<T>()[i], right.view().as<T>()[i]));
  });
  if (!known) n.fail("whole numbers or float32", a.spec().text());
  return out;
}
template <class T> T remainder(T a, T b, bool truncates) {
  if constexpr (std::is_same_v<T, bool>) return false;
  else if constexpr (std::is_integral_v<T>) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) if (b == T(-1)) return 0;
    T r = T(a % b);
    if constexpr (std::is_signed_v<T>) if (!truncates && r != 0 && (r < 0) != (b < 0)) r = T(r + b);
    return r;
  } else {
    T r = std::fmod(a, b);
    return !truncates && r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
}
Tensors read_mod(const ForeignNode& n) {
  bool truncates = n.integer("fmod", 0) != 0;
  Tensor a = x_of(n), b = n.required(1);
  DType t = a.dtype();
  if (t == DType::f16 || t == DType::bf16) { a = miniten::cast(a, DType::f32); b = miniten::cast(b, DType::f32); }
  return {miniten::cast(by_elements(n, a, b, [&](auto x, auto y) { return remainder(x, y, truncates); }), t)};
}
template <class F> Tensors bits(const ForeignNode& n, F f) {
  if (is_float(x_of(n).dtype())) n.fail("integers", x_of(n).spec().text());
  return {by_elements(n, x_of(n), n.required(1), [&](auto x, auto y) { return f(uint64_t(x), uint64_t(y)); })};
}
Tensors read_bit_and(const ForeignNode& n) { return bits(n, [](uint64_t a, uint64_t b) { return a & b; }); }
Tensors read_bit_or(const ForeignNode& n) { return bits(n, [](uint64_t a, uint64_t b) { return a | b; }); }
Tensors read_bit_xor(const ForeignNode& n) { return bits(n, [](uint64_t a, uint64_t b) { return a ^ b; }); }
Tensors read_bit_not(const ForeignNode& n) {
  Tensor x = x_of(n);
  return {by_elements(n, x, x, [](auto a, auto) { return ~uint64_t(a); })};
}
Tensors read_shift(const ForeignNode& n) {
  Tensor x = x_of(n);
  if (is_float(x.dtype())) n.fail("integers", x.spec().text());
  bool left = n.text("direction", "") == "LEFT";
  int width = bits_of(x.dtype());
  return {by_elements(n, x, n.required(1), [&](auto a, auto b) {           // beyond the width all bits are the sign's, or 0
    uint64_t by = uint64_t(b);
    if constexpr (std::is_signed_v<decltype(a)>) if (b < 0) by = 64;
    if (left) return by >= uint64_t(width) ? uint64_t(0) : uint64_t(a) << by;
    if constexpr (std::is_signed_v<decltype(a)>) return uint64_t(int64_t(a) >> std::min<uint64_t>(by, 63));
    else return by >= uint64_t(width) ? uint64_t(0) : uint64_t(a) >> by;
  })};
}
Tensors read_bit_cast(const ForeignNode& n) {
  DType t;
  Tensor x = n.constant(0).clone();
  if (!from_onnx_type(n.integer("to", 0), t) || bits_of(t) != bits_of(x.dtype())) n.fail("a dtype as wide as " + x.spec().text(), "type " + std::to_string(n.integer("to", 0)));
  Tensor out = Tensor::empty({t, x.shape()});
  std::memcpy(out.view().data, x.view().data, x.spec().bytes());
  return {out};
}

// ---- functions of real numbers without an op ----
template <double (*f)(double)> Tensors by_number(const ForeignNode& n) {
  Tensor x = x_of(n);
  if (!is_float(x.dtype())) n.fail("a floating-point tensor", x.spec().text());
  std::vector<double> v = numbers_of(n, 0);
  for (double& d : v) d = f(d);
  return {of_numbers(x.shape(), v, x.dtype())};
}
// tan and the hyperbolic functions have formulas in the ops that are there, so they stay in the graph.
Tensors read_tan(const ForeignNode& n) { return {sin(x_of(n)) / cos(x_of(n))}; }

// ---- several inputs ----
Tensors read_sum(const ForeignNode& n) {
  Tensor y = x_of(n);
  for (int i = 1; i < n.inputs(); ++i) y = y + n.required(i);
  return {y};
}
Tensors read_mean(const ForeignNode& n) { return {read_sum(n)[0] / double(n.inputs())}; }
Tensors read_cast_like(const ForeignNode& n) { return {miniten::cast(x_of(n), n.required(1).dtype())}; }
Tensors read_det(const ForeignNode& n) {
  Tensor x = n.constant(0);
  if (x.rank() < 2 || x.dim(-1) != x.dim(-2)) n.fail("square matrices", x.spec().text());
  auto v = numbers_of(n, 0);
  int64_t k = x.dim(-1), batches = k ? int64_t(v.size()) / (k * k) : 0;
  Shape shape;
  for (int i = 0; i < x.rank() - 2; ++i) shape.push(x.dim(i));
  std::vector<double> out;
  for (int64_t b = 0; b < batches; ++b) {
    double* m = v.data() + b * k * k;
    double d = 1;
    for (int64_t c = 0; c < k; ++c) {                                     // Gauss with the largest pivot
      int64_t p = c;
      for (int64_t r = c; r < k; ++r) if (std::abs(m[r * k + c]) > std::abs(m[p * k + c])) p = r;
      if (m[p * k + c] == 0) { d = 0; break; }
      if (p != c) { for (int64_t j = 0; j < k; ++j) std::swap(m[p * k + j], m[c * k + j]); d = -d; }
      d *= m[c * k + c];
      for (int64_t r = c + 1; r < k; ++r)
        for (int64_t j = k; j-- > c;) m[r * k + j] -= m[c * k + j] * (m[r * k + c] / m[c * k + c]);
    }
    out.push_back(d);
  }
  return {of_numbers(shape, out, x.dtype())};
}

// ---- einsum: by products of matrices ----
struct Labelled { Tensor t; std::string labels; };
Labelled in_order(const Labelled& x, const std::string& wanted) {          // axes by label; absent ones of size 1
  Axes order;
  Shape shape;
  for (char c : wanted) if (x.labels.find(c) != x.labels.npos) order.push(int64_t(x.labels.find(c)));
  Tensor t = miniten::permute(x.t, order);
  for (size_t i = 0, k = 0; i < wanted.size(); ++i) shape.push(x.labels.find(wanted[i]) != x.labels.npos ? t.dim(int(k++)) : 1);
  return {miniten::reshape(t, shape), wanted};
}
Tensors read_einsum(const ForeignNode& n) {
  std::string text, equation = n.text("equation", "");
  for (char c : equation) if (c != ' ') text += c;
  size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow), right = arrow == text.npos ? "" : text.substr(arrow + 2);
  std::vector<std::string> terms(1);
  for (char c : left) if (c == ',') terms.emplace_back(); else terms.back() += c;
  if (int(terms.size()) != n.inputs()) n.fail("a term for each of " + std::to_string(n.inputs()) + " inputs", equation);
  auto spread = [&](std::string term, int rank) {                          // "..." becomes labels of its own, by axis from the right
    size_t dots = term.find("...");
    if (dots == term.npos) return term;
    int extra = rank < 0 ? -1 - rank : rank - int(term.size()) + 3;
    if (extra < 0 || extra > 8) n.fail("terms of as many labels as axes", equation);
    std::string many;
    for (int i = extra; i-- > 0;) many += char('0' + i);
    return term.replace(dots, 3, many);
  };
  std::vector<Labelled> in;
  int most = 0;
  for (int i = 0; i < n.inputs(); ++i) {
    Tensor t = n.required(i);
    std::string labels = spread(terms[size_t(i)], t.rank());
    if (int(labels.size()) != t.rank()) n.fail("terms of as many labels as axes", equation);
    for (char c : labels) if (c >= '0' && c <= '9') most = std::max(most, c - '0' + 1);
    for (size_t k = 0; k < labels.size(); ++k)                             // a label twice: the diagonal
      for (size_t j = k + 1; j < labels.size();) {
        if (labels[j] != labels[k]) { ++j; continue; }
        if (t.dim(int(k)) != t.dim(int(j))) n.fail("equal sizes for equal labels", t.spec().text());
        Shape size = Dims::filled(t.rank(), 1), other = size;
        size[int(k)] = t.dim(int(k));
        other[int(j)] = t.dim(int(j));
        Tensor same = equal(miniten::reshape(counting(t.dim(int(k))), size), miniten::reshape(counting(t.dim(int(j))), other));
        t = sum(miniten::where(same, t, zero_like(t)), {int64_t(j)});
        labels.erase(j, 1);
      }
    in.push_back({t, labels});
  }
  std::string all, out;
  for (const Labelled& x : in) for (char c : x.labels) if (all.find(c) == all.npos) all += c;
  if (arrow == text.npos) {
    std::string sorted = all;
    std::sort(sorted.begin(), sorted.end());
    for (int i = most; i-- > 0;) out += char('0' + i);
    for (char c : sorted) if (!(c >= '0' && c <= '9') && std::count(left.begin(), left.end(), c) == 1) out += c;
  } else out = spread(right, -1 - most);
  for (char c : out) if (all.find(c) == all.npos) n.fail("output labels that inputs have", equation);
  Labelled y = in[0];
  for (size_t i = 1; i <= in.size(); ++i) {
    std::string later = out;
    for (size_t k = i + 1; k < in.size(); ++k) later += in[k].labels;
    bool last = i == in.size();
    std::string keep, own, other, inner, both;
    for (char c : all) {
      bool a = y.labels.find(c) != y.labels.npos, b = !last && in[i].labels.find(c) != in[i].labels.npos, stays = later.find(c) != later.npos;
      if (a && b && stays) both += c;
      else if (a && b) inner += c;
      else if (a) own += c;
      else if (b) other += c;
    }
    auto drop = [&](Labelled x, const std::string& from) {                 // labels that nobody wants any more are summed
      for (char c : from) {
        if (later.find(c) != later.npos) continue;
        x.t = miniten::cast(sum(x.t, {int64_t(x.labels.find(c))}), x.t.dtype());
        x.labels.erase(x.labels.find(c), 1);
      }
      return x;
    };
    y = drop(y, own);
    if (last) break;
    Labelled b = drop(in[i], other);
    auto kept = [&](const std::string& s) { std::string k; for (char c : s) if (later.find(c) != later.npos) k += c; return k; };
    own = kept(own);
    other = kept(other);
    bool broadcasts = false;                                               // sizes of 1 against others: plain products
    for (char c : both + inner) broadcasts |= y.t.dim(int(y.labels.find(c))) != b.t.dim(int(b.labels.find(c)));
    if (broadcasts || !is_float(y.t.dtype())) {
      std::string order = both + own + other + inner;
      Tensor product = in_order(y, order).t * in_order(b, order).t;
      y = drop({product, order}, inner);
      continue;
    }
    Labelled l = in_order(y, both + own + inner), r = in_order(b, both + inner + other);
    Shape batch, ls, rs, to;
    int64_t m = 1, k = 1, w = 1;
    for (size_t j = 0; j < both.size(); ++j) batch.push(l.t.dim(int(j)));
    to = batch;
    for (size_t j = 0; j < own.size(); ++j) { m *= l.t.dim(int(both.size() + j)); to.push(l.t.dim(int(both.size() + j))); }
    for (size_t j = 0; j < inner.size(); ++j) k *= r.t.dim(int(both.size() + j));
    for (size_t j = 0; j < other.size(); ++j) { w *= r.t.dim(int(both.size() + inner.size() + j)); to.push(r.t.dim(int(both.size() + inner.size() + j))); }
    ls = rs = batch;
    ls.push(m); ls.push(k);
    rs.push(k); rs.push(w);
    y = {miniten::reshape(miniten::matmul(miniten::reshape(l.t, ls), miniten::reshape(r.t, rs)), to), both + own + other};
  }
  return {in_order(y, out).t};
}

constexpr ForeignComposition rules[] = {
    {"onnx", "Celu", read_celu}, {"onnx", "Selu", read_selu}, {"onnx", "PRelu", read_prelu},
    {"onnx", "Softsign", read_softsign}, {"onnx", "ThresholdedRelu", read_thresholded}, {"onnx", "Shrink", read_shrink}, {"onnx", "Mish", read_mish},
    {"onnx", "Swish", read_swish}, {"onnx", "HardSigmoid", read_hard_sigmoid}, {"onnx", "IsNaN", read_nan},
    {"onnx", "IsInf", read_inf}, {"onnx", "Not", read_not}, {"onnx", "And", read_and}, {"onnx", "Or", read_or}, {"onnx", "Xor", read_xor}, {"onnx", "Mod", read_mod},
    {"onnx", "BitwiseAnd", read_bit_and}, {"onnx", "BitwiseOr", read_bit_or}, {"onnx", "BitwiseXor", read_bit_xor}, {"onnx", "BitwiseNot", read_bit_not},
    {"onnx", "BitShift", read_shift}, {"onnx", "BitCast", read_bit_cast}, {"onnx", "Tan", read_tan}, {"onnx", "Asin", by_number<std::asin>},
    {"onnx", "Acos", by_number<std::acos>}, {"onnx", "Atan", by_number<std::atan>}, {"onnx", "Sinh", by_number<std::sinh>}, {"onnx", "Cosh", by_number<std::cosh>},
    {"onnx", "Asinh", by_number<std::asinh>}, {"onnx", "Acosh", by_number<std::acosh>}, {"onnx", "Atanh", by_number<std::atanh>}, {"onnx", "Sum", read_sum},
    {"onnx", "Mean", read_mean}, {"onnx", "CastLike", read_cast_like}, {"onnx", "Det", read_det}, {"onnx", "Einsum", read_einsum}};

}  // namespace

Compositions math_rules() { return rules; }

using Names = std::vector<std::string>;
static Names with_alpha(ForeignWriter& w, const ForeignCall& f) { return {w.emit_one(f.call.op.onnx.name, {f.in[0]}, {{"alpha", float(f.call.as<AlphaAttrs>().alpha)}})}; }
constinit const ForeignRules leaky_relu{with_alpha, [](const ForeignNode& n) -> Tensors { return {miniten::leaky_relu(x_of(n), n.number("alpha", double(0.01f)))}; }},
    elu{with_alpha, [](const ForeignNode& n) -> Tensors { return {miniten::elu(x_of(n), n.number("alpha", 1))}; }},
    hard_swish{[](ForeignWriter& w, const ForeignCall& f) -> Names {
      if (w.version() >= 14) return {w.emit_one("HardSwish", {f.in[0]})};
      return {w.emit_one("Mul", {f.in[0], w.emit_one("HardSigmoid", {f.in[0]}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}})})};
    }, [](const ForeignNode& n) -> Tensors { return {miniten::hard_swish(x_of(n))}; }};

Tensors read_div(const ForeignNode& n) {
  Tensor a = x_of(n), b = n.required(1);
  if (is_float(a.dtype())) return {a / b};
  return {by_elements(n, a, b, [](auto x, auto y) {                       // towards zero
    using T = decltype(x);
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      if (y == 0) return T(0);
      if constexpr (std::is_signed_v<T>) if (y == T(-1)) return T(uint64_t(0) - uint64_t(x));
      return T(x / y);
    } else return T(x);
  })};
}
Tensors read_pow(const ForeignNode& n) {
  Tensor a = x_of(n), b = n.required(1);
  if (a.dtype() == b.dtype()) return {miniten::pow(a, b)};
  if (is_float(a.dtype())) return {miniten::pow(a, miniten::cast(b, a.dtype()))};
  DType wide = is_float(b.dtype()) ? DType::f64 : a.dtype();               // float64 holds integers to 2^53
  return {miniten::cast(miniten::pow(miniten::cast(a, wide), miniten::cast(b, wide)), a.dtype())};
}

}  // namespace miniten::onnx
