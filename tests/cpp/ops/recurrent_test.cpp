#include <gtest/gtest.h>
#include "check.h"
#include "miniten/graph/session.h"
#include "miniten/ops/ops.h"
#include "ops/forms.h"
#include "ops/recurrent.h"

namespace miniten {
namespace {

using check::difference;
using check::normal;

std::vector<Tensor> run(const OpDef& op, const RecurrentAttrs& attrs, const std::vector<Tensor>& in) {
  std::vector<Input> inputs(in.begin(), in.end());
  std::vector<Tensor> out(4);
  apply(op, inputs, &attrs, out);
  return out;
}

TEST(Recurrent, FactorsGiveWhatTheirProductGives) {
  for (const Sample& s : recurrent_op.samples()) {
    const auto& attrs = *static_cast<const RecurrentAttrs*>(s.attrs.get());
    for (DType t : {DType::f32, DType::f64}) {
      std::vector<Tensor> in = s.in;
      for (Tensor& v : in) if (v.dtype() == DType::f32) v = cast(v, t);
      Tensor left = cast(normal({in[2].dim(0), 2}, 1), t), right = cast(normal({2, in[2].dim(1)}, 2), t);
      in[2] = matmul(left, right);
      auto want = run(recurrent_op, attrs, in);
      in[2] = left;
      in.insert(in.begin() + 3, right);
      auto got = run(recurrent_factored_op, attrs, in);
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_EQ(got[i].spec(), want[i].spec());
        EXPECT_LT(difference(got[i], want[i]), t == DType::f32 ? 1e-6 : 1e-14) << attrs.cell << " " << i;
      }
    }
  }
}

TEST(Recurrent, FactorsMustMeet) {
  RecurrentAttrs attrs{.cell = "gru"};
  std::vector<Tensor> in{normal({4, 2, 5}, 1), normal({18, 5}, 2), normal({18, 2}, 3), normal({3, 6}, 4)};
  EXPECT_TRUE(check::contains(check::error_of([&] { run(recurrent_factored_op, attrs, in); }), "factors (3 * H, R) and (R, H)"));
}

}  // namespace
}  // namespace miniten
