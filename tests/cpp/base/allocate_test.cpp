#include "base/allocate.h"
#include <gtest/gtest.h>
#include <cstdlib>
#include "miniten/base/error.h"

namespace miniten {
namespace {

TEST(Allocate, GivesAlignedMemory) {
  for (uint64_t bytes : {1, 64, 100, 5000}) {
    void* at = allocate("test", 64, bytes, 64);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(at) % 64, 0u);
    std::free(at);
  }
  EXPECT_EQ(aligned(0), 0u);
  EXPECT_EQ(aligned(65), 128u);
  EXPECT_EQ(aligned((uint64_t{1} << 32) + 1), (uint64_t{1} << 32) + 64);
}

// Numbers that are small, or nothing, in 32 bits.
TEST(Allocate, RefusesMoreThanCanBeAddressed) {
  for (uint64_t bytes : {uint64_t{1} << 60, (uint64_t{1} << 60) + 100, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 100}) {
    EXPECT_THROW(allocate("test", 64, bytes, 64), Error) << bytes;
  }
  EXPECT_THROW(addressable(uint64_t{1} << 63), Error);
  EXPECT_EQ(addressable(1000), 1000u);
  if constexpr (sizeof(size_t) == 4) EXPECT_THROW(addressable(uint64_t{1} << 32), Error);
}

}  // namespace
}  // namespace miniten
