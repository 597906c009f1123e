#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include "miniten/base/cpu.h"
#include "miniten/base/parallel.h"
#include "miniten/core/cache.h"
#include "python/bind.h"

namespace miniten::python {

void bind_machine(nb::module_& m) {
  m.def("set_num_threads", [](int64_t n) {
          if (n < 1 || n > 1 << 16) throw Error(ErrorKind::value, "set_num_threads", "at least 1 thread", std::to_string(n));
          set_num_threads(int(n));
        }, nb::arg("n"));
  m.def("get_num_threads", get_num_threads);
  m.def("cached_bytes", cached_bytes, "Memory of tensors of 64 KB to 64 MB that were let go and waits for the next ones, in bytes: at most 64 MB, and with that in use never more than was in use at once before.");
  m.def("empty_cache", empty_cache, nb::call_guard<nb::gil_scoped_release>(), "Gives the memory that waits for the next tensors (cached_bytes) back to the system.");
  m.def("set_isa", [](const std::string& name) { set_isa(name); }, nb::arg("name"), "Every kernel called later runs on this instruction set, as with the environment variable MINITEN_ISA.");
  m.def("cpu_info", [] {
          CpuInfo info = cpu_info();
          nb::dict d;
          d["isa"] = info.isa;
          d["available_isas"] = info.available_isas;
          d["cores"] = info.cores;
          d["vendor"] = info.vendor;
          d["brand"] = info.brand;
          d["flags"] = info.flags;
          d["l1d_bytes"] = info.l1d_bytes;
          d["l2_bytes"] = info.l2_bytes;
          d["l3_bytes"] = info.l3_bytes;
          return d;
        }, nb::sig("def cpu_info() -> dict[str, typing.Any]"), "The instruction set in use (isa), available_isas, cores and what the processor says of itself.");
  if (CpuInfo info = cpu_info(); !info.refused_isa.empty())
    PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "MINITEN_ISA=%s is not available here; %s is in use", info.refused_isa.c_str(), info.isa.c_str());
}

}  // namespace miniten::python
