#include "miniten/utils/data.h"
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include "check.h"
#include "utils/data/share.h"

namespace miniten::utils::data {
namespace {

using check::error_of;
using ::testing::Test;

Tensor counting(const Shape& shape, DType dtype = DType::f32) {
  std::vector<float> v(static_cast<size_t>(shape.count()));
  std::iota(v.begin(), v.end(), 0.0f);
  return cast(Tensor::of<float>(shape, v), dtype);
}
std::shared_ptr<ArrayDataset> numbers(int64_t n) { return std::make_shared<ArrayDataset>(std::vector{counting({n, 2}), counting({n}, DType::i64)}); }
Indices sorted(Indices v) {
  std::sort(v.begin(), v.end());
  return v;
}
Indices range(int64_t n) {
  Indices v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), int64_t{0});
  return v;
}
Indices labels_of(const Sample& batch) { return batch[1].to_vector<int64_t>(); }
Indices visited(DataLoader& loader) {
  Indices out;
  for (const Sample& batch : loader)
    for (int64_t i : labels_of(batch)) out.push_back(i);
  return out;
}

TEST(ArrayDataset, GivesRowsAndBatches) {
  auto d = numbers(5);
  EXPECT_EQ(d->size(), 5);
  EXPECT_EQ(d->get(3)[0].to_vector<float>(), (std::vector<float>{6, 7}));
  EXPECT_EQ(d->get(-1)[1].item(), 4);
  Sample b = d->batch(Indices{4, 0, -2});
  EXPECT_EQ(b[0].to_vector<float>(), (std::vector<float>{8, 9, 0, 1, 6, 7}));
  EXPECT_EQ(labels_of(b), (Indices{4, 0, 3}));
  b[0].view().f32()[0] = 99;                                        // a batch has its own memory
  EXPECT_EQ(d->get(4)[0].to_vector<float>()[0], 8);
  EXPECT_NE(error_of([&] { d->get(5); }).find("expected an index in [-5, 5), got 5"), std::string::npos);
  EXPECT_THROW(d->batch(Indices{0, -6}), Error);
}

TEST(ArrayDataset, RefusesUnequalLengthsAndNumbers) {
  EXPECT_NE(error_of([] { ArrayDataset({counting({5}), counting({4})}); }).find("5 and 4"), std::string::npos);
  EXPECT_THROW(ArrayDataset({}), Error);
  EXPECT_THROW(ArrayDataset({Tensor::scalar(1)}), Error);
}

TEST(GatherRows, FollowsStrides) {
  Tensor x = counting({4, 3, 2});
  Tensor turned = permute(x, {2, 1, 0});                            // rows that are not dense
  EXPECT_EQ(check::difference(gather_rows(turned, Indices{1, 1, 0}), concat(std::vector{slice(turned, 0, 1, 2), slice(turned, 0, 1, 2), slice(turned, 0, 0, 1)})), 0);
  Tensor every_other = slice(x, 0, 0, 4, 2);                        // dense rows, apart
  EXPECT_EQ(gather_rows(every_other, Indices{1}).to_vector<float>(), (std::vector<float>{12, 13, 14, 15, 16, 17}));
  EXPECT_EQ(gather_rows(Tensor::zeros({3, 0}), Indices{2, 1}).shape(), (Shape{2, 0}));
  EXPECT_EQ(gather_rows(x, {}).shape(), (Shape{0, 3, 2}));
}

struct Squares : Dataset {
  int64_t size() const override { return 6; }
  Sample get(int64_t i) const override { return {Tensor::full({i == 5 ? 3 : 2}, double(i * i))}; }
};

TEST(Dataset, StacksSamplesOfAnyKind) {
  Squares d;
  Tensor b = d.batch(Indices{3, 1})[0];
  EXPECT_EQ(b.shape(), (Shape{2, 2}));
  EXPECT_EQ(b.to_vector<float>(), (std::vector<float>{9, 9, 1, 1}));
  EXPECT_NE(error_of([&] { d.batch(Indices{0, 5}); }).find("sample 5"), std::string::npos);
}

TEST(ConcatDataset, CountsFromBothEnds) {
  ConcatDataset d({numbers(3), numbers(0), numbers(2)});
  Indices got;
  for (int64_t i = -5; i < 5; ++i) got.push_back(int64_t(d.get(i)[1].item()));
  EXPECT_EQ(got, (Indices{0, 1, 2, 0, 1, 0, 1, 2, 0, 1}));
  EXPECT_THROW(d.get(5), Error);
  EXPECT_THROW(d.get(-6), Error);
  EXPECT_THROW(ConcatDataset({}), Error);
}

TEST(Split, IsAPartitionByCeil) {
  for (int64_t n : {2, 7, 10, 100, 1797}) {
    for (double size : {0.07, 0.2, 0.5, 0.9}) {
      if (std::ceil(size * double(n)) >= double(n)) continue;
      auto [train, test] = split_indices(n, {.test_size = size, .seed = 3});
      EXPECT_EQ(int64_t(test.size()), int64_t(std::ceil(size * double(n) - 1e-9 * double(n))));
      Indices all = train;
      all.insert(all.end(), test.begin(), test.end());
      EXPECT_EQ(sorted(all), range(n));
      EXPECT_EQ(split_indices(n, {.test_size = size, .seed = 3}).second, test);
    }
  }
  EXPECT_EQ(split_indices(100, {.test_size = 0.07}).second.size(), 7u);
  EXPECT_EQ(split_indices(5, {.test_count = 2, .shuffle = false}), (std::pair<Indices, Indices>{{0, 1, 2}, {3, 4}}));
  EXPECT_NE(split_indices(100, {.seed = 1}).second, split_indices(100, {.seed = 2}).second);
}

TEST(Split, RefusesAnEmptySide) {
  for (double size : {0.0, 1.0, -0.1, 1.5, std::nan("")}) EXPECT_THROW(split_indices(10, {.test_size = size}), Error) << size;
  EXPECT_NE(error_of([] { split_indices(10, {.test_size = 0.95}); }).find("at least one sample on each side"), std::string::npos);
  EXPECT_THROW(split_indices(10, {.test_count = 0}), Error);
  EXPECT_THROW(split_indices(10, {.test_count = 10}), Error);
  EXPECT_THROW(split_indices(1, {}), Error);
  EXPECT_THROW(split_indices(0, {}), Error);
}

TEST(Split, KeepsProportionsByLargestRemainder) {
  Indices labels;
  for (auto [label, n] : std::map<int64_t, int>{{-4, 50}, {7, 33}, {9, 14}, {20, 6}}) labels.insert(labels.end(), size_t(n), label);
  for (bool shuffled : {true, false}) {
    auto [train, test] = split_indices(103, {.test_count = 20, .shuffle = shuffled, .seed = 5, .stratify = labels});
    std::map<int64_t, int> count;
    for (int64_t i : test) ++count[labels[size_t(i)]];
    EXPECT_EQ(count, (std::map<int64_t, int>{{-4, 10}, {7, 6}, {9, 3}, {20, 1}}));   // shares 9.71, 6.41, 2.72, 1.17
    EXPECT_EQ(train.size(), 83u);
  }
  EXPECT_THROW(split_indices(10, {.stratify = labels}), Error);
  auto [train, test] = train_test_split(numbers(10), {.seed = 1});
  EXPECT_EQ(train->size(), 8);
  EXPECT_EQ(int64_t(test->get(1)[1].item()), test->indices()[1]);
}

TEST(Split, SharesAreExact) {
  for (auto [a, b, of] : {std::array<int64_t, 3>{0, 7, 10}, {10, 0, 10}, {10, 7, 10}, {3, 7, 10}, {999999937, 123456789, 999999999}}) {
    Share s = share(a, b, of);
    EXPECT_EQ(s.whole, a * b / of);
    EXPECT_EQ(s.rest, a * b % of);
  }
  const int64_t large = (int64_t{1} << 60) - 1;                       // (large - 1)^2 = large * (large - 2) + 1
  Share s = share(large - 1, large - 1, large);
  EXPECT_EQ(s.whole, large - 2);
  EXPECT_EQ(s.rest, 1);
}

TEST(Samplers, DrawByTheirOwnSeedAndEpoch) {
  Generator before = default_generator();
  RandomSampler s(50, {.seed = 9});
  EXPECT_EQ(sorted(s.indices(0)), range(50));
  EXPECT_EQ(s.indices(4), RandomSampler(50, {.seed = 9}).indices(4));
  EXPECT_NE(s.indices(0), s.indices(1));
  EXPECT_NE(s.indices(0), RandomSampler(50, {.seed = 10}).indices(0));
  EXPECT_EQ(sorted(SubsetSampler({5, 1, 1}, 2).indices(3)), (Indices{1, 1, 5}));
  EXPECT_EQ(SequentialSampler(3).indices(8), range(3));
  EXPECT_EQ(default_generator().position(), before.position());
  manual_seed(4);
  Indices first = RandomSampler(50).indices(0);
  EXPECT_NE(default_generator().position(), 0u);
  manual_seed(4);
  EXPECT_EQ(RandomSampler(50).indices(0), first);
}

TEST(Samplers, RandomMayTakeFewerOrMore) {
  Indices few = RandomSampler(10, {.count = 4, .seed = 1}).indices(0), many = RandomSampler(10, {.count = 25, .seed = 1}).indices(0);
  EXPECT_EQ(std::set(few.begin(), few.end()).size(), 4u);
  EXPECT_EQ(sorted(Indices(many.begin() + 10, many.begin() + 20)), range(10));
  EXPECT_EQ(many.size(), 25u);
  std::vector<int> seen(10);
  for (int64_t i : RandomSampler(10, {.replacement = true, .count = 20000, .seed = 1}).indices(0)) ++seen[size_t(i)];
  for (int n : seen) EXPECT_NEAR(n, 2000, 250);                     // six standard deviations
  EXPECT_THROW(RandomSampler(0), Error);
  EXPECT_THROW(RandomSampler(5, {.count = 0}), Error);
}

TEST(Samplers, WeightsAreChances) {
  std::vector<double> weights{1, 0, 3, 4};
  std::vector<int> seen(4), first(4);
  for (int64_t i : WeightedRandomSampler(weights, 16000, true, 1).indices(0)) ++seen[size_t(i)];
  EXPECT_NEAR(seen[0], 2000, 260);
  EXPECT_EQ(seen[1], 0);
  EXPECT_NEAR(seen[2], 6000, 380);
  WeightedRandomSampler without(weights, 3, false, 1);
  for (uint64_t epoch = 0; epoch < 4000; ++epoch) {
    Indices drawn = without.indices(epoch);
    EXPECT_EQ(sorted(drawn), (Indices{0, 2, 3}));
    ++first[size_t(drawn[0])];
  }
  EXPECT_NEAR(first[0], 500, 130);
  EXPECT_NEAR(first[3], 2000, 190);
  EXPECT_THROW(WeightedRandomSampler(weights, 4, false), Error);
  EXPECT_THROW(WeightedRandomSampler({0, 0}, 1), Error);
  EXPECT_THROW(WeightedRandomSampler({1, -1}, 1), Error);
  EXPECT_THROW(WeightedRandomSampler({1, std::nan("")}, 1), Error);
}

TEST(BatchSampler, CutsAndDrops) {
  auto s = std::make_shared<SequentialSampler>(7);
  EXPECT_EQ(BatchSampler(s, 3).batches(0), (std::vector<Indices>{{0, 1, 2}, {3, 4, 5}, {6}}));
  EXPECT_EQ(BatchSampler(s, 3, true).batches(0), (std::vector<Indices>{{0, 1, 2}, {3, 4, 5}}));
  EXPECT_EQ(BatchSampler(s, 8, true).size(), 0);
  EXPECT_EQ(BatchSampler(s, 7).size(), 1);
  EXPECT_THROW(BatchSampler(s, 0), Error);
}

TEST(DataLoader, VisitsEverySampleOnceAnEpoch) {
  DataLoader loader(numbers(23), {.batch_size = 5, .shuffle = true, .seed = 7}), same(numbers(23), {.batch_size = 5, .shuffle = true, .seed = 7});
  Indices a = visited(loader), b = visited(loader);
  EXPECT_EQ(loader.size(), 5);
  EXPECT_EQ(sorted(a), range(23));
  EXPECT_EQ(sorted(b), range(23));
  EXPECT_NE(a, b);
  same.set_epoch(1);
  EXPECT_EQ(visited(same), b);
  for (const Sample& batch : same)
    for (size_t i = 0; i < labels_of(batch).size(); ++i) EXPECT_EQ(batch[0].to_vector<float>()[2 * i], 2 * float(labels_of(batch)[i]));
}

TEST(DataLoader, DropsTheLastAndTakesSamplersAndSubsets) {
  DataLoader dropped(numbers(23), {.batch_size = 5, .drop_last = true});
  EXPECT_EQ(visited(dropped), range(20));
  EXPECT_EQ(dropped.size(), 4);
  auto even = std::make_shared<Subset>(numbers(10), Indices{8, 6, -6});
  DataLoader subset(even, {.batch_size = 2});
  EXPECT_EQ(visited(subset), (Indices{8, 6, 4}));
  auto sampler = std::make_shared<SubsetSampler>(Indices{3, 4}, 1);
  DataLoader sampled(numbers(10), {.sampler = sampler});
  EXPECT_EQ(sorted(visited(sampled)), (Indices{3, 4}));
  EXPECT_THROW(DataLoader(numbers(10), {.shuffle = true, .sampler = sampler}), Error);
  EXPECT_THROW(DataLoader(numbers(0)), Error);
  EXPECT_THROW(DataLoader(numbers(3), {.batch_size = 0}), Error);
  EXPECT_THROW(Subset(numbers(3), {3}), Error);
}

class Npy : public Test {
 protected:
  std::string path = (std::filesystem::temp_directory_path() / ("miniten_npy_" + std::to_string(reinterpret_cast<uintptr_t>(this)) + ".npy")).string();
  void TearDown() override { std::filesystem::remove(path); }
  Tensor load(const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return load_npy(path);
  }
  static std::string file(std::string header, const std::string& data, int version = 1) {
    std::string out = "\x93NUMPY";
    out += char(version);
    out += '\0';
    for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += char(header.size() >> (8 * i));
    return out + header + data;
  }
  static std::string header(std::string descr, std::string shape, std::string fortran = "False") {
    return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }   \n";
  }
  static std::string bytes(std::initializer_list<int16_t> v) { return {reinterpret_cast<const char*>(v.begin()), v.size() * 2}; }
};

TEST_F(Npy, ReadsTheDigits) {
  Tensor images = load_npy(std::string(MINITEN_SOURCE_DIR) + "/examples/data/digits_images.npy"), labels = load_npy(std::string(MINITEN_SOURCE_DIR) + "/examples/data/digits_labels.npy");
  EXPECT_EQ(images.spec().text(), "uint8(1797, 8, 8)");
  EXPECT_EQ(labels.spec().text(), "uint8(1797,)");
  auto pixels = images.to_vector<uint8_t>(), digits = labels.to_vector<uint8_t>();
  EXPECT_EQ(*std::max_element(pixels.begin(), pixels.end()), 16);
  EXPECT_EQ(std::accumulate(pixels.begin(), pixels.end(), 0), 561718);
  EXPECT_EQ(std::count(digits.begin(), digits.end(), 3), 183);
}

TEST_F(Npy, ReadsBothOrdersAndAllVersions) {
  for (int version : {1, 2, 3})
    EXPECT_EQ(load(file(header("<i2", "(2, 3)"), bytes({1, 2, 3, 4, 5, 6}), version)).to_vector<int16_t>(), (std::vector<int16_t>{1, 2, 3, 4, 5, 6}));
  Tensor f = load(file(header("<i2", "(2, 3)", "True"), bytes({1, 4, 2, 5, 3, 6})));
  EXPECT_EQ(f.to_vector<int16_t>(), (std::vector<int16_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(f.view().is_contiguous());
  EXPECT_EQ(load(file(header("<f2", "()"), bytes({0x3c00}))).item(), 1);
  EXPECT_EQ(load(file(header("<i2", "(0, 3)"), "")).shape(), (Shape{0, 3}));
  EXPECT_EQ(std::memcmp(load(file(header("|b1", "(3,)"), std::string("\0\1\7", 3))).view().data, "\0\1\1", 3), 0);
  EXPECT_EQ(load(file("{\"shape\":(1,),\"descr\":\"<i2\",\"fortran_order\":False}", bytes({-9}))).item(), -9);
}

TEST_F(Npy, RefusesWhatIsNoArrayOfNumbers) {
  std::string good = file(header("<i2", "(2,)"), bytes({1, 2}));
  EXPECT_THROW(load_npy("/nowhere/at/all.npy"), Error);
  for (size_t n = 0; n < good.size(); ++n) EXPECT_THROW(load(good.substr(0, n)), Error) << n;
  EXPECT_THROW(load(good + "x"), Error);
  for (const char* shape : {"(9223372036854775807, 2)", "(4294967296, 4294967296)", "(99999999999999999999,)", "(-1,)", "(2", "2", "(2 2)", "(a,)", "(1,1,1,1,1,1,1,1,2)", ""})
    EXPECT_THROW(load(file(header("<i2", shape), bytes({1, 2}))), Error) << shape;
  EXPECT_NE(error_of([&] { load(file(header(">i2", "(2,)"), bytes({1, 2}))); }).find("big-endian '>i2'"), std::string::npos);
  for (const char* descr : {"|O", "<U4", "<c8", "<i3", "", "|i2", "<M8[ns]"}) EXPECT_THROW(load(file(header(descr, "(2,)"), bytes({1, 2}))), Error) << descr;
  EXPECT_THROW(load(file("{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (2,)}", bytes({1, 2}))), Error);
  EXPECT_THROW(load(file("{'descr': '<i2', 'shape': (2,)}", bytes({1, 2}))), Error);
  EXPECT_THROW(load(file("{'descr': '<i2', 'fortran_order': None, 'shape': (2,)}", bytes({1, 2}))), Error);
  EXPECT_THROW(load(file("{'descr': '<i2', 'fortran_order': False, 'shape': (2,), 'other': 1}", bytes({1, 2}))), Error);
}

TEST_F(Npy, SurvivesEveryChangedByte) {
  std::string good = file(header("<i2", "(2, 1)"), bytes({1, 2}));
  for (size_t i = 0; i < good.size() - 4; ++i) {
    for (int delta : {1, 31, 128, 255}) {
      std::string bad = good;
      bad[i] = char(bad[i] + delta);
      try {
        EXPECT_LE(load(bad).spec().bytes(), 4u);
      } catch (const Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace miniten::utils::data
