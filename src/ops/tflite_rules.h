#pragma once
#include "miniten/core/foreign.h"
#include "miniten/ops/ops.h"

// How TFLite operators are read. Tensors keep the file's axes, images (N, H, W, C); a rule looks at them as (N, C, H, W),
// which is free: memory stays channels-last. Definitions: tflite_rules_*.cpp.
namespace miniten::tflite {

using Compositions = std::span<const ForeignComposition>;
Compositions all_rules(), layer_rules(), math_rules(), shape_rules(), recurrent_rules(), control_rules();

// ---- what the rules share ----
using Tensors = std::vector<Tensor>;
Tensor optional(const ForeignNode&, int i);                               // input i or null
bool is_quantized(DType, const Quantized*);                               // 8- or 16-bit integers that stand for numbers
Tensor real(const ForeignNode&, int i);                                   // input i as float32
Tensor real(const ForeignNode&, const Tensor&, const Quantized*, int axis = -1);    // axis: of the scales, if not where the file says
Tensor result(const ForeignNode&, const Tensor& y, int i = 0);            // y as output i has it: quantised, or float32
Tensor as_output(const ForeignNode&, int i);                              // input i in output 0's numbers, for what only moves: integers stay if they can
Tensor as_output(const ForeignNode&, const Tensor& x, int output, int input = 0);
Tensor activated(const ForeignNode&, const Tensor& y);                    // by fused_activation_function
struct Bounds { float lo, hi; };
Bounds bounds_of(const ForeignNode&);                                     // of activations that cut
Tensor arranged(const ForeignNode&, int i, const Axes& order);            // input i with its axes in another order
Tensor to_nchw(const Tensor& x);                                          // (N, H, W, C) -> (N, C, H, W), and back
Tensor to_nhwc(const Tensor& x);
int axis_of(const ForeignNode&, int64_t axis, int rank);                  // normalised; refuses what lies outside

// exact="tflite": integers computed as LiteRT's reference kernels compute them.
bool is_exact(const ForeignNode&);                                        // of this node, whose output is quantised
int64_t zero_of(const ForeignNode&, const Tensor& q, const Quantized*);   // the one zero point
struct Cut { int64_t lo, hi; };
Cut integer_bounds(const ForeignNode&);                                   // of output 0's integers, by the fused activation
struct Scales { Tensor multiplier, shift; };
Scales fixed_scales(const std::vector<double>& multipliers);
Tensor exact_sum(const ForeignNode&, int sign);                           // ADD, SUB
Tensor exact_product(const ForeignNode&);                                 // MUL
Tensor exact_relu(const ForeignNode&);                                    // RELU and its kin
Tensor exact_softmax(const ForeignNode&);
Tensor exact_function(const ForeignNode&);                                // of one byte, by a table; null: not of these
Tensor exact_slopes(const ForeignNode&);                                  // LEAKY_RELU, PRELU
Tensor exact_mean(const ForeignNode&, const Axes&, bool keep);
Tensor exact_products(const ForeignNode&);                                // BATCH_MATMUL
// a times the transpose of b, inputs 0 and 1; once: see RequantizeAttrs.
Tensor exact_products(const ForeignNode&, const Tensor& a, const Tensor& b, const Tensor& bias, const std::vector<double>& multipliers, bool once);
Tensor exact_rescale(const ForeignNode&);                                 // QUANTIZE

// Of what overwrites a variable: refused in a branch that is computed whether it is chosen or not.
void require_unconditional(const ForeignNode&);

// Windows of two axes by the file's padding, SAME or VALID.
struct Window { Dims stride, dilation, padding; };
Window window_of(const ForeignNode&, const Shape& x, int64_t kernel_h, int64_t kernel_w, int64_t first_padding = 0);     // the number of SAME

}  // namespace miniten::tflite
