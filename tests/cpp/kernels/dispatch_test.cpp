#include "kernels/dispatch.h"

#include <algorithm>
#include <cstdlib>

#include "kernel_test.h"
#include "kernels/binary.h"
#include "kernels/ftable.h"

namespace miniten::kernels {
namespace {

TEST(Dispatch, OffersScalarFirstAndUsesOneOfTheAvailable) {
  const auto names = available_isas();
  ASSERT_FALSE(names.empty());
  EXPECT_EQ(names.front(), "scalar");
  EXPECT_NE(std::find(names.begin(), names.end(), isa()), names.end());
}

TEST(Dispatch, SwitchesAndRefusesUnknownNames) {
  const std::string before(isa());
  for (const auto name : available_isas()) {
    EXPECT_TRUE(set_isa(name));
    EXPECT_EQ(isa(), name);
  }
  EXPECT_FALSE(set_isa("z80"));
  EXPECT_FALSE(set_isa(""));
  EXPECT_EQ(isa(), available_isas().back());
  EXPECT_TRUE(set_isa(before));
}

TEST(Dispatch, EveryNameHasEveryFloatKernel) {
  on_every_isa([] {
    const FloatTable& table = ftable();
#define MINITEN_CHECK(name, result, parameters) EXPECT_NE(table.name, nullptr) << #name;
    MINITEN_FLOAT_KERNELS(MINITEN_CHECK)
#undef MINITEN_CHECK
  });
}

TEST(Dispatch, AnExtensionSharesTheFloatKernelsOfWhatItExtends) {
  const std::string before(isa());
  for (const auto& [name, base] : {std::pair{"avx512_vnni", "avx512"}, {"avx512_bf16", "avx512"}, {"avx512_amx", "avx512"}, {"avx_vnni", "avx2"}, {"neon_dotprod", "neon"}, {"neon_i8mm", "neon"}}) {
    if (!set_isa(name)) continue;
    const auto kernel = ftable().gemm;
    ASSERT_TRUE(set_isa(base));
    EXPECT_EQ(ftable().gemm, kernel) << name;
  }
  set_isa(before);
}

TEST(Dispatch, DescribesTheProcessor) {
  const CpuInfo& info = cpu_info();
#if defined(__x86_64__)
  EXPECT_EQ(info.vendor.size(), 12u);
  EXPECT_NE(std::find(info.flags.begin(), info.flags.end(), "sse2"), info.flags.end());
#endif
  for (const int64_t bytes : {info.l1d_bytes, info.l2_bytes, info.l3_bytes}) EXPECT_GE(bytes, 0);
  if (info.l1d_bytes && info.l2_bytes) {
    EXPECT_LT(info.l1d_bytes, info.l2_bytes);
  }
}

#if GTEST_HAS_DEATH_TEST
// The environment is read at the first use, so each case needs a process of its own.
void report(const char* wanted) {
  setenv("MINITEN_ISA", wanted, 1);
  const std::string used(isa());
  std::fprintf(stderr, "used=%s error=%s.", used.c_str(), std::string(requested_isa_error()).c_str());
  std::exit(0);
}

TEST(DispatchDeathTest, TheEnvironmentChooses) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(report("scalar"), ::testing::ExitedWithCode(0), "used=scalar error=\\.");
}

TEST(DispatchDeathTest, AnUnknownNameInTheEnvironmentIsKeptForTheCaller) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string best(available_isas().back());
  EXPECT_EXIT(report("z80"), ::testing::ExitedWithCode(0), "used=" + best + " error=z80\\.");
}
#endif

}  // namespace
}  // namespace miniten::kernels
