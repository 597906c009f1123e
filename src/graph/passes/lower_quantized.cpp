#include <map>
#include <tuple>
#include "miniten/graph/passes.h"

namespace miniten {

namespace {

// The field "axis" of an op's attributes.
void visit_axis(const OpDef& op, void* attrs, const std::function<void(int64_t&)>& f) {
  op.attrs.fields(attrs, [&](std::string_view name, FieldSlot slot) {
    if (name == "axis" && std::holds_alternative<int64_t*>(slot)) f(*std::get<int64_t*>(slot));
  });
}
int axis_of(const Node& n) {
  auto copy = n.op->attrs.clone(n.attributes());
  int axis = -1;
  visit_axis(*n.op, copy.get(), [&](int64_t& a) { axis = int(a); });
  return axis;
}

// What a quantize or dequantize node with constant parameters does.
std::shared_ptr<const Quantized> parameters(const Graph& g, const Node& n) {
  if (n.in.size() < 3 || !g.is_constant(n.in[1]) || !g.is_constant(n.in[2])) return nullptr;
  auto q = std::make_shared<Quantized>();
  const Tensor &scale = g.values[size_t(n.in[1])].constant, &zero = g.values[size_t(n.in[2])].constant;
  if (bits_of(zero.dtype()) < 8) return nullptr;           // storage alone: such weights become floats
  q->scale = scale.to_vector<float>();
  Tensor wide = Tensor::empty({DType::i32, zero.shape()});
  copy_values(zero.view(), wide.view());
  q->zero = wide.to_vector<int32_t>();
  q->dtype = zero.dtype();
  if (scale.rank() == 1) q->axis = axis_of(n);
  return q;
}
bool same(const std::shared_ptr<const Quantized>& a, const std::shared_ptr<const Quantized>& b) { return a && b && *a == *b; }

// Which integers a float value stands for, and the dequantize node that says so.
struct Source {
  int integers;
  std::shared_ptr<const Quantized> q;
  Node node;
};

Tensor applied(const Node& n, const std::vector<Tensor>& in) {
  std::vector<Input> inputs(in.begin(), in.end());
  Tensor out;
  apply(*n.op, inputs, n.attrs.get(), {&out, 1});
  return out;
}

// The axis of node(x) along which runs what ran along `axis` of x; -1: none does.
int moved_axis(const Node& n, const Shape& x, int axis) {
  Tensor index = Tensor::empty({DType::i32, x}), line = Tensor::empty({DType::i32, {x[axis]}});
  for (int64_t i = 0; i < x[axis]; ++i) line.view().as<int32_t>()[i] = int32_t(i);
  auto along = [&](const Shape& shape, int a) {
    View v = line.view();
    v.spec.shape = shape;
    v.strides = Dims::filled(shape.rank, 0);
    v.strides[a] = 1;
    return v;
  };
  copy_values(along(x, axis), index.view());
  Tensor moved = applied(n, {index}), expected = Tensor::empty(moved.spec());
  auto values = moved.to_vector<int32_t>();
  for (int a = 0; a < moved.rank(); ++a) {
    if (moved.dim(a) != x[axis]) continue;
    copy_values(along(moved.shape(), a), expected.view());
    if (expected.to_vector<int32_t>() == values) return a;
  }
  return -1;
}

struct Lowerer {
  Graph& g;
  const IntegerForm& wanted;                               // may this node become that integer op?
  std::map<int, Source> sources;                           // by float value
  std::map<int, int> renamed;                              // values replaced by others
  std::map<std::tuple<int, std::string, std::string>, int> constants;   // weight, spec and bytes -> value + 1
  std::vector<Node> nodes;
  std::vector<bool> taken;                                 // quantize nodes that a lowered op already did

  Lowerer(Graph& graph, const IntegerForm& wanted) : g(graph), wanted(wanted), taken(graph.nodes.size()) {}
  Value& value(int id) { return g.values[size_t(id)]; }
  bool is_output(int id) const { return std::count(g.outputs.begin(), g.outputs.end(), id) > 0; }
  const Source* source_of(int id) const { auto s = sources.find(id); return s == sources.end() ? nullptr : &s->second; }

  void add_source(int floats, int integers, std::shared_ptr<const Quantized> q, Node node) {
    value(integers).quantized = q;
    node.in[0] = integers;
    node.out = {floats};
    nodes.push_back(node);
    sources[floats] = {integers, std::move(q), std::move(node)};
  }

  bool to_integers(const Node& n) {                        // true: it disappears
    auto q = parameters(g, n);
    if (q) value(n.out[0]).quantized = q;
    const Source* from = source_of(n.in[0]);
    if (!from || !same(from->q, q) || is_output(n.out[0])) return false;
    renamed[n.out[0]] = from->integers;
    return true;
  }

  bool pass_through(const Node& n) {
    if (n.op->quant.mode != QuantMode::passes_through || n.out.size() != 1 || n.in.empty()) return false;
    const Source* first = source_of(n.in[0]);
    if (!first) return false;
    for (int id : n.in)                                    // indices stay as they are
      if (is_float(value(id).spec.dtype) && !(source_of(id) && same(source_of(id)->q, first->q))) return false;
    Source s = *first;
    Node moved = n;
    for (int& id : moved.in) if (const Source* from = source_of(id)) id = from->integers;
    const Shape& to = value(n.out[0]).spec.shape;
    bool turned = n.op->traits.movement && g.is_constant(s.integers) && to.is_static() && to.count() == value(s.integers).spec.shape.count();
    if (s.q->scale.size() > 1 || (turned && n.in.size() == 1)) return pass_constant(n, moved, s);
    Spec spec = value(n.out[0]).spec;
    spec.dtype = s.q->dtype;
    moved.out = {g.add_value(spec)};
    nodes.push_back(moved);
    add_source(n.out[0], moved.out[0], s.q, s.node);
    return true;
  }
  // A constant stays one; the axis along which its scales run may move.
  bool pass_constant(const Node& n, const Node& moved, const Source& s) {
    if (n.in.size() != 1 || !n.op->traits.movement || !g.is_constant(s.integers)) return false;
    auto q = std::make_shared<Quantized>(*s.q);
    int axis = q->scale.size() > 1 ? moved_axis(n, value(s.integers).spec.shape, q->axis) : q->axis;
    if (axis < 0 && q->scale.size() > 1) return false;
    q->axis = axis;
    Node node = s.node;
    auto attrs = node.op->attrs.clone(node.attributes());
    visit_axis(*node.op, attrs.get(), [&](int64_t& a) { a = axis; });
    node.attrs = attrs;
    Tensor constant = applied(moved, {value(s.integers).constant});
    add_source(n.out[0], g.add_value(constant.spec(), value(s.integers).name, constant), q, node);
    return true;
  }

  bool lower(const Node& n) {
    if (n.stays_float || !n.op->quant.lower || n.out.size() != 1 || is_output(n.out[0])) return false;
    auto readers = g.readers(n.out[0]);
    if (readers.size() != 1) return false;
    const Node& reader = g.nodes[size_t(readers[0])];
    auto out = reader.op->traits.converts == Conversion::to_integers ? parameters(g, reader) : nullptr;
    if (!out) return false;
    std::vector<const Quantized*> in;
    std::vector<Tensor> values = g.constants(n.in);
    for (size_t k = 0; k < n.in.size(); ++k) {
      const Source* s = source_of(n.in[k]);
      in.push_back(s ? s->q.get() : nullptr);
      const QuantRule& rule = n.op->quant;
      if (!s && ((rule.activations >> k & 1) || ((rule.either >> k & 1) && !g.is_constant(n.in[k])))) return false;
      if (s && g.is_constant(s->integers)) values[k] = applied(s->node, g.constants(s->node.in));    // its floats
    }
    auto in_specs = g.specs(n.in), out_specs = g.specs(n.out);
    std::vector<Input> known(values.begin(), values.end());
    auto lowered = n.op->quant.lower({{*n.op, n.attributes(), in_specs, out_specs, known}, in, out.get()});
    if (!lowered || !wanted(n, *lowered->op)) return false;
    Node integer{lowered->op, lowered->attrs, {}, {reader.out[0]}, n.name, {}};
    auto stands_for = [&](int k) { const Source* s = source_of(n.in[size_t(k)]); return s ? s->integers : n.in[size_t(k)]; };
    for (int k : lowered->inputs) integer.in.push_back(stands_for(k));
    int weight = -1;                                       // of equal ones beside the same weights, and tables, one is kept
    for (size_t k = 0; k < n.in.size(); ++k) if (n.op->traits.weights >> k & 1) weight = stands_for(int(k));
    for (const Tensor& t : lowered->constants) integer.in.push_back(kept(weight, t));
    name_constants(n, *lowered, integer, stands_for);
    value(reader.out[0]).quantized = out;
    taken[size_t(readers[0])] = true;
    nodes.push_back(std::move(integer));
    return true;
  }
  int kept(int weight, const Tensor& t) {
    Tensor dense = t.clone();
    auto& known = constants[{weight, t.spec().text(), std::string(reinterpret_cast<const char*>(dense.view().data), dense.spec().bytes())}];
    if (!known) known = g.add_value(t.spec(), "", t) + 1;
    return known - 1;
  }
  // Inputs that became constants keep their names; what was added is named after the weight.
  void name_constants(const Node& n, const Lowered& lowered, const Node& integer, auto stands_for) {
    std::vector<int> replaced;
    std::string weight;
    for (int k = 0; k < int(n.in.size()); ++k) {
      if (!std::count(lowered.inputs.begin(), lowered.inputs.end(), k)) replaced.push_back(k);
      if (n.op->traits.weights >> k & 1) weight = value(stands_for(k)).name;
    }
    size_t first = lowered.inputs.size(), added = lowered.constants.size() - std::min(replaced.size(), lowered.constants.size());
    for (size_t i = 0; i < lowered.constants.size(); ++i) {
      std::string& name = value(integer.in[first + i]).name;
      if (i >= added) name = value(stands_for(replaced[i - added])).name;
      else if (!weight.empty()) name = weight + ".scale";
    }
  }

  void run() {
    for (size_t i = 0; i < g.nodes.size(); ++i) {
      if (taken[i]) continue;
      Node n = g.nodes[i];
      for (int& id : n.in) if (auto r = renamed.find(id); r != renamed.end()) id = r->second;
      if (n.op->traits.converts == Conversion::to_floats) {
        if (auto q = parameters(g, n)) add_source(n.out[0], n.in[0], q, n);
        else nodes.push_back(std::move(n));
      } else if (n.op->traits.converts == Conversion::to_integers) {
        if (!to_integers(n)) nodes.push_back(std::move(n));
      } else if (!pass_through(n) && !lower(n)) nodes.push_back(std::move(n));
    }
    for (int& id : g.outputs) if (auto r = renamed.find(id); r != renamed.end()) id = r->second;
    g.nodes = std::move(nodes);
    remove_dead(g);
    std::erase_if(g.nodes, [&](const Node& n) {            // weights that stayed float
      if (n.op->traits.converts != Conversion::to_floats) return false;
      for (int id : n.in) if (!g.is_constant(id)) return false;
      value(n.out[0]).constant = applied(n, g.constants(n.in));
      return true;
    });
  }
};

}  // namespace

// Law: values keep what they stand for. dequantize -> op -> quantize becomes the op's integer form where its row has one;
// movement passes integers through; quantize after dequantize with equal parameters disappears; integers that only
// float ops read become float constants.
void lower_quantized(Graph& g) { lower_quantized_to(g, [](const Node&, const OpDef&) { return true; }); }
void lower_quantized_to(Graph& g, const IntegerForm& wanted) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Lowerer(g, wanted).run();
}

}  // namespace miniten
