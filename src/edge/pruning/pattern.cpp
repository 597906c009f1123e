#include "edge/models.h"
#include "edge/pruning/choose.h"

namespace miniten::edge {

namespace {
bool is_bit(uint32_t bits, size_t i) { return i < 32 && (bits >> i & 1); }

}  // namespace

Seen seen(const Graph& g, int value) {
  for (const Node& n : g.nodes)
    for (size_t i = 0; i < n.in.size(); ++i) {
      if (!is_bit(n.op->traits.weights, i)) continue;
      std::vector<const Node*> moves;
      int id = n.in[i];
      for (int by = g.producer(id); id != value && by >= 0; by = g.producer(id)) {
        const Node& from = g.nodes[size_t(by)];
        bool converts = from.op->traits.converts == Conversion::to_floats;
        if (!converts && (!from.op->traits.movement || from.in.size() != 1)) break;
        if (!converts) moves.push_back(&from);
        id = from.in[0];
      }
      if (id != value) continue;
      Tensor t = Tensor::empty({DType::i64, g.values[size_t(value)].spec.shape});
      for (int64_t k = 0; k < t.numel(); ++k) t.view().as<int64_t>()[k] = k;
      for (auto move = moves.rbegin(); move != moves.rend(); ++move) {
        Tensor moved;
        Input in[]{t};
        apply(*(*move)->op, in, (*move)->attributes(), {&moved, 1});
        t = moved;
      }
      return {t, n.op->traits.channel_axis};
    }
  throw Error(ErrorKind::value, "prune_model", "a weight that a layer reads", g.values[size_t(value)].name);
}

std::vector<int64_t> blocks_of(const Graph& g, int value, int64_t rows, int64_t cols) {
  Seen s = seen(g, value);
  const Shape shape = s.places.shape();
  int outputs = s.channel_axis, inputs = outputs == 0 ? 1 : outputs - 1;
  if (outputs >= shape.rank || inputs >= shape.rank)
    throw Error(ErrorKind::unsupported, "prune_model", "weights of outputs and inputs for a pattern", g.values[size_t(value)].spec.text());
  int64_t across = (shape[inputs] + cols - 1) / cols, down = (shape[outputs] + rows - 1) / rows;
  std::vector<int64_t> places = s.places.clone().to_vector<int64_t>(), block(places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    int64_t left = int64_t(i), tap = 0, scale = 1, row = 0, col = 0;
    for (int a = shape.rank - 1; a >= 0; --a) {
      int64_t at = left % shape[a];
      left /= shape[a];
      if (a == outputs) row = at;
      else if (a == inputs) col = at;
      else { tap += at * scale; scale *= shape[a]; }
    }
    block[size_t(places[i])] = (tap * down + row / rows) * across + col / cols;
  }
  return block;
}

}  // namespace miniten::edge
