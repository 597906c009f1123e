#include "python/convert.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>
#include <nanobind/ndarray.h>
#include "miniten/base/half.h"

namespace miniten::python {

std::string type_text(nb::handle o) {
  nb::handle type = o.type();
  std::string name = nb::cast<std::string>(nb::str(nb::getattr(type, "__qualname__", nb::str("object"))));
  std::string module = nb::cast<std::string>(nb::str(nb::getattr(type, "__module__", nb::str("builtins"))));
  return module == "builtins" ? name : module + "." + name;
}

namespace {

[[noreturn]] void refuse(std::string_view op, std::string want, std::string got, std::string hint = "", ErrorKind kind = ErrorKind::type) {
  throw Error(kind, op, std::move(want), std::move(got), std::move(hint));
}

bool visit_storage(DType t, auto&& f) {
  if (t == DType::f16) return f(Half(0.0f)), true;
  if (t == DType::bf16) return f(BFloat16(0.0f)), true;
  return visit_dtype(t, f);
}

// ---- Python numbers ----
struct Number {
  enum Kind { boolean, integer, real } kind = real;
  double real_value = 0;
  int64_t value = 0;              // of bool and int
  bool above_int64 = false;       // then value holds the bits of a uint64
  DType dtype() const { return kind == boolean ? DType::boolean : kind == real ? DType::f32 : above_int64 ? DType::u64 : DType::i64; }
  std::string text() const {
    if (kind == real) return nb::cast<std::string>(nb::repr(nb::float_(real_value)));
    return above_int64 ? std::to_string(uint64_t(value)) : std::to_string(value);
  }
};

bool read_number(std::string_view op, PyObject* o, Number& n) {
  if (PyBool_Check(o)) {
    n.kind = Number::boolean;
    n.value = o == Py_True;
    n.real_value = double(n.value);
    return true;
  }
  if (PyFloat_Check(o)) {
    n.kind = Number::real;
    n.real_value = PyFloat_AsDouble(o);
    return true;
  }
  if (!PyLong_Check(o)) return false;
  n.kind = Number::integer;
  int overflow = 0;
  n.value = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow) {
    uint64_t big = overflow > 0 ? PyLong_AsUnsignedLongLong(o) : 0;
    if (overflow < 0 || PyErr_Occurred()) {
      PyErr_Clear();
      refuse(op, "an integer of 64 bits", nb::cast<std::string>(nb::repr(nb::handle(o))), "", ErrorKind::value);
    }
    n.above_int64 = true;
    n.value = int64_t(big);
  }
  n.real_value = n.above_int64 ? double(uint64_t(n.value)) : double(n.value);
  return true;
}

template <class T> T as(std::string_view op, const Number& n, DType dtype) {
  if constexpr (std::is_same_v<T, bool>) return n.kind == Number::real ? n.real_value != 0 : n.value != 0;
  else if constexpr (!std::is_integral_v<T>) return T(float(n.real_value));
  else {
    bool fits;
    if (n.kind == Number::real) {
      double whole = std::trunc(n.real_value);
      fits = whole >= double(std::numeric_limits<T>::min()) && whole < std::ldexp(1.0, std::numeric_limits<T>::digits);
      if (fits) return T(whole);
    } else if (n.above_int64) {
      fits = std::is_same_v<T, uint64_t>;
    } else {
      fits = std::in_range<T>(n.value);
    }
    if (!fits) refuse(op, "a number that " + std::string(name_of(dtype)) + " holds", n.text(), "choose a wider dtype", ErrorKind::value);
    return T(n.value);
  }
}
template <> double as<double>(std::string_view, const Number& n, DType) { return n.real_value; }

void store(std::string_view op, const Number& n, DType dtype, std::byte* at) {
  bool known = visit_storage(dtype, [&](auto zero) {
    auto value = as<decltype(zero)>(op, n, dtype);
    std::memcpy(at, &value, sizeof value);
  });
  if (!known) refuse(op, "a dtype of whole bytes", std::string(name_of(dtype)), "", ErrorKind::unsupported);
}

Tensor from_number(std::string_view op, const Number& n, DType dtype) {
  Tensor t = Tensor::empty({dtype, {}});
  store(op, n, dtype, t.view().data);
  return t;
}

// ---- the buffer protocol ----
struct Buffer {
  Py_buffer view{};
  bool held = false;
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  ~Buffer() {
    if (!held || !Py_IsInitialized()) return;
    nb::gil_scoped_acquire gil;
    PyBuffer_Release(&view);
  }
};

bool has_buffer(PyObject* o) { return PyObject_CheckBuffer(o); }

// False: a format that stands for no dtype of ours.
bool read_format(const Py_buffer& v, DType& dtype, bool& swapped) {
  const char* f = v.format ? v.format : "B";
  swapped = false;
  if (*f && std::strchr("@=<>!^", *f)) {
    bool big = *f == '>' || *f == '!';
    swapped = v.itemsize > 1 && big == (std::endian::native == std::endian::little) && *f != '@' && *f != '=' && *f != '^';
    ++f;
  }
  if (!*f || f[1]) return false;
  static constexpr DType ints[] = {DType::i8, DType::i16, DType::i32, DType::i64}, uints[] = {DType::u8, DType::u16, DType::u32, DType::u64};
  int log = v.itemsize == 1 ? 0 : v.itemsize == 2 ? 1 : v.itemsize == 4 ? 2 : v.itemsize == 8 ? 3 : -1;
  if (log < 0) return false;
  if (*f == '?') return dtype = DType::boolean, log == 0;
  if (std::strchr("bhilqn", *f)) return dtype = ints[log], true;
  if (std::strchr("BHILQN", *f)) return dtype = uints[log], true;
  if (*f == 'e') return dtype = DType::f16, log == 1;
  if (*f == 'f') return dtype = DType::f32, log == 2;
  if (*f == 'd') return dtype = DType::f64, log == 3;
  return false;
}

struct Memory {                     // what an array looks at
  std::byte* data = nullptr;        // element (0, 0, ...)
  Spec spec;
  Dims byte_strides;
  bool swapped = false, writable = true;
  std::shared_ptr<void> owner;

  bool can_share() const {
    int64_t size = int64_t(bytes_of(spec.dtype, 1));
    if (swapped || reinterpret_cast<uintptr_t>(data) % uintptr_t(size)) return false;
    for (int i = 0; i < spec.shape.rank; ++i)
      if (byte_strides[i] % size && spec.shape[i] > 1) return false;
    return true;
  }
  Strides strides() const {
    Strides s;
    for (int64_t b : byte_strides) s.push(b / int64_t(bytes_of(spec.dtype, 1)));
    return s;
  }
  Tensor share() const {
    if (spec.shape.count() == 0) return Tensor::empty(spec);
    int64_t low = 0, high = 0;
    for (int i = 0; i < spec.shape.rank; ++i) (byte_strides[i] < 0 ? low : high) += byte_strides[i] * (spec.shape[i] - 1);
    auto storage = Storage::borrow(data + low, size_t(high - low) + bytes_of(spec.dtype, 1), owner, writable);
    return Tensor::wrap(std::move(storage), spec, strides(), size_t(-low));
  }
  Tensor copy() const {
    Tensor out = Tensor::empty(spec);
    if (spec.shape.count() == 0) return out;
    if (can_share()) {
      copy_values({data, spec, strides()}, out.view());
      return out;
    }
    size_t size = bytes_of(spec.dtype, 1);
    std::byte* to = out.view().data;
    for (int64_t i = 0, n = spec.shape.count(); i < n; ++i, to += size) {
      int64_t rest = i, at = 0;
      for (int axis = spec.shape.rank - 1; axis >= 0; --axis) {
        at += rest % spec.shape[axis] * byte_strides[axis];
        rest /= spec.shape[axis];
      }
      std::memcpy(to, data + at, size);
      if (swapped) std::reverse(to, to + size);
    }
    return out;
  }
};

std::string dtype_text(nb::handle o) {
  nb::object dtype = nb::getattr(o, "dtype", nb::none());
  return dtype.is_none() ? type_text(o) : type_text(o) + " of " + nb::cast<std::string>(nb::str(dtype));
}

bool memory_from_buffer(std::string_view op, nb::handle o, Memory& m) {
  auto buffer = std::make_shared<Buffer>();
  if (PyObject_GetBuffer(o.ptr(), &buffer->view, PyBUF_FULL_RO) != 0) {
    PyErr_Clear();
    return false;
  }
  buffer->held = true;
  const Py_buffer& v = buffer->view;
  if (!read_format(v, m.spec.dtype, m.swapped)) return false;
  if (v.ndim > Dims::capacity) refuse(op, "at most 8 dimensions", std::to_string(v.ndim), "", ErrorKind::value);
  for (int i = 0; i < v.ndim; ++i) {
    if (v.suboffsets && v.suboffsets[i] >= 0) return false;
    m.spec.shape.push(v.shape ? v.shape[i] : v.len / v.itemsize);
  }
  Strides dense = contiguous(m.spec.shape);
  for (int i = 0; i < v.ndim; ++i) m.byte_strides.push(v.strides ? v.strides[i] : dense[i] * v.itemsize);
  m.data = static_cast<std::byte*>(v.buf);
  m.writable = !v.readonly;
  m.owner = std::move(buffer);
  return true;
}

template <class Array> void memory_from_dlpack(std::string_view op, nb::handle o, Memory& m, const Array& array, bool writable) {
  nb::dlpack::dtype d = array.dtype();
  auto code = nb::dlpack::dtype_code(d.code);
  int log = d.bits == 8 ? 0 : d.bits == 16 ? 1 : d.bits == 32 ? 2 : d.bits == 64 ? 3 : -1;
  static constexpr DType ints[] = {DType::i8, DType::i16, DType::i32, DType::i64}, uints[] = {DType::u8, DType::u16, DType::u32, DType::u64};
  bool known = d.lanes == 1 && log >= 0;
  if (code == nb::dlpack::dtype_code::Int && known) m.spec.dtype = ints[log];
  else if (code == nb::dlpack::dtype_code::UInt && known) m.spec.dtype = uints[log];
  else if (code == nb::dlpack::dtype_code::Bool && known && log == 0) m.spec.dtype = DType::boolean;
  else if (code == nb::dlpack::dtype_code::Bfloat && known && log == 1) m.spec.dtype = DType::bf16;
  else if (code == nb::dlpack::dtype_code::Float && known && log > 0) m.spec.dtype = log == 1 ? DType::f16 : log == 2 ? DType::f32 : DType::f64;
  else refuse(op, "an array of numbers", dtype_text(o));
  if (array.ndim() > size_t(Dims::capacity)) refuse(op, "at most 8 dimensions", std::to_string(array.ndim()), "", ErrorKind::value);
  for (size_t i = 0; i < array.ndim(); ++i) {
    m.spec.shape.push(int64_t(array.shape(i)));
    m.byte_strides.push(array.stride(i) * int64_t(bytes_of(m.spec.dtype, 1)));
  }
  m.data = static_cast<std::byte*>(const_cast<void*>(static_cast<const void*>(array.data())));
  m.writable = writable;
  m.owner = std::shared_ptr<void>(new Array(array), [](void* p) {
    if (!Py_IsInitialized()) return;
    nb::gil_scoped_acquire gil;
    delete static_cast<Array*>(p);
  });
}

bool has(nb::handle o, const char* name) { return nb::hasattr(o.type(), name); }

Memory memory_of(std::string_view op, nb::handle o, bool last_try = false) {
  Memory m;
  if (has_buffer(o.ptr())) {
    if (memory_from_buffer(op, o, m)) return m;
    nb::object dtype = nb::getattr(o, "dtype", nb::none());
    if (!dtype.is_none() && nb::cast<std::string>(nb::str(dtype)) == "bfloat16") {      // ml_dtypes: no buffer format
      Memory bits = memory_of(op, o.attr("view")("uint16"), true);
      bits.spec.dtype = DType::bf16;
      return bits;
    }
    refuse(op, "an array of numbers", dtype_text(o), dtype.is_none() ? "" : "convert it with astype first");
  }
  if (has(o, "__dlpack__") || PyCapsule_CheckExact(o.ptr())) {
    nb::ndarray<nb::device::cpu> array;
    if (nb::try_cast(o, array, false)) memory_from_dlpack(op, o, m, array, true);
    else {
      nb::ndarray<nb::ro, nb::device::cpu> read_only;
      if (!nb::try_cast(o, read_only, false))
        refuse(op, "an array in CPU memory that can be shared", type_text(o), "detach it from its graph, move it to the CPU", ErrorKind::value);
      memory_from_dlpack(op, o, m, read_only, false);
    }
    return m;
  }
  if (!last_try && (has(o, "__array__") || has(o, "__array_interface__"))) {
    nb::object array = nb::module_::import_("numpy").attr("asarray")(o);
    return memory_of(op, array, true);
  }
  refuse(op, "a number, nested lists of numbers or an array", type_text(o));
}

bool is_tensor(nb::handle o) { return nb::isinstance<Tensor::Impl>(o); }

// ---- nested lists ----
struct Nested {
  std::string_view op;
  Shape shape;
  bool shape_known = false;
  std::vector<Number> numbers;
  std::vector<Tensor> arrays;       // where leaves are arrays or tensors; numbers among them are scalars
  bool any_array = false;
  DType dtype = DType::f32;         // of the numbers and arrays so far
  bool any = false;

  void measure(nb::handle o) {      // sizes along the first elements
    while (PyList_Check(o.ptr()) || PyTuple_Check(o.ptr())) {
      Py_ssize_t n = PySequence_Size(o.ptr());
      if (shape.rank == Dims::capacity) refuse(op, "lists nested at most 8 deep", "deeper ones", "", ErrorKind::value);
      shape.push(n);
      if (n == 0) return;
      o = PyList_Check(o.ptr()) ? PyList_GetItem(o.ptr(), 0) : PyTuple_GetItem(o.ptr(), 0);
    }
  }
  void walk(nb::handle o, int level) {
    bool list = PyList_Check(o.ptr()), tuple = PyTuple_Check(o.ptr());
    if (list || tuple) {
      Py_ssize_t n = PySequence_Size(o.ptr());
      if (level >= shape.rank) refuse(op, "lists of equal depth", "a list where a number stood before", "", ErrorKind::value);
      if (n != shape[level])
        refuse(op, "lists of equal length", std::to_string(n) + " elements beside " + std::to_string(shape[level]) + " at depth " + std::to_string(level), "", ErrorKind::value);
      for (Py_ssize_t i = 0; i < n; ++i) walk(list ? PyList_GetItem(o.ptr(), i) : PyTuple_GetItem(o.ptr(), i), level + 1);
      return;
    }
    if (level != shape.rank) refuse(op, "lists of equal depth", "a " + type_text(o) + " where a list stood before", "", ErrorKind::value);
    Number n;
    bool exact = PyBool_Check(o.ptr()) || PyLong_CheckExact(o.ptr()) || PyFloat_CheckExact(o.ptr());
    if (exact && read_number(op, o.ptr(), n)) {
      numbers.push_back(n);
      arrays.emplace_back();
      see(n.dtype(), n.above_int64);
      return;
    }
    Tensor t = to_tensor(op, o);
    any_array = true;
    see(t.dtype(), false);
    numbers.emplace_back();
    arrays.push_back(std::move(t));
  }
  void see(DType t, bool big) {
    if (!any) dtype = t;
    else if (big && is_integer(dtype)) dtype = DType::u64;
    else if (dtype == DType::u64 && t == DType::i64) {}
    else dtype = promote(dtype, t);
    any = true;
  }
};

Tensor from_list(std::string_view op, nb::handle o, std::optional<DType> wanted) {
  Nested n;
  n.op = op;
  n.measure(o);
  n.walk(o, 0);
  DType dtype = wanted ? *wanted : n.any ? n.dtype : DType::f32;
  if (!n.any_array) {
    Tensor out = Tensor::empty({dtype, n.shape});
    size_t size = bytes_of(dtype, 1);
    std::byte* at = out.view().data;
    for (const Number& number : n.numbers) store(op, number, dtype, std::exchange(at, at + size));
    return out;
  }
  Shape leaf = {};
  bool first = true;
  for (size_t i = 0; i < n.arrays.size(); ++i) {
    if (!n.arrays[i]) n.arrays[i] = from_number(op, n.numbers[i], dtype);
    if (first) leaf = n.arrays[i].shape();
    if (n.arrays[i].shape() != leaf)
      refuse(op, "arrays of equal shape in a list", leaf.text() + " and " + n.arrays[i].shape().text(), "", ErrorKind::value);
    first = false;
  }
  Shape shape = n.shape;
  for (Dim d : leaf) shape.push(d);
  Tensor out = Tensor::empty({dtype, shape});
  std::byte* at = out.view().data;
  Spec spec{dtype, leaf};
  for (const Tensor& t : n.arrays) copy_values(t.view(), {std::exchange(at, at + spec.bytes()), spec, contiguous(leaf)});
  return out;
}

Tensor converted(std::string_view op, const Tensor& t, DType dtype) {
  if (bits_of(dtype) < 8) refuse(op, "a dtype of whole bytes", std::string(name_of(dtype)), "", ErrorKind::unsupported);
  Tensor out = Tensor::empty({dtype, t.shape()});
  copy_values(t.view(), out.view());
  return out;
}

}  // namespace

bool is_number(nb::handle o) {
  PyObject* p = o.ptr();
  if (PyBool_Check(p) || PyLong_Check(p) || PyFloat_Check(p)) return true;
  if (!has_buffer(p) || is_tensor(o)) return false;
  std::string type = type_text(o);
  if (type.rfind("numpy.", 0) != 0) return false;
  if (type != "numpy.ndarray" && type != "numpy.memmap" && type != "numpy.matrix") return true;   // a NumPy scalar
  return nb::cast<int>(o.attr("ndim")) == 0;
}

bool is_array_like(nb::handle o) {
  PyObject* p = o.ptr();
  if (is_tensor(o) || PyLong_Check(p) || PyFloat_Check(p) || PyList_Check(p) || PyTuple_Check(p)) return true;
  if (PyUnicode_Check(p) || PyBytes_Check(p) || o.is_none()) return false;
  if (has_buffer(p)) return type_text(o).find("complex") == std::string::npos;
  return has(o, "__dlpack__") || has(o, "__array__") || has(o, "__array_interface__");
}

Tensor to_tensor(std::string_view op, nb::handle o, const Conversion& c) {
  if (is_tensor(o)) {
    Tensor t = nb::cast<Tensor>(o);
    return c.dtype && *c.dtype != t.dtype() ? converted(op, t, *c.dtype) : t;
  }
  Number n;
  PyObject* p = o.ptr();
  if ((PyBool_Check(p) || PyLong_CheckExact(p) || PyFloat_CheckExact(p)) && read_number(op, p, n)) return from_number(op, n, c.dtype.value_or(n.dtype()));
  if (PyList_Check(p) || PyTuple_Check(p)) return from_list(op, o, c.dtype);
  if (PyUnicode_Check(p) || PyBytes_Check(p) || o.is_none()) refuse(op, "a number, nested lists of numbers or an array", type_text(o));
  Memory m = memory_of(op, o);
  Tensor t = c.share && m.can_share() ? m.share() : m.copy();
  return c.dtype && *c.dtype != t.dtype() ? converted(op, t, *c.dtype) : t;
}

Tensor share_array(std::string_view op, nb::handle o) {
  if (is_tensor(o)) return nb::cast<Tensor>(o);
  if (!has_buffer(o.ptr()) && !has(o, "__dlpack__") && !PyCapsule_CheckExact(o.ptr())) refuse(op, "an array", type_text(o));
  Memory m = memory_of(op, o);
  if (!m.can_share())
    refuse(op, "an array whose memory can be shared", m.swapped ? "one in another byte order" : "one whose elements are not aligned", "use tensor(), which copies", ErrorKind::value);
  return m.share();
}

// A number keeps the tensor's dtype where its kind allows; a real number beside integers gives float32.
Tensor number_tensor(std::string_view op, nb::handle o, DType beside) {
  Number n;
  if (!read_number(op, o.ptr(), n)) {
    nb::object plain = o.attr("item")();
    if (!read_number(op, plain.ptr(), n)) refuse(op, "a real number", type_text(o));
  }
  DType dtype = beside;
  if (n.kind == Number::real && !is_float(beside)) dtype = DType::f32;
  if (n.kind == Number::integer && beside == DType::boolean) dtype = DType::i64;
  return from_number(op, n, dtype);
}

Tensor ArrayLike::tensor(std::string_view op) const { return to_tensor(op, object); }

Tensor Operand::tensor(std::string_view op, DType beside) const {
  if (is_tensor(object)) return nb::cast<Tensor>(object);
  return is_number(object) ? number_tensor(op, object, beside) : to_tensor(op, object);
}

nb::object tensor_object(const Tensor& t) { return nb::cast(t); }

// ---- out to Python ----
static nb::object scalar_at(DType dtype, const std::byte* at) {
  nb::object result;
  bool known = visit_storage(dtype, [&](auto zero) {
    using T = decltype(zero);
    T value;
    std::memcpy(&value, at, sizeof value);
    if constexpr (std::is_same_v<T, bool>) result = nb::bool_(value);
    else if constexpr (std::is_integral_v<T>) result = nb::int_(value);
    else result = nb::float_(double(value));
  });
  if (!known) refuse("item", "a dtype of whole bytes", std::string(name_of(dtype)), "", ErrorKind::unsupported);
  return result;
}

nb::object item_of(const Tensor& t) {
  if (t.numel() != 1) refuse("item", "a tensor of one element", t.shape().text(), "", ErrorKind::value);
  return scalar_at(t.dtype(), t.view().data);
}

static nb::object list_at(const View& v, int axis, const std::byte* at) {
  if (axis == v.spec.shape.rank) return scalar_at(v.spec.dtype, at);
  nb::list out;
  int64_t step = v.strides[axis] * int64_t(bytes_of(v.spec.dtype, 1));
  for (int64_t i = 0; i < v.spec.shape[axis]; ++i) out.append(list_at(v, axis + 1, at + i * step));
  return out;
}
nb::object list_of(const Tensor& t) { return list_at(t.view(), 0, t.view().data); }

nb::object numpy_of(const Tensor& t) {
  if (t.dtype() == DType::bf16 || bits_of(t.dtype()) < 8)
    refuse("numpy", "a dtype that NumPy has", std::string(name_of(t.dtype())), "convert it with float() first");
  t.view();                        // throws while tracing
  return nb::module_::import_("numpy").attr("asarray")(tensor_object(t));
}

// ---- arguments ----
int64_t integer_of(std::string_view op, nb::handle o) {
  if (nb::isinstance<SymbolicSize>(o)) return nb::cast<const SymbolicSize&>(o).id;
  nb::object index = nb::steal(PyNumber_Index(o.ptr()));
  if (!index.is_valid()) {
    PyErr_Clear();
    refuse(op, "an integer", type_text(o));
  }
  int overflow = 0;
  int64_t value = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow) refuse(op, "an integer of 64 bits", nb::cast<std::string>(nb::repr(index)), "", ErrorKind::value);
  return value;
}

static bool is_sequence(nb::handle o) { return PySequence_Check(o.ptr()) && !PyUnicode_Check(o.ptr()) && !is_tensor(o); }

static Dims integers_of(std::string_view op, nb::handle o) {
  Dims out;
  for (nb::handle item : nb::steal<nb::tuple>(PySequence_Tuple(o.ptr()))) out.push(integer_of(op, item));
  return out;
}
Shape shape_of(std::string_view op, nb::handle o) {
  if (is_sequence(o)) return integers_of(op, o);
  return {integer_of(op, o)};
}
Shape shape_of_args(std::string_view op, const nb::args& args) {
  if (args.size() == 1 && is_sequence(args[0])) return integers_of(op, args[0]);
  return integers_of(op, args);
}
Dims pair_of(std::string_view op, nb::handle o) {
  if (!is_sequence(o)) {
    int64_t n = integer_of(op, o);
    return {n, n};
  }
  Dims d = integers_of(op, o);
  if (d.rank == 1) d.push(d[0]);
  if (d.rank != 2) refuse(op, "an int or two of them", d.text(), "", ErrorKind::value);
  return d;
}
Dims numbers_of(std::string_view op, nb::handle o, int n) {
  if (!is_sequence(o)) return Dims::filled(n, integer_of(op, o));
  Dims d = integers_of(op, o);
  if (d.rank != n) refuse(op, n == 1 ? "an int" : "an int or " + std::to_string(n) + " of them", d.text(), "", ErrorKind::value);
  return d;
}
Dims sizes_of(std::string_view op, nb::handle o, int n) {
  if (o.is_none()) return Dims::filled(n, -1);
  if (!is_sequence(o)) return numbers_of(op, o, n);
  Dims d;
  for (nb::handle s : nb::steal<nb::tuple>(PySequence_Tuple(o.ptr()))) d.push(s.is_none() ? -1 : integer_of(op, s));
  if (d.rank != n) refuse(op, std::to_string(n) + " sizes", d.text(), "", ErrorKind::value);
  return d;
}
Axes axes_of(std::string_view op, nb::handle o) { return o.is_none() ? Axes{} : shape_of(op, o); }

nb::tuple shape_tuple(const Shape& shape) {
  nb::list out;
  for (Dim d : shape) out.append(is_symbol(d) ? nb::cast(SymbolicSize{d}) : nb::object(nb::int_(d)));
  return nb::tuple(out);
}

// ---- dtypes ----
std::optional<DType> dtype_or_none(std::string_view op, nb::handle o) {
  if (o.is_none()) return {};
  return dtype_of(op, o);
}
DType dtype_of(std::string_view op, nb::handle o) {
  DType t;
  if (nb::try_cast(o, t)) return t;
  std::string name;
  if (PyUnicode_Check(o.ptr())) name = nb::cast<std::string>(o);
  else if (PyType_Check(o.ptr())) {
    name = nb::cast<std::string>(o.attr("__name__"));      // float, int, bool or numpy.float32
    if (o.ptr() == reinterpret_cast<PyObject*>(&PyFloat_Type)) name = "float32";
    if (o.ptr() == reinterpret_cast<PyObject*>(&PyLong_Type)) name = "int64";
    if (name == "bool_") name = "bool";
  } else if (nb::hasattr(o, "name")) name = nb::cast<std::string>(nb::str(o.attr("name")));   // numpy.dtype
  else name = nb::cast<std::string>(nb::str(o));
  if (name.rfind("torch.", 0) == 0) name = name.substr(6);
  if (name == "float") name = "float32";
  if (name == "double") name = "float64";
  if (name == "half") name = "float16";
  if (name == "int") name = "int64";
  if (!parse_dtype(name, t))
    refuse(op, "a dtype such as 'float32', 'int64' or 'bool'", nb::cast<std::string>(nb::repr(o)));
  return t;
}

// ---- inputs ----
static bool is_shape(nb::handle o) {
  if (!is_sequence(o)) return false;
  for (nb::handle item : nb::steal<nb::tuple>(PySequence_Tuple(o.ptr())))
    if (!PyIndex_Check(item.ptr())) return false;
  return true;
}

NamedSpecs specs_of(std::string_view op, nb::handle shapes, nb::handle dtypes) {
  NamedSpecs out;
  if (shapes.is_none()) return out;
  auto add = [&](nb::handle shape) {
    if (!is_shape(shape)) refuse(op, "input_shape as a tuple of ints, a list of them or a dict name -> shape", nb::cast<std::string>(nb::repr(shape)));
    Shape s = integers_of(op, shape);
    check_sizes(op, s);
    out.specs.push_back({DType::f32, s});
  };
  if (nb::isinstance<nb::dict>(shapes)) {
    for (auto [name, shape] : nb::borrow<nb::dict>(shapes)) {
      out.names.push_back(nb::cast<std::string>(nb::str(name)));
      add(shape);
    }
  } else if (is_shape(shapes)) add(shapes);
  else if (is_sequence(shapes)) for (nb::handle shape : nb::steal<nb::tuple>(PySequence_Tuple(shapes.ptr()))) add(shape);
  else add(shapes);
  if (out.specs.empty()) refuse(op, "at least one input", "none", "", ErrorKind::value);
  if (dtypes.is_none()) return out;
  if (nb::isinstance<nb::dict>(dtypes)) {
    for (auto [name, dtype] : nb::borrow<nb::dict>(dtypes)) {
      auto at = std::find(out.names.begin(), out.names.end(), nb::cast<std::string>(nb::str(name)));
      if (at == out.names.end()) refuse(op, "input_dtypes for inputs that input_shape names", nb::cast<std::string>(nb::repr(name)), "", ErrorKind::value);
      out.specs[size_t(at - out.names.begin())].dtype = dtype_of(op, dtype);
    }
  } else if (is_sequence(dtypes)) {
    nb::tuple list = nb::steal<nb::tuple>(PySequence_Tuple(dtypes.ptr()));
    if (list.size() != out.specs.size())
      refuse(op, std::to_string(out.specs.size()) + " input_dtypes", std::to_string(list.size()), "", ErrorKind::value);
    for (size_t i = 0; i < list.size(); ++i) out.specs[i].dtype = dtype_of(op, list[i]);
  } else {
    for (Spec& s : out.specs) s.dtype = dtype_of(op, dtypes);
  }
  return out;
}

nb::tuple tuple_of(const std::vector<Tensor>& tensors) {
  nb::list out;
  for (const Tensor& t : tensors) out.append(tensor_object(t));
  return nb::tuple(out);
}
nb::object single_or_tuple(const std::vector<Tensor>& tensors) {
  if (tensors.size() == 1) return tensor_object(tensors[0]);
  return tuple_of(tensors);
}

std::vector<Tensor> tensors_of(std::string_view op, nb::handle result) {
  if (is_tensor(result)) return {nb::cast<Tensor>(result)};
  if (PyTuple_Check(result.ptr()) || PyList_Check(result.ptr())) {
    std::vector<Tensor> out;
    for (nb::handle item : nb::steal<nb::tuple>(PySequence_Tuple(result.ptr()))) {
      if (!is_tensor(item)) refuse(op, "tensors", "a sequence with a " + type_text(item));
      out.push_back(nb::cast<Tensor>(item));
    }
    return out;
  }
  refuse(op, "a tensor or a tuple of tensors", type_text(result));
}

}  // namespace miniten::python
