#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.h"

// What kernel tests share: buffers between forbidden pages, random values and a run on every instruction set.
namespace miniten::kernels {

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInf = std::numeric_limits<float>::infinity();

enum class Edge { end, begin };  // which end of the buffer touches a forbidden page

// n values; any access past the chosen edge is a fault, not a silent read.
template <class T>
class Guarded {
 public:
  explicit Guarded(int64_t n, Edge edge = Edge::end) : size_(n) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = static_cast<size_t>(n) * sizeof(T), inner = (bytes + page - 1) / page * page + page;
    mapped_ = inner + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED) throw std::bad_alloc();
    mprotect(base_, page, PROT_NONE);
    mprotect(base_ + page + inner, page, PROT_NONE);
    data_ = reinterpret_cast<T*>(edge == Edge::begin ? base_ + page : base_ + page + inner - bytes);
  }
  Guarded(const std::vector<T>& values, Edge edge = Edge::end) : Guarded(static_cast<int64_t>(values.size()), edge) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size() * sizeof(T));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, mapped_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  int64_t size() const { return size_; }
  std::vector<T> values() const { return std::vector<T>(data_, data_ + size_); }

 private:
  char* base_ = nullptr;
  T* data_ = nullptr;
  size_t mapped_ = 0;
  int64_t size_ = 0;
};

inline std::vector<float> random_floats(int64_t n, uint32_t seed, float lo = -1, float hi = 1) {
  std::mt19937 engine(seed);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = lo + (hi - lo) * static_cast<float>(engine() >> 8) * 0x1p-24f;
  return values;
}

// Runs body once per available instruction set and puts the previous one back.
template <class F>
void on_every_isa(F body) {
  const std::string before(isa());
  for (const std::string_view name : available_isas()) {
    ASSERT_TRUE(set_isa(name));
    SCOPED_TRACE("isa " + std::string(name));
    body();
  }
  set_isa(before);
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// Error of got in units in the last place of the exact value; 0 where both are NaN or round to the same float.
inline double ulps(float got, double exact) {
  const float rounded = static_cast<float>(exact);
  if (std::isnan(exact) || std::isnan(got)) return std::isnan(exact) == std::isnan(got) ? 0 : kInf;
  if (got == rounded) return 0;
  if (std::isinf(got) || std::isinf(rounded)) return kInf;
  int exponent;
  std::frexp(exact, &exponent);
  return std::fabs(got - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

}  // namespace miniten::kernels
