#include <cmath>
#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// Attention of ONNX and of onnxruntime's contrib domain, as products and a softmax.
namespace miniten::onnx {

namespace {

// (B, S, heads * d) -> (B, heads, S, d)
Tensor split_heads(const ForeignNode& n, const Tensor& x, int64_t heads) {
  if (heads < 1 || x.rank() != 3 || x.dim(2) % heads) n.fail("(batch, length, width) of " + std::to_string(heads) + " heads", x.spec().text());
  return miniten::permute(miniten::reshape(x, {x.dim(0), x.dim(1), heads, x.dim(2) / heads}), {0, 2, 1, 3});
}
Tensor join_heads(const Tensor& x) { return miniten::reshape(miniten::permute(x, {0, 2, 1, 3}), {x.dim(0), x.dim(2), x.dim(1) * x.dim(3)}); }

Tensor lowest(const Tensor& like) { return Tensor::full({}, -double(infinity), like.dtype()); }
Tensor additive(const Tensor& allowed, const Tensor& like) { return miniten::where(allowed, Tensor::full({}, 0, like.dtype()), lowest(like)); }
// Rows that may look nowhere give zeros, not NaN.
Tensor masked_softmax(const Tensor& x, bool may_be_empty) {
  Tensor p = miniten::softmax(x, -1);
  if (!may_be_empty) return p;
  return miniten::where(equal(max(x, {-1}, true), lowest(x)), Tensor::full({}, 0, x.dtype()), p);
}

Tensors read_attention(const ForeignNode& n) {
  Tensor q = n.required(0), k = n.required(1), v = n.required(2), mask = optional(n, 3), past_k = optional(n, 4), past_v = optional(n, 5), lengths = optional(n, 6);
  bool flat = q.rank() == 3;
  if (bool(past_k) != bool(past_v)) n.fail("past_key and past_value together", "one of them");
  if (flat) {
    q = split_heads(n, q, n.integer("q_num_heads", 0));
    k = split_heads(n, k, n.integer("kv_num_heads", 0));
    v = split_heads(n, v, n.integer("kv_num_heads", 0));
  }
  if (q.rank() != 4 || k.rank() != 4 || v.rank() != 4) n.fail("queries, keys and values of 3 or 4 axes", q.spec().text());
  if (past_k) {
    Tensor keys[] = {past_k, k}, values[] = {past_v, v};
    k = miniten::concat(keys, 2);
    v = miniten::concat(values, 2);
  }
  Tensor present_k = k, present_v = v;
  require_static(n, q);
  require_static(n, k);
  int64_t rows = q.dim(2), columns = k.dim(2), groups = k.dim(1) ? q.dim(1) / k.dim(1) : 0;
  if (groups < 1 || q.dim(1) % k.dim(1)) n.fail("query heads in whole groups of the " + std::to_string(k.dim(1)) + " key heads", std::to_string(q.dim(1)));
  k = repeat(k, 1, groups);
  v = repeat(v, 1, groups);
  double scale = std::sqrt(n.number("scale", 0) != 0 ? n.number("scale", 0) : 1 / std::sqrt(double(q.dim(3))));
  Tensor scores = miniten::matmul(q * scale, transpose(k * scale)), raw = scores;
  if (double cap = n.number("softcap", 0); cap > 0) scores = miniten::tanh(scores / cap) * cap;
  Tensor capped = scores;
  bool may_be_empty = false;
  Tensor zero = Tensor::full({}, 0, DType::boolean);
  if (mask) {
    if (mask.dim(-1) < columns) {                                         // what the mask does not reach is hidden
      Dims before = Dims::filled(mask.rank(), 0), after = before;
      after[mask.rank() - 1] = columns - mask.dim(-1);
      mask = mask.dtype() == DType::boolean ? miniten::pad(mask, before, after, 0) : miniten::pad(mask, before, after, -double(infinity));
    }
    scores = scores + (mask.dtype() == DType::boolean ? additive(mask, scores) : miniten::cast(mask, scores.dtype()));
    may_be_empty = true;
  }
  int64_t left = n.integer("left_window_size", -1), right = n.integer("right_window_size", -1);
  Tensor i = miniten::reshape(counting(rows), {rows, 1}), j = counting(columns);
  Tensor offset = Tensor::full({}, past_k ? double(past_k.dim(2)) : 0, DType::i64);
  if (lengths && !past_k) offset = miniten::reshape(miniten::cast(lengths, DType::i64), {-1, 1, 1, 1}) - double(rows);
  if (n.integer("is_causal", 0)) { scores = scores + additive(less_equal(j, i + offset), scores); may_be_empty = true; }
  if (left >= 0) { scores = scores + additive(less_equal(i + offset - j, Tensor::full({}, double(left), DType::i64)), scores); may_be_empty = true; }
  if (right >= 0) { scores = scores + additive(less_equal(j - i - offset, Tensor::full({}, double(right), DType::i64)), scores); may_be_empty = true; }
  if (lengths) {
    scores = scores + additive(less(j, miniten::reshape(miniten::cast(lengths, DType::i64), {-1, 1, 1, 1})), scores);
    may_be_empty = true;
  }
  DType t = q.dtype(), precise = t;
  if (n.has("softmax_precision") && !from_onnx_type(n.integer("softmax_precision", 1), precise)) n.fail("a dtype that MiniTen has", std::to_string(n.integer("softmax_precision", 1)));
  Tensor p = miniten::cast(masked_softmax(miniten::cast(scores, precise), may_be_empty), t);
  Tensor y = miniten::matmul(p, v);
  int64_t mode = n.integer("qk_matmul_output_mode", 0);
  Tensor shown = mode == 3 ? p : mode == 0 ? raw : mode == 1 ? capped : scores;
  return {flat ? join_heads(y) : y, present_k, present_v, shown};
}

Tensors read_rotary(const ForeignNode& n) {
  Tensor x = n.required(0), cosine = n.required(1), sine = n.required(2), places = optional(n, 3);
  bool flat = x.rank() == 3, interleaved = n.integer("interleaved", 0) != 0;
  Shape given = x.shape();
  if (flat) {
    int64_t heads = n.integer("num_heads", 0);
    if (heads < 1 || x.dim(2) % heads) n.fail("num_heads that divides " + x.spec().text(), std::to_string(heads));
    x = miniten::reshape(x, {x.dim(0), x.dim(1), heads, x.dim(2) / heads});
  } else if (x.rank() == 4) {
    x = miniten::permute(x, {0, 2, 1, 3});
  } else n.fail("3 or 4 axes", x.spec().text());
  int64_t width = x.dim(3), part = n.integer("rotary_embedding_dim", 0);
  if (part == 0) part = width;
  if (part < 0 || part > width || part % 2) n.fail("an even rotary_embedding_dim of at most " + std::to_string(width), std::to_string(part));
  Tensor rest = miniten::slice(x, 3, part, width), turned = miniten::slice(x, 3, 0, part);
  if (places) { cosine = miniten::gather(cosine, places, 0); sine = miniten::gather(sine, places, 0); }
  cosine = unsqueeze(cosine, 2);
  sine = unsqueeze(sine, 2);
  Tensor a = interleaved ? miniten::slice(turned, 3, 0, INT64_MAX, 2) : miniten::slice(turned, 3, 0, part / 2);
  Tensor b = interleaved ? miniten::slice(turned, 3, 1, INT64_MAX, 2) : miniten::slice(turned, 3, part / 2, part);
  Tensor real = cosine * a - sine * b, imaginary = sine * a + cosine * b;
  Tensor halves[] = {real, imaginary};
  Tensor y = interleaved ? miniten::reshape(stack(halves, -1), turned.shape()) : miniten::concat(halves, 3);
  Tensor both[] = {y, rest};
  if (part < width) y = miniten::concat(both, 3);
  return {flat ? miniten::reshape(y, given) : miniten::permute(y, {0, 2, 1, 3})};
}

Tensors read_linear_attention(const ForeignNode& n) {
  int64_t heads = n.integer("q_num_heads", 0), kv_heads = n.integer("kv_num_heads", 0);
  std::string rule = n.text("update_rule", "gated_delta");
  bool gated = rule == "gated" || rule == "gated_delta", delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear") n.fail("update_rule linear, gated, delta or gated_delta", rule);
  if (heads < 1 || kv_heads < 1 || heads % kv_heads) n.fail("query heads in whole groups", std::to_string(heads) + " and " + std::to_string(kv_heads));
  DType t = n.required(0).dtype();
  auto wide = [](const Tensor& x) { return miniten::cast(x, DType::f32); };
  Tensor q = split_heads(n, wide(n.required(0)), heads), k = split_heads(n, wide(n.required(1)), kv_heads), v = split_heads(n, wide(n.required(2)), kv_heads);
  Tensor past = optional(n, 3), decay = optional(n, 4), beta = optional(n, 5);
  if (gated != bool(decay) || delta != bool(beta)) n.fail("decay for gated rules and beta for delta rules", rule);
  int64_t keys = k.dim(3), steps = q.dim(2);
  if (is_symbol(steps)) n.fail("a known number of steps", n.required(0).spec().text());
  if (decay) decay = split_heads(n, wide(decay), kv_heads);
  if (beta) { beta = wide(beta); beta = split_heads(n, beta, beta.dim(2)); }
  Tensor state = past ? wide(past) : miniten::expand(Tensor::full({}, 0), {q.dim(0), kv_heads, keys, v.dim(3)});
  double scale = n.number("scale", 0) != 0 ? n.number("scale", 0) : 1 / std::sqrt(double(keys));
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < steps; ++i) {
    auto at = [&](const Tensor& x) { return miniten::slice(x, 2, i, i + 1); };             // (B, H, 1, d)
    Tensor column = transpose(at(k)), value = at(v);
    if (gated) state = state * transpose(exp(at(decay)));
    if (delta) value = at(beta) * (value - miniten::matmul(at(k), state));
    state = state + column * value;
    rows.push_back(miniten::matmul(at(q), repeat(state, 1, heads / kv_heads)) * scale);
  }
  return {miniten::cast(join_heads(miniten::concat(rows, 2)), t), miniten::cast(state, past ? past.dtype() : t)};
}
Tensors read_causal_conv(const ForeignNode& n) {
  Tensor x = n.required(0), w = n.required(1), bias = optional(n, 2), past = optional(n, 3);
  if (x.rank() != 3 || w.rank() != 3) n.fail("(N, C, L) and (C, 1, k)", x.spec().text() + " and " + w.spec().text());
  int64_t k = w.dim(2);
  Tensor before = past ? past : miniten::expand(Tensor::full({}, 0, x.dtype()), {x.dim(0), x.dim(1), k - 1});
  Tensor parts[] = {before, x};
  Tensor padded = miniten::concat(parts, 2);
  Tensor y = squeeze(miniten::conv2d(unsqueeze(padded, 2), unsqueeze(w, 2), bias, {.groups = x.dim(1)}), 2);
  std::string f = n.text("activation", "none");
  if (f == "silu" || f == "swish") y = miniten::silu(y);
  else if (f != "none") n.fail("activation none, silu or swish", f);
  return {y, miniten::slice(padded, 2, padded.dim(2) - (k - 1), padded.dim(2))};
}

// ---- onnxruntime's contrib domain: what its optimiser writes ----
Tensor layer_norm(const Tensor& x, const Tensor& scale, const Tensor& bias, double eps) {
  Tensor centred = x - mean(x, {-1}, true);
  Tensor y = centred * reciprocal(sqrt(mean(miniten::square(centred), {-1}, true) + eps)) * scale;
  return bias ? y + bias : y;
}
Tensors read_skip_layer_norm(const ForeignNode& n) {
  Tensor total = n.required(0) + n.required(1);
  bool simple = n.type() == "SkipSimplifiedLayerNormalization";
  Tensor beta = simple ? Tensor() : optional(n, 3), bias = optional(n, simple ? 3 : 4);
  if (bias) total = total + bias;
  double eps = n.number("epsilon", 1e-12);
  Tensor y = simple ? total * reciprocal(sqrt(mean(miniten::square(total), {-1}, true) + eps)) * n.required(2) : layer_norm(total, n.required(2), beta, eps);
  return {y, Tensor(), Tensor(), total};
}
Tensor tanh_gelu(const Tensor& x) { return x * 0.5 * (miniten::tanh((x + x * x * x * 0.044715) * 0.7978845608028654) + 1.0); }
Tensors read_fast_gelu(const ForeignNode& n) {
  Tensor x = n.required(0), bias = optional(n, 1);
  return {tanh_gelu(bias ? x + bias : x)};
}
Tensors read_bias_gelu(const ForeignNode& n) { return {miniten::gelu(n.required(0) + n.required(1))}; }
Tensors read_contrib_gelu(const ForeignNode& n) { return {miniten::gelu(n.required(0))}; }
Tensors read_quick_gelu(const ForeignNode& n) { Tensor x = n.required(0); return {x * sigmoid(x * n.number("alpha", 1.702))}; }
Tensor attend(const ForeignNode& n, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& allowed, const Tensor& added) {
  double scale = n.number("scale", 0) != 0 ? n.number("scale", 0) : 1 / std::sqrt(double(q.dim(-1)));
  Tensor scores = miniten::matmul(q, transpose(k)) * scale;
  if (added) scores = scores + added;
  if (allowed) scores = scores + miniten::where(allowed, Tensor::full({}, 0, q.dtype()), Tensor::full({}, n.number("mask_filter_value", -10000), q.dtype()));
  if (n.integer("unidirectional", 0)) {
    require_static(n, scores);
    int64_t rows = scores.dim(2), columns = scores.dim(3);
    Tensor seen = less_equal(counting(columns), miniten::reshape(counting(rows), {rows, 1}) + double(columns - rows));
    scores = miniten::where(seen, scores, lowest(scores));
  }
  return join_heads(miniten::matmul(miniten::softmax(scores, -1), v));
}
// Key masks: (B, S) of 0 and 1, or (B, S, S), (B, 1, S, S), or lengths (B,).
Tensor key_mask(const ForeignNode& n, const Tensor& mask, Dim keys) {
  if (!mask) return {};
  Tensor m = miniten::cast(mask, DType::i64), zero = Tensor::full({}, 0, DType::i64);
  if (m.rank() == 1) {
    if (is_symbol(keys)) n.fail("a known number of keys", mask.spec().text());
    return less(counting(keys), miniten::reshape(m, {-1, 1, 1, 1}));
  }
  if (m.rank() == 2) m = miniten::reshape(m, {m.dim(0), 1, 1, m.dim(1)});
  else if (m.rank() == 3) m = unsqueeze(m, 1);
  return greater(m, zero);
}
Tensors read_contrib_attention(const ForeignNode& n) {
  Tensor x = n.required(0), w = n.required(1), bias = optional(n, 2);
  if (optional(n, 4)) n.fail("attention without a past", "one");
  int64_t heads = n.integer("num_heads", 0);
  Tensor all = miniten::matmul(x, w);
  if (bias) all = all + bias;
  Ints sizes = n.integers("qkv_hidden_sizes", Ints(3, all.dim(2) / 3));
  auto part = [&](int i) { int64_t from = 0; for (int k = 0; k < i; ++k) from += sizes[size_t(k)]; return split_heads(n, miniten::slice(all, 2, from, from + sizes[size_t(i)]), heads); };
  if (sizes.size() != 3) n.fail("three hidden sizes", std::to_string(sizes.size()));
  return {attend(n, part(0), part(1), part(2), key_mask(n, optional(n, 3), x.dim(1)), optional(n, 5))};
}
Tensors read_multi_head(const ForeignNode& n) {
  int64_t heads = n.integer("num_heads", 0);
  Tensor q = n.required(0), k = n.required(1), v = n.required(2), bias = optional(n, 3);
  if (optional(n, 6) || optional(n, 7)) n.fail("attention without a past", "one");
  if (bias) {
    int64_t a = q.dim(2), b = k.dim(2);
    q = q + miniten::slice(bias, 0, 0, a);
    k = k + miniten::slice(bias, 0, a, a + b);
    v = v + miniten::slice(bias, 0, a + b, bias.dim(0));
  }
  return {attend(n, split_heads(n, q, heads), split_heads(n, k, heads), split_heads(n, v, heads), key_mask(n, optional(n, 4), k.dim(1)), optional(n, 5))};
}

constexpr ForeignComposition rules[] = {
    {"onnx", "Attention", read_attention}, {"onnx", "RotaryEmbedding", read_rotary}, {"onnx", "LinearAttention", read_linear_attention},
    {"onnx", "CausalConvWithState", read_causal_conv}, {"onnx", "com.microsoft.SkipLayerNormalization", read_skip_layer_norm},
    {"onnx", "com.microsoft.SkipSimplifiedLayerNormalization", read_skip_layer_norm}, {"onnx", "com.microsoft.FastGelu", read_fast_gelu},
    {"onnx", "com.microsoft.BiasGelu", read_bias_gelu}, {"onnx", "com.microsoft.Gelu", read_contrib_gelu}, {"onnx", "com.microsoft.QuickGelu", read_quick_gelu},
    {"onnx", "com.microsoft.Attention", read_contrib_attention}, {"onnx", "com.microsoft.MultiHeadAttention", read_multi_head}};

}  // namespace

Compositions attention_rules() { return rules; }

}  // namespace miniten::onnx
