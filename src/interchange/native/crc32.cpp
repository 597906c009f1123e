#include <zlib.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif
#include "base/features.h"
#include "interchange/native/zip.h"

namespace miniten {

#if defined(__x86_64__)
// Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ, 2009: bit-reflected, four remainders at once. n: a multiple of 16, 64 at least.
__attribute__((target("pclmul,sse4.1"))) static uint32_t folded(const std::byte* at, size_t n) {
  auto load = [](const std::byte* from) __attribute__((target("pclmul,sse4.1"))) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
  auto fold = [](__m128i x, __m128i by, __m128i next) __attribute__((target("pclmul,sse4.1"))) {
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), next);
  };
  const __m128i by_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0), low = _mm_setr_epi32(-1, 0, -1, 0);
  __m128i a = _mm_xor_si128(load(at), _mm_cvtsi32_si128(-1)), b = load(at + 16), c = load(at + 32), d = load(at + 48);
  for (at += 64, n -= 64; n >= 64; at += 64, n -= 64) {
    a = fold(a, by_512, load(at));
    b = fold(b, by_512, load(at + 16));
    c = fold(c, by_512, load(at + 32));
    d = fold(d, by_512, load(at + 48));
  }
  __m128i r = fold(fold(fold(a, by_128, b), by_128, c), by_128, d);
  for (; n; at += 16, n -= 16) r = fold(r, by_128, load(at));
  r = _mm_xor_si128(_mm_srli_si128(r, 8), _mm_clmulepi64_si128(r, by_128, 0x10));
  r = _mm_xor_si128(_mm_srli_si128(r, 4), _mm_clmulepi64_si128(_mm_and_si128(r, low), _mm_set_epi64x(0, 0x163cd6124), 0x00));
  const __m128i barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);
  __m128i q = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(r, low), barrett, 0x10), low);
  return ~uint32_t(_mm_extract_epi32(_mm_xor_si128(r, _mm_clmulepi64_si128(q, barrett, 0x00)), 1));
}
static bool can_fold() {  // not by __builtin_cpu_supports, whose table is not found in a shared library optimised as a whole
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_PCLMUL) && (c & bit_SSE4_1);
}
#endif

uint32_t crc32_of(std::span<const std::byte> bytes) {
  uLong crc = 0;
#if defined(__x86_64__)
  static const bool folds = has_in_place && can_fold();
  if (folds && bytes.size() >= 64) {
    const size_t n = bytes.size() & ~size_t{15};
    crc = folded(bytes.data(), n);
    bytes = bytes.subspan(n);
  }
#endif
  return uint32_t(crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace miniten
