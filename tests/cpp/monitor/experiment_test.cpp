#include "miniten/monitor/experiment.h"
#include <unistd.h>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include "folder.h"
#include "miniten/monitor/dashboard.h"

namespace miniten::monitor {
namespace {

using check::append;
using check::contents;
using check::Folder;
using check::refusal;
namespace fs = std::filesystem;

struct Runs : testing::Test {
  Folder folder;
  std::string dir = folder / "runs";
  Experiment experiment{dir};

  std::string add(const std::string& name, std::vector<double> losses, const std::string& params = "{}", std::vector<std::string> tags = {}) {
    LoggerOptions o;
    o.log_dir = dir;
    o.experiment_name = name;
    MetricsLogger log(o);
    for (double v : losses) log.log("val_loss", v);
    log.log_hyperparams(params);
    log.set_tags(std::move(tags));
    return log.run_name();
  }
};

TEST_F(Runs, NoFolderMeansNoRuns) { EXPECT_TRUE(Experiment(folder / "nothing").list_runs().empty()); }

TEST_F(Runs, ListsInOrderOfStartAndOnlyRuns) {
  std::vector<std::string> names{add("z", {1}), add("a", {1}), add("m", {1})};
  fs::create_directories(dir + "/not_a_run");
  append(dir + "/file", "x");
  fs::create_directory_symlink(dir + "/" + names[0], dir + "/link");
  EXPECT_EQ(experiment.list_runs(), names);
}

TEST_F(Runs, BestIsTheBestValueNotTheLast) {
  std::string early = add("early", {0.5, 0.1, 0.9}), late = add("late", {0.5, 0.4, 0.3});
  add("nan", {std::nan(""), std::nan("")});
  EXPECT_EQ(experiment.get_best_run("val_loss"), early);
  EXPECT_EQ(experiment.get_best_run("val_loss", "max"), early);
  EXPECT_EQ(experiment.get_best_run("nothing"), std::nullopt);
  EXPECT_NE(refusal([&] { experiment.get_best_run("val_loss", "best"); }).find("expected mode \"min\" or \"max\""), std::string::npos);
  auto curves = experiment.compare({late, early}, "val_loss");
  EXPECT_EQ(curves[0].run, late);
  EXPECT_EQ(curves[0].points[2].value, 0.3);
  EXPECT_EQ(experiment.compare({late}, "nothing")[0].points.size(), 0u);
}

TEST_F(Runs, DeleteRefusesWhateverIsNoRunOfTheFolder) {
  std::string run = add("keep", {1});
  Experiment sibling(folder / "bait");
  fs::create_directories(folder / "bait/run");
  append(folder / "bait/run/metadata.json", "{}");
  append(folder / "bait/run/precious", "bait");
  fs::create_directories(dir + "/plain");
  append(dir + "/plain/precious", "bait");
  fs::create_directory_symlink(folder / "bait/run", dir + "/link");
  for (std::string bad : std::vector<std::string>{"../bait/run", "../bait", "..", ".", "", "/", "plain", "link", "keep/..", "./" + run, run + "/", run + "/.", "nothing", "*", std::string("a\0b", 3)})
    EXPECT_NE(refusal([&] { experiment.delete_run(bad); }).find("[delete_run] expected the name of a run"), std::string::npos) << bad;
  EXPECT_NE(refusal([&] { experiment.delete_run(folder / "bait/run"); }).find("a name alone, no path"), std::string::npos);
  EXPECT_EQ(contents(folder / "bait/run/precious"), "bait");
  EXPECT_EQ(contents(dir + "/plain/precious"), "bait");
  EXPECT_TRUE(fs::is_symlink(dir + "/link"));
  EXPECT_EQ(experiment.list_runs(), std::vector<std::string>{run});
}

TEST_F(Runs, DeleteRemovesTheRunAndFollowsNoLinkInside) {
  std::string run = add("gone", {1});
  fs::create_directories(folder / "bait");
  append(folder / "bait/precious", "bait");
  fs::create_directory_symlink(folder / "bait", dir + "/" + run + "/images");
  fs::create_symlink(folder / "bait/precious", dir + "/" + run + "/copy");
  experiment.delete_run(run);
  EXPECT_FALSE(fs::exists(dir + "/" + run));
  EXPECT_EQ(contents(folder / "bait/precious"), "bait");
}

TEST_F(Runs, ARunThatIsBeingWrittenIsNotDeleted) {
  LoggerOptions o;
  o.log_dir = dir;
  auto log = std::make_unique<MetricsLogger>(o);
  std::string run = log->run_name();
  EXPECT_NE(refusal([&] { experiment.delete_run(run); }).find("expected a run that no logger is writing"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(experiment.get_run_metadata(run))["status"], "running");
  log.reset();
  EXPECT_EQ(nlohmann::json::parse(experiment.get_run_metadata(run))["status"], "closed");
  experiment.delete_run(run);
  EXPECT_TRUE(experiment.list_runs().empty());
}

TEST_F(Runs, FilterReadsMetricsParametersAndTags) {
  std::string a = add("a", {0.9, 0.2}, R"({"lr": 0.1, "net": {"width": 8}, "name": "small"})", {"good", "short"});
  std::string b = add("b", {0.1, 0.6}, R"({"lr": 0.001, "net": {"width": 64}})", {"long"});
  std::string c = add("c", {}, "{}");
  using L = std::vector<std::string>;
  EXPECT_EQ(experiment.filter("metric('val_loss') < 0.3 and params['lr'] > 1e-3"), L{a});
  EXPECT_EQ(experiment.filter("min_metric(\"val_loss\") <= 0.2"), (L{a, b}));
  EXPECT_EQ(experiment.filter("max_metric('val_loss') == 0.6 or 'short' in tags"), (L{a, b}));
  EXPECT_EQ(experiment.filter("not 'good' in tags"), (L{b, c}));
  EXPECT_EQ(experiment.filter("'good' not in tags and metric('val_loss') != None"), L{b});
  EXPECT_EQ(experiment.filter("params['net']['width'] * 2 - 1 == 15"), L{a});
  EXPECT_EQ(experiment.filter("0.0001 < params['lr'] < 0.01"), L{b});
  EXPECT_EQ(experiment.filter("params['name'] == 'small'"), L{a});
  EXPECT_EQ(experiment.filter("metric('val_loss') < 100"), (L{a, b}));     // none: no order holds
  EXPECT_EQ(experiment.filter("metric('val_loss') >= 0 or metric('val_loss') < 0"), (L{a, b}));
  EXPECT_EQ(experiment.filter("'a_' in name"), L{a});
  EXPECT_EQ(experiment.filter("status == 'closed' and -(-1) / 2 == .5 and (True and not False)"), (L{a, b, c}));
}

TEST_F(Runs, FilterEvaluatesNothingButItsGrammar) {
  add("a", {1});
  for (std::string bad : std::vector<std::string>{"__import__('os').system('touch bait')", "open('bait','w')", "metric('val_loss').__class__", "params['lr'] = 1", "1 +", "(1", "'open", "metric(val_loss)", "", "a", "1 1", "params", "lambda: 1", "metric('x') < 0.3; 1"})
    EXPECT_EQ(refusal([&] { experiment.filter(bad); }).substr(0, 17), "[filter] expected") << bad;
  EXPECT_NE(refusal([&] { experiment.filter(std::string(100000, '(')); }).find("at most 100 levels"), std::string::npos);
  EXPECT_NE(refusal([&] { experiment.filter(std::string(100000, '-') + "1"); }).find("at most 100 levels"), std::string::npos);
  std::string nots;
  for (int i = 0; i < 1000; ++i) nots += "not ";
  EXPECT_NE(refusal([&] { experiment.filter(nots + "1"); }).find("at most 100 levels"), std::string::npos);
  EXPECT_NE(refusal([&] { Experiment(folder / "nothing").filter("1 +"); }), "no error");      // said even where there is no run
}

TEST_F(Runs, CsvAndJsonHoldEveryPoint) {
  std::string a = add("a", {0.5, std::nan(""), 1});
  EXPECT_EQ(experiment.to_csv().substr(0, 27), "run,metric,step,value,time\n");
  EXPECT_NE(experiment.to_csv().find(a + ",val_loss,1,nan,"), std::string::npos);
  auto j = nlohmann::json::parse(experiment.to_json());
  EXPECT_EQ(j[a]["metrics"]["val_loss"].size(), 3u);
  EXPECT_EQ(j[a]["metrics"]["val_loss"][1][1], "NaN");
}

TEST_F(Runs, BrokenMetadataIsNamed) {
  std::string a = add("a", {1}), path = dir + "/" + a + "/metadata.json";
  fs::resize_file(path, 0);
  append(path, "{\"format\":");
  EXPECT_EQ(experiment.list_runs().size(), 1u);
  EXPECT_NE(refusal([&] { experiment.get_run_metadata(a); }).find("expected a JSON object, got text that is no JSON"), std::string::npos);
  fs::resize_file(path, 0);
  append(path, "{\"a\":" + std::string(500000, '[') + std::string(500000, ']') + "}");
  EXPECT_NE(refusal([&] { experiment.get_run_metadata(a); }).find("at most 100 levels"), std::string::npos);
}

TEST_F(Runs, TheDashboardIsOnePageWhereNothingOfARunIsMarkup) {
  std::string evil = "</script><script>alert(1)</script><!--";
  std::string run = add(evil, {0.5, std::nan("")}, R"({"</script><img src=x onerror=alert(1)>": "</script>"})", {evil});
  {
    LoggerOptions o;
    o.log_dir = dir;
    o.resume = run;
    MetricsLogger log(o);
    log.log(evil, 1);
    log.log_text(evil, std::string(200000, '<'));
    log.log_image(evil, std::vector<uint8_t>(12, 7), 2, 2, 3);
  }
  fs::create_symlink(folder / "bait.png", dir + "/" + run + "/images/000007.png");
  append(folder / "bait.png", "\x89PNG\r\n\x1a\nbait");
  append(dir + "/" + run + "/metrics.jsonl", R"({"kind":"image","name":"i","step":1,"time":1,"file":"images/000007.png","height":1,"width":1})" "\n");
  Dashboard d(dir);
  std::string page = d.html({}, evil);
  size_t data = page.find("id=\"data\">") + 10, end = page.find("</script>", data);
  auto j = nlohmann::json::parse(page.substr(data, end - data));           // the element ends where the data end
  EXPECT_EQ(j["runs"][0]["metrics"][1]["name"], evil);
  EXPECT_EQ(j["title"], evil);
  EXPECT_LT(j["runs"][0]["texts"][0]["text"].get<std::string>().size(), 66000u);
  EXPECT_EQ(j["runs"][0]["images"].size(), 1u);                            // a link is not followed
  EXPECT_EQ(page.find("alert(1)</script>"), std::string::npos);
  EXPECT_EQ(page.find("MINITEN_"), std::string::npos);
  EXPECT_EQ(page.find("http://www.w3.org/2000/svg"), page.find("http:"));   // the only address is a name
  EXPECT_LT(Dashboard(folder / "nothing").html().size(), 500000u);
  EXPECT_NE(refusal([&] { d.html({"../bait"}); }).find("expected the name of a run"), std::string::npos);
  size_t bytes = d.generate(folder / "page.html");
  EXPECT_EQ(bytes, contents(folder / "page.html").size());
  EXPECT_NE(refusal([&] { d.generate(folder / "no/such/folder/page.html"); }).find("[Dashboard.generate] expected a file that can be written"), std::string::npos);
}

}  // namespace
}  // namespace miniten::monitor
