#include <gtest/gtest.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include "miniten/cli/cli.h"
#include "miniten/monitor/logger.h"

using namespace miniten;

namespace {

struct Result { int code; std::string out, err; };
Result call(const std::vector<std::string>& args) {
  std::ostringstream out, err;
  int code = cli::main(args, out, err);
  return {code, out.str(), err.str()};
}

TEST(CliMonitor, PrintsRunsAndFollowsUntilTheEnd) {
  std::string folder = (std::filesystem::temp_directory_path() / "miniten_cli_XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  EXPECT_NE(call({"monitor", folder}).out.find("no runs in"), std::string::npos);
  std::string run;
  {
    monitor::LoggerOptions o;
    o.log_dir = folder;
    monitor::MetricsLogger log(o);
    for (int i = 0; i < 30; ++i) log.log("loss", 1.0 / (i + 1));
    run = log.run_name();
  }
  Result once = call({"monitor", folder, "--plain", "--width", "60"});
  EXPECT_EQ(once.code, 0) << once.err;
  EXPECT_NE(once.out.find("> " + run), std::string::npos);
  EXPECT_EQ(once.out.find('\x1b'), std::string::npos);
  Result follow = call({"monitor", folder, "--follow", "0.1"});           // the run has ended: drawn once
  EXPECT_EQ(follow.code, 0);
  EXPECT_EQ(follow.out.rfind("\x1b[H\x1b[2J", 0), 0u);
  auto j = nlohmann::json::parse(call({"monitor", folder, "--json"}).out);
  EXPECT_EQ(j[run]["metrics"]["loss"].size(), 30u);
  EXPECT_EQ(call({"monitor", folder, "--run", "../bait"}).code, 2);
  EXPECT_EQ(call({"monitor", folder, "--follow", "0"}).code, 2);
  EXPECT_EQ(call({"monitor"}).code, 2);
  std::filesystem::remove_all(folder);
}

}  // namespace
