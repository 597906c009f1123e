#pragma once
#include <cstring>
#include <memory>
#include <span>
#include <vector>
#include "miniten/base/shape.h"
#include "miniten/core/object.h"

namespace miniten {

struct OpDef;
struct TapeNode;

// A block of memory that tensors look at. 64-byte aligned, with 64 readable bytes after its end when it is ours.
struct Storage {
  static Ref<Storage> make(uint64_t bytes);
  static Ref<Storage> borrow(void* data, size_t bytes, std::shared_ptr<void> owner, bool writable = true);
  void inc_ref() noexcept { refs.fetch_add(1, std::memory_order_relaxed); }
  void dec_ref() noexcept { if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(this); }
  static void destroy(Storage*);

  std::atomic<int> refs{0};
  uint32_t version = 0;                    // +1 at every overwrite; a saved tensor remembers the one it saw
  uint32_t history = 0;                    // +1 at every overwrite that a tape recorded; other views of it are stale then
  const OpDef* last_writer = nullptr;
  std::byte* data = nullptr;
  size_t bytes = 0;
  std::shared_ptr<void> owner;             // of borrowed memory
  bool writable = true;
};

// A handle on a strided view of shared storage. Copies of the handle are the same tensor. A tensor without storage is
// a spec alone: what a trace computes with; reading its values is an error that says so.
class Tensor {
 public:
  struct Impl;
  Tensor() = default;                      // null
  explicit Tensor(Impl* impl) : impl_(impl) {}

  static Tensor empty(const Spec&);                                   // row-major, values undefined
  static Tensor empty(const Spec&, const Strides&);                   // a dense permutation of axes
  static Tensor zeros(const Shape&, DType = DType::f32);
  static Tensor ones(const Shape&, DType = DType::f32);
  static Tensor full(const Shape&, double value, DType = DType::f32);
  static Tensor scalar(double value, DType = DType::f32) { return full({}, value, dtype_or(DType::f32, value)); }
  template <class T> static Tensor of(const Shape&, std::span<const T> values);
  static Tensor of(const Shape& shape, std::initializer_list<float> values) { return of<float>(shape, std::span(values.begin(), values.size())); }
  static Tensor wrap(Ref<Storage>, const Spec&, const Strides&, size_t byte_offset = 0);   // bounds are checked
  static Tensor spec_only(const Spec&);

  explicit operator bool() const { return bool(impl_); }
  Impl* impl() const { return impl_.get(); }
  Impl* operator->() const { return impl_.get(); }
  bool same(const Tensor& o) const { return impl_ == o.impl_; }

  const Spec& spec() const;
  const Shape& shape() const { return spec().shape; }
  DType dtype() const { return spec().dtype; }
  Dim dim(int i) const { return shape()[i]; }
  int rank() const { return shape().rank; }
  int64_t numel() const { return shape().count(); }
  const Strides& strides() const;
  bool has_data() const;
  View view() const;                       // throws while tracing: there is nothing to read yet
  double item() const;                     // of one element, any dtype with values
  template <class T> std::vector<T> to_vector() const;                // row-major; T must be the dtype's type
  Tensor clone() const;                    // own memory, row-major, no history

  bool requires_grad() const;
  Tensor& set_requires_grad(bool = true);  // leaves of a float dtype only
  bool is_leaf() const;
  Tensor grad() const;                     // null before backward
  void set_grad(const Tensor&);

 private:
  static DType dtype_or(DType t, double) { return t; }
  const Impl& checked() const;             // throws for the null tensor
  Ref<Impl> impl_;
};

struct Tensor::Impl : Object {
  Impl(const Spec&, const Strides&);
  Impl(const Impl&) = delete;
  bool requires_grad = false;
  bool inference = false;                  // made in inference mode: no tape may keep it
  uint32_t history = 0;                    // of its storage, when this was made or overwritten
  static constexpr uint32_t any_history = ~0u;       // detached: never stale
  Spec spec;
  Strides strides;
  size_t offset = 0;                       // bytes into the storage
  Ref<Storage> storage;
  Ref<TapeNode> producer;                  // null: a leaf
  int producer_output = 0;
  struct Extra;
  std::shared_ptr<Extra> extra;            // hooks; most tensors have none
  uint64_t trace = 0;                      // which trace `value` belongs to
  int value = -1;
  Tensor grad;
  ~Impl() override;
};

// A tensor that modules register and optimizers move.
struct ParameterImpl : Tensor::Impl {
  ParameterImpl(const Spec& spec, const Strides& strides) : Impl(spec, strides) {}
};
Tensor parameter(const Tensor& data, bool requires_grad = true);      // shares data's storage
bool is_parameter(const Tensor&);

void copy_values(const View& from, const View& to);                   // same shape; converts dtypes by static_cast rules

template <class T>
Tensor Tensor::of(const Shape& shape, std::span<const T> values) {
  if (shape.count() != int64_t(values.size()))
    throw Error(ErrorKind::value, "tensor", std::to_string(shape.count()) + " values for " + shape.text(), std::to_string(values.size()));
  Tensor t = empty({DTypeOf<T>::value, shape});
  if (!values.empty()) std::memcpy(t.view().data, values.data(), values.size_bytes());
  return t;
}
template <class T>
std::vector<T> Tensor::to_vector() const {
  if (dtype() != DTypeOf<T>::value)
    throw Error(ErrorKind::type, "to_vector", std::string(name_of(DTypeOf<T>::value)), std::string(name_of(dtype())), "convert with cast first");
  std::vector<T> out(static_cast<size_t>(numel()));
  View to{reinterpret_cast<std::byte*>(out.data()), spec(), contiguous(shape())};
  copy_values(view(), to);
  return out;
}

}  // namespace miniten
