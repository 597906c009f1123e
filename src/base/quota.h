#pragma once
#include <string>

namespace miniten {

// Cores' worth of time that control groups leave to the one named in /proc/self/cgroup; 0: no limit. root: where they are
// mounted. The least of its own limit and those above it counts, of version 2 (cpu.max) and 1 (cpu.cfs_quota_us).
double cpu_quota(const std::string& self_cgroup, const std::string& root);

}  // namespace miniten
