// What every op in the registry owes: samples, right gradients of first and second order, the same values from a
// compiled graph as from eager calls, and attributes that print and read back.
#include <algorithm>
#include "check.h"
#include "miniten/graph/passes.h"

namespace miniten {
namespace {

using check::difference;
using check::normal;

Sample in_double(const Sample& s) {
  Sample d = s;
  for (Tensor& t : d.in)
    if (t.dtype() == DType::f32) t = cast(t, DType::f64);
  return d;
}
std::vector<Tensor> run(const OpDef& op, const std::vector<Tensor>& in, const Attrs& attrs) {
  Few<Spec, max_inputs> specs;
  for (const Tensor& t : in) specs.push(t.spec());
  Specs out_specs;
  std::vector<Input> inputs(in.begin(), in.end());
  infer_outputs(op, attrs.get(), specs.span(), out_specs, inputs);
  std::vector<Tensor> out(size_t(out_specs.n));
  apply(op, inputs, attrs.get(), out);
  return out;
}

// Worst relative difference between analytic and central differences of a random projection of the outputs.
double gradient_error(const OpDef& op, const Sample& sample, bool second) {
  std::vector<Tensor> in;
  for (const Tensor& t : sample.in) {
    Tensor leaf = t.clone();
    if (t.strides() != contiguous(t.shape())) {            // keep the sample's memory order
      leaf = Tensor::empty(t.spec(), t.strides());
      copy_values(t.view(), leaf.view());
    }
    if (leaf.dtype() == DType::f64) leaf.set_requires_grad();
    in.push_back(leaf);
  }
  auto loss = [&]() -> Tensor {
    Tensor out = run(op, in, sample.attrs)[0];
    if (out.dtype() != DType::f64) out = cast(out, DType::f64);
    if (!second) return sum(out * normal(out.shape(), 7, DType::f64));
    Tensor total = sum(out * out * normal(out.shape(), 5, DType::f64));
    if (!total.requires_grad()) return total;
    Tensor all = Tensor::full({}, 0, DType::f64);
    for (const Tensor& g : gradients(total, in, true))
      if (g) all = all + sum(g * normal(g.shape(), 3, DType::f64));
    return all;
  };
  Tensor value = loss();
  if (!value.requires_grad()) return 0;
  auto grads = gradients(value, in);
  double worst = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    if (!grads[i]) continue;
    auto analytic = check::values(grads[i]);
    Strides whole = contiguous(in[i].shape());
    for (int64_t k = 0; k < in[i].numel(); ++k) {
      int64_t offset = 0;
      for (int a = 0; a < in[i].rank(); ++a) offset += k / whole[a] % in[i].dim(a) * in[i].strides()[a];
      double& x = in[i].view().as<double>()[offset];
      double saved = x, step = 1e-5;
      x = saved + step;
      double up = loss().item();
      x = saved - step;
      double down = loss().item();
      x = saved;
      double numeric = (up - down) / (2 * step);
      worst = std::max(worst, std::abs(numeric - analytic[size_t(k)]) / std::max(1.0, std::abs(numeric)));
    }
  }
  return worst;
}

class EveryOp : public testing::TestWithParam<const OpDef*> {};

TEST_P(EveryOp, HasSamples) {
  const OpDef& op = *GetParam();
  bool changes_state_only = op.traits.writes.n > 0 || op.traits.shape_only;
  EXPECT_TRUE(op.samples || changes_state_only) << op.name;
  EXPECT_FALSE(op.doc.empty()) << op.name;
}

TEST_P(EveryOp, HasRightGradients) {
  const OpDef& op = *GetParam();
  if (!op.vjp) return;
  for (const Sample& s : op.samples())
    for (bool second : {false, true}) EXPECT_LT(gradient_error(op, in_double(s), second), second ? 1e-4 : 1e-6) << op.name << (second ? " second" : " first");
}

TEST_P(EveryOp, ComputesTheSameCompiled) {
  const OpDef& op = *GetParam();
  if (!op.samples) return;
  for (const Sample& s : op.samples()) {
    auto eager = run(op, s.in, s.attrs);
    std::vector<Spec> specs;
    for (const Tensor& t : s.in) specs.push_back(t.spec());
    Graph g = trace(specs, [&](const std::vector<Tensor>& in) { return run(op, in, s.attrs); });
    bool dense = std::all_of(s.in.begin(), s.in.end(), [](const Tensor& t) { return t.view().is_contiguous(); });   // sums go along memory, which a session lays out densely
    for (const char* passes : {"none", "all"}) {
      Session session(g, {.threads = 2, .passes = {passes}});
      auto compiled = session.run(s.in);
      for (size_t i = 0; i < eager.size(); ++i) {
        EXPECT_EQ(eager[i].spec().text(), compiled[i].spec().text()) << op.name;
        EXPECT_LE(difference(eager[i], compiled[i]), dense ? 0 : 1e-6) << op.name << " with passes " << passes;
      }
    }
  }
}

TEST_P(EveryOp, FloatAndDoubleAgree) {
  const OpDef& op = *GetParam();
  if (!op.samples) return;
  for (const Sample& s : op.samples()) {
    Sample d = in_double(s);
    bool floats = false;
    for (const Tensor& t : s.in) floats |= t.dtype() == DType::f32;
    std::string refused = check::error_of([&] { run(op, d.in, d.attrs); });
    if (!floats || refused != "no error") continue;          // integer ops take no double
    EXPECT_LT(difference(run(op, s.in, s.attrs)[0], run(op, d.in, d.attrs)[0]), 2e-6) << op.name;
  }
}

TEST_P(EveryOp, AttributesReadBack) {
  const OpDef& op = *GetParam();
  if (!op.attrs.clone) return;
  std::vector<Attrs> all{Attrs(op.attrs.clone(op.attrs.defaults))};
  if (op.samples) for (const Sample& s : op.samples()) if (s.attrs) all.push_back(s.attrs);
  for (const Attrs& a : all) {
    std::string text = attrs_to_text(op.attrs, a.get());
    EXPECT_TRUE(attrs_equal(op.attrs, a.get(), attrs_from_text(op.attrs, text).get())) << text;
  }
}

TEST_P(EveryOp, RefusesAWrongNumberOfInputs) {
  const OpDef& op = *GetParam();
  std::vector<Tensor> many(size_t(op.max_inputs) + 1, Tensor::zeros({2, 2}));
  if (op.max_inputs == max_inputs) many.clear();
  std::string error = check::error_of([&] { run(op, many, nullptr); });
  EXPECT_EQ(error.rfind("[", 0), 0u) << op.name << ": " << error;
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryOp, testing::ValuesIn(all_ops()), [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace miniten
