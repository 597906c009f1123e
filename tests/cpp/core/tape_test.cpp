// What the tape promises to C++: gradients of computed tensors, hooks, updates in place, checkpoints, anomalies.
#include "check.h"
#include "miniten/core/autograd.h"
#include "miniten/ops/linalg.h"

namespace miniten {
namespace {

using check::error_of;

Tensor leaf(std::initializer_list<float> values) { return Tensor::of({int64_t(values.size())}, values).set_requires_grad(); }

TEST(Tape, GradientsOfComputedTensors) {
  Tensor x = leaf({1, 2}), y = x * x, z = sum(y * y * x);
  Tensor wanted[] = {y, x};
  auto g = gradients(z, wanted);
  EXPECT_EQ(g[0].to_vector<float>(), (std::vector<float>{2, 16}));
  EXPECT_EQ(g[1].to_vector<float>(), (std::vector<float>{5, 80}));
}

TEST(Tape, HooksChangeGradients) {
  Tensor x = leaf({1, 2}), y = x * 3.0;
  int64_t id = add_hook(y, [](const Tensor& g) { return g * 10.0; });
  int calls = 0;
  add_hook(x, [&](const Tensor&) { ++calls; return Tensor(); });
  backward(sum(y * y), {}, true);
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{180, 360}));
  remove_hook(y, id);
  x.set_grad({});
  retain_grad(y);
  backward(sum(y * y));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{18, 36}));
  EXPECT_EQ(y.grad().to_vector<float>(), (std::vector<float>{6, 12}));
  EXPECT_EQ(calls, 2);
}

TEST(Tape, UpdatesInPlace) {
  Tensor x = leaf({1, 2}), y = x * 2.0, view = slice(y, 0, 1, 2);
  Storage* memory = y->storage.get();
  update_in_place(y, mul_op, [&](const Tensor& old) { return old * x; });
  EXPECT_EQ(y->storage.get(), memory);
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{2, 8}));
  EXPECT_NE(error_of([&] { view + 1.0; }).find("mul overwrote through another view"), std::string::npos);
  backward(sum(y));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{4, 8}));
  EXPECT_NE(error_of([&] { update_in_place(x, mul_op, [](const Tensor& old) { return old * 2.0; }); }).find("no_grad"), std::string::npos);
  EXPECT_NE(error_of([&] { update_in_place(y, sum_op, [](const Tensor& old) { return sum(old); }); }).find("own shape"), std::string::npos);
}

TEST(Tape, CheckpointsRunAgain) {
  Tensor w = leaf({0.5f, -1}), x = leaf({1, 2});
  int runs = 0;
  auto f = [&](const std::vector<Tensor>& in) {
    ++runs;
    return std::vector<Tensor>{tanh(in[0] * w) * in[0]};
  };
  backward(sum(f({x * 2.0})[0]));
  auto gx = x.grad().to_vector<float>(), gw = w.grad().to_vector<float>();
  x.set_grad({});
  w.set_grad({});
  runs = 0;
  Tensor y = checkpoint(f, {x * 2.0})[0];
  EXPECT_EQ(producer_of(y)->name, "checkpoint");
  EXPECT_EQ(runs, 1);
  backward(sum(y));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(x.grad().to_vector<float>(), gx);
  EXPECT_EQ(w.grad().to_vector<float>(), gw);
}

TEST(Tape, AnomaliesNameOpAndPlace) {
  set_place_reporter([]() -> std::string { return "the test"; });
  Tensor x = leaf({0, 4}), y;
  {
    Swap on(mode().anomaly, true);
    y = sqrt(x - 4.0) * 0.0;
    std::string error = error_of([&] { backward(sum(y), {}, true); });
    EXPECT_NE(error.find("[sqrt]"), std::string::npos) << error;
    EXPECT_NE(error.find("made at the test"), std::string::npos) << error;
  }
  set_place_reporter(nullptr);
  backward(sum(y));
}

TEST(Tape, WhatHasNoGradientSaysSo) {
  OpDef plain{.name = "plain", .infer = [](const Call& c, Specs& out) { out.push(c.in[0]); }, .eval = [](const Context& c) { copy_values(c.in[0], c.out[0]); }};
  EXPECT_EQ(error_of([&] { backward(sum(apply(plain, {leaf({2, 1})}))); }), "[plain] expected an op with a gradient, got one without (detach() its result)");
}

TEST(Tape, IsFreedUnlessItIsRetained) {
  Tensor x = leaf({1, 2}), y = sum(x * x);
  backward(y, {}, true);
  backward(y);
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{4, 8}));
  EXPECT_NE(error_of([&] { backward(y); }).find("[mul] expected the values it saved for its gradient, got a tape that an earlier backward freed"), std::string::npos);
  Tensor wanted[] = {x}, z = sum(x * x * x), slope = gradients(z, wanted, true)[0];
  EXPECT_EQ(gradients(sum(slope), wanted)[0].to_vector<float>(), (std::vector<float>{6, 12}));
}

}  // namespace
}  // namespace miniten
