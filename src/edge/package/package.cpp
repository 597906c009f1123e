#include "base/json.h"
#include "miniten/edge/package.h"
#include <unistd.h>
#include <cmath>
#include <filesystem>
#include "base/embedded.h"
#include "edge/models.h"
#include "interchange/native/zip.h"
#include "miniten/base/temporary.h"
#include "miniten/edge/benchmark.h"
#include "miniten/edge/export.h"
#include "miniten/edge/export_c.h"

namespace miniten::edge {

namespace {

constexpr const char* who = "package";

constexpr uint8_t check_sh[] = {
#include "embedded/check.sh.inc"
};
constexpr uint8_t check_py[] = {
#include "embedded/check.py.inc"
};
constexpr uint8_t mit_license[] = {
#include "embedded/LICENSE.inc"
};

void check_arguments(const std::string& path, const PackageOptions& o) {
  for (const std::string& t : o.targets)
    if (t != "onnx" && t != "tflite" && t != "c") throw Error(ErrorKind::value, who, "targets among \"onnx\", \"tflite\" and \"c\"", "\"" + t + "\"", "MiniTen's own file is always there");
  check_c_name(o.name);
  if (!o.verify.empty() && std::find(o.targets.begin(), o.targets.end(), "c") == o.targets.end()) throw Error(ErrorKind::value, who, "the target \"c\" beside verify", "none");
  std::error_code none;
  auto folder = std::filesystem::absolute(path, none).parent_path();
  if (path.empty() || std::filesystem::is_directory(path, none)) throw Error(ErrorKind::io, who, "the name of a file", "\"" + path + "\"");
  if (::access(folder.c_str(), W_OK) != 0) throw Error(ErrorKind::io, who, "a folder that can be written to", "\"" + folder.string() + "\"");
}

std::string listed(const std::vector<std::string>& items, const char* open = "[", const char* close = "]") {
  std::string s = open;
  for (size_t i = 0; i < items.size(); ++i) s += (i ? ", " : "") + items[i];
  return s + close;
}
std::string quoted(const std::string& s) { return nlohmann::ordered_json(s).dump(); }
std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", v);
  return text;
}

// bfloat16 and 4-bit integers are none of NumPy's.
std::string ports_of(const Graph& g, const std::vector<int>& ids) {
  std::vector<std::string> rows;
  for (int id : ids) {
    const Value& v = g.values[size_t(id)];
    if (v.spec.dtype == DType::bf16 || bits_of(v.spec.dtype) < 8) throw Error(ErrorKind::unsupported, who, "inputs and outputs that NumPy knows", v.name + " of " + v.spec.text());
    std::vector<std::string> sizes;
    for (Dim d : v.spec.shape) sizes.push_back(std::to_string(d));
    rows.push_back("{\"name\": " + quoted(v.name) + ", \"shape\": " + listed(sizes) + ", \"dtype\": \"" + std::string(name_of(v.spec.dtype)) + "\"}");
  }
  return listed(rows);
}
// How far a runtime's outputs may lie: floats are summed in another order, integers rounded by other rules than ours.
std::string tolerances(const std::vector<Tensor>& golden, bool quantized) {
  std::vector<std::string> rows;
  for (const Tensor& t : golden) {
    double largest = 0;
    for (double v : cast(t, DType::f64).to_vector<double>()) if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
    rows.push_back(number(quantized ? 5e-2 * largest : is_float(t.dtype()) ? 1e-4 * std::max(1.0, largest) : 0.0));
  }
  return listed(rows);
}
std::string licenses(const PackageOptions& o, const std::vector<std::string>& targets) {
  std::string s = "The model and its weights, in whatever form: " + (o.license.empty() ? std::string("not stated; ask who made this bundle") : o.license) +
                  ".\n\nWhat is needed to run it, and not in here:\n  the npz file: miniten (MIT) and NumPy (BSD-3-Clause)\n";
  auto has = [&](const char* t) { return std::find(targets.begin(), targets.end(), t) != targets.end(); };
  if (has("onnx")) s += "  the onnx file: any ONNX runtime, as onnxruntime (MIT)\n";
  if (has("tflite")) s += "  the tflite file: LiteRT (Apache-2.0)\n";
  if (has("c")) s += "  the folder c: a C99 compiler and its own library: memcpy, and libm for floats\n";
  return s + "\ncheck.sh, check.py" + (has("c") ? " and the C code around the weights" : "") + " are MiniTen's:\n\n" + unpacked(mit_license);
}

}  // namespace

PackageReport package(nn::Module& m, const std::string& path, const std::vector<Spec>& given, const PackageOptions& o) {
  check_arguments(path, o);
  std::vector<Spec> specs = given;
  if (specs.empty()) for (const Tensor& t : o.inputs) specs.push_back({is_float(t.dtype()) ? DType::f32 : t.dtype(), t.shape()});
  specs = known_specs(who, m, specs);
  NoGrad no_grad;
  Graph g = bound_graph(who, m, specs);
  std::string about = "{\"miniten\": \"" MINITEN_VERSION "\", \"name\": \"" + o.name + "\",\n \"inputs\": " + ports_of(g, g.inputs) + ",\n \"outputs\": " + ports_of(g, g.outputs);
  std::vector<Tensor> inputs = o.inputs.empty() ? random_inputs(g.specs(g.inputs)) : o.inputs;
  for (size_t i = 0; i < std::min(inputs.size(), g.inputs.size()); ++i)
    if (DType want = g.values[size_t(g.inputs[i])].spec.dtype; is_float(want) && is_float(inputs[i].dtype())) inputs[i] = cast(inputs[i], want);
  std::vector<Tensor> golden = Session(own_copy(g), {.threads = 1, .exact = true}).run(inputs);
  bool quantized = false;
  for (const Node& n : g.nodes) quantized |= n.op->traits.converts != Conversion::none;

  TemporaryFolder folder(who);
  PackageReport r{.path = path};
  std::vector<ZipMember> members;
  auto add = [&](std::string name, std::vector<std::byte> bytes, bool executable = false) { members.push_back({std::move(name), std::move(bytes), true, executable}); };
  auto add_text = [&](const char* name, const std::string& text, bool executable = false) {
    auto bytes = std::as_bytes(std::span(text));
    add(name, {bytes.begin(), bytes.end()}, executable);
  };
  std::vector<std::string> rows;                               // of report.json
  for (const char* t : {"npz", "onnx", "tflite", "c"}) {
    if (*t != 'n' && std::find(o.targets.begin(), o.targets.end(), t) == o.targets.end()) continue;
    std::string file = o.name + "." + t, at = folder.file(file), row = "\n  \"" + std::string(t) + "\": {\"report\": ";
    if (*t == 'c') {
      ExportCReport written = export_c(m, specs, folder.file("c"), {.name = o.name, .verify = o.verify});
      for (const std::string& name : written.files) add("c/" + name, read_file(folder.file("c/" + name)));
      written.directory = "c";
      row += written.to_json();
    } else {
      auto* own = dynamic_cast<nn::GraphModule*>(&m);
      ExportReport written = *t == 'n' ? export_miniten(m, at, own && own->has_graph() ? std::vector<Spec>() : specs) : *t == 'o' ? export_onnx(m, specs, at) : export_tflite(m, specs, at);
      add(file, read_file(at));
      written.path = file;
      row += written.to_json() + ", \"tolerance\": " + tolerances(golden, quantized && *t != 'n');
    }
    rows.push_back(row + "}");
    r.targets.push_back(t);
  }
  for (size_t i = 0; i < inputs.size(); ++i) add("golden/input_" + std::to_string(i) + ".npy", to_npy(inputs[i]));
  for (size_t i = 0; i < golden.size(); ++i) add("golden/output_" + std::to_string(i) + ".npy", to_npy(golden[i]));
  r.about = about + ",\n \"targets\": " + listed(rows, "{", "}") + "}\n";
  add_text("report.json", r.about);
  add_text("LICENSES.txt", licenses(o, r.targets));
  add_text("check.sh", unpacked(check_sh), true);
  add_text("check.py", unpacked(check_py));
  for (const ZipMember& member : members) r.files[member.name] = member.bytes.size();
  std::vector<std::byte> bytes = zip(members);
  r.bytes = bytes.size();
  write_file(path, bytes);
  return r;
}

std::string PackageReport::to_text() const {
  std::string s = path + ": " + std::to_string(bytes) + " bytes; unpacked, ./check.sh runs what the machine can";
  for (auto& [name, size] : files) s += "\n  " + name + ": " + std::to_string(size) + " bytes";
  return s;
}
std::string PackageReport::to_json() const {
  std::vector<std::string> sizes, names;
  for (auto& [name, size] : files) sizes.push_back(quoted(name) + ": " + std::to_string(size));
  for (const std::string& t : targets) names.push_back(quoted(t));
  std::string flat = about;
  for (char& c : flat) if (c == '\n') c = ' ';
  return "{\"path\": " + quoted(path) + ", \"bytes\": " + std::to_string(bytes) + ", \"targets\": " + listed(names) + ", \"files\": " + listed(sizes, "{", "}") + ", \"about\": " + flat + "}";
}

}  // namespace miniten::edge
