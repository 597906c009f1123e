#include "core/tape.h"
#include <algorithm>
#include <cmath>
#include <queue>
#include <unordered_map>
#include "miniten/core/observer.h"

namespace miniten {

// A chain of a million ops must not be released by a million nested destructors.
void TapeNode::destroy(TapeNode* node) {
  static thread_local std::vector<TapeNode*> waiting;
  static thread_local bool draining = false;
  waiting.push_back(node);
  if (draining) return;
  draining = true;
  while (!waiting.empty()) {
    TapeNode* next = waiting.back();
    waiting.pop_back();
    delete next;
  }
  draining = false;
}

static std::string (*place_reporter)() = nullptr;
void set_place_reporter(std::string (*reporter)()) { place_reporter = reporter; }

static uint32_t version_of(const Tensor& t) { return t.has_data() ? t->storage->version : 0; }
static std::string name_of_writer(const Storage& s) { return s.last_writer ? std::string(s.last_writer->name) : "an outside write"; }

void check_history(const OpDef& op, const Tensor& t) {
  if (t->history == t->storage->history || t->history == Tensor::Impl::any_history) return;
  throw Error(ErrorKind::value, op.name, "a tensor whose place on the tape is known", "one whose memory " + name_of_writer(*t->storage) + " overwrote through another view of it",
              "overwrite the tensor itself, or clone() or detach() the view");
}

static std::atomic<uint64_t> order{0};
uint64_t tape_position() { return order.load(std::memory_order_relaxed); }

void push_tape(const OpDef& op, std::span<const Input> in, const void* attrs, std::span<Tensor> out) {
  Ref<TapeNode> node(new TapeNode);
  node->order = order.fetch_add(1, std::memory_order_relaxed) + 1;
  node->op = &op;
  if (attrs && attrs != op.attrs.defaults && op.attrs.clone) node->attrs = op.attrs.clone(attrs);
  node->inputs = int(in.size());
  node->outputs = int(out.size());
  if (in.size() + out.size() > size_t(TapeNode::inline_count)) node->many.reset(new Saved[in.size() + out.size()]);
  if (Watcher* w = watcher()) node->place = w->place();
  if (mode().anomaly && place_reporter) node->line = place_reporter();
  Saved* saved = node->saved();
  for (size_t i = 0; i < in.size(); ++i) {
    const Tensor& t = *in[i].tensor;
    Saved& s = saved[i];
    bool keep = i < 32 && (op.keep.inputs >> i & 1), leaf = !t->producer;
    if (keep && t->inference)
      throw Error(ErrorKind::value, op.name, "a tensor that a tape may keep", "one made in inference mode", "clone() it outside of inference_mode");
    if (keep || (leaf && t->requires_grad)) s.tensor = t;
    s.spec = t.spec();                             // else its shape and its place on the tape, not its memory
    s.producer = t->producer;
    s.producer_output = t->producer_output;
    s.requires_grad = t->requires_grad;
    s.trace = t->trace;
    s.value = t->value;
    s.version = version_of(t);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    Saved& s = saved[in.size() + i];
    Tensor::Impl& t = *out[i].impl();
    if (i < 32 && (op.keep.outputs >> i & 1)) {
      s.tensor = Tensor(new Tensor::Impl(t.spec, t.strides));
      s.tensor->storage = t.storage;
      s.tensor->offset = t.offset;
      s.tensor->history = t.history;
      s.tensor->trace = t.trace;
      s.tensor->value = t.value;
    }
    s.spec = t.spec;
    s.trace = t.trace;
    s.value = t.value;
    s.version = version_of(out[i]);
    if (!is_float(t.spec.dtype)) continue;
    t.requires_grad = true;
    t.producer = node;
    t.producer_output = int(i);
  }
}

const OpDef* producer_of(const Tensor& t) { return t && t->producer ? t->producer->op : nullptr; }

// ---- hooks ----
static Tensor::Impl::Extra& extra_of(const Tensor& t) {
  if (!t->extra) {
    t->extra = std::make_shared<Tensor::Impl::Extra>();
    t->extra->self = t.impl();
  }
  return *t->extra;
}
int64_t add_hook(const Tensor& t, GradientHook hook) {
  static std::atomic<int64_t> next{0};
  if (!t.requires_grad()) throw Error(ErrorKind::value, "register_hook", "a tensor that requires a gradient", "one that does not");
  int64_t id = ++next;
  if (t->producer) {
    t->producer->hooks.emplace_back(id, std::move(hook));
    t->producer->hook_output.push_back(t->producer_output);
  } else extra_of(t).hooks.emplace_back(id, std::move(hook));
  return id;
}
void remove_hook(const Tensor& t, int64_t id) {
  auto& hooks = t->producer ? t->producer->hooks : extra_of(t).hooks;
  for (size_t i = 0; i < hooks.size(); ++i) {
    if (hooks[i].first != id) continue;
    hooks.erase(hooks.begin() + std::ptrdiff_t(i));
    if (t->producer) t->producer->hook_output.erase(t->producer->hook_output.begin() + std::ptrdiff_t(i));
    return;
  }
}
void retain_grad(const Tensor& t) {
  if (!t->producer) {
    if (!t.requires_grad()) throw Error(ErrorKind::value, "retain_grad", "a tensor that requires a gradient", "one that does not");
    return;                                        // a leaf keeps its grad anyway
  }
  extra_of(t);
  add_hook(t, [extra = t->extra](const Tensor& g) -> Tensor {
    if (extra->self) extra->self->grad = extra->self->grad ? apply(add_op, {extra->self->grad, g}) : g;
    return {};
  });
}

namespace {

void add_into(Tensor& sum, const Tensor& g) { sum = sum ? apply(add_op, {sum, g}) : g; }

void check_versions(const TapeNode& node) {
  if (node.released)
    throw Error(ErrorKind::value, node.op->name, "the values it saved for its gradient", "a tape that an earlier backward freed", "pass retain_graph=True to all walks but the last");
  auto check = [&](const Saved& s) {
    if (s.tensor.has_data() && s.tensor->storage->version != s.version)
      throw Error(ErrorKind::value, node.op->name, "the value it saved for its gradient",
                  "one overwritten by " + name_of_writer(*s.tensor->storage), "copy the tensor before it is overwritten");
  };
  for (int i = 0; i < std::min(node.inputs, 32); ++i)
    if (node.op->keep.inputs >> i & 1) check(node.saved()[i]);
  for (int i = 0; i < std::min(node.outputs, 32); ++i)
    if (node.op->keep.outputs >> i & 1) check(node.saved()[node.inputs + i]);
}

}  // namespace

Tensor revived(const Saved& s, const Ref<TapeNode>& producer, int output, bool requires_grad) {
  Tensor t(new Tensor::Impl(s.spec, s.tensor ? s.tensor.strides() : contiguous(s.spec.shape)));
  if (s.tensor) {
    t->storage = s.tensor->storage;
    t->offset = s.tensor->offset;
  }
  t->history = Tensor::Impl::any_history;          // its version was checked
  t->trace = s.trace;
  t->value = s.value;
  t->requires_grad = requires_grad;
  t->producer = producer;
  t->producer_output = output;
  return t;
}

namespace {

struct Pending {
  Ref<TapeNode> node;
  std::vector<Tensor> grads;
};
bool has_nan(const Tensor& t) {
  if (!t.has_data() || !is_float(t.dtype())) return false;
  Tensor wide = Tensor::empty({DType::f64, t.shape()});
  copy_values(t.view(), wide.view());
  const double* p = wide.view().as<double>();
  for (int64_t i = 0, n = wide.numel(); i < n; ++i) if (std::isnan(p[i])) return true;
  return false;
}
std::string made_at(const TapeNode& node) { return node.line.empty() ? "" : "made at " + node.line; }

// Backward has been there and may not come again.
void release(TapeNode& node) {
  if (!node.op->keep.inputs && !node.op->keep.outputs) return;
  node.released = true;
  for (int i = 0; i < node.inputs + node.outputs; ++i) {
    Saved& s = node.saved()[i];
    if (i >= node.inputs || s.producer || !s.requires_grad) s.tensor = {};      // leaves stay: their grad is added to
  }
}

// Reports every gradient that arrives: at leaves, and at computed tensors that `wanted` names by producer and output.
struct Walk {
  const Tensor& from;
  bool create_graph;
  const Tensor& seed;
  std::span<const Tensor> inputs;
  std::vector<Tensor>* found;                      // of inputs; null: grad() of leaves
  bool stop = false;                               // go no further where an input was made
  bool retain = true;

  void run() {
    if (!from.requires_grad())
      throw Error(ErrorKind::value, "backward", "a value that depends on a parameter", "one that needs no gradient",
                  "set requires_grad on a leaf, and do not compute it under no_grad");
    if (!seed && !(from.shape() == Shape{}) && from.numel() != 1)
      throw Error(ErrorKind::value, "backward", "a scalar, or a gradient of shape " + from.shape().text(), from.shape().text(), "reduce it by sum() or mean()");
    if (seed && seed.spec() != from.spec()) throw Error(ErrorKind::value, "backward", "a gradient like " + from.spec().text(), seed.spec().text());
    Swap grad(mode().grad, create_graph);
    WatchedScope watched(Watcher::backward, "");
    auto later = [](TapeNode* a, TapeNode* b) { return a->order < b->order; };
    std::priority_queue<TapeNode*, std::vector<TapeNode*>, decltype(later)> queue(later);
    std::unordered_map<TapeNode*, Pending> pending;
    std::vector<std::pair<Tensor, Tensor>> leaves;               // hooks see the sum
    auto deliver = [&](const Tensor& leaf, const Ref<TapeNode>& producer, int output, const Tensor& g) {
      if (!producer) {
        auto at = std::find_if(leaves.begin(), leaves.end(), [&](auto& p) { return p.first.same(leaf); });
        if (at == leaves.end()) leaves.emplace_back(leaf, g);
        else add_into(at->second, g);
        return;
      }
      Pending& p = pending[producer.get()];
      if (!p.node) {
        p.node = producer;
        p.grads.resize(size_t(producer->outputs));
        queue.push(producer.get());
      }
      add_into(p.grads[size_t(output)], g);
    };
    deliver(from, from->producer, from->producer_output, seed ? seed : Tensor::ones(from.shape(), from.dtype()));
    std::vector<Tensor> in, out, result;
    while (!queue.empty()) {
      TapeNode* node = queue.top();
      queue.pop();
      Pending p = std::move(pending[node]);
      pending.erase(node);
      for (size_t h = 0; h < node->hooks.size(); ++h) {
        Tensor& g = p.grads[size_t(node->hook_output[h])];
        if (g) hooked(node->hooks[h].second, g, node->op->name);
      }
      bool reached = false;
      if (found)
        for (size_t i = 0; i < inputs.size(); ++i)
          if (inputs[i]->producer.get() == node && p.grads[size_t(inputs[i]->producer_output)]) {
            (*found)[i] = p.grads[size_t(inputs[i]->producer_output)];
            reached = true;
          }
      if (stop && reached && node->outputs == 1) continue;
      if (!node->op->vjp)
        throw Error(ErrorKind::unsupported, node->op->name, "an op with a gradient", "one without", "detach() its result" + (node->line.empty() ? "" : "; " + made_at(*node)));
      check_versions(*node);
      if (Watcher* w = watcher()) w->gradient_at(node->place);
      in.clear();
      out.clear();
      result.assign(size_t(node->inputs), {});
      const Saved* saved = node->saved();
      for (int i = 0; i < node->inputs; ++i) {
        const Saved& s = saved[i];
        // The tensor itself where it is a leaf; elsewhere its place then, for it may have been overwritten in place since.
        in.push_back(s.tensor && !s.producer ? s.tensor : revived(s, s.producer, s.producer_output, s.requires_grad));
      }
      for (int i = 0; i < node->outputs; ++i)        // the saved output joins the tape again, for second derivatives
        out.push_back(revived(saved[node->inputs + i], p.node, i, is_float(saved[node->inputs + i].spec.dtype)));
      try {
        node->op->vjp({*node->op, node->attrs ? node->attrs.get() : node->op->attrs.defaults, in, out, p.grads, result});
      } catch (const Error& e) {
        if (node->line.empty()) throw;
        throw Error(e.kind(), e.op(), e.want(), e.got(), e.hint() + (e.hint().empty() ? "" : "; ") + made_at(*node));
      }
      if (!retain) release(*node);
      for (int i = 0; i < node->inputs; ++i) {
        if (!result[size_t(i)] || !saved[i].requires_grad) continue;
        if (mode().anomaly && has_nan(result[size_t(i)]))
          throw Error(ErrorKind::value, node->op->name, "a gradient of numbers", "NaN for its input " + std::to_string(i), made_at(*node));
        deliver(in[size_t(i)], saved[i].producer, saved[i].producer_output, result[size_t(i)]);
      }
    }
    for (auto& [leaf, g] : leaves) {
      if (leaf->extra) for (auto& [id, hook] : leaf->extra->hooks) hooked(hook, g, "leaf");
      if (!found) {
        add_into(leaf->grad, g);
        continue;
      }
      for (size_t i = 0; i < inputs.size(); ++i) if (inputs[i].same(leaf)) (*found)[i] = g;
    }
  }
  static void hooked(const GradientHook& hook, Tensor& g, std::string_view op) {
    Tensor other = hook(g);
    if (!other) return;
    if (other.spec() != g.spec()) throw Error(ErrorKind::value, "hook", "a gradient like " + g.spec().text() + " of " + std::string(op), other.spec().text());
    g = other;
  }
};

}  // namespace

std::vector<Tensor> gradients(const Tensor& of, std::span<const Tensor> inputs, bool create_graph, const Tensor& seed, std::optional<bool> retain_graph) {
  std::vector<Tensor> grads(inputs.size());
  Walk{of, create_graph, seed, inputs, &grads, false, retain_graph.value_or(create_graph)}.run();
  return grads;
}

std::vector<Tensor> gradients_up_to(const Tensor& of, std::span<const Tensor> inputs, bool create_graph, const Tensor& seed) {
  std::vector<Tensor> grads(inputs.size());
  Walk{of, create_graph, seed, inputs, &grads, true}.run();
  return grads;
}

void backward(const Tensor& of, const Tensor& seed, std::optional<bool> retain_graph, bool create_graph) {
  Walk{of, create_graph, seed, {}, nullptr, false, retain_graph.value_or(create_graph)}.run();
}

void update_in_place(const Tensor& x, const OpDef& writer, const std::function<Tensor(const Tensor& old)>& f) {
  auto refuse = [&](std::string want, std::string got, std::string hint, ErrorKind kind = ErrorKind::value) {
    throw Error(kind, writer.name, std::move(want), std::move(got), std::move(hint));
  };
  if (mode().recorder) refuse("values that a trace can record", "an update in place", "use the op that gives a new tensor", ErrorKind::unsupported);
  View memory = x.view();
  if (!x->storage->writable) refuse("memory it may write", "a read-only array", "clone() the tensor first");
  if (mode().grad && x.requires_grad() && x.is_leaf()) refuse("a tensor without gradient to overwrite", "a leaf that requires one", "overwrite it under no_grad()");
  if (mode().grad) check_history(writer, x);
  Tensor old(new Tensor::Impl(x.spec(), x.strides()));
  old->storage = x->storage;
  old->offset = x->offset;
  old->history = Tensor::Impl::any_history;
  old->requires_grad = x->requires_grad;
  old->producer = x->producer;
  old->producer_output = x->producer_output;
  Tensor y = f(old);
  if (y.dtype() != x.dtype()) refuse("a result of " + std::string(name_of(x.dtype())), y.spec().text(), "use the op that gives a new tensor", ErrorKind::type);
  if (y.shape() != x.shape()) refuse("a result of the tensor's own shape " + x.shape().text(), y.shape().text(), "use the op that gives a new tensor");
  if (mode().grad && y.requires_grad()) {          // what the op saved of the old values outlives them
    Tensor copy = x.clone();
    copy->storage->version = x->storage->version;
    old->storage = copy->storage;
    old->offset = 0;
    old->strides = copy.strides();
  }
  View from = y.view();
  if (y->storage.get() == x->storage.get() && y.numel() > 1) {           // a view of x: by a copy, for they may overlap
    Tensor apart = y.clone();
    copy_values(apart.view(), memory);
  } else copy_values(from, memory);
  x->storage->version++;
  x->storage->last_writer = &writer;
  if (!mode().grad) return;
  if (!y.requires_grad() && !x->producer) return;
  x->history = ++x->storage->history;
  x->producer = y->producer;
  x->producer_output = y->producer_output;
  x->requires_grad = y.requires_grad();
}

}  // namespace miniten
