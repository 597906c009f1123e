#include "miniten/nn/graph_layers.h"
#include "nn/layer_parts.h"

namespace miniten {

SparseMatrix::SparseMatrix(Tensor r, Tensor c, Tensor v, int64_t height, int64_t width) : rows(std::move(r)), columns(std::move(c)), values(std::move(v)), height(height), width(width) {
  const char* op = "sparse";
  if (rows.rank() != 1 || rows.shape() != columns.shape() || !is_integer(rows.dtype()) || !is_integer(columns.dtype()))
    throw Error(ErrorKind::value, op, "as many rows as columns, of integers", rows.spec().text() + " and " + columns.spec().text());
  rows = cast(rows, DType::i64);
  columns = cast(columns, DType::i64);
  if (!values) values = Tensor::ones(rows.shape());
  if (values.shape() != rows.shape() || !is_float(values.dtype())) throw Error(ErrorKind::value, op, "floating-point values of shape " + rows.shape().text(), values.spec().text());
  for (auto [t, size, what] : {std::tuple{&rows, height, "row"}, {&columns, width, "column"}})
    for (int64_t i : t->to_vector<int64_t>())
      if (i < 0 || i >= size) throw Error(ErrorKind::index, op, std::string(what) + " indices below " + std::to_string(size), std::to_string(i));
}
static int64_t greatest(const Tensor& t) { return t.numel() ? int64_t(max(cast(t, DType::i64)).item()) : -1; }
Ref<SparseMatrix> sparse_coo(const Tensor& indices, const Tensor& values, std::optional<Shape> shape) {
  if (indices.rank() != 2 || indices.dim(0) != 2) throw Error(ErrorKind::value, "sparse_coo", "indices (2, E)", indices.shape().text());
  Tensor rows = select(indices, 0, 0), columns = select(indices, 0, 1);
  int64_t n = std::max(greatest(rows), greatest(columns)) + 1;
  Shape s = shape.value_or(Shape{n, n});
  if (s.rank != 2) throw Error(ErrorKind::value, "sparse_coo", "a shape (rows, columns)", s.text());
  return make<SparseMatrix>(copy(rows), copy(columns), values, s[0], s[1]);
}
Ref<SparseMatrix> sparse_csr(const Tensor& indptr, const Tensor& indices, const Tensor& values, std::optional<Shape> shape) {
  if (indptr.rank() != 1 || indptr.dim(0) < 1 || !is_integer(indptr.dtype())) throw Error(ErrorKind::value, "sparse_csr", "an indptr (rows + 1,) of integers", indptr.spec().text());
  std::vector<int64_t> p = cast(indptr, DType::i64).to_vector<int64_t>(), rows;
  auto height = int64_t(p.size()) - 1;
  if (p.front() != 0 || !std::is_sorted(p.begin(), p.end()) || indices.rank() != 1 || p.back() != indices.dim(0))
    throw Error(ErrorKind::value, "sparse_csr", "an ascending indptr from 0 to the number of indices", indptr.shape().text() + " for " + indices.shape().text());
  for (int64_t r = 0; r < height; ++r) rows.insert(rows.end(), size_t(p[size_t(r + 1)] - p[size_t(r)]), r);
  Shape s = shape.value_or(Shape{height, std::max(height, greatest(indices) + 1)});
  if (s.rank != 2 || s[0] != height) throw Error(ErrorKind::value, "sparse_csr", "a shape (" + std::to_string(height) + ", columns)", s.text());
  return make<SparseMatrix>(Tensor::of<int64_t>({int64_t(rows.size())}, rows), indices, values, s[0], s[1]);
}
Tensor segment_sum(const Tensor& values, const Tensor& rows, int64_t count) { return apply(scatter_add_op, {values, rows}, SizeAttrs{count}); }
Tensor segment_max(const Tensor& values, const Tensor& rows, int64_t count) {
  if (rows.rank() != 1 || values.rank() < 1 || values.dim(0) != rows.dim(0)) throw Error(ErrorKind::value, "segment_max", "values (E, ..) and rows (E,)", values.shape().text() + " and " + rows.shape().text());
  int64_t n = rows.dim(0), width = n ? values.numel() / n : 0;
  if (n == 0) {
    Shape none = values.shape();
    none[0] = count;
    return Tensor::zeros(none, values.dtype());
  }
  std::vector<int64_t> at = cast(rows, DType::i64).to_vector<int64_t>(), winner(size_t(count * width), n);
  std::vector<double> v = cast(detach(values), DType::f64).to_vector<double>();
  for (int64_t e = 0; e < n; ++e) {
    if (at[size_t(e)] < 0 || at[size_t(e)] >= count) throw Error(ErrorKind::index, "segment_max", "rows below " + std::to_string(count), std::to_string(at[size_t(e)]));
    for (int64_t j = 0; j < width; ++j) {
      int64_t& best = winner[size_t(at[size_t(e)] * width + j)];
      if (best == n || v[size_t(e * width + j)] > v[size_t(best * width + j)]) best = e;
    }
  }
  for (size_t i = 0; i < winner.size(); ++i) winner[i] = winner[i] * width + int64_t(i) % width;      // n: a row of zeros behind
  std::vector<Tensor> parts{reshape(values, {n * width}), Tensor::zeros({width}, values.dtype())};
  Shape shape = values.shape();
  shape[0] = count;
  return reshape(gather(concat(parts, 0), Tensor::of<int64_t>({count * width}, winner)), shape);
}
Tensor matmul(const SparseMatrix& a, const Tensor& x) {
  if (x.rank() < 1 || x.dim(0) != a.width) throw Error(ErrorKind::value, "sparse matmul", "a right side (" + std::to_string(a.width) + ", ..)", x.shape().text());
  Shape s = Dims::filled(x.rank(), 1);
  s[0] = -1;
  return segment_sum(gather(x, a.columns) * cast(reshape(a.values, s), x.dtype()), a.rows, a.height);
}
Tensor to_dense(const SparseMatrix& a) {
  Tensor flat = a.rows * number_like(a.rows, double(a.width)) + a.columns;
  return reshape(segment_sum(a.values, flat, a.height * a.width), {a.height, a.width});
}

}  // namespace miniten

namespace miniten::nn {

namespace F = functional;

namespace {
void check_nodes(const char* layer, const Tensor& x, const Adjacency& a, int64_t features) {
  if (x.rank() != 2 || x.dim(1) != features) throw Error(ErrorKind::value, layer, "nodes (N, " + std::to_string(features) + ")", x.shape().text());
  Shape got = a.sparse ? Shape{a.sparse->height, a.sparse->width} : a.dense.shape();
  if (got != Shape{x.dim(0), x.dim(0)}) throw Error(ErrorKind::value, layer, "an adjacency " + Shape{x.dim(0), x.dim(0)}.text(), got.text());
}
Tensor xavier(int64_t rows, int64_t columns) { return uniform_values({rows, columns}, std::sqrt(6.0 / double(rows + columns))); }
Tensor identity(int64_t n, DType t) {
  Tensor eye = Tensor::zeros({n, n});
  for (int64_t i = 0; i < n; ++i) eye.view().f32()[i * (n + 1)] = 1;
  return cast(eye, t);
}
// 1 / d^p, 0 where d is 0
Tensor inverse(const Tensor& degree, double p) {
  Tensor some = greater(degree, number_like(degree, 0)), zero = cast(number_like(degree, 0), degree.dtype());
  Tensor safe = where(some, degree, cast(number_like(degree, 1), degree.dtype()));
  return where(some, p == 1 ? reciprocal(safe) : reciprocal(sqrt(safe)), zero);
}
}  // namespace

Adjacency with_self_loops(const Adjacency& a, int64_t n) {
  if (!a.sparse) return a.dense + identity(n, a.dense.dtype());
  std::vector<int64_t> own(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) own[size_t(i)] = i;
  Tensor loops = Tensor::of<int64_t>({n}, own);
  auto joined = [](const Tensor& x, const Tensor& y) { std::vector<Tensor> parts{x, y}; return concat(parts, 0); };
  return make<SparseMatrix>(joined(a.sparse->rows, loops), joined(a.sparse->columns, loops), joined(a.sparse->values, Tensor::ones({n}, a.sparse->values.dtype())), a.sparse->height, a.sparse->width);
}
Adjacency normalized(const Adjacency& a, GraphNorm kind) {
  if (kind == GraphNorm::none) return a;
  double p = kind == GraphNorm::row ? 1 : 0.5;
  if (!a.sparse) {
    Tensor d = inverse(sum(a.dense, {1}), p), y = a.dense * unsqueeze(d, 1);
    return kind == GraphNorm::row ? y : y * unsqueeze(d, 0);
  }
  const SparseMatrix& m = *a.sparse;
  Tensor d = inverse(segment_sum(m.values, m.rows, m.height), p), values = m.values * gather(d, m.rows);
  return make<SparseMatrix>(m.rows, m.columns, kind == GraphNorm::row ? values : values * gather(d, m.columns), m.height, m.width);
}
Tensor matmul(const Adjacency& a, const Tensor& x) { return a.sparse ? miniten::matmul(*a.sparse, x) : miniten::matmul(a.dense, x); }

GraphConv::GraphConv(int64_t in, int64_t out, bool bias, bool loops, GraphNorm normalize)
    : in_features(in), out_features(out), add_self_loops(loops), normalize(normalize) {
  require_positive("GraphConv", "in_features", in);
  require_positive("GraphConv", "out_features", out);
  register_parameter("weight", xavier(in, out));
  if (bias) register_parameter("bias", Tensor::zeros({out}));
}
Tensor GraphConv::convolve(const Tensor& x, const Adjacency& given) {
  check_nodes("GraphConv", x, given, in_features);
  Adjacency a = normalized(add_self_loops ? with_self_loops(given, x.dim(0)) : given, normalize);
  Tensor y = matmul(a, miniten::matmul(x, parameter_of("weight"))), bias = parameter_of("bias");
  return bias ? y + bias : y;
}
static const std::vector<Tensor>& two(const Module& m, const std::vector<Tensor>& in) {
  if (in.size() != 2) throw Error(ErrorKind::value, m.type_name(), "nodes and an adjacency", std::to_string(in.size()) + " tensors");
  return in;
}
std::vector<Tensor> GraphConv::forward(const std::vector<Tensor>& in) { return {convolve(two(*this, in)[0], in[1])}; }
std::string GraphConv::extra_repr() const {
  std::string s = std::to_string(in_features) + ", " + std::to_string(out_features);
  if (add_self_loops) s += ", add_self_loops=True";
  return normalize == GraphNorm::none ? s : s + (normalize == GraphNorm::sym ? ", normalize='sym'" : ", normalize='row'");
}

GraphAttention::GraphAttention(int64_t in, int64_t out, const Options& o) : in_features(in), out_features(out), options(o) {
  require_positive("GraphAttention", "in_features", in);
  require_positive("GraphAttention", "out_features", out);
  require_positive("GraphAttention", "heads", o.heads);
  register_parameter("weight", xavier(in, o.heads * out));
  register_parameter("att_src", xavier(o.heads, out));
  register_parameter("att_dst", xavier(o.heads, out));
  if (o.bias) register_parameter("bias", Tensor::zeros({o.concat ? o.heads * out : out}));
  if (o.dropout > 0) add("dropout", make<Dropout>(o.dropout));
}
// Every edge once.
static Ref<SparseMatrix> distinct(const SparseMatrix& m) {
  std::vector<int64_t> r = m.rows.to_vector<int64_t>(), c = m.columns.to_vector<int64_t>();
  std::vector<std::pair<int64_t, int64_t>> edges;
  for (size_t i = 0; i < r.size(); ++i) edges.emplace_back(r[i], c[i]);
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  for (size_t i = 0; i < edges.size(); ++i) { r[i] = edges[i].first; c[i] = edges[i].second; }
  auto indices = [&](std::vector<int64_t>& v) { v.resize(edges.size()); return Tensor::of<int64_t>({int64_t(v.size())}, v); };
  return make<SparseMatrix>(indices(r), indices(c), Tensor(), m.height, m.width);
}
// Scores of edge (i, j): leaky_relu(dst_i + src_j), softmax over j.
Tensor GraphAttention::attend(const Tensor& x, const Adjacency& given) {
  check_nodes("GraphAttention", x, given, in_features);
  Adjacency a = options.add_self_loops ? with_self_loops(given, x.dim(0)) : given;
  int64_t n = x.dim(0), heads = options.heads, width = out_features;
  Tensor h = reshape(miniten::matmul(x, parameter_of("weight")), {n, heads, width});
  Tensor src = sum(h * parameter_of("att_src"), {2}), dst = sum(h * parameter_of("att_dst"), {2}), y;      // (N, heads)
  ModuleRef drop = child("dropout");
  if (a.sparse) {
    Ref<SparseMatrix> edges = distinct(*a.sparse);
    const SparseMatrix& m = *edges;
    Tensor e = F::leaky_relu(gather(dst, m.rows) + gather(src, m.columns), options.negative_slope);
    Tensor top = e.has_data() ? gather(segment_max(detach(e), m.rows, n), m.rows) : max(detach(e), {0}, true);
    Tensor p = exp(e - top);
    p = p / gather(segment_sum(p, m.rows, n), m.rows);
    if (drop) p = (*drop)(p);
    y = segment_sum(gather(h, m.columns) * unsqueeze(p, 2), m.rows, n);
  } else {
    Tensor e = F::leaky_relu(unsqueeze(dst, 1) + unsqueeze(src, 0), options.negative_slope);                 // (i, j, heads)
    Tensor edge = unsqueeze(not_equal(a.dense, number_like(a.dense, 0)), 2);
    Tensor p = softmax(where(edge, e, cast(number_like(e, -1e30), e.dtype())), 1);
    p = where(edge, p, cast(number_like(p, 0), p.dtype()));    // a node without neighbours gets zeros
    if (drop) p = (*drop)(p);
    y = transpose(miniten::matmul(permute(p, {2, 0, 1}), transpose(h, 0, 1)), 0, 1);
  }
  y = options.concat ? reshape(y, {n, heads * width}) : mean(y, {1});
  Tensor bias = parameter_of("bias");
  return bias ? y + bias : y;
}
std::vector<Tensor> GraphAttention::forward(const std::vector<Tensor>& in) { return {attend(two(*this, in)[0], in[1])}; }
std::string GraphAttention::extra_repr() const { return std::to_string(in_features) + ", " + std::to_string(out_features) + ", heads=" + std::to_string(options.heads); }

SAGEConv::SAGEConv(int64_t in, int64_t out, bool normalize, bool bias) : in_features(in), out_features(out), normalize(normalize) {
  add("lin_l", make<Linear>(in, out, bias));
  add("lin_r", make<Linear>(in, out, false));
}
Tensor SAGEConv::aggregate(const Tensor& x, const Adjacency& a) {
  check_nodes("SAGEConv", x, a, in_features);
  Tensor y = (*child("lin_l"))(matmul(normalized(a, GraphNorm::row), x)) + (*child("lin_r"))(x);
  return normalize ? F::normalize(y, 2, 1) : y;
}
std::vector<Tensor> SAGEConv::forward(const std::vector<Tensor>& in) { return {aggregate(two(*this, in)[0], in[1])}; }
std::string SAGEConv::extra_repr() const { return std::to_string(in_features) + ", " + std::to_string(out_features); }

}  // namespace miniten::nn
