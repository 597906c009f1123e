#pragma once
#include <map>
#include "miniten/nn/module.h"

namespace miniten::edge {

// A model with all that a stranger needs to run and to check it, in one zip: docs/edge/package.md.
struct PackageOptions {
  std::vector<std::string> targets{"onnx", "tflite", "c"};   // beside MiniTen's own file
  std::string name = "model";            // of the files and of C's functions
  std::vector<Tensor> inputs;            // what the golden outputs are computed of; none: normal numbers, zeros for integers
  std::string license;                   // of the model; empty: said to be unknown
  std::string verify;                    // of C, as ExportCOptions has it
};

struct PackageReport {
  std::string path;
  size_t bytes = 0;
  std::vector<std::string> targets;      // "npz" first
  std::map<std::string, size_t> files;   // name in the zip -> bytes
  std::string about;                     // JSON: report.json of the zip
  std::string to_text() const;
  std::string to_json() const;
};

// Writes the zip: whole or not at all. specs: none for those of the model's last call. Throws before any work for targets
// that are none, names that C cannot have, places that cannot be written; then what the exporters throw, each naming layer
// and mend.
PackageReport package(nn::Module&, const std::string& path, const std::vector<Spec>& specs = {}, const PackageOptions& = {});

}  // namespace miniten::edge
