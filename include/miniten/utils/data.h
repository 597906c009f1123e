#pragma once
#include <deque>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>
#include "miniten/base/random.h"
#include "miniten/core/tensor.h"

// Datasets, samplers, splits and the loader. Every random draw comes from Generator(seed, epoch); where no seed is
// given one is drawn, once, from default_generator(), so manual_seed fixes it.
namespace miniten::utils::data {

using Sample = std::vector<Tensor>;
using Indices = std::vector<int64_t>;
using Seed = std::optional<uint64_t>;

uint64_t draw_seed();                          // from default_generator()

// Samples by index. get and batch take indices in [-size(), size()) and throw ErrorKind::index beyond.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual Sample get(int64_t index) const = 0;
  // The samples stacked along a new first axis, in fresh memory. Samples must agree in number, shapes and dtypes.
  virtual Sample batch(std::span<const int64_t> indices) const;
  virtual bool draws() const { return false; } // do its samples depend on random draws?
};
using DatasetRef = std::shared_ptr<const Dataset>;

// Rows of arrays that have the same first size; one or more. Shares the arrays' memory; get gives views of it.
class ArrayDataset : public Dataset {
 public:
  explicit ArrayDataset(std::vector<Tensor> arrays);
  int64_t size() const override { return arrays_[0].dim(0); }
  Sample get(int64_t index) const override;
  Sample batch(std::span<const int64_t> indices) const override;
  const std::vector<Tensor>& arrays() const { return arrays_; }

 private:
  std::vector<Tensor> arrays_;
};

class Subset : public Dataset {
 public:
  Subset(DatasetRef dataset, Indices indices);  // each in [-dataset->size(), dataset->size())
  int64_t size() const override { return int64_t(indices_.size()); }
  Sample get(int64_t index) const override;
  Sample batch(std::span<const int64_t> indices) const override;
  bool draws() const override { return dataset_->draws(); }
  const Indices& indices() const { return indices_; }

 private:
  DatasetRef dataset_;
  Indices indices_;
};

class ConcatDataset : public Dataset {
 public:
  explicit ConcatDataset(std::vector<DatasetRef> datasets);          // one or more
  int64_t size() const override { return ends_.back(); }
  Sample get(int64_t index) const override;
  bool draws() const override;

 private:
  std::vector<DatasetRef> datasets_;
  Indices ends_;                               // where each dataset ends in the whole
};

// dataset.batch(indices), where each sample's draws come from (seed, epoch, its index) alone; an error names its sample.
Sample keyed_batch(const Dataset&, std::span<const int64_t> indices, uint64_t seed, uint64_t epoch);

// array[indices] along the first axis as a new row-major tensor, without history.
Tensor gather_rows(const Tensor& array, std::span<const int64_t> indices);

struct SplitOptions {
  double test_size = 0.2;                      // in (0, 1); the test side gets ceil(test_size * size) samples
  int64_t test_count = -1;                     // used instead where >= 0
  bool shuffle = true;                         // false: the test side is the end
  Seed seed;
  std::span<const int64_t> stratify;           // a label per sample, or none: every class keeps its share of the test side
                                               // by the largest remainder, ties to the class that comes first
};
// (train, test). Throws where a side would be empty.
std::pair<Indices, Indices> split_indices(int64_t size, const SplitOptions& = {});
std::pair<std::shared_ptr<Subset>, std::shared_ptr<Subset>> train_test_split(const DatasetRef&, const SplitOptions& = {});

// (train, test) by whole groups: test_size is the share of groups, rounded up, or test_count their number.
std::pair<Indices, Indices> split_groups(std::span<const int64_t> groups, const SplitOptions& = {});
// Parts of the given lengths, which sum to size and are 1 or more, in random order.
std::vector<Indices> random_split_indices(int64_t size, std::span<const int64_t> lengths, Seed = {});
// Lengths in proportion to shares that sum to 1: rounded down, what is left one each from the first on.
std::vector<int64_t> split_lengths(int64_t size, std::span<const double> shares);

struct FoldOptions {
  int64_t n_splits = 5;                        // 2 up to the number of samples
  bool shuffle = false;
  Seed seed;
  std::span<const int64_t> stratify;           // a label per sample, or none: every fold keeps the classes' shares
};
// (train, test) of each fold: every sample is tested once; folds differ by one sample at most, per class where stratified.
std::vector<std::pair<Indices, Indices>> kfold_indices(int64_t size, const FoldOptions& = {});

// Which samples an epoch visits, in which order: the same for the same epoch.
class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual int64_t size() const = 0;            // of an epoch
  virtual Indices indices(uint64_t epoch) const = 0;
};
using SamplerRef = std::shared_ptr<const Sampler>;

class SequentialSampler : public Sampler {
 public:
  explicit SequentialSampler(int64_t size);
  int64_t size() const override { return size_; }
  Indices indices(uint64_t epoch) const override;

 private:
  int64_t size_;
};

// Uniform draws of `count` from [0, size): with replacement, or a permutation (count above size: permutations in a row).
class RandomSampler : public Sampler {
 public:
  struct Options { bool replacement = false; int64_t count = -1; Seed seed; };      // count -1: size
  explicit RandomSampler(int64_t size, const Options&);
  explicit RandomSampler(int64_t size) : RandomSampler(size, Options()) {}
  int64_t size() const override { return count_; }
  Indices indices(uint64_t epoch) const override;

 private:
  int64_t size_, count_;
  bool replacement_;
  uint64_t seed_;
};

// The given indices in random order, anew each epoch.
class SubsetSampler : public Sampler {
 public:
  explicit SubsetSampler(Indices indices, Seed seed = {});
  int64_t size() const override { return int64_t(indices_.size()); }
  Indices indices(uint64_t epoch) const override;

 private:
  Indices indices_;
  uint64_t seed_;
};

// Draws of [0, weights.size()) with chances in proportion to weights (finite, >= 0, not all 0). Without replacement by
// exponential keys (Efraimidis and Spirakis 2006); then `count` weights must be above 0.
class WeightedRandomSampler : public Sampler {
 public:
  WeightedRandomSampler(std::vector<double> weights, int64_t count, bool replacement = true, Seed seed = {});
  int64_t size() const override { return count_; }
  Indices indices(uint64_t epoch) const override;

 private:
  std::vector<double> weights_;
  int64_t count_;
  bool replacement_;
  uint64_t seed_;
};

// Every sample once, so that each run of batch_size holds the classes in the shares of what is left: within one of exact.
class StratifiedSampler : public Sampler {
 public:
  StratifiedSampler(std::span<const int64_t> labels, int64_t batch_size, Seed seed = {});
  int64_t size() const override { return size_; }
  Indices indices(uint64_t epoch) const override;

 private:
  std::vector<Indices> classes_;
  int64_t size_, batch_size_;
  uint64_t seed_;
};

// A sampler's indices in runs of batch_size; the last one is shorter, or left out.
class BatchSampler {
 public:
  BatchSampler(SamplerRef sampler, int64_t batch_size, bool drop_last = false);
  int64_t size() const;                        // batches
  std::vector<Indices> batches(uint64_t epoch) const;
  const Sampler& sampler() const { return *sampler_; }
  int64_t batch_size() const { return batch_size_; }

 private:
  SamplerRef sampler_;
  int64_t batch_size_;
  bool drop_last_;
};

struct LoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;
  bool drop_last = false;
  Seed seed;
  SamplerRef sampler = nullptr;                // instead of shuffle
  int workers = 0;                             // batches prepared ahead, each on a thread of its own; the same for any number
};

// for (const Sample& batch : loader) {...} is one epoch; each begin() starts the next. Throws for an empty dataset.
class DataLoader {
 public:
  DataLoader(DatasetRef dataset, const LoaderOptions&);
  explicit DataLoader(DatasetRef dataset) : DataLoader(std::move(dataset), LoaderOptions()) {}
  int64_t size() const { return batches_.size(); }                   // batches in an epoch
  uint64_t epoch() const { return epoch_; }                          // what the next begin() runs
  void set_epoch(uint64_t epoch) { epoch_ = epoch; }

  class Iterator {                             // holds its epoch's order: several may run side by side
   public:
    const Sample& operator*() const { return batch_; }
    Iterator& operator++();                    // errors of a worker come out here
    bool operator==(std::default_sentinel_t) const { return at_ >= end_; }

   private:
    friend class DataLoader;
    void fetch();
    Sample load(int64_t batch) const;
    const DataLoader* loader_ = nullptr;
    std::shared_ptr<const Indices> order_;
    uint64_t epoch_ = 0;
    int64_t at_ = 0, end_ = 0, asked_ = 0;
    std::deque<std::future<Sample>> ahead_;
    Sample batch_;
  };
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }

 private:
  DatasetRef dataset_;
  BatchSampler batches_;
  uint64_t epoch_ = 0, seed_ = 0;
  int workers_ = 0;
};

// A .npy file (format versions 1 to 3) of little-endian numbers or bools, C or Fortran order -> a row-major tensor.
// Throws ErrorKind::io where the file cannot be read, ErrorKind::value for anything that is not such an array; sizes are
// checked against the file's before memory is taken. Objects, structures and big-endian numbers are refused.
Tensor load_npy(const std::string& path);
// The same array as a read-only view of the file from byte `offset` on (an uncompressed member of an .npz): nothing is read
// before it is used. Copies bools, and what the file does not align. The file must not shrink while the tensor lives.
Tensor map_npy(const std::string& path, uint64_t offset = 0);
// `shape` numbers of a dtype, little-endian and row-major, from byte `offset` of a file on, as map_npy.
Tensor map_raw(const std::string& path, DType, const Shape& shape, uint64_t offset = 0);

}  // namespace miniten::utils::data
