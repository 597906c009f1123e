#include "python/bind.h"

NB_MODULE(_core, m) {
  using namespace miniten::python;
  m.doc() = "MiniTen's C++ side. Use the package miniten, which names what is public.";
  m.attr("__version__") = MINITEN_VERSION;
  nanobind::set_leak_warnings(false);          // objects that outlive the interpreter are torn down by the system
  TensorClass tensor = bind_core(m);
  bind_indexing(m, tensor);
  bind_ops(m, tensor);
  bind_functional(m);
  bind_arrange(m, tensor);
  bind_selection(m, tensor);
  bind_in_place(m, tensor);
  bind_linalg(m);
  bind_creation(m);
  bind_random(m);
  bind_machine(m);
  bind_autograd(m, tensor);
  bind_graph(m);
  bind_nn(m);
  bind_init(m);
  bind_optim(m);
  bind_train(m);
  bind_interchange(m);
  bind_edge(m);
  bind_qat(m);
  bind_doctor(m);
  bind_diff(m);
  bind_compression(m);
  bind_measure(m);
  bind_data(m);
  bind_vision(m);
  bind_transforms(m);
  bind_datasets(m);
  bind_viz(m);
  bind_cli(m);
  bind_monitor(m);
}
