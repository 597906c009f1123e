#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <optional>
#include <string_view>
#include <vector>
#include "miniten/core/tensor.h"

namespace miniten::python {

namespace nb = nanobind;

// A Python argument that stands for a tensor: a Tensor, a number, nested lists of numbers, or an array (buffer
// protocol, DLPack or __array__). It borrows the argument.
struct ArrayLike {
  nb::handle object;
  bool none() const { return object.is_none(); }
  Tensor tensor(std::string_view op) const;                          // throws ErrorKind::type naming op
  Tensor or_null(std::string_view op) const { return none() ? Tensor() : tensor(op); }
};
// The other operand of an operator: as ArrayLike, but str, None and other strangers do not match.
struct Operand {
  nb::handle object;
  // A number takes the dtype it has beside a tensor of `beside`, as in torch; an array keeps its own.
  Tensor tensor(std::string_view op, DType beside) const;
};
struct DTypeLike { nb::handle object; };

struct Conversion {
  std::optional<DType> dtype;      // by default Python numbers give float32, int64 or bool, and arrays keep theirs
  bool share = false;              // look at the array's memory where it can be: no copy
};
Tensor to_tensor(std::string_view op, nb::handle, const Conversion& = {});
bool is_array_like(nb::handle);    // may to_tensor succeed? By type alone
bool is_number(nb::handle);        // a Python number, a NumPy scalar or a NumPy array without axes
Tensor number_tensor(std::string_view op, nb::handle number, DType beside);
Tensor share_array(std::string_view op, nb::handle);                 // throws where a copy would be needed

nb::object item_of(const Tensor&);                                   // bool, int or float
nb::object list_of(const Tensor&);                                   // nested lists
nb::object numpy_of(const Tensor&);                                  // shares memory; read-only where a gradient is recorded
nb::object tensor_object(const Tensor&);                             // the one wrapper, or None
DType dtype_of(std::string_view op, nb::handle);                     // DType, name, NumPy dtype or type, Python type
std::optional<DType> dtype_or_none(std::string_view op, nb::handle);
nb::tuple shape_tuple(const Shape&);                                 // ints; a size that a trace does not know is a SymbolicSize

Shape shape_of(std::string_view op, nb::handle);                     // int or sequence of ints
Shape shape_of_args(std::string_view op, const nb::args&);           // f(2, 3) or f((2, 3))
Dims pair_of(std::string_view op, nb::handle);                       // int, or two of them
Dims numbers_of(std::string_view op, nb::handle, int n);              // int, or n of them
Dims sizes_of(std::string_view op, nb::handle, int n);                // the same, where None (-1) keeps a size
Axes axes_of(std::string_view op, nb::handle);                       // None (all), int or a sequence
int64_t integer_of(std::string_view op, nb::handle);                 // anything with __index__

// A size of a traced tensor that has no number: "batch". It goes into shapes as it is; reckoning with it is refused.
struct SymbolicSize { Dim id; };

// Shapes and dtypes of inputs as users write them: a shape, a list of shapes, or a dict name -> shape.
struct NamedSpecs {
  std::vector<Spec> specs;
  std::vector<std::string> names;  // empty where they were not given
};
NamedSpecs specs_of(std::string_view op, nb::handle shapes, nb::handle dtypes);

std::string type_text(nb::handle);                                   // "numpy.ndarray", "str"
nb::tuple tuple_of(const std::vector<Tensor>&);
nb::object single_or_tuple(const std::vector<Tensor>&);
std::vector<Tensor> tensors_of(std::string_view op, nb::handle result);   // a Tensor or a tuple or list of them

}  // namespace miniten::python

namespace nanobind::detail {

// Ref<T> and Tensor are owned together with Python: the wrapper that is there is the one that is given.
template <class T> struct type_caster<miniten::Ref<T>> {
  using Caster = make_caster<T>;
  static constexpr bool IsClass = true;
  NB_TYPE_CASTER(miniten::Ref<T>, Caster::Name)
  bool from_python(handle src, uint32_t flags, cleanup_list* cleanup) noexcept {
    Caster caster;
    if (!caster.from_python(src, flags, cleanup)) return false;
    value = miniten::Ref<T>(caster.operator T*());
    return true;
  }
  static handle from_cpp(const miniten::Ref<T>& ref, rv_policy policy, cleanup_list* cleanup) noexcept {
    if (ref)
      if (void* wrapper = ref->host()) return handle(static_cast<PyObject*>(wrapper)).inc_ref();
    return Caster::from_cpp(ref.get(), policy, cleanup);
  }
};

template <> struct type_caster<miniten::Tensor> {
  using Caster = make_caster<miniten::Tensor::Impl>;
  static constexpr bool IsClass = true;
  NB_TYPE_CASTER(miniten::Tensor, Caster::Name)
  bool from_python(handle src, uint32_t flags, cleanup_list* cleanup) noexcept {
    Caster caster;
    if (!caster.from_python(src, flags, cleanup)) return false;
    value = miniten::Tensor(caster.operator miniten::Tensor::Impl*());
    return true;
  }
  static handle from_cpp(const miniten::Tensor& t, rv_policy, cleanup_list* cleanup) noexcept {
    if (t)
      if (void* wrapper = t->host()) return handle(static_cast<PyObject*>(wrapper)).inc_ref();
    return Caster::from_cpp(t.impl(), rv_policy::take_ownership, cleanup);
  }
};

template <> struct type_caster<miniten::python::ArrayLike> {
  NB_TYPE_CASTER(miniten::python::ArrayLike, make_caster<miniten::Tensor::Impl>::Name + const_name(" | numpy.typing.ArrayLike"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    value.object = src;
    return true;
  }
};

template <> struct type_caster<miniten::python::DTypeLike> {
  NB_TYPE_CASTER(miniten::python::DTypeLike, make_caster<miniten::DType>::Name + const_name(" | str | type | numpy.dtype | None"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    value.object = src;
    return true;
  }
};

template <> struct type_caster<miniten::python::Operand> {
  NB_TYPE_CASTER(miniten::python::Operand, make_caster<miniten::Tensor::Impl>::Name + const_name(" | numpy.typing.ArrayLike"))
  bool from_python(handle src, uint32_t, cleanup_list*) noexcept {
    value.object = src;
    return miniten::python::is_array_like(src);
  }
};

}  // namespace nanobind::detail
