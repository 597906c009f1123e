#include "base/allocate.h"
#include "core/work.h"
#include "graph/layout.h"
#include "miniten/graph/plan.h"

namespace miniten {

// Largest first, each at the lowest offset that is free during its whole life (Pisarchyk and Lee 2020, greedy by size).
static uint64_t place(std::vector<Buffer>& buffers, uint64_t alignment) {
  std::vector<Buffer*> order, placed;
  for (Buffer& b : buffers) order.push_back(&b);
  std::stable_sort(order.begin(), order.end(), [](Buffer* a, Buffer* b) { return a->bytes > b->bytes; });
  uint64_t end = 0;
  for (Buffer* b : order) {
    b->offset = 0;
    for (Buffer* other : placed) {                     // placed is ordered by offset
      bool together = other->first <= b->last && b->first <= other->last;
      if (together && b->offset + b->bytes > other->offset && other->offset + other->bytes > b->offset)
        b->offset = aligned(other->offset + other->bytes, alignment);
    }
    placed.insert(std::upper_bound(placed.begin(), placed.end(), b, [](Buffer* x, Buffer* y) { return x->offset < y->offset; }), b);
    end = std::max(end, b->offset + b->bytes);
  }
  return end;
}

Plan plan(const Graph& g, int workers, const std::vector<bool>& prepared, bool exact) {
  return plan(g, {.workers = workers, .exact = exact, .work = work_of}, prepared);
}

// Buffers that end as an output and are no larger leave the arena.
static void give_outputs_to_caller(const Graph& g, OutputPlan& p, const Layouts& l, const std::vector<int>& buffer) {
  for (size_t i = 0; i < g.outputs.size(); ++i) {
    auto id = size_t(g.outputs[i]);
    const Spec& spec = g.values[id].spec;
    int b = buffer[id];
    if (b < 0 || l.owner[id] != int(id) || std::count(g.outputs.begin(), g.outputs.end(), int(id)) != 1) continue;
    if (!same_layout(spec.shape, l.strides[id], contiguous(spec.shape)) || p.buffers[size_t(b)].bytes != spec.bytes()) continue;
    bool shared = false;                                 // a view of it is an output of its own
    for (int other : g.outputs) shared |= other != int(id) && buffer[size_t(l.owner[size_t(other)])] == b;
    if (shared) continue;
    p.buffers[size_t(b)].bytes = 0;
    for (size_t v = 0; v < p.places.size(); ++v)
      if (p.places[v].kind == Place::arena && p.places[v].root == b) p.held_by[v] = int(i);
  }
}

OutputPlan plan(const Graph& g, const PlanOptions& options, const std::vector<bool>& prepared) {
  OutputPlan p;
  p.held_by.assign(g.values.size(), -1);
  p.places.resize(g.values.size());
  Layouts l = layouts_of(g);
  auto owner = [&](int id) { return size_t(l.owner[size_t(id)]); };
  std::vector<int> last_step(g.values.size(), -1);
  for (size_t i = 0; i < g.nodes.size(); ++i) {        // which nodes compute, and how long memory is read
    const Node& n = g.nodes[i];
    int step = int(p.steps.size());
    bool is_view = n.op->view && !n.out.empty() && l.owner[size_t(n.out[0])] != n.out[0];
    if (is_view) continue;
    for (int id : n.in) last_step[owner(id)] = step;
    for (int id : n.out) last_step[owner(id)] = std::max(last_step[owner(id)], step);
    p.steps.push_back(int(i));
  }
  for (int id : g.outputs) last_step[owner(id)] = int(p.steps.size());

  std::vector<int> buffer(g.values.size(), -1);
  for (size_t s = 0; s < p.steps.size(); ++s) {
    const Node& n = g.nodes[size_t(p.steps[s])];
    auto in = g.specs(n.in), out = g.specs(n.out);
    Call call{*n.op, n.attributes(), in, out, {}, !prepared.empty() && prepared[size_t(p.steps[s])], options.exact, options.workers};
    p.work.push_back(options.work(call));
    auto reusable = [&](int id) {                      // dies here, same layout, and no other input looks at it differently
      int b = buffer[owner(id)];
      if (b < 0 || p.buffers[size_t(b)].last != int(s) || l.offset[size_t(id)] != 0) return false;
      const Spec &from = g.values[size_t(id)].spec, &to = out[0];
      if (from.shape != to.shape || bits_of(from.dtype) != bits_of(to.dtype) || !same_layout(to.shape, l.strides[size_t(id)], l.strides[size_t(n.out[0])])) return false;
      if (g.values[owner(id)].spec.bytes() != to.bytes()) return false;
      return std::all_of(n.in.begin(), n.in.end(), [&](int o) { return buffer[owner(o)] != b || (l.strides[size_t(o)] == l.strides[size_t(id)] && l.offset[size_t(o)] == 0 && g.values[size_t(o)].spec.shape == to.shape); });
    };
    for (int id : n.out) {
      if (owner(id) != size_t(id)) continue;
      auto host = n.op->traits.pointwise && id == n.out[0] ? std::find_if(n.in.begin(), n.in.end(), reusable) : n.in.end();
      if (host != n.in.end()) {
        buffer[size_t(id)] = buffer[owner(*host)];
        p.buffers[size_t(buffer[size_t(id)])].last = last_step[size_t(id)];
      } else {
        buffer[size_t(id)] = int(p.buffers.size());
        p.buffers.push_back({g.values[size_t(id)].spec.bytes(), 0, int(s), last_step[size_t(id)], id});
      }
      p.bytes_without_reuse += g.values[size_t(id)].spec.bytes();
    }
    const Work& work = p.work[s];
    uint64_t active = uint64_t(std::min(work.pieces, options.workers));
    uint64_t scratch = aligned(work.scratch, options.alignment) * active + work.shared;
    p.scratch.push_back(scratch ? int(p.buffers.size()) : -1);
    if (scratch) p.buffers.push_back({scratch, 0, int(s), int(s), -1});
  }
  for (size_t i = 0; i < g.values.size(); ++i) {
    int own = l.owner[i];
    bool is_input = std::count(g.inputs.begin(), g.inputs.end(), own) > 0;
    p.places[i].kind = is_input ? Place::input : g.values[size_t(own)].constant ? Place::constant : Place::arena;
    p.places[i].root = buffer[size_t(own)] >= 0 ? buffer[size_t(own)] : own;
    p.places[i].strides = l.strides[i];
    p.places[i].offset = l.offset[i];
  }
  if (options.caller_holds_outputs) give_outputs_to_caller(g, p, l, buffer);
  p.arena_bytes = place(p.buffers, options.alignment);
  return p;
}

std::string Plan::to_text(const Graph& g) const {
  std::string s = "offset    bytes     alive      what\n";
  auto column = [](std::string t, size_t width) { t.resize(std::max(t.size() + 1, width), ' '); return t; };
  for (const Buffer& b : buffers) {
    std::string what = "scratch";
    if (b.value >= 0) what = "%" + std::to_string(b.value) + " " + g.values[size_t(b.value)].spec.text();
    s += column(std::to_string(b.offset), 10) + column(std::to_string(b.bytes), 10) +
         column(std::to_string(b.first) + ".." + std::to_string(b.last), 11) + what + "\n";
  }
  return s + "arena " + std::to_string(arena_bytes) + " bytes; " + std::to_string(bytes_without_reuse) + " without reuse\n";
}

}  // namespace miniten
