#include <cmath>
#include "miniten/core/autograd.h"
#include "python/bind.h"

// Tensors in print, by the rules of torch.set_printoptions' defaults.
namespace miniten::python {

namespace {

constexpr int precision = 4, threshold = 1000, edge_items = 3;
constexpr size_t line_width = 80;

std::string formatted(const char* format, double x) {
  char text[400];
  std::snprintf(text, sizeof text, format, precision, x);
  return text;
}

struct Printer {
  View v;
  bool summarize = false, is_real = false, whole = true, scientific = false;
  size_t width = 1;

  std::byte* at(const Dims& index) const {
    int64_t offset = 0;
    for (int i = 0; i < index.rank; ++i) offset += index[i] * v.strides[i];
    return v.data + offset * int64_t(bytes_of(v.spec.dtype, 1));
  }
  double real_at(const std::byte* p) const {
    double x = 0;
    copy_values({const_cast<std::byte*>(p), {v.spec.dtype, {}}, {}}, {reinterpret_cast<std::byte*>(&x), {DType::f64, {}}, {}});
    return x;
  }
  std::string exact_at(const std::byte* p) const {
    std::string text;
    visit_dtype(v.spec.dtype, [&](auto zero) {
      decltype(zero) x;
      std::memcpy(&x, p, sizeof x);
      if constexpr (std::is_same_v<decltype(zero), bool>) text = x ? "True" : "False";
      else text = std::to_string(x);
    });
    return text;
  }
  std::string text_of(double x) const {
    if (std::isnan(x)) return "nan";
    if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
    if (scientific) return formatted("%.*e", x);
    if (!whole) return formatted("%.*f", x);
    char text[400];
    std::snprintf(text, sizeof text, "%.0f.", x);
    return text;
  }
  std::string element(const Dims& index) const {
    std::string text = is_real ? text_of(real_at(at(index))) : exact_at(at(index));
    return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
  }
  // Indices along an axis that are shown; -1 stands for the dots.
  std::vector<int64_t> shown(int64_t n) const {
    std::vector<int64_t> list;
    bool cut = summarize && n > 2 * edge_items;
    for (int64_t i = 0; i < n; ++i) {
      if (cut && i == edge_items) {
        list.push_back(-1);
        i = n - edge_items;
      }
      list.push_back(i);
    }
    return list;
  }
  void each(Dims& index, const auto& f) const {
    if (index.rank == v.spec.shape.rank) return f(index);
    for (int64_t i : shown(v.spec.shape[index.rank])) {
      if (i < 0) continue;
      index.push(i);
      each(index, f);
      --index.rank;
    }
  }
  void measure() {
    double least = INFINITY, most = 0;
    Dims index;
    if (is_real) {
      each(index, [&](const Dims& i) {
        double x = real_at(at(i));
        if (!std::isfinite(x) || x == 0) return;
        least = std::min(least, std::abs(x));
        most = std::max(most, std::abs(x));
        whole &= x == std::ceil(x);
      });
      if (most > 0) scientific = most / least > 1000 || most > 1e8 || (!whole && least < 1e-4);
    }
    each(index, [&](const Dims& i) {
      double x = is_real ? real_at(at(i)) : 0;
      if (is_real && (!std::isfinite(x) || x == 0)) return;
      width = std::max(width, (is_real ? text_of(x) : exact_at(at(i))).size());
    });
  }
  std::string print(Dims& index, size_t indent) const {
    int axis = index.rank, rank = v.spec.shape.rank;
    if (axis == rank) return element(index);
    std::vector<std::string> parts;
    for (int64_t i : shown(v.spec.shape[axis])) {
      if (i < 0) {
        parts.push_back(axis + 1 == rank ? " ..." : "...");
        continue;
      }
      index.push(i);
      parts.push_back(print(index, indent + 1));
      --index.rank;
    }
    std::string text = "[", margin(indent + 1, ' ');
    size_t per_line = axis + 1 == rank ? std::max<size_t>(1, (line_width - std::min(indent, line_width)) / (width + 2)) : 1;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (i) text += axis + 1 < rank ? "," + std::string(size_t(rank - axis - 1), '\n') + margin : i % per_line ? ", " : ",\n" + margin;
      text += parts[i];
    }
    return text + "]";
  }
};

}  // namespace

std::string repr_of(const Tensor& t) {
  std::string text = "tensor(", dtype(name_of(t.dtype()));
  std::vector<std::string> suffixes;
  bool usual = t.dtype() == DType::f32 || t.dtype() == DType::i64 || t.dtype() == DType::boolean;
  if (!t.has_data()) return text + "<traced>, size=" + t.shape().text() + ", dtype=miniten." + dtype + ")";
  if (bits_of(t.dtype()) < 8) return text + "<packed>, size=" + t.shape().text() + ", dtype=miniten." + dtype + ")";
  if (t.numel() == 0) {
    text += "[]";
    if (t.rank() != 1) suffixes.push_back("size=" + t.shape().text());
    if (t.dtype() != DType::f32) suffixes.push_back("dtype=miniten." + dtype);
  } else {
    Printer p;
    p.v = t.view();
    p.summarize = t.numel() > threshold;
    p.is_real = is_float(t.dtype());
    p.measure();
    Dims index;
    text += p.print(index, 7);
    if (!usual) suffixes.push_back("dtype=miniten." + dtype);
  }
  if (const OpDef* op = producer_of(t)) suffixes.push_back("grad_fn=<" + std::string(op->name) + ">");
  else if (t.requires_grad()) suffixes.push_back("requires_grad=True");
  size_t last_line = text.size() - (text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1) + 1;
  for (const std::string& s : suffixes) {
    if (last_line + s.size() + 2 > line_width) {
      text += ",\n       " + s;
      last_line = 7 + s.size();
    } else {
      text += ", " + s;
      last_line += s.size() + 2;
    }
  }
  return text + ")";
}

}  // namespace miniten::python
