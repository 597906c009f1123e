#include <gtest/gtest.h>
#include <atomic>
#include <thread>
#include "check.h"
#include "miniten/base/parallel.h"
#include "miniten/graph/session.h"
#include "miniten/ops/ops.h"
#include "ops/forms.h"
#include "ops/recurrent.h"

namespace miniten {
namespace {

using check::difference;
using check::normal;

struct Threads {
  int before = get_num_threads();
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
};
std::vector<Tensor> run(const OpDef& op, const RecurrentAttrs& attrs, const std::vector<Tensor>& in) {
  std::vector<Input> inputs(in.begin(), in.end());
  std::vector<Tensor> out(4);
  apply(op, inputs, &attrs, out);
  return out;
}

TEST(Recurrent, FactorsGiveWhatTheirProductGives) {
  for (const Sample& s : recurrent_op.samples()) {
    const auto& attrs = *static_cast<const RecurrentAttrs*>(s.attrs.get());
    for (DType t : {DType::f32, DType::f64}) {
      std::vector<Tensor> in = s.in;
      for (Tensor& v : in) if (v.dtype() == DType::f32) v = cast(v, t);
      Tensor left = cast(normal({in[2].dim(0), 2}, 1), t), right = cast(normal({2, in[2].dim(1)}, 2), t);
      in[2] = matmul(left, right);
      auto want = run(recurrent_op, attrs, in);
      in[2] = left;
      in.insert(in.begin() + 3, right);
      auto got = run(recurrent_factored_op, attrs, in);
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_EQ(got[i].spec(), want[i].spec());
        EXPECT_LT(difference(got[i], want[i]), t == DType::f32 ? 1e-6 : 1e-14) << attrs.cell << " " << i;
      }
    }
  }
}

TEST(Recurrent, FactorsMustMeet) {
  RecurrentAttrs attrs{.cell = "gru"};
  std::vector<Tensor> in{normal({4, 2, 5}, 1), normal({18, 5}, 2), normal({18, 2}, 3), normal({3, 6}, 4)};
  EXPECT_TRUE(check::contains(check::error_of([&] { run(recurrent_factored_op, attrs, in); }), "factors (3 * H, R) and (R, H)"));
}

struct Layer {
  RecurrentAttrs attrs;
  std::vector<Tensor> in;
  Layer(CellKind cell, int64_t steps, int64_t batch, bool more) {
    const int64_t hidden = cell == CellKind::lstm ? 128 : cell == CellKind::gru ? 160 : 256, rows = recurrent_gates(cell) * hidden;
    attrs = {.cell = cell == CellKind::lstm ? "lstm" : cell == CellKind::gru ? "gru" : "tanh", .bias = more, .state = more, .reverse = more, .onnx_gates = more, .save = more};
    in = {normal({steps, batch, 40}, 1), normal({rows, 40}, 2) * 0.1, normal({rows, hidden}, 3) * 0.1};
    if (!more) return;
    for (uint64_t seed : {4, 5}) in.push_back(normal({rows}, seed));
    for (uint64_t seed = 6; seed < (cell == CellKind::lstm ? 8 : 7); ++seed) in.push_back(normal({batch, hidden}, seed));
  }
  // With the weights known or given at each run.
  Session session(bool known, int threads, Precision precision = Precision::float32) const {
    std::vector<Spec> specs;
    for (const Tensor& t : in) specs.push_back(t.spec());
    Graph g = trace(specs, [&](auto& given) {
      std::vector<Tensor> from = in, out(4);
      for (size_t i = 0; i < from.size(); ++i) if (!known || i == 0) from[i] = given[i];
      std::vector<Input> inputs(from.begin(), from.end());
      apply(recurrent_op, inputs, &attrs, out);
      return out;
    });
    return Session(std::move(g), {.threads = threads, .precision = precision});
  }
};

TEST(Recurrent, UnitsThatAreSharedOutGiveTheSameBits) {
  Threads seven(7);
  for (CellKind cell : {CellKind::lstm, CellKind::gru, CellKind::tanh})
    for (bool more : {false, true})
      for (int64_t batch : {1, 3})
        for (bool known : {true, false})
          for (Precision precision : {Precision::float32, Precision::bf16_weights}) {
            if (!known && precision != Precision::float32) continue;
            Layer layer(cell, 5, batch, more);
            Session alone = layer.session(known, 1, precision);
            auto want = alone.run(layer.in);
            EXPECT_EQ(alone.plan().work[0].phases, known ? 2 : 3);
            if (precision == Precision::float32) {
              auto eager = run(recurrent_op, layer.attrs, layer.in);
              for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(difference(eager[i], want[i]), 0);
            }
            for (int threads : {2, 3, 7}) {
              Session shared = layer.session(known, threads, precision);
              EXPECT_EQ(shared.plan().work[0].phases, known ? 6 : 7);                 // one for each step
              const int64_t hidden = layer.in[2].dim(1);
              EXPECT_EQ(shared.plan().work[0].pieces, std::min({int64_t(threads), hidden / 32, batch * layer.in[2].dim(0) * hidden / 16384}));
              for (int again = 0; again < 3; ++again) {
                auto got = shared.run(layer.in);
                for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(difference(got[i], want[i]), 0) << layer.attrs.cell << " " << threads << " " << i;
              }
              EXPECT_LE(shared.measured_arena_bytes(layer.in), shared.arena_bytes());
            }
          }
}

// Threads that the machine has no core for are not waited for: what they did not begin is done by who is there.
TEST(Recurrent, UnitsAreSharedOutOnABusyMachine) {
  Threads seven(7);
  Layer layer(CellKind::gru, 40, 1, false);
  auto want = layer.session(true, 1).run(layer.in);
  std::atomic<bool> stop{false};
  std::vector<std::thread> neighbours;
  for (int i = 0; i < 2 * available_cores(); ++i) neighbours.emplace_back([&] { while (!stop) {} });
  for (int threads : {2, 3, 7}) {
    Session shared = layer.session(true, threads);
    for (int again = 0; again < 10; ++again) EXPECT_EQ(difference(shared.run(layer.in)[0], want[0]), 0);
  }
  stop = true;
  for (std::thread& t : neighbours) t.join();
}

TEST(Recurrent, UnitsOfFewOrOfSequencesOfManyLengthsStayTogether) {
  auto phases = [](const RecurrentAttrs& attrs, const std::vector<Tensor>& in) {
    std::vector<Spec> specs;
    for (const Tensor& t : in) specs.push_back(t.spec());
    Graph g = trace(specs, [&](auto& given) {
      std::vector<Tensor> out(4);
      std::vector<Input> inputs(given.begin(), given.end());
      apply(recurrent_op, inputs, &attrs, out);
      return out;
    });
    return Session(std::move(g), {.threads = 2}).plan().work[0].phases;
  };
  auto inputs = [](int64_t batch, int64_t hidden) { return std::vector<Tensor>{normal({4, batch, 8}, 1), normal({4 * hidden, 8}, 2), normal({4 * hidden, hidden}, 3)}; };
  EXPECT_EQ(phases({.cell = "lstm"}, inputs(1, 128)), 3 + 4 - 1);
  EXPECT_EQ(phases({.cell = "lstm"}, inputs(1, 32)), 3);
  EXPECT_EQ(phases({.cell = "lstm"}, inputs(1, 136)), 3);                             // no whole blocks
  EXPECT_EQ(phases({.cell = "lstm"}, inputs(32, 128)), 3);                            // sequences are shared out
  auto in = inputs(2, 128);
  in.push_back(Tensor::of<int64_t>({2}, std::vector<int64_t>{4, 1}));
  EXPECT_EQ(phases({.cell = "lstm", .lengths = true}, in), 3);
}

}  // namespace
}  // namespace miniten
