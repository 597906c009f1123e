#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/core/autograd.h"
#include "miniten/utils/data.h"
#include "miniten/utils/vision.h"
#include "python/bind.h"

namespace miniten::python {

namespace {

using namespace nb::literals;
namespace vision = utils::vision;
using Numbers = std::vector<double>;

Tensor image_of(std::string_view op, nb::handle image) { return to_tensor(op, image, {.share = true}); }

// An array where an array came in, a Tensor where a Tensor did.
nb::object as_given(nb::handle image, const Tensor& out) {
  return nb::isinstance<Tensor::Impl>(image) ? tensor_object(out) : numpy_of(out);
}
// f(image) without the interpreter's lock.
template <class F> nb::object on(std::string_view op, nb::handle image, F f) {
  Tensor in = image_of(op, image), out;
  {
    nb::gil_scoped_release release;
    NoGrad guard;
    out = f(in);
  }
  return as_given(image, out);
}
Generator generator_of(std::optional<uint64_t> seed) { return Generator(seed ? *seed : utils::data::draw_seed()); }

// One number or a sequence of them.
Numbers numbers_of(std::string_view op, nb::handle o) {
  if (o.is_none()) return {};
  return to_tensor(op, o, {DType::f64}).to_vector<double>();
}
vision::WarpOptions warp_options(std::string_view op, const std::string& interpolation, const Numbers& fill) {
  return {vision::parse_interpolation(op, interpolation), fill};
}
std::optional<std::array<double, 2>> center_of(std::string_view op, nb::handle o) {
  if (o.is_none()) return {};
  Numbers n = numbers_of(op, o);
  if (n.size() != 2) throw Error(ErrorKind::value, op, "a centre (x, y)", std::to_string(n.size()) + " numbers");
  return std::array{n[0], n[1]};
}
vision::Corners corners_of(std::string_view op, nb::handle o) {
  Numbers n = numbers_of(op, o);
  if (n.size() != 8) throw Error(ErrorKind::value, op, "four corners (x, y)", std::to_string(n.size()) + " numbers");
  vision::Corners c;
  for (size_t i = 0; i < 4; ++i) c[i] = {n[2 * i], n[2 * i + 1]};
  return c;
}
std::span<const std::byte> bytes_of(const nb::bytes& b) { return {static_cast<const std::byte*>(b.data()), b.size()}; }

void bind_files(nb::module_& m) {
  m.def("_vision_load", [](nb::object source, const std::string& mode, bool exif, int64_t max_pixels) {
      vision::LoadOptions o{vision::parse_color_mode("load_image", mode), exif, max_pixels};
      Tensor out;
      if (nb::isinstance<nb::bytes>(source)) {
        nb::bytes b = nb::borrow<nb::bytes>(source);
        nb::gil_scoped_release release;
        out = vision::decode_image(bytes_of(b), o);
      } else {
        std::string path = path_of(source);
        nb::gil_scoped_release release;
        out = vision::load_image(path, o);
      }
      return numpy_of(out);
    }, "source"_a, "mode"_a, "exif_orientation"_a, "max_pixels"_a);
  m.def("_vision_encode", [](nb::handle image, const std::string& format, int quality, int compression) {
      Tensor in = image_of("save_image", image);
      std::vector<std::byte> out;
      {
        nb::gil_scoped_release release;
        out = vision::encode_image(in, format, {quality, compression});
      }
      return nb::bytes(out.data(), out.size());
    }, "image"_a, "format"_a, "quality"_a, "compression"_a);
  m.def("_vision_save", [](nb::handle image, nb::handle path, int quality, int compression) {
      Tensor in = image_of("save_image", image);
      std::string to = path_of(path);
      nb::gil_scoped_release release;
      vision::save_image(in, to, {quality, compression});
    }, "image"_a, "path"_a, "quality"_a, "compression"_a);
}

void bind_geometry(nb::module_& m) {
  m.def("_vision_resize", [](nb::handle image, int64_t h, int64_t w, const std::string& interpolation, std::optional<bool> antialias, std::optional<std::string> like) {
      vision::ResizeOptions o{vision::parse_interpolation("resize", interpolation), antialias, like ? vision::parse_like("resize", *like) : vision::Like::none};
      return on("resize", image, [&](const Tensor& x) { return vision::resize(x, h, w, o); });
    }, "image"_a, "height"_a, "width"_a, "interpolation"_a, "antialias"_a.none(), "like"_a.none());
  m.def("_vision_crop", [](nb::handle image, int64_t top, int64_t left, int64_t h, int64_t w) {
      return on("crop", image, [&](const Tensor& x) { return vision::crop(x, top, left, h, w); });
    }, "image"_a, "top"_a, "left"_a, "height"_a, "width"_a);
  m.def("_vision_center_crop", [](nb::handle image, int64_t h, int64_t w) {
      return on("center_crop", image, [&](const Tensor& x) { return vision::center_crop(x, h, w); });
    }, "image"_a, "height"_a, "width"_a);
  m.def("_vision_random_crop", [](nb::handle image, int64_t h, int64_t w, std::optional<uint64_t> seed) {
      return on("random_crop", image, [&](const Tensor& x) { Generator g = generator_of(seed); return vision::random_crop(x, h, w, g); });
    }, "image"_a, "height"_a, "width"_a, "seed"_a.none());
  m.def("_vision_pad", [](nb::handle image, int64_t left, int64_t top, int64_t right, int64_t bottom, nb::handle fill, const std::string& border) {
      Numbers f = numbers_of("pad", fill);
      vision::Border b = vision::parse_border("pad", border);
      return on("pad", image, [&](const Tensor& x) { return vision::pad(x, {left, top, right, bottom}, f, b); });
    }, "image"_a, "left"_a, "top"_a, "right"_a, "bottom"_a, "fill"_a.none(), "border"_a);
  m.def("_vision_flip", [](nb::handle image, bool horizontal) {
      return on("flip", image, [&](const Tensor& x) { return horizontal ? vision::flip_horizontal(x) : vision::flip_vertical(x); });
    }, "image"_a, "horizontal"_a);
  m.def("_vision_random_flip", [](nb::handle image, bool horizontal, bool vertical, std::optional<uint64_t> seed) {
      return on("random_flip", image, [&](const Tensor& x) { Generator g = generator_of(seed); return vision::random_flip(x, horizontal, vertical, g); });
    }, "image"_a, "horizontal"_a, "vertical"_a, "seed"_a.none());
  m.def("_vision_rotate", [](nb::handle image, double angle, bool expand, nb::handle fill, const std::string& interpolation, nb::handle center) {
      Numbers f = numbers_of("rotate", fill);
      auto o = warp_options("rotate", interpolation, f);
      auto c = center_of("rotate", center);
      return on("rotate", image, [&](const Tensor& x) { return vision::rotate(x, angle, expand, o, c); });
    }, "image"_a, "angle"_a, "expand"_a, "fill"_a.none(), "interpolation"_a, "center"_a.none());
  m.def("_vision_affine", [](nb::handle image, double angle, std::pair<double, double> translate, double scale, std::pair<double, double> shear, nb::handle fill, const std::string& interpolation, nb::handle center) {
      Numbers f = numbers_of("affine", fill);
      auto o = warp_options("affine", interpolation, f);
      auto c = center_of("affine", center);
      vision::Affine a{angle, {translate.first, translate.second}, scale, {shear.first, shear.second}};
      return on("affine", image, [&](const Tensor& x) { return vision::affine(x, a, o, c); });
    }, "image"_a, "angle"_a, "translate"_a, "scale"_a, "shear"_a, "fill"_a.none(), "interpolation"_a, "center"_a.none());
  m.def("_vision_perspective", [](nb::handle image, nb::handle start, nb::handle end, nb::handle fill, const std::string& interpolation) {
      Numbers f = numbers_of("perspective", fill);
      auto o = warp_options("perspective", interpolation, f);
      auto a = corners_of("perspective", start), b = corners_of("perspective", end);
      return on("perspective", image, [&](const Tensor& x) { return vision::perspective(x, a, b, o); });
    }, "image"_a, "start"_a, "end"_a, "fill"_a.none(), "interpolation"_a);
}

void bind_color(nb::module_& m) {
  m.def("_vision_normalize", [](nb::handle image, nb::handle mean, nb::handle std) {
      Numbers a = numbers_of("normalize", mean), b = numbers_of("normalize", std);
      return on("normalize", image, [&](const Tensor& x) { return vision::normalize(x, a, b); });
    }, "image"_a, "mean"_a, "std"_a);
  m.def("_vision_denormalize", [](nb::handle image, nb::handle mean, nb::handle std) {
      Numbers a = numbers_of("denormalize", mean), b = numbers_of("denormalize", std);
      return on("denormalize", image, [&](const Tensor& x) { return vision::denormalize(x, a, b); });
    }, "image"_a, "mean"_a, "std"_a);
  m.def("_vision_to_grayscale", [](nb::handle image, int channels) {
      return on("to_grayscale", image, [&](const Tensor& x) { return vision::to_grayscale(x, channels); });
    }, "image"_a, "channels"_a);
  using Adjust = Tensor (*)(const Tensor&, double);
  static constexpr struct { const char* name; const char* op; Adjust f; } adjust[] = {
      {"_vision_adjust_brightness", "adjust_brightness", vision::adjust_brightness}, {"_vision_adjust_contrast", "adjust_contrast", vision::adjust_contrast},
      {"_vision_adjust_saturation", "adjust_saturation", vision::adjust_saturation}, {"_vision_adjust_hue", "adjust_hue", vision::adjust_hue},
      {"_vision_solarize", "solarize", vision::solarize}};
  for (auto& row : adjust)
    m.def(row.name, [&row](nb::handle image, double v) { return on(row.op, image, [&](const Tensor& x) { return row.f(x, v); }); }, "image"_a, "value"_a);
  using Plain = Tensor (*)(const Tensor&);
  static constexpr struct { const char* name; const char* op; Plain f; } plain[] = {
      {"_vision_invert", "invert", vision::invert}, {"_vision_autocontrast", "autocontrast", vision::autocontrast}, {"_vision_histogram_equalize", "histogram_equalize", vision::histogram_equalize}};
  for (auto& row : plain)
    m.def(row.name, [&row](nb::handle image) { return on(row.op, image, row.f); }, "image"_a);
  m.def("_vision_posterize", [](nb::handle image, int bits) { return on("posterize", image, [&](const Tensor& x) { return vision::posterize(x, bits); }); }, "image"_a, "bits"_a);
  m.def("_vision_random_brightness", [](nb::handle image, double max_delta, std::optional<uint64_t> seed) {
      return on("random_brightness", image, [&](const Tensor& x) { Generator g = generator_of(seed); return vision::random_brightness(x, max_delta, g); });
    }, "image"_a, "max_delta"_a, "seed"_a.none());
  m.def("_vision_random_contrast", [](nb::handle image, double lower, double upper, std::optional<uint64_t> seed) {
      return on("random_contrast", image, [&](const Tensor& x) { Generator g = generator_of(seed); return vision::random_contrast(x, lower, upper, g); });
    }, "image"_a, "lower"_a, "upper"_a, "seed"_a.none());
}

void bind_filters(nb::module_& m) {
  m.def("_vision_gaussian_blur", [](nb::handle image, double sigma, int64_t kernel_size, const std::string& border) {
      vision::Border b = vision::parse_border("gaussian_blur", border);
      return on("gaussian_blur", image, [&](const Tensor& x) { return vision::gaussian_blur(x, sigma, kernel_size, b); });
    }, "image"_a, "sigma"_a, "kernel_size"_a, "border"_a);
  m.def("_vision_sobel", [](nb::handle image, std::optional<std::string> direction, const std::string& border) {
      vision::Border b = vision::parse_border("sobel_filter", border);
      if (direction && *direction != "x" && *direction != "y") throw Error(ErrorKind::value, "sobel_filter", "a direction of 'x', 'y' or None", "'" + *direction + "'");
      return on("sobel_filter", image, [&](const Tensor& x) { return vision::sobel_filter(x, direction ? (*direction)[0] : '\0', b); });
    }, "image"_a, "direction"_a.none(), "border"_a);
  m.def("_vision_canny", [](nb::handle image, double low, double high, double sigma, const std::string& norm) {
      if (norm != "l1" && norm != "l2") throw Error(ErrorKind::value, "canny_edge_detection", "a norm of 'l1', 'l2'", "'" + norm + "'");
      return on("canny_edge_detection", image, [&](const Tensor& x) { return vision::canny_edge_detection(x, low, high, {sigma, norm == "l2"}); });
    }, "image"_a, "low_threshold"_a, "high_threshold"_a, "sigma"_a, "norm"_a);
  m.def("_vision_otsu", [](nb::handle image) { return vision::otsu_threshold(image_of("otsu_threshold", image)); }, "image"_a);
  m.def("_vision_threshold", [](nb::handle image, std::optional<double> value) {
      return on("threshold", image, [&](const Tensor& x) { return vision::threshold(x, value); });
    }, "image"_a, "value"_a.none());
}

}  // namespace

// miniten/utils/vision gives these their public names, defaults and documentation.
void bind_vision(nb::module_& m) {
  bind_files(m);
  bind_geometry(m);
  bind_color(m);
  bind_filters(m);
}

}  // namespace miniten::python
