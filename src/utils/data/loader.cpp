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
    : dataset_(std::move(dataset)), batches_(sampler_of(dataset_, o), o.batch_size, o.drop_last), seed_(o.seed ? *o.seed : 0), workers_(o.workers) {
  if (o.workers < 0) throw Error(ErrorKind::value, "DataLoader", "workers of 0 or more", std::to_string(o.workers));
  if (!o.seed && dataset_->draws()) seed_ = draw_seed();
}

DataLoader::Iterator DataLoader::begin() {
  Iterator it;
  it.loader_ = this;
  it.epoch_ = epoch_++;
  it.order_ = std::make_shared<const Indices>(batches_.sampler().indices(it.epoch_));
  int64_t whole = int64_t(it.order_->size()) / batches_.batch_size(), rest = int64_t(it.order_->size()) % batches_.batch_size();
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
Sample DataLoader::Iterator::load(int64_t batch) const {
  int64_t size = loader_->batches_.batch_size(), begin = batch * size;
  int64_t count = std::min(size, int64_t(order_->size()) - begin);
  return keyed_batch(*loader_->dataset_, std::span(*order_).subspan(size_t(begin), size_t(count)), loader_->seed_, epoch_);
}
void DataLoader::Iterator::fetch() {
  if (at_ >= end_) return;
  if (loader_->workers_ == 0) {
    batch_ = load(at_);
    return;
  }
  for (; asked_ < end_ && asked_ < at_ + loader_->workers_; ++asked_)
    ahead_.push_back(std::async(std::launch::async, [loader = loader_, order = order_, epoch = epoch_, batch = asked_] {
      Iterator it;
      it.loader_ = loader;
      it.order_ = order;
      it.epoch_ = epoch;
      return it.load(batch);
    }));
  std::future<Sample> next = std::move(ahead_.front());
  ahead_.pop_front();
  batch_ = next.get();
}

}  // namespace miniten::utils::data
