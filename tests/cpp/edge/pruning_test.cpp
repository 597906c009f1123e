#include "miniten/edge/pruning.h"
#include "miniten/edge/utils.h"
#include "miniten/interchange/native.h"
#include "miniten/optim/optimizer.h"
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
using check::small_net_weight_count;
using check::values;
using check::zeros_in;
using testing::Test;

#define EXPECT_CONTAINS(text, part) EXPECT_PRED2(contains, text, part)

Tensor full_of(double value, const Shape& shape) { return Tensor::full(shape, value); }
int64_t masked_out(const Tensor& mask) { return mask.numel() - int64_t(sum(mask).item()); }
int64_t zero_weights(const PrunedModel& m) { return m.report().zeros(); }

// ---- tensors ----
TEST(MagnitudePrune, ZeroesTheLeastAndSaysWhich) {
  Tensor w = Tensor::of({2, 3}, {0.5f, -0.1f, 2, -3, 0.2f, 0});
  Pruned p = magnitude_prune(w, 0.5);
  EXPECT_EQ(values(p.weights), (std::vector<double>{0.5, 0, 2, -3, 0, 0}));
  EXPECT_EQ(values(p.mask), (std::vector<double>{1, 0, 1, 1, 0, 0}));
  EXPECT_EQ(p.mask.dtype(), DType::boolean);
  EXPECT_EQ(values(w)[1], -0.1f);                            // the given tensor stays
}
TEST(MagnitudePrune, CountsExactlyWithTies) {
  for (int64_t n : {1, 2, 5, 7, 10, 101})
    for (double s : {0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99}) {
      Pruned p = magnitude_prune(full_of(-1.5, {n}), s);
      int64_t want = int64_t(std::nearbyint(s * double(n)));
      EXPECT_EQ(zeros_in(p.weights), want) << n << " " << s;
      EXPECT_EQ(masked_out(p.mask), want);
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(values(p.mask)[size_t(i)], i >= want);     // the first of equals go
    }
}
TEST(MagnitudePrune, TakesViewsIntegersAndHalves) {
  Tensor w = normal({4, 6}, 1);
  EXPECT_EQ(values(magnitude_prune(transpose(w), 0.5).weights), values(transpose(magnitude_prune(w, 0.5).weights)));
  EXPECT_EQ(values(magnitude_prune(Tensor::of<int8_t>({4}, std::vector<int8_t>{-128, 3, -2, 127}), 0.5).weights), (std::vector<double>{-128, 0, 0, 127}));
  EXPECT_EQ(zeros_in(magnitude_prune(cast(w, DType::f16), 0.5).weights), 12);
  EXPECT_EQ(magnitude_prune(Tensor::zeros({0, 3}), 0.5).weights.numel(), 0);
}
TEST(MagnitudePrune, RefusesWhatIsNoSparsityAndNoNumber) {
  Tensor w = normal({4}, 1);
  for (double s : {-0.1, 1.0, 1.5, std::nan("")}) EXPECT_CONTAINS(error_of([&] { magnitude_prune(w, s); }), "[magnitude_prune] expected a sparsity in [0, 1)");
  w.view().f32()[2] = NAN;
  EXPECT_CONTAINS(error_of([&] { magnitude_prune(w, 0.5); }), "NaN");
  w.view().f32()[2] = INFINITY;
  EXPECT_CONTAINS(error_of([&] { magnitude_prune(w, 0.5); }), "infinity");
}

TEST(StructuredPrune, RemovesWholeSlicesByTheirNorm) {
  Tensor w = Tensor::of({4, 2}, {3, 3, 0.1f, 0.2f, -5, 0, 1, 1});
  StructuredPruned p = structured_prune(w, 0.5);
  EXPECT_EQ(p.kept, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(values(p.weights), (std::vector<double>{3, 3, 0, 0, -5, 0, 0, 0}));
  EXPECT_EQ(values(p.mask), (std::vector<double>{1, 1, 0, 0, 1, 1, 0, 0}));
  EXPECT_EQ(structured_prune(w, 0.5, 1).kept, (std::vector<int64_t>{0}));
  EXPECT_EQ(structured_prune(w, 0.5, -2).kept, p.kept);
}
TEST(StructuredPrune, KeepsOneSliceAndTheOrder) {
  StructuredPruned p = structured_prune(full_of(1, {5, 3}), 0.99);
  EXPECT_EQ(p.kept, (std::vector<int64_t>{4}));              // of equals the first go
  Tensor w = normal({64, 3, 3, 3}, 2);
  auto kept = structured_prune(w, 0.3).kept;
  EXPECT_EQ(kept.size(), 64u - 19);
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
  EXPECT_CONTAINS(error_of([&] { structured_prune(w, 0.3, 4); }), "(64, 3, 3, 3)");
  EXPECT_CONTAINS(error_of([&] { structured_prune(Tensor::scalar(1), 0.3); }), "a dim");
}

// ---- models ----
TEST(PruneModel, ZeroesExactlyAndLeavesTheGivenModel) {
  auto net = small_net();
  net->eval();
  Tensor x = normal({2, 1, 8, 8}, 5), before = (*net)(x);
  auto state = net->state_dict();
  std::vector<std::vector<double>> given;
  for (auto& [name, t] : state) given.push_back(values(t));
  for (const char* scope : {"global", "layer"})
    for (double s : {0.0, 0.3, 0.5, 0.9}) {
      auto p = prune_model(*net, s, {.scope = scope});
      int64_t want = 0;
      if (std::string(scope) == "global") want = std::nearbyint(s * double(small_net_weight_count));
      else for (auto& [name, mask] : p->masks()) want += std::nearbyint(s * double(mask.numel()));
      EXPECT_EQ(zero_weights(*p), want) << scope << " " << s;
      EXPECT_DOUBLE_EQ(p->actual_sparsity(), double(want) / double(small_net_weight_count));
      EXPECT_FALSE(p->training());
      (*p)(x);
    }
  EXPECT_EQ(difference((*prune_model(*net, 0))(x), before) < 1e-6, true);
  EXPECT_GT(difference((*prune_model(*net, 0.9))(x), before), 1e-3);
  for (size_t i = 0; i < state.size(); ++i) EXPECT_EQ(values(state[i].second), given[i]) << state[i].first;
}

TEST(PruneModel, OneThresholdForAllLayers) {
  auto net = small_net();
  net->eval();
  (*net)(normal({2, 1, 8, 8}, 5));
  auto p = prune_model(*net, 0.6);
  double greatest_gone = 0, least_kept = 1e9;
  auto state = net->state_dict();
  for (auto& [name, mask] : p->masks())
    for (auto& [known, t] : state) {
      if (known != name) continue;
      auto w = values(t), m = values(mask);
      for (size_t i = 0; i < w.size(); ++i)
        if (m[i]) least_kept = std::min(least_kept, std::abs(w[i]));
        else greatest_gone = std::max(greatest_gone, std::abs(w[i]));
    }
  EXPECT_LE(greatest_gone, least_kept);
}

TEST(PruneModel, ComputesWhatTheZeroedNetComputes) {
  auto net = small_net();
  net->eval();
  Tensor x = normal({2, 1, 8, 8}, 5);
  (*net)(x);
  auto p = prune_model(*net, 0.7);
  Tensor got = (*p)(x);
  NoGrad no_grad;
  auto state = net->state_dict();
  for (auto& [name, mask] : p->masks())
    for (auto& [known, t] : state) if (known == name) assign(t, t * cast(mask, DType::f32));
  EXPECT_LT(difference(got, (*net)(x)), 1e-5);
}

TEST(PruneModel, OfAModelThatNeverRanAtOnce) {
  auto net = small_net();
  net->eval();
  auto p = prune_model(*net, 0.5);
  EXPECT_FALSE(p->has_graph());
  EXPECT_DOUBLE_EQ(p->actual_sparsity(), 0.5);
  EXPECT_EQ(p->masks().size(), 4u);
  EXPECT_GT(p->compression_ratio(), 1.3);
  Tensor x = normal({2, 1, 8, 8}, 5), y = (*p)(x);
  EXPECT_DOUBLE_EQ(p->actual_sparsity(), 0.5);
  EXPECT_EQ(p->masks().size(), 4u);
  (*net)(x);
  EXPECT_LT(difference(y, (*prune_model(*net, 0.5))(x)), 1e-6);
  EXPECT_CONTAINS(error_of([&] { prune_model(*small_net(), 0.5)->size_bytes(); }), "input_shape");
}
TEST(PruneModel, WithShapesOfAModelThatNeverRan) {
  auto net = small_net();
  auto p = prune_model(*net, 0.5, {}, {small_input});
  EXPECT_TRUE(p->has_graph());
  EXPECT_TRUE(p->training());
  EXPECT_TRUE(net->last_input_specs().empty());
}
TEST(PruneModel, RefusesALocalModelThatNeverRan) {
  nn::Linear local(4, 3);
  EXPECT_CONTAINS(error_of([&] { prune_model(local, 0.5); }), "call it once");
}

TEST(PruneModel, SkipsByNameAndOp) {
  auto net = small_net();
  net->eval();
  (*net)(normal({2, 1, 8, 8}, 5));
  auto zeros = [&](std::vector<std::string> skip) {
    std::string whole;
    for (const PruneRow& row : prune_model(*net, 0.5, {.skip = std::move(skip)})->report().rows) if (!row.zeros) whole += row.weight + " ";
    return whole;
  };
  EXPECT_EQ(zeros({"7.weight"}), "7.weight ");
  EXPECT_EQ(zeros({"7"}), "7.weight ");
  EXPECT_EQ(zeros({"3"}), "3.depthwise.weight 3.pointwise.weight ");
  EXPECT_EQ(zeros({"3.d*", "?.weight"}), "0.weight 3.depthwise.weight 7.weight ");
  EXPECT_EQ(zeros({"conv2d"}), "0.weight 3.depthwise.weight 3.pointwise.weight ");
  EXPECT_CONTAINS(error_of([&] { prune_model(*net, 0.5, {.skip = {"nothing"}}); }), "\"nothing\" (weights: 0.weight, 3.depthwise.weight");
  EXPECT_CONTAINS(error_of([&] { prune_model(*net, 0.5, {.skip = {"*"}}); }), "all skipped");
}

TEST(PruneModel, RefusesWhatItCannotDo) {
  auto net = small_net();
  (*net)(normal({2, 1, 8, 8}, 5));
  for (double s : {-0.5, 1.0, 2.0, std::nan("")}) EXPECT_CONTAINS(error_of([&] { prune_model(*net, s); }), "[prune_model] expected a sparsity in [0, 1)");
  EXPECT_CONTAINS(error_of([&] { prune_model(*net, 0.5, {.method = "best"}); }), "structured, bn_scale or geometric_median, got \"best\"");
  EXPECT_CONTAINS(error_of([&] { prune_model(*net, 0.5, {.scope = "all"}); }), "scope global or layer, got \"all\"");
  EXPECT_CONTAINS(error_of([] { prune_model(*small_net(), 0.5, {.method = "structured"}); }), "call it once, or give input_shape");
  net->state_dict()[0].second.view().f32()[3] = NAN;
  EXPECT_CONTAINS(error_of([&] { prune_model(*net, 0.5); }), "NaN in \"0.weight\"");
  auto relu = make<nn::ReLU>();
  EXPECT_CONTAINS(error_of([&] { prune_model(*relu, 0.5, {}, {small_input}); }), "weights of two or more axes");
}

TEST(PruneModel, KeepsTheGreatestOfEachWeight) {
  auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(4, 4), make<nn::Linear>(4, 4)});
  NoGrad no_grad;
  assign(net->parameters()[2], net->parameters()[2] * 1e-3);                // global: the second layer would die
  auto p = prune_model(*net, 0.9, {}, {{DType::f32, {1, 4}}});
  EXPECT_EQ(p->report().zeros(), int64_t(std::nearbyint(0.9 * 32)));
  for (const PruneRow& row : p->report().rows) EXPECT_LT(row.zeros, row.total) << row.weight;
  EXPECT_EQ(p->report().rows[1].zeros, 15);
}

TEST(PruneModel, RandomIsRepeatable) {
  auto net = small_net();
  (*net)(normal({2, 1, 8, 8}, 5));
  auto masks = [&](uint64_t seed) { return values(prune_model(*net, 0.5, {.method = "random", .seed = seed})->masks()[3].second); };
  EXPECT_EQ(masks(1), masks(1));
  EXPECT_NE(masks(1), masks(2));
  EXPECT_EQ(zero_weights(*prune_model(*net, 0.5, {.method = "random"})), small_net_weight_count / 2);
}

TEST(PruneModel, AgainKeepsEarlierZeros) {
  auto net = small_net();
  net->eval();
  (*net)(normal({2, 1, 8, 8}, 5));
  auto first = prune_model(*net, 0.3, {.method = "random"});
  auto more = prune_model(*first, 0.6), fewer = prune_model(*first, 0.1);
  EXPECT_EQ(zero_weights(*more), int64_t(std::nearbyint(0.6 * double(small_net_weight_count))));
  EXPECT_EQ(zero_weights(*fewer), zero_weights(*first));
  for (size_t k = 0; k < 4; ++k) {
    auto a = values(first->masks()[k].second), b = values(more->masks()[k].second);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_LE(b[i], a[i]);
  }
  auto waiting = prune_model(*prune_model(*small_net(), 0.3, {.method = "random"}), 0.6);
  EXPECT_FALSE(waiting->has_graph());
  EXPECT_NEAR(waiting->actual_sparsity(), 0.6, 1e-3);
  (*waiting)(normal({2, 1, 8, 8}, 5));
  EXPECT_NEAR(waiting->actual_sparsity(), 0.6, 1e-3);
}

// ---- training ----
template <class O> void train(nn::Module& m, O& optimizer, int steps) {
  Tensor x = normal({16, 1, 8, 8}, 8), y = argmax(normal({16, 4}, 9), 1);
  for (int i = 0; i < steps; ++i) {
    optimizer.zero_grad();
    backward(cross_entropy(m(x), y));
    optimizer.step();
  }
}
TEST(PrunedTraining, ZerosHoldWithAnyOptimizer) {
  for (int kind = 0; kind < 3; ++kind) {
    auto net = small_net();
    (*net)(normal({2, 1, 8, 8}, 5));
    auto p = prune_model(*net, 0.8);
    p->train();
    int64_t zeros = zero_weights(*p);
    std::vector<double> before = values(p->parameters()[0]);
    if (kind == 0) { optim::SGD o(p->parameters(), {.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-2}); train(*p, o, 8); }
    if (kind == 1) { optim::Adam o(p->parameters(), {.lr = 1e-2, .weight_decay = 1e-2}); train(*p, o, 8); }
    if (kind == 2) { optim::AdamW o(p->parameters()); train(*p, o, 8); }
    EXPECT_NE(values(p->parameters()[0]), before);
    std::map<std::string, Tensor> masks;
    for (auto& [name, mask] : p->masks()) masks[name] = mask;
    int64_t found = 0;
    for (auto& [name, t] : p->named_parameters()) {          // nothing was called since the optimizer's last step
      std::string dotted = name;
      std::replace(dotted.begin(), dotted.end(), '/', '.');
      if (masks.count(dotted)) found += zeros_in(gate(t, cast(masks[dotted], DType::f32))) - zeros_in(t) == 0 ? zeros_in(t) : -1000000;
    }
    EXPECT_EQ(found, zeros) << kind;
  }
}
TEST(PrunedTraining, WhatElseMovesThemIsPutBack) {
  auto net = small_net();
  (*net)(normal({2, 1, 8, 8}, 5));
  auto p = prune_model(*net, 0.5);
  auto state = p->state_dict();
  {
    NoGrad no_grad;
    assign(state[0].second, Tensor::ones(state[0].second.shape()));
  }
  EXPECT_EQ(zero_weights(*p), small_net_weight_count / 2);
}
TEST(PrunedTraining, MoreInPlaceKeepsTheOptimizersParameters) {
  auto net = small_net();
  (*net)(normal({2, 1, 8, 8}, 5));
  auto p = prune_model(*net, 0);
  optim::SGD o(p->parameters(), {.lr = 0.05, .momentum = 0.9});
  GradualPruning schedule(0, 0.8, 0, 10, 5);
  auto parameters = p->parameters();
  int updates = 0;
  for (int i = 0; i < 12; ++i) {
    train(*p, o, 1);
    schedule.step();
    updates += schedule.apply(*p);
  }
  EXPECT_EQ(updates, 2);
  for (size_t i = 0; i < parameters.size(); ++i) EXPECT_TRUE(parameters[i].same(p->parameters()[i]));
  EXPECT_EQ(zero_weights(*p), int64_t(std::nearbyint(0.8 * double(small_net_weight_count))));
}

// ---- quantised models ----
QuantizationConfig mode(const char* m) { QuantizationConfig c; c.mode = m; return c; }
std::vector<std::vector<Tensor>> calibration() { return {{normal({16, 1, 8, 8}, 4)}}; }

TEST(PruneQuantized, ZeroesIntegersAndKeepsScales) {
  for (const char* name : {"static", "dynamic", "weight_only"}) {
    auto net = small_net();
    net->eval();
    Tensor x = normal({16, 1, 8, 8}, 4);
    (*net)(x);
    auto q = std::string(name) == "static" ? quantize_model(*net, mode(name), calibration()) : quantize_model(*net, mode(name));
    auto p = prune_model(*q, 0.5);
    PruneReport r = p->report();
    EXPECT_EQ(r.rows.size(), 4u) << name;
    EXPECT_EQ(r.total(), small_net_weight_count);
    EXPECT_EQ(r.zeros(), small_net_weight_count / 2) << name;
    for (const PruneRow& row : r.rows) EXPECT_EQ(row.dtype, "int8");
    ASSERT_NE(p->quantization(), nullptr);
    EXPECT_EQ(p->quantization()->mode, name);
    EXPECT_LT(p->size_bytes(), q->size_bytes());
    EXPECT_GT(p->size_reduction(), q->size_reduction());
    EXPECT_GT(p->compression_ratio(), 1.1);
    for (size_t i = 0; i < p->graph().values.size(); ++i) {
      const Value &a = q->graph().values[i], &b = p->graph().values[i];
      if (a.quantized) EXPECT_EQ(*a.quantized, *b.quantized);
      if (a.constant && !b.mask) EXPECT_EQ(values(a.constant), values(b.constant));
      if (b.mask)
        for (size_t k = 0; k < values(b.mask).size(); ++k)
          EXPECT_EQ(values(b.constant)[k], values(b.mask)[k] ? values(a.constant)[k] : 0);
    }
    EXPECT_GT(difference((*p)(x), (*q)(x)), 1e-4) << name;
    EXPECT_EQ(q->graph().to_text(), quantize_model(*net, mode(name), std::string(name) == "static" ? calibration() : std::vector<std::vector<Tensor>>{{x}})->graph().to_text());
  }
}
TEST(PruneQuantized, ChannelsCompareByWhatTheyStandFor) {
  auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(8, 4, false)});
  Tensor w = net->parameters()[0];
  {
    NoGrad no_grad;
    assign(w, concat(std::vector<Tensor>{normal({2, 8}, 1), normal({2, 8}, 2) * 0.1}, 0));
  }
  (*net)(normal({3, 8}, 1));
  auto q = quantize_model(*net, mode("dynamic"));
  auto p = prune_model(*q, 0.5);
  int masks = 0;
  for (const Value& v : p->graph().values) {
    if (!v.mask) continue;
    ++masks;
    ASSERT_EQ(v.quantized->axis, 1);                                   // (in, out)
    auto mask = values(v.mask), original = values(v.constant);
    for (const Value& given : q->graph().values) if (given.name == v.name) original = values(given.constant);
    std::vector<double> magnitude, integers;
    for (size_t i = 0; i < 32; ++i) {
      magnitude.push_back(std::abs(original[i]) * double(v.quantized->scale[i % 4]));
      integers.push_back(std::abs(original[i]));
    }
    double smallest_kept = HUGE_VAL, greatest_gone = 0;
    bool by_integers = true;
    for (size_t i = 0; i < 32; ++i) (mask[i] ? smallest_kept : greatest_gone) = mask[i] ? std::min(smallest_kept, magnitude[i]) : std::max(greatest_gone, magnitude[i]);
    for (size_t i = 0; i < 32; ++i) for (size_t k = 0; k < 32; ++k) by_integers &= !(mask[i] && !mask[k] && integers[i] < integers[k]);
    EXPECT_GT(smallest_kept, greatest_gone);
    EXPECT_FALSE(by_integers);                                         // by the integers alone others would go
    EXPECT_EQ(zeros_in(v.mask), 16);
  }
  EXPECT_EQ(masks, 1);
}
TEST(PruneQuantized, OfAModelThatNeverRan) {
  auto net = small_net();
  net->eval();
  auto q = quantize_model(*net);
  auto p = prune_model(*q, 0.5);
  EXPECT_FALSE(q->has_graph());
  EXPECT_DOUBLE_EQ(p->actual_sparsity(), 0.5);
  Tensor x = normal({2, 1, 8, 8}, 5);
  (*p)(x);
  EXPECT_FALSE(q->has_graph());
  EXPECT_GE(p->actual_sparsity(), 0.5);                                // and what rounds to 0
  for (const PruneRow& row : p->report().rows) EXPECT_EQ(row.dtype, "int8") << row.weight;
  EXPECT_EQ(p->masks().size(), 4u);
  EXPECT_EQ(q->clone()->report().rows.size(), 0u);
  int in_integers = 0;
  for (const QuantizationRow& row : p->quantization()->rows) in_integers += row.reason.empty();
  EXPECT_EQ(in_integers, 4);
  auto again = prune_model(*prune_model(*quantize_model(*small_net()), 0.2), 0.7);
  EXPECT_NEAR(again->actual_sparsity(), 0.7, 1e-3);
  (*again)(x);
  EXPECT_GE(again->actual_sparsity(), 0.699);
}
TEST(PruneQuantized, QuantisingAPrunedModelKeepsZeros) {
  auto net = small_net();
  net->eval();
  (*net)(normal({2, 1, 8, 8}, 5));
  auto p = prune_model(*net, 0.7);
  auto q = quantize_model(*p, mode("static"), calibration());
  EXPECT_LE(count_parameters(*q).nonzero, p->nonzero_parameters());
  auto both = prune_model(*q, 0.7);
  EXPECT_GE(both->actual_sparsity(), 0.7 - 1e-3);
}

// ---- files ----
TEST(PrunedFile, ReadsBackWithMasksAndIsSmaller) {
  Folder folder;
  auto net = small_net();
  net->eval();
  Tensor x = normal({2, 1, 8, 8}, 5);
  (*net)(x);
  for (bool quantized : {false, true}) {
    Ref<PrunedModel> p = quantized ? prune_model(*quantize_model(*net, mode("static"), calibration()), 0.75) : prune_model(*net, 0.75);
    size_t bytes = p->save(folder.path + "/m.npz");
    EXPECT_EQ(bytes, std::filesystem::file_size(folder.path + "/m.npz"));
    EXPECT_EQ(bytes, p->size_bytes());
    auto back = PrunedModel::load(folder.path + "/m.npz");
    EXPECT_EQ(back->graph().to_text(), p->graph().to_text());
    EXPECT_EQ(difference((*back)(x), (*p)(x)), 0);
    EXPECT_EQ(back->report().to_json(), p->report().to_json());
    EXPECT_EQ(back->quantization() != nullptr, quantized);
    EXPECT_DOUBLE_EQ(back->size_reduction(), p->size_reduction());
    for (size_t i = 0; i < p->masks().size(); ++i) EXPECT_EQ(values(back->masks()[i].second), values(p->masks()[i].second));
    int64_t saved = 0;                                       // what masks save, to the byte: names, headers and the manifest stay
    for (auto& [name, mask] : p->masks()) {
      int64_t size = quantized ? 1 : 4, kept = int64_t(sum(mask).item()), packed = kept * size + (mask.numel() + 7) / 8;
      if (packed < mask.numel() * size) saved += mask.numel() * size - packed;
    }
    EXPECT_GT(p->compression_ratio(), 1 + 0.5 * double(saved) / double(p->report().dense_bytes));
  }
  EXPECT_CONTAINS(error_of([&] { PrunedModel::load(folder.path + "/none.npz"); }), "none.npz");
  NativeFile other{.graph = nn::graph_of("test", *net), .has_graph = true, .kind = "graph"};
  EXPECT_CONTAINS(error_of([&] { PrunedModel::from_file(other); }), "kind \"graph\"");
  other.kind = "pruned";
  other.extra = "{";
  EXPECT_CONTAINS(error_of([&] { PrunedModel::from_file(other); }), "sound report");
}
TEST(PrunedFile, CloneSharesNothing) {
  auto net = small_net();
  (*net)(normal({2, 1, 8, 8}, 5));
  auto p = prune_model(*net, 0.5);
  auto copy = p->clone();
  copy->prune(0.9);
  EXPECT_DOUBLE_EQ(p->actual_sparsity(), 0.5);
  EXPECT_NEAR(copy->actual_sparsity(), 0.9, 1e-3);
}
TEST(PruneReport, TellsTheWeights) {
  auto net = small_net();
  (*net)(normal({2, 1, 8, 8}, 5));
  std::string text = prune_model(*net, 0.5)->report().to_text();
  EXPECT_CONTAINS(text, "3.pointwise.weight");
  EXPECT_CONTAINS(text, "asked for 50.00 % by magnitude, scope global; file: ");
}

// ---- schedule ----
TEST(GradualPruning, IsCubicAndConstantOutside) {
  GradualPruning g(0.1, 0.9, 100, 1100, 250);
  EXPECT_DOUBLE_EQ(g.get_sparsity(0), 0.1);
  EXPECT_DOUBLE_EQ(g.get_sparsity(100), 0.1);
  EXPECT_DOUBLE_EQ(g.get_sparsity(600), 0.9 - 0.8 * 0.125);
  EXPECT_DOUBLE_EQ(g.get_sparsity(1100), 0.9);
  EXPECT_DOUBLE_EQ(g.get_sparsity(5000), 0.9);
  std::string updates;
  for (int64_t s = 0; s < 1200; ++s) if (g.should_update(s)) updates += std::to_string(s) + " ";
  EXPECT_EQ(updates, "100 350 600 850 1100 ");
  GradualPruning odd(0, 0.5, 0, 10, 4);
  EXPECT_TRUE(odd.should_update(10));                        // the last step always
  for (int i = 0; i < 10; ++i) odd.step();
  EXPECT_DOUBLE_EQ(odd.get_sparsity(odd.last_step()), 0.5);
  EXPECT_CONTAINS(error_of([] { GradualPruning(0, 1.0); }), "a sparsity in [0, 1)");
  EXPECT_CONTAINS(error_of([] { GradualPruning(0.5, 0.2); }), "at most final_sparsity");
  EXPECT_CONTAINS(error_of([] { GradualPruning(0, 0.5, 10, 10); }), "start_step < end_step");
  EXPECT_CONTAINS(error_of([] { GradualPruning(0, 0.5, 0, 10, 0); }), "frequency");
}

}  // namespace
}  // namespace miniten::edge
