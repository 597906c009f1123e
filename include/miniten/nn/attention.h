#pragma once
#include "miniten/nn/layers.h"

namespace miniten::nn {

// Keys and values of the steps so far, for decoding step by step: room for max_length of them.
struct KeyValueCache : Object {
  KeyValueCache(int64_t batch, int64_t max_length) : batch(batch), max_length(max_length) {}
  int64_t batch, max_length, length = 0;
  Tensor keys, values;                     // (N, heads, length, head size); null while empty
  void reset() { length = 0; keys = values = Tensor(); }
};

struct AttentionCall {
  Tensor key_padding_mask;                 // (N, S) bool, true where a key is padding, or a float that is added
  Tensor attn_mask;                        // (L, S) or (N * heads, L, S): bool, true where attention is NOT allowed, or a float
  bool need_weights = true, average_weights = true, is_causal = false;
  Ref<KeyValueCache> cache;                // self attention: keys and values are appended; each query sees what came before it
};

// Vaswani et al. 2017, with torch's weights: in_proj_weight (3 E, E), or q_/k_/v_proj_weight where kdim or vdim differ.
class MultiheadAttention : public Module {
 public:
  struct Options { double dropout = 0; bool bias = true; std::optional<int64_t> kdim, vdim; bool batch_first = false; };
  MultiheadAttention(int64_t embed_dim, int64_t num_heads, const Options&);
  MultiheadAttention(int64_t embed_dim, int64_t num_heads) : MultiheadAttention(embed_dim, num_heads, Options()) {}
  // (q, k, v), or (x) for self attention -> output, weights. (L, N, E), batch_first (N, L, E), or without a batch (L, E).
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::pair<Tensor, Tensor> attend(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionCall&);
  Ref<KeyValueCache> new_cache(int64_t batch, int64_t max_length) const;
  std::string type_name() const override { return "MultiheadAttention"; }
  std::string extra_repr() const override;
  bool takes_options() const override { return true; }
  int64_t embed_dim, num_heads;
  Options options;
};

struct TransformerOptions {
  int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  std::string activation = "relu";         // or "gelu"
  double layer_norm_eps = 1e-5;
  bool batch_first = false, norm_first = false, bias = true;
};
struct TransformerCall { Tensor mask, key_padding_mask; bool is_causal = false; };

class TransformerEncoderLayer : public Module {
 public:
  TransformerEncoderLayer(int64_t d_model, int64_t nhead, const TransformerOptions& = {});
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  Tensor encode(const Tensor& x, const TransformerCall&);
  std::string type_name() const override { return "TransformerEncoderLayer"; }
  bool takes_options() const override { return true; }
  TransformerOptions options;

 private:
  Tensor feed(const Tensor&) const;
};
class TransformerDecoderLayer : public Module {
 public:
  TransformerDecoderLayer(int64_t d_model, int64_t nhead, const TransformerOptions& = {});
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;      // (x, memory)
  Tensor decode(const Tensor& x, const Tensor& memory, const TransformerCall& own, const TransformerCall& cross);
  std::string type_name() const override { return "TransformerDecoderLayer"; }
  bool takes_options() const override { return true; }
  TransformerOptions options;

 private:
  Tensor feed(const Tensor&) const;
};

// Adds sin and cos of the position to (.., L, d_model) (Vaswani et al. 2017, section 3.5); batch_first false: (L, N, d_model).
class PositionalEncoding : public Module {
 public:
  PositionalEncoding(int64_t d_model, double dropout = 0.1, int64_t max_len = 5000, bool batch_first = false);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return "PositionalEncoding"; }
  std::string extra_repr() const override;
  int64_t d_model, max_len;
  bool batch_first;
};

}  // namespace miniten::nn
