#include "miniten/base/random.h"
#include <cmath>

namespace miniten {

Philox4 philox(uint64_t key, uint64_t low, uint64_t high) {
  uint32_t c[4] = {uint32_t(low), uint32_t(low >> 32), uint32_t(high), uint32_t(high >> 32)};
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t p0 = uint64_t{0xD2511F53u} * c[0], p1 = uint64_t{0xCD9E8D57u} * c[2];
    uint32_t next[4] = {uint32_t(p1 >> 32) ^ c[1] ^ k0, uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ k1, uint32_t(p0)};
    for (int i = 0; i < 4; ++i) c[i] = next[i];
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

uint32_t Generator::next() {
  uint64_t at = position_++;
  if (at / 4 != block_) {
    block_ = at / 4;
    drawn_ = philox(seed_, block_, stream_);
  }
  return drawn_.at[at % 4];
}

uint64_t Generator::below(uint64_t n) {
  uint64_t limit = UINT64_MAX - UINT64_MAX % n;
  for (;;) {
    uint64_t bits = uint64_t{next()} << 32;
    bits |= next();
    if (bits < limit) return bits % n;
  }
}

float Generator::normal() {
  float u = 1.0f - uniform(), v = uniform();              // (0, 1]
  return std::sqrt(-2.0f * std::log(u)) * std::cos(6.283185307f * v);
}

Generator& default_generator() {
  static Generator g(5489);
  return g;
}
void manual_seed(uint64_t seed) { default_generator() = Generator(seed); }

}  // namespace miniten
