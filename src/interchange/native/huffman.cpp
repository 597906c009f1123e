#include <algorithm>
#include "interchange/native/entropy.h"

// Canonical Huffman codes of at most 15 bits, of those the shortest in sum (package-merge, Larmore and Hirschberg 1990); they
// ascend by length, then by index. Stored: the length of each value of the codebook in four bits, the first in the high half
// of a byte, 0 where it does not occur; then the codes, from the highest bit on, and zeros to a whole byte. A lone value has
// one bit, 0.
namespace miniten {

namespace {
constexpr int longest = 15;
constexpr uint32_t whole = 1u << longest;

std::vector<uint8_t> lengths_of(std::span<const uint64_t> count) {
  std::vector<uint16_t> rare_first;
  for (size_t s = 0; s < count.size(); ++s) if (count[s]) rare_first.push_back(uint16_t(s));
  std::stable_sort(rare_first.begin(), rare_first.end(), [&](uint16_t a, uint16_t b) { return count[a] < count[b]; });
  const size_t n = rare_first.size();
  std::vector<uint8_t> length(count.size(), 0);
  if (n == 1) length[rare_first[0]] = 1;
  if (n < 2) return length;
  std::vector<bool> is_value[longest];                         // of each row's elements; the others are pairs of the row before
  std::vector<uint64_t> before, row;
  for (auto& values : is_value) {
    row.clear();
    for (size_t value = 0, pair = 0; value < n || pair + 1 < before.size();) {
      const bool more = pair + 1 < before.size(), first = value < n && !(more && before[pair] + before[pair + 1] < count[rare_first[value]]);
      values.push_back(first);
      row.push_back(first ? count[rare_first[value]] : before[pair] + before[pair + 1]);
      first ? ++value : pair += 2;
    }
    before.swap(row);
  }
  size_t taken = 2 * n - 2;
  for (int l = longest; l-- > 0;) {
    const auto values = size_t(std::count(is_value[l].begin(), is_value[l].begin() + int64_t(taken), true));
    for (size_t i = 0; i < values; ++i) ++length[rare_first[i]];
    taken = 2 * (taken - values);
  }
  return length;
}

// Where each code begins among all `whole` of the greatest length; calls f(symbol, begin).
template <class F> void each_code(const std::vector<uint8_t>& length, F f) {
  uint32_t next = 0;
  for (int bits = 1; bits <= longest; ++bits)
    for (size_t s = 0; s < length.size(); ++s)
      if (length[s] == bits) {
        f(s, next);
        next += whole >> bits;
      }
}

std::vector<uint8_t> code(std::span<const uint16_t> symbols, std::span<const uint64_t> count) {
  std::vector<uint8_t> length = lengths_of(count), bytes((length.size() + 1) / 2, 0);
  for (size_t s = 0; s < length.size(); ++s) bytes[s / 2] = uint8_t(bytes[s / 2] | length[s] << (s % 2 ? 0 : 4));
  std::vector<uint32_t> codes(length.size());
  each_code(length, [&](size_t s, uint32_t begin) { codes[s] = begin >> (longest - length[s]); });
  uint32_t held = 0;
  int bits = 0;
  for (uint16_t s : symbols) {
    held = held << length[s] | codes[s];
    for (bits += length[s]; bits >= 8; bits -= 8) bytes.push_back(uint8_t(held >> (bits - 8)));
  }
  if (bits) bytes.push_back(uint8_t(held << (8 - bits)));
  return bytes;
}

void decode(std::span<const uint8_t> coded, std::span<const float> book, std::span<float> to) {
  const size_t n = book.size(), header = (n + 1) / 2;
  if (coded.size() < header) refuse_coded("code lengths of " + std::to_string(n) + " values", std::to_string(coded.size()) + " bytes");
  std::vector<uint8_t> length(header * 2);
  uint64_t sum = 0;
  int width = 0;
  for (size_t s = 0; s < length.size(); ++s) {
    length[s] = s % 2 ? coded[s / 2] & 15 : coded[s / 2] >> 4;
    sum += length[s] ? whole >> length[s] : 0;
    width = std::max<int>(width, length[s]);
  }
  const bool lone = width == 1 && sum == whole / 2;
  if ((sum != whole && !lone) || (n % 2 && length[n])) refuse_coded("a complete code of " + std::to_string(n) + " values", std::to_string(sum) + " of " + std::to_string(whole) + " codes");
  std::vector<uint16_t> symbol_at(size_t{1} << width, uint16_t(length.size()));                  // of no code: one beyond them
  each_code(length, [&](size_t s, uint32_t begin) { std::fill_n(symbol_at.begin() + (begin >> (longest - width)), (whole >> length[s]) >> (longest - width), uint16_t(s)); });
  length.push_back(255);
  const uint8_t *at = coded.data() + header, *end = coded.data() + coded.size();
  uint64_t held = 0;                                           // from its highest bit on
  int bits = 0;
  for (float& v : to) {
    if (bits < longest)
      for (; bits <= 56 && at != end; bits += 8) held |= uint64_t(*at++) << (56 - bits);
    const uint16_t s = symbol_at[held >> (64 - width)];
    if (length[s] > bits) refuse_coded(std::to_string(to.size()) + " coded indices", "fewer");
    v = book[s];
    held <<= length[s];
    bits -= length[s];
  }
  if (at != end || bits >= 8 || held != 0) refuse_coded(std::to_string(to.size()) + " coded indices", "others");
}
}  // namespace

const EntropyCoder huffman_coder{code, decode, 8};

}  // namespace miniten
