#include "peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace miniten::kernels::benchmarks {

#if defined(__x86_64__)
namespace {

constexpr int64_t kTurns = 20000;
constexpr int kSums = 12;  // in flight: enough to hide the latency of two units

// A loop of one instruction or a few for each of the sums 0 to 11, with registers 12 to 15 as operands; all begin as zeros.
#define TWELVE(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)
#define LOOP(before, f, after)                                                                                          \
  [] {                                                                                                                  \
    int64_t turns = kTurns;                                                                                             \
    asm volatile(before "1:\n" TWELVE(f) "dec %0\n jnz 1b\n" after                                                     \
                 : "+r"(turns)::"cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",   \
                   "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");                                               \
  }
#define ZERO(i) "xorps %%xmm" #i ", %%xmm" #i "\n"
#define SSE_LOOP(f) LOOP(TWELVE(ZERO) ZERO(12) ZERO(13) ZERO(14), f, "")
#define AVX_LOOP(f) LOOP("vzeroall\n", f, "vzeroupper\n")

#define SSE2_FLOATS(i) "movaps %%xmm12, %%xmm13\n mulps %%xmm14, %%xmm13\n addps %%xmm13, %%xmm" #i "\n"
#define AVX2_FLOATS(i) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #i "\n"
#define AVX512_FLOATS(i) "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #i "\n"
#define SSE2_BYTES(i) "movdqa %%xmm12, %%xmm13\n pmaddwd %%xmm14, %%xmm13\n paddd %%xmm13, %%xmm" #i "\n"
#define AVX2_BYTES(i) "vpmaddwd %%ymm12, %%ymm13, %%ymm14\n vpaddd %%ymm14, %%ymm" #i ", %%ymm" #i "\n"
#define AVX512_BYTES(i) "vpmaddwd %%zmm12, %%zmm13, %%zmm14\n vpaddd %%zmm14, %%zmm" #i ", %%zmm" #i "\n"
#define AVX_VNNI_BYTES(i) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #i "\n"
#define AVX512_VNNI_BYTES(i) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #i "\n"

struct TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
};

template <class Loop>
double rate(double operations_a_turn, Loop loop) {
  double best = 0;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    loop();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, operations_a_turn * kTurns / seconds);
  }
  return best;
}

double measure_floats(std::string_view isa) {
  if (isa == "sse2") return rate(kSums * 4 * 2, SSE_LOOP(SSE2_FLOATS));
  if (isa == "avx2" || isa == "avx_vnni") return rate(kSums * 8 * 2, AVX_LOOP(AVX2_FLOATS));
  if (isa.starts_with("avx512")) return rate(kSums * 16 * 2, AVX_LOOP(AVX512_FLOATS));
  return 0;
}

// Without dot products of bytes, pairs of 16 bits are multiplied: the even bytes of four, then the odd ones.
double measure_bytes(std::string_view isa) {
  if (isa == "sse2") return rate(kSums * 8 * 2, SSE_LOOP(SSE2_BYTES));
  if (isa == "avx2") return rate(kSums * 16 * 2, AVX_LOOP(AVX2_BYTES));
  if (isa == "avx_vnni") return rate(kSums * 32 * 2, AVX_LOOP(AVX_VNNI_BYTES));
  if (isa == "avx512") return rate(kSums * 32 * 2, AVX_LOOP(AVX512_BYTES));
  if (isa == "avx512_vnni" || isa == "avx512_bf16") return rate(kSums * 64 * 2, AVX_LOOP(AVX512_VNNI_BYTES));
  if (isa == "avx512_amx") {
    const TileConfig config;
    asm volatile("ldtilecfg %0" ::"m"(config));
    const double best = rate(4.0 * 16 * 16 * 64 * 2, [] {
      for (int64_t i = 0; i < kTurns; ++i)
        asm volatile("tdpbusd %tmm4, %tmm5, %tmm0\n tdpbusd %tmm4, %tmm5, %tmm1\n tdpbusd %tmm4, %tmm5, %tmm2\n tdpbusd %tmm4, %tmm5, %tmm3\n");
    });
    asm volatile("tilerelease");
    return best;
  }
  return 0;
}

double kept(std::map<std::string, double, std::less<>>& known, std::string_view isa, double (*measure)(std::string_view)) {
  const auto at = known.find(isa);
  return at != known.end() ? at->second : known.emplace(isa, measure(isa)).first->second;
}

}  // namespace

double peak_flops(std::string_view isa) {
  static std::map<std::string, double, std::less<>> known;
  return kept(known, isa, measure_floats);
}
double peak_byte_ops(std::string_view isa) {
  static std::map<std::string, double, std::less<>> known;
  return kept(known, isa, measure_bytes);
}
#else
double peak_flops(std::string_view) { return 0; }
double peak_byte_ops(std::string_view) { return 0; }
#endif

}  // namespace miniten::kernels::benchmarks
