#include "check.h"
#include "miniten/base/parallel.h"
#include "miniten/nn/graph_module.h"
#include "miniten/nn/layers.h"
#include "miniten/optim/lr_scheduler.h"

namespace miniten {
namespace {

using check::difference;
using check::error_of;
using check::normal;

nn::ModuleRef small_net() {
  manual_seed(3);
  return make<nn::Sequential>(std::vector<nn::ModuleRef>{
      make<nn::Conv2d>(1, 8, nn::Conv2dOptions{.kernel_size = {3, 3}, .padding = {1, 1}, .bias = false}), make<nn::BatchNorm2d>(8), make<nn::ReLU>(),
      make<nn::DepthwiseSeparableConv2d>(8, 16, nn::Conv2dOptions{.kernel_size = {3, 3}, .padding = {1, 1}}), make<nn::ReLU>(),
      make<nn::MaxPool2d>(Dims{2, 2}), make<nn::Flatten>(), make<nn::Dropout>(0.1f), make<nn::Linear>(16 * 4 * 4, 4)});
}

double train(const nn::ModuleRef& net, int steps, double* first = nullptr) {
  Tensor x = normal({32, 1, 8, 8}, 1), y = argmax(reshape(x, {32, 4, 16}), 1);
  y = argmax(sum(reshape(x, {32, 4, 16}), {2}), 1);
  auto optimizer = make<optim::AdamW>(net->parameters(), optim::Adam::Options{.lr = 1e-2, .weight_decay = 1e-3});
  double loss_value = 0;
  for (int i = 0; i < steps; ++i) {
    optimizer->zero_grad();
    Tensor loss = cross_entropy((*net)(x), y);
    backward(loss);
    optimizer->step();
    loss_value = loss.item();
    if (i == 0 && first) *first = loss_value;
  }
  return loss_value;
}

TEST(Training, LearnsAndRepeatsToTheBit) {
  double first = 0, a = train(small_net(), 40, &first), b = train(small_net(), 40);
  EXPECT_LT(a, 0.2 * first);
  EXPECT_EQ(a, b);
}

TEST(Training, GivesTheSameBitsForAnyNumberOfThreads) {
  int before = get_num_threads();
  set_num_threads(1);
  double a = train(small_net(), 10);
  set_num_threads(2);
  double b = train(small_net(), 10);
  set_num_threads(before);
  EXPECT_EQ(a, b);
}

TEST(Module, StateDictHasTorchNames) {
  std::string names;
  for (auto& [name, t] : small_net()->state_dict()) names += name + " ";
  EXPECT_EQ(names, "0.weight 1.weight 1.bias 1.running_mean 1.running_var 1.num_batches_tracked 3.depthwise.weight 3.depthwise.bias "
                   "3.pointwise.weight 3.pointwise.bias 8.weight 8.bias ");
}

TEST(Module, LoadsStrictlyOrNotAtAll) {
  auto net = small_net();
  auto d = net->state_dict();
  nn::StateDict other;
  for (auto& [name, t] : d) other.emplace_back(name, t * 0.0);
  other.erase(other.begin());
  other[0].second = Tensor::zeros({9});
  other.emplace_back("extra", Tensor::zeros({1}));
  std::string e = error_of([&] { net->load_state_dict(other); });
  for (const char* part : {"missing 0.weight", "unexpected extra", "1.weight: wanted (8,), got (9,)"}) EXPECT_NE(e.find(part), std::string::npos) << e;
  EXPECT_NE(check::values(net->state_dict()[0].second)[0], 0);        // nothing was changed
}

TEST(Module, RefusesCyclesAndWrongShapes) {
  auto outer = make<nn::Sequential>(), inner = make<nn::Sequential>();
  outer->append(inner);
  EXPECT_NE(error_of([&] { inner->append(outer); }).find("cycle"), std::string::npos);
  EXPECT_NE(error_of([&] { (*small_net())(normal({2, 3, 8, 8}, 1)); }).find("[conv2d] expected input of 1 channels"), std::string::npos);
  EXPECT_NE(error_of([&] { make<nn::Conv2d>(3, 8, nn::Conv2dOptions{.groups = 2}); }).find("groups"), std::string::npos);
  EXPECT_NE(error_of([&] { cross_entropy(normal({2, 3}, 1), Tensor::full({2}, 3, DType::i64)); }).find("labels in [0, 3)"), std::string::npos);
}

TEST(GraphModule, RunsTrainsAndFollowsItsWeights) {
  auto net = small_net();
  Tensor x = normal({5, 1, 8, 8}, 9);
  (*net)(x);
  nn::GraphModule module(nn::trace_module(*net, {x.spec()}));
  EXPECT_NE(module.graph().to_text().find("(batch, 1, 8, 8)"), std::string::npos);
  net->eval();
  module.eval();
  EXPECT_LT(difference(module(x), (*net)(x)), 1e-5);
  EXPECT_LT(difference(module(normal({2, 1, 8, 8}, 8)), (*net)(normal({2, 1, 8, 8}, 8))), 1e-5);       // another batch
  EXPECT_EQ(module.session_count(), 2u);
  Tensor before = module(x);
  module.train();
  optim::SGD sgd(module.parameters(), {.lr = 0.1});
  backward(sum(square(module(x))));
  sgd.step();
  module.eval();
  EXPECT_GT(difference(module(x), before), 1e-4);                     // packed weights were made anew
}

TEST(GraphModule, SnapshotsAModelThatNeverRan) {
  auto net = small_net();
  nn::GraphModule lazy(net, {});
  net->eval();
  lazy.eval();
  Tensor x = normal({3, 1, 8, 8}, 9), want = (*net)(x);
  for (auto& [name, t] : net->state_dict()) if (is_float(t.dtype())) { NoGrad n; assign(t, t * 0.0); }
  EXPECT_LT(difference(lazy(x), want), 1e-5);
}

TEST(Tape, RefusesOverwrittenValuesAndFreesLongChains) {
  Tensor w = Tensor::of({2}, {1, 2}).set_requires_grad();
  Tensor loss = sum(w * w);
  { NoGrad n; assign(w, Tensor::of({2}, {5, 6})); }
  std::string e = error_of([&] { backward(loss); });
  EXPECT_EQ(e.rfind("[mul]", 0), 0u) << e;
  EXPECT_NE(e.find("assign"), std::string::npos);
  Tensor p = Tensor::ones({4}).set_requires_grad(), chain = p;
  for (int i = 0; i < 100000; ++i) chain = chain + 1.0;
  backward(sum(chain));
  EXPECT_EQ(check::values(p.grad())[0], 1);
}

TEST(Schedulers, StayAtTheirEnd) {
  EXPECT_DOUBLE_EQ(optim::warmup_cosine_lr(1, 0, 10, 100), 0.1);
  EXPECT_DOUBLE_EQ(optim::warmup_cosine_lr(1, 9, 10, 100), 1);
  EXPECT_NEAR(optim::warmup_cosine_lr(1, 100, 10, 100, 0.01), 0.01, 1e-12);
  EXPECT_NEAR(optim::warmup_cosine_lr(1, 500, 10, 100, 0.01), 0.01, 1e-12);
  EXPECT_NEAR(optim::cosine_annealing_lr(1, 75, 50), 0, 1e-12);
}

}  // namespace
}  // namespace miniten
