#include <map>
#include <set>
#include "interchange/c/prepare.h"
#include "core/c_loops.h"

namespace miniten {

namespace {

bool is_byte(DType t) { return t == DType::i8 || t == DType::u8; }

// y = table[x] by the byte of x; not in the registry: a graph gets it on its way to C alone.
const CRules write_table{[](CWriter& w, const CCall& c) {
  const COperand &x = c.in[0], &y = c.out[0];
  Strides operands[] = {y.strides, x.strides};
  c::Loops loops(y.spec.shape, operands);
  std::string from = w.pointer(x), to = w.pointer(y), table = w.constant(*c.call.value(1), "table");
  loops.open(w);
  w.line(to + "[" + loops.index(0) + "] = " + table + "[" + (x.spec.dtype == DType::i8 ? "(uint8_t)" : "") + from + "[" + loops.index(1) + "]];");
  loops.close(w);
}};
void look_up(const Context& c) {
  const auto* table = c.in[1].as<uint8_t>();
  const Shape& shape = c.out[0].shape();
  Dims at = Dims::filled(shape.rank, 0);
  for (int64_t i = 0, n = shape.count(); i < n; ++i) {
    int64_t from = 0, to = 0;
    for (int k = 0; k < shape.rank; ++k) { from += at[k] * c.in[0].strides[k]; to += at[k] * c.out[0].strides[k]; }
    c.out[0].as<uint8_t>()[to] = table[c.in[0].as<uint8_t>()[from]];
    for (int k = shape.rank; k-- > 0;) { if (++at[k] < shape[k]) break; at[k] = 0; }
  }
}
const OpDef table_op{.name = "table", .doc = "an entry of a table for each byte", .min_inputs = 2, .max_inputs = 2,
    .infer = [](const Call& c, Specs& out) { out.push({c.in[1].dtype, c.in[0].shape}); },
    .eval = look_up,
    .traits = {.pointwise = true, .dense = 2}, .c = {"table", 0, &write_table}};

bool is_one_constant(const Graph& g, int id) { return g.is_constant(id) && g.values[size_t(id)].constant.numel() == 1; }

// The nodes between `end` and the one 8-bit value that it is a function of, in order; none where it is not.
struct Function { int source = -1; std::vector<int> nodes; };
std::optional<Function> function_of(const Graph& g, int end, const std::vector<int>& producer) {
  Function f;
  std::set<int> seen;
  std::vector<int> open{end};
  const Shape& shape = g.values[size_t(g.nodes[size_t(end)].out[0])].spec.shape;
  while (!open.empty()) {
    int at = open.back();
    open.pop_back();
    if (!seen.insert(at).second) continue;
    const Node& n = g.nodes[size_t(at)];
    if (!n.op->traits.pointwise || n.op->traits.random || n.out.size() != 1 || g.values[size_t(n.out[0])].spec.shape != shape) return {};
    f.nodes.push_back(at);
    for (int id : n.in) {
      if (is_one_constant(g, id)) continue;
      if (is_byte(g.values[size_t(id)].spec.dtype)) {
        if (g.values[size_t(id)].constant || (f.source >= 0 && f.source != id) || n.op->traits.converts != Conversion::to_floats) return {};
        f.source = id;
        continue;
      }
      if (producer[size_t(id)] < 0) return {};
      open.push_back(producer[size_t(id)]);
    }
  }
  if (f.source < 0 || f.nodes.size() < 3) return {};       // dequantize, something, quantize
  std::sort(f.nodes.begin(), f.nodes.end());
  return f;
}

Tensor table_of(const Graph& g, const Function& f) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Tensor x = Tensor::empty({g.values[size_t(f.source)].spec.dtype, {256}});
  for (int i = 0; i < 256; ++i) x.view().as<uint8_t>()[i] = uint8_t(i);
  std::map<int, Tensor> known{{f.source, x}};
  for (int at : f.nodes) {
    const Node& n = g.nodes[size_t(at)];
    std::vector<Tensor> in;
    for (int id : n.in) in.push_back(g.is_constant(id) ? g.values[size_t(id)].constant : known.at(id));
    std::vector<Input> inputs(in.begin(), in.end());
    Tensor y;
    apply(*n.op, inputs, n.attributes(), {&y, 1});
    known[n.out[0]] = y;
  }
  Tensor y = known.at(g.nodes[size_t(f.nodes.back())].out[0]), flat = Tensor::empty({y.dtype(), {256}});
  View from = y.view();
  from.spec.shape = {256};                                 // a result of 256 elements lies dense
  from.strides = {1};
  copy_values(from, flat.view());
  return flat;
}

}  // namespace

void make_tables(Graph& g) {
  std::vector<int> producer(g.values.size(), -1);
  for (size_t n = 0; n < g.nodes.size(); ++n) for (int id : g.nodes[n].out) producer[size_t(id)] = int(n);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    Node& n = g.nodes[i];
    if (n.op->traits.converts != Conversion::to_integers || !is_byte(g.values[size_t(n.out[0])].spec.dtype)) continue;
    auto f = function_of(g, int(i), producer);
    if (!f) continue;
    Tensor table = table_of(g, *f);
    std::string layer = g.nodes[size_t(f->nodes[f->nodes.size() - 2])].name;
    int constant = g.add_value(table.spec(), "", table);
    producer.push_back(-1);
    g.nodes[i] = Node{&table_op, nullptr, {f->source, constant}, n.out, layer, {}};
  }
}

}  // namespace miniten
