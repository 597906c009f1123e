#include "miniten/ops/ops.h"
#include "ops/loops.h"

namespace miniten {

// Products summed over named axes, brought to matrix products pair by pair from the left.
namespace {

constexpr int dots = 1000;                                     // labels of the axes under an ellipsis count from here, last first

struct Term {
  std::vector<int> labels;                                     // of each axis
  bool has(int label) const { return std::find(labels.begin(), labels.end(), label) != labels.end(); }
};
struct Operand { Tensor x; Term at; };

[[noreturn]] void wrong(std::string want, std::string got) { throw Error(ErrorKind::value, "einsum", std::move(want), std::move(got)); }

Term term_of(std::string_view text, int rank, std::string_view equation) {
  Term t;
  size_t letters = 0;
  for (char c : text) letters += std::isalpha(static_cast<unsigned char>(c)) ? 1 : 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (std::isalpha(static_cast<unsigned char>(text[i]))) { t.labels.push_back(text[i]); continue; }
    if (text.substr(i, 3) != "..." || t.labels.size() > 7) wrong("letters, commas, one ... a term and ->", "\"" + std::string(equation) + "\"");
    for (int k = rank - int(letters); k-- > 0;) t.labels.push_back(dots + k);
    i += 2;
    if (text.find("...", i + 1) != text.npos) wrong("one ... a term", "\"" + std::string(equation) + "\"");
  }
  if (rank >= 0 && int(t.labels.size()) != rank) wrong("a label for each axis", "\"" + std::string(text) + "\" for " + std::to_string(rank) + " axes");
  return t;
}

// One axis for each label: repeated ones are their diagonal.
void take_diagonals(Operand& o) {
  for (size_t i = 0; i < o.at.labels.size(); ++i)
    for (size_t j = i + 1; j < o.at.labels.size(); ++j) {
      if (o.at.labels[i] != o.at.labels[j]) continue;
      if (o.x.dim(int(i)) != o.x.dim(int(j))) wrong("axes of one size for one label", o.x.shape().text());
      int label = o.at.labels[i];
      o.x = diagonal(o.x, 0, int(i), int(j));
      o.at.labels.erase(o.at.labels.begin() + std::ptrdiff_t(j));
      o.at.labels.erase(o.at.labels.begin() + std::ptrdiff_t(i));
      o.at.labels.push_back(label);
      return take_diagonals(o);
    }
}
void sum_out(Operand& o, auto keep) {
  Axes axes;
  Term left;
  for (size_t i = 0; i < o.at.labels.size(); ++i)
    if (keep(o.at.labels[i])) left.labels.push_back(o.at.labels[i]);
    else axes.push(Dim(i));
  if (axes.rank) o.x = cast(sum(o.x, axes), o.x.dtype());
  o.at = left;
}
Tensor arranged(const Operand& o, const std::vector<int>& labels) {        // axes in this order; size 1 where absent
  Axes order;
  Shape shape;
  for (int label : labels) {
    auto at = std::find(o.at.labels.begin(), o.at.labels.end(), label);
    if (at != o.at.labels.end()) order.push(at - o.at.labels.begin());
    shape.push(at != o.at.labels.end() ? o.x.dim(int(order[-1])) : 1);
  }
  return reshape(permute(o.x, order), shape);
}

Operand product(Operand a, Operand b, auto keep) {
  sum_out(a, [&](int l) { return keep(l) || b.at.has(l); });
  sum_out(b, [&](int l) { return keep(l) || a.at.has(l); });
  std::vector<int> batch, rows, columns, inner;
  for (int l : a.at.labels) (!b.at.has(l) ? rows : keep(l) ? batch : inner).push_back(l);
  for (int l : b.at.labels) if (!a.at.has(l)) columns.push_back(l);
  auto joined = [](std::vector<int> x, const std::vector<int>& y) { x.insert(x.end(), y.begin(), y.end()); return x; };
  std::vector<int> out = joined(joined(batch, rows), columns);
  if (inner.empty()) return {arranged(a, out) * arranged(b, out), {out}};
  for (int l : inner) {                                        // a size of 1 broadcasts
    auto size = [l](Operand& o) { return o.x.dim(int(std::find(o.at.labels.begin(), o.at.labels.end(), l) - o.at.labels.begin())); };
    auto widen = [l](Operand& o, Dim n) {
      Shape s = o.x.shape();
      s[int(std::find(o.at.labels.begin(), o.at.labels.end(), l) - o.at.labels.begin())] = n;
      o.x = expand(o.x, s);
    };
    Dim m = size(a), n = size(b);
    if (m == 1 && n != 1) widen(a, n);
    else if (n == 1 && m != 1) widen(b, m);
    else if (m != n) wrong("axes of one size for one label", a.x.shape().text() + " and " + b.x.shape().text());
  }
  if (!is_float(promote(a.x.dtype(), b.x.dtype()))) {
    std::vector<int> all = joined(out, inner);
    Axes last;
    for (size_t i = 0; i < inner.size(); ++i) last.push(Dim(out.size() + i));
    Tensor p = arranged(a, all) * arranged(b, all);
    return {cast(sum(p, last), p.dtype()), {out}};
  }
  auto group = [](const Tensor& x, size_t batches, size_t first, size_t second) {   // (batch.., product of first, product of second)
    Shape s;
    for (size_t i = 0; i < batches; ++i) s.push(x.dim(int(i)));
    for (auto [from, n] : {std::pair{batches, first}, {batches + first, second}}) {
      Dim size = n ? x.dim(int(from)) : 1;
      for (size_t i = 1; i < n; ++i) size *= x.dim(int(from + i));
      s.push(size);
    }
    return reshape(x, s);
  };
  Tensor left = arranged(a, joined(joined(batch, rows), inner)), right = arranged(b, joined(joined(batch, inner), columns));
  Tensor p = matmul(group(left, batch.size(), rows.size(), inner.size()), group(right, batch.size(), inner.size(), columns.size()));
  Shape shape;
  for (size_t i = 0; i < batch.size(); ++i) shape.push(p.dim(int(i)));
  for (size_t i = 0; i < rows.size(); ++i) shape.push(left.dim(int(batch.size() + i)));
  for (size_t i = 0; i < columns.size(); ++i) shape.push(right.dim(int(batch.size() + inner.size() + i)));
  return {reshape(p, shape), {out}};
}

}  // namespace

Tensor einsum(std::string_view equation, std::span<const Tensor> operands) {
  size_t arrow = equation.find("->");
  std::string_view left = equation.substr(0, arrow);
  std::vector<Operand> terms;
  for (size_t at = 0, k = 0;; ++k) {
    size_t comma = left.find(',', at);
    if (k >= operands.size()) wrong("an operand for each term of \"" + std::string(equation) + "\"", std::to_string(operands.size()));
    terms.push_back({operands[k], term_of(left.substr(at, comma == left.npos ? left.npos : comma - at), operands[k].rank(), equation)});
    if (comma == left.npos) break;
    at = comma + 1;
  }
  if (terms.size() != operands.size()) wrong(std::to_string(terms.size()) + " operands for \"" + std::string(equation) + "\"", std::to_string(operands.size()));
  int widest = 0;
  std::vector<std::pair<int, int>> seen;                       // label, how often
  for (Operand& o : terms)
    for (int l : o.at.labels) {
      if (l >= dots) widest = std::max(widest, l - dots + 1);
      auto at = std::find_if(seen.begin(), seen.end(), [l](auto& p) { return p.first == l; });
      if (at == seen.end()) seen.emplace_back(l, 1);
      else ++at->second;
    }
  Term out;
  if (arrow != equation.npos) {
    std::string_view text = equation.substr(arrow + 2);
    int letters = 0;
    for (char c : text) letters += std::isalpha(static_cast<unsigned char>(c)) ? 1 : 0;
    out = term_of(text, text.find("...") == text.npos ? letters : letters + widest, equation);
  } else {                                                     // the ellipsis, then labels that stand once, in alphabetical order
    for (int k = widest; k-- > 0;) out.labels.push_back(dots + k);
    std::sort(seen.begin(), seen.end());
    for (auto [l, n] : seen) if (l < dots && n == 1) out.labels.push_back(l);
  }
  for (size_t i = 0; i < out.labels.size(); ++i) {
    bool known = std::any_of(seen.begin(), seen.end(), [&](auto& p) { return p.first == out.labels[i]; });
    if (!known || std::find(out.labels.begin(), out.labels.begin() + std::ptrdiff_t(i), out.labels[i]) != out.labels.begin() + std::ptrdiff_t(i))
      wrong("each label of the output once, and in an operand", "\"" + std::string(equation) + "\"");
  }
  for (Operand& o : terms) take_diagonals(o);
  Operand result = terms[0];
  for (size_t k = 1; k < terms.size(); ++k)
    result = product(result, terms[k], [&](int l) {
      bool later = out.has(l);
      for (size_t j = k + 1; j < terms.size(); ++j) later |= terms[j].at.has(l);
      return later;
    });
  sum_out(result, [&](int l) { return out.has(l); });
  Axes order;
  for (int l : out.labels) order.push(std::find(result.at.labels.begin(), result.at.labels.end(), l) - result.at.labels.begin());
  return permute(result.x, order);
}

static void require_rank(std::string_view op, const Tensor& x, int rank) {
  constexpr std::string_view names[] = {"scalars", "vectors", "matrices", "batches of matrices"};
  if (x.rank() != rank) throw Error(ErrorKind::value, op, std::string(names[rank]), x.shape().text());
}
static Tensor whole_or_real_matmul(std::string_view equation, const Tensor& a, const Tensor& b) {
  if (is_float(a.dtype()) || is_float(b.dtype())) return matmul(a, b);
  Tensor both[] = {a, b};
  return einsum(equation, both);
}
Tensor dot(const Tensor& a, const Tensor& b) {
  require_rank("dot", a, 1);
  require_rank("dot", b, 1);
  return whole_or_real_matmul("i,i->", a, b);
}
Tensor mm(const Tensor& a, const Tensor& b) {
  require_rank("mm", a, 2);
  require_rank("mm", b, 2);
  return whole_or_real_matmul("ij,jk->ik", a, b);
}
Tensor mv(const Tensor& a, const Tensor& b) {
  require_rank("mv", a, 2);
  require_rank("mv", b, 1);
  return whole_or_real_matmul("ij,j->i", a, b);
}
Tensor bmm(const Tensor& a, const Tensor& b) {
  require_rank("bmm", a, 3);
  require_rank("bmm", b, 3);
  if (a.dim(0) != b.dim(0)) throw Error(ErrorKind::value, "bmm", "as many matrices on both sides", a.shape().text() + " and " + b.shape().text());
  return whole_or_real_matmul("bij,bjk->bik", a, b);
}
Tensor addmm(const Tensor& x, const Tensor& a, const Tensor& b, double beta, double alpha) {
  Tensor p = mm(a, b);
  if (alpha != 1) p = p * alpha;
  if (beta == 0) return p;                                     // NaN in x does not count then, as torch
  return (beta == 1 ? x : x * beta) + p;
}
Tensor baddbmm(const Tensor& x, const Tensor& a, const Tensor& b, double beta, double alpha) {
  Tensor p = bmm(a, b);
  if (alpha != 1) p = p * alpha;
  if (beta == 0) return p;
  return (beta == 1 ? x : x * beta) + p;
}
Tensor outer(const Tensor& a, const Tensor& b) {
  require_rank("outer", a, 1);
  require_rank("outer", b, 1);
  return unsqueeze(a, 1) * unsqueeze(b, 0);
}
Tensor kron(const Tensor& a, const Tensor& b) {
  int rank = std::max(a.rank(), b.rank());
  if (2 * rank > Dims::capacity) throw Error(ErrorKind::unsupported, "kron", "at most " + std::to_string(Dims::capacity / 2) + " axes", std::to_string(rank));
  Shape outer, inner, both;
  for (int i = 0; i < rank; ++i) {
    int p = i - (rank - a.rank()), q = i - (rank - b.rank());
    Dim m = p < 0 ? 1 : a.dim(p), n = q < 0 ? 1 : b.dim(q);
    if (is_symbol(m) || is_symbol(n)) throw Error(ErrorKind::unsupported, "kron", "known sizes", a.shape().text() + " and " + b.shape().text(), "trace with a fixed shape");
    outer.push(m), outer.push(1);
    inner.push(1), inner.push(n);
    both.push(m * n);
  }
  return reshape(reshape(a, outer) * reshape(b, inner), both);
}
Tensor tensordot(const Tensor& a, const Tensor& b, Axes of_a, Axes of_b) {
  if (of_a.rank != of_b.rank) throw Error(ErrorKind::value, "tensordot", "as many axes of a as of b", of_a.text() + " and " + of_b.text());
  std::string x, y, out;
  for (int i = 0; i < a.rank(); ++i) x += char('a' + i);
  for (int i = 0; i < b.rank(); ++i) y += char('A' + i);
  for (int i = 0; i < of_a.rank; ++i) y[size_t(normal_axis("tensordot", of_b[i], b.rank()))] = x[size_t(normal_axis("tensordot", of_a[i], a.rank()))];
  for (char c : x) if (y.find(c) == y.npos) out += c;
  for (char c : y) if (x.find(c) == x.npos) out += c;
  Tensor both[] = {a, b};
  return einsum(x + "," + y + "->" + out, both);
}

}  // namespace miniten
