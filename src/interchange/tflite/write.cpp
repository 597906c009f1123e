#include "interchange/tflite/writer.h"
#include "miniten/graph/passes.h"

namespace miniten {

namespace tflite_file {

bool says_nhwc(const Graph& g, const char* key) {
  auto at = g.metadata.find(key);
  return at != g.metadata.end() && at->second == "NHWC";
}

void Writer::finish_outputs(TfliteReport& report) {
  std::set<std::string> used;
  std::set<int> taken;
  for (const Port& p : file.inputs) taken.insert(p.tensor);
  for (size_t k = 0; k < states_.size(); ++k) {                  // written while the outputs stand as they are
    int id = g_.outputs[ports(g_.outputs) + k], entry = g_.inputs[ports(g_.inputs) + k];
    const Shape& shape = g_.values[size_t(id)].spec.shape;
    TfliteValue y = values_[size_t(id)];
    const TfliteValue& home = values_[size_t(entry)];
    if (y.tensor < 0) y = TfliteValue::plain(constant(g_.values[size_t(id)].constant, file.variables[k].name, file.variables[k].quantized), shape);
    file.operators.push_back({"ASSIGN_VARIABLE", {handles_[k], stored_value(y, shape, home.order)}, {}, {}});
  }
  for (size_t i = 0; i < ports(g_.outputs); ++i) {
    int id = g_.outputs[i];
    const Value& v = g_.values[size_t(id)];
    TfliteValue y = values_[size_t(id)];
    const Shape& shape = v.spec.shape;
    if (y.tensor < 0) y = TfliteValue::plain(constant(v.constant, v.name, nullptr), shape);
    std::string name = i < o_.output_names.size() ? o_.output_names[i] : v.name.empty() ? "output" : v.name;
    while (!used.insert(name).second) name += "_" + std::to_string(i);
    QuantizedRef q;
    int p = g_.producer(id);
    bool integers = o_.output_type != DType::f32 && v.spec.dtype == DType::f32;
    if (integers) {
      bool from_integers = p >= 0 && g_.nodes[size_t(p)].op->traits.converts == Conversion::to_floats;
      if (!from_integers)
        throw Error(ErrorKind::value, "export_tflite", "an output that is quantised inside, for inference_output_type=\"" + std::string(name_of(o_.output_type)) + "\"", "\"" + name + "\" is computed in floats",
                    "quantise the model with calibration data, or leave inference_output_type at float32");
      y = values_[size_t(g_.nodes[size_t(p)].in[0])];
      q = quantized(y.tensor);
      if (o_.output_type != q->dtype) {
        if (o_.output_type != DType::u8 || q->dtype != DType::i8)
          throw Error(ErrorKind::value, "export_tflite", "inference_output_type float32" + std::string(q->dtype == DType::i8 ? ", int8 or uint8" : " or int16"), std::string(name_of(o_.output_type)));
        q = std::make_shared<Quantized>(Quantized{q->scale, {q->zero[0] + 128}, -1, 0, DType::u8});
        y.tensor = emit_one("QUANTIZE", {y.tensor}, {}, {DType::u8, spec(y.tensor).shape}, q);
      }
    }
    if (v.spec.dtype == DType::u8 && spec(y.tensor).dtype == DType::i8 && (q = quantized(y.tensor))) {      // inside it is int8
      q = std::make_shared<Quantized>(Quantized{q->scale, {q->zero[0] + 128}, -1, 0, DType::u8});
      y.tensor = emit_one("QUANTIZE", {y.tensor}, {}, {DType::u8, spec(y.tensor).shape}, q);
    }
    Axes order = Dims::iota(shape.rank), last = channels_last_axes(shape.rank);
    if (!o_.keep_layout && !says_nhwc(g_, "layout") && shape.rank >= 3 && !is_stored(y, shape, order) && is_stored(y, shape, last)) order = last;
    int t = stored_value(y, shape, order);
    if (taken.count(t) || file.tensors[size_t(t)].data) {           // an output of its own: a copy
      Shape same_shape = spec(t).shape;
      std::vector<int32_t> sizes(same_shape.begin(), same_shape.end());
      t = emit_one("RESHAPE", {t, constant(Tensor::of<int32_t>({int64_t(sizes.size())}, sizes), "shape", nullptr)}, {{"new_shape", std::vector<int64_t>(same_shape.begin(), same_shape.end())}}, spec(t), quantized(t));
    }
    taken.insert(t);
    file.outputs.push_back({name, t});
    q = quantized(t);
    report.outputs.push_back({name, spec(t), order, q ? q->scale[0] : 0, q ? q->zero[0] : 0});
  }
}

void remove_unused(Model& m) {
  std::vector<bool> needed(m.tensors.size()), kept(m.operators.size());
  for (const Port& p : m.outputs) needed[size_t(p.tensor)] = true;
  for (const Port& p : m.inputs) needed[size_t(p.tensor)] = true;
  for (size_t i = m.operators.size(); i-- > 0;) {
    const Operator& op = m.operators[i];
    kept[i] = op.out.empty() || std::any_of(op.out.begin(), op.out.end(), [&](int t) { return needed[size_t(t)]; });
    if (!kept[i]) continue;
    for (int t : op.in) if (t >= 0) needed[size_t(t)] = true;
    for (int t : op.out) needed[size_t(t)] = true;
  }
  std::vector<int> ids(m.tensors.size(), -1);
  std::vector<FileTensor> tensors;
  for (size_t i = 0; i < m.tensors.size(); ++i) {
    if (!needed[i]) continue;
    ids[i] = int(tensors.size());
    tensors.push_back(std::move(m.tensors[i]));
  }
  std::vector<Operator> operators;
  for (size_t i = 0; i < m.operators.size(); ++i) {
    if (!kept[i]) continue;
    for (int& t : m.operators[i].in) if (t >= 0) t = ids[size_t(t)];
    for (int& t : m.operators[i].out) t = ids[size_t(t)];
    operators.push_back(std::move(m.operators[i]));
  }
  for (auto* list : {&m.inputs, &m.outputs}) for (Port& p : *list) p.tensor = ids[size_t(p.tensor)];
  m.tensors = std::move(tensors);
  m.operators = std::move(operators);
}

}  // namespace tflite_file

namespace {

using namespace tflite_file;

// States as inputs and outputs: the last ones. -> what they begin with
std::vector<Tensor> open_states(Graph& g) {
  defer_writes(g);
  const OpDef* assign = find_op("assign");
  std::vector<Tensor> initial;
  std::map<int, int> assigned;                         // exit -> value
  for (const Node& n : g.nodes) if (n.op == assign) assigned[n.out[0]] = n.in[1];
  for (const State& s : g.states) {
    auto value = assigned.find(s.exit);
    if (value == assigned.end()) throw Error(ErrorKind::unsupported, "export_tflite", "states that a model assigns", "a training step", "export the model itself");
    g.inputs.push_back(s.entry);
    g.outputs.push_back(value->second);
    initial.push_back(std::exchange(g.values[size_t(s.entry)].constant, Tensor()));
  }
  g.states.clear();
  std::erase_if(g.nodes, [&](const Node& n) { return n.op == assign; });
  return initial;
}

// What cannot be written is refused before anything is.
void check_forms(const Graph& g) {
  if (!g.is_static()) throw Error(ErrorKind::unsupported, "export_tflite", "known sizes", "an open size", "give input_shape");
  for (const Node& n : g.nodes) {
    bool known = n.op->tflite.rules || n.op->traits.converts != Conversion::none;
    if (!known || !n.subgraphs.empty())
      throw Error(ErrorKind::unsupported, "export_tflite", "ops with a TFLite form", std::string(n.op->name) + (n.name.empty() ? "" : " in layer \"" + n.name + "\""),
                  "remove or replace the layer, or export to ONNX or a native file");
  }
  for (const std::vector<int>* ids : {&g.inputs, &g.outputs})
    for (int id : *ids) {
      DType t = g.values[size_t(id)].spec.dtype;
      if (t == DType::f64 || t == DType::bf16 || t == DType::f16)
        throw Error(ErrorKind::unsupported, "export_tflite", "float32, integers or bool as inputs and outputs", g.values[size_t(id)].spec.text() + " \"" + g.values[size_t(id)].name + "\"", "cast inside the model");
    }
}

int64_t moved_elements(const Model& m) {
  int64_t n = 0;
  for (const Operator& op : m.operators) if (op.type == "TRANSPOSE") n += 1 + m.tensors[size_t(op.out[0])].spec.shape.count();
  return n;
}

}  // namespace

std::vector<std::byte> tflite_bytes(const Graph& given, const TfliteExport& o, TfliteReport* report) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Graph g = given;
  std::vector<Tensor> states = open_states(g);
  fold_constants(g);
  remove_dead(g);
  recognise(g, tflite_patterns());
  fold_batch_norm(g);
  fuse(g);
  remove_dead(g);
  check_forms(g);
  // Which inputs are stored channels-last: all pictures, where that moves no more elements than the order given; others
  // only where it moves less. A graph that says so takes them as they are.
  const bool as_given = says_nhwc(g, "input_layout") || says_nhwc(g, "layout");
  std::vector<bool> last;
  for (int id : g.inputs) last.push_back(g.values[size_t(id)].spec.shape.rank == 4 && !as_given);
  auto attempt = [&](const std::vector<bool>& choice, TfliteReport& r) {
    Writer w(g, o, states);
    w.write(choice);
    w.finish_outputs(r);
    r.inputs = w.inputs;
    remove_unused(w.file);
    return std::move(w.file);
  };
  TfliteReport best_report;
  Model best = attempt(last, best_report);
  for (size_t i = 0; i < last.size() && !o.keep_layout && !as_given; ++i) {
    if (g.values[size_t(g.inputs[i])].spec.shape.rank < 3 || moved_elements(best) == 0) continue;
    last[i] = !last[i];
    TfliteReport r;
    Model other = attempt(last, r);
    if (moved_elements(other) < moved_elements(best)) { best = std::move(other); best_report = r; }
    else last[i] = !last[i];
  }
  best.name = g.name.empty() ? "main" : g.name;
  best.description = "MiniTen " MINITEN_VERSION;
  best.metadata = g.metadata;
  for (const char* own : {"input_layout", "layout", "min_runtime_version"}) best.metadata.erase(own);
  std::vector<std::byte> bytes = bytes_of(best);
  if (report) {
    *report = std::move(best_report);
    report->bytes = bytes.size();
    for (const Operator& op : best.operators) ++report->operators[op.type];
    report->runtime = runtime_of(best);
  }
  return bytes;
}

}  // namespace miniten
