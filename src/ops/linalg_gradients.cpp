#include "ops/linalg_gradients.h"
#include "miniten/ops/linalg.h"

namespace miniten::linalg {

Tensor identity(int64_t n, DType dtype) { return tril(triu(Tensor::ones({n, n}, dtype))); }

namespace {

Tensor t(const Tensor& a) { return transpose(a); }
void add(Tensor& sum, const Tensor& x) { sum = sum ? sum + x : x; }
Tensor on_diagonal(const Tensor& values, const Tensor& eye) { return unsqueeze(values, -1) * eye; }
// x_j - x_i at (i, j), 1 on the diagonal
Tensor gaps(const Tensor& x, const Tensor& eye) { return unsqueeze(x, -2) - unsqueeze(x, -1) + eye; }
Tensor skew(const Tensor& a) { return a - t(a); }
// x @ r^-T of an upper triangular r
Tensor over_transpose(const Tensor& x, const Tensor& r) { return t(solve(r, t(x))); }

Tensor tall_qr(const Tensor& q, const Tensor& r, const Tensor& gq, const Tensor& gr) {
  Tensor m, right = gq;
  if (gr) m = matmul(r, t(gr));
  if (gq) add(m, -matmul(t(gq), q));
  Tensor symmetric = matmul(q, tril(m) + t(tril(m, -1)));
  return over_transpose(right ? right + symmetric : symmetric, r);
}

}  // namespace

void qr_gradient(const Vjp& v) {
  const Tensor &q = v.out[0], &r = v.out[1];
  int64_t m = q.dim(-2), n = r.dim(-1);
  Tensor gq = v.grad[0], gr = v.grad[1];
  if (m >= n) {
    v.result[0] = tall_qr(q, r, gq, gr);
    return;
  }
  // a = [x | y]: q and the first columns of r are x's, the others are q^T y.
  Tensor gx, gy;
  if (gr) {
    Tensor rest = slice(gr, -1, m, n);
    add(gq, matmul(matmul(q, slice(r, -1, m, n)), t(rest)));
    gy = matmul(q, rest);
    gx = slice(gr, -1, 0, m);
  } else {
    Shape rest = r.shape();
    rest[rest.rank - 1] = n - m;
    gy = Tensor::zeros(rest, q.dtype());
  }
  Tensor parts[] = {tall_qr(q, slice(r, -1, 0, m), gq, gx), gy};
  v.result[0] = concat(parts, -1);
}

void svd_gradient(const Vjp& v) {
  const Tensor& s = v.out[1];
  int64_t k = s.dim(-1);
  Tensor eye = identity(k, s.dtype()), inner;
  if (v.grad[1]) inner = on_diagonal(v.grad[1], eye);
  // The first k columns of u and v. What a loss asks of the other columns, their span, it asks of these.
  struct Side { Tensor vectors, grad; };
  auto side = [&](const Tensor& all, const Tensor& g) -> Side {
    int64_t columns = all.dim(-1);
    if (columns == k || !g) return {columns == k ? all : slice(all, -1, 0, k), !g ? g : columns == k ? g : slice(g, -1, 0, k)};
    Tensor first = slice(all, -1, 0, k), rest = slice(all, -1, k, columns);
    return {first, slice(g, -1, 0, k) - matmul(rest, matmul(t(slice(g, -1, k, columns)), first))};
  };
  auto [u, gu] = side(v.out[0], v.grad[0]);
  auto [w, gw] = side(t(v.out[2]), v.grad[2] ? t(v.grad[2]) : Tensor());
  Tensor scale = unsqueeze(s, -2), difference;
  if (gu || gw) difference = gaps(square(s), eye);
  if (gu) add(inner, skew(matmul(t(u), gu)) / difference * scale);
  if (gw) add(inner, unsqueeze(s, -1) * (skew(matmul(t(w), gw)) / difference));
  Tensor g;
  if (inner) add(g, matmul(matmul(u, inner), t(w)));
  if (gu && u.dim(-2) > k) add(g, matmul((gu - matmul(u, matmul(t(u), gu))) / scale, t(w)));
  if (gw && w.dim(-2) > k) add(g, matmul(u, t((gw - matmul(w, matmul(t(w), gw))) / scale)));
  v.result[0] = g;
}

void eigh_gradient(const Vjp& v) {
  const Tensor &values = v.out[0], &vectors = v.out[1];
  Tensor eye = identity(values.dim(-1), values.dtype()), inner;
  if (v.grad[0]) inner = on_diagonal(v.grad[0], eye);
  if (v.grad[1]) add(inner, matmul(t(vectors), v.grad[1]) * (1.0 - eye) / gaps(values, eye));
  Tensor g = matmul(matmul(vectors, inner), t(vectors));
  v.result[0] = (g + t(g)) * 0.5;
}

void pinv_gradient(const Vjp& v) {
  const Tensor &a = v.in[0], &p = v.out[0];
  Tensor g = t(v.grad[0]), pt = t(p);
  Tensor left = matmul(g, matmul(p, pt)), right = matmul(matmul(pt, p), g);
  // -p^T g^T p^T + (1 - a p) g p p^T + p^T p g (1 - p a)
  v.result[0] = left - matmul(a, matmul(p, left)) + right - matmul(matmul(right, p), a) - matmul(matmul(pt, t(g)), pt);
}

}  // namespace miniten::linalg
