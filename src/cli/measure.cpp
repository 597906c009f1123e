#include <nlohmann/json.hpp>
#include <ostream>
#include "cli/files.h"
#include "cli/text.h"
#include "miniten/edge/benchmark.h"
#include "miniten/edge/utils.h"

// Commands that measure or estimate and write no file.
namespace miniten::cli {

namespace {
using json = nlohmann::ordered_json;

std::string shape_text(const std::vector<Spec>& specs) { return specs.empty() ? "" : specs[0].shape.text(); }
json shape_json(const std::vector<Spec>& specs) {
  json j = json::array();
  if (!specs.empty()) for (Dim d : specs[0].shape) j.push_back(d);
  return j;
}
}  // namespace

int profile(const Profile& o, Output to) {
  auto m = open_model(o.file);
  auto layers = edge::profile_by_layer(*m, specs_for(*m, o.shapes), o.runs);
  double all = 0;
  for (const auto& l : layers) all += l.latency_ms;
  json j{{"file", o.file}, {"latency_ms", all}, {"layers", json::array()}};
  std::vector<std::vector<std::string>> rows{{"layer", "op", "output", "ms", "share", "MACs", "of roofline"}};
  for (size_t i = 0; i < layers.size(); ++i) {
    const edge::LayerLatency& l = layers[i];
    j["layers"].push_back({{"layer_index", i}, {"layer", l.layer}, {"layer_type", l.type}, {"op", l.op}, {"input_shape", shape_json(l.in)},
                           {"output_shape", shape_json(l.out)}, {"latency_ms", l.latency_ms}, {"macs", l.cost.macs}, {"bytes", l.bytes}, {"roofline_share", l.roofline_share()}});
    rows.push_back({l.layer.empty() ? "-" : l.layer, l.op, shape_text(l.out), number("%.4f", l.latency_ms), number("%.1f %%", all > 0 ? 100 * l.latency_ms / all : 0),
                    with_commas(l.cost.macs), number("%.0f %%", 100 * l.roofline_share())});
  }
  if (to.json) to.out << j.dump() << "\n";
  else to.out << table(rows, 3) << "all: " << number("%.4f", all) << " ms, one thread\n";
  return 0;
}

int estimate(const Estimate& o, Output to) {
  if (o.limit_mb && (o.training.empty() || !(*o.limit_mb > 0))) throw WrongUse{"--limit-mb is a number above 0 beside --training"};
  auto m = open_model(o.file);
  std::vector<Spec> specs = specs_for(*m, o.shapes);
  edge::ParameterCount parameters = edge::count_parameters(*m);
  edge::FlopCount flops = edge::count_flops(*m, specs, {.effective = true});
  edge::MemoryEstimate memory = edge::estimate_memory(*m, specs);
  bool is_class = o.device == "cpu" || o.device == "gpu" || o.device == "edge_cpu" || o.device == "npu" || o.device == "dsp";
  std::optional<edge::PowerEstimate> power;
  std::optional<edge::LatencyEstimate> latency;
  if (is_class && o.watts) throw WrongUse{"--watts is of a board: give --device"};
  if (!is_class && o.ops_per_watt) throw WrongUse{"--ops-per-watt is of a class of device: a board has --watts"};
  if (is_class) power = edge::estimate_power(*m, specs, o.device, o.ops_per_watt.value_or(0));
  else {
    edge::Device d = open_device(o.device);
    latency = edge::estimate_latency(*m, specs, d);
    if (o.watts || d.watts > 0) power = edge::estimate_power(*m, specs, d, o.watts.value_or(0));
  }
  std::optional<edge::TrainingMemory> training;
  if (!o.training.empty()) training = edge::estimate_training_memory(*m, specs, o.training, int64_t(o.limit_mb.value_or(0) * 1048576));
  if (to.json) {
    json j{{"file", o.file}, {"parameters", json::parse(parameters.to_json())}, {"flops", json::parse(flops.to_json())},
           {"memory", json::parse(memory.to_json())}};
    if (power) j["power"] = json::parse(power->to_json());
    if (latency) j["latency"] = json::parse(latency->to_json());
    if (training) j["training"] = json::parse(training->to_json());
    to.out << j.dump() << "\n";
    return 0;
  }
  auto kb = [](int64_t bytes) { return number("%.1f KB", double(bytes) / 1024); };
  to.out << o.file << ", " << joined(specs) << "\n"
         << "parameters  " << with_commas(parameters.total) << " (" << with_commas(parameters.nonzero) << " not zero)\n"
         << "MACs        " << with_commas(flops.macs) << (*flops.effective_macs == flops.macs ? "" : " (" + with_commas(*flops.effective_macs) + " by weights that are not zero)") << "\n"
         << "FLOPs       " << with_commas(flops.total()) << " (2 a MAC, " << with_commas(flops.elementwise_flops) << " elementwise)\n"
         << "memory      " << kb(memory.parameter) << " parameters, " << kb(memory.input) << " input, " << kb(memory.activation) << " activations\n";
  if (power && !latency)
    to.out << "energy      " << number("%.4g", power->energy_j * 1000) << " mJ an inference on " << power->device << " at " << number("%.3g", power->ops_per_watt)
           << " operations per watt-second (an estimate)\n";
  if (latency)
    to.out << "latency     " << number("%.4g", latency->latency_ms) << " ms on " << latency->device << (latency->measured ? " (predictions are off by " : " (peak rates, not measured: may be off by ")
           << number("%.0f %%)", 100 * latency->error) << "\n";
  if (power && latency) to.out << "energy      " << number("%.4g", power->energy_j * 1000) << " mJ an inference at " << number("%.4g", power->watts) << " W (an estimate)\n";
  if (training) {
    to.out << "training    " << kb(training->total()) << " a step of batch " << training->batch << " with " << training->optimizer << ": " << kb(training->parameter) << " parameters, "
           << kb(training->optimizer_state) << " optimizer, " << kb(training->input) << " input, " << kb(training->arena) << " activations and gradients\n";
    if (training->largest_batch) to.out << "batch       " << *training->largest_batch << " is the largest in " << number("%g", *o.limit_mb) << " MB\n";
  }
  return 0;
}

int check(const Check& o, Output to) {
  std::map<std::string, double> limits = o.limits;
  if (!o.device.empty()) {
    std::map<std::string, double> of_device;
    try {
      of_device = edge::constraints_of(open_device(o.device));
    } catch (const Error& e) {
      throw WrongUse{e.what()};
    }
    limits.insert(of_device.begin(), of_device.end());           // what is given by name stands
  }
  auto m = open_model(o.file);
  edge::Compatibility c = edge::check_edge_compatibility(*m, specs_for(*m, o.shapes), limits);
  if (to.json) {
    json j{{"file", o.file}};
    j.update(json::parse(c.to_json()));
    to.out << j.dump() << "\n";
  } else {
    to.out << c.to_text() << (c.passes_all() ? "the model fits\n" : "the model does not fit\n");
  }
  return c.passes_all() ? 0 : 1;
}

int probe(const Probe& o, Output to) {
  if (!o.output.empty()) check_output(o.output, ".json");
  edge::Device d = edge::probe(o.threads, Progress{"measuring"});
  std::string text = d.to_json() + "\n";
  if (!o.output.empty()) write_file(o.output, std::as_bytes(std::span(text)));
  to.out << (to.json ? text : d.to_text());
  if (!o.output.empty() && !to.json) to.out << "written to " << o.output << "\n";
  return 0;
}

}  // namespace miniten::cli
