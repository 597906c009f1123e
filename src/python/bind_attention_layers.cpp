#include "miniten/nn/attention.h"
#include "python/layer_binding.h"

namespace miniten::python {

using namespace nb::literals;

static nn::TransformerOptions options(int64_t feed, double dropout, const std::string& activation, double eps, bool batch_first, bool norm_first, bool bias) {
  return {feed, dropout, activation, eps, batch_first, norm_first, bias};
}
#define OPTIONS "dim_feedforward"_a = 2048, "dropout"_a = 0.1, "activation"_a = "relu", "layer_norm_eps"_a = 1e-5, "batch_first"_a = false, "norm_first"_a = false, "bias"_a = true

void bind_attention_layers(nb::module_& m) {
  nb::class_<nn::KeyValueCache>(m, "KeyValueCache", nb::intrusive_ptr<nn::KeyValueCache>([](nn::KeyValueCache* c, PyObject* wrapper) noexcept { c->set_host(wrapper); }),
                                "Keys and values of the steps so far; MultiheadAttention.new_cache makes one.")
      .def_ro("length", &nn::KeyValueCache::length).def_ro("max_length", &nn::KeyValueCache::max_length).def_ro("batch", &nn::KeyValueCache::batch)
      .def("reset", &nn::KeyValueCache::reset, "Empties it.");
  using MHA = nn::MultiheadAttention;
  layer_with_own_forward<MHA>(m, "MultiheadAttention", "Vaswani et al. 2017. (L, N, E), batch_first (N, L, E), or without a batch (L, E).")
      .def("__init__", [](nb::pointer_and_handle<MHA> at, int64_t embed, int64_t heads, double dropout, bool bias, std::optional<int64_t> kdim, std::optional<int64_t> vdim, bool batch_first) {
          construct(at, embed, heads, MHA::Options{dropout, bias, kdim, vdim, batch_first});
        }, "embed_dim"_a, "num_heads"_a, "dropout"_a = 0.0, "bias"_a = true, nb::kw_only(), "kdim"_a = nb::none(), "vdim"_a = nb::none(), "batch_first"_a = false)
      .def("forward", [](MHA& self, ArrayLike q, ArrayLike k, ArrayLike v, ArrayLike padding, bool need_weights, ArrayLike mask, bool average, bool is_causal, std::optional<Ref<nn::KeyValueCache>> cache) {
          const char* op = "MultiheadAttention";
          if (k.none() != v.none()) throw Error(ErrorKind::value, op, "key and value, or neither", "one");
          Tensor query = q.tensor(op), key = k.none() ? query : k.tensor(op), value = v.none() ? query : v.tensor(op);
          auto [y, w] = self.attend(query, key, value, {padding.or_null(op), mask.or_null(op), need_weights, average, is_causal, cache.value_or(nullptr)});
          return nb::make_tuple(y, tensor_object(w));
        }, "query"_a, "key"_a = nb::none(), "value"_a = nb::none(), "key_padding_mask"_a = nb::none(), "need_weights"_a = true, "attn_mask"_a = nb::none(), "average_attn_weights"_a = true,
        "is_causal"_a = false, nb::kw_only(), "cache"_a = nb::none(), "-> output, weights (or None). Bool masks are true where attention is not allowed. Without key and value: self attention.")
      .def("new_cache", &MHA::new_cache, "batch"_a, "max_length"_a, "For decoding step by step: mha(x, cache=cache) appends.")
      .def_ro("embed_dim", &MHA::embed_dim).def_ro("num_heads", &MHA::num_heads)
      .def_prop_ro("batch_first", [](const MHA& l) { return l.options.batch_first; });
  using Encoder = nn::TransformerEncoderLayer;
  layer_with_own_forward<Encoder>(m, "TransformerEncoderLayer", "Self attention and a feed-forward net, each with a residual and a layer norm, before (norm_first) or after.")
      .def("__init__", [](nb::pointer_and_handle<Encoder> at, int64_t width, int64_t heads, int64_t feed, double dropout, const std::string& activation, double eps, bool batch_first, bool norm_first, bool bias) {
          construct(at, width, heads, options(feed, dropout, activation, eps, batch_first, norm_first, bias));
        }, "d_model"_a, "nhead"_a, OPTIONS)
      .def("forward", [](Encoder& self, ArrayLike x, ArrayLike mask, ArrayLike padding, bool is_causal) {
          const char* op = "TransformerEncoderLayer";
          return self.encode(x.tensor(op), {mask.or_null(op), padding.or_null(op), is_causal});
        }, "src"_a, "src_mask"_a = nb::none(), "src_key_padding_mask"_a = nb::none(), "is_causal"_a = false);
  using Decoder = nn::TransformerDecoderLayer;
  layer_with_own_forward<Decoder>(m, "TransformerDecoderLayer", "Self attention, attention to a memory and a feed-forward net, each with a residual and a layer norm.")
      .def("__init__", [](nb::pointer_and_handle<Decoder> at, int64_t width, int64_t heads, int64_t feed, double dropout, const std::string& activation, double eps, bool batch_first, bool norm_first, bool bias) {
          construct(at, width, heads, options(feed, dropout, activation, eps, batch_first, norm_first, bias));
        }, "d_model"_a, "nhead"_a, OPTIONS)
      .def("forward", [](Decoder& self, ArrayLike x, ArrayLike memory, ArrayLike mask, ArrayLike memory_mask, ArrayLike padding, ArrayLike memory_padding, bool causal, bool memory_causal) {
          const char* op = "TransformerDecoderLayer";
          return self.decode(x.tensor(op), memory.tensor(op), {mask.or_null(op), padding.or_null(op), causal}, {memory_mask.or_null(op), memory_padding.or_null(op), memory_causal});
        }, "tgt"_a, "memory"_a, "tgt_mask"_a = nb::none(), "memory_mask"_a = nb::none(), "tgt_key_padding_mask"_a = nb::none(), "memory_key_padding_mask"_a = nb::none(),
        "tgt_is_causal"_a = false, "memory_is_causal"_a = false);
  layer<nn::PositionalEncoding>(m, "PositionalEncoding", "Adds sin and cos of the position to (L, N, d_model), or batch_first (N, L, d_model).")
      .def("__init__", [](nb::pointer_and_handle<nn::PositionalEncoding> at, int64_t width, double dropout, int64_t longest, bool batch_first) { construct(at, width, dropout, longest, batch_first); },
           "d_model"_a, "dropout"_a = 0.1, "max_len"_a = 5000, "batch_first"_a = false);
}

}  // namespace miniten::python
