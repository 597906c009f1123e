#include "miniten/monitor/terminal.h"
#include "folder.h"

namespace miniten::monitor {
namespace {

using check::Folder;
using check::refusal;

TEST(Terminal, ShowsRunsAndCurvesWithinTheWidth) {
  Folder f;
  Experiment e(f.path);
  EXPECT_NE(terminal_text(e).find("no runs in"), std::string::npos);
  std::string first;
  for (std::string name : {"one", "\x1b[31mtwo\n"}) {
    LoggerOptions o;
    o.log_dir = f.path;
    o.experiment_name = name;
    MetricsLogger log(o);
    if (first.empty()) first = log.run_name();
    for (int i = 0; i < 50; ++i) log.log_metrics(std::vector<std::pair<std::string, double>>{{"loss\x1b[2J", 1.0 / (i + 1)}, {"acc", i / 50.0}, {"system/rss_mb", 1}}, i);
  }
  for (int width : {40, 80, 120}) {
    std::string text = terminal_text(e, {.width = width, .color = false});
    EXPECT_EQ(text.find('\x1b'), std::string::npos);                       // no name commands the terminal
    EXPECT_NE(text.find("closed"), std::string::npos);
    EXPECT_NE(text.find("0.02"), std::string::npos);
    EXPECT_NE(text.find("acc"), std::string::npos);
    EXPECT_EQ(text.find("rss_mb"), std::string::npos);
  }
  EXPECT_NE(terminal_text(e, {.run = first}).find("> " + first), std::string::npos);
  EXPECT_EQ(terminal_text(e, {.runs = 1}).find(first), std::string::npos);
  EXPECT_NE(refusal([&] { terminal_text(e, {.run = "../bait"}); }).find("expected the name of a run"), std::string::npos);
  EXPECT_NE(refusal([&] { terminal_text(e, {.width = 5}); }).find("a width of 40 to 1000"), std::string::npos);
}

}  // namespace
}  // namespace miniten::monitor
