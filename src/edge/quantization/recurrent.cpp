#include "edge/models.h"
#include "edge/quantization/steps.h"
#include "miniten/edge/quantized_layers.h"
#include "miniten/graph/passes.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

size_t states_of(CellKind k) { return k == CellKind::lstm ? 2 : 1; }
int64_t directions_of(const nn::RecurrentOptions& o) { return o.bidirectional ? 2 : 1; }
std::string cell_name(int64_t layer, int64_t direction) { return "l" + std::to_string(layer) + (direction ? "_reverse" : ""); }

struct Cell { Tensor w_ih, w_hh, b_ih, b_hh; };
Cell cell_of(const nn::Module& m, const std::string& name) {
  return {m.parameter_of("weight_ih_" + name), m.parameter_of("weight_hh_" + name), m.parameter_of("bias_ih_" + name), m.parameter_of("bias_hh_" + name)};
}
std::vector<Tensor> step_of(CellKind kind, const Cell& c, const Tensor& x, std::span<const Tensor> state) {
  return recurrent_step(kind, linear(x, c.w_ih, c.b_ih), state, c.w_hh, c.b_hh);
}
Tensor steps_first(const char* who, const Tensor& x, const nn::RecurrentOptions& o, int64_t input_size) {
  if (x.rank() < 2 || x.rank() > 3 || x.dim(-1) != input_size || x.dim(o.batch_first && x.rank() == 3 ? 1 : 0) < 1)
    throw Error(ErrorKind::value, who, o.batch_first ? "input (N, T, " + std::to_string(input_size) + ")" : "input (T, N, " + std::to_string(input_size) + ")", x.shape().text());
  return x.rank() == 2 ? unsqueeze(x, 1) : o.batch_first ? transpose(x, 0, 1) : x;
}

// Sequences (T, N, ..) through layers of cells, states[cell] from its first to its last: next(layer, direction, step counted from
// where the direction begins, x, state) gives a cell's next states, the first of which is its output.
template <class Next>
Tensor through_cells(Tensor y, const nn::RecurrentOptions& o, std::vector<std::vector<Tensor>>& states, Next next) {
  const int64_t steps = y.dim(0), directions = directions_of(o);
  for (int64_t l = 0; l < o.num_layers; ++l) {
    std::vector<Tensor> sides;
    for (int64_t d = 0; d < directions; ++d) {
      std::vector<Tensor>& state = states[size_t(l * directions + d)];
      std::vector<Tensor> outputs(static_cast<size_t>(steps));
      for (int64_t k = 0; k < steps; ++k) {
        const int64_t t = d ? steps - 1 - k : k;
        state = next(l, d, k, select(y, 0, t), state);
        outputs[size_t(t)] = state[0];
      }
      sides.push_back(stack(outputs, 0));
    }
    y = sides.size() == 1 ? sides[0] : concat(sides, 2);
  }
  return y;
}

// One step of every cell as one graph: for each its x and states, then its next states.
Graph steps_graph(const nn::Recurrent& layer) {
  const Dim batch = symbol("batch");
  std::vector<Spec> specs;
  TraceNames names;
  const int64_t directions = directions_of(layer.options);
  const size_t states = states_of(layer.kind);
  for (int64_t l = 0; l < layer.options.num_layers; ++l)
    for (int64_t d = 0; d < directions; ++d) {
      const std::string name = cell_name(l, d);
      specs.push_back({DType::f32, {batch, l ? layer.hidden_size * directions : layer.input_size}});
      specs.insert(specs.end(), states, {DType::f32, {batch, layer.hidden_size}});
      for (const char* part : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"})
        if (Tensor t = layer.parameter_of(part + ("_" + name))) names.constants.emplace_back(t, name + "." + part);
    }
  return trace(specs, [&](const std::vector<Tensor>& in) {
    std::vector<Tensor> out;
    size_t at = 0;
    for (int64_t l = 0; l < layer.options.num_layers; ++l)
      for (int64_t d = 0; d < directions; ++d, at += 1 + states) {
        LayerScope scope(cell_name(l, d));
        for (Tensor& t : step_of(layer.kind, cell_of(layer, cell_name(l, d)), in[at], std::span(in).subspan(at + 1, states))) out.push_back(std::move(t));
      }
    return out;
  }, names);
}

// What every cell reads at each step, a step of all of them at a time: one sequence after the other, in floats.
struct Walk {
  const nn::Recurrent& layer;
  Batches sequences;
  std::vector<std::vector<Tensor>> left;           // the last is next

  std::vector<Tensor> next() {
    while (left.empty()) {
      std::vector<Tensor> batch = sequences();
      if (batch.empty()) return {};
      walk(batch[0]);
    }
    auto step = std::move(left.back());
    left.pop_back();
    return step;
  }
  void walk(const Tensor& given) {
    NoGrad no_grad;
    Tensor x = steps_first("from_float", given, layer.options, layer.input_size);
    const int64_t steps = x.dim(0);
    left.assign(size_t(steps), {});
    std::vector<std::vector<Tensor>> states(size_t(layer.options.num_layers * directions_of(layer.options)),
                                            std::vector<Tensor>(states_of(layer.kind), Tensor::zeros({x.dim(1), layer.hidden_size})));
    through_cells(x, layer.options, states, [&](int64_t l, int64_t d, int64_t k, const Tensor& given_now, const std::vector<Tensor>& state) {
      Tensor now = copy(given_now);
      auto& reads = left[size_t(steps - 1 - k)];
      reads.push_back(now);
      reads.insert(reads.end(), state.begin(), state.end());
      return step_of(layer.kind, cell_of(layer, cell_name(l, d)), now, state);
    });
  }
};

// The part of a graph between some of its inputs and outputs.
Graph part_of(Graph g, size_t first_input, size_t inputs, size_t first_output, size_t outputs) {
  g.inputs = {g.inputs.begin() + int64_t(first_input), g.inputs.begin() + int64_t(first_input + inputs)};
  g.outputs = {g.outputs.begin() + int64_t(first_output), g.outputs.begin() + int64_t(first_output + outputs)};
  remove_dead(g);
  drop_unread(g);
  verify(g);
  return g;
}

}  // namespace

void QuantizedRecurrent::take(std::vector<Ref<QuantizedModel>> cells) {
  for (size_t i = 0; i < cells.size(); ++i) register_module(cell_name(int64_t(i) / directions_of(options), int64_t(i) % directions_of(options)), cells[i]);
}

std::vector<Ref<QuantizedModel>> QuantizedRecurrent::cells_of(nn::Recurrent& layer, const Batches& calibration, const QuantizationConfig& config) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  std::vector<Tensor> first = calibration ? calibration() : std::vector<Tensor>{};
  if (calibration && first.empty()) throw Error(ErrorKind::value, "from_float", "at least one calibration batch", "none", "leave calibration data out to find scales at each step");
  Walk walk{layer, [&]() { return first.empty() ? calibration() : std::exchange(first, {}); }, {}};
  check_config(config);
  check_plain("from_float", config);
  const Graph given = steps_graph(layer);
  check_graph(given);
  QuantizationReport report;
  report.config = named(given, resolved(config));
  report.mode = report.config.mode == "static" && !calibration ? "dynamic" : report.config.mode;
  const Graph from = folded(given, report.config, report.mode);
  std::vector<Range> ranges;
  const bool is_static = report.mode == "static";
  Decisions d = decide(from, report.config, report.mode, is_static ? from.inputs : std::vector<int>{});        // states are integers
  if (is_static) ranges = calibrate(from, d, [&]() { return walk.next(); }, report.calibration_samples);
  const Graph g = place(given, from, d, [&](const Decisions& now) { return activation_parameters(from, now, ranges); }, report);
  const size_t states = states_of(layer.kind), count = g.outputs.size() / states;
  std::vector<Ref<QuantizedModel>> cells;
  for (size_t i = 0; i < count; ++i) {
    QuantizationReport own = report;
    const std::string name = cell_name(int64_t(i) / directions_of(layer.options), int64_t(i) % directions_of(layer.options));
    std::erase_if(own.rows, [&](const QuantizationRow& r) { return r.layer != name; });
    own.float_bytes = 0;
    for (const char* part : {"weight_ih_", "weight_hh_", "bias_ih_", "bias_hh_"}) if (Tensor t = layer.parameter_of(part + name)) own.float_bytes += t.spec().bytes();
    cells.push_back(model_of(part_of(g, i * (1 + states), 1 + states, i * states, states), std::move(own)));
  }
  return cells;
}

std::vector<Tensor> QuantizedRecurrent::initial(const std::vector<Tensor>& given, int64_t batch) const {
  const Shape shape{options.num_layers * directions_of(options), batch, hidden_size};
  if (given.empty()) return std::vector<Tensor>(states_of(kind), Tensor::zeros(shape));
  if (given.size() != states_of(kind)) throw Error(ErrorKind::value, type_name(), kind == CellKind::lstm ? "states h and c" : "one state h", std::to_string(given.size()));
  for (const Tensor& s : given) if (s.shape() != shape) throw Error(ErrorKind::value, type_name(), "states of shape " + shape.text(), s.shape().text());
  return given;
}
std::vector<Tensor> QuantizedRecurrent::next(int64_t layer, int64_t direction, const Tensor& x, const std::vector<Tensor>& state) {
  std::vector<Tensor> in{x};
  in.insert(in.end(), state.begin(), state.end());
  return child(cell_name(layer, direction))->forward(in);
}

std::vector<Tensor> QuantizedRecurrent::forward(const std::vector<Tensor>& in) {
  if (in.empty()) throw Error(ErrorKind::value, type_name(), "an input", "none");
  const bool single = in[0].rank() == 2;
  Tensor y = steps_first(type_name().c_str(), in[0], options, input_size);
  std::vector<Tensor> given;
  for (size_t i = 1; i < in.size(); ++i) given.push_back(single ? unsqueeze(in[i], 1) : in[i]);
  const std::vector<Tensor> start = initial(given, y.dim(1));
  const size_t cells = size_t(options.num_layers * directions_of(options));
  std::vector<std::vector<Tensor>> states(cells);
  for (size_t i = 0; i < cells; ++i) for (const Tensor& s : start) states[i].push_back(select(s, 0, int64_t(i)));
  y = through_cells(y, options, states, [&](int64_t l, int64_t d, int64_t, const Tensor& x, const std::vector<Tensor>& state) { return next(l, d, x, state); });
  std::vector<Tensor> out{single ? squeeze(y, 1) : options.batch_first ? transpose(y, 0, 1) : y};
  for (size_t k = 0; k < start.size(); ++k) {
    std::vector<Tensor> rows;
    for (auto& state : states) rows.push_back(state[k]);
    out.push_back(single ? squeeze(stack(rows, 0), 1) : stack(rows, 0));
  }
  return out;
}
std::vector<Tensor> QuantizedRecurrent::step(const Tensor& x, const std::vector<Tensor>& given) {
  if (options.bidirectional) throw Error(ErrorKind::value, type_name(), "one direction for a stream", "bidirectional=True", "the other direction begins at the end");
  if (x.rank() != 2 || x.dim(1) != input_size) throw Error(ErrorKind::value, type_name(), "one step (N, " + std::to_string(input_size) + ")", x.shape().text());
  const std::vector<Tensor> start = initial(given, x.dim(0));
  std::vector<std::vector<Tensor>> rows(start.size());
  Tensor y = x;
  for (int64_t l = 0; l < options.num_layers; ++l) {
    std::vector<Tensor> state;
    for (const Tensor& s : start) state.push_back(select(s, 0, l));
    state = next(l, 0, y, state);
    y = state[0];
    for (size_t k = 0; k < state.size(); ++k) rows[k].push_back(state[k]);
  }
  std::vector<Tensor> out{y};
  for (auto& r : rows) out.push_back(stack(r, 0));
  return out;
}

std::string QuantizedRecurrent::type_name() const { return kind == CellKind::lstm ? "QuantizedLSTM" : kind == CellKind::gru ? "QuantizedGRU" : "QuantizedRNN"; }
std::string QuantizedRecurrent::extra_repr() const {
  std::string s = std::to_string(input_size) + ", " + std::to_string(hidden_size);
  if (options.num_layers != 1) s += ", num_layers=" + std::to_string(options.num_layers);
  if (options.batch_first) s += ", batch_first=True";
  return options.bidirectional ? s + ", bidirectional=True" : s;
}

}  // namespace miniten::edge
