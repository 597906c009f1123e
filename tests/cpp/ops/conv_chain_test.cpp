#include <set>
#include "check.h"
#include "miniten/graph/passes.h"
#include "miniten/graph/session.h"
#include "miniten/ops/ops.h"
#include "miniten/ops/sparse.h"

namespace miniten {
namespace {

using check::difference;
using check::normal;

struct Layer {
  int64_t out, kernel = 1, stride = 1, groups = 1, dilation = 1, padding = 0;
  float hi = 6;
};
// x (n, c, h, w) through the layers; the last has no activation and may be added to x.
Graph network(Shape x, std::vector<Layer> layers, bool residual, double zeros = 0) {
  std::vector<std::vector<Tensor>> constants;
  int64_t c = x[1];
  for (const Layer& l : layers) {
    Tensor w = normal({l.out, c / l.groups, l.kernel, l.kernel}, uint64_t(c + l.out)) * 0.3;
    const int64_t taps = w.numel() / l.out;
    for (int64_t i = 0, n = w.numel(); zeros > 0 && i < n; ++i)                  // of all outputs alike, or single ones
      if (double((taps > 64 ? i % taps : i / 64) % 16) < zeros * 16) w.view().f32()[i] = 0;
    constants.push_back({w, normal({l.out}, uint64_t(l.out)) * 0.1});
    c = l.out;
  }
  return trace({{DType::f32, x}}, [&](auto& in) {
    Tensor y = in[0];
    for (size_t i = 0; i < layers.size(); ++i) {
      const Layer& l = layers[i];
      Conv2dAttrs at{.stride = {l.stride, l.stride}, .padding = {l.padding, l.padding, l.padding, l.padding}, .dilation = {l.dilation, l.dilation}, .groups = l.groups};
      y = conv2d(y, constants[i][0], constants[i][1], at);
      if (i + 1 < layers.size()) y = clamp(y, 0, l.hi);
    }
    return std::vector{residual ? y + in[0] : y};
  });
}
int chains(const Session& s) {
  return int(std::count_if(s.graph().nodes.begin(), s.graph().nodes.end(), [](const Node& n) { return n.op->name == "conv_chain"; }));
}

struct Case { Shape x; std::vector<Layer> layers; bool residual = false; int chains = 1; };
// Sizes at which the rows between the stages do not fit at once, and odd ones.
const Case cases[] = {
    {{1, 16, 40, 40}, {{96}, {96, 3, 1, 96, 1, 1}, {16}}, true},
    {{3, 8, 57, 31}, {{48}, {48, 3, 2, 48, 1, 1}, {24}}},
    {{2, 3, 91, 90}, {{40, 3, 2, 1, 1, 1}, {40, 5, 1, 40, 1, 2}, {12}}},
    {{1, 24, 54, 54}, {{24, 3, 1, 24, 2, 2}, {40}}},
    {{2, 20, 33, 70}, {{37, 1}, {37, 3, 1, 37, 1, 0}}},
    {{1, 32, 6, 6}, {{96}, {96, 3, 1, 96, 1, 1}, {32}}, true, 0},               // small: each alone
    {{1, 16, 64, 64}, {{32, 3, 1, 1, 1, 1}, {32, 3, 1, 32, 1, 1}, {16}}, false, 1}, // Winograd first, then a chain of two
};

TEST(ConvChain, GivesTheBitsOfItsStagesForAnyNumberOfThreads) {
  for (const Case& c : cases) {
    Graph g = network(c.x, c.layers, c.residual);
    Tensor x = normal(c.x, 3);
    Session apart(g, {.threads = 1, .passes = layer_passes()});
    Tensor expected = apart.run(std::vector{x})[0];
    EXPECT_EQ(chains(apart), 0);
    for (int threads : {1, 2, 3}) {
      Session s(g, {.threads = threads});
      EXPECT_EQ(chains(s), c.chains) << s.graph().to_text();
      EXPECT_EQ(difference(s.run(std::vector{x})[0], expected), 0) << c.x.text() << " with " << threads;
      EXPECT_EQ(difference(s.run(std::vector{x})[0], expected), 0) << "again";
      EXPECT_LE(s.measured_arena_bytes(std::vector{x}), s.arena_bytes());
      EXPECT_GT(s.measured_arena_bytes(std::vector{x}) + 64, s.arena_bytes());       // buffers end at multiples of 64
    }
  }
}
TEST(ConvChain, DoesTheFunctionsAfterItsStages) {
  Tensor expand = normal({96, 16, 1, 1}, 1) * 0.3, filter = normal({96, 1, 5, 5}, 2) * 0.3, project = normal({16, 96, 1, 1}, 3) * 0.3, wide = normal({96}, 4), narrow = normal({16}, 5);
  for (int64_t size : {7, 40}) {
    Tensor x = normal({2, 16, size, size}, 6);
    Graph g = trace({x.spec()}, [&](auto& in) {
      Tensor y = leaky_relu(hard_swish(conv2d(in[0], expand, wide, {})), 0.1);
      y = hard_swish(conv2d(y, filter, wide, {.padding = {2, 2, 2, 2}, .groups = 96}));
      return std::vector{silu(conv2d(y, project, narrow, {}) + in[0])};
    });
    Tensor expected = Session(g, {.threads = 1, .passes = layer_passes()}).run(std::vector{x})[0];
    for (int threads : {1, 2, 3}) {
      Session s(g, {.threads = threads});
      std::string ops;
      for (const Node& n : s.graph().nodes) ops += std::string(n.op->name) + " ";
      EXPECT_EQ(ops, size == 7 ? "to_channels_last conv_chain leaky_relu conv_chain conv_chain " : "to_channels_last conv_chain leaky_relu conv_chain ");   // one function a stage
      EXPECT_EQ(difference(s.run(std::vector{x})[0], expected), 0) << size << " with " << threads;
      EXPECT_EQ(s.measured_arena_bytes(std::vector{x}), s.arena_bytes());
    }
  }
}
TEST(ConvChain, NeedsLessMemoryThanItsStages) {
  Graph g = network({1, 16, 112, 112}, {{96}, {96, 3, 2, 96, 1, 1}, {24}}, false);
  Session chain(g, {.threads = 1}), apart(g, {.threads = 1, .passes = layer_passes()});
  EXPECT_LT(chain.arena_bytes() * 4, apart.arena_bytes());
}
TEST(ConvChain, KeepsTheNamesOfItsLayers) {
  Graph g = network({1, 16, 40, 40}, {{96}, {96, 3, 1, 96, 1, 1}, {16}}, false);
  const char* names[] = {"expand", "filter", "project"};
  int i = 0;
  for (Node& n : g.nodes) if (n.op->name == "conv2d") n.name = names[i++];
  EXPECT_EQ(Session(g, {}).graph().nodes.back().name, "expand + filter + project");
}
TEST(ConvChain, LeavesOutWhatSparseWeightsDo) {
  for (const Case& c : {Case{{1, 64, 41, 40}, {{128}, {128, 3, 1, 128, 1, 1}, {64}}}, {{1, 16, 97, 96}, {{48, 3, 2, 1, 1, 1}, {48, 3, 1, 48, 1, 1}, {64}}}}) {
    Graph g = network(c.x, c.layers, false, 0.9);
    Tensor x = normal(c.x, 3);
    auto made = [&](Sparse use, std::vector<SparseChoice>* log = nullptr) {
      SparseScope scope(use, log);
      return Session(g, {.threads = 1});
    };
    std::vector<SparseChoice> choices;
    Session sparse = made(Sparse::automatic, &choices), dense = made(Sparse::never);
    EXPECT_EQ(chains(sparse), 1);
    EXPECT_EQ(chains(dense), 1);
    std::set<const std::byte*> left_out;
    for (const SparseChoice& choice : choices) if (choice.used) left_out.insert(choice.weight);
    EXPECT_EQ(left_out.size(), 2) << c.x.text();
    EXPECT_EQ(difference(sparse.run(std::vector{x})[0], dense.run(std::vector{x})[0]), 0);
  }
}
TEST(ConvChain, LeavesAValueThatIsReadElsewhere) {
  Tensor w = normal({96, 16, 1, 1}, 1), b = normal({96}, 2), v = normal({96, 1, 3, 3}, 3);
  Graph g = trace({{DType::f32, {1, 16, 40, 40}}}, [&](auto& in) {
    Tensor wide = conv2d(in[0], w, b, {});
    return std::vector{wide, conv2d(wide, v, b, {.padding = {1, 1, 1, 1}, .groups = 96})};
  });
  EXPECT_EQ(chains(Session(g, {})), 0);
}

}  // namespace
}  // namespace miniten
