#include <fcntl.h>
#include <unistd.h>
#include <cmath>
#include <filesystem>
#include "base/json.h"
#include "edge/export/c_toolchain.h"
#include "edge/export/steps.h"
#include "edge/models.h"
#include "edge/quantization/steps.h"
#include "miniten/base/random.h"
#include "miniten/edge/benchmark.h"
#include "miniten/edge/export_c.h"
#include "miniten/interchange/native.h"

namespace miniten::edge {

namespace {

constexpr int golden_calls = 2, golden_steps = 4;

// Distinct at each call, over the whole range of bytes.
std::vector<Tensor> golden_input(const CSource& s, int call) {
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < s.inputs.size(); ++i) {
    const Spec& spec = s.inputs[i].spec;
    int64_t n = spec.shape.count();
    Tensor values = Tensor::empty({DType::f32, spec.shape});
    Generator random(uint64_t(1 + call), uint64_t(i));
    // Integers that stand for numbers take any value, indices are 0.
    double values_of_type = s.inputs[i].quantized ? std::ldexp(1.0, bits_of(spec.dtype)) : 0, least = is_signed(spec.dtype) ? values_of_type / 2 : 0;
    for (int64_t k = 0; k < n; ++k) {
      float u = random.uniform();
      values.view().f32()[k] = is_float(spec.dtype) ? 4 * u - 2 : float(std::floor(values_of_type * double(u)) - least);
    }
    inputs.push_back(cast(values, spec.dtype));
  }
  return inputs;
}

struct Pending {                                          // files that appear together
  std::vector<std::pair<std::string, std::string>> renames;
  ~Pending() { for (auto& [from, to] : renames) ::unlink(from.c_str()); }
};
void write_files(const std::string& directory, const std::vector<std::pair<std::string, const std::string*>>& files) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed || ::access(directory.c_str(), W_OK) != 0 || !std::filesystem::is_directory(directory, failed))
    throw Error(ErrorKind::io, "export_c", "a folder that can be written to", "\"" + directory + "\"" + (failed ? ": " + failed.message() : ""));
  for (auto& [name, text] : files)
    if (std::filesystem::is_directory(directory + "/" + name, failed)) throw Error(ErrorKind::io, "export_c", "a file or nothing at \"" + directory + "/" + name + "\"", "a folder");
  Pending pending;
  for (auto& [name, text] : files) {
    std::string path = directory + "/" + name, temporary = directory + "/." + name + "." + std::to_string(::getpid());
    pending.renames.emplace_back(temporary, path);
    write_file(temporary, std::as_bytes(std::span(*text)));
  }
  for (auto& [from, to] : pending.renames)
    if (::rename(from.c_str(), to.c_str()) != 0) throw Error(ErrorKind::io, "export_c", "a name that can be written", "\"" + to + "\"");
}

}  // namespace

ExportCReport export_c(nn::Module& given, const std::vector<Spec>& inputs, const std::string& directory, const ExportCOptions& o) {
  NoGrad no_grad;
  check_c_name(o.name);
  if (directory.empty()) throw Error(ErrorKind::value, "export_c", "a folder for the C files", "none", "pass output_dir");
  if (!o.verify.empty() && o.verify != "host" && o.verify != "qemu") throw Error(ErrorKind::value, "export_c", "verify as \"host\" or \"qemu\"", "\"" + o.verify + "\"");
  if (o.max_ram_kb && !(*o.max_ram_kb > 0)) throw Error(ErrorKind::value, "export_c", "max_ram_kb above 0", std::to_string(*o.max_ram_kb));
  Ref<QuantizedModel> quantized;
  nn::Module* model = &given;
  std::vector<std::vector<Tensor>> batches;
  if (o.calibration) for (std::vector<Tensor> b = o.calibration(); !b.empty(); b = o.calibration()) batches.push_back(std::move(b));
  CarryingGraph stream;
  if (o.calibration && o.streaming) {
    stream = carrying_graph(own_copy(bound_graph("export_c", given, inputs)));
    QuantizationReport report;
    auto again = [&] { return [&batches, k = size_t{0}]() mutable { return k < batches.size() ? batches[k++] : std::vector<Tensor>{}; }; };
    Graph g = quantize_stream(stream, again(), report, {});
    if (auto floats = layers_without_form(report, &OpDef::c); !floats.empty()) g = quantize_stream(stream, again(), report = {}, floats);
    stream.graph = std::move(g);
  } else if (o.calibration) {
    QuantizationConfig config;
    quantized = quantize_model(given, config, batches);
    config.skip = layers_without_form(quantized->report(), &OpDef::c);   // these stay in floats
    if (!config.skip.empty()) quantized = quantize_model(given, config, batches);
    model = quantized.get();
  }
  CSource s = c_source(stream.carried.empty() ? own_copy(bound_graph("export_c", *model, inputs)) : stream.graph, o.name, o.streaming, stream.carried);
  if (uint64_t ram = s.arena_bytes + s.state_bytes; o.max_ram_kb && double(ram) > *o.max_ram_kb * 1024) {
    char limit[32], text[32];
    std::snprintf(limit, sizeof limit, "%.6g kB", *o.max_ram_kb);
    std::snprintf(text, sizeof text, "%.1f kB", double(ram) / 1024);
    throw Error(ErrorKind::value, "export_c", "working memory within " + std::string(limit), text, o.calibration || model != &given ? "make the model or its input smaller" : "quantise it with calibration_data, or make its input smaller");
  }

  CompileOptions alone{.threads = 1, .exact = true, .passes = {"none"}};
  Session session(own_copy(s.graph), alone);
  std::vector<std::vector<Tensor>> in, out;
  for (int i = 0; i < (s.streams ? golden_steps : golden_calls); ++i) {
    in.push_back(golden_input(s, i));
    out.push_back(session.run(in.back()));
  }
  std::string self_test = c_self_test(s, in, out);
  ExportCReport r{.directory = directory, .arena_bytes = s.arena_bytes, .state_bytes = s.state_bytes, .weight_bytes = s.weight_bytes, .macs = s.macs, .steps = s.steps, .dense_weight_bytes = s.dense_weight_bytes};
  for (const CPort& p : s.inputs) r.input_dtypes.emplace_back(name_of(p.spec.dtype));
  for (const CPort& p : s.outputs) r.output_dtypes.emplace_back(name_of(p.spec.dtype));
  if (!o.verify.empty()) {
    Verified v = o.verify == "host" ? verify_on_host(s, self_test) : verify_in_qemu(s, self_test);
    r.verified_by = v.by;
    r.code_bytes = v.code_bytes;
    r.stack_bytes = v.stack_bytes;
  }
  std::string header = o.name + ".h", source = o.name + ".c", test = o.name + "_self_test.c";
  write_files(directory, {{header, &s.header}, {source, &s.source}, {test, &self_test}});
  r.files = {header, source, test};
  return r;
}

std::string ExportCReport::to_text() const {
  auto kb = [](uint64_t bytes) {
    char text[64];
    std::snprintf(text, sizeof text, " bytes (%.1f kB)", double(bytes) / 1024);
    return std::to_string(bytes) + text;
  };
  std::string s = directory + ":";
  for (const std::string& f : files) s += " " + f;
  s += "\nweights " + kb(weight_bytes) + (dense_weight_bytes > weight_bytes ? ", packed; " + kb(dense_weight_bytes) + " as they are" : "") + (code_bytes ? "\ncode " + kb(*code_bytes) + " on Cortex-M4, -Os" : "") + "\narena " + kb(arena_bytes) + (state_bytes ? "\nstate " + kb(state_bytes) : "") +
       (stack_bytes ? "\nstack " + kb(*stack_bytes) + " without libm" : "") + "\n" + std::to_string(macs) + " MACs in " + std::to_string(steps) + " steps";
  return s + (verified_by.empty() ? "\nnot compiled here: build the self-test, or ask for verify" : "\nself-test passed under " + verified_by);
}
std::string ExportCReport::to_json() const {
  nlohmann::ordered_json j{{"directory", directory}, {"files", files}, {"weight_bytes", weight_bytes}, {"dense_weight_bytes", dense_weight_bytes}, {"arena_bytes", arena_bytes}, {"state_bytes", state_bytes}, {"macs", macs}, {"steps", steps},
                           {"input_dtypes", input_dtypes}, {"output_dtypes", output_dtypes}, {"verified_by", verified_by}};
  j["code_bytes"] = code_bytes ? nlohmann::ordered_json(*code_bytes) : nullptr;
  j["stack_bytes"] = stack_bytes ? nlohmann::ordered_json(*stack_bytes) : nullptr;
  return j.dump();
}

}  // namespace miniten::edge
