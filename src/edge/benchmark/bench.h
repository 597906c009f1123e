#pragma once
#include "miniten/edge/benchmark.h"

namespace miniten::edge {

// A compiled model with inputs for it.
struct Bench {
  Session session;
  std::vector<Tensor> inputs;
  Bench(const char* who, nn::Module&, const std::vector<Spec>& given, int threads);
  void run() { session.run_into(inputs); }
  double timed_ms();
};

double now_ms();                                               // of the steady clock
int threads_of(const char* who, int threads);                  // 0: get_num_threads()
void check_runs(const char* who, const BenchmarkOptions&);

}  // namespace miniten::edge
