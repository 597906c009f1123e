#pragma once
#include "miniten/monitor/experiment.h"

namespace miniten::monitor {

// One HTML page that shows runs: its script and style are inside, it asks the network for nothing, and what is not the page's
// own stands in it as text. It opens from a file.
class Dashboard {
 public:
  explicit Dashboard(std::string experiments_dir = "./runs") : experiments_(std::move(experiments_dir)) {}

  // Runs: by name, or all where none is named. Texts are cut at 64 KiB, names at 1 KiB; of each run stand the newest 64 images up
  // to 4 MiB each and the newest 500 histograms. Points are kept all, as float64.
  std::string html(const std::vector<std::string>& runs = {}, const std::string& title = "MiniTen runs") const;
  size_t generate(const std::string& output_path, const std::vector<std::string>& runs = {}, const std::string& title = "MiniTen runs") const;   // whole or not at all; -> bytes
  // For a server: the page of one run, which then reads "events?from=<bytes of metrics.jsonl that it holds>" on from there.
  std::string live_html(const std::string& run) const;
  const Experiment& experiments() const { return experiments_; }

 private:
  Experiment experiments_;
};

}  // namespace miniten::monitor
