#include "core/work.h"
#include "graph/tune.h"
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include "graph/layout.h"
#include "miniten/base/cpu.h"
#include "miniten/base/file.h"

namespace miniten {

std::string default_tuning_file() {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  std::string folder = cache && *cache ? cache : std::string(home && *home ? home : ".") + "/.cache";
  return folder + "/miniten/choices";
}

namespace {

// A file of lines: key, tab, the op that was the fastest. A key is the machine, the node and what it is applied to.
class Choices {
 public:
  Choices(std::string path, TuningReport& report) : path_(std::move(path)), text_(read()) {
    if (!is_sound(text_)) {
      report.warning = "ignored " + path_ + ": not a file of choices";
      text_ = first_line;
    }
  }
  std::string find(const std::string& key) const {                 // "": not known
    size_t at = text_.find("\n" + key + "\t");
    return at == text_.npos ? "" : text_.substr(at + key.size() + 2, text_.find('\n', at + 1) - at - key.size() - 2);
  }
  void add(std::string key, std::string_view op) { made_.emplace_back(std::move(key), op); }
  // What others wrote meanwhile stays. Readers see the old file or the new one, never a part.
  std::string save() {
    if (made_.empty()) return "";
    text_ = read();
    if (!is_sound(text_)) text_ = first_line;
    for (auto& [key, op] : made_) {
      if (size_t at = text_.find("\n" + key + "\t"); at != text_.npos) text_.erase(at + 1, text_.find('\n', at + 1) - at);
      text_ += key + "\t" + op + "\n";
    }
    std::error_code failed;
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), failed);
    try {
      write_file(path_, std::as_bytes(std::span(text_)));
      return "";
    } catch (const Error&) {
      return "could not write " + path_;
    }
  }

 private:
  static constexpr const char* first_line = "miniten choices 1\n";
  std::string read() const {                                       // the first line where there is no file to read
    try {
      std::vector<std::byte> bytes = read_file(path_);
      return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    } catch (const Error&) {
      return first_line;
    }
  }
  static bool is_sound(const std::string& text) {
    if (!text.starts_with(first_line)) return false;
    for (size_t at = std::string_view(first_line).size(); at < text.size();) {
      size_t end = text.find('\n', at), tab = text.find('\t', at);
      if (end == text.npos || tab >= end || tab == at) return false;
      at = end + 1;
    }
    return true;
  }
  std::string path_, text_;
  std::vector<std::pair<std::string, std::string>> made_;
};

// Memory for a value as it lies in a session; numbers without meaning, constants as they are.
struct Operand {
  Tensor memory;
  View view;
};
Operand operand(const Value& v, const Strides& strides) {
  if (v.constant) {
    View view = v.constant.view();
    return {v.constant, view};
  }
  int64_t extent = 1;
  for (int i = 0; i < v.spec.shape.rank; ++i) extent += (v.spec.shape[i] - 1) * std::abs(strides[i]);
  Tensor memory = Tensor::zeros({std::max<int64_t>(extent, v.spec.shape.count())}, v.spec.dtype);
  if (v.spec.dtype == DType::f32)
    for (int64_t i = 0, n = memory.numel(); i < n; ++i) memory.view().f32()[i] = float(i % 31 - 15) * 0.1f;
  return {memory, {memory.view().data, v.spec, strides}};
}

struct Trial {
  const OpDef* op;
  Tensor prepared;
  Work work;
  std::vector<double> seconds;
  double median() {
    std::nth_element(seconds.begin(), seconds.begin() + long(seconds.size()) / 2, seconds.end());
    return seconds[seconds.size() / 2];
  }
};

// In turn, so that a busy machine is busy for all; the first stays unless another is clearly faster.
const OpDef* fastest(const Graph& g, const Layouts& l, const Node& n, std::span<const OpDef* const> forms, int workers, bool exact) {
  std::vector<Operand> memory;
  std::vector<View> in, out, constants;
  auto add = [&](int id) {
    memory.push_back(operand(g.values[size_t(id)], l.strides[size_t(id)]));
    return memory.back().view;
  };
  for (int id : n.in) {
    in.push_back(add(id));
    constants.push_back(g.is_constant(id) ? in.back() : View{});
  }
  for (int id : n.out) out.push_back(add(id));
  auto in_specs = g.specs(n.in), out_specs = g.specs(n.out);
  std::vector<Trial> trials;
  for (const OpDef* op : forms) {
    Trial t{op, {}, {}, {}};
    Call call{.op = *op, .attrs = n.attributes(), .in = in_specs, .out = out_specs, .exact = exact, .workers = workers};
    if (uint64_t bytes = op->prepare ? op->prepare(call, constants, nullptr) : 0) {
      t.prepared = Tensor::zeros({int64_t(bytes)}, DType::u8);
      op->prepare(call, constants, t.prepared.view().data);
      call.prepared = true;
    }
    t.work = work_of(call);
    trials.push_back(std::move(t));
  }
  auto run = [&](const Trial& t) {
    run_pieces({*t.op, n.attributes(), in, out, 0, 1, 0, 1, nullptr, nullptr, t.prepared ? t.prepared.view().data : nullptr, exact}, t.work, workers);
  };
  auto seconds = [&](const Trial& t, int times) {
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) run(t);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / times;
  };
  constexpr int rounds = 15;
  for (Trial& t : trials) run(t);
  const int times = int(std::clamp(100e-6 / seconds(trials[0], 3), 1.0, 1000.0));
  for (int r = 0; r < rounds; ++r) for (Trial& t : trials) t.seconds.push_back(seconds(t, times));
  Trial* best = &trials[0];
  double least = 0.97 * best->median();
  for (Trial& t : trials)
    if (double s = t.median(); s < least) { best = &t; least = s; }
  return best->op;
}

std::string key_of(const Graph& g, const Node& n, const std::string& machine) {
  std::string key = machine + " " + std::string(n.op->name) + "(" + attrs_to_text(n.op->attrs, n.attributes()) + ")";
  for (int id : n.in) {
    const Value& v = g.values[size_t(id)];
    key += " " + v.spec.text();
    if (!g.is_constant(id) || v.spec.dtype != DType::f32) continue;
    std::vector<float> w = v.constant.to_vector<float>();
    size_t zeros = size_t(std::count(w.begin(), w.end(), 0.0f));
    key += ":" + std::to_string(w.empty() ? 0 : 100 * zeros / w.size());          // how sparse, in percent
  }
  for (char& c : key) if (c == '\t' || c == '\n') c = ' ';
  return key;
}

}  // namespace

TuningReport tune(Graph& g, const std::string& path, int workers, bool exact) {
  TuningReport report;
  report.path = path;
  Choices choices(path, report);
  const CpuInfo cpu = cpu_info();
  const std::string machine = cpu.brand + " " + cpu.isa + " " + std::to_string(workers) + (exact ? " exact" : "");
  const Layouts layouts = layouts_of(g);
  for (Node& n : g.nodes) {
    auto in = g.specs(n.in), out = g.specs(n.out);
    std::vector<Tensor> constants = g.constants(n.in);
    std::vector<Input> known(constants.begin(), constants.end());
    std::vector<const OpDef*> forms = other_forms({.op = *n.op, .attrs = n.attributes(), .in = in, .out = out, .known = known, .exact = exact, .workers = workers});
    if (forms.empty()) continue;
    forms.insert(forms.begin(), n.op);
    const std::string key = key_of(g, n, machine), said = choices.find(key);
    auto known_form = std::find_if(forms.begin(), forms.end(), [&](const OpDef* op) { return op->name == said; });
    const OpDef* best = known_form != forms.end() ? *known_form : fastest(g, layouts, n, forms, workers, exact);
    ++(known_form != forms.end() ? report.remembered : report.timed);
    report.changed += best != n.op;
    if (known_form == forms.end()) choices.add(key, best->name);
    n.op = best;
  }
  if (std::string failed = choices.save(); !failed.empty()) report.warning += (report.warning.empty() ? "" : "; ") + failed;
  return report;
}

}  // namespace miniten
