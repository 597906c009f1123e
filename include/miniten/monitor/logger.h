#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace miniten::monitor {

// A run is a folder: metadata.json (replaced whole at each change), metrics.jsonl (one JSON object a line, only ever
// appended to) and images/*.png. docs/monitor/logging.md has the fields. NaN and the infinities are the JSON strings "NaN",
// "Infinity", "-Infinity".

struct Point {
  int64_t step = 0;
  double value = 0, time = 0;                    // time: seconds since 1970
  bool operator==(const Point&) const = default;
};

struct LoggerOptions {
  std::string log_dir = "./runs";                // made where it does not exist
  std::string experiment_name;                   // begins the run's name; any text
  std::string comment;
  double flush_secs = 30;                        // longest wait of a line in memory while others follow; 0: every line at once
  std::string resume;                            // name of a run in log_dir to go on with, instead of a new one
  double system_secs = 0;                        // every so often system/rss_mb and system/cpu_percent are logged; 0: never
  std::string environment = "{}";                // JSON object, stored beside what C++ knows of the machine
};

// Logs one run. Lines that come seldom reach the file at once, a burst waits for 64 KiB or flush_secs; whatever is in the file
// survives the process. Not more than the names and latest values are held in memory. Calls from several threads are safe; a
// forked child may not log. A second logger on the same run is refused while the first is open.
class MetricsLogger {
 public:
  explicit MetricsLogger(const LoggerOptions& = {});
  ~MetricsLogger();                              // closes; errors are lost here, not in close()
  MetricsLogger(const MetricsLogger&) = delete;
  MetricsLogger& operator=(const MetricsLogger&) = delete;

  // Names: 1 to 1024 bytes; what is no UTF-8 becomes U+FFFD. Without a step, one more than the name's last.
  using Step = std::optional<int64_t>;
  void log(std::string_view name, double value, Step step = {});
  void log_metrics(std::span<const std::pair<std::string, double>> values, Step step = {});   // one step for all
  // Counts in `bins` equal bins over the finite values; the others are counted apart.
  void log_histogram(std::string_view name, std::span<const double> values, Step step = {}, int bins = 64);
  void log_image(std::string_view name, std::span<const uint8_t> pixels, int64_t height, int64_t width, int64_t channels, Step step = {});   // HWC; 1, 3 or 4 channels; kept as PNG
  void log_text(std::string_view name, std::string_view text, Step step = {});
  void log_hyperparams(std::string_view json_object);                   // joins those logged before
  void set_tags(std::vector<std::string> tags);                         // instead of those before

  std::vector<Point> get_metric(std::string_view name);                 // read back from the file
  std::optional<Point> get_latest(std::string_view name);
  void flush();
  void close(std::string_view status = "closed");   // may be called again; logging after it throws
  bool is_open() const;
  const std::string& run_name() const;
  const std::string& run_dir() const;
  size_t recovered_bytes() const;                // a torn last line that resuming cut off

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What a run's metrics.jsonl holds, in order of first appearance.
struct RunData {
  struct Series { std::string name; std::vector<Point> points; };
  struct Histogram { std::string name; Point at; std::vector<double> edges, counts; int64_t nonfinite = 0; };
  struct Image { std::string name; Point at; std::string file; int64_t height = 0, width = 0; };
  struct Text { std::string name; Point at; std::string text; };
  std::vector<Series> metrics;
  std::vector<Histogram> histograms;
  std::vector<Image> images;
  std::vector<Text> texts;
  size_t torn_bytes = 0;                         // of a last line without end: dropped
  size_t read_bytes = 0;                         // up to and with the last line's end
  size_t damaged_lines = 0;                      // others that are not ours: passed over
  const Series* find(std::string_view metric) const;
};
RunData read_run(const std::string& run_dir);    // throws Error(io) where there is no metrics.jsonl

}  // namespace miniten::monitor
