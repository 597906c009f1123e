#include <algorithm>
#include <cstdio>
#include <map>
#include "miniten/base/error.h"
#include "miniten/monitor/profiler.h"
#include "monitor/files.h"
#include "viz/svg.h"

namespace miniten::monitor {

double Profile::op_nanoseconds() const {
  double sum = 0;
  for (const ProfileRow& r : rows) sum += r.nanoseconds;
  return sum;
}

std::string Profile::to_text() const {
  char line[512];
  size_t width = 5;
  for (const ProfileRow& r : rows) width = std::max(width, std::min<size_t>(40, r.layer.size()));
  std::snprintf(line, sizeof line, "%-9s %-*s %-18s %7s %11s %6s %14s %12s %9s\n", "stage", int(width), "layer", "op", "calls", "ms", "share", "MACs", "bytes", "GFLOP/s");
  std::string out = line;
  double all = op_nanoseconds();
  std::map<std::string, double> stages;
  for (const ProfileRow& r : rows) {
    std::string layer = r.layer.size() > 40 ? "..." + r.layer.substr(r.layer.size() - 37) : r.layer.empty() ? "-" : r.layer;
    double rate = r.nanoseconds > 0 ? double(2 * r.macs + r.flops) / r.nanoseconds : 0;
    std::snprintf(line, sizeof line, "%-9s %-*s %-18.40s %7lld %11.4f %5.1f%% %14lld %12lld %9.2f\n", r.stage.c_str(), int(width), layer.c_str(), r.op.c_str(), static_cast<long long>(r.calls),
                  r.nanoseconds / 1e6, all > 0 ? 100 * r.nanoseconds / all : 0, static_cast<long long>(r.macs), static_cast<long long>(r.bytes), rate);
    out += line;
    stages[r.stage] += r.nanoseconds;
  }
  std::string parts;
  for (const char* s : {"forward", "backward", "optimizer"})
    if (stages.count(s)) {
      std::snprintf(line, sizeof line, "%s%s %.4f ms", parts.empty() ? "" : ", ", s, stages[s] / 1e6);
      parts += line;
    }
  std::snprintf(line, sizeof line, "ops %.4f ms", all / 1e6);
  out += line + (parts.empty() ? "" : " (" + parts + ")");
  std::snprintf(line, sizeof line, " of %.4f ms; the rest is between the ops\n", wall_nanoseconds / 1e6);
  return out + line;
}

std::string Profile::to_json() const {
  Json list = Json::array();
  double all = op_nanoseconds();
  for (const ProfileRow& r : rows)
    list.push_back({{"stage", r.stage}, {"layer", r.layer}, {"op", r.op}, {"calls", r.calls}, {"ms", r.nanoseconds / 1e6}, {"share", all > 0 ? r.nanoseconds / all : 0}, {"macs", r.macs},
                    {"flops", 2 * r.macs + r.flops}, {"bytes", r.bytes}, {"shapes", r.shapes}});
  return Json{{"wall_ms", wall_nanoseconds / 1e6}, {"op_ms", all / 1e6}, {"rows", list}, {"dropped_events", dropped_events}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The trace event format: complete events ("X"), times in microseconds, one track for each stage.
std::string Profile::chrome_trace() const {
  Json list = Json::array();
  list.push_back({{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"tid", 0}, {"args", {{"name", "miniten"}}}});
  for (int i = 0; i < 3; ++i) {
    const char* names[] = {"forward", "backward", "optimizer"};
    list.push_back({{"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", i + 1}, {"args", {{"name", names[i]}}}});
  }
  for (const ProfileEvent& e : events)
    list.push_back({{"name", e.op}, {"cat", e.stage}, {"ph", "X"}, {"ts", std::max(0.0, e.start) / 1e3}, {"dur", e.nanoseconds / 1e3}, {"pid", 1},
                    {"tid", e.stage == "forward" ? 1 : e.stage == "backward" ? 2 : 3}, {"args", {{"layer", e.layer}, {"shapes", e.shapes}}}});
  return Json{{"traceEvents", list}, {"displayTimeUnit", "ms"}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {

struct Frame {
  std::string name;
  double ns = 0;
  std::vector<Frame> inside;
  Frame& child(const std::string& n) {
    for (Frame& f : inside) if (f.name == n) return f;
    return inside.emplace_back(Frame{n, 0, {}});
  }
  int depth() const {
    int d = 0;
    for (const Frame& f : inside) d = std::max(d, f.depth());
    return d + 1;
  }
};

constexpr double row_height = 20, text_size = 11, letter = 6.4;

void draw(const Frame& f, double x, double y, double width, double total, int depth, std::string& svg) {
  if (width < 0.4) return;
  unsigned hash = 2166136261u;
  for (char c : f.name) hash = (hash ^ uint8_t(c)) * 16777619u;
  static constexpr const char* bases[] = {"#4c78a8", "#f58518", "#54a24b", "#b279a2", "#72b7b2", "#e45756", "#eeca3b", "#9d755d"};
  const char* fill = depth == 0 ? "#c9ced6" : bases[hash % 8];
  char line[256], tip[64];
  std::snprintf(line, sizeof line, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" rx=\"2\" fill=\"%s\" fill-opacity=\"%s\"/>", x, y, std::max(0.4, width - 0.6), row_height - 1, fill, depth == 0 ? "1" : "0.55");
  svg += "<g>";
  std::snprintf(tip, sizeof tip, "%.4f ms, %.1f %%", f.ns / 1e6, total > 0 ? 100 * f.ns / total : 0);
  svg += "<title>" + viz::escape_xml(f.name.substr(0, 500)) + ": " + tip + "</title>";
  svg += line;
  int fits = int((width - 6) / letter);
  if (fits >= 3) {
    std::string text = f.name.size() > size_t(fits) ? valid_utf8(f.name.substr(0, size_t(fits) - 1)) + "\xe2\x80\xa6" : f.name;
    std::snprintf(line, sizeof line, "<text x=\"%.2f\" y=\"%.2f\">", x + 3, y + 14);
    svg += line + viz::escape_xml(text) + "</text>";
  }
  svg += "</g>\n";
  for (const Frame& inner : f.inside) {
    double w = f.ns > 0 ? width * inner.ns / f.ns : 0;
    draw(inner, x, y + row_height, w, total, depth + 1, svg);
    x += w;
  }
}

}  // namespace

std::string Profile::flame_graph(double width) const {
  if (!(width >= 100 && width <= 20000)) throw Error(ErrorKind::value, "flame_graph", "a width of 100 to 20000 pixels", std::to_string(width));
  Frame root{"all ops", op_nanoseconds(), {}};
  for (const char* stage : {"forward", "backward", "optimizer"})
    for (const ProfileRow& r : rows) {
      if (r.stage != stage) continue;
      Frame* at = &root.child(stage);
      at->ns += r.nanoseconds;
      for (size_t from = 0, end; from < r.layer.size(); from = end + 1) {
        end = std::min(r.layer.find('.', from), r.layer.size());
        at = &at->child(r.layer.substr(from, end - from));
        at->ns += r.nanoseconds;
      }
      at = &at->child(r.op);
      at->ns += r.nanoseconds;
    }
  char head[512];
  double height = row_height * root.depth() + 20;
  std::snprintf(head, sizeof head,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"%.0f\" fill=\"#1a1d21\">\n"
                "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", width, height, width, height, text_size);
  std::string svg = head;
  draw(root, 10, 10, width - 20, root.ns, 0, svg);
  return svg + "</svg>\n";
}

}  // namespace miniten::monitor
