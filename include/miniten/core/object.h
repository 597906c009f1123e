#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace miniten {

// Base of everything that C++ and a host language own together (tensors, modules). The count lives here until the host
// wraps the object; from then on the host's wrapper is the one owner, and every C++ reference counts as one of the
// wrapper's. So there is one lifetime, object identity holds, and the host's cycle collector sees all of it.
class Object {
 public:
  Object() = default;
  Object(const Object&) : Object() {}
  Object& operator=(const Object&) { return *this; }
  virtual ~Object() = default;

  void inc_ref() const noexcept;
  void dec_ref() const noexcept;               // destroys at zero
  bool is_owned() const noexcept { return state_.load(std::memory_order_relaxed) != 1; }   // by a Ref or a host; false: by a scope
  uintptr_t references() const noexcept {      // counted here; 0: the host counts them
    uintptr_t state = state_.load(std::memory_order_acquire);
    return state & 1 ? state / 2 : 0;
  }
  void* host() const noexcept;                 // the host's wrapper, or null
  void set_host(void* wrapper) noexcept;       // hands the references counted so far over to the wrapper

  struct Host { void (*inc)(void*) noexcept; void (*dec)(void*) noexcept; };
  static void install_host(Host) noexcept;     // once, when the binding loads

 private:
  mutable std::atomic<uintptr_t> state_{1};    // odd: 2 * references + 1; even: the host's wrapper
};

template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* p) : p_(p) { if (p_) p_->inc_ref(); }
  Ref(const Ref& o) : Ref(o.p_) {}
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  template <class U> requires(std::is_convertible_v<U*, T*>)
  Ref(const Ref<U>& o) : Ref(static_cast<T*>(o.get())) {}
  Ref& operator=(Ref o) noexcept { std::swap(p_, o.p_); return *this; }
  ~Ref() { if (p_) p_->dec_ref(); }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_; }
  bool operator==(const Ref& o) const { return p_ == o.p_; }

 private:
  T* p_ = nullptr;
};
template <class T, class... A> Ref<T> make(A&&... a) { return Ref<T>(new T(std::forward<A>(a)...)); }

}  // namespace miniten
