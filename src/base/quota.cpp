#include "base/quota.h"
#include <algorithm>
#include <cstdio>

namespace miniten {

static double number_in(const std::string& file, int which) {       // of the numbers in a line; 0: none
  double value[2] = {};
  FILE* f = std::fopen(file.c_str(), "r");
  int n = f ? std::fscanf(f, "%lf %lf", &value[0], &value[1]) : 0;
  if (f) std::fclose(f);
  return which < n ? value[which] : 0;
}
static double limit_of(const std::string& folder, bool second) {
  double quota = second ? number_in(folder + "/cpu.max", 0) : number_in(folder + "/cpu.cfs_quota_us", 0);
  double period = second ? number_in(folder + "/cpu.max", 1) : number_in(folder + "/cpu.cfs_period_us", 0);
  return quota > 0 && period > 0 ? quota / period : 0;
}

double cpu_quota(const std::string& self_cgroup, const std::string& root) {
  double least = 0;
  std::string lines = self_cgroup + "\n0::/\n";                     // what a container sees as its own lies at the root
  for (size_t at = 0, end; (end = lines.find('\n', at)) != lines.npos; at = end + 1) {
    std::string line = lines.substr(at, end - at);                  // number:controllers:path
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    std::string of = "," + line.substr(first + 1, second - first - 1) + ",", path = line.substr(second + 1);
    bool unified = of == ",,";
    if (!unified && of.find(",cpu,") == of.npos) continue;
    for (;; path.resize(path.rfind('/'))) {
      if (path == "/") path.clear();
      for (const char* mount : {"", "/cpu", "/cpu,cpuacct"})
        if (double limit = limit_of(root + (unified ? "" : mount) + path, unified); limit > 0) least = least > 0 ? std::min(least, limit) : limit;
      if (path.rfind('/') == path.npos) break;
    }
  }
  return least;
}

}  // namespace miniten
