#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/qat.h"
#include "python/bind_quantization.h"
#include "python/module_type.h"

namespace miniten::python {

using namespace nb::literals;

void bind_qat(nb::module_& m) {
  nb::class_<edge::ObserverRow>(m, "ObserverRow", "What stands for one activation in training.")
      .def_ro("layer", &edge::ObserverRow::layer).def_ro("lo", &edge::ObserverRow::lo).def_ro("hi", &edge::ObserverRow::hi)
      .def_ro("scale", &edge::ObserverRow::scale).def_ro("zero_point", &edge::ObserverRow::zero_point);
  using P = edge::PreparedModel;
  nb::class_<P, nn::Module> p(m, "PreparedModel", nb::type_slots(ModuleSlots<P>::slots),
      "A model in quantisation-aware training. In eval mode it is the integer model that convert gives.");
  ModuleSlots<P>::dict_offset = nb::cast<Py_ssize_t>(p.attr("__dictoffset__"));
  p.def("forward", [](P& self, nb::args args) { return single_or_tuple(self.P::forward(module_inputs(self, args))); }, nb::sig("def forward(self, *inputs: Tensor | numpy.typing.ArrayLike) -> typing.Any"))
      .def("convert", &P::convert, "The integer model as it stands; shares nothing.")
      .def("freeze_observers", &P::freeze_observers, "on"_a = true, "Ranges stay as they are.")
      .def("freeze_batch_norm", &P::freeze_batch_norm, "on"_a = true, "Batch norms use and keep their running statistics.")
      .def_prop_ro("steps", &P::steps, "Forward passes in training mode.")
      .def_prop_ro("observers", &P::observers, nb::sig("def observers(self) -> list[ObserverRow]"))
      .def_prop_ro("config", [](const P& self) { return self.options().config; })
      .def("__deepcopy__", [](const P& self, nb::dict) { return self.clone(); }, "memo"_a, nb::sig("def __deepcopy__(self, memo: dict) -> PreparedModel"));
  m.def("prepare_qat", [](nn::ModuleRef model, nb::object config, nb::object calibration_data, nb::object input_shape, bool learned_scales, double observer_momentum,
                          std::optional<int64_t> freeze_observers_at, std::optional<int64_t> freeze_batch_norm_at, nb::kwargs given) {
          edge::QatOptions o{config_of(config, given), learned_scales, observer_momentum, freeze_observers_at, freeze_batch_norm_at};
          std::vector<Spec> specs;
          if (!input_shape.is_none()) specs = specs_of("prepare_qat", input_shape, nb::none()).specs;
          return edge::prepare_qat(*model, o, batches_of(calibration_data, *model), specs);
        }, "model"_a, "config"_a = nb::none(), nb::kw_only(), "calibration_data"_a = nb::none(), "input_shape"_a = nb::none(), "learned_scales"_a = false,
        "observer_momentum"_a = 0.95, "freeze_observers_at"_a = nb::none(), "freeze_batch_norm_at"_a = nb::none(), "options"_a,
        nb::sig("def prepare_qat(model: Module, config: QuantizationConfig | None = None, *, calibration_data: typing.Any = None, input_shape: typing.Any = None, learned_scales: bool = False, "
                "observer_momentum: float = 0.95, freeze_observers_at: int | None = None, freeze_batch_norm_at: int | None = None, " CONFIG_KEYWORDS ") -> PreparedModel"),
        "A trainable copy that rounds as the integers will; the model given is not modified. Train it, then convert it.");
  m.def("convert", [](nn::ModuleRef model) { return edge::convert(*model); }, "model"_a, nb::sig("def convert(model: Module) -> QuantizedModel"),
        "The integer model of one that prepare_qat gave.");
  m.def("fake_quantize", [](ArrayLike x, ArrayLike scale, ArrayLike zero_point, int64_t quant_min, int64_t quant_max, std::optional<int> axis) {
          const char* op = "fake_quantize";
          Tensor t = x.tensor(op);
          auto like = [&](ArrayLike& a) { Tensor p = is_number(a.object) ? number_tensor(op, a.object, t.dtype()) : a.tensor(op); return p.dtype() == t.dtype() ? p : cast(p, t.dtype()); };
          Tensor s = like(scale), z = like(zero_point);
          if (s.rank() == 1 && !axis) throw Error(ErrorKind::value, op, "the axis that the scales run along", "none", "give axis");
          if (z.rank() < s.rank()) z = expand(z, s.shape());
          return fake_quantize(t, s, z, quant_min, quant_max, axis && s.rank() ? (*axis < 0 ? *axis + t.rank() : *axis) : -1);
        }, "x"_a, "scale"_a, "zero_point"_a = 0, "quant_min"_a = -128, "quant_max"_a = 127, "axis"_a = nb::none(),
        nb::sig("def fake_quantize(x: Tensor | numpy.typing.ArrayLike, scale: Tensor | numpy.typing.ArrayLike, zero_point: Tensor | numpy.typing.ArrayLike = 0, quant_min: int = -128, "
                "quant_max: int = 127, axis: int | None = None) -> Tensor"),
        "(clamp(round(x / scale) + zero_point, quant_min, quant_max) - zero_point) * scale; the gradient passes where nothing was clamped, scale has one too.");
}

}  // namespace miniten::python
