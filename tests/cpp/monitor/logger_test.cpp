#include "miniten/monitor/logger.h"
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include "folder.h"

namespace miniten::monitor {
namespace {

using check::append;
using check::contents;
using check::Folder;
using check::refusal;
using testing::Test;
constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();

LoggerOptions in(const Folder& f, std::string name = "exp") {
  LoggerOptions o;
  o.log_dir = f.path;
  o.experiment_name = std::move(name);
  return o;
}

TEST(Logger, RecordedStepsAreKept) {
  Folder f;
  MetricsLogger log(in(f));
  log.log("loss", 0.5, 10);
  log.log("loss", 0.25, 20);
  log.log("loss", 0.125);                        // one more than the last
  log.log("acc", 0.1);                           // from 0
  auto points = log.get_metric("loss");
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].step, 10);
  EXPECT_EQ(points[1].step, 20);
  EXPECT_EQ(points[2].step, 21);
  EXPECT_EQ(points[2].value, 0.125);
  EXPECT_NEAR(points[2].time, double(std::time(nullptr)), 5);
  EXPECT_EQ(log.get_metric("acc")[0].step, 0);
  EXPECT_TRUE(log.get_metric("nothing").empty());
  EXPECT_EQ(log.get_latest("loss")->value, 0.125);
  EXPECT_FALSE(log.get_latest("nothing"));
}

TEST(Logger, EveryDoubleReadsBackAndEveryLineIsJson) {
  Folder f;
  std::vector<double> values{0, -0.0, 1, -1.5, 1e-308, 5e-324, 1.7976931348623157e308, 0.1, 1.0 / 3, nan, inf, -inf, 123456789012345678.0};
  LoggerOptions o = in(f);
  o.flush_secs = 0;
  MetricsLogger log(o);
  for (double v : values) log.log("a \"quoted\"\\\n\x01 name \xf0\x9f\x98\x80 \xff", v);
  auto points = log.get_metric("a \"quoted\"\\\n\x01 name \xf0\x9f\x98\x80 \xff");
  ASSERT_EQ(points.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i)
    if (std::isnan(values[i])) EXPECT_TRUE(std::isnan(points[i].value));
    else EXPECT_EQ(std::memcmp(&points[i].value, &values[i], 8), 0) << values[i];
  std::istringstream lines(contents(log.run_dir() + "/metrics.jsonl"));
  size_t n = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    auto j = nlohmann::json::parse(line);        // strict: NaN as a bare word would throw
    EXPECT_EQ(j["name"], "a \"quoted\"\\\n\x01 name \xf0\x9f\x98\x80 \xef\xbf\xbd");
  }
  EXPECT_EQ(n, values.size());
}

TEST(Logger, TwoRunsInOneSecondHaveFoldersOfTheirOwn) {
  Folder f;
  constexpr int starters = 8, each = 5;
  std::vector<std::thread> threads;
  for (int t = 0; t < starters; ++t)
    threads.emplace_back([&f, t] {
      for (int i = 0; i < each; ++i) MetricsLogger(in(f, "same")).log("t", t * each + i, 0);
    });
  for (auto& t : threads) t.join();
  std::set<double> seen;
  size_t folders = 0;
  for (auto& e : std::filesystem::directory_iterator(f.path)) {
    ++folders;
    RunData d = read_run(e.path().string());
    ASSERT_EQ(d.metrics.size(), 1u);
    ASSERT_EQ(d.metrics[0].points.size(), 1u);
    seen.insert(d.metrics[0].points[0].value);
  }
  EXPECT_EQ(folders, size_t(starters * each));
  EXPECT_EQ(seen.size(), size_t(starters * each));
}

TEST(Logger, HostileNamesStayInsideTheFolder) {
  Folder f;
  for (std::string name : std::vector<std::string>{"../../bait", "/etc/bait", "..", "a/b", "<script>alert(1)</script>", std::string("nul\0byte", 8), std::string(3000, 'x'), std::string("-rf"), std::string(".hidden"), std::string("\xe2\x80\xaertl")}) {
    MetricsLogger log(in(f, name));
    EXPECT_EQ(std::filesystem::path(log.run_dir()).parent_path(), f.path);
    EXPECT_NE(log.run_name()[0], '.');
    EXPECT_NE(log.run_name()[0], '-');
    EXPECT_EQ(log.run_name().find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"), std::string::npos) << log.run_name();
  }
  EXPECT_EQ(size_t(std::distance(std::filesystem::directory_iterator(f.path), {})), 10u);
}

TEST(Logger, ReaderDropsATornLastLineAtEveryByte) {
  Folder f;
  std::string dir;
  {
    MetricsLogger log(in(f));
    for (int i = 0; i < 3; ++i) log.log("loss", i + 0.5, i);
    log.log_text("note", "line one\nline two", 2);
    log.log("loss", nan, 3);
    dir = log.run_dir();
  }
  std::string whole = contents(dir + "/metrics.jsonl"), path = dir + "/metrics.jsonl";
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    std::filesystem::resize_file(path, 0);
    append(path, whole.substr(0, cut));
    RunData d = read_run(dir);
    size_t lines = size_t(std::count(whole.begin(), whole.begin() + std::ptrdiff_t(cut), '\n')), torn = cut - (cut ? whole.rfind('\n', cut - 1) + 1 : 0);
    EXPECT_EQ((d.metrics.empty() ? 0 : d.metrics[0].points.size()) + d.texts.size(), lines) << cut;
    EXPECT_EQ(d.torn_bytes, torn) << cut;
    EXPECT_EQ(d.read_bytes + d.torn_bytes, cut);
    EXPECT_EQ(d.damaged_lines, 0u);
  }
}

TEST(Logger, ResumeCutsTheTornLineAndCountsOn) {
  Folder f;
  std::string run, dir;
  {
    MetricsLogger log(in(f));
    log.log("loss", 1, 7);
    log.log_hyperparams(R"({"lr": 0.1})");
    run = log.run_name(), dir = log.run_dir();
  }
  append(dir + "/metrics.jsonl", R"({"name":"loss","step":8,"val)");
  LoggerOptions o = in(f);
  o.resume = run;
  {
    MetricsLogger log(o);
    EXPECT_EQ(log.recovered_bytes(), 28u);
    EXPECT_EQ(log.run_dir(), dir);
    log.log("loss", 2);
    log.log_hyperparams(R"({"batch": 4})");
    EXPECT_EQ(refusal([&] { MetricsLogger second(o); }).substr(0, 55), "[MetricsLogger] expected a run that no other logger is ");
  }
  RunData d = read_run(dir);
  EXPECT_EQ(d.torn_bytes + d.damaged_lines, 0u);
  ASSERT_EQ(d.metrics[0].points.size(), 2u);
  EXPECT_EQ(d.metrics[0].points[1].step, 8);
  auto meta = nlohmann::json::parse(contents(dir + "/metadata.json"));
  EXPECT_EQ(meta["hyperparams"], nlohmann::json::parse(R"({"lr": 0.1, "batch": 4})"));
  EXPECT_EQ(meta["status"], "closed");
  for (std::string bad : std::vector<std::string>{"../bait", "nothing", ".", "..", "a/b"}) {
    o.resume = bad;
    EXPECT_NE(refusal([&] { MetricsLogger log(o); }).find("expected the name of a run"), std::string::npos) << bad;
  }
}

TEST(Logger, KilledAtAnyMomentWhatWasWrittenIsReadable) {
  Folder f;
  for (int round = 0; round < 6; ++round) {
    int pipe_[2];
    ASSERT_EQ(pipe(pipe_), 0);
    pid_t child = fork();
    if (child == 0) {
      LoggerOptions o = in(f, "killed");
      o.flush_secs = 0.001;
      MetricsLogger log(o);
      for (int64_t i = 0;; ++i) {
        log.log("loss", double(i), i);
        if (i == 50 && write(pipe_[1], "x", 1) != 1) _exit(1);
      }
    }
    char c;
    ASSERT_EQ(read(pipe_[0], &c, 1), 1);
    usleep(useconds_t(500 + 1700 * round));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(pipe_[0]);
    close(pipe_[1]);
  }
  int runs = 0;
  for (auto& e : std::filesystem::directory_iterator(f.path)) {
    ++runs;
    RunData d = read_run(e.path().string());
    EXPECT_EQ(d.damaged_lines, 0u);
    ASSERT_EQ(d.metrics.size(), 1u);
    for (size_t i = 0; i < d.metrics[0].points.size(); ++i) ASSERT_EQ(d.metrics[0].points[i].value, double(i));   // no line lost in the middle
    LoggerOptions o = in(f);
    o.resume = e.path().filename().string();
    MetricsLogger log(o);                        // its lock went with the process
    log.log("loss", -1);
    EXPECT_EQ(log.get_metric("loss").back().value, -1);
  }
  EXPECT_EQ(runs, 6);
}

TEST(Logger, DamagedLinesArePassedOverAndCounted) {
  Folder f;
  std::string dir;
  {
    MetricsLogger log(in(f));
    log.log("loss", 1);
    dir = log.run_dir();
  }
  std::string deep(100000, '[');
  for (std::string line : std::vector<std::string>{"rubbish", "{", "[]", R"({"name":"x"})", R"({"name":"x","step":"1","value":2})", R"({"name":"x","step":1,"value":NaN,"time":1})", R"({"name":"","step":1,"value":2,"time":1})",
                           R"({"kind":"image","name":"i","step":1,"time":1,"file":"../../bait.png"})", R"({"kind":"image","name":"i","step":1,"time":1,"file":"images/../../x.png"})",
                           R"({"kind":"histogram","name":"h","step":1,"time":1,"edges":[1],"counts":[1,2]})", R"({"name":"x","step":1,"value":)", "\xff\xfe"})
    append(dir + "/metrics.jsonl", line + "\n");
  append(dir + "/metrics.jsonl", deep + "\n");
  append(dir + "/metrics.jsonl", "{ \"value\": 3.5, \"name\": \"loss\", \"step\": 4, \"time\": 2 }\n");   // other writers' order and spaces
  RunData d = read_run(dir);
  EXPECT_EQ(d.damaged_lines, 13u);
  ASSERT_EQ(d.metrics.size(), 1u);
  EXPECT_EQ(d.metrics[0].points.back(), (Point{4, 3.5, 2}));
  EXPECT_TRUE(d.images.empty());
}

TEST(Logger, HistogramsCountEveryFiniteValueOnce) {
  Folder f;
  MetricsLogger log(in(f));
  std::vector<double> v{0, 0.1, 0.25, 0.5, 0.75, 1, nan, inf, -inf};
  log.log_histogram("w", v, 3, 4);
  log.log_histogram("one", std::vector<double>{2, 2, 2}, {}, 5);
  log.log_histogram("none", std::vector<double>{}, {}, 2);
  log.log_histogram("wide", std::vector<double>{-1.7e308, 0, 1.7e308}, {}, 3);
  log.flush();
  RunData d = read_run(log.run_dir());
  ASSERT_EQ(d.histograms.size(), 4u);
  EXPECT_EQ(d.histograms[0].edges, (std::vector<double>{0, 0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(d.histograms[0].counts, (std::vector<double>{2, 1, 1, 2}));
  EXPECT_EQ(d.histograms[0].nonfinite, 3);
  EXPECT_EQ(d.histograms[0].at.step, 3);
  EXPECT_EQ(d.histograms[1].counts, (std::vector<double>{0, 0, 3, 0, 0}));
  EXPECT_EQ(d.histograms[2].counts, (std::vector<double>{0, 0}));
  EXPECT_EQ(d.histograms[3].counts, (std::vector<double>{1, 1, 1}));
  EXPECT_NE(refusal([&] { log.log_histogram("w", v, 1, 0); }).find("expected 1 to 100000 bins"), std::string::npos);
}

TEST(Logger, ImagesAreFilesInsideTheRun) {
  Folder f;
  MetricsLogger log(in(f));
  std::vector<uint8_t> pixels(4 * 5 * 3, 128);
  log.log_image("../../bait", pixels, 4, 5, 3);
  log.log_image("../../bait", pixels, 4, 5, 3);
  log.flush();
  RunData d = read_run(log.run_dir());
  ASSERT_EQ(d.images.size(), 2u);
  EXPECT_EQ(d.images[1].file, "images/000001.png");
  EXPECT_EQ(d.images[1].at.step, 1);
  EXPECT_EQ(contents(log.run_dir() + "/images/000001.png").substr(1, 3), "PNG");
  EXPECT_NE(refusal([&] { log.log_image("x", pixels, 4, 5, 4); }).find("expected an image"), std::string::npos);
  EXPECT_NE(refusal([&] { log.log_image("x", {}, 0, 5, 3); }).find("expected an image"), std::string::npos);
}

TEST(Logger, RefusesWhatItCannotDo) {
  Folder f;
  MetricsLogger log(in(f));
  EXPECT_NE(refusal([&] { log.log("", 1); }).find("[log] expected a name of 1 to 1024 bytes"), std::string::npos);
  EXPECT_NE(refusal([&] { log.log(std::string(1025, 'x'), 1); }).find("got 1025 bytes"), std::string::npos);
  EXPECT_NE(refusal([&] { log.log_hyperparams("[1]"); }).find("expected a JSON object, got array"), std::string::npos);
  EXPECT_NE(refusal([&] { log.log_hyperparams("{" + std::string(200000, '[')); }), "no error");
  log.close();
  log.close();
  EXPECT_NE(refusal([&] { log.log("x", 1); }).find("got a closed one (open it again with resume="), std::string::npos);
  LoggerOptions o = in(f);
  append(f / "file", "bait");
  o.log_dir = f / "file";
  EXPECT_NE(refusal([&] { MetricsLogger other(o); }).find("[MetricsLogger] expected a folder that can be made"), std::string::npos);
  EXPECT_EQ(contents(f / "file"), "bait");
}

TEST(Logger, AForkedChildDoesNotWriteTheParentsLinesAgain) {
  Folder f;
  LoggerOptions o = in(f);
  MetricsLogger log(o);
  log.log("a", 0);                               // written at once
  log.log("a", 1);                               // waits
  pid_t child = fork();
  if (child == 0) {
    int code = 1;
    try { log.flush(); } catch (const Error&) { code = 0; }
    _exit(code);
  }
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(log.get_metric("a").size(), 2u);
}

TEST(Logger, ThreadsMayLogTogether) {
  Folder f;
  MetricsLogger log(in(f));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&log, t] { for (int i = 0; i < 2000; ++i) log.log("m" + std::to_string(t), i); });
  for (auto& t : threads) t.join();
  for (int t = 0; t < 4; ++t) {
    auto points = log.get_metric("m" + std::to_string(t));
    ASSERT_EQ(points.size(), 2000u);
    for (int i = 0; i < 2000; ++i) ASSERT_EQ(points[size_t(i)].step, i);
  }
}

TEST(Logger, SystemMetricsComeByOption) {
  Folder f;
  LoggerOptions o = in(f);
  o.system_secs = 1e-9;
  MetricsLogger log(o);
  log.log("a", 1);
  log.log("a", 1);
  EXPECT_GT(log.get_metric("system/rss_mb").back().value, 1);
  EXPECT_GE(log.get_metric("system/cpu_percent").back().value, 0);
}

}  // namespace
}  // namespace miniten::monitor
