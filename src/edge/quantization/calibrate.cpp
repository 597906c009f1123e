#include "edge/quantization/observe.h"
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

}  // namespace

std::vector<Range> calibrate(const Graph& g, const Decisions& d, const Batches& batches, int64_t& samples,
                             const std::function<void(int, const Tensor&)>& also, std::vector<Range>* as_int16) {
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  std::vector<bool> watched = origins(g, d);
  std::vector<std::unique_ptr<RangeObserver>> observers(g.values.size());
  for (size_t i = 0; i < watched.size(); ++i) if (watched[i]) observers[i] = std::make_unique<RangeObserver>(d.config_of_value(int(i)));
  for (size_t i = 0; i < observers.size(); ++i)
    if (observers[i] && g.is_constant(int(i))) observers[i]->see(g.values[i].constant);

  Observed seen = observe("quantize_model", g, batches, [&](int id, const Tensor& t, int64_t batch) {
    if (observers[size_t(id)] && !observers[size_t(id)]->see(t)) refuse_values(g, id, batch);
    also(id, t);
  });
  samples += seen.samples;
  if (samples == 0)
    throw Error(ErrorKind::value, "quantize_model", "calibration data with at least one sample", std::to_string(seen.batches) + " batches without",
                "leave calibration data out to quantise activations at run time");
  std::vector<Range> ranges(g.values.size());
  if (as_int16) as_int16->resize(g.values.size());
  for (size_t i = 0; i < observers.size(); ++i)
    if (const QuantizationConfig& config = d.config_of_value(int(i)); observers[i] && !observers[i]->is_empty()) {
      ranges[i] = observers[i]->range(config.activation_dtype, config.activation_symmetric);
      if (as_int16) (*as_int16)[i] = observers[i]->range(DType::i16, true);
    }
  return ranges;
}

GroupParameters activation_parameters(const Graph& g, const Decisions& d, const std::vector<Range>& ranges) {
  GroupParameters groups{std::vector<Quantized>(g.values.size()), std::vector<Range>(g.values.size())};
  std::vector<bool> is_origin = origins(g, d);
  for (size_t i = 0; i < ranges.size(); ++i)
    if (is_origin[i] && !ranges[i].is_empty()) groups.ranges[size_t(d.group[i])].include(ranges[i]);
  for (size_t i = 0; i < groups.of.size(); ++i) {
    if (!d.quantized[i]) continue;
    const QuantizationConfig& config = d.configs[size_t(d.leads[i])];
    Affine a = affine_of(groups.ranges[i], config.activation_dtype, config.activation_symmetric);
    groups.of[i] = {{a.scale}, {a.zero}, -1, 0, config.activation_dtype};
  }
  // Constant zeros, as a recurrent layer's first state: any scale is right. Some runtimes want it near the result's.
  std::vector<bool> fixed(groups.of.size());
  for (size_t i = 0; i < ranges.size(); ++i) if (is_origin[i] && g.is_constant(int(i))) fixed[size_t(d.group[i])] = true;
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (d.nodes[i].form != Decision::integers) continue;
    for (size_t k = 0; k < g.nodes[i].in.size(); ++k) {
      if (!is_activation(g, g.nodes[i], k)) continue;
      const auto group = size_t(d.group[size_t(g.nodes[i].in[k])]), out = size_t(d.group[size_t(g.nodes[i].out[0])]);
      if (fixed[group] && groups.ranges[group].lo == 0 && groups.ranges[group].hi == 0 && groups.of[group].scale.size() == 1 && groups.of[out].scale.size() == 1) groups.of[group].scale = groups.of[out].scale;
    }
  }
  return groups;
}

}  // namespace miniten::edge
