#include <charconv>
#include <nlohmann/json.hpp>
#include <ostream>
#include "cli/files.h"
#include "miniten/edge/export_c.h"
#include "miniten/edge/compare_quantized.h"
#include "miniten/edge/package.h"
#include "miniten/interchange/native.h"

// Commands that read a model and write another.
namespace miniten::cli {

using json = nlohmann::ordered_json;

void tell(Output to, const edge::ExportReport& written, const char* key, const std::string& report_json, const std::string& report_text) {
  if (to.json) {
    json j = json::parse(written.to_json());
    if (*key) j[key] = json::parse(report_json);
    to.out << j.dump() << "\n";
  } else {
    to.out << report_text << written.to_text() << "\n";
  }
}

namespace {
// Makes the samples' batches anew for every pass; nothing without a file.
std::function<edge::Batches()> calibration_of(const nn::GraphModule& m, const std::string& file) {
  if (file.empty()) return [] { return edge::Batches(); };
  return [&m, samples = read_inputs(m, {file})]() -> edge::Batches {
    return [batches = batches_of(m, samples), progress = std::make_shared<Progress>("samples"), done = int64_t{0}, all = samples[0].dim(0)]() mutable {
      std::vector<Tensor> batch = batches();
      (*progress)(batch.empty() ? 1 : double(done) / double(all));
      if (!batch.empty()) done += batch[0].dim(0);
      return batch;
    };
  };
}

[[noreturn]] void wrong_layer(const std::string& text) {
  throw WrongUse{"--layer wants NAME:KEY=VALUE,.. with dtype, activation_dtype, per_channel, symmetric, activation_symmetric, method, percentile, rounding, mode, block or skip, and got \"" + text + "\""};
}
template <class T> bool read_value(const std::string& value, std::optional<T>& to) {
  if constexpr (std::is_same_v<T, bool>) {
    to = value.empty() || value == "true";
    return value.empty() || value == "true" || value == "false";
  } else if constexpr (std::is_same_v<T, std::string>) {
    to = value;
    return !value.empty();
  } else {
    T v{};
    auto r = std::from_chars(value.data(), value.data() + value.size(), v);
    to = v;
    return !value.empty() && r.ec == std::errc() && r.ptr == value.data() + value.size();
  }
}
// "head:dtype=int16,per_channel=false"; what is true or false may stand alone: "head:skip".
edge::LayerOverride read_layer(const std::string& text) {
  size_t colon = text.rfind(':', text.find('='));
  if (colon == 0 || colon == text.npos || colon + 1 == text.size()) wrong_layer(text);
  edge::LayerOverride o{.layers = text.substr(0, colon)};
  for (size_t from = colon + 1, end = 0; end != text.npos; from = end + 1) {
    end = text.find(',', from);
    std::string field = text.substr(from, end == text.npos ? end : end - from), key = field.substr(0, field.find('='));
    bool known = false;
    o.fields([&](const char* name, auto& to) {
      if (key != name) return;
      known = true;
      if (!read_value(key == field ? "" : field.substr(key.size() + 1), to)) wrong_layer(text);
    });
    if (!known) wrong_layer(text);
  }
  return o;
}
}  // namespace

int convert(const Convert& o, Output to) {
  check_model_output(o.out, o.write);
  auto m = open_model(o.in);
  std::vector<Spec> specs;
  if (!o.shapes.empty()) {
    if (o.out.ends_with(".npz")) throw WrongUse{"--shape fixes the sizes of .onnx and .tflite files; a .npz file keeps open sizes open"};
    specs = specs_for(*m, o.shapes);
  }
  bool tflite = o.out.ends_with(".tflite");
  if (!tflite && !(o.quantize.empty() && o.calibration.empty())) throw WrongUse{"--quantize and --calibration are of .tflite files, got \"" + o.out + "\""};
  if (!tflite) {
    tell(to, save_model(*m, o.out, o.write, specs), "", "", "");
    return 0;
  }
  edge::TfliteSettings settings;
  settings.quantize = o.quantize;
  settings.sparse = o.write.sparse;
  if (!o.calibration.empty()) settings.calibration = calibration_of(*m, o.calibration);
  edge::ExportReport report = [&] {
    Doing doing("writing " + o.out);
    return edge::export_tflite(*m, specs.empty() ? specs_for(*m, {}) : specs, o.out, settings);
  }();
  tell(to, report, "", "", "");
  return 0;
}

int export_c(const ExportC& o, Output to) {
  auto m = open_model(o.in);
  edge::ExportCReport r = edge::export_c(*m, specs_for(*m, o.shapes), o.directory, {.name = o.name, .calibration = calibration_of(*m, o.calibration)(), .max_ram_kb = o.max_ram_kb, .streaming = o.streaming, .verify = o.verify});
  to.out << (to.json ? r.to_json() : r.to_text()) << "\n";
  return 0;
}

int package(const Package& o, Output to) {
  check_output(o.out, ".zip");
  edge::PackageOptions options{.name = o.name, .license = o.license, .verify = o.verify};
  if (!o.targets.empty()) options.targets = o.targets;
  auto m = open_model(o.in);
  if (!o.inputs.empty()) options.inputs = read_inputs(*m, o.inputs);
  std::vector<Spec> specs = specs_for(*m, o.shapes);
  for (size_t i = 0; i < options.inputs.size() && o.shapes.empty(); ++i) specs[i] = options.inputs[i].spec();
  edge::PackageReport r = edge::package(*m, o.out, specs, options);
  to.out << (to.json ? r.to_json() : r.to_text()) << "\n";
  return 0;
}

int quantize(const Quantize& o, Output to) {
  check_model_output(o.out, o.write);
  edge::QuantizationConfig c{.per_channel = !o.per_tensor, .activation_symmetric = o.symmetric_activations, .method = o.method, .optimize = o.optimize, .mode = o.mode, .skip = o.skip, .fallback = o.fallback};
  for (const std::string& layer : o.layers) c.overrides.push_back(read_layer(layer));
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
  auto calibration = calibration_of(*m, o.calibration);
  auto q = edge::quantize_model(*m, c, calibration());
  std::string text;
  if (!o.report.empty()) {
    auto comparison = edge::compare_quantized(*m, *q, calibration());
    text = form == ".html" ? comparison.to_html() : form == ".json" ? comparison.to_json() : comparison.to_text();
  }
  edge::ExportReport written = save_model(*q, o.out, o.write);
  if (!o.report.empty()) write_file(o.report, std::as_bytes(std::span(text)));
  tell(to, written, "quantization", q->report().to_json(), q->report().to_text());
  return 0;
}

namespace {

int64_t whole(const std::string& text) {
  int64_t n = 0;
  auto r = std::from_chars(text.data(), text.data() + text.size(), n);
  return r.ec == std::errc() && r.ptr == text.data() + text.size() ? n : -1;
}
// "2:4" or "4x1"
void read_pattern(const std::string& text, edge::PruneOptions& p) {
  size_t colon = text.find(':'), cross = text.find('x'), at = std::min(colon, cross);
  int64_t a = at == text.npos ? -1 : whole(text.substr(0, at)), b = at == text.npos ? -1 : whole(text.substr(at + 1));
  if (a < 1 || b < 1 || (at == colon && a >= b)) throw WrongUse{"--pattern wants n:m with n below m, as 2:4, or rows x columns, as 4x1, and got \"" + text + "\""};
  (at == colon ? p.n : p.rows) = a;
  (at == colon ? p.m : p.cols) = b;
}
edge::PruneTarget read_target(const std::string& text) {
  edge::PruneTarget t;
  auto [name, v] = named_number(text);
  double* to = name == "macs" ? &t.macs : name == "latency_ms" ? &t.latency_ms : name == "flash_kb" ? &t.flash_kb : nullptr;
  if (!to || !(v > 0) || (to == &t.macs && v >= 1))
    throw WrongUse{"--target wants macs=SHARE below 1, latency_ms=N or flash_kb=N, and got \"" + text + "\""};
  *to = v;
  return t;
}

}  // namespace

int prune(const Prune& o, Output to) {
  check_model_output(o.out, o.write);
  edge::PruneOptions options{.method = o.method, .scope = o.scope, .skip = o.skip, .seed = o.seed, .importance = o.importance, .min_channels = o.min_channels, .round_to = o.round_to};
  if (!o.pattern.empty()) read_pattern(o.pattern, options);
  if (int(o.sparsity.has_value()) + int(!o.target.empty()) + int(options.m > 0) != 1) throw WrongUse{"one of --sparsity, --target and a --pattern n:m is wanted"};
  if (o.method == "taylor" || o.method == "movement") throw WrongUse{"--method " + o.method + " asks data and a loss: use prune_model from Python or C++"};
  edge::PruneTarget target = o.target.empty() ? edge::PruneTarget{} : read_target(o.target);
  if (target.macs > 0 && o.method != "structured") throw WrongUse{"--target macs wants --method structured: zeros are multiplied like other weights"};
  auto m = open_model(o.in);
  if (o.target.empty()) {
    auto p = edge::prune_model(*m, options.m ? 1 - double(options.n) / double(options.m) : *o.sparsity, options);
    tell(to, save_model(*p, o.out, o.write), "pruning", p->report().to_json(), p->report().to_text());
    return 0;
  }
  edge::prune_model(*m, 0, options);                   // refuses what is wrong before the search
  Ref<edge::PrunedModel> p;
  show_progress("looking for the least sparsity");
  try {
    p = edge::prune_to(*m, target, options, specs_for(*m, {}));
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::value) throw;
    throw Failed{e.what()};
  }
  show_progress("");
  tell(to, save_model(*p, o.out, o.write), "pruning", p->report().to_json(), p->report().to_text());
  return 0;
}

}  // namespace miniten::cli
