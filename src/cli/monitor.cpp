#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <ostream>
#include <thread>
#include "cli/commands.h"
#include "miniten/base/error.h"
#include "miniten/monitor/terminal.h"

// Runs that were logged, at a glance.
namespace miniten::cli {

int watch_runs(const Monitor& o, Output to) {
  miniten::monitor::Experiment experiments(o.dir);
  if (to.json) {
    to.out << experiments.to_json() << "\n";
    return 0;
  }
  const char* columns = std::getenv("COLUMNS");
  int width = o.width ? o.width : columns && std::atoi(columns) >= 40 ? std::min(std::atoi(columns), 200) : 80;
  for (;;) {
    std::string text = miniten::monitor::terminal_text(experiments, {.run = o.run, .width = width, .color = !o.plain && to.on_terminal()});
    if (!o.follow) {
      to.out << text;
      return 0;
    }
    to.out << "\x1b[H\x1b[2J" << text << std::flush;       // from the top of an empty screen
    std::vector<std::string> runs = experiments.list_runs();
    std::string watched = !o.run.empty() ? o.run : runs.empty() ? "" : runs.back();
    if (!to.out || (!watched.empty() && nlohmann::json::parse(experiments.get_run_metadata(watched)).value("status", "") != "running")) return 0;
    std::this_thread::sleep_for(std::chrono::duration<double>(*o.follow));
  }
}

}  // namespace miniten::cli
