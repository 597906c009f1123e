#include <map>
#include "miniten/graph/passes.h"

namespace miniten {

namespace {

// What a quantize or dequantize node with constant parameters does.
std::shared_ptr<const Quantized> parameters(const Graph& g, const Node& n) {
  if (n.in.size() < 3 || !g.is_constant(n.in[1]) || !g.is_constant(n.in[2])) return nullptr;
  auto q = std::make_shared<Quantized>();
  NoGrad no_grad;
  const Tensor &scale = g.values[size_t(n.in[1])].constant, &zero = g.values[size_t(n.in[2])].constant;
  q->scale = scale.to_vector<float>();
  Tensor wide = Tensor::empty({DType::i32, zero.shape()});
  copy_values(zero.view(), wide.view());
  q->zero = wide.to_vector<int32_t>();
  q->dtype = zero.dtype();
  std::string text = attrs_to_text(n.op->attrs, n.attributes());
  if (scale.rank() == 1) {
    size_t at = text.find("axis=");
    q->axis = at == text.npos ? -1 : std::stoi(text.substr(at + 5));
  }
  return q;
}
bool same(const std::shared_ptr<const Quantized>& a, const std::shared_ptr<const Quantized>& b) { return a && b && *a == *b; }

// Which integers a float value stands for, if it comes from a dequantize node.
struct Source { int integers; std::shared_ptr<const Quantized> q; int scale, zero; Attrs attrs; const OpDef* op; };

}  // namespace

// Law: values keep what they stand for; dequantize -> op -> quantize becomes the op's integer form where its row has one,
// movement passes integers through, quantize after dequantize with equal parameters disappears.
void lower_quantized(Graph& g) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  std::map<int, Source> sources;
  std::map<int, int> renamed;                              // values replaced by others
  std::vector<Node> nodes;
  std::vector<bool> taken(g.nodes.size());                 // quantize nodes that a lowered op already did
  auto is_output = [&](int id) { return std::count(g.outputs.begin(), g.outputs.end(), id) > 0; };
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (taken[i]) continue;
    Node n = g.nodes[i];
    for (int& id : n.in) if (auto r = renamed.find(id); r != renamed.end()) id = r->second;
    if (n.op->traits.converts == Conversion::to_floats) {
      if (auto q = parameters(g, n)) {
        sources[n.out[0]] = {n.in[0], q, n.in[1], n.in[2], n.attrs, n.op};
        g.values[size_t(n.in[0])].quantized = q;
      }
      nodes.push_back(std::move(n));
      continue;
    }
    if (n.op->traits.converts == Conversion::to_integers) {
      auto from = sources.find(n.in[0]);
      auto q = parameters(g, n);
      if (q) g.values[size_t(n.out[0])].quantized = q;
      if (from != sources.end() && same(from->second.q, q) && !is_output(n.out[0])) {
        renamed[n.out[0]] = from->second.integers;
        continue;
      }
      nodes.push_back(std::move(n));
      continue;
    }
    auto source_of = [&](int id) -> const Source* { auto s = sources.find(id); return s == sources.end() ? nullptr : &s->second; };
    if (n.op->quant.mode == QuantMode::passes_through && n.out.size() == 1 && !n.in.empty()) {
      const Source* first = source_of(n.in[0]);
      bool all = first && first->q->scale.size() == 1;
      for (int id : n.in) {
        bool data = g.values[size_t(id)].spec.dtype == DType::f32;      // indices stay as they are
        if (data) all &= source_of(id) && same(source_of(id)->q, first ? first->q : nullptr);
      }
      if (all) {
        Source s = *first;
        for (int& id : n.in) if (const Source* from = source_of(id)) id = from->integers;
        Spec spec = g.values[size_t(n.out[0])].spec;
        spec.dtype = s.q->dtype;
        int integers = g.add_value(spec), floats = n.out[0];
        g.values[size_t(integers)].quantized = s.q;
        n.out = {integers};
        nodes.push_back(n);
        nodes.push_back({s.op, s.attrs, {integers, s.scale, s.zero}, {floats}, n.name, {}});
        s.integers = integers;
        sources[floats] = s;
        continue;
      }
    }
    if (n.op->quant.lower && n.out.size() == 1) {
      std::vector<const Quantized*> in;
      bool ready = true;
      for (size_t k = 0; k < n.in.size(); ++k) {
        const Source* s = source_of(n.in[k]);
        in.push_back(s ? s->q.get() : nullptr);
        if (n.op->quant.activations >> k & 1) ready &= s != nullptr;
      }
      auto readers = g.readers(n.out[0]);
      const Node* reader = readers.size() == 1 && !is_output(n.out[0]) ? &g.nodes[size_t(readers[0])] : nullptr;
      std::shared_ptr<const Quantized> out;
      if (reader && reader->op->traits.converts == Conversion::to_integers) out = parameters(g, *reader);
      if (ready && out) {
        auto in_specs = g.specs(n.in), out_specs = g.specs(n.out);
        auto values = g.constants(n.in);
        for (size_t k = 0; k < n.in.size(); ++k)           // a constant in integers: its floats
          if (const Source* s = source_of(n.in[k]); s && g.is_constant(s->integers)) {
            Tensor t;
            Input operands[] = {g.values[size_t(s->integers)].constant, g.values[size_t(s->scale)].constant, g.values[size_t(s->zero)].constant};
            apply(*s->op, operands, s->attrs.get(), {&t, 1});
            values[k] = t;
          }
        std::vector<Input> known(values.begin(), values.end());
        if (auto lowered = n.op->quant.lower({{*n.op, n.attributes(), in_specs, out_specs, known}, in, out.get()})) {
          Node integer{lowered->op, lowered->attrs, {}, {reader->out[0]}, n.name, {}};
          for (int k : lowered->inputs) {
            const Source* s = source_of(n.in[size_t(k)]);
            integer.in.push_back(s ? s->integers : n.in[size_t(k)]);
          }
          for (const Tensor& t : lowered->constants) integer.in.push_back(g.add_value(t.spec(), "", t));
          g.values[size_t(reader->out[0])].quantized = out;
          taken[size_t(readers[0])] = true;
          nodes.push_back(std::move(integer));
          continue;
        }
      }
    }
    nodes.push_back(std::move(n));
  }
  for (int& id : g.outputs) if (auto r = renamed.find(id); r != renamed.end()) id = r->second;
  g.nodes = std::move(nodes);
  remove_dead(g);
  std::erase_if(g.nodes, [&](const Node& n) {              // weights that stayed float
    if (n.op->traits.converts != Conversion::to_floats || !g.is_constant(n.in[0])) return false;
    std::vector<Tensor> at = g.constants(n.in);
    for (const Tensor& t : at) if (!t.has_data()) return false;
    std::vector<Input> in(at.begin(), at.end());
    Tensor out;
    apply(*n.op, in, n.attrs.get(), {&out, 1});
    g.values[size_t(n.out[0])].constant = out;
    return true;
  });
}

}  // namespace miniten
