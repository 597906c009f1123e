#include "edge/quantization/steps.h"

namespace miniten::edge {

namespace {

[[noreturn]] void refuse_values(const Graph& g, int id, int64_t batch) {
  int producer = g.producer(id);
  std::string where = producer < 0 ? "input \"" + g.values[size_t(id)].name + "\""
                                   : "the output of layer \"" + layer_of(g.nodes[size_t(producer)]) + "\" (" + std::string(g.nodes[size_t(producer)].op->name) + ")";
  throw Error(ErrorKind::value, "quantize_model", "finite values while calibrating", "NaN or infinity in " + where + ", batch " + std::to_string(batch),
              producer < 0 ? "clean the calibration data" : "check the model's weights, or skip the layer");
}

std::vector<Spec> specs_of(const std::vector<Tensor>& batch) {
  std::vector<Spec> specs;
  for (const Tensor& t : batch) specs.push_back(t.spec());
  return specs;
}

// Runs the graph node by node; values die after their last reader. See is told of every value.
template <class F> void run(const Graph& g, const std::vector<Tensor>& inputs, const std::vector<int>& last_reader, F see) {
  std::vector<Tensor> at(g.values.size());
  for (size_t i = 0; i < at.size(); ++i) at[i] = g.values[i].constant;
  for (size_t i = 0; i < inputs.size(); ++i) {
    at[size_t(g.inputs[i])] = inputs[i];
    see(g.inputs[i], inputs[i]);
  }
  for (size_t k = 0; k < g.nodes.size(); ++k) {
    const Node& n = g.nodes[k];
    std::vector<Input> in;
    for (int id : n.in) in.push_back(at[size_t(id)]);
    std::vector<Tensor> out(n.out.size());
    apply(*n.op, in, n.attrs.get(), out);
    for (size_t i = 0; i < out.size(); ++i) {
      see(n.out[i], out[i]);
      at[size_t(n.out[i])] = out[i];
    }
    for (int id : n.in) if (last_reader[size_t(id)] == int(k)) at[size_t(id)] = {};
  }
}

}  // namespace

std::vector<Range> calibrate(const Graph& g, const Decisions& d, const QuantizationConfig& config, const Batches& batches, int64_t& samples,
                             const std::function<void(int, const Tensor&)>& also) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  std::vector<bool> watched = origins(g, d);
  std::vector<std::unique_ptr<RangeObserver>> observers(g.values.size());
  for (size_t i = 0; i < watched.size(); ++i) if (watched[i]) observers[i] = std::make_unique<RangeObserver>(config);
  std::vector<int> last_reader(g.values.size(), -1);
  for (size_t k = 0; k < g.nodes.size(); ++k) for (int id : g.nodes[k].in) last_reader[size_t(id)] = int(k);

  for (size_t i = 0; i < observers.size(); ++i)
    if (observers[i] && g.is_constant(int(i))) observers[i]->see(g.values[i].constant);

  Graph bound;
  std::vector<Spec> bound_to;
  int64_t batch = 0;
  for (std::vector<Tensor> inputs = batches(); !inputs.empty(); inputs = batches(), ++batch) {
    auto specs = specs_of(inputs);
    if (batch == 0 || specs != bound_to) {
      try {
        bound = bind_inputs(g, specs);
      } catch (const Error& e) {
        throw Error(e.kind(), "quantize_model", e.want(), e.got(), "calibration batch " + std::to_string(batch) + " does not fit the model");
      }
      bound_to = specs;
    }
    if (inputs[0].numel() == 0) continue;
    samples += inputs[0].rank() ? inputs[0].dim(0) : 1;
    run(bound, inputs, last_reader, [&](int id, const Tensor& t) {
      if (observers[size_t(id)] && !observers[size_t(id)]->see(t)) refuse_values(g, id, batch);
      also(id, t);
    });
  }
  if (samples == 0)
    throw Error(ErrorKind::value, "quantize_model", "calibration data with at least one sample", std::to_string(batch) + " batches without",
                "leave calibration data out to quantise activations at run time");
  std::vector<Range> ranges(g.values.size());
  for (size_t i = 0; i < observers.size(); ++i)
    if (observers[i] && !observers[i]->is_empty()) ranges[i] = observers[i]->range(config.activation_dtype, config.activation_symmetric);
  return ranges;
}

std::vector<Quantized> activation_parameters(const Graph& g, const Decisions& d, const QuantizationConfig& config, const std::vector<Range>& ranges) {
  std::vector<Range> together(g.values.size());
  std::vector<bool> is_origin = origins(g, d);
  for (size_t i = 0; i < ranges.size(); ++i)
    if (is_origin[i] && !ranges[i].is_empty()) together[size_t(d.group[i])].include(ranges[i]);
  std::vector<Quantized> groups(g.values.size());
  for (size_t i = 0; i < groups.size(); ++i) {
    if (!d.quantized[i]) continue;
    Affine a = affine_of(together[i], config.activation_dtype, config.activation_symmetric);
    groups[i] = {{a.scale}, {a.zero}, -1, 0, config.activation_dtype};
  }
  return groups;
}

}  // namespace miniten::edge
