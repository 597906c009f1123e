#include "ops/recurrent.h"
#include "ops/tflite_rules.h"

// Recurrent operators, unrolled over their steps. Their states are variables: they keep their values from run to run.
namespace miniten::tflite {

namespace {

// A state as floats, and back in its own numbers.
Tensor state(const ForeignNode& n, int i) { return real(n, i); }
void keep(const ForeignNode& n, int i, const Tensor& given) {
  require_unconditional(n);
  Tensor home = n.required(i), value = detach(given);                    // gradients end where a run does
  if (is_float(home.dtype())) return miniten::assign(home, value);
  const Quantized* q = n.quantized_input(i);
  if (!is_quantized(home.dtype(), q) || q->scale.size() != 1) n.fail("a float or quantised state", home.spec().text());
  Tensor scale = Tensor::full({}, double(q->scale[0])), zero = Tensor::full({}, q->zero[0], home.dtype());
  miniten::assign(home, miniten::quantize(value, scale, zero));
}
Tensor weight(const ForeignNode& n, int i) { return i < n.inputs() && n.input(i) ? real(n, i) : Tensor(); }
// x @ w^T, where there is such a weight.
Tensor times(const Tensor& x, const Tensor& w) { return w ? miniten::linear(x, w) : Tensor(); }
Tensor plus(const Tensor& a, const Tensor& b) { return !a ? b : !b ? a : a + b; }
Tensor activation(const ForeignNode& n, const Tensor& x) { return activated(n, x); }
Tensor cut(const Tensor& x, double limit) { return limit > 0 ? miniten::clamp(x, float(-limit), float(limit)) : x; }

// Steps in front; `major`: the file has them there.
Tensors steps_of(const ForeignNode& n, const Tensor& x, bool major) {
  if (x.rank() != 3 || !x.shape().is_static()) n.fail("sequences of known sizes", x.spec().text());
  if (int64_t steps = x.dim(major ? 0 : 1); steps > most_unrolled_steps) n.fail("at most " + std::to_string(most_unrolled_steps) + " steps", std::to_string(steps), "run it in parts, or as a streaming model");
  return unbind(x, major ? 0 : 1);
}

struct Gate { Tensor w, r, peephole, bias, norm; };
// Input i of 24: where the full LSTM has its parts.
struct Lstm {
  Gate gates[4];                                                          // input, forget, cell, output
  Tensor projection, projection_bias;
  double cell_clip, proj_clip;
  bool cifg;
  const ForeignNode& n;

  explicit Lstm(const ForeignNode& node)
      : projection(weight(node, 16)), projection_bias(weight(node, 17)), cell_clip(node.number("cell_clip", 0)), proj_clip(node.number("proj_clip", 0)), n(node) {
    for (int g = 0; g < 4; ++g) {
      gates[g] = {weight(n, 1 + g), weight(n, 5 + g), {}, weight(n, 12 + g), weight(n, 20 + g)};
      if (g != 2) gates[g].peephole = weight(n, g == 0 ? 9 : g == 1 ? 10 : 11);
    }
    cifg = !gates[0].w;
    for (int g = cifg ? 1 : 0; g < 4; ++g) if (!gates[g].w || !gates[g].r) n.fail("weights of every gate", "none for gate " + std::to_string(g));
  }
  Tensor gate(int g, const Tensor& x, const Tensor& h, const Tensor& cell) const {
    const Gate& at = gates[g];
    Tensor y = plus(times(x, at.w), times(h, at.r));
    if (at.peephole) y = y + at.peephole * cell;
    if (at.norm) {
      Tensor centred = y - mean(y, {-1}, true);
      y = centred / miniten::sqrt(mean(centred * centred, {-1}, true) + 1e-8) * at.norm;
    }
    return plus(y, at.bias);
  }
  void step(const Tensor& x, Tensor& h, Tensor& cell) const {
    Tensor forget = sigmoid(gate(1, x, h, cell)), enter = cifg ? 1.0 - forget : sigmoid(gate(0, x, h, cell));
    Tensor next = cut(forget * cell + enter * activation(n, gate(2, x, h, cell)), cell_clip);
    h = sigmoid(gate(3, x, h, next)) * activation(n, next);
    if (projection) h = cut(plus(times(h, projection), projection_bias), proj_clip);
    cell = next;
  }
};

Tensors lstm_sequence(const ForeignNode& n) {
  if (n.inputs() < 20) n.fail("20 or 24 inputs", std::to_string(n.inputs()));
  Lstm lstm(n);
  bool major = n.integer("time_major", 0) != 0;
  Tensor h = state(n, 18), cell = state(n, 19);
  Tensors rows;
  for (const Tensor& x : steps_of(n, real(n, 0), major)) {
    lstm.step(x, h, cell);
    rows.push_back(h);
  }
  if (rows.empty()) n.fail("at least one step", "none");
  keep(n, 18, h);
  keep(n, 19, cell);
  return {result(n, stack(rows, major ? 0 : 1))};
}
Tensors basic_lstm(const ForeignNode& n) {                                // x, h, weights (4 units, in + units), bias, cell
  Tensor x = real(n, 0), h = real(n, 1), w = real(n, 2), b = real(n, 3), cell = real(n, 4);
  Tensor both = miniten::concat(Tensors{x, h}, 1), all = miniten::linear(both, w, b);
  if (all.dim(-1) % 4) n.fail("weights of four gates", w.spec().text());
  auto gates = miniten::split(all, all.dim(-1) / 4, -1);                  // input, new, forget, output
  Tensor next = sigmoid(gates[0]) * miniten::tanh(gates[1]) + sigmoid(gates[2]) * cell;
  Tensor out = sigmoid(gates[3]) * miniten::tanh(next);
  Tensors results{result(n, out, 0)};
  for (int i = 1; i < n.outputs(); ++i) results.push_back(result(n, i == 1 ? next : i == 2 ? both : all, i));
  return results;
}
Tensors lstm(const ForeignNode& n) {
  if (n.integer("kernel_type", 0) == 1) {
    if (n.inputs() != 5) n.fail("5 inputs", std::to_string(n.inputs()));
    return basic_lstm(n);
  }
  if (n.inputs() < 20 || n.outputs() != 1) n.fail("20 or 24 inputs and one output", std::to_string(n.inputs()) + " and " + std::to_string(n.outputs()));
  Lstm cellular(n);
  Tensor h = state(n, 18), cell = state(n, 19);
  cellular.step(real(n, 0), h, cell);
  keep(n, 18, h);
  keep(n, 19, cell);
  return {result(n, h)};
}

Tensors rnn(const ForeignNode& n) {                                       // x, weights, recurrent weights, bias, state
  if (n.inputs() != 5) n.fail("5 inputs", std::to_string(n.inputs()));
  bool sequence = n.type() != "RNN", major = n.integer("time_major", 0) != 0;
  Tensor x = real(n, 0), w = real(n, 1), r = real(n, 2), b = real(n, 3), h = state(n, 4);
  Tensors rows;
  for (const Tensor& step : sequence ? steps_of(n, x, major) : Tensors{x}) {
    h = activation(n, miniten::linear(step, w, b) + miniten::linear(h, r));
    rows.push_back(h);
  }
  if (rows.empty()) n.fail("at least one step", "none");
  keep(n, 4, h);
  return {result(n, sequence ? stack(rows, major ? 0 : 1) : h)};
}

// Each filter's memory moves on by one and is weighed over time.
Tensors svdf(const ForeignNode& n) {                                      // x, feature weights (F, in), time weights (F, memory), bias, state (batch, memory * F)
  if (n.inputs() < 5) n.fail("5 inputs", std::to_string(n.inputs()));
  Tensor x = real(n, 0), w = real(n, 1), time = real(n, 2), b = weight(n, 3), memory = state(n, 4);
  int64_t rank = n.integer("rank", 1), filters = w.dim(0), length = time.dim(1);
  if (rank < 1 || filters % rank || x.rank() != 2 || time.dim(0) != filters || length < 1) n.fail("filters of whole ranks", w.spec().text());
  Tensor past = miniten::reshape(memory, {x.dim(0), filters, length});
  Tensor fresh = unsqueeze(miniten::linear(x, w), 2);
  const Quantized* q = n.quantized_input(4);
  if (q && !is_float(n.required(4).dtype())) {                            // what is kept is what is weighed
    Tensor scale = Tensor::full({}, double(q->scale[0])), zero = Tensor::full({}, q->zero[0], n.required(4).dtype());
    fresh = miniten::dequantize(miniten::quantize(fresh, scale, zero), scale, zero);
  }
  Tensor now = length == 1 ? fresh : miniten::concat(Tensors{miniten::slice(past, 2, 1, length), fresh}, 2);
  keep(n, 4, miniten::reshape(now, memory.shape()));
  Tensor y = sum(miniten::reshape(now * time, {x.dim(0), filters / rank, rank * length}), {2});
  return {result(n, activation(n, plus(y, b)))};
}

constexpr ForeignComposition rules[] = {{"tflite", "UNIDIRECTIONAL_SEQUENCE_LSTM", lstm_sequence}, {"tflite", "LSTM", lstm}, {"tflite", "RNN", rnn},
                                        {"tflite", "UNIDIRECTIONAL_SEQUENCE_RNN", rnn}, {"tflite", "SVDF", svdf}};

}  // namespace

Compositions recurrent_rules() { return rules; }

}  // namespace miniten::tflite
