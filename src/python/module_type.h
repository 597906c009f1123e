#pragma once
#include "miniten/nn/graph_module.h"
#include "python/bind.h"

// What every binding of a module class shares: attribute access, the cycle collector, and the trampoline.
namespace miniten::python {

std::vector<Tensor> module_inputs(const nn::Module&, const nb::args&);       // arrays become tensors
std::vector<Tensor> call_python_forward(const nn::Module&, nb::handle self, const std::vector<Tensor>&);
bool overrides(nb::handle self, const char* method);                         // by a class written in Python
std::string python_type_name(nb::handle self);
nn::Module& module_of(nb::handle self);                                      // throws where __init__ was not run

int traverse_module(PyObject* self, visitproc, void* arg, Py_ssize_t dict_offset);
int clear_module(PyObject* self, Py_ssize_t dict_offset);
int set_module_attribute(PyObject* self, PyObject* name, PyObject* value) noexcept;
PyObject* get_module_attribute(PyObject* self, PyObject* name) noexcept;

// The slots of one class. Each nanobind class lays its instance dictionary out anew, so each has its own offset.
template <class M> struct ModuleSlots {
  inline static Py_ssize_t dict_offset = 0;
  static int traverse(PyObject* self, visitproc visit, void* arg) { return traverse_module(self, visit, arg, dict_offset); }
  static int clear(PyObject* self) { return clear_module(self, dict_offset); }
  inline static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                                       {Py_tp_clear, reinterpret_cast<void*>(clear)},
                                       {Py_tp_setattro, reinterpret_cast<void*>(set_module_attribute)},
                                       {Py_tp_getattro, reinterpret_cast<void*>(get_module_attribute)},
                                       {0, nullptr}};
};

// A Python subclass of layer M: C++ that calls forward gets the Python method.
template <class M> struct PyModule : M {
  using M::M;
  PyModule(const M& other) : M(other) {}
  nb::handle self() const { return static_cast<PyObject*>(this->host()); }
  std::vector<Tensor> forward(const std::vector<Tensor>& in) override {
    nb::gil_scoped_acquire gil;
    return call_python_forward(*this, self(), in);
  }
  std::string type_name() const override {
    if (!this->host()) return base_name();
    nb::gil_scoped_acquire gil;
    return python_type_name(self());
  }
  std::string extra_repr() const override {
    nb::gil_scoped_acquire gil;
    if (!this->host() || !overrides(self(), "extra_repr")) return M::extra_repr();
    return nb::cast<std::string>(self().attr("extra_repr")());
  }

 private:
  std::string base_name() const {
    if constexpr (std::is_same_v<M, nn::Module>) return "Module";
    else return M::type_name();
  }
};
struct PyBaseModule : PyModule<nn::Module> {
  PyBaseModule() = default;
  explicit PyBaseModule(const nn::Module&) {}
};

using ModuleClass = nb::class_<nn::Module, PyBaseModule>;

template <class M> nb::object copied_layer(nb::handle self, nb::dict memo);
nb::object copied_module(nb::handle self, nb::handle copy, nb::dict memo);   // parameters, children and attributes

// A layer class with a constructor still to be given. forward and extra_repr are the class's own, not the virtual
// ones: a Python override may call them by super().
template <class M, class Base = nn::Module> auto layer_with_own_forward(nb::module_& m, const char* name, const char* doc) {
  nb::class_<M, Base, PyModule<M>> c(m, name, nb::type_slots(ModuleSlots<M>::slots), doc);
  ModuleSlots<M>::dict_offset = nb::cast<Py_ssize_t>(c.attr("__dictoffset__"));
  c.def("extra_repr", [](const M& self) { return self.M::extra_repr(); });
  c.def("__deepcopy__", copied_layer<M>, nb::arg("memo"), nb::sig("def __deepcopy__(self, memo: dict) -> typing.Any"));
  return c;
}
template <class M, class Base = nn::Module> auto layer(nb::module_& m, const char* name, const char* doc) {
  auto c = layer_with_own_forward<M, Base>(m, name, doc);
  c.def("forward", [](M& self, nb::args args) { return single_or_tuple(self.M::forward(module_inputs(self, args))); },
        nb::sig("def forward(self, *inputs: Tensor | numpy.typing.ArrayLike) -> typing.Any"));
  return c;
}

template <class M> nb::object copied_layer(nb::handle self, nb::dict memo) {
  nb::object copy = nb::inst_alloc(self.type());
  const M& from = nb::cast<const M&>(self);
  M* to = nb::inst_ptr<M>(copy);
  if (nb::inst_python_derived(self)) new (static_cast<void*>(to)) PyModule<M>(from);
  else new (static_cast<void*>(to)) M(from);
  nb::inst_mark_ready(copy);
  to->set_host(copy.ptr());
  return copied_module(self, copy, memo);
}

// Python's hooks around a call: what they return, or what they were given.
nb::object run_pre_hooks(nb::handle self, nb::object args);
nb::object run_hooks(nb::handle self, nb::object args, nb::object out);

void bind_hooks(nb::module_&, ModuleClass&);
void bind_layers(nb::module_&);

}  // namespace miniten::python
