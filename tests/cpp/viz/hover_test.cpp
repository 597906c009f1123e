#include <gtest/gtest.h>
#include <cmath>
#include <nlohmann/json.hpp>
#include "miniten/viz/figure.h"
#include "xml.h"

namespace miniten::viz {
namespace {

using Numbers = std::vector<double>;
using Names = std::vector<std::string>;

nlohmann::json data_of(const std::string& html) {
  const std::string open = "id=\"data\">\n";
  const size_t begin = html.find(open) + open.size();
  return nlohmann::json::parse(html.substr(begin, html.find("\n</script>", begin) - begin));
}

TEST(Html, HoldsThePictureAndItsValues) {
  Figure figure;
  Axes& axes = figure.add_subplot();
  axes.plot(Numbers{1, 2, 3}, Numbers{0.5, NAN, 0.25}, {.color = "#123456", .label = "loss"});
  axes.set_xlabel("epoch");
  const std::string html = figure.to_html(), svg = figure.to_svg();
  EXPECT_NE(html.find(svg), html.npos);
  const nlohmann::json data = data_of(html);
  ASSERT_EQ(data.size(), 1u);
  const nlohmann::json& series = data[0]["series"][0];
  EXPECT_EQ(series["name"], "loss");
  EXPECT_EQ(series["color"], "#123456");
  ASSERT_EQ(series["points"].size(), 2u);
  EXPECT_EQ(series["points"][1][2], "epoch: 3");
  EXPECT_EQ(series["points"][1][3], "y: 0.25");
}

TEST(Html, NamesCategoriesAndCells) {
  Figure figure;
  figure.add_subplot(1, 2, 1).bar(Names{"float32", "int8"}, Numbers{4, 1});
  figure.add_subplot(1, 2, 2).heatmap(Numbers{1, 2, 3, 4}, 2, 2, {.xlabels = {"cat", "dog"}});
  const nlohmann::json data = data_of(figure.to_html());
  EXPECT_EQ(data[0]["series"][0]["points"][1][2], "x: int8");
  EXPECT_EQ(data[1]["series"][0]["points"][1][2], "x: dog");
  EXPECT_EQ(data[1]["series"][0]["points"][1][4], "2");
}

TEST(Html, ManyPointsAreThinnedAndKeepTheExtreme) {
  Numbers y(1000000, 0.0);
  y[654321] = 42;
  Figure figure;
  figure.add_subplot().plot(y);
  const std::string html = figure.to_html();
  EXPECT_LT(html.size(), 500000u);
  bool found = false;
  const nlohmann::json data = data_of(html);
  for (const auto& p : data[0]["series"][0]["points"]) found = found || p[3] == "y: 42";
  EXPECT_TRUE(found);
}

TEST(Html, HostileNamesStayText) {
  const std::string nasty = "</script><script>alert(1)</script><!--\"'\\ \xe2\x80\xa8 \xff\x01&amp;";
  Figure figure;
  figure.add_subplot().plot(Numbers{1, 2}, {.label = nasty});
  figure.add_subplot().set_title(nasty), figure.add_subplot().set_xlabel(nasty);
  const std::string html = figure.to_html();
  size_t scripts = 0;
  for (size_t at = html.find("<script"); at != html.npos; at = html.find("<script", at + 1)) ++scripts;
  EXPECT_EQ(scripts, 2u);
  EXPECT_EQ(html.find("alert(1)</script>"), html.npos);
  EXPECT_EQ(data_of(html)[0]["series"][0]["name"].get<std::string>().substr(0, 9), "</script>");
  for (const char* outside : {"https:", "src=", "@import", "url(http", "fetch("}) EXPECT_EQ(html.find(outside), html.npos) << outside;
}

}  // namespace
}  // namespace miniten::viz
