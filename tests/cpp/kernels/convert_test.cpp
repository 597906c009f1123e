#include "kernels/convert.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "kernel_test.h"
#include "miniten/base/half.h"

namespace miniten::kernels {
namespace {

// Around every half and every bfloat16, whole numbers and bounds of integers, and what is no number.
std::vector<float> telling_floats() {
  std::vector<float> x{kNaN, -kNaN, kInf, -kInf, 0.0f, -0.0f, 0x1p31f, -0x1p31f, 0x1p63f, -0x1p63f, 0x1.fffffep62f, 2147483520.0f, 3e9f, -3e9f};
  for (uint32_t bits = 0; bits < 0xffff0000; bits += 0x1fff) x.push_back(std::bit_cast<float>(bits));
  for (uint32_t h = 0; h < 65536; ++h)
    for (uint32_t near : {0u, 1u, 0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u}) x.push_back(std::bit_cast<float>(h << 16 | near));
  for (float at : {-32769.0f, -32768.0f, -129.0f, -128.0f, -1.0f, 0.0f, 127.0f, 128.0f, 255.0f, 256.0f, 32767.0f, 32768.0f, 65535.0f, 65536.0f})
    for (float by : {-0.75f, -0.5f, -0.25f, 0.25f, 0.5f, 0.75f}) x.push_back(at + by);
  return x;
}

template <class T>
T whole(float x) {
  if (x != x) return 0;
  if (x >= std::ldexp(1.0, int(sizeof(T)) * 8 - 1) && sizeof(T) == 8) return std::numeric_limits<T>::max();
  return T(std::clamp<double>(std::trunc(double(x)), double(std::numeric_limits<T>::min()), double(std::numeric_limits<T>::max())));
}

template <class T, class One>
void expect_from_floats(Stored to, const std::vector<float>& x, One one) {
  std::vector<T> y(x.size());
  from_floats(to, x.data(), y.data(), int64_t(x.size()));
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], one(x[i])) << x[i];
}

TEST(Convert, FromFloatsAsOneValueIs) {
  const std::vector<float> x = telling_floats();
  on_every_isa([&] {
    expect_from_floats<uint16_t>(Stored::half, x, float_to_half);
    expect_from_floats<uint16_t>(Stored::bfloat16, x, float_to_bfloat16);
    expect_from_floats<int8_t>(Stored::i8, x, whole<int8_t>);
    expect_from_floats<uint8_t>(Stored::u8, x, whole<uint8_t>);
    expect_from_floats<int16_t>(Stored::i16, x, whole<int16_t>);
    expect_from_floats<uint16_t>(Stored::u16, x, whole<uint16_t>);
    expect_from_floats<int32_t>(Stored::i32, x, whole<int32_t>);
    expect_from_floats<int64_t>(Stored::i64, x, whole<int64_t>);
    expect_from_floats<uint64_t>(Stored::f64, x, [](float v) { return std::bit_cast<uint64_t>(double(v)); });
    expect_from_floats<uint8_t>(Stored::boolean, x, [](float v) { return v != 0; });
  });
}

template <class T, class One>
void expect_to_floats(Stored from, One one) {
  std::vector<T> x;
  for (int64_t v = std::numeric_limits<T>::min(); v <= std::numeric_limits<T>::max(); v += sizeof(T) > 2 ? 65521 : 1) x.push_back(T(v));
  std::vector<float> y(x.size());
  to_floats(from, x.data(), y.data(), int64_t(x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    const float want = one(x[i]);
    ASSERT_TRUE(std::bit_cast<uint32_t>(y[i]) == std::bit_cast<uint32_t>(want) || (std::isnan(y[i]) && std::isnan(want))) << i;
  }
}

TEST(Convert, ToFloatsAsOneValueIs) {
  on_every_isa([] {
    expect_to_floats<uint16_t>(Stored::half, half_to_float);
    expect_to_floats<uint16_t>(Stored::bfloat16, bfloat16_to_float);
    const auto same = [](auto v) { return float(v); };
    expect_to_floats<int8_t>(Stored::i8, same);
    expect_to_floats<uint8_t>(Stored::u8, same);
    expect_to_floats<uint8_t>(Stored::boolean, same);
    expect_to_floats<int16_t>(Stored::i16, same);
    expect_to_floats<uint16_t>(Stored::u16, same);
    expect_to_floats<int32_t>(Stored::i32, same);
    const std::vector<int64_t> longs{INT64_MAX, INT64_MIN, (1ll << 24) + 1, -(1ll << 24) - 1, (1ll << 40) + (1ll << 16) + 1, 0, 1, -1, 77};
    const std::vector<double> doubles{1e300, -1e300, 1e-300, 1e-42, 0.1, -0.0, 1 + 0x1p-24, 1 + 0x1.8p-23, 1 + 0x1.000001p-24, double(kInf)};
    std::vector<float> y(std::max(longs.size(), doubles.size()));
    to_floats(Stored::i64, longs.data(), y.data(), int64_t(longs.size()));
    for (size_t i = 0; i < longs.size(); ++i) ASSERT_EQ(y[i], float(longs[i])) << longs[i];
    to_floats(Stored::f64, doubles.data(), y.data(), int64_t(doubles.size()));
    for (size_t i = 0; i < doubles.size(); ++i) ASSERT_EQ(std::bit_cast<uint32_t>(y[i]), std::bit_cast<uint32_t>(float(doubles[i]))) << doubles[i];
  });
}

TEST(Convert, EverySizeAndNothingBeyond) {
  constexpr std::pair<Stored, int64_t> kinds[] = {{Stored::half, 2}, {Stored::bfloat16, 2}, {Stored::i8, 1}, {Stored::u8, 1},
                                                  {Stored::i16, 2}, {Stored::u16, 2}, {Stored::i32, 4}, {Stored::i64, 8}, {Stored::f64, 8}, {Stored::boolean, 1}};
  on_every_isa([&] {
    for (int64_t n = 0; n <= 40; ++n)
      for (const Edge edge : {Edge::begin, Edge::end}) {
        std::vector<float> values(n);
        for (int64_t i = 0; i < n; ++i) values[i] = float(i % 2);   // the same number in each
        for (const auto& [kind, size] : kinds) {
          Guarded<float> x(values, edge), y(n, edge);
          Guarded<uint8_t> stored(n * size, edge);
          from_floats(kind, x.data(), stored.data(), n);
          to_floats(kind, stored.data(), y.data(), n);
          ASSERT_TRUE(same_bits(y.values(), values)) << n << " " << int(kind);
        }
        Guarded<float> x(values, edge);
        Guarded<uint32_t> pairs(n, edge);
        narrow_pairs(x.data(), x.data(), pairs.data(), n);
        for (int64_t i = 0; i < n; ++i) ASSERT_EQ(pairs[i], i % 2 ? 0x3f803f80u : 0u);
      }
  });
}

}  // namespace
}  // namespace miniten::kernels
