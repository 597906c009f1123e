#include <charconv>
#include <unordered_map>
#include "miniten/base/error.h"
#include "miniten/monitor/logger.h"
#include "monitor/files.h"

namespace miniten::monitor {

namespace {

// A line as put_point writes it, read without a JSON tree: {"name":"loss","step":1,"value":0.5,"time":1.5}
bool read_plain(std::string_view line, std::string_view& name, Point& p) {
  auto skip = [&](std::string_view expected) {
    if (line.substr(0, expected.size()) != expected) return false;
    line.remove_prefix(expected.size());
    return true;
  };
  auto number = [&](auto& to) {
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), to);
    if (error != std::errc()) return false;
    line.remove_prefix(size_t(end - line.data()));
    return true;
  };
  if (!skip("{\"name\":\"")) return false;
  size_t quote = line.find_first_of("\"\\");
  if (quote == line.npos || quote == 0 || line[quote] != '"') return false;
  name = line.substr(0, quote);
  line.remove_prefix(quote);
  if (line.substr(0, 9) != "\",\"step\":") return false;
  line.remove_prefix(9);
  return number(p.step) && skip(",\"value\":") && !line.empty() && (line[0] == '-' || (line[0] >= '0' && line[0] <= '9')) && number(p.value) && skip(",\"time\":") &&
         number(p.time) && line == "}";
}

struct Reader {
  RunData data;
  std::unordered_map<std::string, size_t> index;
  std::string last;
  size_t last_index = 0;

  void add(std::string_view name, const Point& p) {
    if (data.metrics.empty() || name != last) {
      last = name;
      auto [at, fresh] = index.try_emplace(last, data.metrics.size());
      if (fresh) data.metrics.push_back({last, {}});
      last_index = at->second;
    }
    data.metrics[last_index].points.push_back(p);
  }
  bool add_entry(const Json& j) {
    auto text = [&](const char* key) { return j.contains(key) && j[key].is_string() ? j[key].get_ref<const std::string&>() : std::string(); };
    auto integer = [&](const char* key) { return j.contains(key) && j[key].is_number_integer() ? j[key].get<int64_t>() : int64_t(0); };
    auto list = [&](const char* key) {
      std::vector<double> v;
      bool ok = true;
      if (j.contains(key) && j[key].is_array()) for (const Json& e : j[key]) v.push_back(number_of(e, ok));
      return v;
    };
    std::string kind = text("kind"), name = text("name");
    bool ok = true;
    if (name.empty() || !j.contains("step") || !j["step"].is_number_integer()) return false;
    Point at{j["step"].get<int64_t>(), 0, j.contains("time") ? number_of(j["time"], ok) : 0};
    if (kind.empty() && j.contains("value")) {
      at.value = number_of(j["value"], ok);
      if (ok) add(name, at);
      return ok;
    }
    if (kind == "histogram") {
      RunData::Histogram h{name, at, list("edges"), list("counts"), integer("nonfinite")};
      if (h.counts.empty() || h.edges.size() != h.counts.size() + 1) return false;
      data.histograms.push_back(std::move(h));
    } else if (kind == "image") {
      std::string file = text("file");
      if (file.rfind("images/", 0) != 0 || !is_plain_name(file.substr(7))) return false;
      data.images.push_back({name, at, file, integer("height"), integer("width")});
    } else if (kind == "text") data.texts.push_back({name, at, text("text")});
    else return false;
    return true;
  }
  void line(std::string_view l) {
    if (l.empty()) return;
    std::string_view name;
    Point p;
    if (read_plain(l, name, p)) return add(name, p);
    bool deep = false;
    Json j = Json::parse(l, [&](int depth, Json::parse_event_t, Json&) { return depth <= 8 || (deep = true, false); }, false);
    if (deep || !j.is_object() || !add_entry(j)) ++data.damaged_lines;
  }
};

}  // namespace

const RunData::Series* RunData::find(std::string_view metric) const {
  for (const Series& s : metrics) if (s.name == metric) return &s;
  return nullptr;
}

RunData read_run(const std::string& dir) {
  std::string text = read_text("read_run", dir + "/" + metrics_file);
  Reader r;
  std::string_view rest = text;
  for (size_t end; (end = rest.find('\n')) != rest.npos; rest.remove_prefix(end + 1)) r.line(rest.substr(0, end));
  r.data.torn_bytes = rest.size();
  r.data.read_bytes = text.size() - rest.size();
  return std::move(r.data);
}

}  // namespace miniten::monitor
