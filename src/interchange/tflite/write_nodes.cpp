#include "interchange/tflite/writer.h"

namespace miniten::tflite_file {

// What a quantize or dequantize node with constant parameters does, by tensor.
QuantizedRef Writer::parameters(const Node& n) const {
  if (n.in.size() < 3 || !g_.is_constant(n.in[1]) || !g_.is_constant(n.in[2])) return nullptr;
  const Tensor &scale = g_.values[size_t(n.in[1])].constant, &zero = g_.values[size_t(n.in[2])].constant;
  if (scale.numel() != 1) return nullptr;
  Tensor wide = Tensor::empty({DType::i32, zero.shape()});
  copy_values(zero.view(), wide.view());
  return signed_form(std::make_shared<Quantized>(Quantized{scale.to_vector<float>(), wide.to_vector<int32_t>(), -1, 0, zero.dtype()}));
}

// quantize and dequantize: the format's own operators, or nothing where the integers are there.
std::vector<TfliteValue> Writer::converted(const Node& n) {
  TfliteValue x = values_[size_t(n.in[0])];
  bool to_floats = n.op->traits.converts == Conversion::to_floats;
  if (x.tensor < 0) {                                              // a constant: as it is, with what it stands for
    const Value& v = g_.values[size_t(n.in[0])];
    if (!to_floats) throw Error(ErrorKind::unsupported, "export_tflite", "constants quantised before export", "\"" + v.name + "\"");
    Tensor scale = g_.values[size_t(n.in[1])].constant, zero = g_.values[size_t(n.in[2])].constant;
    if (!scale || !zero) throw Error(ErrorKind::unsupported, "export_tflite", "constant scales", "computed ones in layer \"" + n.name + "\"");
    Tensor wide = Tensor::empty({DType::i32, zero.shape()});
    copy_values(zero.view(), wide.view());
    auto q = std::make_shared<Quantized>(Quantized{scale.to_vector<float>(), wide.to_vector<int32_t>(), -1, 0, v.spec.dtype});
    if (scale.rank() == 1)
      n.op->attrs.fields(const_cast<void*>(n.attributes()), [&](std::string_view name, FieldSlot slot) {
        if (name == "axis") q->axis = int(*std::get<int64_t*>(slot));
      });
    int t = constant(v.constant, v.name.empty() ? "constant" : v.name, q);
    return {TfliteValue::plain(emit_one("DEQUANTIZE", {t}, {}, {DType::f32, v.spec.shape}), v.spec.shape)};
  }
  QuantizedRef q = parameters(n);
  if (!q) throw Error(ErrorKind::unsupported, "export_tflite", "one constant scale for each activation", "others in layer \"" + n.name + "\"");
  const Shape shape = spec(x.tensor).shape;
  if (to_floats) {
    if (!same(quantized(x.tensor), q)) throw Error(ErrorKind::value, "export_tflite", "integers with one meaning", "two scales for one value in layer \"" + n.name + "\"");
    x.tensor = emit_one("DEQUANTIZE", {x.tensor}, {}, {DType::f32, shape});
  } else {
    int p = g_.producer(n.in[0]);                                  // of integers with another meaning: without floats between
    bool again = p >= 0 && g_.nodes[size_t(p)].op->traits.converts == Conversion::to_floats && values_[size_t(g_.nodes[size_t(p)].in[0])].tensor >= 0;
    if (again) x = values_[size_t(g_.nodes[size_t(p)].in[0])];
    x.tensor = emit_one("QUANTIZE", {x.tensor}, {}, {q->dtype, shape}, q);
  }
  return {x};
}

// dequantize -> op -> quantize, where the format computes on integers itself.
bool Writer::write_in_integers(const Node& n) {
  auto* rules = static_cast<const TfliteRules*>(n.op->tflite.rules);
  if (!rules || rules->integers == TfliteRules::none || n.out.size() != 1 || n.op->traits.converts != Conversion::none) return false;
  if (g_.values[size_t(n.out[0])].spec.dtype != DType::f32 || std::count(g_.outputs.begin(), g_.outputs.end(), n.out[0])) return false;
  auto readers = g_.readers(n.out[0]);
  QuantizedRef out;
  for (int r : readers) {
    const Node& reader = g_.nodes[size_t(r)];
    QuantizedRef q = reader.op->traits.converts == Conversion::to_integers && reader.in[0] == n.out[0] ? parameters(reader) : nullptr;
    if (!q || (out && !same(out, q))) return false;
    out = q;
  }
  if (!out || (out->dtype != DType::i8 && (out->dtype != DType::i16 || rules->integers != TfliteRules::i8_and_i16))) return false;
  QuantizedRef fixed = out;
  if (rules->range != TfliteRules::free) {
    bool wide = out->dtype == DType::i16, unit = rules->range == TfliteRules::unit;
    fixed = std::make_shared<Quantized>(Quantized{{wide ? 1 / 32768.0f : unit ? 1 / 256.0f : 1 / 128.0f}, {!wide && unit ? -128 : 0}, -1, 0, out->dtype});
  }
  std::vector<TfliteValue> in;
  std::vector<QuantizedRef> q_in;
  for (int id : n.in) {
    const Value& v = g_.values[size_t(id)];
    in.push_back(values_[size_t(id)]);
    q_in.push_back(nullptr);
    if (v.spec.dtype != DType::f32 || values_[size_t(id)].tensor < 0) continue;
    int p = g_.producer(id);
    if (p < 0 || g_.nodes[size_t(p)].op->traits.converts != Conversion::to_floats || g_.is_constant(g_.nodes[size_t(p)].in[0])) return false;
    TfliteValue integers = values_[size_t(g_.nodes[size_t(p)].in[0])];
    q_in.back() = quantized(integers.tensor);
    if (!q_in.back() || q_in.back()->dtype != out->dtype) return false;
    in.back() = integers;
  }
  bool any = false;
  for (auto& q : q_in) any |= bool(q);
  if (!any) return false;
  // For the rule the operands are the integers.
  std::vector<TfliteValue> floats;
  for (size_t k = 0; k < n.in.size(); ++k) { floats.push_back(values_[size_t(n.in[k])]); values_[size_t(n.in[k])] = in[k]; }
  auto in_specs = g_.specs(n.in), out_specs = g_.specs(n.out);
  auto constants = g_.constants(n.in);
  std::vector<Input> known(constants.begin(), constants.end());
  size_t operators = file.operators.size();
  TfliteCall f{{*n.op, n.attributes(), in_specs, out_specs, known}, in, n.name, q_in, fixed};
  auto result = rules->write(*this, f);
  for (size_t k = 0; k < n.in.size(); ++k) values_[size_t(n.in[k])] = floats[k];
  if (result.empty()) {
    if (file.operators.size() != operators) throw Error(ErrorKind::value, "export_tflite", "rules that refuse before they write", std::string(n.op->name));
    return false;
  }
  TfliteValue y = result[0];
  if (!same(fixed, out)) y.tensor = emit_one("QUANTIZE", {y.tensor}, {}, {out->dtype, spec(y.tensor).shape}, out);
  for (int r : readers) {
    done_.insert(r);
    values_[size_t(g_.nodes[size_t(r)].out[0])] = y;
  }
  return true;
}

std::vector<TfliteValue> Writer::write_node(size_t index) {
  const Node& n = g_.nodes[index];
  if (n.op->traits.converts != Conversion::none && !static_cast<const TfliteRules*>(n.op->tflite.rules)) return converted(n);
  std::vector<TfliteValue> in;
  for (int id : n.in) in.push_back(values_[size_t(id)]);
  auto in_specs = g_.specs(n.in), out_specs = g_.specs(n.out);
  auto constants = g_.constants(n.in);
  std::vector<Input> known(constants.begin(), constants.end());
  std::vector<QuantizedRef> none(n.in.size());
  TfliteCall f{{*n.op, n.attributes(), in_specs, out_specs, known}, in, n.name, none, nullptr};
  f.used = 0;
  for (size_t i = 0; i < n.out.size(); ++i)
    if (!g_.readers(n.out[i]).empty() || std::count(g_.outputs.begin(), g_.outputs.end(), n.out[i])) f.used |= 1u << i;
  f.unroll = o_.unroll;
  return static_cast<const TfliteRules*>(n.op->tflite.rules)->write(*this, f);
}

// Of state k: the operators in front of all others that read what the file's variable holds.
int Writer::read_variable(size_t k, const Value& v, const Spec& s, const QuantizedRef& q) {
  std::string name = v.name.empty() ? "state" : v.name;
  auto taken = [&](const std::string& n) { return std::any_of(file.variables.begin(), file.variables.end(), [&](const Variable& o) { return o.name == n; }); };
  while (taken(name)) name += "_" + std::to_string(k);
  if (k == 0) file.operators.push_back({"CALL_ONCE", {}, {}, {{"init_subgraph_index", int64_t{1}}}});
  handles_.push_back(emit_one("VAR_HANDLE", {}, {{"container", std::string()}, {"shared_name", name}}, {}));
  file.tensors[size_t(handles_.back())].resource = true;
  int t = emit_one("READ_VARIABLE", {handles_.back()}, {}, s, q);
  Tensor initial = Tensor::empty(s);
  View from = states_[k].view();
  TfliteValue home = values_[size_t(g_.inputs[ports(g_.inputs) + k])];
  Strides strides;
  for (Dim axis : home.order) strides.push(from.strides[int(axis)]);
  from.spec.shape = s.shape;
  from.strides = strides;
  copy_values(from, initial.view());
  file.variables.push_back({std::move(name), initial, q});
  return t;
}

void Writer::write(const std::vector<bool>& channels_last) {
  std::set<std::string> used;
  for (size_t i = 0; i < g_.inputs.size(); ++i) {
    const Value& v = g_.values[size_t(g_.inputs[i])];
    const bool is_state = i >= ports(g_.inputs);
    std::string name = i < o_.input_names.size() ? o_.input_names[i] : v.name.empty() ? "input" : v.name;
    while (!used.insert(name).second) name += "_" + std::to_string(i);
    Axes order = channels_last[i] && !o_.keep_layout ? channels_last_axes(v.spec.shape.rank) : Dims::iota(v.spec.shape.rank);
    Spec s{v.spec.dtype, {}};
    for (Dim k : order) s.shape.push(v.spec.shape[int(k)]);
    QuantizedRef inner;                                            // integers that all its readers want
    bool all = true;
    for (int r : g_.readers(g_.inputs[i])) {
      const Node& n = g_.nodes[size_t(r)];
      QuantizedRef q = n.op->traits.converts == Conversion::to_integers && n.in[0] == g_.inputs[i] ? parameters(n) : nullptr;
      all &= q && (!inner || same(inner, q));
      inner = q;
    }
    bool integers = o_.input_type != DType::f32 && v.spec.dtype == DType::f32 && !is_state;
    if (integers && (!inner || !all))
      throw Error(ErrorKind::value, "export_tflite", "an input that is quantised inside, for inference_input_type=\"" + std::string(name_of(o_.input_type)) + "\"", "\"" + name + "\" is read as floats",
                  "quantise the model with calibration data, or leave inference_input_type at float32");
    QuantizedRef q;
    if (!is_float(v.spec.dtype) && v.quantized && v.quantized->scale.size() == 1) {              // a graph of integers
      inner = signed_form(v.quantized);
      q = v.quantized;
    }
    if (integers) {
      q = inner;
      if (o_.input_type != inner->dtype) {
        if (o_.input_type != DType::u8 || inner->dtype != DType::i8)
          throw Error(ErrorKind::value, "export_tflite", "inference_input_type float32" + std::string(inner->dtype == DType::i8 ? ", int8 or uint8" : " or int16"), std::string(name_of(o_.input_type)));
        q = std::make_shared<Quantized>(Quantized{inner->scale, {inner->zero[0] + 128}, -1, 0, DType::u8});
      }
      s.dtype = o_.input_type;
    }
    values_[size_t(g_.inputs[i])] = {-1, v.spec.shape, order};
    int t = is_state ? read_variable(i - ports(g_.inputs), v, s, q) : add(name, s, q);
    if (!is_state) {
      file.inputs.push_back({name, t});
      inputs.push_back({name, s, order, q ? q->scale[0] : 0, q ? q->zero[0] : 0});
    }
    TfliteValue x{t, v.spec.shape, order};
    values_[size_t(g_.inputs[i])] = x;
    if (q && inner && q->dtype != inner->dtype) x.tensor = emit_one("QUANTIZE", {t}, {}, {inner->dtype, s.shape}, inner);
    values_[size_t(g_.inputs[i])] = x;
    if (!integers) continue;
    for (int r : g_.readers(g_.inputs[i])) {
      done_.insert(r);
      values_[size_t(g_.nodes[size_t(r)].out[0])] = x;
    }
  }
  for (size_t k = 0; k < g_.nodes.size(); ++k) {
    const Node& n = g_.nodes[k];
    node_ = &n;
    layer_ = n.name;
    if (done_.count(int(k))) continue;
    if (write_in_integers(n)) continue;
    auto out = write_node(k);
    for (size_t i = 0; i < n.out.size(); ++i) values_[size_t(n.out[i])] = out[i];
  }
  node_ = nullptr;
  layer_.clear();
}

}  // namespace miniten::tflite_file
