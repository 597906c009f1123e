#include "miniten/nn/graph_layers.h"
#include "python/layer_binding.h"

namespace miniten::python {

using namespace nb::literals;

namespace {

nn::Adjacency adjacency(const char* layer, nb::handle a) {
  if (nb::isinstance<SparseMatrix>(a)) return nb::cast<Ref<SparseMatrix>>(a);
  Tensor t = to_tensor(layer, a);
  if (t.rank() != 2) throw Error(ErrorKind::value, layer, "an adjacency (N, N), dense or from sparse_csr or sparse_coo", t.shape().text());
  return is_float(t.dtype()) ? t : cast(t, DType::f32);
}
std::optional<Shape> shape_or_none(const char* op, nb::handle shape) { return shape.is_none() ? std::optional<Shape>() : shape_of(op, shape); }
nn::GraphNorm norm_of(nb::handle n) {
  if (n.is_none()) return nn::GraphNorm::none;
  std::string name = nb::cast<std::string>(nb::str(n));
  if (name == "sym") return nn::GraphNorm::sym;
  if (name == "row") return nn::GraphNorm::row;
  throw Error(ErrorKind::value, "GraphConv", "normalize None, 'sym' or 'row'", "'" + name + "'");
}
#define ADJ "Tensor | SparseMatrix | numpy.typing.ArrayLike"
#define FORWARD nb::sig("def forward(self, x: Tensor | numpy.typing.ArrayLike, adj: " ADJ ") -> Tensor")

}  // namespace

void bind_graph_layers(nb::module_& m) {
  nb::class_<SparseMatrix>(m, "SparseMatrix", nb::intrusive_ptr<SparseMatrix>([](SparseMatrix* s, PyObject* wrapper) noexcept { s->set_host(wrapper); }),
                           "A sparse matrix by its entries; sparse_csr and sparse_coo make one.")
      .def_prop_ro("rows", [](const SparseMatrix& s) { return s.rows; }).def_prop_ro("columns", [](const SparseMatrix& s) { return s.columns; })
      .def_prop_ro("values", [](const SparseMatrix& s) { return s.values; })
      .def_prop_ro("shape", [](const SparseMatrix& s) { return nb::make_tuple(s.height, s.width); })
      .def_prop_ro("nnz", [](const SparseMatrix& s) { return s.rows.numel(); })
      .def("to_dense", [](const SparseMatrix& s) { return to_dense(s); })
      .def("__matmul__", [](const SparseMatrix& s, ArrayLike x) { return miniten::matmul(s, x.tensor("matmul")); }, "x"_a)
      .def("__repr__", [](const SparseMatrix& s) { return "SparseMatrix(shape=(" + std::to_string(s.height) + ", " + std::to_string(s.width) + "), nnz=" + std::to_string(s.rows.numel()) + ")"; });
  m.def("sparse_coo", [](ArrayLike indices, ArrayLike values, nb::object shape) { return sparse_coo(indices.tensor("sparse_coo"), values.or_null("sparse_coo"), shape_or_none("sparse_coo", shape)); },
        "edge_index"_a, "values"_a = nb::none(), "shape"_a = nb::none(), nb::sig("def sparse_coo(edge_index: Tensor | numpy.typing.ArrayLike, values: Tensor | numpy.typing.ArrayLike | None = None, shape: typing.Any = None) -> SparseMatrix"),
        "A sparse matrix from rows and columns (2, E); values 1 by default. Entries of one place add up.");
  m.def("sparse_csr", [](ArrayLike indptr, ArrayLike indices, ArrayLike values, nb::object shape) {
      return sparse_csr(indptr.tensor("sparse_csr"), indices.tensor("sparse_csr"), values.or_null("sparse_csr"), shape_or_none("sparse_csr", shape));
    }, "indptr"_a, "indices"_a, "values"_a = nb::none(), "shape"_a = nb::none(),
    nb::sig("def sparse_csr(indptr: Tensor | numpy.typing.ArrayLike, indices: Tensor | numpy.typing.ArrayLike, values: Tensor | numpy.typing.ArrayLike | None = None, shape: typing.Any = None) -> SparseMatrix"),
    "A sparse matrix from compressed rows; values 1 by default.");
  m.def("_segment_sum", [](ArrayLike v, ArrayLike rows, int64_t count) { return segment_sum(v.tensor("propagate"), rows.tensor("propagate"), count); }, "values"_a, "rows"_a, "count"_a);
  m.def("_segment_max", [](ArrayLike v, ArrayLike rows, int64_t count) { return segment_max(v.tensor("propagate"), rows.tensor("propagate"), count); }, "values"_a, "rows"_a, "count"_a);

  layer_with_own_forward<nn::GraphConv>(m, "GraphConv", "norm(adj) @ (x W) + b (Kipf and Welling 2017); adj (N, N), dense or sparse.")
      .def("__init__", [](nb::pointer_and_handle<nn::GraphConv> at, int64_t in, int64_t out, bool bias, bool loops, nb::object norm) { construct(at, in, out, bias, loops, norm_of(norm)); },
           "in_features"_a, "out_features"_a, "bias"_a = true, "add_self_loops"_a = false, "normalize"_a = nb::none(),
           nb::sig("def __init__(self, in_features: int, out_features: int, bias: bool = True, add_self_loops: bool = False, normalize: str | None = None) -> None"))
      .def("forward", [](nn::GraphConv& self, ArrayLike x, nb::object adj) { return self.convolve(x.tensor("GraphConv"), adjacency("GraphConv", adj)); }, "x"_a, "adj"_a, FORWARD)
      .def_ro("in_features", &nn::GraphConv::in_features).def_ro("out_features", &nn::GraphConv::out_features);
  layer_with_own_forward<nn::GraphAttention>(m, "GraphAttention", "Attention over neighbours (Velickovic et al. 2018); adj (N, N), dense (not 0: an edge) or sparse.")
      .def("__init__", [](nb::pointer_and_handle<nn::GraphAttention> at, int64_t in, int64_t out, int64_t heads, bool concat, double slope, double dropout, bool bias, bool loops) {
          construct(at, in, out, nn::GraphAttention::Options{heads, concat, slope, dropout, bias, loops});
        }, "in_features"_a, "out_features"_a, "heads"_a = 1, "concat"_a = true, "negative_slope"_a = 0.2, "dropout"_a = 0.0, "bias"_a = true, "add_self_loops"_a = true)
      .def("forward", [](nn::GraphAttention& self, ArrayLike x, nb::object adj) { return self.attend(x.tensor("GraphAttention"), adjacency("GraphAttention", adj)); }, "x"_a, "adj"_a, FORWARD);
  layer_with_own_forward<nn::SAGEConv>(m, "SAGEConv", "lin_l(mean of neighbours) + lin_r(x) (Hamilton et al. 2017); adj (N, N), dense or sparse.")
      .def("__init__", [](nb::pointer_and_handle<nn::SAGEConv> at, int64_t in, int64_t out, bool normalize, bool bias) { construct(at, in, out, normalize, bias); },
           "in_features"_a, "out_features"_a, "normalize"_a = false, "bias"_a = true)
      .def("forward", [](nn::SAGEConv& self, ArrayLike x, nb::object adj) { return self.aggregate(x.tensor("SAGEConv"), adjacency("SAGEConv", adj)); }, "x"_a, "adj"_a, FORWARD);
}

}  // namespace miniten::python
