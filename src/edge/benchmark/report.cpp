#include "base/json.h"
#include "edge/benchmark/bench.h"
#include "edge/models.h"
#include "edge/utils/predict.h"

namespace miniten::edge {

std::vector<LayerLatency> profile_by_layer(nn::Module& m, const std::vector<Spec>& inputs, int runs) {
  if (runs < 1) throw Error(ErrorKind::value, "profile_by_layer", "at least one run", std::to_string(runs));
  Bench b("profile_by_layer", m, inputs, 1);
  auto types = layer_types(m);
  const Device& machine = this_machine();
  std::vector<LayerLatency> rows;
  for (StepProfile& s : b.session.profile(b.inputs, runs)) {
    auto type = types.find(s.name);
    std::string class_name = s.name.empty() || type == types.end() ? s.op : type->second;
    StepWork w = work_of(s.op, s.cost, s.in, s.out);
    rows.push_back({s.name, s.op, std::move(s.in), std::move(s.out), s.nanoseconds / 1e6, s.cost, std::move(class_name), w.bytes,
                    1000 * roofline_seconds(machine, w.cost, w.bytes, w.integers)});
  }
  return rows;
}

BenchmarkReport::BenchmarkReport(nn::Module& model, std::vector<Spec> inputs, const BenchmarkOptions& o) : model_(model), inputs_(std::move(inputs)), options_(o) {
  check_runs("BenchmarkReport", o);
}
void BenchmarkReport::run_all() {
  memory_ = memory_benchmark(model_, inputs_);                 // first: its peak is of a fresh session
  latency_ = benchmark_model(model_, inputs_, options_);
  layers_ = profile_by_layer(model_, inputs_, std::min(options_.num_runs, 20));
}
const BenchmarkResult& BenchmarkReport::latency() {
  if (latency_.latencies_ms.empty()) run_all();
  return latency_;
}
const MemoryResult& BenchmarkReport::memory() { latency(); return memory_; }
const std::vector<LayerLatency>& BenchmarkReport::layers() { latency(); return layers_; }

std::string BenchmarkReport::summary() {
  std::string s = latency().to_text() + "\n";
  char line[320];
  std::snprintf(line, sizeof line, "memory %.2f MB resident, %.2f at the peak; arena %zu bytes, weights %zu bytes\n", double(memory_.current_bytes) / 1048576,
                double(memory_.peak_bytes) / 1048576, memory_.arena_bytes, memory_.weight_bytes);
  s += line;
  double all = 0;
  for (const LayerLatency& l : layers_) all += l.latency_ms;
  for (const LayerLatency& l : layers_) {
    std::snprintf(line, sizeof line, "%-28s %-16s %10.4f ms %6.1f %% %14lld MACs %5.0f %% of the roofline\n", l.layer.empty() ? "-" : l.layer.c_str(), l.type.c_str(), l.latency_ms,
                  all > 0 ? 100 * l.latency_ms / all : 0, (long long)l.cost.macs, 100 * l.roofline_share());
    s += line;
  }
  return s;
}

static nlohmann::ordered_json shape_json(const std::vector<Spec>& specs) {
  nlohmann::ordered_json j = nlohmann::ordered_json::array();
  if (!specs.empty()) for (Dim d : specs[0].shape) j.push_back(d);
  return j;
}
std::string BenchmarkReport::to_json() {
  nlohmann::ordered_json j{{"latency", parse_json(latency().to_json())}, {"memory", parse_json(memory_.to_json())},
                           {"layers", nlohmann::ordered_json::array()}};
  for (size_t i = 0; i < layers_.size(); ++i) {
    const LayerLatency& l = layers_[i];
    j["layers"].push_back({{"layer_index", i}, {"layer_type", l.type}, {"layer", l.layer}, {"op", l.op}, {"input_shape", shape_json(l.in)},
                           {"output_shape", shape_json(l.out)}, {"latency_ms", l.latency_ms}, {"macs", l.cost.macs}, {"bytes", l.bytes},
                           {"roofline_ms", l.roofline_ms}, {"roofline_share", l.roofline_share()}});
  }
  return j.dump(1);
}
}  // namespace miniten::edge
