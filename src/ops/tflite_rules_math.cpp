#include <cmath>
#include "ops/tflite_rules.h"

namespace miniten::tflite {

namespace {

// Plain integers are computed as integers; what stands for numbers as floats.
Tensor operand(const ForeignNode& n, int i) {
  Tensor x = n.required(i);
  bool plain = !is_float(x.dtype()) && !is_quantized(x.dtype(), n.quantized_input(i));
  return plain ? x : real(n, i);
}
bool is_plain(const Tensor& x) { return !is_float(x.dtype()); }
Tensor in_doubles(const Tensor& x) { return miniten::cast(x, DType::f64); }
Tensor scalar(const Tensor& x, double v) { return number_like(x, v); }

Tensors arithmetic(const ForeignNode& n) {
  if (is_exact(n) && n.type() == "ADD") return {exact_sum(n, 1)};
  if (is_exact(n) && n.type() == "SUB") return {exact_sum(n, -1)};
  if (is_exact(n) && n.type() == "MUL") return {exact_product(n)};
  std::string_view type = n.type();
  if ((type == "MAXIMUM" || type == "MINIMUM") && is_quantized(n.output_spec(0).dtype, n.quantized_output(0))) {
    Tensor a = as_output(n, 0), b = as_output(n, 1);
    return {type == "MAXIMUM" ? maximum(a, b) : minimum(a, b)};
  }
  Tensor a = operand(n, 0), b = operand(n, 1), y;
  bool plain = is_plain(a);
  if (type == "ADD") y = a + b;
  else if (type == "SUB") y = a - b;
  else if (type == "MUL") y = a * b;
  else if (type == "MAXIMUM") y = maximum(a, b);
  else if (type == "MINIMUM") y = minimum(a, b);
  else if (type == "SQUARED_DIFFERENCE") { Tensor d = a - b; y = d * d; }
  else if (type == "FLOOR_DIV") y = plain ? floor_divide(a, b) : miniten::floor(a / b);
  else if (type == "FLOOR_MOD") y = miniten::remainder(a, b);
  else if (type == "ATAN2") y = miniten::atan2(a, b);
  else if (type == "BITWISE_XOR") y = bitwise_xor(a, b);
  else if (type == "RIGHT_SHIFT") y = right_shift(a, b);
  else if (type == "POW") y = plain ? miniten::round(miniten::pow(in_doubles(a), in_doubles(b))) : miniten::pow(a, b);
  else if (plain) y = miniten::trunc(in_doubles(a) / in_doubles(b));      // DIV, towards 0
  else y = a / b;
  if (plain) {
    y = miniten::cast(y, n.output_spec(0).dtype);
    Bounds cut = bounds_of(n);
    if (cut.lo > -infinity) y = maximum(y, miniten::cast(Tensor::full({}, double(cut.lo)), y.dtype()));
    if (cut.hi < infinity) y = minimum(y, miniten::cast(Tensor::full({}, double(cut.hi)), y.dtype()));
    return {y};
  }
  return {result(n, activated(n, y))};
}
Tensors add_n(const ForeignNode& n) {
  Tensor y = operand(n, 0);
  for (int i = 1; i < n.inputs(); ++i) y = y + operand(n, i);
  return {result(n, y)};
}

Tensors unary(const ForeignNode& n) {
  if (is_exact(n)) {
    if (n.type().starts_with("RELU")) return {exact_relu(n)};
    if (n.type() == "LEAKY_RELU") return {exact_slopes(n)};
    if (Tensor y = exact_function(n)) return {y};
  }
  Tensor x = operand(n, 0), y;
  std::string_view type = n.type();
  bool plain = is_plain(x);
  if (plain && type == "NEG") return {-x};
  if (plain && type == "ABS") return {miniten::abs(x)};
  if (plain && type == "SIGN") return {miniten::cast(sign(in_doubles(x)), x.dtype())};
  if (plain && type == "SQUARE") return {x * x};
  if (plain) n.fail("floats", x.spec().text());
  if (type == "ABS") y = miniten::abs(x);
  else if (type == "NEG") y = -x;
  else if (type == "EXP") y = miniten::exp(x);
  else if (type == "LOG") y = miniten::log(x);
  else if (type == "SIN") y = miniten::sin(x);
  else if (type == "COS") y = miniten::cos(x);
  else if (type == "SQRT") y = miniten::sqrt(x);
  else if (type == "RSQRT") y = miniten::rsqrt(x);
  else if (type == "SQUARE") y = miniten::square(x);
  else if (type == "FLOOR") y = miniten::floor(x);
  else if (type == "CEIL") y = miniten::ceil(x);
  else if (type == "ROUND") y = miniten::round(x);
  else if (type == "SIGN") y = sign(x);
  else if (type == "LOGISTIC") y = sigmoid(x);
  else if (type == "TANH") y = miniten::tanh(x);
  else if (type == "RELU") y = relu(x);
  else if (type == "RELU6") y = miniten::clamp(x, 0, 6);
  else if (type == "RELU_N1_TO_1") y = miniten::clamp(x, -1, 1);
  else if (type == "RELU_0_TO_1") y = miniten::clamp(x, 0, 1);
  else if (type == "ELU") y = miniten::elu(x);
  else if (type == "HARD_SWISH") y = miniten::hard_swish(x);
  else if (type == "LOG_SOFTMAX") y = miniten::log_softmax(x, -1);
  else if (type == "LEAKY_RELU") y = miniten::leaky_relu(x, n.number("alpha", 0));
  else if (type == "GELU")
    y = n.integer("approximate", 0) ? x * 0.5 * (miniten::tanh((x + x * x * x * 0.044715) * 0.7978845608028654) + 1.0) : miniten::gelu(x);
  else y = x / miniten::maximum(miniten::sqrt(sum(x * x, {-1}, true)), scalar(x, 1e-6));      // L2_NORMALIZATION
  return {result(n, activated(n, y))};
}
Tensors prelu(const ForeignNode& n) {
  if (is_exact(n)) return {exact_slopes(n)};
  Tensor x = real(n, 0);
  return {result(n, miniten::where(greater(x, scalar(x, 0)), x, x * real(n, 1)))};
}
Tensors local_response(const ForeignNode& n) {
  Tensor x = real(n, 0);
  int64_t radius = n.integer("radius", 0);
  if (radius < 0 || x.rank() < 1 || is_symbol(x.dim(-1))) n.fail("a radius of 0 or more", std::to_string(radius));
  radius = std::min(radius, x.dim(-1));
  Dims around = Dims::filled(x.rank(), 0);
  around[x.rank() - 1] = radius;
  Tensor squares = miniten::pad(x * x, around, around), total;
  for (int64_t k = 0; k <= 2 * radius; ++k) {
    Tensor part = miniten::slice(squares, -1, k, k + x.dim(-1));
    total = total ? total + part : part;
  }
  return {x * miniten::pow(total * n.number("alpha", 0) + n.number("bias", 0), -n.number("beta", 0))};
}
Tensors softmax(const ForeignNode& n) {
  if (is_exact(n)) return {exact_softmax(n)};
  Tensor x = real(n, 0);
  double beta = n.number("beta", 0);
  return {result(n, miniten::softmax(beta == 1 ? x : x * beta, -1))};
}

Tensors compare(const ForeignNode& n) {
  Tensor a = operand(n, 0), b = operand(n, 1);
  std::string_view type = n.type();
  if (type == "EQUAL") return {equal(a, b)};
  if (type == "NOT_EQUAL") return {not_equal(a, b)};
  if (type == "LESS") return {less(a, b)};
  if (type == "LESS_EQUAL") return {less_equal(a, b)};
  if (type == "GREATER") return {greater(a, b)};
  return {greater_equal(a, b)};
}
Tensors logical(const ForeignNode& n) {
  Tensor a = n.required(0);
  if (n.type() == "LOGICAL_NOT") return {logical_not(a)};
  return {n.type() == "LOGICAL_AND" ? logical_and(a, n.required(1)) : logical_or(a, n.required(1))};
}
Tensors select(const ForeignNode& n) {
  Tensor c = n.required(0), a = as_output(n, 1), b = as_output(n, 2);
  if (n.type() == "SELECT" && c.rank() == 1 && a.rank() > 1) {            // of rows
    Shape rows = Dims::filled(a.rank(), 1);
    rows[0] = c.dim(0);
    c = miniten::reshape(c, rows);
  }
  return {miniten::where(c, a, b)};
}

Tensors reduce(const ForeignNode& n) {
  Tensor x = operand(n, 0);
  auto given = n.constant_integers(1);
  bool keep = n.integer("keep_dims", 0) != 0, plain = is_plain(x);
  Axes axes;
  for (int64_t a : given) { int at = axis_of(n, a, x.rank()); if (!axes.has(at)) axes.push(at); }
  std::sort(axes.begin(), axes.end());
  if (axes.rank == 0) return {result(n, x)};
  std::string_view type = n.type();
  DType t = n.output_spec(0).dtype;
  Tensor y;
  if (is_exact(n) && type == "MEAN") return {exact_mean(n, axes, keep)};
  if (is_exact(n) && (type == "REDUCE_MAX" || type == "REDUCE_MIN")) {     // equal scales: integers are compared
    Tensor whole = miniten::cast(as_output(n, 0), DType::f32);
    return {miniten::cast(type == "REDUCE_MAX" ? miniten::max(whole, axes, keep) : miniten::min(whole, axes, keep), t)};
  }
  if (type == "REDUCE_ANY") return {miniten::cast(miniten::max(miniten::cast(x, DType::f32), axes, keep), DType::boolean)};
  if (type == "REDUCE_ALL") return {miniten::cast(miniten::min(miniten::cast(x, DType::f32), axes, keep), DType::boolean)};
  if (type == "MEAN" && !keep && is_quantized(t, n.quantized_output(0))) {   // the integers lose the axes
    Shape kept;
    for (int i = 0; i < x.rank(); ++i) if (!axes.has(i)) kept.push(x.dim(i));
    return {miniten::reshape(result(n, mean(x, axes, true)), kept)};
  }
  if (plain) x = in_doubles(x);
  if (type == "SUM") y = sum(x, axes, keep);
  else if (type == "MEAN") y = mean(x, axes, keep);
  else if (type == "REDUCE_PROD") y = prod(x, axes, keep);
  else if (type == "REDUCE_MAX") y = miniten::max(x, axes, keep);
  else y = miniten::min(x, axes, keep);
  return {plain ? miniten::cast(type == "MEAN" ? miniten::trunc(y) : y, t) : result(n, y)};
}
Tensors arg(const ForeignNode& n) {
  Tensor x = operand(n, 0);
  if (is_plain(x)) x = in_doubles(x);
  int axis = axis_of(n, n.constant_integers(1).at(0), x.rank());
  return {miniten::cast(n.type() == "ARG_MAX" ? argmax(x, axis) : argmin(x, axis), n.output_spec(0).dtype)};
}
Tensors cumulate(const ForeignNode& n) {
  Tensor x = operand(n, 0);
  int axis = axis_of(n, n.constant_integers(1).at(0), x.rank());
  return {result(n, cumsum(x, axis, n.integer("exclusive", 0) != 0, n.integer("reverse", 0) != 0))};
}
Tensors top_k(const ForeignNode& n) {
  Tensor x = operand(n, 0);
  int64_t k = n.constant_integers(1).at(0);
  Sorted s = topk(x, k, -1, true);
  Tensor values = is_plain(x) ? miniten::cast(s.values, n.output_spec(0).dtype) : result(n, s.values);
  return {values, miniten::cast(s.indices, n.output_spec(1).dtype)};
}

Tensors batch_matmul(const ForeignNode& n) {
  if (is_exact(n)) return {exact_products(n)};
  Tensor a = operand(n, 0), b = operand(n, 1);
  if (a.rank() < 2 || b.rank() < 2) n.fail("matrices", a.spec().text() + " and " + b.spec().text());
  if (n.integer("adj_x", 0)) a = transpose(a);
  if (n.integer("adj_y", 0)) b = transpose(b);
  if (is_plain(a)) return {miniten::cast(miniten::matmul(in_doubles(a), in_doubles(b)), n.output_spec(0).dtype)};
  return {result(n, miniten::matmul(a, b))};
}

Tensors quantize(const ForeignNode& n) {
  return {is_exact(n) ? exact_rescale(n) : result(n, real(n, 0))};
}
Tensors dequantize(const ForeignNode& n) { return {real(n, 0)}; }
Tensors cast(const ForeignNode& n) {
  Tensor x = n.required(0);
  DType t = n.output_spec(0).dtype;
  return {miniten::cast(x, t)};
}
Tensors fake_quant(const ForeignNode& n) {                                // in training, what quantisation does to values
  Tensor x = real(n, 0);
  double lo = n.number("min", 0), hi = n.number("max", 0), least = n.integer("narrow_range", 0) ? 1 : 0;
  int64_t bits = n.integer("num_bits", 8);
  if (bits < 2 || bits > 16 || !(lo <= 0 && hi >= 0 && hi > lo)) n.fail("a range around 0 and 2 to 16 bits", std::to_string(lo) + " to " + std::to_string(hi));
  double steps = double((int64_t{1} << bits) - 1) - least, scale = (hi - lo) / steps;
  double zero = std::clamp(std::floor(-lo / scale + least + 0.5), least, steps + least);
  lo = (least - zero) * scale;
  hi = (steps + least - zero) * scale;
  return {miniten::floor((miniten::clamp(x, float(lo), float(hi)) - lo) * (1 / scale) + 0.5) * scale + lo};
}

constexpr ForeignComposition rules[] = {
    {"tflite", "ADD", arithmetic}, {"tflite", "SUB", arithmetic}, {"tflite", "MUL", arithmetic}, {"tflite", "DIV", arithmetic}, {"tflite", "MAXIMUM", arithmetic},
    {"tflite", "MINIMUM", arithmetic}, {"tflite", "SQUARED_DIFFERENCE", arithmetic}, {"tflite", "FLOOR_DIV", arithmetic}, {"tflite", "FLOOR_MOD", arithmetic},
    {"tflite", "ATAN2", arithmetic}, {"tflite", "BITWISE_XOR", arithmetic}, {"tflite", "RIGHT_SHIFT", arithmetic}, {"tflite", "POW", arithmetic}, {"tflite", "ADD_N", add_n},
    {"tflite", "ABS", unary}, {"tflite", "NEG", unary}, {"tflite", "EXP", unary}, {"tflite", "LOG", unary}, {"tflite", "SIN", unary}, {"tflite", "COS", unary},
    {"tflite", "SQRT", unary}, {"tflite", "RSQRT", unary}, {"tflite", "SQUARE", unary}, {"tflite", "FLOOR", unary}, {"tflite", "CEIL", unary}, {"tflite", "ROUND", unary},
    {"tflite", "SIGN", unary}, {"tflite", "LOGISTIC", unary}, {"tflite", "TANH", unary}, {"tflite", "RELU", unary}, {"tflite", "RELU6", unary},
    {"tflite", "RELU_N1_TO_1", unary}, {"tflite", "RELU_0_TO_1", unary}, {"tflite", "ELU", unary}, {"tflite", "HARD_SWISH", unary}, {"tflite", "LOG_SOFTMAX", unary},
    {"tflite", "LEAKY_RELU", unary}, {"tflite", "GELU", unary}, {"tflite", "L2_NORMALIZATION", unary}, {"tflite", "PRELU", prelu},
    {"tflite", "LOCAL_RESPONSE_NORMALIZATION", local_response}, {"tflite", "SOFTMAX", softmax}, {"tflite", "EQUAL", compare}, {"tflite", "NOT_EQUAL", compare},
    {"tflite", "LESS", compare}, {"tflite", "LESS_EQUAL", compare}, {"tflite", "GREATER", compare}, {"tflite", "GREATER_EQUAL", compare}, {"tflite", "LOGICAL_AND", logical},
    {"tflite", "LOGICAL_OR", logical}, {"tflite", "LOGICAL_NOT", logical}, {"tflite", "SELECT", select}, {"tflite", "SELECT_V2", select}, {"tflite", "MEAN", reduce},
    {"tflite", "SUM", reduce}, {"tflite", "REDUCE_PROD", reduce}, {"tflite", "REDUCE_MAX", reduce}, {"tflite", "REDUCE_MIN", reduce}, {"tflite", "REDUCE_ANY", reduce},
    {"tflite", "REDUCE_ALL", reduce}, {"tflite", "ARG_MAX", arg}, {"tflite", "ARG_MIN", arg}, {"tflite", "CUMSUM", cumulate}, {"tflite", "TOPK_V2", top_k},
    {"tflite", "BATCH_MATMUL", batch_matmul}, {"tflite", "QUANTIZE", quantize}, {"tflite", "DEQUANTIZE", dequantize}, {"tflite", "CAST", cast}, {"tflite", "FAKE_QUANT", fake_quant}};

}  // namespace

Compositions math_rules() { return rules; }

}  // namespace miniten::tflite
