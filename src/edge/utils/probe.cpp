#include <cmath>
#include "edge/benchmark/bench.h"
#include "edge/utils/predict.h"
#include "edge/utils/zoo.h"
#include "miniten/base/cpu.h"
#include "miniten/base/random.h"
#include "miniten/edge/quantization.h"
#include "miniten/nn/layers.h"

namespace miniten::edge {

namespace {

struct KeptRandomness {                                // layers draw their weights: the user's sequence goes on as it was
  Generator kept = default_generator();
  ~KeptRandomness() { default_generator() = kept; }
};

double best_seconds(const std::function<void()>& run, int runs) {
  double best = HUGE_VAL;
  run();
  for (int i = 0; i < runs; ++i) {
    double start = now_ms();
    run();
    best = std::min(best, now_ms() - start);
  }
  return best / 1000;
}
double best_seconds(nn::Module& m, const Spec& input, int threads, int runs) {
  Bench b("probe", m, {input}, threads);
  return best_seconds([&] { b.run(); }, runs);
}
nn::ModuleRef in_int8(nn::Module& m, const Spec& input) {
  return quantize_model(m, {}, std::vector<std::vector<Tensor>>{random_inputs({input})});
}

struct Measured { StepWork work; size_t net; };        // net: which it is a step of

// What a device of these steps predicts with, without those of one net.
void fit(Device& d, const std::vector<Measured>& all, size_t leave_out) {
  std::map<std::string, std::pair<double, double>> logs;
  d.steps.clear();
  for (const Measured& m : all) {
    if (m.net == leave_out) continue;
    MeasuredStep step = measured_step(d, m.work);
    d.steps[kind_of(m.work)].push_back(step);
    for (const std::string& key : {kind_of(m.work), std::string("*")}) {
      logs[key].first += std::log(step.slowdown);
      logs[key].second += 1;
    }
  }
  d.slowdown.clear();
  for (auto& [key, l] : logs) d.slowdown[key] = std::exp(l.first / l.second);
}

}  // namespace

Device peak_rates(int threads) {
  threads = threads_of("probe", threads);
  KeptRandomness kept;
  CpuInfo cpu = cpu_info();
  Device d;
  d.name = "this machine";
  d.chip = cpu.brand.empty() ? cpu.vendor : cpu.brand;
  d.core = cpu.isa;
  d.cores = threads;
  d.measured = true;
  d.source = "measured with MiniTen's kernels on " + std::to_string(threads) + " thread" + (threads == 1 ? "" : "s");
  Spec batch{DType::f32, {128, 512}};
  auto wide = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(512, 512)});
  wide->eval();
  nn::ModuleRef quantized = in_int8(*wide, batch);
  double macs = 128.0 * 512 * 512;
  d.macs_per_second = {{"float32", macs / best_seconds(*wide, batch, threads, 12)}, {"int8", macs / best_seconds(*quantized, batch, threads, 12)}};
  auto activation = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::ReLU>()});
  d.cache_bytes = cpu.l2_bytes > 0 ? double(cpu.l2_bytes) : 262144;
  int64_t small = std::clamp<int64_t>(int64_t(d.cache_bytes) / 4, 16384, 262144) / 4, large = std::clamp<int64_t>(cpu.l3_bytes, 16 << 20, 48 << 20) / 4;
  d.cache_bytes_per_second = 8.0 * double(small) / best_seconds(*activation, {DType::f32, {small}}, threads, 50);
  d.bytes_per_second = 8.0 * double(large) / best_seconds(*activation, {DType::f32, {large}}, threads, 8);
  d.step_seconds = best_seconds(*activation, {DType::f32, {1}}, threads, 200);
  d.slowdown = {{"*", 1.0}};
  return d;
}

const Device& this_machine() {
  static const Device machine = peak_rates(1);
  return machine;
}

Device probe(int threads, const std::function<void(double)>& progress) {
  Device d = peak_rates(threads);
  KeptRandomness kept;
  std::vector<ProbeNet> nets = probe_nets();
  for (size_t i = 0, floats = nets.size(); i < floats; ++i) {
    ProbeNet n = nets[i];
    try {
      n.model = in_int8(*n.model, n.input);
    } catch (const Error&) {                                          // nothing in it has integers
      continue;
    }
    nets.push_back(n);
  }
  std::vector<Measured> steps;
  std::vector<std::pair<size_t, double>> whole;                       // of nets alone: which, and its latency
  double shortest = HUGE_VAL;
  for (size_t i = 0; i < nets.size(); ++i) {
    if (progress) progress(double(i) / double(nets.size()));
    Bench b("probe", *nets[i].model, {nets[i].input}, threads_of("probe", threads));
    std::vector<StepWork> own = steps_of(b.session);
    double best = HUGE_VAL;
    for (StepWork& w : own) w.seconds = HUGE_VAL;
    for (int round = 0; round < 5; ++round) {                        // the least of five medians: a busy machine holds some up
      std::vector<StepProfile> rows = b.session.profile(b.inputs, 15);
      for (size_t k = 0; k < std::min(rows.size(), own.size()); ++k) own[k].seconds = std::min(own[k].seconds, rows[k].nanoseconds / 1e9);
      std::vector<double> latencies;
      for (int run = 0; run < 15; ++run) {
        double start = now_ms();
        b.run();
        latencies.push_back((now_ms() - start) / 1000);
      }
      best = std::min(best, median_of(latencies));
    }
    if (nets[i].net) whole.emplace_back(i, best);
    for (StepWork& w : own) {
      shortest = std::min(shortest, w.seconds);
      steps.push_back({std::move(w), i});
    }
  }
  d.step_seconds = shortest / 2;
  std::vector<double> errors;
  for (auto& [i, seconds] : whole) {
    fit(d, steps, i);
    double predicted = 0;
    for (const Measured& m : steps) if (m.net == i) predicted += predicted_seconds(d, m.work);
    errors.push_back(std::abs(predicted - seconds) / seconds);
  }
  d.error = median_of(errors);
  fit(d, steps, nets.size());
  if (progress) progress(1);
  return d;
}

}  // namespace miniten::edge
