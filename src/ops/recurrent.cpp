#include "ops/recurrent.h"
#include "miniten/core/autograd.h"
#include "miniten/ops/ops.h"
#include "ops/c_rules.h"
#include "ops/loops.h"
#include "ops/forms.h"
#include "ops/fused.h"
#include "ops/onnx_rules.h"
#include "ops/pattern_look.h"
#include "ops/tflite_write.h"

namespace miniten {

namespace {

constexpr std::string_view cell_names[] = {"tanh", "relu", "lstm", "gru"};
std::optional<CellKind> cell_named(std::string_view name) {
  for (size_t i = 0; i < std::size(cell_names); ++i) if (name == cell_names[i]) return CellKind(i);
  return {};
}

// ---- shapes ----
void require(const Call& c, int i, const char* what, const Shape& shape) {
  if (c.in[size_t(i)].shape != shape) c.fail(std::string(what) + " of shape " + shape.text(), c.in[size_t(i)].shape.text());
}
void require_cell(const Call& c, int inputs) {
  const auto& at = c.as<RecurrentAttrs>();
  if (!cell_named(at.cell)) c.fail("cell lstm, gru, tanh or relu", "\"" + at.cell + "\"");
  if (int(c.in.size()) != inputs) c.fail(std::to_string(inputs) + " inputs", std::to_string(c.in.size()));
  for (size_t i = 0; i < c.in.size() - size_t(at.lengths); ++i)
    if (c.in[i].dtype != c.in[0].dtype || (c.in[i].dtype != DType::f32 && c.in[i].dtype != DType::f64))
      c.fail("float32 or float64 throughout", c.in[i].text(), "convert with cast first", ErrorKind::type);
}
void require_lengths(const Call& c, int i, Dim batch, Dim steps) {
  const Spec& s = c.in[size_t(i)];
  if (s.dtype != DType::i64 || s.shape != Shape{batch}) c.fail("lengths as int64 of shape " + Shape{batch}.text(), s.text());
  const Tensor* given = c.value(i);
  if (!given || is_symbol(steps)) return;
  for (int64_t n : given->to_vector<int64_t>()) if (n < 0 || n > steps) c.fail("lengths in [0, " + std::to_string(steps) + "]", std::to_string(n));
}

void recurrent_infer(const Call& c, Specs& out) {
  const auto& at = c.as<RecurrentAttrs>();
  RecurrentInputs in(at, &c.op == &recurrent_factored_op);
  require_cell(c, in.count);
  CellKind cell = cell_of(at);
  Shape x = c.in[0].shape, w = c.in[size_t(in.w_hh)].shape;
  if (x.rank != 3) c.fail("input (T, N, I)", x.text());
  if (in.right >= 0) {
    const Shape& right = c.in[size_t(in.right)].shape;
    if (w.rank != 2 || right.rank != 2 || w[1] != right[0]) c.fail("factors (" + std::to_string(recurrent_gates(cell)) + " * H, R) and (R, H)", w.text() + " and " + right.text());
    w[1] = right[1];
  }
  if (w.rank != 2 || w[0] != recurrent_gates(cell) * w[1]) c.fail("w_hh of shape (" + std::to_string(recurrent_gates(cell)) + " * H, H)", w.text());
  require(c, in.w_ih, "w_ih", {w[0], x[2]});
  if (at.bias) for (int i : {in.b_ih, in.b_hh}) require(c, i, "bias", {w[0]});
  Shape state{x[1], w[1]};
  if (in.h0 >= 0) require(c, in.h0, "h0", state);
  if (in.c0 >= 0) require(c, in.c0, "c0", state);
  if (at.lengths) require_lengths(c, in.lengths, x[1], x[0]);
  DType t = c.in[0].dtype;
  out.push({t, {x[0], x[1], w[1]}});
  out.push({t, state});
  out.push({t, cell == CellKind::lstm ? state : Shape{0}});
  int64_t kept = at.save ? recurrent_saved(cell) : 0;
  out.push({t, kept ? Shape{x[0], x[1], kept * w[1]} : Shape{0}});
}
void backward_infer(const Call& c, Specs& out) {
  const auto& at = c.as<RecurrentAttrs>();
  RecurrentBackwardInputs in(at);
  require_cell(c, in.count);
  CellKind cell = cell_of(at);
  const Shape &w = c.in[size_t(in.w_hh)].shape, &y = c.in[size_t(in.y)].shape;
  if (y.rank != 3) c.fail("outputs (T, N, H)", y.text());
  if (w != Shape{recurrent_gates(cell) * y[2], y[2]}) c.fail("w_hh of shape (" + std::to_string(recurrent_gates(cell)) + " * H, H)", w.text());
  int64_t kept = recurrent_saved(cell);
  Shape state{y[1], y[2]}, gates{y[0], y[1], w[0]};
  require(c, in.saved, "saved values", kept ? Shape{y[0], y[1], kept * y[2]} : Shape{0});
  require(c, in.dy, "dy", y);
  for (int i : {in.dh, in.dc, in.h0, in.c0}) if (i >= 0) require(c, i, "states", state);
  if (at.lengths) require_lengths(c, in.lengths, y[1], y[0]);
  DType t = c.in[0].dtype;
  out.push({t, gates});
  out.push({t, cell == CellKind::gru ? gates : Shape{0}});
  out.push({t, state});
  out.push({t, cell == CellKind::lstm ? state : Shape{0}});
}

// ---- the same as a composition: for gradients of gradients ----
Tensor running(const Tensor& lengths, int64_t t) {             // (N, 1): sequences that are not over
  return reshape(less(Tensor::full({}, double(t), DType::i64), lengths), {lengths.dim(0), 1});
}
std::vector<Tensor> composed(const RecurrentAttrs& at, std::span<const Tensor> in) {
  RecurrentInputs i(at);
  auto tensor = [&](int k) { return k < 0 ? Tensor() : in[size_t(k)]; };
  Tensor from_x = matmul(in[0], transpose(tensor(i.w_ih))), zero = number_like(in[0], 0);
  if (at.bias) from_x = from_x + tensor(i.b_ih);
  std::vector<Tensor> state(at.cell == "lstm" ? 2 : 1, expand(zero, {in[0].dim(1), tensor(i.w_hh).dim(1)}));
  if (i.h0 >= 0) state[0] = tensor(i.h0);
  if (i.c0 >= 0) state[1] = tensor(i.c0);
  int64_t steps = in[0].dim(0);
  std::vector<Tensor> outputs(static_cast<size_t>(steps));
  for (int64_t k = 0; k < steps; ++k) {
    int64_t t = at.reverse ? steps - 1 - k : k;
    auto next = recurrent_step(cell_of(at), select(from_x, 0, t), state, tensor(i.w_hh), tensor(i.b_hh), at.onnx_gates);
    Tensor on = at.lengths ? running(tensor(i.lengths), t) : Tensor();
    outputs[size_t(t)] = on ? where(on, next[0], zero) : next[0];
    for (size_t s = 0; s < state.size(); ++s) state[s] = on ? where(on, next[s], state[s]) : next[s];
  }
  state.insert(state.begin(), steps ? stack(outputs, 0) : expand(zero, {0, in[0].dim(1), state[0].dim(1)}));
  return state;
}
void differentiable_vjp(const Vjp& v, const RecurrentAttrs& at) {
  auto out = composed(at, v.in);
  Tensor total;
  for (size_t i = 0; i < out.size(); ++i) {
    if (!v.grad[i]) continue;
    Tensor part = sum(out[i] * v.grad[i]);
    total = total ? total + part : part;
  }
  std::vector<Tensor> wanted;
  for (size_t i = 0; i < v.in.size(); ++i) if (v.needs(int(i))) wanted.push_back(v.in[i]);
  if (!total || !total.requires_grad()) return;
  auto found = gradients(total, wanted, true);
  for (size_t i = 0, k = 0; i < v.in.size(); ++i) if (v.needs(int(i))) v.result[i] = found[k++];
}

// States before each step, where a gradient can come from.
Tensor states_before(const RecurrentAttrs& at, const Tensor& y, const Tensor& h0, const Tensor& lengths) {
  int64_t steps = y.dim(0);
  Tensor first = h0 ? unsqueeze(h0, 0) : expand(number_like(y, 0), {1, y.dim(1), y.dim(2)});
  if (!at.reverse) return concat(std::vector<Tensor>{first, slice(y, 0, 0, steps - 1)}, 0);
  Tensor shifted = concat(std::vector<Tensor>{slice(y, 0, 1, steps), first}, 0);
  if (!lengths) return shifted;
  std::vector<Tensor> on;
  for (int64_t t = 1; t <= steps; ++t) on.push_back(running(lengths, t));
  return where(stack(on, 0), shifted, first);
}
void recurrent_vjp(const Vjp& v) {
  RecurrentAttrs at = v.as<RecurrentAttrs>();
  if (mode().grad) return differentiable_vjp(v, at);
  RecurrentInputs i(at);
  auto tensor = [&](int k) { return k < 0 ? Tensor() : v.in[size_t(k)]; };
  Tensor y = v.out[0], saved = v.out[3];
  if (!y.shape()[0]) return differentiable_vjp(v, at);
  if (!at.save && recurrent_saved(cell_of(at))) {                // traced without gradients in view: once more
    at.save = true;
    Tensor again[4];
    std::vector<Input> in(v.in.begin(), v.in.end());
    apply(v.op, in, &at, again);
    saved = again[3];
  }
  auto given = [&](size_t k, const Shape& shape) { return v.grad[k] ? v.grad[k] : expand(number_like(y, 0), shape); };
  Shape state{y.dim(1), y.dim(2)};
  bool lstm = at.cell == "lstm";
  Tensor dy = given(0, y.shape()), dh = given(1, state), dc = lstm ? given(2, state) : Tensor(), w_hh = tensor(i.w_hh), h0 = tensor(i.h0), c0 = tensor(i.c0), lengths = tensor(i.lengths);
  std::vector<Input> in{w_hh, saved, y, dy, dh};
  if (lstm) in.push_back(dc);
  if (h0) in.push_back(h0);
  if (c0) in.push_back(c0);
  if (lengths) in.push_back(lengths);
  Tensor out[4];
  apply(recurrent_backward_op, in, &at, out);
  Tensor by_x = out[0], by_h = cell_of(at) == CellKind::gru ? out[1] : by_x;
  auto flat = [](const Tensor& t) { return reshape(t, {-1, t.dim(2)}); };
  if (v.needs(i.x)) v.result[size_t(i.x)] = matmul(by_x, tensor(i.w_ih));
  if (v.needs(i.w_ih)) v.result[size_t(i.w_ih)] = matmul(transpose(flat(by_x)), flat(v.in[0]));
  if (v.needs(i.w_hh)) v.result[size_t(i.w_hh)] = matmul(transpose(flat(by_h)), flat(states_before(at, y, h0, lengths)));
  if (at.bias) {
    if (v.needs(i.b_ih)) v.result[size_t(i.b_ih)] = sum(by_x, {0, 1});
    if (v.needs(i.b_hh)) v.result[size_t(i.b_hh)] = sum(by_h, {0, 1});
  }
  if (h0 && v.needs(i.h0)) v.result[size_t(i.h0)] = out[2];
  if (c0 && v.needs(i.c0)) v.result[size_t(i.c0)] = out[3];
}

// ---- samples ----
std::vector<Tensor> sample_inputs(const RecurrentAttrs& at, int64_t steps, int64_t batch) {
  int64_t hidden = 3, rows = recurrent_gates(cell_of(at)) * hidden;
  std::vector<Tensor> in{sample_values({steps, batch, 2}), sample_values({rows, 2}), sample_values({rows, hidden})};
  if (at.bias) for (int k = 0; k < 2; ++k) in.push_back(sample_values({rows}));
  if (at.state) for (int k = 0; k < (at.cell == "lstm" ? 2 : 1); ++k) in.push_back(sample_values({batch, hidden}));
  if (at.lengths) in.push_back(Tensor::of<int64_t>({batch}, std::vector<int64_t>{steps, 1}));
  return in;
}
std::vector<Sample> recurrent_samples() {
  std::vector<Sample> all;
  for (std::string_view cell : cell_names)
    for (bool reverse : {false, true})
      for (bool lengths : {false, true}) {
        RecurrentAttrs at{.cell = std::string(cell), .bias = reverse, .state = reverse == lengths, .lengths = lengths, .reverse = reverse, .onnx_gates = lengths, .save = reverse};
        all.push_back({sample_inputs(at, 3, 2), std::make_shared<RecurrentAttrs>(at)});
      }
  return all;
}
std::vector<Sample> backward_samples() {
  std::vector<Sample> all;
  for (std::string_view cell : cell_names) {
    RecurrentAttrs at{.cell = std::string(cell), .state = true, .lengths = true, .save = true};
    auto in = sample_inputs(at, 3, 2);
    std::vector<Input> inputs(in.begin(), in.end());
    Tensor out[4];
    apply(recurrent_op, inputs, &at, out);
    RecurrentInputs i(at);
    Sample s{{in[size_t(i.w_hh)], out[3], out[0], sample_values({3, 2, 3}), sample_values({2, 3})}, std::make_shared<RecurrentAttrs>(at)};
    if (i.c0 >= 0) s.in.push_back(sample_values({2, 3}));
    s.in.push_back(in[size_t(i.h0)]);
    if (i.c0 >= 0) s.in.push_back(in[size_t(i.c0)]);
    s.in.push_back(in[size_t(i.lengths)]);
    all.push_back(s);
  }
  return all;
}

}  // namespace

int recurrent_gates(CellKind k) { return k == CellKind::lstm ? 4 : k == CellKind::gru ? 3 : 1; }
int recurrent_saved(CellKind k) { return k == CellKind::lstm ? 5 : k == CellKind::gru ? 4 : 0; }
CellKind cell_of(const RecurrentAttrs& at) { return cell_named(at.cell).value_or(CellKind::tanh); }
RecurrentInputs::RecurrentInputs(const RecurrentAttrs& at, bool factored) {
  int next = 3;
  if (factored) right = next++;
  if (at.bias) { b_ih = next++; b_hh = next++; }
  if (at.state) {
    h0 = next++;
    if (at.cell == "lstm") c0 = next++;
  }
  if (at.lengths) lengths = next++;
  count = next;
}
RecurrentBackwardInputs::RecurrentBackwardInputs(const RecurrentAttrs& at) {
  int next = 5;
  if (at.cell == "lstm") dc = next++;
  if (at.state) {
    h0 = next++;
    if (at.cell == "lstm") c0 = next++;
  }
  if (at.lengths) lengths = next++;
  count = next;
}

static consteval OpDef recurrent_row(std::string_view name) {
  return {.name = name, .doc = "a recurrent layer in one direction over a sequence", .min_inputs = 3, .max_inputs = 8, .outputs = 4,
    .infer = recurrent_infer, .eval = recurrent_eval, .work = recurrent_work, .vjp = recurrent_vjp, .keep = {~0u, 0b1001},
    .cost = recurrent_cost,
    .prepare = recurrent_prepare, .samples = recurrent_samples,
    .quant = {.compose = [](const Call& c, std::span<const Tensor> in) -> std::vector<Tensor> {
      const auto& at = c.as<RecurrentAttrs>();
      return at.lengths || is_symbol(c.in[0].shape[0]) || c.in[0].shape[0] < 1 ? std::vector<Tensor>{} : composed(at, in);
    }},
    .traits = {.dense = 0xff, .out = Layout::dense, .weights = 0b110},
    .onnx = {"LSTM", 7, &onnx::recurrent}, .tflite = {"UNIDIRECTIONAL_SEQUENCE_LSTM", 1, &to_tflite::recurrent}, .c = {"recurrent", 0, &c::recurrent}, .attrs = codec<RecurrentAttrs>};
}
constinit const OpDef recurrent_op = recurrent_row("recurrent");
constinit const OpDef recurrent_bf16_op = recurrent_row("recurrent_bf16");
constinit const OpDef recurrent_bf16_weights_op = recurrent_row("recurrent_bf16_weights");
constinit const OpDef recurrent_factored_op{.name = "recurrent_factored", .doc = "recurrent, its states' weights as a product of two", .min_inputs = 4, .max_inputs = 9, .outputs = 4,
    .infer = recurrent_infer, .eval = recurrent_eval, .work = recurrent_work, .cost = recurrent_cost, .prepare = recurrent_prepare,
    .traits = {.stops_gradient = true, .dense = 0x1ff, .out = Layout::dense, .weights = 0b1110}, .attrs = codec<RecurrentAttrs>};
constinit const OpDef recurrent_backward_op{.name = "recurrent_backward", .doc = "gradients of a recurrent layer's gates and first states", .min_inputs = 5, .max_inputs = 9, .outputs = 4,
    .infer = backward_infer, .eval = recurrent_backward_eval, .work = recurrent_backward_work,
    .cost = [](const Call& c) {
      const Shape &y = c.in[2].shape, &w = c.in[0].shape;
      return Cost{y[0] * y[1] * w[0] * w[1], y[0] * y[1] * w[0] * 6};
    },
    .samples = backward_samples, .traits = {.stops_gradient = true, .dense = 0x1ff, .out = Layout::dense}, .attrs = codec<RecurrentAttrs>};

std::vector<StandIn> factored_pattern(const PatternGraph& graph, int y) {
  Look g{graph};
  if (!g.is(y, recurrent_op)) return {};
  const auto& at = g.attrs<RecurrentAttrs>(y);
  std::vector<int> in(graph.in(y).begin(), graph.in(y).end());
  const int product = in[2];
  if (at.save || !g.is(product, matmul_op) || !g.plain(product)) return {};
  const Tensor *left = graph.constant(g.in(product, 0)), *right = graph.constant(g.in(product, 1));
  if (!left || !right || left->rank() != 2 || right->rank() != 2 || left->dtype() != DType::f32) return {};
  if (left->numel() + right->numel() >= left->dim(0) * right->dim(1)) return {};
  in[2] = g.in(product, 0);
  in.insert(in.begin() + 3, g.in(product, 1));
  return {{y, &recurrent_factored_op, std::make_shared<RecurrentAttrs>(at), std::move(in), {}}};
}

std::vector<Tensor> recurrent_step(CellKind cell, const Tensor& from_x, std::span<const Tensor> state, const Tensor& w_hh, const Tensor& b_hh, bool onnx_gates) {
  Tensor from_h = linear(state[0], w_hh, b_hh);
  int64_t n = w_hh.dim(1);
  auto gate = [&](const Tensor& t, int64_t i) { return slice(t, -1, i * n, (i + 1) * n); };
  if (cell == CellKind::lstm) {
    Tensor all = from_x + from_h, i = gate(all, 0), f = gate(all, onnx_gates ? 2 : 1), g = gate(all, onnx_gates ? 3 : 2), o = gate(all, onnx_gates ? 1 : 3);
    Tensor c = sigmoid(f) * state[1] + sigmoid(i) * tanh(g);
    return {sigmoid(o) * tanh(c), c};
  }
  if (cell == CellKind::gru) {
    int64_t reset = onnx_gates, update = !onnx_gates;
    Tensor r = sigmoid(gate(from_x, reset) + gate(from_h, reset)), z = sigmoid(gate(from_x, update) + gate(from_h, update));
    Tensor candidate = tanh(gate(from_x, 2) + r * gate(from_h, 2));
    return {candidate + z * (state[0] - candidate)};
  }
  Tensor all = from_x + from_h;
  return {cell == CellKind::relu ? relu(all) : tanh(all)};
}

Recurrence recurrent(CellKind cell, const Tensor& x, const RecurrentWeights& w, const Tensor& h0, const Tensor& c0, const Tensor& lengths, bool reverse, bool onnx_gates) {
  DType t = x.dtype(), wide = t == DType::f64 ? t : DType::f32;
  RecurrentAttrs at{.cell = std::string(cell_names[size_t(cell)]), .bias = bool(w.b_ih), .state = bool(h0), .lengths = bool(lengths), .reverse = reverse, .onnx_gates = onnx_gates};
  if (bool(w.b_ih) != bool(w.b_hh)) throw Error(ErrorKind::value, "recurrent", "both biases or none", "one");
  if (bool(c0) != (cell == CellKind::lstm && h0)) throw Error(ErrorKind::value, "recurrent", "h0, and with it c0 for the LSTM alone", c0 ? "a c0" : "no c0");
  std::vector<Tensor> parts{x, w.w_ih, w.w_hh};
  if (at.bias) for (const Tensor& b : {w.b_ih, w.b_hh}) parts.push_back(b);
  if (h0) parts.push_back(h0);
  if (c0) parts.push_back(c0);
  for (Tensor& p : parts) {
    p = cast(p, wide);
    at.save |= mode().grad && p.requires_grad();
  }
  if (lengths) parts.push_back(cast(lengths, DType::i64));
  std::vector<Input> in(parts.begin(), parts.end());
  Tensor out[4];
  apply(recurrent_op, in, &at, out);
  return {cast(out[0], t), cast(out[1], t), cell == CellKind::lstm ? cast(out[2], t) : Tensor()};
}

}  // namespace miniten
