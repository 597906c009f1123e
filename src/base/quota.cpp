#include "base/quota.h"
#include <algorithm>
#include <fstream>
#include <sstream>

namespace miniten {

static double limit_of(const std::string& folder, bool second) {
  double quota = 0, period = 0;
  if (second) std::ifstream(folder + "/cpu.max") >> quota >> period;
  else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

double cpu_quota(const std::string& self_cgroup, const std::string& root) {
  double least = 0;
  std::istringstream lines(self_cgroup + "\n0::/\n");               // what a container sees as its own lies at the root
  for (std::string line; std::getline(lines, line);) {              // number:controllers:path
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
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
