#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include "cli/files.h"
#include "cli/text.h"
#include "miniten/base/parallel.h"
#include "miniten/edge/benchmark.h"
#include "miniten/edge/export.h"

namespace miniten::cli {

namespace {

using json = nlohmann::ordered_json;

std::vector<double> doubles(const Tensor& t) {
  Tensor wide = Tensor::empty({DType::f64, t.shape()});
  copy_values(t.view(), wide.view());
  return wide.to_vector<double>();
}

std::vector<std::string> read_labels(const std::string& path) {
  std::vector<std::string> labels;
  if (path.empty()) return labels;
  std::ifstream f(path);
  if (!f) throw WrongUse{"there is no file \"" + path + "\" to read labels from"};
  for (std::string line; std::getline(f, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    labels.push_back(line);
  }
  return labels;
}

// The greatest first; of equal ones the first in order; NaN last.
std::vector<size_t> ranked(const double* v, size_t n, size_t top) {
  std::vector<size_t> order(n);
  for (size_t i = 0; i < n; ++i) order[i] = i;
  auto key = [&](size_t i) { return std::isnan(v[i]) ? -HUGE_VAL : v[i]; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) > key(b); });
  order.resize(std::min(n, top));
  return order;
}
json value_json(double v, DType t) {
  if (!is_float(t)) return t == DType::boolean ? json(v != 0) : json(int64_t(v));
  return std::isfinite(v) ? json(v) : json(std::isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
}
json nested(const double*& v, const Shape& s, int axis, DType t) {
  if (axis == s.rank) return value_json(*v++, t);
  json j = json::array();
  for (Dim i = 0; i < s[axis]; ++i) j.push_back(nested(v, s, axis + 1, t));
  return j;
}
std::string value_text(double v, DType t) { return number(is_float(t) ? "%.6g" : "%.0f", v); }

}  // namespace

int run(const Run& o, Output to) {
  if (!o.output.empty()) check_output(o.output, ".npz");
  std::vector<std::string> labels = read_labels(o.labels);
  auto m = open_model(o.file);
  const Graph& g = m->graph();
  if (labels.empty())
    if (auto own = edge::labels_of(g); !own.empty() && g.outputs.size() == 1 && g.values[size_t(g.outputs[0])].spec.shape.rank && g.values[size_t(g.outputs[0])].spec.shape[-1] == Dim(own.size()))
      labels = own;                                    // the file's, where they fit
  bool given = !o.inputs.empty() || !o.images.files.empty();
  std::vector<Tensor> inputs = !given ? edge::random_inputs(specs_for(*m, {})) : read_inputs(*m, o.inputs, o.images.files.empty() ? std::vector<Tensor>() : read_images(*m, o.images));
  if (o.threads) set_num_threads(o.threads);
  std::vector<Tensor> outputs = [&] { Doing doing("running"); return (*m)(inputs); }();
  size_t top = size_t(o.top ? o.top : labels.empty() ? 0 : 5);
  if (top)
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (outputs[k].rank() < 1) throw WrongUse{"--top ranks along an output's last axis, " + output_name(g, k) + " is " + outputs[k].spec().text()};
      if (!labels.empty() && int64_t(labels.size()) != outputs[k].dim(-1))
        throw WrongUse{"\"" + o.labels + "\" has " + std::to_string(labels.size()) + " lines, output " + output_name(g, k) + " is " + outputs[k].spec().text()};
    }
  if (!o.output.empty()) {
    NativeFile f;
    f.kind = "state_dict";
    for (size_t k = 0; k < outputs.size(); ++k) f.tensors.push_back({output_name(g, k), outputs[k]});
    save_native(f, o.output);
  }
  json j{{"file", o.file}, {"inputs", given ? json(o.inputs) : json("random")}, {"outputs", json::array()}};
  if (!o.images.files.empty()) j["images"] = o.images.files;
  if (!to.json && !given) to.out << "inputs: random, the same at each run (give --input or --image for your own)\n";
  for (size_t k = 0; k < outputs.size(); ++k) {
    const Tensor& t = outputs[k];
    std::vector<double> v = doubles(t);
    json row{{"name", output_name(g, k)}, {"shape", json::array()}, {"dtype", name_of(t.dtype())}};
    for (Dim d : t.shape()) row["shape"].push_back(d);
    const double* at = v.data();
    if (to.json && o.output.empty()) row["values"] = nested(at, t.shape(), 0, t.dtype());
    auto [least, greatest] = std::minmax_element(v.begin(), v.end());
    double sum = 0;
    for (double x : v) sum += x;
    if (!to.json) {
      to.out << output_name(g, k) << " " << t.spec().text();
      if (!v.empty()) to.out << ": min " << value_text(*least, t.dtype()) << ", mean " << number("%.6g", sum / double(v.size())) << ", max " << value_text(*greatest, t.dtype());
      to.out << "\n";
      if (!top && v.size() <= 64) {
        for (size_t i = 0; i < v.size(); ++i) to.out << (i ? " " : "  ") << value_text(v[i], t.dtype());
        if (!v.empty()) to.out << "\n";
      }
    }
    size_t classes = top ? size_t(t.dim(-1)) : 0;
    for (size_t sample = 0; classes && sample < v.size() / classes; ++sample) {
      json best = json::array();
      if (!to.json && v.size() > classes) to.out << " sample " << sample << "\n";
      for (size_t i : ranked(v.data() + sample * classes, classes, top)) {
        double score = v[sample * classes + i];
        json entry{{"index", i}, {"score", value_json(score, t.dtype())}};
        if (!labels.empty()) entry["label"] = labels[i];
        best.push_back(entry);
        if (!to.json) to.out << "  " << value_text(score, t.dtype()) << "  " << (labels.empty() ? std::to_string(i) : labels[i]) << "\n";
      }
      row["top"].push_back(best);
    }
    j["outputs"].push_back(row);
  }
  if (!o.output.empty()) j["output"] = o.output;
  if (to.json) to.out << j.dump() << "\n";
  else if (!o.output.empty()) to.out << "written to " << o.output << "\n";
  return 0;
}

}  // namespace miniten::cli
