#include "miniten/ops/attrs.h"
#include "ops/c/windows.h"
#include "ops/c_rules.h"

namespace miniten::c {

std::vector<float> blocks_of_four(const std::vector<float>& w, int64_t n, int64_t k) {       // w: n rows of k
  std::vector<float> to;
  to.reserve(w.size());
  int64_t whole = n / 4 * 4;
  for (int64_t o = 0; o < whole; o += 4)
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < 4; ++j) to.push_back(w[size_t((o + j) * k + i)]);
  to.insert(to.end(), w.begin() + whole * k, w.end());
  return to;
}
std::string store_dense(CWriter& w, const WeightForm& f, const std::vector<float>& weight, int64_t n, int64_t k, const char* hint) {
  return f.packed() ? store_packed(w, f, weight, n, k, DType::f32) : w.constant(Tensor::of<float>({n, k}, blocks_of_four(weight, n, k)), hint);
}
namespace {
std::string define_dense_packed(CWriter& w, const WeightForm& f) {
  define_packed(w, f, DType::f32);
  std::string name = "dense_f32" + f.suffix(), sums[] = {"a", "b", "c", "d"}, unit, last;
  auto add = [&](std::string& to, int input) {
    for (int i = 0; i < 4; ++i) to += join({"      ", sums[i], " += v[", input, "] * ", f.bits ? "p" + (i ? text(i) : "") + "[" + index_text(f.bits, 4 * input + i) + "]" : "u[" + text(i) + "]", ";\n"});
  };
  add(unit, 0);
  last = unit;
  if (f.bits) add(unit, 1);
  const int inputs = f.bits ? 2 : 1, step = f.bits ? f.bits : 4;
  std::string next = join({f.bits ? "v += 2" : "++v", ", u += ", step}), source = join({"static void ", name, "(const float *x, const ", f.type(DType::f32), R"( *w, const float *bias, float *y, int32_t inputs, int32_t outputs, float lo, float hi) {
  const )", f.bits ? "uint8_t" : "float", " *u = w->units;\n", f.bits ? "  const float *p = w->codes;\n" : "", f.skips ? "  const uint8_t *skip = w->skips;\n  const uint16_t *left = w->left;\n" : "",
      "  for (int32_t o = 0; o < outputs; o += 4", f.bits ? ", p += 4 * w->step" : "", R"() {
    float a = bias[o], b = o + 1 < outputs ? bias[o + 1] : 0.0f, c = o + 2 < outputs ? bias[o + 2] : 0.0f, d = o + 3 < outputs ? bias[o + 3] : 0.0f;
    const float *v = x;
)", f.bits ? "    const float *const p1 = p + w->step, *const p2 = p1 + w->step, *const p3 = p2 + w->step;\n" : "",
      f.skips ? join({"    for (int32_t n = *left++; n > 0; --n, ", next, ") {\n      v += ", f.bits ? "2 * " : "", "*skip++;\n"}) : join({"    for (int32_t k = inputs; k >= ", inputs, "; k -= ", inputs, ", ", next, ") {\n"}), unit, "    }\n",
      f.bits ? join({"    if (inputs & 1) {\n", f.skips ? "      v = x + inputs - 1;\n" : "", last, "      u += ", step, ";\n    }\n"}) : "", f.skips && !f.bits ? "    (void)inputs;\n" : ""});
  for (int i = 0; i < 4; ++i) source += join({i ? "    if (o + " + text(i) + " < outputs) y[o + " + text(i) + "]" : "    y[o]", " = ", sums[i], " < lo ? lo : ", sums[i], " > hi ? hi : ", sums[i], ";\n"});
  w.define(name, "/* dense_f32 with packed weights, in units of four outputs x " + text(inputs) + " of k. */\n" + source + "  }\n}\n");
  return name;
}
}  // namespace
std::string define_dense(CWriter& w, const WeightForm& form) {
  w.include("stdint.h");
  if (form.packed()) return define_dense_packed(w, form);
  w.define("dense_f32", R"(/* y[o] = sum over k of x[k] * w[o][k] + bias[o], within [lo, hi]. Weights in blocks of four outputs, w[o / 4][k][o % 4];
   those left over one output after another. */
static void dense_f32(const float *x, const float *w, const float *bias, float *y, int32_t inputs, int32_t outputs, float lo, float hi) {
  int32_t o = 0;
  for (; o + 4 <= outputs; o += 4) {
    float a = bias[o], b = bias[o + 1], c = bias[o + 2], d = bias[o + 3];
    for (int32_t k = 0; k < inputs; ++k, w += 4) {
      const float v = x[k];
      a += v * w[0];
      b += v * w[1];
      c += v * w[2];
      d += v * w[3];
    }
    y[o] = a < lo ? lo : a > hi ? hi : a;
    y[o + 1] = b < lo ? lo : b > hi ? hi : b;
    y[o + 2] = c < lo ? lo : c > hi ? hi : c;
    y[o + 3] = d < lo ? lo : d > hi ? hi : d;
  }
  for (; o < outputs; ++o) {
    float a = bias[o];
    for (int32_t k = 0; k < inputs; ++k) a += x[k] * *w++;
    y[o] = a < lo ? lo : a > hi ? hi : a;
  }
}
)");
  return "dense_f32";
}
std::string define_dense_rows(CWriter& w, const WeightForm& form) {
  std::string dense = define_dense(w, form), name = "dense_rows_f32" + form.suffix();
  w.define(name, join({"static void ", name, "(const float *x, const ", form.type(DType::f32), R"( *w, const float *bias, float *y, int32_t rows, int32_t inputs, int32_t outputs,
                           float lo, float hi) {
  for (int32_t r = 0; r < rows; ++r) )", dense, R"((x + r * inputs, w, bias, y + r * outputs, inputs, outputs, lo, hi);
}
)"}));
  return name;
}
std::string bound(CWriter& w, float v) {
  if (!std::isfinite(v)) w.include("math.h");
  return c_number(v, DType::f32);
}
const Tensor& weight_of(const CCall& c, int i) {
  const Tensor* t = c.call.value(i);
  if (!t) c.refuse("constant weights", "input " + text(i) + " computed at run time", "fold what computes the weight before exporting");
  return *t;
}
void write_batches(CWriter& w, const CCall& c, const std::string& head, const std::string& tail) {
  const COperand &a = c.in[0], &b = c.in[1], &y = c.out[0];
  Shape batch = y.spec.shape;
  batch.rank -= 2;
  auto outer = [&](const COperand& x) {
    COperand o = x;
    o.spec.shape.rank -= 2;
    o.strides.rank -= 2;
    return broadcast_strides(View{nullptr, o.spec, o.strides}, batch);
  };
  Strides operands[] = {outer(y), outer(a), outer(b)};
  Loops loops(batch, operands, true);
  std::string to = w.pointer(y), from_a = w.pointer(a), from_b = w.pointer(b);
  auto at = [&](const std::string& p, int i) { std::string index = loops.index(i); return index == "0" ? p : p + " + " + index; };
  bool many = batch.count() != 1;
  if (many) loops.open(w);
  w.line(join({head, at(from_a, 1), ", ", at(from_b, 2), ", ", at(to, 0), tail}));
  if (many) loops.close(w);
}

namespace {

// Both operands computed, or the weights on the left: any strides.
void write_general(CWriter& w, const CCall& c) {
  w.define("product_f32", R"(/* y (m, n) = a (m, k) b (k, n), row-major; strides of a and b as given. */
static void product_f32(const float *a, const float *b, float *y, int32_t m, int32_t k, int32_t n, int32_t a_row, int32_t a_column,
                        int32_t b_row, int32_t b_column) {
  for (int32_t i = 0; i < m; ++i, a += a_row, y += n)
    for (int32_t j = 0; j < n; ++j) {
      const float *u = a, *v = b + j * b_column;
      float sum = 0.0f;
      for (int32_t t = 0; t < k; ++t, u += a_column, v += b_row) sum += *u * *v;
      y[j] = sum;
    }
}
)");
  const COperand &a = c.in[0], &b = c.in[1], &y = c.out[0];
  int64_t m = a.spec.shape[-2], k = a.spec.shape[-1], n = b.spec.shape[-1];
  write_batches(w, c, "product_f32(", join({", ", m, ", ", k, ", ", n, ", ", a.strides[-2], ", ", a.strides[-1], ", ", b.strides[-2], ", ", b.strides[-1], ");"}));
  std::string to = w.pointer(y);
  const auto& cut = c.call.as<ClampAttrs>();
  if (c.in.size() < 3 && !(cut.lo > -infinity) && !(cut.hi < infinity)) return;
  std::string i = n == y.spec.shape.count() ? "[i]" : "[i % " + text(n) + "]";
  w.line(join({"for (int32_t i = 0; i < ", y.spec.shape.count(), "; ++i) {"}));
  w.line(join({"const float v = ", to, "[i]", (c.in.size() == 3 ? " + " + w.pointer(c.in[2]) + i : ""), ";"}));
  std::string clamp = "v";
  if (cut.hi < infinity) clamp = "v > " + c_number(cut.hi, DType::f32) + " ? " + c_number(cut.hi, DType::f32) + " : " + clamp;
  if (cut.lo > -infinity) clamp = "v < " + c_number(cut.lo, DType::f32) + " ? " + c_number(cut.lo, DType::f32) + " : " + clamp;
  w.line(join({to, "[i] = ", clamp, ";"}));
  w.line("}");
}
bool rows_follow(const COperand& x) {                    // row-major: rows one after another
  return same_layout(x.spec.shape, x.strides, contiguous(x.spec.shape));
}

}  // namespace

const CRules matmul{[](CWriter& w, const CCall& c) {
  for (const COperand& x : c.in) if (x.spec.dtype != DType::f32) c.refuse("float32", x.spec.text(), "export a float32 or a quantised model");
  const Tensor *b = c.call.value(1), *bias = c.in.size() == 3 ? c.call.value(2) : nullptr;
  if (!b || b->rank() != 2 || !rows_follow(c.in[0]) || (c.in.size() == 3 && !bias)) return write_general(w, c);
  int64_t k = b->dim(0), n = b->dim(1), rows = c.out[0].spec.shape.count() / std::max<int64_t>(n, 1);
  std::vector<float> weight(size_t(k * n)), values = b->to_vector<float>(), shift(size_t(n), 0.0f);
  for (int64_t i = 0; i < k; ++i) for (int64_t j = 0; j < n; ++j) weight[size_t(j * k + i)] = values[size_t(i * n + j)];
  if (bias) shift = bias->to_vector<float>();
  const auto& at = c.call.as<ClampAttrs>();
  const WeightForm form = choose_form(weight, n, k, DType::f32);
  std::string f = store_dense(w, form, weight, n, k, "weight"), s = w.constant(Tensor::of<float>({n}, shift), "bias");
  std::string tail = join({k, ", ", n, ", ", bound(w, at.lo), ", ", bound(w, at.hi), ");"}), head = join({"(", w.pointer(c.in[0]), ", ", f, ", ", s, ", ", w.pointer(c.out[0]), ", "});
  if (rows == 1) w.line(join({define_dense(w, form), head, tail}));
  else w.line(join({define_dense_rows(w, form), head, rows, ", ", tail}));
}};

// ---- along the last axis ----
namespace {
void write_softmax(CWriter& w, const CCall& c, std::string_view name, std::string_view source) {
  if (c.in[0].spec.dtype != DType::f32) c.refuse("float32", c.in[0].spec.text());
  w.include("math.h");
  w.define(name, source);
  int64_t n = c.in[0].spec.shape[-1], rows = n ? c.in[0].spec.shape.count() / n : 0;
  w.line(call(name, {w.pointer(c.in[0]), w.pointer(c.out[0]), rows, n}));
}
}  // namespace
const CRules softmax{[](CWriter& w, const CCall& c) {
  write_softmax(w, c, "softmax_f32", R"(static void softmax_f32(const float *x, float *y, int32_t rows, int32_t n) {
  for (int32_t r = 0; r < rows; ++r, x += n, y += n) {
    float top = x[0], sum = 0.0f;
    for (int32_t i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
    for (int32_t i = 0; i < n; ++i) sum += y[i] = expf(x[i] - top);
    for (int32_t i = 0; i < n; ++i) y[i] /= sum;
  }
}
)");
}};
const CRules log_softmax{[](CWriter& w, const CCall& c) {
  write_softmax(w, c, "log_softmax_f32", R"(static void log_softmax_f32(const float *x, float *y, int32_t rows, int32_t n) {
  for (int32_t r = 0; r < rows; ++r, x += n, y += n) {
    float top = x[0], sum = 0.0f;
    for (int32_t i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
    for (int32_t i = 0; i < n; ++i) sum += expf(x[i] - top);
    sum = top + logf(sum);
    for (int32_t i = 0; i < n; ++i) y[i] = x[i] - sum;
  }
}
)");
}};

}  // namespace miniten::c
