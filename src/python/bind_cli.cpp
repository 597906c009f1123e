#include <iostream>
#include "miniten/cli/cli.h"
#include "python/bind.h"
#include "python/convert.h"

namespace miniten::python {

void bind_cli(nb::module_& m) {
  m.def("_cli", [](nb::list args, nb::object peers) {
    std::vector<std::string> given;                     // bytes: a path need not be text
    for (nb::handle a : args) given.emplace_back(nb::cast<nb::bytes>(a).c_str());
    auto open = [&peers](const std::string& name, const std::string& file, const std::vector<Tensor>& inputs, int threads) {
      nb::gil_scoped_acquire lock;
      try {
        nb::list arrays;
        for (const Tensor& t : inputs) arrays.append(t);
        nb::tuple found = nb::cast<nb::tuple>(peers(name, nb::steal(PyUnicode_DecodeFSDefault(file.c_str())), arrays, threads));
        cli::Peer peer{nb::cast<std::string>(found[0]), {}, {}};
        std::shared_ptr<nb::object> inference(new nb::object(nb::borrow(found[1])), [](nb::object* o) {
          nb::gil_scoped_acquire lock;
          delete o;
        });
        peer.run = [f = inference] {
          nb::gil_scoped_acquire lock;
          (*f)();
        };
        for (nb::handle o : found[2]) peer.outputs.push_back(to_tensor("bench", o));
        return peer;
      } catch (nb::python_error& e) {                   // of that runtime: not installed, or it has no form for the model
        throw std::runtime_error(nb::cast<std::string>(nb::str(e.value())));
      }
    };
    nb::gil_scoped_release release;
    int code = cli::main(given, std::cout, std::cerr, open);
    std::cerr.flush();
    return code;
  }, nb::sig("def _cli(args: list[bytes], peers: typing.Any) -> int"));
}

}  // namespace miniten::python
