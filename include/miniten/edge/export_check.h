#pragma once
#include "miniten/nn/module.h"

namespace miniten::edge {

// Which of a model's ops have a form in which target, before anything is written. Targets: "onnx-13" (an opset),
// "onnxruntime==1.14" (what that release reads), "tflite", "native" (MiniTen's own file).
struct ExportCheckRow {
  std::string op, layer;                         // the first layer with this op in this form
  std::vector<std::string> reasons;              // by target; empty: it can be written
};
struct ExportCheck {
  std::vector<std::string> targets;
  std::vector<ExportCheckRow> rows;              // each op once, what cannot be written apart from what can
  bool ok(std::string_view target) const;        // throws for a target that was not asked about
  std::string to_text() const;
  std::string to_json() const;
};
ExportCheck export_check(nn::Module& model, const std::vector<Spec>& inputs = {}, std::vector<std::string> targets = {});   // none: the usual ones

}  // namespace miniten::edge
