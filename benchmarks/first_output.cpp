// Milliseconds from the birth of the process to the first output of a model in MiniTen's own file, and its most memory in MB.
#include <ctime>
#include <cstdio>
#include <fstream>
#include <string>
#include "miniten/base/symbol.h"
#include "miniten/graph/session.h"
#include "miniten/interchange/native.h"

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "first_output FILE\n"), 2;
  miniten::NativeFile file = miniten::load_native(std::string(argv[1]));
  std::vector<miniten::Spec> inputs_of_one = file.graph.specs(file.graph.inputs);
  for (miniten::Spec& s : inputs_of_one)
    for (int i = 0; i < s.shape.rank; ++i) if (miniten::is_symbol(s.shape[i])) s.shape[i] = 1;
  miniten::Session session(miniten::bind_inputs(std::move(file.graph), inputs_of_one), {.threads = 1, .keep_constants = false});
  std::vector<miniten::Tensor> inputs;
  for (const miniten::Spec& s : session.input_specs()) inputs.push_back(miniten::Tensor::zeros(s.shape, s.dtype));
  session.run_into(inputs);
  timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  std::string word;
  double kb = 0;
  std::ifstream status("/proc/self/status");
  while (status >> word) if (word == "VmHWM:") status >> kb;
  std::printf("%.2f %.1f\n", double(used.tv_sec) * 1e3 + double(used.tv_nsec) * 1e-6, kb / 1024);
}
