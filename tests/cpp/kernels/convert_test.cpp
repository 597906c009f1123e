#include "kernels/convert.h"

#include <bit>

#include "kernel_test.h"
#include "miniten/base/half.h"

namespace miniten::kernels {
namespace {

std::vector<uint16_t> narrowed(Narrow to, const std::vector<float>& values, Edge edge) {
  Guarded<float> x(values, edge);
  Guarded<uint16_t> y(values.size(), edge);
  narrow_floats(to, x.data(), y.data(), int64_t(values.size()));
  return y.values();
}

TEST(Convert, NarrowsAsOneValueIs) {
  std::vector<float> x;
  for (uint32_t bits = 0; bits < 0xffff0000; bits += 0x1fff) x.push_back(std::bit_cast<float>(bits));     // around every half
  for (uint32_t h = 0; h < 65536; ++h)
    for (uint32_t near : {0u, 1u, 0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u}) x.push_back(std::bit_cast<float>(h << 16 | near));
  on_every_isa([&] {
    const auto halves = narrowed(Narrow::half, x, Edge::end), brains = narrowed(Narrow::bfloat16, x, Edge::end);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(halves[i], float_to_half(x[i])) << x[i];
      ASSERT_EQ(brains[i], float_to_bfloat16(x[i])) << x[i];
    }
  });
}

TEST(Convert, WidensAsOneValueIs) {
  std::vector<uint16_t> h(65536);
  for (size_t i = 0; i < h.size(); ++i) h[i] = uint16_t(i);
  on_every_isa([&] {
    std::vector<float> y(h.size());
    const auto expect = [&](Narrow from, float (*one)(uint16_t)) {
      widen_floats(from, h.data(), y.data(), int64_t(h.size()));
      for (size_t i = 0; i < h.size(); ++i)
        ASSERT_TRUE(std::bit_cast<uint32_t>(y[i]) == std::bit_cast<uint32_t>(one(h[i])) || (std::isnan(y[i]) && std::isnan(one(h[i])))) << i;
    };
    expect(Narrow::half, half_to_float);
    expect(Narrow::bfloat16, bfloat16_to_float);
  });
}

TEST(Convert, EverySizeAndNothingBeyond) {
  on_every_isa([] {
    for (int64_t n = 0; n <= 40; ++n)
      for (const Edge edge : {Edge::begin, Edge::end}) {
        const auto values = random_floats(n, 1, -10, 10);
        for (const Narrow kind : {Narrow::half, Narrow::bfloat16}) {
          Guarded<uint16_t> x(narrowed(kind, values, edge), edge);
          Guarded<float> y(n, edge);
          widen_floats(kind, x.data(), y.data(), n);
          for (int64_t i = 0; i < n; ++i) {
            const float want = kind == Narrow::half ? half_to_float(float_to_half(values[i])) : bfloat16_to_float(float_to_bfloat16(values[i]));
            ASSERT_EQ(y[i], want) << n << " " << i;
          }
        }
      }
  });
}

}  // namespace
}  // namespace miniten::kernels
