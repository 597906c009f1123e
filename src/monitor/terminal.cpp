#include "miniten/monitor/terminal.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include "miniten/base/error.h"
#include "miniten/viz/figure.h"
#include "monitor/files.h"

namespace miniten::monitor {

namespace {

// Whole characters, none that moves the cursor or turns the line round.
std::string shown(std::string_view text, size_t most) {
  std::string clean = valid_utf8(text.substr(0, 4 * most)), out;
  size_t n = 0;
  for (size_t i = 0; i < clean.size() && n < most; ++n) {
    auto c = uint8_t(clean[i]);
    size_t bytes = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    std::string one = clean.substr(i, bytes);
    bool control = c < 0x20 || c == 0x7f || (c == 0xc2 && uint8_t(one[1]) < 0xa0) || (one >= "\xe2\x80\x8e" && one <= "\xe2\x80\x8f") || (one >= "\xe2\x80\xa8" && one <= "\xe2\x80\xae") ||
                   (one >= "\xe2\x81\xa6" && one <= "\xe2\x81\xa9");
    out += control ? "?" : one;
    i += bytes;
  }
  return out;
}
std::string padded(std::string text, size_t width, bool right = false) {
  size_t n = size_t(std::count_if(text.begin(), text.end(), [](char c) { return (uint8_t(c) & 0xc0) != 0x80; }));
  if (n >= width) return text;
  return right ? std::string(width - n, ' ') + text : text + std::string(width - n, ' ');
}
std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", v);
  return text;
}
bool is_system(const std::string& metric) { return metric.rfind("system/", 0) == 0; }

std::string curves(const RunData& data, const TerminalView& view) {
  std::vector<const RunData::Series*> chosen;
  for (const RunData::Series& s : data.metrics) if (!is_system(s.name) && int(chosen.size()) < view.metrics) chosen.push_back(&s);
  if (chosen.empty()) return "";
  int cols = view.width >= 90 && chosen.size() > 1 ? 2 : 1, rows = int(chosen.size() + size_t(cols) - 1) / cols;
  viz::Figure figure({.width = 5.0 * cols, .height = 2.0 * rows});
  for (size_t i = 0; i < chosen.size(); ++i) {
    viz::Axes& axes = figure.add_subplot(rows, cols, int(i) + 1);
    std::vector<double> x, y;
    for (const Point& p : chosen[i]->points) x.push_back(double(p.step)), y.push_back(p.value);
    axes.plot(x, y);
    axes.set_title(shown(chosen[i]->name, 40));
  }
  return figure.to_text({.width = view.width, .height = 12 * rows, .color = view.color});
}

}  // namespace

std::string terminal_text(const Experiment& experiments, const TerminalView& view) {
  if (view.width < 40 || view.width > 1000) throw Error(ErrorKind::value, "monitor", "a width of 40 to 1000 columns", std::to_string(view.width));
  std::vector<std::string> runs = experiments.list_runs();
  if (runs.empty() && view.run.empty()) return "no runs in \"" + shown(experiments.dir(), 200) + "\" yet\n";
  std::string chosen = view.run.empty() ? runs.back() : view.run;
  RunData data = experiments.get_run_metrics(chosen);
  size_t skipped = runs.size() > size_t(view.runs) ? runs.size() - size_t(view.runs) : 0, name_width = 4;
  for (size_t i = skipped; i < runs.size(); ++i) name_width = std::max(name_width, std::min<size_t>(runs[i].size(), size_t(view.width) / 2 - 4));
  std::string metric;
  for (const RunData::Series& s : data.metrics) if (metric.empty() && !is_system(s.name)) metric = s.name;
  std::string out = padded("  run", name_width + 4) + padded("status", 13) + padded("points", 9, true) + "  " + (metric.empty() ? "" : shown(metric, 20) + " (last)") + "\n";
  if (skipped) out += "  ... " + std::to_string(skipped) + " older\n";
  for (size_t i = skipped; i < runs.size(); ++i) {
    std::string status = "unreadable", last;
    size_t points = 0;
    try {
      Json j = parse_object("monitor", experiments.get_run_metadata(runs[i]));
      status = j.contains("status") && j["status"].is_string() ? j["status"].get<std::string>() : "";
      RunData d = runs[i] == chosen ? data : experiments.get_run_metrics(runs[i]);
      for (const RunData::Series& s : d.metrics) points += s.points.size();
      if (const RunData::Series* s = d.find(metric)) last = number(s->points.back().value);
    } catch (const Error&) {                     // it stands in the table as unreadable
    }
    out += (runs[i] == chosen ? "> " : "  ") + padded(shown(runs[i], name_width), name_width + 2) + padded(shown(status, 12), 13) + padded(std::to_string(points), 9, true) + "  " + last + "\n";
  }
  std::string drawn = curves(data, view);
  return out + (drawn.empty() ? "" : "\n" + drawn);
}

}  // namespace miniten::monitor
