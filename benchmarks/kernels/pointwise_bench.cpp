#include "kernel_bench.h"
#include "kernels/binary.h"
#include "kernels/unary.h"
#include "kernels/update.h"

namespace miniten::kernels::benchmarks {
namespace {

constexpr int64_t kSize = 16384;  // fits the second-level cache

void map(benchmark::State& state, Unary op) {
  const auto x = filled(kSize);
  Floats y(kSize);
  for (auto _ : state) {
    unary(op, x.data(), y.data(), kSize);
    benchmark::ClobberMemory();
  }
  count_bytes(state, 8.0 * kSize);
}

void zip(benchmark::State& state, Binary op) {
  const auto a = filled(kSize), b = filled(kSize);
  Floats y(kSize);
  for (auto _ : state) {
    binary(op, a.data(), 1, b.data(), 1, y.data(), kSize);
    benchmark::ClobberMemory();
  }
  count_bytes(state, 12.0 * kSize);
}

void update(benchmark::State& state, bool with_adam) {
  const auto g = filled(kSize);
  Floats p(kSize), m(kSize), v(kSize, 1.0f);
  SgdStep step;
  step.momentum = 0.9;
  for (auto _ : state) {
    if (with_adam) adam({}, g.data(), p.data(), m.data(), v.data(), kSize);
    if (!with_adam) sgd(step, g.data(), p.data(), m.data(), kSize);
    benchmark::ClobberMemory();
  }
  count_bytes(state, (with_adam ? 28.0 : 20.0) * kSize);
}

const bool registered = [] {
  const std::pair<const char*, Unary> maps[] = {
      {"relu", Unary::relu}, {"exp", Unary::exp}, {"log", Unary::log},   {"tanh", Unary::tanh},
      {"sigmoid", Unary::sigmoid}, {"silu", Unary::silu}, {"gelu", Unary::gelu}, {"gelu_tanh", Unary::gelu_tanh},
      {"erf", Unary::erf}, {"sin", Unary::sin}};
  for (const auto& [name, op] : maps)
    on_every_isa(std::string("unary/") + name, [op = op](benchmark::State& state) { map(state, op); });
  const std::pair<const char*, Binary> zips[] = {{"add", Binary::add}, {"maximum", Binary::maximum}};
  for (const auto& [name, op] : zips)
    on_every_isa(std::string("binary/") + name, [op = op](benchmark::State& state) { zip(state, op); });
  on_every_isa("update/adam", [](benchmark::State& state) { update(state, true); });
  on_every_isa("update/sgd", [](benchmark::State& state) { update(state, false); });
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
