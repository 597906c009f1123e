#pragma once
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include "miniten/base/random.h"
#include "miniten/core/tensor.h"

// Images are tensors (height, width, channels) or (height, width) of uint8, uint16, float32 or float64; float images are
// meant to lie in [0, 1]. Results have the image's rank and dtype unless said otherwise; integers are rounded to nearest
// and saturated. No function changes its image. Axis and range follow from these rules alone, never from the content.
namespace miniten::utils::vision {

// ---- files ----
enum class ColorMode { rgb, rgba, gray, unchanged };
ColorMode parse_color_mode(std::string_view op, std::string_view name);

struct LoadOptions {
  ColorMode mode = ColorMode::rgb;             // unchanged: the file's channels, palettes expanded, 16 bits as uint16
  bool exif_orientation = true;                // turn the picture as its EXIF entry says
  int64_t max_pixels = int64_t{1} << 28;       // larger pictures are refused before memory is taken
};
// PNG (1 to 16 bits, palettes, alpha, interlaced), JPEG (baseline, progressive, grey, CMYK), GIF (the first frame), BMP, PPM and PGM,
// told by their first bytes -> uint8 (height, width, channels), or uint16 for 16-bit files with `unchanged`.
// Throws ErrorKind::io for a file that cannot be read, ErrorKind::value for one that is no whole picture.
Tensor load_image(const std::string& path, const LoadOptions& = {});
Tensor decode_image(std::span<const std::byte> file, const LoadOptions& = {});

struct SaveOptions {
  int quality = 95;                            // JPEG, 1 to 100
  int compression = 6;                         // PNG, 0 to 9
};
// The format by the path's ending, or by name: png, jpg, jpeg, bmp, ppm, pgm. Floats in [0, 1] become uint8; PNG, PPM and
// PGM take uint16 as it is. JPEG and BMP of uint16, and an alpha channel in JPEG, PPM or PGM, are refused.
void save_image(const Tensor& image, const std::string& path, const SaveOptions& = {});
std::vector<std::byte> encode_image(const Tensor& image, std::string_view format, const SaveOptions& = {});

// ---- size ----
enum class Interpolation { nearest, bilinear, bicubic, area, lanczos };
Interpolation parse_interpolation(std::string_view op, std::string_view name);
enum class Like { none, pil, cv2, tflite };
Like parse_like(std::string_view op, std::string_view name);

struct ResizeOptions {
  Interpolation interpolation = Interpolation::bilinear;
  std::optional<bool> antialias;               // default: wherever an axis shrinks, unless `like` says otherwise
  Like like = Like::none;
};
// Half-pixel centres. Antialiased filters (triangle; Keys' cubic with a = -0.5; Lanczos of 3 lobes) are cut at the border
// and normalised, as in Pillow; without antialias the border pixel is repeated and the cubic has a = -0.75, as in torch.
// area: the mean over the exact rectangle. like: pil: Pillow's filters, rounded to 8 bits between passes; cv2: OpenCV's
// (never antialiased, nearest without half-pixel centres, Lanczos of 4 lobes); tflite: never antialiased, nearest and
// bilinear only. Channels are independent: alpha is a channel like others.
Tensor resize(const Tensor& image, int64_t height, int64_t width, const ResizeOptions& = {});

// ---- geometry ----
Tensor crop(const Tensor& image, int64_t top, int64_t left, int64_t height, int64_t width);   // must lie inside
Tensor center_crop(const Tensor& image, int64_t height, int64_t width);                       // torchvision's offsets; must fit
Tensor random_crop(const Tensor& image, int64_t height, int64_t width, Generator&);
enum class Border { constant, replicate, reflect, reflect101, wrap };                         // reflect: edge repeated; 101: not
Border parse_border(std::string_view op, std::string_view name);
struct Padding { int64_t left = 0, top = 0, right = 0, bottom = 0; };
using Fill = std::span<const double>;          // one value, or one per channel; empty: 0
Tensor pad(const Tensor& image, const Padding&, Fill = {}, Border = Border::constant);
Tensor flip_horizontal(const Tensor& image);
Tensor flip_vertical(const Tensor& image);
Tensor random_flip(const Tensor& image, bool horizontal, bool vertical, Generator&);          // each with chance 1/2

struct WarpOptions {
  Interpolation interpolation = Interpolation::bilinear;   // nearest, bilinear or bicubic (a = -1, as Pillow's)
  Fill fill;                                   // where the source has no pixel
};
// out(y, x) = image at m * (x + 0.5, y + 0.5, 1), a row-major 3x3 matrix from output to source coordinates.
Tensor warp(const Tensor& image, const std::array<double, 9>& m, int64_t height, int64_t width, const WarpOptions& = {});
// Counter-clockwise by degrees around the centre, or around (x, y). expand: large enough to hold the whole picture.
Tensor rotate(const Tensor& image, double degrees, bool expand = false, const WarpOptions& = {},
              std::optional<std::array<double, 2>> center = {});
// torchvision's: clockwise degrees, shift in pixels, scale > 0, shear in degrees, around the centre or (x, y).
struct Affine { double degrees = 0; std::array<double, 2> translate = {0, 0}; double scale = 1; std::array<double, 2> shear = {0, 0}; };
Tensor affine(const Tensor& image, const Affine&, const WarpOptions& = {}, std::optional<std::array<double, 2>> center = {});
using Corners = std::array<std::array<double, 2>, 4>;      // (x, y), any order but the same in both
Tensor perspective(const Tensor& image, const Corners& start, const Corners& end, const WarpOptions& = {});

// ---- colour ----
// (image / range - mean) / std per channel, where range is 255 for uint8, 65535 for uint16 and 1 for floats; one value or
// one per channel. float32, or float64 for float64. denormalize is its inverse on floats: image * std + mean.
Tensor normalize(const Tensor& image, std::span<const double> mean, std::span<const double> std);
Tensor denormalize(const Tensor& image, std::span<const double> mean, std::span<const double> std);
// 0.299 R + 0.587 G + 0.114 B -> (height, width, channels), channels 1 or 3; a grey image stays grey; alpha is dropped.
Tensor to_grayscale(const Tensor& image, int channels = 1);
// torchvision's, on 1, 3 or 4 channels (alpha is kept). factor >= 0; hue in [-0.5, 0.5] of the circle.
Tensor adjust_brightness(const Tensor& image, double factor);
Tensor adjust_contrast(const Tensor& image, double factor);
Tensor adjust_saturation(const Tensor& image, double factor);
Tensor adjust_hue(const Tensor& image, double shift);
Tensor random_brightness(const Tensor& image, double max_delta, Generator&);           // factor in [1 - max_delta, 1 + max_delta]
Tensor random_contrast(const Tensor& image, double lower, double upper, Generator&);
Tensor invert(const Tensor& image);
Tensor posterize(const Tensor& image, int bits);                                       // uint8, 1 to 8 bits
Tensor solarize(const Tensor& image, double threshold);                                // inverts values >= threshold
Tensor autocontrast(const Tensor& image);                                              // each channel over its whole range

// ---- filters ----
// sigma > 0; kernel_size odd, or 0: OpenCV's choice, about 6 sigma + 1 for integers and 8 sigma + 1 for floats.
Tensor gaussian_blur(const Tensor& image, double sigma = 1.0, int64_t kernel_size = 0, Border = Border::reflect101);
// Unscaled 3x3 kernels per channel. direction 'x', 'y', or '\0': sqrt(gx^2 + gy^2). float32, or float64 for float64.
Tensor sobel_filter(const Tensor& image, char direction = '\0', Border = Border::reflect101);
struct CannyOptions {
  double sigma = 1.4;                          // of the blur before it; 0: none, OpenCV's own behaviour
  bool l2 = false;                             // gradient by sqrt(gx^2 + gy^2), else |gx| + |gy|
};
// Canny (1986) as OpenCV computes it: 3x3 Sobel with repeated borders, the strongest channel, 8-connected hysteresis.
// Thresholds are in the image's units after the unscaled Sobel. uint8 (height, width[, 1]) of 0 and 255.
Tensor canny_edge_detection(const Tensor& image, double low_threshold, double high_threshold, const CannyOptions& = {});
Tensor histogram_equalize(const Tensor& image);                                        // uint8, each channel by OpenCV's formula
// Otsu's threshold of a uint8 image of one channel: the last grey level of the lower class.
double otsu_threshold(const Tensor& image);
// uint8 0 and 255: 255 where image > value; without value, uint8 images take Otsu's.
Tensor threshold(const Tensor& image, std::optional<double> value = {});

}  // namespace miniten::utils::vision
