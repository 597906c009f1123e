#include "miniten/base/symbol.h"
#include "ops/onnx_rules.h"

// Open sizes of ONNX files: what nodes make of symbols while a graph is traced.
namespace miniten {

namespace {

[[noreturn]] void refuse(const ForeignNode& n) { n.fail("known sizes", "open ones", "call it with arrays, or fix the sizes"); }
bool takes_sizes(std::string_view type, int input) {
  return input == 0 ? type == "ConstantOfShape" : (input == 1 && (type == "Reshape" || type == "Expand")) || (input < 3 && type == "Slice");
}
bool moves_sizes(const ForeignNode& n) {
  if (n.type() == "Cast") return n.integer("to", 0) == onnx_type(DType::i64);
  for (const char* type : {"Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Identity", "Reshape", "Split"})
    if (n.type() == type) return true;
  return false;
}
int64_t at(const std::vector<int64_t>& v, size_t i) { return v[v.size() == 1 ? 0 : i]; }
Tensor of(const std::vector<int64_t>& v, const Tensor& a, const Tensor& b) { return Tensor::of<int64_t>(a.rank() >= b.rank() ? a.shape() : b.shape(), v); }

// One element of a sum, difference, product, quotient or comparison.
Dim reckoned(const ForeignNode& n, Dim x, Dim y) {
  std::string_view type = n.type();
  bool open = is_symbol(y), both = is_symbol(x) && open;
  auto apart = difference(x, y);
  if (type == "Equal" && apart) return *apart == 0;
  if (type == "Equal" && !both && (open ? x : y) < 0) return 0;            // no size is below 0
  if (type == "Add" && !both) return derived({open ? y : x, 1, open ? x : y});
  if (type == "Sub" && !open) return derived({x, 1, -y});
  if (type == "Sub" && apart) return *apart;
  if (type == "Mul" && !both && (open ? x : y) >= 1) return derived({open ? y : x, open ? x : y});
  if (type == "Div" && !open && y >= 1) return derived({x, 1, 0, y});
  refuse(n);
}

}  // namespace

OpenSizes read_open_sizes(const ForeignNode& n) {
  bool data = false, shape = false;
  for (int i = 0; i < n.inputs(); ++i) {
    if (!n.open(i)) continue;
    if (n.type() == "Gather" && i > 0) refuse(n);
    (takes_sizes(n.type(), i) ? shape : data) = true;
  }
  if (data && shape) refuse(n);
  if (shape) return {OpenSizes::traced, {}};
  if (moves_sizes(n)) return {OpenSizes::known, {}};
  std::vector<int64_t> out;
  if (n.type() == "Where" && n.inputs() == 3) {
    std::vector<double> chosen = onnx::numbers_of(n, 0);
    std::vector<int64_t> a = n.sizes(1), b = n.sizes(2);
    for (size_t i = 0; i < std::max({chosen.size(), a.size(), b.size()}); ++i) out.push_back(chosen[chosen.size() == 1 ? 0 : i] != 0 ? at(a, i) : at(b, i));
    return {OpenSizes::given, {of(out, n.input(1), n.input(2))}};
  }
  if (n.inputs() != 2) refuse(n);
  std::vector<int64_t> a = n.sizes(0), b = n.sizes(1);
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) out.push_back(reckoned(n, at(a, i), at(b, i)));
  Tensor t = of(out, n.input(0), n.input(1));
  if (n.type() == "Equal") {
    Tensor truth = Tensor::empty({DType::boolean, t.shape()});
    copy_values(t.view(), truth.view());
    t = truth;
  }
  return {OpenSizes::given, {t}};
}

}  // namespace miniten
