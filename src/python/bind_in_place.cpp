#include <nanobind/stl/optional.h>
#include "miniten/base/random.h"
#include "miniten/core/autograd.h"
#include "python/both.h"

// x += y and the methods whose names end in _: x's own memory takes the result, and x its place on the tape.
namespace miniten::python {

namespace {

template <class F> Tensor in_place(const Tensor& x, const OpDef& op, F f) {
  update_in_place(x, op, [&](const Tensor& old) {
    Tensor y = f(old);
    auto kind = [](DType t) { return t == DType::boolean ? 0 : is_integer(t) ? 1 : 2; };
    if (kind(y.dtype()) > kind(x.dtype()))
      throw Error(ErrorKind::type, op.name, "values that " + std::string(name_of(x.dtype())) + " holds", y.spec().text(), "use the op that gives a new tensor");
    return cast(y, x.dtype());
  });
  return x;
}

struct Binary {
  const char *word, *name;                           // "__iadd__", "add_"
  const OpDef* op;
  Tensor (*f)(const Tensor&, const Tensor&);
};
using T = const Tensor&;
const Binary binaries[] = {
    {"__iadd__", "add_", &add_op, +[](T a, T b) { return a + b; }},
    {"__isub__", "sub_", &sub_op, +[](T a, T b) { return a - b; }},
    {"__imul__", "mul_", &mul_op, +[](T a, T b) { return a * b; }},
    {"__itruediv__", "div_", &div_op, +[](T a, T b) { return a / b; }},
    {"__ifloordiv__", "floor_divide_", &floor_divide_op, floor_divide},
    {"__imod__", "remainder_", &remainder_op, remainder},
    {"__iand__", "bitwise_and_", &bitwise_and_op, bitwise_and},
    {"__ior__", "bitwise_or_", &bitwise_or_op, bitwise_or},
    {"__ixor__", "bitwise_xor_", &bitwise_xor_op, bitwise_xor},
    {"__ilshift__", "bitwise_left_shift_", &left_shift_op, left_shift},
    {"__irshift__", "bitwise_right_shift_", &right_shift_op, right_shift},
    {"__imatmul__", nullptr, &matmul_op, matmul},
};
struct Unary {
  const char* name;
  const OpDef* op;
  Tensor (*f)(const Tensor&);
};
const Unary unaries[] = {
    {"neg_", &neg_op, +[](T x) { return -x; }}, {"exp_", &exp_op, exp}, {"log_", &log_op, log}, {"sqrt_", &sqrt_op, sqrt}, {"abs_", &abs_op, abs}, {"relu_", &relu_op, relu},
    {"sigmoid_", &sigmoid_op, sigmoid}, {"tanh_", &tanh_op, tanh}, {"square_", &square_op, square}, {"reciprocal_", &reciprocal_op, reciprocal}, {"floor_", &floor_op, floor},
    {"ceil_", &ceil_op, ceil}, {"round_", &round_op, round}, {"trunc_", &trunc_op, trunc}, {"sign_", &sign_op, sign}, {"sin_", &sin_op, sin}, {"cos_", &cos_op, cos},
};

Tensor operand(const Tensor& x, nb::handle other, const Tensor& old, std::string_view op) {
  Tensor o = Operand{other}.tensor(op, x.dtype());
  return o.same(x) ? old : o;
}
// The same values everywhere, and a gradient of 0 for what stood there.
Tensor filled(const Tensor& old, const Tensor& value) { return where(Tensor::full({}, 1, DType::boolean), value, old); }

}  // namespace

void bind_in_place(nb::module_&, TensorClass& c) {
  for (const Binary& row : binaries) {
    c.def(row.word, [&row](const Tensor& x, Operand o) {
        return in_place(x, *row.op, [&](const Tensor& old) { return row.f(old, operand(x, o.object, old, row.op->name)); });
      }, nb::is_operator());
    if (!row.name) continue;
    if (row.op == &add_op || row.op == &sub_op)
      c.def(row.name, [&row](const Tensor& x, ArrayLike o, double alpha) {
          return in_place(x, *row.op, [&](const Tensor& old) {
            Tensor other = operand(x, o.object, old, row.op->name);
            return row.f(old, alpha == 1 ? other : other * alpha);
          });
        }, nb::arg("other"), nb::kw_only(), nb::arg("alpha") = 1.0, "In x's own memory.");
    else
      c.def(row.name, [&row](const Tensor& x, ArrayLike o) {
          return in_place(x, *row.op, [&](const Tensor& old) { return row.f(old, operand(x, o.object, old, row.op->name)); });
        }, nb::arg("other"), "In x's own memory.");
  }
  auto power = [](const Tensor& x, Operand o) {
    return in_place(x, pow_op, [&](const Tensor& old) {
      Tensor e = operand(x, o.object, old, "pow");
      return is_number(o.object) && e.dtype() == x.dtype() ? pow(old, e.item()) : pow(old, e);
    });
  };
  c.def("__ipow__", power, nb::is_operator());
  c.def("pow_", [power](const Tensor& x, ArrayLike o) { return power(x, {o.object}); }, nb::arg("exponent"), "In x's own memory.");
  for (const Unary& row : unaries) c.def(row.name, [&row](const Tensor& x) { return in_place(x, *row.op, row.f); }, "In x's own memory.");
  for (const char* name : {"clamp_", "clip_"})
    c.def(name, [](const Tensor& x, ArrayLike lo, ArrayLike hi) {
        return in_place(x, clamp_op, [&](const Tensor& old) { return clamped(old, lo.object, hi.object); });
      }, nb::arg("min") = nb::none(), nb::arg("max") = nb::none(), "In x's own memory.");
  c.def("fill_", [](const Tensor& x, ArrayLike value) {
      return in_place(x, copy_op, [&](const Tensor& old) {
        Tensor v = operand(x, value.object, old, "fill_");
        if (v.rank() > 0) throw Error(ErrorKind::value, "fill_", "one value", v.shape().text(), "use copy_ for more");
        return filled(old, cast(v, x.dtype()));
      });
    }, nb::arg("value"), "Every element of x takes the value.");
  c.def("zero_", [](const Tensor& x) {
      return in_place(x, copy_op, [&](const Tensor& old) { return filled(old, Tensor::zeros({}, x.dtype())); });
    }, "Every element of x becomes 0.");
  c.def("copy_", [](const Tensor& x, ArrayLike src) {
      return in_place(x, copy_op, [&](const Tensor& old) { return filled(old, cast(operand(x, src.object, old, "copy_"), x.dtype())); });
    }, nb::arg("src"), "x takes the values of src, broadcast and converted.");
  c.def("masked_fill_", [](const Tensor& x, ArrayLike mask, ArrayLike value) {
      return in_place(x, where_op, [&](const Tensor& old) { return masked_fill(old, mask.tensor("masked_fill_"), operand(x, value.object, old, "masked_fill_")); });
    }, nb::arg("mask"), nb::arg("value"), "x takes one value where mask is True.");
  c.def("index_add_", [](const Tensor& x, int dim, ArrayLike index, ArrayLike source, double alpha) {
      return in_place(x, scatter_elements_op, [&](const Tensor& old) { return index_add(old, dim, index.tensor("index_add_"), operand(x, source.object, old, "index_add_"), alpha); });
    }, nb::arg("dim"), nb::arg("index"), nb::arg("source"), nb::kw_only(), nb::arg("alpha") = 1.0, "In x's own memory.");
  c.def("index_copy_", [](const Tensor& x, int dim, ArrayLike index, ArrayLike source) {
      return in_place(x, scatter_elements_op, [&](const Tensor& old) { return index_copy(old, dim, index.tensor("index_copy_"), operand(x, source.object, old, "index_copy_")); });
    }, nb::arg("dim"), nb::arg("index"), nb::arg("source"), "In x's own memory.");
  c.def("index_fill_", [](const Tensor& x, int dim, ArrayLike index, double value) {
      return in_place(x, scatter_elements_op, [&](const Tensor& old) { return index_fill(old, dim, index.tensor("index_fill_"), value); });
    }, nb::arg("dim"), nb::arg("index"), nb::arg("value"), "In x's own memory.");
  struct Scatter { const char *name, *reduction; };
  for (auto [name, reduction] : {Scatter{"scatter_", "none"}, {"scatter_add_", "add"}})
    c.def(name, [name = name, reduction = reduction](const Tensor& x, int dim, ArrayLike index, ArrayLike src) {
        return in_place(x, scatter_elements_op, [&](const Tensor& old) { return scatter_elements(old, index.tensor(name), operand(x, src.object, old, name), dim, reduction); });
      }, nb::arg("dim"), nb::arg("index"), nb::arg("src"), "In x's own memory.");
  struct Noise { const char* name; float (Generator::*draw)(); double a, b; const char *first, *second; };
  for (auto [name, draw, a, b, first, second] : {Noise{"uniform_", &Generator::uniform, 0, 1, "from_", "to"}, {"normal_", &Generator::normal, 0, 1, "mean", "std"}})
    c.def(name, [name = name, draw = draw](const Tensor& x, double p, double q) {
        if (!is_float(x.dtype())) throw Error(ErrorKind::type, name, "a floating-point tensor", x.spec().text());
        double low = p, scale = std::string_view(name) == "uniform_" ? q - p : q;
        return in_place(x, copy_op, [&](const Tensor& old) {
          Tensor values = Tensor::empty({DType::f32, x.shape()});
          for (int64_t i = 0, n = values.numel(); i < n; ++i) values.view().f32()[i] = (default_generator().*draw)();
          return filled(old, cast(values * scale + low, x.dtype()));
        });
      }, nb::arg(first) = a, nb::arg(second) = b, "x takes random values.");
}

}  // namespace miniten::python
