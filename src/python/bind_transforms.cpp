#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <cmath>
#include "miniten/core/autograd.h"
#include "miniten/edge/preprocessing.h"
#include "miniten/utils/transforms.h"
#include "python/bind.h"

namespace miniten::python {

namespace {

using namespace nb::literals;
namespace vision = utils::vision;
using vision::Range;
using Numbers = std::vector<double>;

thread_local bool as_tensor = false;           // how the image came in, and how Python's own steps see it
struct Kind {
  bool before = as_tensor;
  explicit Kind(bool tensor) { as_tensor = tensor; }
  ~Kind() { as_tensor = before; }
};

// Any callable among the steps of a Compose: it is given an array, or a Tensor after ToTensor and where one came in.
class PythonStep : public vision::Transform {
 public:
  PythonStep(nb::object f, bool after_tensor) : f_(std::move(f)), after_tensor_(after_tensor) {}
  ~PythonStep() override {
    nb::gil_scoped_acquire lock;
    f_.reset();
  }
  std::string text() const override {
    nb::gil_scoped_acquire lock;
    return nb::cast<std::string>(nb::repr(f_));
  }
  Tensor call(const Tensor& image, vision::Layout& layout, Generator&, vision::Params&) const override { return repeat(image, layout, {}); }
  Tensor repeat(const Tensor& image, vision::Layout&, const vision::Params&) const override { return apply(image, {}); }

 protected:
  Tensor apply(const Tensor& image, const vision::Params&) const override {
    nb::gil_scoped_acquire lock;
    nb::object result = f_(after_tensor_ || as_tensor ? tensor_object(image) : numpy_of(image));
    if (nb::isinstance<Tensor::Impl>(result)) as_tensor = true;
    return to_tensor("Compose", result, {.share = true});
  }

 private:
  nb::object f_;
  bool after_tensor_;
};

nb::object number_object(double v) { return std::trunc(v) == v && std::abs(v) < 9e15 ? nb::int_(int64_t(v)) : nb::object(nb::float_(v)); }
nb::object params_object(const vision::Params& p) {
  if (!p.parts.empty()) {
    nb::list out;
    for (auto& part : p.parts) out.append(params_object(part));
    return out;
  }
  nb::dict out;
  for (auto& [name, numbers] : p.values) {
    if (numbers.size() == 1) {
      out[name.c_str()] = number_object(numbers[0]);
      continue;
    }
    nb::list list;
    for (double v : numbers) list.append(number_object(v));
    out[name.c_str()] = nb::tuple(list);
  }
  return out;
}
vision::Params params_of(nb::handle o) {
  vision::Params p;
  if (nb::isinstance<nb::dict>(o)) {
    for (auto [name, value] : nb::borrow<nb::dict>(o)) p.set(nb::cast<std::string>(nb::str(name)), to_tensor("replay", value, {DType::f64}).to_vector<double>());
    return p;
  }
  if (!nb::isinstance<nb::list>(o) && !nb::isinstance<nb::tuple>(o)) throw Error(ErrorKind::type, "replay", "params as .params gave them, a dict or a list", type_text(o));
  for (nb::handle part : nb::borrow<nb::sequence>(o)) p.parts.push_back(params_of(part));
  return p;
}

template <class F> nb::object run(vision::Transform& t, nb::handle image, F f) {
  bool tensor = nb::isinstance<Tensor::Impl>(image);
  Tensor in = to_tensor(t.text(), image, {.share = true}), out;
  Kind kind(tensor);
  {
    nb::gil_scoped_release release;
    NoGrad guard;
    out = f(in, tensor ? vision::Layout::automatic : vision::Layout::hwc);
  }
  return as_tensor || t.gives_tensor() ? tensor_object(out) : numpy_of(out);
}

// ---- arguments ----
bool plain(nb::handle o) { return is_number(o); }
Numbers numbers_of(const char* op, nb::handle o) { return o.is_none() ? Numbers{} : to_tensor(op, o, {DType::f64}).to_vector<double>(); }
Range pair_of_numbers(const char* op, const char* what, nb::handle o) {
  Numbers n = numbers_of(op, o);
  if (n.size() != 2) throw Error(ErrorKind::value, op, std::string(what) + " as two numbers", nb::cast<std::string>(nb::repr(o)));
  return {n[0], n[1]};
}
// A number d is (center - d, center + d), not below `least`.
Range around(const char* op, const char* what, nb::handle o, double center, double least) {
  if (o.is_none()) return {center, center};
  if (!plain(o)) return pair_of_numbers(op, what, o);
  double d = numbers_of(op, o)[0];
  if (!(d >= 0)) throw Error(ErrorKind::value, op, std::string(what) + " of 0 or more, or (low, high)", std::to_string(d));
  return {std::max(center - d, least), center + d};
}
std::array<int64_t, 2> sides(const char* op, nb::handle o) {
  Dims d = pair_of(op, o);
  return {d[0], d[1]};
}
vision::Padding padding_of(const char* op, nb::handle o) {
  if (o.is_none()) return {};
  Dims d = shape_of(op, o);
  if (d.rank == 1) return {d[0], d[0], d[0], d[0]};
  if (d.rank == 2) return {d[0], d[1], d[0], d[1]};
  if (d.rank != 4) throw Error(ErrorKind::value, op, "1, 2 or 4 paddings", std::to_string(d.rank));
  return {d[0], d[1], d[2], d[3]};
}
vision::Border border_of(const char* op, const std::string& name) {
  return vision::parse_border(op, name == "edge" ? "replicate" : name == "symmetric" ? "reflect" : name);
}
vision::ResizeOptions resize_options(const char* op, const std::string& interpolation, std::optional<bool> antialias, const std::optional<std::string>& like) {
  return {vision::parse_interpolation(op, interpolation), antialias, like ? vision::parse_like(op, *like) : vision::Like::none};
}
vision::Layout layout_of(const char* op, const std::optional<std::string>& name) { return name ? vision::parse_layout(op, *name) : vision::Layout::automatic; }

vision::Transform& base(nb::handle self) { return nb::cast<vision::Transform&>(self); }

// Keeps what a transform was made from, to make it again where it is unpickled.
struct Remember {
  static void precall(PyObject**, size_t, nb::detail::cleanup_list*) {}
  template <size_t N> static void postcall(PyObject** args, std::integral_constant<size_t, N>, nb::handle) {
    nb::list kept;
    for (size_t i = 1; i < N; ++i) kept.append(PyList_Check(args[i]) ? nb::object(nb::tuple(nb::handle(args[i]))) : nb::borrow(args[i]));
    nb::setattr(args[0], "_made_from", nb::tuple(kept));
  }
};
using Remembers = nb::call_policy<Remember>;

struct Key {
  uint64_t seed, epoch, index;
  std::unique_ptr<vision::SampleKey> key;
};

void bind_steps(nb::module_& m) {
  using vision::Transform;
  nb::class_<vision::ToTensor, Transform>(m, "ToTensor", "uint8 / 255, uint16 / 65535, floats as they are: a float Tensor (channels, height, width).").def(nb::init<>(), Remembers());
  nb::class_<vision::Normalize, Transform>(m, "Normalize", "(image - mean) / std per channel. layout: 'chw', 'hwc'; None: as Compose knows it, standing alone the channels of a Tensor come first and those of an array last.")
      .def("__init__", [](vision::Normalize* t, nb::handle mean, nb::handle std, std::optional<std::string> layout) {
          new (t) vision::Normalize(numbers_of("Normalize", mean), numbers_of("Normalize", std), layout_of("Normalize", layout));
        }, "mean"_a, "std"_a, "layout"_a = nb::none(), Remembers());
  nb::class_<vision::Resize, Transform>(m, "Resize", "resize to (height, width), or the shorter side to one number.")
      .def("__init__", [](vision::Resize* t, nb::handle size, const std::string& interpolation, std::optional<bool> antialias, std::optional<std::string> like) {
          Dims d = shape_of("Resize", size);
          if (d.rank < 1 || d.rank > 2) throw Error(ErrorKind::value, "Resize", "a size as (height, width) or one number", nb::cast<std::string>(nb::repr(size)));
          if (d.rank == 2 && d[1] < 1) throw Error(ErrorKind::value, "Resize", "a width of 1 or more", std::to_string(d[1]));
          new (t) vision::Resize({d[0], d.rank == 2 ? d[1] : 0}, resize_options("Resize", interpolation, antialias, like));
        }, "size"_a, "interpolation"_a = "bilinear", "antialias"_a = nb::none(), "like"_a = nb::none(), Remembers());
  nb::class_<vision::Grayscale, Transform>(m, "Grayscale", "to_grayscale.").def(nb::init<int>(), "num_output_channels"_a = 1, Remembers());
  nb::class_<vision::CenterCrop, Transform>(m, "CenterCrop", "The middle of the image.")
      .def("__init__", [](vision::CenterCrop* t, nb::handle size) { auto s = sides("CenterCrop", size); new (t) vision::CenterCrop(s[0], s[1]); }, "size"_a, Remembers());
  nb::class_<vision::Pad, Transform>(m, "Pad", "Pixels around the image, as pad adds them.")
      .def("__init__", [](vision::Pad* t, nb::handle padding, nb::handle fill, const std::string& mode) {
          new (t) vision::Pad(padding_of("Pad", padding), numbers_of("Pad", fill), border_of("Pad", mode));
        }, "padding"_a, "fill"_a = 0, "padding_mode"_a = "constant", Remembers());
  nb::class_<vision::RandomCrop, Transform>(m, "RandomCrop", "A rectangle anywhere in the image, padded first by padding.")
      .def("__init__", [](vision::RandomCrop* t, nb::handle size, nb::handle padding, bool if_needed, nb::handle fill, const std::string& mode) {
          auto s = sides("RandomCrop", size);
          new (t) vision::RandomCrop(s[0], s[1], padding_of("RandomCrop", padding), if_needed, numbers_of("RandomCrop", fill), border_of("RandomCrop", mode));
        }, "size"_a, "padding"_a = nb::none(), "pad_if_needed"_a = false, "fill"_a = 0, "padding_mode"_a = "constant", Remembers());
  nb::class_<vision::RandomResizedCrop, Transform>(m, "RandomResizedCrop", "A rectangle of a share of the area in scale, width / height in ratio, resized to size.")
      .def("__init__", [](vision::RandomResizedCrop* t, nb::handle size, nb::handle scale, nb::handle ratio, const std::string& interpolation, std::optional<bool> antialias) {
          auto s = sides("RandomResizedCrop", size);
          new (t) vision::RandomResizedCrop(s[0], s[1], pair_of_numbers("RandomResizedCrop", "scale", scale), pair_of_numbers("RandomResizedCrop", "ratio", ratio), resize_options("RandomResizedCrop", interpolation, antialias, {}));
        }, "size"_a, "scale"_a = nb::make_tuple(0.08, 1.0), "ratio"_a = nb::make_tuple(3.0 / 4, 4.0 / 3), "interpolation"_a = "bilinear", "antialias"_a = nb::none(), Remembers());
  nb::class_<vision::RandomHorizontalFlip, Transform>(m, "RandomHorizontalFlip", "Left and right exchanged with chance p.").def(nb::init<double>(), "p"_a = 0.5, Remembers());
  nb::class_<vision::RandomVerticalFlip, Transform>(m, "RandomVerticalFlip", "Top and bottom exchanged with chance p.").def(nb::init<double>(), "p"_a = 0.5, Remembers());
  nb::class_<vision::RandomGrayscale, Transform>(m, "RandomGrayscale", "Three equal channels with chance p.").def(nb::init<double>(), "p"_a = 0.1, Remembers());
  nb::class_<vision::RandomRotation, Transform>(m, "RandomRotation", "Turned counter-clockwise by an angle of degrees: (low, high), or d for (-d, d).")
      .def("__init__", [](vision::RandomRotation* t, nb::handle degrees, const std::string& interpolation, bool expand, nb::handle fill) {
          new (t) vision::RandomRotation(around("RandomRotation", "degrees", degrees, 0, -HUGE_VAL), vision::parse_interpolation("RandomRotation", interpolation), expand, numbers_of("RandomRotation", fill));
        }, "degrees"_a, "interpolation"_a = "bilinear", "expand"_a = false, "fill"_a = 0, Remembers());
  nb::class_<vision::RandomAffine, Transform>(m, "RandomAffine", "affine with drawn angle, shift (at most a share of the sides), scale and shear (degrees: d, (low, high), or both for x and y).")
      .def("__init__", [](vision::RandomAffine* t, nb::handle degrees, nb::handle translate, nb::handle scale, nb::handle shear, const std::string& interpolation, nb::handle fill) {
          Range sx{0, 0}, sy{0, 0};
          if (!shear.is_none() && !plain(shear)) {
            Numbers n = numbers_of("RandomAffine", shear);
            if (n.size() != 2 && n.size() != 4) throw Error(ErrorKind::value, "RandomAffine", "shear as one, two or four numbers", std::to_string(n.size()));
            sx = {n[0], n[1]};
            if (n.size() == 4) sy = {n[2], n[3]};
          } else {
            sx = around("RandomAffine", "shear", shear, 0, -HUGE_VAL);
          }
          new (t) vision::RandomAffine(around("RandomAffine", "degrees", degrees, 0, -HUGE_VAL), translate.is_none() ? Range{0, 0} : pair_of_numbers("RandomAffine", "translate", translate),
                                       scale.is_none() ? Range{1, 1} : pair_of_numbers("RandomAffine", "scale", scale), sx, sy, vision::parse_interpolation("RandomAffine", interpolation), numbers_of("RandomAffine", fill));
        }, "degrees"_a, "translate"_a = nb::none(), "scale"_a = nb::none(), "shear"_a = nb::none(), "interpolation"_a = "bilinear", "fill"_a = 0, Remembers());
  nb::class_<vision::ColorJitter, Transform>(m, "ColorJitter", "Brightness, contrast, saturation and hue in random order, by factors of (low, high), or d for (1 - d, 1 + d); hue d for (-d, d).")
      .def("__init__", [](vision::ColorJitter* t, nb::handle b, nb::handle c, nb::handle s, nb::handle h) {
          new (t) vision::ColorJitter(around("ColorJitter", "brightness", b, 1, 0), around("ColorJitter", "contrast", c, 1, 0), around("ColorJitter", "saturation", s, 1, 0), around("ColorJitter", "hue", h, 0, -HUGE_VAL));
        }, "brightness"_a = 0, "contrast"_a = 0, "saturation"_a = 0, "hue"_a = 0, Remembers());
  nb::class_<vision::GaussianBlur, Transform>(m, "GaussianBlur", "gaussian_blur with a drawn sigma.")
      .def("__init__", [](vision::GaussianBlur* t, int64_t size, nb::handle sigma) {
          Numbers n = numbers_of("GaussianBlur", sigma);
          if (n.size() != 1 && n.size() != 2) throw Error(ErrorKind::value, "GaussianBlur", "sigma as one number or (low, high)", std::to_string(n.size()));
          new (t) vision::GaussianBlur(size, {n[0], n.back()});
        }, "kernel_size"_a, "sigma"_a = nb::make_tuple(0.1, 2.0), Remembers());
  nb::class_<vision::RandomErasing, Transform>(m, "RandomErasing", "With chance p a rectangle becomes value: a number, one per channel, or 'random' noise. layout as in Normalize.")
      .def("__init__", [](vision::RandomErasing* t, double p, nb::handle scale, nb::handle ratio, nb::object value, std::optional<std::string> layout) {
          bool noise = nb::isinstance<nb::str>(value);
          if (noise && nb::cast<std::string>(value) != "random") throw Error(ErrorKind::value, "RandomErasing", "a value as numbers or 'random'", nb::cast<std::string>(nb::repr(value)));
          new (t) vision::RandomErasing(p, pair_of_numbers("RandomErasing", "scale", scale), pair_of_numbers("RandomErasing", "ratio", ratio), noise ? Numbers{} : numbers_of("RandomErasing", value), noise, layout_of("RandomErasing", layout));
        }, "p"_a = 0.5, "scale"_a = nb::make_tuple(0.02, 0.33), "ratio"_a = nb::make_tuple(0.3, 3.3), "value"_a = 0, "layout"_a = nb::none(), Remembers());
  nb::class_<vision::RandAugment, Transform>(m, "RandAugment", "num_ops of 14 operations on a uint8 image (Cubuk et al. 2019), with torchvision's ranges.")
      .def("__init__", [](vision::RandAugment* t, int num_ops, int magnitude, int bins, const std::string& interpolation, nb::handle fill) {
          new (t) vision::RandAugment(num_ops, magnitude, bins, vision::parse_interpolation("RandAugment", interpolation), numbers_of("RandAugment", fill));
        }, "num_ops"_a = 2, "magnitude"_a = 9, "num_magnitude_bins"_a = 31, "interpolation"_a = "nearest", "fill"_a = 0, Remembers());
}

}  // namespace

void bind_transforms(nb::module_& m) {
  using vision::Transform;
  nb::class_<Transform>(m, "Transform", nb::dynamic_attr(), "A step from image to image: arrays (height, width, channels), or Tensors.")
      .def("__call__", [](nb::handle self, nb::handle image) {
          Transform& t = base(self);
          return run(t, image, [&](const Tensor& x, vision::Layout layout) { return t(x, layout); });
        }, "image"_a)
      .def("replay", [](nb::handle self, nb::handle image, nb::handle params) {
          Transform& t = base(self);
          vision::Params p = params_of(params);
          return run(t, image, [&](const Tensor& x, vision::Layout layout) { return t.replay(x, p, layout); });
        }, "image"_a, "params"_a, "The call that drew params, on another image.")
      .def("manual_seed", [](nb::handle self, int64_t seed) {
          if (seed < 0) throw Error(ErrorKind::value, "manual_seed", "a seed of 0 or more", std::to_string(seed));
          base(self).manual_seed(uint64_t(seed));
          return nb::borrow(self);
        }, "seed"_a, "The calls from here on draw from seed; returns the transform.")
      .def_prop_ro("params", [](const Transform& t) { return params_object(t.params()); }, "What the last call drew: a dict, of Compose a list of them.")
      .def_prop_ro("_native", [](const Transform& t) { return dynamic_cast<const PythonStep*>(&t) == nullptr; })
      .def("__reduce__", [](nb::handle self) {
          nb::object again = nb::module_::import_("miniten.utils.vision._again").attr("again");
          return nb::make_tuple(again, nb::make_tuple(self.type(), self.attr("_made_from"), base(self).seed_state()));
        })
      .def("_set_seed_state", [](Transform& t, Transform::SeedState state) { t.set_seed_state(state); }, "state"_a)
      .def("__repr__", &Transform::text);
  nb::class_<vision::Compose, Transform>(m, "Compose", "Transforms, and other callables, one after the other.")
      .def("__init__", [](vision::Compose* t, nb::sequence transforms, std::optional<uint64_t> seed) {
          std::vector<vision::TransformRef> parts;
          bool after_tensor = false;
          for (nb::handle o : transforms) {
            if (nb::isinstance<Transform>(o)) parts.push_back(nb::cast<vision::TransformRef>(o));
            else if (PyCallable_Check(o.ptr())) parts.push_back(std::make_shared<PythonStep>(nb::borrow(o), after_tensor));
            else throw Error(ErrorKind::type, "Compose", "transforms and other callables", type_text(o));
            after_tensor = after_tensor || parts.back()->gives_tensor();
          }
          new (t) vision::Compose(std::move(parts), seed);
        }, "transforms"_a, "seed"_a = nb::none(), Remembers())
      .def_prop_ro("_native", [](const vision::Compose& t) {
          std::vector<const Transform*> open;
          for (auto& p : t.parts()) open.push_back(p.get());
          while (!open.empty()) {
            const Transform* p = open.back();
            open.pop_back();
            if (dynamic_cast<const PythonStep*>(p)) return false;
            if (auto* c = dynamic_cast<const vision::Compose*>(p)) for (auto& q : c->parts()) open.push_back(q.get());
          }
          return true;
        });
  bind_steps(m);
  m.def("with_preprocessing", [](nn::ModuleRef model, nb::object transforms, nb::object input_shape, nb::object input_dtype) {
      Dims shape = shape_of("with_preprocessing", input_shape);
      if (shape.rank == 3) shape = {1, shape[0], shape[1], shape[2]};
      Spec input{dtype_of("with_preprocessing", input_dtype), shape};
      if (nb::isinstance<Transform>(transforms)) return edge::with_preprocessing(*model, nb::cast<const Transform&>(transforms), input);
      std::vector<vision::TransformRef> parts;
      for (nb::handle t : nb::cast<nb::sequence>(transforms)) {
        if (!nb::isinstance<Transform>(t)) throw Error(ErrorKind::type, "with_preprocessing", "transforms of miniten.utils.vision", type_text(t));
        parts.push_back(nb::cast<vision::TransformRef>(t));
      }
      return edge::with_preprocessing(*model, vision::Compose(std::move(parts)), input);
    }, "model"_a, "transforms"_a, "input_shape"_a, "input_dtype"_a = "uint8",
    nb::sig("def with_preprocessing(model: Module, transforms: Transform | collections.abc.Sequence[Transform], input_shape: collections.abc.Sequence[int], input_dtype: typing.Any = 'uint8') -> GraphModule"),
    "The model behind the transforms of its pictures: takes them as they are loaded, (n, height, width, channels), and is exported with them. input_shape: (height, width, channels), or with n in front.");
  nb::class_<Key>(m, "_SampleKey")
      .def("__init__", [](Key* k, uint64_t seed, uint64_t epoch, uint64_t index) { new (k) Key{seed, epoch, index, nullptr}; }, "seed"_a, "epoch"_a, "index"_a)
      .def("__enter__", [](Key& k) { k.key = std::make_unique<vision::SampleKey>(k.seed, k.epoch, k.index); })
      .def("__exit__", [](Key& k, nb::handle, nb::handle, nb::handle) { k.key.reset(); }, "kind"_a.none(), "value"_a.none(), "trace"_a.none());
  m.def("_vision_mix", [](bool cut, ArrayLike images, ArrayLike labels, int64_t classes, double alpha, uint64_t seed, uint64_t stream) {
      const char* op = cut ? "CutMix" : "MixUp";
      Tensor x = images.tensor(op), y = labels.tensor(op);
      nb::gil_scoped_release release;
      Generator g(seed, stream);
      return cut ? vision::cutmix(x, y, classes, alpha, g) : vision::mixup(x, y, classes, alpha, g);
    }, "cut"_a, "images"_a, "labels"_a, "classes"_a, "alpha"_a, "seed"_a, "stream"_a);
}

}  // namespace miniten::python
