#include <cmath>
#include <nanobind/stl/optional.h>
#include "miniten/base/random.h"
#include "python/both.h"

namespace miniten::python {

namespace {

Generator& generator_of(std::string_view op, nb::handle given) {
  if (given.is_none()) return default_generator();
  if (!nb::isinstance<Generator>(given)) throw Error(ErrorKind::type, op, "a Generator", type_text(given));
  return nb::cast<Generator&>(given);
}
Tensor drawn(std::string_view op, const Shape& shape, nb::handle dtype, nb::handle generator, float (Generator::*draw)()) {
  check_sizes(op, shape);
  DType t = dtype_or_none(op, dtype).value_or(DType::f32);
  if (!is_float(t)) throw Error(ErrorKind::type, op, "a floating-point dtype", std::string(name_of(t)));
  Generator& g = generator_of(op, generator);
  Tensor out = Tensor::empty({DType::f32, shape});
  float* p = out.view().f32();
  for (int64_t i = 0, n = out.numel(); i < n; ++i) p[i] = (g.*draw)();
  return t == DType::f32 ? out : cast(out, t);
}
Tensor integers(int64_t low, int64_t high, const Shape& shape, nb::handle dtype, nb::handle generator) {
  check_sizes("randint", shape);
  if (low >= high) throw Error(ErrorKind::value, "randint", "low < high", std::to_string(low) + " and " + std::to_string(high));
  Generator& g = generator_of("randint", generator);
  Tensor out = Tensor::empty({DType::i64, shape});
  for (int64_t i = 0, n = out.numel(); i < n; ++i) out.view().i64()[i] = low + int64_t(g.below(uint64_t(high) - uint64_t(low)));
  DType t = dtype_or_none("randint", dtype).value_or(DType::i64);
  return t == DType::i64 ? out : cast(out, t);
}
Tensor choices(const Tensor& weights, int64_t n, bool replacement, Generator& g) {
  if (weights.rank() < 1 || weights.rank() > 2 || !is_float(weights.dtype())) throw Error(ErrorKind::value, "multinomial", "float weights (n,) or (rows, n)", weights.spec().text());
  int64_t rows = weights.rank() == 2 ? weights.dim(0) : 1, size = weights.dim(-1);
  std::vector<double> w = cast(detach(weights), DType::f64).to_vector<double>();
  if (n < 1) throw Error(ErrorKind::value, "multinomial", "at least 1 sample", std::to_string(n));
  Tensor out = Tensor::empty({DType::i64, weights.rank() == 2 ? Shape{rows, n} : Shape{n}});
  int64_t* to = out.view().i64();
  for (int64_t r = 0; r < rows; ++r) {
    double* row = w.data() + r * size;
    int64_t possible = 0;
    for (int64_t i = 0; i < size; ++i) {
      if (!(row[i] >= 0) || std::isinf(row[i])) throw Error(ErrorKind::value, "multinomial", "finite weights of 0 or more", std::to_string(row[i]));
      possible += row[i] > 0;
    }
    if (possible == 0 || (!replacement && possible < n))
      throw Error(ErrorKind::value, "multinomial", std::to_string(n) + " samples from weights above 0", std::to_string(possible) + " of them", replacement ? "" : "draw with replacement=True");
    for (int64_t k = 0; k < n; ++k) {
      double total = 0, at = 0;
      for (int64_t i = 0; i < size; ++i) total += row[i];
      double u = (double(g.next()) + 0.5) * 0x1p-32 * total;
      int64_t pick = -1;
      for (int64_t i = 0; i < size; ++i) {
        if (row[i] == 0) continue;
        pick = i;
        if (u < (at += row[i])) break;
      }
      *to++ = pick;
      if (!replacement) row[pick] = 0;
    }
  }
  return out;
}

}  // namespace

void bind_random(nb::module_& m) {
  nb::class_<Generator>(m, "Generator", "A sequence of random numbers of its own (Philox): the same from the same seed, for any number of threads.")
      .def("__init__", [](Generator* self, nb::int_ seed) { new (self) Generator(PyLong_AsUnsignedLongLongMask(seed.ptr())); }, nb::arg("seed") = 0)
      .def("manual_seed", [](nb::handle self, nb::int_ seed) {
          nb::cast<Generator&>(self) = Generator(PyLong_AsUnsignedLongLongMask(seed.ptr()));
          return nb::borrow(self);
        }, nb::arg("seed"), nb::sig("def manual_seed(self, seed: int) -> Generator"), "Starts anew; returns itself.")
      .def("initial_seed", &Generator::seed)
      .def("get_state", [](const Generator& g) { return nb::make_tuple(g.seed(), g.position()); }, nb::sig("def get_state(self) -> tuple[int, int]"), "Seed and position, for set_state.")
      .def("set_state", [](Generator& g, nb::tuple state) {
          if (state.size() != 2) throw Error(ErrorKind::value, "set_state", "what get_state gave", std::to_string(state.size()) + " values");
          g = Generator(nb::cast<uint64_t>(state[0]));
          g.seek(nb::cast<uint64_t>(state[1]));
        }, nb::arg("state"))
      .def("__repr__", [](const Generator& g) { return "Generator(seed=" + std::to_string(g.seed()) + ", position=" + std::to_string(g.position()) + ")"; });
  struct Row { const char* name; float (Generator::*draw)(); const char* doc; };
  for (auto [name, draw, doc] : {Row{"rand", &Generator::uniform, "Uniform in [0, 1)."}, {"randn", &Generator::normal, "Normal, mean 0, variance 1."}}) {
    m.def(name, [name = name, draw = draw](nb::args size, DTypeLike dtype, bool requires_grad, nb::object generator) {
        return with_grad(name, drawn(name, shape_of_args(name, size), dtype.object, generator, draw), requires_grad);
      }, nb::arg("size"), nb::arg("dtype") = nb::none(), nb::arg("requires_grad") = false, nb::arg("generator") = nb::none(),
      nb::sig((std::string("def ") + name + "(*size: int | collections.abc.Sequence[int], dtype: DType | str | type | None = None, requires_grad: bool = False, generator: Generator | None = None) -> Tensor").c_str()), doc);
    m.def((std::string(name) + "_like").c_str(), [name = name, draw = draw](ArrayLike x, DTypeLike dtype, nb::object generator) {
        Tensor t = x.tensor(name);
        return cast(drawn(name, t.shape(), nb::none(), generator, draw), dtype_or_none(name, dtype.object).value_or(t.dtype()));
      }, nb::arg("x"), nb::arg("dtype") = nb::none(), nb::kw_only(), nb::arg("generator") = nb::none(), doc);
  }
  m.def("randint", [](int64_t low, nb::object high, nb::object size, DTypeLike dtype, nb::object generator) {
      bool short_form = size.is_none();                        // randint(high, size)
      if (short_form && high.is_none()) throw Error(ErrorKind::type, "randint", "randint(high, size) or randint(low, high, size)", "no size");
      return short_form ? integers(0, low, shape_of("randint", high), dtype.object, generator)
                        : high.is_none() ? integers(0, low, shape_of("randint", size), dtype.object, generator)
                                         : integers(low, integer_of("randint", high), shape_of("randint", size), dtype.object, generator);
    }, nb::arg("low"), nb::arg("high") = nb::none(), nb::arg("size") = nb::none(), nb::kw_only(), nb::arg("dtype") = nb::none(), nb::arg("generator") = nb::none(),
    nb::sig("def randint(low: int, high: typing.Any = None, size: typing.Any = None, *, dtype: DType | str | type | None = None, generator: Generator | None = None) -> Tensor"),
    "Integers in [low, high), each as likely: randint(high, size) or randint(low, high, size).");
  m.def("randperm", [](int64_t n, DTypeLike dtype, nb::object generator) {
      check_sizes("randperm", {n});
      Generator& g = generator_of("randperm", generator);
      Tensor out = Tensor::empty({DType::i64, {n}});
      int64_t* p = out.view().i64();
      for (int64_t i = 0; i < n; ++i) p[i] = i;
      for (int64_t i = n; i > 1; --i) std::swap(p[i - 1], p[g.below(uint64_t(i))]);
      return cast(out, dtype_or_none("randperm", dtype.object).value_or(DType::i64));
    }, nb::arg("n"), nb::kw_only(), nb::arg("dtype") = nb::none(), nb::arg("generator") = nb::none(), "0 .. n - 1 in random order.");
  m.def("normal", [](double mean, double std, nb::object size, DTypeLike dtype, nb::object generator) {
      if (!(std >= 0)) throw Error(ErrorKind::value, "normal", "a standard deviation of 0 or more", std::to_string(std));
      return drawn("normal", shape_of("normal", size), dtype.object, generator, &Generator::normal) * std + mean;
    }, nb::arg("mean") = 0.0, nb::arg("std") = 1.0, nb::arg("size") = 1, nb::kw_only(), nb::arg("dtype") = nb::none(), nb::arg("generator") = nb::none(), "Normal with a mean and a standard deviation.");
  m.def("bernoulli", [](ArrayLike p, nb::object generator) {
      Tensor t = p.tensor("bernoulli");
      if (!is_float(t.dtype())) throw Error(ErrorKind::type, "bernoulli", "probabilities in a floating-point tensor", t.spec().text());
      for (double v : cast(detach(t), DType::f64).to_vector<double>())
        if (!(v >= 0 && v <= 1)) throw Error(ErrorKind::value, "bernoulli", "probabilities in [0, 1]", std::to_string(v));
      return cast(less(drawn("bernoulli", t.shape(), nb::none(), generator, &Generator::uniform), cast(detach(t), DType::f32)), t.dtype());
    }, nb::arg("p"), nb::kw_only(), nb::arg("generator") = nb::none(), "1 with the probability given, else 0.");
  m.def("multinomial", [](ArrayLike weights, int64_t num_samples, bool replacement, nb::object generator) {
      return choices(weights.tensor("multinomial"), num_samples, replacement, generator_of("multinomial", generator));
    }, nb::arg("input"), nb::arg("num_samples"), nb::arg("replacement") = false, nb::kw_only(), nb::arg("generator") = nb::none(), "Indices drawn by weight, from each row.");
  m.def("manual_seed", [](nb::int_ seed) { manual_seed(PyLong_AsUnsignedLongLongMask(seed.ptr())); }, nb::arg("seed"), "Starts MiniTen's random numbers anew. NumPy's generator is not touched.");
}

}  // namespace miniten::python
