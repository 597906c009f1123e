#pragma once
#include <cmath>
#include "miniten/base/random.h"
#include "miniten/nn/functional.h"
#include "miniten/nn/module.h"

// What constructors and forwards of layers share: initial values, checks, text.
namespace miniten::nn {

inline Tensor uniform_values(const Shape& shape, double bound) {
  Tensor t = Tensor::empty({DType::f32, shape});
  for (int64_t i = 0; i < t.numel(); ++i) t.view().f32()[i] = float((2.0 * default_generator().uniform() - 1.0) * bound);
  return t;
}
inline Tensor normal_values(const Shape& shape, double std = 1) {
  Tensor t = Tensor::empty({DType::f32, shape});
  for (int64_t i = 0; i < t.numel(); ++i) t.view().f32()[i] = float(double(default_generator().normal()) * std);
  return t;
}
inline const Tensor& only(const Module& m, const std::vector<Tensor>& in) {
  if (in.size() != 1) throw Error(ErrorKind::value, m.type_name(), "one input", std::to_string(in.size()));
  return in[0];
}
inline const Tensor& images(const Module& m, const std::vector<Tensor>& in) {
  if (int r = only(m, in).rank(); r != 3 && r != 4) throw Error(ErrorKind::value, m.type_name(), "input (N, C, H, W) or (C, H, W)", in[0].shape().text());
  return in[0];
}
// Padding of the last axes, two or four widths, as before and after.
inline Dims both_sides(const Dims& p) { return p.rank == 2 ? Dims{p[0], p[1], p[0], p[1]} : p; }
inline Tensor bordered(const Tensor& x, const Dims& before, const Dims& after, const std::string& mode) {
  if (x.rank() < before.rank) return x;    // the layer's function refuses it
  Dims low = Dims::filled(x.rank(), 0), high = low;
  for (int i = 1; i <= before.rank; ++i) { low[-i] = before[-i]; high[-i] = after[-i]; }
  return functional::pad(x, low, high, functional::pad_mode(mode));
}
inline std::string mode_text(const std::string& mode) { return mode == "zeros" ? "" : ", padding_mode=" + mode; }
inline std::string pair_text(const Dims& d) { return "(" + std::to_string(d[0]) + ", " + std::to_string(d[1]) + ")"; }
inline void require_positive(const char* layer, const char* name, int64_t value) {
  if (value < 1) throw Error(ErrorKind::value, layer, std::string(name) + " of at least 1", std::to_string(value));
}
inline std::string number(double x) {      // as Python writes it
  for (int digits = 1; digits <= 17; ++digits) {
    char text[40];
    std::snprintf(text, sizeof text, "%.*g", digits, x);
    if (std::strtod(text, nullptr) != x) continue;
    std::string s = text;
    return s.find_first_of(".en") == s.npos ? s + ".0" : s;
  }
  return std::to_string(x);
}
inline const char* truth(bool b) { return b ? "True" : "False"; }

}  // namespace miniten::nn
