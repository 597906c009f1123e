#include "miniten/edge/benchmark.h"
#include <gtest/gtest.h>
#include <cmath>
#include "miniten/base/random.h"
#include "miniten/edge/devices.h"

using namespace miniten;
using edge::BenchmarkResult;

namespace {

BenchmarkResult normal_latencies(size_t n, double mean, double deviation) {
  Generator random(4);
  BenchmarkResult r;
  for (size_t i = 0; i < n; ++i) r.latencies_ms.push_back(mean + deviation * double(random.normal()));
  return r;
}

// Of a normal sample: mean +- 1.96 s / sqrt(n); the median's is wider by sqrt(pi / 2).
TEST(Benchmark, BootstrapIntervalsFollowNormalTheory) {
  BenchmarkResult r = normal_latencies(400, 10, 2);
  double half = 1.96 * r.stddev() / 20;
  edge::Interval mean = r.mean_interval(), median = r.median_interval();
  EXPECT_NEAR(mean.low, r.mean() - half, 0.15 * half);
  EXPECT_NEAR(mean.high, r.mean() + half, 0.15 * half);
  EXPECT_NEAR((median.high - median.low) / (2 * half), std::sqrt(std::acos(-1) / 2), 0.35);
  edge::Interval wider = r.mean_interval(0.99);
  EXPECT_LT(wider.low, mean.low);
  EXPECT_GT(wider.high, mean.high);
  EXPECT_EQ(r.mean_interval().low, mean.low);                  // the same at each call
}

TEST(Benchmark, IntervalsRefuseWrongLevelsAndNothing) {
  EXPECT_THROW(normal_latencies(5, 1, 0).mean_interval(1), Error);
  EXPECT_THROW(normal_latencies(5, 1, 0).mean_interval(NAN), Error);
  EXPECT_THROW(BenchmarkResult().median_interval(), Error);
}

TEST(Benchmark, OutliersGoToWhatWasCountedMoreOften) {
  BenchmarkResult r;
  for (int i = 0; i < 40; ++i) r.latencies_ms.push_back(1 + 0.001 * (i % 7));
  r.context_switches.assign(40, 1);                            // one is usual here
  r.page_faults.assign(40, 0);
  for (size_t i : {3u, 9u, 20u, 31u}) r.latencies_ms[i] = 5;
  r.context_switches[3] = r.context_switches[9] = 4;
  r.page_faults[9] = r.page_faults[20] = 100;
  edge::Outliers o = r.outliers();
  EXPECT_EQ(o.runs, (std::vector<size_t>{3, 9, 20, 31}));
  EXPECT_EQ(o.context_switches, 2);
  EXPECT_EQ(o.page_faults, 1);
  EXPECT_EQ(o.unknown, 1);
  r.page_faults.clear();                                       // a system that does not tell
  EXPECT_EQ(r.outliers().unknown, 4);
}

TEST(Benchmark, VerdictsReadWell) {
  edge::ComparedModel c;
  c.ratio = 0.969;
  c.ratio_interval = {0.965, 0.973};
  c.verdict = "faster";
  EXPECT_EQ(c.verdict_text(), "faster by 3.1 % (2.7 to 3.5)");
  c.verdict = "no difference";
  c.ratio_interval = {0.996, 1.006};
  EXPECT_EQ(c.verdict_text(), "no difference (-0.4 to 0.6 %)");
}

TEST(Devices, RooflineIsTheLaterOfWorkAndBytes) {
  edge::Device d;
  d.macs_per_second = {{"float32", 1e6}, {"int8", 4e6}};
  d.bytes_per_second = 1e6;
  d.cache_bytes_per_second = 1e7;
  d.cache_bytes = 1000;
  EXPECT_DOUBLE_EQ(edge::roofline_seconds(d, {1000000, 0}, 10, false), 1.0);
  EXPECT_DOUBLE_EQ(edge::roofline_seconds(d, {1000000, 0}, 10, true), 0.25);
  EXPECT_DOUBLE_EQ(edge::roofline_seconds(d, {0, 2000000}, 10, false), 1.0);     // two FLOPs a multiply-add
  EXPECT_DOUBLE_EQ(edge::roofline_seconds(d, {0, 0}, 2000000, false), 2.0);
  EXPECT_DOUBLE_EQ(edge::roofline_seconds(d, {0, 0}, 1000, false), 1e-4);        // in the cache
}

TEST(Devices, NamesAreUniqueAndSorted) {
  const auto& all = edge::devices();
  for (size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1].name, all[i].name);
  for (const edge::Device& d : all) EXPECT_EQ(&edge::find_device(d.name), &d);
}

}  // namespace
