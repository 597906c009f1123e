#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>
#include "miniten/utils/data.h"
#include "python/bind.h"

namespace miniten::python {

namespace {

using namespace nb::literals;
namespace data = utils::data;

Tensor tensor_of(const data::Indices& list) { return Tensor::of<int64_t>({int64_t(list.size())}, list); }

std::span<const int64_t> indices_of(const Tensor& t) {
  if (t.dtype() != DType::i64 || t.rank() != 1 || !t.view().is_contiguous())
    throw Error(ErrorKind::type, "data", "a dense int64 tensor of indices", t.spec().text());
  return {t.view().i64(), size_t(t.numel())};
}

std::vector<Tensor> gather(const std::vector<Tensor>& arrays, const Tensor& indices) {
  nb::gil_scoped_release release;
  std::vector<Tensor> out;
  for (const Tensor& a : arrays) out.push_back(data::gather_rows(a, indices_of(indices)));
  return out;
}

}  // namespace

// miniten/utils/data.py builds the classes on these; samples of Python datasets never pass through C++.
void bind_data(nb::module_& m) {
  m.def("_data_gather", gather, "arrays"_a, "indices"_a);
  m.def("_data_seed", data::draw_seed);
  m.def("_data_random", [](int64_t size, bool replacement, int64_t count, uint64_t seed, uint64_t epoch) {
      return tensor_of(data::RandomSampler(size, {replacement, count, seed}).indices(epoch));
    }, "size"_a, "replacement"_a, "count"_a, "seed"_a, "epoch"_a);
  m.def("_data_weighted", [](const std::vector<double>& weights, int64_t count, bool replacement, uint64_t seed, uint64_t epoch) {
      return tensor_of(data::WeightedRandomSampler(weights, count, replacement, seed).indices(epoch));
    }, "weights"_a, "count"_a, "replacement"_a, "seed"_a, "epoch"_a);
  m.def("_data_split", [](int64_t size, double test_size, int64_t test_count, bool shuffle, std::optional<uint64_t> seed, const std::vector<int64_t>& labels) {
      auto [train, test] = data::split_indices(size, {test_size, test_count, shuffle, seed, labels});
      return std::pair(tensor_of(train), tensor_of(test));
    }, "size"_a, "test_size"_a, "test_count"_a, "shuffle"_a, "seed"_a.none(), "labels"_a);
}

}  // namespace miniten::python
