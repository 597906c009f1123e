#include "miniten/ops/sparse.h"

#include <algorithm>
#include "check.h"
#include "miniten/base/cpu.h"

// Sessions with sparse weights against the same sessions made dense: equal bits, and the choice that was made.
namespace miniten {
namespace {

using check::normal;

// Zeros in blocks of 16 outputs by `deep` inputs: where (block number) % 5 is not 0.
Tensor blocks(Shape shape, uint64_t seed, int64_t deep, bool integers = false) {        // (outputs, inputs, ..)
  Tensor w = normal(shape, seed);
  int64_t outputs = shape[0], taps = w.numel() / outputs / shape[1];
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t i = 0; i < shape[1]; ++i)
      for (int64_t t = 0; t < taps; ++t)
        if ((o / 16 * 7 + i / deep * 3 + t) % 5) w.view().f32()[(o * shape[1] + i) * taps + t] = 0;
  return integers ? cast(clamp(w * 60.0, -127, 127), DType::i8) : w;
}

struct Made { std::vector<SparseChoice> choices; std::vector<Tensor> out; };
Made make(const Graph& g, Sparse use, const Tensor& x, int threads = 1) {
  Made m;
  Session s = [&] {
    SparseScope scope(use, &m.choices);
    return Session(g, {.threads = threads});
  }();
  m.out = s.run(std::vector{x});
  return m;
}
void expect_same(const Graph& g, const Tensor& x) {
  Made dense = make(g, Sparse::never, x), sparse = make(g, Sparse::always, x), chosen = make(g, Sparse::automatic, x), team = make(g, Sparse::always, x, 3);
  ASSERT_FALSE(sparse.choices.empty());
  for (const SparseChoice& c : dense.choices) EXPECT_FALSE(c.used);
  for (const SparseChoice& c : sparse.choices) EXPECT_TRUE(c.used);
  for (const SparseChoice& c : chosen.choices) EXPECT_EQ(c.used, c.gain > 1);
  for (const Made* m : {&sparse, &chosen, &team})
    for (size_t i = 0; i < dense.out.size(); ++i) EXPECT_EQ(check::values(m->out[i]), check::values(dense.out[i]));
}

TEST(Sparse, FloatLayersGiveTheBitsOfDenseOnes) {
  Tensor pointwise = blocks({40, 24, 1, 1}, 1, 1), kernel = blocks({33, 40, 5, 3}, 2, 1), w = blocks({70, 33}, 3, 1), bias = normal({40}, 4);
  Tensor x = normal({2, 24, 9, 8}, 5);
  Graph g = trace({x.spec()}, [&](auto& in) {
    Tensor y = relu(conv2d(in[0], pointwise, bias));
    y = conv2d(y, kernel, {}, {.stride = {2, 1}, .padding = {2, 1, 2, 1}, .dilation = {1, 2}});
    return std::vector{linear(mean(y, {2, 3}), w, {}), linear(permute(y, {0, 2, 3, 1}), w, normal({70}, 6))};
  });
  expect_same(g, x);
}

TEST(Sparse, IntegerLayersGiveTheBytesOfDenseOnes) {
  Tensor x = cast(normal({2, 20, 7, 6}, 1) * 40.0, DType::i8), w = blocks({36, 20, 3, 3}, 2, 4, true), v = transpose(blocks({50, 36}, 3, 4, true));
  QConv2dAttrs conv;
  conv.padding = {1, 1, 1, 1};
  conv.x_scale = 0.02f, conv.x_zero = -3, conv.y_scale = 0.5f, conv.y_zero = 5;
  QMatmulAttrs product{.x_scale = 0.5f, .y_scale = 2.0f, .x_zero = 5, .y_zero = -11};
  Graph g = trace({x.spec()}, [&](auto& in) {
    Tensor y = apply(qconv2d_op, {in[0], w, Tensor::full({36}, 0.01), cast(normal({36}, 7) * 900.0, DType::i32)}, conv);
    return std::vector{y, apply(qmatmul_op, {permute(y, {0, 2, 3, 1}), v, Tensor::full({50}, 0.02)}, product)};
  });
  expect_same(g, x);
}

TEST(Sparse, LayersThatQuantiseTheirInputGiveTheDenseFloats) {
  Tensor x = cast(normal({2, 20, 7, 6}, 1) * 40.0 + 100.0, DType::u8), w = blocks({36, 20, 3, 3}, 2, 4, true), v = transpose(blocks({50, 6}, 3, 4, true));
  Graph g = trace({x.spec()}, [&](auto& in) {
    Tensor scale = Tensor::full({}, 0.02), zero = Tensor::full({}, 120, DType::u8);
    return std::vector{apply(qconv2d_dynamic_op, {in[0], scale, zero, w, Tensor::full({36}, 0.01), normal({36}, 7)}, Conv2dAttrs{.padding = {1, 1, 1, 1}}),
                       apply(qmatmul_dynamic_op, {in[0], scale, zero, v, Tensor::full({50}, 0.01), normal({50}, 8)}, ClampAttrs{-4, infinity})};
  });
  expect_same(g, x);
}

// Every tenth weight of (outputs, inputs) stays.
Tensor singles(Shape shape, uint64_t seed) {
  Tensor w = normal(shape, seed);
  for (int64_t i = 0; i < w.numel(); ++i) if (uint32_t(i * 2654435761) >> 16 & 15) w.view().f32()[i] = 0;
  return w;
}
TEST(Sparse, SingleWeightsAreLeftOutWithTheBitsOfDenseOnes) {
  Tensor w = singles({96, 128}, 2), v = singles({70, 96}, 3), pointwise = singles({80, 128, 1, 1}, 4), bias = normal({96}, 5), x = normal({2, 128, 9, 8}, 6);
  Graph g = trace({x.spec()}, [&](auto& in) {
    Tensor rows = linear(permute(in[0], {0, 2, 3, 1}), w, bias);
    return std::vector{conv2d(in[0], pointwise, normal({80}, 7)), linear(rows, v, {}), linear(mean(rows, {0, 1, 2}, true), v, {})};
  });
  Made m = make(g, Sparse::always, x);
  EXPECT_GE(std::count_if(m.choices.begin(), m.choices.end(), [](const SparseChoice& c) { return c.single; }), 6);
  expect_same(g, x);
}

TEST(Sparse, SingleIntegersAreLeftOutWithTheBytesOfDenseOnes) {
  auto integers = [](const Tensor& w) { return cast(clamp(w * 60.0, -127, 127), DType::i8); };
  Tensor x = cast(normal({2, 48, 7, 6}, 1) * 40.0, DType::i8), w = integers(singles({36, 48, 1, 1}, 2)), v = transpose(integers(singles({50, 36}, 3)));
  QConv2dAttrs conv;
  conv.stride = {2, 1};
  conv.padding = {1, 1, 1, 1};
  conv.x_scale = 0.02f, conv.x_zero = -3, conv.y_scale = 0.05f, conv.y_zero = 5;
  QMatmulAttrs product{.x_scale = 0.5f, .y_scale = 2.0f, .x_zero = 5, .y_zero = -11};
  Graph g = trace({x.spec()}, [&](auto& in) {
    Tensor y = apply(qconv2d_op, {in[0], w, Tensor::full({36}, 0.01), cast(normal({36}, 7) * 900.0, DType::i32)}, conv), rows = permute(y, {0, 2, 3, 1});
    Tensor bytes = cast(cast(rows, DType::i32) + 128.0, DType::u8), scale = Tensor::full({}, 0.02), zero = Tensor::full({}, 120, DType::u8);
    return std::vector{y, apply(qmatmul_op, {rows, v, Tensor::full({50}, 0.02)}, product), apply(qmatmul_dynamic_op, {bytes, scale, zero, v, Tensor::full({50}, 0.01), normal({50}, 8)}, ClampAttrs{-4, infinity})};
  });
  const std::string before = cpu_info().isa;
  std::vector<double> bytes = check::values(make(g, Sparse::never, x).out[0]);
  for (const std::string& isa : cpu_info().available_isas) {
    set_isa(isa);
    Made m = make(g, Sparse::always, x);
    if (isa == "sse2" || isa == "avx2" || isa == "neon") EXPECT_GE(std::count_if(m.choices.begin(), m.choices.end(), [](const SparseChoice& c) { return c.single; }), 3) << isa;
    EXPECT_EQ(check::values(m.out[0]), bytes) << isa;
    expect_same(g, x);
  }
  set_isa(before);
}

TEST(Sparse, IsChosenWhereEnoughIsGone) {
  Tensor x = normal({196, 256}, 1), by_block = blocks({256, 256}, 2, 1), most = normal({256, 256}, 3), few = singles({256, 256}, 4);
  for (int64_t i = 0; i < most.numel(); ++i) if (!(uint32_t(i * 2654435761) >> 16 & 15)) most.view().f32()[i] = 0;
  Graph g = trace({x.spec()}, [&](auto& in) { return std::vector{linear(in[0], by_block, {}), linear(in[0], most, {}), linear(in[0], few, {})}; });
  std::vector<SparseChoice> all = make(g, Sparse::automatic, x).choices;
  ASSERT_EQ(all.size(), 6u);                         // asked for the sizes, then to pack
  EXPECT_TRUE(all[0].used && !all[0].single);
  EXPECT_NEAR(double(all[0].kept) / double(all[0].steps), 0.2, 0.02);
  EXPECT_FALSE(all[1].used);
  EXPECT_TRUE(all[2].used && all[2].single);
}

TEST(Sparse, TakesMemoryForWhatIsLeft) {
  Tensor x = normal({64, 512}, 1), w = blocks({512, 512}, 2, 1);
  Graph g = trace({x.spec()}, [&](auto& in) { return std::vector{linear(in[0], w, {})}; });
  auto bytes = [&](Sparse use) {
    SparseScope scope(use);
    return Session(g, {.threads = 1}).weight_bytes();
  };
  size_t constant = size_t(w.numel()) * 4;
  EXPECT_LT(double(bytes(Sparse::automatic) - constant), 0.25 * double(bytes(Sparse::never) - constant));
}

}  // namespace
}  // namespace miniten
