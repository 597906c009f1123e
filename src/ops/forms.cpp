#include "ops/forms.h"
#include "miniten/core/pattern.h"
#include "miniten/ops/ops.h"
#include "ops/conv_chain.h"
#include "ops/conv_parts.h"
#include "ops/fused.h"
#include "ops/quantized/lowering.h"
#include "ops/sparse.h"

namespace miniten {

BF16Kind bf16_kind(const OpDef& op) {
  for (const OpDef* both : {&matmul_bf16_op, &conv2d_bf16_op, &conv_chain_bf16_op, &attention_bf16_op, &recurrent_bf16_op}) if (&op == both) return bf16_both;
  for (const OpDef* weights : {&matmul_bf16_weights_op, &conv2d_bf16_weights_op, &recurrent_bf16_weights_op}) if (&op == weights) return bf16_weights;
  return not_bf16;
}
FixedForm fixed_form(const OpDef& op) {
  if (&op == &matmul_rows_op || &op == &conv2d_rows_op) return {FixedForm::rows};
  if (&op == &matmul_columns_op || &op == &conv2d_columns_op) return {FixedForm::columns};
  if (&op == &conv2d_winograd2_op) return {FixedForm::rows, 2};
  if (&op == &conv2d_winograd4_op) return {FixedForm::rows, 4};
  return {};
}
std::vector<const OpDef*> other_forms(const Call& c) {
  if (c.in.size() < 2 || c.in[0].dtype != DType::f32 || !c.value(1)) return {};
  const bool conv = &c.op == &conv2d_op || &c.op == &conv2d_bf16_op, matmul = &c.op == &matmul_op || &c.op == &matmul_bf16_op;
  if (!conv && !(matmul && c.in[1].shape.rank == 2)) return {};
  const Shape& w = c.in[1].shape;
  const int64_t n = conv ? w[0] : w[1], rows = c.out[0].shape.count() / std::max<int64_t>(n, 1);
  const View weight = c.value(1)->view();
  const bool sparse = may_be_sparse({weight.data, w.count(), false, (n + 15) / 16, w.count() / std::max<int64_t>(n, 1), rows});
  std::vector<const OpDef*> forms;
  if (bf16_kind(c.op)) forms.push_back(conv ? &conv2d_op : &matmul_op);
  if (matmul && (c.workers > 1 || sparse)) forms.insert(forms.end(), {&matmul_rows_op, &matmul_columns_op});
  if (!conv || c.as<Conv2dAttrs>().groups != 1) return forms;
  const ConvGeometry g = conv_geometry(c.in[0].shape, w, c.out[0].shape, c.as<Conv2dAttrs>());
  if (conv::may_winograd(g) || c.workers > 1 || sparse) forms.push_back(&conv2d_rows_op);
  if (c.workers > 1 && n >= 64) forms.push_back(&conv2d_columns_op);
  if (conv::may_winograd(g) && !c.exact) forms.insert(forms.end(), {&conv2d_winograd2_op, &conv2d_winograd4_op});
  return forms;
}

bool bf16_pays(int64_t taps, int64_t outputs) {              // measured: below, laying out x takes what the product saves
  int speed = kernels::bf16_speed();
  return speed > 1 && taps >= (speed > 2 ? 24 : 16) && taps * outputs >= 1024;
}

std::optional<Lowered> narrow_form(const Call& c, Precision precision) {
  auto as = [&](const OpDef& op) {
    Lowered same{&op, nullptr, {}, {}};
    for (size_t i = 0; i < c.in.size(); ++i) same.inputs.push_back(int(i));
    return same;
  };
  if (c.in.empty() || c.in[0].dtype != DType::f32) return {};
  const bool both = precision == Precision::bf16;
  if (&c.op == &conv_chain_op) return both && kernels::bf16_speed() > 1 ? std::optional(as(conv_chain_bf16_op)) : std::nullopt;
  if (&c.op == &attention_op) return both && bf16_pays(c.in[0].shape[-1], c.in[1].shape[-1]) ? std::optional(as(attention_bf16_op)) : std::nullopt;
  if (c.in.size() < 2 || !c.value(1)) return {};
  const Shape &x = c.in[0].shape, &w = c.in[1].shape, &y = c.out[0].shape;
  if (&c.op == &recurrent_op) {
    if (!c.value(2)) return {};
    if (both && bf16_pays(c.in[2].shape[1], w[0])) return as(recurrent_bf16_op);
    return x[1] <= kernels::bf16_few_rows() ? std::optional(as(recurrent_bf16_weights_op)) : std::nullopt;
  }
  const bool matmul = &c.op == &matmul_op;
  if (!matmul && (&c.op != &conv2d_op || c.as<Conv2dAttrs>().groups != 1)) return {};
  const int64_t n = matmul ? w[-1] : w[0], taps = w.count() / std::max<int64_t>(n, 1), rows = y.count() / std::max<int64_t>(n, 1);
  if (matmul && (w.rank != 2 || taps != x[-1])) return {};
  // Below a megabyte of float32 they are in the caches, and integers cost more than they save.
  if (precision == Precision::int8_weights) return matmul && rows <= 8 && taps * n >= 262144 ? block_form(c, DType::i8, 32, true) : std::nullopt;
  // Winograd's float32 may be faster than direct products in bfloat16: beside them it takes three quarters of what the model says.
  if (!matmul && conv::choose(conv_geometry(x, w, y, c.as<Conv2dAttrs>()), false).share * kernels::bf16_speed() * 3 < 4) return {};
  // Runs of x shorter than two vectors, as of three colours, take longer to lay out than to multiply where pixels are laid out one by one.
  const bool runs = matmul || taps == w[1] || w[1] * (c.as<Conv2dAttrs>().dilation[1] == 1 ? w[3] : 1) >= 32 || (kernels::bf16_speed() == 2 && w[1] % 2 == 0);
  if (both && runs && bf16_pays(taps, n)) return as(matmul ? matmul_bf16_op : conv2d_bf16_op);
  if (rows <= kernels::bf16_few_rows()) return as(matmul ? matmul_bf16_weights_op : conv2d_bf16_weights_op);
  return {};
}

}  // namespace miniten
