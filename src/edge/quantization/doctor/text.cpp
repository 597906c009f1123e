#include <cmath>
#include "base/json.h"
#include "edge/quantization/doctor/state.h"
#include "miniten/viz/figure.h"

// A comparison as text, JSON and a page.
namespace miniten::edge {

namespace {

std::string number(double v, const char* format = "%.1f") {
  if (std::isinf(v)) return v > 0 ? "equal" : "none";
  char s[40];
  std::snprintf(s, sizeof s, format, v);
  return s;
}
nlohmann::ordered_json finite(double v) { return std::isfinite(v) ? nlohmann::ordered_json(v) : nlohmann::ordered_json(); }
std::string escaped(const std::string& text) {
  std::string s;
  for (char c : text) s += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return s;
}
std::string form_of(const ComparisonRow& r) { return r.op == r.form ? r.op : r.op + " -> " + r.form; }
std::string channels_of(const ComparisonRow& r) {
  std::string s;
  for (const OutlierChannel& c : r.outlier_channels) s += (s.empty() ? "" : ", ") + std::to_string(c.channel) + " (" + number(c.ratio, "%.0f") + "x)";
  return s;
}

// How often values occur, with lines where the integers end.
std::string histogram(const ComparisonRow& r) {
  viz::Figure f({.width = 4.6, .height = 2.6});
  viz::Axes& a = f.add_subplot();
  std::vector<double> x, y;
  double step = (r.hi - r.lo) / double(r.histogram.size());
  if (step <= 0) step = 1;
  for (size_t i = 0; i < r.histogram.size(); ++i) {
    x.push_back(r.lo + (double(i) + 0.5) * step);
    y.push_back(double(r.histogram[i]));
  }
  a.bar(x, y, {.width = step});
  a.set_yscale("symlog");
  if (r.clip_hi > r.clip_lo) {
    a.axvline(r.clip_lo, {.color = "C3", .linestyle = "--", .label = "ends of the integers"});
    a.axvline(r.clip_hi, {.color = "C3", .linestyle = "--"});
  }
  a.set_title(r.layer);
  if (r.clip_hi > r.clip_lo) a.legend();
  return f.to_svg();
}

}  // namespace

std::string QuantizationComparison::to_text() const {
  size_t layer = 5, form = 4;
  for (const ComparisonRow& r : rows) {
    layer = std::max(layer, r.layer.size());
    form = std::max(form, form_of(r).size());
  }
  char line[512];
  std::string s = "outputs: " + number(sqnr_db) + " dB over " + std::to_string(samples) + " samples\n";
  auto put = [&](const std::string& a, const std::string& b, const char* c, const std::string& alone, const std::string& whole, const std::string& cosine, const std::string& outside, const std::string& unused,
                 const std::string& channels) {
    std::snprintf(line, sizeof line, "%-*.120s  %-*.120s  %-8s %9s %10s %9s %9s %8s  %.120s", int(std::min<size_t>(layer, 120)), a.c_str(), int(std::min<size_t>(form, 120)), b.c_str(), c, alone.c_str(), whole.c_str(), cosine.c_str(),
                  outside.c_str(), unused.c_str(), channels.c_str());
    std::string text = line;
    s += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  };
  put("layer", "form", "dtype", "alone dB", "so far dB", "cosine", "outside %", "unused %", "outlier channels");
  for (const ComparisonRow& r : rows) {
    bool fixed = r.clip_hi > r.clip_lo;
    put(r.layer, form_of(r), r.dtype.c_str(), number(r.sqnr_db), number(r.cumulative_sqnr_db), number(r.cosine, "%.5f"), fixed ? number(100 * r.saturation, "%.2f") : "-", fixed ? number(100 * r.unused_range) : "-",
        channels_of(r));
  }
  for (const QuantizationFinding& f : diagnose()) {
    s += f.layer + ": " + f.cause + ": " + f.text + "\n";
    for (const QuantizationFix& fix : f.fixes) s += "  " + fix.kind + ": " + fix.text + "\n";
  }
  return s;
}

std::string QuantizationComparison::to_json() const {
  nlohmann::ordered_json j{{"sqnr_db", finite(sqnr_db)}, {"samples", samples}, {"rows", nlohmann::ordered_json::array()}, {"findings", nlohmann::ordered_json::array()}};
  for (const ComparisonRow& r : rows) {
    nlohmann::ordered_json channels = nlohmann::ordered_json::array();
    for (const OutlierChannel& c : r.outlier_channels) channels.push_back({{"channel", c.channel}, {"ratio", finite(c.ratio)}});
    j["rows"].push_back({{"layer", r.layer}, {"op", r.op}, {"form", r.form}, {"dtype", r.dtype}, {"sqnr_db", finite(r.sqnr_db)}, {"cumulative_sqnr_db", finite(r.cumulative_sqnr_db)},
                         {"cosine", finite(r.cosine)}, {"saturation", r.saturation}, {"unused_range", r.unused_range}, {"lo", r.lo}, {"hi", r.hi}, {"clip_lo", r.clip_lo}, {"clip_hi", r.clip_hi},
                         {"deviation", finite(r.deviation)}, {"bias_ratio", finite(r.bias_ratio)}, {"outlier_channels", channels}, {"histogram", r.histogram}});
  }
  for (const QuantizationFinding& f : diagnose()) {
    nlohmann::ordered_json fixes = nlohmann::ordered_json::array();
    for (const QuantizationFix& fix : f.fixes) fixes.push_back({{"kind", fix.kind}, {"layer", fix.layer}, {"text", fix.text}});
    j["findings"].push_back({{"layer", f.layer}, {"cause", f.cause}, {"value", finite(f.value)}, {"text", f.text}, {"fixes", fixes}});
  }
  return j.dump();
}

std::string QuantizationComparison::to_html() const {
  std::string s = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Quantisation</title>\n<style>body{font:15px/1.5 sans-serif;max-width:1280px;margin:2em auto;padding:0 1em}"
                  "table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}"
                  ".pictures{display:flex;flex-wrap:wrap;gap:1em}svg{max-width:100%;height:auto}</style></head><body>\n<h1>Quantisation</h1>\n";
  s += "<p>Outputs: " + number(sqnr_db) + " dB over " + std::to_string(samples) + " samples.</p>\n";
  auto findings = diagnose();
  s += "<h2>Findings</h2>\n";
  if (findings.empty()) s += "<p>None.</p>\n";
  else {
    s += "<table><tr><th>layer</th><th>cause</th><th>what</th><th>fixes</th></tr>\n";
    for (const QuantizationFinding& f : findings) {
      s += "<tr><td>" + escaped(f.layer) + "</td><td>" + escaped(f.cause) + "</td><td>" + escaped(f.text) + "</td><td>";
      for (size_t i = 0; i < f.fixes.size(); ++i) s += (i ? "<br>" : "") + escaped(f.fixes[i].kind + ": " + f.fixes[i].text);
      s += "</td></tr>\n";
    }
    s += "</table>\n";
  }
  s += "<h2>Layers</h2>\n<table><tr><th>layer</th><th>form</th><th>dtype</th><th>alone, dB</th><th>so far, dB</th><th>cosine</th><th>outside, %</th><th>unused, %</th><th>outlier channels</th></tr>\n";
  for (const ComparisonRow& r : rows) {
    bool fixed = r.clip_hi > r.clip_lo;
    for (const std::string& cell : {"<tr><td>" + escaped(r.layer), escaped(form_of(r)), escaped(r.dtype), number(r.sqnr_db), number(r.cumulative_sqnr_db), number(r.cosine, "%.5f"),
                                    fixed ? number(100 * r.saturation, "%.2f") : std::string("-"), fixed ? number(100 * r.unused_range) : std::string("-"), channels_of(r)})
      s += (cell.rfind("<tr>", 0) == 0 ? "" : "<td>") + cell + "</td>";
    s += "</tr>\n";
  }
  s += "</table>\n<h2>Values</h2>\n<div class=\"pictures\">\n";
  for (const ComparisonRow& r : rows) s += "<div>" + histogram(r) + "</div>\n";
  return s + "</div>\n</body></html>\n";
}

}  // namespace miniten::edge
