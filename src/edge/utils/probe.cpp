#include <cmath>
#include "edge/benchmark/bench.h"
#include "edge/utils/predict.h"
#include "miniten/base/cpu.h"
#include "miniten/base/random.h"
#include "miniten/edge/quantization.h"
#include "miniten/nn/layers.h"

namespace miniten::edge {

namespace {

using Layers = std::vector<nn::ModuleRef>;

nn::ModuleRef conv(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t groups = 1) {
  return make<nn::Conv2d>(in, out, nn::Conv2dOptions{.kernel_size = {kernel, kernel}, .stride = {stride, stride}, .padding = {kernel / 2, kernel / 2}, .groups = groups});
}
nn::ModuleRef linear(int64_t in, int64_t out) { return make<nn::Linear>(in, out); }
nn::ModuleRef relu() { return make<nn::ReLU>(); }

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

// Nets of the kinds that edge devices run.
struct Net { nn::ModuleRef model; Spec input; };
std::vector<Net> nets() {
  auto net = [](Layers layers, Shape shape) {
    auto m = make<nn::Sequential>(std::move(layers));
    m->eval();
    return Net{m, {DType::f32, shape}};
  };
  std::vector<Net> floats{
      net({conv(3, 16, 3), relu(), conv(16, 32, 3, 2), relu(), conv(32, 32, 3), relu(), make<nn::Flatten>(), linear(32 * 256, 10)}, {1, 3, 32, 32}),
      net({conv(3, 16, 3, 2), relu(), conv(16, 16, 3, 1, 16), relu(), conv(16, 32, 1), relu(), conv(32, 32, 3, 2, 32), relu(), conv(32, 64, 1), relu(), make<nn::Flatten>(), linear(64 * 256, 10)}, {1, 3, 64, 64}),
      net({linear(784, 256), relu(), linear(256, 128), relu(), linear(128, 10)}, {1, 784}),
      net({linear(256, 512), relu(), linear(512, 512), relu(), linear(512, 64)}, {16, 256}),
      net({conv(1, 16, 3), relu(), conv(16, 16, 3, 1, 16), relu(), conv(16, 48, 1), relu(), make<nn::MaxPool2d>(Dims{2, 2}), conv(48, 48, 3, 1, 48), relu(), conv(48, 64, 1), relu(),
           make<nn::MaxPool2d>(Dims{2, 2}), make<nn::Flatten>(), linear(64 * 64, 10)}, {1, 1, 32, 32}),
      net({conv(3, 16, 3), relu(), conv(16, 16, 3), relu(), conv(16, 16, 3), relu(), make<nn::MaxPool2d>(Dims{2, 2}), conv(16, 64, 3), relu(), conv(64, 64, 3), relu(), make<nn::Flatten>(),
           linear(64 * 256, 10)}, {1, 3, 32, 32}),
      net({conv(8, 64, 3), relu(), conv(64, 128, 1), relu(), conv(128, 128, 3, 1, 128), relu(), conv(128, 128, 1), relu(), make<nn::MaxPool2d>(Dims{2, 2}), conv(128, 128, 3), relu(),
           make<nn::Flatten>(), linear(128 * 49, 16)}, {1, 8, 14, 14}),
      net({conv(16, 64, 5, 2), relu(), conv(64, 64, 1), relu(), make<nn::MaxPool2d>(Dims{2, 2}), conv(64, 96, 3), relu(), make<nn::Flatten>(), linear(96 * 49, 16)}, {1, 16, 28, 28})};
  std::vector<Net> all = floats;
  for (const Net& n : floats) all.push_back({in_int8(*n.model, n.input), n.input});
  return all;
}

// Time spent over time at the roofline, for every kind of step, every op and all.
std::map<std::string, double> slowdowns(const Device& d, const std::vector<std::vector<StepWork>>& measured, size_t leave_out) {
  std::map<std::string, std::pair<double, double>> sums;
  for (size_t k = 0; k < measured.size(); ++k) {
    if (k == leave_out) continue;
    for (const StepWork& w : measured[k]) {
      double roof = roofline_seconds(d, w.cost, w.bytes, w.integers), spent = std::max(w.seconds - d.step_seconds, 0.1 * w.seconds);
      if (!(roof > 0)) continue;
      for (const std::string& key : {kind_of(w), w.op + (w.transformed ? "+" : ""), std::string("*")}) {
        sums[key].first += spent;
        sums[key].second += roof;
      }
    }
  }
  std::map<std::string, double> factors;
  for (auto& [key, s] : sums) factors[key] = s.first / s.second;
  return factors;
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
  auto wide = make<nn::Sequential>(Layers{linear(512, 512)});
  wide->eval();
  nn::ModuleRef quantized = in_int8(*wide, batch);
  double macs = 128.0 * 512 * 512;
  d.macs_per_second = {{"float32", macs / best_seconds(*wide, batch, threads, 12)}, {"int8", macs / best_seconds(*quantized, batch, threads, 12)}};
  auto activation = make<nn::Sequential>(Layers{relu()});
  d.cache_bytes = cpu.l2_bytes > 0 ? double(cpu.l2_bytes) : 262144;
  int64_t small = std::clamp<int64_t>(int64_t(d.cache_bytes) / 4, 16384, 262144) / 4, large = std::clamp<int64_t>(cpu.l3_bytes, 16 << 20, 48 << 20) / 4;
  d.cache_bytes_per_second = 8.0 * double(small) / best_seconds(*activation, {DType::f32, {small}}, threads, 50);
  d.bytes_per_second = 8.0 * double(large) / best_seconds(*activation, {DType::f32, {large}}, threads, 4);
  d.step_seconds = best_seconds(*activation, {DType::f32, {1}}, threads, 200);
  d.slowdown = {{"*", 1.0}};
  return d;
}

const Device& this_machine() {
  static const Device machine = peak_rates(1);
  return machine;
}

Device probe(int threads) {
  Device d = peak_rates(threads);
  KeptRandomness kept;
  std::vector<std::vector<StepWork>> measured;
  std::vector<double> whole;
  d.step_seconds = HUGE_VAL;
  for (const Net& n : nets()) {
    Bench b("probe", *n.model, {n.input}, threads_of("probe", threads));
    std::vector<StepWork> steps = steps_of(b.session);
    double best = HUGE_VAL;
    for (StepWork& w : steps) w.seconds = HUGE_VAL;
    for (int round = 0; round < 3; ++round) {                        // the least of three medians: a busy machine holds some up
      std::vector<StepProfile> rows = b.session.profile(b.inputs, 15);
      for (size_t k = 0; k < std::min(rows.size(), steps.size()); ++k) steps[k].seconds = std::min(steps[k].seconds, rows[k].nanoseconds / 1e9);
      std::vector<double> latencies;
      for (int i = 0; i < 15; ++i) {
        double start = now_ms();
        b.run();
        latencies.push_back((now_ms() - start) / 1000);
      }
      best = std::min(best, median_of(latencies));
    }
    for (const StepWork& w : steps) d.step_seconds = std::min(d.step_seconds, w.seconds / 2);
    whole.push_back(best);
    measured.push_back(std::move(steps));
  }
  std::vector<double> errors;
  for (size_t k = 0; k < measured.size(); ++k) {
    d.slowdown = slowdowns(d, measured, k);
    errors.push_back(std::abs(predicted_seconds(d, measured[k]) - whole[k]) / whole[k]);
  }
  d.error = median_of(errors);
  d.slowdown = slowdowns(d, measured, measured.size());
  return d;
}

}  // namespace miniten::edge
