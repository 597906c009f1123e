#include "base/json.h"
#include "miniten/edge/diff.h"
#include <cmath>
#include "edge/models.h"

namespace miniten::edge {

namespace {

// "/features/0/Conv" and "features.0" are one layer: the last part of a path is the operator.
std::string layer_of(std::string name) {
  if (name.find('/') == name.npos) return name;
  name.resize(name.rfind('/'));
  if (!name.empty() && name[0] == '/') name.erase(0, 1);
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}
struct Layer { std::string name, op; bool activation, absorbs; Tensor value; };
struct Seen { std::vector<Layer> layers; std::vector<Tensor> outputs; };

// Channels first or last: TFLite files are of the other order than ONNX files.
const Axes to_last{0, 2, 3, 1}, to_first{0, 3, 1, 2};
bool takes(const Spec& want, const Shape& s) {
  bool fits = want.shape.rank == s.rank;
  for (int i = 0; fits && i < s.rank; ++i) fits = is_symbol(want.shape[i]) || want.shape[i] == s[i];
  return fits;
}
// order: from the inputs' to the model's.
std::vector<Tensor> inputs_for(nn::Module& m, std::vector<Tensor> inputs, Axes& order) {
  auto* g = dynamic_cast<nn::GraphModule*>(&m);
  if (!g || !g->has_graph() || g->graph().inputs.size() != inputs.size()) return inputs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Axes turned = turned_to_fit(inputs[i].shape(), g->graph().values[size_t(g->graph().inputs[i])].spec);
    if (turned.rank) inputs[i] = permute(inputs[i], order = turned);
  }
  return inputs;
}

Tensor as_floats(const Tensor& t, const Quantized* q) {
  Tensor x = cast(t, DType::f64);
  if (!q || q->scale.empty() || q->block != 0) return x;
  Shape shape = Dims::filled(x.rank(), 1);
  if (q->axis >= 0 && q->axis < x.rank()) shape[q->axis] = Dim(q->scale.size());
  std::vector<double> scale(q->scale.begin(), q->scale.end()), zero(q->zero.begin(), q->zero.end());
  if (Shape{Dim(scale.size())}.count() != shape.count()) return x;
  return (x - reshape(Tensor::of<double>({Dim(zero.size())}, zero), shape)) * reshape(Tensor::of<double>({Dim(scale.size())}, scale), shape);
}

// The last number of every named layer, and the outputs.
Seen run(nn::Module& m, const std::vector<Tensor>& given, bool turn = false) {
  NoGrad no_grad;
  Axes order;
  std::vector<Tensor> inputs = turn ? inputs_for(m, given, order) : given;
  std::vector<Spec> specs;
  for (const Tensor& t : inputs) specs.push_back(t.spec());
  Graph g = bind_inputs(graph_for("diff", m, specs), specs);
  struct Last { std::string layer; int value; };
  std::vector<Last> last;
  std::map<int, const OpDef*> ops;
  for (const Node& n : g.nodes) {
    std::string layer = layer_of(n.name);
    if (layer.empty() || n.out.empty()) continue;
    const Value& v = g.values[size_t(n.out[0])];
    if (!is_float(v.spec.dtype) && !v.quantized) continue;               // integers that stand for nothing known
    auto known = std::find_if(last.begin(), last.end(), [&](const Last& l) { return l.layer == layer; });
    if (known == last.end()) last.push_back({layer, n.out[0]});
    else known->value = n.out[0];
    ops[n.out[0]] = n.op;
  }
  size_t outputs = g.outputs.size();
  for (const Last& l : last) g.outputs.push_back(l.value);
  std::vector<Tensor> values = replay(g, inputs);
  Seen s;
  for (size_t i = 0; i < values.size(); ++i) {
    Tensor x = as_floats(values[i], g.values[size_t(g.outputs[i])].quantized.get());
    if (order.rank && x.rank() == 4) x = permute(x, order == to_last ? to_first : to_last);
    if (i < outputs) s.outputs.push_back(x);
    else {
      const Last& l = last[i - outputs];
      s.layers.push_back({l.layer, std::string(ops[l.value]->name), ops[l.value]->traits.activation, ops[l.value]->absorb != nullptr, x});
    }
  }
  return s;
}

DiffRow compare(const Tensor& a, const Tensor& b, double tolerance) {
  auto x = a.to_vector<double>(), y = b.to_vector<double>();
  DiffRow r;
  r.shape = a.shape();
  double gap = 0, scale = 1, signal = 0, noise = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) { if (std::isfinite(x[i])) { signal += x[i] * x[i]; scale = std::max(scale, std::abs(x[i])); } continue; }
    double d = x[i] - y[i];
    gap = std::isnan(d) ? HUGE_VAL : std::max(gap, std::abs(d));
    if (std::isfinite(x[i])) { scale = std::max(scale, std::abs(x[i])); signal += x[i] * x[i]; }
    noise += d * d;
  }
  r.difference = gap / scale;
  r.sqnr_db = noise == 0 ? HUGE_VAL : 10 * std::log10(signal / noise);
  r.parts = !(r.difference <= tolerance);
  return r;
}

}  // namespace

Axes turned_to_fit(const Shape& image, const Spec& want) {
  if (image.rank != 4 || takes(want, image)) return {};
  for (const Axes& order : {to_last, to_first}) {
    Shape turned;
    for (Dim axis : order) turned.push(image[int(axis)]);
    if (takes(want, turned)) return order;
  }
  return {};
}

DiffReport diff(nn::Module& a, nn::Module& b, const std::vector<Tensor>& inputs, double tolerance) {
  if (!(tolerance >= 0)) throw Error(ErrorKind::value, "diff", "a tolerance of 0 or more", std::to_string(tolerance));
  Seen one = run(a, inputs), two = run(b, inputs, true);
  if (one.outputs.size() != two.outputs.size())
    throw Error(ErrorKind::value, "diff", "models of as many outputs", std::to_string(one.outputs.size()) + " and " + std::to_string(two.outputs.size()));
  DiffReport report;
  report.tolerance = tolerance;
  std::vector<bool> taken(two.layers.size());
  size_t next = 0;
  auto b_has = [&](const std::string& name) { return std::any_of(two.layers.begin(), two.layers.end(), [&](const Layer& o) { return o.name == name; }); };
  for (size_t k = 0; k < one.layers.size(); ++k) {
    const Layer& l = one.layers[k];
    size_t at = two.layers.size();
    for (size_t i = 0; i < two.layers.size(); ++i)
      if (!taken[i] && two.layers[i].name == l.name && two.layers[i].value.shape() == l.value.shape()) { at = i; break; }
    bool named = at < two.layers.size();
    for (size_t i = next; !named && i < two.layers.size(); ++i) {       // in order, where b's name is none of a's
      bool a_has = std::any_of(one.layers.begin(), one.layers.end(), [&](const Layer& o) { return o.name == two.layers[i].name; });
      if (!taken[i] && !a_has && two.layers[i].op == l.op && two.layers[i].value.shape() == l.value.shape()) { at = i; break; }
    }
    if (at == two.layers.size()) continue;
    taken[at] = true;
    next = at + 1;
    // b's layer took up what are layers of their own in a, an activation or a scale: they are compared after those.
    auto absorbed = [&](size_t i) { return (one.layers[i].activation || l.absorbs) && !b_has(one.layers[i].name) && one.layers[i].value.shape() == l.value.shape(); };
    while (named && k + 1 < one.layers.size() && absorbed(k + 1)) ++k;
    const Layer& mine = one.layers[k];
    DiffRow r = compare(mine.value, two.layers[at].value, tolerance);
    r.layer = mine.name;
    r.other = two.layers[at].name;
    r.op = mine.op;
    report.rows.push_back(r);
  }
  for (size_t i = 0; i < one.outputs.size(); ++i) {
    if (one.outputs[i].shape() != two.outputs[i].shape())
      throw Error(ErrorKind::value, "diff", "outputs of one shape", one.outputs[i].shape().text() + " and " + two.outputs[i].shape().text());
    DiffRow r = compare(one.outputs[i], two.outputs[i], tolerance);
    r.layer = r.other = "output " + std::to_string(i);
    report.rows.push_back(r);
  }
  for (const DiffRow& r : report.rows) if (r.parts) { report.first = r.layer; break; }
  return report;
}

std::string DiffReport::to_text() const {
  std::string s;
  char line[256];
  std::snprintf(line, sizeof line, "%-28s %-20s %12s %10s\n", "layer", "shape", "difference", "SQNR dB");
  s += line;
  for (const DiffRow& r : rows) {
    std::snprintf(line, sizeof line, "%-28s %-20s %12.3g %10.1f%s\n", r.layer.c_str(), r.shape.text().c_str(), r.difference, r.sqnr_db, r.parts ? "  parts" : "");
    s += line;
  }
  return s + (first ? "first to part: " + *first : "no layer parts") + "\n";
}
std::string DiffReport::to_json() const {
  nlohmann::ordered_json j{{"first", first ? nlohmann::ordered_json(*first) : nlohmann::ordered_json()}, {"tolerance", tolerance}, {"rows", nlohmann::ordered_json::array()}};
  auto number = [](double v) { return std::isfinite(v) ? nlohmann::ordered_json(v) : nlohmann::ordered_json(); };
  for (const DiffRow& r : rows)
    j["rows"].push_back({{"layer", r.layer}, {"other", r.other}, {"op", r.op}, {"shape", std::vector<int64_t>(r.shape.begin(), r.shape.end())},
                         {"difference", number(r.difference)}, {"sqnr_db", number(r.sqnr_db)}, {"parts", r.parts}});
  return j.dump();
}

}  // namespace miniten::edge
