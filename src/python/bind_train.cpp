#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/train/compile_step.h"
#include "miniten/ops/ops.h"
#include "python/bind.h"

namespace miniten::python {

using namespace nb::literals;
using train::CompiledStep;

// A module, or a function of (prediction, target) -> one number. Both are asked while tracing alone.
static train::LossFunction loss_of(nb::object loss) {
  if (!nb::isinstance<nb::callable>(loss)) throw Error(ErrorKind::type, "compile_step", "a loss module or a function", type_text(loss));
  return [loss](const std::vector<Tensor>& outputs, const std::vector<Tensor>& targets) {
    nb::list args;
    for (auto* part : {&outputs, &targets}) for (const Tensor& t : *part) args.append(tensor_object(t));
    return tensors_of("compile_step", loss(*nb::tuple(args))).at(0);
  };
}

void bind_train(nb::module_& m) {
  nb::class_<CompiledStep>(m, "CompiledStep", nb::intrusive_ptr<CompiledStep>([](CompiledStep* s, PyObject* wrapper) noexcept { s->set_host(wrapper); }),
                           "A whole training step as a planned graph; compile_step makes one.")
      .def("__call__", [](CompiledStep& s, nb::args args) {
          std::vector<Tensor> in;
          size_t at = 0;
          for (nb::handle a : args) {
            Tensor t = to_tensor("compile_step", a);
            const Spec* spec = at < s.inputs().size() ? &s.inputs()[at] : at - s.inputs().size() < s.targets().size() ? &s.targets()[at - s.inputs().size()] : nullptr;
            if (spec && t.dtype() != spec->dtype && is_float(t.dtype()) == is_float(spec->dtype)) { NoGrad no_grad; t = cast(t, spec->dtype); }
            in.push_back(t);
            ++at;
          }
          CompiledStep::Result r;
          {
            nb::gil_scoped_release release;
            r = s.run(in);
          }
          raise_pending_error();
          return nb::make_tuple(r.loss, single_or_tuple(r.outputs));
        }, nb::sig("def __call__(self, *inputs_and_targets: Tensor | numpy.typing.ArrayLike) -> tuple[Tensor, typing.Any]"), "One step -> loss, the model's output before it.")
      .def_prop_ro("arena_bytes", [](const CompiledStep& s) { return s.session().arena_bytes(); }, "Planned bytes of working memory.")
      .def("to_text", [](const CompiledStep& s) { return s.session().to_text(); })
      .def("__repr__", [](const CompiledStep& s) { return "<miniten CompiledStep of " + std::to_string(s.session().graph().nodes.size()) + " nodes, arena " + std::to_string(s.session().arena_bytes()) + " bytes>"; });
  m.def("compile_step", [](nn::ModuleRef model, nb::object loss, Ref<optim::Optimizer> optimizer, nb::object input_shape, nb::object target_shape, nb::object input_dtypes, nb::object target_dtypes,
                           std::optional<int> threads, bool exact) {
      if (threads && *threads < 1) throw Error(ErrorKind::value, "compile_step", "at least 1 thread", std::to_string(*threads));
      std::vector<Spec> inputs = specs_of("compile_step", input_shape, input_dtypes).specs, targets = specs_of("compile_step", target_shape, target_dtypes).specs;
      CompileOptions options{threads.value_or(0), exact, {"all"}};
      auto made = [&] { return make<CompiledStep>(model, loss_of(loss), optimizer, inputs, targets, options); };
      if (!target_dtypes.is_none()) return made();
      try {
        return made();
      } catch (const std::exception&) {                      // an Error, or Python's from the loss: labels are integers
        std::vector<Spec> floats = targets;
        for (Spec& s : targets) s.dtype = DType::i64;
        try { return made(); } catch (const std::exception&) { targets = floats; }
      }
      return made();
    }, "model"_a, "loss"_a, "optimizer"_a, "input_shape"_a, "target_shape"_a, "input_dtypes"_a = nb::none(), "target_dtypes"_a = nb::none(), "threads"_a = nb::none(), "exact"_a = false,
    nb::sig("def compile_step(model: Module, loss: typing.Any, optimizer: Optimizer, input_shape: typing.Any, target_shape: typing.Any, input_dtypes: typing.Any = None, target_dtypes: typing.Any = None, "
            "threads: int | None = None, exact: bool = False) -> CompiledStep"),
    "Forward, loss, backward and update as one planned graph for fixed shapes: step(x, y) -> loss, output. Targets are float32, or int64 where the loss wants labels.");
}

}  // namespace miniten::python
