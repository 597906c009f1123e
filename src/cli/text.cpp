#include "cli/text.h"
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include "cli/commands.h"

namespace miniten::cli {

bool Output::on_terminal() const { return &out == &std::cout && isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR"); }
void show_progress(const std::string& text) {
  if (isatty(STDERR_FILENO)) std::cerr << "\r\x1b[K" << text << std::flush;
}

void Progress::operator()(double share) {
  if (share >= 1) return show_progress("");
  double now = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  if (now - shown < 0.1) return;
  shown = now;
  show_progress(what + number(" %.0f %%", 100 * share));
}

std::string with_commas(int64_t n) {
  std::string s = std::to_string(n);
  for (int i = int(s.size()) - 3; i > 0 && s[size_t(i - 1)] != '-'; i -= 3) s.insert(size_t(i), 1, ',');
  return s;
}
std::string number(const char* format, double v) {
  char s[64];
  std::snprintf(s, sizeof s, format, v);
  return s;
}

std::string table(const std::vector<std::vector<std::string>>& rows, size_t left) {
  std::vector<size_t> width;
  for (auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      width.resize(std::max(width.size(), i + 1));
      width[i] = std::max(width[i], row[i].size());
    }
  std::string s;
  for (auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string space(width[i] - row[i].size(), ' ');
      line += (i ? "  " : "") + (i < left ? row[i] + space : space + row[i]);
    }
    s += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    if (&row != &rows[0]) continue;
    size_t all = 2 * (width.size() - 1);
    for (size_t w : width) all += w;
    s += std::string(all, '-') + "\n";
  }
  return s;
}

}  // namespace miniten::cli
