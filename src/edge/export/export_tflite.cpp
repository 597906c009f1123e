#include "edge/export/steps.h"
#include "edge/models.h"
#include "miniten/graph/passes.h"
#include "miniten/interchange/tflite.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

constexpr const char* who = "export_tflite";

bool rounds_at_run_time(const Node& n) { return n.op->outputs == 3 && n.op->tflite.name == "QUANTIZE"; }      // q, scale, zero
bool is_quantized(const Graph& g) {
  for (const Value& v : g.values) if (v.constant && v.quantized) return true;
  for (const Node& n : g.nodes) if (n.op->traits.converts != Conversion::none || rounds_at_run_time(n)) return true;
  return false;
}
// "NHWC" where the order is not the model's own.
std::string axes_text(const TflitePort& p) {
  if (p.order == Dims::iota(p.order.rank)) return "";
  constexpr std::string_view names[] = {"", "", "", "NCL", "NCHW", "NCDHW"};
  std::string s;
  for (Dim k : p.order) s += p.order.rank < 6 && !names[size_t(p.order.rank)].empty() ? names[size_t(p.order.rank)][size_t(k)] : char('0' + k);
  return s;
}
std::vector<ExportedPort> ports(const std::vector<TflitePort>& list) {
  std::vector<ExportedPort> rows;
  for (const TflitePort& p : list) rows.push_back({p.name, p.spec, axes_text(p), p.scale, p.zero_point});
  return rows;
}
std::string joined(const std::vector<std::string>& list) {
  std::string s;
  for (const std::string& t : list) s += (s.empty() ? "" : ", ") + t;
  return s;
}

bool has_form(const Node&, const OpDef& form) { return !form.tflite.name.empty(); }

// The graph as the file will have it, and what that is called.
std::string quantized_as_asked(Graph& g, const TfliteSettings& o, std::vector<std::string>& notes) {
  const std::string& q = o.quantize;
  bool known = q.empty() || q == "int8" || q == "int16x8" || q == "dynamic" || q == "float16";
  if (!known) throw Error(ErrorKind::value, who, "quantize among False, True, int8, int16x8, dynamic, float16", "\"" + q + "\"");
  if (is_quantized(g)) {
    if (q == "float16") throw Error(ErrorKind::value, who, "a float model for quantize=\"float16\"", "a quantised one", "leave quantize out: its own scales are written");
    if (!q.empty()) notes.push_back("the model is quantised already: its own scales are written");
    fold_constants(g);                                 // of a file that was read: float ops between conversions
    remove_dead(g);
    recognise(g, tflite_patterns());
    sink_moves(g);
    cancel_moves(g);
    fold_batch_norm(g);
    fuse(g);
    lower_quantized_to(g, has_form);
    remove_dead(g);
    bool integers = false;
    for (const Node& n : g.nodes) for (int id : n.out) integers |= g.values[size_t(id)].spec.dtype == DType::i8 || g.values[size_t(id)].spec.dtype == DType::u8;
    for (const Node& n : g.nodes) if (rounds_at_run_time(n)) return "dynamic";
    return integers ? "int8" : "weights in int8";
  }
  if (q.empty() || q == "float16") return q.empty() ? "float32" : q;
  fold_constants(g);
  remove_dead(g);
  recognise(g, tflite_patterns());                     // to be quantised as one
  std::vector<std::string> floats;
  if (q == "int16x8") {
    if (!o.calibration) throw Error(ErrorKind::value, who, "calibration_data for quantize=\"int16x8\"", "none", "pass a few batches of typical inputs");
    fold_batch_norm(g);
    fuse(g);
    remove_dead(g);
    quantize_islands(g, DType::i16, o.calibration(), floats);
  } else {
    bool is_static = q == "int8" && o.calibration;
    QuantizationConfig config;
    if (!is_static) config.mode = "dynamic";
    auto quantised = [&] {
      Graph now = g;
      QuantizationReport report = quantize_graph(now, config, is_static ? Batches(o.calibration()) : nullptr);
      return std::pair(std::move(now), std::move(report));
    };
    auto [first, report] = quantised();
    config.skip = layers_without_form(report, &OpDef::tflite);   // these are the islands'
    g = config.skip.empty() ? std::move(first) : quantised().first;
    if (!is_static) {
      if (q == "int8") notes.push_back("no calibration data: weights are int8, activations float and quantised at run time (dynamic range); pass calibration_data for integers throughout");
      return "dynamic";
    }
    quantize_islands(g, DType::i8, o.calibration(), floats);
    lower_quantized_to(g, has_form);
  }
  if (!floats.empty()) notes.push_back("computed in floats: " + joined(floats));
  return q;
}

}  // namespace

ExportReport export_tflite(nn::Module& m, const std::vector<Spec>& inputs, const std::string& path, const TfliteSettings& o) {
  std::vector<Spec> specs = known_specs(who, m, inputs);
  Graph g = graph_for(who, m, specs);                      // its batch may be open: calibration data has its own
  if (is_quantized(g)) g = bind_inputs(g, specs);
  defer_writes(g);
  ExportReport r{.path = path};
  r.quantization = quantized_as_asked(g, o, r.notes);
  g = bind_inputs(g, specs);
  TfliteExport file = o;
  file.float16 = o.quantize == "float16";
  TfliteReport written;
  std::vector<std::byte> bytes = tflite_bytes(g, file, &written);
  r.bytes = bytes.size();
  for (auto& [name, count] : written.operators) r.nodes += count;
  r.operators = written.operators;
  r.inputs = ports(written.inputs);
  r.outputs = ports(written.outputs);
  r.notes.push_back("read by TensorFlow Lite " + written.runtime + " and later");
  std::optional<Graph> back;
  try {
    back = miniten::load_tflite(bytes);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::unsupported) throw;           // a form that the reader does not know says nothing
    r.notes.push_back(std::string("not read again: ") + e.what());
  }
  if (back) check_file(who, g, *back, r, &written);
  write_file(path, bytes);
  return r;
}

}  // namespace miniten::edge
