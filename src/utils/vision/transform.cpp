#include "kernels/image.h"
#include "miniten/utils/data.h"
#include "miniten/utils/transforms.h"
#include "utils/vision/image.h"

namespace miniten::utils::vision {

namespace {
thread_local SampleKey* current_key = nullptr;

// (height, width, channels) as (channels, height, width), or back, in memory of its own.
Tensor moved(const Tensor& image, bool to_first) {
  if (image.rank() != 3) return image;
  View v = image.view();
  constexpr int first[] = {2, 0, 1}, last[] = {1, 2, 0};
  View source = v;
  for (int i = 0; i < 3; ++i) {
    int from = to_first ? first[i] : last[i];
    source.spec.shape[i] = v.spec.shape[from];
    source.strides[i] = v.strides[from];
  }
  Tensor out = Tensor::empty(source.spec);
  copy_values(source, out.view());
  return out;
}
}  // namespace

SampleKey::SampleKey(uint64_t seed, uint64_t epoch, uint64_t index) : outer_(current_key) {
  Philox4 p = philox(seed, epoch, index);
  seed_ = uint64_t{p.at[0]} << 32 | p.at[1];
  stream_ = uint64_t{p.at[2]} << 32 | p.at[3];
  current_key = this;
}
SampleKey::~SampleKey() { current_key = outer_; }
std::optional<Generator> SampleKey::next() {
  if (!current_key) return {};
  return Generator(current_key->seed_, current_key->stream_ + current_key->calls_++);
}

Params& Params::set(std::string name, std::vector<double> numbers) {
  values.emplace_back(std::move(name), std::move(numbers));
  return *this;
}
const std::vector<double>& Params::at(std::string_view name, size_t count) const {
  for (auto& [key, numbers] : values)
    if (key == name) {
      if (numbers.size() < count) throw Error(ErrorKind::value, "replay", std::to_string(count) + " numbers as " + std::string(name), std::to_string(numbers.size()));
      return numbers;
    }
  throw Error(ErrorKind::value, "replay", "params with " + std::string(name), "none", "pass what .params gave after a call of the same transform");
}

Layout parse_layout(std::string_view op, std::string_view name) {
  if (name == "hwc") return Layout::hwc;
  if (name == "chw") return Layout::chw;
  throw Error(ErrorKind::value, op, "a layout of 'hwc', 'chw'", "'" + std::string(name.substr(0, 40)) + "'");
}

Tensor Transform::operator()(const Tensor& image, Layout layout) {
  std::optional<Generator> g = SampleKey::next();
  if (!g) {
    if (!seeded_) {
      std::lock_guard guard(lock_);
      if (!seeded_) {
        seed_ = data::draw_seed();
        seeded_ = true;
      }
    }
    g = Generator(seed_, calls_++);
  }
  Params drawn;
  Tensor out = call(image, layout, *g, drawn);
  std::lock_guard guard(lock_);
  last_ = std::move(drawn);
  return out;
}
Tensor Transform::replay(const Tensor& image, const Params& params, Layout layout) const { return repeat(image, layout, params); }
Params Transform::params() const {
  std::lock_guard guard(lock_);
  return last_;
}
void Transform::manual_seed(uint64_t seed) {
  std::lock_guard guard(lock_);
  seed_ = seed;
  calls_ = 0;
  seeded_ = true;
}

Tensor Transform::call(const Tensor& image, Layout& layout, Generator& g, Params& drawn) const {
  if (!image) throw Error(ErrorKind::type, text(), "an image", "none");
  bool first = channels_first(layout);
  Tensor x = first ? moved(image, false) : image;
  drawn = draw(x.spec(), g);
  Tensor out = apply(x, drawn);
  layout = first ? Layout::chw : Layout::hwc;
  return first ? moved(out, true) : out;
}
Tensor Transform::repeat(const Tensor& image, Layout& layout, const Params& params) const {
  if (!image) throw Error(ErrorKind::type, text(), "an image", "none");
  bool first = channels_first(layout);
  Tensor out = apply(first ? moved(image, false) : image, params);
  layout = first ? Layout::chw : Layout::hwc;
  return first ? moved(out, true) : out;
}

Compose::Compose(std::vector<TransformRef> parts, std::optional<uint64_t> seed) : parts_(std::move(parts)) {
  for (auto& p : parts_) if (!p) throw Error(ErrorKind::type, "Compose", "transforms", "a null one");
  if (seed) manual_seed(*seed);
  for (size_t i = 0; i < parts_.size(); ++i) {
    auto* next = i + 1 < parts_.size() && dynamic_cast<ToTensor*>(parts_[i].get()) ? dynamic_cast<Normalize*>(parts_[i + 1].get()) : nullptr;
    normalize_.push_back(next && next->channels_first(Layout::chw) ? next : nullptr);
  }
}
std::string Compose::text() const {
  std::string out = "Compose([";
  for (size_t i = 0; i < parts_.size(); ++i) out += (i ? ", " : "") + parts_[i]->text();
  return out + "])";
}
Tensor Compose::call(const Tensor& image, Layout& layout, Generator& g, Params& drawn) const {
  Tensor x = image;
  drawn.parts.resize(parts_.size());
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (normalize_[i] && x && x.dtype() == DType::u8 && layout != Layout::chw) {
      x = normalize_[i++]->after_to_tensor(x);
      layout = Layout::chw;
    } else {
      x = parts_[i]->call(x, layout, g, drawn.parts[i]);
    }
  }
  return x;
}
Tensor Compose::repeat(const Tensor& image, Layout& layout, const Params& params) const {
  if (params.parts.size() != parts_.size())
    throw Error(ErrorKind::value, "replay", "params of " + std::to_string(parts_.size()) + " transforms", std::to_string(params.parts.size()));
  Tensor x = image;
  for (size_t i = 0; i < parts_.size(); ++i) x = parts_[i]->repeat(x, layout, params.parts[i]);
  return x;
}
bool Compose::gives_tensor() const {
  for (auto& p : parts_) if (p->gives_tensor()) return true;
  return false;
}

Params SimpleTransform::draw(const Spec& image, Generator& g) const {
  if (!steps_.draw) return {};
  const Shape& s = image.shape;
  if (s.rank != 2 && s.rank != 3) throw Error(ErrorKind::value, steps_.text, "an image (height, width, channels) or (height, width)", image.text());
  for (Dim d : s) if (d < 1) throw Error(ErrorKind::value, steps_.text, "an image of one pixel and one channel or more", image.text());
  return steps_.draw(s[0], s[1], s.rank == 3 ? s[2] : 1, g);
}

// ---- to and from networks ----
Tensor ToTensor::apply(const Tensor& image, const Params&) const {
  Pixels p = pixels_of("ToTensor", image);
  bool wide = p.dtype() == DType::f64;
  Tensor out = Tensor::empty({wide ? DType::f64 : DType::f32, {p.c, p.h, p.w}});
  int64_t n = p.h * p.w;
  if (p.dtype() == DType::u8) {
    std::vector<float> one(size_t(p.c), 1.0f), none(size_t(p.c), 0.0f);
    kernels::image_planes(p.as<uint8_t>(), p.c, one.data(), none.data(), out.view().f32(), n);
    return out;
  }
  visit_pixels(p.dtype(), [&](auto t) {
    using T = decltype(t);
    using Out = Wide<T>;
    const T* x = p.as<T>();
    Out* y = out.view().as<Out>();
    for (int64_t c = 0; c < p.c; ++c)
      for (int64_t i = 0; i < n; ++i) *y++ = std::is_integral_v<T> ? Out(x[i * p.c + c]) / Out(range_of(p.dtype())) : Out(x[i * p.c + c]);
  });
  return out;
}
Tensor ToTensor::repeat(const Tensor& image, Layout& layout, const Params& params) const {
  Tensor out = apply(layout == Layout::chw ? moved(image, false) : image, params);
  layout = Layout::chw;
  return out;
}
Tensor ToTensor::call(const Tensor& image, Layout& layout, Generator&, Params& drawn) const { return repeat(image, layout, drawn); }

namespace {
// (n, height, width[, channels]) of uint8 as planes; fill makes the channels' scale and shift.
template <class F> Tensor planes_of_batch(const Tensor& images, F fill) {
  if (!images || images.dtype() != DType::u8 || images.rank() < 3 || images.rank() > 4 || images.numel() == 0) return {};
  Tensor x = images.view().is_contiguous() ? images : images.clone();
  int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.rank() == 4 ? x.dim(3) : 1;
  std::vector<float> scale, shift;
  fill(c, h, w, scale, shift);
  Tensor out = Tensor::empty({DType::f32, {n, c, h, w}});
  const uint8_t* from = x.view().as<uint8_t>();
  float* to = out.view().f32();
  for (int64_t i = 0, size = c * h * w; i < n; ++i) kernels::image_planes(from + i * size, c, scale.data(), shift.data(), to + i * size, h * w);
  return out;
}
std::string list_text(const std::vector<double>& v) {
  std::string out = "[";
  for (size_t i = 0; i < v.size(); ++i) {
    char number[32];
    std::snprintf(number, sizeof number, "%s%g", i ? ", " : "", v[i]);
    out += number;
  }
  return out + "]";
}
}  // namespace

Tensor ToTensor::on_batch(const Tensor& images) const {
  return planes_of_batch(images, [](int64_t c, int64_t, int64_t, auto& scale, auto& shift) {
    scale.assign(size_t(c), 1.0f);
    shift.assign(size_t(c), 0.0f);
  });
}
bool Compose::takes_batches() const { return parts_.size() == 1 ? parts_[0]->takes_batches() : parts_.size() == 2 && normalize_[0]; }
Tensor Compose::on_batch(const Tensor& images) const {
  if (!takes_batches()) return {};
  if (parts_.size() == 1) return parts_[0]->on_batch(images);
  return planes_of_batch(images, [&](int64_t c, int64_t h, int64_t w, auto& scale, auto& shift) { normalize_[0]->check_and_fill(c, h, w, scale, shift); });
}

Normalize::Normalize(std::vector<double> mean, std::vector<double> std, Layout layout) : mean_(std::move(mean)), std_(std::move(std)), layout_(layout) {
  if (mean_.empty() || std_.empty()) throw Error(ErrorKind::value, "Normalize", "a mean and a std", "none");
  for (double s : std_) if (!(std::abs(s) > 0) || !std::isfinite(s)) throw Error(ErrorKind::value, "Normalize", "a finite std other than 0", std::to_string(s));
}
std::string Normalize::text() const { return "Normalize(" + list_text(mean_) + ", " + list_text(std_) + ")"; }
void Normalize::check_channels(int64_t channels, int64_t h, int64_t w) const {
  for (auto* v : {&mean_, &std_})
    if (v->size() != 1 && int64_t(v->size()) != channels)
      throw Error(ErrorKind::value, "Normalize", "an image of " + std::to_string(v->size()) + " channels", std::to_string(channels) + " channels in " + std::to_string(h) + " x " + std::to_string(w) + " pixels",
                  "after ToTensor the channels come first; pass layout='hwc' or 'chw' where it stands alone");
}
Tensor Normalize::apply(const Tensor& image, const Params&) const {
  Pixels p = pixels_of("Normalize", image);
  check_channels(p.c, p.h, p.w);
  return normalize(image, mean_, std_);
}
Tensor Normalize::call(const Tensor& image, Layout& layout, Generator&, Params& drawn) const { return repeat(image, layout, drawn); }
// Planes, as ToTensor gives them, need no turning.
Tensor Normalize::repeat(const Tensor& image, Layout& layout, const Params& params) const {
  if (!image || !channels_first(layout) || image.rank() != 3 || image.dtype() != DType::f32 || image.numel() == 0) return Transform::repeat(image, layout, params);
  layout = Layout::chw;
  int64_t c = image.dim(0), n = image.dim(1) * image.dim(2);
  check_channels(c, image.dim(1), image.dim(2));
  Tensor x = image.view().is_contiguous() ? image : image.clone(), out = Tensor::empty(image.spec());
  const float* from = x.view().f32();
  float* to = out.view().f32();
  for (int64_t k = 0; k < c; ++k) {
    auto [scale, shift] = steps(k);
    kernels::image_scale(from + k * n, &scale, &shift, 1, to + k * n, n);
  }
  return out;
}
std::pair<float, float> Normalize::steps(int64_t channel) const {
  double std = std_[std_.size() == 1 ? 0 : size_t(channel)], mean = mean_[mean_.size() == 1 ? 0 : size_t(channel)];
  return {float(1 / std), float(-mean / std)};
}
void Normalize::check_and_fill(int64_t channels, int64_t h, int64_t w, std::vector<float>& scale, std::vector<float>& shift) const {
  check_channels(channels, h, w);
  for (int64_t k = 0; k < channels; ++k) {
    auto [a, b] = steps(k);
    scale.push_back(a);
    shift.push_back(b);
  }
}
Tensor Normalize::after_to_tensor(const Tensor& image) const {
  Pixels p = pixels_of("ToTensor", image);
  std::vector<float> scale, shift;
  check_and_fill(p.c, p.h, p.w, scale, shift);
  Tensor out = Tensor::empty({DType::f32, {p.c, p.h, p.w}});
  kernels::image_planes(p.as<uint8_t>(), p.c, scale.data(), shift.data(), out.view().f32(), p.h * p.w);
  return out;
}

}  // namespace miniten::utils::vision
