#include "check.h"
#include "miniten/base/random.h"
#include "miniten/graph/passes.h"
#include "miniten/graph/session.h"

namespace miniten {
namespace {

using check::difference;
using check::error_of;
using check::normal;

using F = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;
std::string ops_of(const Graph& g) {
  std::string s;
  for (const Node& n : g.nodes) s += (s.empty() ? "" : " ") + std::string(n.op->name);
  return s;
}
// The graph after a pass, which gives the same values as before.
Graph after(void (*pass)(Graph&), const std::vector<Tensor>& in, const F& f, double tolerance = 0) {
  std::vector<Spec> specs;
  for (const Tensor& t : in) specs.push_back(t.spec());
  Graph g = trace(specs, f);
  auto want = replay(g, in);
  Graph done = g;
  pass(done);
  verify(done);
  auto got = replay(done, in);
  EXPECT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].spec(), want[i].spec());
    EXPECT_LE(difference(got[i], want[i]), tolerance) << done.to_text();
    EXPECT_EQ(done.values[size_t(done.outputs[i])].name, g.values[size_t(g.outputs[i])].name);
  }
  return done;
}

TEST(Passes, CancelMovesGivesTheEarlierValue) {
  Tensor x = normal({2, 3, 4}, 1);
  auto one = [&](auto f) { return ops_of(after(cancel_moves, {x}, [&](auto& in) { return std::vector{relu(f(in[0]))}; })); };
  EXPECT_EQ(one([](const Tensor& t) { return permute(permute(t, {1, 2, 0}), {2, 0, 1}); }), "relu");
  EXPECT_EQ(one([](const Tensor& t) { return reshape(reshape(t, {6, 4}), {2, 3, 4}); }), "relu");
  EXPECT_EQ(one([](const Tensor& t) { return slice(slice(t, 1, INT64_MAX, INT64_MIN, -1), 1, INT64_MAX, INT64_MIN, -1); }), "relu");      // reversed twice
  EXPECT_EQ(one([](const Tensor& t) { return permute(reshape(reshape(permute(t, {2, 0, 1}), {4, 6}), {4, 2, 3}), {1, 2, 0}); }), "relu");
  EXPECT_EQ(one([](const Tensor& t) { return permute(permute(t, {1, 2, 0}), {1, 2, 0}); }), "permute permute relu");                      // not undone
  EXPECT_EQ(one([](const Tensor& t) { return reshape(permute(t, {1, 0, 2}), {2, 3, 4}); }), "permute reshape relu");                      // the same shape, other elements
}

TEST(Passes, CancelMovesPullsViewsThroughElementwiseOps) {
  Tensor x = normal({1, 3, 4, 5}, 2), y = normal({1, 3, 4, 5}, 3);
  auto last = [](const Tensor& t) { return permute(t, {0, 2, 3, 1}); };
  auto first = [](const Tensor& t) { return permute(t, {0, 3, 1, 2}); };
  EXPECT_EQ(ops_of(after(cancel_moves, {x}, [&](auto& in) { return std::vector{first(relu(last(in[0])))}; })), "relu");
  EXPECT_EQ(ops_of(after(cancel_moves, {x, y}, [&](auto& in) { return std::vector{first(last(in[0]) + last(in[1]))}; })), "add");
  EXPECT_EQ(ops_of(after(cancel_moves, {x}, [&](auto& in) { return std::vector{exp(first(tanh(last(in[0])) * 2.0))}; })), "permute tanh mul permute exp");   // two ops between: left
  EXPECT_EQ(ops_of(after(cancel_moves, {x, y}, [&](auto& in) { return std::vector{first(last(in[0]) + in[1].shape()[1] * 1.0)}; })), "add");
  Graph kept = after(cancel_moves, {x}, [&](auto& in) { Tensor r = relu(last(in[0])); return std::vector{first(r), r}; });               // the middle is wanted too
  EXPECT_EQ(ops_of(kept), "permute relu permute");
  Tensor channels = normal({3}, 4);
  EXPECT_EQ(ops_of(after(cancel_moves, {x}, [&](auto& in) { return std::vector{first(last(in[0]) + channels)}; })), "permute add permute");                // an operand along an axis
}

TEST(Passes, TurnsSinkThroughWhatWorksEitherWay) {
  Tensor x = normal({1, 3, 4, 5}, 2), y = normal({1, 3, 4, 5}, 3), w = normal({6, 3, 3, 3}, 4);
  auto last = [](const Tensor& t) { return permute(t, {0, 2, 3, 1}); };
  auto first = [](const Tensor& t) { return permute(t, {0, 3, 1, 2}); };
  auto both = [](Graph& g) { sink_moves(g); cancel_moves(g); };
  auto left = [&](const std::vector<Tensor>& in, auto form) { return ops_of(after(+both, in, [&](auto& t) { return form(t); })); };
  using T = std::vector<Tensor>;
  EXPECT_EQ(left({x, y}, [&](auto& t) { Tensor s = last(t[0]) + last(t[1]); return T{exp(first(s)), exp(first(s + last(t[0])))}; }), "add exp add exp");          // read twice
  EXPECT_EQ(left({x, y}, [&](auto& t) { return T{exp(first(concat(T{last(t[0]), last(t[1])}, 3)))}; }), "concat exp");
  EXPECT_EQ(left({x}, [&](auto& t) { return T{exp(reshape(mean(last(t[0]), {1, 2}, true), {3}))}; }), "mean permute reshape exp");
  EXPECT_EQ(left({x}, [&](auto& t) { return T{conv2d(first(pad(last(t[0]), {0, 1, 2, 0}, {0, 0, 1, 0})), w)}; }), "pad conv2d");
  EXPECT_EQ(left({x}, [&](auto& t) { return T{exp(first(pad(last(t[0]), {0, 1, 2, 0}, {0, 0, 1, 0})))}; }), "permute pad exp permute");                       // nobody takes the border up
  EXPECT_EQ(left({x, y}, [&](auto& t) { return T{exp(first(last(t[0]) + permute(t[1], {0, 2, 3, 1}) * reshape(t[0], {1, 4, 5, 3})))}; }).find("conv"), std::string::npos);
  Graph g = after(+[](Graph& h) { sink_moves(h); cancel_moves(h); fuse(h); }, {x}, [&](auto& t) { return T{conv2d(first(pad(last(t[0]), {0, 1, 2, 0}, {0, 0, 1, 0})), w)}; }, 1e-6);
  EXPECT_EQ(ops_of(g), "conv2d");                                    // the border is its padding
  EXPECT_EQ(static_cast<const Conv2dAttrs*>(g.nodes[0].attributes())->padding, (Dims{1, 2, 0, 1}));
}

TEST(Passes, CancelMovesKeepsOutputsAndStates) {
  Tensor x = normal({2, 3}, 5);
  EXPECT_EQ(ops_of(after(cancel_moves, {x}, [](auto& in) { return std::vector{transpose(transpose(in[0]))}; })), "permute permute");   // an output keeps its name
  Tensor state = Tensor::zeros({2, 3});
  Graph g = trace({x.spec()}, [&](auto& in) { assign(state, transpose(transpose(in[0]))); return std::vector{sum(in[0])}; });
  size_t nodes = g.nodes.size();
  cancel_moves(g);
  EXPECT_EQ(g.nodes.size(), nodes);
}

TEST(Passes, FoldBatchNormTakesItUpInWeightsOnly) {
  Tensor w = normal({4, 3, 3, 3}, 1), gamma = normal({4}, 2), beta = normal({4}, 3), mean = normal({4}, 4), variance = Tensor::full({4}, 1.5);
  Graph g = after(fold_batch_norm, {normal({2, 3, 6, 6}, 5)}, [&](auto& in) { return std::vector{relu(batch_norm(conv2d(in[0], w), gamma, beta, mean, variance))}; }, 1e-5);
  EXPECT_EQ(ops_of(g), "conv2d relu");                         // relu is not a constant's: it stays for fuse
  Graph m = after(fold_batch_norm, {normal({2, 3}, 5)}, [&](auto& in) { return std::vector{batch_norm(matmul(in[0], normal({3, 4}, 6)), gamma, beta, mean, variance)}; }, 1e-5);
  EXPECT_EQ(ops_of(m), "matmul");
  Graph two = after(fold_batch_norm, {normal({2, 3, 6, 6}, 5)}, [&](auto& in) {
    Tensor y = conv2d(in[0], w);
    return std::vector{batch_norm(y, gamma, beta, mean, variance), y};
  }, 0);
  EXPECT_EQ(ops_of(two), "conv2d batch_norm");                 // the convolution has another reader
}

TEST(Passes, FoldBatchNormWritesOverWeightsThatNobodyElseHolds) {
  Tensor vectors[] = {normal({64}, 2), normal({64}, 3), normal({64}, 4), normal({64}, 5) * normal({64}, 5) + 0.1}, x = normal({1, 64, 5, 5}, 7);
  auto graph_of = [&](const Tensor& w, bool twice) {
    return trace({x.spec()}, [&](auto& in) {
      Tensor y = conv2d(in[0], w);
      return std::vector{batch_norm(y, vectors[0], vectors[1], vectors[2], vectors[3]), twice ? conv2d(in[0], w) : relu(in[0])};
    });
  };
  auto data_after = [&](Graph& g) {
    fold_batch_norm(g);
    for (const Node& n : g.nodes) if (n.in.size() == 3) return g.values[size_t(n.in[1])].constant.view().data;
    return static_cast<std::byte*>(nullptr);
  };
  const Tensor original = normal({64, 64, 3, 3}, 1);
  auto folded = replay([&] { Graph g = graph_of(original, false); fold_batch_norm(g); return g; }(), {x})[0];
  EXPECT_EQ(difference(original, normal({64, 64, 3, 3}, 1)), 0);
  enum { alone, kept, copied, viewed, twice, ways };
  for (int way = 0; way < ways; ++way) {
    Tensor w = original.clone(), other = way == viewed ? reshape(w, {64, 576}) : Tensor();
    Graph g = graph_of(w, way == twice), copy = way == copied ? g : Graph();
    std::byte* before = w.view().data;
    if (way != kept) w = {};
    std::byte* now = data_after(g);
    EXPECT_EQ(now == before, way == alone) << way;
    EXPECT_EQ(difference(replay(g, {x})[0], folded), 0) << way;
    if (way == kept) EXPECT_EQ(difference(w, original), 0);
    if (way == viewed) EXPECT_EQ(difference(other, reshape(original, {64, 576})), 0);
    if (way == copied) EXPECT_LT(difference(replay(copy, {x})[0], folded), 1e-5);
    verify(g);
  }
}

TEST(Passes, FoldConstantsComputesWhatIsKnown) {
  Tensor a = normal({3, 4}, 1);
  Graph g = after(fold_constants, {normal({2, 4}, 2)}, [&](auto& in) { return std::vector{matmul(in[0], transpose(exp(a))) / cast(count(in[0]), DType::f32)}; }, 1e-6);
  EXPECT_EQ(ops_of(g), "matmul div");
  Graph random = trace({{DType::f32, {2}}}, [](auto& in) { return std::vector{uniform(Tensor::zeros({2}, DType::i64), {2}) + in[0]}; });
  fold_constants(random);
  EXPECT_EQ(ops_of(random), "uniform add");                    // drawn anew at each run
}

TEST(Passes, FunctionsAreRecognisedInAnyOrderOfTheirFactors) {
  Tensor x = normal({3, 5}, 1);
  auto one = [&](auto f) { return ops_of(after(recognise_functions, {x}, [&](auto& in) { return std::vector{f(in[0])}; }, 1e-6)); };
  EXPECT_EQ(one([](const Tensor& t) { return t * (erf(t / std::sqrt(2.0)) + 1.0) * 0.5; }), "gelu");
  EXPECT_EQ(one([](const Tensor& t) { return t * 0.5 * (erf(t * std::sqrt(0.5)) + 1.0); }), "gelu");
  EXPECT_EQ(one([](const Tensor& t) { return (erf(t / std::sqrt(2.0)) + 1.0) * t / 2.0; }), "gelu");
  EXPECT_EQ(one([](const Tensor& t) { return sigmoid(t) * t; }), "silu");
  EXPECT_EQ(one([](const Tensor& t) { return sigmoid(t * 1.702) * t; }), "mul sigmoid mul");          // another function
  EXPECT_EQ(one([](const Tensor& t) { return t * (erf(t / std::sqrt(2.0)) + 1.0); }), "div erf add mul");
  EXPECT_EQ(one([](const Tensor& t) { Tensor share = erf(t / std::sqrt(2.0)) + 1.0; return exp(t) * share * 0.5; }), "div erf add exp mul mul");
}

TEST(Passes, TablesOfBytesAreRecognised) {
  Tensor table = cast(normal({256}, 1) * 40.0, DType::i8), x = cast(normal({3, 50}, 2) * 60.0, DType::i8), bytes = cast(abs(normal({3, 50}, 2)) * 60.0, DType::u8);
  auto left = [&](const Tensor& in, auto form) { return ops_of(after(recognise_functions, {in}, [&](auto& t) { return std::vector{form(t[0])}; })); };
  Tensor move = Tensor::of<int32_t>({}, std::vector<int32_t>{128}), less = Tensor::of<int32_t>({}, std::vector<int32_t>{127});
  EXPECT_EQ(left(x, [&](const Tensor& t) { return gather(table, cast(t, DType::i32) + move); }), "qtable");
  EXPECT_EQ(left(bytes, [&](const Tensor& t) { return gather(table, cast(t, DType::i32)); }), "qtable");
  EXPECT_EQ(left(bytes, [&](const Tensor& t) { return gather(table, cast(t, DType::i64)); }), "qtable");
  EXPECT_EQ(left(bytes, [&](const Tensor& t) { return gather(table, cast(t, DType::i32) + less - less); }), "cast add sub gather");
}

TEST(Passes, AttentionGoesByRows) {
  Tensor q = normal({2, 3, 37, 8}, 1), k = normal({2, 3, 21, 8}, 2), v = normal({2, 3, 21, 5}, 3), added = normal({2, 1, 37, 21}, 4), keeps = greater(normal({37, 21}, 5), Tensor::full({}, -1));
  auto left = [&](std::vector<Tensor> in, auto form) { return ops_of(after(fuse_rows, in, [&](auto& t) { return std::vector{form(t)}; }, 1e-5)); };
  auto end = [&](const Tensor& scores, const Tensor& values) { return matmul(softmax(scores), values); };
  EXPECT_EQ(left({q, k, v}, [&](auto& t) { return end(matmul(t[0] * 0.3, transpose(t[1])), t[2]); }), "permute attention");
  EXPECT_EQ(left({q, k, v}, [&](auto& t) { return end(matmul(t[0], transpose(t[1])) / 3.0, t[2]); }), "permute attention");
  EXPECT_EQ(left({q, k, v, added}, [&](auto& t) { return end(t[3] + matmul(t[0], transpose(t[1])) * 0.25, t[2]); }), "permute attention");
  EXPECT_EQ(left({q, k, v}, [&](auto& t) { return end(where(keeps, matmul(t[0], transpose(t[1])), Tensor::full({}, -INFINITY)), t[2]); }), "permute attention");
  EXPECT_EQ(left({q, k, v}, [&](auto& t) { return end(where(keeps, matmul(t[0], transpose(t[1])), Tensor::full({}, -1e9)), t[2]); }), "permute matmul where softmax matmul");
  Tensor one = normal({2, 1, 21, 8}, 6);                            // keys that all heads share
  EXPECT_EQ(left({q, one, v}, [&](auto& t) { return end(matmul(t[0], transpose(t[1])), t[2]); }), "permute matmul softmax matmul");
  Graph wanted = after(fuse_rows, {q, k, v}, [](auto& t) { Tensor p = softmax(matmul(t[0], transpose(t[1]))); return std::vector{matmul(p, t[2]), p}; });
  EXPECT_EQ(ops_of(wanted), "permute matmul softmax matmul");        // somebody wants the weights
}
TEST(Passes, AttentionNeedsNoMemoryForItsScores) {
  auto arena = [](Dim length, const std::vector<std::string>& passes) {
    Graph g = trace({{DType::f32, {1, 2, length, 16}}}, [](auto& t) { return std::vector{matmul(softmax(matmul(t[0], transpose(t[0]))), t[0])}; });
    return Session(g, {.threads = 1, .passes = passes}).arena_bytes();
  };
  EXPECT_LT(arena(4096, {"all"}), 9 * arena(512, {"all"}));          // grows with the length
  EXPECT_GT(arena(4096, layer_passes()), 60 * arena(512, layer_passes()));
}
TEST(Passes, AttentionGivesTheSameBitsForAnyNumberOfThreads) {
  Tensor q = normal({2, 2, 200, 24}, 1), mask = normal({200}, 2);
  Graph g = trace({q.spec()}, [&](auto& t) { return std::vector{matmul(softmax(matmul(t[0], transpose(t[0])) + mask), t[0])}; });
  Tensor one = Session(g, {.threads = 1}).run(std::vector{q})[0];
  EXPECT_LT(difference(one, replay(g, {q})[0]), 1e-5);
  for (int threads : {2, 3}) EXPECT_EQ(difference(Session(g, {.threads = threads}).run(std::vector{q})[0], one), 0);
}

TEST(Passes, PixelsAreGatheredWhole) {
  Tensor rows = Tensor::of<int64_t>({4}, std::vector<int64_t>{0, 0, 1, -1}), columns = Tensor::of<int32_t>({3}, std::vector<int32_t>{2, 0, 1});
  for (DType t : {DType::f32, DType::i8, DType::f64}) {
    Tensor x = cast(normal({2, 5, 2, 3}, 1) * 9.0, t);
    auto left = [&](auto form) { return ops_of(after(fuse_rows, {x}, [&](auto& in) { return form(in[0]); })); };
    EXPECT_EQ(left([&](const Tensor& in) { return std::vector{gather(gather(in, rows, 2), columns, 3)}; }), "gather_pixels");
    EXPECT_EQ(left([&](const Tensor& in) { return std::vector{gather(gather(in, columns, 3), rows, 2)}; }), "gather_pixels");
    EXPECT_EQ(left([&](const Tensor& in) { Tensor y = gather(in, rows, 2); return std::vector{gather(y, columns, 3), y}; }), "gather gather");
    EXPECT_EQ(left([&](const Tensor& in) { return std::vector{gather(gather(in, rows, 1), columns, 3)}; }), "gather gather");
  }
}
TEST(Passes, ASparseConstantMultipliesInOneGo) {
  Tensor rows = Tensor::of<int64_t>({5}, std::vector<int64_t>{3, 0, 3, -1, 0}), columns = Tensor::of<int32_t>({5}, std::vector<int32_t>{2, 0, 1, -1, 2});
  Tensor values = normal({5, 1}, 1), each = normal({5, 3}, 2), x = normal({4, 3}, 3);
  auto product = [&](const Tensor& t, const Tensor& v) { return scatter_add(gather(t, columns) * v, rows, 6); };
  auto left = [&](auto form) { return ops_of(after(fuse_rows, {x}, [&](auto& in) { return form(in[0]); }, 1e-6)); };
  EXPECT_EQ(left([&](const Tensor& t) { return std::vector{product(t, values)}; }), "sparse_product");
  EXPECT_EQ(left([&](const Tensor& t) { return std::vector{scatter_add(permute(values * gather(t, columns), {0, 1}), rows, 6)}; }), "sparse_product");
  EXPECT_EQ(left([&](const Tensor& t) { return std::vector{product(t, each)}; }), "gather mul scatter_add");
  EXPECT_EQ(left([&](const Tensor& t) { return std::vector{product(t, exp(slice(slice(t, 0, 0, 1), 1, 0, 1)))}; }).find("sparse_product"), std::string::npos);   // not constant

  // Entries in no order, more than a thread's share, beside a state that is overwritten.
  std::vector<int64_t> to, from;
  for (int64_t i = 0; i < 30000; ++i) { to.push_back(i * 7919 % 1009); from.push_back(i * 104729 % 500); }
  Tensor r = Tensor::of<int64_t>({30000}, to), c = Tensor::of<int64_t>({30000}, from), v = normal({30000, 1}, 4), wide = normal({500, 19}, 5), state = normal({500, 19}, 6);
  auto big = [&](const Tensor& t) { return scatter_add(gather(t, c) * v, r, 1009); };
  Graph g = trace({wide.spec()}, [&](auto& t) { Tensor y = big(t[0]), z = big(state); assign(state, t[0]); return std::vector{y, z}; });
  Tensor before = state.clone();
  Session one(g, {.threads = 1});
  EXPECT_EQ(std::count_if(one.graph().nodes.begin(), one.graph().nodes.end(), [](const Node& n) { return n.op->name == "sparse_product"; }), 1);   // the state's own stays
  auto got = one.run(std::vector{wide});
  EXPECT_LT(difference(got[0], big(wide)), 1e-5);
  EXPECT_LT(difference(got[1], big(before)), 1e-5);
  for (int threads : {2, 3}) EXPECT_EQ(difference(Session(g, {.threads = threads}).run(std::vector{wide})[0], got[0]), 0);
}

TEST(Passes, AProductIsMadeAsItIsWanted) {
  auto left = [&](const std::vector<Tensor>& in, auto form) { return ops_of(after(fuse_rows, in, [&](auto& t) { return std::vector{form(t)}; }, 1e-6)); };
  Tensor x = normal({40, 70}, 1), y = normal({40, 33}, 2);
  EXPECT_EQ(left({x, y}, [](auto& t) { return transpose(matmul(transpose(t[0]), t[1])); }), "permute matmul_turned");
  EXPECT_EQ(left({x}, [&](auto& t) { return transpose(matmul(t[0], normal({70, 5}, 3))); }), "matmul permute");       // a constant is packed once
  EXPECT_EQ(left({x, y}, [](auto& t) { Tensor m = matmul(transpose(t[0]), t[1]); return transpose(m) + sum(m); }).find("turned"), std::string::npos);
  Graph g = trace({x.spec(), y.spec()}, [](auto& t) { return std::vector{transpose(matmul(transpose(t[0]), t[1])) * 2.0}; });
  Tensor one = Session(g, {.threads = 1}).run(std::vector{x, y})[0];
  EXPECT_LT(difference(one, replay(g, {x, y})[0]), 1e-5);
  for (int threads : {2, 3}) EXPECT_EQ(difference(Session(g, {.threads = threads}).run(std::vector{x, y})[0], one), 0);
}

// Columns that lie far apart are taken some at a time: the bits are those of rows side by side.
TEST(Passes, ALongProductOfColumnsHasTheBitsOfRows) {
  Tensor x = normal({2500, 301}, 1);
  for (int64_t n : {1, 3, 11, 16, 17}) {
    Tensor b = normal({2500, n}, 2), bias = normal({n}, 3);
    auto product = [&](const Tensor& a) { return apply(matmul_op, {a, b, bias}, ClampAttrs{-20, 20}); };
    EXPECT_LE(difference(product(transpose(x)), product(copy(transpose(x)))), n == 1 ? 1e-4 : 0) << n;  // rows times one vector are summed in lanes
  }
}

TEST(Passes, PartsOfPicturesAreJoinedAsTheyLie) {
  Tensor w = normal({8, 4, 3, 3}, 1), v = normal({6, 12, 1, 1}, 2);
  Graph g = trace({{DType::f32, {2, 4, 5, 7}}}, [&](auto& t) {
    Tensor y = conv2d(t[0], w);
    std::vector<Tensor> parts{slice(y, 1, 0, 4), slice(y, 1, 4, 8), slice(y, 1, 2, 6)};
    return std::vector{conv2d(concat(parts, 1), v)};
  });
  Session s(g, {.threads = 1});
  EXPECT_EQ(std::count_if(s.graph().nodes.begin(), s.graph().nodes.end(), [](const Node& n) { return n.op == &to_channels_last_op; }), 1);  // the input's
  Tensor x = normal({2, 4, 5, 7}, 3);
  EXPECT_LT(difference(s.run(std::vector{x})[0], replay(g, {x})[0]), 1e-5);
}

TEST(Passes, LayerNormGoesByRows) {
  Tensor x = normal({4, 3, 6}, 1), w = normal({6}, 2), b = normal({6}, 3), w2 = normal({3, 6}, 4), b2 = normal({3, 6}, 5);
  auto left = [&](auto form) { return ops_of(after(fuse_rows, {x}, [&](auto& t) { return std::vector{form(t[0])}; }, 2e-6)); };
  auto centred = [](const Tensor& t, Axes axes) { return t - mean(t, axes, true); };
  EXPECT_EQ(left([&](const Tensor& t) { Tensor c = centred(t, {-1}); return c / sqrt(mean(square(c), {-1}, true) + 1e-5) * w + b; }), "layer_norm");
  EXPECT_EQ(left([&](const Tensor& t) { Tensor c = centred(t, {-1}); return b + w * (c * reciprocal(sqrt(mean(c * c, {-1}, true) + 1e-12))); }), "layer_norm");
  EXPECT_EQ(left([&](const Tensor& t) { Tensor c = centred(t, {1, 2}); return c / sqrt(mean(square(c), {1, 2}, true) + 1e-5) * w2 + b2; }), "layer_norm");
  EXPECT_EQ(left([&](const Tensor& t) { Tensor c = centred(t, {1}); return c / sqrt(mean(square(c), {1}, true) + 1e-5) * w + b; }).find("layer_norm"), std::string::npos);      // another axis
  EXPECT_EQ(left([&](const Tensor& t) { Tensor c = centred(t, {-1}); return c / sqrt(mean(square(c), {1, 2}, true) + 1e-5) * w + b; }).find("layer_norm"), std::string::npos);
}

TEST(Passes, ASlopeForEachChannelIsOnePass) {
  Tensor x = normal({2, 5, 3, 4}, 1), slope = normal({5, 1, 1}, 2);
  auto left = [&](auto form) { return ops_of(after(fuse_rows, {x}, [&](auto& t) { return std::vector{form(t[0])}; })); };
  auto positive = [](const Tensor& t) { return greater(t, number_like(t, 0)); };
  EXPECT_EQ(left([&](const Tensor& t) { return where(positive(t), t, t * slope); }), "prelu");
  EXPECT_EQ(left([&](const Tensor& t) { return where(positive(t), t, slope * t); }), "prelu");
  EXPECT_EQ(left([&](const Tensor& t) { Tensor below = exp(t) * slope; return where(positive(t), t, below); }), "exp mul greater where");
  EXPECT_EQ(left([&](const Tensor& t) { Tensor below = t * slope; return where(greater(t, number_like(t, 1)), t, below); }), "mul greater where");
}
// Whichever operand goes on and whichever lies again and again below it, in any memory order.
TEST(Passes, AFactorForEachChannelIsThatOfEachPixel) {
  for (int64_t channels : {3, 16, 17, 600})
    for (Shape many : {Shape{1, channels, 5, 7}, Shape{3, channels, 4, 9}}) {
      Tensor x = normal(many, 1), gate = normal({many[0], channels, 1, 1}, 2), w = Tensor::zeros({channels, 1, 1, 1}) + 1.0;
      Graph g = trace({x.spec(), gate.spec()}, [&](auto& in) {
        Tensor y = conv2d(in[0], w, {}, {.groups = channels});                       // channels last from here on
        return std::vector{y * in[1], in[1] - y, relu(y + in[1])};
      });
      for (int threads : {1, 2}) {
        auto got = Session(g, {.threads = threads}).run(std::vector{x, gate});
        EXPECT_EQ(difference(got[0], x * gate), 0) << many.text();
        EXPECT_EQ(difference(got[1], gate - x), 0) << many.text();
        EXPECT_EQ(difference(got[2], relu(x + gate)), 0) << many.text();
      }
    }
}

TEST(Passes, FuseLetsProducersDoWhatTheirReaderDid) {
  Tensor w = normal({4, 3}, 1), b = normal({3}, 2);
  EXPECT_EQ(ops_of(after(fuse, {normal({2, 4}, 3)}, [&](auto& in) { return std::vector{relu(matmul(in[0], w) + b)}; }, 1e-6)), "matmul");
  EXPECT_EQ(ops_of(after(fuse, {normal({2, 4}, 3)}, [&](auto& in) { Tensor y = matmul(in[0], w); return std::vector{relu(y), y}; })), "matmul relu");
}

TEST(Passes, FuseSumsGivesConvolutionsTheirResidual) {
  Tensor w = normal({4, 4, 3, 3}, 1), b = normal({4}, 2), deep = normal({4, 1, 3, 3}, 3);
  std::vector<Tensor> x{normal({2, 4, 6, 6}, 4), normal({1, 4, 1, 1}, 5)};
  Conv2dAttrs same{.padding = {1, 1, 1, 1}};
  auto left = [&](auto form) { return ops_of(after(fuse_sums, x, [&](auto& in) { return std::vector{form(in)}; }, 1e-5)); };
  EXPECT_EQ(left([&](auto& in) { return relu(in[0] + conv2d(in[0], w, b, same)); }), "conv2d");
  EXPECT_EQ(left([&](auto& in) { return conv2d(in[0], w, b, same) + conv2d(in[0], w, b, same); }), "conv2d conv2d");
  EXPECT_EQ(left([&](auto& in) { return conv2d(in[0], w, b, same) + in[1]; }), "conv2d add");
  EXPECT_EQ(left([&](auto& in) { return conv2d(in[0], w, {}, same) + in[0]; }), "conv2d add");
  EXPECT_EQ(left([&](auto& in) { return relu(conv2d(in[0], w, b, same)) + in[0]; }), "conv2d add");
  same.groups = 4;
  EXPECT_EQ(left([&](auto& in) { return conv2d(in[0], deep, b, same) + in[0]; }), "conv2d add");
}

TEST(Passes, RemoveDeadKeepsWhatIsWanted) {
  Graph g = after(remove_dead, {normal({2, 4}, 3)}, [&](auto& in) { exp(in[0]); return std::vector{relu(in[0])}; });
  EXPECT_EQ(ops_of(g), "relu");
}

TEST(Passes, AreNamedAndOrdered) {
  Graph g = trace({{DType::f32, {2}}}, [](auto& in) { return std::vector{relu(in[0])}; });
  EXPECT_NE(error_of([&] { optimize(g, {"fold_everything"}); }).find("cancel_moves"), std::string::npos);
  for (const Pass& p : passes()) {
    Graph one = g;
    optimize(one, {std::string(p.name)});
    EXPECT_LE(difference(replay(one, {normal({2}, 1)})[0], relu(normal({2}, 1))), 0) << p.name;
  }
}

// Graphs drawn at random: with all passes, with none and with each alone the results agree.
struct Drawn {
  Generator random;
  std::vector<Tensor> constants;
  std::vector<Tensor> build(const std::vector<Tensor>& in) {
    std::vector<Tensor> have{in[0], in[1]};
    size_t next = 0;
    auto constant = [&](const Shape& s) {
      if (next == constants.size()) constants.push_back(normal(s, random.next()) * 0.5);
      return constants[next++];
    };
    auto any_like = [&](const Tensor& x) {
      for (size_t i = have.size(); i-- > 0;) if (have[i].spec() == x.spec() && random.below(2)) return have[i];
      return x;
    };
    auto any = [&] { return have[size_t(random.below(have.size()))]; };
    for (int i = 0; i < 14; ++i) {
      Tensor x = any(), y;
      switch (random.below(14)) {
        case 0: y = relu(x); break;
        case 1: y = tanh(x); break;
        case 2: y = x * 0.5; break;
        case 3: y = transpose(x); break;
        case 4: y = permute(x, x.rank() == 4 ? Axes{0, 2, 3, 1} : Dims::iota(x.rank())); break;
        case 5: y = reshape(x, {x.numel()}); break;
        case 6: y = x.rank() == 1 && x.numel() % 6 == 0 ? reshape(x, {6, x.numel() / 6}) : reshape(x, {x.numel() / x.dim(-1), x.dim(-1)}); break;
        case 7: y = x + sigmoid(x); break;
        case 8: y = x.rank() >= 2 ? matmul(x, constant({x.dim(-1), 4})) : x; break;
        case 9: y = x.rank() == 4 ? conv2d(x, constant({3, x.dim(1), 3, 3}), {}, {.padding = {1, 1, 1, 1}}) : x; break;
        case 10: y = x.rank() == 4 ? batch_norm(x, constant({x.dim(1)}), constant({x.dim(1)}), constant({x.dim(1)}), square(constant({x.dim(1)})) + 0.5) : clamp(x, -1, 1); break;
        case 11: y = mean(x, {-1}, true); break;
        case 12: y = x.rank() == 4 ? conv2d(x, constant({x.dim(1), x.dim(1), 3, 3}), constant({x.dim(1)}), {.padding = {1, 1, 1, 1}}) + any_like(x) : x; break;
        default: y = slice(x, 0, 0, std::max<int64_t>(1, x.dim(0) - 1)); break;
      }
      have.push_back(y);
    }
    return {have.back(), any(), exp(clamp(have[have.size() - 2], -2, 2))};
  }
};
TEST(Passes, AgreeOnRandomGraphs) {
  std::vector<Tensor> in{normal({2, 3, 4, 6}, 1), normal({6, 5}, 2)};
  for (uint64_t seed = 0; seed < 120; ++seed) {
    Drawn d{Generator(seed), {}};
    Graph g = trace({in[0].spec(), in[1].spec()}, [&](const std::vector<Tensor>& x) { return d.build(x); });
    auto want = replay(g, in);
    std::vector<std::vector<std::string>> choices{{"all"}, {"none"}};
    for (const Pass& p : passes()) choices.push_back({std::string(p.name)});
    for (auto& names : choices) {
      auto got = Session(g, {.threads = 1, .exact = true, .passes = names}).run(in);
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_EQ(got[i].spec(), want[i].spec()) << names[0] << " " << seed;
        ASSERT_LE(difference(got[i], want[i]), 2e-4) << names[0] << " " << seed << "\n" << g.to_text();
      }
    }
  }
}

}  // namespace
}  // namespace miniten
