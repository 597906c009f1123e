#include "miniten/nn/recurrent.h"
#include "miniten/nn/activations.h"
#include "nn/layer_parts.h"

namespace miniten::nn {

namespace {
int64_t gates(CellKind k) { return k == CellKind::lstm ? 4 : k == CellKind::gru ? 3 : 1; }
size_t state_count(CellKind k) { return k == CellKind::lstm ? 2 : 1; }

void require_probability(const char* layer, double p) {
  if (!(p >= 0 && p <= 1)) throw Error(ErrorKind::value, layer, "a dropout in [0, 1]", number(p));
}
}  // namespace

RecurrentCell::RecurrentCell(CellKind kind, const char* name, int64_t in, int64_t hidden, bool bias) : input_size(in), hidden_size(hidden), kind(kind), name_(name) {
  require_positive(name, "input_size", in);
  require_positive(name, "hidden_size", hidden);
  double bound = 1 / std::sqrt(double(hidden));
  int64_t rows = gates(kind) * hidden;
  register_parameter("weight_ih", uniform_values({rows, in}, bound));
  register_parameter("weight_hh", uniform_values({rows, hidden}, bound));
  if (!bias) return;
  register_parameter("bias_ih", uniform_values({rows}, bound));
  register_parameter("bias_hh", uniform_values({rows}, bound));
}
std::vector<Tensor> RecurrentCell::forward(const std::vector<Tensor>& in) {
  size_t states = state_count(kind);
  if (in.size() != 1 && in.size() != 1 + states) throw Error(ErrorKind::value, name_, "x, or x and " + std::to_string(states) + " states", std::to_string(in.size()) + " tensors");
  const Tensor& x = in[0];
  if (x.rank() < 1 || x.rank() > 2 || x.dim(-1) != input_size) throw Error(ErrorKind::value, name_, "input (N, " + std::to_string(input_size) + ") or (" + std::to_string(input_size) + ",)", x.shape().text());
  Shape shape = x.shape();
  shape[-1] = hidden_size;
  std::vector<Tensor> state(in.begin() + 1, in.end());
  for (const Tensor& s : state) if (s.shape() != shape) throw Error(ErrorKind::value, name_, "states of shape " + shape.text(), s.shape().text());
  if (state.empty()) {
    Tensor zero = expand(cast(number_like(x, 0), x.dtype()), shape);
    state.assign(states, zero);
  }
  bool single = x.rank() == 1;
  if (single) for (Tensor& s : state) s = unsqueeze(s, 0);
  auto out = recurrent_step(kind, linear(single ? unsqueeze(x, 0) : x, parameter_of("weight_ih"), parameter_of("bias_ih")), state, parameter_of("weight_hh"), parameter_of("bias_hh"));
  if (single) for (Tensor& s : out) s = squeeze(s, 0);
  return out;
}
std::string RecurrentCell::extra_repr() const {
  return std::to_string(input_size) + ", " + std::to_string(hidden_size) + (kind == CellKind::relu ? ", nonlinearity='relu'" : "") + (parameter_of("bias_ih") ? "" : ", bias=False");
}

Recurrent::Recurrent(CellKind kind, const char* name, int64_t in, int64_t hidden, const RecurrentOptions& o)
    : input_size(in), hidden_size(hidden), options(o), kind(kind), name_(name) {
  require_positive(name, "input_size", in);
  require_positive(name, "hidden_size", hidden);
  require_positive(name, "num_layers", o.num_layers);
  require_probability(name, o.dropout);
  double bound = 1 / std::sqrt(double(hidden));
  int64_t rows = gates(kind) * hidden, directions = o.bidirectional ? 2 : 1;
  for (int64_t layer = 0; layer < o.num_layers; ++layer)
    for (int64_t d = 0; d < directions; ++d) {
      std::string end = "_l" + std::to_string(layer) + (d ? "_reverse" : "");
      register_parameter("weight_ih" + end, uniform_values({rows, layer ? hidden * directions : in}, bound));
      register_parameter("weight_hh" + end, uniform_values({rows, hidden}, bound));
      if (!o.bias) continue;
      register_parameter("bias_ih" + end, uniform_values({rows}, bound));
      register_parameter("bias_hh" + end, uniform_values({rows}, bound));
    }
  for (int64_t layer = 0; o.dropout > 0 && layer + 1 < o.num_layers; ++layer) add("dropout_l" + std::to_string(layer), make<Dropout>(o.dropout));
}
Recurrent::Weights Recurrent::weights(int64_t layer, bool reverse) const {
  std::string end = "_l" + std::to_string(layer) + (reverse ? "_reverse" : "");
  return {parameter_of("weight_ih" + end), parameter_of("weight_hh" + end), parameter_of("bias_ih" + end), parameter_of("bias_hh" + end)};
}
std::vector<Tensor> Recurrent::initial(const std::vector<Tensor>& given, int64_t batch, const Tensor& like) const {
  int64_t rows = options.num_layers * (options.bidirectional ? 2 : 1);
  Shape shape{rows, batch, hidden_size};
  if (given.empty()) return std::vector<Tensor>(state_count(kind), expand(cast(number_like(like, 0), like.dtype()), shape));
  if (given.size() != state_count(kind)) throw Error(ErrorKind::value, name_, kind == CellKind::lstm ? "states h and c" : "one state h", std::to_string(given.size()));
  for (const Tensor& s : given) if (s.shape() != shape) throw Error(ErrorKind::value, name_, "states of shape " + shape.text(), s.shape().text());
  return given;
}

std::vector<Tensor> Recurrent::run(const Tensor& x, const std::vector<Tensor>& given, const std::vector<int64_t>& lengths) {
  if (x.rank() < 2 || x.rank() > 3 || x.dim(-1) != input_size)
    throw Error(ErrorKind::value, name_, options.batch_first ? "input (N, T, " + std::to_string(input_size) + ")" : "input (T, N, " + std::to_string(input_size) + ")", x.shape().text());
  bool single = x.rank() == 2;
  Tensor y = single ? unsqueeze(x, 1) : options.batch_first ? transpose(x, 0, 1) : x;
  std::vector<Tensor> start;
  for (const Tensor& s : given) start.push_back(single ? unsqueeze(s, 1) : s);
  int64_t steps = y.dim(0), batch = y.dim(1), directions = options.bidirectional ? 2 : 1;
  if (steps < 1 && !is_symbol(steps)) throw Error(ErrorKind::value, name_, "at least one step", x.shape().text());
  if (!lengths.empty()) {
    if (single || int64_t(lengths.size()) != batch) throw Error(ErrorKind::value, name_, "a length for each of " + std::to_string(batch) + " sequences", std::to_string(lengths.size()));
    for (int64_t n : lengths) if (n < 1 || (n > steps && !is_symbol(steps))) throw Error(ErrorKind::value, name_, "lengths in [1, " + std::to_string(steps) + "]", std::to_string(n));
  }
  Tensor until = lengths.empty() ? Tensor() : Tensor::of<int64_t>({batch}, lengths);
  std::vector<Tensor> states = start.empty() ? start : initial(start, batch, y);
  std::vector<std::vector<Tensor>> finals(state_count(kind));
  for (int64_t layer = 0; layer < options.num_layers; ++layer) {
    std::vector<Tensor> sides;
    for (int64_t d = 0; d < directions; ++d) {
      Weights w = weights(layer, d);
      int64_t row = layer * directions + d;
      auto first = [&](size_t k) { return k < states.size() ? select(states[k], 0, row) : Tensor(); };
      Recurrence r = recurrent(kind, y, {w.w_ih, w.w_hh, w.b_ih, w.b_hh}, first(0), first(1), until, d == 1);
      sides.push_back(r.y);
      finals[0].push_back(r.h);
      if (r.c) finals[1].push_back(r.c);
    }
    y = sides.size() == 1 ? sides[0] : concat(sides, 2);
    if (auto drop = child("dropout_l" + std::to_string(layer))) y = (*drop)(y);
  }
  std::vector<Tensor> out{single ? squeeze(y, 1) : options.batch_first ? transpose(y, 0, 1) : y};
  for (auto& rows : finals) out.push_back(single ? squeeze(stack(rows, 0), 1) : stack(rows, 0));
  return out;
}
std::vector<Tensor> Recurrent::forward(const std::vector<Tensor>& in) {
  if (in.empty()) throw Error(ErrorKind::value, name_, "an input", "none");
  return run(in[0], {in.begin() + 1, in.end()}, {});
}
std::vector<Tensor> Recurrent::step(const Tensor& x, const std::vector<Tensor>& given) {
  if (options.bidirectional) throw Error(ErrorKind::value, name_, "one direction for a stream", "bidirectional=True", "the other direction begins at the end");
  if (x.rank() != 2 || x.dim(1) != input_size) throw Error(ErrorKind::value, name_, "one step (N, " + std::to_string(input_size) + ")", x.shape().text());
  std::vector<Tensor> states = initial(given, x.dim(0), x), out;
  std::vector<std::vector<Tensor>> rows(states.size());
  Tensor y = x;
  for (int64_t layer = 0; layer < options.num_layers; ++layer) {
    Weights w = weights(layer, false);
    std::vector<Tensor> state;
    for (const Tensor& s : states) state.push_back(select(s, 0, layer));
    state = recurrent_step(kind, linear(y, w.w_ih, w.b_ih), state, w.w_hh, w.b_hh);
    y = state[0];
    for (size_t k = 0; k < state.size(); ++k) rows[k].push_back(state[k]);
  }
  out.push_back(y);
  for (auto& r : rows) out.push_back(stack(r, 0));
  return out;
}
std::string Recurrent::extra_repr() const {
  std::string s = std::to_string(input_size) + ", " + std::to_string(hidden_size);
  if (options.num_layers != 1) s += ", num_layers=" + std::to_string(options.num_layers);
  if (kind == CellKind::relu) s += ", nonlinearity='relu'";
  if (!options.bias) s += ", bias=False";
  if (options.batch_first) s += ", batch_first=True";
  if (options.dropout > 0) s += ", dropout=" + number(options.dropout);
  return options.bidirectional ? s + ", bidirectional=True" : s;
}

}  // namespace miniten::nn
