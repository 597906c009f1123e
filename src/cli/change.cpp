#include <nlohmann/json.hpp>
#include <ostream>
#include "cli/files.h"
#include "miniten/edge/export_c.h"
#include "miniten/edge/compare_quantized.h"
#include "miniten/edge/pruning.h"
#include "miniten/interchange/native.h"

// Commands that read a model and write another.
namespace miniten::cli {

namespace {

using json = nlohmann::ordered_json;

// report: what was done, as JSON and as text.
void tell(Output to, const edge::ExportReport& written, const char* key, const std::string& report_json, const std::string& report_text) {
  if (to.json) {
    json j = json::parse(written.to_json());
    if (*key) j[key] = json::parse(report_json);
    to.out << j.dump() << "\n";
  } else {
    to.out << report_text << written.to_text() << "\n";
  }
}

// Batches along the first axis, of the model's own batch where it has one.
edge::Batches batches_of(const nn::GraphModule& m, const std::string& file) {
  constexpr int64_t open_batch = 32;
  std::vector<Tensor> all = read_inputs(m, {file});
  const Graph& g = m.graph();
  int64_t samples = -1, batch = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const Spec& want = g.values[size_t(g.inputs[i])].spec;
    bool fits = all[i].rank() == want.shape.rank && all[i].rank() > 0;
    for (int a = 1; fits && a < want.shape.rank; ++a) fits = is_symbol(want.shape[a]) || want.shape[a] == all[i].dim(a);
    if (!fits) throw WrongUse{"calibration data of " + all[i].spec().text() + " does not fit input " + input_name(g, i) + " of " + want.text()};
    int64_t fixed = is_symbol(want.shape[0]) ? open_batch : want.shape[0];
    if (samples < 0) { samples = all[i].dim(0); batch = fixed; }
    if (all[i].dim(0) != samples) throw WrongUse{"calibration data wants as many samples for each input, got " + std::to_string(samples) + " and " + std::to_string(all[i].dim(0))};
    if (!is_symbol(want.shape[0]) && samples % fixed != 0)
      throw WrongUse{"the model takes batches of " + std::to_string(fixed) + ", so calibration data wants a multiple of it, got " + std::to_string(samples) + " samples"};
  }
  if (samples < 1) throw WrongUse{"calibration data wants at least one sample, got none in \"" + file + "\""};
  return [all, samples, batch, at = int64_t{0}]() mutable {
    std::vector<Tensor> now;
    if (at >= samples) return now;
    int64_t end = std::min(samples, at + batch);
    for (const Tensor& t : all) now.push_back(slice(t, 0, at, end));
    at = end;
    return now;
  };
}

}  // namespace

int convert(const Convert& o, Output to) {
  check_model_output(o.out, o.opset);
  auto m = open_model(o.in);
  std::vector<Spec> specs;
  if (!o.shapes.empty()) {
    if (o.out.ends_with(".npz")) throw WrongUse{"--shape fixes the sizes of .onnx and .tflite files; a .npz file keeps open sizes open"};
    specs = specs_for(*m, o.shapes);
  }
  bool tflite = o.out.ends_with(".tflite");
  if (!tflite && !(o.quantize.empty() && o.calibration.empty())) throw WrongUse{"--quantize and --calibration are of .tflite files, got \"" + o.out + "\""};
  if (!tflite) {
    tell(to, save_model(*m, o.out, o.opset, specs), "", "", "");
    return 0;
  }
  edge::TfliteSettings settings;
  settings.quantize = o.quantize;
  if (!o.calibration.empty()) settings.calibration = [&] { return batches_of(*m, o.calibration); };
  tell(to, edge::export_tflite(*m, specs.empty() ? specs_for(*m, {}) : specs, o.out, settings), "", "", "");
  return 0;
}

int export_c(const ExportC& o, Output to) {
  auto m = open_model(o.in);
  edge::ExportCReport r = edge::export_c(*m, specs_for(*m, o.shapes), o.directory, {.name = o.name, .calibration = o.calibration.empty() ? nullptr : batches_of(*m, o.calibration), .max_ram_kb = o.max_ram_kb, .verify = o.verify});
  to.out << (to.json ? r.to_json() : r.to_text()) << "\n";
  return 0;
}

int quantize(const Quantize& o, Output to) {
  check_model_output(o.out, o.opset);
  edge::QuantizationConfig c{.per_channel = !o.per_tensor, .activation_symmetric = o.symmetric_activations, .method = o.method, .mode = o.mode, .skip = o.skip};
  try {
    set_dtype(c, o.dtype);
  } catch (const Error&) {
    throw WrongUse{"--dtype wants int8, int16 or int16x8, got \"" + o.dtype + "\""};
  }
  if (o.percentile) c.percentile = float(*o.percentile);
  std::string form = ending_of(o.report);
  if (!o.report.empty()) {
    if (form != ".html" && form != ".json" && form != ".txt") throw WrongUse{"--report wants a .html, .json or .txt file, got \"" + o.report + "\""};
    if (o.calibration.empty()) throw WrongUse{"--report compares on the calibration samples: give --calibration"};
    check_output(o.report, form);
  }
  auto m = open_model(o.in);
  auto q = edge::quantize_model(*m, c, o.calibration.empty() ? nullptr : batches_of(*m, o.calibration));
  std::string text;
  if (!o.report.empty()) {
    auto comparison = edge::compare_quantized(*m, *q, batches_of(*m, o.calibration));
    text = form == ".html" ? comparison.to_html() : form == ".json" ? comparison.to_json() : comparison.to_text();
  }
  edge::ExportReport written = save_model(*q, o.out, o.opset);
  if (!o.report.empty()) write_file(o.report, std::as_bytes(std::span(text)));
  tell(to, written, "quantization", q->report().to_json(), q->report().to_text());
  return 0;
}

int prune(const Prune& o, Output to) {
  check_model_output(o.out, o.opset);
  auto m = open_model(o.in);
  auto p = edge::prune_model(*m, o.sparsity, {.method = o.method, .scope = o.scope, .skip = o.skip, .seed = o.seed});
  edge::ExportReport written = save_model(*p, o.out, o.opset);
  tell(to, written, "pruning", p->report().to_json(), p->report().to_text());
  return 0;
}

}  // namespace miniten::cli
