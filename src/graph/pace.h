#pragma once
#include <algorithm>

namespace miniten {

// Whether a session's next run is shared out between threads. Short ones are tried both ways now and again: what a wait costs depends
// on how far apart cores lie, whether the others sleep, and what else the machine does.
class Pace {
 public:
  bool together() const { return together_; }
  bool is_trial() const { return rest_ <= 0; }           // the run is to be timed
  void ran() {                                           // without a clock
    if (--rest_ > 0) return;
    together_ = true;
    begin();
  }
  void ran(double seconds, bool helped) {                // a trial; threads that slept take no part in the first runs
    ++tries_;
    spent_ += seconds;
    if (helped || !together_) {
      ++runs_;
      best_ = std::min(best_, seconds);
    }
    if (runs_ < (together_ ? 8 : best_ < short_run ? 3 : 1) && (tries_ < 8 || spent_ < until_awake)) return;
    if (!together_) together_ = best_ >= long_run || best_ > 0.95 * shared_;
    else {
      shared_ = best_;
      if (best_ < long_run || runs_ == 0) {
        together_ = false;
        return begin();
      }
    }
    const double run = std::min(best_, shared_);
    const bool shows = together_ && run >= middle_run;     // in a 99th percentile, if it came more often
    rest_ = int(std::clamp(period / run, shows ? 256.0 : 64.0, 8192.0));
  }

 private:
  static constexpr double short_run = 0.2e-3, middle_run = 1e-3, long_run = 4e-3, until_awake = 5e-3, period = 25e-3;      // seconds
  void begin() {
    tries_ = runs_ = 0;
    spent_ = 0;
    best_ = 1e9;
  }
  bool together_ = true;
  int tries_ = 0, runs_ = 0, rest_ = 0;                  // runs_: of the tries, those that count
  double spent_ = 0, best_ = 1e9, shared_ = 1e9;
};

}  // namespace miniten
