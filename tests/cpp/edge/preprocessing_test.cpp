#include "miniten/edge/preprocessing.h"
#include <gtest/gtest.h>
#include "miniten/edge/export.h"
#include "miniten/nn/layers.h"

namespace miniten::edge {
namespace {

namespace vision = utils::vision;

TEST(Preprocessing, IsTheTransformsAndThenTheModel) {
  auto net = make<nn::Flatten>();
  vision::Compose steps({std::make_shared<vision::CenterCrop>(2, 3), std::make_shared<vision::ToTensor>(),
                         std::make_shared<vision::Normalize>(std::vector<double>{0.5, 0.25, 0}, std::vector<double>{0.5})});
  std::vector<uint8_t> bytes(4 * 5 * 3);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = uint8_t(i * 37);
  Tensor image = Tensor::of<uint8_t>({4, 5, 3}, bytes), batch = Tensor::of<uint8_t>({1, 4, 5, 3}, bytes);
  auto whole = with_preprocessing(*net, steps, batch.spec());
  std::vector<float> want = steps(image).to_vector<float>(), got = whole->forward({batch})[0].to_vector<float>();
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6);
  EXPECT_EQ(whole->graph().metadata.at("input_layout"), "NHWC");
}

TEST(Preprocessing, RefusesWhatDraws) {
  auto net = make<nn::Flatten>();
  vision::RandomHorizontalFlip flip;
  EXPECT_THROW(with_preprocessing(*net, flip, {DType::u8, {1, 4, 5, 3}}), Error);
  EXPECT_THROW(with_preprocessing(*net, vision::ToTensor(), {DType::u8, {4, 5, 3}}), Error);
  EXPECT_THROW(with_preprocessing(*net, vision::ToTensor(), {DType::i64, {1, 4, 5, 3}}), Error);
}

}  // namespace
}  // namespace miniten::edge
