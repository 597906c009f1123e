#include "kernels/sparse.h"

#include "kernel_bench.h"

// Dense and sparse products of one matrix whose zeros come in blocks of 16 columns: x 1 in floats, x 4 in int8. Operations
// are those of the dense product, so the rates compare.
namespace miniten::kernels::benchmarks {
namespace {

bool gone(int64_t block, int percent) { return block * 2654435761u % 4294967296u * 100 / 4294967296u < uint64_t(percent); }

void floats(benchmark::State& state, int64_t m, int64_t k, int64_t n, int percent) {
  const Floats a = filled(m * k);
  Floats b = filled(k * n), c(size_t(m * n)), panels(size_t(gemm_packed_floats(k, n)));
  for (int64_t i = 0; i < k * n; ++i)
    if (gone(i / 16, percent)) b[size_t(i)] = 0;
  gemm_pack(b.data(), k, n, n, 1, panels.data());
  const GemmShape s{.cols = m, .n = n, .a_col = k, .c_col = n, .segment = k};
  const auto* bytes = reinterpret_cast<const std::byte*>(panels.data());
  std::vector<std::byte, LineAllocator<std::byte>> packed(sparse_packed_bytes((n + 15) / 16, sparse_steps(bytes, (n + 15) / 16, k)));
  sparse_pack(s, bytes, packed.data());
  for (auto _ : state) {
    percent ? sparse_gemm(s, a.data(), packed.data(), 0, c.data(), {}) : gemm(s, a.data(), panels.data(), c.data(), {});
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * double(m * k * n));
}

void singles(benchmark::State& state, int64_t m, int64_t k, int64_t n, int percent) {
  const Floats a = filled(m * k);
  Floats b = filled(k * n), c(size_t(m * n));
  int64_t nonzero = 0;
  for (int64_t i = 0; i < k * n; ++i) {
    b[size_t(i)] = gone(i, percent) ? 0 : 0.5f;
    nonzero += b[size_t(i)] != 0;
  }
  std::vector<std::byte, LineAllocator<std::byte>> packed(csr_packed_bytes(n, nonzero));
  csr_pack(b.data(), k, n, n, 1, packed.data());
  const GemmShape s{.cols = m, .n = n, .a_col = k, .c_col = n, .segment = k};
  for (auto _ : state) {
    csr_gemm(s, a.data(), packed.data(), 0, c.data(), {});
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * double(m * k * n));
}

void single_bytes(benchmark::State& state, int64_t m, int64_t k, int64_t n, int percent) {
  std::vector<int8_t, LineAllocator<int8_t>> a(size_t(m * k + 16), 5), b(size_t(k * n)), c(size_t(m * n));
  for (int64_t i = 0; i < k * n; ++i) b[size_t(i)] = gone(i, percent) ? int8_t(0) : int8_t(i * 7919 % 251 - 125);
  std::vector<std::byte, LineAllocator<std::byte>> panels(qgemm_packed_bytes(1, k, n));
  qgemm_pack(b.data(), 1, k, n, 0, n, 1, panels.data());
  const std::byte* of = panels.data() + (n + 15) / 16 * 64;
  std::vector<std::byte, LineAllocator<std::byte>> packed(csr_packed_bytes(n, csr_qcount(of, n, (k + 3) / 4)));
  csr_qpack(of, n, (k + 3) / 4, packed.data());
  const QGemmShape s{.cols = m, .n = n, .a_col = k, .c_col = n, .segment = k};
  const std::vector<float> multiplier(size_t(n), 0.0013f);
  QEpilogue e;
  e.multiplier = multiplier.data(), e.x_zero = 3;
  for (auto _ : state) {
    csr_qgemm(s, a.data(), reinterpret_cast<const int32_t*>(panels.data()), packed.data(), c.data(), e);
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * double(m * k * n));
}

void bytes(benchmark::State& state, int64_t m, int64_t k, int64_t n, int percent) {
  std::vector<int8_t, LineAllocator<int8_t>> a(size_t(m * k + 16), 5), b(size_t(k * n)), c(size_t(m * n));
  for (int64_t i = 0; i < k * n; ++i) b[size_t(i)] = gone(i / n / 4 * ((n + 15) / 16) + i % n / 16, percent) ? int8_t(0) : int8_t(i * 7919 % 251 - 125);
  std::vector<std::byte, LineAllocator<std::byte>> panels(qgemm_packed_bytes(1, k, n));
  qgemm_pack(b.data(), 1, k, n, 0, n, 1, panels.data());
  const QGemmShape s{.cols = m, .n = n, .a_col = k, .c_col = n, .segment = k};
  const int64_t count = (n + 15) / 16;
  std::vector<std::byte, LineAllocator<std::byte>> packed(sparse_packed_bytes(count, sparse_steps(panels.data() + count * 64, count, (k + 3) / 4)));
  sparse_qpack(s, panels.data() + count * 64, packed.data());
  const std::vector<float> multiplier(size_t(n), 0.0013f);
  QEpilogue e;
  e.multiplier = multiplier.data(), e.x_zero = 3;
  for (auto _ : state) {
    percent ? sparse_qgemm(s, a.data(), reinterpret_cast<const int32_t*>(panels.data()), packed.data(), c.data(), e) : qgemm(s, a.data(), panels.data(), c.data(), e);
    benchmark::ClobberMemory();
  }
  count_flops(state, 2.0 * double(m * k * n));
}

const bool registered = [] {
  struct Case { const char* name; int64_t m, k, n; };
  for (const Case& c : {Case{"conv1x1_56x56_64_128", 3136, 64, 128}, {"conv1x1_14x14_512_512", 196, 512, 512}, {"linear_1_1024_1024", 1, 1024, 1024}, {"linear_1_256_256", 1, 256, 256}})
    for (int percent : {0, 50, 80, 90}) {
      const std::string kind = percent ? "sparse" + std::to_string(percent) : "dense";
      on_every_isa("sparse/f32/" + std::string(c.name) + "/" + kind, [=](benchmark::State& s) { floats(s, c.m, c.k, c.n, percent); });
      if (percent) on_every_isa("sparse/f32/" + std::string(c.name) + "/single" + std::to_string(percent), [=](benchmark::State& s) { singles(s, c.m, c.k, c.n, percent); });
      if (percent && c.m > 1) on_every_isa("sparse/int8/" + std::string(c.name) + "/single" + std::to_string(percent), [=](benchmark::State& s) { single_bytes(s, c.m, c.k, c.n, percent); });
      on_every_isa("sparse/int8/" + std::string(c.name) + "/" + kind, [=](benchmark::State& s) { bytes(s, c.m, c.k, c.n, percent); });
    }
  return true;
}();

}  // namespace
}  // namespace miniten::kernels::benchmarks
