#include "miniten/utils/datasets.h"
#include <gmock/gmock.h>
#include <filesystem>
#include <fstream>
#include <thread>
#include "check.h"

namespace miniten {
namespace {

using namespace utils;
using namespace utils::data;
using check::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

struct Folder {                                // a folder of the test's own, removed with it
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("miniten_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
    return (path / name).string();
  }
};

Tensor pictures(int64_t n) {
  Generator g(1);
  Tensor t = Tensor::empty({DType::u8, {n, 12, 10, 3}});
  for (int64_t i = 0; i < t.numel(); ++i) t.view().as<uint8_t>()[i] = uint8_t(g.next());
  return t;
}
vision::TransformRef augment() {
  return std::make_shared<vision::Compose>(std::vector<vision::TransformRef>{std::make_shared<vision::RandomCrop>(8, 8), std::make_shared<vision::RandomHorizontalFlip>(),
                                                                              std::make_shared<vision::ColorJitter>(vision::Range{0.5, 1.5}), std::make_shared<vision::ToTensor>()});
}
std::vector<float> epoch_of(DataLoader& loader) {
  std::vector<float> out;
  for (const data::Sample& batch : loader) {
    std::vector<float> x = batch[0].to_vector<float>();
    out.insert(out.end(), x.begin(), x.end());
  }
  return out;
}

TEST(TransformDataset, DrawsAreTheSameForAnyNumberOfWorkers) {
  auto dataset = std::make_shared<TransformDataset>(std::make_shared<ArrayDataset>(std::vector{pictures(23)}), augment());
  DataLoader alone(dataset, {.batch_size = 4, .shuffle = true, .seed = 5});
  std::vector<float> first = epoch_of(alone), second = epoch_of(alone);
  EXPECT_NE(first, second);
  for (int workers : {1, 2, 5}) {
    DataLoader loader(dataset, {.batch_size = 4, .shuffle = true, .seed = 5, .workers = workers});
    EXPECT_EQ(epoch_of(loader), first);
    EXPECT_EQ(epoch_of(loader), second);
  }
}

TEST(TransformDataset, ErrorsOfWorkersComeOutWithTheSample) {
  auto dataset = std::make_shared<TransformDataset>(std::make_shared<ArrayDataset>(std::vector{pictures(9)}), std::make_shared<vision::CenterCrop>(50, 50));
  DataLoader loader(dataset, {.batch_size = 4, .workers = 2});
  EXPECT_THAT(error_of([&] { epoch_of(loader); }), HasSubstr("in sample 0"));
  EXPECT_THAT(error_of([&] { DataLoader(dataset, {.workers = -1}); }), HasSubstr("workers of 0 or more"));
}

TEST(Transforms, RecordAndReplay) {
  auto t = augment();
  t->manual_seed(3);
  Tensor image = vision::crop(ArrayDataset({pictures(1)}).get(0)[0], 0, 0, 12, 10);
  Tensor out = (*t)(image);
  vision::Params drawn = t->params();
  EXPECT_EQ(t->replay(image, drawn).to_vector<float>(), out.to_vector<float>());
  EXPECT_NE((*t)(image).to_vector<float>(), out.to_vector<float>());
  t->manual_seed(3);
  EXPECT_EQ((*t)(image).to_vector<float>(), out.to_vector<float>());
  EXPECT_THAT(t->text(), HasSubstr("RandomCrop((8, 8))"));
  EXPECT_THAT(error_of([&] { t->replay(image, {}); }), HasSubstr("params of 4 transforms"));
}

TEST(Transforms, MayBeCalledFromManyThreads) {
  auto t = augment();
  t->manual_seed(1);
  Tensor image = ArrayDataset({pictures(1)}).get(0)[0];
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (uint64_t k = 0; k < 50; ++k) {
        vision::SampleKey key(9, uint64_t(i), k);
        (*t)(image);
      }
    });
  for (auto& th : threads) th.join();
  vision::SampleKey key(9, 0, 0);
  Tensor a = (*t)(image);
  vision::SampleKey same(9, 0, 0);
  EXPECT_EQ((*t)(image).to_vector<float>(), a.to_vector<float>());
}

TEST(ImageFolder, ReadsClassesInOrder) {
  Folder f;
  for (const char* name : {"b", "a"}) {
    std::filesystem::create_directories(f.path / name);
    for (int i = 0; i < 3; ++i) vision::save_image(ArrayDataset({pictures(3)}).get(i)[0], (f.path / name / (std::to_string(i) + ".png")).string());
  }
  ImageFolder d(f.path.string(), augment());
  EXPECT_THAT(d.classes(), ElementsAre("a", "b"));
  EXPECT_THAT(d.labels(), ElementsAre(0, 0, 0, 1, 1, 1));
  data::Sample batch = keyed_batch(d, std::vector<int64_t>{5, 0}, 1, 0);
  EXPECT_EQ(batch[0].shape(), (Shape{2, 3, 8, 8}));
  EXPECT_THAT(batch[1].to_vector<int64_t>(), ElementsAre(1, 0));
  EXPECT_THAT(error_of([&] { ImageFolder((f.path / "none").string()); }), HasSubstr("a folder that can be read"));
}

TEST(Csv, ReadsQuotesHeadersAndGaps) {
  Folder f;
  CsvTable t = read_csv(f.write("t.csv", "x,\"a \"\"b\"\"\",kind\r\n1,2.5,cat\r\n,-3e1,\"do,g\"\r\n"));
  EXPECT_THAT(t.names, ElementsAre("x", "a \"b\"", "kind"));
  EXPECT_EQ(t.rows, 2);
  EXPECT_EQ(t.values[1], 2.5);
  EXPECT_TRUE(std::isnan(t.values[3]));
  EXPECT_EQ(t.values[4], -30);
  EXPECT_THAT(t.text[2], ElementsAre("cat", "do,g"));
  EXPECT_THAT(error_of([&] { read_csv(f.write("u.csv", "1,2\n3\n")); }), HasSubstr("got 1 in line 2"));
}

TEST(Mapped, IsTheFileItself) {
  Folder f;
  std::string values;
  for (float v : {1.f, 2.f, 3.f, 4.f, 5.f, 6.f}) values.append(reinterpret_cast<const char*>(&v), 4);
  std::string path = f.write("r.bin", "abcd" + values);
  Tensor t = map_raw(path, DType::f32, {3, 2}, 4);
  EXPECT_THAT(t.to_vector<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_FALSE(t->storage->writable);
  EXPECT_THAT(map_raw(f.write("u.bin", "abc" + values), DType::f32, {3, 2}, 3).to_vector<float>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(error_of([&] { map_raw(path, DType::f32, {3, 3}, 4); }), HasSubstr("a file of 28 bytes"));
  EXPECT_THAT(error_of([&] { map_npy(path); }), HasSubstr("other bytes"));
}

TEST(Folds, CoverEverySampleOnce) {
  auto folds = kfold_indices(10, {.n_splits = 3});
  EXPECT_THAT(folds[0].second, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(folds[2].first, ElementsAre(0, 1, 2, 3, 4, 5, 6));
  std::vector<int64_t> labels{0, 0, 0, 0, 1, 1};
  for (auto& [train, test] : kfold_indices(6, {.n_splits = 2, .shuffle = true, .seed = 1, .stratify = labels}))
    EXPECT_EQ(std::count_if(test.begin(), test.end(), [&](int64_t i) { return labels[size_t(i)] == 1; }), 1);
  EXPECT_THAT(split_lengths(11, std::vector{0.5, 0.3, 0.2}), ElementsAre(6, 3, 2));
  EXPECT_THAT(error_of([&] { random_split_indices(3, std::vector<int64_t>{3, 0}); }), HasSubstr("at least one sample"));
  Indices order = StratifiedSampler(labels, 3, 1).indices(0);
  EXPECT_EQ(std::count_if(order.begin(), order.begin() + 3, [&](int64_t i) { return labels[size_t(i)] == 1; }), 1);
}

}  // namespace
}  // namespace miniten
