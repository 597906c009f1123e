#pragma once
#include "miniten/edge/quantization.h"
#include "miniten/interchange/c.h"

namespace miniten::edge {

// A model as C99 for what has no operating system: docs/edge/export_c.md.
struct ExportCOptions {
  std::string name = "model";            // of the files and functions
  Batches calibration = nullptr;         // quantises the model to int8 with it first; of a stream: whole sequences, read call by call
  std::optional<double> max_ram_kb;      // refuses where arena and states need more (1 kB = 1024 bytes)
  bool streaming = false;                // <name>_step and <name>_reset: recurrent layers go on where the call before ended
  std::string verify;                    // "": not compiled here; "host": by cc, run here; "qemu": by arm-none-eabi-gcc, run by qemu-system-arm
};

struct ExportCReport {
  std::string directory;
  std::vector<std::string> files;
  uint64_t arena_bytes = 0, state_bytes = 0, weight_bytes = 0;
  int64_t macs = 0;
  int steps = 0;
  std::vector<std::string> input_dtypes, output_dtypes;
  std::string verified_by;               // "cc", "qemu-system-arm (mps2-an386)"; empty: not
  std::optional<size_t> code_bytes;      // of the functions, for Cortex-M4 with -Os, where arm-none-eabi-gcc was asked
  std::optional<size_t> stack_bytes;     // the deepest of the call's frames there, without libm
  size_t dense_weight_bytes = 0;         // of weights, were clustered and block-sparse ones written as they are
  std::string to_text() const;
  std::string to_json() const;
};

// Writes <name>.h, <name>.c and <name>_self_test.c: all or none. The C gives the bytes of a Session where the model ends in
// integers, and floats within 1e-5 of the largest output. Throws, naming layer and mend, for what has no C form, too much
// RAM, a name that C cannot have, a folder that cannot be written, and a self-test that fails; io where a compiler is missing.
ExportCReport export_c(nn::Module& model, const std::vector<Spec>& inputs, const std::string& directory, const ExportCOptions& = {});

}  // namespace miniten::edge
