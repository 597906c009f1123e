#include "miniten/edge/qat.h"
#include "kernels/dispatch.h"
#include "miniten/base/parallel.h"
#include "miniten/nn/layers.h"
#include "miniten/optim/optimizer.h"
#include "nets.h"

namespace miniten::edge {
namespace {

using check::error_of;
using check::normal;

std::vector<double> values(const Tensor& t) { return check::values(t); }

void train(nn::Module& m, int steps, uint64_t seed) {
  auto optimizer = make<optim::Adam>(m.parameters(), optim::Adam::Options{.lr = 1e-2});
  m.train();
  for (int i = 0; i < steps; ++i) {
    Tensor x = normal({8, 1, 8, 8}, seed + uint64_t(i));
    Tensor labels = Tensor::zeros({8}, DType::i64);
    for (int64_t k = 0; k < 8; ++k) labels.view().i64()[k] = k % 4;
    m.zero_grad();
    backward(cross_entropy(m(x), labels));
    optimizer->step();
  }
  m.eval();
}
Batches once(const Tensor& x) { return [x, given = false]() mutable { return std::exchange(given, true) ? std::vector<Tensor>{} : std::vector{x}; }; }

TEST(Qat, EvalModeIsTheIntegerModelOnEveryInstructionSetAndTeam) {
  auto net = check::small_net();
  train(*net, 4, 1);
  Tensor x = normal({5, 1, 8, 8}, 99);
  for (bool learned : {false, true}) {
    auto prepared = prepare_qat(*net, {.learned_scales = learned}, once(normal({16, 1, 8, 8}, 50)));
    train(*prepared, 3, 20);
    auto converted = convert(*prepared);
    std::vector<double> want = values((*converted)(x));
    const std::string before(kernels::isa());
    int threads = get_num_threads();
    for (std::string_view isa : kernels::available_isas())
      for (int team : {1, 3}) {
        ASSERT_TRUE(kernels::set_isa(isa));
        set_num_threads(team);
        EXPECT_EQ(values((*prepared)(x)), want) << isa << " with " << team << " threads";
        EXPECT_EQ(values((*convert(*prepared))(x)), want) << isa << " with " << team << " threads";
        Session planned = nn::compile(*prepared, {x.spec()});
        EXPECT_EQ(values(planned.run(std::vector{x})[0]), want) << isa << ", traced and planned";
      }
    kernels::set_isa(before);
    set_num_threads(threads);
  }
}

TEST(Qat, FrozenTrainingPassIsWithinAStepOfTheIntegers) {
  auto net = check::small_net();
  train(*net, 4, 1);
  auto prepared = prepare_qat(*net, {.freeze_observers_at = 0, .freeze_batch_norm_at = 0}, once(normal({64, 1, 8, 8}, 50)));
  Tensor x = normal({16, 1, 8, 8}, 7);
  prepared->train();
  auto floats = values((*prepared)(x));
  prepared->eval();
  auto integers = values((*prepared)(x));
  double step = prepared->observers().back().scale;
  for (size_t i = 0; i < floats.size(); ++i) EXPECT_NEAR(floats[i], integers[i], 3.001 * step);
}

TEST(Qat, AChannelWithoutScaleBecomesZeros) {              // gamma 0: nothing to divide by
  auto net = check::small_net();
  train(*net, 2, 1);
  net->find_module("1")->parameter_of("weight").view().f32()[3] = 0;
  for (bool learned : {false, true}) {
    auto prepared = prepare_qat(*net, {.learned_scales = learned}, once(normal({16, 1, 8, 8}, 50)));
    prepared->train();
    Tensor y = (*prepared)(normal({4, 1, 8, 8}, 3));
    backward(sum(y));
    for (double v : values(y)) ASSERT_TRUE(std::isfinite(v));
    for (auto& [name, p] : prepared->named_parameters())
      if (p.grad()) for (double v : values(p.grad())) ASSERT_TRUE(std::isfinite(v)) << name;
    auto integers = convert(*prepared);
    auto weight = integers->buffer_of("0/weight").to_vector<int8_t>();
    for (size_t k = 3 * 9; k < 4 * 9; ++k) EXPECT_EQ(weight[k], 0);
    EXPECT_EQ(values((*prepared)(normal({4, 1, 8, 8}, 5))).size(), 16u);
  }
}

TEST(FakeQuantize, PassesGradientsStraightInsideAndStopsThemOutside) {
  Tensor x = parameter(Tensor::of({5}, {-3, -0.26f, 0.1f, 1, 9})), scale = parameter(Tensor::full({}, 0.25)), zero = Tensor::full({}, 1);
  Tensor y = fake_quantize(x, scale, zero, -8, 7);
  EXPECT_EQ(values(y), (std::vector<double>{-2.25, -0.25, 0, 1, 1.5}));
  backward(sum(y));
  EXPECT_EQ(values(x.grad()), (std::vector<double>{0, 1, 1, 1, 0}));
  // q - zero, less x / scale inside: -9, -1 + 1.04, 0 - 0.4, 4 - 4, 6
  EXPECT_NEAR(scale.grad().item(), -9 + 0.04 - 0.4 + 6, 1e-5);
}

TEST(FakeQuantize, RefusesWhatDoesNotFit) {
  Tensor x = normal({2, 3}, 1), one = Tensor::ones({}), three = Tensor::ones({3});
  EXPECT_NE(error_of([&] { fake_quantize(x, three, three, -8, 7, 0); }).find("[fake_quantize]"), std::string::npos);
  EXPECT_NE(error_of([&] { fake_quantize(x, one, one, 7, 7); }).find("lo < hi"), std::string::npos);
  EXPECT_NE(error_of([&] { fake_quantize(cast(x, DType::i32), one, one, -8, 7); }).find("float"), std::string::npos);
  EXPECT_NE(error_of([&] { fake_quantize(x, three, three, -8, 7, 5); }).find("axis"), std::string::npos);
}

}  // namespace
}  // namespace miniten::edge
