#include <nanobind/stl/vector.h>
#include "miniten/nn/spatial.h"
#include "python/layer_binding.h"

namespace miniten::python {

using namespace nb::literals;

static int64_t one(const char* op, nb::handle n) { return numbers_of(op, n, 1)[0]; }
static int64_t stride1(const char* op, nb::handle n) { return n.is_none() ? 0 : one(op, n); }

static nn::Conv1dOptions conv1d_options(nb::handle kernel, nb::handle stride, nb::handle padding, nb::handle dilation, int64_t groups, bool bias, std::string padding_mode) {
  const char* op = "Conv1d";
  nn::Conv1dOptions o{one(op, kernel), one(op, stride), {0, 0}, one(op, dilation), groups, bias, std::move(padding_mode)};
  if (!nb::isinstance<nb::str>(padding)) {
    o.padding = Dims::filled(2, one(op, padding));
    return o;
  }
  std::string word = nb::cast<std::string>(padding);
  if (word == "valid") return o;
  if (word != "same") throw Error(ErrorKind::value, op, "padding as an int, 'same' or 'valid'", "'" + word + "'");
  if (o.stride != 1) throw Error(ErrorKind::value, op, "stride 1 with padding='same'", std::to_string(o.stride));
  int64_t total = o.dilation * (o.kernel_size - 1);
  o.padding = {total / 2, total - total / 2};
  return o;
}

template <class M, int axes> static void transposed(nb::module_& m, const char* name, const char* doc) {
  auto two = [](const char* op, nb::handle h) { Dims d = numbers_of(op, h, axes); return axes == 1 ? Dims{0, d[0]} : d; };
  layer<M>(m, name, doc)
      .def("__init__", [name, two](nb::pointer_and_handle<M> at, int64_t in, int64_t out, nb::object kernel, nb::object stride, nb::object padding, nb::object extra, int64_t groups, bool bias, nb::object dilation) {
          nn::Conv2dOptions o{two(name, kernel), two(name, stride), two(name, padding), two(name, dilation), groups, bias};
          construct(at, in, out, o, two(name, extra));
        }, "in_channels"_a, "out_channels"_a, "kernel_size"_a, "stride"_a = 1, "padding"_a = 0, "output_padding"_a = 0, "groups"_a = 1, "bias"_a = true, "dilation"_a = 1,
        nb::sig("def __init__(self, in_channels: int, out_channels: int, kernel_size: " INT2 ", stride: " INT2 " = 1, padding: " INT2 " = 0, output_padding: " INT2
                " = 0, groups: int = 1, bias: bool = True, dilation: " INT2 " = 1) -> None"))
      .def_prop_ro("in_channels", [](const M& l) { return l.in_channels; })
      .def_prop_ro("out_channels", [](const M& l) { return l.out_channels; });
}
template <class M> static void counted(nb::module_& m, const char* name, const char* argument, const char* doc) {
  layer<M>(m, name, doc).def("__init__", [name](nb::pointer_and_handle<M> at, nb::object n) { construct(at, one(name, n)); }, nb::arg(argument),
                             nb::sig((std::string("def __init__(self, ") + argument + ": int) -> None").c_str()));
}
template <class M> static void border(nb::module_& m, const char* name, const char* doc) {
  layer<M>(m, name, doc).def("__init__", [name](nb::pointer_and_handle<M> at, nb::object p) { construct(at, numbers_of(name, p, 4)); }, "padding"_a,
                             nb::sig("def __init__(self, padding: " INT2 ") -> None"));
}

void bind_spatial_layers(nb::module_& m) {
  layer<nn::Conv1d>(m, "Conv1d", "(N, C, L) -> (N, O, L'); weight (O, C / groups, K), bias (O,).")
      .def("__init__", [](nb::pointer_and_handle<nn::Conv1d> at, int64_t in, int64_t out, nb::object kernel, nb::object stride, nb::object padding, nb::object dilation, int64_t groups, bool bias, std::string padding_mode) {
          construct(at, in, out, conv1d_options(kernel, stride, padding, dilation, groups, bias, std::move(padding_mode)));
        }, "in_channels"_a, "out_channels"_a, "kernel_size"_a, "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1, "groups"_a = 1, "bias"_a = true, "padding_mode"_a = "zeros",
        nb::sig("def __init__(self, in_channels: int, out_channels: int, kernel_size: " INT2 ", stride: " INT2 " = 1, padding: " INT2 " | str = 0, dilation: " INT2
                " = 1, groups: int = 1, bias: bool = True, padding_mode: str = 'zeros') -> None"))
      .def_ro("in_channels", &nn::Conv1d::in_channels).def_ro("out_channels", &nn::Conv1d::out_channels);
  transposed<nn::ConvTranspose1d, 1>(m, "ConvTranspose1d", "The gradient of Conv1d's input as a layer; weight (C, O / groups, K), bias (O,).");
  transposed<nn::ConvTranspose2d, 2>(m, "ConvTranspose2d", "The gradient of Conv2d's input as a layer; weight (C, O / groups, R, S), bias (O,).");
  layer<nn::MaxPool1d>(m, "MaxPool1d", "stride: by default the kernel's size. Padding never wins.")
      .def("__init__", [](nb::pointer_and_handle<nn::MaxPool1d> at, nb::object kernel, nb::object stride, nb::object padding, nb::object dilation, bool ceil_mode) {
          construct(at, one("MaxPool1d", kernel), stride1("MaxPool1d", stride), one("MaxPool1d", padding), one("MaxPool1d", dilation), ceil_mode);
        }, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = 0, "dilation"_a = 1, "ceil_mode"_a = false,
        nb::sig("def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1, ceil_mode: bool = False) -> None"));
  layer<nn::AvgPool1d>(m, "AvgPool1d", "stride: by default the kernel's size.")
      .def("__init__", [](nb::pointer_and_handle<nn::AvgPool1d> at, nb::object kernel, nb::object stride, nb::object padding, bool ceil_mode, bool count_include_pad) {
          construct(at, one("AvgPool1d", kernel), stride1("AvgPool1d", stride), one("AvgPool1d", padding), ceil_mode, count_include_pad);
        }, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = 0, "ceil_mode"_a = false, "count_include_pad"_a = true,
        nb::sig("def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> None"));
  counted<nn::AdaptiveAvgPool1d>(m, "AdaptiveAvgPool1d", "output_size", "Means of cells, as torch cuts them.");
  counted<nn::AdaptiveMaxPool1d>(m, "AdaptiveMaxPool1d", "output_size", "Greatest of cells, as torch cuts them.");
  layer<nn::AdaptiveMaxPool2d>(m, "AdaptiveMaxPool2d", "Greatest of cells, as torch cuts them; None keeps a size.")
      .def("__init__", [](nb::pointer_and_handle<nn::AdaptiveMaxPool2d> at, nb::object size) { construct(at, sizes_of("AdaptiveMaxPool2d", size, 2)); }, "output_size"_a,
           nb::sig("def __init__(self, output_size: int | None | collections.abc.Sequence[int | None]) -> None"));
  counted<nn::PixelShuffle>(m, "PixelShuffle", "upscale_factor", "(.., C r^2, H, W) -> (.., C, H r, W r).");
  counted<nn::PixelUnshuffle>(m, "PixelUnshuffle", "downscale_factor", "(.., C, H r, W r) -> (.., C r^2, H, W).");
  counted<nn::ChannelShuffle>(m, "ChannelShuffle", "groups", "Channels dealt out over the groups.");
  border<nn::ZeroPad2d>(m, "ZeroPad2d", "padding: an int, or left, right, top and bottom.");
  border<nn::ReflectionPad2d>(m, "ReflectionPad2d", "padding: an int, or left, right, top and bottom.");
  border<nn::ReplicationPad2d>(m, "ReplicationPad2d", "padding: an int, or left, right, top and bottom.");
  layer<nn::Unfold>(m, "Unfold", "(N, C, H, W) -> (N, C R S, windows).")
      .def("__init__", [](nb::pointer_and_handle<nn::Unfold> at, nb::object kernel, nb::object dilation, nb::object padding, nb::object stride) {
          construct(at, nn::functional::WindowOptions{pair_of("Unfold", kernel), pair_of("Unfold", dilation), pair_of("Unfold", padding), pair_of("Unfold", stride)});
        }, "kernel_size"_a, "dilation"_a = 1, "padding"_a = 0, "stride"_a = 1);
  layer<nn::Fold>(m, "Fold", "Unfold's transpose: sums where windows overlap.")
      .def("__init__", [](nb::pointer_and_handle<nn::Fold> at, nb::object size, nb::object kernel, nb::object dilation, nb::object padding, nb::object stride) {
          construct(at, pair_of("Fold", size), nn::functional::WindowOptions{pair_of("Fold", kernel), pair_of("Fold", dilation), pair_of("Fold", padding), pair_of("Fold", stride)});
        }, "output_size"_a, "kernel_size"_a, "dilation"_a = 1, "padding"_a = 0, "stride"_a = 1);
  layer<nn::Unflatten>(m, "Unflatten", "Axis dim as several; one -1 is worked out.")
      .def("__init__", [](nb::pointer_and_handle<nn::Unflatten> at, int dim, nb::object sizes) { construct(at, dim, shape_of("Unflatten", sizes)); }, "dim"_a, "unflattened_size"_a,
           nb::sig("def __init__(self, dim: int, unflattened_size: collections.abc.Sequence[int]) -> None"));
  layer<nn::Upsample>(m, "Upsample", "mode: 'nearest', 'linear', 'bilinear', 'bicubic' or 'area'.")
      .def("__init__", [](nb::pointer_and_handle<nn::Upsample> at, nb::object size, nb::object scale, const std::string& mode, std::optional<bool> align_corners) {
          std::vector<double> scales;
          if (!scale.is_none()) scales = PySequence_Check(scale.ptr()) ? nb::cast<std::vector<double>>(scale) : std::vector<double>{nb::cast<double>(scale)};
          construct(at, size.is_none() ? Dims{} : shape_of("Upsample", size), scales, mode, align_corners.value_or(false));
        }, "size"_a = nb::none(), "scale_factor"_a = nb::none(), "mode"_a = "nearest", "align_corners"_a = nb::none(),
        nb::sig("def __init__(self, size: " INT2 " | None = None, scale_factor: float | collections.abc.Sequence[float] | None = None, mode: str = 'nearest', align_corners: bool | None = None) -> None"));
  layer<nn::Embedding>(m, "Embedding", "Integers (..) -> (.., embedding_dim); padding_idx's row starts at 0 and gets no gradient.")
      .def("__init__", [](nb::pointer_and_handle<nn::Embedding> at, int64_t n, int64_t width, std::optional<int64_t> padding) { construct(at, n, width, padding); },
           "num_embeddings"_a, "embedding_dim"_a, "padding_idx"_a = nb::none())
      .def_ro("num_embeddings", &nn::Embedding::num_embeddings).def_ro("embedding_dim", &nn::Embedding::embedding_dim).def_ro("padding_idx", &nn::Embedding::padding_idx);
}

}  // namespace miniten::python
