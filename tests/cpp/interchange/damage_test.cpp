#include <random>
#include "check.h"
#include "miniten/interchange/native.h"
#include "miniten/interchange/onnx.h"
#include "miniten/interchange/safetensors.h"
#include "miniten/interchange/tflite.h"
#include "miniten/interchange/tflite_export.h"
#include "miniten/nn/graph_module.h"
#include "miniten/nn/layers.h"

// Readers against damaged and hostile bytes: each answers with a model or an Error that says whose it is.
namespace miniten {
namespace {

using Bytes = std::vector<std::byte>;

Graph small_graph() {
  manual_seed(1);
  auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Conv2d>(1, 3, nn::Conv2dOptions{.kernel_size = {3, 3}}), make<nn::ReLU>(),
                                                             make<nn::Flatten>(), make<nn::Linear>(3 * 4, 2), make<nn::Softmax>()});
  return nn::trace_module(*net, {{DType::f32, {1, 1, 4, 4}}}, true);
}
Bytes native_file() { return native_bytes({.graph = small_graph(), .has_graph = true, .kind = "graph"}); }
Bytes tensors_file() { return safetensors_bytes({{{"weight", Tensor::ones({3, 5})}, {"step", Tensor::full({}, 3, DType::i64)}}, {{"by", "test"}}}); }

struct Format {
  const char *name, *op;                         // op: how its errors begin
  Bytes (*write)();
  void (*read)(std::span<const std::byte>);
};
const Format formats[] = {
    {"tflite", "load_tflite", [] { return tflite_bytes(small_graph()); }, [](auto b) { load_tflite(b); }},
    {"onnx", "load_onnx", [] { return onnx_bytes(small_graph()); }, [](auto b) { load_onnx(b); }},
    {"native", "np", native_file, [](auto b) { load_native(b); }},
    {"safetensors", "safetensors", tensors_file, [](auto b) { load_safetensors(b); }}};

class Damage : public testing::TestWithParam<Format> {
 protected:
  // -> what the reader says; empty where it read the bytes.
  std::string answer(const Bytes& b) {
    try {
      GetParam().read(b);
      return "";
    } catch (const Error& e) {
      EXPECT_FALSE(e.op().empty());
      EXPECT_FALSE(e.want().empty());
      return e.what();
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Readers, Damage, testing::ValuesIn(formats), [](const auto& info) { return std::string(info.param.name); });

TEST_P(Damage, AFileCutAnywhereIsNoModel) {
  Bytes whole = GetParam().write();
  ASSERT_EQ(answer(whole), "");
  int refused = 0, cuts = 0;
  for (size_t n = 0; n < whole.size(); n += std::max<size_t>(1, whole.size() / 1500)) {
    refused += !answer(Bytes(whole.begin(), whole.begin() + int64_t(n))).empty();
    ++cuts;
  }
  // A protobuf message may end behind any of its fields, a FlatBuffer in padding: nothing that counts is missing then.
  EXPECT_GE(refused, cuts * 9 / 10);
}

TEST_P(Damage, EveryBitMayFlip) {
  Bytes whole = GetParam().write();
  std::mt19937 random(7);
  size_t most = std::min<size_t>(whole.size(), 4000);
  int refused = 0;
  for (size_t k = 0; k < most; ++k) {
    size_t at = most == whole.size() ? k : random() % whole.size();
    Bytes b = whole;
    b[at] ^= std::byte(1 << random() % 8);
    refused += !answer(b).empty();
  }
  EXPECT_GT(refused, int(most / 20));
}

TEST_P(Damage, LengthsAndOffsetsMayBeAnything) {
  Bytes whole = GetParam().write();
  for (uint64_t value : {uint64_t{0}, uint64_t{0x7fffffff}, uint64_t{0x80000000}, uint64_t{0xffffffff}, uint64_t{0xfffffff0}, uint64_t{0x4000000000000000}, UINT64_MAX})
    for (size_t at = 0, step = std::max<size_t>(4, whole.size() / 700 / 4 * 4); at + 8 <= whole.size(); at += step) {
      Bytes b = whole;
      for (size_t i = 0; i < (value >> 32 ? 8 : 4); ++i) b[at + i] = std::byte(value >> (8 * i));
      answer(b);
    }
}

TEST_P(Damage, NoBytesAndOtherBytesAreRefused) {
  EXPECT_NE(answer({}), "");
  EXPECT_NE(answer(Bytes(5000)), "");
  EXPECT_NE(answer(Bytes(5000, std::byte(0xff))), "");
  for (const Format& other : formats)
    if (other.name != GetParam().name) { EXPECT_NE(answer(other.write()), "") << other.name; }
  EXPECT_NE(answer({}).find(GetParam().op), std::string::npos) << answer({});
}

TEST(Damage, AnUnknownOperatorIsToldByNameVersionAndNode) {
  Bytes whole = tflite_bytes(small_graph());
  std::set<std::string> told;
  for (size_t at = 0; at < whole.size(); ++at) {
    Bytes b = whole;
    b[at] = std::byte(32);                       // CUSTOM
    try {
      load_tflite(b);
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::unsupported && e.got().find("version 1, in node \"") != std::string::npos) told.insert(e.got());
    }
  }
  EXPECT_FALSE(told.empty());

  Bytes onnx = onnx_bytes(small_graph());
  const std::string relu = "\x22\x04Relu", text(reinterpret_cast<const char*>(onnx.data()), onnx.size());
  ASSERT_NE(text.find(relu), text.npos);
  std::memcpy(onnx.data() + text.find(relu) + 2, "Rulu", 4);
  try {
    load_onnx(onnx);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::unsupported);
    EXPECT_NE(e.got().find("Rulu-13 in node \""), std::string::npos) << e.got();
  }
}

TEST(MemoryLimit, WeightsOfAFileCount) {
  for (const Format& f : formats) EXPECT_NO_THROW(f.read(f.write()));
  EXPECT_THROW(load_tflite(tflite_bytes(small_graph()), {.max_memory = 256}), TooLarge);
  EXPECT_THROW(load_onnx(onnx_bytes(small_graph()), {.max_memory = 256}), TooLarge);
  EXPECT_THROW(load_safetensors(tensors_file(), 40), TooLarge);
  EXPECT_THROW(load_native(native_file(), 256), Error);
  EXPECT_NO_THROW(load_tflite(tflite_bytes(small_graph()), {.max_memory = 1 << 16}));
  EXPECT_NO_THROW(load_onnx(onnx_bytes(small_graph()), {.max_memory = 1 << 16}));
}

TEST(MemoryLimit, EndsWithItsScopeAndCountsWhatIsHeld) {
  {
    MemoryLimit limit("test", 4096), inner("inner", 1 << 30);
    for (int i = 0; i < 100; ++i) EXPECT_NO_THROW(Tensor::empty({DType::u8, {4000}}));       // one after the other
    Tensor held = Tensor::empty({DType::u8, {3000}});
    try {
      Tensor::empty({DType::u8, {2000}});
      FAIL();
    } catch (const TooLarge& e) {
      EXPECT_EQ(std::string(e.what()).rfind("[test] expected tensors of at most 4096 bytes, got 2000 bytes beside 3000", 0), 0u) << e.what();
    }
  }
  EXPECT_NO_THROW(Tensor::empty({DType::u8, {1 << 20}}));
}

TEST(MemoryLimit, DeclaredSizesOfAGraphCount) {
  Graph g = trace({{DType::f32, {1 << 15, 1}}}, [](const std::vector<Tensor>& in) { return std::vector<Tensor>{matmul(in[0], permute(in[0], {1, 0}))}; });
  Bytes b = native_bytes({.graph = g, .has_graph = true, .kind = "graph"});
  EXPECT_THROW(load_native(b, size_t{1} << 30), TooLarge);                                   // 4 GB by one node
  EXPECT_NO_THROW(load_native(b, uint64_t{1} << 33));
}

}  // namespace
}  // namespace miniten
