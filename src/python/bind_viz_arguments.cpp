#include "python/bind_viz.h"
#include <cmath>
#include <limits>
#include "miniten/viz/color.h"

namespace miniten::python {

using viz::Axes;

std::string word(nb::handle o) { return o.is_none() ? "" : nb::cast<std::string>(nb::str(o)); }

std::vector<std::string> strings(nb::handle o) {
  std::vector<std::string> out;
  if (o.is_none()) return out;
  for (nb::handle s : o) out.push_back(nb::cast<std::string>(nb::str(s)));
  return out;
}

std::vector<double> numbers(const char* op, nb::handle o) {
  Tensor t = to_tensor(op, o, {DType::f64});
  if (t.rank() > 1) throw Error(ErrorKind::value, op, "numbers along one axis", t.shape().text());
  return t.to_vector<double>();
}

nb::object last_mark(nb::handle self) {
  const size_t n = nb::cast<Axes&>(self).mark_count();
  return nb::cast(Mark{nb::borrow(self), n - 1});
}

std::vector<double> flat(const char* op, nb::handle o) { return to_tensor(op, o, {DType::f64}).to_vector<double>(); }

namespace {

std::string kind_of(nb::handle o) {  // NumPy's kind of dtype, "" where there is none
  return nb::hasattr(o, "dtype") && nb::hasattr(o.attr("dtype"), "kind") ? word(o.attr("dtype").attr("kind")) : "";
}
bool first_is(nb::handle o, bool (*test)(nb::handle)) {
  if (!PySequence_Check(o.ptr()) || PyUnicode_Check(o.ptr()) || nb::hasattr(o, "dtype") || nb::len(o) == 0) return false;
  return test(nb::object(o[0]));
}
}  // namespace

bool first_is_sequence(nb::handle o) {
  return first_is(o, [](nb::handle v) { return nb::hasattr(v, "__len__") && PyUnicode_Check(v.ptr()) == 0; });
}
bool is_text(nb::handle o) {
  return kind_of(o) == "U" || first_is(o, [](nb::handle v) { return PyUnicode_Check(v.ptr()) != 0; });
}
bool is_date(nb::handle o) {
  if (kind_of(o) == "M") return true;
  return first_is(o, [](nb::handle v) {
    return kind_of(v) == "M" || PyObject_IsInstance(v.ptr(), nb::module_::import_("datetime").attr("date").ptr()) == 1;
  });
}

std::vector<double> positions(Axes& a, const char* axis, const char* op, nb::handle o) {
  if (is_text(o)) return a.categories(axis, strings(o));
  if (!is_date(o)) return numbers(op, o);
  nb::object numpy = nb::module_::import_("numpy");
  nb::object ticks = numpy.attr("asarray")(o, "datetime64[us]").attr("astype")("int64");
  Tensor t = to_tensor(op, ticks, {DType::i64});
  std::vector<double> out;
  for (int64_t us : t.to_vector<int64_t>()) out.push_back(us == std::numeric_limits<int64_t>::min() ? NAN : double(us) / 1e6);
  a.set_dates(axis);
  return out;
}
double position(Axes& a, const char* axis, const char* op, nb::handle o) {
  if (PyFloat_Check(o.ptr()) || PyLong_Check(o.ptr())) return nb::cast<double>(o);
  nb::list one;
  one.append(o);
  return positions(a, axis, op, PyUnicode_Check(o.ptr()) || is_date(one) ? nb::handle(one) : o).at(0);
}

Grid matrix(const char* what, nb::handle o) {
  Tensor t = to_tensor(what, o, {DType::f64});
  if (t.rank() != 2) throw Error(ErrorKind::value, what, "data of two axes", t.shape().text());
  return {t.to_vector<double>(), t.dim(0), t.dim(1)};
}

std::string color_of(const char* op, nb::handle o) {
  if (o.is_none() || PyUnicode_Check(o.ptr())) return word(o);
  const std::vector<double> v = numbers(op, o);
  if (v.size() != 3 && v.size() != 4) throw Error(ErrorKind::value, op, "a colour's name, or 3 or 4 numbers", std::to_string(v.size()) + " numbers");
  for (double x : v) if (!(x >= 0 && x <= 1)) throw Error(ErrorKind::value, op, "parts of a colour in [0, 1]", viz::format_value(x, "g"));
  return viz::to_hex({uint8_t(std::lround(v[0] * 255)), uint8_t(std::lround(v[1] * 255)), uint8_t(std::lround(v[2] * 255)), v.size() > 3 ? v[3] : 1.0});
}
std::vector<std::string> colors_of(const char* op, nb::handle o) {
  std::vector<std::string> out;
  if (o.is_none()) return out;
  for (nb::handle c : o) out.push_back(color_of(op, c));
  return out;
}
bool is_color_list(nb::handle o) {
  return first_is(o, [](nb::handle v) { return PyUnicode_Check(v.ptr()) != 0 || PyTuple_Check(v.ptr()) != 0; });
}

}  // namespace miniten::python
