#include <algorithm>
#include "miniten/core/autograd.h"
#include "miniten/ops/ops.h"
#include "miniten/utils/data.h"
#include "miniten/utils/transforms.h"

namespace miniten::utils::data {

namespace {

int64_t checked_index(std::string_view op, int64_t index, int64_t size) {
  if (index < -size || index >= size)
    throw Error(ErrorKind::index, op, "an index in [-" + std::to_string(size) + ", " + std::to_string(size) + ")", std::to_string(index));
  return index < 0 ? index + size : index;
}

View row_of(const View& array, int64_t row) {
  View r = array;
  r.spec.shape = Shape(std::span<const Dim>(array.spec.shape.begin() + 1, array.spec.shape.end()));
  r.strides = Strides(std::span<const Dim>(array.strides.begin() + 1, array.strides.end()));
  r.data += row * array.strides[0] * int64_t(bytes_of(array.spec.dtype, 1));
  return r;
}

void check_rows(std::string_view op, const Tensor& array) {
  if (array.rank() == 0) throw Error(ErrorKind::value, op, "arrays with a first axis", "a number without axes");
  if (bits_of(array.dtype()) < 8)
    throw Error(ErrorKind::type, op, "a dtype of whole bytes", std::string(name_of(array.dtype())), "cast it to int8 or uint8");
}

}  // namespace

Tensor gather_rows(const Tensor& array, std::span<const int64_t> indices) {
  check_rows("gather_rows", array);
  View from = array.view();
  int64_t rows = from.shape()[0];
  Spec spec = from.spec;
  spec.shape[0] = int64_t(indices.size());
  for (int64_t i : indices) checked_index("gather_rows", i, rows);
  Tensor out = Tensor::empty(spec);
  View to = out.view();
  if (indices.empty() || out.numel() == 0) return out;
  View first = row_of(from, 0);
  auto bytes = first.spec.bytes();
  bool dense = first.is_contiguous();
  for (size_t k = 0; k < indices.size(); ++k) {
    View source = row_of(from, indices[k] < 0 ? indices[k] + rows : indices[k]);
    if (dense) std::memcpy(to.data + k * bytes, source.data, bytes);
    else copy_values(source, row_of(to, int64_t(k)));
  }
  return out;
}

namespace {
Sample stacked(const std::vector<Sample>& samples, std::span<const int64_t> indices) {
  Sample out;
  for (size_t i = 1; i < samples.size(); ++i)
    if (samples[i].size() != samples[0].size())
      throw Error(ErrorKind::value, "Dataset", std::to_string(samples[0].size()) + " tensors in each sample",
                  std::to_string(samples[i].size()) + " in sample " + std::to_string(indices[i]));
  for (size_t k = 0; k < samples[0].size(); ++k) {
    Spec spec = samples[0][k].spec();
    for (size_t s = 1; s < samples.size(); ++s)
      if (samples[s][k].spec() != spec)
        throw Error(ErrorKind::value, "Dataset", spec.text() + " as in sample " + std::to_string(indices[0]),
                    samples[s][k].spec().text() + " in sample " + std::to_string(indices[s]), "bring images to one size: Resize or a crop as transform");
    Spec all{spec.dtype, {int64_t(samples.size())}};
    for (Dim d : spec.shape) all.shape.push(d);
    Tensor batch = Tensor::empty(all);
    View to = batch.view();
    for (size_t s = 0; s < samples.size(); ++s) {
      View from = samples[s][k].view();
      if (from.is_contiguous() && bits_of(spec.dtype) >= 8) std::memcpy(to.data + s * spec.bytes(), from.data, spec.bytes());
      else if (spec.shape.count()) copy_values(from, row_of(to, int64_t(s)));
    }
    out.push_back(std::move(batch));
  }
  return out;
}
Sample got(const Dataset& d, int64_t index) {
  try {
    return d.get(index);
  } catch (const Error& e) {
    throw Error(e.kind(), e.op(), e.want(), e.got() + " in sample " + std::to_string(index), e.hint());
  }
}
}  // namespace

Sample Dataset::batch(std::span<const int64_t> indices) const {
  if (indices.empty()) throw Error(ErrorKind::value, "Dataset", "a batch of at least one index", "none");
  NoGrad guard;
  std::vector<Sample> samples;
  samples.reserve(indices.size());
  for (int64_t i : indices) samples.push_back(got(*this, i));
  return stacked(samples, indices);
}

Sample keyed_batch(const Dataset& dataset, std::span<const int64_t> indices, uint64_t seed, uint64_t epoch) {
  if (!dataset.draws() || indices.empty()) return dataset.batch(indices);
  NoGrad guard;
  std::vector<Sample> samples;
  samples.reserve(indices.size());
  for (int64_t i : indices) {
    vision::SampleKey key(seed, epoch, uint64_t(i));
    samples.push_back(got(dataset, i));
  }
  return stacked(samples, indices);
}

ArrayDataset::ArrayDataset(std::vector<Tensor> arrays) : arrays_(std::move(arrays)) {
  if (arrays_.empty()) throw Error(ErrorKind::value, "ArrayDataset", "one array or more", "none");
  for (const Tensor& a : arrays_) {
    check_rows("ArrayDataset", a);
    if (a.dim(0) != arrays_[0].dim(0))
      throw Error(ErrorKind::value, "ArrayDataset", "arrays of equal length", std::to_string(arrays_[0].dim(0)) + " and " + std::to_string(a.dim(0)));
  }
}

Sample ArrayDataset::get(int64_t index) const {
  int64_t row = checked_index("ArrayDataset", index, size());
  Sample out;
  for (const Tensor& a : arrays_) {
    View all = a.view(), v = row_of(all, row);
    out.push_back(Tensor::wrap(a->storage, v.spec, v.strides, a->offset + size_t(v.data - all.data)));
  }
  return out;
}

Sample ArrayDataset::batch(std::span<const int64_t> indices) const {
  Sample out;
  for (const Tensor& a : arrays_) out.push_back(gather_rows(a, indices));
  return out;
}

Subset::Subset(DatasetRef dataset, Indices indices) : dataset_(std::move(dataset)), indices_(std::move(indices)) {
  if (!dataset_) throw Error(ErrorKind::value, "Subset", "a dataset", "none");
  for (int64_t i : indices_) checked_index("Subset", i, dataset_->size());
}
Sample Subset::get(int64_t index) const { return dataset_->get(indices_[size_t(checked_index("Subset", index, size()))]); }
Sample Subset::batch(std::span<const int64_t> indices) const {
  Indices inner;
  inner.reserve(indices.size());
  for (int64_t i : indices) inner.push_back(indices_[size_t(checked_index("Subset", i, size()))]);
  return dataset_->batch(inner);
}

ConcatDataset::ConcatDataset(std::vector<DatasetRef> datasets) : datasets_(std::move(datasets)) {
  if (datasets_.empty()) throw Error(ErrorKind::value, "ConcatDataset", "one dataset or more", "none");
  int64_t end = 0;
  for (auto& d : datasets_) {
    if (!d) throw Error(ErrorKind::value, "ConcatDataset", "datasets", "a null one");
    ends_.push_back(end += d->size());
  }
}
Sample ConcatDataset::get(int64_t index) const {
  int64_t i = checked_index("ConcatDataset", index, size());
  size_t k = size_t(std::upper_bound(ends_.begin(), ends_.end(), i) - ends_.begin());
  return datasets_[k]->get(k ? i - ends_[k - 1] : i);
}
bool ConcatDataset::draws() const {
  return std::any_of(datasets_.begin(), datasets_.end(), [](auto& d) { return d->draws(); });
}

}  // namespace miniten::utils::data
