#include <protozero/pbf_writer.hpp>
#include <set>
#include <utility>
#include "interchange/onnx/proto.h"
#include "miniten/base/symbol.h"
#include "miniten/core/foreign.h"
#include "miniten/graph/passes.h"
#include "miniten/interchange/native.h"
#include "miniten/interchange/onnx.h"

namespace miniten {

namespace {

namespace P = onnx_proto;
using protozero::pbf_writer;

void write_tensor(pbf_writer& w, const Tensor& given, const std::string& name) {
  Tensor t = given.view().is_contiguous() ? given : given.clone();
  std::vector<int64_t> sizes(t.shape().begin(), t.shape().end());
  w.add_packed_int64(P::dims, sizes.begin(), sizes.end());
  w.add_int32(P::data_type, int32_t(onnx_type(t.dtype())));
  w.add_string(P::tensor_name, name);
  w.add_bytes(P::raw_data, reinterpret_cast<const char*>(t.view().data), t.spec().bytes());
}
void write_value_info(pbf_writer& w, const std::string& name, const Spec& spec) {
  w.add_string(P::value_name, name);
  pbf_writer type(w, P::value_type);
  pbf_writer tensor(type, P::tensor_type);
  tensor.add_int32(P::elem_type, int32_t(onnx_type(spec.dtype)));
  if (spec.shape.rank == 0) { tensor.add_message(P::shape, std::string()); return; }   // a scalar's shape is there, and empty
  pbf_writer shape(tensor, P::shape);
  for (Dim d : spec.shape) {
    pbf_writer dim(shape, P::dim);
    if (is_symbol(d)) dim.add_string(P::dim_param, symbol_name(d));
    else dim.add_int64(P::dim_value, d);
  }
}
void write_attribute(pbf_writer& node, const std::string& name, const ForeignAttribute& value) {
  pbf_writer a(node, P::attribute);
  a.add_string(P::attribute_name, name);
  std::visit([&](const auto& v) {
    using T = std::decay_t<decltype(v)>;
    if constexpr (std::is_same_v<T, int64_t>) { a.add_int64(P::i, v); a.add_int32(P::attribute_type, P::type_int); }
    else if constexpr (std::is_same_v<T, float>) { a.add_float(P::f, v); a.add_int32(P::attribute_type, P::type_float); }
    else if constexpr (std::is_same_v<T, std::string>) { a.add_bytes(P::s, v); a.add_int32(P::attribute_type, P::type_string); }
    else if constexpr (std::is_same_v<T, Tensor>) { { pbf_writer t(a, P::t); write_tensor(t, v, name); } a.add_int32(P::attribute_type, P::type_tensor); }
    else if constexpr (std::is_same_v<T, std::vector<int64_t>>) { for (int64_t x : v) a.add_int64(P::ints, x); a.add_int32(P::attribute_type, P::type_ints); }
    else if constexpr (std::is_same_v<T, std::vector<std::string>>) { for (const auto& x : v) a.add_bytes(P::strings, x); a.add_int32(P::attribute_type, P::type_strings); }
    else { for (float x : v) a.add_float(P::floats, x); a.add_int32(P::attribute_type, P::type_floats); }
  }, value);
}

// Indices and values of what is not 0, where that is smaller.
bool write_sparse(pbf_writer& graph, const Tensor& given, const std::string& name) {
  if (given.numel() < 64 || (given.dtype() != DType::f32 && given.dtype() != DType::i8 && given.dtype() != DType::u8)) return false;
  Tensor t = given.view().is_contiguous() ? given : given.clone();
  size_t size = bytes_of(t.dtype(), 1);
  const std::byte* data = t.view().data;
  std::vector<int64_t> at;
  std::string values;
  for (int64_t i = 0; i < t.numel(); ++i, data += size)
    if (std::any_of(data, data + size, [](std::byte b) { return b != std::byte{}; })) {
      at.push_back(i);
      values.append(reinterpret_cast<const char*>(data), size);
    }
  if (at.empty() || values.size() + 8 * at.size() + 64 >= t.spec().bytes()) return false;
  pbf_writer sparse(graph, P::sparse_initializer);
  auto put = [&](int field, DType type, const std::string& label, const char* raw, size_t bytes) {
    pbf_writer w(sparse, uint32_t(field));
    const int64_t sizes[]{int64_t(at.size())};
    w.add_packed_int64(P::dims, sizes, sizes + 1);
    w.add_int32(P::data_type, int32_t(onnx_type(type)));
    w.add_string(P::tensor_name, label);
    w.add_bytes(P::raw_data, raw, bytes);
  };
  put(P::sparse_values, t.dtype(), name, values.data(), values.size());
  put(P::sparse_indices, DType::i64, "", reinterpret_cast<const char*>(at.data()), 8 * at.size());
  std::vector<int64_t> sizes(t.shape().begin(), t.shape().end());
  sparse.add_packed_int64(P::sparse_dims, sizes.begin(), sizes.end());
  return true;
}

// Nodes as the rules write them; names are unique in the file.
class Writer : public ForeignWriter {
 public:
  Writer(pbf_writer& graph, int version, bool integer_operators) : graph_(graph), version_(version), integer_operators_(integer_operators) {}
  int version() const override { return version_; }
  bool integer_operators() const override { return integer_operators_; }
  const std::set<std::string>& domains() const { return domains_; }
  std::string unique(const std::string& wanted) {
    std::string base = wanted.empty() ? "value" : wanted, name = base;
    for (int i = 1; !names_.insert(name).second; ++i) name = base + "_" + std::to_string(i);
    return name;
  }
  std::vector<std::string> emit(std::string_view given, std::vector<std::string> inputs, ForeignAttributes attributes, int outputs) override {
    size_t dot = given.rfind('.');
    std::string_view type = dot == given.npos ? given : given.substr(dot + 1);
    std::string domain(dot == given.npos ? "" : given.substr(0, dot));
    domains_.insert(domain);
    std::string base = layer_.empty() ? std::string(type) : layer_ + "/" + std::string(type);
    std::vector<std::string> out;
    for (int i = 0; i < outputs; ++i) out.push_back(unique(base + "_output"));
    pending_.push_back({std::string(type), unique(base), std::move(inputs), out, std::move(attributes), domain});
    return out;
  }
  std::string constant(const Tensor& t, std::string_view hint) override {
    std::string name = unique((layer_.empty() ? "" : layer_ + "/") + std::string(hint));
    constants_.emplace_back(name, t);
    return name;
  }
  // What inputs tell of their sizes is read from them once; the rest follows by arithmetic.
  void add_input(const std::string& name, const Shape& shape) {
    for (int i = 0; i < shape.rank; ++i) if (is_symbol(shape[i])) sources_.try_emplace(shape[i], std::pair{name, i});
  }
  std::string size(Dim d) {
    auto known = sizes_.find(d);
    if (known != sizes_.end()) return known->second;
    auto number = [&](int64_t v) { return constant(Tensor::of<int64_t>({1}, {{v}}), "size"); };
    if (!is_symbol(d)) return sizes_[d] = number(d);
    auto source = sources_.find(d);
    if (source != sources_.end()) return sizes_[d] = emit_one("Gather", {emit_one("Shape", {source->second.first}), number(source->second.second)}, {{"axis", int64_t{0}}});
    auto how = derivation(d);
    if (!how) throw Error(ErrorKind::unsupported, "export", "sizes that follow from those of the inputs", symbol_name(d), "export with a fixed shape");
    std::string y = size(how->of);
    if (how->times != 1) y = emit_one("Mul", {y, number(how->times)});
    if (how->plus != 0) y = emit_one("Add", {y, number(how->plus)});
    if (how->over != 1) y = emit_one("Div", {y, number(how->over)});
    return sizes_[d] = y;
  }
  std::string sizes(const Shape& shape) override {
    if (shape.is_static()) return constant(Tensor::of<int64_t>({shape.rank}, {shape.begin(), size_t(shape.rank)}), "sizes");
    std::string layer = std::exchange(layer_, "");
    std::vector<std::string> parts;
    for (Dim d : shape) parts.push_back(size(d));
    std::string all = parts.size() == 1 ? parts[0] : emit_one("Concat", parts, {{"axis", int64_t{0}}});
    layer_ = layer;
    return all;
  }
  void set_layer(std::string name) { layer_ = std::move(name); }
  void add_constant(const std::string& name, const Tensor& t) { constants_.emplace_back(name, t); }
  // The outputs of what was emitted take the names the graph's outputs have.
  void rename(const std::string& from, const std::string& to) {
    for (auto& n : pending_) {
      for (auto& s : n.in) if (s == from) s = to;
      for (auto& s : n.out) if (s == from) s = to;
    }
  }
  bool uses(const std::string& name) const {
    for (const Pending& n : pending_) if (std::count(n.in.begin(), n.in.end(), name)) return true;
    return false;
  }
  int finish(bool sparse) {
    for (const Pending& n : pending_) {
      pbf_writer node(graph_, P::node);
      std::vector<std::string> in = n.in;
      while (!in.empty() && in.back().empty()) in.pop_back();
      for (const auto& s : in) node.add_string(P::node_input, s);
      for (const auto& s : n.out) node.add_string(P::node_output, s);
      node.add_string(P::node_name, n.name);
      node.add_string(P::op_type, n.type);
      if (!n.domain.empty()) node.add_string(P::node_domain, n.domain);
      for (auto& [name, value] : n.attributes) write_attribute(node, name, value);
    }
    for (auto& [name, t] : constants_) {
      if (sparse && write_sparse(graph_, t, name)) continue;
      pbf_writer tensor(graph_, P::initializer);
      write_tensor(tensor, t, name);
    }
    return int(pending_.size());
  }

 private:
  struct Pending { std::string type, name; std::vector<std::string> in, out; ForeignAttributes attributes; std::string domain; };
  pbf_writer& graph_;
  int version_;
  bool integer_operators_;
  std::set<std::string> domains_{""};
  std::string layer_;
  std::set<std::string> names_;
  std::map<Dim, std::pair<std::string, int>> sources_;   // symbol -> input and axis
  std::map<Dim, std::string> sizes_;
  std::vector<Pending> pending_;
  std::vector<std::pair<std::string, Tensor>> constants_;
};

ForeignAttributes attributes_by_name(const AttrCodec& codec, const void* attrs) {
  ForeignAttributes out;
  if (!codec.fields) return out;
  codec.fields(const_cast<void*>(attrs), [&](std::string_view name, FieldSlot slot) {
    if (auto** v = std::get_if<int64_t*>(&slot)) out.emplace_back(std::string(name), **v);
    else if (auto** b = std::get_if<bool*>(&slot)) out.emplace_back(std::string(name), int64_t{**b});
    else if (auto** f = std::get_if<float*>(&slot)) out.emplace_back(std::string(name), **f);
    else if (auto** d = std::get_if<Dims*>(&slot)) out.emplace_back(std::string(name), std::vector<int64_t>((*d)->begin(), (*d)->end()));
  });
  return out;
}

std::string mark(int constant) { return "\x01" + std::to_string(constant); }

constexpr int newest_opset = 28;
int ir_version_for(int opset) { return opset >= 28 ? 14 : opset >= 25 ? 13 : opset >= 23 ? opset - 12 : opset >= 21 ? 10 : opset >= 19 ? 9 : opset >= 15 ? 8 : opset >= 13 ? 7 : opset >= 11 ? 6 : 4; }

int ir_version_of(const OnnxExport& o) {
  if (o.ir_version && o.ir_version < 3) throw Error(ErrorKind::value, "export_onnx", "IR version 3 or later", std::to_string(o.ir_version));
  return o.ir_version ? o.ir_version : ir_version_for(o.opset);
}

// What cannot be written is refused before anything is.
void check_forms(const Graph& g, int opset) {
  if (!g.states.empty()) throw Error(ErrorKind::unsupported, "export_onnx", "a graph without states", std::to_string(g.states.size()) + " that it overwrites", "ONNX has no variables: write the model as TFLite or as a native file; of a training step, the model itself");
  for (const Node& n : g.nodes) {
    std::string layer = n.name.empty() ? "" : " in layer \"" + n.name + "\"";
    if (n.op->onnx.name.empty() || !n.subgraphs.empty())
      throw Error(ErrorKind::unsupported, "export_onnx", "ops with an ONNX form", std::string(n.op->name) + layer, "save it as a native file, or remove the layer");
    bool composed = n.op->onnx.rules && static_cast<const ForeignRules*>(n.op->onnx.rules)->write;
    if (!composed && n.op->onnx.since > opset)
      throw Error(ErrorKind::unsupported, "export_onnx", "opset " + std::to_string(n.op->onnx.since) + " or later for " + std::string(n.op->onnx.name) + layer, "opset " + std::to_string(opset));
  }
  for (const std::vector<int>* ids : {&g.inputs, &g.outputs})
    for (int id : *ids)
      if (onnx_type(g.values[size_t(id)].spec.dtype) == 0)
        throw Error(ErrorKind::unsupported, "export_onnx", "dtypes that ONNX has", g.values[size_t(id)].spec.text());
}

}  // namespace

OnnxTarget onnx_target(std::string_view runtime) {
  constexpr struct { int minor; OnnxTarget target; } onnxruntime[] = {                 // first release that reads it
      {1, {11, 6}}, {3, {12, 7}}, {6, {13, 7}}, {8, {14, 7}}, {9, {15, 8}}, {11, {16, 8}}, {12, {17, 8}}, {14, {18, 8}}, {15, {19, 9}}, {17, {20, 9}}, {18, {21, 10}}, {21, {22, 10}}, {23, {23, 11}}};
  std::string text(runtime);
  int major = 0, minor = 0;
  if (std::sscanf(text.c_str(), "onnxruntime==%d.%d", &major, &minor) == 2 && major == 1 && minor >= 1) {
    OnnxTarget t = onnxruntime[0].target;
    for (auto& row : onnxruntime) if (minor >= row.minor) t = row.target;
    return t;
  }
  throw Error(ErrorKind::value, "export_onnx", "target_runtime as \"onnxruntime==1.14\", 1.1 or later", "\"" + text + "\"");
}

std::string OnnxReport::to_text() const {
  return path + ": " + std::to_string(bytes) + " bytes, opset " + std::to_string(opset) + ", IR version " + std::to_string(ir_version) + ", " + std::to_string(nodes) + " nodes";
}

std::vector<std::byte> onnx_bytes(const Graph& given, const OnnxExport& o, OnnxReport* report) {
  if (o.opset < 9 || o.opset > newest_opset)
    throw Error(ErrorKind::unsupported, "export_onnx", "an opset from 9 to " + std::to_string(newest_opset), std::to_string(o.opset));
  bool integers = o.quantization == "qoperator";
  if (!integers && o.quantization != "qdq") throw Error(ErrorKind::value, "export_onnx", "quantization \"qdq\" or \"qoperator\"", "\"" + o.quantization + "\"");
  Graph g = given;
  if (integers) lower_quantized(g);
  fold_constants(g);                                   // transposed weights and the like: no node for what is known
  remove_dead(g);
  check_forms(g, o.opset);
  int nodes = 0;
  std::string graph_bytes;
  std::set<std::string> domains;
  {
    pbf_writer out(graph_bytes);
    Writer w(out, o.opset, integers);
    std::vector<std::string> names(g.values.size());
    for (size_t i = 0; i < g.inputs.size(); ++i) {
      auto id = size_t(g.inputs[i]);
      names[id] = w.unique(i < o.input_names.size() ? o.input_names[i] : g.values[id].name);
      pbf_writer info(out, P::input);
      write_value_info(info, names[id], g.values[id].spec);
      w.add_input(names[id], g.values[id].spec.shape);
    }
    std::vector<std::string> output_names;
    for (size_t i = 0; i < g.outputs.size(); ++i)
      output_names.push_back(w.unique(i < o.output_names.size() ? o.output_names[i] : g.values[size_t(g.outputs[i])].name));
    auto name_of_constant = [&](int id) {
      if (names[size_t(id)].empty()) {
        const Value& v = g.values[size_t(id)];
        if (onnx_type(v.spec.dtype) == 0) throw Error(ErrorKind::unsupported, "export_onnx", "dtypes that ONNX has", v.spec.text());
        names[size_t(id)] = w.unique(v.name.empty() ? "constant" : v.name);
        w.add_constant(names[size_t(id)], v.constant);
      }
      return names[size_t(id)];
    };
    for (const Node& n : g.nodes) {
      w.set_layer(n.name);
      auto in_specs = g.specs(n.in), out_specs = g.specs(n.out);
      auto constants = g.constants(n.in);
      std::vector<Input> known(constants.begin(), constants.end());
      auto* rules = static_cast<const ForeignRules*>(n.op->onnx.rules);
      std::vector<std::string> in, out_names;
      // Integer rules write some constants in another form: a constant is stored only if its mark is used.
      for (int id : n.in) in.push_back(g.values[size_t(id)].constant ? mark(id) : names[size_t(id)]);
      ForeignCall call{{*n.op, n.attributes(), in_specs, out_specs, known}, in, n.name};
      out_names = rules && rules->write ? rules->write(w, call) : w.emit(n.op->onnx.name, in, attributes_by_name(n.op->attrs, n.attributes()), int(n.out.size()));
      for (size_t i = 0; i < n.out.size(); ++i) names[size_t(n.out[i])] = out_names[i];
    }
    for (size_t id = 0; id < g.values.size(); ++id)
      if (g.values[id].constant && w.uses(mark(int(id)))) w.rename(mark(int(id)), name_of_constant(int(id)));
    w.set_layer("");
    for (size_t i = 0; i < g.outputs.size(); ++i) {
      auto id = size_t(g.outputs[i]);
      bool once = std::count(g.outputs.begin(), g.outputs.end(), g.outputs[i]) == 1;
      bool computed = !g.values[id].constant && std::count(g.inputs.begin(), g.inputs.end(), g.outputs[i]) == 0;
      if (once && computed) w.rename(names[id], output_names[i]);
      else w.rename(w.emit("Identity", {g.values[id].constant ? name_of_constant(int(id)) : names[id]}, {}, 1)[0], output_names[i]);
      pbf_writer info(out, P::output);
      write_value_info(info, output_names[i], g.values[id].spec);
    }
    nodes = w.finish(o.sparse);
    domains = w.domains();
    out.add_string(P::graph_name, g.name.empty() ? "miniten" : g.name);
  }
  std::string model;
  {
    pbf_writer out(model);
    out.add_int64(P::ir_version, ir_version_of(o));
    out.add_string(P::producer_name, "miniten");
    out.add_string(P::producer_version, MINITEN_VERSION);
    out.add_message(P::graph, graph_bytes);
    for (const std::string& domain : domains) {
      pbf_writer opset(out, P::opset_import);
      opset.add_string(P::opset_domain, domain);
      opset.add_int64(P::opset_version, domain.empty() ? o.opset : 1);
    }
    for (auto& [key, value] : g.metadata) {
      pbf_writer entry(out, P::metadata_props);
      entry.add_string(P::entry_key, key);
      entry.add_string(P::entry_value, value);
    }
  }
  std::vector<std::byte> bytes(model.size());
  std::memcpy(bytes.data(), model.data(), model.size());
  if (report) *report = {report->path, bytes.size(), o.opset, ir_version_of(o), nodes};
  return bytes;
}

OnnxReport export_onnx(const Graph& g, const std::string& path, const OnnxExport& o) {
  OnnxReport report;
  report.path = path;
  write_file(path, onnx_bytes(g, o, &report));
  return report;
}

}  // namespace miniten
