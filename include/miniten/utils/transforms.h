#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <tuple>
#include "miniten/utils/vision.h"

// Steps from image to image, as torchvision names them. A random step draws from a generator of its own (manual_seed), or,
// inside a SampleKey, from that sample's; what it drew can be seen and repeated.
namespace miniten::utils::vision {

// While it lives, the transforms that this thread calls draw from (seed, epoch, index) alone: the same numbers for any
// number of threads, whichever takes the sample.
class SampleKey {
 public:
  SampleKey(uint64_t seed, uint64_t epoch, uint64_t index);
  ~SampleKey();
  SampleKey(const SampleKey&) = delete;
  SampleKey& operator=(const SampleKey&) = delete;
  static std::optional<Generator> next();      // of this thread's innermost key; one for each call

 private:
  uint64_t seed_, stream_, calls_ = 0;
  SampleKey* outer_;
};

// What one call drew: numbers by name, and of Compose those of each part.
struct Params {
  std::vector<std::pair<std::string, std::vector<double>>> values;
  std::vector<Params> parts;
  Params& set(std::string name, std::vector<double> numbers);
  const std::vector<double>& at(std::string_view name, size_t count = 1) const;   // throws where it is missing or shorter
  double number(std::string_view name) const { return at(name)[0]; }
  bool operator==(const Params&) const = default;
};

// hwc: (height, width[, channels]), chw: (channels, height, width). automatic: chw for Normalize and RandomErasing, which
// stand after ToTensor, and hwc for all others. Compose hands on what it knows.
enum class Layout { automatic, hwc, chw };
Layout parse_layout(std::string_view op, std::string_view name);

// Pictures of one size inside a graph: floats (n, channels, height, width). One unit is 1 / range; `whole`: each step rounds
// to units, as on integers; `scaled`: ToTensor or Normalize stands before.
struct Pictures { Tensor x; double range = 1; bool whole = false, scaled = false; };

class Transform {
 public:
  virtual ~Transform() = default;
  virtual std::string text() const = 0;                              // "RandomCrop((24, 24), padding=(4, 4, 4, 4))"
  Tensor operator()(const Tensor& image, Layout = Layout::automatic);
  Tensor replay(const Tensor& image, const Params&, Layout = Layout::automatic) const;
  Params params() const;                                             // of the last operator()
  void manual_seed(uint64_t seed);                                   // the n-th call from here on draws from (seed, n)

  using SeedState = std::tuple<bool, uint64_t, uint64_t>;            // whether it has a seed, the seed, calls so far
  SeedState seed_state() const { return {seeded_, seed_, calls_}; }
  void set_seed_state(const SeedState& s) { std::tie(seeded_, seed_, calls_) = s; }

  // The call itself, without state: draws from the generator, says what it drew and how the result lies.
  virtual Tensor call(const Tensor& image, Layout&, Generator&, Params& drawn) const;
  virtual Tensor repeat(const Tensor& image, Layout&, const Params&) const;
  // The same with ops alone, to be traced in front of a model. Throws ErrorKind::unsupported where it draws or has no such form.
  virtual Pictures on_pictures(const Pictures&) const;
  // Of uint8 images (n, height, width[, channels]) at once what call gives of each, or a null tensor where they are taken singly.
  virtual Tensor on_batch(const Tensor&) const { return {}; }
  virtual bool takes_batches() const { return false; }               // has on_batch, and draws nothing
  virtual bool gives_tensor() const { return false; }                // in Python: a Tensor whatever came in

 protected:
  virtual Params draw(const Spec&, Generator&) const { return {}; }  // for an image (height, width, channels)
  virtual Tensor apply(const Tensor& image, const Params&) const = 0;
  virtual bool channels_first(Layout layout) const { return layout == Layout::chw; }

 private:
  std::atomic<uint64_t> seed_ = 0, calls_ = 0;
  std::atomic<bool> seeded_ = false;
  mutable std::mutex lock_;
  Params last_;
};
using TransformRef = std::shared_ptr<Transform>;

class Compose : public Transform {
 public:
  explicit Compose(std::vector<TransformRef> parts, std::optional<uint64_t> seed = {});
  std::string text() const override;
  Tensor call(const Tensor&, Layout&, Generator&, Params&) const override;
  Tensor repeat(const Tensor&, Layout&, const Params&) const override;
  Pictures on_pictures(const Pictures&) const override;
  Tensor on_batch(const Tensor&) const override;
  bool takes_batches() const override;
  bool gives_tensor() const override;
  const std::vector<TransformRef>& parts() const { return parts_; }

 protected:
  Tensor apply(const Tensor& image, const Params&) const override { return image; }

 private:
  std::vector<TransformRef> parts_;
  std::vector<const class Normalize*> normalize_;                    // for each part, what follows it where both are one step on bytes
};

// A transform given by what it does; how every class below is made.
struct Steps {
  std::string text;
  std::function<Params(int64_t h, int64_t w, int64_t c, Generator&)> draw;       // empty: nothing is drawn
  std::function<Tensor(const Tensor&, const Params&)> apply;
  std::function<Pictures(const Pictures&)> on_pictures = nullptr;                // empty: has no form in a graph
};
class SimpleTransform : public Transform {
 public:
  explicit SimpleTransform(Steps steps) : steps_(std::move(steps)) {}
  std::string text() const override { return steps_.text; }
  Pictures on_pictures(const Pictures& p) const override { return steps_.on_pictures ? steps_.on_pictures(p) : Transform::on_pictures(p); }

 protected:
  Params draw(const Spec&, Generator&) const override;
  Tensor apply(const Tensor& image, const Params& p) const override { return steps_.apply(image, p); }

 private:
  Steps steps_;
};

using Range = std::array<double, 2>;
// One size for the shorter side, or height and width.
struct TargetSize { int64_t height = 0, width = 0; };                // width 0: the shorter side becomes `height`

// uint8 / 255, uint16 / 65535, floats as they are -> float (channels, height, width).
struct ToTensor : Transform {
  std::string text() const override { return "ToTensor()"; }
  Tensor call(const Tensor&, Layout&, Generator&, Params&) const override;
  Tensor repeat(const Tensor&, Layout&, const Params&) const override;
  Pictures on_pictures(const Pictures&) const override;
  Tensor on_batch(const Tensor&) const override;
  bool takes_batches() const override { return true; }
  bool gives_tensor() const override { return true; }

 protected:
  Tensor apply(const Tensor& image, const Params&) const override;
};
// (image - mean) / std of floats by channel; integers are brought to [0, 1] first, as `normalize` does.
class Normalize : public Transform {
 public:
  Normalize(std::vector<double> mean, std::vector<double> std, Layout = Layout::automatic);
  std::string text() const override;
  Tensor call(const Tensor&, Layout&, Generator&, Params&) const override;
  Tensor repeat(const Tensor&, Layout&, const Params&) const override;
  Pictures on_pictures(const Pictures&) const override;

 protected:
  Tensor apply(const Tensor& image, const Params&) const override;
  bool channels_first(Layout layout) const override { return layout_ == Layout::automatic ? layout != Layout::hwc : layout_ == Layout::chw; }

 private:
  friend class Compose;
  void check_channels(int64_t channels, int64_t h, int64_t w) const;
  std::pair<float, float> steps(int64_t channel) const;             // scale and shift
  void check_and_fill(int64_t channels, int64_t h, int64_t w, std::vector<float>& scale, std::vector<float>& shift) const;
  Tensor after_to_tensor(const Tensor& image) const;                 // of a uint8 image (height, width[, channels]): the same bits
  std::vector<double> mean_, std_;
  Layout layout_;
};
// With chance p a rectangle of `scale` of the area and sides in `ratio` becomes `value` (one number or one a channel), or
// noise where noise is true: normal for floats, uniform for integers.
class RandomErasing : public SimpleTransform {
 public:
  explicit RandomErasing(double p = 0.5, Range scale = {0.02, 0.33}, Range ratio = {0.3, 3.3}, std::vector<double> value = {}, bool noise = false, Layout = Layout::automatic);

 protected:
  bool channels_first(Layout layout) const override { return layout_ == Layout::automatic ? layout != Layout::hwc : layout_ == Layout::chw; }

 private:
  Layout layout_;
};
struct Resize : SimpleTransform { explicit Resize(TargetSize size, const ResizeOptions& = {}); };
struct Grayscale : SimpleTransform { explicit Grayscale(int channels = 1); };   // to_grayscale
struct CenterCrop : SimpleTransform { CenterCrop(int64_t height, int64_t width); };
struct Pad : SimpleTransform { explicit Pad(Padding, std::vector<double> fill = {}, Border = Border::constant); };
struct RandomCrop : SimpleTransform {                                // pad_if_needed: where the image is smaller than the size
  RandomCrop(int64_t height, int64_t width, Padding = {}, bool pad_if_needed = false, std::vector<double> fill = {}, Border = Border::constant);
};
struct RandomResizedCrop : SimpleTransform {                         // ten tries, then the middle, as torchvision
  RandomResizedCrop(int64_t height, int64_t width, Range scale = {0.08, 1}, Range ratio = {3.0 / 4, 4.0 / 3}, const ResizeOptions& = {});
};
struct RandomHorizontalFlip : SimpleTransform { explicit RandomHorizontalFlip(double p = 0.5); };
struct RandomVerticalFlip : SimpleTransform { explicit RandomVerticalFlip(double p = 0.5); };
struct RandomGrayscale : SimpleTransform { explicit RandomGrayscale(double p = 0.1); };
struct RandomRotation : SimpleTransform {
  explicit RandomRotation(Range degrees, Interpolation = Interpolation::bilinear, bool expand = false, std::vector<double> fill = {});
};
struct RandomAffine : SimpleTransform {                              // translate: largest shift as a share of width and height
  explicit RandomAffine(Range degrees, Range translate = {0, 0}, Range scale = {1, 1}, Range shear_x = {0, 0}, Range shear_y = {0, 0},
                        Interpolation = Interpolation::bilinear, std::vector<double> fill = {});
};
// Factors drawn from the ranges, applied in random order; a range of {1, 1}, hue {0, 0}, does nothing.
struct ColorJitter : SimpleTransform { explicit ColorJitter(Range brightness = {1, 1}, Range contrast = {1, 1}, Range saturation = {1, 1}, Range hue = {0, 0}); };
struct GaussianBlur : SimpleTransform { explicit GaussianBlur(int64_t kernel_size, Range sigma = {0.1, 2}); };
// Cubuk et al. 2019: num_ops of 14 operations, at magnitude of bins; for uint8 images.
struct RandAugment : SimpleTransform { explicit RandAugment(int num_ops = 2, int magnitude = 9, int bins = 31, Interpolation = Interpolation::nearest, std::vector<double> fill = {}); };

// Batches: images (n, ...) of floats, labels (n) of int64 or (n, classes) of floats -> mixed images and float labels.
// A share drawn from Beta(alpha, alpha) and one permutation for the batch (Zhang et al. 2018; Yun et al. 2019).
std::pair<Tensor, Tensor> mixup(const Tensor& images, const Tensor& labels, int64_t classes, double alpha, Generator&);
std::pair<Tensor, Tensor> cutmix(const Tensor& images, const Tensor& labels, int64_t classes, double alpha, Generator&);   // images (n, channels, height, width)

}  // namespace miniten::utils::vision
