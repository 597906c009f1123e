#include "python/module_type.h"

namespace miniten::python {

std::string python_type_name(nb::handle self) { return nb::cast<std::string>(self.type().attr("__name__")); }

nn::Module& module_of(nb::handle self) {
  if (!nb::inst_ready(self)) throw Error(ErrorKind::type, python_type_name(self), "super().__init__() before the module is used", "none");
  return nb::cast<nn::Module&>(self);
}

bool overrides(nb::handle self, const char* method) {
  nb::object core = nb::type<nn::Module>().attr("__module__");
  for (nb::handle type : nb::borrow<nb::tuple>(self.type().attr("__mro__"))) {
    if (type.attr("__module__").equal(core)) return false;
    if (nb::cast<bool>(type.attr("__dict__").attr("__contains__")(method))) return true;
  }
  return false;
}

std::vector<Tensor> module_inputs(const nn::Module& m, const nb::args& args) {
  std::vector<Tensor> in;
  for (nb::handle a : args) in.push_back(to_tensor(m.type_name(), a));
  return in;
}

std::vector<Tensor> call_python_forward(const nn::Module& m, nb::handle self, const std::vector<Tensor>& inputs) {
  nb::list args;
  bool open = false;
  for (const Tensor& t : inputs) {
    args.append(tensor_object(t));
    open |= !t.shape().is_static();
  }
  try {
    return tensors_of(m.type_name(), self.attr("forward")(*nb::tuple(args)));
  } catch (nb::python_error& e) {
    // A size that is left open may not suit the code: the tracer tries again with the sizes given.
    if (!open || !e.matches(PyExc_Exception)) throw;
    throw Error(ErrorKind::unsupported, m.type_name(), "a forward that does not look at open sizes", nb::cast<std::string>(nb::str(e.value())));
  }
}

// ---- cycle collection ----
int traverse_module(PyObject* self, visitproc visit, void* arg, Py_ssize_t dict_offset) {
  Py_VISIT(Py_TYPE(self));
  if (dict_offset > 0) Py_VISIT(*reinterpret_cast<PyObject**>(reinterpret_cast<char*>(self) + dict_offset));
  if (!nb::inst_ready(self)) return 0;
  int result = 0;
  nb::inst_ptr<nn::Module>(self)->visit_refs([&](Object* o) {
    if (void* wrapper = o->host(); wrapper && !result) result = visit(static_cast<PyObject*>(wrapper), arg);
  });
  return result;
}
int clear_module(PyObject* self, Py_ssize_t dict_offset) {
  if (dict_offset > 0) Py_CLEAR(*reinterpret_cast<PyObject**>(reinterpret_cast<char*>(self) + dict_offset));
  if (nb::inst_ready(self)) nb::inst_ptr<nn::Module>(self)->clear_refs();
  return 0;
}

// ---- attributes: parameters, buffers and children are registered by assignment ----
static std::string_view text_of(PyObject* name) {
  Py_ssize_t n = 0;
  const char* s = PyUnicode_AsUTF8AndSize(name, &n);
  if (!s) throw nb::python_error();
  return {s, size_t(n)};
}

static bool is_registered(const nn::Module& m, std::string_view name) {
  for (auto& [known, t] : m.own_parameters()) if (known == name) return true;
  for (auto& [known, t] : m.own_buffers()) if (known == name) return true;
  return bool(m.child(name));
}
static bool has_own(const std::vector<std::pair<std::string, Tensor>>& list, std::string_view name) {
  for (auto& [known, t] : list) if (known == name) return true;
  return false;
}

static void drop_plain_attribute(PyObject* self, PyObject* name) {
  if (PyObject_GenericSetAttr(self, name, nullptr) != 0) PyErr_Clear();
}

static int set_attribute(PyObject* self, PyObject* key, PyObject* value) {
  nb::handle v(value);
  bool parameter = value && nb::isinstance<ParameterImpl>(v), module = value && nb::isinstance<nn::Module>(v);
  if (!nb::inst_ready(self)) {
    if (!parameter && !module) return PyObject_GenericSetAttr(self, key, value);
    throw Error(ErrorKind::type, python_type_name(self), "super().__init__() before parameters and layers are assigned", "none");
  }
  auto& m = *nb::inst_ptr<nn::Module>(self);
  std::string_view name = text_of(key);
  if (!value) return m.remove(name) ? 0 : PyObject_GenericSetAttr(self, key, nullptr);
  if (parameter || module) {
    if (name.substr(0, 2) == "__") return PyObject_GenericSetAttr(self, key, value);
    drop_plain_attribute(self, key);
    if (parameter) m.register_parameter(std::string(name), nb::cast<Tensor>(v));
    else m.register_module(std::string(name), nb::cast<nn::ModuleRef>(v));
    return 0;
  }
  if (!is_registered(m, name)) return PyObject_GenericSetAttr(self, key, value);
  bool tensor = nb::isinstance<Tensor::Impl>(v);
  if (has_own(m.own_buffers(), name)) {
    if (!tensor && !v.is_none()) throw Error(ErrorKind::type, m.type_name(), "a tensor or None for buffer '" + std::string(name) + "'", type_text(v));
    m.register_buffer(std::string(name), tensor ? nb::cast<Tensor>(v) : Tensor());
    return 0;
  }
  if (!v.is_none())
    throw Error(ErrorKind::type, m.type_name(), "a Parameter, a Module or None for '" + std::string(name) + "'", type_text(v), tensor ? "wrap it in nn.Parameter" : "del it first");
  if (has_own(m.own_parameters(), name)) {
    m.register_parameter(std::string(name), Tensor());
    return 0;
  }
  m.remove(name);
  return PyObject_GenericSetAttr(self, key, value);
}

int set_module_attribute(PyObject* self, PyObject* name, PyObject* value) noexcept {
  try {
    return set_attribute(self, name, value);
  } catch (nb::python_error& e) {
    e.restore();
  } catch (const Error& e) {
    PyErr_SetString(e.kind() == ErrorKind::type ? PyExc_TypeError : PyExc_ValueError, e.what());
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
  return -1;
}

PyObject* get_module_attribute(PyObject* self, PyObject* name) noexcept {
  if (!nb::inst_ready(self)) return PyObject_GenericGetAttr(self, name);
  Py_ssize_t n = 0;
  const char* text = PyUnicode_AsUTF8AndSize(name, &n);
  if (!text) return nullptr;
  std::string_view key(text, size_t(n));
  if (key.substr(0, 2) != "__") {
    const auto& m = *nb::inst_ptr<nn::Module>(self);
    for (auto& [known, child] : m.children()) if (known == key) return nb::cast(child).release().ptr();
    for (auto& [known, t] : m.own_parameters()) if (known == key) return nb::cast(t).release().ptr();
    for (auto& [known, t] : m.own_buffers()) if (known == key) return nb::cast(t).release().ptr();
  }
  return PyObject_GenericGetAttr(self, name);
}

// ---- copies ----
nb::object copied_module(nb::handle self, nb::handle copy, nb::dict memo) {
  nb::object deepcopy = nb::module_::import_("copy").attr("deepcopy");
  memo[nb::int_(reinterpret_cast<uintptr_t>(self.ptr()))] = copy;
  const auto& from = nb::cast<const nn::Module&>(self);
  auto& to = nb::cast<nn::Module&>(copy);
  auto tensor = [&](const Tensor& t) { return t ? nb::cast<Tensor>(deepcopy(tensor_object(t), memo)) : Tensor(); };
  for (auto& [name, t] : from.own_parameters()) to.register_parameter(name, tensor(t));
  for (auto& [name, t] : from.own_buffers()) to.register_buffer(name, tensor(t));
  for (auto& [name, child] : from.children()) to.register_module(name, nb::cast<nn::ModuleRef>(deepcopy(nb::cast(child), memo)));
  if (to.training() != from.training()) {
    bool on = from.training();
    to.train(on);
  }
  nb::object attributes = nb::getattr(self, "__dict__", nb::none());
  if (!attributes.is_none())
    for (auto [name, value] : nb::borrow<nb::dict>(attributes))
      if (PyObject_GenericSetAttr(copy.ptr(), name.ptr(), deepcopy(value, memo).ptr()) != 0) throw nb::python_error();
  return nb::borrow(copy);
}

}  // namespace miniten::python
