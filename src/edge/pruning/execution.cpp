#include "base/json.h"
#include "edge/benchmark/bench.h"
#include "edge/models.h"
#include "miniten/base/cpu.h"
#include "miniten/edge/pruning.h"
#include "miniten/graph/passes.h"
#include "miniten/ops/sparse.h"

namespace miniten::edge {

namespace {
struct Timed {
  std::vector<SparseChoice> choices;
  Session session;
  std::vector<std::vector<double>> times;                     // by step
  Timed(const Graph& g, Sparse use) : session([&] {
    SparseScope scope(use, &choices);
    return Session(g, {.threads = 1, .passes = layer_passes()});
  }()) {}
  std::vector<StepProfile> run(const std::vector<Tensor>& inputs) {
    std::vector<StepProfile> rows = session.profile(inputs, 1);
    times.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) times[i].push_back(rows[i].nanoseconds);
    return rows;
  }
};
std::string number(const char* format, double v) {
  char text[48];
  std::snprintf(text, sizeof text, format, v);
  return text;
}
}  // namespace

std::string SparseRow::decision() const {
  double gain = sparse_us > 0 ? dense_us / sparse_us : 0;
  std::string times = number("%.2f", gain) + "x";
  if (sparse) return std::string(single ? "single weights" : "blocks") + (gain >= 1 ? ": " : ", though slower: ") + times;
  return gain > 1.05 ? "kept dense, though sparse would be " + times : "kept dense: slower (" + times + ")";
}

SparseReport sparse_execution(nn::Module& model, const std::vector<Spec>& given, int runs) {
  const char* op = "sparse_execution";
  if (runs < 1) throw Error(ErrorKind::value, op, "at least one run", std::to_string(runs));
  NoGrad no_grad;
  std::vector<Spec> specs = known_specs(op, model, given);
  Graph g = own_copy(bound_graph(op, model, specs));
  Timed dense(g, Sparse::never), sparse(g, Sparse::always), chosen(g, Sparse::automatic);
  std::vector<Tensor> inputs = random_inputs(specs);
  SparseReport r{.isa = cpu_info().isa};
  std::vector<StepProfile> steps;
  for (int i = 0; i < runs; ++i) {                             // in turn: what disturbs one disturbs all
    steps = dense.run(inputs);
    sparse.run(inputs);
    chosen.run(inputs);
  }
  const Graph& compiled = chosen.session.graph();
  const Plan& plan = chosen.session.plan();
  for (size_t i = 0; i < steps.size(); ++i) {
    r.dense_us += median_of(dense.times[i]) / 1e3;
    r.chosen_us += median_of(chosen.times[i]) / 1e3;
    const Node& n = compiled.nodes[size_t(plan.steps[i])];
    for (int id : n.in) {
      if (!compiled.is_constant(id)) continue;
      const Tensor& weight = compiled.values[size_t(id)].constant;
      auto choice = std::find_if(chosen.choices.begin(), chosen.choices.end(), [&](const SparseChoice& c) { return c.weight == weight.view().data; });
      if (choice == chosen.choices.end()) continue;
      r.rows.push_back({n.name, std::string(n.op->name), weight.numel(), zeros_of(weight), choice->kept, choice->steps, choice->single, choice->used, choice->gain,
                        median_of(dense.times[i]) / 1e3, median_of(sparse.times[i]) / 1e3});
      break;
    }
  }
  return r;
}

std::string SparseReport::to_text() const {
  size_t width = 5;
  for (const SparseRow& row : rows) width = std::max(width, row.layer.size());
  auto pad = [&](const std::string& s) { return s + std::string(width - std::min(width, s.size()), ' '); };
  std::string s = pad("layer") + "  op                 zeros  steps left   dense us  sparse us\n";
  for (const SparseRow& row : rows) {
    char line[160];
    std::snprintf(line, sizeof line, "  %-16s %5.1f %%     %5.1f %% %10.2f %10.2f  ", row.op.c_str(), row.weights ? 100.0 * double(row.zeros) / double(row.weights) : 0,
                  row.steps ? 100.0 * double(row.kept) / double(row.steps) : 0, row.dense_us, row.sparse_us);
    s += pad(row.layer) + line + row.decision() + "\n";
  }
  return s + "all layers on " + isa + ": dense " + number("%.1f", dense_us) + " us, as chosen " + number("%.1f", chosen_us) + " us, " + number("%.2f", dense_us / chosen_us) + "x\n";
}

std::string SparseReport::to_json() const {
  nlohmann::ordered_json j{{"isa", isa}, {"dense_us", dense_us}, {"chosen_us", chosen_us}, {"layers", nlohmann::ordered_json::array()}};
  for (const SparseRow& row : rows)
    j["layers"].push_back({{"layer", row.layer}, {"op", row.op}, {"weights", row.weights}, {"zeros", row.zeros}, {"kept", row.kept}, {"steps", row.steps}, {"single", row.single}, {"sparse", row.sparse},
                           {"expected_gain", row.expected_gain}, {"dense_us", row.dense_us}, {"sparse_us", row.sparse_us}});
  return j.dump();
}

}  // namespace miniten::edge
