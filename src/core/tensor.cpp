#include "miniten/core/tensor.h"
#include <cstdlib>
#include <limits>
#include <new>
#include "base/allocate.h"
#include "core/block_cache.h"
#include "core/tape.h"
#include "miniten/base/half.h"
#include "miniten/core/memory_limit.h"
#include "miniten/core/op.h"

namespace miniten {

// ---- storage ----
static constexpr size_t alignment = BlockCache::alignment, slack = 64, header = aligned(sizeof(Storage), alignment);

Ref<Storage> Storage::make(uint64_t bytes) {
  MemoryLimit::take(bytes);
  void* block = BlockCache::take(bytes, header + slack);
  auto* s = new (block) Storage;
  s->data = static_cast<std::byte*>(block) + header;
  s->bytes = size_t(bytes);
  return Ref<Storage>(s);
}
Ref<Storage> Storage::borrow(void* data, size_t bytes, std::shared_ptr<void> owner, bool writable) {
  auto* s = new (allocate("tensor", alignment, sizeof(Storage))) Storage;
  s->data = static_cast<std::byte*>(data);
  s->bytes = bytes;
  s->owner = std::move(owner);
  s->writable = writable;
  return Ref<Storage>(s);
}
void Storage::destroy(Storage* s) {
  const bool own = !s->owner;
  const size_t bytes = s->bytes;
  s->~Storage();
  if (!own) return std::free(s);
  MemoryLimit::give_back(bytes);
  BlockCache::let_go(s, bytes, header + slack);
}

// ---- tensor ----
Tensor::Impl::Impl(const Spec& spec, const Strides& strides) : spec(spec), strides(strides) {}
Tensor::Impl::~Impl() {
  if (extra) extra->self = nullptr;
}

const Tensor::Impl& Tensor::checked() const {
  if (!impl_) throw Error(ErrorKind::value, "tensor", "a tensor", "none");
  return *impl_;
}
const Spec& Tensor::spec() const { return checked().spec; }
const Strides& Tensor::strides() const { return checked().strides; }
bool Tensor::has_data() const { return bool(checked().storage); }
bool Tensor::requires_grad() const { return impl_ && impl_->requires_grad; }
bool Tensor::is_leaf() const { return !checked().producer; }
Tensor Tensor::grad() const { return checked().grad; }
void Tensor::set_grad(const Tensor& g) {
  if (g && g.shape() != shape()) throw Error(ErrorKind::value, "grad", "a gradient of shape " + shape().text(), g.shape().text());
  checked();
  impl_->grad = g;
}
Tensor& Tensor::set_requires_grad(bool on) {
  if (on && !is_float(dtype()))
    throw Error(ErrorKind::type, "requires_grad", "a floating-point tensor", std::string(name_of(dtype())));
  if (!is_leaf()) throw Error(ErrorKind::value, "requires_grad", "a leaf tensor", "a computed one", "use detach() first");
  impl_->requires_grad = on;
  return *this;
}

Tensor Tensor::spec_only(const Spec& spec) { return Tensor(new Impl(spec, contiguous(spec.shape))); }
Tensor Tensor::empty(const Spec& spec, const Strides& strides) {
  check_sizes("tensor", spec.shape);
  if (!spec.shape.is_static())
    throw Error(ErrorKind::value, "tensor", "sizes that are known", spec.shape.text(), "a symbolic size must be bound first");
  Tensor t(new Impl(spec, strides));
  t->storage = Storage::make(spec.bytes());
  return t;
}
Tensor Tensor::empty(const Spec& spec) { return empty(spec, contiguous(spec.shape)); }

namespace {
template <class T> T convert(double x) {
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    if (x != x) return 0;
    if (x <= double(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    if (x >= double(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  }
  return T(x);
}
template <class To, class From> To convert_value(From x) {
  if constexpr (std::is_same_v<To, bool>) return x != From(0);
  else if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat16>) return convert_value<To>(float(x));
  else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>) return To(float(x));
  else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) return convert<To>(double(x));
  else return static_cast<To>(x);
}
bool visit_storage(DType t, auto&& f) {
  if (t == DType::f16) return f(Half(0.0f)), true;
  if (t == DType::bf16) return f(BFloat16(0.0f)), true;
  return visit_dtype(t, f);
}
}  // namespace

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor t = empty({dtype, shape});
  bool known = visit_storage(dtype, [&](auto zero) {
    using T = decltype(zero);
    T x = convert_value<T>(value);
    auto* p = t.view().as<T>();
    for (int64_t i = 0, n = t.numel(); i < n; ++i) p[i] = x;
  });
  if (!known) throw Error(ErrorKind::unsupported, "full", "a dtype of whole bytes", std::string(name_of(dtype)));
  return t;
}
Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor t = empty({dtype, shape});
  std::memset(t->storage->data, 0, t->storage->bytes);
  return t;
}
Tensor Tensor::ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }

Tensor Tensor::wrap(Ref<Storage> storage, const Spec& spec, const Strides& strides, size_t byte_offset) {
  check_sizes("tensor", spec.shape);
  if (strides.rank != spec.shape.rank)
    throw Error(ErrorKind::value, "tensor", "a stride for each axis", strides.text() + " for " + spec.shape.text());
  int64_t low = 0, high = 0;
  for (int i = 0; i < strides.rank; ++i) (strides[i] < 0 ? low : high) += strides[i] * (spec.shape[i] - 1);
  auto element = int64_t(bytes_of(spec.dtype, 1));
  bool fits = int64_t(byte_offset) + low * element >= 0 &&
              int64_t(byte_offset) + (bits_of(spec.dtype) < 8 ? int64_t(spec.bytes()) : (high + 1) * element) <= int64_t(storage->bytes);
  if (spec.shape.count() > 0 && !fits)
    throw Error(ErrorKind::value, "tensor", "a view inside its storage of " + std::to_string(storage->bytes) + " bytes",
                spec.text() + " with strides " + strides.text());
  Tensor t(new Impl(spec, strides));
  t->history = storage->history;
  t->storage = std::move(storage);
  t->offset = byte_offset;
  return t;
}

View Tensor::view() const {
  const Impl& i = checked();
  if (!i.storage)
    throw Error(ErrorKind::unsupported, "tensor", "a value", "a traced " + i.spec.text(), "values cannot be read while tracing");
  return {i.storage->data + i.offset, i.spec, i.strides};
}

double Tensor::item() const {
  if (numel() != 1) throw Error(ErrorKind::value, "item", "a tensor of one element", shape().text());
  double result = 0;
  View v = view();
  if (!visit_storage(dtype(), [&](auto zero) { result = convert_value<double>(*v.as<decltype(zero)>()); }))
    throw Error(ErrorKind::unsupported, "item", "a dtype of whole bytes", std::string(name_of(dtype())));
  return result;
}

Tensor Tensor::clone() const {
  Tensor t = empty(spec());
  copy_values(view(), t.view());
  return t;
}

Tensor parameter(const Tensor& data, bool requires_grad) {
  Tensor p(new ParameterImpl(data.spec(), data.strides()));
  p->storage = data->storage;
  p->offset = data->offset;
  p->history = data->history;
  if (requires_grad) p.set_requires_grad();
  return p;
}
bool is_parameter(const Tensor& t) { return dynamic_cast<const ParameterImpl*>(t.impl()) != nullptr; }

// ---- copies ----
namespace {
// Copies n elements; steps count elements. Plain functions: there is one for each pair of dtypes, and one walk for all.
using Row = void (*)(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step, int64_t n);
template <class T> void same_row(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step, int64_t n) {
  auto* a = reinterpret_cast<const T*>(from);
  auto* b = reinterpret_cast<T*>(to);
  if (from_step == 1 && to_step == 1) std::memmove(b, a, size_t(n) * sizeof(T));
  else for (int64_t i = 0; i < n; ++i) b[i * to_step] = a[i * from_step];
}
template <class From, class To> void converted_row(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step, int64_t n) {
  auto* a = reinterpret_cast<const From*>(from);
  auto* b = reinterpret_cast<To*>(to);
  for (int64_t i = 0; i < n; ++i) b[i * to_step] = convert_value<To>(a[i * from_step]);
}

// Calls row for each row; the axis with the smallest destination stride is the row. Axes that both sides walk as one are one.
void for_rows(const View& from, const View& to, Row row) {
  const Shape& shape = to.spec.shape;
  if (shape.count() == 0) return;
  struct Axis { int64_t n = 1, a = 0, b = 0, at = 0; } axes[Shape::capacity + 1];      // innermost first
  int order[Shape::capacity];
  for (int i = 0; i < shape.rank; ++i) order[i] = i;
  std::stable_sort(order, order + shape.rank, [&](int p, int q) { return std::abs(to.strides[p]) > std::abs(to.strides[q]); });
  int rank = 0;
  for (int i = shape.rank - 1; i >= 0; --i) {
    Axis axis{shape[order[i]], from.strides[order[i]], to.strides[order[i]]};
    if (axis.n == 1) continue;
    Axis* inner = rank ? &axes[rank - 1] : nullptr;
    if (inner && inner->a * inner->n == axis.a && inner->b * inner->n == axis.b) inner->n *= axis.n;
    else axes[rank++] = axis;
  }
  const int64_t from_size = bits_of(from.spec.dtype) / 8, to_size = bits_of(to.spec.dtype) / 8;
  const std::byte* a = from.data;
  std::byte* b = to.data;
  for (;;) {
    row(a, axes[0].a, b, axes[0].b, axes[0].n);
    int i = 1;
    for (; i < rank; ++i) {
      a += axes[i].a * from_size;
      b += axes[i].b * to_size;
      if (++axes[i].at < axes[i].n) break;
      a -= axes[i].a * axes[i].n * from_size;
      b -= axes[i].b * axes[i].n * to_size;
      axes[i].at = 0;
    }
    if (i >= rank) return;
  }
}
}  // namespace

void copy_values(const View& from, const View& to) {
  if (from.spec.shape != to.spec.shape)
    throw Error(ErrorKind::value, "copy", "values of shape " + to.spec.shape.text(), from.spec.shape.text());
  if (from.spec.shape.count() == 0) return;
  if (from.spec.dtype == to.spec.dtype) {
    if (same_layout(from.shape(), from.strides, to.strides) && (from.is_contiguous() || bits_of(from.spec.dtype) < 8)) {
      std::memmove(to.data, from.data, from.spec.bytes());
      return;
    }
    switch (bits_of(from.spec.dtype)) {
      case 8: return for_rows(from, to, same_row<uint8_t>);
      case 16: return for_rows(from, to, same_row<uint16_t>);
      case 32: return for_rows(from, to, same_row<uint32_t>);
      case 64: return for_rows(from, to, same_row<uint64_t>);
    }
  }
  bool done = false;
  visit_storage(from.spec.dtype, [&](auto a) {
    done = visit_storage(to.spec.dtype, [&](auto b) { for_rows(from, to, converted_row<decltype(a), decltype(b)>); });
  });
  if (!done)
    throw Error(ErrorKind::unsupported, "copy", "dtypes of whole bytes or equal dtype and layout",
                from.spec.text() + " to " + to.spec.text());
}

}  // namespace miniten
