#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>
#include "miniten/utils/datasets.h"
#include "python/bind.h"

namespace miniten::python {

namespace {
using namespace nb::literals;
namespace data = utils::data;
namespace vision = utils::vision;
using Ref = std::shared_ptr<data::Dataset>;

Tensor tensor_of(const data::Indices& list) { return Tensor::of<int64_t>({int64_t(list.size())}, list); }
std::span<const int64_t> indices_of(const Tensor& t) {
  if (t.dtype() != DType::i64 || t.rank() != 1 || !t.view().is_contiguous()) throw Error(ErrorKind::type, "data", "a dense int64 tensor of indices", t.spec().text());
  return {t.view().i64(), size_t(t.numel())};
}
}  // namespace

// The C++ twins of Python's datasets, where no sample passes through Python: whole batches without the interpreter's lock.
void bind_datasets(nb::module_& m) {
  nb::class_<data::Dataset>(m, "_Dataset")
      .def("size", &data::Dataset::size)
      .def("draws", &data::Dataset::draws)
      .def("get", [](const data::Dataset& d, int64_t index) {
          nb::gil_scoped_release release;
          return d.get(index);
        }, "index"_a)
      .def("batch", [](const data::Dataset& d, const Tensor& indices, uint64_t seed, uint64_t epoch) {
          nb::gil_scoped_release release;
          return data::keyed_batch(d, indices_of(indices), seed, epoch);
        }, "indices"_a, "seed"_a, "epoch"_a);
  m.def("_data_arrays", [](std::vector<Tensor> arrays) { return Ref(std::make_shared<data::ArrayDataset>(std::move(arrays))); }, "arrays"_a);
  m.def("_data_subset", [](Ref d, const Tensor& indices) {
      auto i = indices_of(indices);
      return Ref(std::make_shared<data::Subset>(d, data::Indices(i.begin(), i.end())));
    }, "dataset"_a, "indices"_a);
  m.def("_data_concat", [](std::vector<Ref> parts) { return Ref(std::make_shared<data::ConcatDataset>(std::vector<data::DatasetRef>(parts.begin(), parts.end()))); }, "parts"_a);
  m.def("_data_transformed", [](Ref d, vision::TransformRef t) { return Ref(std::make_shared<data::TransformDataset>(d, t)); }, "dataset"_a, "transform"_a);
  nb::class_<data::ImageFolder, data::Dataset>(m, "_ImageFolder")
      .def("__init__", [](data::ImageFolder* f, nb::handle root, std::optional<vision::TransformRef> transform, const std::string& mode, bool exif, int64_t max_pixels) {
          new (f) data::ImageFolder(path_of(root), transform ? *transform : nullptr, {vision::parse_color_mode("ImageFolder", mode), exif, max_pixels});
        }, "root"_a, "transform"_a.none(), "mode"_a, "exif_orientation"_a, "max_pixels"_a)
      .def_prop_ro("classes", [](const data::ImageFolder& f) { return f.classes(); })
      .def_prop_ro("paths", [](const data::ImageFolder& f) { return f.paths(); })
      .def_prop_ro("labels", [](const data::ImageFolder& f) { return f.labels(); });
  m.def("_data_csv", [](nb::handle path, const std::string& delimiter, std::optional<bool> header) {
      if (delimiter.size() != 1) throw Error(ErrorKind::value, "CSVDataset", "a delimiter of one character", "'" + delimiter + "'");
      std::string from = path_of(path);
      data::CsvTable t;
      {
        nb::gil_scoped_release release;
        t = data::read_csv(from, delimiter[0], !header ? data::CsvHeader::infer : *header ? data::CsvHeader::yes : data::CsvHeader::no);
      }
      return nb::make_tuple(nb::cast(t.names), Tensor::of<double>({t.rows, t.columns}, t.values), nb::cast(t.text));
    }, "path"_a, "delimiter"_a, "header"_a.none());
  m.def("_data_map_npy", [](nb::handle path, uint64_t offset) { return data::map_npy(path_of(path), offset); }, "path"_a, "offset"_a);
  m.def("_data_map_raw", [](nb::handle path, DTypeLike dtype, nb::handle shape, uint64_t offset) {
      return data::map_raw(path_of(path), dtype_of("MemmapDataset", dtype.object), shape_of("MemmapDataset", shape), offset);
    }, "path"_a, "dtype"_a, "shape"_a, "offset"_a);
  m.def("_data_groups", [](const std::vector<int64_t>& groups, double test_size, int64_t test_count, bool shuffle, std::optional<uint64_t> seed) {
      auto [train, test] = data::split_groups(groups, {test_size, test_count, shuffle, seed, {}});
      return std::pair(tensor_of(train), tensor_of(test));
    }, "groups"_a, "test_size"_a, "test_count"_a, "shuffle"_a, "seed"_a.none());
  m.def("_data_random_split", [](int64_t size, std::vector<int64_t> lengths, const std::vector<double>& shares, uint64_t seed) {
      if (!shares.empty()) lengths = data::split_lengths(size, shares);
      std::vector<Tensor> out;
      for (auto& part : data::random_split_indices(size, lengths, seed)) out.push_back(tensor_of(part));
      return out;
    }, "size"_a, "lengths"_a, "shares"_a, "seed"_a);
  m.def("_data_kfold", [](int64_t size, int64_t n_splits, bool shuffle, uint64_t seed, const std::vector<int64_t>& stratify) {
      std::vector<std::pair<Tensor, Tensor>> out;
      for (auto& [train, test] : data::kfold_indices(size, {n_splits, shuffle, seed, stratify})) out.emplace_back(tensor_of(train), tensor_of(test));
      return out;
    }, "size"_a, "n_splits"_a, "shuffle"_a, "seed"_a, "stratify"_a);
  m.def("_data_stratified", [](const std::vector<int64_t>& labels, int64_t batch_size, uint64_t seed, uint64_t epoch) {
      return tensor_of(data::StratifiedSampler(labels, batch_size, seed).indices(epoch));
    }, "labels"_a, "batch_size"_a, "seed"_a, "epoch"_a);
}

}  // namespace miniten::python
