#include "edge/models.h"
#include "edge/quantization/steps.h"
#include "miniten/graph/session.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

// Sequences cut into calls of a stream; what one call hands on the next one reads.
struct Calls {
  const CarryingGraph& stream;
  Session session;
  Batches sequences;
  size_t inputs;
  std::vector<Tensor> now;                               // of a sequence
  std::vector<Tensor> states;
  int64_t done = 0, count = 0, axis = -1;

  Calls(const CarryingGraph& c, Batches data) : stream(c), session(own_copy(c.graph), {.threads = 1}), sequences(std::move(data)), inputs(c.graph.inputs.size() - c.carried.size()) {}

  const Shape& shape(size_t i) const { return stream.graph.values[size_t(stream.graph.inputs[i])].spec.shape; }
  // The axis along which a sequence is longer than a call, and how many calls it has.
  void begin() {
    const Shape &whole = now[0].shape(), &part = shape(0);
    done = 0;
    count = 1;
    axis = -1;
    bool fits = now.size() == inputs && whole.rank == part.rank;
    for (int k = 0; fits && k < part.rank; ++k) {
      if (whole[k] == part[k]) continue;
      fits = axis < 0 && part[k] > 0 && whole[k] >= part[k] && whole[k] % part[k] == 0;
      axis = k;
      if (fits) count = whole[k] / part[k];
    }
    if (!fits) throw Error(ErrorKind::value, "export_c", "calibration sequences that are calls of " + part.text() + " one after the other along one axis", whole.text(), "pass a list of sequences");
    states.clear();
    for (const CarriedValue& c : stream.carried) states.push_back(c.first);
  }
  std::vector<Tensor> next() {
    while (done == count) {
      now = sequences();
      if (now.empty()) return {};
      begin();
    }
    std::vector<Tensor> in;
    for (size_t i = 0; i < inputs; ++i) {
      const bool cut = axis >= 0 && now[i].rank() > int(axis) && now[i].dim(int(axis)) == count * shape(i)[int(axis)];
      in.push_back(cut ? copy(slice(now[i], int(axis), done * shape(i)[int(axis)], (done + 1) * shape(i)[int(axis)])) : now[i]);
    }
    in.insert(in.end(), states.begin(), states.end());
    ++done;
    std::vector<Tensor> out = session.run(in);
    for (size_t k = 0; k < states.size(); ++k) states[k] = out[size_t(stream.carried[k].output)];
    return in;
  }
};

}  // namespace

Graph quantize_stream(const CarryingGraph& stream, const Batches& sequences, QuantizationReport& report, const std::vector<std::string>& skip) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  check_graph(stream.graph);
  report.config = resolved(report.config);
  report.mode = "static";
  widen_states(stream.graph, report.config);
  report.config.skip = skip;
  const QuantizationConfig config = named(stream.graph, report.config);
  const Graph from = folded(stream.graph, config, report.mode);
  std::vector<int> states;
  for (const CarriedValue& c : stream.carried) states.push_back(from.inputs[size_t(c.input)]);
  Decisions d = decide(from, config, report.mode, states);
  Calls calls(stream, sequences);
  const std::vector<Range> ranges = calibrate(from, d, [&] { return calls.next(); }, report.calibration_samples);
  return place(stream.graph, from, d, [&](const Decisions& now) {
    GroupParameters p = activation_parameters(from, now, ranges);
    for (const CarriedValue& c : stream.carried) {             // a state has one scale, as it comes and as it goes
      const auto in = size_t(now.group[size_t(from.inputs[size_t(c.input)])]), out = size_t(now.group[size_t(from.outputs[size_t(c.output)])]);
      if (in == out || !now.quantized[in] || !now.quantized[out]) continue;
      p.ranges[in].include(p.ranges[out]);
      p.ranges[out] = p.ranges[in];
      const QuantizationConfig& own = now.configs[size_t(now.leads[out])];
      const Affine a = affine_of(p.ranges[in], own.activation_dtype, own.activation_symmetric);
      p.of[in] = p.of[out] = {{a.scale}, {a.zero}, -1, 0, own.activation_dtype};
    }
    return p;
  }, report);
}

}  // namespace miniten::edge
