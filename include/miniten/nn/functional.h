#pragma once
#include <functional>
#include "miniten/ops/ops.h"

// The functions behind the layers that are no ops of their own: compositions, so gradients of any order, traces, costs
// and exports come from their parts. Names, argument order and formulas are torch.nn.functional's.
namespace miniten::nn::functional {

// ---- activations ----
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
Tensor prelu(const Tensor& x, const Tensor& weight);           // weight: one slope, or one per channel (axis 1)
Tensor elu(const Tensor& x, double alpha = 1);
Tensor selu(const Tensor& x);                                  // Klambauer et al. 2017
Tensor celu(const Tensor& x, double alpha = 1);
Tensor gelu(const Tensor& x, std::string_view approximate = "none");     // "none" | "tanh"
Tensor mish(const Tensor& x);                                  // x * tanh(softplus(x))
Tensor hardswish(const Tensor& x);                             // x * relu6(x + 3) / 6
Tensor hardsigmoid(const Tensor& x);                           // relu6(x + 3) / 6
Tensor hardtanh(const Tensor& x, double min_val = -1, double max_val = 1);
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);
Tensor logsigmoid(const Tensor& x);
Tensor softsign(const Tensor& x);                              // x / (1 + |x|)
Tensor tanhshrink(const Tensor& x);                            // x - tanh(x)
Tensor glu(const Tensor& x, int dim = -1);                     // a * sigmoid(b), the halves of x
Tensor normalize(const Tensor& x, double p = 2, int dim = 1, double eps = 1e-12);
Tensor cosine_similarity(const Tensor& a, const Tensor& b, int dim = 1, double eps = 1e-8);
Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p = 2, double eps = 1e-6, bool keepdim = false);
Tensor logsumexp(const Tensor& x, int dim, bool keepdim = false);

// ---- normalisation; null weight and bias: none ----
struct BatchNormState { Tensor mean, var, batches; };          // running statistics, overwritten in training; batches: see BatchStatistics
Tensor batch_norm(const Tensor& x, const BatchNormState&, const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps);
                                                               // null statistics: the batch's; momentum: of the new value
Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
Tensor group_norm(const Tensor& x, int64_t num_groups, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
Tensor instance_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);
Tensor rms_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {}, double eps = 1.1920928955078125e-7);

// ---- convolution, pooling, resizing ----
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride, Dims padding, int64_t dilation, int64_t groups);
                                                               // x (N, C, L), weight (O, C / groups, K); padding: left, right
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Dims stride, Dims padding, Dims output_padding, int64_t groups, Dims dilation);
                                                               // weight (C, O / groups, R, S)
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride, int64_t padding, int64_t output_padding, int64_t groups, int64_t dilation);
Tensor max_pool1d(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding = 0, int64_t dilation = 1, bool ceil_mode = false);
Tensor avg_pool1d(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding = 0, bool ceil_mode = false, bool count_include_pad = true);
Tensor adaptive_avg_pool(const Tensor& x, Dims output_size);   // of the last axes, any sizes; -1 keeps one
Tensor adaptive_max_pool(const Tensor& x, Dims output_size);
enum class PadMode { constant, reflect, replicate, circular };
PadMode pad_mode(std::string_view name);                       // throws for an unknown one
Tensor pad(const Tensor& x, Dims before, Dims after, PadMode, double value = 0);       // per axis
// mode: "nearest", "nearest-exact", "linear" or "bilinear", "bicubic", "area". scale: as given by the user; empty: from the sizes.
Tensor interpolate(const Tensor& x, Dims size, std::string_view mode = "nearest", bool align_corners = false, std::span<const double> scale = {});
Tensor pixel_shuffle(const Tensor& x, int64_t factor);         // (.., C r^2, H, W) -> (.., C, H r, W r)
Tensor pixel_unshuffle(const Tensor& x, int64_t factor);
Tensor channel_shuffle(const Tensor& x, int64_t groups);
struct WindowOptions { Dims kernel{1, 1}, dilation{1, 1}, padding{0, 0}, stride{1, 1}; };        // height, width
Tensor unfold(const Tensor& x, const WindowOptions&);          // (N, C, H, W) -> (N, C R S, windows), row by row; N may be missing
Tensor fold(const Tensor& x, Dims output_size, const WindowOptions&);    // its transpose: sums where windows overlap

// ---- lookup, attention ----
Tensor embedding(const Tensor& indices, const Tensor& weight, std::optional<int64_t> padding_idx = {});   // its row gets no gradient
// q (.., L, E), k (.., S, E), v (.., S, F). mask: bool, true where attention is allowed, or a float that is added; it
// broadcasts to (.., L, S). Rows without any allowed place are NaN, as in torch.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask = {}, bool is_causal = false,
                                    std::optional<double> scale = {}, Tensor* weights = nullptr, const std::function<Tensor(const Tensor&)>& drop = {});

// ---- losses ----
enum class Reduction { none, mean, sum };
Reduction reduction(std::string_view op, std::string_view name);         // "none" | "mean" | "sum"
Tensor reduced(const Tensor& loss, Reduction);
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction = Reduction::mean);
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction = Reduction::mean);
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, double beta = 1, Reduction = Reduction::mean);
Tensor huber_loss(const Tensor& x, const Tensor& target, double delta = 1, Reduction = Reduction::mean);
struct ClassOptions { Tensor weight; int64_t ignore_index = -100; double label_smoothing = 0; Reduction reduction = Reduction::mean; };
Tensor nll_loss(const Tensor& log_p, const Tensor& target, const ClassOptions& = {});          // (N, C, ..) and (N, ..) integers
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const ClassOptions& = {});    // or probabilities like the logits
Tensor binary_cross_entropy(const Tensor& p, const Tensor& target, const Tensor& weight = {}, Reduction = Reduction::mean);
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight = {}, const Tensor& pos_weight = {}, Reduction = Reduction::mean);
Tensor kl_div(const Tensor& log_p, const Tensor& target, Reduction = Reduction::mean, bool log_target = false, bool batch_mean = false);
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin = 1, double p = 2, double eps = 1e-6,
                           bool swap = false, Reduction = Reduction::mean);
Tensor cosine_embedding_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin = 0, Reduction = Reduction::mean);
Tensor margin_ranking_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin = 0, Reduction = Reduction::mean);
Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin = 1, Reduction = Reduction::mean);
Tensor focal_loss(const Tensor& x, const Tensor& target, double alpha = 0.25, double gamma = 2, Reduction = Reduction::mean);
                                                               // of logits and binary targets (Lin et al. 2017); alpha < 0: no weighting
// log_p (T, N, C), targets (N, S) padded, lengths (N,). Graves et al. 2006. mean: of each loss over its target's length.
Tensor ctc_loss(const Tensor& log_p, const Tensor& targets, const Tensor& input_lengths, const Tensor& target_lengths, int64_t blank = 0,
                Reduction = Reduction::mean, bool zero_infinity = false);

}  // namespace miniten::nn::functional
