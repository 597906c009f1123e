#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/core/op.h"
#include "miniten/optim/lr_scheduler.h"
#include "miniten/optim/optimizer.h"
#include "python/bind.h"

namespace miniten::python {

namespace {

using namespace nb::literals;
using optim::Optimizer;
using optim::Scheduler;

std::vector<Tensor> parameters_of(const char* op, nb::handle params) {
  if (nb::isinstance<Tensor::Impl>(params)) throw Error(ErrorKind::type, op, "an iterable of parameters", "one tensor", "put it in a list");
  nb::object iterator = nb::steal(PyObject_GetIter(params.ptr()));
  if (!iterator.is_valid()) {
    PyErr_Clear();
    throw Error(ErrorKind::type, op, "an iterable of parameters", type_text(params));
  }
  std::vector<Tensor> out;
  for (nb::handle p : nb::list(iterator)) {
    if (nb::isinstance<nb::dict>(p)) throw Error(ErrorKind::unsupported, op, "parameters", "parameter groups", "make one optimizer for each group");
    if (!nb::isinstance<Tensor::Impl>(p)) throw Error(ErrorKind::type, op, "parameters", type_text(p));
    out.push_back(nb::cast<Tensor>(p));
  }
  return out;
}

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
  nb::class_<Optimizer>(m, "Optimizer", nb::is_weak_referenceable(),
                        nb::intrusive_ptr<Optimizer>([](Optimizer* o, PyObject* wrapper) noexcept { o->set_host(wrapper); }),
                        "Moves parameters by their gradients.")
      .def("step", step, "closure"_a = nb::none(), nb::sig("def step(self, closure: collections.abc.Callable[[], typing.Any] | None = None) -> typing.Any"),
           "Parameters without gradient are passed over. closure, where given, is called first and its result returned.")
      .def("zero_grad", [](Optimizer& o, bool) { o.zero_grad(); }, "set_to_none"_a = true)
      .def_prop_rw("lr", &Optimizer::lr, &Optimizer::set_lr)
      .def_prop_ro("parameters", [](const Optimizer& o) { return nb::tuple(nb::cast(o.parameters())); }, nb::sig("def parameters(self) -> tuple[Tensor, ...]"))
      .def_prop_ro("steps", &Optimizer::steps, "Steps taken.")
      .def("state_dict", state_of, nb::sig("def state_dict(self) -> dict[str, Tensor]"), "\"lr\", \"step\" and \"<slot>.<index>\" for each parameter; copies.")
      .def("load_state_dict", load_state, "state_dict"_a, nb::sig("def load_state_dict(self, state_dict: collections.abc.Mapping[str, typing.Any]) -> None"))
      .def("__repr__", [](const Optimizer& o) { return o.type_name() + "(" + std::to_string(o.parameters().size()) + " parameters, lr=" + nb::cast<std::string>(nb::repr(nb::float_(o.lr()))) + ")"; });
  nb::class_<optim::SGD, Optimizer>(m, "SGD", "Stochastic gradient descent, with torch's momentum.")
      .def("__init__", [](optim::SGD* self, nb::object params, double lr, double momentum, double weight_decay, bool nesterov) {
          new (self) optim::SGD(parameters_of("SGD", params), {lr, momentum, weight_decay, nesterov});
        }, "params"_a, "lr"_a = 1e-3, "momentum"_a = 0.0, "weight_decay"_a = 0.0, "nesterov"_a = false,
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.001, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False) -> None"));
  nb::class_<optim::Adam, Optimizer>(m, "Adam", "Kingma and Ba 2015, with bias correction.")
      .def("__init__", [](optim::Adam* self, nb::object params, double lr, std::pair<double, double> betas, double eps, double weight_decay) {
          new (self) optim::Adam(parameters_of("Adam", params), {lr, betas.first, betas.second, eps, weight_decay});
        }, "params"_a, "lr"_a = 1e-3, "betas"_a = std::pair(0.9, 0.999), "eps"_a = 1e-8, "weight_decay"_a = 0.0,
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-08, weight_decay: float = 0.0) -> None"));
  nb::class_<optim::AdamW, optim::Adam>(m, "AdamW", "Adam with decoupled weight decay (Loshchilov and Hutter 2019).")
      .def("__init__", [](optim::AdamW* self, nb::object params, double lr, std::pair<double, double> betas, double eps, double weight_decay) {
          new (self) optim::AdamW(parameters_of("AdamW", params), {lr, betas.first, betas.second, eps, weight_decay});
        }, "params"_a, "lr"_a = 1e-3, "betas"_a = std::pair(0.9, 0.999), "eps"_a = 1e-8, "weight_decay"_a = 0.01,
        nb::sig("def __init__(self, " PARAMS ", lr: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-08, weight_decay: float = 0.01) -> None"));

  m.def("clip_grad_norm", [](nb::object params, double max_norm) { return optim::clip_grad_norm(nb::isinstance<Tensor::Impl>(params) ? std::vector{nb::cast<Tensor>(params)} : parameters_of("clip_grad_norm", params), max_norm); },
        "params"_a, "max_norm"_a, nb::sig("def clip_grad_norm(" PARAMS ", max_norm: float) -> float"), "Scales gradients so that their 2-norm is at most max_norm -> the norm before.");
  m.def("clip_grad_value", [](nb::object params, double value) { optim::clip_grad_value(nb::isinstance<Tensor::Impl>(params) ? std::vector{nb::cast<Tensor>(params)} : parameters_of("clip_grad_value", params), value); },
        "params"_a, "clip_value"_a, nb::sig("def clip_grad_value(" PARAMS ", clip_value: float) -> None"), "Cuts gradients to [-clip_value, clip_value].");

  nb::class_<Scheduler>(m, "LRScheduler", nb::is_weak_referenceable(),
                        nb::intrusive_ptr<Scheduler>([](Scheduler* s, PyObject* wrapper) noexcept { s->set_host(wrapper); }), "Sets an optimizer's rate from a closed form, at once and after each step().")
      .def("step", &Scheduler::step)
      .def("lr_at", &Scheduler::lr_at, "step"_a, "The rate at a step, without going there.")
      .def("get_last_lr", &Scheduler::get_last_lr)
      .def_prop_ro("last_step", &Scheduler::last_step)
      .def_prop_ro("base_lr", &Scheduler::base_lr)
      .def("state_dict", [](const Scheduler& s) {
          nb::dict d;
          d["last_step"] = s.last_step();
          d["base_lr"] = s.base_lr();
          return d;
        }, nb::sig("def state_dict(self) -> dict[str, float]"))
      .def("load_state_dict", [](Scheduler& s, nb::dict d) {
          for (const char* key : {"last_step", "base_lr"})
            if (!d.contains(key)) throw Error(ErrorKind::value, "load_state_dict", std::string("an entry '") + key + "'", "none");
          s.restore(nb::cast<int64_t>(d["last_step"]), nb::cast<double>(d["base_lr"]));
        }, "state_dict"_a, nb::sig("def load_state_dict(self, state_dict: dict[str, float]) -> None"))
      .def("__repr__", [](const Scheduler& s) { return s.name() + "(step " + std::to_string(s.last_step()) + ", lr=" + nb::cast<std::string>(nb::repr(nb::float_(s.get_last_lr()))) + ")"; });
  m.def("StepLR", optim::StepLR, "optimizer"_a, "step_size"_a, "gamma"_a = 0.1, "Times gamma every step_size steps.");
  m.def("ExponentialLR", optim::ExponentialLR, "optimizer"_a, "gamma"_a, "Times gamma every step.");
  m.def("CosineAnnealingLR", optim::CosineAnnealingLR, "optimizer"_a, "T_max"_a, "eta_min"_a = 0.0, "Half a cosine down to eta_min at T_max, and there it stays.");
  m.def("LinearWarmup", optim::LinearWarmup, "optimizer"_a, "warmup_steps"_a, "Times (step + 1) / warmup_steps until 1.");
  m.def("WarmupCosine", optim::WarmupCosine, "optimizer"_a, "warmup_steps"_a, "total_steps"_a, "eta_min"_a = 0.0, "Linear warm-up, then half a cosine to eta_min at total_steps, and there it stays.");
  m.def("step_lr", optim::step_lr, "initial_lr"_a, "epoch"_a, "step_size"_a, "gamma"_a = 0.1);
  m.def("exponential_lr", optim::exponential_lr, "initial_lr"_a, "epoch"_a, "gamma"_a);
  m.def("cosine_annealing_lr", optim::cosine_annealing_lr, "initial_lr"_a, "epoch"_a, "T_max"_a, "eta_min"_a = 0.0);
  m.def("warmup_lr", optim::warmup_lr, "target_lr"_a, "current_step"_a, "warmup_steps"_a);
  m.def("warmup_cosine_lr", optim::warmup_cosine_lr, "initial_lr"_a, "current_step"_a, "warmup_steps"_a, "total_steps"_a, "eta_min"_a = 0.0);
}

}  // namespace miniten::python
