#include "miniten/monitor/dashboard.h"
#include <sys/stat.h>
#include <cmath>
#include <cstring>
#include "base/embedded.h"
#include "miniten/base/error.h"
#include "monitor/files.h"
#include "viz/png.h"
#include "viz/svg.h"

namespace miniten::monitor {

namespace {

constexpr uint8_t page[] = {
#include "embedded/dashboard.html.inc"
};

constexpr size_t longest_name = 1024, longest_text = 65536, most_images = 64, most_histograms = 500, largest_image = 4 << 20;

std::string cut(const std::string& text, size_t most) { return text.size() <= most ? text : valid_utf8(text.substr(0, most)) + "\xe2\x80\xa6"; }

template <class T> std::string packed(const std::vector<T>& v) { return viz::base64({reinterpret_cast<const uint8_t*>(v.data()), v.size() * sizeof(T)}); }

// Steps that advance evenly are two numbers.
Json steps_json(const std::vector<Point>& points) {
  int64_t first = points[0].step, stride = points.size() > 1 ? int64_t(uint64_t(points[1].step) - uint64_t(points[0].step)) : 1;
  bool even = true;
  for (size_t i = 0; i < points.size() && even; ++i) even = uint64_t(points[i].step) == uint64_t(first) + uint64_t(stride) * i;
  if (even) return {first, stride};
  std::vector<double> steps;
  for (const Point& p : points) steps.push_back(double(p.step));
  return packed(steps);
}

Json series_json(const RunData::Series& s, double created) {
  std::vector<double> values;
  std::vector<float> times;
  for (const Point& p : s.points) {
    values.push_back(p.value);
    times.push_back(float(p.time - created));
  }
  return {{"name", cut(s.name, longest_name)}, {"n", values.size()}, {"steps", steps_json(s.points)}, {"values", packed(values)}, {"times", packed(times)}};
}

// {"a": {"b": 1}} -> {"a.b": 1}; lists and long texts as short text.
void flatten(const Json& from, const std::string& prefix, Json& to) {
  for (auto& [key, v] : from.items()) {
    std::string name = prefix.empty() ? key : prefix + "." + key;
    if (to.size() >= 500) return;
    if (v.is_object()) flatten(v, name, to);
    else if (v.is_number() || v.is_boolean()) to[cut(name, longest_name)] = v;
    else to[cut(name, longest_name)] = cut(v.is_string() ? v.get<std::string>() : v.dump(-1, ' ', false, Json::error_handler_t::replace), 1000);
  }
}

Json meta_json(const Json& metadata) {
  Json meta = Json::object();
  bool ok;
  for (const char* key : {"created", "ended"})
    if (metadata.contains(key)) if (double t = number_of(metadata[key], ok); ok && std::isfinite(t)) meta[key] = t;
  for (const char* key : {"status", "comment", "experiment_name"}) if (metadata.contains(key) && metadata[key].is_string()) meta[key] = cut(metadata[key].get<std::string>(), longest_name);
  meta["tags"] = Json::array();
  if (metadata.contains("tags") && metadata["tags"].is_array())
    for (const Json& t : metadata["tags"]) if (t.is_string() && meta["tags"].size() < 50) meta["tags"].push_back(cut(t.get<std::string>(), 200));
  if (metadata.contains("environment") && metadata["environment"].is_object()) flatten(metadata["environment"], "", meta["environment"] = Json::object());
  return meta;
}

Json images_json(const std::string& dir, const std::vector<RunData::Image>& images, bool live) {
  Json list = Json::array();
  for (size_t i = images.size() > most_images ? images.size() - most_images : 0; i < images.size(); ++i) {
    const RunData::Image& m = images[i];
    Json j{{"name", cut(m.name, longest_name)}, {"step", m.at.step}, {"width", m.width}, {"height", m.height}};
    std::string path = dir + "/" + m.file;
    struct stat s;
    if (::lstat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode) || size_t(s.st_size) > largest_image) continue;   // a link may lead anywhere
    if (live) j["src"] = m.file;
    else {
      std::string bytes = read_text("dashboard", path);
      if (bytes.compare(0, 8, "\x89PNG\r\n\x1a\n") != 0) continue;
      j["src"] = "data:image/png;base64," + viz::base64({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    }
    list.push_back(std::move(j));
  }
  return list;
}

Json run_json(const Experiment& experiments, const std::string& run, bool live, size_t* offset = nullptr) {
  std::string dir = experiments.dir() + "/" + run;
  Json metadata = parse_object("dashboard", experiments.get_run_metadata(run));
  RunData data = experiments.get_run_metrics(run);
  if (offset) *offset = data.read_bytes;
  Json j{{"name", cut(valid_utf8(run), longest_name)}, {"meta", meta_json(metadata)}, {"params", Json::object()}, {"torn", data.torn_bytes}, {"damaged", data.damaged_lines}};
  if (metadata.contains("hyperparams") && metadata["hyperparams"].is_object()) flatten(metadata["hyperparams"], "", j["params"]);
  double created = j["meta"].value("created", 0.0);
  Json& metrics = j["metrics"] = Json::array();
  for (const RunData::Series& s : data.metrics) metrics.push_back(series_json(s, created));
  Json& histograms = j["histograms"] = Json::array();
  for (size_t i = data.histograms.size() > most_histograms ? data.histograms.size() - most_histograms : 0; i < data.histograms.size(); ++i) {
    const RunData::Histogram& h = data.histograms[i];
    histograms.push_back({{"name", cut(h.name, longest_name)}, {"step", h.at.step}, {"edges", h.edges}, {"counts", h.counts}, {"nonfinite", h.nonfinite}});
  }
  Json& texts = j["texts"] = Json::array();
  for (const RunData::Text& t : data.texts) texts.push_back({{"name", cut(t.name, longest_name)}, {"step", t.at.step}, {"text", cut(t.text, longest_text)}});
  j["images"] = images_json(dir, data.images, live);
  return j;
}

std::string page_of(const Json& data, const std::string& title) {
  std::string json = data.dump(-1, ' ', false, Json::error_handler_t::replace), safe;
  safe.reserve(json.size() + json.size() / 16);
  for (char c : json)                            // no tag can begin inside the script element
    if (c == '<') safe += "\\u003c";
    else safe += c;
  const std::string whole = unpacked(page);
  std::string_view rest(whole);
  std::string out;
  out.reserve(rest.size() + safe.size());
  auto put = [&](std::string_view mark, const std::string& text) {
    size_t at = rest.find(mark);
    out += rest.substr(0, at);
    out += text;
    rest.remove_prefix(at + mark.size());
  };
  put("MINITEN_TITLE", viz::escape_xml(cut(valid_utf8(title), 200)));
  put("MINITEN_DATA", safe);
  return out + std::string(rest);
}

}  // namespace

std::string Dashboard::html(const std::vector<std::string>& runs, const std::string& title) const {
  Json list = Json::array();
  for (const std::string& run : runs.empty() ? experiments_.list_runs() : runs) list.push_back(run_json(experiments_, run, false));
  return page_of({{"title", valid_utf8(title)}, {"generated", now_seconds()}, {"runs", std::move(list)}}, title);
}

size_t Dashboard::generate(const std::string& output_path, const std::vector<std::string>& runs, const std::string& title) const {
  std::string text = html(runs, title);
  write_text("Dashboard.generate", output_path, text);
  return text.size();
}

std::string Dashboard::live_html(const std::string& run) const {
  size_t offset = 0;
  Json runs = Json::array({run_json(experiments_, run, true, &offset)});
  return page_of({{"title", valid_utf8(run)}, {"generated", now_seconds()}, {"runs", std::move(runs)}, {"live", {{"offset", offset}}}}, run);
}

}  // namespace miniten::monitor
