#include <cmath>
#include <filesystem>
#include "cli/files.h"
#include "miniten/core/autograd.h"
#include "miniten/utils/data.h"

namespace miniten::cli {

namespace {

// The first output of every sample.
Tensor outputs_of(nn::Module& m, const edge::Batches& batches) {
  NoGrad no_grad;
  std::vector<Tensor> rows;
  for (auto batch = batches(); !batch.empty(); batch = batches()) rows.push_back(m(batch).at(0));
  return rows.size() == 1 ? rows[0] : concat(rows, 0);
}
std::vector<double> numbers(const Tensor& t) { return cast(t, DType::f64).to_vector<double>(); }

double r2(const std::vector<double>& got, const std::vector<double>& want) {
  double mean = 0, wrong = 0, all = 0;
  for (double w : want) mean += w / double(want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    wrong += (got[i] - want[i]) * (got[i] - want[i]);
    all += (want[i] - mean) * (want[i] - mean);
  }
  return all > 0 ? std::clamp(1 - wrong / all, 0.0, 1.0) : wrong == 0 ? 1.0 : 0.0;
}
double share_equal(const std::vector<double>& a, const std::vector<double>& b) {
  size_t equal = 0;
  for (size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
  return a.empty() ? 0 : double(equal) / double(a.size());
}

edge::CompressBudget budget_of(const Compress& o) {
  edge::CompressBudget b = o.budget;
  for (const std::string& text : o.limits) {
    auto [name, v] = named_number(text);
    double* to = name == "flash_kb" ? &b.flash_kb : name == "ram_kb" ? &b.ram_kb : name == "latency_ms" ? &b.latency_ms : name == "max_drop" ? &b.max_drop : nullptr;
    if (!to || std::isnan(v)) throw WrongUse{"--budget wants flash_kb=N, ram_kb=N, latency_ms=N or max_drop=SHARE, and got \"" + text + "\""};
    *to = v;
  }
  if (b.flash_kb == 0 && b.ram_kb == 0 && b.latency_ms == 0) throw WrongUse{"a budget is wanted: --flash-kb, --ram-kb or --latency-ms"};
  for (double v : {b.flash_kb, b.ram_kb, b.latency_ms}) if (!(v >= 0) || std::isinf(v)) throw WrongUse{"a budget is a number above 0, got " + std::to_string(v)};
  return b;
}

}  // namespace

int compress(const Compress& o, Output to) {
  check_model_output(o.out, o.write);
  const edge::CompressBudget b = budget_of(o);
  auto m = open_model(o.in);
  std::vector<Tensor> samples = read_inputs(*m, {o.data});
  auto batches = [&] { return batches_of(*m, samples); };
  Tensor reference = outputs_of(*m, batches());
  bool classes = reference.rank() > 1 && reference.dim(-1) > 1;
  Tensor targets;
  if (!o.targets.empty()) {
    targets = read_array(o.targets);
    bool numbers = is_float(targets.dtype());
    if (targets.rank() < 1 || targets.dim(0) != reference.dim(0) || (numbers ? targets.numel() != reference.numel() : !classes || targets.numel() * reference.dim(-1) != reference.numel()))
      throw WrongUse{"--targets of " + targets.spec().text() + " do not fit outputs of " + reference.spec().text() + ": classes are integers, one a sample; numbers have the outputs' shape"};
    classes = !numbers;
  }
  auto read = [&](const Tensor& out) { return numbers(classes ? argmax(out, -1) : out); };
  std::vector<double> want = targets ? numbers(targets) : read(reference);
  int trial = 0;
  auto evaluate = [&](nn::Module& model) {
    show_progress("trial " + std::to_string(++trial));
    std::vector<double> got = read(outputs_of(model, batches()));
    return classes ? share_equal(got, want) : r2(got, want);
  };
  edge::Compressed c;
  try {
    c = edge::compress(*m, batches, evaluate, b, o.journal, o.seed, specs_for(*m, {}));
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::value) throw;
    throw Failed{e.what()};
  }
  show_progress("");
  tell(to, save_model(*c.model, o.out, o.write), "compression", c.report.to_json(), c.report.to_text());
  return 0;
}

}  // namespace miniten::cli
