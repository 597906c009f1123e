#include "miniten/core/foreign_tflite.h"

namespace miniten {

bool refine(TfliteValue& v, const Shape& shape) {
  Shape pieces;
  std::vector<std::vector<int>> parts(size_t(v.pieces.rank));      // of each old piece: new ones
  int64_t left = 1;                                                // of the axis being filled
  int axis = 0;
  auto next_axis = [&] { while (left == 1 && axis < shape.rank) left = shape[axis++]; };
  if (v.pieces.count() == 0) return false;
  next_axis();
  for (int i = 0; i < v.pieces.rank; ++i) {
    int64_t rest = v.pieces[i];
    do {
      int64_t size = rest;
      if (rest > left) size = left;
      if (size == 0 || rest % size || left % size || pieces.rank == Dims::capacity) return false;
      parts[size_t(i)].push_back(pieces.rank);
      pieces.push(size);
      rest /= size;
      left /= size;
      next_axis();
    } while (rest > 1);
  }
  Axes order;
  for (Dim p : v.order) for (int k : parts[size_t(p)]) order.push(k);
  v.pieces = pieces;
  v.order = order;
  return true;
}

static std::vector<std::vector<int>> runs(const TfliteValue& v, const Shape& shape) {       // pieces of each axis, of a refined value
  std::vector<std::vector<int>> of(size_t(shape.rank));
  int at = 0;
  for (int k = 0; k < shape.rank; ++k)
    for (int64_t n = 1; n < shape[k] && at < v.pieces.rank; ++at) {
      if (v.pieces[at] != 1) of[size_t(k)].push_back(at);
      n *= v.pieces[at];
    }
  return of;
}
bool is_stored(const TfliteValue& given, const Shape& shape, const Axes& order) {
  TfliteValue v = given;
  if (!refine(v, shape)) return false;
  auto of = runs(v, shape);
  std::vector<int> wanted, is;
  for (Dim k : order) wanted.insert(wanted.end(), of[size_t(k)].begin(), of[size_t(k)].end());
  for (Dim p : v.order) if (v.pieces[int(p)] != 1) is.push_back(int(p));
  return wanted == is;
}
std::optional<Axes> stored_axes(const TfliteValue& given, const Shape& shape) {
  Axes plain = Dims::iota(shape.rank), last = plain;
  if (is_stored(given, shape, plain)) return plain;
  for (int i = 1; i < shape.rank; ++i) last[i] = i + 1 < shape.rank ? i + 1 : 1;
  if (is_stored(given, shape, last)) return last;
  TfliteValue v = given;
  if (!refine(v, shape)) return {};
  auto of = runs(v, shape);
  Axes order;
  for (int k = 0; k < shape.rank && of[size_t(k)].empty(); ++k) order.push(k);
  for (Dim p : v.order)
    for (int k = 0; k < shape.rank; ++k) {
      if (of[size_t(k)].empty() || of[size_t(k)][0] != p) continue;
      order.push(k);
      for (int u = k + 1; u < shape.rank && of[size_t(u)].empty(); ++u) order.push(u);
    }
  if (!is_stored(given, shape, order)) return {};
  return order;
}

void TfliteCall::refuse(std::string want, std::string got, std::string hint) const {
  throw Error(ErrorKind::unsupported, "export_tflite", std::move(want), std::move(got) + " in layer \"" + std::string(node.empty() ? call.op.name : node) + "\" (" + std::string(call.op.name) + ")", std::move(hint));
}

}  // namespace miniten
