#include "check.h"
#include <fstream>
#include <thread>
#include "miniten/base/parallel.h"
#include "miniten/base/temporary.h"
#include "miniten/graph/passes.h"

namespace miniten {
namespace {

using check::difference;
using check::error_of;
using check::normal;

struct Mlp {
  std::vector<Tensor> w, b;
  Mlp() {
    for (auto [in, out] : {std::pair{16, 32}, {32, 8}}) {
      w.push_back(parameter(normal({in, out}, uint64_t(in)) * 0.3));
      b.push_back(parameter(normal({out}, uint64_t(out)) * 0.1));
    }
  }
  Tensor operator()(Tensor x) const {
    for (size_t i = 0; i < 2; ++i) {
      x = matmul(x, w[i]) + b[i];
      if (i == 0) x = relu(x);
    }
    return x;
  }
  Graph graph(Dim batch) const {
    return trace({{DType::f32, {batch, 16}}}, [&](auto& in) { return std::vector{(*this)(in[0])}; });
  }
};

TEST(Session, FusesAndEqualsEager) {
  Mlp m;
  Session s(m.graph(4), {.threads = 1});
  EXPECT_EQ(s.graph().nodes.size(), 2u) << s.graph().to_text();      // bias and relu are absorbed
  Tensor x = normal({4, 16}, 1);
  EXPECT_LT(difference(s.run(std::vector{x})[0], m(x)), 1e-6);
}

TEST(Session, NarrowerProductsSayWhatTheyAre) {
  Mlp m;
  Tensor x = normal({1, 16}, 1);
  Session full(m.graph(1), {.threads = 1}), half(m.graph(1), {.threads = 1, .precision = Precision::bf16_weights});
  for (const Node& n : half.graph().nodes) EXPECT_EQ(n.op->name, "matmul_bf16_weights");
  double error = difference(half.run(std::vector{x})[0], full.run(std::vector{x})[0]);
  EXPECT_LT(error, 0.005);
  EXPECT_GT(error, 0);
  EXPECT_LT(half.weight_bytes(), full.weight_bytes());
  Tensor wide = normal({1, 600}, 2), w = normal({600, 500}, 3) * 0.05;
  Graph product = trace({wide.spec()}, [&](auto& in) { return std::vector{matmul(in[0], w)}; });
  Session blocks(product, {.threads = 1, .precision = Precision::int8_weights});
  EXPECT_EQ(blocks.graph().nodes[0].op->name, "matmul_blocks");
  EXPECT_LT(difference(blocks.run(std::vector{wide})[0], matmul(wide, w)), 0.01);
  EXPECT_NE(error_of([&] { Session(m.graph(1), {.exact = true, .precision = Precision::bf16}); }).find("exact"), std::string::npos);
}

TEST(Session, RemembersWhatItTimed) {
  TemporaryFolder folder("tune");
  Tensor w = normal({32, 16, 3, 3}, 2) * 0.1, x = normal({1, 16, 12, 12}, 3);
  Graph g = trace({x.spec()}, [&](auto& in) { return std::vector{relu(conv2d(in[0], w, {}, {.padding = {1, 1, 1, 1}}))}; });
  CompileOptions options{.threads = 1, .tune = folder.file("choices")};
  Session plain(g, {.threads = 1}), first(g, options), again(g, options);
  EXPECT_EQ(first.tuning().timed, 1);
  EXPECT_EQ(first.tuning().warning, "");
  EXPECT_EQ(again.tuning().timed, 0);
  EXPECT_EQ(again.tuning().remembered, 1);
  EXPECT_EQ(again.graph().to_text(), first.graph().to_text());
  EXPECT_EQ(difference(again.run(std::vector{x})[0], first.run(std::vector{x})[0]), 0);
  EXPECT_LE(difference(first.run(std::vector{x})[0], plain.run(std::vector{x})[0]), 1e-5);
  std::ofstream(options.tune) << "something else";
  EXPECT_NE(Session(g, options).tuning().warning.find("ignored"), std::string::npos);
  EXPECT_EQ(Session(g, options).tuning().remembered, 1);
}

TEST(Session, PlannedArenaIsMeasuredArena) {
  Mlp m;
  Tensor x = normal({64, 16}, 1);
  for (int threads : {1, 2}) {
    Session s(m.graph(64), {.threads = threads});
    EXPECT_EQ(s.arena_bytes(), s.measured_arena_bytes(std::vector{x}));
    EXPECT_LE(s.arena_bytes(), s.plan().bytes_without_reuse);
  }
}

TEST(Session, GivesTheSameBitsForAnyNumberOfThreads) {
  Tensor w = normal({24, 8, 3, 3}, 2) * 0.1, x = normal({8, 8, 20, 20}, 3);
  Graph g = trace({x.spec()}, [&](auto& in) {
    Tensor y = relu(conv2d(in[0], w, {}, {.padding = {1, 1, 1, 1}}));
    return std::vector{y, sum(y), mean(y, {0, 2, 3})};
  });
  Session one(g, {.threads = 1}), two(g, {.threads = 2}), three(g, {.threads = 3});
  auto a = one.run(std::vector{x}), b = two.run(std::vector{x}), c = three.run(std::vector{x});
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(difference(a[i], b[i]), 0);
    EXPECT_EQ(difference(a[i], c[i]), 0);
  }
}

// Few pixels and many channels: pieces share out output channels, by Winograd and directly, weights known or not.
TEST(Session, GivesTheSameBitsWhereChannelsAreCut) {
  for (bool known : {true, false})
    for (bool exact : {false, true})
      for (Dim size : {7, 14}) {
        Tensor w = normal({112, 96, 3, 3}, 2) * 0.1, b = normal({112}, 4), x = normal({2, 96, size, size}, 3), r = normal({2, 112, size, size}, 5);
        Graph g = trace({x.spec(), w.spec(), r.spec()}, [&](auto& in) { return std::vector{clamp(conv2d(in[0], known ? w : in[1], b, {.padding = {1, 1, 1, 1}}) + in[2], -1, 2)}; });
        std::vector<Tensor> results;
        for (int threads : {1, 2, 3, 5}) {
          Session s(g, {.threads = threads, .exact = exact});
          for (int again = 0; again < 2; ++again) results.push_back(s.run(std::vector{x, w, r})[0]);
          EXPECT_LE(s.measured_arena_bytes(std::vector{x, w, r}), s.arena_bytes());
        }
        for (const Tensor& t : results) EXPECT_EQ(difference(t, results[0]), 0);
        EXPECT_LT(difference(results[0], clamp(conv2d(x, w, b, {.padding = {1, 1, 1, 1}}) + r, -1, 2)), 1e-4);
      }
}

// A layer used at every step of a sequence is packed once; another shape or other attributes of the same weights are not taken for it.
TEST(Session, PacksALayerUsedAgainOnce) {
  Tensor w = normal({40, 40}, 2) * 0.1, k = normal({32, 8, 3, 3}, 4) * 0.1, x = normal({3, 40}, 3), image = normal({1, 8, 12, 12}, 5);
  auto steps = [&](const Tensor& x, const Tensor& image, int n) {
    Tensor y = x;
    for (int i = 0; i < n; ++i) y = matmul(tanh(y), w);
    return std::vector{y, matmul(slice(y, 0, 0, 1), w), conv2d(image, k, {}, {.padding = {1, 1, 1, 1}}), conv2d(image, k, {}, {.stride = {2, 2}})};
  };
  size_t bytes[2];
  for (int n : {1, 9}) {
    Session s(trace({x.spec(), image.spec()}, [&](auto& in) { return steps(in[0], in[1], n); }), {.threads = 1});
    bytes[n > 1] = s.weight_bytes();
    auto got = s.run(std::vector{x, image}), wanted = steps(x, image, n);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_LT(difference(got[i], wanted[i]), 1e-5) << i;
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(Session, BindsSymbolicSizes) {
  Mlp m;
  Graph g = m.graph(symbol("batch"));
  EXPECT_NE(g.to_text().find("(batch, 16)"), std::string::npos);
  for (int64_t n : {1, 7}) {
    Tensor x = normal({n, 16}, uint64_t(n));
    Session s(bind_inputs(g, {x.spec()}));
    EXPECT_LT(difference(s.run(std::vector{x})[0], m(x)), 1e-6);
  }
  EXPECT_NE(error_of([&] { bind_inputs(g, {{DType::f32, {2, 15}}}); }).find("(batch, 16)"), std::string::npos);
  EXPECT_NE(error_of([&] { bind_inputs(g, {{DType::f64, {2, 16}}}); }).find("float64"), std::string::npos);
}

// Sizes that are small, or nothing, in 32 bits.
TEST(Session, PlansSizesBeyond32BitsAndRefusesWhatCannotBeHad) {
  auto sums_of = [](const Shape& shape) { return trace({{DType::f32, shape}}, [](auto& in) { return std::vector{sum(exp(in[0] * in[0]))}; }); };
  EXPECT_GE(plan(sums_of({1 << 16, 1 << 16}), 1, {}).arena_bytes, uint64_t{1} << 34);
  EXPECT_NE(error_of([&] { Session(sums_of({1 << 24, 1 << 24}), {.threads = 1}); }).find("enough memory"), std::string::npos);
  EXPECT_NE(error_of([] { Tensor::zeros({1 << 24, 1 << 24}); }).find("enough memory"), std::string::npos);
  EXPECT_EQ((Spec{DType::i4, {(1 << 16) + 1, 1 << 17}}.bytes()), (uint64_t{1} << 32) + (1 << 16));
}

TEST(Session, RefusesWrongInputs) {
  Session s(Mlp().graph(4));
  EXPECT_EQ(error_of([&] { s.run(std::vector{normal({5, 16}, 1)}); }),
            "[session] expected input \"input\" of float32(4, 16), got float32(5, 16) (compile again for another shape)");
  EXPECT_NE(error_of([&] { s.run(std::vector<Tensor>{}); }).find("1 inputs"), std::string::npos);
  EXPECT_NE(error_of([&] { Session(Mlp().graph(4), {.passes = {"fly"}}); }).find("fold_constants"), std::string::npos);
}

TEST(Session, WritesIntoGivenOutputs) {
  Session s(trace({{DType::f32, {2, 3}}}, [](auto& in) { return std::vector{in[0] * 2.0, sum(in[0], {1})}; }));
  const Tensor x = Tensor::of({2, 3}, {1, 2, 3, 4, 5, 6});
  std::vector<Tensor> out{Tensor::zeros({2, 3}), Tensor::zeros({2})};
  const uint32_t before = out[0]->storage->version;
  s.run(std::vector{x}, out);
  EXPECT_EQ(check::values(out[0]), (std::vector<double>{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(check::values(out[1]), (std::vector<double>{6, 15}));
  EXPECT_NE(out[0]->storage->version, before);
  out[0] = transpose(Tensor::zeros({3, 2}));                    // of any strides
  s.run(std::vector{x}, out);
  EXPECT_EQ(check::values(out[0]), (std::vector<double>{2, 4, 6, 8, 10, 12}));
  EXPECT_THROW(s.run(std::vector{x}, std::vector{out[0]}), Error);
  EXPECT_EQ(check::values(s.outputs_for(std::vector{x})[1]), (std::vector<double>{0, 0}));
  EXPECT_THROW(s.outputs_for(std::vector{out[1]}), Error);
  EXPECT_THROW(s.run(std::vector{x}, std::vector{out[1], out[0]}), Error);
  Session open(trace({{DType::f32, {2, 3}}}, [](auto& in) { return std::vector{nonzero(in[0])}; }));
  EXPECT_THROW(open.run(std::vector{x}, std::vector{out[0]}), Error);
  EXPECT_THROW(open.outputs_for(std::vector{x}), Error);
}

TEST(Session, KeepsStates) {
  Tensor w = Tensor::full({4, 4}, 1), z = Tensor::full({2, 4}, 1);
  Graph g = trace({z.spec()}, [&](auto& in) {           // read, overwritten, read again through another handle
    Tensor before = matmul(in[0], w);
    assign(w, w * 0.5);
    return std::vector{relu(before), matmul(in[0], detach(w)), w};
  });
  Session s(g), other = s.clone();
  std::vector<Tensor> out = s.outputs_for(std::vector{z});           // runs nothing
  EXPECT_EQ(check::values(w)[5], 1);
  s.run(std::vector{z}, out);
  EXPECT_EQ(check::values(out[0])[0], 4);
  auto second = s.run(std::vector{z});
  EXPECT_EQ(check::values(second[0])[0], 2);
  EXPECT_EQ(check::values(second[1])[0], 1);
  EXPECT_EQ(check::values(w)[5], 0.25);
  EXPECT_EQ(check::values(other.run(std::vector{z})[0])[0], 4);      // its own states, from where it was cloned
  other.run(std::vector{z});
  EXPECT_EQ(check::values(w)[5], 0.25);
}

TEST(Session, RunsWhatIsSizedAtRunTime) {
  Graph g = trace({{DType::f32, {2, 3}}}, [](auto& in) { return std::vector{cast(nonzero(relu(in[0])), DType::f32) * 2.0}; });
  Session s(g);
  Tensor x = Tensor::of({2, 3}, {1, -1, 0, 2, 3, -4});
  Tensor y = s.run(std::vector{x})[0];
  EXPECT_EQ(y.shape().text(), "(3, 2)");
  EXPECT_EQ(check::values(y), (std::vector<double>{0, 0, 2, 0, 2, 2}));
  EXPECT_GT(s.dynamic_bytes(), 0u);
  EXPECT_EQ(s.run(std::vector{Tensor::zeros({2, 3})})[0].shape().text(), "(0, 2)");
}

TEST(Session, RunsBranches) {
  Spec x{DType::f32, {3}};
  Graph yes = trace({x}, [](auto& in) { return std::vector{in[0] * 2.0}; }), no = trace({x}, [](auto& in) { return std::vector{-in[0]}; });
  Graph g;
  int condition = g.add_value({DType::boolean, {}}, "condition"), input = g.add_value(x, "x"), out = g.add_value(x, "y");
  g.inputs = {condition, input};
  g.outputs = {out};
  Node branch{&copy_op, nullptr, {condition, input}, {out}, "if", {yes, no}};
  g.nodes.push_back(branch);
  verify(g);
  Session s(g);
  Tensor v = Tensor::of({3}, {1, 2, 3});
  EXPECT_EQ(check::values(s.run(std::vector{Tensor::full({}, 1, DType::boolean), v})[0])[1], 4);
  EXPECT_EQ(check::values(s.run(std::vector{Tensor::full({}, 0, DType::boolean), v})[0])[1], -2);
}

TEST(Session, RefusesASecondRunAtOnceAndClonesServe) {
  Mlp m;
  Session s(m.graph(64)), mine = s.clone();
  Tensor x = normal({64, 16}, 1), want = m(x);
  std::thread other([&] { for (int i = 0; i < 200; ++i) EXPECT_EQ(difference(mine.run(std::vector{x})[0], want) < 1e-6, true); });
  for (int i = 0; i < 200; ++i) EXPECT_LT(difference(s.run(std::vector{x})[0], want), 1e-6);
  other.join();
}

TEST(Verify, NamesWhatIsWrong) {
  Mlp m;
  Graph g = m.graph(4);
  Graph swapped = g;
  std::swap(swapped.nodes[0], swapped.nodes[1]);
  EXPECT_NE(error_of([&] { verify(swapped); }).find("computed before"), std::string::npos);
  Graph wrong = g;
  wrong.values[size_t(wrong.nodes[0].out[0])].spec.shape[1] = 9;
  EXPECT_NE(error_of([&] { verify(wrong); }).find("(4, 32)"), std::string::npos);
  Graph outside = g;
  outside.outputs = {1000};
  EXPECT_NE(error_of([&] { verify(outside); }).find("value id"), std::string::npos);

  Tensor w = Tensor::full({4, 4}, 1), z = Tensor::full({2, 4}, 1);
  EXPECT_NE(error_of([&] { trace({z.spec()}, [&](auto& in) {
    Tensor turned = transpose(w);
    assign(w, w + w);
    return std::vector{matmul(in[0], turned)};
  }); }).find("overwritten by assign"), std::string::npos);
  Tensor tied = transpose(w);
  EXPECT_NE(error_of([&] { trace({z.spec()}, [&](auto& in) {
    Tensor y = matmul(in[0], tied) + matmul(in[0], w);
    assign(w, w + w);
    return std::vector{y};
  }); }).find("memory of its own"), std::string::npos);
}

TEST(Trace, RefusesToReadValues) {
  std::string e = error_of([] { trace({{DType::f32, {1}}}, [](auto& in) { in[0].item(); return in; }); });
  EXPECT_NE(e.find("while tracing"), std::string::npos);
}

// 2^40 rows without an element: none is visited.
TEST(Session, RowsWithoutElementsTakeNoTime) {
  Tensor x = Tensor::zeros({int64_t{1} << 40, 0, 2});
  auto f = [](const Tensor& t) { return softmax(exp(t) + transpose(exp(transpose(t, 0, 2)), 0, 2), 2) * maximum(t, cast(cast(t, DType::i32), DType::f32)); };
  EXPECT_EQ(f(x).shape(), x.shape());
  Graph g = trace({x.spec()}, [&](auto& in) { return std::vector{f(in[0])}; });
  EXPECT_EQ(Session(g, {.threads = 2}).run(std::vector{x})[0].shape(), x.shape());
}

TEST(Trace, ReplaysWithGradients) {
  Mlp m;
  Graph g = m.graph(4);
  Tensor x = normal({4, 16}, 1), y = replay(g, {x})[0];
  auto a = gradients(sum(square(y)), m.w), b = gradients(sum(square(m(x))), m.w);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(difference(a[i], b[i]), 0);
}

TEST(Fold, BatchNormDisappears) {
  Tensor w = normal({8, 3, 3, 3}, 1), gamma = normal({8}, 2), beta = normal({8}, 3), mean_ = normal({8}, 4), var_ = square(normal({8}, 5)) + 0.1;
  Tensor x = normal({2, 3, 6, 6}, 6);
  auto f = [&](const Tensor& t) { return relu(batch_norm(conv2d(t, w), gamma, beta, mean_, var_)); };
  Graph g = trace({x.spec()}, [&](auto& in) { return std::vector{f(in[0])}; });
  Session s(g);
  int convs = 0;
  for (const Node& n : s.graph().nodes) convs += n.op == &conv2d_op;
  EXPECT_EQ(convs, 1);
  EXPECT_LE(s.graph().nodes.size(), 2u) << s.graph().to_text();       // the input's copy to channels-last, and the convolution
  EXPECT_LT(difference(s.run(std::vector{x})[0], f(x)), 1e-5);
}

TEST(Session, LetsGoOfWeightsThatArePacked) {
  Tensor tied = normal({32, 32, 1, 1}, 5), dense = normal({200, 32}, 6), bias = normal({200}, 7), given = normal({8, 32, 1, 1}, 8), vectors[4];
  for (size_t i = 0; i < 4; ++i) vectors[i] = i < 3 ? normal({32}, i) : square(normal({32}, i)) + 0.1;
  Tensor x = normal({1, 3, 24, 24}, 9), held = normal({32, 3, 3, 3}, 10), held_before = held.clone();
  Graph g = trace({x.spec()}, [&](auto& in) {
    Tensor y = clamp(batch_norm(conv2d(in[0], held), vectors[0], vectors[1], vectors[2], vectors[3]), 0, 6);
    y = relu(conv2d(relu(conv2d(y, tied)), tied));
    Tensor read = conv2d(y, given) + sum(given);                          // packed, and read otherwise
    return std::vector{matmul(mean(y, {2, 3}), transpose(dense)) + bias, read};
  });
  Session all(g, {.threads = 1}), few(g, {.threads = 1, .keep_constants = false}), copy = few.clone();
  EXPECT_LT(few.weight_bytes(), all.weight_bytes());
  EXPECT_EQ(few.to_text(), all.to_text());
  for (Session* s : {&few, &copy})
    for (int i = 0; i < 2; ++i) EXPECT_EQ(difference(s->run(std::vector{x})[size_t(i)], all.run(std::vector{x})[size_t(i)]), 0);
  int gone = 0;
  for (const Value& v : few.graph().values) gone += v.constant && !v.constant.has_data();
  EXPECT_GE(gone, 3);
  for (const Value& v : all.graph().values) EXPECT_TRUE(!v.constant || v.constant.has_data());
  EXPECT_EQ(difference(held, held_before), 0);
  EXPECT_TRUE(tied.has_data() && dense.has_data());
  EXPECT_EQ(difference(Session(g, {.threads = 1}).run(std::vector{x})[0], all.run(std::vector{x})[0]), 0);        // the graph given stays whole
}

// Weights that a batch norm was folded into are written once, and those before it not at all.
TEST(Session, HoldsNoConstantThatNothingReads) {
  Tensor w = normal({16, 3, 3, 3}, 1), x = normal({1, 3, 6, 6}, 2), vectors[4];
  for (size_t i = 0; i < 4; ++i) vectors[i] = square(normal({16}, i + 3)) + 0.1;
  Session s(trace({x.spec()}, [&](auto& in) { return std::vector{batch_norm(conv2d(in[0], w), vectors[0], vectors[1], vectors[2], vectors[3])}; }));
  for (const Value& v : s.graph().values) EXPECT_FALSE(v.constant && v.constant.same(w));
  EXPECT_EQ(std::count_if(s.graph().values.begin(), s.graph().values.end(), [](const Value& v) { return bool(v.constant); }), 2);
}

// The direct form in double precision judges both; what is not exact takes Winograd where it can.
TEST(Session, GradientsOfConvolutionsByEveryAlgorithm) {
  struct Case { Shape x, w; Conv2dAttrs at; bool winograd; };
  const Case cases[] = {
      {{2, 24, 13, 12}, {40, 24, 3, 3}, {.padding = {1, 1, 1, 1}}, true},
      {{2, 40, 9, 16}, {24, 40, 3, 3}, {.padding = {0, 2, 1, 0}}, true},
      {{1, 64, 14, 14}, {96, 64, 3, 3}, {.padding = {1, 1, 1, 1}}, true},      // few tiles: cut by channels
      {{1, 8, 9, 9}, {8, 8, 3, 3}, {.padding = {3, 1, 1, 1}}, false},          // wider than the kernel reaches
      {{2, 16, 12, 12}, {32, 16, 3, 3}, {.stride = {2, 2}, .padding = {1, 1, 1, 1}}, false},
      {{2, 17, 9, 12}, {33, 17, 1, 1}, {.stride = {2, 3}}, false},
      {{1, 5, 11, 10}, {6, 5, 2, 5}, {.stride = {3, 2}, .padding = {0, 2, 1, 2}}, false},
      {{2, 4, 7, 9}, {20, 4, 7, 3}, {.stride = {2, 1}, .padding = {3, 1, 3, 1}}, false},
      {{1, 4, 8, 8}, {4, 4, 2, 2}, {.stride = {2, 2}, .padding = {1, 1, 1, 1}}, false},
      {{2, 8, 13, 13}, {8, 1, 3, 3}, {.stride = {2, 2}, .padding = {1, 1, 1, 1}, .groups = 8}, false},
      {{2, 12, 8, 8}, {18, 6, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 2}, false},
      {{2, 20, 8, 8}, {20, 1, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 20}, false},
      {{1, 6, 11, 10}, {5, 6, 3, 2}, {.padding = {2, 1, 1, 1}, .dilation = {2, 1}}, false}};
  for (const Case& c : cases) {
    Tensor x = normal(c.x, 1), w = normal(c.w, 2), g = normal(conv2d(x, w, {}, c.at).shape(), 3);
    auto at = c.at;
    at.extent = {c.x[2], c.x[3]};
    Tensor want = apply(conv2d_input_op, {cast(g, DType::f64), cast(w, DType::f64)}, at);
    Graph graph = trace({g.spec(), w.spec()}, [&](auto& in) { return std::vector{apply(conv2d_input_op, {in[0], in[1]}, at)}; });
    std::vector<Tensor> results;
    for (int threads : {1, 3})
      for (bool exact : {true, false}) results.push_back(Session(graph, {.threads = threads, .exact = exact}).run(std::vector{g, w})[0]);
    double greatest = 1;
    for (double v : want.to_vector<double>()) greatest = std::max(greatest, std::abs(v));
    EXPECT_LE(check::difference(cast(results[0], DType::f64), want), 1e-6 * greatest) << c.x.text();
    EXPECT_LE(check::difference(cast(results[1], DType::f64), want), 1e-5 * greatest) << c.x.text();
    EXPECT_EQ(check::difference(results[0], results[2]), 0) << c.x.text();
    EXPECT_EQ(check::difference(results[1], results[3]), 0) << c.x.text();
    EXPECT_EQ(check::difference(results[0], results[1]) > 0, c.winograd) << c.x.text();
  }
}

}  // namespace
}  // namespace miniten
