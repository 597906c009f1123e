#pragma once
#include "python/convert.h"

// One function per namespace; module.cpp calls them in order, bases before what derives from them.
namespace miniten::python {

using TensorClass = nb::class_<Tensor::Impl>;

TensorClass bind_core(nb::module_&);              // dtypes, Tensor, creation, random numbers, threads
void bind_indexing(nb::module_&, TensorClass&);
void bind_ops(nb::module_&, TensorClass&);
void bind_functional(nb::module_&);                // what nn.functional has beyond ops
void bind_arrange(nb::module_&, TensorClass&);    // order of elements, products over axes, questions about values
void bind_selection(nb::module_&, TensorClass&);  // sorting, running sums, places
void bind_in_place(nb::module_&, TensorClass&);
void bind_linalg(nb::module_&);
void bind_creation(nb::module_&);                 // zeros, arange, random numbers and the like
void bind_random(nb::module_&);
void bind_machine(nb::module_&);                  // threads, instruction sets
void bind_autograd(nb::module_&, TensorClass&);   // backward, gradient modes, user-defined ops
void bind_graph(nb::module_&);
void bind_nn(nb::module_&);
void bind_init(nb::module_&);
void bind_optim(nb::module_&);
void bind_train(nb::module_&);                     // after bind_nn and bind_optim
void bind_interchange(nb::module_&);
void bind_edge(nb::module_&);                     // after bind_nn and bind_optim
void bind_qat(nb::module_&);                      // after bind_edge
void bind_doctor(nb::module_&);                   // compare_quantized, quantize_with_accuracy, quantised layers
void bind_diff(nb::module_&);                     // edge.diff, edge.export_check
void bind_compression(nb::module_&);              // edge.compression
void bind_measure(nb::module_&);                  // edge.benchmark, edge.utils
void bind_data(nb::module_&);
void bind_vision(nb::module_&);                   // after bind_data
void bind_transforms(nb::module_&);
void bind_datasets(nb::module_&);                 // after bind_transforms
void bind_viz(nb::module_&);
void bind_cli(nb::module_&);                      // the command line, for __main__.py
void bind_monitor(nb::module_&);

Tensor with_grad(std::string_view op, Tensor, bool requires_grad);       // throws for a dtype that has no gradient
std::string repr_of(const Tensor&);               // as torch prints: "tensor([1., 2.], requires_grad=True)"

std::string path_of(nb::handle);                  // str or os.PathLike

// Errors that an op written in Python raised where no exception may pass; raised by the call that caused them.
void raise_pending_error();

}  // namespace miniten::python
