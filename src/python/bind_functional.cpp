#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/base/random.h"
#include "miniten/nn/functional.h"
#include "python/bind.h"

namespace miniten::python {

namespace {

using namespace nb::literals;
namespace F = nn::functional;
#define INTS "int | collections.abc.Sequence[int]"

[[noreturn]] void refuse(std::string_view op, std::string want, std::string got, std::string hint = "", ErrorKind kind = ErrorKind::value) {
  throw Error(kind, op, std::move(want), std::move(got), std::move(hint));
}

void bind_activations(nb::module_& m) {
  m.def("relu6", [](ArrayLike x) { return clamp(x.tensor("relu6"), 0, 6); }, "input"_a, "x cut to [0, 6].");
  m.def("leaky_relu", [](ArrayLike x, double slope) { return F::leaky_relu(x.tensor("leaky_relu"), slope); }, "input"_a, "negative_slope"_a = 0.01);
  m.def("prelu", [](ArrayLike x, ArrayLike w) { return F::prelu(x.tensor("prelu"), w.tensor("prelu")); }, "input"_a, "weight"_a, "weight: one slope, or one per channel (axis 1).");
  m.def("elu", [](ArrayLike x, double alpha) { return F::elu(x.tensor("elu"), alpha); }, "input"_a, "alpha"_a = 1.0);
  m.def("celu", [](ArrayLike x, double alpha) { return F::celu(x.tensor("celu"), alpha); }, "input"_a, "alpha"_a = 1.0);
  m.def("gelu", [](ArrayLike x, std::string_view approximate) { return F::gelu(x.tensor("gelu"), approximate); }, "input"_a, "approximate"_a = "none", "x * Phi(x), exact or by tanh.");
  m.def("hardtanh", [](ArrayLike x, double low, double high) { return F::hardtanh(x.tensor("hardtanh"), low, high); }, "input"_a, "min_val"_a = -1.0, "max_val"_a = 1.0);
  m.def("softplus", [](ArrayLike x, double beta, double threshold) { return F::softplus(x.tensor("softplus"), beta, threshold); }, "input"_a, "beta"_a = 1.0, "threshold"_a = 20.0,
        "log(1 + exp(beta x)) / beta; x itself where beta x exceeds threshold.");
  m.def("glu", [](ArrayLike x, int dim) { return F::glu(x.tensor("glu"), dim); }, "input"_a, "dim"_a = -1, "a * sigmoid(b), the halves of x.");
  using Unary = Tensor (*)(const Tensor&);
  struct Row { const char* name; Unary f; const char* doc; };
  for (auto [name, f, doc] : {Row{"selu", F::selu, "Klambauer et al. 2017."}, {"mish", F::mish, "x * tanh(softplus(x))."}, {"hardswish", F::hardswish, "x * relu6(x + 3) / 6."},
                              {"hardsigmoid", F::hardsigmoid, "relu6(x + 3) / 6."}, {"logsigmoid", F::logsigmoid, "log(sigmoid(x))."}, {"softsign", F::softsign, "x / (1 + |x|)."},
                              {"tanhshrink", F::tanhshrink, "x - tanh(x)."}})
    m.def(name, [name = name, f = f](ArrayLike x) { return f(x.tensor(name)); }, "input"_a, doc);
  m.def("normalize", [](ArrayLike x, double p, int dim, double eps) { return F::normalize(x.tensor("normalize"), p, dim, eps); }, "input"_a, "p"_a = 2.0, "dim"_a = 1, "eps"_a = 1e-12,
        "x over its p-norm along dim, eps at least.");
  m.def("cosine_similarity", [](ArrayLike a, ArrayLike b, int dim, double eps) { return F::cosine_similarity(a.tensor("cosine_similarity"), b.tensor("cosine_similarity"), dim, eps); },
        "x1"_a, "x2"_a, "dim"_a = 1, "eps"_a = 1e-8);
  m.def("pairwise_distance", [](ArrayLike a, ArrayLike b, double p, double eps, bool keepdim) {
      return F::pairwise_distance(a.tensor("pairwise_distance"), b.tensor("pairwise_distance"), p, eps, keepdim);
    }, "x1"_a, "x2"_a, "p"_a = 2.0, "eps"_a = 1e-6, "keepdim"_a = false);
}

void bind_normalization(nb::module_& m) {
  m.def("batch_norm", [](ArrayLike x, ArrayLike mean, ArrayLike var, ArrayLike weight, ArrayLike bias, bool training, double momentum, double eps) {
      const char* op = "batch_norm";
      if (mean.none() != var.none() || (mean.none() && !training)) refuse(op, "running_mean and running_var, or training=True", "one or neither");
      return F::batch_norm(x.tensor(op), {mean.or_null(op), var.or_null(op)}, weight.or_null(op), bias.or_null(op), training, momentum, eps);
    }, "input"_a, "running_mean"_a.none(), "running_var"_a.none(), "weight"_a = nb::none(), "bias"_a = nb::none(), "training"_a = false, "momentum"_a = 0.1, "eps"_a = 1e-5,
    "Channels are axis 1. training: the batch's statistics, and the running ones are moved where they are tensors.");
  m.def("layer_norm", [](ArrayLike x, nb::object shape, ArrayLike weight, ArrayLike bias, double eps) {
      return F::layer_norm(x.tensor("layer_norm"), shape_of("layer_norm", shape), weight.or_null("layer_norm"), bias.or_null("layer_norm"), eps);
    }, "input"_a, "normalized_shape"_a, "weight"_a = nb::none(), "bias"_a = nb::none(), "eps"_a = 1e-5);
  m.def("group_norm", [](ArrayLike x, int64_t groups, ArrayLike weight, ArrayLike bias, double eps) {
      return F::group_norm(x.tensor("group_norm"), groups, weight.or_null("group_norm"), bias.or_null("group_norm"), eps);
    }, "input"_a, "num_groups"_a, "weight"_a = nb::none(), "bias"_a = nb::none(), "eps"_a = 1e-5);
  m.def("instance_norm", [](ArrayLike x, ArrayLike weight, ArrayLike bias, double eps) {
      return F::instance_norm(x.tensor("instance_norm"), weight.or_null("instance_norm"), bias.or_null("instance_norm"), eps);
    }, "input"_a, nb::kw_only(), "weight"_a = nb::none(), "bias"_a = nb::none(), "eps"_a = 1e-5);
  m.def("rms_norm", [](ArrayLike x, nb::object shape, ArrayLike weight, std::optional<double> eps) {
      Tensor t = x.tensor("rms_norm");
      return F::rms_norm(t, shape_of("rms_norm", shape), weight.or_null("rms_norm"), eps.value_or(t.dtype() == DType::f64 ? 0x1p-52 : 0x1p-23));
    }, "input"_a, "normalized_shape"_a, "weight"_a = nb::none(), "eps"_a = nb::none());
  m.def("dropout", [](ArrayLike x, double p, bool training) {
      Tensor t = x.tensor("dropout");
      if (!(p >= 0 && p <= 1)) refuse("dropout", "a probability in [0, 1]", std::to_string(p));
      if (!training || p == 0) return t;
      if (mode().recorder) refuse("dropout", "noise that a graph can replay", "the function dropout while tracing", "use nn.Dropout, whose key is a state", ErrorKind::unsupported);
      Generator& g = default_generator();
      int64_t seed = int64_t(uint64_t(g.next()) << 32 | g.next());
      return dropout(t, float(p), Tensor::of<int64_t>({2}, std::vector<int64_t>{seed, 0}));
    }, "input"_a, "p"_a = 0.5, "training"_a = true, "Zeroes with probability p and scales the rest by 1 / (1 - p).");
}

int64_t one(const char* op, nb::handle n) { return numbers_of(op, n, 1)[0]; }
// "same" and "valid", or widths on both sides, of one axis.
Dims padding1(const char* op, nb::handle padding, int64_t kernel, int64_t stride, int64_t dilation) {
  if (!nb::isinstance<nb::str>(padding)) return Dims::filled(2, one(op, padding));
  std::string word = nb::cast<std::string>(padding);
  if (word == "valid") return {0, 0};
  if (word != "same") refuse(op, "padding as an int, 'same' or 'valid'", "'" + word + "'");
  if (stride != 1) refuse(op, "stride 1 with padding='same'", std::to_string(stride));
  int64_t total = dilation * (kernel - 1);
  return {total / 2, total - total / 2};
}
Pool2dAttrs pool_attrs(const char* op, nb::handle kernel, nb::handle stride, nb::handle padding, bool ceil_mode) {
  Pool2dAttrs a;
  a.kernel = pair_of(op, kernel);
  a.stride = stride.is_none() ? a.kernel : pair_of(op, stride);
  Dims p = pair_of(op, padding);
  a.padding = {p[0], p[1], p[0], p[1]};
  a.ceil_mode = ceil_mode;
  return a;
}
void bind_spatial(nb::module_& m) {
  m.def("conv1d", [](ArrayLike x, ArrayLike w, ArrayLike bias, nb::object stride, nb::object padding, nb::object dilation, int64_t groups) {
      const char* op = "conv1d";
      Tensor weight = w.tensor(op);
      int64_t step = one(op, stride), spread = one(op, dilation);
      return F::conv1d(x.tensor(op), weight, bias.or_null(op), step, padding1(op, padding, weight.rank() ? weight.dim(-1) : 1, step, spread), spread, groups);
    }, "input"_a, "weight"_a, "bias"_a = nb::none(), "stride"_a = 1, "padding"_a = 0, "dilation"_a = 1, "groups"_a = 1, "input (N, C, L), weight (O, C / groups, K).");
  m.def("conv_transpose1d", [](ArrayLike x, ArrayLike w, ArrayLike bias, nb::object stride, nb::object padding, nb::object extra, int64_t groups, nb::object dilation) {
      const char* op = "conv_transpose1d";
      return F::conv_transpose1d(x.tensor(op), w.tensor(op), bias.or_null(op), one(op, stride), one(op, padding), one(op, extra), groups, one(op, dilation));
    }, "input"_a, "weight"_a, "bias"_a = nb::none(), "stride"_a = 1, "padding"_a = 0, "output_padding"_a = 0, "groups"_a = 1, "dilation"_a = 1, "weight (C, O / groups, K).");
  m.def("conv_transpose2d", [](ArrayLike x, ArrayLike w, ArrayLike bias, nb::object stride, nb::object padding, nb::object extra, int64_t groups, nb::object dilation) {
      const char* op = "conv_transpose2d";
      return F::conv_transpose2d(x.tensor(op), w.tensor(op), bias.or_null(op), pair_of(op, stride), pair_of(op, padding), pair_of(op, extra), groups, pair_of(op, dilation));
    }, "input"_a, "weight"_a, "bias"_a = nb::none(), "stride"_a = 1, "padding"_a = 0, "output_padding"_a = 0, "groups"_a = 1, "dilation"_a = 1, "weight (C, O / groups, R, S).");
  m.def("max_pool1d", [](ArrayLike x, nb::object kernel, nb::object stride, nb::object padding, nb::object dilation, bool ceil_mode) {
      int64_t k = one("max_pool1d", kernel);
      return F::max_pool1d(x.tensor("max_pool1d"), k, stride.is_none() ? k : one("max_pool1d", stride), one("max_pool1d", padding), one("max_pool1d", dilation), ceil_mode);
    }, "input"_a, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = 0, "dilation"_a = 1, "ceil_mode"_a = false, "(N, C, L).");
  m.def("avg_pool1d", [](ArrayLike x, nb::object kernel, nb::object stride, nb::object padding, bool ceil_mode, bool count_include_pad) {
      int64_t k = one("avg_pool1d", kernel);
      return F::avg_pool1d(x.tensor("avg_pool1d"), k, stride.is_none() ? k : one("avg_pool1d", stride), one("avg_pool1d", padding), ceil_mode, count_include_pad);
    }, "input"_a, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = 0, "ceil_mode"_a = false, "count_include_pad"_a = true, "(N, C, L).");
  m.def("max_pool2d", [](ArrayLike x, nb::object kernel, nb::object stride, nb::object padding, nb::object dilation, bool ceil_mode) {
      Pool2dAttrs a = pool_attrs("max_pool2d", kernel, stride, padding, ceil_mode);
      a.dilation = pair_of("max_pool2d", dilation);
      return max_pool2d(x.tensor("max_pool2d"), a);
    }, "input"_a, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = 0, "dilation"_a = 1, "ceil_mode"_a = false, "(N, C, H, W); padding never wins.");
  m.def("avg_pool2d", [](ArrayLike x, nb::object kernel, nb::object stride, nb::object padding, bool ceil_mode, bool count_include_pad) {
      Pool2dAttrs a = pool_attrs("avg_pool2d", kernel, stride, padding, ceil_mode);
      a.count_include_pad = count_include_pad;
      return avg_pool2d(x.tensor("avg_pool2d"), a);
    }, "input"_a, "kernel_size"_a, "stride"_a = nb::none(), "padding"_a = 0, "ceil_mode"_a = false, "count_include_pad"_a = true, "(N, C, H, W).");
  struct Adaptive { const char* name; Tensor (*f)(const Tensor&, Dims); int axes; };
  for (auto [name, f, axes] : {Adaptive{"adaptive_avg_pool1d", F::adaptive_avg_pool, 1}, {"adaptive_avg_pool2d", F::adaptive_avg_pool, 2},
                               {"adaptive_max_pool1d", F::adaptive_max_pool, 1}, {"adaptive_max_pool2d", F::adaptive_max_pool, 2}})
    m.def(name, [name = name, f = f, axes = axes](ArrayLike x, nb::object size) {
        Tensor t = x.tensor(name);
        if (t.rank() != axes + 2 && t.rank() != axes + 1) refuse(name, axes == 1 ? "input (N, C, L) or (C, L)" : "input (N, C, H, W) or (C, H, W)", t.shape().text());
        return f(t, sizes_of(name, size, axes));
      }, "input"_a, "output_size"_a, "Cells of any output size, as torch cuts them; None keeps a size.");
  m.def("interpolate", [](ArrayLike x, nb::object size, nb::object scale, std::string_view mode, bool align_corners, std::optional<bool> recompute) {
      Tensor t = x.tensor("interpolate");
      int axes = t.rank() - 2;
      if (axes < 1 || axes > 2) refuse("interpolate", "input (N, C, L) or (N, C, H, W)", t.shape().text());
      if (size.is_none() == scale.is_none()) refuse("interpolate", "size or scale_factor", size.is_none() ? "neither" : "both");
      if (!size.is_none()) return F::interpolate(t, numbers_of("interpolate", size, axes), mode, align_corners);
      auto scales = PySequence_Check(scale.ptr()) ? nb::cast<std::vector<double>>(scale) : std::vector<double>(size_t(axes), nb::cast<double>(scale));
      Dims to;
      if (int(scales.size()) != axes) refuse("interpolate", "one scale_factor, or one for each spatial axis", std::to_string(scales.size()));
      for (int i = 0; i < axes; ++i) {
        if (!(scales[size_t(i)] > 0)) refuse("interpolate", "a scale_factor above 0", std::to_string(scales[size_t(i)]));
        if (is_symbol(t.dim(2 + i))) refuse("interpolate", "known sizes", t.shape().text(), "trace with a fixed shape", ErrorKind::unsupported);
        to.push(int64_t(double(t.dim(2 + i)) * scales[size_t(i)]));
      }
      return F::interpolate(t, to, mode, align_corners, recompute.value_or(false) ? std::span<const double>() : std::span<const double>(scales));
    }, "input"_a, "size"_a = nb::none(), "scale_factor"_a = nb::none(), "mode"_a = "nearest", "align_corners"_a = false, "recompute_scale_factor"_a = nb::none(),
    nb::sig("def interpolate(input: Tensor | numpy.typing.ArrayLike, size: " INTS " | None = None, scale_factor: float | collections.abc.Sequence[float] | None = None, mode: str = 'nearest', "
            "align_corners: bool = False, recompute_scale_factor: bool | None = None) -> Tensor"),
    "mode: 'nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic' or 'area'; torch's pixel centres.");
  m.def("functional_pad", [](ArrayLike x, nb::object widths, std::string_view mode, std::optional<double> value) {
      Tensor t = x.tensor("pad");
      Dims list = shape_of("pad", widths), before = Dims::filled(t.rank(), 0), after = before;
      if (list.rank % 2 || list.rank / 2 > t.rank()) refuse("pad", "(left, right, top, bottom, ..) for axes of " + t.shape().text(), list.text());
      for (int i = 0; i < list.rank / 2; ++i) { before[-1 - i] = list[2 * i]; after[-1 - i] = list[2 * i + 1]; }
      return F::pad(t, before, after, F::pad_mode(mode), value.value_or(0));
    }, "input"_a, "pad"_a, "mode"_a = "constant", "value"_a = nb::none(),
    nb::sig("def functional_pad(input: Tensor | numpy.typing.ArrayLike, pad: collections.abc.Sequence[int], mode: str = 'constant', value: float | None = None) -> Tensor"),
    "pad: left, right, top, bottom, .. from the last axis on; negative widths cut. mode: 'constant', 'reflect', 'replicate' or 'circular'.");
  auto windows = [](const char* op, nb::handle kernel, nb::handle dilation, nb::handle padding, nb::handle stride) {
    return F::WindowOptions{pair_of(op, kernel), pair_of(op, dilation), pair_of(op, padding), pair_of(op, stride)};
  };
  m.def("functional_unfold", [windows](ArrayLike x, nb::object kernel, nb::object dilation, nb::object padding, nb::object stride) {
      return F::unfold(x.tensor("unfold"), windows("unfold", kernel, dilation, padding, stride));
    }, "input"_a, "kernel_size"_a, "dilation"_a = 1, "padding"_a = 0, "stride"_a = 1, "(N, C, H, W) -> (N, C R S, windows).");
  m.def("functional_fold", [windows](ArrayLike x, nb::object size, nb::object kernel, nb::object dilation, nb::object padding, nb::object stride) {
      return F::fold(x.tensor("fold"), pair_of("fold", size), windows("fold", kernel, dilation, padding, stride));
    }, "input"_a, "output_size"_a, "kernel_size"_a, "dilation"_a = 1, "padding"_a = 0, "stride"_a = 1, "unfold's transpose: sums where windows overlap.");
  m.def("pixel_shuffle", [](ArrayLike x, int64_t r) { return F::pixel_shuffle(x.tensor("pixel_shuffle"), r); }, "input"_a, "upscale_factor"_a, "(.., C r^2, H, W) -> (.., C, H r, W r).");
  m.def("pixel_unshuffle", [](ArrayLike x, int64_t r) { return F::pixel_unshuffle(x.tensor("pixel_unshuffle"), r); }, "input"_a, "downscale_factor"_a);
  m.def("channel_shuffle", [](ArrayLike x, int64_t g) { return F::channel_shuffle(x.tensor("channel_shuffle"), g); }, "input"_a, "groups"_a);
  m.def("embedding", [](ArrayLike x, ArrayLike w, std::optional<int64_t> padding_idx) { return F::embedding(x.tensor("embedding"), w.tensor("embedding"), padding_idx); },
        "input"_a, "weight"_a, "padding_idx"_a = nb::none(), "Rows of weight by index; padding_idx's gets no gradient.");
  m.def("scaled_dot_product_attention", [](ArrayLike q, ArrayLike k, ArrayLike v, ArrayLike mask, double dropout_p, bool is_causal, std::optional<double> scale) {
      const char* op = "scaled_dot_product_attention";
      std::function<Tensor(const Tensor&)> drop;
      if (!(dropout_p >= 0 && dropout_p <= 1)) refuse(op, "a dropout_p in [0, 1]", std::to_string(dropout_p));
      if (dropout_p > 0) {
        if (mode().recorder) refuse(op, "no dropout while tracing", std::to_string(dropout_p), "use nn.MultiheadAttention", ErrorKind::unsupported);
        Generator& g = default_generator();
        Tensor key = Tensor::of<int64_t>({2}, std::vector<int64_t>{int64_t(uint64_t(g.next()) << 32 | g.next()), 0});
        drop = [=](const Tensor& p) { return dropout(p, float(dropout_p), key); };
      }
      return F::scaled_dot_product_attention(q.tensor(op), k.tensor(op), v.tensor(op), mask.or_null(op), is_causal, scale, nullptr, drop);
    }, "query"_a, "key"_a, "value"_a, "attn_mask"_a = nb::none(), "dropout_p"_a = 0.0, "is_causal"_a = false, "scale"_a = nb::none(),
    "softmax(q k^T / sqrt(E) + mask) v. A bool mask is true where attention is allowed; a float one is added.");
}

F::ClassOptions class_options(const char* op, ArrayLike weight, int64_t ignore_index, std::string_view reduction, double smoothing) {
  return {weight.or_null(op), ignore_index, smoothing, F::reduction(op, reduction)};
}
void bind_losses(nb::module_& m) {
  m.def("nll_loss", [](ArrayLike x, ArrayLike t, ArrayLike weight, int64_t ignore, std::string_view r) {
      return F::nll_loss(x.tensor("nll_loss"), t.tensor("nll_loss"), class_options("nll_loss", weight, ignore, r, 0));
    }, "input"_a, "target"_a, "weight"_a = nb::none(), nb::kw_only(), "ignore_index"_a = -100, "reduction"_a = "mean", "input: log probabilities (N, C, ..); target (N, ..).");
  m.def("cross_entropy", [](ArrayLike x, ArrayLike t, ArrayLike weight, int64_t ignore, std::string_view r, double smoothing) {
      return F::cross_entropy(x.tensor("cross_entropy"), t.tensor("cross_entropy"), class_options("cross_entropy", weight, ignore, r, smoothing));
    }, "input"_a, "target"_a, "weight"_a = nb::none(), nb::kw_only(), "ignore_index"_a = -100, "reduction"_a = "mean", "label_smoothing"_a = 0.0,
    "logits (N, C, ..); labels (N, ..) integers in [0, C), or probabilities like the logits.");
  struct Row { const char* name; Tensor (*f)(const Tensor&, const Tensor&, F::Reduction); const char* doc; };
  for (auto [name, f, doc] : {Row{"mse_loss", F::mse_loss, "(input - target)^2."}, {"l1_loss", F::l1_loss, "|input - target|."}})
    m.def(name, [name = name, f = f](ArrayLike x, ArrayLike t, std::string_view r) { return f(x.tensor(name), t.tensor(name), F::reduction(name, r)); },
          "input"_a, "target"_a, "reduction"_a = "mean", doc);
  m.def("smooth_l1_loss", [](ArrayLike x, ArrayLike t, std::string_view r, double beta) {
      return F::smooth_l1_loss(x.tensor("smooth_l1_loss"), t.tensor("smooth_l1_loss"), beta, F::reduction("smooth_l1_loss", r));
    }, "input"_a, "target"_a, "reduction"_a = "mean", "beta"_a = 1.0);
  m.def("huber_loss", [](ArrayLike x, ArrayLike t, std::string_view r, double delta) {
      return F::huber_loss(x.tensor("huber_loss"), t.tensor("huber_loss"), delta, F::reduction("huber_loss", r));
    }, "input"_a, "target"_a, "reduction"_a = "mean", "delta"_a = 1.0);
  m.def("binary_cross_entropy", [](ArrayLike x, ArrayLike t, ArrayLike weight, std::string_view r) {
      const char* op = "binary_cross_entropy";
      return F::binary_cross_entropy(x.tensor(op), t.tensor(op), weight.or_null(op), F::reduction(op, r));
    }, "input"_a, "target"_a, "weight"_a = nb::none(), "reduction"_a = "mean", "Of probabilities; logarithms are cut at -100.");
  m.def("binary_cross_entropy_with_logits", [](ArrayLike x, ArrayLike t, ArrayLike weight, std::string_view r, ArrayLike pos_weight) {
      const char* op = "binary_cross_entropy_with_logits";
      return F::binary_cross_entropy_with_logits(x.tensor(op), t.tensor(op), weight.or_null(op), pos_weight.or_null(op), F::reduction(op, r));
    }, "input"_a, "target"_a, "weight"_a = nb::none(), "reduction"_a = "mean", "pos_weight"_a = nb::none());
  m.def("kl_div", [](ArrayLike x, ArrayLike t, std::string_view r, bool log_target) {
      bool batch = r == "batchmean";
      return F::kl_div(x.tensor("kl_div"), t.tensor("kl_div"), batch ? F::Reduction::sum : F::reduction("kl_div", r), log_target, batch);
    }, "input"_a, "target"_a, "reduction"_a = "mean", "log_target"_a = false, "input: log probabilities. reduction: also 'batchmean'.");
  m.def("triplet_margin_loss", [](ArrayLike a, ArrayLike p, ArrayLike n, double margin, double power, double eps, bool swap, std::string_view r) {
      const char* op = "triplet_margin_loss";
      return F::triplet_margin_loss(a.tensor(op), p.tensor(op), n.tensor(op), margin, power, eps, swap, F::reduction(op, r));
    }, "anchor"_a, "positive"_a, "negative"_a, "margin"_a = 1.0, "p"_a = 2.0, "eps"_a = 1e-6, "swap"_a = false, "reduction"_a = "mean");
  struct Three { const char* name; Tensor (*f)(const Tensor&, const Tensor&, const Tensor&, double, F::Reduction); };
  for (auto [name, f] : {Three{"cosine_embedding_loss", F::cosine_embedding_loss}, {"margin_ranking_loss", F::margin_ranking_loss}})
    m.def(name, [name = name, f = f](ArrayLike a, ArrayLike b, ArrayLike t, double margin, std::string_view r) {
        return f(a.tensor(name), b.tensor(name), t.tensor(name), margin, F::reduction(name, r));
      }, "input1"_a, "input2"_a, "target"_a, "margin"_a = 0.0, "reduction"_a = "mean", "target: 1 or -1.");
  m.def("hinge_embedding_loss", [](ArrayLike x, ArrayLike t, double margin, std::string_view r) {
      return F::hinge_embedding_loss(x.tensor("hinge_embedding_loss"), t.tensor("hinge_embedding_loss"), margin, F::reduction("hinge_embedding_loss", r));
    }, "input"_a, "target"_a, "margin"_a = 1.0, "reduction"_a = "mean");
  m.def("focal_loss", [](ArrayLike x, ArrayLike t, double alpha, double gamma, std::string_view r) {
      return F::focal_loss(x.tensor("focal_loss"), t.tensor("focal_loss"), alpha, gamma, F::reduction("focal_loss", r));
    }, "input"_a, "target"_a, "alpha"_a = 0.25, "gamma"_a = 2.0, "reduction"_a = "mean", "Of logits and binary targets (Lin et al. 2017); alpha < 0: no weighting.");
  m.def("ctc_loss", [](ArrayLike x, ArrayLike t, ArrayLike input_lengths, ArrayLike target_lengths, int64_t blank, std::string_view r, bool zero_infinity) {
      const char* op = "ctc_loss";
      return F::ctc_loss(x.tensor(op), t.tensor(op), input_lengths.tensor(op), target_lengths.tensor(op), blank, F::reduction(op, r), zero_infinity);
    }, "log_probs"_a, "targets"_a, "input_lengths"_a, "target_lengths"_a, "blank"_a = 0, "reduction"_a = "mean", "zero_infinity"_a = false,
    "log_probs (T, N, C), targets (N, S) padded. Graves et al. 2006.");
}

}  // namespace

void bind_functional(nb::module_& m) {
  bind_activations(m);
  bind_normalization(m);
  bind_spatial(m);
  bind_losses(m);
}

}  // namespace miniten::python
