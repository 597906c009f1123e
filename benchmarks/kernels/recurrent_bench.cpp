#include "kernels/recurrent.h"

#include "kernel_bench.h"

namespace miniten::kernels::benchmarks {
namespace {

constexpr int64_t kHidden = 256;
constexpr int kOrder[] = {0, 1, 2, 3};

const bool registered = [] {
  on_every_isa("recurrent/lstm_cell/256", [](benchmark::State& state) {
    const auto gates = filled(4 * kHidden), before = filled(kHidden);
    Floats c(kHidden), h(kHidden);
    for (auto _ : state) {
      lstm_cell(gates.data(), kOrder, before.data(), c.data(), h.data(), nullptr, kHidden);
      benchmark::ClobberMemory();
    }
    count_bytes(state, 4.0 * 7 * kHidden);
  });
  on_every_isa("recurrent/gru_cell/256", [](benchmark::State& state) {
    const auto x = filled(3 * kHidden), own = filled(3 * kHidden), before = filled(kHidden);
    Floats h(kHidden);
    for (auto _ : state) {
      gru_cell(x.data(), own.data(), kOrder, before.data(), h.data(), nullptr, kHidden);
      benchmark::ClobberMemory();
    }
    count_bytes(state, 4.0 * 8 * kHidden);
  });
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
