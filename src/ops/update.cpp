#include "kernels/update.h"
#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"

namespace miniten {

// Ops that overwrite states.
namespace {
void same_as_first(const Call& c, size_t i) {
  if (!(c.in[i] == c.in[0])) c.fail("input " + std::to_string(i) + " like " + c.in[0].text(), c.in[i].text());
}
void require_scalar(const Call& c, size_t i, std::string_view what) {
  if (!(c.in[i] == Spec{DType::f32, {}})) c.fail(std::string(what) + " as a float32 scalar", c.in[i].text());
}
void require_wide(const Call& c) {
  if (DType t = c.in[0].dtype; t != DType::f32 && t != DType::f64)
    c.fail("float32 or float64 parameters", c.in[0].text(), "train in float32", ErrorKind::type);
}
Work update_work(const Call& c) { return {pieces_for(c.in[0].shape.count())}; }

template <class T> void adam_as(const Context& c) {
  const auto& at = c.as<AdamAttrs>();
  double step = *c.in[4].f32(), lr = *c.in[5].f32();
  kernels::AdamStep s{.lr = lr, .beta1 = at.beta1, .beta2 = at.beta2, .eps = at.eps, .weight_decay = at.weight_decay,
                      .bias1 = 1 - std::pow(double(at.beta1), step), .bias2 = 1 - std::pow(double(at.beta2), step), .decoupled = at.decoupled};
  auto [begin, end] = c.slice(c.out[0].shape().count(), 16);
  kernels::adam(s, c.in[1].as<T>() + begin, c.out[0].as<T>() + begin, c.out[1].as<T>() + begin, c.out[2].as<T>() + begin, end - begin);
}
template <class T> void sgd_as(const Context& c) {
  const auto& at = c.as<SgdAttrs>();
  bool plain = c.out.size() == 1;
  kernels::SgdStep s{.lr = *c.in[plain ? 2 : 4].f32(), .momentum = plain ? 0 : at.momentum, .dampening = at.dampening, .weight_decay = at.weight_decay,
                     .nesterov = at.nesterov, .first = !plain && *c.in[3].f32() <= 1};
  auto [begin, end] = c.slice(c.out[0].shape().count(), 16);
  kernels::sgd(s, c.in[1].as<T>() + begin, c.out[0].as<T>() + begin, s.momentum != 0 ? c.out[1].as<T>() + begin : nullptr, end - begin);
}
void sgd_eval(const Context& c) { c.out[0].spec.dtype == DType::f64 ? sgd_as<double>(c) : sgd_as<float>(c); }
}  // namespace

constinit const OpDef assign_op{.name = "assign", .doc = "state = value", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) { same_as_first(c, 1); out.push(c.in[0]); },
    .eval = [](const Context& c) { if (c.piece == 0) copy_values(c.in[1], c.out[0]); }, .traits = {.writes = {1, {0}}}, .tflite = {"ASSIGN_VARIABLE", 1, nullptr}, .c = {"assign", 0, &c::assign}};

// p, g, m, v, step, lr
constinit const OpDef adam_op{.name = "adam", .doc = "one step of Adam or AdamW; overwrites p, m, v", .min_inputs = 6, .max_inputs = 6, .outputs = 3,
    .infer = [](const Call& c, Specs& out) {
      require_wide(c);
      for (size_t i : {1, 2, 3}) same_as_first(c, i);
      require_scalar(c, 4, "the step");
      require_scalar(c, 5, "the rate");
      for (int i = 0; i < 3; ++i) out.push(c.in[0]);
    },
    .eval = [](const Context& c) { c.out[0].spec.dtype == DType::f64 ? adam_as<double>(c) : adam_as<float>(c); }, .work = update_work,
    .cost = [](const Call& c) { return Cost{0, 12 * c.in[0].shape.count()}; },
    .traits = {.dense = 2, .writes = {3, {0, 2, 3}}}, .attrs = codec<AdamAttrs>};

// p, g, buffer, step, lr
constinit const OpDef sgd_op{.name = "sgd", .doc = "one step of SGD with momentum; overwrites p and buffer", .min_inputs = 5, .max_inputs = 5, .outputs = 2,
    .infer = [](const Call& c, Specs& out) {
      require_wide(c);
      for (size_t i : {1, 2}) same_as_first(c, i);
      require_scalar(c, 3, "the step");
      require_scalar(c, 4, "the rate");
      for (int i = 0; i < 2; ++i) out.push(c.in[0]);
    },
    .eval = sgd_eval, .work = update_work,
    .cost = [](const Call& c) { return Cost{0, 4 * c.in[0].shape.count()}; },
    .traits = {.dense = 2, .writes = {2, {0, 2}}}, .attrs = codec<SgdAttrs>};

// p, g, lr
constinit const OpDef sgd_plain_op{.name = "sgd_plain", .doc = "one step of SGD without momentum; overwrites p", .min_inputs = 3, .max_inputs = 3,
    .infer = [](const Call& c, Specs& out) {
      require_wide(c);
      same_as_first(c, 1);
      require_scalar(c, 2, "the rate");
      out.push(c.in[0]);
    },
    .eval = sgd_eval, .work = update_work, .cost = [](const Call& c) { return Cost{0, 2 * c.in[0].shape.count()}; },
    .traits = {.dense = 2, .writes = {1, {0}}}, .attrs = codec<SgdAttrs>};

// States are updated in the memory order of the parameter; one that is not row-major is updated through a row-major
// copy and written back.
static bool row_major(std::initializer_list<Tensor> states) {
  for (const Tensor& t : states)
    if (!same_layout(t.shape(), t.strides(), contiguous(t.shape()))) return false;
  return true;
}
void assign(const Tensor& state, const Tensor& value) { apply(assign_op, {state, value}); }
void adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& step, const Tensor& lr, const AdamAttrs& at) {
  Tensor out[3];
  if (row_major({p, m, v})) {
    Input in[]{p, g, m, v, step, lr};
    return apply(adam_op, in, &at, out);
  }
  Tensor dense_p = copy(p), dense_m = copy(m), dense_v = copy(v);
  Input in[]{dense_p, g, dense_m, dense_v, step, lr};
  apply(adam_op, in, &at, out);
  assign(p, dense_p);
  assign(m, dense_m);
  assign(v, dense_v);
}
void sgd(const Tensor& p, const Tensor& g, const Tensor& buffer, const Tensor& step, const Tensor& lr, const SgdAttrs& at) {
  Tensor out[2];
  if (!buffer) {
    if (at.momentum != 0) throw Error(ErrorKind::value, "sgd", "a buffer for the momentum", "none");
    Tensor dense = row_major({p}) ? p : copy(p);
    Input in[]{dense, g, lr};
    apply(sgd_plain_op, in, &at, {out, 1});
    if (!dense.same(p)) assign(p, dense);
    return;
  }
  if (row_major({p, buffer})) {
    Input in[]{p, g, buffer, step, lr};
    return apply(sgd_op, in, &at, out);
  }
  Tensor dense_p = copy(p), dense_b = copy(buffer);
  Input in[]{dense_p, g, dense_b, step, lr};
  apply(sgd_op, in, &at, out);
  assign(p, dense_p);
  assign(buffer, dense_b);
}

}  // namespace miniten
