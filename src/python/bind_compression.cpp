#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/edge/compression.h"
#include "python/bind_edge.h"
#include "python/bind_quantization.h"
#include "python/module_type.h"

// miniten.edge.compression.
namespace miniten::python {

namespace {

using namespace nb::literals;

Tensor floats(const char* op, nb::handle o) {
  NoGrad no_grad;
  Tensor t = to_tensor(op, o, {{}, true});
  if (!is_float(t.dtype())) throw Error(ErrorKind::type, op, "floats", t.spec().text());
  Tensor wide = Tensor::empty({DType::f32, t.shape()});
  copy_values(t.view(), wide.view());
  return wide;
}

void bind_sharing(nb::module_& m) {
  m.def("kmeans_1d", [](nb::object values, int64_t k) {
          Tensor t = floats("kmeans_1d", values);
          edge::Clusters c = edge::kmeans_1d(t.to_vector<float>(), k);
          return nb::make_tuple(Tensor::of<float>({int64_t(c.centroids.size())}, c.centroids), Tensor::of<int32_t>(t.shape(), c.labels), c.cost);
        }, "values"_a, "num_clusters"_a, nb::sig("def kmeans_1d(values: Tensor | numpy.typing.ArrayLike, num_clusters: int) -> tuple[Tensor, Tensor, float]"),
        "-> (centroids ascending, label of each value, sum of squared distances): the least there is.");
  nb::class_<edge::ShareRow>(m, "ShareRow", "Clusters of one weight.")
      .def_ro("weight", &edge::ShareRow::weight).def_ro("total", &edge::ShareRow::total).def_ro("clusters", &edge::ShareRow::clusters).def_ro("error", &edge::ShareRow::error);
  using R = edge::ShareReport;
  nb::class_<R>(m, "ShareReport", "What weight_sharing did.")
      .def_ro("rows", &R::rows).def_ro("given_bytes", &R::given_bytes).def_ro("bytes", &R::bytes).def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
  using S = edge::SharedModel;
  nb::class_<S, nn::GraphModule> s(m, "SharedModel", nb::type_slots(ModuleSlots<S>::slots), "A model whose weights hold few distinct values.");
  ModuleSlots<S>::dict_offset = nb::cast<Py_ssize_t>(s.attr("__dictoffset__"));
  s.def("forward", [](S& self, nb::args args) { return single_or_tuple(self.S::forward(module_inputs(self, args))); }, nb::sig("def forward(self, *inputs: Tensor | numpy.typing.ArrayLike) -> typing.Any"))
      .def_prop_ro("trainable", &S::trainable, "Do the values move in training?")
      .def_prop_ro("centroids", [](const S& self) {
        nb::dict d;
        for (auto& [name, book] : self.centroids()) d[name.c_str()] = book;
        return d;
      }, nb::sig("def centroids(self) -> dict[str, Tensor]"), "Distinct values, ascending, by the weight's name.")
      .def("report", &S::report).def("compression_ratio", &S::compression_ratio, "The file of the model given over this one's.")
      .def("size_bytes", [](const S& self, std::optional<std::string> entropy) { return self.size_bytes(entropy_of(entropy)); }, "entropy"_a = nb::none(), "Of the file that save writes.")
      .def("save", [](const S& self, nb::object path, std::optional<std::string> entropy) { return self.save(path_of(path), entropy_of(entropy)); }, "path"_a, "entropy"_a = nb::none(),
           nb::sig("def save(self, path: str | os.PathLike[str], entropy: str | None = None) -> int"), "-> bytes. entropy 'huffman' or 'rans': frequent values take fewer bits.")
      .def("packed", &S::packed, "The same model whose weights stay indices of a byte in memory; a layer's are decoded into scratch when it runs.")
      .def_static("load", [](nb::object path) { return S::load(path_of(path)); }, "path"_a, nb::sig("def load(path: str | os.PathLike[str]) -> SharedModel"))
      .def("__deepcopy__", [](const S& self, nb::dict) { return self.clone(); }, "memo"_a, nb::sig("def __deepcopy__(self, memo: dict) -> SharedModel"));
  m.def("weight_sharing", [](nn::ModuleRef model, int64_t num_clusters, std::string start, std::string scope, bool trainable, nb::object skip, uint64_t seed, nb::object shape, nb::object dtypes) {
          edge::ShareOptions o{.num_clusters = num_clusters, .start = start, .scope = scope, .skip = skip_patterns(skip), .seed = seed, .trainable = trainable};
          return edge::weight_sharing(*model, o, specs_of("weight_sharing", shape, dtypes).specs);
        }, "model"_a, "num_clusters"_a = 16, nb::kw_only(), "start"_a = "optimal", "scope"_a = "layer", "trainable"_a = false, "skip"_a = nb::none(), "seed"_a = 0, "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def weight_sharing(model: Module, num_clusters: int = 16, *, start: str = 'optimal', scope: str = 'layer', trainable: bool = False, skip: str | collections.abc.Sequence[str] | None = None, "
                "seed: int = 0, input_shape: typing.Any = None, input_dtypes: typing.Any = None) -> SharedModel"),
        "A copy whose weights hold num_clusters distinct values each, 0 among them where it occurs. trainable: training moves the values, the elements of each as one.");
}

void bind_low_rank(nb::module_& m) {
  using A = edge::LowRankApproximation;
  nb::class_<A>(m, "LowRankApproximation", "A matrix as the product of two smaller ones, the best in least squares.")
      .def(nb::init<double>(), "rank_ratio"_a = 0.5)
      .def("rank_of", [](const A& self, nb::object shape) { return self.rank_of(specs_of("LowRankApproximation", shape, nb::none()).specs.at(0).shape); }, "shape"_a,
           nb::sig("def rank_of(self, shape: collections.abc.Sequence[int]) -> int"), "At most what makes the factors smaller than the matrix.")
      .def("compress_matrix", [](const A& self, nb::object w) {
          edge::LowRank f = self.compress_matrix(floats("compress_matrix", w));
          return nb::make_tuple(f.left, f.right);
        }, "w"_a, nb::sig("def compress_matrix(self, w: Tensor | numpy.typing.ArrayLike) -> tuple[Tensor, Tensor]"), "-> (left (m, r), right (r, n)).")
      .def_static("reconstruct", [](nb::object left, nb::object right) { return A::reconstruct({floats("reconstruct", left), floats("reconstruct", right)}); }, "left"_a, "right"_a,
                  nb::sig("def reconstruct(left: Tensor | numpy.typing.ArrayLike, right: Tensor | numpy.typing.ArrayLike) -> Tensor"))
      .def_static("compression_ratio", [](nb::object left, nb::object right) { return A::compression_ratio({floats("compression_ratio", left), floats("compression_ratio", right)}); }, "left"_a, "right"_a,
                  nb::sig("def compression_ratio(left: Tensor | numpy.typing.ArrayLike, right: Tensor | numpy.typing.ArrayLike) -> float"), "Elements of the matrix over those of the factors.");
  m.def("svd", [](nb::object w) {
          edge::Svd s = edge::svd(floats("svd", w));
          return nb::make_tuple(s.u, s.s, s.v);
        }, "w"_a, nb::sig("def svd(w: Tensor | numpy.typing.ArrayLike) -> tuple[Tensor, Tensor, Tensor]"), "-> (u, s, v): w = u diag(s) v^T, s descending. No gradient.");
  nb::class_<edge::LowRankRow>(m, "LowRankRow", "What became of one layer.")
      .def_ro("layer", &edge::LowRankRow::layer).def_ro("op", &edge::LowRankRow::op).def_ro("form", &edge::LowRankRow::form).def_ro("rank", &edge::LowRankRow::rank)
      .def_ro("input_rank", &edge::LowRankRow::input_rank).def_ro("dense_us", &edge::LowRankRow::dense_us).def_ro("factored_us", &edge::LowRankRow::factored_us).def_ro("full_rank", &edge::LowRankRow::full_rank)
      .def_ro("before", &edge::LowRankRow::before).def_ro("after", &edge::LowRankRow::after).def_ro("error", &edge::LowRankRow::error).def_ro("reason", &edge::LowRankRow::reason);
  using R = edge::LowRankReport;
  nb::class_<R>(m, "LowRankReport", "What low_rank did, layer by layer.").def_ro("rows", &R::rows).def("to_text", &R::to_text).def("to_json", &R::to_json).def("__str__", &R::to_text);
  m.def("vbmf_rank", [](nb::object w) { return edge::vbmf_rank(floats("vbmf_rank", w)); }, "w"_a, nb::sig("def vbmf_rank(w: Tensor | numpy.typing.ArrayLike) -> int"),
        "The rank that variational Bayes finds in a matrix, of what is not noise; at least 1.");
  m.def("low_rank", [](nn::ModuleRef model, nb::object rank, std::optional<double> energy, double rank_ratio, std::optional<double> budget, std::string method, nb::object data, bool measure, nb::object skip, bool report,
                       nb::object shape, nb::object dtypes) -> nb::object {
          edge::LowRankOptions o{.method = std::move(method), .rank_ratio = rank_ratio, .data = batches_of(data, *model), .measure = measure, .skip = skip_patterns(skip)};
          if (nb::isinstance<nb::str>(rank)) {
            if (nb::cast<std::string>(rank) != "vbmf") throw Error(ErrorKind::value, "low_rank", "a rank of at least 1 or \"vbmf\"", "\"" + nb::cast<std::string>(rank) + "\"");
            o.vbmf = true;
          } else if (!rank.is_none() && (o.rank = nb::cast<int64_t>(rank)) < 1) throw Error(ErrorKind::value, "low_rank", "a rank of at least 1", std::to_string(o.rank));
          for (auto [name, given, to] : {std::tuple{"an energy in (0, 1]", energy, &o.energy}, {"a budget in (0, 1)", budget, &o.budget}})
            if (given && !((*to = *given) > 0)) throw Error(ErrorKind::value, "low_rank", name, std::to_string(*given));
          edge::LowRankReport made;
          Ref<nn::GraphModule> g = edge::low_rank(*model, o, specs_of("low_rank", shape, dtypes).specs, &made);
          if (!report) return nb::cast(g);
          return nb::make_tuple(g, made);
        }, "model"_a, "rank"_a = nb::none(), "energy"_a = nb::none(), nb::kw_only(), "rank_ratio"_a = 0.5, "budget"_a = nb::none(), "method"_a = "svd", "data"_a = nb::none(), "measure"_a = true, "skip"_a = nb::none(),
        "report"_a = false, "input_shape"_a = nb::none(), "input_dtypes"_a = nb::none(),
        nb::sig("def low_rank(model: Module, rank: int | str | None = None, energy: float | None = None, *, rank_ratio: float = 0.5, budget: float | None = None, method: str = 'svd', data: typing.Any = None, "
                "measure: bool = True, skip: str | collections.abc.Sequence[str] | None = None, report: bool = False, input_shape: typing.Any = None, input_dtypes: typing.Any = None) -> typing.Any"),
        "A copy whose layers are products of low rank where that is smaller and measured faster; with report=True (model, report). rank: a number or 'vbmf'. budget: the share of the weights that stays.\n\n"
        "method, of convolutions: 'svd', 'spatial' (k x 1, 1 x k), 'tucker', 'cp'. data: inputs, by whose activations errors count. measure=False: wherever it is smaller.");
}

std::vector<Tensor> lesson_inputs(nb::handle x) {
  std::vector<Tensor> inputs;
  if (nb::isinstance<nb::tuple>(x)) for (nb::handle one : x) inputs.push_back(to_tensor("train_step", one, {{}, true}));
  else inputs.push_back(to_tensor("train_step", x, {{}, true}));
  return inputs;
}

void bind_distillation(nb::module_& m) {
  m.def("distillation_loss", [](nb::object s, nb::object t, nb::object labels, double temperature, double alpha) {
          return edge::distillation_loss(to_tensor("distillation_loss", s), to_tensor("distillation_loss", t), to_tensor("distillation_loss", labels), temperature, alpha);
        }, "student_logits"_a, "teacher_logits"_a, "labels"_a, "temperature"_a = 3.0, "alpha"_a = 0.5,
        nb::sig("def distillation_loss(student_logits: Tensor | numpy.typing.ArrayLike, teacher_logits: Tensor | numpy.typing.ArrayLike, labels: Tensor | numpy.typing.ArrayLike, temperature: float = 3.0, "
                "alpha: float = 0.5) -> Tensor"),
        "alpha T^2 KL(teacher || student) + (1 - alpha) CE(student, labels).");
  using D = edge::Distillation;
  using Pairs = std::map<std::string, std::string>;
  nb::class_<D>(m, "Distillation", "Trains a student by a teacher's answers.")
      .def("__init__", [](D* self, nn::ModuleRef student, std::vector<nn::ModuleRef> teachers, double temperature, double alpha, const Pairs& hints, const Pairs& attention, double hint_weight, double attention_weight) {
          std::vector<edge::Hint> all;
          for (auto& [s, t] : hints) all.push_back({s, t, hint_weight, false});
          for (auto& [s, t] : attention) all.push_back({s, t, attention_weight, true});
          new (self) D(std::move(student), std::move(teachers), temperature, alpha, std::move(all));
        }, "student"_a, "teachers"_a, "temperature"_a = 3.0, "alpha"_a = 0.5, "hints"_a = Pairs(), "attention"_a = Pairs(), "hint_weight"_a = 1.0, "attention_weight"_a = 1.0,
        nb::sig("def __init__(self, student: Module, teachers: collections.abc.Sequence[Module], temperature: float = 3.0, alpha: float = 0.5, hints: dict[str, str] = {}, attention: dict[str, str] = {}, "
                "hint_weight: float = 1.0, attention_weight: float = 1.0) -> None"))
      .def("distillation_loss", [](const D& self, nb::object s, nb::object t, nb::object labels) {
          return self.loss(to_tensor("distillation_loss", s), to_tensor("distillation_loss", t), to_tensor("distillation_loss", labels));
        }, "student_logits"_a, "teacher_logits"_a, "labels"_a,
        nb::sig("def distillation_loss(self, student_logits: Tensor | numpy.typing.ArrayLike, teacher_logits: Tensor | numpy.typing.ArrayLike, labels: Tensor | numpy.typing.ArrayLike) -> Tensor"))
      .def("train_step", [](D& self, nb::object x, nb::object labels) { return self.train_step(lesson_inputs(x), to_tensor("train_step", labels, {{}, true})); }, "x"_a, "labels"_a,
           nb::sig("def train_step(self, x: typing.Any, labels: Tensor | numpy.typing.ArrayLike) -> float"), "One step of the student -> the loss before it.")
      .def("_lesson", [](D& self, nb::object x, nb::object labels) {
          D::Lesson l = self.lesson(lesson_inputs(x), to_tensor("fit", labels, {{}, true}));
          return nb::make_tuple(single_or_tuple(l.outputs), l.loss);
        }, nb::sig("def _lesson(self, x: typing.Any, labels: typing.Any) -> tuple[typing.Any, Tensor]"))
      .def("cache", [](D& self, nb::object folder) { self.cache(folder.is_none() ? "" : path_of(folder)); }, "folder"_a.none(), nb::sig("def cache(self, folder: str | os.PathLike[str] | None) -> None"),
           "The teachers' answers are kept there, a file for each batch of inputs, and read where inputs and teachers are the same. None: no longer.")
      .def_prop_ro("cached", &D::cached, "Answers that were read from the folder.").def_prop_rw("alpha", &D::alpha, &D::set_alpha)
      .def_prop_ro("_adapter_optimizer", &D::adapter_optimizer, nb::rv_policy::reference_internal, nb::sig("def _adapter_optimizer(self) -> Optimizer | None"))
      .def_prop_rw("optimizer", [](D& self) -> optim::Optimizer& { return self.optimizer(); }, [](D& self, Ref<optim::Optimizer> o) { self.set_optimizer(std::move(o)); }, nb::rv_policy::reference_internal,
                   "Adam of the student's parameters unless set.")
      .def_prop_ro("student", &D::student).def_prop_ro("teacher", &D::teacher).def_prop_rw("teachers", &D::teachers, &D::set_teachers)
      .def_prop_ro("adapters", &D::adapters, "By hint, then by attention: what takes the student's channels to the teacher's, or None.");
}

}  // namespace

void bind_compression(nb::module_& m) {
  bind_sharing(m);
  bind_low_rank(m);
  bind_distillation(m);
}

}  // namespace miniten::python
