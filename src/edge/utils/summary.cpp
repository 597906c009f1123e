#include "edge/models.h"
#include "edge/utils/predict.h"
#include "miniten/edge/quantization.h"
#include "miniten/edge/utils.h"

namespace miniten::edge {

namespace {

std::string with_commas(int64_t n) {
  std::string s = std::to_string(n);
  for (int i = int(s.size()) - 3; i > 0 && s[size_t(i - 1)] != '-'; i -= 3) s.insert(size_t(i), 1, ',');
  return s;
}
std::string kilobytes(int64_t bytes) {
  char text[48];
  if (bytes < 1000) return std::to_string(bytes) + " B";
  std::snprintf(text, sizeof text, bytes < 1048576 ? "%.1f KB" : "%.2f MB", double(bytes) / (bytes < 1048576 ? 1024 : 1048576));
  return text;
}

std::string milliseconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g ms", seconds * 1000);
  return text;
}
std::string shape_text(const Spec& s) { return (s.dtype == DType::f32 ? "" : std::string(name_of(s.dtype))) + s.shape.text(); }

struct Row {
  std::string layer, type, output;
  int64_t parameters = 0, macs = 0, int8 = -1;         // int8 -1: there is no integer form
  size_t ram = 0;                                      // 0: no step of its own
  double seconds = 0;
};

int64_t parameter_bytes(const Graph& g, const LayerWork& l) {
  int64_t bytes = 0;
  for (int id : l.parameters) bytes += int64_t(g.values[size_t(id)].spec.bytes());
  for (const Weight& w : weights_of(g))
    if (w.quantized && std::find(l.parameters.begin(), l.parameters.end(), w.value) != l.parameters.end()) bytes += int64_t(4 * w.quantized->scale.size());
  return bytes;
}
// What each layer's parameters take once the model is really quantised, or as they are where it is.
std::map<std::string, int64_t> int8_bytes(const Graph& g) {
  std::map<std::string, int64_t> bytes;
  std::vector<Weight> weights = weights_of(g);
  bool integers = std::any_of(weights.begin(), weights.end(), [](const Weight& w) { return bool(w.quantized); });
  try {
    Graph q = g;
    if (!integers) quantize_graph(q, {.mode = "dynamic"});
    for (const LayerWork& l : layers_of(q)) bytes[l.name] += parameter_bytes(q, l);
  } catch (const Error&) {                             // one that cannot be
    bytes.clear();
  }
  return bytes;
}
// By layer: arena bytes alive at its steps, and the time that they are predicted to take. -> the time of all
double add_steps(const Graph& g, const Device* device, std::vector<Row>& rows) {
  double all = 0;
  Session s(g, {.threads = 1});
  std::vector<StepWork> work = steps_of(s);
  const Plan& plan = s.plan();
  for (size_t k = 0; k < plan.steps.size(); ++k) {
    const Node& node = s.graph().nodes[size_t(plan.steps[k])];
    double seconds = device ? predicted_seconds(*device, work[k]) : 0;
    all += seconds;
    size_t alive = 0;
    for (const Buffer& b : plan.buffers) if (b.first <= int(k) && int(k) <= b.last) alive += b.bytes;
    for (Row& r : rows) {
      if (r.layer != node.name || (r.layer.empty() && (r.ram || r.type != node.op->name))) continue;       // without a name: one step each
      r.ram = std::max(r.ram, alive);
      r.seconds += seconds;
      break;
    }
  }
  return all;
}
// Layers that are the same down to this depth become one row.
std::vector<Row> folded(const std::vector<Row>& rows, int depth, const std::map<std::string, std::string>& types) {
  std::vector<Row> out;
  for (Row r : rows) {
    size_t dot = 0;
    for (int d = 0; d < depth && dot != r.layer.npos; ++d) dot = r.layer.find('.', dot + (d > 0));
    std::string name = r.layer.substr(0, dot);
    if (name != r.layer) {
      r.layer = name;
      if (auto t = types.find(name); t != types.end()) r.type = t->second;
    }
    if (out.empty() || r.layer.empty() || out.back().layer != r.layer) { out.push_back(r); continue; }
    Row& sum = out.back();
    sum.output = r.output.empty() ? sum.output : r.output;
    sum.parameters += r.parameters;
    sum.macs += r.macs;
    sum.int8 = sum.int8 < 0 ? r.int8 : sum.int8 + std::max<int64_t>(0, r.int8);
    sum.ram = std::max(sum.ram, r.ram);
    sum.seconds += r.seconds;
  }
  return out;
}

}  // namespace

std::string model_summary(nn::Module& m, const std::vector<Spec>& inputs, const SummaryOptions& o) {
  if (o.depth < 0) throw Error(ErrorKind::value, "model_summary", "a depth of 1 or more, 0 for every layer", std::to_string(o.depth));
  Graph g = bound_graph("model_summary", m, inputs);
  auto types = layer_types(m);
  bool is_static = g.is_static();
  ParameterCount p = count_parameters(m);
  FlopCount f = count_flops(m, inputs);
  std::map<std::string, int64_t> int8 = int8_bytes(g);
  std::vector<Row> all;
  int64_t int8_total = 0;
  for (const LayerWork& l : layers_of(g)) {
    Row r{l.name, l.op, l.output < 0 ? "" : shape_text(g.values[size_t(l.output)].spec), 0, l.cost.macs};
    if (auto type = types.find(l.name); !l.name.empty() && type != types.end()) r.type = type->second;
    for (int id : l.parameters) r.parameters += g.values[size_t(id)].constant.numel();
    if (!int8.empty()) r.int8 = l.name.empty() ? parameter_bytes(g, l) : int8[l.name];
    int8_total += std::max<int64_t>(0, r.int8);
    all.push_back(std::move(r));
  }
  double seconds = is_static ? add_steps(g, o.device, all) : 0;
  if (o.depth) all = folded(all, o.depth, types);
  std::vector<std::vector<std::string>> rows{{"layer", "type", "output", "parameters", "share", "MACs", "int8", "RAM"}};
  if (o.device) rows[0].push_back("time");
  for (const Row& r : all) {
    char share[32];
    std::snprintf(share, sizeof share, "%.1f %%", p.total ? 100 * double(r.parameters) / double(p.total) : 0);
    rows.push_back({r.layer.empty() ? "-" : r.layer, r.type, r.output, with_commas(r.parameters), share, with_commas(r.macs), r.int8 < 0 ? "-" : kilobytes(r.int8),
                    r.ram ? kilobytes(int64_t(r.ram)) : "-"});
    if (o.device) rows.back().push_back(r.ram ? milliseconds(r.seconds) : "-");
  }
  std::vector<size_t> width(rows[0].size());
  for (auto& row : rows) for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  std::string s;
  for (auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      std::string space(width[i] - row[i].size(), ' ');
      s += (i ? "  " : "") + (i < 3 ? row[i] + space : space + row[i]);
    }
    s += "\n";
    if (&row == &rows[0]) {
      size_t across = 2 * (width.size() - 1);
      for (size_t w : width) across += w;
      s += std::string(across, '-') + "\n";
    }
  }
  s += "parameters: " + with_commas(p.total) + " (" + with_commas(p.trainable) + " trainable, " + with_commas(p.nonzero) + " not zero)";
  s += (int8.empty() ? "" : ", " + kilobytes(int8_total) + " in int8") + "\n";
  s += "MACs: " + with_commas(f.macs) + ", elementwise FLOPs: " + with_commas(f.elementwise_flops) + ", FLOPs: " + with_commas(f.total()) + "\n";
  if (!is_static) return s + "memory: sizes are known at run time\n";
  MemoryEstimate e = estimate_memory(m, inputs);
  s += "memory: " + kilobytes(e.parameter) + " parameters, " + kilobytes(e.input) + " input, " + kilobytes(e.activation) + " activations\n";
  if (o.device) {
    char error[64];
    std::snprintf(error, sizeof error, o.device->measured ? " (off by %.0f %% in the median)" : " (by peak rates: may be off by %.0f %%)", 100 * o.device->error);
    s += "time: " + milliseconds(seconds) + " on " + o.device->name + error + "\n";
  }
  return s;
}

}  // namespace miniten::edge
