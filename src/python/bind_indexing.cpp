#include "miniten/core/autograd.h"
#include "miniten/ops/ops.h"
#include "python/bind.h"

// x[...] and x[...] = v. Reading is ops, so gradients and traces pass through it.
namespace miniten::python {

namespace {

[[noreturn]] void refuse(std::string want, std::string got, std::string hint = "", ErrorKind kind = ErrorKind::index) {
  throw Error(kind, "index", std::move(want), std::move(got), std::move(hint));
}

bool is_index_array(nb::handle o) {
  if (PyBool_Check(o.ptr())) return true;
  if (PyLong_Check(o.ptr())) return false;
  if (nb::isinstance<Tensor::Impl>(o)) return nb::cast<Tensor>(o).rank() > 0 || nb::cast<Tensor>(o).dtype() == DType::boolean;
  if (PyIndex_Check(o.ptr())) return nb::cast<int>(nb::getattr(o, "ndim", nb::int_(0))) > 0;      // a NumPy array has __index__ too
  return is_array_like(o);
}

struct Item {
  enum Kind { integer, range, new_axis, flag, array } kind;
  nb::object object;
  Tensor index;                    // of array: integers, or bool
  int axes() const { return kind == new_axis || kind == flag ? 0 : kind == array && index.dtype() == DType::boolean ? index.rank() : 1; }
};

std::vector<Item> items_of(const Tensor& x, nb::handle key) {
  std::vector<nb::object> parts;
  if (PyTuple_Check(key.ptr())) for (nb::handle h : nb::borrow<nb::tuple>(key)) parts.push_back(nb::borrow(h));
  else parts.push_back(nb::borrow(key));
  std::vector<Item> items;
  int used = 0, dots = -1;
  for (nb::object& p : parts) {
    if (p.is(nb::ellipsis())) {
      if (dots >= 0) refuse("one ellipsis", "two");
      dots = int(items.size());
      continue;
    }
    Item item{Item::integer, p, {}};
    if (p.is_none()) item.kind = Item::new_axis;
    else if (PySlice_Check(p.ptr())) item.kind = Item::range;
    else if (is_index_array(p)) {
      item.kind = Item::array;
      item.index = to_tensor("index", p);
      if (item.index.numel() == 0 && item.index.dtype() == DType::f32) item.index = cast(item.index, DType::i64);    // []
      if (is_float(item.index.dtype())) refuse("integers or bools as index", item.index.spec().text(), "", ErrorKind::type);
      if (item.index.dtype() == DType::boolean && item.index.rank() == 0) item.kind = Item::flag;
    } else if (!PyIndex_Check(p.ptr())) {
      refuse("an int, a slice, ..., None, or an array of integers or bools", type_text(p), "", ErrorKind::type);
    }
    used += item.axes();
    items.push_back(std::move(item));
  }
  if (used > x.rank()) refuse("at most " + std::to_string(x.rank()) + " indices for " + x.shape().text(), std::to_string(used));
  nb::object all = nb::steal(PySlice_New(nullptr, nullptr, nullptr));
  for (size_t at = dots < 0 ? items.size() : size_t(dots); used < x.rank(); ++used) items.insert(items.begin() + std::ptrdiff_t(at), Item{Item::range, all, {}});
  return items;
}

Tensor sliced(const Tensor& x, int axis, nb::handle s) {
  bool whole = s.attr("start").is_none() && s.attr("stop").is_none() && s.attr("step").is_none();
  if (whole) return x;
  Dim size = x.dim(axis);
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(s.ptr(), &start, &stop, &step) < 0) throw nb::python_error();
  if (is_symbol(size)) return slice(x, axis, start, stop, step);
  if (size > PY_SSIZE_T_MAX) throw Error(ErrorKind::value, "slice", "an axis that Python can count", std::to_string(size));
  PySlice_AdjustIndices(Py_ssize_t(size), &start, &stop, step);
  SliceAttrs a;
  for (int i = 0; i < x.rank(); ++i) {
    a.start.push(i == axis ? start : 0);
    a.stop.push(i == axis ? stop : x.dim(i));
    a.step.push(i == axis ? step : 1);
  }
  return slice(x, a);
}

int64_t checked(const Tensor& x, int axis, nb::handle o) {
  int64_t i = integer_of("index", o);
  Dim n = x.dim(axis);
  if (!is_symbol(n) && (i < -n || i >= n))
    refuse("an index in [-" + std::to_string(n) + ", " + std::to_string(n) + ") for axis " + std::to_string(axis) + " of " + x.shape().text(), std::to_string(i));
  return i;
}

// Merges axes [axis, axis + n) into one.
Tensor merged(const Tensor& x, int axis, int n) {
  if (n == 1) return x;
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i > axis && i < axis + n) shape[axis] *= x.dim(i);
    else shape.push(x.dim(i));
  }
  return reshape(x, shape);
}

// Integers that count along the merged axes of several index arrays.
Tensor flat_rows(const Tensor& x, int axis, const std::vector<Tensor>& arrays) {
  Tensor rows;
  int64_t step = 1;
  for (int k = int(arrays.size()); k-- > 0;) {
    Tensor i = cast(arrays[size_t(k)], DType::i64);
    int64_t n = x.dim(axis + k);
    if (i.has_data())
      for (int64_t v : i.to_vector<int64_t>())
        if (v < -n || v >= n) refuse("indices in [-" + std::to_string(n) + ", " + std::to_string(n) + ") for axis " + std::to_string(axis + k), std::to_string(v));
    i = where(less(i, number_like(i, 0)), i + number_like(i, double(n)), i) * number_like(i, double(step));
    rows = rows ? rows + i : i;
    step *= n;
  }
  return rows;
}

Tensor mask_rows(const Tensor& mask) { return select(nonzero(reshape(mask, {-1})), 1, 0); }

void check_mask(const Tensor& x, int axis, const Tensor& mask) {
  for (int i = 0; i < mask.rank(); ++i)
    if (mask.dim(i) != x.dim(axis + i)) refuse("a mask like axes " + std::to_string(axis) + ".. of " + x.shape().text(), mask.shape().text());
}

Tensor get(const Tensor& x, nb::handle key) {
  if (PyLong_CheckExact(key.ptr()) && x.rank() > 0) return select(x, 0, checked(x, 0, key));
  std::vector<Item> items = items_of(x, key);
  Tensor t = x;
  int axis = 0;
  std::vector<std::pair<int, Tensor>> arrays;                // axis in the tensor once basic indices are applied
  for (const Item& item : items) {
    switch (item.kind) {
      case Item::integer: t = select(t, axis, checked(t, axis, item.object)); break;
      case Item::range: t = sliced(t, axis++, item.object); break;
      case Item::new_axis: t = unsqueeze(t, axis++); break;
      case Item::flag:                                       // a single bool: a new axis, kept or emptied
        t = unsqueeze(t, axis);
        arrays.emplace_back(axis++, reshape(item.index, {1}));
        break;
      case Item::array:
        if (item.index.dtype() == DType::boolean) check_mask(t, axis, item.index);
        arrays.emplace_back(axis, item.index);
        axis += item.axes();
        break;
    }
  }
  if (arrays.empty()) return t;
  int first = arrays[0].first;
  if (arrays.size() == 1 && arrays[0].second.dtype() == DType::boolean) {
    const Tensor& mask = arrays[0].second;
    return gather(merged(t, first, mask.rank()), mask_rows(mask), first);
  }
  std::vector<Tensor> indices;
  Axes order;                                                // the indexed axes
  bool neighbours = true;
  for (auto& [where_, index] : arrays) {
    neighbours &= order.rank == 0 || where_ == order[-1] + 1;
    if (index.dtype() != DType::boolean) {
      order.push(where_);
      indices.push_back(index);
      continue;
    }
    Tensor places = nonzero(index);                          // a mask stands for the indices of what it holds
    for (int i = 0; i < index.rank(); ++i) {
      order.push(where_ + i);
      indices.push_back(select(places, 1, i));
    }
  }
  if (indices.size() == 1) return gather(t, indices[0], first);
  if (!neighbours) {                                         // what they give goes to the front then
    for (int i = 0; i < t.rank(); ++i) if (!order.has(i)) order.push(i);
    t = permute(t, order);
    first = 0;
  }
  return gather(merged(t, first, int(indices.size())), flat_rows(t, first, indices), first);
}

// Where the elements that key names lie, counted in row-major order: reading a tensor that counts finds them for every kind of key.
Tensor positions(const Tensor& x, nb::handle key) {
  Tensor count = Tensor::empty({DType::i64, x.shape()});
  for (int64_t i = 0, n = count.numel(); i < n; ++i) count.view().i64()[i] = i;
  return get(count, key);
}

void set(const Tensor& x, nb::handle key, nb::handle value) {
  if (mode().recorder) throw Error(ErrorKind::unsupported, "index", "values that a trace can record", "an assignment to elements", "build the value with where or cat");
  if (x.requires_grad() && x.is_leaf() && mode().grad)
    throw Error(ErrorKind::value, "index", "a tensor without gradient to assign to", "a leaf that requires it", "assign under no_grad()");
  View whole = x.view();
  if (!x->storage->writable) throw Error(ErrorKind::value, "index", "memory it may write", "a read-only array", "clone() the tensor first");
  Tensor v = is_number(value) ? number_tensor("index", value, x.dtype()) : to_tensor("index", value);
  auto broadcast_to = [&](const Shape& shape) {
    if (broadcast("index", shape, v.shape()) != shape) refuse("values that broadcast to " + shape.text(), v.shape().text(), "", ErrorKind::value);
  };
  if (mode().grad && (x.requires_grad() || v.requires_grad())) {
    Tensor at = positions(x, key);
    broadcast_to(at.shape());
    return update_in_place(x, scatter_elements_op, [&](const Tensor& old) { return put(old, at, cast(v.same(x) ? old : v, x.dtype())); });
  }
  NoGrad no_grad;
  auto overwritten = [&] {
    x->storage->version++;
    x->storage->last_writer = &copy_op;
  };
  std::vector<Item> items = items_of(x, key);
  bool basic = std::none_of(items.begin(), items.end(), [](const Item& i) { return i.kind == Item::array || i.kind == Item::flag; });
  if (basic) {
    Tensor target = get(x, key);
    if (target->storage.get() != x->storage.get() && target.numel() > 0) throw Error(ErrorKind::unsupported, "index", "elements that are a view", "a copy");
    broadcast_to(target.shape());
    if (target.numel() == 0) return;
    if (v->storage.get() == x->storage.get()) v = v.clone();               // they may overlap
    View from = v.view();
    from.strides = broadcast_strides(from, target.shape());
    from.spec.shape = target.shape();
    copy_values(from, target.view());
    return overwritten();
  }
  Tensor at = positions(x, key);
  broadcast_to(at.shape());
  Tensor values = expand(cast(v, x.dtype()), at.shape()).clone();
  size_t size = bytes_of(x.dtype(), 1);
  Strides count = contiguous(x.shape());
  const int64_t* where_ = at.view().i64();
  const std::byte* from = values.view().data;
  for (int64_t i = 0, n = at.numel(); i < n; ++i) {
    int64_t offset = 0;
    for (int a = 0; a < x.rank(); ++a) offset += where_[i] / count[a] % x.dim(a) * whole.strides[a];
    std::memcpy(whole.data + offset * int64_t(size), from + size_t(i) * size, size);
  }
  overwritten();
}

}  // namespace

void bind_indexing(nb::module_&, TensorClass& c) {
  c.def("__getitem__", get, nb::arg("key").none(), nb::sig("def __getitem__(self, key: typing.Any, /) -> Tensor"));
  c.def("__setitem__", set, nb::arg("key").none(), nb::arg("value").none(), nb::sig("def __setitem__(self, key: typing.Any, value: Tensor | numpy.typing.ArrayLike, /) -> None"));
  c.def("__iter__", [](const Tensor& x) {
      if (x.rank() == 0) throw Error(ErrorKind::type, "iter", "a tensor with an axis", "one without");
      nb::list rows;
      for (int64_t i = 0; i < x.dim(0); ++i) rows.append(select(x, 0, i));
      return nb::iter(rows);
    }, nb::sig("def __iter__(self) -> collections.abc.Iterator[Tensor]"));
  c.def("__contains__", [](const Tensor& x, ArrayLike value) {
      return sum(equal(x, Operand{value.object}.tensor("in", x.dtype()))).item() > 0;
    }, nb::sig("def __contains__(self, value: object, /) -> bool"));
}

}  // namespace miniten::python
