#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/compare_quantized.h"
#include "miniten/edge/mixed_precision.h"
#include "miniten/edge/quantized_layers.h"
#include "python/bind_quantization.h"
#include "python/layer_binding.h"

namespace miniten::python {

using namespace nb::literals;

namespace {

void bind_comparison(nb::module_& m) {
  using R = edge::ComparisonRow;
  nb::class_<R>(m, "ComparisonRow", "What quantisation costs in one layer.")
      .def_ro("layer", &R::layer).def_ro("op", &R::op).def_ro("form", &R::form).def_ro("dtype", &R::dtype)
      .def_ro("sqnr_db", &R::sqnr_db, "Of this layer alone, reading what the float model computes.").def_ro("cumulative_sqnr_db", &R::cumulative_sqnr_db, "Of the whole model up to here.")
      .def_ro("cosine", &R::cosine).def_ro("saturation", &R::saturation, "Share of values outside what the integers can stand for.")
      .def_ro("unused_range", &R::unused_range, "Share of the integers that no value becomes.").def_ro("lo", &R::lo).def_ro("hi", &R::hi)
      .def_ro("clip_lo", &R::clip_lo).def_ro("clip_hi", &R::clip_hi).def_ro("deviation", &R::deviation).def_ro("bias_ratio", &R::bias_ratio)
      .def_prop_ro("outlier_channels", [](const R& r) {
          std::vector<std::pair<int64_t, double>> all;
          for (const edge::OutlierChannel& c : r.outlier_channels) all.emplace_back(c.channel, c.ratio);
          return all;
        }, "(channel, its greatest magnitude over the median channel's), the greatest first.")
      .def_ro("histogram", &R::histogram, "64 counts from lo to hi.");
  using X = edge::QuantizationFix;
  nb::class_<X>(m, "QuantizationFix", "What can be done about a finding.")
      .def("__init__", [](X* self, std::string kind, std::string layer) { new (self) X{std::move(kind), std::move(layer), ""}; }, "kind"_a, "layer"_a)
      .def_ro("kind", &X::kind, "recalibrate, clip, percentile, asymmetric or float.").def_ro("layer", &X::layer).def_ro("text", &X::text)
      .def("__repr__", [](const X& f) { return "QuantizationFix('" + f.kind + "', '" + f.layer + "')"; });
  using F = edge::QuantizationFinding;
  nb::class_<F>(m, "QuantizationFinding", "Why a layer loses accuracy.")
      .def_ro("layer", &F::layer).def_ro("cause", &F::cause).def_ro("value", &F::value).def_ro("text", &F::text).def_ro("fixes", &F::fixes, "The likeliest first.")
      .def("__repr__", [](const F& f) { return "QuantizationFinding(" + f.layer + ": " + f.cause + ": " + f.text + ")"; });
  using C = edge::QuantizationComparison;
  nb::class_<C>(m, "QuantizationComparison", "What quantisation costs, layer by layer, and why.")
      .def_ro("rows", &C::rows).def_ro("sqnr_db", &C::sqnr_db, "Of the outputs.").def_ro("samples", &C::samples)
      .def("diagnose", &C::diagnose, "Findings, the costliest layer first.")
      .def("apply", &C::apply, "fix"_a, "A new quantised model with the fix; all other scales stay as they are.")
      .def("to_text", &C::to_text).def("to_json", &C::to_json).def("to_html", &C::to_html, "A page with tables and the layers' histograms.").def("__str__", &C::to_text);
  m.def("compare_quantized", [](nn::ModuleRef model, nn::ModuleRef quantized, nb::object data) {
          return edge::compare_quantized(*model, *quantized, batches_of(data, *quantized));
        }, "model"_a, "quantized"_a, "data"_a, nb::sig("def compare_quantized(model: Module, quantized: Module, data: typing.Any) -> QuantizationComparison"),
        "Runs a model and its quantised form on data (an array, or an iterable of batches; kept for apply) and tells what each layer loses.");
}

void bind_mixed(nb::module_& m) {
  using L = edge::LayerSensitivity;
  nb::class_<L>(m, "LayerSensitivity", "What one layer in integers does.")
      .def_ro("layer", &L::layer).def_ro("op", &L::op).def_ro("sqnr_db", &L::sqnr_db, "Of the outputs with this layer alone in integers.").def_ro("saving", &L::saving, "Of the objective.");
  using R = edge::MixedPrecisionRow;
  nb::class_<R>(m, "MixedPrecisionRow", "One mix that was tried.")
      .def_ro("float_layers", &R::float_layers).def_ro("int16_layers", &R::int16_layers).def_ro("score", &R::score).def_ro("cost", &R::cost).def_ro("is_float", &R::is_float).def_ro("pareto", &R::pareto).def_ro("chosen", &R::chosen);
  using M = edge::MixedPrecision;
  nb::class_<M>(m, "MixedPrecision", "A model partly in integers, and what was tried.")
      .def_ro("model", &M::model).def_ro("float_score", &M::float_score).def_ro("score", &M::score).def_ro("objective", &M::objective).def_ro("layers", &M::layers).def_ro("table", &M::table)
      .def_ro("evaluations", &M::evaluations).def_ro("remembered", &M::remembered).def("to_text", &M::to_text).def("to_json", &M::to_json).def("__str__", &M::to_text);
  m.def("quantize_with_accuracy", [](nn::ModuleRef model, nb::object calibration_data, nb::callable evaluate, double max_drop, std::string objective, std::vector<std::string> precisions, nb::object journal, nb::object config, nb::kwargs given) {
          edge::MixedPrecisionOptions o{config_of(config, given), max_drop, std::move(objective), std::move(precisions), journal.is_none() ? "" : path_of(journal)};
          auto score = [&](nn::Module& tried) { return nb::cast<double>(nb::float_(evaluate(nn::ModuleRef(&tried)))); };
          return edge::quantize_with_accuracy(*model, batches_of(calibration_data, *model), score, o);
        }, "model"_a, "calibration_data"_a, "evaluate"_a, "max_drop"_a = 0.01, "objective"_a = "latency", "precisions"_a = std::vector<std::string>{"int8", "int16", "float"}, "journal"_a = nb::none(), "config"_a = nb::none(), "options"_a,
        nb::sig("def quantize_with_accuracy(model: Module, calibration_data: typing.Any, evaluate: collections.abc.Callable[[Module], float], max_drop: float = 0.01, objective: str = 'latency', "
                "precisions: collections.abc.Sequence[str] = ('int8', 'int16', 'float'), journal: str | os.PathLike[str] | None = None, config: QuantizationConfig | None = None, " CONFIG_KEYWORDS ") -> MixedPrecision"),
        "int8 where evaluate(model), a score, drops by no more than max_drop; the layers that harm it most become int16 or stay float, whatever costs less.");
}

edge::ActivationScale scale_of(const char* who, nb::handle scale, nb::handle zero) {
  if (!is_number(scale) || !is_number(zero)) throw Error(ErrorKind::type, who, "scales and zero points as numbers", type_text(scale));
  return {float(number_tensor(who, scale, DType::f64).item()), int32_t(number_tensor(who, zero, DType::f64).item())};
}
// By data, by scales, or with neither dynamic.
template <class Q, class L> Ref<Q> from_float(const char* who, L& layer, nb::handle data, nb::handle in_scale, nb::handle in_zero, nb::handle out_scale, nb::handle out_zero, nb::handle dtype, nb::handle config) {
  edge::QuantizationConfig c = config_of(config, nb::kwargs());
  if (!dtype.is_none()) c.activation_dtype = dtype_of(who, dtype);
  if (in_scale.is_none() != out_scale.is_none()) throw Error(ErrorKind::value, who, "input_scale and output_scale", "one of them");
  if (!in_scale.is_none() && !data.is_none()) throw Error(ErrorKind::value, who, "scales or calibration data", "both");
  if (in_scale.is_none()) return Q::from_float(layer, batches_of(data, layer), c);
  return Q::from_float(layer, scale_of(who, in_scale, in_zero), scale_of(who, out_scale, out_zero), c.activation_dtype);
}

#define FROM_FLOAT(layer, quantized)                                                                                                            \
  "def from_float(layer: " layer ", *, calibration_data: typing.Any = None, input_scale: float | None = None, input_zero_point: int = 0, "     \
  "output_scale: float | None = None, output_zero_point: int = 0, activation_dtype: DType | str | None = None, config: QuantizationConfig | None = None) -> " quantized

#define FROM_RECURRENT(layer, quantized) \
  "def from_float(layer: " layer ", *, calibration_data: typing.Any = None, config: QuantizationConfig | None = None, " CONFIG_KEYWORDS ") -> " quantized

template <class Layer> void bind_quantized_sequence(nb::module_& m, const char* name, const char* sig) {
  using Q = edge::QuantizedSequence<Layer>;
  nb::class_<Q, edge::QuantizedRecurrent> c(m, name, nb::type_slots(ModuleSlots<Q>::slots), "A recurrent layer in integers: int8 weights, states of 16 bits, any number of steps. from_float makes it.");
  ModuleSlots<Q>::dict_offset = nb::cast<Py_ssize_t>(c.attr("__dictoffset__"));
  c.def_static("from_float", [name](Layer& l, nb::object data, nb::object config, nb::kwargs given) {
     edge::QuantizationConfig how = config.is_none() ? edge::QuantizationConfig{.activation_dtype = DType::i16} : nb::cast<edge::QuantizationConfig>(config);
     return Q::from_float(l, batches_of(data, l), config_of(nb::cast(how), given));
   }, "layer"_a, nb::kw_only(), "calibration_data"_a = nb::none(), "config"_a = nb::none(), "options"_a, nb::sig(sig),
   "The layer in integers: ranges from sequences; without, scales are found at each step. Options are quantize_model's; activation_dtype is int16 by default.")
      .def("__deepcopy__", [](const Q& self, nb::dict) {
        std::vector<Ref<edge::QuantizedModel>> cells;
        for (auto& [child_name, cell] : self.children()) cells.push_back(dynamic_cast<const edge::QuantizedModel&>(*cell).clone());
        return make<Q>(self, std::move(cells));
      }, "memo"_a);
}

void bind_quantized_layers(nb::module_& m) {
  auto options = [](const char* who, bool dynamic, nb::handle dtype) { return edge::QuantizedLayerOptions{dynamic, dtype_of(who, dtype)}; };
  using Q = edge::QuantizedLinear;
  layer<Q>(m, "QuantizedLinear", "Linear in integers: weight int8 (out, in). Takes and gives float32, or integers at its scales.")
      .def("__init__", [options](nb::pointer_and_handle<Q> at, int64_t in, int64_t out, bool bias, bool dynamic, nb::object dtype) { construct(at, in, out, bias, options("QuantizedLinear", dynamic, dtype)); },
           "in_features"_a, "out_features"_a, "bias"_a = true, "dynamic"_a = false, "activation_dtype"_a = "int8",
           nb::sig("def __init__(self, in_features: int, out_features: int, bias: bool = True, dynamic: bool = False, activation_dtype: DType | str = 'int8') -> None"))
      .def_ro("in_features", &Q::in_features).def_ro("out_features", &Q::out_features)
      .def_static("from_float", [](nn::Linear& l, nb::object data, nb::object is, nb::object iz, nb::object os, nb::object oz, nb::object dtype, nb::object config) {
          return from_float<Q>("QuantizedLinear", l, data, is, iz, os, oz, dtype, config);
        }, "layer"_a, nb::kw_only(), "calibration_data"_a = nb::none(), "input_scale"_a = nb::none(), "input_zero_point"_a = 0, "output_scale"_a = nb::none(), "output_zero_point"_a = 0,
        "activation_dtype"_a = nb::none(), "config"_a = nb::none(), nb::sig(FROM_FLOAT("Linear", "QuantizedLinear")),
        "The layer in integers: ranges from data, or scales as given; with neither the input's scale is found at each call.");
  using C = edge::QuantizedConv2d;
  layer<C>(m, "QuantizedConv2d", "Conv2d in integers: weight int8 (O, C / groups, R, S). Takes and gives float32, or integers at its scales.")
      .def("__init__", [options](nb::pointer_and_handle<C> at, int64_t in, int64_t out, nb::object kernel, nb::object stride, nb::object padding, nb::object dilation, int64_t groups, bool bias, bool dynamic, nb::object dtype) {
          construct(at, in, out, conv_options("QuantizedConv2d", kernel, stride, padding, dilation, groups, bias), options("QuantizedConv2d", dynamic, dtype));
        }, "in_channels"_a, "out_channels"_a, "kernel_size"_a, "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1, "groups"_a = 1, "bias"_a = true, "dynamic"_a = false, "activation_dtype"_a = "int8",
        nb::sig("def __init__(self, in_channels: int, out_channels: int, kernel_size: " INT2 ", stride: " INT2 " = 1, padding: " INT2 " | str = 0, dilation: " INT2 " = 1, groups: int = 1, "
                "bias: bool = True, dynamic: bool = False, activation_dtype: DType | str = 'int8') -> None"))
      .def_ro("in_channels", &C::in_channels).def_ro("out_channels", &C::out_channels)
      .def_static("from_float", [](nn::Conv2d& l, nb::object data, nb::object is, nb::object iz, nb::object os, nb::object oz, nb::object dtype, nb::object config) {
          return from_float<C>("QuantizedConv2d", l, data, is, iz, os, oz, dtype, config);
        }, "layer"_a, nb::kw_only(), "calibration_data"_a = nb::none(), "input_scale"_a = nb::none(), "input_zero_point"_a = 0, "output_scale"_a = nb::none(), "output_zero_point"_a = 0,
        "activation_dtype"_a = nb::none(), "config"_a = nb::none(), nb::sig(FROM_FLOAT("Conv2d", "QuantizedConv2d")),
        "The layer in integers: ranges from data, or scales as given; with neither the input's scale is found at each call.");
  using R = edge::QuantizedRecurrent;
  nb::class_<R, nn::Module> r(m, "QuantizedRecurrent", nb::type_slots(ModuleSlots<R>::slots), "What QuantizedLSTM, QuantizedGRU and QuantizedRNN share.");
  ModuleSlots<R>::dict_offset = nb::cast<Py_ssize_t>(r.attr("__dictoffset__"));
  r.def("forward", [](R& self, ArrayLike x, nb::object hx) {
      const std::string who = self.type_name();
      std::vector<Tensor> in = states_of(who.c_str(), hx);
      in.insert(in.begin(), x.tensor(who.c_str()));
      std::vector<Tensor> out = self.forward(in);
      return nb::make_tuple(out[0], state_object(out, 1));
    }, "input"_a, "hx"_a = nb::none(), nb::sig("def forward(self, input: Tensor | numpy.typing.ArrayLike, hx: typing.Any = None) -> tuple[Tensor, typing.Any]"), "-> output, state.")
      .def("step", [](R& self, ArrayLike x, nb::object state) {
        const std::string who = self.type_name();
        std::vector<Tensor> out = self.step(x.tensor(who.c_str()), states_of(who.c_str(), state));
        return nb::make_tuple(out[0], state_object(out, 1));
      }, "x"_a, "state"_a = nb::none(), nb::sig("def step(self, x: Tensor | numpy.typing.ArrayLike, state: typing.Any = None) -> tuple[Tensor, typing.Any]"),
      "One step of a stream: x (N, input_size) and the state of the step before -> output (N, hidden_size), state.")
      .def_ro("input_size", &R::input_size).def_ro("hidden_size", &R::hidden_size)
      .def_prop_ro("num_layers", [](const R& self) { return self.options.num_layers; })
      .def_prop_ro("batch_first", [](const R& self) { return self.options.batch_first; })
      .def_prop_ro("bidirectional", [](const R& self) { return self.options.bidirectional; })
      .def("extra_repr", &R::extra_repr);
  bind_quantized_sequence<nn::LSTM>(m, "QuantizedLSTM", FROM_RECURRENT("LSTM", "QuantizedLSTM"));
  bind_quantized_sequence<nn::GRU>(m, "QuantizedGRU", FROM_RECURRENT("GRU", "QuantizedGRU"));
  bind_quantized_sequence<nn::RNN>(m, "QuantizedRNN", FROM_RECURRENT("RNN", "QuantizedRNN"));
}

}  // namespace

void bind_doctor(nb::module_& m) {
  bind_comparison(m);
  bind_mixed(m);
  bind_quantized_layers(m);
}

}  // namespace miniten::python
