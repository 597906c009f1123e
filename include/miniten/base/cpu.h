#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace miniten {

// The machine as MiniTen sees it, and the instruction set its kernels run on.
struct CpuInfo {
  std::string isa;                             // in use
  std::vector<std::string> available_isas;     // compiled in and supported here, lowest first
  int cores = 1;                               // that this process may use: affinity and cgroup respected
  std::string vendor, brand;
  std::vector<std::string> flags;
  int64_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;     // 0: not known
  std::string refused_isa;                     // what MINITEN_ISA asked for in vain
};
CpuInfo cpu_info();

// Every kernel called later runs on it, as with the environment variable MINITEN_ISA. Throws for one that is not available.
void set_isa(std::string_view name);

}  // namespace miniten
