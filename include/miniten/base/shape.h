#pragma once
#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>
#include "miniten/base/dtype.h"
#include "miniten/base/error.h"

namespace miniten {

// A size, or a symbol such as "batch". Symbols lie far below -1, which users write for "work it out".
using Dim = int64_t;
inline constexpr Dim first_symbol = -1000;
inline constexpr bool is_symbol(Dim d) { return d <= first_symbol; }
Dim symbol(std::string_view name);            // one id per name, for the life of the program
std::string symbol_name(Dim);                 // throws for what is no symbol

// Shapes, strides and lists of axes: up to 8 numbers, never on the heap.
struct Dims {
  static constexpr int capacity = 8;
  int rank = 0;
  std::array<Dim, capacity> at;
  constexpr Dims() { if (std::is_constant_evaluated()) at = {}; }   // at run time only `rank` numbers are ever read
  constexpr Dims(std::initializer_list<Dim> list) : Dims() { for (Dim d : list) push(d); }
  explicit Dims(std::span<const Dim> list) : Dims() { for (Dim d : list) push(d); }
  static Dims filled(int rank, Dim d) { Dims r; while (r.rank < rank) r.push(d); return r; }
  static Dims iota(int rank) { Dims r; while (r.rank < rank) r.push(r.rank); return r; }
  constexpr void push(Dim d) { if (rank == capacity) overflow(); at[size_t(rank++)] = d; }
  Dim& operator[](int i) { return at[size_t(i < 0 ? i + rank : i)]; }
  Dim operator[](int i) const { return at[size_t(i < 0 ? i + rank : i)]; }
  Dim* begin() { return at.data(); }
  Dim* end() { return at.data() + rank; }
  const Dim* begin() const { return at.data(); }
  const Dim* end() const { return at.data() + rank; }
  bool has(Dim d) const { for (Dim x : *this) if (x == d) return true; return false; }
  bool operator==(const Dims& o) const {
    if (rank != o.rank) return false;
    for (int i = 0; i < rank; ++i) if (at[size_t(i)] != o.at[size_t(i)]) return false;
    return true;
  }
  int64_t count() const { int64_t n = 1; for (Dim d : *this) n *= d; return n; }   // of a static shape
  bool is_static() const { for (Dim d : *this) if (is_symbol(d)) return false; return true; }
  std::string text() const;                   // "(batch, 3, 32)"

 private:
  [[noreturn]] static void overflow();        // more than 8 dimensions
};
using Shape = Dims;
using Strides = Dims;
using Axes = Dims;

Strides contiguous(const Shape&);             // row-major, in elements
Strides channels_last(const Shape&);          // (N, C, ...) with C fastest; row-major below rank 3
bool same_layout(const Shape&, const Strides&, const Strides&);   // equal but for axes of one element

// Throws unless every size is >= 0 and their product fits.
void check_sizes(std::string_view op, const Shape&);

// What is known of a value before it exists.
struct Spec {
  DType dtype = DType::f32;
  Shape shape;
  uint64_t bytes() const { return bytes_of(dtype, shape.count()); }
  std::string text() const;                   // "float32(1, 3)"
  bool operator==(const Spec&) const = default;
};

// Where an op's eval reads and writes: memory, not ownership. Strides count elements.
struct View {
  std::byte* data = nullptr;
  Spec spec;
  Strides strides;
  const Shape& shape() const { return spec.shape; }
  template <class T> T* as() const { return reinterpret_cast<T*>(data); }
  float* f32() const { return as<float>(); }
  int64_t* i64() const { return as<int64_t>(); }
  bool is_contiguous() const { return same_layout(spec.shape, strides, contiguous(spec.shape)); }
  bool is_channels_last() const { return same_layout(spec.shape, strides, channels_last(spec.shape)); }
};

// Broadcasts two shapes by NumPy's rules, symbols equal by name. Throws naming op.
Shape broadcast(std::string_view op, const Shape& a, const Shape& b);
Strides broadcast_strides(const View&, const Shape& out);            // 0 along broadcast axes

}  // namespace miniten
