#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"
#include "ops/recurrent.h"

// RNN, GRU and LSTM: one op where its cell is the usual one, else step by step.
namespace miniten::onnx {

namespace {

using Function = Tensor (*)(const Tensor&, double alpha, double beta);
struct Activation { Function f = nullptr; double alpha = 0, beta = 0; Tensor operator()(const Tensor& x) const { return f(x, alpha, beta); } };
Activation activation(const ForeignNode& n, const std::string& name, double alpha, bool has_alpha, double beta, bool has_beta) {
  auto with = [&](Function f, double a = 0, double b = 0) { return Activation{f, has_alpha ? alpha : a, has_beta ? beta : b}; };
  if (name == "Sigmoid") return with([](const Tensor& x, double, double) { return sigmoid(x); });
  if (name == "Tanh") return with([](const Tensor& x, double, double) { return miniten::tanh(x); });
  if (name == "Relu") return with([](const Tensor& x, double, double) { return relu(x); });
  if (name == "Affine") return with([](const Tensor& x, double a, double b) { return x * a + b; }, 1, 0);
  if (name == "LeakyRelu") return with([](const Tensor& x, double a, double) { return miniten::leaky_relu(x, a); }, 0.01);
  if (name == "ThresholdedRelu") return with([](const Tensor& x, double a, double) { return miniten::where(greater(x, number_like(x, a)), x, number_like(x, 0)); }, 1);
  if (name == "ScaledTanh") return with([](const Tensor& x, double a, double b) { return miniten::tanh(x * b) * a; }, 1, 1);
  if (name == "HardSigmoid") return with([](const Tensor& x, double a, double b) { return miniten::clamp(x * a + b, 0, 1); }, 0.2, 0.5);
  if (name == "Elu") return with([](const Tensor& x, double a, double) { return miniten::where(greater(x, number_like(x, 0)), x, (exp(x) - 1.0) * a); }, 1);
  if (name == "Softsign") return with([](const Tensor& x, double, double) { return x / (abs(x) + 1.0); });
  if (name == "Softplus") return with([](const Tensor& x, double, double) { return softplus(x); });
  n.fail("an activation of ONNX", name);
}

struct Recurrent {
  const ForeignNode& n;
  int gates, functions;                          // of one direction
  int64_t hidden = 0, directions = 1, steps = 0, batch = 0;
  bool by_batch = false;                         // layout 1: (batch, steps, ..)
  float clip = 0;
  Tensor x, w, r, b, lengths, h0;
  std::vector<Activation> activations;

  Recurrent(const ForeignNode& n, int gates, std::vector<std::string> defaults) : n(n), gates(gates), functions(int(defaults.size())) {
    x = n.required(0);
    w = n.required(1);
    r = n.required(2);
    b = optional(n, 3);
    lengths = optional(n, 4);
    h0 = optional(n, 5);
    hidden = n.integer("hidden_size", r.rank() == 3 ? r.dim(2) : 0);
    std::string direction = n.text("direction", "forward");
    if (direction != "forward" && direction != "reverse" && direction != "bidirectional") n.fail("direction forward, reverse or bidirectional", direction);
    directions = direction == "bidirectional" ? 2 : 1;
    by_batch = n.integer("layout", 0) != 0;
    clip = float(n.number("clip", 0));
    if (x.rank() != 3 || w.rank() != 3 || r.rank() != 3 || hidden < 1 || w.dim(0) != directions || w.dim(1) != gates * hidden || r.dim(1) != gates * hidden || r.dim(2) != hidden)
      n.fail("x of three axes, W (directions, " + std::to_string(gates) + " * hidden, inputs) and R (.., hidden)", x.spec().text() + ", " + w.spec().text() + ", " + r.spec().text());
    if (by_batch) x = transpose(x, 0, 1);
    steps = x.dim(0);
    batch = x.dim(1);
    auto names = n.texts("activations");
    auto alphas = n.numbers("activation_alpha", {}), betas = n.numbers("activation_beta", {});
    for (size_t i = 0; i < size_t(directions) * size_t(functions); ++i) {
      std::string name = names.empty() ? defaults[i % size_t(functions)] : i < names.size() ? names[i] : names.back();
      activations.push_back(activation(n, name, i < alphas.size() ? double(alphas[i]) : 0, i < alphas.size(), i < betas.size() ? double(betas[i]) : 0, i < betas.size()));
    }
  }
  bool reverse(int64_t d) const { return directions == 2 ? d == 1 : n.text("direction", "forward") == "reverse"; }
  Tensor part(const Tensor& t, int64_t d) const { return select(t, 0, d); }
  Tensor cut(const Tensor& t) const { return clip > 0 ? miniten::clamp(t, -clip, clip) : t; }
  Tensor start(const Tensor& given, int64_t d) const {
    if (given) return by_batch ? select(given, 1, d) : part(given, d);
    return miniten::expand(Tensor::full({}, 0, x.dtype()), {batch, hidden});
  }
  // Each sequence backwards within its own length.
  Tensor reversed(const Tensor& seq) const {
    if (!lengths) return flip(seq, 0);
    Ints len = n.constant_integers(4);
    if (int64_t(len.size()) != batch) n.fail("a length for each sequence", std::to_string(len.size()));
    std::vector<Tensor> columns;
    for (int64_t k = 0; k < batch; ++k) {
      Ints rows;
      for (int64_t t = 0; t < steps; ++t) rows.push_back(t < len[size_t(k)] ? len[size_t(k)] - 1 - t : t);
      columns.push_back(miniten::gather(miniten::slice(seq, 1, k, k + 1), ints(rows), 0));
    }
    return miniten::concat(columns, 1);
  }
  Tensor running(int64_t t) const {              // (batch, 1): sequences that are not over
    Tensor l = miniten::cast(lengths, DType::i64);
    return miniten::reshape(less(Tensor::full({}, double(t), DType::i64), l), {batch, 1});
  }
  // Is it the layer that `recurrent` is? Then that, whose weights stay as they are.
  bool plain(const std::vector<std::string>& functions_of_cell) const {
    auto names = n.texts("activations");
    for (size_t i = 0; i < names.size(); ++i) if (names[i] != functions_of_cell[i % functions_of_cell.size()]) return false;
    return clip <= 0 && n.numbers("activation_alpha", {}).empty() && n.numbers("activation_beta", {}).empty();
  }
  Tensors at_once(CellKind cell, const std::vector<Tensor>& initial) const {
    std::vector<Tensor> y;
    std::vector<std::vector<Tensor>> last(initial.size());
    bool given = std::any_of(initial.begin(), initial.end(), [](const Tensor& t) { return bool(t); });
    auto first = [&](size_t k, int64_t d) { return given && k < initial.size() ? start(initial[k], d) : Tensor(); };
    for (int64_t d = 0; d < directions; ++d) {
      RecurrentWeights weights{part(w, d), part(r, d), b ? bias(d, false) : Tensor(), b ? bias(d, true) : Tensor()};
      Recurrence run = miniten::recurrent(cell, x, weights, first(0, d), first(1, d), lengths, reverse(d), true);
      y.push_back(unsqueeze(run.y, 1));
      last[0].push_back(unsqueeze(run.h, 0));
      if (run.c) last[1].push_back(unsqueeze(run.c, 0));
    }
    return arranged(y, last);
  }
  Tensors arranged(const std::vector<Tensor>& per_direction, const std::vector<std::vector<Tensor>>& last) const {
    Tensors out{miniten::concat(per_direction, 1)};
    for (auto& l : last) out.push_back(miniten::concat(l, 0));
    if (by_batch) {                              // (batch, steps, directions, hidden), (batch, directions, hidden)
      out[0] = miniten::permute(out[0], {2, 0, 1, 3});
      for (size_t i = 1; i < out.size(); ++i) out[i] = transpose(out[i], 0, 1);
    }
    return out;
  }
  // step(direction, x_t W^T, states) moves the states; state 0 is what is given out.
  template <class Step> Tensors run(std::vector<Tensor> initial, Step step) {
    if (is_symbol(steps)) n.fail("a known number of steps", x.spec().text(), "call it with arrays, or fix the sizes");
    if (steps > most_unrolled_steps) n.fail("at most " + std::to_string(most_unrolled_steps) + " steps", std::to_string(steps), "run it in parts");
    std::vector<Tensor> per_direction;
    std::vector<std::vector<Tensor>> last(initial.size());
    for (int64_t d = 0; d < directions; ++d) {
      Tensor seq = reverse(d) ? reversed(x) : x;
      Tensor inner = miniten::matmul(seq, transpose(part(w, d)));           // all steps at once
      std::vector<Tensor> state, rows;
      for (const Tensor& given : initial) state.push_back(start(given, d));
      for (int64_t t = 0; t < steps; ++t) {
        std::vector<Tensor> before = state;
        step(d, select(inner, 0, t), state);
        Tensor out = state[0];
        if (lengths) {
          Tensor on = running(t);
          out = miniten::where(on, out, number_like(out, 0));
          for (size_t i = 0; i < state.size(); ++i) state[i] = miniten::where(on, state[i], before[i]);
        }
        rows.push_back(unsqueeze(out, 0));
      }
      Tensor y = steps ? miniten::concat(rows, 0) : miniten::expand(Tensor::full({}, 0, x.dtype()), {0, batch, hidden});
      per_direction.push_back(unsqueeze(reverse(d) ? reversed(y) : y, 1));
      for (size_t i = 0; i < state.size(); ++i) last[i].push_back(unsqueeze(state[i], 0));
    }
    return arranged(per_direction, last);
  }
  Tensor gate(const Tensor& all, int g) const { return miniten::slice(all, -1, g * hidden, (g + 1) * hidden); }
  Tensor bias(int64_t d, bool recurrent) const { return miniten::slice(part(b, d), 0, recurrent ? gates * hidden : 0, (recurrent ? 2 : 1) * gates * hidden); }
};

Tensors read_rnn(const ForeignNode& n) {
  Recurrent c(n, 1, {"Tanh"});
  for (CellKind kind : {CellKind::tanh, CellKind::relu}) {
    auto given = n.texts("activations");
    if ((kind == CellKind::tanh || !given.empty()) && c.plain({kind == CellKind::tanh ? "Tanh" : "Relu"})) return c.at_once(kind, {c.h0});
  }
  return c.run({c.h0}, [&](int64_t d, const Tensor& xw, std::vector<Tensor>& s) {
    Tensor a = xw + miniten::matmul(s[0], transpose(c.part(c.r, d)));
    if (c.b) a = a + c.bias(d, false) + c.bias(d, true);
    s[0] = c.activations[size_t(d)](c.cut(a));
  });
}
Tensors read_gru(const ForeignNode& n) {
  Recurrent c(n, 3, {"Sigmoid", "Tanh"});
  bool after = n.integer("linear_before_reset", 0) != 0;
  if (after && c.plain({"Sigmoid", "Tanh"})) return c.at_once(CellKind::gru, {c.h0});
  return c.run({c.h0}, [&](int64_t d, const Tensor& xw, std::vector<Tensor>& s) {
    const Activation &f = c.activations[size_t(2 * d)], &g = c.activations[size_t(2 * d + 1)];
    Tensor r = c.part(c.r, d), xs = c.b ? xw + c.bias(d, false) : xw, rb = c.b ? c.bias(d, true) : Tensor();
    auto rows = [&](int from, int to) { return transpose(miniten::slice(r, 0, from * c.hidden, to * c.hidden)); };
    auto own = [&](int from, int to) { return miniten::slice(rb, 0, from * c.hidden, to * c.hidden); };
    Tensor zr = miniten::slice(xs, -1, 0, 2 * c.hidden) + miniten::matmul(s[0], rows(0, 2));
    if (rb) zr = zr + own(0, 2);
    zr = f(c.cut(zr));
    Tensor z = c.gate(zr, 0), reset = c.gate(zr, 1), h;
    if (after) {
      h = miniten::matmul(s[0], rows(2, 3));
      if (rb) h = h + own(2, 3);
      h = c.gate(xs, 2) + reset * h;
    } else {
      h = c.gate(xs, 2) + miniten::matmul(reset * s[0], rows(2, 3));
      if (rb) h = h + own(2, 3);
    }
    h = g(c.cut(h));
    s[0] = (1.0 - z) * h + z * s[0];
  });
}
Tensors read_lstm(const ForeignNode& n) {
  Recurrent c(n, 4, {"Sigmoid", "Tanh", "Tanh"});
  Tensor c0 = optional(n, 6), peep = optional(n, 7);
  bool coupled = n.integer("input_forget", 0) != 0;
  if (!peep && !coupled && c.plain({"Sigmoid", "Tanh", "Tanh"})) return c.at_once(CellKind::lstm, {c.h0, c0});
  return c.run({c.h0, c0}, [&](int64_t d, const Tensor& xw, std::vector<Tensor>& s) {
    const Activation *f = &c.activations[size_t(3 * d)];
    Tensor a = xw + miniten::matmul(s[0], transpose(c.part(c.r, d)));
    if (c.b) a = a + c.bias(d, false) + c.bias(d, true);
    Tensor i = c.gate(a, 0), o = c.gate(a, 1), forget = c.gate(a, 2), candidate = c.gate(a, 3);
    auto look = [&](int g) { return miniten::slice(c.part(peep, d), 0, g * c.hidden, (g + 1) * c.hidden); };
    if (peep) {
      i = i + look(0) * s[1];
      forget = forget + look(2) * s[1];
    }
    i = f[0](c.cut(i));
    forget = coupled ? 1.0 - i : f[0](c.cut(forget));
    candidate = f[1](c.cut(candidate));
    s[1] = forget * s[1] + i * candidate;
    if (peep) o = o + look(1) * s[1];
    s[0] = f[0](c.cut(o)) * f[2](s[1]);
  });
}

// ---- writing ----
std::string with_axis(ForeignWriter& w, const std::string& x, int64_t axis, bool added) {
  const char* type = added ? "Unsqueeze" : "Squeeze";
  return w.version() < 13 ? w.emit_one(type, {x}, {{"axes", Ints{axis}}}) : w.emit_one(type, {x, w.constant(ints({axis}), "axes")});
}
std::vector<std::string> write_recurrent(ForeignWriter& w, const ForeignCall& f) {
  const auto& at = f.call.as<RecurrentAttrs>();
  RecurrentInputs in(at);
  CellKind cell = cell_of(at);
  int64_t hidden = f.call.in[size_t(in.w_hh)].shape[1], gates = recurrent_gates(cell);
  Ints order = at.onnx_gates || gates == 1 ? Ints{} : cell == CellKind::lstm ? Ints{0, 3, 1, 2} : Ints{1, 0, 2};
  auto name_of = [&](int i) { return f.in[size_t(i)]; };
  // Gates in ONNX's order; of several inputs one after the other; with an axis for the direction in front.
  auto weight = [&](std::vector<int> inputs, const char* hint) {
    bool known = std::all_of(inputs.begin(), inputs.end(), [&](int i) { return f.call.value(i); });
    std::vector<Tensor> values;
    std::vector<std::string> names;
    for (int i : inputs) {
      std::vector<Tensor> blocks;
      if (known) {
        for (int64_t k : order) blocks.push_back(miniten::slice(*f.call.value(i), 0, k * hidden, (k + 1) * hidden));
        values.push_back(blocks.empty() ? *f.call.value(i) : miniten::concat(blocks, 0));
      } else if (order.empty()) names.push_back(name_of(i));
      else {
        auto parts = w.version() < 13 ? w.emit("Split", {name_of(i)}, {{"axis", int64_t{0}}, {"split", Ints(order.size(), hidden)}}, int(gates))
                                      : w.emit("Split", {name_of(i), w.constant(ints(Ints(order.size(), hidden)), "split")}, {{"axis", int64_t{0}}}, int(gates));
        std::vector<std::string> sorted;
        for (int64_t k : order) sorted.push_back(parts[size_t(k)]);
        names.push_back(w.emit_one("Concat", sorted, {{"axis", int64_t{0}}}));
      }
    }
    NoGrad no_grad;
    if (known) return w.constant(unsqueeze(values.size() == 1 ? values[0] : miniten::concat(values, 0), 0).clone(), hint);
    return with_axis(w, names.size() == 1 ? names[0] : w.emit_one("Concat", names, {{"axis", int64_t{0}}}), 0, true);
  };
  auto state = [&](int i, const char* hint) -> std::string {
    if (i < 0) return "";
    const Tensor* t = f.call.value(i);
    if (!t) return with_axis(w, name_of(i), 0, true);
    bool zero = sum(abs(*t)).item() == 0;
    return zero ? "" : w.constant(unsqueeze(*t, 0).clone(), hint);
  };
  std::string lengths;
  if (at.lengths) {
    const Tensor* t = f.call.value(in.lengths);
    lengths = t ? w.constant(miniten::cast(*t, DType::i32), "sequence_lens") : w.emit_one("Cast", {name_of(in.lengths)}, {{"to", onnx_type(DType::i32)}});
  }
  std::vector<std::string> inputs{"", weight({in.w_ih}, "W"), weight({in.w_hh}, "R"), at.bias ? weight({in.b_ih, in.b_hh}, "B") : "", lengths, state(in.h0, "initial_h")};
  inputs[0] = name_of(in.x);
  if (cell == CellKind::lstm) inputs.push_back(state(in.c0, "initial_c"));
  ForeignAttributes attributes{{"hidden_size", hidden}, {"direction", std::string(at.reverse ? "reverse" : "forward")}};
  if (cell == CellKind::gru) attributes.emplace_back("linear_before_reset", int64_t{1});
  if (cell == CellKind::relu) attributes.emplace_back("activations", std::vector<std::string>{"Relu"});
  auto out = w.emit(cell == CellKind::lstm ? "LSTM" : cell == CellKind::gru ? "GRU" : "RNN", inputs, attributes, cell == CellKind::lstm ? 3 : 2);
  std::vector<std::string> names{with_axis(w, out[0], 1, false), with_axis(w, out[1], 0, false)};
  names.push_back(cell == CellKind::lstm ? with_axis(w, out[2], 0, false) : "");
  names.push_back("");
  return names;
}

constexpr ForeignComposition rules[] = {{"onnx", "RNN", read_rnn}, {"onnx", "GRU", read_gru}};

}  // namespace

Compositions recurrent_rules() { return rules; }
constinit const ForeignRules recurrent{write_recurrent, read_lstm};

}  // namespace miniten::onnx
