#pragma once
#include <optional>
#include "miniten/nn/module.h"

namespace miniten::edge {

// Where two models part: their layers side by side on the same inputs. The models may come from any format; layers are
// matched by name ("features.0", ONNX's "/features/0/Conv"), and where names do not meet, in order by shape. Integers
// are compared as what they stand for. b may have channels last where a has them first, as a TFLite file beside an ONNX file.
struct DiffRow {
  std::string layer, other, op;                  // name in a, name in b, a's last op there
  Shape shape;
  double difference = 0;                         // max |a - b| / max(1, max |a|)
  double sqnr_db = 0;                            // of b as an estimate of a; infinite where they are equal
  bool parts = false;                            // difference > tolerance
};
struct DiffReport {
  std::vector<DiffRow> rows;                     // in a's order; the outputs last, as "output 0" ..
  std::optional<std::string> first;              // the first layer that parts
  double tolerance = 0;
  std::string to_text() const;
  std::string to_json() const;
};
// The axes' order in which an image fits a spec that has its channels at the other end; empty where none is needed or helps.
Axes turned_to_fit(const Shape& image, const Spec& want);

// max |a - b| / max(1, max |b|) of two models' outputs; infinite where one is NaN alone or specs differ.
double output_difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b);

DiffReport diff(nn::Module& a, nn::Module& b, const std::vector<Tensor>& inputs, double tolerance = 1e-3);

}  // namespace miniten::edge
