#include <algorithm>
#include "interchange/native/entropy.h"

// Range asymmetric numeral systems (Duda 2013) with the frequencies of the whole tensor: a state in [low, low << 8), bytes
// where it would leave. Stored: the codebook's frequencies (uint16, their sum is 2^scale), the state, the bytes.
namespace miniten {

namespace {
constexpr int scale = 14;
constexpr uint32_t total = 1u << scale, low = 1u << 23;

// Frequencies that sum to `total`, at least 1 where a count is: rounded down, the rest to those that lose most by it.
std::vector<uint32_t> frequencies(std::span<const uint64_t> count, uint64_t all) {
  std::vector<uint32_t> f(count.size(), 0);
  int64_t left = total;
  for (size_t s = 0; s < count.size(); ++s)
    if (count[s]) left -= f[s] = std::max<uint32_t>(1, uint32_t(double(count[s]) / double(all) * total));
  for (; left != 0; left -= left > 0 ? 1 : -1) {
    size_t best = count.size();
    auto want = [&](size_t s) { return double(count[s]) / f[s]; };
    for (size_t s = 0; s < count.size(); ++s)
      if (left > 0 ? count[s] > 0 : f[s] > 1)
        if (best == count.size() || (left > 0 ? want(s) > want(best) : want(s) < want(best))) best = s;
    f[best] += left > 0 ? 1 : uint32_t(-1);
  }
  return f;
}
std::vector<uint32_t> starts_of(const std::vector<uint32_t>& f) {
  std::vector<uint32_t> start(f.size() + 1, 0);
  for (size_t s = 0; s < f.size(); ++s) start[s + 1] = start[s] + f[s];
  return start;
}

std::vector<uint8_t> code(std::span<const uint16_t> symbols, std::span<const uint64_t> count) {
  std::vector<uint32_t> f = frequencies(count, symbols.size()), start = starts_of(f);
  std::vector<uint8_t> bytes;                                  // last first
  uint32_t x = low;
  for (size_t i = symbols.size(); i-- > 0;) {
    uint32_t own = f[symbols[i]];
    for (uint64_t limit = uint64_t((low >> scale) << 8) * own; x >= limit; x >>= 8) bytes.push_back(uint8_t(x));
    x = (x / own << scale) + x % own + start[symbols[i]];
  }
  for (int b = 3; b >= 0; --b) bytes.push_back(uint8_t(x >> (8 * b)));
  for (size_t s = f.size(); s-- > 0;) {
    bytes.push_back(uint8_t(f[s] >> 8));
    bytes.push_back(uint8_t(f[s]));
  }
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

void decode(std::span<const uint8_t> coded, std::span<const float> book, std::span<float> to) {
  if (coded.size() < 2 * book.size() + 4) refuse_coded("frequencies of " + std::to_string(book.size()) + " values", std::to_string(coded.size()) + " bytes");
  const uint8_t *at = coded.data(), *end = at + coded.size();
  std::vector<uint32_t> f(book.size());
  uint64_t sum = 0;
  for (uint32_t& one : f) {
    one = uint32_t(at[0] | at[1] << 8);
    sum += one;
    at += 2;
  }
  if (sum != total) refuse_coded("frequencies of sum " + std::to_string(total), std::to_string(sum));
  std::vector<uint32_t> start = starts_of(f);
  std::vector<uint16_t> symbol_at(total);
  for (size_t s = 0; s < f.size(); ++s) std::fill_n(symbol_at.begin() + start[s], f[s], uint16_t(s));
  uint32_t x = 0;
  for (int b = 0; b < 4; ++b) x |= uint32_t(*at++) << (8 * b);
  for (float& v : to) {
    uint32_t slot = x & (total - 1), s = symbol_at[slot];
    v = book[s];
    x = f[s] * (x >> scale) + slot - start[s];
    while (x < low) {
      if (at == end) refuse_coded(std::to_string(to.size()) + " coded indices", "fewer");
      x = x << 8 | *at++;
    }
  }
  if (x != low || at != end) refuse_coded(std::to_string(to.size()) + " coded indices", "others");
}
}  // namespace

const EntropyCoder rans_coder{code, decode, 1 << 14};

}  // namespace miniten
