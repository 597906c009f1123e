#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>
#include <unordered_map>
#include "miniten/core/observer.h"
#include "miniten/monitor/profiler.h"
#include "monitor/files.h"

namespace miniten::monitor {

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double, std::nano>(Clock::now() - start).count(); }

const char* const stage_names[] = {"forward", "backward", "optimizer"};
constexpr size_t most_events = 200000;

std::string shapes_of(const Call& call) {
  std::string text;
  for (const Spec& s : call.in) text += (text.empty() ? "" : " ") + s.shape.text();
  text += text.empty() ? "->" : " ->";
  for (const Spec& s : call.out) text += " " + s.shape.text();
  return text;
}

// Where an observer stands: the stage and the names of the layers around it. Paths are numbered, so the tape can keep one.
struct Places : Watcher {
  std::vector<std::string> layers{""};                           // by number
  std::unordered_map<std::string, uint32_t> numbers{{"", 0}};
  struct Level { uint32_t layer; int stage; };
  std::vector<Level> levels{{0, 0}};
  uint32_t gradient_of = 0;
  bool in_gradient = false;

  uint32_t number(const std::string& path) {
    auto [at, fresh] = numbers.try_emplace(path, uint32_t(layers.size()));
    if (fresh) layers.push_back(path);
    return at->second;
  }
  void enter(Stage stage, std::string_view name) override {
    Level next = levels.back();
    if (stage == layer) {
      if (!name.empty()) next.layer = number(layers[next.layer].empty() ? std::string(name) : layers[next.layer] + "." + std::string(name));
    } else {
      next.stage = stage == backward ? 1 : 2;
      next.layer = 0;
      in_gradient = false;
    }
    levels.push_back(next);
  }
  void leave() override {
    if (levels.size() > 1) levels.pop_back();
    if (levels.back().stage != 1) in_gradient = false;
  }
  uint32_t place() override { return current(); }
  void gradient_at(uint32_t place) override {
    gradient_of = place < layers.size() ? place : 0;             // of another observer's tape: unknown
    in_gradient = true;
  }
  int stage() const { return levels.back().stage; }
  uint32_t current() const { return stage() == 1 && in_gradient ? gradient_of : levels.back().layer; }
};

}  // namespace

struct Profiler::Impl : Places {
  struct Key {
    int stage;
    uint32_t layer;
    const OpDef* op;
    auto operator<=>(const Key&) const = default;
  };
  Profile profile;
  std::map<Key, ProfileRow> rows;
  Clock::time_point started;
  std::thread::id thread;
  bool running = false;
  std::vector<std::pair<double, double>> ended;                  // starts and times of ops, for those that ran inside another

  void saw(const Call& call, double ns) override {
    double start = since(started) - ns, inside = 0;
    while (!ended.empty() && ended.back().first >= start) {
      inside += ended.back().second;
      ended.pop_back();
    }
    if (ended.size() >= 256) ended.erase(ended.begin(), ended.begin() + 128);
    ended.emplace_back(start, ns);
    ProfileRow& r = rows[{stage(), current(), &call.op}];
    if (!r.calls) {
      r.stage = stage_names[stage()];
      r.layer = layers[current()];
      r.op = std::string(call.op.name);
      r.shapes = shapes_of(call);
    }
    ++r.calls;
    r.nanoseconds += std::max(0.0, ns - inside);
    if (call.op.cost && std::all_of(call.in.begin(), call.in.end(), [](const Spec& s) { return s.shape.is_static(); })) {
      Cost c = call.op.cost(call);
      r.macs += c.macs;
      r.flops += c.flops;
    }
    if (!call.op.view)
      for (auto specs : {call.in, call.out}) for (const Spec& s : specs) if (s.shape.is_static()) r.bytes += int64_t(s.bytes());
    if (profile.events.size() < most_events) profile.events.push_back({r.stage, r.layer, r.op, shapes_of(call), start, ns});
    else ++profile.dropped_events;
  }
};

Profiler::Profiler() : impl_(std::make_unique<Impl>()) {}
Profiler::~Profiler() { if (impl_->running && mode().observer == impl_.get()) mode().observer = nullptr; }
bool Profiler::running() const { return impl_->running; }
void Profiler::start() {
  if (mode().observer) throw Error(ErrorKind::value, "profiler", "a thread that nothing watches", "one that is being profiled", "end the other profiler first");
  impl_ = std::make_unique<Impl>();
  impl_->thread = std::this_thread::get_id();
  impl_->running = true;
  mode().observer = impl_.get();
  impl_->started = Clock::now();
}
Profile Profiler::stop() {
  if (!impl_->running) throw Error(ErrorKind::value, "profiler", "a profiler that was started", "one that was not");
  if (impl_->thread != std::this_thread::get_id()) throw Error(ErrorKind::value, "profiler", "the thread that started it", "another thread");
  Profile p = std::move(impl_->profile);
  p.wall_nanoseconds = since(impl_->started);
  mode().observer = nullptr;
  impl_->running = false;
  for (auto& [key, row] : impl_->rows) p.rows.push_back(std::move(row));
  std::stable_sort(p.rows.begin(), p.rows.end(), [](const ProfileRow& a, const ProfileRow& b) { return a.nanoseconds > b.nanoseconds; });
  return p;
}

// ---- the first NaN ----
struct NanFinder::Impl : Places {
  std::string nan, infinite;
  std::thread::id thread;
  bool running = false;

  template <class T> static int worst(const std::byte* data, int64_t n, T exponent, T fraction) {   // 0 finite, 1 infinite, 2 NaN
    int found = 0;
    for (int64_t i = 0; i < n && found < 2; ++i) {
      T bits;
      std::memcpy(&bits, data + size_t(i) * sizeof(T), sizeof(T));
      if ((bits & exponent) == exponent) found = std::max(found, bits & fraction ? 2 : 1);
    }
    return found;
  }
  void saw(const Call&, double) override {}
  void gave(const Call& call, std::span<const Tensor> out) override {
    if (call.op.view || !nan.empty()) return;
    for (const Tensor& t : out) {
      if (!t || !t.has_data() || !is_float(t.dtype())) continue;
      const std::byte* data = t.view().data;
      int64_t n = t.numel();
      int found = t.dtype() == DType::f32   ? worst<uint32_t>(data, n, 0x7f800000u, 0x7fffffu)
                  : t.dtype() == DType::f64 ? worst<uint64_t>(data, n, 0x7ff0000000000000ull, 0xfffffffffffffull)
                  : t.dtype() == DType::f16 ? worst<uint16_t>(data, n, 0x7c00, 0x3ff)
                                            : worst<uint16_t>(data, n, 0x7f80, 0x7f);
      if (!found) continue;
      std::string where = (layers[current()].empty() ? "" : "layer " + layers[current()] + ", ") + "op " + std::string(call.op.name) + " in the " + stage_names[stage()] + " pass, " + t.spec().text();
      if (found == 2 && nan.empty()) nan = "NaN first in " + where;
      else if (infinite.empty()) infinite = "infinity first in " + where;
    }
  }
};
NanFinder::NanFinder() : impl_(std::make_unique<Impl>()) {}
NanFinder::~NanFinder() { stop(); }
void NanFinder::start() {
  if (mode().observer && mode().observer != impl_.get())
    throw Error(ErrorKind::value, "NanFinder", "a thread that nothing watches", "one that is being profiled", "end the profiler first");
  mode().observer = impl_.get();
  impl_->thread = std::this_thread::get_id();
  impl_->running = true;
}
void NanFinder::stop() {
  if (impl_->running && mode().observer == impl_.get()) mode().observer = nullptr;
  impl_->running = false;
}
std::string NanFinder::found() const { return impl_->nan.empty() || impl_->infinite.empty() ? impl_->nan : impl_->nan + "; " + impl_->infinite; }

}  // namespace miniten::monitor
