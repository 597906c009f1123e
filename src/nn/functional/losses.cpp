#include <cmath>
#include "miniten/nn/functional.h"

namespace miniten::nn::functional {

Reduction reduction(std::string_view op, std::string_view name) {
  if (name == "none") return Reduction::none;
  if (name == "mean") return Reduction::mean;
  if (name == "sum") return Reduction::sum;
  throw Error(ErrorKind::value, op, "reduction 'none', 'mean' or 'sum'", "'" + std::string(name) + "'");
}
Tensor reduced(const Tensor& loss, Reduction r) { return r == Reduction::none ? loss : r == Reduction::sum ? sum(loss) : mean(loss); }

namespace {
void same_shape(const char* op, const Tensor& x, const Tensor& target) {
  if (!is_float(x.dtype())) throw Error(ErrorKind::type, op, "a floating-point input", x.spec().text(), "convert with cast first");
  if (x.shape() != target.shape()) throw Error(ErrorKind::value, op, "a target of shape " + x.shape().text(), target.shape().text());
}
Tensor constant(const Tensor& like, double value) { return cast(number_like(like, value), like.dtype()); }
Tensor at_least(const Tensor& x, double low) { return where(greater(x, number_like(x, low)), x, constant(x, low)); }
}  // namespace

// ---- regression ----
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction r) { same_shape("l1_loss", x, target); return reduced(abs(x - target), r); }
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction r) { same_shape("mse_loss", x, target); return reduced(square(x - target), r); }
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, double beta, Reduction r) {
  same_shape("smooth_l1_loss", x, target);
  if (!(beta >= 0)) throw Error(ErrorKind::value, "smooth_l1_loss", "a beta of 0 or more", std::to_string(beta));
  Tensor d = x - target, a = abs(d);
  return reduced(beta == 0 ? a : where(less(a, number_like(a, beta)), square(d) * (0.5 / beta), a - 0.5 * beta), r);
}
Tensor huber_loss(const Tensor& x, const Tensor& target, double delta, Reduction r) {
  same_shape("huber_loss", x, target);
  if (!(delta > 0)) throw Error(ErrorKind::value, "huber_loss", "a delta above 0", std::to_string(delta));
  Tensor d = x - target, a = abs(d);
  return reduced(where(less_equal(a, number_like(a, delta)), square(d) * 0.5, (a - 0.5 * delta) * delta), r);
}

// ---- classes ----
namespace {
struct Picked { Tensor log_p, target, valid; };                // classes last; ignored targets set to 0
// Refuses labels outside [0, classes). What is recorded meets its labels when it runs: there the loss of a wrong one is NaN.
void check_labels(const char* op, const Tensor& labels, int64_t classes) {
  if (mode().recorder || !labels.has_data() || labels.numel() == 0) return;
  NoGrad no_grad;
  double least = min(labels).item(), most = max(labels).item();
  if (least < 0 || most >= double(classes))
    throw Error(ErrorKind::index, op, "labels in [0, " + std::to_string(classes) + ")", std::to_string(int64_t(least < 0 ? least : most)));
}
Tensor nan_at_wrong_labels(const Tensor& loss, const Tensor& labels, int64_t classes) {
  if (!mode().recorder || is_symbol(classes)) return loss;
  Tensor nan = constant(loss, std::nan("")), end = Tensor::full({}, double(classes), DType::i64);
  return where(less(labels, number_like(labels, 0)), nan, where(less(labels, end), loss, nan));
}
Picked picked(const char* op, const Tensor& log_p, const Tensor& target, const ClassOptions& o) {
  if (log_p.rank() < 1 || !is_float(log_p.dtype())) throw Error(ErrorKind::value, op, "floating-point logits (N, C, ..)", log_p.spec().text());
  if (!is_integer(target.dtype())) throw Error(ErrorKind::type, op, "integer labels", target.spec().text(), "convert with cast first");
  int axis = log_p.rank() == 1 ? 0 : 1;
  Shape expected;
  for (int i = 0; i < log_p.rank(); ++i) if (i != axis) expected.push(log_p.dim(i));
  if (target.shape() != expected) throw Error(ErrorKind::value, op, "labels of shape " + expected.text() + " for logits " + log_p.shape().text(), target.shape().text());
  if (o.weight && o.weight.shape() != Shape{log_p.dim(axis)})
    throw Error(ErrorKind::value, op, "a weight of shape " + Shape{log_p.dim(axis)}.text(), o.weight.shape().text());
  Axes last;
  for (int i = 0; i < log_p.rank(); ++i) if (i != axis) last.push(i);
  last.push(axis);
  Tensor valid, safe = cast(target, DType::i64);
  Tensor ignored = Tensor::full({}, double(o.ignore_index), DType::i64);
  if (bool possible = is_signed(target.dtype()) || o.ignore_index >= 0; possible) {
    valid = not_equal(safe, ignored);
    safe = where(valid, safe, Tensor::full({}, 0, DType::i64));
  }
  check_labels(op, safe, log_p.dim(axis));
  return {permute(log_p, last), safe, valid};
}
Tensor weighted(const Tensor& loss, const Tensor& weight, const Tensor& valid) {
  Tensor y = weight ? loss * weight : loss;
  return valid ? where(valid, y, constant(y, 0)) : y;
}
}  // namespace

// Sums over classes of -log_p times what each class is aimed at; the mean is over weights of the labels.
static Tensor class_loss(const Picked& p, const ClassOptions& o, double smoothing) {
  int64_t classes = p.log_p.dim(-1);
  DType t = p.log_p.dtype();
  Tensor weight = o.weight ? cast(o.weight, t) : Tensor(), own = weight ? gather(weight, p.target) : Tensor();
  Tensor loss = -squeeze(gather_elements(p.log_p, unsqueeze(p.target, -1), -1), -1);
  loss = weighted(nan_at_wrong_labels(loss, p.target, classes), own, p.valid);
  if (smoothing > 0) {
    Tensor even = weighted(-sum(weight ? p.log_p * weight : p.log_p, {-1}), {}, p.valid);
    loss = loss * (1 - smoothing) + even * (smoothing / double(classes));
  }
  if (o.reduction == Reduction::none) return loss;
  if (o.reduction == Reduction::sum) return sum(loss);
  Tensor ones = own ? own : cast(where(equal(p.target, p.target), Tensor::full({}, 1), Tensor::full({}, 0)), t);
  return sum(loss) / sum(weighted(ones, {}, p.valid));
}
Tensor nll_loss(const Tensor& log_p, const Tensor& target, const ClassOptions& o) { return class_loss(picked("nll_loss", log_p, target, o), o, 0); }

Tensor cross_entropy(const Tensor& logits, const Tensor& target, const ClassOptions& o) {
  const char* op = "cross_entropy";
  if (!(o.label_smoothing >= 0 && o.label_smoothing <= 1)) throw Error(ErrorKind::value, op, "label_smoothing in [0, 1]", std::to_string(o.label_smoothing));
  if (logits.rank() < 1) throw Error(ErrorKind::value, op, "logits of shape (N, C)", logits.shape().text());
  int axis = logits.rank() == 1 ? 0 : 1;
  Tensor log_p = log_softmax(logits, axis);
  if (!is_float(target.dtype())) return class_loss(picked(op, log_p, target, o), o, o.label_smoothing);
  if (target.shape() != logits.shape())
    throw Error(ErrorKind::value, op, "integer labels, or probabilities of shape " + logits.shape().text(), target.spec().text(), "convert labels with cast first");
  int64_t classes = logits.dim(axis);
  Tensor aim = cast(target, log_p.dtype());
  if (o.label_smoothing > 0) aim = aim * (1 - o.label_smoothing) + o.label_smoothing / double(classes);
  Tensor terms = log_p * aim;
  if (o.weight) {
    if (o.weight.shape() != Shape{classes}) throw Error(ErrorKind::value, op, "a weight of shape " + Shape{classes}.text(), o.weight.shape().text());
    Shape s = Dims::filled(logits.rank(), 1);
    s[axis] = classes;
    terms = terms * reshape(cast(o.weight, terms.dtype()), s);
  }
  return reduced(-sum(terms, {axis}), o.reduction);            // the mean is over samples, whatever the weights
}

// ---- binary ----
Tensor binary_cross_entropy(const Tensor& p, const Tensor& target, const Tensor& weight, Reduction r) {
  same_shape("binary_cross_entropy", p, target);
  if (p.has_data() && p.numel() && !mode().recorder) {
    NoGrad no_grad;
    double least = min(detach(p)).item(), most = max(detach(p)).item();
    if (!(least >= 0 && most <= 1)) throw Error(ErrorKind::value, "binary_cross_entropy", "probabilities in [0, 1]", std::to_string(least) + " to " + std::to_string(most), "give logits to binary_cross_entropy_with_logits");
  }
  auto log_of = [](const Tensor& x) { return at_least(log(x), -100); };      // torch's limit
  Tensor t = cast(target, p.dtype());
  Tensor loss = -(t * log_of(p) + (1.0 - t) * log_of(1.0 - p));
  return reduced(weight ? loss * weight : loss, r);
}
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight, const Tensor& pos_weight, Reduction r) {
  same_shape("binary_cross_entropy_with_logits", x, target);
  Tensor t = cast(target, x.dtype()), loss;
  if (pos_weight) loss = (1.0 - t) * x + ((pos_weight - 1.0) * t + 1.0) * miniten::softplus(-x);
  else loss = miniten::softplus(x) - t * x;
  return reduced(weight ? loss * weight : loss, r);
}
Tensor focal_loss(const Tensor& x, const Tensor& target, double alpha, double gamma, Reduction r) {
  same_shape("focal_loss", x, target);
  if (!(gamma >= 0)) throw Error(ErrorKind::value, "focal_loss", "a gamma of 0 or more", std::to_string(gamma));
  Tensor t = cast(target, x.dtype()), ce = miniten::softplus(x) - t * x, p = sigmoid(x);
  Tensor missed = p + t - p * t * 2.0;                          // 1 - the probability of the right answer
  Tensor loss = gamma == 0 ? ce : ce * (gamma == 2 ? square(missed) : pow(missed, gamma));
  return reduced(alpha < 0 ? loss : loss * (t * alpha + (1.0 - t) * (1 - alpha)), r);
}
Tensor kl_div(const Tensor& log_p, const Tensor& target, Reduction r, bool log_target, bool batch_mean) {
  same_shape("kl_div", log_p, target);
  Tensor loss;
  if (log_target) loss = exp(target) * (target - log_p);
  else {
    Tensor some = greater(target, number_like(target, 0));     // 0 log 0 = 0
    loss = where(some, target * log(where(some, target, constant(target, 1))), constant(target, 0)) - target * log_p;
  }
  if (!batch_mean) return reduced(loss, r);
  if (log_p.rank() < 1 || is_symbol(log_p.dim(0))) throw Error(ErrorKind::value, "kl_div", "a batch of known size with 'batchmean'", log_p.shape().text());
  return sum(loss) / double(log_p.dim(0));
}

// ---- distances ----
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin, double p, double eps, bool swap, Reduction r) {
  same_shape("triplet_margin_loss", anchor, positive);
  same_shape("triplet_margin_loss", anchor, negative);
  Tensor far = pairwise_distance(anchor, negative, p, eps);
  if (swap) far = minimum(far, pairwise_distance(positive, negative, p, eps));
  return reduced(at_least(pairwise_distance(anchor, positive, p, eps) - far + margin, 0), r);
}
static void signs(const char* op, const Tensor& target) {
  if (target.dtype() == DType::boolean) throw Error(ErrorKind::type, op, "targets of 1 and -1", target.spec().text());
}
Tensor cosine_embedding_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin, Reduction r) {
  same_shape("cosine_embedding_loss", a, b);
  signs("cosine_embedding_loss", target);
  if (a.rank() < 1 || target.rank() != a.rank() - 1) throw Error(ErrorKind::value, "cosine_embedding_loss", "inputs (N, D) and targets (N,)", a.shape().text() + " and " + target.shape().text());
  constexpr double eps = 1.1920928955078125e-7 * 1e-5;
  Tensor cosine = sum(a * b, {-1}) / sqrt((sum(square(a), {-1}) + eps) * (sum(square(b), {-1}) + eps));
  return reduced(where(greater(target, number_like(target, 0)), 1.0 - cosine, at_least(cosine - margin, 0)), r);
}
Tensor margin_ranking_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin, Reduction r) {
  same_shape("margin_ranking_loss", a, b);
  signs("margin_ranking_loss", target);
  return reduced(at_least(-target * (a - b) + margin, 0), r);
}
Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin, Reduction r) {
  same_shape("hinge_embedding_loss", x, target);
  signs("hinge_embedding_loss", target);
  return reduced(where(greater(target, number_like(target, 0)), x, at_least(margin - x, 0)), r);
}

// ---- ctc: the forward variables of every sample at once; -1e30 stands for log 0 ----
namespace {
constexpr double log_zero = -1e30;
Tensor log_add(std::initializer_list<Tensor> terms) {
  Tensor top = *terms.begin();
  for (const Tensor& t : terms) top = maximum(top, t);
  top = detach(top);
  Tensor total;
  for (const Tensor& t : terms) total = total ? total + exp(t - top) : exp(t - top);
  return log(total) + top;
}
}  // namespace
Tensor ctc_loss(const Tensor& log_p, const Tensor& targets, const Tensor& input_lengths, const Tensor& target_lengths, int64_t blank, Reduction r, bool zero_infinity) {
  const char* op = "ctc_loss";
  if (log_p.rank() != 3 || targets.rank() != 2 || !log_p.shape().is_static() || targets.dim(0) != log_p.dim(1))
    throw Error(ErrorKind::value, op, "log probabilities (T, N, C) and targets (N, S)", log_p.shape().text() + " and " + targets.shape().text());
  int64_t steps = log_p.dim(0), batch = log_p.dim(1), classes = log_p.dim(2), longest = targets.dim(1), states = 2 * longest + 1;
  if (blank < 0 || blank >= classes) throw Error(ErrorKind::value, op, "a blank below " + std::to_string(classes), std::to_string(blank));
  auto lengths_of = [&](const Tensor& t, const char* what, int64_t low, int64_t most) {
    if (t.rank() != 1 || t.dim(0) != batch || !is_integer(t.dtype())) throw Error(ErrorKind::value, op, std::string(what) + " lengths (" + std::to_string(batch) + ",) of integers", t.spec().text());
    std::vector<int64_t> out = cast(t, DType::i64).to_vector<int64_t>();
    for (int64_t n : out) if (n < low || n > most) throw Error(ErrorKind::value, op, std::string(what) + " lengths in [" + std::to_string(low) + ", " + std::to_string(most) + "]", std::to_string(n));
    return out;
  };
  auto inputs = lengths_of(input_lengths, "input", 1, steps), wanted = lengths_of(target_lengths, "target", 0, longest);
  std::vector<int64_t> labels = cast(targets, DType::i64).to_vector<int64_t>(), where_to, ends;
  std::vector<uint8_t> skips, starts;
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t s = 0; s < states; ++s) {
      auto label_at = [&](int64_t at) { return at % 2 == 0 ? blank : labels[size_t(n * longest + at / 2)]; };
      bool inside = s <= 2 * wanted[size_t(n)];
      int64_t label = inside ? label_at(s) : blank;
      if (label < 0 || label >= classes) throw Error(ErrorKind::index, op, "labels below " + std::to_string(classes), std::to_string(label));
      where_to.push_back(n * classes + label);
      skips.push_back(inside && s % 2 == 1 && s >= 2 && label != label_at(s - 2));
      starts.push_back(inside && s < 2);
    }
    int64_t last = 2 * wanted[size_t(n)];
    ends.push_back(n * states + last);
    ends.push_back(n * states + std::max<int64_t>(last - 1, 0));
  }
  DType t = log_p.dtype();
  auto bools = [&](const std::vector<uint8_t>& v) { return cast(Tensor::of<uint8_t>({batch, states}, v), DType::boolean); };
  Tensor index = Tensor::of<int64_t>({batch, states}, where_to), skip = bools(skips), start = bools(starts), zero = cast(Tensor::full({}, log_zero, DType::f64), t);
  auto shifted = [&](const Tensor& a, int64_t by) { return states <= by ? a * 0.0 + log_zero : slice(miniten::pad(a, {0, by}, {0, 0}, log_zero), 1, 0, states); };
  Tensor alpha;
  for (int64_t step = 0; step < steps; ++step) {
    Tensor emit = gather(reshape(select(log_p, 0, step), {batch * classes}), index);
    if (!alpha) { alpha = where(start, emit, zero); continue; }
    Tensor next = log_add({alpha, shifted(alpha, 1), where(skip, shifted(alpha, 2), zero)}) + emit;
    std::vector<uint8_t> running;
    for (int64_t n : inputs) running.push_back(step < n);
    alpha = where(cast(Tensor::of<uint8_t>({batch, 1}, running), DType::boolean), next, alpha);
  }
  Tensor finals = gather(reshape(alpha, {batch * states}), Tensor::of<int64_t>({batch, 2}, ends));
  std::vector<uint8_t> empty;
  for (int64_t n : wanted) empty.push_back(n == 0);
  Tensor is_empty = cast(Tensor::of<uint8_t>({batch}, empty), DType::boolean);
  Tensor last = select(finals, 1, 0), loss = -where(is_empty, last, log_add({last, select(finals, 1, 1)}));
  Tensor impossible = greater(loss, number_like(loss, 1e29));
  loss = where(impossible, cast(number_like(loss, zero_infinity ? 0.0 : double(infinity)), t), loss);
  if (r != Reduction::mean) return reduced(loss, r);
  std::vector<double> over;
  for (int64_t n : wanted) over.push_back(double(std::max<int64_t>(n, 1)));
  return mean(loss / cast(Tensor::of<double>({batch}, over), t));
}

}  // namespace miniten::nn::functional
