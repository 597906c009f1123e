#include "cli/files.h"
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include "miniten/utils/data.h"

namespace miniten::cli {

namespace fs = std::filesystem;

std::string ending_of(const std::string& path) {
  std::string e = fs::path(path).extension().string();
  for (char& c : e) if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  return e;
}

namespace {

std::string in_quotes(const std::string& s) { return "\"" + s + "\""; }
void check_readable(const std::string& path) {
  std::error_code unused;
  if (!fs::exists(path, unused)) throw WrongUse{"there is no file " + in_quotes(path)};
  if (fs::is_directory(path, unused)) throw WrongUse{in_quotes(path) + " is a folder, a file is wanted"};
}
void check_folder(const std::string& path) {
  std::error_code unused;
  fs::path folder = fs::path(path).parent_path();
  if (!folder.empty() && !fs::is_directory(folder, unused)) throw WrongUse{"there is no folder " + in_quotes(folder.string()) + " to write " + in_quotes(path) + " to"};
  if (fs::is_directory(path, unused)) throw WrongUse{in_quotes(path) + " is a folder, the name of a file is wanted"};
}

// What reading throws is about the file given.
template <class F> auto reading(const std::string& path, F f) {
  check_readable(path);
  Doing doing("reading " + path);
  try {
    return f();
  } catch (const Error& e) {
    throw WrongUse{in_quotes(path) + " cannot be used: " + e.what()};
  }
}

// "name=rest" -> name where an input is called so; else all of it is rest.
std::pair<std::string, std::string> named(const Graph& g, const std::string& text) {
  size_t equals = text.find('=');
  if (equals != text.npos)
    for (size_t i = 0; i < g.inputs.size(); ++i)
      if (input_name(g, i) == text.substr(0, equals)) return {text.substr(0, equals), text.substr(equals + 1)};
  return {"", text};
}
std::string input_names(const Graph& g) {
  std::string s;
  for (size_t i = 0; i < g.inputs.size(); ++i) s += (i ? ", " : "") + input_name(g, i);
  return s;
}

Shape parse_shape(const std::string& text) {
  Shape s;
  for (const char *at = text.data(), *end = at + text.size();;) {
    int64_t n = 0;
    auto r = std::from_chars(at, end, n);
    if (r.ec != std::errc() || n < 1 || s.rank == Dims::capacity) throw WrongUse{"--shape wants sizes above 0 with commas between them, as 1,3,224,224, and got " + in_quotes(text)};
    s.push(n);
    if (r.ptr == end) return s;
    if (*r.ptr != ',') throw WrongUse{"--shape wants sizes with commas between them, as 1,3,224,224, and got " + in_quotes(text)};
    at = r.ptr + 1;
  }
}

}  // namespace

std::string input_name(const Graph& g, size_t i) {
  const std::string& name = g.values[size_t(g.inputs[i])].name;
  return name.empty() ? "input_" + std::to_string(i) : name;
}
std::string output_name(const Graph& g, size_t i) {
  const std::string& name = g.values[size_t(g.outputs[i])].name;
  return name.empty() ? "output_" + std::to_string(i) : name;
}

double& load_limit_mb() {
  static double mb = double(default_max_memory >> 20);
  return mb;
}
static uint64_t load_limit() { return uint64_t(load_limit_mb() * 0x1p20); }

// Where a file's open sizes decide how it runs, they are taken as 1.
static Ref<nn::GraphModule> graph_from_onnx(const std::string& path) {
  nn::ModuleRef m = edge::load_onnx(path, {.max_memory = load_limit()});
  if (auto* g = dynamic_cast<nn::GraphModule*>(m.get())) return Ref<nn::GraphModule>(g);
  const OnnxProgram& program = dynamic_cast<edge::OnnxModule&>(*m).program();
  std::vector<Spec> specs;
  for (const OnnxProgram::Input& i : program.inputs()) {
    specs.push_back(i.spec);
    for (Dim& d : specs.back().shape) if (is_symbol(d)) d = 1;
  }
  auto g = make<nn::GraphModule>(program.trace(specs));
  g->eval();
  return g;
}
static Ref<nn::GraphModule> graph_from_tflite(const std::string& path) {
  nn::ModuleRef m = edge::load_tflite(path, {.max_memory = load_limit()});
  auto* g = dynamic_cast<nn::GraphModule*>(m.get());
  if (!g) throw Error(ErrorKind::unsupported, "load_tflite", "loops of a known number of turns", "one that values end", "load it in Python");
  return Ref<nn::GraphModule>(g);
}
Ref<nn::GraphModule> open_model(const std::string& path) {
  std::string ending = ending_of(path);
  if (ending != ".npz" && ending != ".onnx" && ending != ".tflite")
    throw WrongUse{"a model is a .npz, .onnx or .tflite file, got " + in_quotes(path)};
  return reading(path, [&] { return ending == ".npz" ? edge::load_miniten(path, nullptr, load_limit()) : ending == ".onnx" ? graph_from_onnx(path) : graph_from_tflite(path); });
}
edge::Device open_device(const std::string& name) {
  if (ending_of(name) != ".json") {
    try {
      return edge::find_device(name);
    } catch (const Error& e) {
      throw WrongUse{e.what()};
    }
  }
  return reading(name, [&] {
    std::vector<std::byte> bytes = read_file(name, 1 << 20);
    return edge::Device::from_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  });
}
uint64_t file_bytes(const std::string& path) { return uint64_t(fs::file_size(path)); }

Tensor read_array(const std::string& path) {
  if (ending_of(path) == ".npy") return reading(path, [&] { return utils::data::load_npy(path); });
  if (ending_of(path) != ".npz") throw WrongUse{"an array is a .npy file, or a .npz file of one, got " + in_quotes(path)};
  NativeFile f = reading(path, [&] { return load_native(path); });
  if (f.tensors.size() != 1) throw WrongUse{in_quotes(path) + " has " + std::to_string(f.tensors.size()) + " arrays, one is wanted"};
  return f.tensors[0].tensor;
}
std::pair<std::string, double> named_number(const std::string& text) {
  size_t equals = text.find('=');
  std::string value = equals == text.npos ? "" : text.substr(equals + 1);
  char* end = nullptr;
  double v = std::strtod(value.c_str(), &end);
  return {text.substr(0, equals), value.empty() || *end ? std::nan("") : v};
}
std::string joined(const std::vector<Spec>& specs) {
  std::string s;
  for (const Spec& x : specs) s += (s.empty() ? "" : ", ") + x.text();
  return s;
}
void check_output(const std::string& path, std::string_view ending) {
  if (ending_of(path) != ending) throw WrongUse{"results are written as " + std::string(ending) + ", got " + in_quotes(path)};
  check_folder(path);
}
void check_model_output(const std::string& path, const WriteOptions& o) {
  std::string ending = ending_of(path);
  if (ending != ".npz" && ending != ".onnx" && ending != ".tflite") throw WrongUse{"a model is written as .npz, .onnx or .tflite, got " + in_quotes(path)};
  if (o.opset && ending != ".onnx") throw WrongUse{"--opset is of .onnx files, got " + in_quotes(path)};
  if (o.sparse && ending == ".npz") throw WrongUse{"--sparse is of .onnx and .tflite files, got " + in_quotes(path) + ", which packs zeros anyhow"};
  if (!o.entropy.empty() && ending != ".npz") throw WrongUse{"--entropy is of .npz files, got " + in_quotes(path)};
  if (!o.entropy.empty() && o.entropy != "huffman" && o.entropy != "rans") throw WrongUse{"--entropy wants huffman or rans, got " + in_quotes(o.entropy)};
  check_folder(path);
}
edge::ExportReport save_model(nn::GraphModule& m, const std::string& path, const WriteOptions& w, const std::vector<Spec>& specs) {
  Doing doing("writing " + path);
  if (ending_of(path) == ".npz") return edge::export_miniten(m, path, specs, nullptr, {}, w.entropy.empty() ? Entropy::none : entropy_named(w.entropy));
  if (ending_of(path) == ".tflite") {
    edge::TfliteSettings settings;
    settings.sparse = w.sparse;
    return edge::export_tflite(m, specs.empty() ? specs_for(m, {}) : specs, path, settings);
  }
  OnnxExport o{.sparse = w.sparse};
  if (w.opset) o.opset = w.opset;
  return edge::export_onnx(m, specs, path, o);
}

std::vector<Spec> specs_for(const nn::GraphModule& m, const std::vector<std::string>& shapes) {
  const Graph& g = m.graph();
  std::vector<Spec> specs = g.specs(g.inputs);
  std::vector<bool> given(specs.size(), false);
  size_t next = 0;
  for (const std::string& text : shapes) {
    auto [name, rest] = named(g, text);
    size_t at = next;
    if (!name.empty()) { at = 0; while (input_name(g, at) != name) ++at; }
    else ++next;
    if (at >= specs.size()) throw WrongUse{"--shape is given " + std::to_string(shapes.size()) + " times for " + std::to_string(specs.size()) + " inputs: " + input_names(g)};
    if (given[at]) throw WrongUse{"--shape is given twice for input " + input_name(g, at)};
    Shape shape = parse_shape(rest);
    bool fits = shape.rank == specs[at].shape.rank;
    for (int i = 0; fits && i < shape.rank; ++i) fits = is_symbol(specs[at].shape[i]) || specs[at].shape[i] == shape[i];
    if (!fits) throw WrongUse{"--shape " + in_quotes(text) + " does not fit input " + input_name(g, at) + " of " + specs[at].text()};
    specs[at].shape = shape;
    given[at] = true;
  }
  std::map<Dim, Dim> sizes;                            // a symbol has one size in every input
  std::vector<Spec> open = g.specs(g.inputs);
  for (size_t k = 0; k < specs.size(); ++k)
    if (given[k]) for (int i = 0; i < open[k].shape.rank; ++i) if (is_symbol(open[k].shape[i])) sizes.emplace(open[k].shape[i], specs[k].shape[i]);
  for (Spec& s : specs)
    for (Dim& d : s.shape) if (is_symbol(d)) d = sizes.emplace(d, 1).first->second;
  return specs;
}

std::vector<Tensor> read_inputs(const nn::GraphModule& m, const std::vector<std::string>& files, std::vector<Tensor> inputs) {
  const Graph& g = m.graph();
  inputs.resize(g.inputs.size());
  size_t next = 0;
  auto put = [&](size_t at, Tensor t, const std::string& file) {
    if (inputs[at]) throw WrongUse{"input " + input_name(g, at) + " is given twice, again by " + in_quotes(file)};
    DType want = g.values[size_t(g.inputs[at])].spec.dtype;
    inputs[at] = is_float(want) && is_float(t.dtype()) && t.dtype() != want ? cast(t, want) : t;
  };
  auto index = [&](const std::string& name) {
    size_t i = 0;
    while (i < inputs.size() && input_name(g, i) != name) ++i;
    return i;
  };
  for (const std::string& text : files) {
    auto [name, path] = named(g, text);
    std::string ending = ending_of(path);
    if (ending == ".npy") {
      Tensor t = read_array(path);
      while (name.empty() && next < inputs.size() && inputs[next]) ++next;
      size_t at = name.empty() ? next : index(name);
      if (at >= inputs.size()) throw WrongUse{in_quotes(path) + " is one more than the model's inputs: " + input_names(g)};
      put(at, t, path);
    } else if (ending == ".npz" && name.empty()) {
      NativeFile f = reading(path, [&, path = path] { return load_native(path); });
      if (f.tensors.size() == 1 && inputs.size() == 1) put(0, f.tensors[0].tensor, path);      // whatever its name
      else
        for (const NamedTensor& t : f.tensors) {
          size_t at = index(t.name);
          if (at >= inputs.size()) throw WrongUse{in_quotes(path) + " has an array \"" + t.name + "\", the model's inputs are " + input_names(g)};
          put(at, t.tensor, path);
        }
    } else {
      throw WrongUse{"arrays are .npy files, or .npz files with the names of inputs, got " + in_quotes(text)};
    }
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i]) throw WrongUse{"input " + input_name(g, i) + " of " + g.values[size_t(g.inputs[i])].spec.text() + " is not given"};
  return inputs;
}

edge::Batches batches_of(const nn::GraphModule& m, const std::vector<Tensor>& all) {
  constexpr int64_t open_batch = 32;
  const Graph& g = m.graph();
  int64_t samples = -1, batch = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const Spec& want = g.values[size_t(g.inputs[i])].spec;
    bool fits = all[i].rank() == want.shape.rank && all[i].rank() > 0;
    for (int a = 1; fits && a < want.shape.rank; ++a) fits = is_symbol(want.shape[a]) || want.shape[a] == all[i].dim(a);
    if (!fits) throw WrongUse{"samples of " + all[i].spec().text() + " do not fit input " + input_name(g, i) + " of " + want.text()};
    int64_t fixed = is_symbol(want.shape[0]) ? open_batch : want.shape[0];
    if (samples < 0) { samples = all[i].dim(0); batch = fixed; }
    if (all[i].dim(0) != samples) throw WrongUse{"as many samples are wanted for each input, got " + std::to_string(samples) + " and " + std::to_string(all[i].dim(0))};
    if (!is_symbol(want.shape[0]) && samples % fixed != 0)
      throw WrongUse{"the model takes batches of " + std::to_string(fixed) + ", so a multiple of it is wanted, got " + std::to_string(samples) + " samples"};
  }
  if (samples < 1) throw WrongUse{"at least one sample is wanted, got none"};
  return [all, samples, batch, at = int64_t{0}]() mutable {
    std::vector<Tensor> now;
    if (at >= samples) return now;
    int64_t end = std::min(samples, at + batch);
    for (const Tensor& t : all) now.push_back(slice(t, 0, at, end));
    at = end;
    return now;
  };
}

}  // namespace miniten::cli
