#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/nn/module.h"
#include "miniten/optim/lr_scheduler.h"
#include "python/bind_optim.h"

namespace miniten::python {

using namespace nb::literals;
using optim::Optimizer;
using optim::Scheduler;

namespace {

// A module's parameters, a list of them, or one.
std::vector<Tensor> parameters_of(const char* op, nb::handle params) {
  if (nb::isinstance<nn::Module>(params)) return nb::cast<const nn::Module&>(params).parameters();
  if (nb::isinstance<Tensor::Impl>(params)) return {nb::cast<Tensor>(params)};
  return parameter_list(op, params);
}
std::string number(double x) { return nb::cast<std::string>(nb::repr(nb::float_(x))); }

#define PARAMS "params: collections.abc.Iterable[Tensor] | Tensor"
#define CALL(name) nb::sig("def " name "(optimizer: Optimizer, "

}  // namespace

void bind_averages(nb::module_& m) {
  nb::class_<optim::EMA>(m, "_EMA", nb::is_weak_referenceable(), nb::intrusive_ptr<optim::EMA>([](optim::EMA* o, PyObject* wrapper) noexcept { o->set_host(wrapper); }),
                         "An exponential moving average of parameters.")
      .def("__init__", [](optim::EMA* self, nb::object model, double decay) { new (self) optim::EMA(parameters_of("EMA", model), decay); }, "model"_a, "decay"_a = 0.999)
      .def("update", &optim::EMA::update, "average = decay * average + (1 - decay) * parameter.")
      .def("swap", &optim::EMA::swap, "Averages and parameters change places.")
      .def("copy_to", [](const optim::EMA& e, nb::object model) { e.copy_to(parameters_of("EMA", model)); }, "model"_a, "Writes the averages into a model's parameters.")
      .def_ro("decay", &optim::EMA::decay)
      .def_prop_ro("averages", [](const optim::EMA& e) { return e.averages(); })
      .def("_restore", [](optim::EMA& e, nb::object averages) {
          std::vector<Tensor> list;
          for (nb::handle a : averages) list.push_back(to_tensor("EMA", a));
          e.restore(list);
        }, "averages"_a);
  m.def("clip_grad_norm", [](nb::object params, double max_norm, double norm_type, bool error_if_nonfinite) {
      return optim::clip_grad_norm(parameters_of("clip_grad_norm", params), max_norm, norm_type, error_if_nonfinite);
    }, "params"_a, "max_norm"_a, "norm_type"_a = 2.0, "error_if_nonfinite"_a = false,
    nb::sig("def clip_grad_norm(" PARAMS ", max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> float"),
    "Scales gradients so that their norm (any p, or infinity) is at most max_norm -> the norm before.");
  m.def("clip_grad_value", [](nb::object params, double value) { optim::clip_grad_value(parameters_of("clip_grad_value", params), value); },
        "params"_a, "clip_value"_a, nb::sig("def clip_grad_value(" PARAMS ", clip_value: float) -> None"), "Cuts gradients to [-clip_value, clip_value].");
}

void bind_schedules(nb::module_& m) {
  nb::class_<Scheduler>(m, "LRScheduler", nb::is_weak_referenceable(),
                        nb::intrusive_ptr<Scheduler>([](Scheduler* s, PyObject* wrapper) noexcept { s->set_host(wrapper); }), "Sets an optimizer's rates from a closed form, at once and after each step().")
      .def("step", &Scheduler::step)
      .def("lr_at", &Scheduler::lr_at, "step"_a, "group"_a = 0, "The rate at a step, without going there.")
      .def("get_last_lr", &Scheduler::get_last_lr, "group"_a = 0)
      .def_prop_ro("last_step", &Scheduler::last_step)
      .def_prop_ro("last_epoch", &Scheduler::last_step)
      .def_prop_ro("base_lr", [](const Scheduler& s) { return s.base_lr(); })
      .def_prop_ro("base_lrs", [](const Scheduler& s) {
          std::vector<double> out;
          for (size_t g = 0; g < s.groups(); ++g) out.push_back(s.base_lr(g));
          return out;
        })
      .def_prop_ro("optimizer", [](const Scheduler& s) { return s.optimizer(); })
      .def("plot", [](nb::handle self, int64_t steps) {
          const auto& s = nb::cast<const Scheduler&>(self);
          if (steps < 1) throw Error(ErrorKind::value, s.name(), "at least one step to plot", std::to_string(steps));
          nb::list x, y;
          for (int64_t i = 0; i < steps; ++i) { x.append(i); y.append(s.lr_at(i)); }
          nb::object viz = nb::module_::import_("miniten.viz"), figure = viz.attr("Figure")(), axes = figure.attr("add_subplot")();
          axes.attr("plot")(x, y);
          axes.attr("set_xlabel")("step");
          axes.attr("set_ylabel")("learning rate");
          axes.attr("set_title")(s.name());
          return figure;
        }, "steps"_a = 100, nb::sig("def plot(self, steps: int = 100) -> typing.Any"), "A figure of the first group's rate.")
      .def("state_dict", [](const Scheduler& s) {
          nb::dict d;
          d["last_step"] = s.last_step();
          d["base_lr"] = s.base_lr();
          if (s.groups() > 1) {
            nb::list all;
            for (size_t g = 0; g < s.groups(); ++g) all.append(s.base_lr(g));
            d["base_lrs"] = all;
          }
          return d;
        }, nb::sig("def state_dict(self) -> dict[str, typing.Any]"))
      .def("load_state_dict", [](Scheduler& s, nb::dict d) {
          for (const char* key : {"last_step", "base_lr"})
            if (!d.contains(key)) throw Error(ErrorKind::value, "load_state_dict", std::string("an entry '") + key + "'", "none");
          std::vector<double> base = d.contains("base_lrs") ? nb::cast<std::vector<double>>(d["base_lrs"]) : std::vector<double>{nb::cast<double>(d["base_lr"])};
          s.restore(nb::cast<int64_t>(d["last_step"]), base);
        }, "state_dict"_a, nb::sig("def load_state_dict(self, state_dict: dict[str, typing.Any]) -> None"))
      .def("__repr__", [](const Scheduler& s) { return s.name() + "(step " + std::to_string(s.last_step()) + ", lr=" + number(s.get_last_lr()) + ")"; });
  m.def("StepLR", optim::StepLR, "optimizer"_a, "step_size"_a, "gamma"_a = 0.1, "Times gamma every step_size steps.");
  m.def("MultiStepLR", optim::MultiStepLR, "optimizer"_a, "milestones"_a, "gamma"_a = 0.1, "Times gamma at each milestone.");
  m.def("ExponentialLR", optim::ExponentialLR, "optimizer"_a, "gamma"_a, "Times gamma every step.");
  m.def("CosineAnnealingLR", optim::CosineAnnealingLR, "optimizer"_a, "T_max"_a, "eta_min"_a = 0.0, "Half a cosine down to eta_min at T_max, and there it stays.");
  m.def("CosineAnnealingWarmRestarts", optim::CosineAnnealingWarmRestarts, "optimizer"_a, "T_0"_a, "T_mult"_a = 1, "eta_min"_a = 0.0, "Half cosines, the first of T_0 steps, each T_mult times as long.");
  m.def("LinearLR", optim::LinearLR, "optimizer"_a, "start_factor"_a = 1.0 / 3, "end_factor"_a = 1.0, "total_iters"_a = 5, "A straight line between two factors.");
  m.def("ConstantLR", optim::ConstantLR, "optimizer"_a, "factor"_a = 1.0 / 3, "total_iters"_a = 5, "Times factor for total_iters steps.");
  m.def("PolynomialLR", optim::PolynomialLR, "optimizer"_a, "total_iters"_a = 5, "power"_a = 1.0, "(1 - step / total_iters)^power.");
  m.def("LinearWarmup", optim::LinearWarmup, "optimizer"_a, "warmup_steps"_a, "Times (step + 1) / warmup_steps until 1.");
  m.def("WarmupCosine", optim::WarmupCosine, "optimizer"_a, "warmup_steps"_a, "total_steps"_a, "eta_min"_a = 0.0, "Linear warm-up, then half a cosine to eta_min at total_steps, and there it stays.");
  m.def("OneCycleLR", [](Ref<Optimizer> o, double max_lr, std::optional<int64_t> total, std::optional<int64_t> epochs, std::optional<int64_t> per_epoch, double pct_start, std::string_view anneal,
                         bool cycle_momentum, double base_momentum, double max_momentum, double div_factor, double final_div_factor, bool three_phase) {
      if (!total && !(epochs && per_epoch)) throw Error(ErrorKind::value, "OneCycleLR", "total_steps, or epochs and steps_per_epoch", "neither");
      if (anneal != "cos" && anneal != "linear") throw Error(ErrorKind::value, "OneCycleLR", "anneal_strategy 'cos' or 'linear'", "'" + std::string(anneal) + "'");
      int64_t steps = total ? *total : *epochs * *per_epoch;
      return optim::OneCycleLR(o, max_lr, {steps, pct_start, anneal == "cos", div_factor, final_div_factor, three_phase, base_momentum, max_momentum}, cycle_momentum);
    }, "optimizer"_a, "max_lr"_a, "total_steps"_a = nb::none(), "epochs"_a = nb::none(), "steps_per_epoch"_a = nb::none(), "pct_start"_a = 0.3, "anneal_strategy"_a = "cos",
    "cycle_momentum"_a = true, "base_momentum"_a = 0.85, "max_momentum"_a = 0.95, "div_factor"_a = 25.0, "final_div_factor"_a = 1e4, "three_phase"_a = false,
    "Up to max_lr and down again (Smith and Topin 2018); momentum runs the other way.");
  m.def("LambdaLR", [](Ref<Optimizer> o, nb::object lr_lambda) {
      std::vector<std::function<double(int64_t)>> factors;
      if (nb::isinstance<nb::list>(lr_lambda) || nb::isinstance<nb::tuple>(lr_lambda)) factors = nb::cast<std::vector<std::function<double(int64_t)>>>(lr_lambda);
      else if (nb::isinstance<nb::callable>(lr_lambda)) factors.push_back(nb::cast<std::function<double(int64_t)>>(lr_lambda));
      else throw Error(ErrorKind::type, "LambdaLR", "a function of the step, or one for each group", type_text(lr_lambda));
      return optim::LambdaLR(std::move(o), std::move(factors));
    }, "optimizer"_a, "lr_lambda"_a, CALL("LambdaLR") "lr_lambda: typing.Any) -> LRScheduler"), "Times a function of the step, one for all groups or one for each.");
  m.def("SequentialLR", optim::SequentialLR, "optimizer"_a, "schedulers"_a, "milestones"_a, "Schedulers one after another; each begins anew at its milestone.");

  using optim::ReduceLROnPlateau;
  nb::class_<ReduceLROnPlateau>(m, "ReduceLROnPlateau", nb::is_weak_referenceable(),
                                nb::intrusive_ptr<ReduceLROnPlateau>([](ReduceLROnPlateau* s, PyObject* wrapper) noexcept { s->set_host(wrapper); }),
                                "Lowers the rates when a metric has not improved for patience steps.")
      .def("__init__", [](ReduceLROnPlateau* self, Ref<Optimizer> o, std::string_view mode, double factor, int64_t patience, double threshold, std::string_view threshold_mode, int64_t cooldown, double min_lr, double eps) {
          if (mode != "min" && mode != "max") throw Error(ErrorKind::value, "ReduceLROnPlateau", "mode 'min' or 'max'", "'" + std::string(mode) + "'");
          if (threshold_mode != "rel" && threshold_mode != "abs") throw Error(ErrorKind::value, "ReduceLROnPlateau", "threshold_mode 'rel' or 'abs'", "'" + std::string(threshold_mode) + "'");
          new (self) ReduceLROnPlateau(std::move(o), {mode == "max", factor, patience, threshold, threshold_mode == "rel", cooldown, min_lr, eps});
        }, "optimizer"_a, "mode"_a = "min", "factor"_a = 0.1, "patience"_a = 10, "threshold"_a = 1e-4, "threshold_mode"_a = "rel", "cooldown"_a = 0, "min_lr"_a = 0.0, "eps"_a = 1e-8)
      .def("step", [](ReduceLROnPlateau& s, nb::object metrics) { return s.step(nb::cast<double>(nb::float_(metrics))); }, "metrics"_a, nb::sig("def step(self, metrics: typing.Any) -> bool"), "-> whether the rates were lowered now.")
      .def("get_last_lr", [](const ReduceLROnPlateau& s) { return s.optimizer()->lr(); })
      .def_prop_ro("optimizer", [](const ReduceLROnPlateau& s) { return s.optimizer(); })
      .def("state_dict", [](const ReduceLROnPlateau& s) {
          nb::dict d;
          d["best"] = s.state().best;
          d["num_bad_epochs"] = s.state().bad_steps;
          d["cooldown_counter"] = s.state().cooldown_left;
          d["last_epoch"] = s.state().last_step;
          return d;
        }, nb::sig("def state_dict(self) -> dict[str, typing.Any]"))
      .def("load_state_dict", [](ReduceLROnPlateau& s, nb::dict d) {
          for (const char* key : {"best", "num_bad_epochs", "cooldown_counter", "last_epoch"})
            if (!d.contains(key)) throw Error(ErrorKind::value, "load_state_dict", std::string("an entry '") + key + "'", "none");
          s.restore({nb::cast<double>(d["best"]), nb::cast<int64_t>(d["num_bad_epochs"]), nb::cast<int64_t>(d["cooldown_counter"]), nb::cast<int64_t>(d["last_epoch"])});
        }, "state_dict"_a, nb::sig("def load_state_dict(self, state_dict: dict[str, typing.Any]) -> None"));

  m.def("step_lr", optim::step_lr, "initial_lr"_a, "epoch"_a, "step_size"_a, "gamma"_a = 0.1);
  m.def("multi_step_lr", [](double lr, int64_t epoch, std::vector<int64_t> milestones, double gamma) { return optim::multi_step_lr(lr, epoch, milestones, gamma); }, "initial_lr"_a, "epoch"_a, "milestones"_a, "gamma"_a = 0.1);
  m.def("exponential_lr", optim::exponential_lr, "initial_lr"_a, "epoch"_a, "gamma"_a);
  m.def("cosine_annealing_lr", optim::cosine_annealing_lr, "initial_lr"_a, "epoch"_a, "T_max"_a, "eta_min"_a = 0.0);
  m.def("warmup_lr", optim::warmup_lr, "target_lr"_a, "current_step"_a, "warmup_steps"_a);
  m.def("warmup_cosine_lr", optim::warmup_cosine_lr, "initial_lr"_a, "current_step"_a, "warmup_steps"_a, "total_steps"_a, "eta_min"_a = 0.0);
}

}  // namespace miniten::python
