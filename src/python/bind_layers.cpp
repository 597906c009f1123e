#include <nanobind/stl/map.h>
#include "miniten/nn/layers.h"
#include "miniten/nn/spatial.h"
#include "python/layer_binding.h"

namespace miniten::python {

nn::Conv2dOptions conv_options(const char* layer, nb::handle kernel, nb::handle stride, nb::handle padding, nb::handle dilation, int64_t groups, bool bias, std::string padding_mode) {
  nn::Conv2dOptions o;
  o.kernel_size = pair_of(layer, kernel);
  o.stride = pair_of(layer, stride);
  o.dilation = pair_of(layer, dilation);
  o.groups = groups;
  o.bias = bias;
  o.padding_mode = std::move(padding_mode);
  if (!nb::isinstance<nb::str>(padding)) {
    o.padding = pair_of(layer, padding);
    return o;
  }
  std::string word = nb::cast<std::string>(padding);
  if (word == "valid") return o;
  if (word != "same") throw Error(ErrorKind::value, layer, "padding as ints, 'same' or 'valid'", "'" + word + "'");
  if (o.stride[0] != 1 || o.stride[1] != 1) throw Error(ErrorKind::value, layer, "stride 1 with padding='same'", o.stride.text());
  Dims total{o.dilation[0] * (o.kernel_size[0] - 1), o.dilation[1] * (o.kernel_size[1] - 1)};
  o.padding = {total[0] / 2, total[1] / 2};
  if (total[0] % 2 || total[1] % 2) o.padding.push(total[0] - total[0] / 2), o.padding.push(total[1] - total[1] / 2);      // more below and to the right
  return o;
}

namespace {

using namespace nb::literals;

Dims stride_of(const char* layer, nb::handle stride) { return stride.is_none() ? Dims{} : pair_of(layer, stride); }

template <class M, class Base = nn::Module> void convolution(nb::module_& m, const char* name, const char* doc, int dilated = 1) {
  auto c = layer<M, Base>(m, name, doc);
  c.def("__init__", [name](nb::pointer_and_handle<M> at, int64_t in, int64_t out, nb::object kernel, nb::object stride, nb::object padding, nb::object dilation, int64_t groups, bool bias, std::string padding_mode) {
      construct(at, in, out, conv_options(name, kernel, stride, padding, dilation, groups, bias, std::move(padding_mode)));
    }, "in_channels"_a, "out_channels"_a, "kernel_size"_a, "stride"_a = 1, "padding"_a = 0, "dilation"_a = dilated, "groups"_a = 1, "bias"_a = true, "padding_mode"_a = "zeros",
    nb::sig(("def __init__(self, in_channels: int, out_channels: int, kernel_size: " INT2 ", stride: " INT2 " = 1, padding: " INT2 " | str = 0, dilation: " INT2 " = " +
             std::to_string(dilated) + ", groups: int = 1, bias: bool = True, padding_mode: str = 'zeros') -> None").c_str()));
  if constexpr (std::is_same_v<M, nn::Conv2d>)
    c.def_ro("in_channels", &M::in_channels).def_ro("out_channels", &M::out_channels)
        .def_prop_ro("kernel_size", [](const M& l) { return shape_tuple(l.options.kernel_size); }, nb::sig("def kernel_size(self) -> tuple[int, ...]"))
        .def_prop_ro("stride", [](const M& l) { return shape_tuple(l.options.stride); }, nb::sig("def stride(self) -> tuple[int, ...]"))
        .def_prop_ro("padding", [](const M& l) { return shape_tuple(l.options.padding); }, nb::sig("def padding(self) -> tuple[int, ...]"))
        .def_prop_ro("dilation", [](const M& l) { return shape_tuple(l.options.dilation); }, nb::sig("def dilation(self) -> tuple[int, ...]"))
        .def_prop_ro("groups", [](const M& l) { return l.options.groups; })
        .def_prop_ro("padding_mode", [](const M& l) { return l.options.padding_mode; });
}

nn::ModuleRef item(const nn::Sequential& s, int64_t i) {
  auto n = int64_t(s.children().size());
  if (i < -n || i >= n) throw Error(ErrorKind::index, "Sequential", "an index below " + std::to_string(n), std::to_string(i));
  return s.children()[size_t(i < 0 ? i + n : i)].second;
}

void bind_sequential(nb::module_& m) {
  layer<nn::Sequential>(m, "Sequential", "Children one after another: Sequential(a, b, ..) or a dict name -> module.")
      .def("__init__", [](nb::pointer_and_handle<nn::Sequential> at, nb::args args) {
          construct(at);
          try {
            if (args.size() == 1 && nb::isinstance<nb::dict>(args[0])) {
              for (auto [name, child] : nb::borrow<nb::dict>(args[0])) {
                if (!nb::isinstance<nn::Module>(child)) throw Error(ErrorKind::type, "Sequential", "modules", type_text(child));
                at.p->register_module(nb::cast<std::string>(nb::str(name)), nb::cast<nn::ModuleRef>(child));
              }
              return;
            }
            for (nb::handle child : args) {
              if (!nb::isinstance<nn::Module>(child)) throw Error(ErrorKind::type, "Sequential", "modules", type_text(child), "wrap functions in a Module");
              at.p->append(nb::cast<nn::ModuleRef>(child));
            }
          } catch (...) {
            at.p->~Sequential();
            throw;
          }
        }, nb::sig("def __init__(self, *modules: Module | dict[str, Module]) -> None"))
      .def("append", [](nb::handle self, nn::ModuleRef child) { return nb::cast<nn::Sequential&>(self).append(std::move(child)), nb::borrow(self); }, "module"_a,
           nb::sig("def append(self, module: Module) -> typing.Self"))
      .def("__len__", [](const nn::Sequential& s) { return s.children().size(); })
      .def("__getitem__", [](const nn::Sequential& s, nb::object index) -> nb::object {
          if (!PySlice_Check(index.ptr())) return nb::cast(item(s, integer_of("Sequential", index)));
          Py_ssize_t start, stop, step;
          if (PySlice_Unpack(index.ptr(), &start, &stop, &step) < 0) throw nb::python_error();
          auto n = PySlice_AdjustIndices(Py_ssize_t(s.children().size()), &start, &stop, step);
          auto part = make<nn::Sequential>();
          for (Py_ssize_t i = 0; i < n; ++i) part->append(item(s, start + i * step));
          return nb::cast(part);
        }, nb::arg("index"), nb::sig("def __getitem__(self, index: int | slice, /) -> typing.Any"))
      .def("__iter__", [](const nn::Sequential& s) {
          nb::list out;
          for (auto& [name, child] : s.children()) out.append(nb::cast(child));
          return nb::iter(out);
        }, nb::sig("def __iter__(self) -> collections.abc.Iterator[Module]"));
}

}  // namespace

namespace {
// A note of the model's file that is JSON.
nb::object json_note(const nn::GraphModule& m, const char* name) {
  if (!m.has_graph() || !m.graph().metadata.count(name)) return nb::none();
  try {
    return nb::module_::import_("json").attr("loads")(m.graph().metadata.at(name));
  } catch (nb::python_error& e) {
    if (!e.matches(PyExc_ValueError)) throw;
    return nb::none();
  }
}
}  // namespace

void bind_layers(nb::module_& m) {
  layer<nn::Linear>(m, "Linear", "(.., in_features) -> (.., out_features); weight (out, in), bias (out,).")
      .def("__init__", [](nb::pointer_and_handle<nn::Linear> at, int64_t in, int64_t out, bool bias) { construct(at, in, out, bias); },
           "in_features"_a, "out_features"_a, "bias"_a = true)
      .def_ro("in_features", &nn::Linear::in_features).def_ro("out_features", &nn::Linear::out_features);
  convolution<nn::Conv2d>(m, "Conv2d", "(N, C, H, W) -> (N, O, H', W'); weight (O, C / groups, R, S), bias (O,).");
  convolution<nn::DilatedConv2d, nn::Conv2d>(m, "DilatedConv2d", "Conv2d whose dilation is 2 by default.", 2);
  layer<nn::DepthwiseSeparableConv2d>(m, "DepthwiseSeparableConv2d", "A depthwise convolution, then a pointwise one.")
      .def("__init__", [](nb::pointer_and_handle<nn::DepthwiseSeparableConv2d> at, int64_t in, int64_t out, nb::object kernel, nb::object stride, nb::object padding, nb::object dilation, bool bias) {
          construct(at, in, out, conv_options("DepthwiseSeparableConv2d", kernel, stride, padding, dilation, 1, bias));
        }, "in_channels"_a, "out_channels"_a, "kernel_size"_a, "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1, "bias"_a = true,
        nb::sig("def __init__(self, in_channels: int, out_channels: int, kernel_size: " INT2 ", stride: " INT2 " = 1, padding: " INT2 " | str = 0, dilation: " INT2 " = 1, bias: bool = True) -> None"));
  layer<nn::MaxPool2d>(m, "MaxPool2d", "stride: by default the kernel's size. Padding never wins.")
      .def("__init__", [](nb::pointer_and_handle<nn::MaxPool2d> at, nb::object kernel, nb::object stride, nb::object padding, nb::object dilation, bool ceil_mode) {
          construct(at, pair_of("MaxPool2d", kernel), stride_of("MaxPool2d", stride), pair_of("MaxPool2d", padding), pair_of("MaxPool2d", dilation), ceil_mode);
        }, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = 0, "dilation"_a = 1, "ceil_mode"_a = false,
        nb::sig("def __init__(self, kernel_size: " INT2 ", stride: " INT2 " | None = None, padding: " INT2 " = 0, dilation: " INT2 " = 1, ceil_mode: bool = False) -> None"));
  layer<nn::AvgPool2d>(m, "AvgPool2d", "stride: by default the kernel's size.")
      .def("__init__", [](nb::pointer_and_handle<nn::AvgPool2d> at, nb::object kernel, nb::object stride, nb::object padding, bool ceil_mode, bool count_include_pad) {
          construct(at, pair_of("AvgPool2d", kernel), stride_of("AvgPool2d", stride), pair_of("AvgPool2d", padding), count_include_pad, ceil_mode);
        }, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = 0, "ceil_mode"_a = false, "count_include_pad"_a = true,
        nb::sig("def __init__(self, kernel_size: " INT2 ", stride: " INT2 " | None = None, padding: " INT2 " = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> None"));
  layer<nn::AdaptiveAvgPool2d>(m, "AdaptiveAvgPool2d", "Means of cells, as torch cuts them; None keeps a size.")
      .def("__init__", [](nb::pointer_and_handle<nn::AdaptiveAvgPool2d> at, nb::object size) { construct(at, sizes_of("AdaptiveAvgPool2d", size, 2)); }, "output_size"_a,
           nb::sig("def __init__(self, output_size: int | None | collections.abc.Sequence[int | None]) -> None"));
  plain<nn::GlobalAvgPool2d>(m, "GlobalAvgPool2d", "(N, C, H, W) -> (N, C, 1, 1).");

  layer<nn::Flatten>(m, "Flatten", "Axes start_dim .. end_dim as one.")
      .def("__init__", [](nb::pointer_and_handle<nn::Flatten> at, int start, int end) { construct(at, start, end); }, "start_dim"_a = 1, "end_dim"_a = -1);
  layer<nn::Identity>(m, "Identity", "Gives what it gets.").def("__init__", [](nb::pointer_and_handle<nn::Identity> at, nb::args, nb::kwargs) { construct(at); },
           nb::sig("def __init__(self, *args: typing.Any, **kwargs: typing.Any) -> None"));
  bind_sequential(m);

  bind_activation_layers(m);
  bind_normalization_layers(m);
  bind_spatial_layers(m);
  bind_loss_layers(m);
  bind_recurrent_layers(m);
  bind_attention_layers(m);
  bind_graph_layers(m);

  nb::class_<nn::GraphModule, nn::Module, PyModule<nn::GraphModule>> g(m, "GraphModule", nb::type_slots(ModuleSlots<nn::GraphModule>::slots),
      "A graph as a module: its trainable constants are parameters. Called with arrays in the graph's input order or by name.");
  ModuleSlots<nn::GraphModule>::dict_offset = nb::cast<Py_ssize_t>(g.attr("__dictoffset__"));
  g.def("__init__", [](nb::pointer_and_handle<nn::GraphModule> at, const Graph& graph) { construct(at, graph); }, "graph"_a)
      .def("forward", [](nn::GraphModule& self, nb::args args) { return single_or_tuple(self.nn::GraphModule::forward(module_inputs(self, args))); },
           nb::sig("def forward(self, *inputs: Tensor | numpy.typing.ArrayLike) -> typing.Any"))
      .def("reset", &nn::GraphModule::reset, "States (variables of a file, what streams from call to call) as they were when the graph came.")
      .def_prop_ro("graph", [](const nn::GraphModule& self) { return self.graph(); }, nb::rv_policy::copy)
      .def_prop_ro("metadata", [](const nn::GraphModule& self) { return self.has_graph() ? self.graph().metadata : std::map<std::string, std::string>(); }, "What a file said beside the model: text by name.")
      .def_prop_ro("labels", [](const nn::GraphModule& self) { return json_note(self, "labels"); }, nb::sig("def labels(self) -> list[str] | None"), "Names of the classes, if the model's file has them.")
      .def_prop_ro("history", [](const nn::GraphModule& self) { return json_note(self, "history"); }, nb::sig("def history(self) -> dict[str, list[float]] | None"),
                   "What training measured in each epoch, if the model's file has it.")
      .def("__deepcopy__", [](const nn::GraphModule& self, nb::dict) {
          Graph copy = self.graph();
          for (Value& v : copy.values)
            if (v.constant) {
              Tensor own = Tensor::empty(v.spec, v.constant.strides());
              copy_values(v.constant.view(), own.view());
              v.constant = own;
            }
          auto module = make<nn::GraphModule>(std::move(copy));
          module->train(self.training());
          return module;
        }, "memo"_a, nb::sig("def __deepcopy__(self, memo: dict) -> GraphModule"));
}

}  // namespace miniten::python
