#include "core/tape.h"
#include <queue>
#include <unordered_map>
#include "miniten/core/autograd.h"
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

static Tensor alias(const Tensor& t, bool with_data) {
  Tensor r(new Tensor::Impl(t.spec(), t.strides()));
  r->trace = t->trace;
  r->value = t->value;
  if (with_data) { r->storage = t->storage; r->offset = t->offset; }
  return r;
}

static uint32_t version_of(const Tensor& t) { return t.has_data() ? t->storage->version : 0; }

void push_tape(const OpDef& op, std::span<const Input> in, const void* attrs, std::span<Tensor> out) {
  static std::atomic<uint64_t> order{0};
  Ref<TapeNode> node(new TapeNode);
  node->order = order.fetch_add(1, std::memory_order_relaxed) + 1;
  node->op = &op;
  if (attrs && op.attrs.clone) node->attrs = op.attrs.clone(attrs);
  if (Watcher* w = watcher()) node->place = w->place();
  node->inputs = int(in.size());
  node->outputs = int(out.size());
  node->saved.reset(new Saved[in.size() + out.size()]);
  for (size_t i = 0; i < in.size(); ++i) {
    const Tensor& t = *in[i].tensor;
    Saved& s = node->saved[i];
    bool keep = op.keep.inputs >> i & 1, leaf = !t->producer;
    if (!keep && !(leaf && t->requires_grad)) {    // its shape and its place on the tape, not its memory
      s.tensor = alias(t, false);
      s.tensor->requires_grad = t->requires_grad;
      s.tensor->producer = t->producer;
      s.tensor->producer_output = t->producer_output;
    } else s.tensor = t;
    s.version = version_of(t);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    Saved& s = node->saved[in.size() + i];
    s.tensor = alias(out[i], op.keep.outputs >> i & 1);
    s.version = version_of(out[i]);
    if (!is_float(out[i].dtype())) continue;
    out[i]->requires_grad = true;
    out[i]->producer = node;
    out[i]->producer_output = int(i);
  }
}

const OpDef* producer_of(const Tensor& t) { return t && t->producer ? t->producer->op : nullptr; }

namespace {

void add_into(Tensor& sum, const Tensor& g) { sum = sum ? apply(add_op, {sum, g}) : g; }

void check_versions(const TapeNode& node) {
  auto check = [&](const Saved& s) {
    if (s.tensor.has_data() && s.tensor->storage->version != s.version) {
      const OpDef* writer = s.tensor->storage->last_writer;
      throw Error(ErrorKind::value, node.op->name, "the value it saved for its gradient",
                  "one overwritten since by " + std::string(writer ? writer->name : "an outside write"), "copy the tensor before it is overwritten");
    }
  };
  for (int i = 0; i < node.inputs; ++i)
    if (node.op->keep.inputs >> i & 1) check(node.saved[size_t(i)]);
  for (int i = 0; i < node.outputs; ++i)
    if (node.op->keep.outputs >> i & 1) check(node.saved[size_t(node.inputs + i)]);
}

struct Pending {
  Ref<TapeNode> node;
  std::vector<Tensor> grads;
};

void walk_back(const Tensor& from, bool create_graph, const Tensor& seed, const std::function<void(const Tensor& leaf, const Tensor& g)>& arrive) {
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
  auto deliver = [&](const Tensor& to, const Tensor& g) {
    if (!to->producer) return arrive(to, g);
    Pending& p = pending[to->producer.get()];
    if (!p.node) {
      p.node = to->producer;
      p.grads.resize(size_t(p.node->outputs));
      queue.push(p.node.get());
    }
    add_into(p.grads[size_t(to->producer_output)], g);
  };
  deliver(from, seed ? seed : Tensor::ones(from.shape(), from.dtype()));
  while (!queue.empty()) {
    TapeNode* node = queue.top();
    queue.pop();
    Pending p = std::move(pending[node]);
    pending.erase(node);
    if (!node->op->vjp) throw Error(ErrorKind::unsupported, node->op->name, "an op with a gradient", "one without", "detach() its result");
    check_versions(*node);
    if (Watcher* w = watcher()) w->gradient_at(node->place);
    std::vector<Tensor> in, out, result(size_t(node->inputs));
    for (int i = 0; i < node->inputs; ++i) in.push_back(node->saved[size_t(i)].tensor);
    for (int i = 0; i < node->outputs; ++i) {          // the saved output joins the tape again, for second derivatives
      Tensor t = alias(node->saved[size_t(node->inputs + i)].tensor, true);
      t->requires_grad = is_float(t.dtype());
      t->producer = p.node;
      t->producer_output = i;
      out.push_back(std::move(t));
    }
    node->op->vjp({*node->op, node->attrs ? node->attrs.get() : node->op->attrs.defaults, in, out, p.grads, result});
    for (int i = 0; i < node->inputs; ++i)
      if (result[size_t(i)] && in[size_t(i)].requires_grad()) deliver(in[size_t(i)], result[size_t(i)]);
  }
}

}  // namespace

std::vector<Tensor> gradients(const Tensor& of, std::span<const Tensor> leaves, bool create_graph, const Tensor& seed) {
  std::vector<Tensor> grads(leaves.size());
  walk_back(of, create_graph, seed, [&](const Tensor& leaf, const Tensor& g) {
    for (size_t i = 0; i < leaves.size(); ++i) if (leaves[i].same(leaf)) add_into(grads[i], g);
  });
  return grads;
}

void backward(const Tensor& of, const Tensor& seed) {
  walk_back(of, false, seed, [](const Tensor& leaf, const Tensor& g) { add_into(leaf->grad, g); });
}

}  // namespace miniten
