#include <cmath>
#include "base/allocate.h"
#include "miniten/nn/functional.h"

namespace miniten::nn::functional {

Tensor embedding(const Tensor& indices, const Tensor& weight, std::optional<int64_t> padding_idx) {
  if (weight.rank() != 2) throw Error(ErrorKind::value, "embedding", "a weight (num_embeddings, embedding_dim)", weight.shape().text());
  if (!is_integer(indices.dtype())) throw Error(ErrorKind::type, "embedding", "integer indices", indices.spec().text(), "convert with cast first");
  if (!padding_idx) return gather(weight, indices);
  int64_t n = weight.dim(0), row = *padding_idx < 0 ? *padding_idx + n : *padding_idx;
  if (row < 0 || row >= n) throw Error(ErrorKind::value, "embedding", "a padding_idx within " + std::to_string(n), std::to_string(*padding_idx));
  return apply(gather_op, {weight, indices}, GatherAttrs{.frozen = row});
}

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, bool is_causal, std::optional<double> scale,
                                    Tensor* weights, const std::function<Tensor(const Tensor&)>& drop) {
  const char* op = "scaled_dot_product_attention";
  if (q.rank() < 2 || k.rank() < 2 || v.rank() < 2 || q.dim(-1) != k.dim(-1) || k.dim(-2) != v.dim(-2))
    throw Error(ErrorKind::value, op, "q (.., L, E), k (.., S, E) and v (.., S, F)", q.shape().text() + ", " + k.shape().text() + " and " + v.shape().text());
  if (mask && is_causal) throw Error(ErrorKind::value, op, "a mask or is_causal", "both", "put both into the mask");
  double factor = scale ? *scale : 1 / std::sqrt(double(q.dim(-1)));
  Tensor scores = matmul(q * factor, transpose(k));
  Tensor allowed = mask;
  if (is_causal) {
    int64_t rows = q.dim(-2), columns = k.dim(-2);
    if (is_symbol(rows) || is_symbol(columns)) throw Error(ErrorKind::unsupported, op, "known lengths with is_causal", q.shape().text(), "trace with a fixed shape");
    std::vector<uint8_t> lower(addressable(uint64_t(rows * columns)));
    for (int64_t i = 0; i < rows; ++i) for (int64_t j = 0; j < columns; ++j) lower[size_t(i * columns + j)] = j <= i;
    allowed = cast(Tensor::of<uint8_t>({rows, columns}, lower), DType::boolean);
  }
  if (allowed) {
    broadcast(op, allowed.shape(), scores.shape());            // names the op where it does not fit
    if (allowed.dtype() == DType::boolean) scores = where(allowed, scores, cast(number_like(scores, -double(infinity)), scores.dtype()));
    else if (is_float(allowed.dtype())) scores = scores + cast(allowed, scores.dtype());
    else throw Error(ErrorKind::type, op, "a bool or float mask", allowed.spec().text());
  }
  Tensor p = softmax(scores, -1);
  if (weights) *weights = p;
  return matmul(drop ? drop(p) : p, v);
}

}  // namespace miniten::nn::functional
