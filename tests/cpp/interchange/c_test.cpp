#include "miniten/interchange/c.h"
#include <gmock/gmock.h>
#include <cmath>
#include "miniten/ops/ops.h"

namespace miniten {
namespace {

using testing::HasSubstr;
using testing::Not;

Tensor ramp(const Shape& shape) {
  Tensor t = Tensor::empty({DType::f32, shape});
  for (int64_t i = 0; i < t.numel(); ++i) t.view().f32()[i] = std::sin(float(i));
  return t;
}
Graph small_net() {
  Tensor w = ramp({4, 3, 3, 3}), head = ramp({5, 4});
  return trace({{DType::f32, {1, 3, 6, 6}}}, [&](const std::vector<Tensor>& in) {
    Tensor y = relu(conv2d(in[0], w, {}, {.padding = {1, 1, 1, 1}}));
    return std::vector<Tensor>{linear(mean(y, {2, 3}), head, {})};
  });
}

TEST(CSource, NamesSizesAndTheArenaOfThePlan) {
  CSource s = c_source(small_net(), "net");
  EXPECT_THAT(s.header, HasSubstr("#define NET_ARENA_BYTES " + std::to_string(s.arena_bytes)));
  EXPECT_THAT(s.header, HasSubstr("#define NET_INPUT_SIZE 108 "));
  EXPECT_THAT(s.header, HasSubstr("#define NET_OUTPUT_TYPE float\n"));
  EXPECT_THAT(s.header, HasSubstr("void net_run(const float *input, float *output);"));
  EXPECT_THAT(s.header, Not(HasSubstr("SCALE")));
  EXPECT_EQ(s.macs, cost_of(s.graph).macs);
  EXPECT_GT(s.arena_bytes, 4u * 6 * 6 * 4);                 // the convolution's output and its window
  EXPECT_FALSE(s.streams);
}
TEST(CSource, OnlyCodeThatIsUsedAndTheSameEachTime) {
  CSource s = c_source(small_net());
  EXPECT_THAT(s.source, HasSubstr("static void conv_f32("));
  EXPECT_THAT(s.source, Not(HasSubstr("depthwise")));
  EXPECT_THAT(s.source, Not(HasSubstr("malloc")));
  EXPECT_EQ(s.source, c_source(small_net()).source);
}
TEST(CSource, WeightsOfFewValuesOrWithZerosInUnitsArePacked) {
  auto source = [](auto value) {
    Tensor w = Tensor::empty({DType::f32, {16, 24}});
    for (int64_t i = 0; i < w.numel(); ++i) w.view().f32()[i] = value(i / 24, i % 24);
    return c_source(trace({{DType::f32, {1, 24}}}, [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{linear(in[0], w, {})}; }));
  };
  CSource few = source([](int64_t o, int64_t i) { return float((o * 5 + i) % 7); });
  EXPECT_THAT(few.source, HasSubstr("static void dense_f32_3bit("));
  EXPECT_EQ(few.dense_weight_bytes - few.weight_bytes, 16u * 24 * 4 - (16 * 24 * 3 / 8 + 7 * 4));
  CSource blocks = source([](int64_t o, int64_t i) { return (i + o / 4) % 3 ? 0.0f : std::sin(float(o * 24 + i)); });
  EXPECT_THAT(blocks.source, HasSubstr("static void dense_f32_skip("));
  EXPECT_EQ(blocks.dense_weight_bytes - blocks.weight_bytes, 16u * 24 * 4 - (32 * 4 * 4 + 32 + 4 * 2));
  CSource dense = source([](int64_t o, int64_t i) { return std::sin(float(o * 24 + i)); });
  EXPECT_EQ(dense.dense_weight_bytes, dense.weight_bytes);
}
TEST(CSource, StatesAreKeptFromStepToStep) {
  Tensor state = Tensor::full({2}, 3);
  CSource s = c_source(trace({{DType::f32, {2}}}, [&](const std::vector<Tensor>& in) {
    Tensor y = in[0] + state;
    assign(state, y);
    return std::vector<Tensor>{y};
  }), "sum");
  EXPECT_TRUE(s.streams);
  EXPECT_EQ(s.state_bytes, 8u);
  EXPECT_THAT(s.header, HasSubstr("void sum_reset(void);"));
  EXPECT_THAT(s.header, HasSubstr("void sum_step(const float *input, float *output);"));
  EXPECT_THAT(s.source, HasSubstr("_initial[2] = {\n  3.0f, 3.0f\n};"));
}
TEST(CSource, GradientsOfClampsAskOnlyForBoundsThatAreThere) {
  auto source = [](ClampAttrs at) {
    return c_source(trace({{DType::f32, {4}}, {DType::f32, {4}}}, [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{apply(clamp_slope_op, {in[0], in[1]}, at)}; })).source;
  };
  EXPECT_THAT(source({-1, 2}), HasSubstr("b >= -1.0f && b <= 2.0f ? a : 0.0f"));
  EXPECT_THAT(source({-infinity, 2}), HasSubstr("= b <= 2.0f ? a : 0.0f"));
  EXPECT_THAT(source({0, infinity}), HasSubstr("= b >= 0.0f ? a : 0.0f"));
}
TEST(CSource, RecurrentLayersStream) {
  RecurrentWeights w{ramp({12, 2}), ramp({12, 3}), ramp({12}), ramp({12})};
  auto layer = [&](bool reverse) {
    NoGrad no_grad;
    return trace({{DType::f32, {1, 1, 2}}}, [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{recurrent(CellKind::lstm, in[0], w, {}, {}, {}, reverse).y}; });
  };
  EXPECT_FALSE(c_source(layer(true)).streams);
  CSource s = c_source(layer(false), "net", true);
  EXPECT_TRUE(s.streams);
  EXPECT_EQ(s.state_bytes, 2u * 3 * 4);
  EXPECT_EQ(s.graph.states.size(), 2u);
  EXPECT_THAT(s.header, HasSubstr("void net_step(const float *input, float *output);"));
  EXPECT_THROW(c_source(layer(true), "net", true), Error);
  EXPECT_THROW(c_source(small_net(), "net", true), Error);
}
TEST(CSource, WhatRepeatsIsALoop) {
  enum Kind { plain, weights_differ, read_between };
  auto source = [](int64_t steps, Kind kind = plain) {
    Tensor shared = ramp({4, 4});
    return c_source(trace({{DType::f32, {steps, 1, 4}}}, [&](const std::vector<Tensor>& in) {
      std::vector<Tensor> all;
      Tensor h = select(in[0], 0, 0);
      for (int64_t t = 1; t < steps; ++t) {
        Tensor own = Tensor::full({4, 4}, double(t));
        h = tanh(linear(h, kind == weights_differ ? own : shared, {}) + select(in[0], 0, t));
        all.push_back(h);
      }
      return std::vector<Tensor>{kind == read_between ? all[1] * all[2] : stack(all, 0), h};
    }));
  };
  CSource few = source(6), many = source(60);
  EXPECT_THAT(few.source, HasSubstr("for (int32_t step = 0; step < 5; ++step) {"));
  EXPECT_THAT(many.source, HasSubstr("for (int32_t step = 0; step < 59; ++step) {"));
  EXPECT_LT(many.source.size(), few.source.size() + 100);
  EXPECT_EQ(many.macs, 59 * 16);
  EXPECT_EQ(many.arena_bytes, few.arena_bytes);             // the sequence is the caller's
  for (Kind kind : {weights_differ, read_between}) EXPECT_THAT(source(6, kind).source, Not(HasSubstr("++step")));
}
TEST(CSource, RefusesWhatItCannotWrite) {
  auto graph_of = [](Spec x, Tensor (*f)(const Tensor&)) { return trace({x}, [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{f(in[0])}; }); };
  auto message = [](const Graph& g, const std::string& name = "model") {
    try { c_source(g, name); } catch (const Error& e) { return std::string(e.what()); }
    return std::string();
  };
  EXPECT_THAT(message(graph_of({DType::f32, {3, 4}}, [](const Tensor& x) { return argsort(x, 1); })), HasSubstr("argsort"));
  EXPECT_THAT(message(graph_of({DType::f64, {3}}, [](const Tensor& x) { return exp(x); })), HasSubstr("exp with float32"));
  EXPECT_THAT(message(graph_of({DType::f32, {symbol("batch"), 3}}, [](const Tensor& x) { return exp(x); })), HasSubstr("known sizes"));
  EXPECT_THAT(message(graph_of({DType::f32, {3}}, [](const Tensor& x) { return exp(x); }), "while"), HasSubstr("name that C can have"));
}

}  // namespace
}  // namespace miniten
