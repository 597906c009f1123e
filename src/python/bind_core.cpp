#include "python/bind.h"
#include <nanobind/ndarray.h>
#include "miniten/ops/ops.h"

namespace miniten::python {

namespace {

// ---- ownership ----
struct HostLock {                  // an object may be released on a thread that does not hold the interpreter
  static void inc(void* o) noexcept {
#if !defined(Py_LIMITED_API)
    if (PyGILState_Check()) {
      Py_INCREF(static_cast<PyObject*>(o));
      return;
    }
#endif
    nb::gil_scoped_acquire gil;
    Py_INCREF(static_cast<PyObject*>(o));
  }
  static void dec(void* o) noexcept {
    if (!Py_IsInitialized()) return;
#if !defined(Py_LIMITED_API)
    if (PyGILState_Check()) {
      Py_DECREF(static_cast<PyObject*>(o));
      return;
    }
#endif
    nb::gil_scoped_acquire gil;
    Py_DECREF(static_cast<PyObject*>(o));
  }
};

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  const Tensor& grad = nb::inst_ptr<Tensor::Impl>(self)->grad;
  if (grad) Py_VISIT(static_cast<PyObject*>(grad->host()));
  return 0;
}
int tensor_clear(PyObject* self) {
  if (nb::inst_ready(self)) nb::inst_ptr<Tensor::Impl>(self)->grad = {};
  return 0;
}

// ---- the buffer protocol: NumPy, memoryview and others look at a tensor's memory ----
struct Exported {
  Ref<Storage> storage;
  Py_ssize_t shape[Dims::capacity], strides[Dims::capacity];
};

const char* format_of(DType t) {
  switch (t) {
    case DType::f32: return "f";
    case DType::f64: return "d";
    case DType::f16: return "e";
    case DType::i8: return "b";
    case DType::i16: return "h";
    case DType::i32: return "i";
    case DType::i64: return "q";
    case DType::u8: return "B";
    case DType::u16: return "H";
    case DType::u32: return "I";
    case DType::u64: return "Q";
    case DType::boolean: return "?";
    default: return nullptr;
  }
}

int get_buffer(PyObject* self, Py_buffer* out, int flags) noexcept {
  auto fail = [&](const std::string& why) {
    PyErr_SetString(PyExc_BufferError, why.c_str());
    out->obj = nullptr;
    return -1;
  };
  if (!nb::inst_ready(self)) return fail("[tensor] expected a tensor that was made, got one without __init__");
  auto& t = *nb::inst_ptr<Tensor::Impl>(self);
  const char* format = format_of(t.spec.dtype);
  if (!format) return fail("[numpy] expected a dtype that NumPy has, got " + std::string(name_of(t.spec.dtype)));
  if (!t.storage) return fail("[tensor] expected a value, got a traced " + t.spec.text());
  bool writable = t.storage->writable && !t.requires_grad;
  if ((flags & PyBUF_WRITABLE) && !writable)
    return fail(t.requires_grad ? "[tensor] expected a tensor without gradient to write to, got one that requires it (use detach())"
                                : "[tensor] expected memory it may write, got a read-only array");
  bool dense = same_layout(t.spec.shape, t.strides, contiguous(t.spec.shape));
  bool wants_strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
  bool fortran = t.spec.shape.rank <= 1 && dense;
  if ((!dense && (!wants_strides || (flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS || (flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS)) ||
      (!fortran && (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS))
    return fail("[tensor] expected a contiguous tensor, got strides " + t.strides.text());
  auto* e = new Exported{t.storage, {}, {}};
  auto size = Py_ssize_t(bytes_of(t.spec.dtype, 1));
  for (int i = 0; i < t.spec.shape.rank; ++i) {
    e->shape[i] = t.spec.shape[i];
    e->strides[i] = t.strides[i] * size;
  }
  out->buf = t.storage->data + t.offset;
  out->obj = Py_NewRef(self);
  out->len = t.spec.shape.count() * size;
  out->itemsize = size;
  out->readonly = !writable;
  out->ndim = t.spec.shape.rank;
  out->format = (flags & PyBUF_FORMAT) ? const_cast<char*>(format) : nullptr;
  out->shape = (flags & PyBUF_ND) ? e->shape : nullptr;
  out->strides = wants_strides ? e->strides : nullptr;
  out->suboffsets = nullptr;
  out->internal = e;
  return 0;
}
void release_buffer(PyObject*, Py_buffer* b) noexcept { delete static_cast<Exported*>(b->internal); }

PyType_Slot tensor_slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(tensor_traverse)},
                              {Py_tp_clear, reinterpret_cast<void*>(tensor_clear)},
                              {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
                              {Py_bf_releasebuffer, reinterpret_cast<void*>(release_buffer)},
                              {0, nullptr}};

// ---- DLPack ----
nb::ndarray<nb::array_api> dlpack_view(const Tensor& t) {
  View v = t.view();
  nb::dlpack::dtype d{0, uint8_t(bits_of(v.spec.dtype)), 1};
  using Code = nb::dlpack::dtype_code;
  if (bits_of(v.spec.dtype) < 8) throw Error(ErrorKind::type, "dlpack", "a dtype of whole bytes", std::string(name_of(v.spec.dtype)));
  d.code = uint8_t(v.spec.dtype == DType::bf16 ? Code::Bfloat : v.spec.dtype == DType::boolean ? Code::Bool
                   : is_float(v.spec.dtype)    ? Code::Float  : is_signed(v.spec.dtype)        ? Code::Int : Code::UInt);
  size_t shape[Dims::capacity];
  int64_t strides[Dims::capacity];
  for (int i = 0; i < v.spec.shape.rank; ++i) {
    shape[i] = size_t(v.spec.shape[i]);
    strides[i] = v.strides[i];
  }
  nb::capsule owner(new Ref<Storage>(t->storage), [](void* p) noexcept { delete static_cast<Ref<Storage>*>(p); });
  return {v.data, size_t(v.spec.shape.rank), shape, owner, strides, d, nb::device::cpu::value};
}

// ---- making tensors ----
void check_grad_dtype(std::string_view op, DType t, bool requires_grad) {
  if (requires_grad && !is_float(t))
    throw Error(ErrorKind::type, op, "a floating-point dtype where requires_grad is set", std::string(name_of(t)), "pass dtype='float32'");
}
void adopt(Tensor::Impl* to, const Tensor& from) {
  to->storage = from->storage;
  to->offset = from->offset;
  to->history = from->history;
}
Tensor made(std::string_view op, nb::handle data, nb::handle dtype) {
  Tensor t = to_tensor(op, data, {dtype_or_none(op, dtype)});
  return nb::isinstance<Tensor::Impl>(data) && t.same(nb::cast<Tensor>(data)) ? t.clone() : t;
}
nb::object copy_leaf(nb::handle self) {
  Tensor t = nb::cast<Tensor>(self);
  if (!t.is_leaf()) throw Error(ErrorKind::value, "deepcopy", "a leaf tensor", "one that was computed", "detach() it first");
  nb::object copy = self.type()(tensor_object(t.clone()), nb::bool_(t.requires_grad()));
  if (Tensor grad = t.grad()) nb::cast<Tensor>(copy).set_grad(grad.clone());
  return copy;
}

void bind_dtype(nb::module_& m) {
  static const char* names[dtype_count] = {"float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64",
                                           "uint8", "uint16", "uint32", "uint64", "bool", "int4", "uint4"};
  auto e = nb::enum_<DType>(m, "DType", nb::is_str(), "Element types. A member equals its name, so 'float32' and numpy.float32's dtype compare and serve as well.");
  for (int i = 0; i < dtype_count; ++i) e.str_value(DType(i) == DType::boolean ? "bool_" : names[i], DType(i), names[i]);
  e.def("__repr__", [](nb::handle self) { return "miniten." + std::string(name_of(nb::cast<DType>(self))); });
  e.def("__str__", [](nb::handle self) { return std::string(name_of(nb::cast<DType>(self))); });
  e.def_prop_ro("itemsize", [](nb::handle self) { return bytes_of(nb::cast<DType>(self), 1); }, "Bytes of an element; 1 for the 4-bit types.");
  e.def_prop_ro("is_floating_point", [](nb::handle self) { return is_float(nb::cast<DType>(self)); });
  m.def("promote_types", [](DTypeLike a, DTypeLike b) { return promote(dtype_of("promote_types", a.object), dtype_of("promote_types", b.object)); },
        nb::arg("a"), nb::arg("b"), "The dtype of a result of two tensors with dimensions, by torch's rules.");
}

void bind_symbolic_size(nb::module_& m) {
  nb::class_<SymbolicSize> c(m, "SymbolicSize", "A size that a trace leaves open, such as \"batch\". It may stand in shapes; reckoning with it is refused.");
  auto refuse = [](const SymbolicSize& s, nb::args) -> bool {
    throw Error(ErrorKind::unsupported, "trace", "a size that is known", "the open size '" + symbol_name(s.id) + "'", "use it in reshape as it is, or reckon with shape-free ops such as mean");
  };
  for (const char* name : {"__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__", "__floordiv__", "__rfloordiv__", "__mod__",
                           "__rmod__", "__pow__", "__neg__", "__lt__", "__le__", "__gt__", "__ge__", "__bool__", "__int__", "__index__", "__float__"})
    c.def(name, refuse, nb::sig((std::string("def ") + name + "(self, *args: object) -> typing.NoReturn").c_str()));
  c.def("__eq__", [](const SymbolicSize& a, nb::handle b) { return nb::isinstance<SymbolicSize>(b) && nb::cast<const SymbolicSize&>(b).id == a.id; },
        nb::sig("def __eq__(self, other: object) -> bool"));
  c.def("__hash__", [](const SymbolicSize& s) { return size_t(-s.id); });
  c.def("__repr__", [](const SymbolicSize& s) { return symbol_name(s.id); });
}

void bind_tensor(TensorClass& c) {
  c.def("__init__", [](Tensor::Impl* self, ArrayLike data, bool requires_grad, DTypeLike dtype) {
      Tensor t = made("Tensor", data.object, dtype.object);
      check_grad_dtype("Tensor", t.dtype(), requires_grad);
      new (self) Tensor::Impl(t.spec(), t.strides());
      adopt(self, t);
      self->requires_grad = requires_grad;
    }, nb::arg("data").none(), nb::arg("requires_grad") = false, nb::arg("dtype") = nb::none());
  c.def_prop_rw("data", [](const Tensor& t) {
      Tensor view = Tensor::spec_only(t.spec());
      t.view();
      view->strides = t.strides();
      adopt(view.impl(), t);
      view->history = Tensor::Impl::any_history;
      return view;
    }, [](const Tensor& t, ArrayLike value) {
      Tensor v = to_tensor("data", value.object);
      v.view();
      check_grad_dtype("data", v.dtype(), t.requires_grad());
      t->spec = v.spec();
      t->strides = v.strides();
      adopt(t.impl(), v);
    }, nb::for_getter(nb::sig("def data(self) -> Tensor")), nb::for_setter(nb::sig("def data(self, value: Tensor | numpy.typing.ArrayLike, /) -> None")),
    "The same values without history; sharing memory. Assigning puts other values in the tensor's place.");
  c.def_prop_rw("grad", [](const Tensor& t) { return t.grad(); }, [](const Tensor& t, nb::object g) {
      Tensor value = g.is_none() ? Tensor() : to_tensor("grad", g);
      if (value && value.dtype() != t.dtype())
        throw Error(ErrorKind::type, "grad", "a gradient of dtype " + std::string(name_of(t.dtype())), std::string(name_of(value.dtype())));
      Tensor(t).set_grad(value);
    }, nb::for_getter(nb::sig("def grad(self) -> Tensor | None")), nb::for_setter(nb::sig("def grad(self, value: Tensor | numpy.typing.ArrayLike | None, /) -> None")),
    nb::for_setter(nb::arg("value").none()), "What backward() added up for this leaf; None before.");
  c.def_prop_rw("requires_grad", [](const Tensor& t) { return t.requires_grad(); }, [](Tensor t, bool on) { t.set_requires_grad(on); });
  c.def("requires_grad_", [](Tensor t, bool on) { return t.set_requires_grad(on), t; }, nb::arg("requires_grad") = true);
  c.def_prop_ro("is_leaf", [](const Tensor& t) { return t.is_leaf(); });
  c.def_prop_ro("shape", [](const Tensor& t) { return shape_tuple(t.shape()); }, nb::sig("def shape(self) -> tuple[int, ...]"));
  c.def("size", [](const Tensor& t, nb::object dim) -> nb::object {
      nb::tuple shape = shape_tuple(t.shape());
      if (dim.is_none()) return shape;
      int64_t i = integer_of("size", dim);
      if (i < -t.rank() || i >= t.rank()) throw Error(ErrorKind::index, "size", "an axis of " + t.shape().text(), std::to_string(i));
      return nb::object(shape[size_t(i < 0 ? i + t.rank() : i)]);
    }, nb::arg("dim") = nb::none(), nb::sig("def size(self, dim: int | None = None) -> typing.Any"), "The shape, or the size of one axis.");
  c.def("numel", [](const Tensor& t) { return t.numel(); }, "The number of elements.");
  c.def("dim", [](const Tensor& t) { return t.rank(); });
  c.def_prop_ro("ndim", [](const Tensor& t) { return t.rank(); });
  c.def_prop_ro("dtype", [](const Tensor& t) { return t.dtype(); });
  c.def_prop_ro("strides", [](const Tensor& t) { return shape_tuple(t.strides()); }, nb::sig("def strides(self) -> tuple[int, ...]"), "In elements.");
  c.def("is_contiguous", [](const Tensor& t) { return same_layout(t.shape(), t.strides(), contiguous(t.shape())); });
  c.def("contiguous", [](const Tensor& t) { return same_layout(t.shape(), t.strides(), contiguous(t.shape())) || !t.has_data() ? t : copy(t); });
  c.def("item", item_of, nb::sig("def item(self) -> float"), "The value of a tensor of one element as a Python number.");
  c.def("tolist", list_of, nb::sig("def tolist(self) -> typing.Any"), "Nested lists of Python numbers.");
  c.def("numpy", numpy_of, nb::sig("def numpy(self) -> numpy.ndarray"),
        "A NumPy array on the same memory; read-only where a gradient is recorded (detach().numpy() may be written to).");
  c.def("__array__", [](const Tensor& t, nb::object dtype, nb::object copy) {
      nb::object array = numpy_of(t);
      if (!dtype.is_none()) {
        if (copy.is_none() || nb::cast<bool>(copy)) return nb::object(array.attr("astype")(dtype, nb::arg("copy") = nb::bool_(!copy.is_none())));
        nb::object same = array.attr("astype")(dtype, nb::arg("copy") = false);
        if (!same.is(array)) throw Error(ErrorKind::value, "numpy", "the tensor's own dtype where copy=False", nb::cast<std::string>(nb::str(dtype)));
        return same;
      }
      return !copy.is_none() && nb::cast<bool>(copy) ? nb::object(array.attr("copy")()) : array;
    }, nb::arg("dtype") = nb::none(), nb::arg("copy") = nb::none(),
    nb::sig("def __array__(self, dtype: typing.Any = None, copy: bool | None = None) -> numpy.ndarray"));
  c.attr("__array_ufunc__") = nb::none();            // NumPy leaves operators with arrays on the left to us
  c.def("__dlpack__", [](nb::handle self, nb::kwargs kwargs) {
      const Tensor t = nb::cast<Tensor>(self);
      if (t.requires_grad()) throw Error(ErrorKind::value, "dlpack", "a tensor without gradient", "one that requires it", "detach() it first");
      return nb::cast(dlpack_view(t)).attr("__dlpack__")(**kwargs);
    }, nb::arg("kwargs"), nb::sig("def __dlpack__(self, **kwargs: object) -> object"));
  c.def("__dlpack_device__", [](const Tensor&) { return nb::make_tuple(nb::device::cpu::value, 0); }, nb::sig("def __dlpack_device__(self) -> tuple[int, int]"));
  c.def("clone", [](const Tensor& t) { return copy(t); }, "A copy with its own memory; gradients flow through it.");
  c.def("detach", [](const Tensor& t) { return detach(t); }, "The same values without history; shares memory.");
  c.def("__len__", [](const Tensor& t) {
      if (t.rank() == 0) throw Error(ErrorKind::type, "len", "a tensor with an axis", "one without");
      if (is_symbol(t.dim(0))) throw Error(ErrorKind::unsupported, "len", "a size that is known", "the open size '" + symbol_name(t.dim(0)) + "'");
      return t.dim(0);
    });
  c.def("__bool__", [](const Tensor& t) {
      if (t.numel() != 1) throw Error(ErrorKind::value, "bool", "a tensor of one element", t.shape().text(), "use any() or all()");
      return t.item() != 0;
    });
  c.def("__float__", [](const Tensor& t) { return t.item(); });
  c.def("__int__", [](const Tensor& t) { return nb::int_(item_of(t)); });
  c.def("__index__", [](const Tensor& t) {
      if (is_float(t.dtype()) || t.numel() != 1) throw Error(ErrorKind::type, "index", "an integer tensor of one element", t.spec().text());
      return nb::int_(item_of(t));
    });
  c.def("__hash__", [](nb::handle self) { return Py_ssize_t(reinterpret_cast<uintptr_t>(self.ptr()) >> 4); });
  c.def("__repr__", repr_of);
  c.def("__format__", [](nb::handle self, nb::str spec) {
      Tensor t = nb::cast<Tensor>(self);
      if (t.rank() == 0 && nb::len(spec) > 0) return nb::object(item_of(t).attr("__format__")(spec));
      return nb::module_::import_("builtins").attr("object").attr("__format__")(self, spec);
    }, nb::sig("def __format__(self, spec: str, /) -> str"));
  c.def("__deepcopy__", [](nb::handle self, nb::dict memo) {
      nb::object copy = copy_leaf(self);
      memo[nb::int_(reinterpret_cast<uintptr_t>(self.ptr()))] = copy;
      return copy;
    }, nb::arg("memo"), nb::sig("def __deepcopy__(self, memo: dict) -> Tensor"));
  c.def("__copy__", copy_leaf, nb::sig("def __copy__(self) -> Tensor"));
  c.def("__reduce__", [](nb::handle self) {
      Tensor t = nb::cast<Tensor>(self);
      if (!t.is_leaf()) throw Error(ErrorKind::value, "pickle", "a leaf tensor", "one that was computed", "detach() it first");
      Tensor dense = t.clone();
      nb::bytes values(reinterpret_cast<const char*>(dense.view().data), dense.spec().bytes());
      nb::object rebuild = nb::module_::import_("miniten._state").attr("rebuild_tensor");
      return nb::make_tuple(rebuild, nb::make_tuple(self.type(), nb::str(name_of(t.dtype()).data()), shape_tuple(t.shape()), values, t.requires_grad()));
    }, nb::sig("def __reduce__(self) -> tuple"));
}

}  // namespace

Tensor with_grad(std::string_view op, Tensor t, bool requires_grad) {
  check_grad_dtype(op, t.dtype(), requires_grad);
  if (requires_grad) t.set_requires_grad();
  return t;
}

TensorClass bind_core(nb::module_& m) {
  Object::install_host({HostLock::inc, HostLock::dec});
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const Error& e) {
      PyObject* type = PyExc_ValueError;
      switch (e.kind()) {
        case ErrorKind::value: type = PyExc_ValueError; break;
        case ErrorKind::type: type = PyExc_TypeError; break;
        case ErrorKind::index: type = PyExc_IndexError; break;
        case ErrorKind::unsupported: type = PyExc_NotImplementedError; break;
        case ErrorKind::io: type = PyExc_OSError; break;
      }
      PyErr_SetString(type, e.what());
    }
  });
  bind_dtype(m);
  bind_symbolic_size(m);
  TensorClass c(m, "Tensor", nb::is_weak_referenceable(), nb::type_slots(tensor_slots),
                nb::intrusive_ptr<Tensor::Impl>([](Tensor::Impl* t, PyObject* wrapper) noexcept { t->set_host(wrapper); }),
                "Tensor(data, requires_grad=False, dtype=None): an n-dimensional array that records its gradient.\n\n"
                "data is copied: numbers, nested lists, arrays or a tensor. Python numbers give float32, int64 or bool; arrays keep their dtype.");
  bind_tensor(c);
  nb::class_<ParameterImpl, Tensor::Impl>(m, "Parameter", nb::type_slots(tensor_slots), "A tensor that modules register and optimizers move. Shares data's memory where data is a tensor.")
      .def("__init__", [](ParameterImpl* self, ArrayLike data, bool requires_grad) {
          Tensor t = to_tensor("Parameter", data.object);
          check_grad_dtype("Parameter", t.dtype(), requires_grad);
          new (self) ParameterImpl(t.spec(), t.strides());
          adopt(self, t);
          self->requires_grad = requires_grad;
        }, nb::arg("data"), nb::arg("requires_grad") = true)
      .def("__repr__", [](const Tensor& t) { return "Parameter containing:\n" + repr_of(t); });
  m.def("_rebuild_tensor", [](nb::handle type, std::string_view dtype, nb::object shape, nb::bytes values, bool requires_grad) {
    Spec spec{dtype_of("pickle", nb::str(dtype.data(), dtype.size())), shape_of("pickle", shape)};
    check_sizes("pickle", spec.shape);
    if (spec.bytes() != values.size())
      throw Error(ErrorKind::value, "pickle", std::to_string(spec.bytes()) + " bytes for " + spec.text(), std::to_string(values.size()));
    Tensor t = Tensor::empty(spec);
    std::memcpy(t.view().data, values.data(), values.size());
    return type(tensor_object(t), nb::bool_(requires_grad));
  });
  return c;
}

}  // namespace miniten::python
