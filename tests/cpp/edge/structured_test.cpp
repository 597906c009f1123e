#include "miniten/edge/pruning.h"
#include "miniten/edge/utils.h"
#include "nets.h"

// Channels that are cut out: judged by the same net with those channels' weights at zero.
namespace miniten::edge {
namespace {

using check::contains;
using check::difference;
using check::error_of;
using check::normal;
using check::small_net;
using check::values;


// A residual block and a concatenation: (N, 3, H, W) -> (N, 6, H, W).
class Residual : public nn::Module {
 public:
  Ref<nn::Conv2d> stem, a, b, c;
  Residual() {
    nn::Conv2dOptions three{.kernel_size = {3, 3}, .padding = {1, 1}};
    stem = add("stem", make<nn::Conv2d>(3, 8, three));
    a = add("a", make<nn::Conv2d>(8, 12, three));
    b = add("b", make<nn::Conv2d>(12, 8, three));
    c = add("c", make<nn::Conv2d>(20, 6, nn::Conv2dOptions{.kernel_size = {1, 1}}));
  }
  std::vector<Tensor> forward(const std::vector<Tensor>& in) override {
    Tensor x = relu((*stem)(in[0])), h = relu((*a)(x)), y = relu((*b)(h) + x);
    return {(*c)(concat(std::vector<Tensor>{y, h}, 1))};
  }
  std::string type_name() const override { return "Residual"; }
};

// The given net with every index that was cut set to zero in weights and biases of the layers that make it.
void zero_cut(nn::Module& m, const std::vector<KeptIndices>& kept) {
  NoGrad no_grad;
  for (const KeptIndices& k : kept)
    for (auto& [name, axis] : k.axes)
      for (auto& [known, t] : m.state_dict()) {
        if (known != name) continue;
        Tensor zeroed = t.clone();
        int64_t inner = 1;
        for (int i = axis + 1; i < t.rank(); ++i) inner *= t.dim(i);
        for (int64_t i = 0; i < t.numel(); ++i)
          if (!std::binary_search(k.kept.begin(), k.kept.end(), i / inner % t.dim(axis))) zeroed.view().f32()[i] = 0;
        assign(t, zeroed);
      }
}

TEST(Structured, EqualsTheNetWhoseChannelsAreZero) {
  for (double sparsity : {0.25, 0.5, 0.8})
    for (const char* importance : {"l1", "l2", "geometric_median", "random"}) {
      manual_seed(4);
      auto net = make<Residual>();
      net->eval();
      Tensor x = normal({2, 3, 7, 7}, 9);
      (*net)(x);
      auto thin = prune_model(*net, sparsity, {.method = "structured", .seed = 3, .importance = importance});
      EXPECT_LT(count_parameters(*thin).total, count_parameters(*net).total);
      Tensor y = (*thin)(x);
      zero_cut(*net, thin->kept());
      EXPECT_LT(difference(y, (*net)(x)), 1e-5) << sparsity << " " << importance;
      for (const KeptIndices& k : thin->kept()) EXPECT_TRUE(std::is_sorted(k.kept.begin(), k.kept.end()));
    }
}

TEST(Structured, WhatIsAddedGoesTogether) {
  auto net = make<Residual>();
  (*net)(normal({1, 3, 5, 5}, 1));
  auto groups = channel_groups(*net);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].layers, (std::vector<std::string>{"stem", "b"}));
  EXPECT_EQ(groups[0].channels, 8);
  EXPECT_EQ(groups[1].layers, (std::vector<std::string>{"a"}));
  EXPECT_EQ(groups[1].channels, 12);
  EXPECT_PRED2(contains, groups[1].to_text(), "c.weight[1]");
}

TEST(Structured, KeepsFloorsAndMultiples) {
  auto net = make<Residual>();
  (*net)(normal({1, 3, 5, 5}, 1));
  auto sizes = [&](const PruneOptions& o, double sparsity) {
    std::vector<int64_t> n;
    for (auto& g : channel_groups(*prune_model(*net, sparsity, o))) n.push_back(g.channels);
    return n;
  };
  for (int64_t n : sizes({.method = "structured", .scope = "layer", .round_to = 4}, 0.6)) EXPECT_EQ(n % 4, 0);
  EXPECT_EQ(sizes({.method = "structured", .min_channels = 3}, 0.99), (std::vector<int64_t>{3, 3}));
  EXPECT_EQ(sizes({.method = "structured", .scope = "layer", .ratios = {{"a", 0.75}}}, 0.5), (std::vector<int64_t>{4, 3}));
  EXPECT_PRED2(contains, error_of([&] { prune_model(*net, 0.5, {.method = "structured", .skip = {"nothing"}}); }), "skip patterns");
  EXPECT_PRED2(contains, error_of([&] { prune_model(*net, 0.5, {.method = "structured", .importance = "size"}); }), "importance");
  EXPECT_PRED2(contains, error_of([&] { prune_model(*net, 0.5, {.method = "bn_scale"}); }), "batch norms");
}

// ---- patterns and data ----
TEST(Patterns, NOfMInputsStay) {
  auto net = small_net();
  auto p = prune_model(*net, 0.5, {.skip = {"0", "3"}, .n = 2, .m = 4}, {check::small_input});
  for (auto& [name, mask] : p->masks()) {
    ASSERT_EQ(name, "7.weight");
    auto keep = values(mask);
    for (size_t i = 0; i < keep.size(); i += 4) EXPECT_EQ(keep[i] + keep[i + 1] + keep[i + 2] + keep[i + 3], 2);
  }
  EXPECT_PRED2(contains, error_of([&] { prune_model(*net, 0.7, {.n = 2, .m = 4}, {check::small_input}); }), "the sparsity of the pattern");
  EXPECT_PRED2(contains, error_of([&] { prune_model(*net, 0.5, {.n = 4, .m = 2}, {check::small_input}); }), "1 <= n < m");
  EXPECT_PRED2(contains, error_of([&] { prune_model(*small_net(), 0.5, {.n = 2, .m = 4}); }), "input shape is known");
}
TEST(Patterns, BlocksGoWhole) {
  auto net = small_net();
  auto p = prune_model(*net, 0.75, {.scope = "layer", .rows = 4, .cols = 2}, {check::small_input});
  for (auto& [name, mask] : p->masks()) {
    auto keep = values(mask);
    int64_t outputs = mask.dim(0), inputs = mask.dim(1), taps = mask.numel() / std::max<int64_t>(outputs * inputs, 1);
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t i = 0; i < inputs; ++i)
        for (int64_t t = 0; t < taps; ++t)
          EXPECT_EQ(keep[size_t((o * inputs + i) * taps + t)], keep[size_t((o / 4 * 4 * inputs + i / 2 * 2) * taps + t)]) << name;
  }
  EXPECT_NEAR(p->actual_sparsity(), 0.75, 0.01);
}
TEST(Patterns, ScoresByGradients) {
  auto net = small_net();
  net->eval();
  (*net)(normal({4, 1, 8, 8}, 2));
  int left = 2;
  PruneData data{[&](std::vector<Tensor>& inputs, Tensor& target) {
                   inputs = {normal({4, 1, 8, 8}, uint64_t(left))};
                   target = Tensor::of<int64_t>({4}, std::vector<int64_t>{0, 1, 2, 3});
                   return left-- > 0;
                 },
                 nullptr};
  auto p = prune_model(*net, 0.5, {.method = "taylor"}, {}, data);
  EXPECT_EQ(p->actual_sparsity(), 0.5);
  EXPECT_PRED2(contains, error_of([&] { prune_model(*net, 0.5, {.method = "movement"}); }), "data for method movement");
  EXPECT_PRED2(contains, error_of([&] { prune_model(*net, 0.5, {.method = "movement"}, {}, data); }), "at least one batch");   // it was read
}
TEST(Patterns, RewindingKeepsZeros) {
  auto net = small_net();
  (*net)(normal({1, 1, 8, 8}, 1));
  auto p = prune_model(*net, 0.6);
  auto masks = p->masks();
  nn::StateDict state;
  for (auto& [name, t] : net->state_dict()) state.emplace_back(name, is_float(t.dtype()) ? t * Tensor::scalar(2.0) : t);
  p->rewind(state);
  for (auto& [name, mask] : masks)
    for (auto& [known, t] : state)
      if (known == name) {
        auto want = values(t), keep = values(mask);
        std::string slashed = name;
        std::replace(slashed.begin(), slashed.end(), '.', '/');
        for (auto& [own, now] : p->state_dict())
          if (own == slashed) for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(values(now)[i], keep[i] ? want[i] : 0) << name;
      }
  state.pop_back();
  EXPECT_PRED2(contains, error_of([&] { p->rewind(state); }), "a state with every weight");
}

}  // namespace
}  // namespace miniten::edge
