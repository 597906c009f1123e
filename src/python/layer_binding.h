#pragma once
#include <nanobind/stl/optional.h>
#include "miniten/nn/layers.h"
#include "python/module_type.h"

// What the files that bind layers share.
namespace miniten::python {

#define INT2 "int | collections.abc.Sequence[int]"

// Under a Python subclass the trampoline is made in the layer's place.
template <class M> void construct(nb::pointer_and_handle<M> at, auto&&... args) {
  if (nb::inst_python_derived(at.h)) new (static_cast<void*>(at.p)) PyModule<M>(std::forward<decltype(args)>(args)...);
  else new (static_cast<void*>(at.p)) M(std::forward<decltype(args)>(args)...);
}

template <class M> void plain(nb::module_& m, const char* name, const char* doc) {
  layer<M>(m, name, doc).def("__init__", [](nb::pointer_and_handle<M> at) { construct(at); });
}

nn::Conv2dOptions conv_options(const char* layer, nb::handle kernel, nb::handle stride, nb::handle padding, nb::handle dilation, int64_t groups, bool bias, std::string padding_mode = "zeros");

std::vector<Tensor> states_of(const char* layer, nb::handle);                   // None, a tensor, or a pair of them
nb::object state_object(const std::vector<Tensor>& out, size_t first);           // what follows the output: a tensor, or a pair

void bind_activation_layers(nb::module_&);
void bind_normalization_layers(nb::module_&);
void bind_spatial_layers(nb::module_&);       // after bind_layers' Conv2d
void bind_loss_layers(nb::module_&);
void bind_recurrent_layers(nb::module_&);
void bind_attention_layers(nb::module_&);
void bind_graph_layers(nb::module_&);

}  // namespace miniten::python
