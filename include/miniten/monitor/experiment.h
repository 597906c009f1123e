#pragma once
#include "miniten/monitor/logger.h"

namespace miniten::monitor {

// The runs in one folder. A run is named by its folder's name alone; names with separators, "..", links and folders without
// metadata.json are refused everywhere.
class Experiment {
 public:
  explicit Experiment(std::string experiments_dir = "./runs");
  const std::string& dir() const { return dir_; }

  std::vector<std::string> list_runs() const;                          // oldest first; none where the folder does not exist
  std::string get_run_metadata(const std::string& run) const;          // JSON; "status": running, closed or interrupted
  RunData get_run_metrics(const std::string& run) const;
  std::vector<std::string> tags(const std::string& run) const;
  struct Curve { std::string run; std::vector<Point> points; };        // no points: the run has no such metric
  std::vector<Curve> compare(const std::vector<std::string>& runs, std::string_view metric) const;
  // By the best value a run ever had, NaN passed over; mode "min" or "max". None: no run has the metric.
  std::optional<std::string> get_best_run(std::string_view metric, std::string_view mode = "min") const;
  // Runs for which the expression holds: docs/monitor/experiments.md has the grammar. Nothing is evaluated but that grammar.
  std::vector<std::string> filter(std::string_view expression) const;
  std::string to_csv() const;                                          // run, metric, step, value, time
  std::string to_json() const;                                         // run -> {metadata, metrics}
  void delete_run(const std::string& run) const;                       // the folder with all in it; refuses a run that is being written

 private:
  std::string folder(const char* op, const std::string& run) const;    // checked
  std::string dir_;
};

}  // namespace miniten::monitor
