#include "miniten/monitor/experiment.h"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include "miniten/base/error.h"
#include "monitor/filter.h"

namespace miniten::monitor {

namespace fs = std::filesystem;

Experiment::Experiment(std::string dir) : dir_(dir.empty() ? "." : std::move(dir)) {}

std::string Experiment::folder(const char* op, const std::string& run) const {
  std::string path = dir_ + "/" + run;
  if (!is_plain_name(run)) throw Error(ErrorKind::value, op, "the name of a run in \"" + dir_ + "\"", "\"" + run.substr(0, 200) + "\"", "a name alone, no path: list_runs() tells them");
  if (!is_run(path)) throw Error(ErrorKind::value, op, "the name of a run in \"" + dir_ + "\"", "\"" + run.substr(0, 200) + "\"", "a folder with metadata.json; list_runs() tells them");
  return path;
}

std::vector<std::string> Experiment::list_runs() const {
  std::vector<std::pair<double, std::string>> found;
  std::error_code error;
  for (fs::directory_iterator at(dir_, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (!is_run(dir_ + "/" + name)) continue;
    double created = 0;
    try {
      bool ok;
      Json j = parse_object("list_runs", read_text("list_runs", dir_ + "/" + name + "/" + metadata_file));
      if (j.contains("created")) created = number_of(j["created"], ok);
    } catch (const Error&) {                     // it stands in the list; who asks for its metadata is told
    }
    found.emplace_back(std::isnan(created) ? 0 : created, std::move(name));
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (auto& [created, name] : found) names.push_back(std::move(name));
  return names;
}

static Json metadata_of(const char* op, const std::string& dir) {
  Json j = parse_object(op, read_text(op, dir + "/" + metadata_file));
  if (j.value("status", Json()) == "running" && !is_being_written(dir)) j["status"] = "interrupted";
  return j;
}
std::string Experiment::get_run_metadata(const std::string& run) const {
  return metadata_of("get_run_metadata", folder("get_run_metadata", run)).dump(-1, ' ', false, Json::error_handler_t::replace);
}
RunData Experiment::get_run_metrics(const std::string& run) const { return read_run(folder("get_run_metrics", run)); }

std::vector<std::string> Experiment::tags(const std::string& run) const {
  std::vector<std::string> out;
  Json j = metadata_of("tags", folder("tags", run));
  if (j.contains("tags") && j["tags"].is_array()) for (const Json& t : j["tags"]) if (t.is_string()) out.push_back(t.get<std::string>());
  return out;
}

std::vector<Experiment::Curve> Experiment::compare(const std::vector<std::string>& runs, std::string_view metric) const {
  std::vector<Curve> curves;
  for (const std::string& run : runs) {
    RunData data = read_run(folder("compare", run));
    const RunData::Series* s = data.find(metric);
    curves.push_back({run, s ? s->points : std::vector<Point>{}});
  }
  return curves;
}

std::optional<std::string> Experiment::get_best_run(std::string_view metric, std::string_view mode) const {
  if (mode != "min" && mode != "max") throw Error(ErrorKind::value, "get_best_run", "mode \"min\" or \"max\"", "\"" + std::string(mode) + "\"");
  std::optional<std::string> best;
  double value = 0;
  for (const std::string& run : list_runs()) {
    RunData data = read_run(dir_ + "/" + run);
    const RunData::Series* s = data.find(metric);
    if (!s) continue;
    for (const Point& p : s->points)
      if (!std::isnan(p.value) && (!best || (mode == "min" ? p.value < value : p.value > value))) {
        best = run;
        value = p.value;
      }
  }
  return best;
}

std::vector<std::string> Experiment::filter(std::string_view expression) const {
  static const std::string no_name;
  matches(expression, {no_name, Json::object(), []() -> const RunData& { static const RunData none; return none; }});   // wrong ones throw even where there is no run
  std::vector<std::string> out;
  for (const std::string& run : list_runs()) {
    std::string dir = dir_ + "/" + run;
    Json metadata = metadata_of("filter", dir);
    std::optional<RunData> data;
    auto read = [&]() -> const RunData& { return data ? *data : data.emplace(read_run(dir)); };
    if (matches(expression, {run, metadata, read})) out.push_back(run);
  }
  return out;
}

std::string Experiment::to_csv() const {
  auto cell = [](const std::string& text) {
    if (text.find_first_of(",\"\n\r") == text.npos) return text;
    std::string out = "\"";
    for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
  };
  auto number = [](double v) {
    if (!std::isfinite(v)) return std::string(std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
    std::string out;
    append_number(out, v);
    return out;
  };
  std::string out = "run,metric,step,value,time\n";
  for (const std::string& run : list_runs())
    for (const RunData::Series& s : read_run(dir_ + "/" + run).metrics)
      for (const Point& p : s.points) out += cell(run) + "," + cell(s.name) + "," + std::to_string(p.step) + "," + number(p.value) + "," + number(p.time) + "\n";
  return out;
}

std::string Experiment::to_json() const {
  Json all = Json::object();
  for (const std::string& run : list_runs()) {
    Json metrics = Json::object();
    for (const RunData::Series& s : read_run(dir_ + "/" + run).metrics) {
      Json& points = metrics[s.name] = Json::array();
      for (const Point& p : s.points) points.push_back({p.step, number_json(p.value), p.time});
    }
    all[run] = {{"metadata", metadata_of("to_json", dir_ + "/" + run)}, {"metrics", metrics}};
  }
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void Experiment::delete_run(const std::string& run) const {
  std::string path = folder("delete_run", run);
  if (is_being_written(path)) throw Error(ErrorKind::value, "delete_run", "a run that no logger is writing", "\"" + run + "\"", "close its logger first");
  std::error_code error;
  fs::remove_all(path, error);                   // links inside are removed, not followed
  if (error) throw Error(ErrorKind::io, "delete_run", "a folder that can be removed", "\"" + path + "\": " + error.message());
}

}  // namespace miniten::monitor
