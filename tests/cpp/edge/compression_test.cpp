#include <filesystem>
#include <fstream>
#include <set>
#include "miniten/core/autograd.h"
#include "miniten/edge/budget.h"
#include "nets.h"

namespace miniten::edge {
namespace {

using check::contains;
using check::difference;
using check::error_of;
using check::Folder;
using check::normal;
using check::small_input;
using check::small_net;
using check::values;

std::set<double> distinct(const Tensor& t) {
  auto v = values(t);
  return {v.begin(), v.end()};
}
Tensor weight_of(const nn::Module& m, const std::string& name) {
  for (auto& [known, t] : m.state_dict()) if (known == name) return t;
  ADD_FAILURE() << name;
  return {};
}

// ---- weight sharing ----
double least_cost(std::vector<double> v, size_t begin, int64_t k) {             // every way to cut the sorted values
  auto cost = [&](size_t a, size_t b) {
    double mean = 0, sum = 0;
    for (size_t i = a; i < b; ++i) mean += v[i] / double(b - a);
    for (size_t i = a; i < b; ++i) sum += (v[i] - mean) * (v[i] - mean);
    return sum;
  };
  if (k == 1) return cost(begin, v.size());
  double least = HUGE_VAL;
  for (size_t end = begin + 1; end + size_t(k) - 1 <= v.size(); ++end) least = std::min(least, cost(begin, end) + least_cost(v, end, k - 1));
  return least;
}
TEST(Kmeans, FindsTheLeastCost) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Tensor t = normal({11}, seed);
    auto sorted = values(t);
    std::sort(sorted.begin(), sorted.end());
    for (int64_t k = 1; k <= 6; ++k) {
      Clusters c = kmeans_1d(t.to_vector<float>(), k);
      EXPECT_NEAR(c.cost, least_cost(sorted, 0, k), 1e-6) << seed << " " << k;
      EXPECT_TRUE(std::is_sorted(c.centroids.begin(), c.centroids.end()));
    }
  }
}

TEST(Kmeans, EndsWhereOneValueOutweighsTheSumsOfAllOthers) {
  for (int64_t k = 1; k <= 4; ++k) {
    Clusters c = kmeans_1d(std::vector<float>{-3e38f, 1, 2, 3}, k);
    EXPECT_EQ(c.centroids.size(), size_t(k));
    EXPECT_TRUE(std::is_sorted(c.centroids.begin(), c.centroids.end(), std::less_equal<>()));      // none twice
  }
}

TEST(WeightSharing, ValuesThatTrainMoveAsOneByTheSumOfTheirGradients) {
  auto net = small_net();
  Tensor x = normal(small_input.shape, 2), labels = Tensor::of<int64_t>({2}, std::vector<int64_t>{1, 3});
  (*net)(x);
  auto shared = weight_sharing(*net, {.num_clusters = 5, .trainable = true});
  shared->train();
  auto plain = make<nn::GraphModule>(shared->clone()->graph());                // the same weights, each for itself
  plain->train();
  backward(cross_entropy((*shared)(x), labels));
  backward(cross_entropy((*plain)(x), labels));
  std::vector<std::pair<std::string, Tensor>> own = plain->named_parameters();
  size_t tied = 0;
  for (auto& [name, p] : shared->named_parameters()) {
    Tensor alone;
    for (auto& [known, t] : own) if (known == name) alone = t;
    ASSERT_TRUE(alone && p.grad() && alone.grad()) << name;
    auto w = values(p), g = values(p.grad()), each = values(alone.grad());
    if (p.rank() < 2) { EXPECT_LT(difference(p.grad(), alone.grad()), 1e-6); continue; }
    ++tied;
    EXPECT_LE(distinct(p).size(), 5u);
    for (size_t i = 0; i < w.size(); ++i) {
      double sum = 0, size = 0;
      for (size_t k = 0; k < w.size(); ++k) if (w[k] == w[i]) { sum += each[k]; size += std::abs(each[k]); }
      ASSERT_NEAR(g[i], sum, 1e-5 * (size + 1)) << name;
    }
  }
  EXPECT_EQ(tied, check::small_net_weights.size());
  optim::Adam(shared->parameters(), {}).step();
  for (auto& [name, book] : shared->centroids()) EXPECT_EQ(size_t(book.numel()), distinct(book).size());
  EXPECT_TRUE(contains(error_of([&] { weight_sharing(*net, {.scope = "global", .trainable = true}); }), "scope layer"));
}

TEST(WeightSharing, EntropyCodedFilesAreSmallerAndEqual) {
  auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(64, 96), make<nn::ReLU>(), make<nn::Linear>(96, 8)});
  Tensor x = normal({3, 64}, 1);
  (*net)(x);
  auto pruned = prune_model(*net, 0.9);
  auto shared = weight_sharing(*pruned, {.num_clusters = 16});
  Folder folder;
  size_t plain = shared->save(folder.path + "/a.npz"), before = plain;
  for (Entropy e : {Entropy::huffman, Entropy::rans}) {
    size_t coded = shared->save(folder.path + "/b.npz", e);
    EXPECT_LE(coded, before);
    before = coded;
    EXPECT_EQ(coded, std::filesystem::file_size(folder.path + "/b.npz"));
    EXPECT_EQ(coded, shared->size_bytes(e));
    auto again = SharedModel::load(folder.path + "/b.npz");
    EXPECT_EQ(values((*again)(x)), values((*shared)(x)));
    for (auto& [name, book] : again->centroids()) EXPECT_GE(book.numel(), 2);
  }
  EXPECT_LT(before, plain);
}

// ---- low rank ----
TEST(LowRank, LosesTheSingularValuesLeftOut) {
  Tensor w = normal({20, 12}, 3);
  Svd s = svd(w);
  EXPECT_LT(difference(matmul(s.u * s.s, transpose(s.v)), w), 1e-5);
  auto sizes = values(s.s);
  for (int64_t r : {1, 3, 7}) {
    LowRank f = low_rank_factors(w, r);
    Tensor gap = matmul(f.left, f.right) - w;
    double lost = 0;
    for (size_t i = size_t(r); i < sizes.size(); ++i) lost += sizes[i] * sizes[i];
    EXPECT_NEAR(sum(gap * gap).item(), lost, 1e-3 * (lost + 1));
  }
}
TEST(LowRank, LayersBecomeTwoWhereThatIsSmaller) {
  auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(40, 40), make<nn::ReLU>(), make<nn::Linear>(40, 2)});
  Tensor x = normal({5, 40}, 1), thin = matmul(normal({40, 3}, 2), normal({3, 40}, 3)) * 0.1;
  {
    NoGrad no_grad;
    assign(weight_of(*net, "0.weight"), thin);
  }
  Tensor want = (*net)(x);
  LowRankReport report;
  auto small = low_rank(*net, {.energy = 0.999, .measure = false}, {}, &report);
  ASSERT_EQ(report.rows.size(), 2u);
  EXPECT_EQ(report.rows[0].rank, 3);
  EXPECT_EQ(report.rows[0].after, 240);
  EXPECT_FALSE(report.rows[1].reason.empty());
  EXPECT_LT(difference((*small)(x), want), 1e-4);
}

// ---- distillation ----
TEST(Distillation, TeachesTheStudentAndLeavesTheTeacher) {
  Tensor x = normal({16, 1, 8, 8}, 4), labels = Tensor::zeros({16}, DType::i64);
  auto teacher = small_net(5);
  teacher->eval();
  Tensor taught = (*teacher)(x);
  auto student = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Flatten>(), make<nn::Linear>(64, 4)});
  Distillation d(student, teacher, 2, 1);
  double first = d.train_step({x}, labels), last = first;
  for (int i = 0; i < 60; ++i) last = d.train_step({x}, labels);
  EXPECT_LT(last, 0.5 * first);
  EXPECT_EQ(values((*teacher)(x)), values(taught));
  Tensor s = normal({4, 3}, 1), t = normal({4, 3}, 2), y = Tensor::of<int64_t>({4}, std::vector<int64_t>{0, 1, 2, 0});
  Tensor p = softmax(t / Tensor::scalar(3.0, DType::f32), 1), log_q = log_softmax(s / Tensor::scalar(3.0, DType::f32), 1);
  double kl = sum(p * (log(p) - log_q)).item() / 4 * 9, hard = cross_entropy(s, y).item();
  EXPECT_NEAR(distillation_loss(s, t, y, 3, 0.25).item(), 0.25 * kl + 0.75 * hard, 1e-5);
  EXPECT_TRUE(contains(error_of([&] { distillation_loss(s, normal({4, 5}, 1), y); }), "same classes"));
}

TEST(Distillation, LearnsFromLayersInsideAndFromSeveralTeachers) {
  Tensor x = normal({6, 1, 8, 8}, 4), labels = Tensor::zeros({6}, DType::i64);
  auto net = [](int64_t channels, uint64_t seed) {
    manual_seed(seed);
    return make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Conv2d>(1, channels, nn::Conv2dOptions{.kernel_size = {3, 3}, .padding = {1, 1}}), make<nn::ReLU>(), make<nn::Flatten>(),
                                                           make<nn::Linear>(channels * 64, 4)});
  };
  nn::ModuleRef a = net(8, 1), b = net(8, 2), student = net(4, 3);
  Distillation d(student, std::vector{a, b}, 2, 1, {{"1", "1", 3, false}, {"1", "1", 5, true}});
  double first = d.train_step({x}, labels), last = first;
  ASSERT_EQ(d.adapters().size(), 2u);
  EXPECT_TRUE(d.adapters()[0] && !d.adapters()[1]);
  for (int i = 0; i < 40; ++i) last = d.train_step({x}, labels);
  EXPECT_LT(last, 0.8 * first);
  Tensor p;                                                    // the loss by its formula, of the mean of the teachers
  for (auto* t : {&a, &b}) {
    (*t)->eval();
    Tensor q = softmax((**t)(x) / Tensor::scalar(2.0, DType::f32), 1);
    p = p ? (p + q) * 0.5 : q;
  }
  Distillation plain(student, std::vector{a, b}, 2, 1);
  Tensor log_q = log_softmax((*student)(x) / Tensor::scalar(2.0, DType::f32), 1);
  EXPECT_NEAR(plain.train_step({x}, labels), sum(p * (log(p) - log_q)).item() / 6 * 4, 1e-4);
  EXPECT_TRUE(contains(error_of([&] { Distillation(student, std::vector{a}, 2, 1, {{"0", "9"}}); }), "layers: 0, 1, 2, 3"));
  Distillation unlike(student, std::vector{a}, 2, 1, {{"0", "2"}});
  EXPECT_TRUE(contains(error_of([&] { unlike.train_step({x}, labels); }), "equal sizes"));
}

// ---- the search ----
TEST(Compress, GoesOnWhereItWasStopped) {
  auto net = small_net();
  Tensor x = normal({8, 1, 8, 8}, 7);
  net->eval();
  auto want = values((*net)(x));
  int calls = 0, stop = 6;
  auto evaluate = [&](nn::Module& m) {
    if (++calls == stop) throw std::runtime_error("stopped");
    auto got = values(m(x));
    double gap = 0, size = 0;
    for (size_t i = 0; i < got.size(); ++i) { gap += std::pow(got[i] - want[i], 2); size += std::pow(want[i], 2); }
    return 1 / (1 + gap / size);
  };
  Folder folder;
  std::string journal = folder.path + "/j.jsonl";
  CompressBudget budget{.flash_kb = 4.5};
  auto batches = [&]() -> Batches { return [&, given = false]() mutable { return std::exchange(given, true) ? std::vector<Tensor>{} : std::vector{x}; }; };
  EXPECT_THROW(compress(*net, batches, evaluate, budget, journal, 3), std::runtime_error);
  std::ofstream(journal, std::ios::app) << "{\"key\":\"tor";                   // killed while it wrote
  calls = 0;
  stop = -1;
  Compressed resumed = compress(*net, batches, evaluate, budget, journal, 3);
  EXPECT_EQ(resumed.report.resumed, 5);
  int left = calls;
  calls = 0;
  Compressed fresh = compress(*net, batches, evaluate, budget, "", 3);
  EXPECT_EQ(calls, left + 5);
  ASSERT_EQ(fresh.report.trials.size(), resumed.report.trials.size());
  for (size_t i = 0; i < fresh.report.trials.size(); ++i) {
    EXPECT_EQ(fresh.report.trials[i].recipe, resumed.report.trials[i].recipe);
    EXPECT_DOUBLE_EQ(fresh.report.trials[i].score, resumed.report.trials[i].score);
  }
  EXPECT_LE(fresh.report.trials[size_t(fresh.report.best)].flash_kb, 4.5);
  EXPECT_TRUE(contains(error_of([&] { compress(*net, batches, evaluate, {.flash_kb = 0.1}, journal, 3); }), "flash_kb 0.1"));
}

}  // namespace
}  // namespace miniten::edge
