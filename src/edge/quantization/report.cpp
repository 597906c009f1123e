#include "base/json.h"
#include "base/text.h"
#include "miniten/edge/quantization.h"

namespace miniten::edge {

namespace {

std::string padded(std::string s, size_t width) {
  s.resize(std::max(s.size() + 2, width + 2), ' ');
  return s;
}
std::string kilobytes(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, bytes < 1024 ? "%.0f B" : "%.1f KB", bytes < 1024 ? double(bytes) : double(bytes) / 1024);
  return text;
}
DType dtype_of(const nlohmann::ordered_json& j) {
  DType t;
  if (!parse_dtype(j.get<std::string>(), t)) throw Error(ErrorKind::value, "quantization report", "the name of a dtype", j.dump());
  return t;
}

nlohmann::ordered_json json_of(const std::vector<LayerOverride>& overrides) {
  auto all = nlohmann::ordered_json::array();
  for (LayerOverride o : overrides) {
    all.push_back({{"layers", o.layers}});
    o.fields([&](const char* key, const auto& field) { if (field) all.back()[key] = *field; });
    if (o.percentile) all.back()["percentile"] = shortest(*o.percentile);
  }
  return all;
}
std::vector<LayerOverride> overrides_of(const nlohmann::ordered_json& all) {
  std::vector<LayerOverride> overrides;
  for (const auto& j : all) {
    LayerOverride o{j.at("layers")};
    o.fields([&]<class T>(const char* key, std::optional<T>& field) { if (j.contains(key)) field = j[key].get<T>(); });
    overrides.push_back(std::move(o));
  }
  return overrides;
}

}  // namespace

std::string QuantizationReport::to_text() const {
  size_t quantized = 0;
  for (const QuantizationRow& r : rows) quantized += r.reason.empty();
  std::string s = mode + " quantisation: " + std::to_string(quantized) + " of " + std::to_string(rows.size()) + " layers in " + std::string(name_of(config.dtype));
  if (calibration_samples) s += ", " + std::to_string(calibration_samples) + " calibration samples, method " + config.method;
  s += "\n";
  if (bytes && float_bytes) {
    char ratio[32];
    std::snprintf(ratio, sizeof ratio, "%.2f", double(float_bytes) / double(bytes));
    s += "file: " + kilobytes(float_bytes) + " -> " + kilobytes(bytes) + ", " + ratio + "x smaller\n";
  }
  size_t name = 5, form = 4, dtype = 5;
  auto text_of = [](const QuantizationRow& r) { return r.form == r.op ? r.op : r.op + " -> " + r.form; };
  auto layer_of = [](const QuantizationRow& r) { return r.layer.empty() ? std::string("-") : r.layer; };
  for (const QuantizationRow& r : rows) {
    name = std::max(name, layer_of(r).size());
    form = std::max(form, text_of(r).size());
    dtype = std::max(dtype, r.dtype.size());
  }
  if (!rows.empty()) s += padded("layer", name) + padded("op", form) + padded("dtype", dtype) + "why float\n";
  for (const QuantizationRow& r : rows) {
    std::string line = padded(layer_of(r), name) + padded(text_of(r), form) + padded(r.dtype, dtype) + r.reason;
    s += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  for (const std::string& n : notes) s += n + "\n";
  return s;
}

std::string QuantizationReport::to_json() const {
  nlohmann::ordered_json j;
  j["mode"] = mode;
  j["config"] = {{"dtype", name_of(config.dtype)}, {"block", config.block}, {"per_channel", config.per_channel}, {"symmetric", config.symmetric},
                 {"activation_dtype", name_of(config.activation_dtype)}, {"activation_symmetric", config.activation_symmetric},
                 {"method", config.method}, {"percentile", shortest(config.percentile)}, {"momentum", shortest(config.momentum)}, {"rounding", config.rounding}, {"correct_bias", config.correct_bias},
                 {"equalize", config.equalize}, {"optimize", config.optimize}, {"mode", config.mode}, {"skip", config.skip}, {"overrides", json_of(config.overrides)}, {"fallback", config.fallback}};
  j["rows"] = nlohmann::ordered_json::array();
  for (const QuantizationRow& r : rows)
    j["rows"].push_back({{"layer", r.layer}, {"op", r.op}, {"form", r.form}, {"dtype", r.dtype}, {"reason", r.reason},
                         {"input_scale", shortest(r.input_scale)}, {"output_scale", shortest(r.output_scale)}});
  j["notes"] = notes;
  j["fallback"] = fallback;
  j["requantized"] = requantized;
  j["calibration_samples"] = calibration_samples;
  j["float_bytes"] = float_bytes;
  j["bytes"] = bytes;
  return j.dump();
}

QuantizationReport QuantizationReport::from_json(std::string_view text) {
  try {
    auto j = parse_json(text);
    QuantizationReport r;
    r.mode = j.at("mode");
    const auto& c = j.at("config");
    r.config = {.dtype = dtype_of(c.at("dtype")), .block = c.value("block", int64_t{0}), .per_channel = c.at("per_channel"), .symmetric = c.at("symmetric"),
                .activation_dtype = dtype_of(c.at("activation_dtype")), .activation_symmetric = c.at("activation_symmetric"),
                .method = c.at("method"), .percentile = c.at("percentile"), .momentum = c.at("momentum"),
                .rounding = c.value("rounding", "nearest"), .correct_bias = c.value("correct_bias", false), .equalize = c.value("equalize", false),
                .optimize = c.value("optimize", "none"), .mode = c.at("mode"),
                .skip = c.at("skip").get<std::vector<std::string>>(), .overrides = overrides_of(c.value("overrides", nlohmann::ordered_json::array())), .fallback = c.value("fallback", "none")};
    for (const auto& row : j.at("rows"))
      r.rows.push_back({row.at("layer"), row.at("op"), row.at("form"), row.at("dtype"), row.at("reason"), row.at("input_scale"), row.at("output_scale")});
    r.notes = j.at("notes").get<std::vector<std::string>>();
    r.fallback = j.value("fallback", std::vector<std::string>{});
    r.requantized = j.value("requantized", false);
    r.calibration_samples = j.at("calibration_samples");
    r.float_bytes = j.at("float_bytes");
    r.bytes = j.at("bytes");
    return r;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::value, "quantization report", "the JSON that to_json writes", e.what());
  }
}

}  // namespace miniten::edge
