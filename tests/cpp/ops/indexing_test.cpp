#include <gtest/gtest.h>
#include "miniten/graph/graph.h"
#include "miniten/ops/ops.h"

namespace miniten {

TEST(Indexing, AnEmptyTableTakesNoIndices) {
  auto traced = [](auto f) { return trace({{DType::f32, {3, 2}}, {DType::i64, {3}}}, [&](const std::vector<Tensor>& in) { return std::vector{f(in[0], in[1])}; }); };
  EXPECT_THROW(traced([](const Tensor& values, const Tensor& rows) { return scatter_add(values, rows, 0); }), Error);
  EXPECT_THROW(traced([](const Tensor&, const Tensor& rows) { return gather(Tensor::zeros({0, 2}), rows); }), Error);
}

}  // namespace miniten
