#include "miniten/base/cpu.h"
#include "kernels/dispatch.h"
#include "miniten/base/error.h"
#include "miniten/base/parallel.h"

namespace miniten {

CpuInfo cpu_info() {
  const kernels::CpuInfo& cpu = kernels::cpu_info();
  CpuInfo info{std::string(kernels::isa()), {}, available_cores(), cpu.vendor, cpu.brand, cpu.flags, cpu.l1d_bytes, cpu.l2_bytes, cpu.l3_bytes,
               std::string(kernels::requested_isa_error())};
  for (std::string_view name : kernels::available_isas()) info.available_isas.emplace_back(name);
  return info;
}

void set_isa(std::string_view name) {
  if (kernels::set_isa(name)) return;
  std::string names;
  for (std::string_view known : kernels::available_isas()) names += (names.empty() ? "" : ", ") + std::string(known);
  throw Error(ErrorKind::value, "set_isa", "an instruction set among " + names, "\"" + std::string(name) + "\"");
}

}  // namespace miniten
