#pragma once
#include <cstdint>

namespace miniten {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four 32-bit numbers from a
// 64-bit key and a 128-bit counter, without state, so the same numbers come out for any number of threads.
struct Philox4 { uint32_t at[4]; };
Philox4 philox(uint64_t key, uint64_t counter_low, uint64_t counter_high);

inline float unit_float(uint32_t bits) { return float(bits >> 8) * 0x1p-24f; }   // [0, 1)

// A sequence of numbers from one (seed, stream). Not thread-safe; copy it or give each thread its own stream.
class Generator {
 public:
  explicit Generator(uint64_t seed = 0, uint64_t stream = 0) : seed_(seed), stream_(stream) {}
  uint32_t next();                            // uniform 32 bits
  uint64_t below(uint64_t n);                 // uniform in [0, n), without bias; n > 0
  float uniform() { return unit_float(next()); }
  float normal();                             // mean 0, variance 1 (Box-Muller)
  uint64_t seed() const { return seed_; }
  uint64_t position() const { return position_; }
  void seek(uint64_t position) { position_ = position; }

 private:
  uint64_t seed_, stream_, position_ = 0;
  uint64_t block_ = ~uint64_t{0};             // whose numbers are drawn
  Philox4 drawn_;
};

Generator& default_generator();               // per process; what manual_seed sets
void manual_seed(uint64_t seed);

}  // namespace miniten
