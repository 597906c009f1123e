#pragma once
#include "miniten/monitor/experiment.h"

namespace miniten::monitor {

struct TerminalView {
  std::string run;                               // whose curves are drawn; empty: the newest
  int width = 80;                                // columns
  bool color = true;
  int runs = 10, metrics = 4;                    // newest runs in the table, curves below it
};
// The runs of a folder for a terminal: a table, and curves of one of them. Names are shown without control characters.
std::string terminal_text(const Experiment&, const TerminalView& = {});

}  // namespace miniten::monitor
