#pragma once
#include "miniten/edge/benchmark.h"

namespace miniten::edge {

// A compiled model with inputs for it.
struct Bench {
  Session session;
  std::vector<Tensor> inputs;
  Bench(const char* who, nn::Module&, const std::vector<Spec>& given, int threads, const std::vector<Tensor>& real = {});
  void run() { session.run_into(inputs); }
};

double now_ms();                                               // of the steady clock
int threads_of(const char* who, int threads);                  // 0: get_num_threads()
void check_runs(const char* who, const BenchmarkOptions&);

// What the system counted for this process so far; none: it does not tell.
struct Events { int64_t context_switches = 0, page_faults = 0; };
std::optional<Events> events_now();
struct MachineWatch {                                          // from its making on
  MachineWatch();
  Machine end() const;
  Machine begun;
  std::optional<int64_t> throttles;
};
std::optional<double> celsius_now();
size_t resident_bytes(const char* who);                        // throws where the system does not tell

// Warms up and times every workload in rounds, the order turning round.
void time_rounds(const std::vector<Workload>&, const BenchmarkOptions&, const std::vector<BenchmarkResult*>& results);

// What searches rank models by: of at least 15 runs and, below 400, 30 ms; of a model with one thread.
double median_ms(const Workload&);
inline double median_ms(nn::Module& m, const std::vector<Spec>& inputs) { return median_ms(workload(m, inputs, {.threads = 1})); }

enum class Statistic { mean, median };
Interval bootstrap(std::span<const double>, Statistic, double level);
double median_of(std::vector<double>);

}  // namespace miniten::edge
