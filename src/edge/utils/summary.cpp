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

// A layer, or what layers are in: all of it when deeper ones are folded, else only what it does by itself.
struct Row {
  std::string layer, label, type, input, output;
  std::vector<size_t> inside;
  int64_t parameters = 0, macs = 0, int8 = -1;         // int8 -1: there is no integer form
  size_t ram = 0;                                      // 0: no step of its own
  double seconds = 0;
  bool works = false;                                  // a node carries its very name
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
      if (!r.works || r.layer != node.name || (r.layer.empty() && (r.ram || r.type != node.op->name))) continue;       // without a name: one step each
      r.ram = std::max(r.ram, alive);
      r.seconds += seconds;
      break;
    }
  }
  return all;
}
// Row 0 is the model; each name's parts, "features" and "features.0", are rows with their layers inside.
std::vector<Row> tree_of(const Graph& g, const std::vector<LayerWork>& layers, const std::map<std::string, std::string>& types, const std::map<std::string, int64_t>& int8) {
  std::vector<Row> rows(1);
  std::map<std::string, size_t> by_name;
  for (const LayerWork& l : layers) {
    auto text = [&](int value) { return value < 0 ? std::string() : shape_text(g.values[size_t(value)].spec); };
    std::vector<size_t> path{0};
    const char dot = l.name.starts_with('/') ? '/' : '.';
    for (size_t from = dot == '/', end = 0; end != l.name.npos && !l.name.empty(); from = end + 1) {
      end = l.name.find(dot, from);
      std::string name = l.name.substr(0, end);
      auto [at, added] = by_name.try_emplace(name, rows.size());
      if (added) {
        auto type = types.find(name);
        rows.push_back({.layer = name, .label = name.substr(from), .type = type == types.end() ? "" : type->second});
        rows[path.back()].inside.push_back(at->second);
      }
      path.push_back(at->second);
    }
    if (l.name.empty()) {
      path.push_back(rows.size());
      rows[0].inside.push_back(rows.size());
      rows.push_back({.label = "-"});
    }
    for (size_t i : path) {
      if (rows[i].input.empty()) rows[i].input = text(l.input);
      if (l.output >= 0) rows[i].output = text(l.output);
    }
    Row& r = rows[path.back()];
    r.works = true;
    if (r.type.empty()) r.type = l.op;
    r.macs = l.cost.macs;
    for (int id : l.parameters) r.parameters += g.values[size_t(id)].constant.numel();
    if (!int8.empty()) r.int8 = l.name.empty() ? parameter_bytes(g, l) : int8.count(l.name) ? int8.at(l.name) : 0;
  }
  return rows;
}
void fold(std::vector<Row>& rows, size_t at, int depth) {
  for (size_t i : std::vector<size_t>(rows[at].inside)) {
    fold(rows, i, depth - 1);
    if (depth > 0) continue;
    Row &r = rows[at], &part = rows[i];
    r.parameters += part.parameters;
    r.macs += part.macs;
    r.int8 = r.int8 < 0 ? part.int8 : r.int8 + std::max<int64_t>(0, part.int8);
    r.ram = std::max(r.ram, part.ram);
    r.seconds += part.seconds;
    r.works |= part.works;
  }
  if (depth <= 0) rows[at].inside.clear();
}
size_t columns(const std::string& s) { return size_t(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xC0) != 0x80; })); }       // of UTF-8

}  // namespace

std::string model_summary(nn::Module& m, const std::vector<Spec>& inputs, const SummaryOptions& o) {
  if (o.depth < 0) throw Error(ErrorKind::value, "model_summary", "a depth of 1 or more, 0 for every layer", std::to_string(o.depth));
  Graph g = bound_graph("model_summary", m, inputs);
  auto types = layer_types(m);
  bool is_static = g.is_static();
  ParameterCount p = count_parameters(m);
  FlopCount f = count_flops(m, inputs);
  std::map<std::string, int64_t> int8 = int8_bytes(g);
  std::vector<LayerWork> layers = layers_of(g);
  std::vector<Row> tree = tree_of(g, layers, types, int8);
  int64_t int8_total = 0;
  for (const Row& r : tree) int8_total += std::max<int64_t>(0, r.int8);
  double seconds = is_static ? add_steps(g, o.device, tree) : 0;
  tree[0].label = tree[0].type = m.type_name();
  if (o.depth) fold(tree, 0, o.depth);
  std::vector<std::vector<std::string>> rows{{"layer", "type", "input", "output", "parameters", "share", "MACs", "int8", "RAM"}};
  if (o.device) rows[0].push_back("time");
  auto add = [&](auto&& self, size_t at, const std::string& before, const std::string& below) -> void {
    const Row& r = tree[at];
    char share[32];
    std::snprintf(share, sizeof share, "%.1f %%", p.total ? 100 * double(r.parameters) / double(p.total) : 0);
    auto own = [&](std::string text) { return r.works ? std::move(text) : std::string(at ? "-" : ""); };
    rows.push_back({before + r.label, at ? r.type : "", r.input, r.output, own(with_commas(r.parameters)), own(share), own(with_commas(r.macs)), own(r.int8 < 0 ? "-" : kilobytes(r.int8)),
                    own(r.ram ? kilobytes(int64_t(r.ram)) : "-")});
    if (o.device) rows.back().push_back(own(r.ram ? milliseconds(r.seconds) : "-"));
    for (size_t i : r.inside) {
      bool last = i == r.inside.back();
      self(self, i, below + (last ? "└─ " : "├─ "), below + (last ? "   " : "│  "));
    }
  };
  add(add, 0, "", "");
  std::vector<size_t> width(rows[0].size());
  for (auto& row : rows) for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], columns(row[i]));
  std::string s;
  for (auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string space(width[i] - columns(row[i]), ' ');
      line += (i ? "  " : "") + (i < 4 ? row[i] + space : space + row[i]);
    }
    s += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
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
