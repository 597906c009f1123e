#include <algorithm>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/core/op.h"
#include "miniten/optim/optimizer.h"
#include "python/bind_optim.h"

namespace miniten::python {

using namespace nb::literals;
using optim::Optimizer;

std::vector<Tensor> parameter_list(const char* op, nb::handle params) {
  nb::object iterator = nb::steal(PyObject_GetIter(params.ptr()));
  if (!iterator.is_valid()) {
    PyErr_Clear();
    throw Error(ErrorKind::type, op, "an iterable of parameters", type_text(params));
  }
  std::vector<Tensor> out;
  for (nb::handle p : nb::list(iterator)) {
    if (!nb::isinstance<Tensor::Impl>(p)) throw Error(ErrorKind::type, op, "parameters", type_text(p));
    out.push_back(nb::cast<Tensor>(p));
  }
  return out;
}

namespace {

std::vector<Tensor> tensors(const char* op, nb::handle params) {
  if (nb::isinstance<Tensor::Impl>(params)) throw Error(ErrorKind::type, op, "an iterable of parameters", "one tensor", "put it in a list");
  return parameter_list(op, params);
}
optim::GroupSpec group_of(const char* op, nb::dict given) {
  optim::GroupSpec g;
  if (!given.contains("params")) throw Error(ErrorKind::value, op, "a group with an entry 'params'", nb::cast<std::string>(nb::str(given)));
  for (auto [key, value] : given) {
    std::string name = nb::cast<std::string>(nb::str(key));
    if (name == "params") g.parameters = nb::isinstance<Tensor::Impl>(value) ? std::vector{nb::cast<Tensor>(value)} : tensors(op, value);
    else if (name == "betas") {
      auto betas = nb::cast<std::pair<double, double>>(value);
      g.options.insert(g.options.end(), {{"beta1", betas.first}, {"beta2", betas.second}});
    } else if (!nb::isinstance<nb::float_>(value) && !PyIndex_Check(value.ptr())) throw Error(ErrorKind::type, op, "a number for '" + name + "'", type_text(value));
    else g.options.emplace_back(name, nb::cast<double>(nb::float_(value)));
  }
  return g;
}
// Parameters, or dicts {"params": .., "lr": ..}.
optim::Parameters parameters_of(const char* op, nb::handle params) {
  if (!nb::isinstance<nb::list>(params) && !nb::isinstance<nb::tuple>(params)) return tensors(op, params);
  std::vector<optim::GroupSpec> groups;
  for (nb::handle p : nb::list(params)) {
    if (!nb::isinstance<nb::dict>(p)) break;
    groups.push_back(group_of(op, nb::borrow<nb::dict>(p)));
  }
  if (groups.empty()) return tensors(op, params);
  if (groups.size() != nb::len(params)) throw Error(ErrorKind::type, op, "parameters, or groups of them", "both");
  return groups;
}
optim::OnNonfinite policy(const char* op, std::string_view name) {
  if (name == "step") return optim::OnNonfinite::step;
  if (name == "skip") return optim::OnNonfinite::skip;
  if (name == "raise") return optim::OnNonfinite::raise;
  throw Error(ErrorKind::value, op, "on_nonfinite 'step', 'skip' or 'raise'", "'" + std::string(name) + "'");
}
bool is_int8(const char* op, std::string_view dtype) {
  if (dtype != "float32" && dtype != "int8") throw Error(ErrorKind::value, op, "state_dtype 'float32' or 'int8'", "'" + std::string(dtype) + "'");
  return dtype == "int8";
}
// The words are read before the optimizer is made: one that is refused leaves nothing behind.
template <class O, class Options> void construct(O* self, const char* name, nb::handle params, const Options& options, std::string_view on_nonfinite, std::string_view state_dtype) {
  optim::OnNonfinite chosen = policy(name, on_nonfinite);
  bool small = is_int8(name, state_dtype);
  new (self) O(parameters_of(name, params), options);
  self->on_nonfinite = chosen;
  if (small) self->use_int8_states();
}
const char* name_of(optim::OnNonfinite p) { return p == optim::OnNonfinite::step ? "step" : p == optim::OnNonfinite::skip ? "skip" : "raise"; }

// What param_groups holds: a group's parameters and hyper-parameters by name.
struct ParamGroup {
  Ref<Optimizer> optimizer;
  size_t index;
  bool has_betas() const { return optimizer->has_option("beta1"); }
  std::vector<std::string> keys() const {
    std::vector<std::string> names{"params", "lr"};
    if (has_betas()) names.push_back("betas");
    for (auto& [name, value] : optimizer->groups()[index].options) if (name != "beta1" && name != "beta2") names.push_back(name);
    if (optimizer->groups()[index].initial_lr) names.push_back("initial_lr");
    return names;
  }
  nb::object get(const std::string& key) const {
    const auto& g = optimizer->groups()[index];
    if (key == "params") {
      std::vector<Tensor> members;
      for (size_t i : g.members) members.push_back(optimizer->parameters()[i]);
      return nb::cast(members);
    }
    if (key == "betas" && has_betas()) return nb::make_tuple(optimizer->option("beta1", index), optimizer->option("beta2", index));
    if (key == "initial_lr" && g.initial_lr) return nb::float_(*g.initial_lr);
    if (!optimizer->has_option(key)) throw nb::key_error(key.c_str());
    double v = optimizer->option(key, index);
    for (const char* name : {"nesterov", "maximize", "amsgrad", "centered", "decoupled_weight_decay"}) if (key == name) return nb::bool_(v != 0);
    return nb::float_(v);
  }
  void set(const std::string& key, nb::handle value) {
    if (key == "betas" && has_betas()) {
      auto betas = nb::cast<std::pair<double, double>>(value);
      optimizer->set_option("beta1", betas.first, index);
      optimizer->set_option("beta2", betas.second, index);
    } else if (key == "initial_lr") optimizer->set_initial_lr(nb::cast<double>(value), index);
    else if (key == "params") throw Error(ErrorKind::unsupported, "param_groups", "hyper-parameters", "params", "use add_param_group");
    else optimizer->set_option(key, nb::cast<double>(nb::float_(value)), index);
  }
};

nb::object step(Optimizer& o, nb::object closure) {
  nb::object loss = nb::none();
  if (!closure.is_none()) {
    Swap grad(mode().grad, true);
    loss = closure();
  }
  o.step();
  return loss;
}

nb::dict state_of(const Optimizer& o) {
  nb::dict out;
  for (auto& [name, value] : o.state_dict()) out[name.c_str()] = value;
  return out;
}
void load_state(Optimizer& o, nb::handle state) {
  if (!nb::hasattr(state, "items")) throw Error(ErrorKind::type, "load_state_dict", "a dict of name -> array", type_text(state));
  Optimizer::State given;
  for (nb::handle item : state.attr("items")()) {
    nb::tuple pair = nb::borrow<nb::tuple>(item);
    Tensor value = is_number(pair[1]) ? number_tensor("load_state_dict", pair[1], DType::f32) : to_tensor("load_state_dict", pair[1]);
    given.emplace_back(nb::cast<std::string>(nb::str(pair[0])), value);
  }
  o.load_state_dict(given);
}

}  // namespace

#define PARAMS "params: collections.abc.Iterable[Tensor]"

void bind_optim(nb::module_& m) {
  nb::class_<ParamGroup>(m, "ParamGroup", "One group of an optimizer, by name as a dict.")
      .def("__getitem__", &ParamGroup::get, "key"_a, nb::sig("def __getitem__(self, key: str, /) -> typing.Any"))
      .def("__setitem__", &ParamGroup::set, "key"_a, "value"_a, nb::sig("def __setitem__(self, key: str, value: typing.Any, /) -> None"))
      .def("__contains__", [](const ParamGroup& g, const std::string& key) { auto k = g.keys(); return std::find(k.begin(), k.end(), key) != k.end(); }, "key"_a)
      .def("__len__", [](const ParamGroup& g) { return g.keys().size(); })
      .def("__iter__", [](const ParamGroup& g) { return nb::iter(nb::cast(g.keys())); }, nb::sig("def __iter__(self) -> collections.abc.Iterator[str]"))
      .def("keys", &ParamGroup::keys)
      .def("__repr__", [](const ParamGroup& g) {
        nb::dict d;
        for (auto& key : g.keys()) if (key != "params") d[key.c_str()] = g.get(key);
        return nb::cast<std::string>(nb::repr(d));
      });
  nb::class_<Optimizer>(m, "Optimizer", nb::is_weak_referenceable(),
                        nb::intrusive_ptr<Optimizer>([](Optimizer* o, PyObject* wrapper) noexcept { o->set_host(wrapper); }),
                        "Moves parameters by their gradients.")
      .def("step", step, "closure"_a = nb::none(), nb::sig("def step(self, closure: collections.abc.Callable[[], typing.Any] | None = None) -> typing.Any"),
           "Parameters without gradient are passed over. closure, where given, is called first and its result returned.")
      .def("zero_grad", [](Optimizer& o, bool) { o.zero_grad(); }, "set_to_none"_a = true)
      .def_prop_rw("lr", [](const Optimizer& o) { return o.lr(); }, [](Optimizer& o, double lr) { o.set_lr(lr); }, "Of the first group; set: of all.")
      .def_prop_ro("param_groups", [](Optimizer& o) {
          std::vector<ParamGroup> out;
          for (size_t i = 0; i < o.groups().size(); ++i) out.push_back({Ref<Optimizer>(&o), i});
          return out;
        }, "Groups: group['lr'], group['params'], ..; hyper-parameters can be set.")
      .def("add_param_group", [](Optimizer& o, nb::dict group) { o.add_group(group_of(o.type_name().c_str(), group)); }, "param_group"_a)
      .def_prop_rw("on_nonfinite", [](const Optimizer& o) { return name_of(o.on_nonfinite); }, [](Optimizer& o, std::string_view p) { o.on_nonfinite = policy(o.type_name().c_str(), p); },
                   "What a step does with NaN or infinite gradients: 'step' (as torch), 'skip' or 'raise'.")
      .def_prop_ro("parameters", [](const Optimizer& o) { return nb::tuple(nb::cast(o.parameters())); }, nb::sig("def parameters(self) -> tuple[Tensor, ...]"))
      .def_prop_ro("steps", &Optimizer::steps, "Steps taken.")
      .def("state_dict", state_of, nb::sig("def state_dict(self) -> dict[str, Tensor]"), "\"lr\", \"step\", \"<option>:<group>\" and \"<slot>.<index>\" for each parameter; copies.")
      .def("load_state_dict", load_state, "state_dict"_a, nb::sig("def load_state_dict(self, state_dict: collections.abc.Mapping[str, typing.Any]) -> None"))
      .def("__repr__", [](const Optimizer& o) { return o.type_name() + "(" + std::to_string(o.parameters().size()) + " parameters, lr=" + nb::cast<std::string>(nb::repr(nb::float_(o.lr()))) + ")"; });
  nb::class_<optim::SGD, Optimizer>(m, "SGD", "Stochastic gradient descent, with torch's momentum.")
      .def("__init__", [](optim::SGD* self, nb::object params, double lr, double momentum, double weight_decay, bool nesterov, double dampening, bool maximize, std::string_view on_nonfinite, std::string_view state_dtype) {
          construct(self, "SGD", params, optim::SGD::Options{.lr = lr, .momentum = momentum, .weight_decay = weight_decay, .nesterov = nesterov, .dampening = dampening, .maximize = maximize}, on_nonfinite, state_dtype);
        }, "params"_a, "lr"_a = 1e-3, "momentum"_a = 0.0, "weight_decay"_a = 0.0, "nesterov"_a = false, nb::kw_only(), "dampening"_a = 0.0, "maximize"_a = false, "on_nonfinite"_a = "step", "state_dtype"_a = "float32",
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.001, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False, *, dampening: float = 0.0, maximize: bool = False, on_nonfinite: str = 'step', state_dtype: str = 'float32') -> None"));
  nb::class_<optim::Adam, Optimizer>(m, "Adam", "Kingma and Ba 2015, with bias correction; amsgrad: Reddi et al. 2018.")
      .def("__init__", [](optim::Adam* self, nb::object params, double lr, std::pair<double, double> betas, double eps, double weight_decay, bool amsgrad, bool maximize, std::string_view on_nonfinite, std::string_view state_dtype) {
          construct(self, "Adam", params, optim::Adam::Options{.lr = lr, .beta1 = betas.first, .beta2 = betas.second, .eps = eps, .weight_decay = weight_decay, .amsgrad = amsgrad, .maximize = maximize}, on_nonfinite, state_dtype);
        }, "params"_a, "lr"_a = 1e-3, "betas"_a = std::pair(0.9, 0.999), "eps"_a = 1e-8, "weight_decay"_a = 0.0, "amsgrad"_a = false, nb::kw_only(), "maximize"_a = false, "on_nonfinite"_a = "step", "state_dtype"_a = "float32",
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-08, weight_decay: float = 0.0, amsgrad: bool = False, *, maximize: bool = False, on_nonfinite: str = 'step', state_dtype: str = 'float32') -> None"));
  nb::class_<optim::AdamW, optim::Adam>(m, "AdamW", "Adam with decoupled weight decay (Loshchilov and Hutter 2019).")
      .def("__init__", [](optim::AdamW* self, nb::object params, double lr, std::pair<double, double> betas, double eps, double weight_decay, bool amsgrad, bool maximize, std::string_view on_nonfinite, std::string_view state_dtype) {
          construct(self, "AdamW", params, optim::AdamW::Options{.lr = lr, .beta1 = betas.first, .beta2 = betas.second, .eps = eps, .weight_decay = weight_decay, .amsgrad = amsgrad, .maximize = maximize}, on_nonfinite, state_dtype);
        }, "params"_a, "lr"_a = 1e-3, "betas"_a = std::pair(0.9, 0.999), "eps"_a = 1e-8, "weight_decay"_a = 0.01, "amsgrad"_a = false, nb::kw_only(), "maximize"_a = false, "on_nonfinite"_a = "step", "state_dtype"_a = "float32",
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-08, weight_decay: float = 0.01, amsgrad: bool = False, *, maximize: bool = False, on_nonfinite: str = 'step', state_dtype: str = 'float32') -> None"));
  nb::class_<optim::NAdam, Optimizer>(m, "NAdam", "Adam with Nesterov momentum (Dozat 2016).")
      .def("__init__", [](optim::NAdam* self, nb::object params, double lr, std::pair<double, double> betas, double eps, double weight_decay, double momentum_decay, bool decoupled_weight_decay, bool maximize, std::string_view on_nonfinite, std::string_view state_dtype) {
          construct(self, "NAdam", params, optim::NAdam::Options{.lr = lr, .beta1 = betas.first, .beta2 = betas.second, .eps = eps, .weight_decay = weight_decay, .momentum_decay = momentum_decay, .decoupled_weight_decay = decoupled_weight_decay, .maximize = maximize}, on_nonfinite, state_dtype);
        }, "params"_a, "lr"_a = 2e-3, "betas"_a = std::pair(0.9, 0.999), "eps"_a = 1e-8, "weight_decay"_a = 0.0, "momentum_decay"_a = 4e-3, "decoupled_weight_decay"_a = false, nb::kw_only(), "maximize"_a = false, "on_nonfinite"_a = "step", "state_dtype"_a = "float32",
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.002, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-08, weight_decay: float = 0.0, momentum_decay: float = 0.004, decoupled_weight_decay: bool = False, *, maximize: bool = False, on_nonfinite: str = 'step', state_dtype: str = 'float32') -> None"));
  nb::class_<optim::RAdam, Optimizer>(m, "RAdam", "Rectified Adam (Liu et al. 2020).")
      .def("__init__", [](optim::RAdam* self, nb::object params, double lr, std::pair<double, double> betas, double eps, double weight_decay, bool decoupled_weight_decay, bool maximize, std::string_view on_nonfinite, std::string_view state_dtype) {
          construct(self, "RAdam", params, optim::RAdam::Options{.lr = lr, .beta1 = betas.first, .beta2 = betas.second, .eps = eps, .weight_decay = weight_decay, .decoupled_weight_decay = decoupled_weight_decay, .maximize = maximize}, on_nonfinite, state_dtype);
        }, "params"_a, "lr"_a = 1e-3, "betas"_a = std::pair(0.9, 0.999), "eps"_a = 1e-8, "weight_decay"_a = 0.0, "decoupled_weight_decay"_a = false, nb::kw_only(), "maximize"_a = false, "on_nonfinite"_a = "step", "state_dtype"_a = "float32",
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-08, weight_decay: float = 0.0, decoupled_weight_decay: bool = False, *, maximize: bool = False, on_nonfinite: str = 'step', state_dtype: str = 'float32') -> None"));
  nb::class_<optim::RMSprop, Optimizer>(m, "RMSprop", "Gradients over the root of their mean square.")
      .def("__init__", [](optim::RMSprop* self, nb::object params, double lr, double alpha, double eps, double weight_decay, double momentum, bool centered, bool maximize, std::string_view on_nonfinite, std::string_view state_dtype) {
          construct(self, "RMSprop", params, optim::RMSprop::Options{.lr = lr, .alpha = alpha, .eps = eps, .weight_decay = weight_decay, .momentum = momentum, .centered = centered, .maximize = maximize}, on_nonfinite, state_dtype);
        }, "params"_a, "lr"_a = 1e-2, "alpha"_a = 0.99, "eps"_a = 1e-8, "weight_decay"_a = 0.0, "momentum"_a = 0.0, "centered"_a = false, nb::kw_only(), "maximize"_a = false, "on_nonfinite"_a = "step", "state_dtype"_a = "float32",
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-08, weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False, *, maximize: bool = False, on_nonfinite: str = 'step', state_dtype: str = 'float32') -> None"));
  nb::class_<optim::Adagrad, Optimizer>(m, "Adagrad", "Duchi et al. 2011.")
      .def("__init__", [](optim::Adagrad* self, nb::object params, double lr, double lr_decay, double weight_decay, double initial_accumulator_value, double eps, bool maximize, std::string_view on_nonfinite, std::string_view state_dtype) {
          construct(self, "Adagrad", params, optim::Adagrad::Options{.lr = lr, .lr_decay = lr_decay, .weight_decay = weight_decay, .initial_accumulator_value = initial_accumulator_value, .eps = eps, .maximize = maximize}, on_nonfinite, state_dtype);
        }, "params"_a, "lr"_a = 1e-2, "lr_decay"_a = 0.0, "weight_decay"_a = 0.0, "initial_accumulator_value"_a = 0.0, "eps"_a = 1e-10, nb::kw_only(), "maximize"_a = false, "on_nonfinite"_a = "step", "state_dtype"_a = "float32",
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.01, lr_decay: float = 0.0, weight_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10, *, maximize: bool = False, on_nonfinite: str = 'step', state_dtype: str = 'float32') -> None"));
  nb::class_<optim::Lion, Optimizer>(m, "Lion", "Signs of a blended gradient (Chen et al. 2023).")
      .def("__init__", [](optim::Lion* self, nb::object params, double lr, std::pair<double, double> betas, double weight_decay, bool maximize, std::string_view on_nonfinite, std::string_view state_dtype) {
          construct(self, "Lion", params, optim::Lion::Options{.lr = lr, .beta1 = betas.first, .beta2 = betas.second, .weight_decay = weight_decay, .maximize = maximize}, on_nonfinite, state_dtype);
        }, "params"_a, "lr"_a = 1e-4, "betas"_a = std::pair(0.9, 0.99), "weight_decay"_a = 0.0, nb::kw_only(), "maximize"_a = false, "on_nonfinite"_a = "step", "state_dtype"_a = "float32",
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.0001, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0, *, maximize: bool = False, on_nonfinite: str = 'step', state_dtype: str = 'float32') -> None"));

  bind_averages(m);
  bind_schedules(m);
}

}  // namespace miniten::python
