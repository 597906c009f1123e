#include "ops/recurrent.h"
#include "miniten/ops/ops.h"
#include "ops/tflite_write.h"

// LSTM and RNN layers as the format's sequence operators, whose states begin at zero and stand in variables of the file;
// the others, and what those cannot give, step by step.
namespace miniten::to_tflite {

namespace {

struct Layer {
  TfliteWriter& w;
  const TfliteCall& f;
  RecurrentAttrs at;
  RecurrentInputs i;
  CellKind cell;
  Shape x, y;                                    // (T, N, I), (T, N, H)
  int64_t gates, units;
  Axes order{0, 1, 2};                           // of x and y as they lie: steps or batch first

  Layer(TfliteWriter& writer, const TfliteCall& call)
      : w(writer), f(call), at(call.call.as<RecurrentAttrs>()), i(at), cell(cell_of(at)), x(call.shape(0)), y(call.call.out[0].shape), gates(recurrent_gates(cell)), units(y[2]) {
    if (!f.is_constant(0) && !is_stored(f.in[0], x, order) && is_stored(f.in[0], x, {1, 0, 2})) order = {1, 0, 2};
  }
  int time() const { return axis_in(order, 0); }
  Spec spec(const Shape& s) const { return {DType::f32, s}; }
  int list(std::vector<int32_t> v, const char* hint) { return w.constant(Tensor::of<int32_t>({int64_t(v.size())}, v), hint); }
  int part(int t, int axis, int64_t from, int64_t size) {
    Shape s = w.spec(t).shape;
    std::vector<int32_t> begin(size_t(s.rank), 0);
    begin[size_t(axis)] = int32_t(from);
    s[axis] = size;
    return w.emit_one("SLICE", {t, list(begin, "begin"), list({s.begin(), s.end()}, "size")}, {}, spec(s));
  }
  const Tensor& known(int input, const char* what) const {
    const Tensor* t = f.call.value(input);
    if (!t) f.refuse("constant weights", std::string("a computed ") + what);
    return *t;
  }
  // The place of torch's k-th gate.
  int64_t place(int64_t k) const {
    constexpr int64_t lstm[] = {0, 2, 3, 1}, gru[] = {1, 0, 2, 3};
    return !at.onnx_gates || gates == 1 ? k : gates == 4 ? lstm[k] : gru[k];
  }
  Tensor gate(const Tensor& t, int64_t k) const { return miniten::slice(t, 0, place(k) * units, (place(k) + 1) * units).clone(); }
  bool starts_at_zero() const {
    for (int k : {i.h0, i.c0}) {
      if (k < 0) continue;
      const Tensor* t = f.call.value(k);
      if (!t) return false;
      for (float v : t->to_vector<float>()) if (v != 0) return false;
    }
    return true;
  }
  Values done(int out, int cell_state) {
    Values result{{out, y, order}, {}, {}, {}};
    if (f.is_used(1)) result[1] = TfliteValue::plain(w.reshaped(part(out, time(), at.reverse ? 0 : y[0] - 1, 1), {y[1], units}), {y[1], units});
    if (cell_state >= 0) result[2] = TfliteValue::plain(cell_state, {y[1], units});
    return result;
  }

  Values as_sequence() {
    int in = w.stored(0, x, order);
    auto turned = [&](int t) { return at.reverse ? w.emit_one("REVERSE_V2", {t, list({time()}, "axis")}, {}, w.spec(t)) : t; };
    in = turned(in);
    Tensor from_x = known(i.w_ih, "weight"), from_h = known(i.w_hh, "weight"), bias = Tensor::full({gates * units}, 0);
    if (at.bias) bias = known(i.b_ih, "bias") + known(i.b_hh, "bias");
    Spec state = spec({y[1], units});
    ForeignAttributes options{{"fused_activation_function", int64_t{cell == CellKind::relu ? 1 : 4}}, {"time_major", int64_t{time() == 0}}};
    std::vector<int> inputs{in};
    if (cell == CellKind::lstm) {
      for (int64_t k = 0; k < 4; ++k) inputs.push_back(w.constant(gate(from_x, k), "weight"));         // input, forget, cell, output
      for (int64_t k = 0; k < 4; ++k) inputs.push_back(w.constant(gate(from_h, k), "recurrent_weight"));
      inputs.insert(inputs.end(), {-1, -1, -1});
      for (int64_t k = 0; k < 4; ++k) inputs.push_back(w.constant(gate(bias, k), "bias"));
      inputs.insert(inputs.end(), {-1, -1, w.variable(state, "state"), w.variable(state, "cell_state"), -1, -1, -1, -1});
    } else {
      inputs.insert(inputs.end(), {w.constant(from_x, "weight"), w.constant(from_h, "recurrent_weight"), w.constant(bias, "bias"), w.variable(state, "state")});
    }
    return done(turned(w.emit_one(cell == CellKind::lstm ? "UNIDIRECTIONAL_SEQUENCE_LSTM" : "UNIDIRECTIONAL_SEQUENCE_RNN", inputs, options, spec(ordered(y, order)))), -1);
  }

  Values step_by_step() {
    int64_t n = y[1], width = gates * units;
    auto op = [&](const char* type, std::vector<int> in) { return w.emit_one(type, std::move(in), {}, spec({n, units})); };
    Shape wide = ordered(x, order);
    wide[2] = width;
    int from_x = w.emit_one("FULLY_CONNECTED", {w.stored(0, x, order), w.stored(i.w_ih, {width, x[2]}, {0, 1}), at.bias ? w.stored(i.b_ih, {width}, {0}) : -1}, {{"keep_num_dims", int64_t{1}}}, spec(wide));
    auto state = [&](int k) { return k < 0 ? w.constant(Tensor::full({n, units}, 0), "zeros") : w.stored(k, {n, units}, {0, 1}); };
    int h = state(i.h0), c = cell == CellKind::lstm ? state(i.c0) : -1, weight = w.stored(i.w_hh, {width, units}, {0, 1}), bias = at.bias ? w.stored(i.b_hh, {width}, {0}) : -1;
    std::vector<int> steps(static_cast<size_t>(x[0]));
    Shape row = ordered(y, order);
    row[time()] = 1;
    for (int64_t k = 0; k < x[0]; ++k) {
      int64_t t = at.reverse ? x[0] - 1 - k : k;
      int xs = w.reshaped(part(from_x, time(), t, 1), {n, width}), hs = w.emit_one("FULLY_CONNECTED", {h, weight, bias}, {}, spec({n, width}));
      auto of = [&](int v, int64_t g) { return gates == 1 ? v : part(v, 1, place(g) * units, units); };
      if (cell == CellKind::lstm) {
        int all = w.emit_one("ADD", {xs, hs}, {}, spec({n, width}));
        auto open = [&](int64_t g) { return op("LOGISTIC", {of(all, g)}); };
        c = op("ADD", {op("MUL", {open(1), c}), op("MUL", {open(0), op("TANH", {of(all, 2)})})});
        h = op("MUL", {open(3), op("TANH", {c})});
      } else if (cell == CellKind::gru) {
        int r = op("LOGISTIC", {op("ADD", {of(xs, 0), of(hs, 0)})}), z = op("LOGISTIC", {op("ADD", {of(xs, 1), of(hs, 1)})});
        int candidate = op("TANH", {op("ADD", {of(xs, 2), op("MUL", {r, of(hs, 2)})})});
        h = op("ADD", {candidate, op("MUL", {z, op("SUB", {h, candidate})})});
      } else h = op(cell == CellKind::relu ? "RELU" : "TANH", {op("ADD", {xs, hs})});
      steps[size_t(t)] = w.reshaped(h, row);
    }
    int out = steps.size() == 1 ? steps[0] : w.emit_one("CONCATENATION", steps, {{"axis", int64_t{time()}}}, spec(ordered(y, order)));
    return done(out, c);
  }
};

Values write_recurrent(TfliteWriter& w, const TfliteCall& f) {
  Layer layer(w, f);
  if (f.call.in[0].dtype != DType::f32) f.refuse("float32", f.call.in[0].text());
  if (layer.at.lengths) f.refuse("sequences of one length", "lengths");
  if (f.is_used(3)) f.refuse("a layer for inference", "one that keeps values for its gradient", "call eval() first");
  if (layer.x[0] < 1) f.refuse("at least one step", layer.x.text());
  bool builtin = layer.cell != CellKind::gru && !f.unroll && !f.is_used(2) && layer.starts_at_zero();
  return builtin ? layer.as_sequence() : layer.step_by_step();
}

}  // namespace

constinit const TfliteRules recurrent{write_recurrent};

}  // namespace miniten::to_tflite
