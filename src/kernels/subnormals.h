#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_FP)
#include <cstdint>
#endif

namespace miniten::kernels {

// While it lives, this thread takes subnormal floats for 0 and makes none: on x86 each costs a hundred cycles and more.
class SubnormalsAsZero {
 public:
#if defined(__SSE2__)
  SubnormalsAsZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040u); }  // FTZ, DAZ
  ~SubnormalsAsZero() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
  SubnormalsAsZero() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" ::"r"(before_ | uint64_t{1} << 24) : "memory");  // FZ
  }
  ~SubnormalsAsZero() { asm volatile("msr fpcr, %0" ::"r"(before_) : "memory"); }
#elif defined(__ARM_FP)
  SubnormalsAsZero() {
    asm volatile("vmrs %0, fpscr" : "=r"(before_));
    asm volatile("vmsr fpscr, %0" ::"r"(before_ | uint32_t{1} << 24) : "memory");  // FZ
  }
  ~SubnormalsAsZero() { asm volatile("vmsr fpscr, %0" ::"r"(before_) : "memory"); }
#else
  SubnormalsAsZero() = default;
#endif
  SubnormalsAsZero(const SubnormalsAsZero&) = delete;
  SubnormalsAsZero& operator=(const SubnormalsAsZero&) = delete;

 private:
#if defined(__SSE2__)
  unsigned before_;
#elif defined(__aarch64__)
  uint64_t before_;
#elif defined(__ARM_FP)
  uint32_t before_;
#endif
};

}  // namespace miniten::kernels
