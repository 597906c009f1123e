#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/nn/layers.h"
#include "miniten/edge/export.h"
#include "python/module_type.h"

namespace miniten::python {

namespace {

// Specs of what a Python forward is given, for calls that name no shape later.
std::vector<Tensor> noted_inputs(const nb::args& args, const nb::kwargs& kwargs) {
  std::vector<Tensor> in;
  auto note = [&](nb::handle a) {
    if (nb::isinstance<Tensor::Impl>(a)) in.push_back(nb::cast<Tensor>(a));
    else if (PyObject_CheckBuffer(a.ptr()) && !PyBytes_Check(a.ptr()) && is_array_like(a))
      try {
        in.push_back(to_tensor("call", a, {{}, true}));
      } catch (const Error&) {                               // forward may know what to do with it
      }
  };
  for (nb::handle a : args) note(a);
  for (auto [name, value] : kwargs) note(value);
  return in;
}

// Names of the inputs of a model from a file; none for others.
std::vector<std::string> input_names(const nn::Module& m) {
  std::vector<std::string> names;
  if (auto* program = dynamic_cast<const edge::OnnxModule*>(&m))
    for (const OnnxProgram::Input& i : program->program().inputs()) names.push_back(i.name);
  if (auto* program = dynamic_cast<const edge::TfliteModule*>(&m))
    for (const TfliteProgram::Input& i : program->program().inputs()) names.push_back(i.name);
  if (auto* g = dynamic_cast<const nn::GraphModule*>(&m))
    for (int id : g->graph().inputs) names.push_back(g->graph().values[size_t(id)].name);
  return names;
}
std::vector<Tensor> named_inputs(const nn::Module& g, const nb::args& args, const nb::kwargs& kwargs) {
  std::vector<Tensor> in = module_inputs(g, args);
  if (kwargs.size() == 0) return in;
  const std::vector<std::string> names = input_names(g);
  in.resize(names.size());
  for (auto [key, value] : kwargs) {
    std::string name = nb::cast<std::string>(key), known;
    bool found = false;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string& own = names[i];
      known += (known.empty() ? "" : ", ") + own;
      if (own != name) continue;
      if (in[i]) throw Error(ErrorKind::type, g.type_name(), "each input once", "'" + name + "' twice");
      in[i] = to_tensor(g.type_name(), value);
      found = true;
    }
    if (!found) throw Error(ErrorKind::type, g.type_name(), "inputs named " + known, "'" + name + "'");
  }
  for (size_t i = 0; i < in.size(); ++i)
    if (!in[i]) throw Error(ErrorKind::value, g.type_name(), "input '" + names[i] + "'", "none");
  return in;
}

nb::object call(nb::handle self, nb::args args, nb::kwargs kwargs) {
  auto& m = module_of(self);
  if (nb::inst_python_derived(self) || m.takes_options()) {
    if (!mode().recorder) m.note_call(noted_inputs(args, kwargs));
    LayerScope scope(m.label());
    nb::object given = run_pre_hooks(self, args);
    return run_hooks(self, given, self.attr("forward")(*nb::borrow<nb::args>(given), **kwargs));
  }
  if (dynamic_cast<nn::GraphModule*>(&m) || dynamic_cast<edge::OnnxModule*>(&m) || dynamic_cast<edge::TfliteModule*>(&m)) {
    std::vector<Tensor> in = named_inputs(m, args, kwargs), out;
    {
      nb::gil_scoped_release release;
      out = m(in);
    }
    raise_pending_error();
    return single_or_tuple(out);
  }
  if (kwargs.size() > 0) throw Error(ErrorKind::type, m.type_name(), "tensors by position", "keyword arguments");
  return single_or_tuple(m(module_inputs(m, args)));
}

// Names to tensors without history that share the model's memory.
nb::dict state_of(const nn::Module& m) {
  nb::dict out;
  for (auto& [name, t] : m.state_dict()) {
    Tensor view = Tensor::wrap(t->storage, t.spec(), t.strides(), t->offset);
    out[name.c_str()] = view;
  }
  return out;
}

nn::Module::LoadResult load_state(nn::Module& m, nb::handle state, bool strict) {
  nn::StateDict given;
  if (!nb::hasattr(state, "items")) throw Error(ErrorKind::type, "load_state_dict", "a dict of name -> array", type_text(state));
  for (nb::handle item : state.attr("items")()) {
    nb::tuple pair = nb::borrow<nb::tuple>(item);
    given.emplace_back(nb::cast<std::string>(nb::str(pair[0])), to_tensor("load_state_dict", pair[1], {{}, true}));
  }
  return m.load_state_dict(given, strict);
}

template <class T> nb::object iterator(const std::vector<T>& items) {
  nb::list out;
  for (const T& item : items) out.append(nb::cast(item));
  return nb::iter(out);
}

void apply_to(nb::handle self, nb::handle f) {
  for (auto& [name, child] : module_of(self).children()) apply_to(nb::cast(child), f);
  f(self);
}

void bind_module(nb::module_& m) {
  nb::class_<nn::Module::LoadResult>(m, "LoadResult", "Names that load_state_dict passed over.")
      .def_ro("missing_keys", &nn::Module::LoadResult::missing)
      .def_ro("unexpected_keys", &nn::Module::LoadResult::unexpected)
      .def("__iter__", [](const nn::Module::LoadResult& r) { return nb::iter(nb::make_tuple(r.missing, r.unexpected)); },
           nb::sig("def __iter__(self) -> collections.abc.Iterator[list[str]]"))
      .def("__repr__", [](const nn::Module::LoadResult& r) {
        return nb::cast<std::string>(nb::str("LoadResult(missing_keys={}, unexpected_keys={})").format(nb::cast(r.missing), nb::cast(r.unexpected)));
      });

  using namespace nb::literals;
  ModuleClass c(m, "Module", nb::dynamic_attr(), nb::is_weak_referenceable(), nb::type_slots(ModuleSlots<nn::Module>::slots),
                nb::intrusive_ptr<nn::Module>([](nn::Module* t, PyObject* wrapper) noexcept { t->set_host(wrapper); }),
                "Base of every layer and model. Call super().__init__(), assign parameters and layers as attributes, define forward.");
  ModuleSlots<nn::Module>::dict_offset = nb::cast<Py_ssize_t>(c.attr("__dictoffset__"));
  c.def("__init__", [](nn::Module* self) { new (static_cast<void*>(self)) PyBaseModule(); });
  c.def("__call__", call, nb::sig("def __call__(self, *args: typing.Any, **kwargs: typing.Any) -> typing.Any"));
  c.def("forward", [](nn::Module& self, nb::args, nb::kwargs) -> nb::object {
      throw Error(ErrorKind::unsupported, self.type_name(), "a method forward(self, ...)", "none", "define it in the class");
    }, nb::sig("def forward(self, *args: typing.Any, **kwargs: typing.Any) -> typing.Any"));
  c.def("extra_repr", [](const nn::Module&) { return ""; }, "What repr shows between the brackets.");
  c.def("__repr__", [](const nn::Module& self) { return self.repr(); });
  c.def("__dir__", [](nb::handle self) {
      nb::list names = nb::borrow<nb::list>(nb::module_::import_("builtins").attr("object").attr("__dir__")(self));
      const auto& module = module_of(self);
      for (auto& [name, t] : module.own_parameters()) names.append(name);
      for (auto& [name, t] : module.own_buffers()) names.append(name);
      for (auto& [name, child] : module.children()) names.append(name);
      return names;
    }, nb::sig("def __dir__(self) -> list[str]"));
  c.def("__deepcopy__", [](nb::handle self, nb::dict memo) {
      nb::object copy = nb::inst_alloc(self.type());
      auto* to = nb::inst_ptr<nn::Module>(copy);
      new (static_cast<void*>(to)) PyBaseModule();
      nb::inst_mark_ready(copy);
      to->set_host(copy.ptr());
      return copied_module(self, copy, memo);
    }, "memo"_a, nb::sig("def __deepcopy__(self, memo: dict) -> typing.Any"));
  c.def("__reduce__", [](const nn::Module& self) -> nb::object {
      throw Error(ErrorKind::type, self.type_name(), "state_dict() or save(path) to keep a model", "pickle", "modules hold native memory");
    }, nb::sig("def __reduce__(self) -> typing.Any"));
  c.def_prop_rw("training", [](const nn::Module& self) { return self.training(); }, [](nn::Module& self, bool on) { self.train(on); },
                "Whether layers such as Dropout and BatchNorm train.");

  c.def("parameters", [](const nn::Module& self) { return iterator(self.parameters()); }, nb::sig("def parameters(self) -> collections.abc.Iterator[Parameter]"), "Shared ones once.");
  c.def("named_parameters", [](const nn::Module& self) { return iterator(self.named_parameters()); }, nb::sig("def named_parameters(self) -> collections.abc.Iterator[tuple[str, Parameter]]"));
  c.def("buffers", [](const nn::Module& self) {
      std::vector<Tensor> out;
      for (auto& [name, t] : self.named_buffers()) out.push_back(t);
      return iterator(out);
    }, nb::sig("def buffers(self) -> collections.abc.Iterator[Tensor]"));
  c.def("named_buffers", [](const nn::Module& self) { return iterator(self.named_buffers()); }, nb::sig("def named_buffers(self) -> collections.abc.Iterator[tuple[str, Tensor]]"));
  c.def("children", [](const nn::Module& self) {
      std::vector<nn::ModuleRef> out;
      for (auto& [name, child] : self.children()) out.push_back(child);
      return iterator(out);
    }, nb::sig("def children(self) -> collections.abc.Iterator[Module]"));
  c.def("named_children", [](const nn::Module& self) { return iterator(self.children()); }, nb::sig("def named_children(self) -> collections.abc.Iterator[tuple[str, Module]]"));
  c.def("modules", [](nn::Module& self) {
      std::vector<nn::ModuleRef> out;
      for (auto& [name, child] : self.named_modules()) out.push_back(child);
      return iterator(out);
    }, nb::sig("def modules(self) -> collections.abc.Iterator[Module]"), "This one first.");
  c.def("named_modules", [](nn::Module& self) { return iterator(self.named_modules()); }, nb::sig("def named_modules(self) -> collections.abc.Iterator[tuple[str, Module]]"));

  c.def("register_parameter", [](nn::Module& self, std::string name, nb::object value) { self.register_parameter(std::move(name), value.is_none() ? Tensor() : to_tensor("register_parameter", value)); },
        "name"_a, "param"_a.none(), nb::sig("def register_parameter(self, name: str, param: Tensor | None) -> None"));
  c.def("register_buffer", [](nn::Module& self, std::string name, nb::object value) { self.register_buffer(std::move(name), value.is_none() ? Tensor() : to_tensor("register_buffer", value)); },
        "name"_a, "tensor"_a.none(), nb::sig("def register_buffer(self, name: str, tensor: Tensor | numpy.typing.ArrayLike | None) -> None"), "A tensor that is saved with the model and not trained.");
  for (const char* name : {"register_module", "add_module"})
    c.def(name, [](nn::Module& self, std::string child_name, nn::ModuleRef child) { self.register_module(std::move(child_name), std::move(child)); }, "name"_a, "module"_a);

  c.def("state_dict", state_of, nb::sig("def state_dict(self) -> dict[str, Tensor]"), "Parameters and buffers by name; they share memory with the model.");
  c.def("load_state_dict", load_state, "state_dict"_a, "strict"_a = true, nb::sig("def load_state_dict(self, state_dict: collections.abc.Mapping[str, typing.Any], strict: bool = True) -> LoadResult"),
        "Copies arrays or tensors in by name. strict raises ValueError listing every missing, unexpected and mis-shaped name; nothing is changed then.");
  c.def("train", [](nb::handle self, bool on) { return module_of(self).train(on), nb::borrow(self); }, "mode"_a = true, nb::sig("def train(self, mode: bool = True) -> typing.Self"));
  c.def("eval", [](nb::handle self) { return module_of(self).eval(), nb::borrow(self); }, nb::sig("def eval(self) -> typing.Self"));
  c.def("zero_grad", [](nn::Module& self, bool) { self.zero_grad(); }, "set_to_none"_a = true);
  c.def("to", [](nb::handle self, DTypeLike dtype) { return module_of(self).to(dtype_of("to", dtype.object)), nb::borrow(self); }, "dtype"_a, nb::sig("def to(self, dtype: typing.Any) -> typing.Self"),
        "Parameters and buffers of floats in another float dtype; gradients are dropped.");
  for (auto [name, dtype] : {std::pair{"float", DType::f32}, {"double", DType::f64}, {"half", DType::f16}, {"bfloat16", DType::bf16}})
    c.def(name, [dtype = dtype](nb::handle self) { return module_of(self).to(dtype), nb::borrow(self); }, nb::sig((std::string("def ") + name + "(self) -> typing.Self").c_str()));
  c.def("get_submodule", [](nn::Module& self, std::string_view path) {
      nn::ModuleRef m = self.find_module(path);
      if (!m) throw Error(ErrorKind::value, self.type_name(), "the path of a module", "'" + std::string(path) + "'");
      return m;
    }, "target"_a, "The module at a dotted path.");
  c.def("get_parameter", [](nn::Module& self, const std::string& path) {
      for (auto& [name, t] : self.named_parameters()) if (name == path) return t;
      throw Error(ErrorKind::value, self.type_name(), "the path of a parameter", "'" + path + "'");
    }, "target"_a, "The parameter at a dotted path.");
  c.def("summary", [](nb::handle self, nb::object input_shape) { return nb::module_::import_("miniten.edge.utils").attr("model_summary")(self, input_shape); }, "input_shape"_a,
        nb::sig("def summary(self, input_shape: typing.Any) -> str"), "A table of layers, shapes, parameters and operations.");
  c.def("save", [](nb::handle self, nb::object path) { return nb::module_::import_("miniten").attr("save")(self, path); }, "path"_a, nb::sig("def save(self, path: typing.Any) -> int"),
        "Writes the model as .npz -> bytes; miniten.load reads it.");
  c.def_static("load", [](nb::object source) { return nb::module_::import_("miniten").attr("load")(source); }, "source"_a, nb::sig("def load(source: typing.Any) -> typing.Any"),
        "The model that a file, or bytes, holds.");
  bind_hooks(m, c);
  c.def("requires_grad_", [](nb::handle self, bool on) { return module_of(self).set_requires_grad(on), nb::borrow(self); }, "requires_grad"_a = true,
        nb::sig("def requires_grad_(self, requires_grad: bool = True) -> typing.Self"));
  c.def("apply", [](nb::handle self, nb::object f) { return apply_to(self, f), nb::borrow(self); }, "fn"_a,
        nb::sig("def apply(self, fn: collections.abc.Callable[[Module], typing.Any]) -> typing.Self"), "Calls fn on every module, this one last.");
}

}  // namespace

void bind_nn(nb::module_& m) {
  bind_module(m);
  bind_layers(m);
}

}  // namespace miniten::python
