#include <iostream>
#include "miniten/cli/cli.h"
#include "python/bind.h"

namespace miniten::python {

void bind_cli(nb::module_& m) {
  m.def("_cli", [](nb::list args) {
    std::vector<std::string> given;                     // bytes: a path need not be text
    for (nb::handle a : args) given.emplace_back(nb::cast<nb::bytes>(a).c_str());
    nb::gil_scoped_release release;
    int code = cli::main(given, std::cout, std::cerr);
    std::cerr.flush();
    return code;
  }, nb::sig("def _cli(args: list[bytes]) -> int"));
}

}  // namespace miniten::python
