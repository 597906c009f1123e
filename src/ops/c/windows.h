#pragma once
#include <cmath>
#include <functional>
#include "core/c_loops.h"
#include "ops/c/packed.h"
#include "ops/conv_geometry.h"

namespace miniten::c {

// struct conv and the function that copies one output's window of the input; for element type t.
void define_conv(CWriter&);
std::string define_window(CWriter&, DType t);
// The walk of a depthwise convolution: `channels` is run with `from` at an output's first tap, `row` and `column` the strides of
// taps. typed puts in the types; @T is the input's. -> its name
std::string define_depthwise(CWriter&, const std::string& suffix, DType t, const std::string& parameters, std::string_view fill, std::string_view channels, const std::function<std::string(std::string_view)>& typed);
std::string conv_record(CWriter&, const ConvGeometry&, std::string_view more = "");   // "&name"
bool is_product(const ConvGeometry&);                                                 // 1 x 1, stride 1, no padding, one group: rows times weights

// Products of rows with constant weights, float32.
std::string define_dense(CWriter&, const WeightForm& = {});
std::string define_dense_rows(CWriter&, const WeightForm&);
std::vector<float> blocks_of_four(const std::vector<float>& w, int64_t n, int64_t k);
std::string store_dense(CWriter&, const WeightForm&, const std::vector<float>& w, int64_t n, int64_t k, const char* hint);   // as dense_f32 of that form reads it
void write_batches(CWriter&, const CCall&, const std::string& head, const std::string& tail);   // head a, b, y tail for each product of a batch
std::string bound(CWriter&, float);                                                   // a literal, infinite ones too
const Tensor& weight_of(const CCall&, int i);                                         // the values of input i, or refuses

// (o, c, r, s) in the order o, r, s, c.
template <class T> std::vector<T> channels_last_values(const Tensor& w) {
  View from = w.view();
  from.spec.shape = {w.dim(0), w.dim(2), w.dim(3), w.dim(1)};
  from.strides = {w.strides()[0], w.strides()[2], w.strides()[3], w.strides()[1]};
  std::vector<T> to(size_t(w.numel()));
  copy_values(from, {reinterpret_cast<std::byte*>(to.data()), from.spec, contiguous(from.spec.shape)});
  return to;
}
// (channels, taps) to (taps, channels)
template <class T> std::vector<T> taps_first(const std::vector<T>& w, int64_t channels, int64_t taps) {
  std::vector<T> to(w.size());
  for (int64_t k = 0; k < channels; ++k) for (int64_t t = 0; t < taps; ++t) to[size_t(t * channels + k)] = w[size_t(k * taps + t)];
  return to;
}

}  // namespace miniten::c
