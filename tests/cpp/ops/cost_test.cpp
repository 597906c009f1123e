// The count of operations of every op in the registry, beside loops that count each product one by one.
#include <gtest/gtest.h>
#include <map>
#include <set>
#include "miniten/core/tensor.h"
#include "miniten/ops/ops.h"
#include "ops/conv_chain.h"

namespace miniten {
namespace {

struct Counted { Call call; std::vector<Spec> in, out; Cost cost; };

template <class F> void for_each_sample(const OpDef& op, F f) {
  if (!op.samples || !op.cost) return;
  for (const Sample& s : op.samples()) {
    Counted c{.call = {.op = op, .attrs = s.attrs.get()}, .in = {}, .out = {}, .cost = {}};
    for (const Tensor& t : s.in) c.in.push_back(t.spec());
    std::vector<Input> inputs(s.in.begin(), s.in.end());
    Specs out;
    infer_outputs(op, s.attrs.get(), c.in, out, inputs);
    c.out.assign(out.span().begin(), out.span().end());
    c.call.in = c.in;
    c.call.out = c.out;
    c.cost = op.cost(c.call);
    f(c);
  }
}

// Products with padding are done as well: x only tells the batch.
int64_t convolution(const Shape& x, const Shape& w, const Shape& y) {
  int64_t n = 0;
  for (Dim image = 0; image < x[0]; ++image)
    for (Dim row = 0; row < y[2]; ++row)
      for (Dim column = 0; column < y[3]; ++column)
        for (Dim o = 0; o < w[0]; ++o)
          for (Dim c = 0; c < w[1]; ++c)
            for (Dim tap = 0; tap < w[2] * w[3]; ++tap) ++n;
  return n;
}
int64_t chain(const Counted& c) {
  const auto& at = c.call.as<ConvChainAttrs>();
  int64_t n = 0;
  Shape x = c.in[0].shape;
  for (size_t stage = 0; stage < size_t(at.stages); ++stage) {
    const Shape& w = c.in[1 + 2 * stage].shape;
    const Conv2dAttrs& a = at.stage[stage];
    Shape y{x[0], w[0], 0, 0};
    for (int axis : {2, 3})
      for (Dim from = -a.padding[axis - 2]; from + a.dilation[axis - 2] * (w[axis] - 1) < x[axis] + a.padding[axis]; from += a.stride[axis - 2]) ++y[axis];
    n += convolution(x, w, y);
    x = y;
  }
  return n;
}
int64_t product(const Shape& x, const Shape& y) {
  int64_t n = 0;
  for (int64_t element = 0; element < y.count(); ++element)
    for (Dim k = 0; k < x[x.rank - 1]; ++k) ++n;
  return n;
}
int64_t recurrence(const Shape& x, const Shape& w, const Shape& u) {
  int64_t n = 0;
  for (Dim step = 0; step < x[0]; ++step)
    for (Dim row = 0; row < x[1]; ++row)
      for (Dim gate = 0; gate < u[0]; ++gate) {
        for (Dim i = 0; i < w[1]; ++i) ++n;
        for (Dim h = 0; h < u[1]; ++h) ++n;
      }
  return n;
}

using Brute = int64_t (*)(const Counted&);
const std::map<std::string_view, Brute> products{
    {"conv2d", [](const Counted& c) { return convolution(c.in[0].shape, c.in[1].shape, c.out[0].shape); }},
    {"conv2d_input", [](const Counted& c) { return convolution(c.out[0].shape, c.in[1].shape, c.in[0].shape); }},
    {"conv2d_weight", [](const Counted& c) { return convolution(c.in[0].shape, c.out[0].shape, c.in[1].shape); }},
    {"conv_chain", chain},
    {"attention", [](const Counted& c) { Shape scores = c.out[0].shape; scores[scores.rank - 1] = c.in[1].shape[-1]; return product(c.in[0].shape, scores) + product(scores, c.out[0].shape); }},
    {"qconv2d", [](const Counted& c) { return convolution(c.in[0].shape, c.in[1].shape, c.out[0].shape); }},
    {"qconv2d_dynamic", [](const Counted& c) { return convolution(c.in[0].shape, c.in[3].shape, c.out[0].shape); }},
    {"matmul", [](const Counted& c) { return product(c.in[0].shape, c.out[0].shape); }},
    {"qmatmul", [](const Counted& c) { return product(c.in[0].shape, c.out[0].shape); }},
    {"qmatmul_dynamic", [](const Counted& c) { return product(c.in[0].shape, c.out[0].shape); }},
    {"qmatmul_pair", [](const Counted& c) { return product(c.in[0].shape, c.out[0].shape); }},
    {"exact_conv2d", [](const Counted& c) { return convolution(c.in[0].shape, c.in[1].shape, c.out[0].shape); }},
    {"exact_conv2d_input", [](const Counted& c) { return convolution(c.out[0].shape, c.in[1].shape, c.in[0].shape); }},
    {"exact_matmul", [](const Counted& c) { return product(c.in[0].shape, c.out[0].shape); }},
    {"matmul_blocks", [](const Counted& c) { return product(c.in[0].shape, c.out[0].shape); }},
    {"recurrent", [](const Counted& c) { return recurrence(c.in[0].shape, c.in[1].shape, c.in[2].shape); }},
    {"recurrent_backward", [](const Counted& c) { return recurrence(c.out[0].shape, {c.in[0].shape[0], 0}, c.in[0].shape); }},   // back through time; the rest is matmul
};
// Their count is the leading term of the method: n^3 and the like.
const std::set<std::string_view> leading_terms{"linalg_inv", "linalg_solve", "linalg_det", "linalg_slogdet", "linalg_cholesky", "linalg_qr", "linalg_svd", "linalg_eigh", "linalg_pinv"};
// They compute nothing: they move, convert, draw or look up.
const std::set<std::string_view> no_arithmetic{"cast", "count", "pad", "one_hot", "nonzero", "uniform", "assign"};

TEST(Cost, ProductsAreCountedOneByOne) {
  std::set<std::string_view> seen;
  for (const OpDef* op : all_ops())
    for_each_sample(*op, [&](const Counted& c) {
      if (auto brute = products.find(op->name); brute != products.end()) {
        EXPECT_EQ(c.cost.macs, brute->second(c)) << op->name << c.in[0].text();
        EXPECT_GT(c.cost.macs, 0);
        seen.insert(op->name);
      } else if (!leading_terms.count(op->name)) {
        EXPECT_EQ(c.cost.macs, 0) << op->name << " has products that nobody counted by hand";
      }
    });
  EXPECT_EQ(seen.size(), products.size());
}

TEST(Cost, WhatComputesIsCounted) {
  for (const OpDef* op : all_ops()) {
    bool moves = op->traits.movement || op->view || op->traits.shape_only || no_arithmetic.count(op->name);
    EXPECT_NE(bool(op->cost), moves) << op->name;
  }
}

TEST(Cost, ElementwiseWorkIsWholeOperationsOnEachElement) {
  for (const OpDef* op : all_ops())
    for_each_sample(*op, [&](const Counted& c) {
      if (!op->traits.pointwise || products.count(op->name)) return;
      int64_t elements = c.out[0].shape.count();
      EXPECT_GE(c.cost.flops, elements) << op->name;
      EXPECT_EQ(c.cost.flops % std::max<int64_t>(1, elements), 0) << op->name;
    });
}

TEST(Cost, ReductionsDoOneOperationForEachElementRead) {
  for (const char* name : {"sum", "max", "min"})
    for_each_sample(*find_op(name), [&](const Counted& c) { EXPECT_EQ(c.cost.flops, c.in[0].shape.count()) << name; });
}

}  // namespace
}  // namespace miniten
