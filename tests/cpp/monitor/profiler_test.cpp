#include "miniten/monitor/profiler.h"
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include "folder.h"
#include "miniten/core/autograd.h"
#include "miniten/core/op.h"
#include "miniten/graph/graph.h"
#include "miniten/nn/layers.h"
#include "miniten/optim/optimizer.h"

namespace miniten::monitor {
namespace {

using check::refusal;
using namespace std::chrono_literals;

TEST(MemoryProfiler, PeakFallsWithMemoryFreedBefore) {
  MemoryProfiler p;
  p.start();
  { std::vector<char> big(200 << 20, 1); }                       // 200 MB, gone before the second start
  MemoryReport first = p.stop();
  p.start();
  { std::vector<char> small(40 << 20, 1); }
  MemoryReport second = p.stop();
  if (first.peak_is_sampled) GTEST_SKIP() << "this system's mark of the peak cannot be reset";
  EXPECT_GT(first.peak, first.start + (190u << 20));             // lived between two samples, and is seen
  EXPECT_GT(second.peak, second.start + (35u << 20));
  EXPECT_LT(second.peak, second.start + (120u << 20));
}
TEST(MemoryProfiler, SamplesSeeNativeBuffers) {
  MemoryProfiler p;
  EXPECT_NE(refusal([&] { p.sample("x"); }).find("call start() first"), std::string::npos);
  EXPECT_NE(refusal([&] { p.stop(); }).find("call start() first"), std::string::npos);
  p.start();
  std::vector<char> held(64 << 20, 1);
  EXPECT_GT(p.sample("held").resident, p.report().start + (60u << 20));
  MemoryReport r = p.stop();
  EXPECT_GT(r.increase(), 60 << 20);
  EXPECT_EQ(r.samples[0].label, "held");
  auto j = nlohmann::json::parse(r.to_json());
  EXPECT_NEAR(j["memory_increase_mb"].get<double>(), double(r.increase()) / 1048576, 1e-9);
  EXPECT_NE(r.to_text().find("held"), std::string::npos);
  held[0] = 2;
}

TEST(PerformanceProfiler, NestedTimersOfOneNameDoNotOverwriteEachOther) {
  PerformanceProfiler p;
  {
    auto outer = p.timer("work");
    std::this_thread::sleep_for(4ms);
    for (int i = 0; i < 3; ++i) {
      auto inner = p.timer("work");
      std::this_thread::sleep_for(2ms);
    }
  }
  auto tree = p.tree();
  ASSERT_EQ(tree.size(), 2u);
  EXPECT_EQ(tree[0].path, "work");
  EXPECT_EQ(tree[1].path, "work/work");
  EXPECT_EQ(tree[0].timing.count, 1);
  EXPECT_EQ(tree[1].timing.count, 3);
  EXPECT_GE(tree[0].timing.total, tree[1].timing.total + 0.003);
  EXPECT_EQ(p.get_timing("work").count, 4);
  EXPECT_EQ(p.get_timing("work/work").count, 3);
}
TEST(PerformanceProfiler, ThreadsHaveStacksOfTheirOwn) {
  PerformanceProfiler p;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&p] {
      for (int i = 0; i < 200; ++i) {
        auto a = p.timer("a");
        auto b = p.timer("b");
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(p.get_timing("a").count, 800);
  EXPECT_EQ(p.get_timing("a/b").count, 800);
  EXPECT_EQ(p.tree().size(), 2u);
}
TEST(PerformanceProfiler, RefusesTimersThatEndOutOfOrder) {
  PerformanceProfiler p;
  uint64_t a = p.begin("a"), b = p.begin("b");
  EXPECT_NE(refusal([&] { p.end(a); }).find("\"a/b\" still open"), std::string::npos);
  p.end(b);
  p.end(a);
  EXPECT_NE(refusal([&] { p.end(a); }).find("got none open"), std::string::npos);
  EXPECT_NE(refusal([&] { p.get_timing("c"); }).find("expected one of: a, b, got \"c\""), std::string::npos);
  p.reset();
  EXPECT_TRUE(p.stats().empty());
}
TEST(PerformanceProfiler, CountsStayExactBeyondWhatIsKept) {
  PerformanceProfiler p;
  for (int i = 0; i < 10000; ++i) p.end(p.begin("x"));
  Timing t = p.get_timing("x");
  EXPECT_EQ(t.count, 10000);
  EXPECT_LE(t.min, t.p50);
  EXPECT_LE(t.p50, t.p95);
  EXPECT_LE(t.p95, t.max);
  EXPECT_NE(p.summary().find("10000"), std::string::npos);
  EXPECT_GT(PerformanceProfiler::overhead(), 0);
}

struct Net {
  nn::ModuleRef model = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(6, 5), make<nn::ReLU>(), make<nn::Linear>(5, 3)});
  optim::SGD sgd{model->parameters(), {.lr = 0.1}};
  void step(const Tensor& x) {
    sgd.zero_grad();
    backward(mean((*model)(x), {}));
    sgd.step();
  }
};

TEST(Profiler, TellsStagesAndLayersApart) {
  Net net;
  Tensor x = Tensor::ones({4, 6});
  Profiler p;
  p.start();
  net.step(x);
  Profile r = p.stop();
  EXPECT_EQ(mode().observer, nullptr);
  std::set<std::string> seen;
  int64_t macs[2] = {0, 0};
  for (const ProfileRow& row : r.rows) {
    seen.insert(row.stage + ":" + row.layer);
    if (row.stage == "forward") macs[0] += row.macs;
    if (row.stage == "backward") macs[1] += row.macs;
    if (row.stage == "optimizer") EXPECT_EQ(row.layer, "");
    EXPECT_GT(row.calls, 0);
  }
  for (std::string s : {"forward:0", "forward:1", "forward:2", "backward:0", "backward:1", "backward:2", "optimizer:"}) EXPECT_TRUE(seen.count(s)) << s;
  EXPECT_EQ(macs[0], 4 * 6 * 5 + 4 * 5 * 3);
  EXPECT_GE(macs[1], 4 * 6 * 5 + 2 * 4 * 5 * 3);                  // weights of both, inputs of the second
  EXPECT_LE(r.op_nanoseconds(), r.wall_nanoseconds);
  EXPECT_EQ(size_t(r.dropped_events), 0u);
}
TEST(Profiler, ASessionsStepsAreSeenAndItsResultIsTheSame) {
  Net net;
  Tensor x = Tensor::ones({4, 6});
  Session s = nn::compile(*net.model, {x.spec()});
  std::vector<Tensor> in{x};
  auto before = s.run(in)[0].to_vector<float>();
  Profiler p;
  p.start();
  auto during = s.run(in)[0].to_vector<float>();
  Profile r = p.stop();
  EXPECT_EQ(before, during);
  EXPECT_EQ(s.run(in)[0].to_vector<float>(), before);
  int64_t macs = 0;
  for (const ProfileRow& row : r.rows) macs += row.macs;
  EXPECT_EQ(macs, 4 * 6 * 5 + 4 * 5 * 3);
}
TEST(Profiler, TracesAreWhatPerfettoReads) {
  Net net;
  Profiler p;
  p.start();
  net.step(Tensor::ones({4, 6}));
  Profile r = p.stop();
  auto trace = nlohmann::json::parse(r.chrome_trace());
  size_t complete = 0;
  for (auto& e : trace["traceEvents"]) {
    for (const char* key : {"name", "ph", "pid", "tid"}) EXPECT_TRUE(e.contains(key)) << key;
    if (e["ph"] != "X") continue;
    ++complete;
    EXPECT_GE(e["ts"].get<double>(), 0);
    EXPECT_GE(e["dur"].get<double>(), 0);
  }
  EXPECT_EQ(complete, r.events.size());
  std::string svg = r.flame_graph(20000);
  EXPECT_EQ(svg.rfind("<svg xmlns", 0), 0u);
  for (const char* part : {"<title>forward: ", "<title>backward: ", "<title>optimizer: ", "<title>all ops: "}) EXPECT_NE(svg.find(part), std::string::npos) << part;
  EXPECT_NE(r.to_text().find("optimizer"), std::string::npos);
  EXPECT_NEAR(nlohmann::json::parse(r.to_json())["op_ms"].get<double>(), r.op_nanoseconds() / 1e6, 1e-9);
}
TEST(Profiler, OneAtATimeAndNothingIsLeftBehind) {
  Profiler p, q;
  p.start();
  EXPECT_NE(refusal([&] { q.start(); }).find("expected a thread that nothing watches"), std::string::npos);
  p.stop();
  EXPECT_NE(refusal([&] { p.stop(); }).find("expected a profiler that was started"), std::string::npos);
  { Profiler left; left.start(); }
  EXPECT_EQ(mode().observer, nullptr);
  Tensor t = Tensor::ones({2}) + Tensor::ones({2});
  EXPECT_EQ(t.to_vector<float>()[0], 2);
}
TEST(Profiler, HostileLayerNamesAreTextInTheSvg) {
  Profiler p;
  p.start();
  {
    LayerScope layer("</text><script>alert(1)</script>&\"\x01");
    Tensor t = exp(Tensor::ones({1000}));
  }
  Profile r = p.stop();
  EXPECT_EQ(r.flame_graph().find("<script"), std::string::npos);
  EXPECT_FALSE(nlohmann::json::parse(r.chrome_trace()).empty());
}

TEST(NanFinder, NamesTheLayerAndOpWhereTheFirstNanArose) {
  auto model = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(2, 2), make<nn::ReLU>(), make<nn::Linear>(2, 2)});
  NanFinder f;
  f.start();
  Tensor y = (*model)(Tensor::ones({1, 2}));
  EXPECT_EQ(f.found(), "");
  {
    LayerScope layer("loss");
    Tensor z = log(y * 0.0 - 1.0);
    Tensor later = z + 1.0;
  }
  f.stop();
  EXPECT_EQ(f.found().rfind("NaN first in layer loss, op log in the forward pass", 0), 0u) << f.found();
  EXPECT_EQ(mode().observer, nullptr);
}

}  // namespace
}  // namespace miniten::monitor
