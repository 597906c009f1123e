#include "interchange/tflite/sparse.h"
#include "interchange/tflite/model.h"

namespace miniten::tflite_model {

namespace {

namespace S = tflite_schema;

std::vector<int64_t> index_vector(const S::Table& d, int type, int field) {
  std::vector<int64_t> v;
  auto kind = d.number<uint8_t>(type);
  if (kind < S::int32_vector || kind > S::uint8_vector) return v;         // of another kind: not verified
  const S::Table* t = d.table(field);
  if (!t) return v;
  switch (kind) {
    case S::int32_vector: for (int32_t i : t->numbers<int32_t>(0)) v.push_back(i); break;
    case S::uint16_vector: for (uint16_t i : t->numbers<uint16_t>(0)) v.push_back(i); break;
    case S::uint8_vector: for (uint8_t i : t->numbers<uint8_t>(0)) v.push_back(i); break;
    default: break;
  }
  return v;
}

struct Level { bool dense; int64_t size; std::vector<int64_t> segments, indices; };

struct Filling {
  const std::vector<Level>& levels;
  std::span<const int> order;                  // traversal order: axes, then rank + k for block k
  std::span<const int> block_of;               // axis that block k cuts
  std::span<const int64_t> block_size;
  const Spec& spec;
  std::span<const std::byte> values;
  std::byte* to;
  size_t size, used = 0;
  std::vector<int64_t> at;                     // index in each level
  [[noreturn]] static void damaged() { refuse("a sparse tensor whose indices lie inside it", "others", "the file is damaged"); }

  void put() {
    int rank = spec.shape.rank;
    std::vector<int64_t> index(size_t(rank), 0);
    for (size_t l = 0; l < levels.size(); ++l)
      if (order[l] < rank) index[size_t(order[l])] = at[l];
    for (size_t k = 0; k < block_of.size(); ++k) index[size_t(block_of[k])] *= block_size[k];
    for (size_t l = 0; l < levels.size(); ++l)
      if (order[l] >= rank) index[size_t(block_of[size_t(order[l] - rank)])] += at[l];
    int64_t flat = 0;
    for (int i = 0; i < rank; ++i) {
      if (index[size_t(i)] < 0 || index[size_t(i)] >= spec.shape[i]) damaged();
      flat = flat * spec.shape[i] + index[size_t(i)];
    }
    if ((used + 1) * size > values.size()) damaged();
    std::memcpy(to + size_t(flat) * size, values.data() + used++ * size, size);
  }
  void walk(size_t level, int64_t position) {
    if (level == levels.size()) return put();
    const Level& l = levels[level];
    if (l.dense) {
      for (int64_t i = 0; i < l.size; ++i) { at[level] = i; walk(level + 1, position * l.size + i); }
      return;
    }
    if (position < 0 || position + 1 >= int64_t(l.segments.size())) damaged();
    int64_t begin = l.segments[size_t(position)], end = l.segments[size_t(position) + 1];
    if (begin < 0 || end < begin || end > int64_t(l.indices.size())) damaged();
    for (int64_t i = begin; i < end; ++i) { at[level] = l.indices[size_t(i)]; walk(level + 1, i); }
  }
};

}  // namespace

Tensor dense_of(const S::Table& sparsity, std::span<const std::byte> values, const Spec& spec, const std::string& name) {
  auto order = sparsity.numbers<int32_t>(S::traversal_order), blocks = sparsity.numbers<int32_t>(S::block_map);
  size_t rank = size_t(spec.shape.rank), count = sparsity.tables(S::dim_metadata);
  if (order.size() != rank + blocks.size() || count != order.size() || blocks.size() > rank || bits_of(spec.dtype) < 8)
    refuse("an order of all axes and blocks of the sparse tensor \"" + name + "\"", std::to_string(order.size()) + " for " + spec.text());
  std::vector<int> seen(order.size(), 0), axes(order.begin(), order.end()), of(blocks.begin(), blocks.end());
  for (int a : axes) if (a < 0 || a >= int(order.size()) || seen[size_t(a)]++) refuse("an order of all axes of \"" + name + "\"", "axis " + std::to_string(a));
  for (int b : of) if (b < 0 || b >= int(rank)) refuse("blocks of the axes of \"" + name + "\"", std::to_string(b));
  std::vector<Level> levels;
  std::vector<int64_t> block_size(of.size(), 1);
  for (size_t i = 0; i < count; ++i) {
    const S::Table& d = sparsity.table(S::dim_metadata, i);
    Level l{d.number<uint8_t>(S::format) == S::dense, d.number<int32_t>(S::dense_size), {}, {}};
    if (!l.dense) {
      l.segments = index_vector(d, S::array_segments_type, S::array_segments);
      l.indices = index_vector(d, S::array_indices_type, S::array_indices);
    }
    int64_t limit = axes[i] < int(rank) ? spec.shape[axes[i]] : int64_t{1} << 20;
    if (l.dense && (l.size < 1 || l.size > limit)) refuse("sizes inside " + spec.text() + " for \"" + name + "\"", std::to_string(l.size));
    if (axes[i] >= int(rank)) block_size[size_t(axes[i]) - rank] = l.size;
    levels.push_back(std::move(l));
  }
  int64_t steps = 1;                             // a walk ends where the values do, but empty ones may lie on the way
  for (const Level& l : levels) if (l.dense && (steps *= l.size) > (int64_t{1} << 28)) refuse("blocks inside " + spec.text() + " for \"" + name + "\"", "larger ones");
  Tensor dense = Tensor::zeros(spec.shape, spec.dtype);
  Filling f{levels, axes, of, block_size, spec, values, dense.view().data, size_t(bytes_of(spec.dtype, 1)), 0, std::vector<int64_t>(count, 0)};
  f.walk(0, 0);
  if (f.used * f.size != values.size()) refuse("a value for each index of \"" + name + "\"", std::to_string(values.size()) + " bytes");
  return dense;
}

}  // namespace miniten::tflite_model
