#include "miniten/nn/attention.h"
#include "base/allocate.h"
#include "nn/layer_parts.h"

namespace miniten::nn {

namespace F = functional;

MultiheadAttention::MultiheadAttention(int64_t embed, int64_t heads, const Options& o) : embed_dim(embed), num_heads(heads), options(o) {
  const char* name = "MultiheadAttention";
  require_positive(name, "embed_dim", embed);
  require_positive(name, "num_heads", heads);
  if (embed % heads) throw Error(ErrorKind::value, name, "num_heads that divides embed_dim", std::to_string(heads) + " for " + std::to_string(embed));
  if (!(o.dropout >= 0 && o.dropout <= 1)) throw Error(ErrorKind::value, name, "a dropout in [0, 1]", number(o.dropout));
  int64_t kdim = o.kdim.value_or(embed), vdim = o.vdim.value_or(embed);
  require_positive(name, "kdim", kdim);
  require_positive(name, "vdim", vdim);
  auto xavier = [](int64_t out, int64_t in) { return uniform_values({out, in}, std::sqrt(6.0 / double(in + out))); };
  if (kdim == embed && vdim == embed) register_parameter("in_proj_weight", xavier(3 * embed, embed));
  else {
    register_parameter("q_proj_weight", xavier(embed, embed));
    register_parameter("k_proj_weight", xavier(embed, kdim));
    register_parameter("v_proj_weight", xavier(embed, vdim));
  }
  if (o.bias) register_parameter("in_proj_bias", Tensor::zeros({3 * embed}));
  auto out = make<Linear>(embed, embed, o.bias);
  if (o.bias) out->register_parameter("bias", Tensor::zeros({embed}));
  add("out_proj", out);
  if (o.dropout > 0) add("attention_dropout", make<Dropout>(o.dropout));
}

std::pair<Tensor, Tensor> MultiheadAttention::attend(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionCall& call) {
  const char* name = "MultiheadAttention";
  int64_t kdim = options.kdim.value_or(embed_dim), vdim = options.vdim.value_or(embed_dim), head = embed_dim / num_heads;
  bool single = query.rank() == 2;
  for (auto [t, width] : {std::pair{&query, embed_dim}, {&key, kdim}, {&value, vdim}})
    if (t->rank() != query.rank() || t->rank() < 2 || t->rank() > 3 || t->dim(-1) != width)
      throw Error(ErrorKind::value, name, "query, key and value of widths " + std::to_string(embed_dim) + ", " + std::to_string(kdim) + " and " + std::to_string(vdim),
                  query.shape().text() + ", " + key.shape().text() + " and " + value.shape().text());
  auto batched = [&](const Tensor& t) { return single ? unsqueeze(t, 0) : options.batch_first ? t : transpose(t, 0, 1); };   // (N, L, E)
  Tensor b = parameter_of("in_proj_bias"), all = parameter_of("in_proj_weight");
  auto rows = [&](const Tensor& t, int64_t i) { return t ? slice(t, 0, i * embed_dim, (i + 1) * embed_dim) : Tensor(); };
  auto project = [&](const Tensor& t, int64_t i, const char* own) {
    Tensor y = linear(batched(t), all ? rows(all, i) : parameter_of(own), rows(b, i));
    return transpose(reshape(y, {y.dim(0), y.dim(1), num_heads, head}), 1, 2);             // (N, H, L, E / H)
  };
  Tensor q, k, v;
  if (all && query.same(key) && key.same(value)) {                                         // one product for the three
    Tensor y = linear(batched(query), all, b);
    Tensor parts = permute(reshape(y, {y.dim(0), y.dim(1), 3, num_heads, head}), {2, 0, 3, 1, 4});
    q = select(parts, 0, 0);
    k = select(parts, 0, 1);
    v = select(parts, 0, 2);
  } else {
    q = project(query, 0, "q_proj_weight");
    k = project(key, 1, "k_proj_weight");
    v = project(value, 2, "v_proj_weight");
  }
  int64_t before = 0;
  if (KeyValueCache* cache = call.cache.get()) {
    if (mode().recorder) throw Error(ErrorKind::unsupported, name, "no cache while tracing", "one", "trace the whole sequence");
    if (k.dim(0) != cache->batch) throw Error(ErrorKind::value, name, "a batch of " + std::to_string(cache->batch) + ", as the cache", std::to_string(k.dim(0)));
    if (cache->length + k.dim(2) > cache->max_length)
      throw Error(ErrorKind::value, name, "at most " + std::to_string(cache->max_length) + " steps in the cache", std::to_string(cache->length + k.dim(2)), "make a longer cache, or reset it");
    before = cache->length;
    if (before) {
      std::vector<Tensor> ks{cache->keys, k}, vs{cache->values, v};
      k = concat(ks, 2);
      v = concat(vs, 2);
    }
    NoGrad no_grad;
    cache->keys = copy(detach(k));
    cache->values = copy(detach(v));
    cache->length += q.dim(2);
  }
  // Masks are added: 0 where attention is allowed, minus infinity where not.
  Tensor mask;
  auto added = [&](const Tensor& t, const char* what, const Shape& shape, bool forbidden = true) {
    if (t.dtype() != DType::boolean && !is_float(t.dtype())) throw Error(ErrorKind::type, name, std::string("a bool or float ") + what, t.spec().text());
    Tensor zero = Tensor::full({}, 0, q.dtype()), never = Tensor::full({}, -double(infinity), q.dtype());
    Tensor m = t.dtype() == DType::boolean ? forbidden ? where(t, never, zero) : where(t, zero, never) : cast(t, q.dtype());
    m = reshape(m, shape);
    mask = mask ? mask + m : m;
  };
  Dim n = q.dim(0), l = q.dim(2), s = k.dim(2);
  if (const Tensor& m = call.attn_mask) {
    if (m.shape() == Shape{l, s}) added(m, "attn_mask", {1, 1, l, s});
    else if (m.rank() == 3 && !is_symbol(n) && m.shape() == Shape{n * num_heads, l, s}) added(m, "attn_mask", {n, num_heads, l, s});
    else throw Error(ErrorKind::value, name, "an attn_mask of shape " + Shape{l, s}.text() + " or (N * num_heads, L, S)", m.shape().text());
  }
  if (const Tensor& m = call.key_padding_mask) {
    Shape want = single ? Shape{s} : Shape{n, s};
    if (m.shape() != want) throw Error(ErrorKind::value, name, "a key_padding_mask of shape " + want.text(), m.shape().text());
    added(m, "key_padding_mask", {single ? 1 : n, 1, 1, s});
  }
  if ((call.is_causal && !call.attn_mask) || (call.cache && l > 1)) {
    if (is_symbol(l) || is_symbol(s)) throw Error(ErrorKind::unsupported, name, "known lengths with is_causal", q.shape().text(), "trace with a fixed shape");
    std::vector<uint8_t> seen(addressable(uint64_t(l * s)));
    for (int64_t i = 0; i < l; ++i) for (int64_t j = 0; j < s; ++j) seen[size_t(i * s + j)] = j <= i + before;
    added(cast(Tensor::of<uint8_t>({l, s}, seen), DType::boolean), "mask", {1, 1, l, s}, false);
  }
  Tensor p;
  ModuleRef drop = child("attention_dropout");
  std::function<Tensor(const Tensor&)> dropped;
  if (drop) dropped = [&](const Tensor& t) { return (*drop)(t); };
  Tensor y = F::scaled_dot_product_attention(q, k, v, mask, false, {}, call.need_weights ? &p : nullptr, dropped);
  y = transpose(y, 1, 2);
  y = (*child("out_proj"))(reshape(y, {y.dim(0), y.dim(1), embed_dim}));
  y = single ? squeeze(y, 0) : options.batch_first ? y : transpose(y, 0, 1);
  if (!call.need_weights) return {y, Tensor()};
  if (drop && training()) p = dropped(p);
  Tensor w = call.average_weights ? mean(p, {1}) : p;
  return {y, single ? squeeze(w, 0) : w};
}
std::vector<Tensor> MultiheadAttention::forward(const std::vector<Tensor>& in) {
  if (in.size() != 1 && in.size() != 3) throw Error(ErrorKind::value, type_name(), "x, or query, key and value", std::to_string(in.size()) + " tensors");
  auto [y, w] = attend(in[0], in.size() == 1 ? in[0] : in[1], in.size() == 1 ? in[0] : in[2], {});
  return {y, w};
}
Ref<KeyValueCache> MultiheadAttention::new_cache(int64_t batch, int64_t max_length) const {
  require_positive("MultiheadAttention", "batch", batch);
  require_positive("MultiheadAttention", "max_length", max_length);
  return make<KeyValueCache>(batch, max_length);
}
std::string MultiheadAttention::extra_repr() const { return std::to_string(embed_dim) + ", num_heads=" + std::to_string(num_heads); }

// ---- transformer layers ----
namespace {
using Options = TransformerOptions;
void check_activation(const char* layer, const std::string& a) {
  if (a != "relu" && a != "gelu") throw Error(ErrorKind::value, layer, "activation 'relu' or 'gelu'", "'" + a + "'");
}
MultiheadAttention::Options attention_options(const Options& o) { return {o.dropout, o.bias, {}, {}, o.batch_first}; }
void add_feed(Module& m, int64_t width, const Options& o) {
  m.add("linear1", make<Linear>(width, o.dim_feedforward, o.bias));
  m.add("dropout", make<Dropout>(o.dropout));
  m.add("linear2", make<Linear>(o.dim_feedforward, width, o.bias));
}
void add_norms(Module& m, int64_t width, const Options& o, int count) {
  for (int i = 1; i <= count; ++i) m.add("norm" + std::to_string(i), make<LayerNorm>(Shape{width}, o.layer_norm_eps, true, o.bias));
  for (int i = 1; i <= count; ++i) m.add("dropout" + std::to_string(i), make<Dropout>(o.dropout));
}
Tensor fed(const Module& m, const Tensor& x, const Options& o, const char* last) {
  Tensor h = (*m.child("linear1"))(x);
  h = o.activation == "gelu" ? gelu(h) : relu(h);
  return (*m.child(last))((*m.child("linear2"))((*m.child("dropout"))(h)));
}
}  // namespace

TransformerEncoderLayer::TransformerEncoderLayer(int64_t width, int64_t heads, const Options& o) : options(o) {
  check_activation("TransformerEncoderLayer", o.activation);
  add("self_attn", make<MultiheadAttention>(width, heads, attention_options(o)));
  add_feed(*this, width, o);
  add_norms(*this, width, o, 2);
}
Tensor TransformerEncoderLayer::feed(const Tensor& x) const { return fed(*this, x, options, "dropout2"); }
Tensor TransformerEncoderLayer::encode(const Tensor& x, const TransformerCall& call) {
  auto& attention = dynamic_cast<MultiheadAttention&>(*child("self_attn"));
  auto attend = [&](const Tensor& t) {
    return (*child("dropout1"))(attention.attend(t, t, t, {call.key_padding_mask, call.mask, false, true, call.is_causal, {}}).first);
  };
  auto norm = [&](const char* name, const Tensor& t) { return (*child(name))(t); };
  if (options.norm_first) {
    Tensor y = x + attend(norm("norm1", x));
    return y + feed(norm("norm2", y));
  }
  Tensor y = norm("norm1", x + attend(x));
  return norm("norm2", y + feed(y));
}
std::vector<Tensor> TransformerEncoderLayer::forward(const std::vector<Tensor>& in) { return {encode(only(*this, in), {})}; }

TransformerDecoderLayer::TransformerDecoderLayer(int64_t width, int64_t heads, const Options& o) : options(o) {
  check_activation("TransformerDecoderLayer", o.activation);
  add("self_attn", make<MultiheadAttention>(width, heads, attention_options(o)));
  add("multihead_attn", make<MultiheadAttention>(width, heads, attention_options(o)));
  add_feed(*this, width, o);
  add_norms(*this, width, o, 3);
}
Tensor TransformerDecoderLayer::feed(const Tensor& x) const { return fed(*this, x, options, "dropout3"); }
Tensor TransformerDecoderLayer::decode(const Tensor& x, const Tensor& memory, const TransformerCall& own, const TransformerCall& cross) {
  auto attend = [&](const char* name, const char* drop, const Tensor& q, const Tensor& k, const TransformerCall& call) {
    auto& attention = dynamic_cast<MultiheadAttention&>(*child(name));
    return (*child(drop))(attention.attend(q, k, k, {call.key_padding_mask, call.mask, false, true, call.is_causal, {}}).first);
  };
  auto norm = [&](const char* name, const Tensor& t) { return (*child(name))(t); };
  if (options.norm_first) {
    Tensor n = norm("norm1", x), y = x + attend("self_attn", "dropout1", n, n, own);
    y = y + attend("multihead_attn", "dropout2", norm("norm2", y), memory, cross);
    return y + feed(norm("norm3", y));
  }
  Tensor y = norm("norm1", x + attend("self_attn", "dropout1", x, x, own));
  y = norm("norm2", y + attend("multihead_attn", "dropout2", y, memory, cross));
  return norm("norm3", y + feed(y));
}
std::vector<Tensor> TransformerDecoderLayer::forward(const std::vector<Tensor>& in) {
  if (in.size() != 2) throw Error(ErrorKind::value, type_name(), "a target and a memory", std::to_string(in.size()) + " tensors");
  return {decode(in[0], in[1], {}, {})};
}

PositionalEncoding::PositionalEncoding(int64_t width, double dropout, int64_t longest, bool batch_first) : d_model(width), max_len(longest), batch_first(batch_first) {
  require_positive("PositionalEncoding", "d_model", width);
  require_positive("PositionalEncoding", "max_len", longest);
  Tensor table = Tensor::empty({DType::f32, {longest, width}});
  for (int64_t t = 0; t < longest; ++t)
    for (int64_t i = 0; i < width; ++i) {
      double angle = double(t) * std::exp(-std::log(10000.0) * double(i / 2 * 2) / double(width));
      table.view().f32()[t * width + i] = float(i % 2 ? std::cos(angle) : std::sin(angle));
    }
  register_buffer("pe", table);
  add("dropout", make<Dropout>(dropout));
}
std::vector<Tensor> PositionalEncoding::forward(const std::vector<Tensor>& in) {
  const Tensor& x = only(*this, in);
  int axis = batch_first || x.rank() == 2 ? x.rank() - 2 : 0;
  if (x.rank() < 2 || x.rank() > 3 || x.dim(-1) != d_model) throw Error(ErrorKind::value, type_name(), "input (L, N, " + std::to_string(d_model) + "), or batch_first (N, L, ..)", x.shape().text());
  if (is_symbol(x.dim(axis))) throw Error(ErrorKind::unsupported, type_name(), "a known length", x.shape().text(), "trace with a fixed shape");
  if (x.dim(axis) > max_len) throw Error(ErrorKind::value, type_name(), "at most " + std::to_string(max_len) + " positions", std::to_string(x.dim(axis)));
  Tensor rows = slice(buffer_of("pe"), 0, 0, x.dim(axis));
  if (axis == 0 && x.rank() == 3) rows = unsqueeze(rows, 1);
  return {(*child("dropout"))(x + cast(rows, x.dtype()))};
}
std::string PositionalEncoding::extra_repr() const { return std::to_string(d_model) + ", max_len=" + std::to_string(max_len); }

}  // namespace miniten::nn
