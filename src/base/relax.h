#pragma once
#include <sched.h>

namespace miniten {

// A wait of `spins` turns so far: a core is given up only after a while, for a busy machine may not give it back for milliseconds.
inline void relax(int spins) {
  if (spins >= 4000) {
    sched_yield();
    return;
  }
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  asm volatile("yield");
#endif
}

}  // namespace miniten
