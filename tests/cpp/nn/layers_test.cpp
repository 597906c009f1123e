#include "check.h"
#include "miniten/nn/attention.h"
#include "miniten/nn/graph_layers.h"
#include "miniten/nn/init.h"
#include "miniten/nn/recurrent.h"
#include "miniten/nn/spatial.h"
#include "miniten/optim/lr_scheduler.h"

namespace miniten {
namespace {

namespace F = nn::functional;
using check::difference;
using check::error_of;
using check::normal;

TEST(Functional, TransposedConvolutionIsTheAdjoint) {
  Tensor x = normal({2, 3, 5, 4}, 1), w = normal({6, 3, 3, 2}, 2), y = conv2d(x, w, {}, {.stride = {2, 1}, .padding = {1, 0, 1, 0}});
  Tensor g = normal(y.shape(), 3), back = F::conv_transpose2d(g, w, {}, {2, 1}, {1, 0}, {0, 0}, 1, {1, 1});
  EXPECT_LT(std::abs(sum(y * g).item() - sum(x * back).item()), 1e-3);
}

TEST(Functional, LossesAgreeWithTheirParts) {
  Tensor x = normal({4, 3}, 1), labels = Tensor::of<int64_t>({4}, std::vector<int64_t>{0, 2, 1, 2});
  EXPECT_LT(difference(F::cross_entropy(x, labels), F::nll_loss(log_softmax(x, 1), labels)), 1e-6);
  EXPECT_LT(difference(F::cross_entropy(x, labels), cross_entropy(x, labels)), 1e-6);
  EXPECT_LT(difference(F::cross_entropy(x, cast(one_hot(labels, 3), DType::f32)), cross_entropy(x, labels)), 1e-6);
  EXPECT_EQ(F::cross_entropy(x, labels, {.ignore_index = 2, .reduction = F::Reduction::none}).shape(), Shape{4});
  EXPECT_NE(error_of([&] { F::mse_loss(x, labels); }).find("[mse_loss] expected a target of shape (4, 3)"), std::string::npos);
}

TEST(Recurrent, StreamsGiveTheSequenceAgain) {
  manual_seed(1);
  nn::LSTM lstm(3, 4, {.num_layers = 2});
  Tensor x = normal({5, 2, 3}, 1);
  NoGrad no_grad;
  auto whole = lstm.forward({x});
  std::vector<Tensor> state;
  for (int t = 0; t < 5; ++t) {
    auto out = lstm.step(select(x, 0, t), state);
    EXPECT_LT(difference(out[0], select(whole[0], 0, t)), 1e-6);
    state = {out[1], out[2]};
  }
  EXPECT_LT(difference(state[1], whole[2]), 1e-6);
  EXPECT_NE(error_of([&] { lstm.run(x, {}, {5, 6}); }).find("lengths in [1, 5]"), std::string::npos);
}

TEST(Attention, CacheGivesTheCausalSequenceAgain) {
  nn::MultiheadAttention mha(8, 2, {.batch_first = true});
  Tensor x = normal({2, 4, 8}, 1), whole = mha.attend(x, x, x, {.is_causal = true}).first;
  auto cache = mha.new_cache(2, 4);
  for (int t = 0; t < 4; ++t) {
    Tensor one = slice(x, 1, t, t + 1);
    EXPECT_LT(difference(mha.attend(one, one, one, {.cache = cache}).first, slice(whole, 1, t, t + 1)), 1e-6);
  }
}

TEST(GraphConv, SparseIsDense) {
  nn::GraphConv conv(3, 2, true, true, nn::GraphNorm::sym);
  Tensor edges = Tensor::of<int64_t>({2, 4}, std::vector<int64_t>{0, 1, 1, 2, 1, 0, 2, 1});
  auto sparse = sparse_coo(edges, {}, Shape{3, 3});
  Tensor x = normal({3, 3}, 1);
  EXPECT_LT(difference(conv.convolve(x, sparse), conv.convolve(x, to_dense(*sparse))), 1e-6);
}

TEST(Module, HooksAndDtypes) {
  auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(3, 4), make<nn::LeakyReLU>(0.1), make<nn::Dropout>(0.5)});
  int calls = 0;
  int number = net->child("0")->add_forward_hook([&](nn::Module&, auto&, auto& out) -> std::optional<std::vector<Tensor>> { ++calls; return std::vector<Tensor>{out[0] * 0.0}; });
  net->eval();
  EXPECT_EQ(sum(abs((*net)(normal({2, 3}, 1)))).item(), 0);
  EXPECT_TRUE(net->child("0")->remove_hook(number));
  EXPECT_NE(sum(abs((*net)(normal({2, 3}, 1)))).item(), 0);
  EXPECT_EQ(calls, 1);
  net->to(DType::f64);
  EXPECT_EQ((*net)(normal({2, 3}, 1, DType::f64)).dtype(), DType::f64);
  EXPECT_EQ(net->find_module("1")->type_name(), "LeakyReLU");
  EXPECT_FALSE(net->find_module("1.x"));
}

TEST(Init, IsOrthogonal) {
  Tensor w = nn::init::orthogonal_(Tensor::zeros({5, 7}), 2), product = matmul(w, transpose(w));
  for (int i = 0; i < 5; ++i) for (int j = 0; j < 5; ++j) EXPECT_NEAR(select(select(product, 0, i), 0, j).item(), i == j ? 4 : 0, 1e-5);
}

TEST(Optimizers, AllGoDownhillInGroups) {
  auto run = [](auto make_optimizer) {
    Tensor p = parameter(normal({4}, 1)), q = parameter(normal({3}, 2));
    auto o = make_optimizer(std::vector<optim::GroupSpec>{{{p}, {{"lr", 0.05}}}, {{q}, {{"lr", 0.02}}}});
    double first = 0, last = 0;
    for (int i = 0; i < 200; ++i) {
      o->zero_grad();
      Tensor loss = sum(square(p)) + sum(square(q));
      backward(loss);
      o->step();
      (i ? last : first) = loss.item();
    }
    EXPECT_LT(last, 0.5 * first) << o->type_name();
    EXPECT_EQ(o->steps(), 200);
    EXPECT_NEAR(o->lr(1), 0.02, 1e-8);
  };
  run([](auto g) { return make<optim::SGD>(g, optim::SGD::Options{}); });
  run([](auto g) { return make<optim::Adam>(g, optim::Adam::Options{.amsgrad = true}); });
  run([](auto g) { return make<optim::NAdam>(g, optim::NAdam::Options{}); });
  run([](auto g) { return make<optim::RAdam>(g, optim::RAdam::Options{}); });
  run([](auto g) { return make<optim::RMSprop>(g, optim::RMSprop::Options{.centered = true}); });
  run([](auto g) { return make<optim::Adagrad>(g, optim::Adagrad::Options{}); });
  run([](auto g) { return make<optim::Lion>(g, optim::Lion::Options{}); });
  EXPECT_NE(error_of([] { optim::SGD(std::vector<Tensor>{parameter(Tensor::ones({1}))}, {.momentum = -1}); }).find("momentum"), std::string::npos);
}

TEST(Schedulers, JoinWithoutASeam) {
  Tensor p = parameter(Tensor::ones({1}));
  Ref<optim::Optimizer> o = make<optim::SGD>(std::vector<Tensor>{p}, optim::SGD::Options{.lr = 1});
  auto s = optim::SequentialLR(o, {optim::LinearWarmup(o, 4), optim::CosineAnnealingLR(o, 10)}, {4});
  EXPECT_NEAR(o->lr(), 0.25, 1e-6);
  for (int i = 0; i < 4; ++i) s->step();
  EXPECT_NEAR(o->lr(), 1, 1e-6);
  for (int i = 0; i < 30; ++i) s->step();
  EXPECT_NEAR(o->lr(), 0, 1e-6);
}

}  // namespace
}  // namespace miniten
