#pragma once
#include <bit>
#include <cstdint>

namespace miniten::utils::data {

// a * b = whole * of + rest with 0 <= rest < of, exact where the product has more than 64 bits too. 0 <= a <= of < 2^61 and
// 0 <= b. The fewer bits b has, the faster.
struct Share { int64_t whole = 0, rest = 0; };
inline Share share(int64_t a, int64_t b, int64_t of) {
  Share s;
  for (int bit = std::bit_width(uint64_t(b)); bit-- > 0;) {
    s.whole *= 2, s.rest *= 2;
    if (b >> bit & 1) s.rest += a;
    for (; s.rest >= of; s.rest -= of) ++s.whole;
  }
  return s;
}

}  // namespace miniten::utils::data
