#include "base/json.h"
#include "miniten/edge/export.h"
#include <cmath>
#include "edge/export/steps.h"
#include "edge/models.h"
#include "miniten/edge/benchmark.h"
#include "miniten/edge/compression.h"
#include "miniten/edge/diff.h"
#include "miniten/edge/pruning.h"
#include "miniten/edge/qat.h"
#include "miniten/edge/quantization.h"

namespace miniten::edge {

namespace {

std::vector<double> doubles(const Tensor& t) {
  Tensor wide = Tensor::empty({DType::f64, t.shape()});
  copy_values(t.view(), wide.view());
  return wide.to_vector<double>();
}
}  // namespace

double output_difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double worst = 0;
  if (a.size() != b.size()) return HUGE_VAL;
  for (size_t k = 0; k < a.size(); ++k) {
    if (a[k].spec() != b[k].spec()) return HUGE_VAL;
    auto x = doubles(a[k]), y = doubles(b[k]);
    double scale = 1, gap = 0;
    for (double v : y) if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
    for (size_t i = 0; i < x.size(); ++i) {
      if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) continue;
      gap = std::max(gap, std::isnan(x[i] - y[i]) ? HUGE_VAL : std::abs(x[i] - y[i]));
    }
    worst = std::max(worst, gap / scale);
  }
  return worst;
}

namespace {
std::vector<Spec> sizes_for_check(const Graph& g) {           // symbolic sizes are 1
  std::vector<Spec> specs = g.specs(g.inputs);
  for (Spec& s : specs) for (Dim& d : s.shape) if (is_symbol(d)) d = 1;
  return specs;
}
bool is_quantized(const Graph& g) {
  for (const Value& v : g.values) if (v.quantized) return true;
  for (const Node& n : g.nodes) if (n.op->traits.converts != Conversion::none) return true;
  return false;
}
bool draws(const Graph& g) {
  for (const Node& n : g.nodes) if (n.op->traits.random) return true;
  return false;
}

// A model's value as a file's port has it, and back.
Tensor to_port(const Tensor& t, const TflitePort& p) {
  Tensor moved = t.rank() ? copy(permute(t, p.order)) : t;
  return is_float(t.dtype()) && !is_float(p.spec.dtype) ? quantize(moved, Tensor::full({}, p.scale), Tensor::full({}, p.zero_point, p.spec.dtype)) : moved;
}
Tensor from_port(const Tensor& t, const TflitePort& p, DType wanted) {
  Axes back = p.order;
  for (int i = 0; i < p.order.rank; ++i) back[int(p.order[i])] = i;
  Tensor moved = t.rank() ? copy(permute(t, back)) : t;
  return is_float(wanted) && !is_float(t.dtype()) && p.scale > 0 ? dequantize(moved, Tensor::full({}, p.scale), Tensor::full({}, p.zero_point, t.dtype())) : moved;
}

}  // namespace

void check_file(const char* who, const Graph& g, const Graph& back, ExportReport& r, const TfliteReport* ports, const std::vector<Spec>* sizes) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  std::vector<Spec> specs = sizes ? *sizes : sizes_for_check(g), theirs = specs;
  std::vector<Tensor> inputs = random_inputs(specs), given = inputs;
  CompileOptions exact{.threads = 1, .exact = true};
  for (size_t i = 0; ports && i < given.size(); ++i) {
    given[i] = to_port(inputs[i], ports->inputs[i]);
    theirs[i] = given[i].spec();
  }
  if (draws(g)) {
    r.notes.push_back("read again, but not run beside the model: it draws random numbers");
    return;
  }
  Graph own = bind_inputs(g, specs);
  for (const State& s : own.states) {                            // a run moves them
    Tensor& home = own.values[size_t(s.entry)].constant;
    home = home.clone();
  }
  auto want = Session(own, exact).run(inputs), got = Session(bind_inputs(back, theirs), exact).run(given);
  for (size_t i = 0; ports && i < got.size() && i < want.size(); ++i) got[i] = from_port(got[i], ports->outputs[i], want[i].dtype());
  r.difference = output_difference(got, want);
  double limit = is_quantized(g) || r.quantization == "float16" ? 5e-2 : 1e-3;
  if (!(r.difference <= limit))
    throw Error(ErrorKind::value, who, "a file that computes what the model does", "a difference of " + std::to_string(r.difference), "nothing was written; please report this model");
  r.checked_by.push_back("miniten");
}

Graph graph_to_export(const char* who, nn::Module& m, const std::vector<Spec>& inputs) {
  auto* g = dynamic_cast<nn::GraphModule*>(&m);
  if (g && g->has_graph() && inputs.empty()) return g->graph();       // its own sizes, symbols and all
  return graph_for(who, m, known_specs(who, m, inputs));
}

std::vector<std::string> layers_without_form(const QuantizationReport& report, Foreign OpDef::* format) {
  std::vector<std::string> layers;
  for (const QuantizationRow& r : report.rows) {
    const OpDef* form = find_op(r.form);
    if (form && r.form != r.op && (form->*format).name.empty()) layers.push_back(r.layer.empty() ? r.op : r.layer);
  }
  return layers;
}

std::string ExportReport::to_text() const {
  std::string s = path + ": " + std::to_string(bytes) + " bytes, " + std::to_string(nodes) + " nodes";
  if (opset) s += ", opset " + std::to_string(opset) + ", IR version " + std::to_string(ir_version);
  char text[64];
  for (const std::string& by : checked_by) {
    std::snprintf(text, sizeof text, " (difference %.3g)", difference);
    s += "; read again by " + by + text;
  }
  if (!quantization.empty()) s += ", " + quantization;
  auto port = [&](const char* what, const ExportedPort& p) {
    s += std::string("\n  ") + what + " " + p.name + ": " + p.spec.text() + (p.axes.empty() ? "" : " " + p.axes);
    if (p.scale != 0) {
      std::snprintf(text, sizeof text, ", scale %.9g, zero point %d", double(p.scale), int(p.zero_point));
      s += text;
    }
  };
  for (const ExportedPort& p : inputs) port("input", p);
  for (const ExportedPort& p : outputs) port("output", p);
  if (!operators.empty()) s += "\n  operators:";
  for (auto& [name, count] : operators) s += " " + name + " " + std::to_string(count);
  for (const std::string& note : notes) s += "\n  " + note;
  return s;
}
std::string ExportReport::to_json() const {
  nlohmann::ordered_json j{{"path", path}, {"bytes", bytes}, {"nodes", nodes}, {"checked_by", checked_by}, {"difference", difference}};
  if (opset) {
    j["opset"] = opset;
    j["ir_version"] = ir_version;
  }
  if (!quantization.empty()) {
    auto ports = [](const std::vector<ExportedPort>& list) {
      nlohmann::ordered_json rows = nlohmann::ordered_json::array();
      for (const ExportedPort& p : list)
        rows.push_back({{"name", p.name}, {"shape", std::vector<int64_t>(p.spec.shape.begin(), p.spec.shape.end())}, {"dtype", name_of(p.spec.dtype)}, {"axes", p.axes}, {"scale", p.scale}, {"zero_point", p.zero_point}});
      return rows;
    };
    j["quantization"] = quantization;
    j["inputs"] = ports(inputs);
    j["outputs"] = ports(outputs);
    j["operators"] = operators;
    j["notes"] = notes;
  }
  return j.dump();
}

static std::string text_of(const std::vector<std::string>& names) {
  std::string s;
  for (const std::string& n : names) s += (s.empty() ? "" : ", ") + n;
  return s;
}
// The graph with the sizes left open that are named, at any rank and axis. sizes: those to be checked.
static Graph open_graph(nn::Module& m, std::vector<Spec>& sizes, const OnnxExport& o, const OpenAxes& axes) {
  Graph closed = bind_inputs(graph_for("export_onnx", m, sizes), sizes);
  std::vector<std::string> in = o.input_names, out = o.output_names;
  for (size_t i = in.size(); i < closed.inputs.size(); ++i) in.push_back(closed.values[size_t(closed.inputs[i])].name);
  for (size_t i = out.size(); i < closed.outputs.size(); ++i) out.push_back(closed.values[size_t(closed.outputs[i])].name);
  std::vector<Spec> wanted = sizes;
  for (auto& [name, open] : axes) {
    auto at = std::find(in.begin(), in.end(), name);
    if (at == in.end() && std::count(out.begin(), out.end(), name)) continue;               // what outputs leave open follows
    if (at == in.end()) throw Error(ErrorKind::value, "export_onnx", "dynamic_axes of inputs among " + text_of(in), "\"" + name + "\"");
    Shape& shape = wanted[size_t(at - in.begin())].shape;
    for (auto& [axis, symbol_of] : open) {
      if (axis < -shape.rank || axis >= shape.rank) throw Error(ErrorKind::index, "export_onnx", "axes of \"" + name + "\" below " + std::to_string(shape.rank), std::to_string(axis));
      shape[int(axis)] = symbol(symbol_of.empty() ? name + "_dim_" + std::to_string(axis) : symbol_of);
    }
  }
  Graph g;
  try {
    g = bind_inputs(graph_for("export_onnx", m, wanted), wanted);
  } catch (const Error& e) {
    throw Error(e.kind(), "export_onnx", "a model whose sizes can be left open as dynamic_axes says", e.what(), "leave fewer axes open");
  }
  for (size_t i = 0; i < sizes.size(); ++i)                    // checked at twice the sizes
    for (int k = 0; k < sizes[i].shape.rank; ++k) if (is_symbol(wanted[i].shape[k])) sizes[i].shape[k] *= 2;
  return g;
}

ExportReport export_onnx(nn::Module& m, const std::vector<Spec>& inputs, const std::string& path, const OnnxExport& o, const OpenAxes& axes) {
  std::vector<Spec> sizes;
  Graph g;
  if (!axes.empty()) {
    sizes = known_specs("export_onnx", m, inputs);
    g = open_graph(m, sizes, o, axes);
  } else {
    g = graph_to_export("export_onnx", m, inputs);
    auto* waits = dynamic_cast<nn::GraphModule*>(&m);
    if (inputs.empty() && !(waits && waits->has_graph() && waits->last_input_specs().empty())) g = bind_inputs(g, known_specs("export_onnx", m, inputs));
    else if (!inputs.empty()) g = bind_inputs(g, inputs);
  }
  OnnxExport form = o;
  if (o.quantization == "dynamic") {
    if (!is_quantized(g)) quantize_graph(g, {.mode = "dynamic"});
    form.quantization = "qdq";                                         // integers at run time have one form
  }
  OnnxReport written;
  std::vector<std::byte> bytes = onnx_bytes(g, form, &written);
  ExportReport r{.path = path, .bytes = bytes.size(), .opset = written.opset, .ir_version = written.ir_version, .nodes = written.nodes};
  if (sizes.empty()) sizes = sizes_for_check(g);
  check_file("export_onnx", g, OnnxProgram(std::span<const std::byte>(bytes)).trace(sizes), r, nullptr, &sizes);
  write_file(path, bytes);
  return r;
}

static Ref<nn::GraphModule> imported(Graph g) {
  auto m = make<nn::GraphModule>(std::move(g));
  m->eval();
  return m;
}

// ---- native files ----
namespace {

constexpr std::string_view optimizer_prefix = "optimizer.";

std::vector<std::pair<std::string, Tensor>> parameter_names(nn::Module& m) {
  auto* g = dynamic_cast<nn::GraphModule*>(&m);
  if (!g || !g->has_graph()) return m.named_parameters();
  std::vector<std::pair<std::string, Tensor>> names;
  for (const Tensor& p : m.parameters())
    for (const Value& v : g->graph().values) if (v.constant && v.constant.same(p)) { names.emplace_back(v.name, p); break; }
  return names;
}
size_t index_of(const std::string& entry) {                    // "m.3" -> 3
  size_t dot = entry.rfind('.');
  return dot == entry.npos ? entry.npos : size_t(std::strtoull(entry.c_str() + dot + 1, nullptr, 10));
}

void add_optimizer(NativeFile& f, nn::Module& m, const optim::Optimizer& o) {
  auto names = parameter_names(m);
  std::vector<std::string> by_index;
  for (size_t i = 0; i < o.parameters().size(); ++i) {
    auto known = std::find_if(names.begin(), names.end(), [&](auto& n) { return n.second.same(o.parameters()[i]); });
    if (known == names.end())
      throw Error(ErrorKind::value, "export_miniten", "an optimizer of this model's parameters", "one whose parameter " + std::to_string(i) + " is not among them");
    by_index.push_back(known->first);
  }
  for (auto& [entry, t] : o.state_dict()) {
    bool per_parameter = entry.find('.') != entry.npos;
    f.tensors.push_back({std::string(optimizer_prefix) + (per_parameter ? entry.substr(0, entry.rfind('.') + 1) + by_index.at(index_of(entry)) : entry), t});
  }
}
void read_optimizer(const NativeFile& f, nn::Module& m, optim::Optimizer::State& state) {
  auto names = parameter_names(m);
  for (const NamedTensor& t : f.tensors) {
    if (!t.name.starts_with(optimizer_prefix)) continue;
    std::string entry = t.name.substr(optimizer_prefix.size());
    size_t dot = entry.find('.');
    if (dot == entry.npos) { state.emplace_back(entry, t.tensor); continue; }
    for (size_t i = 0; i < names.size(); ++i)
      if (names[i].first == entry.substr(dot + 1)) state.emplace_back(entry.substr(0, dot + 1) + std::to_string(i), t.tensor);
  }
}

}  // namespace

std::vector<std::string> labels_of(const Graph& g) {
  auto at = g.metadata.find("labels");
  if (at == g.metadata.end()) return {};
  auto list = parse_json(at->second, false);
  std::vector<std::string> labels;
  if (list.is_array()) for (auto& name : list) labels.push_back(name.is_string() ? name.get<std::string>() : name.dump());
  return labels;
}

ExportReport export_miniten(nn::Module& m, const std::string& path, const std::vector<Spec>& inputs, const optim::Optimizer* optimizer, const std::map<std::string, std::string>& metadata, Entropy entropy) {
  NativeFile f;
  Ref<nn::GraphModule> copy;
  auto* module = dynamic_cast<nn::GraphModule*>(&m);
  if (module && !module->has_graph()) {
    copy = copy_waiting(*module);
    copy->materialize(known_specs("export_miniten", m, inputs));
    module = copy.get();
  }
  if (auto* q = dynamic_cast<QuantizedModel*>(module)) f = q->file();
  else if (auto* p = dynamic_cast<PrunedModel*>(module)) f = p->file();
  else if (auto* s = dynamic_cast<SharedModel*>(module)) f = s->file();
  else if (auto* prepared = dynamic_cast<PreparedModel*>(&m)) f = prepared->convert()->file();
  else {
    f.graph = graph_to_export("export_miniten", module ? *module : m, inputs);
    f.has_graph = true;
    f.kind = "graph";
  }
  if (optimizer) add_optimizer(f, m, *optimizer);
  for (auto& [name, text] : metadata) f.graph.metadata[name] = text;
  f.entropy = entropy;
  std::vector<std::byte> bytes = native_bytes(f);
  ExportReport r{.path = path, .bytes = bytes.size(), .nodes = int(f.graph.nodes.size())};
  check_file("export_miniten", f.graph, load_native(bytes).graph, r);
  write_file(path, bytes);
  return r;
}

Ref<nn::GraphModule> load_miniten(const NativeFile& f, optim::Optimizer::State* state) {
  if (!f.has_graph) throw Error(ErrorKind::value, "load_miniten", "a file with a model", "one of kind \"" + f.kind + "\"", "its arrays go into a model with load_state_dict");
  Ref<nn::GraphModule> m;
  if (f.kind == "quantized") m = QuantizedModel::from_file(f);
  else if (f.kind == "pruned") m = PrunedModel::from_file(f);
  else if (f.kind == "shared") m = SharedModel::from_file(f);
  else m = imported(f.graph);
  if (state) read_optimizer(f, *m, *state);
  return m;
}
Ref<nn::GraphModule> load_miniten(const std::string& path, optim::Optimizer::State* state, uint64_t max_memory) { return load_miniten(load_native(path, max_memory), state); }
Ref<nn::GraphModule> load_miniten(std::span<const std::byte> bytes, optim::Optimizer::State* state, uint64_t max_memory) { return load_miniten(load_native(bytes, max_memory), state); }

}  // namespace miniten::edge
