#include <nanobind/stl/vector.h>
#include "python/module_type.h"

namespace miniten::python {

namespace {

using namespace nb::literals;

// Hooks live in the instance's dictionary, number -> function, so that the cycle collector sees them.
nb::dict hooks_of(nb::handle self, const char* kind, bool make) {
  nb::object found = nb::getattr(self, kind, nb::none());
  if (!found.is_none()) return nb::borrow<nb::dict>(found);
  nb::dict fresh;
  if (make && PyObject_GenericSetAttr(self.ptr(), nb::str(kind).ptr(), fresh.ptr()) != 0) throw nb::python_error();
  return fresh;
}

struct HookHandle {
  nb::object hooks, number;
  void remove() {
    nb::dict d = nb::borrow<nb::dict>(hooks);
    if (d.contains(number)) nb::del(d[number]);
  }
};

constexpr const char *before = "_forward_pre_hooks", *after = "_forward_hooks";

// Where C++ calls the module, these stand between it and the functions in the dictionary.
std::optional<std::vector<Tensor>> run_before(nn::Module& m, const std::vector<Tensor>& in) {
  nb::gil_scoped_acquire gil;
  if (!m.host()) return {};
  nb::handle self(static_cast<PyObject*>(m.host()));
  nb::tuple args = nb::tuple(nb::cast(in));
  nb::object changed = run_pre_hooks(self, args);
  if (changed.is(args)) return {};
  return tensors_of(m.type_name(), changed);
}
std::optional<std::vector<Tensor>> run_after(nn::Module& m, const std::vector<Tensor>& in, const std::vector<Tensor>& out) {
  nb::gil_scoped_acquire gil;
  if (!m.host()) return {};
  nb::object result = single_or_tuple(out), changed = run_hooks(static_cast<PyObject*>(m.host()), nb::tuple(nb::cast(in)), result);
  if (changed.is(result)) return {};
  return tensors_of(m.type_name(), changed);
}

nb::object add(nb::handle self, const char* kind, nb::object hook) {
  if (!nb::isinstance<nb::callable>(hook)) throw Error(ErrorKind::type, "register hook", "a function", type_text(hook));
  nn::Module& m = module_of(self);
  bool first = nb::getattr(self, kind, nb::none()).is_none();
  nb::dict hooks = hooks_of(self, kind, true);
  static int next = 0;
  nb::object number = nb::int_(next++);
  hooks[number] = hook;
  if (first) {
    if (kind == before) m.add_forward_pre_hook(run_before);
    else m.add_forward_hook(run_after);
  }
  return nb::cast(HookHandle{hooks, number});
}

}  // namespace

nb::object run_pre_hooks(nb::handle self, nb::object args) {
  for (nb::handle hook : nb::list(hooks_of(self, before, false).values())) {
    nb::object changed = hook(self, args);
    if (changed.is_none()) continue;
    args = nb::isinstance<nb::tuple>(changed) ? changed : nb::make_tuple(changed);
  }
  return args;
}
nb::object run_hooks(nb::handle self, nb::object args, nb::object out) {
  for (nb::handle hook : nb::list(hooks_of(self, after, false).values()))
    if (nb::object changed = hook(self, args, out); !changed.is_none()) out = changed;
  return out;
}

void bind_hooks(nb::module_& m, ModuleClass& c) {
  nb::class_<HookHandle>(m, "HookHandle", "What register_forward_hook gives: remove() takes the hook away.")
      .def("remove", &HookHandle::remove)
      .def("__enter__", [](nb::handle self) { return nb::borrow(self); }, nb::sig("def __enter__(self) -> HookHandle"))
      .def("__exit__", [](HookHandle& h, nb::args) { h.remove(); }, nb::sig("def __exit__(self, *error: object) -> None"));
  c.def("register_forward_pre_hook", [](nb::handle self, nb::object hook) { return add(self, before, hook); }, "hook"_a,
        nb::sig("def register_forward_pre_hook(self, hook: collections.abc.Callable[..., typing.Any]) -> HookHandle"),
        "hook(module, args) before each forward; what it returns stands in for args.");
  c.def("register_forward_hook", [](nb::handle self, nb::object hook) { return add(self, after, hook); }, "hook"_a,
        nb::sig("def register_forward_hook(self, hook: collections.abc.Callable[..., typing.Any]) -> HookHandle"),
        "hook(module, args, output) after each forward; what it returns stands in for output.");
}

}  // namespace miniten::python
