#pragma once
#include "miniten/core/op.h"
#include "miniten/ops/attrs.h"

namespace miniten {

#define OP(name) extern const OpDef name##_op;
#include "miniten/ops/all_ops.inc"
#undef OP

// What users call. Shapes are checked before any work; every error names the op. Axes may be negative. Binary ops
// broadcast by NumPy's rules and promote dtypes by torch's; float16 and bfloat16 compute in float32. Functions
// without a record of their own are compositions: gradient, trace, cost and export come from their parts.

// ---- elementwise ----
Tensor relu(const Tensor& x);                                  // max(x, 0); NaN stays NaN
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor gelu(const Tensor& x);                                  // x * Phi(x), exact
Tensor silu(const Tensor& x);                                  // x * sigmoid(x)
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor round(const Tensor& x);                                 // half to even
Tensor sign(const Tensor& x);
Tensor log1p(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor asinh(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);
Tensor exp2(const Tensor& x);                                  // 2 to the x
Tensor expm1(const Tensor& x);                                 // exp(x) - 1, exact near 0
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor rsqrt(const Tensor& x);                                 // 1 / sqrt(x)
Tensor trunc(const Tensor& x);                                 // towards 0
Tensor atan2(const Tensor& y, const Tensor& x);                // the angle of (x, y)
Tensor softplus(const Tensor& x);                              // log(1 + exp(x))
Tensor leaky_relu(const Tensor& x, double alpha = 0.01);       // x where it is positive, else x * alpha
Tensor elu(const Tensor& x, double alpha = 1);                 // x where it is positive, else alpha * (exp(x) - 1)
Tensor hard_swish(const Tensor& x);                            // x * clamp(x + 3, 0, 6) / 6
Tensor clamp(const Tensor& x, float lo, float hi);
Tensor operator-(const Tensor& x);
Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);            // true division: integers give float32
Tensor operator+(const Tensor& a, double b);                   // numbers take the tensor's dtype where they can
Tensor operator-(const Tensor& a, double b);
Tensor operator*(const Tensor& a, double b);
Tensor operator/(const Tensor& a, double b);
Tensor operator+(double a, const Tensor& b);
Tensor operator-(double a, const Tensor& b);
Tensor operator*(double a, const Tensor& b);
Tensor operator/(double a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, double b);
Tensor gate(const Tensor& g, const Tensor& open);              // g where open > 0, else 0
Tensor equal(const Tensor& a, const Tensor& b);                // comparisons give bool
Tensor not_equal(const Tensor& a, const Tensor& b);
Tensor less(const Tensor& a, const Tensor& b);
Tensor less_equal(const Tensor& a, const Tensor& b);
Tensor greater(const Tensor& a, const Tensor& b);
Tensor greater_equal(const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor cast(const Tensor& x, DType dtype);                     // the gradient is cast back; integers have none
Tensor floor_divide(const Tensor& a, const Tensor& b);         // towards minus infinity; an integer 0 as divisor throws; no gradient
Tensor remainder(const Tensor& a, const Tensor& b);            // has the divisor's sign, as Python's %
Tensor bitwise_and(const Tensor& a, const Tensor& b);          // integers and bool
Tensor bitwise_or(const Tensor& a, const Tensor& b);
Tensor bitwise_xor(const Tensor& a, const Tensor& b);
Tensor bitwise_not(const Tensor& x);
Tensor left_shift(const Tensor& a, const Tensor& b);           // integers; by the width or more: 0
Tensor right_shift(const Tensor& a, const Tensor& b);          // arithmetic
Tensor logical_not(const Tensor& x);                           // any dtype: what is not 0 is true
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
Tensor isnan(const Tensor& x);
Tensor isinf(const Tensor& x);
Tensor isfinite(const Tensor& x);
Tensor isclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);   // |a - b| <= atol + rtol * |b|
bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);
Tensor number_like(const Tensor& x, double value);             // a scalar of the dtype that `x op value` computes in

// ---- reductions; no axes: all of them ----
Tensor sum(const Tensor& x, Axes axes = {}, bool keepdim = false);       // integers and bool sum to int64
Tensor mean(const Tensor& x, Axes axes = {}, bool keepdim = false);
Tensor max(const Tensor& x, Axes axes = {}, bool keepdim = false);       // the gradient goes to equal maxima in equal shares
Tensor min(const Tensor& x, Axes axes = {}, bool keepdim = false);
Tensor var(const Tensor& x, Axes axes = {}, bool keepdim = false, int correction = 1);
Tensor argmax(const Tensor& x, int axis, bool keepdim = false);          // int64, the first of equals
Tensor argmin(const Tensor& x, int axis, bool keepdim = false);
Tensor prod(const Tensor& x, Axes axes = {}, bool keepdim = false);      // integers and bool give int64
Tensor logsumexp(const Tensor& x, Axes axes = {}, bool keepdim = false);
Tensor norm(const Tensor& x, double p = 2, Axes axes = {}, bool keepdim = false);   // p also 0, 1, inf, -inf; the gradient of |0| is 0
Tensor cumsum(const Tensor& x, int axis, bool exclusive = false, bool reverse = false);   // integers and bool give int64
Tensor cumprod(const Tensor& x, int axis);
Tensor median(const Tensor& x, int axis, bool keepdim = false);          // the lower of two; NaN wins
enum class Quantile { linear, lower, higher, nearest, midpoint };       // between two values: nearest is half to even
Tensor quantile(const Tensor& x, std::span<const double> q, int axis, Quantile = Quantile::linear);     // q within [0, 1] takes the axis's place; NaN wins
struct Sorted { Tensor values, indices; };                               // stable; NaN is greatest
Sorted sort(const Tensor& x, int axis = -1, bool descending = false);
Sorted topk(const Tensor& x, int64_t k, int axis = -1, bool largest = true);        // in order
Tensor argsort(const Tensor& x, int axis = -1, bool descending = false);            // int64
struct Unique { Tensor values, inverse, counts; };
Unique unique(const Tensor& x);                                          // of all elements, ascending; not while tracing
Tensor sum_to(const Tensor& x, const Shape& shape);                      // undoes broadcasting
Tensor count(const Tensor& x);                                           // elements, a float32 scalar known from the shape

// ---- movement: views where strides allow ----
Tensor reshape(const Tensor& x, const Shape& shape);           // one -1 is worked out
Tensor flatten(const Tensor& x, int start = 0, int end = -1);
Tensor squeeze(const Tensor& x, int axis);
Tensor unsqueeze(const Tensor& x, int axis);
Tensor permute(const Tensor& x, Axes order);
Tensor transpose(const Tensor& x, int a = -2, int b = -1);
Tensor expand(const Tensor& x, const Shape& shape);            // -1 keeps a size
Tensor slice(const Tensor& x, int axis, int64_t start, int64_t stop, int64_t step = 1);   // Python's slice rules
Tensor slice(const Tensor& x, const SliceAttrs&);
Tensor select(const Tensor& x, int axis, int64_t index);
Tensor pad(const Tensor& x, Dims before, Dims after, double value = 0);
Tensor concat(std::span<const Tensor> parts, int axis = 0);
Tensor stack(std::span<const Tensor> parts, int axis = 0);
std::vector<Tensor> split(const Tensor& x, int64_t size, int axis = 0);
Tensor flip(const Tensor& x, Axes axes);
Tensor roll(const Tensor& x, Dims shifts, Axes axes = {});     // no axes: over all elements
Tensor repeat(const Tensor& x, Dims counts);                   // torch.repeat: a count for each axis, more of them in front
Tensor repeat_interleave(const Tensor& x, int64_t count, int axis);
Tensor movedim(const Tensor& x, Axes from, Axes to);
Tensor tril(const Tensor& x, int64_t diagonal = 0);            // of the last two axes; 0 elsewhere
Tensor triu(const Tensor& x, int64_t diagonal = 0);
Tensor diagonal(const Tensor& x, int64_t offset = 0, int a = 0, int b = 1);         // becomes the last axis
Tensor diag(const Tensor& x, int64_t offset = 0);              // a vector as a matrix, or a matrix's diagonal
Tensor unfold(const Tensor& x, int axis, int64_t size, int64_t step);               // windows; their elements become the last axis
std::vector<Tensor> chunk(const Tensor& x, int64_t count, int axis = 0);
std::vector<Tensor> unbind(const Tensor& x, int axis = 0);
Tensor detach(const Tensor& x);                                // an op: a replayed graph must know where gradients end
Tensor copy(const Tensor& x);

// ---- linear algebra, convolution, pooling, normalisation ----
Tensor matmul(const Tensor& a, const Tensor& b);               // torch.matmul: vectors, matrices, batches that broadcast
Tensor einsum(std::string_view equation, std::span<const Tensor> operands);         // "bij,bjk->bik", "...i,i", "ii"
Tensor tensordot(const Tensor& a, const Tensor& b, Axes of_a, Axes of_b);
Tensor dot(const Tensor& a, const Tensor& b);                  // these five refuse any other rank than their own
Tensor mv(const Tensor& a, const Tensor& b);
Tensor mm(const Tensor& a, const Tensor& b);
Tensor bmm(const Tensor& a, const Tensor& b);
Tensor outer(const Tensor& a, const Tensor& b);
Tensor kron(const Tensor& a, const Tensor& b);                 // Kronecker product; the shorter shape gets axes of 1 in front
Tensor addmm(const Tensor& x, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);     // beta * x + alpha * a @ b
Tensor baddbmm(const Tensor& x, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});            // x (.., in) @ weight (out, in)^T + bias
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const Conv2dAttrs& = {});
                                                               // x (N, C, H, W) or one (C, H, W), weight (O, C / groups, R, S)
Tensor max_pool2d(const Tensor& x, const Pool2dAttrs&);        // x (N, C, H, W) or (C, H, W); padding never wins
Tensor avg_pool2d(const Tensor& x, const Pool2dAttrs&);
Tensor adaptive_avg_pool2d(const Tensor& x, int64_t height, int64_t width);   // sizes that divide H and W

// ---- recurrent layers, one direction ----
// One step from x's share of the gates (N, G*H) and the state h (for the LSTM h, c) of (N, H): the new state. Gates in
// torch's order i, f, g, o and r, z, n, or ONNX's i, o, f, g and z, r, n; h = n + z * (h - n).
std::vector<Tensor> recurrent_step(CellKind, const Tensor& from_x, std::span<const Tensor> state, const Tensor& w_hh, const Tensor& b_hh = {}, bool onnx_gates = false);
struct RecurrentWeights { Tensor w_ih, w_hh, b_ih, b_hh; };    // (G*H, I), (G*H, H), both (G*H,) or null
struct Recurrence { Tensor y, h, c; };                         // (T, N, H), (N, H), (N, H); c is null but for the LSTM
// All steps of x (T, N, I). lengths (N,): later steps neither count nor move states, y is 0 there. Without h0 the first states are 0.
Recurrence recurrent(CellKind, const Tensor& x, const RecurrentWeights&, const Tensor& h0 = {}, const Tensor& c0 = {}, const Tensor& lengths = {},
                     bool reverse = false, bool onnx_gates = false);
Tensor softmax(const Tensor& x, int axis = -1);
Tensor log_softmax(const Tensor& x, int axis = -1);
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& var, double eps = 1e-5);
struct BatchNormed { Tensor y, mean, var; };                    // var: biased
BatchNormed batch_norm_training(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps = 1e-5);   // by the batch's own statistics
// Statistics that training moves: by momentum, or where batches (int64, counted) is given to the plain mean over all batches.
struct BatchStatistics { Tensor mean, var, batches; double momentum = 0.1; };
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const BatchStatistics& running, double eps = 1e-5);
// By the statistics of x (biased); running ones take the unbiased variance. A null mean: none are kept. frozen: a bool
// scalar; where true the running ones are used and stay.
Tensor batch_norm_tracked(const Tensor& x, const BatchStatistics& running, const Tensor& gamma, const Tensor& beta, double eps, const Tensor& frozen = {});
                                                               // channels are axis 1
// ---- indexing and randomness ----
Tensor gather(const Tensor& table, const Tensor& rows, int axis = 0);    // rows: any shape of integers, negative ones count from the end
Tensor scatter_add(const Tensor& values, const Tensor& rows, int64_t size);   // adds rows of values into zeros (size, ...)
Tensor gather_elements(const Tensor& x, const Tensor& index, int axis);  // torch.gather: out[i][j] = x[index[i][j]][j] along axis 0
Tensor scatter_elements(const Tensor& x, const Tensor& index, const Tensor& values, int axis, std::string_view reduction = "none");
                                                               // its opposite, on a copy of x; reduction none, add, mul, max or min
Tensor index_select(const Tensor& x, int axis, const Tensor& index);     // index: 1-D
Tensor index_add(const Tensor& x, int axis, const Tensor& index, const Tensor& source, double alpha = 1);
Tensor index_copy(const Tensor& x, int axis, const Tensor& index, const Tensor& source);
Tensor index_fill(const Tensor& x, int axis, const Tensor& index, double value);
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);
Tensor masked_select(const Tensor& x, const Tensor& mask);     // 1-D; its size is known at run time
Tensor put(const Tensor& x, const Tensor& positions, const Tensor& values, bool accumulate = false);    // positions count x's elements in row-major order
Tensor one_hot(const Tensor& labels, int64_t size);            // float32; a label outside [0, size) throws
Tensor nonzero(const Tensor& x);                               // (n, rank) int64; n is known at run time
Tensor uniform(const Tensor& key, const Shape& shape, int64_t stream = 0);    // [0, 1), Philox of key (2,) int64: seed, counter
Tensor dropout(const Tensor& x, float p, const Tensor& key, int64_t stream = 0);

// ---- losses (means over the batch) ----
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, float label_smoothing = 0);   // (N, C), (N,) int64
Tensor mse_loss(const Tensor& x, const Tensor& target);

// ---- updates: they overwrite states, without gradient ----
void assign(const Tensor& state, const Tensor& value);
void adam(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& step, const Tensor& lr, const AdamAttrs&);
void sgd(const Tensor& p, const Tensor& g, const Tensor& buffer, const Tensor& step, const Tensor& lr, const SgdAttrs&);    // without momentum a null buffer

// ---- integers (docs/quantisation) ----
Tensor quantize(const Tensor& x, const Tensor& scale, const Tensor& zero, int axis = -1);      // dtype of zero; ONNX QuantizeLinear
Tensor dequantize(const Tensor& q, const Tensor& scale, const Tensor& zero, int axis = -1);
// dequantize(quantize(x)) in floats: (clamp(round(x / scale) + zero, lo, hi) - zero) * scale. scale and zero have x's dtype.
// The gradient of x passes where nothing was clamped; scale and zero have gradients too.
Tensor fake_quantize(const Tensor& x, const Tensor& scale, const Tensor& zero, int64_t lo, int64_t hi, int axis = -1);

}  // namespace miniten
