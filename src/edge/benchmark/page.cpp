#include <cmath>
#include "edge/benchmark/bench.h"
#include "edge/utils/predict.h"
#include "miniten/interchange/native.h"
#include "miniten/viz/figure.h"

// A report as tables and pictures.
namespace miniten::edge {

namespace {

std::string escaped(const std::string& text) {
  std::string s;
  for (char c : text) {
    if (c == '<') s += "&lt;";
    else if (c == '>') s += "&gt;";
    else if (c == '&') s += "&amp;";
    else if (c == '"') s += "&quot;";
    else s += c;
  }
  return s;
}
std::string cell(const std::string& text) {                    // RFC 4180
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string s = "\"";
  for (char c : text) s += c == '"' ? "\"\"" : std::string(1, c);
  return s + "\"";
}
std::string digits(double v) {
  char s[32];
  std::snprintf(s, sizeof s, "%.17g", v);
  return s;
}
std::string rounded(double v, const char* format = "%.4f") {
  char s[64];
  std::snprintf(s, sizeof s, format, v);
  return s;
}
std::string shape_of(const std::vector<Spec>& specs) { return specs.empty() ? "" : specs[0].shape.text(); }
std::string name_of_layer(const LayerLatency& l) { return l.layer.empty() ? l.op : l.layer; }

std::string distribution(const BenchmarkResult& r) {
  viz::Figure f({.width = 6, .height = 3.4});
  viz::Axes& a = f.add_subplot();
  a.hist(r.latencies_ms, std::clamp(int(std::sqrt(double(r.latencies_ms.size()))), 5, 60));
  a.axvline(r.percentile(50), {.linestyle = "--", .label = "median"});
  a.set_title("Distribution");
  a.set_xlabel("latency, ms");
  a.set_ylabel("runs");
  a.legend();
  return f.to_svg();
}
std::string timeline(const BenchmarkResult& r) {
  viz::Figure f({.width = 6, .height = 3.4});
  viz::Axes& a = f.add_subplot();
  a.plot(r.latencies_ms, {.linewidth = 1});
  std::vector<double> x, y;
  for (size_t i : r.outliers().runs) {
    x.push_back(double(i));
    y.push_back(r.latencies_ms[i]);
  }
  if (!x.empty()) a.scatter(x, y, {.label = "outliers"});
  a.set_title("Timeline");
  a.set_xlabel("run");
  a.set_ylabel("latency, ms");
  if (!x.empty()) a.legend();
  return f.to_svg();
}
std::string bars(const std::vector<LayerLatency>& layers) {
  viz::Figure f({.width = 6, .height = std::clamp(1.2 + 0.28 * double(layers.size()), 2.4, 40.0)});
  viz::Axes& a = f.add_subplot();
  std::vector<std::string> names;
  std::vector<double> ms;
  for (size_t i = layers.size(); i-- > 0;) {                   // the first on top
    names.push_back(name_of_layer(layers[i]));
    ms.push_back(layers[i].latency_ms);
  }
  a.barh(names, ms, {});
  a.set_title("Layers");
  a.set_xlabel("latency, ms");
  return f.to_svg();
}
std::string roofline(const std::vector<LayerLatency>& layers) {
  const Device& machine = this_machine();
  std::vector<double> x, y;
  for (const LayerLatency& l : layers)
    if (l.cost.macs > 0 && l.bytes > 0 && l.latency_ms > 0) {
      x.push_back(double(l.cost.macs) / double(l.bytes));
      y.push_back(double(l.cost.macs) / l.latency_ms / 1e6);
    }
  if (x.empty()) return "";
  double low = *std::min_element(x.begin(), x.end()) / 4, high = *std::max_element(x.begin(), x.end()) * 4, peak = machine.macs_per_second.at("float32");
  std::vector<double> at, memory, cache;
  for (int i = 0; i <= 60; ++i) {
    at.push_back(low * std::pow(high / low, i / 60.0));
    memory.push_back(std::min(peak, at.back() * machine.bytes_per_second) / 1e9);
    cache.push_back(std::min(peak, at.back() * machine.cache_bytes_per_second) / 1e9);
  }
  viz::Figure f({.width = 6, .height = 3.8});
  viz::Axes& a = f.add_subplot();
  a.plot(at, memory, {.label = "memory"});
  a.plot(at, cache, {.linestyle = "--", .label = "cache"});
  a.scatter(x, y, {.label = "layers"});
  a.set_xscale("log");
  a.set_yscale("log");
  a.set_title("Roofline");
  a.set_xlabel("MACs a byte");
  a.set_ylabel("billion MACs/s");
  a.legend();
  return f.to_svg();
}

}  // namespace

std::string BenchmarkReport::to_csv() {
  std::string s = "layer_index,layer,layer_type,op,input_shape,output_shape,latency_ms,macs,bytes,roofline_share\r\n";
  for (size_t i = 0; i < layers().size(); ++i) {
    const LayerLatency& l = layers_[i];
    s += std::to_string(i) + "," + cell(l.layer) + "," + cell(l.type) + "," + cell(l.op) + "," + cell(shape_of(l.in)) + "," + cell(shape_of(l.out)) + "," + digits(l.latency_ms) + "," +
         std::to_string(l.cost.macs) + "," + std::to_string(l.bytes) + "," + digits(l.roofline_share()) + "\r\n";
  }
  return s;
}

std::string BenchmarkReport::to_html() {
  const BenchmarkResult& r = latency();
  Interval i = r.median_interval();
  std::string s = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Benchmark</title>\n<style>body{font:15px/1.5 sans-serif;max-width:1280px;margin:2em auto;padding:0 1em}"
                  "table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}"
                  ".pictures{display:flex;flex-wrap:wrap;gap:1em}svg{max-width:100%;height:auto}</style></head><body>\n<h1>Benchmark</h1>\n";
  auto row = [&](const std::string& a, const std::string& b) { s += "<tr><td>" + escaped(a) + "</td><td>" + escaped(b) + "</td></tr>\n"; };
  s += "<table>\n";
  row("median latency", rounded(r.percentile(50)) + " ms (95 % interval " + rounded(i.low) + " to " + rounded(i.high) + ")");
  row("mean, standard deviation", rounded(r.mean()) + ", " + rounded(r.stddev()) + " ms");
  row("p95, p99", rounded(r.percentile(95)) + ", " + rounded(r.percentile(99)) + " ms");
  row("throughput", rounded(r.throughput(), "%.1f") + " inferences/s");
  row("runs, threads", std::to_string(r.latencies_ms.size()) + ", " + std::to_string(r.threads));
  row("outliers", std::to_string(r.outliers().runs.size()));
  row("arena, weights", std::to_string(memory_.arena_bytes) + ", " + std::to_string(memory_.weight_bytes) + " bytes");
  row("machine", r.machine.cpu + ", " + r.machine.isa);
  s += "</table>\n<div class=\"pictures\">\n" + distribution(r) + timeline(r) + (layers_.empty() ? "" : bars(layers_)) + roofline(layers_) + "</div>\n<h2>Layers</h2>\n<table>\n<tr>";
  for (const char* h : {"layer", "type", "output", "ms", "MACs", "bytes", "of the roofline"}) s += std::string("<th>") + h + "</th>";
  s += "</tr>\n";
  for (const LayerLatency& l : layers_) {
    s += "<tr>";
    for (const std::string& c : {name_of_layer(l), l.type, shape_of(l.out), rounded(l.latency_ms), std::to_string(l.cost.macs), std::to_string(l.bytes), rounded(100 * l.roofline_share(), "%.0f %%")})
      s += "<td>" + escaped(c) + "</td>";
    s += "</tr>\n";
  }
  return s + "</table>\n</body></html>\n";
}

size_t BenchmarkReport::save(const std::string& path) {
  std::string text;
  if (path.ends_with(".json")) text = to_json() + "\n";
  else if (path.ends_with(".csv")) text = to_csv();
  else if (path.ends_with(".html")) text = to_html();
  else if (path.ends_with(".txt")) text = summary();
  else throw Error(ErrorKind::value, "BenchmarkReport.save", "a .json, .csv, .html or .txt file", "\"" + path + "\"");
  write_file(path, std::as_bytes(std::span(text)));
  return text.size();
}

}  // namespace miniten::edge
