#include <unistd.h>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include "base/json.h"
#include "edge/compression/measure.h"
#include "edge/models.h"
#include "miniten/edge/benchmark.h"
#include "miniten/core/autograd.h"
#include "miniten/edge/budget.h"
#include "miniten/edge/mixed_precision.h"
#include "miniten/edge/qat.h"
#include "miniten/interchange/native.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

constexpr const char* op = "compress";

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", v);
  return text;
}
// One change, in the order in which changes are made; two of one kind do not go together.
enum Kind { structured, factors, zeros, clusters, integers };
struct Action { Kind kind; double amount; std::string text; };
constexpr double as_int8 = 0, as_16x8 = 1, trained = 2, mixed = -1;      // amounts of integers; mixed less the drop that a mix may cost
using Recipe = std::vector<Action>;                          // ascending kinds

std::vector<Action> menu_of(const CompressBudget& b, bool data) {
  std::vector<Action> all{
      {structured, 0.25, "structured 0.25"}, {structured, 0.5, "structured 0.5"}, {structured, 0.75, "structured 0.75"}, {factors, 0.95, "low_rank 0.95"},
      {factors, 0.8, "low_rank 0.8"},        {zeros, 0.5, "prune 0.5"},           {zeros, 0.7, "prune 0.7"},             {zeros, 0.9, "prune 0.9"},
      {clusters, 32, "share 32"},            {clusters, 16, "share 16"},          {clusters, 8, "share 8"},              {integers, as_int8, "int8"},
  };
  if (data) {                                                // activations need ranges
    double drop = b.max_drop >= 0 ? b.max_drop : 0.01;
    all.push_back({integers, as_16x8, "int16x8"});
    all.push_back({integers, trained, "int8 trained"});
    all.push_back({integers, mixed - drop, "int8 and int16 mixed within " + number(drop)});
  }
  return all;
}
std::string name_of(const Recipe& r) {
  if (r.empty()) return "as given";
  std::string s;
  for (const Action& a : r) s += (s.empty() ? "" : ", ") + a.text;
  return s;
}
bool goes_with(const Recipe& r, const Action& a) {           // integers have scales of their own: clusters would be lost
  for (const Action& b : r)
    if (b.kind == a.kind || (b.kind == clusters && a.kind == integers) || (b.kind == integers && a.kind == clusters)) return false;
  return true;
}
Recipe with(Recipe r, const Action& a) {
  r.insert(std::upper_bound(r.begin(), r.end(), a, [](const Action& x, const Action& y) { return x.kind < y.kind; }), a);
  return r;
}

struct Search {
  Ref<nn::GraphModule> base;
  std::vector<Spec> specs;
  const std::function<Batches()>& calibration;
  const Evaluate& evaluate;
  uint64_t seed;

  double distance(nn::Module& m) const {                     // squares, from the outputs of the model given
    NoGrad no_grad;
    double sum_of = 0;
    Batches batches = calibration();
    for (auto inputs = batches(); !inputs.empty(); inputs = batches()) {
      Tensor d = m(inputs).at(0) - (*base)(inputs).at(0);
      sum_of += sum(d * d).item();
    }
    return sum_of;
  }
  // Quantisation-aware training towards the outputs of the model given: no labels are needed; the nearest of the passes is taken.
  Ref<nn::GraphModule> train_integers(nn::Module& m) const {
    Swap<bool> grad(mode().grad, true);
    auto prepared = prepare_qat(m, {}, calibration(), specs);
    prepared->eval();
    Ref<QuantizedModel> best = prepared->convert();
    double least = distance(*best);
    for (int step = 0, pass = 0; pass < 5 && step < 300; ++pass) {
      optim::Adam optimizer(prepared->parameters(), {.lr = 2e-4 / (1 << pass)});
      prepared->train();
      Batches batches = calibration();
      for (auto inputs = batches(); !inputs.empty() && step < 300; inputs = batches(), ++step) {
        Tensor want;
        {
          NoGrad no_grad;
          want = (*base)(inputs).at(0);
        }
        Tensor d = (*prepared)(inputs).at(0) - want, loss = mean(d * d);
        if (!std::isfinite(loss.item())) throw Error(ErrorKind::value, op, "a finite loss of \"int8 trained\"", std::to_string(loss.item()));
        optimizer.zero_grad();
        backward(loss);
        optimizer.step();
      }
      prepared->eval();
      auto now = prepared->convert();
      if (double d = distance(*now); d < least) { least = d; best = now; }
    }
    return best;
  }
  Ref<nn::GraphModule> in_integers(nn::Module& m, double how) const {
    if (how == trained) return train_integers(m);
    if (how <= mixed) {
      MixedPrecisionOptions o;
      o.max_drop = mixed - how;
      o.objective = "size";
      return quantize_with_accuracy(m, calibration(), evaluate, o).model;
    }
    QuantizationConfig config;
    if (how == as_16x8) set_dtype(config, "int16x8");
    return quantize_model(m, config, calibration ? calibration() : Batches());
  }

  Ref<nn::GraphModule> make_model(const Recipe& recipe) const {
    NoGrad no_grad;
    Ref<nn::GraphModule> m = make<nn::GraphModule>(own_copy(base->graph()));
    m->eval();
    for (const Action& a : recipe) {
      if (a.kind == structured) m = prune_model(*m, a.amount, {.method = "structured", .seed = seed}, specs);
      else if (a.kind == factors) m = low_rank(*m, {.energy = a.amount, .measure = false}, specs);
      else if (a.kind == zeros) m = prune_model(*m, a.amount, {.seed = seed}, specs);
      else if (a.kind == clusters) m = weight_sharing(*m, {.num_clusters = int64_t(a.amount), .seed = seed}, specs);
      else {
        (*m)(random_inputs(specs));                          // its shapes, where there is no data to tell them
        m = in_integers(*m, a.amount);
      }
      m->eval();
    }
    return m;
  }
};

// ---- the journal: a line of JSON for each trial ----
uint64_t hash_of(const std::string& text, std::span<const std::byte> bytes) {       // FNV-1a
  uint64_t h = 14695981039346656037u;
  auto eat = [&](unsigned char c) { h = (h ^ c) * 1099511628211u; };
  for (char c : text) eat(static_cast<unsigned char>(c));
  for (std::byte b : bytes) eat(static_cast<unsigned char>(b));
  return h;
}
std::map<std::string, CompressTrial> read_journal(const std::string& path, const std::string& key) {
  std::map<std::string, CompressTrial> known;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    auto j = parse_json(line, false);                        // a kill may have cut the last one
    if (!j.is_object() || !j.contains("key") || j["key"] != key) continue;
    try {
      CompressTrial t{j.at("recipe"), j.at("score"), j.at("flash_kb"), j.at("ram_kb"), j.at("latency_ms"), j.at("failed")};
      known[t.recipe] = t;
    } catch (const nlohmann::json::exception&) {
      continue;
    }
  }
  return known;
}
nlohmann::ordered_json json_of(const CompressTrial& t) {
  return {{"recipe", t.recipe}, {"score", t.score}, {"flash_kb", t.flash_kb}, {"ram_kb", t.ram_kb}, {"latency_ms", t.latency_ms}, {"failed", t.failed}};
}
void append(const std::string& path, const std::string& key, const CompressTrial& t) {
  nlohmann::ordered_json j{{"key", key}};
  j.update(json_of(t));
  bool cut = false;
  if (std::ifstream in(path, std::ios::binary | std::ios::ate); in && in.tellg() > 0) {
    in.seekg(-1, std::ios::end);
    cut = in.get() != '\n';
  }
  std::FILE* f = std::fopen(path.c_str(), "ab");
  std::string line = (cut ? "\n" : "") + j.dump() + "\n";
  bool done = f && std::fwrite(line.data(), 1, line.size(), f) == line.size() && std::fflush(f) == 0 && fsync(fileno(f)) == 0;
  if (f) std::fclose(f);
  if (!done) throw Error(ErrorKind::io, op, "a journal that can be written", "\"" + path + "\"");
}

double drop_of(const CompressReport& r, const CompressTrial& t) { return r.trials[0].score - t.score; }

// 0: meets everything; else by how much it does not, as shares of the limits.
double missed(const CompressReport& r, const CompressTrial& t) {
  const CompressBudget& b = r.budget;
  double sum = 0;
  auto over = [&](double value, double limit) { if (limit > 0) sum += std::max(0.0, value / limit - 1); };
  over(t.flash_kb, b.flash_kb);
  over(t.ram_kb, b.ram_kb);
  over(t.latency_ms, b.latency_ms);
  if (b.max_drop >= 0) sum += 10 * std::max(0.0, drop_of(r, t) - b.max_drop);
  return sum;
}
bool better(const CompressReport& r, const CompressTrial& a, const CompressTrial& b) {
  if (a.failed.empty() != b.failed.empty()) return a.failed.empty();
  double x = missed(r, a), y = missed(r, b);
  if (x != y) return x < y;
  return a.score != b.score ? a.score > b.score : a.flash_kb < b.flash_kb;
}

std::string why_not(const CompressReport& r) {
  const CompressBudget& b = r.budget;
  std::string s;
  auto alone = [&](const char* name, double limit, double (*value)(const CompressReport&, const CompressTrial&)) {
    double least = HUGE_VAL;
    for (const CompressTrial& t : r.trials) if (t.failed.empty()) least = std::min(least, value(r, t));
    if (least > limit) s += std::string(s.empty() ? "" : ", ") + name + " " + number(limit) + " (the least was " + number(least) + ")";
  };
  if (b.flash_kb > 0) alone("flash_kb", b.flash_kb, [](const CompressReport&, const CompressTrial& t) { return t.flash_kb; });
  if (b.ram_kb > 0) alone("ram_kb", b.ram_kb, [](const CompressReport&, const CompressTrial& t) { return t.ram_kb; });
  if (b.latency_ms > 0) alone("latency_ms", b.latency_ms, [](const CompressReport&, const CompressTrial& t) { return t.latency_ms; });
  if (!s.empty()) return "cannot be met: " + s;
  const CompressTrial* near = nullptr;
  for (const CompressTrial& t : r.trials) if (t.failed.empty() && (!near || missed(r, t) < missed(r, *near))) near = &t;
  return "cannot be met together; nearest was \"" + near->recipe + "\": score " + number(near->score) + " (drop " + number(drop_of(r, *near)) + "), flash_kb " + number(near->flash_kb) +
         ", ram_kb " + number(near->ram_kb) + ", latency_ms " + number(near->latency_ms);
}

void check(const CompressBudget& b, const Evaluate& evaluate) {
  if (!evaluate) throw Error(ErrorKind::type, op, "a function that gives a model's score", "none");
  for (auto& [name, v] : {std::pair{"flash_kb", b.flash_kb}, {"ram_kb", b.ram_kb}, {"latency_ms", b.latency_ms}})
    if (!(v >= 0) || std::isinf(v)) throw Error(ErrorKind::value, op, std::string(name) + " above 0", std::to_string(v));
  if (std::isnan(b.max_drop)) throw Error(ErrorKind::value, op, "max_drop of 0 or more", "nan");
  if (b.flash_kb == 0 && b.ram_kb == 0 && b.latency_ms == 0) throw Error(ErrorKind::value, op, "a budget of flash_kb, ram_kb or latency_ms", "none");
}

}  // namespace

bool CompressReport::meets(const CompressTrial& t) const { return t.failed.empty() && missed(*this, t) == 0; }

std::vector<int> CompressReport::pareto() const {
  auto beats = [](const CompressTrial& a, const CompressTrial& b) {
    bool none_worse = a.score >= b.score && a.flash_kb <= b.flash_kb && a.ram_kb <= b.ram_kb && a.latency_ms <= b.latency_ms;
    return none_worse && (a.score > b.score || a.flash_kb < b.flash_kb || a.ram_kb < b.ram_kb || a.latency_ms < b.latency_ms);
  };
  std::vector<int> front;
  for (size_t i = 0; i < trials.size(); ++i) {
    if (!trials[i].failed.empty()) continue;
    if (std::none_of(trials.begin(), trials.end(), [&](const CompressTrial& t) { return t.failed.empty() && beats(t, trials[i]); })) front.push_back(int(i));
  }
  std::stable_sort(front.begin(), front.end(), [&](int a, int b) { return trials[size_t(a)].flash_kb < trials[size_t(b)].flash_kb; });
  return front;
}

Compressed compress(nn::Module& model, const std::function<Batches()>& calibration, const Evaluate& evaluate, const CompressBudget& budget, const std::string& journal, uint64_t seed,
                    const std::vector<Spec>& inputs) {
  check(budget, evaluate);
  Search search{{}, known_specs(op, model, inputs), calibration, evaluate, seed};
  const std::vector<Action> menu = menu_of(budget, bool(calibration));
  search.base = make<nn::GraphModule>(own_copy(whole_graph(op, model, search.specs)));
  search.base->eval();
  NativeFile f;
  f.graph = search.base->graph();
  f.has_graph = true;
  f.kind = "module";
  std::string place = std::to_string(seed);
  for (const Spec& s : search.specs) place += " " + s.text();
  std::string key = std::to_string(hash_of(place, native_bytes(f)));
  auto known = journal.empty() ? std::map<std::string, CompressTrial>{} : read_journal(journal, key);

  CompressReport r{budget, {}, -1, 0};
  std::vector<Recipe> recipes;                               // of the trials
  std::set<std::string> tried;
  auto attempt = [&](const Recipe& recipe) {
    std::string name = name_of(recipe);
    if (!tried.insert(name).second) return;
    CompressTrial t{name, 0, 0, 0, 0, ""};
    if (auto before = known.find(name); before != known.end()) {
      t = before->second;
      ++r.resumed;
    } else {
      Ref<nn::GraphModule> m;
      try {
        m = search.make_model(recipe);
        t.flash_kb = flash_kb(*m, search.specs);
        t.ram_kb = ram_kb(*m, search.specs);
        t.latency_ms = median_ms(*m, search.specs);
      } catch (const Error& e) {
        if (recipe.empty()) throw;
        t.failed = e.what();
      }
      if (t.failed.empty()) {
        t.score = evaluate(*m);
        if (!std::isfinite(t.score)) throw Error(ErrorKind::value, op, "a finite score of \"" + name + "\"", number(t.score));
      }
      if (!journal.empty()) append(journal, key, t);
    }
    r.trials.push_back(t);
    recipes.push_back(recipe);
  };
  attempt({});
  for (const Action& a : menu) attempt({a});
  constexpr size_t width = 4, rounds = 3;
  std::set<std::string> grown{name_of({})};
  for (size_t round = 0; round < rounds; ++round) {
    std::vector<size_t> order(r.trials.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return better(r, r.trials[a], r.trials[b]); });
    size_t best = order[0];
    std::vector<Recipe> from;
    for (size_t i : order)
      if (from.size() < width && r.trials[i].failed.empty() && grown.insert(r.trials[i].recipe).second) from.push_back(recipes[i]);
    for (const Recipe& recipe : from)
      for (const Action& a : menu) if (goes_with(recipe, a)) attempt(with(recipe, a));
    bool gained = false;
    for (const CompressTrial& t : r.trials) gained |= better(r, t, r.trials[best]);
    if (!gained) break;
  }
  for (size_t i = 0; i < r.trials.size(); ++i)
    if (r.meets(r.trials[i]) && (r.best < 0 || better(r, r.trials[i], r.trials[size_t(r.best)]))) r.best = int(i);
  if (r.best < 0) throw Error(ErrorKind::value, op, "a budget that can be met", why_not(r));
  Compressed result{search.make_model(recipes[size_t(r.best)]), std::move(r)};
  return result;
}

// ---- the report ----
std::string CompressReport::to_text() const {
  size_t width = 6;
  std::vector<int> front = pareto();
  for (int i : front) width = std::max(width, trials[size_t(i)].recipe.size());
  std::string s = "recipe" + std::string(width - 6, ' ') + "     score   flash KB     RAM KB         ms\n";
  for (int i : front) {
    const CompressTrial& t = trials[size_t(i)];
    char line[128];
    std::snprintf(line, sizeof line, " %9.4f %10.2f %10.2f %10.4f%s\n", t.score, t.flash_kb, t.ram_kb, t.latency_ms, i == best ? "  <- taken" : meets(t) ? "  meets the budget" : "");
    s += t.recipe + std::string(width - t.recipe.size(), ' ') + line;
  }
  size_t failed = size_t(std::count_if(trials.begin(), trials.end(), [](const CompressTrial& t) { return !t.failed.empty(); }));
  s += std::to_string(trials.size()) + " recipes tried" + (failed ? ", " + std::to_string(failed) + " of them not possible" : "") + (resumed ? ", " + std::to_string(resumed) + " from the journal" : "") + "\n";
  if (best >= 0 && !std::count(front.begin(), front.end(), best)) s += "taken: " + trials[size_t(best)].recipe + "\n";
  return s;
}
std::string CompressReport::to_json() const {
  nlohmann::ordered_json j{{"budget", {{"flash_kb", budget.flash_kb}, {"ram_kb", budget.ram_kb}, {"latency_ms", budget.latency_ms}, {"max_drop", budget.max_drop}}},
                           {"best", best}, {"resumed", resumed}, {"pareto", pareto()}, {"trials", nlohmann::ordered_json::array()}};
  for (const CompressTrial& t : trials) j["trials"].push_back(json_of(t));
  return j.dump();
}

}  // namespace miniten::edge
