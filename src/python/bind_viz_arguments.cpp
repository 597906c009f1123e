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

// Whatever NumPy can read: ranges, series and views, too.
static Tensor array_of_numbers(const char* op, nb::handle o) {
  const bool known = PyList_Check(o.ptr()) || PyTuple_Check(o.ptr()) || PyFloat_Check(o.ptr()) || PyLong_Check(o.ptr()) || nb::hasattr(o, "dtype");
  if (known || !(nb::hasattr(o, "__iter__") || nb::hasattr(o, "__array__")) || PyUnicode_Check(o.ptr())) return to_tensor(op, o, {DType::f64});
  nb::object read = nb::borrow(o);
  if (!nb::hasattr(o, "__array__")) read = nb::list(read);
  return to_tensor(op, nb::module_::import_("numpy").attr("asarray")(read, "float64"), {DType::f64});
}

std::vector<double> numbers(const char* op, nb::handle o) {
  Tensor t = array_of_numbers(op, o);
  if (t.rank() > 1) throw Error(ErrorKind::value, op, "numbers along one axis", t.shape().text());
  return t.to_vector<double>();
}

nb::object last_mark(nb::handle self) {
  const size_t n = nb::cast<Axes&>(self).mark_count();
  return nb::cast(Mark{nb::borrow(self), n - 1});
}

std::vector<double> flat(const char* op, nb::handle o) { return array_of_numbers(op, o).to_vector<double>(); }

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

double font_size(const char* op, nb::handle o) {
  if (!PyUnicode_Check(o.ptr())) return nb::cast<double>(nb::float_(o));
  static constexpr std::pair<const char*, double> names[] = {{"xx-small", 5.79}, {"x-small", 6.94}, {"small", 8.33}, {"medium", 10}, {"large", 12}, {"x-large", 14.4}, {"xx-large", 17.28}};
  const std::string name = word(o);
  for (const auto& [known, size] : names) if (name == known) return size;
  throw Error(ErrorKind::value, op, "a size in points, or 'xx-small' to 'xx-large'", "'" + name + "'");
}

nb::object Keywords::take(std::initializer_list<const char*> names) {
  nb::object found = nb::none();
  const char* before = nullptr;
  for (const char* name : names) {
    if (!left_.contains(name)) continue;
    if (before) throw Error(ErrorKind::type, op_, "one of '" + std::string(before) + "' and '" + name + "'", "both");
    before = name;
    found = nb::object(left_[name]);
    nb::del(left_[name]);
  }
  return found;
}
std::optional<double> Keywords::number(std::initializer_list<const char*> names) {
  nb::object found = take(names);
  if (found.is_none()) return {};
  return nb::cast<double>(nb::float_(found));
}
double Keywords::number(std::initializer_list<const char*> names, double otherwise) { return number(names).value_or(otherwise); }
bool Keywords::flag(std::initializer_list<const char*> names, bool otherwise) {
  nb::object found = take(names);
  return found.is_none() ? otherwise : nb::cast<bool>(nb::bool_(found));
}
viz::TextLook Keywords::look() {
  viz::TextLook look;
  if (nb::object size = take({"fontsize", "size"}); !size.is_none()) look.size = font_size(op_, size);
  look.color = color({"color", "c"});
  if (nb::object weight = take({"fontweight", "weight"}); !weight.is_none())
    look.bold = PyUnicode_Check(weight.ptr()) ? word(weight) == "bold" || word(weight) == "semibold" || word(weight) == "heavy" || word(weight) == "black" : nb::cast<int>(weight) >= 600;
  look.loc = word(take({"loc"}));
  return look;
}
void Keywords::done(const char* known) {
  for (auto [key, value] : left_) throw Error(ErrorKind::type, op_, "an argument it knows", "'" + word(key) + "'", known);
}

}  // namespace miniten::python
