#pragma once
#include "miniten/edge/compression.h"

namespace miniten::edge {

// Models made as small or fast as asked: docs/edge/compression.md. kb is 2^10 bytes.

// One of them above 0: the share of multiply-adds that stays, in (0, 1); the median latency of one inference on this machine
// with one thread; the file's size.
struct PruneTarget { double macs = 0, latency_ms = 0, flash_kb = 0; };
// prune_model to the least sparsity of a hundredth that meets the target; PruneReport::wanted tells it. macs and latency_ms
// need method structured (latency_ms a pattern at least). Throws where no sparsity below 1 meets it, telling how near 0.99 comes.
Ref<PrunedModel> prune_to(nn::Module& model, const PruneTarget&, const PruneOptions& = {}, const std::vector<Spec>& inputs = {});

using Evaluate = std::function<double(nn::Module&)>;         // a score in [0, 1], the higher the better

// The score with one weight (of method structured: one channel group) pruned at a time.
struct SensitivityRow { std::string name; std::vector<double> scores; };       // by sparsity
struct SensitivityReport {
  double base = 0;                       // score of the model as it is
  std::vector<double> sparsities;        // ascending
  std::vector<SensitivityRow> rows;
  // For PruneOptions::ratios: of each row the greatest sparsity scanned up to which no score is more than max_drop below
  // base; 0 where even the least is.
  std::vector<std::pair<std::string, double>> ratios(double max_drop) const;
  std::string to_text() const;
  std::string to_json() const;
};
SensitivityReport sensitivity_scan(nn::Module& model, const Evaluate&, std::vector<double> sparsities = {0.25, 0.5, 0.75, 0.9}, const PruneOptions& = {},
                                   const std::vector<Spec>& inputs = {});

// ---- the search ----
// What must hold; 0, or max_drop below 0, asks nothing. flash_kb: the file; ram_kb: input and planned activations;
// latency_ms: the median on this machine with one thread; max_drop: of the score, in its unit.
struct CompressBudget { double flash_kb = 0, ram_kb = 0, latency_ms = 0, max_drop = -1; };
struct CompressTrial {
  std::string recipe;                    // "structured 0.5, low_rank 0.9, int8"; "as given"
  double score = 0, flash_kb = 0, ram_kb = 0, latency_ms = 0;
  std::string failed;                    // why it has no model; empty: it has one
};
struct CompressReport {
  CompressBudget budget;
  std::vector<CompressTrial> trials;     // in the order they were made; the first is the model as given
  int best = -1;                         // among them
  int resumed = 0;                       // trials read from the journal
  bool meets(const CompressTrial&) const;
  std::vector<int> pareto() const;       // trials that no other beats in score, flash, ram and latency at once
  std::string to_text() const;           // the table of those that are not beaten, then the verdict
  std::string to_json() const;
};
struct Compressed { Ref<nn::GraphModule> model; CompressReport report; };
// Tries recipes of channel pruning, low rank, weight pruning, weight sharing and int8 by measured cost: each alone, then
// each of the best with one more, until none gets better. Among the trials that meet the budget the one of the highest
// score is made again and returned. calibration gives int8 its ranges (null: dynamic). journal: a file that each trial is
// appended to; with the same model, seed and journal a search goes on after a kill. Throws where no trial meets the
// budget: which limit cannot be met, and how near the trials came. The model given is not modified.
Compressed compress(nn::Module& model, const std::function<Batches()>& calibration, const Evaluate&, const CompressBudget&, const std::string& journal = "", uint64_t seed = 0,
                    const std::vector<Spec>& inputs = {});

}  // namespace miniten::edge
