#include <cmath>
#include "cli/files.h"
#include "miniten/utils/vision.h"

namespace miniten::cli {

namespace {

namespace vision = utils::vision;

// Sizes of an input that takes pictures; height and width 0 where they are open.
struct Picture { bool channels_last; int64_t channels, height, width, batch; };
std::optional<Picture> picture_of(const Spec& s) {
  if (s.shape.rank != 4) return {};
  auto is_color = [](Dim d) { return d == 1 || d == 3 || d == 4; };
  auto size = [](Dim d) { return is_symbol(d) ? int64_t{0} : int64_t{d}; };
  bool last = is_color(s.shape[3]) && !(is_color(s.shape[1]) && s.shape[3] != 3);
  if (!last && !is_color(s.shape[1])) return {};
  return Picture{last, s.shape[last ? 3 : 1], size(s.shape[last ? 1 : 2]), size(s.shape[last ? 2 : 3]), size(s.shape[0])};
}

Tensor fitted(const Tensor& image, int64_t height, int64_t width, const std::string& fit) {
  int64_t h = image.dim(0), w = image.dim(1);
  if (h == height && w == width) return image;
  if (fit == "stretch") return vision::resize(image, height, width);
  double by_height = double(height) / double(h), by_width = double(width) / double(w);
  double scale = fit == "crop" ? std::max(by_height, by_width) : std::min(by_height, by_width);
  auto scaled = [&](int64_t n, int64_t limit) {
    int64_t s = std::llround(double(n) * scale);
    return fit == "crop" ? std::max(s, limit) : std::clamp<int64_t>(s, 1, limit);
  };
  Tensor small = vision::resize(image, scaled(h, height), scaled(w, width));
  if (fit == "crop") return vision::center_crop(small, height, width);
  int64_t down = height - small.dim(0), right = width - small.dim(1);
  return vision::pad(small, {right / 2, down / 2, right - right / 2, down - down / 2});
}

struct Scale { std::vector<double> mean, std; };
Scale scale_for(const Images& o, int64_t channels) {
  Scale s;
  if (o.normalize == "unit") s = {{0}, {1}};
  else if (o.normalize == "symmetric") s = {{0.5}, {0.5}};
  else if (o.normalize == "none") s = {{0}, {1.0 / 255}};
  else if (o.normalize == "imagenet") s = {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};
  else throw WrongUse{"--normalize wants unit, symmetric, imagenet or none, got \"" + o.normalize + "\""};
  if (!o.mean.empty()) s.mean = o.mean;
  if (!o.std.empty()) s.std = o.std;
  for (auto& [name, v] : {std::pair{"--mean", s.mean}, {"--std", s.std}})
    if (v.size() != 1 && int64_t(v.size()) != channels)
      throw WrongUse{std::string(name) + " has " + std::to_string(v.size()) + " numbers, the model takes pictures of " + std::to_string(channels) + " channel" + (channels == 1 ? "" : "s")};
  for (double d : s.std) if (!(d > 0)) throw WrongUse{"--std wants numbers above 0"};
  return s;
}

// Pixels as the input wants them: floats normalised, integers by their own scale where the file has one, else as bytes.
Tensor as_input(const Tensor& pixels, const Value& v, const Scale& scale) {
  DType want = v.spec.dtype;
  if (is_float(want)) return cast(vision::normalize(pixels, scale.mean, scale.std), want);
  if (const Quantized* q = v.quantized.get(); q && q->scale.size() == 1) {
    auto x = vision::normalize(pixels, scale.mean, scale.std).to_vector<float>();
    double low = want == DType::u8 ? 0 : want == DType::i8 ? -128 : -32768, high = want == DType::u8 ? 255 : want == DType::i8 ? 127 : 32767;
    for (float& f : x) f = float(std::clamp(std::nearbyint(double(f) / double(q->scale[0])) + double(q->zero[0]), low, high));
    return cast(Tensor::of<float>(pixels.shape(), x), want);
  }
  if (want == DType::i8) return cast(cast(pixels, DType::i16) - Tensor::of<int16_t>({1}, std::vector<int16_t>{128}), want);
  return cast(pixels, want);
}

}  // namespace

std::vector<Tensor> read_images(const nn::GraphModule& m, const Images& o) {
  if (o.fit != "crop" && o.fit != "stretch" && o.fit != "pad") throw WrongUse{"--fit wants crop, stretch or pad, got \"" + o.fit + "\""};
  const Graph& g = m.graph();
  std::optional<Picture> p;
  size_t at = 0;
  while (at < g.inputs.size() && !(p = picture_of(g.values[size_t(g.inputs[at])].spec))) ++at;
  if (!p) throw WrongUse{"--image wants an input of pictures, (batch, channels, height, width) or with channels last and 1, 3 or 4 of them; this model has none"};
  if (p->batch && p->batch != int64_t(o.files.size()))
    throw WrongUse{"input " + input_name(g, at) + " takes " + std::to_string(p->batch) + " picture" + (p->batch == 1 ? "" : "s") + " at once, --image is given " + std::to_string(o.files.size()) + " times"};
  Scale scale = scale_for(o, p->channels);
  std::vector<Tensor> batch;
  int64_t height = p->height, width = p->width;
  for (const std::string& path : o.files) {
    Tensor image;
    try {
      image = vision::load_image(path, {.mode = p->channels == 1 ? vision::ColorMode::gray : p->channels == 3 ? vision::ColorMode::rgb : vision::ColorMode::rgba});
    } catch (const Error& e) {
      throw WrongUse{"\"" + path + "\" cannot be used: " + e.what()};
    }
    if (!height) height = image.dim(0);                // open sizes: the first picture's
    if (!width) width = image.dim(1);
    Tensor x = as_input(fitted(image, height, width, o.fit), g.values[size_t(g.inputs[at])], scale);
    batch.push_back(p->channels_last ? x : permute(x, {2, 0, 1}));
  }
  std::vector<Tensor> inputs(g.inputs.size());
  inputs[at] = stack(batch, 0);
  return inputs;
}

}  // namespace miniten::cli
