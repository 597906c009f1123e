#include "miniten/monitor/logger.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <unordered_map>
#include "miniten/base/error.h"
#include "monitor/environment.h"
#include "viz/png.h"

namespace miniten::monitor {

namespace fs = std::filesystem;

namespace {

constexpr size_t block = 1 << 16;
constexpr double seldom = 0.1;                   // seconds: a line after such a pause is written at once

// What a folder may be called on any system; the name as given stands in metadata.json.
std::string folder_name(std::string_view given) {
  std::string out;
  for (char c : given.substr(0, 80)) {
    bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
    out += plain ? c : '_';
  }
  if (out.empty()) out = "run";
  if (out[0] == '.' || out[0] == '-') out[0] = '_';
  return out;
}

std::string make_run_folder(const std::string& log_dir, std::string_view name) {
  std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "_%Y%m%d-%H%M%S", &local);
  std::string base = folder_name(name) + stamp;
  for (int i = 1;; ++i) {                        // mkdir is atomic: of two that start at once, one goes on to the next number
    std::string run = i == 1 ? base : base + "-" + std::to_string(i), dir = log_dir + "/" + run;
    if (::mkdir(dir.c_str(), 0777) == 0) return run;
    if (errno != EEXIST) fail_io("MetricsLogger", "a folder that can be made", dir);
  }
}

std::string_view checked_name(const char* op, std::string_view name) {
  if (name.empty() || name.size() > 1024)
    throw Error(ErrorKind::value, op, "a name of 1 to 1024 bytes", std::to_string(name.size()) + " bytes", "long text belongs into log_text's text");
  return name;
}

struct Hash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};

}  // namespace

struct MetricsLogger::Impl {
  struct Metric { std::string head; Point latest; };   // head: the line up to the step, escaped once
  std::string dir, run;
  int fd = -1;
  pid_t pid = ::getpid();
  double flush_secs, system_secs;
  std::string buffer;
  double last_log = 0, last_flush = 0, last_system = 0, last_cpu = 0;
  std::unordered_map<std::string, Metric, Hash, std::equal_to<>> metrics;
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> steps;   // of histograms, images and texts
  int64_t images = 0;
  Json metadata;
  size_t recovered = 0;
  std::recursive_mutex lock;

  ~Impl() { if (fd >= 0) ::close(fd); }

  void open(const LoggerOptions&);
  void start(const LoggerOptions&);
  void resume(const LoggerOptions&);
  void save_metadata() { write_text("MetricsLogger", dir + "/" + metadata_file, metadata.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"); }

  void check_open(const char* op) const {
    if (fd < 0) throw Error(ErrorKind::value, op, "an open logger", "a closed one", "open it again with resume=\"" + run + "\"");
  }
  void write_out() {
    if (::getpid() != pid) throw Error(ErrorKind::value, "MetricsLogger", "the process that opened it", "a forked child", "open a logger in the child");
    size_t done = 0;
    while (done < buffer.size()) {
      ssize_t n = ::write(fd, buffer.data() + done, buffer.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        buffer.erase(0, done);
        fail_io("MetricsLogger", "a file that can be written", dir + "/" + metrics_file);
      }
      done += size_t(n);
    }
    buffer.clear();
    last_flush = last_log;
  }
  void after_line(double now) {
    bool due = now - last_log >= seldom || now - last_flush >= flush_secs || now < last_log || buffer.size() >= block;
    last_log = now;
    if (due) write_out();
  }
  void put_point(std::string_view name, double value, Step step, double now) {
    auto found = metrics.find(name);
    if (found == metrics.end()) {
      Metric m{"{\"name\":", {-1, 0, 0}};
      append_string(m.head, checked_name("log", name));
      m.head += ",\"step\":";
      found = metrics.emplace(std::string(name), std::move(m)).first;
    }
    Metric& m = found->second;
    m.latest = {step.value_or(m.latest.step + 1), value, now};
    buffer += m.head;
    char text[64];
    char* end = std::to_chars(text, text + 24, m.latest.step).ptr;
    buffer.append(text, end);
    buffer += ",\"value\":";
    append_number(buffer, value);
    buffer += ",\"time\":";
    buffer.append(text, std::to_chars(text, text + sizeof text, now, std::chars_format::fixed, 6).ptr);
    buffer += "}\n";
  }
  void put_system(double now, Step step) {
    if (system_secs <= 0 || now - last_system < system_secs) return;
    double cpu = cpu_seconds();
    put_point("system/rss_mb", double(status_bytes("VmRSS")) / 1048576, step, now);
    if (last_system > 0) put_point("system/cpu_percent", 100 * (cpu - last_cpu) / (now - last_system), step, now);
    last_system = now;
    last_cpu = cpu;
  }
  // Opens the line of a thing that is no metric: its kind, name, step and time.
  Json entry(const char* op, const char* kind, std::string_view name, Step step) {
    check_open(op);
    std::string clean = valid_utf8(checked_name(op, name));
    auto [at, fresh] = steps.try_emplace(std::string(kind) + ":" + clean, -1);
    at->second = step.value_or(at->second + 1);
    return {{"kind", kind}, {"name", clean}, {"step", at->second}, {"time", now_seconds()}};
  }
  void put_entry(const Json& j) {
    buffer += j.dump(-1, ' ', false, Json::error_handler_t::replace);
    buffer += '\n';
    after_line(now_seconds());
  }
};

void MetricsLogger::Impl::open(const LoggerOptions& o) {
  if (!(o.flush_secs >= 0)) throw Error(ErrorKind::value, "MetricsLogger", "flush_secs of 0 or more", std::to_string(o.flush_secs));
  if (!(o.system_secs >= 0)) throw Error(ErrorKind::value, "MetricsLogger", "a period of system metrics of 0 or more seconds", std::to_string(o.system_secs));
  flush_secs = o.flush_secs;
  system_secs = o.system_secs;
  std::error_code error;
  fs::create_directories(o.log_dir.empty() ? "." : o.log_dir, error);
  if (error) throw Error(ErrorKind::io, "MetricsLogger", "a folder that can be made", "\"" + o.log_dir + "\": " + error.message());
  o.resume.empty() ? start(o) : resume(o);
  last_flush = last_log = 0;
}

static int open_metrics(const std::string& dir, bool fresh) {
  std::string path = dir + "/" + metrics_file;
  int fd = ::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (fresh ? O_CREAT | O_EXCL : 0), 0666);
  if (fd < 0) fail_io("MetricsLogger", "a file that can be opened", path);
#ifdef F_OFD_SETLK
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES)) {   // other errors: a system without locks
    ::close(fd);
    throw Error(ErrorKind::io, "MetricsLogger", "a run that no other logger is writing", "\"" + dir + "\"", "close the other logger first");
  }
#endif
  return fd;
}

void MetricsLogger::Impl::start(const LoggerOptions& o) {
  Json extra = parse_object("MetricsLogger", o.environment);
  run = make_run_folder(o.log_dir.empty() ? "." : o.log_dir, o.experiment_name);
  dir = (o.log_dir.empty() ? "." : o.log_dir) + "/" + run;
  fd = open_metrics(dir, true);
  Json machine = environment();
  machine.update(extra);
  metadata = {{"format", "miniten run"}, {"version", 1}, {"run", run}, {"experiment_name", valid_utf8(o.experiment_name)}, {"comment", valid_utf8(o.comment)},
              {"created", now_seconds()}, {"status", "running"}, {"tags", Json::array()}, {"hyperparams", Json::object()}, {"environment", machine}};
  save_metadata();
}

void MetricsLogger::Impl::resume(const LoggerOptions& o) {
  run = o.resume;
  dir = (o.log_dir.empty() ? "." : o.log_dir) + "/" + run;
  if (!is_plain_name(run) || !is_run(dir))
    throw Error(ErrorKind::value, "MetricsLogger", "the name of a run in \"" + o.log_dir + "\" to resume", "\"" + run + "\"", "Experiment(...).list_runs() tells them");
  metadata = parse_object("MetricsLogger", read_text("MetricsLogger", dir + "/" + metadata_file));
  if (!metadata["hyperparams"].is_object()) metadata["hyperparams"] = Json::object();
  fd = open_metrics(dir, false);
  RunData data = read_run(dir);
  recovered = data.torn_bytes;
  struct stat s;
  if (recovered && (::fstat(fd, &s) != 0 || ::ftruncate(fd, s.st_size - off_t(recovered)) != 0)) fail_io("MetricsLogger", "a file whose torn line can be cut off", dir);
  for (const RunData::Series& series : data.metrics) {
    Metric m{"{\"name\":", series.points.back()};
    append_string(m.head, series.name);
    m.head += ",\"step\":";
    metrics.emplace(series.name, std::move(m));
  }
  for (const auto& h : data.histograms) steps["histogram:" + h.name] = h.at.step;
  for (const auto& t : data.texts) steps["text:" + t.name] = t.at.step;
  for (const auto& i : data.images) steps["image:" + i.name] = i.at.step;
  images = int64_t(data.images.size());
  if (!metadata["resumed"].is_array()) metadata["resumed"] = Json::array();
  metadata["resumed"].push_back(now_seconds());
  metadata["status"] = "running";
  save_metadata();
}

MetricsLogger::MetricsLogger(const LoggerOptions& o) : impl_(std::make_unique<Impl>()) { impl_->open(o); }
MetricsLogger::~MetricsLogger() {
  try {
    if (::getpid() == impl_->pid) close();
  } catch (...) {
  }
}

void MetricsLogger::log(std::string_view name, double value, Step step) {
  std::lock_guard guard(impl_->lock);
  impl_->check_open("log");
  double now = now_seconds();
  impl_->put_point(name, value, step, now);
  impl_->put_system(now, step);
  impl_->after_line(now);
}
void MetricsLogger::log_metrics(std::span<const std::pair<std::string, double>> values, Step step) {
  std::lock_guard guard(impl_->lock);
  impl_->check_open("log_metrics");
  for (auto& [name, value] : values) checked_name("log_metrics", name);
  double now = now_seconds();
  for (auto& [name, value] : values) impl_->put_point(name, value, step, now);
  impl_->put_system(now, step);
  impl_->after_line(now);
}

void MetricsLogger::log_histogram(std::string_view name, std::span<const double> values, Step step, int bins) {
  if (bins < 1 || bins > 100000) throw Error(ErrorKind::value, "log_histogram", "1 to 100000 bins", std::to_string(bins));
  double lo = HUGE_VAL, hi = -HUGE_VAL, sum = 0;
  int64_t finite = 0;
  for (double v : values) {
    if (!std::isfinite(v)) continue;
    lo = std::min(lo, v);
    hi = std::max(hi, v);
    sum += v;
    ++finite;
  }
  if (!finite) lo = 0, hi = 1;
  if (lo == hi) lo -= 0.5, hi += 0.5;            // as NumPy
  if (lo == hi) lo = std::nextafter(lo, -HUGE_VAL), hi = std::nextafter(hi, HUGE_VAL);
  std::vector<double> edges(size_t(bins) + 1);
  std::vector<int64_t> counts(size_t(bins), 0);
  for (int i = 0; i <= bins; ++i) edges[size_t(i)] = i == bins ? hi : lo * (1 - double(i) / bins) + hi * (double(i) / bins);
  for (double v : values) {
    if (!std::isfinite(v)) continue;
    double at = (v / 2 - lo / 2) / (hi / 2 - lo / 2) * bins;                 // halves: hi - lo may overflow
    auto k = std::clamp<int64_t>(int64_t(at), 0, bins - 1);
    while (k > 0 && v < edges[size_t(k)]) --k;
    while (k + 1 < bins && v >= edges[size_t(k) + 1]) ++k;
    ++counts[size_t(k)];
  }
  std::lock_guard guard(impl_->lock);
  Json j = impl_->entry("log_histogram", "histogram", name, step);
  j["edges"] = edges;
  j["counts"] = counts;
  j["mean"] = number_json(finite ? sum / double(finite) : std::nan(""));
  j["nonfinite"] = int64_t(values.size()) - finite;
  impl_->put_entry(j);
}

void MetricsLogger::log_image(std::string_view name, std::span<const uint8_t> pixels, int64_t height, int64_t width, int64_t channels, Step step) {
  if (height < 1 || width < 1 || height > 16384 || width > 16384 || (channels != 1 && channels != 3 && channels != 4) || int64_t(pixels.size()) != height * width * channels)
    throw Error(ErrorKind::value, "log_image", "an image (H, W, 1, 3 or 4) of at most 16384 x 16384", "(" + std::to_string(height) + ", " + std::to_string(width) + ", " + std::to_string(channels) + ") with " + std::to_string(pixels.size()) + " values");
  viz::Bitmap bitmap{int(width), int(height), std::vector<uint8_t>(size_t(height * width) * 4)};
  for (size_t i = 0; i < size_t(height * width); ++i)
    for (size_t c = 0; c < 4; ++c)
      bitmap.rgba[4 * i + c] = c == 3 ? (channels == 4 ? pixels[4 * i + 3] : 255) : pixels[i * size_t(channels) + (channels == 1 ? 0 : c)];
  std::vector<uint8_t> png = viz::encode_png(bitmap);
  std::lock_guard guard(impl_->lock);
  Json j = impl_->entry("log_image", "image", name, step);
  std::string folder = impl_->dir + "/images", file;
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) fail_io("log_image", "a folder that can be made", folder);
  do {
    char number[32];
    std::snprintf(number, sizeof number, "images/%06lld.png", static_cast<long long>(impl_->images++));
    file = number;
  } while (fs::exists(impl_->dir + "/" + file));
  write_text("log_image", impl_->dir + "/" + file, {reinterpret_cast<const char*>(png.data()), png.size()});
  j["file"] = file;
  j["height"] = height;
  j["width"] = width;
  impl_->put_entry(j);
}

void MetricsLogger::log_text(std::string_view name, std::string_view text, Step step) {
  std::lock_guard guard(impl_->lock);
  Json j = impl_->entry("log_text", "text", name, step);
  j["text"] = valid_utf8(text);
  impl_->put_entry(j);
}

void MetricsLogger::log_hyperparams(std::string_view object) {
  std::lock_guard guard(impl_->lock);
  impl_->check_open("log_hyperparams");
  impl_->metadata["hyperparams"].update(parse_object("log_hyperparams", object));
  impl_->save_metadata();
}
void MetricsLogger::set_tags(std::vector<std::string> tags) {
  std::lock_guard guard(impl_->lock);
  impl_->check_open("set_tags");
  Json list = Json::array();
  for (const std::string& t : tags)
    if (std::string clean = valid_utf8(checked_name("set_tags", t)); std::find(list.begin(), list.end(), clean) == list.end()) list.push_back(clean);
  impl_->metadata["tags"] = list;
  impl_->save_metadata();
}

std::vector<Point> MetricsLogger::get_metric(std::string_view name) {
  std::lock_guard guard(impl_->lock);
  if (is_open()) impl_->write_out();
  RunData data = read_run(impl_->dir);
  const RunData::Series* s = data.find(valid_utf8(name));
  return s ? s->points : std::vector<Point>{};
}
std::optional<Point> MetricsLogger::get_latest(std::string_view name) {
  std::lock_guard guard(impl_->lock);
  auto found = impl_->metrics.find(name);
  if (found == impl_->metrics.end()) return {};
  return found->second.latest;
}
void MetricsLogger::flush() {
  std::lock_guard guard(impl_->lock);
  if (is_open()) impl_->write_out();
}
void MetricsLogger::close(std::string_view status) {
  std::lock_guard guard(impl_->lock);
  if (!is_open()) return;
  impl_->write_out();
  impl_->metadata["status"] = valid_utf8(status);
  impl_->metadata["ended"] = now_seconds();
  impl_->save_metadata();
  ::close(std::exchange(impl_->fd, -1));
}
bool MetricsLogger::is_open() const { return impl_->fd >= 0; }
const std::string& MetricsLogger::run_name() const { return impl_->run; }
const std::string& MetricsLogger::run_dir() const { return impl_->dir; }
size_t MetricsLogger::recovered_bytes() const { return impl_->recovered; }

}  // namespace miniten::monitor
