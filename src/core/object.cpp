#include "miniten/core/object.h"

namespace miniten {

static Object::Host installed{nullptr, nullptr};
void Object::install_host(Host host) noexcept { installed = host; }

void Object::inc_ref() const noexcept {
  uintptr_t s = state_.load(std::memory_order_relaxed);
  while (s & 1)
    if (state_.compare_exchange_weak(s, s + 2, std::memory_order_relaxed)) return;
  installed.inc(reinterpret_cast<void*>(s));
}

void Object::dec_ref() const noexcept {
  uintptr_t s = state_.load(std::memory_order_relaxed);
  while (s & 1) {
    if (!state_.compare_exchange_weak(s, s - 2, std::memory_order_acq_rel)) continue;
    if (s == 3) delete this;
    return;
  }
  installed.dec(reinterpret_cast<void*>(s));
}

void* Object::host() const noexcept {
  uintptr_t s = state_.load(std::memory_order_relaxed);
  return s & 1 ? nullptr : reinterpret_cast<void*>(s);
}

void Object::set_host(void* wrapper) noexcept {
  uintptr_t before = state_.exchange(reinterpret_cast<uintptr_t>(wrapper));
  for (uintptr_t held = before / 2; held > 0; --held) installed.inc(wrapper);
}

}  // namespace miniten
