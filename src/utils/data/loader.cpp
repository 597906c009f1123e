#include <algorithm>
#include "miniten/utils/data.h"

namespace miniten::utils::data {

namespace {
SamplerRef sampler_of(const DatasetRef& dataset, const LoaderOptions& o) {
  if (!dataset || dataset->size() == 0) throw Error(ErrorKind::value, "DataLoader", "a dataset with samples", dataset ? "an empty one" : "none");
  if (o.sampler && o.shuffle)
    throw Error(ErrorKind::value, "DataLoader", "shuffle or a sampler", "both", "leave shuffle out: the sampler decides the order");
  if (o.sampler) return o.sampler;
  if (!o.shuffle) return std::make_shared<SequentialSampler>(dataset->size());
  return std::make_shared<RandomSampler>(dataset->size(), RandomSampler::Options{.seed = o.seed});
}
}  // namespace

DataLoader::DataLoader(DatasetRef dataset, const LoaderOptions& o)
    : dataset_(std::move(dataset)), batches_(sampler_of(dataset_, o), o.batch_size, o.drop_last) {}

DataLoader::Iterator DataLoader::begin() {
  Iterator it;
  it.loader_ = this;
  it.order_ = batches_.sampler().indices(epoch_++);
  int64_t whole = int64_t(it.order_.size()) / batches_.batch_size(), rest = int64_t(it.order_.size()) % batches_.batch_size();
  it.end_ = std::min(batches_.size(), whole + (rest != 0));
  it.fetch();
  return it;
}

DataLoader::Iterator& DataLoader::Iterator::operator++() {
  ++at_;
  batch_.clear();
  fetch();
  return *this;
}
void DataLoader::Iterator::fetch() {
  if (at_ >= end_) return;
  int64_t size = loader_->batches_.batch_size(), begin = at_ * size;
  int64_t count = std::min(size, int64_t(order_.size()) - begin);
  batch_ = loader_->dataset_->batch(std::span(order_).subspan(size_t(begin), size_t(count)));
}

}  // namespace miniten::utils::data
