#pragma once
#include "miniten/nn/layers.h"

namespace miniten {

// A sparse matrix by its entries: row, column and value of each; entries of one place add up.
struct SparseMatrix : Object {
  Tensor rows, columns;                    // (E,) int64
  Tensor values;                           // (E,) of floats; may require a gradient
  int64_t height, width;
  SparseMatrix(Tensor rows, Tensor columns, Tensor values, int64_t height, int64_t width);   // checks every index
};
Ref<SparseMatrix> sparse_coo(const Tensor& indices, const Tensor& values = {}, std::optional<Shape> shape = {});   // indices (2, E): rows, columns
Ref<SparseMatrix> sparse_csr(const Tensor& indptr, const Tensor& indices, const Tensor& values = {}, std::optional<Shape> shape = {});
Tensor matmul(const SparseMatrix& a, const Tensor& x);                   // (H, W) @ (W, ..)
Tensor to_dense(const SparseMatrix& a);
Tensor segment_sum(const Tensor& values, const Tensor& rows, int64_t count);       // (E, ..) -> (count, ..)
Tensor segment_max(const Tensor& values, const Tensor& rows, int64_t count);       // 0 where a row has no entry; the first of equals gets the gradient

}  // namespace miniten

namespace miniten::nn {

// An adjacency matrix (N, N), dense or sparse: entry (i, j) is the weight of the edge from j to i.
struct Adjacency {
  Tensor dense;
  Ref<SparseMatrix> sparse;
  Adjacency(Tensor t) : dense(std::move(t)) {}
  Adjacency(Ref<SparseMatrix> m) : sparse(std::move(m)) {}
};
enum class GraphNorm { none, sym, row };   // D^-1/2 A D^-1/2 and D^-1 A, with D the row sums; rows of sum 0 stay 0
Adjacency with_self_loops(const Adjacency&, int64_t nodes);
Adjacency normalized(const Adjacency&, GraphNorm);
Tensor matmul(const Adjacency&, const Tensor& x);

class GraphConv : public Module {          // norm(adj) @ (x W) + b (Kipf and Welling 2017); weight (in, out), bias (out,)
 public:
  GraphConv(int64_t in_features, int64_t out_features, bool bias = true, bool add_self_loops = false, GraphNorm normalize = GraphNorm::none);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;      // (x, dense adjacency)
  Tensor convolve(const Tensor& x, const Adjacency&);
  std::string type_name() const override { return "GraphConv"; }
  std::string extra_repr() const override;
  bool takes_options() const override { return true; }
  int64_t in_features, out_features;
  bool add_self_loops;
  GraphNorm normalize;
};
class GraphAttention : public Module {     // Velickovic et al. 2018; weight (in, heads * out), att_src and att_dst (heads, out)
 public:
  struct Options { int64_t heads = 1; bool concat = true; double negative_slope = 0.2, dropout = 0; bool bias = true, add_self_loops = true; };
  GraphAttention(int64_t in_features, int64_t out_features, const Options&);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  Tensor attend(const Tensor& x, const Adjacency&);
  std::string type_name() const override { return "GraphAttention"; }
  std::string extra_repr() const override;
  bool takes_options() const override { return true; }
  int64_t in_features, out_features;
  Options options;
};
class SAGEConv : public Module {           // lin_l(mean of neighbours) + lin_r(x) (Hamilton et al. 2017)
 public:
  SAGEConv(int64_t in_features, int64_t out_features, bool normalize = false, bool bias = true);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  Tensor aggregate(const Tensor& x, const Adjacency&);
  std::string type_name() const override { return "SAGEConv"; }
  std::string extra_repr() const override;
  bool takes_options() const override { return true; }
  int64_t in_features, out_features;
  bool normalize;
};

}  // namespace miniten::nn
