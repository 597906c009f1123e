#include "miniten/ops/ops.h"
#include "ops/onnx_rules.h"

// If, Loop and Scan: what is known while reading (a branch, a number of turns) is unrolled; else the model runs node by node.
namespace miniten::onnx {

namespace {

Tensors read_if(const ForeignNode& n) {
  Tensor condition = n.constant(0);
  if (condition.numel() != 1) n.fail("one condition", condition.spec().text());
  return n.body(condition.item() != 0 ? "then_branch" : "else_branch", {});
}

Tensors read_loop(const ForeignNode& n) {
  int64_t most = optional(n, 0) ? n.constant_integers(0).at(0) : INT64_MAX;
  Tensor going = optional(n, 1);
  Tensors carried;
  for (int i = 2; i < n.inputs(); ++i) carried.push_back(n.input(i));
  size_t scans = 0;
  std::vector<Tensors> rows;
  if (int(carried.size()) > n.outputs()) n.fail("an output for each carried value", std::to_string(n.outputs()));
  scans = size_t(n.outputs()) - carried.size();
  rows.resize(scans);
  bool on = !going || n.constant(1).item() != 0;
  for (int64_t turn = 0; turn < most && on; ++turn) {
    Tensors in{Tensor::full({}, double(turn), DType::i64), Tensor::full({}, 1, DType::boolean)};
    in.insert(in.end(), carried.begin(), carried.end());
    Tensors out = n.body("body", in);
    if (out.size() < 1 + carried.size() + scans) n.fail("a body with a condition, carried and scanned values", std::to_string(out.size()) + " outputs");
    if (!out[0].has_data()) n.fail("a condition that is known", "a computed one", "it runs node by node");
    on = out[0].item() != 0;
    for (size_t i = 0; i < carried.size(); ++i) carried[i] = out[1 + i];
    for (size_t i = 0; i < scans; ++i) rows[i].push_back(unsqueeze(out[1 + carried.size() + i], 0));
  }
  for (Tensors& r : rows) {
    if (r.empty()) n.fail("at least one turn of a loop with scanned values", "none");
    carried.push_back(miniten::concat(r, 0));
  }
  return carried;
}

Tensors read_scan(const ForeignNode& n) {
  bool old = n.version() < 9;                                             // a batch axis, sequence lengths as input 0
  int64_t scanned = n.integer("num_scan_inputs", 0);
  int first = old ? 1 : 0, states = n.inputs() - first - int(scanned);
  if (scanned < 1 || states < 0) n.fail("at least one scanned input", std::to_string(scanned));
  if (old && optional(n, 0)) n.fail("sequences of full length", "lengths");
  auto axes = n.integers("scan_input_axes", {}), out_axes = n.integers("scan_output_axes", {});
  auto backwards = n.integers(old ? "directions" : "scan_input_directions", {}), out_backwards = n.integers("scan_output_directions", {});
  auto at = [](const Ints& v, size_t i) { return i < v.size() ? v[i] : 0; };
  int batches = 1;
  if (old) batches = int(n.required(first).dim(0));
  std::vector<Tensors> results;                                           // by batch
  size_t given = 0;
  for (int b = 0; b < batches; ++b) {
    Tensors state, seq;
    for (int i = 0; i < states + scanned; ++i) {
      Tensor t = n.required(first + i);
      if (old) t = select(t, 0, b);
      (i < states ? state : seq).push_back(t);
    }
    Dim steps = -1;
    for (size_t i = 0; i < seq.size(); ++i) {
      int axis = axis_of(n, old ? 0 : at(axes, i), seq[i].rank());
      if (axis) {
        Axes order{axis};
        for (int k = 0; k < seq[i].rank(); ++k) if (k != axis) order.push(k);
        seq[i] = miniten::permute(seq[i], order);
      }
      if (at(backwards, i)) seq[i] = flip(seq[i], 0);
      if (steps >= 0 && seq[i].dim(0) != steps) n.fail("scanned inputs of one length", seq[i].spec().text());
      steps = seq[i].dim(0);
      if (is_symbol(steps)) n.fail("a known number of steps", seq[i].spec().text(), "call it with arrays, or fix the sizes");
    }
    std::vector<Tensors> rows;
    for (Dim t = 0; t < steps; ++t) {
      Tensors in = state;
      for (const Tensor& s : seq) in.push_back(select(s, 0, t));
      Tensors out = n.body("body", in);
      if (int(out.size()) < states) n.fail("a body that gives every state", std::to_string(out.size()) + " outputs");
      rows.resize(out.size() - size_t(states));
      for (size_t i = 0; i < out.size(); ++i)
        if (int(i) < states) state[i] = out[i];
        else rows[i - size_t(states)].push_back(unsqueeze(out[i], 0));
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      if (at(out_backwards, i)) std::reverse(rows[i].begin(), rows[i].end());
      Tensor y = miniten::concat(rows[i], 0);
      int axis = axis_of(n, old ? 0 : at(out_axes, i), y.rank());
      if (axis) {
        Axes order;
        for (int k = 1; k < y.rank(); ++k) { if (k - 1 == axis) order.push(0); order.push(k); }
        if (order.rank < y.rank()) order.push(0);
        y = miniten::permute(y, order);
      }
      state.push_back(y);
    }
    given = state.size();
    results.push_back(state);
  }
  if (!old) return results[0];
  Tensors out;
  for (size_t i = 0; i < given; ++i) {
    Tensors each;
    for (Tensors& r : results) each.push_back(r[i]);
    out.push_back(stack(each, 0));
  }
  return out;
}

constexpr ForeignComposition rules[] = {{"onnx", "If", read_if}, {"onnx", "Loop", read_loop}, {"onnx", "Scan", read_scan}};

}  // namespace

Compositions control_rules() { return rules; }

}  // namespace miniten::onnx
