#include "miniten/interchange/safetensors.h"
#include "check.h"

namespace miniten {
namespace {

using check::error_of;

std::span<const std::byte> view(const std::vector<std::byte>& bytes) { return bytes; }

TEST(Safetensors, ReadsBackWhatItWrote) {
  Safetensors file{{{"b", Tensor::of({2, 2}, {1, 2, 3, 4})}, {"a", Tensor::full({3}, 7, DType::i64)}, {"empty", Tensor::zeros({0, 2})}}, {{"by", "a \"test\""}}};
  auto bytes = safetensors_bytes(file);
  Safetensors back = load_safetensors(view(bytes));
  EXPECT_EQ(back.metadata, file.metadata);
  ASSERT_EQ(back.tensors.size(), 3u);
  EXPECT_EQ(back.tensors[0].name, "a");                // the widest elements first
  EXPECT_EQ(back.tensors[0].tensor.to_vector<int64_t>(), std::vector<int64_t>({7, 7, 7}));
  EXPECT_EQ(back.tensors[1].tensor.to_vector<float>(), std::vector<float>({1, 2, 3, 4}));
  EXPECT_EQ(back.tensors[2].tensor.shape(), Shape({0, 2}));
  EXPECT_EQ(safetensors_bytes(back), bytes);
}

TEST(Safetensors, Refuses) {
  Tensor one = Tensor::ones({1});
  EXPECT_NE(error_of([&] { safetensors_bytes({{{"a", one}, {"a", one}}, {}}); }).find("\"a\""), std::string::npos);
  EXPECT_NE(error_of([&] { load_safetensors("/nowhere/m.safetensors"); }).find("No such file"), std::string::npos);
}

TEST(Safetensors, SurvivesDamage) {
  const auto bytes = safetensors_bytes({{{"w", Tensor::zeros({4, 4})}, {"b", Tensor::zeros({4}, DType::boolean)}}, {{"k", "v"}}});
  Generator g(5);
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    auto bad = bytes;
    if (i % 4 == 0) bad.resize(size_t(g.below(bad.size())));
    else for (uint64_t k = 0, n = 1 + g.below(4); k < n; ++k) bad[size_t(g.below(bad.size()))] = std::byte(g.next());
    try { load_safetensors(view(bad)); } catch (const Error&) { ++refused; }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace miniten
