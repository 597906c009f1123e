#include <map>
#include "interchange/onnx/proto.h"
#include "interchange/onnx/wire.h"
#include "miniten/core/foreign.h"
#include "miniten/interchange/native.h"
#include "miniten/interchange/onnx.h"

namespace miniten {

namespace {

namespace P = onnx_proto;
using protozero::data_view;
using onnx_proto::Wire;

[[noreturn]] void refuse(std::string want, std::string got, std::string hint = "") {
  throw Error(ErrorKind::value, "load_onnx", std::move(want), std::move(got), std::move(hint));
}

struct Named { std::string name; Tensor tensor; };
Named read_tensor(Wire m) {
  Named n;
  std::vector<int64_t> sizes, i64;
  std::vector<float> f32;
  std::vector<double> f64;
  std::vector<int32_t> i32;
  std::vector<uint64_t> u64;
  data_view raw;
  bool has_raw = false;
  int64_t type = 0;
  while (m.next()) {
    switch (m.tag()) {
      case P::dims: m.integers(sizes); break;
      case P::data_type: type = m.integer(); break;
      case P::float_data: m.reals(f32); break;
      case P::int32_data: m.integers(i32); break;
      case P::int64_data: m.integers(i64); break;
      case P::double_data: m.reals(f64); break;
      case P::uint64_data: m.integers(u64); break;
      case P::tensor_name: n.name = m.text(); break;
      case P::raw_data: raw = m.bytes(); has_raw = true; break;
      case P::data_location: if (m.integer() != 0) refuse("weights inside the file", "external data for \"" + n.name + "\"", "save the model as one file"); break;
      default: m.skip();
    }
  }
  Spec spec;
  if (!from_onnx_type(type, spec.dtype)) refuse("tensors of numbers", "type " + std::to_string(type) + " for \"" + n.name + "\"");
  for (int64_t d : sizes) { if (d < 0) refuse("sizes of 0 or more for \"" + n.name + "\"", std::to_string(d)); spec.shape.push(d); }
  check_sizes("load_onnx", spec.shape);
  size_t count = size_t(spec.shape.count());
  auto wrong = [&](size_t got) { refuse(std::to_string(count) + " values for \"" + n.name + "\" " + spec.text(), std::to_string(got)); };
  if (has_raw) {
    if (raw.size() != spec.bytes()) wrong(raw.size() * 8 / size_t(bits_of(spec.dtype)));
    n.tensor = Tensor::empty(spec);
    if (raw.size()) std::memcpy(n.tensor.view().data, raw.data(), raw.size());
    return n;
  }
  auto convert = [&](auto& values) {
    if (values.size() != count) wrong(values.size());
    n.tensor = Tensor::empty(spec);
    for (size_t i = 0; i < count; ++i) {
      if (spec.dtype == DType::f16 || spec.dtype == DType::bf16) n.tensor.view().as<uint16_t>()[i] = uint16_t(values[i]);
      else visit_dtype(spec.dtype, [&](auto zero) { n.tensor.view().as<decltype(zero)>()[i] = decltype(zero)(values[i]); });
    }
  };
  if (bits_of(spec.dtype) < 8) refuse("4-bit tensors as raw data", "\"" + n.name + "\"");
  if (spec.dtype == DType::f32) convert(f32);
  else if (spec.dtype == DType::f64) convert(f64);
  else if (spec.dtype == DType::i64) convert(i64);
  else if (spec.dtype == DType::u64 || spec.dtype == DType::u32) convert(u64);
  else convert(i32);
  return n;
}

struct Attribute {
  int64_t i = 0;
  float f = 0;
  std::string s;
  std::vector<int64_t> ints;
  std::vector<float> floats;
  Tensor t;
};
struct OnnxNode {
  std::string type, name, domain;
  std::vector<std::string> in, out;
  std::map<std::string, Attribute, std::less<>> attributes;
};
void read_attribute(Wire m, OnnxNode& n) {
  Attribute a;
  std::string name;
  while (m.next()) {
    switch (m.tag()) {
      case P::attribute_name: name = m.text(); break;
      case P::f: a.f = m.real(); break;
      case P::i: a.i = m.integer(); break;
      case P::s: a.s = m.text(); break;
      case P::t: a.t = read_tensor(m.message()).tensor; break;
      case P::g: refuse("nodes without subgraphs", n.type + " \"" + n.name + "\" with attribute " + name, "control flow is not read yet");
      case P::floats: m.reals(a.floats); break;
      case P::ints: m.integers(a.ints); break;
      default: m.skip();
    }
  }
  n.attributes[name] = std::move(a);
}
OnnxNode read_node(Wire m) {
  OnnxNode n;
  std::vector<data_view> attributes;
  while (m.next()) switch (m.tag()) {
    case P::node_input: n.in.push_back(m.text()); break;
    case P::node_output: n.out.push_back(m.text()); break;
    case P::node_name: n.name = m.text(); break;
    case P::op_type: n.type = m.text(); break;
    case P::attribute: attributes.push_back(m.bytes()); break;
    case P::node_domain: n.domain = m.text(); break;
    default: m.skip();
  }
  for (data_view v : attributes) read_attribute(Wire(v), n);
  return n;
}

struct OnnxInput { std::string name; Spec spec; };
OnnxInput read_value_info(Wire m) {
  OnnxInput v;
  bool typed = false;
  int unnamed = 0;
  auto read_dim = [&](Wire d) {
    Dim size = 0;
    bool known = false;
    while (d.next()) switch (d.tag()) {
      case P::dim_value: size = d.integer(); known = size > 0 || (size == 0); break;
      case P::dim_param: { std::string p = d.text(); if (!p.empty()) { size = symbol(p); known = true; } break; }
      default: d.skip();
    }
    v.spec.shape.push(known && size != -1 ? size : symbol(unnamed ? "dim_" + std::to_string(unnamed) : "batch"));
    ++unnamed;
  };
  auto read_shape = [&](Wire s) { while (s.next()) if (s.tag() == P::dim) read_dim(s.message()); else s.skip(); };
  auto read_tensor_type = [&](Wire t) {
    while (t.next()) switch (t.tag()) {
      case P::elem_type: { int64_t number = t.integer(); if (!from_onnx_type(number, v.spec.dtype)) refuse("inputs of numbers", "type " + std::to_string(number) + " for \"" + v.name + "\""); typed = true; break; }
      case P::shape: read_shape(t.message()); break;
      default: t.skip();
    }
  };
  while (m.next()) switch (m.tag()) {
    case P::value_name: v.name = m.text(); break;
    case P::value_type: { auto t = m.message(); while (t.next()) if (t.tag() == P::tensor_type) read_tensor_type(t.message()); else t.skip(); break; }
    default: m.skip();
  }
  if (!typed) refuse("a tensor type for input \"" + v.name + "\"", "another or none");
  for (Dim d : v.spec.shape) if (!is_symbol(d) && d < 0) refuse("sizes of 0 or more for input \"" + v.name + "\"", std::to_string(d));
  return v;
}

struct OnnxModel {
  std::vector<OnnxNode> nodes;
  std::vector<Named> initializers;
  std::vector<OnnxInput> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, int64_t> opsets;
  std::map<std::string, std::string> metadata;
  std::string name;
};
void read_graph(Wire m, OnnxModel& model) {
  while (m.next()) switch (m.tag()) {
    case P::node: model.nodes.push_back(read_node(m.message())); break;
    case P::graph_name: model.name = m.text(); break;
    case P::initializer: model.initializers.push_back(read_tensor(m.message())); break;
    case P::input: model.inputs.push_back(read_value_info(m.message())); break;
    case P::output: { auto o = m.message(); while (o.next()) if (o.tag() == P::value_name) model.outputs.push_back(o.text()); else o.skip(); break; }
    case P::sparse_initializer: refuse("dense weights", "a sparse initializer");
    default: m.skip();
  }
}
OnnxModel read_model(std::span<const std::byte> bytes) {
  OnnxModel model;
  bool has_graph = false;
  Wire m({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  while (m.next()) switch (m.tag()) {
    case P::graph: if (!has_graph) read_graph(m.message(), model); else m.skip(); has_graph = true; break;
    case P::opset_import: {
      std::string domain;
      int64_t version = 0;
      auto o = m.message();
      while (o.next()) if (o.tag() == P::opset_domain) domain = o.text(); else if (o.tag() == P::opset_version) version = o.integer(); else o.skip();
      model.opsets[domain] = version;
      break;
    }
    case P::metadata_props: {
      std::string key, value;
      auto e = m.message();
      while (e.next()) if (e.tag() == P::entry_key) key = e.text(); else if (e.tag() == P::entry_value) value = e.text(); else e.skip();
      model.metadata[key] = value;
      break;
    }
    case P::functions: refuse("a model without local functions", "one with", "inline them first");
    default: m.skip();
  }
  if (!has_graph) refuse("an ONNX model", "bytes without a graph");
  return model;
}

class Reading final : public ForeignNode {
 public:
  Reading(const OnnxNode& n, int version, const std::map<std::string, Tensor>& values) : n_(n), version_(version), values_(values) {}
  std::string_view type() const override { return n_.type; }
  std::string_view name() const override { return n_.name; }
  int version() const override { return version_; }
  int inputs() const override { return int(n_.in.size()); }
  int outputs() const override { return int(n_.out.size()); }
  Tensor input(int i) const override {
    const std::string& name = n_.in.at(size_t(i));
    if (name.empty()) return {};
    auto v = values_.find(name);
    if (v == values_.end()) fail("inputs computed before", "\"" + name + "\"");
    return v->second;
  }
  bool has(std::string_view a) const override { return n_.attributes.find(a) != n_.attributes.end(); }
  int64_t integer(std::string_view a, int64_t other) const override { auto* v = find(a); return v ? v->i : other; }
  double number(std::string_view a, double other) const override { auto* v = find(a); return v ? double(v->f) : other; }
  std::string text(std::string_view a, std::string other) const override { auto* v = find(a); return v ? v->s : other; }
  std::vector<int64_t> integers(std::string_view a, std::vector<int64_t> other) const override { auto* v = find(a); return v ? v->ints : other; }
  std::vector<float> numbers(std::string_view a, std::vector<float> other) const override { auto* v = find(a); return v ? v->floats : other; }
  Tensor tensor(std::string_view a) const override { auto* v = find(a); return v ? v->t : Tensor(); }

 private:
  const Attribute* find(std::string_view a) const { auto v = n_.attributes.find(a); return v == n_.attributes.end() ? nullptr : &v->second; }
  const OnnxNode& n_;
  int version_;
  const std::map<std::string, Tensor>& values_;
};

// Attributes of a 1:1 op by their names.
Attrs attributes_by_name(const OpDef& op, const ForeignNode& n) {
  if (!op.attrs.clone) return nullptr;
  auto attrs = op.attrs.clone(op.attrs.defaults);
  op.attrs.fields(attrs.get(), [&](std::string_view name, FieldSlot slot) {
    if (auto** v = std::get_if<int64_t*>(&slot)) **v = n.integer(name, **v);
    else if (auto** b = std::get_if<bool*>(&slot)) **b = n.integer(name, **b) != 0;
    else if (auto** f = std::get_if<float*>(&slot)) **f = float(n.number(name, double(**f)));
  });
  return attrs;
}

std::vector<Tensor> run_node(const Reading& n) {
  for (const OpDef* op : all_ops()) {
    if (op->onnx.name != n.type()) continue;
    auto* rules = static_cast<const ForeignRules*>(op->onnx.rules);
    if (rules && rules->read) return rules->read(n);
    if (rules) continue;
    std::vector<Tensor> in;
    for (int i = 0; i < n.inputs(); ++i) in.push_back(n.required(i));
    std::vector<Input> inputs(in.begin(), in.end());
    std::vector<Tensor> out(size_t(op->outputs));
    Attrs attrs = attributes_by_name(*op, n);
    apply(*op, inputs, attrs.get(), out);
    return out;
  }
  for (const ForeignComposition& c : foreign_compositions())
    if (c.format == "onnx" && c.type == n.type()) return c.read(n);
  throw Error(ErrorKind::unsupported, "load_onnx", "an operator that MiniTen reads", std::string(n.type()) + "-" + std::to_string(n.version()) +
              (n.name().empty() ? "" : " in node \"" + std::string(n.name()) + "\""), "docs/interchange/onnx.md lists them");
}

}  // namespace

Graph load_onnx(std::span<const std::byte> bytes, const OnnxOptions&) {
  OnnxModel model;
  try {
    model = read_model(bytes);
  } catch (const protozero::exception& e) {
    refuse("an ONNX model", std::string("bytes that are none: ") + e.what(), "the file may be truncated");
  }
  int opset = int(model.opsets.contains("") ? model.opsets[""] : model.opsets.contains("ai.onnx") ? model.opsets["ai.onnx"] : 0);
  if (opset < 7 || opset > 25) throw Error(ErrorKind::unsupported, "load_onnx", "an opset from 7 to 25", std::to_string(opset));
  std::map<std::string, Tensor> values;
  TraceNames names;
  for (Named& i : model.initializers) {
    Tensor t = is_float(i.tensor.dtype()) && i.tensor.rank() > 0 ? parameter(i.tensor) : i.tensor;
    values[i.name] = t;
    names.constants.emplace_back(t, i.name);
  }
  std::vector<Spec> specs;
  std::vector<std::string> input_names;
  for (const OnnxInput& i : model.inputs) {
    if (values.contains(i.name)) continue;             // an initializer, listed as input too
    specs.push_back(i.spec);
    input_names.push_back(i.name);
  }
  names.inputs = input_names;
  Graph g = trace(specs, [&](const std::vector<Tensor>& in) {
    for (size_t i = 0; i < in.size(); ++i) values[input_names[i]] = in[i];
    for (const OnnxNode& n : model.nodes) {
      if (!n.domain.empty() && n.domain != "ai.onnx")
        throw Error(ErrorKind::unsupported, "load_onnx", "operators of ONNX itself", n.domain + "." + n.type + " in node \"" + n.name + "\"");
      LayerScope layer(n.name);
      Reading node(n, opset, values);
      std::vector<Tensor> out;
      bool known = !n.in.empty();                      // of constants alone: computed now, so shapes follow
      for (const std::string& name : n.in) {
        auto v = values.find(name);
        known &= name.empty() || (v != values.end() && v->second.has_data() && !is_parameter(v->second));
      }
      bool converts = n.type == "DequantizeLinear";    // what stands for integers stays
      if (known && !converts) {
        NoGrad no_grad;
        Swap<Recorder*> eager(mode().recorder, nullptr);
        out = run_node(node);
      } else out = run_node(node);
      if (out.size() < n.out.size()) node.fail(std::to_string(out.size()) + " outputs", std::to_string(n.out.size()));
      for (size_t i = 0; i < n.out.size(); ++i) {
        if (n.out[i].empty()) continue;
        if (!values.emplace(n.out[i], out[i]).second) node.fail("one writer per value", "two for \"" + n.out[i] + "\"");
      }
    }
    std::vector<Tensor> out;
    for (const std::string& name : model.outputs) {
      auto v = values.find(name);
      if (v == values.end()) refuse("outputs that are computed", "\"" + name + "\"");
      out.push_back(v->second);
    }
    if (out.empty()) refuse("at least one output", "none");
    return out;
  }, names);
  for (size_t i = 0; i < g.outputs.size(); ++i) g.values[size_t(g.outputs[i])].name = model.outputs[i];
  g.name = model.name;
  g.metadata = model.metadata;
  return g;
}

Graph load_onnx(const std::string& path, const OnnxOptions& o) {
  auto bytes = read_file(path);
  return load_onnx(std::span<const std::byte>(bytes), o);
}

}  // namespace miniten
