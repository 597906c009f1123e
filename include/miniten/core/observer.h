#pragma once
#include "miniten/core/op.h"

namespace miniten {

// An observer that is told more than each op: where it happens, and what it gave.
struct Watcher : Observer {
  enum Stage { layer, backward, optimizer };
  virtual void enter(Stage, std::string_view) {}                // a layer, a walk back, an optimizer's step begins ...
  virtual void leave() {}                                       // ... and ends
  virtual void gave(const Call&, std::span<const Tensor>) {}    // after saw: what an eager op computed
  virtual uint32_t place() { return 0; }                        // kept on the tape ...
  virtual void gradient_at(uint32_t) {}                         // ... and told before the gradient of what was recorded there
};

Watcher* watcher();                          // of this thread; null: none, or an observer that is no Watcher

struct WatchedScope {
  WatchedScope(Watcher::Stage stage, std::string_view name) : watcher_(watcher()) { if (watcher_) watcher_->enter(stage, name); }
  ~WatchedScope() { if (watcher_ && watcher_ == mode().observer) watcher_->leave(); }
  WatchedScope(const WatchedScope&) = delete;

 private:
  Watcher* watcher_;
};

}  // namespace miniten
