#include "ops/tflite_rules.h"

// Variables, and graphs within graphs. A branch that is known while reading is taken, a loop unrolled; of a computed condition
// both branches are, and their outputs chosen from.
namespace miniten::tflite {

namespace {

// A handle is the bytes of its variable's name.
Tensors var_handle(const ForeignNode& n) {
  std::string name = n.text("container", "") + "/" + n.text("shared_name", "");
  return {Tensor::of<uint8_t>({int64_t(name.size())}, std::vector<uint8_t>(name.begin(), name.end()))};
}
Tensor variable(const ForeignNode& n, const Spec& spec) {
  Tensor handle = n.constant(0);
  if (handle.dtype() != DType::u8) n.fail("the handle of a variable", handle.spec().text());
  auto name = handle.to_vector<uint8_t>();
  return n.variable(std::string(name.begin(), name.end()), spec);
}
thread_local int branches_computed = 0;

Tensors read_variable(const ForeignNode& n) { return {miniten::copy(variable(n, n.output_spec(0)))}; }
Tensors assign_variable(const ForeignNode& n) {
  require_unconditional(n);
  Tensor value = detach(n.required(1));
  miniten::assign(variable(n, value.spec()), value);
  return {};
}
Tensors call_once(const ForeignNode& n) {
  require_unconditional(n);
  n.once("init_subgraph_index");
  return {};
}

Tensors inputs_from(const ForeignNode& n, int first) {
  Tensors in;
  for (int i = first; i < n.inputs(); ++i) in.push_back(n.required(i));
  return in;
}
Tensors branch(const ForeignNode& n) {
  Tensor condition = n.required(0);
  if (condition.dtype() != DType::boolean || !condition.shape().is_static() || condition.numel() != 1) n.fail("one condition", condition.spec().text());
  if (condition.has_data()) return n.body(condition.item() != 0 ? "then_subgraph_index" : "else_subgraph_index", inputs_from(n, 1));
  Swap<int> both(branches_computed, branches_computed + 1);
  Tensors yes = n.body("then_subgraph_index", inputs_from(n, 1)), no = n.body("else_subgraph_index", inputs_from(n, 1));
  if (yes.size() != no.size()) n.fail("branches of as many outputs", std::to_string(yes.size()) + " and " + std::to_string(no.size()));
  if (condition.rank()) condition = miniten::reshape(condition, {});
  for (size_t i = 0; i < yes.size(); ++i) {
    if (yes[i].spec() != no[i].spec()) n.fail("branches of one type and shape", yes[i].spec().text() + " and " + no[i].spec().text());
    yes[i] = miniten::where(condition, yes[i], no[i]);
  }
  return yes;
}
Tensors loop(const ForeignNode& n) {
  Tensors carried = inputs_from(n, 0);
  for (int turn = 0;; ++turn) {
    Tensors going = n.body("cond_subgraph_index", carried);
    if (going.size() != 1 || !going[0].has_data()) n.fail("a condition that is known while reading", "a computed one");
    if (going[0].item() == 0) return carried;
    if (turn == 4096 && mode().recorder) n.fail("at most 4096 turns to be unrolled", "more");
    carried = n.body("body_subgraph_index", carried);
    if (int(carried.size()) != n.inputs()) n.fail("a body that gives every value", std::to_string(carried.size()));
  }
}
Tensors call(const ForeignNode& n) { return n.body("subgraph", inputs_from(n, 0)); }

constexpr ForeignComposition rules[] = {{"tflite", "VAR_HANDLE", var_handle}, {"tflite", "READ_VARIABLE", read_variable}, {"tflite", "ASSIGN_VARIABLE", assign_variable},
                                        {"tflite", "CALL_ONCE", call_once}, {"tflite", "IF", branch}, {"tflite", "WHILE", loop}, {"tflite", "CALL", call}};

}  // namespace

void require_unconditional(const ForeignNode& n) {
  if (branches_computed) n.fail("no state that is overwritten in a branch of a computed condition", std::string(n.type()));
}

Compositions control_rules() { return rules; }

}  // namespace miniten::tflite
