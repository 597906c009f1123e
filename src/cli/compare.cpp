#include <cmath>
#include <filesystem>
#include <list>
#include <nlohmann/json.hpp>
#include <ostream>
#include "cli/files.h"
#include "cli/text.h"
#include "miniten/base/parallel.h"
#include "miniten/base/temporary.h"
#include "miniten/edge/benchmark.h"
#include "miniten/edge/diff.h"

// Models beside a clock, each other and other runtimes.
namespace miniten::cli {

namespace {

using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string peer_ending(const std::string& name) { return name == "onnxruntime" ? ".onnx" : name == "litert" ? ".tflite" : ""; }

// The same values for a model that has channels last where these have them first, or the other way round.
Tensor in_order(const Tensor& t, const Spec& want) {
  Axes order = edge::turned_to_fit(t.shape(), want);
  return order.rank ? permute(t, order).clone() : t;
}
double difference(const std::vector<Tensor>& ours, std::vector<Tensor> theirs) {
  theirs.resize(std::min(ours.size(), theirs.size()));
  for (size_t i = 0; i < theirs.size(); ++i) theirs[i] = cast(in_order(theirs[i], ours[i].spec()), ours[i].dtype());
  return edge::output_difference(theirs, ours);
}

struct Rival { edge::Workload run; std::string label; double difference = 0; size_t bytes = 0; };

int bench_against(const Bench& o, const Ref<nn::GraphModule>& m, const std::vector<Spec>& specs, const edge::BenchmarkOptions& options, Output to) {
  std::optional<TemporaryFolder> files;           // of what a peer is given
  int threads = o.threads ? o.threads : get_num_threads();
  std::vector<Tensor> inputs = options.inputs.empty() ? edge::random_inputs(specs) : options.inputs, ours = (*m)(inputs);
  std::list<Session> sessions;
  std::vector<Rival> rivals;
  auto add = [&](nn::GraphModule& model, const std::string& label) {
    std::vector<Tensor> own = inputs;
    std::vector<Spec> own_specs;
    const Graph& g = model.graph();
    for (size_t i = 0; i < std::min(own.size(), g.inputs.size()); ++i) own[i] = in_order(own[i], g.values[size_t(g.inputs[i])].spec);
    for (const Tensor& t : own) own_specs.push_back(t.spec());
    Session& s = sessions.emplace_back(bind_inputs(g, own_specs), CompileOptions{.threads = threads});
    size_t bytes = s.weight_bytes() + s.arena_bytes();
    for (const Spec& spec : own_specs) bytes += spec.bytes();
    rivals.push_back({edge::workload(s, own), label, difference(ours, model(own)), bytes});
  };
  add(*m, o.file);
  for (const std::string& name : o.against) {
    std::string ending = peer_ending(name);
    if (ending.empty() || fs::exists(name)) { add(*open_model(name), name); continue; }
    std::string path = o.file, note;
    if (ending_of(o.file) != ending) {
      if (!files) files.emplace("bench");
      path = files->file("model" + ending);
      save_model(*m, path, {}, specs);
      note = ", the model written as " + ending;
    }
    Peer peer = to.peers(name, path, inputs, threads);
    rivals.push_back({peer.run, peer.label + note, difference(ours, peer.outputs)});
  }
  std::vector<edge::Workload> workloads;
  std::vector<std::string> labels;
  for (const Rival& r : rivals) { workloads.push_back(r.run); labels.push_back(r.label); }
  json j{{"models", json::array()}};
  std::vector<std::vector<std::string>> rows{{"model", "median ms", "p95 ms", "memory", "outputs differ by", "against the first"}};
  std::vector<edge::ComparedModel> results = edge::compare_models(workloads, options, labels);
  for (size_t k = 0; k < results.size(); ++k) {
    edge::ComparedModel& c = results[k];
    c.memory_bytes = rivals[k].bytes;
    double d = rivals[k].difference;
    j["models"].push_back(json::parse(c.to_json()));
    j["models"].back()["difference"] = std::isfinite(d) ? json(d) : json();
    rows.push_back({c.label, number("%.4f", c.percentile(50)), number("%.4f", c.percentile(95)), c.memory_bytes ? number("%.2f MB", double(c.memory_bytes) / 1048576) : "",
                    k ? number("%.2g", d) : "", c.verdict_text()});
  }
  if (to.json) to.out << j.dump() << "\n";
  else to.out << table(rows) << threads << " thread" << (threads == 1 ? "" : "s") << ", rounds in turn\n";
  return 0;
}

}  // namespace

int bench(const Bench& o, Output to) {
  if (o.soak_seconds > 0 && (!o.against.empty() || o.period_ms > 0)) throw WrongUse{"--soak is for one model without --period-ms"};
  if (!o.against.empty() && o.period_ms > 0) throw WrongUse{"--period-ms is for one model"};
  if ((o.target_ms || !o.report.empty()) && (!o.against.empty() || o.soak_seconds > 0)) throw WrongUse{"--target-ms and --report are for one model without --soak"};
  if (o.percentile && !o.target_ms) throw WrongUse{"--percentile is of --target-ms"};
  std::string form = ending_of(o.report);
  if (!o.report.empty()) {
    if (form != ".html" && form != ".json" && form != ".csv" && form != ".txt") throw WrongUse{"--report wants a .html, .json, .csv or .txt file, got \"" + o.report + "\""};
    check_output(o.report, form);
  }
  for (const std::string& name : o.against)
    if (!peer_ending(name).empty() && !to.peers && !fs::exists(name))
      throw WrongUse{"--against " + name + " needs Python: python -m miniten bench, where the packages miniten and " + (name == "litert" ? "ai-edge-litert" : name) + " are installed"};
  auto m = open_model(o.file);
  std::vector<Spec> specs = specs_for(*m, o.shapes);
  edge::BenchmarkOptions options{o.runs, o.warmup, o.threads};
  options.period_ms = o.period_ms;
  options.progress = Progress{"measuring"};
  if (!o.inputs.empty()) {
    if (!o.shapes.empty()) throw WrongUse{"--input tells the sizes: leave --shape out"};
    options.inputs = read_inputs(*m, o.inputs);
    specs.clear();
    for (const Tensor& t : options.inputs) specs.push_back(t.spec());
  }
  if (!o.against.empty()) return bench_against(o, m, specs, options, to);
  auto tell = [&](const std::string& result_json, const std::string& text, const edge::LatencyTest* test = nullptr) {
    json j{{"file", o.file}};
    j.update(json::parse(result_json));
    if (test) j.update(json::parse(test->to_json()));
    if (!o.report.empty()) j["report"] = o.report;
    if (to.json) to.out << j.dump() << "\n";
    else to.out << o.file << ", " << joined(specs) << "\n" << text;
    if (!to.json && !o.report.empty()) to.out << "written to " << o.report << "\n";
    return 0;
  };
  if (o.soak_seconds > 0) {
    edge::SoakResult r = edge::soak_test(*m, specs, o.soak_seconds, options);
    return tell(r.to_json(), r.to_text());
  }
  edge::BenchmarkReport report(*m, specs, options);
  edge::BenchmarkResult r;
  if (o.report.empty()) r = edge::benchmark_model(*m, specs, options);
  else {
    report.save(o.report);
    r = report.latency();
  }
  if (!o.target_ms) return tell(r.to_json(), r.to_text() + "\n");
  edge::LatencyTest test = edge::latency_test(r, *o.target_ms, o.percentile.value_or(50));
  tell(r.to_json(), r.to_text() + number("\npercentile %g", test.percentile) + number(": %.4f ms", test.actual_ms) + number(" of %.4f ms, ", test.target_ms) + (test.passes() ? "passes\n" : "too slow\n"), &test);
  return test.passes() ? 0 : 1;
}

int diff(const Diff& o, Output to) {
  if (!(o.tolerance >= 0)) throw WrongUse{"--tolerance wants a number of 0 or more"};
  if (!o.inputs.empty() && !o.shapes.empty()) throw WrongUse{"--input tells the sizes: leave --shape out"};
  auto a = open_model(o.a), b = open_model(o.b);
  std::vector<Tensor> inputs = o.inputs.empty() ? edge::random_inputs(specs_for(*a, o.shapes)) : read_inputs(*a, o.inputs);
  edge::DiffReport r = edge::diff(*a, *b, inputs, o.tolerance);
  if (to.json) {
    json j{{"a", o.a}, {"b", o.b}, {"inputs", o.inputs.empty() ? json("random") : json(o.inputs)}};
    j.update(json::parse(r.to_json()));
    to.out << j.dump() << "\n";
  } else {
    if (o.inputs.empty()) to.out << "inputs: random, the same at each run (give --input for your own)\n";
    to.out << r.to_text();
  }
  return r.first ? 1 : 0;
}

}  // namespace miniten::cli
