#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include "check.h"
#include "interchange/native/zip.h"
#include "miniten/interchange/native.h"
#include "miniten/interchange/onnx.h"
#include "miniten/interchange/tflite.h"
#include "miniten/interchange/tflite_export.h"
#include "miniten/nn/graph_module.h"
#include "miniten/nn/layers.h"

namespace miniten {
namespace {

using check::difference;
using check::error_of;
using check::normal;

Graph small_graph(bool fixed = false) {
  manual_seed(1);
  auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{
      make<nn::Conv2d>(1, 4, nn::Conv2dOptions{.kernel_size = {3, 3}, .padding = {1, 1}}), make<nn::BatchNorm2d>(4), make<nn::ReLU>(),
      make<nn::MaxPool2d>(Dims{2, 2}), make<nn::Flatten>(), make<nn::Linear>(4 * 4 * 4, 3), make<nn::Softmax>()});
  return nn::trace_module(*net, {{DType::f32, {2, 1, 8, 8}}}, fixed);
}
Tensor run(const Graph& g, const Tensor& x) { return Session(bind_inputs(g, {x.spec()})).run(std::vector{x})[0]; }

struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "miniten_test_XXXXXX").string();
  Folder() { EXPECT_NE(mkdtemp(path.data()), nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
};

TEST(Native, ReadsBackWhatItWrote) {
  Folder folder;
  NativeFile f{.graph = small_graph(), .has_graph = true, .kind = "graph", .extra = "{\"a\": 1}", .tensors = {{"step", Tensor::full({}, 3, DType::i64)}}};
  f.graph.metadata["labels"] = "zero\none";
  Value& w = f.graph.values[1];
  auto q = std::make_shared<Quantized>();
  q->scale = {0.5f};
  q->zero = {3};
  w.quantized = q;
  w.mask = Tensor::ones(w.spec.shape.is_static() ? w.spec.shape : Shape{}, DType::boolean);
  size_t bytes = save_native(f, folder.path + "/m.npz");
  EXPECT_EQ(bytes, std::filesystem::file_size(folder.path + "/m.npz"));
  NativeFile back = load_native(folder.path + "/m.npz");
  EXPECT_EQ(back.graph.to_text(), f.graph.to_text());
  EXPECT_EQ(back.graph.metadata, f.graph.metadata);
  EXPECT_EQ(back.extra, f.extra);
  EXPECT_EQ(back.tensors[0].tensor.item(), 3);
  EXPECT_EQ(*back.graph.values[1].quantized, *q);
  Tensor x = normal({3, 1, 8, 8}, 4);
  EXPECT_EQ(difference(run(back.graph, x), run(f.graph, x)), 0);
  EXPECT_EQ(native_bytes(f), native_bytes(f));                       // the same bytes for the same model
}

TEST(Native, KeepsEveryDtype) {
  NativeFile f;
  f.kind = "state_dict";
  for (int i = 0; i < dtype_count; ++i) {
    Tensor t = Tensor::empty({DType(i), {3, 5}});
    for (size_t k = 0; k < t.spec().bytes(); ++k) t.view().data[k] = std::byte(DType(i) == DType::boolean ? k % 2 : k * 17);
    f.tensors.push_back({std::string(name_of(DType(i))), t});
  }
  auto bytes = native_bytes(f);
  NativeFile back = load_native(std::span<const std::byte>(bytes));
  for (int i = 0; i < dtype_count; ++i) {
    const Tensor &a = f.tensors[size_t(i)].tensor, &b = back.tensors[size_t(i)].tensor;
    EXPECT_EQ(a.spec().text(), b.spec().text());
    EXPECT_EQ(std::memcmp(a.view().data, b.view().data, a.spec().bytes()), 0) << name_of(DType(i));
  }
}

// Weights of more than a page, which stay where the reader put the file, and small ones.
Graph large_graph(uint64_t seed = 1) {
  Tensor w = normal({96, 64, 3, 3}, seed), b = normal({96}, 2), shared = normal({96, 96, 1, 1}, seed + 3);
  return trace({{DType::f32, {1, 64, 7, 7}}}, [&](auto& in) { return std::vector{conv2d(relu(conv2d(relu(conv2d(in[0], w, b)), shared)), shared)}; });
}
std::vector<Tensor> large_constants(const Graph& g) {
  std::vector<Tensor> all;
  for (const Value& v : g.values) if (v.constant && v.spec.bytes() >= least_in_place) all.push_back(v.constant);
  return all;
}
bool stays(const Tensor& t) { return t->storage->owner != nullptr; }

TEST(Native, LoadsLargeArraysWhereTheyLie) {
  Folder folder;
  std::string path = folder.path + "/m.npz";
  Graph g = large_graph();
  Tensor x = normal({1, 64, 7, 7}, 5), y = run(g, x);
  auto other = large_graph(7);
  for (int gone = 0; gone < 4; ++gone) {
    save_native({.graph = g, .has_graph = true, .kind = "graph"}, path);
    auto bytes = read_file(path);
    NativeFile back = load_native(path);
    auto large = large_constants(back.graph), own = large_constants(g);
    ASSERT_EQ(large.size(), 2u);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_TRUE(stays(large[i]));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(large[i].view().data) % 64, 0u);
      EXPECT_EQ(difference(large[i], own[i]), 0);
    }
    if (gone == 1) save_native({.graph = other, .has_graph = true, .kind = "graph"}, path);            // beside, then renamed
    if (gone == 2) std::filesystem::resize_file(path, 10);
    if (gone == 3) std::filesystem::remove(path);
    EXPECT_EQ(difference(run(back.graph, x), y), 0) << gone;
    Tensor kept = large[1];
    back = {};
    large.clear();
    EXPECT_EQ(difference(kept, own[1]), 0);                                                           // outlives the others
    std::memset(kept.view().data, 0, kept.spec().bytes());
    if (gone == 0) EXPECT_EQ(read_file(path), bytes);
  }
}

TEST(Native, LoadsArraysAlikeWhereverTheyLie) {
  Folder folder;
  std::string path = folder.path + "/m.npz";
  auto f = native_bytes({.graph = large_graph(), .has_graph = true, .kind = "graph"});
  auto want = large_constants(large_graph());
  auto check = [&](std::span<const std::byte> bytes, bool in_place) {
    write_file(path, bytes);
    for (bool by_path : {false, true}) {
      auto got = large_constants((by_path ? load_native(path) : load_native(bytes)).graph);
      ASSERT_EQ(got.size(), want.size());
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(stays(got[i]), by_path && in_place);
        EXPECT_EQ(difference(got[i], want[i]), 0);
      }
    }
  };
  check(f, true);
  auto members = unzip(f);
  for (ZipMember& m : members) m.deflated = true;
  check(zip(members), false);
  std::vector<std::byte> moved(4, std::byte{0});             // in front of an archive anything may stand
  moved.insert(moved.end(), f.begin(), f.end());
  check(moved, false);
}

TEST(Native, ChecksumsAreThoseOfZip) {
  Generator g(3);
  std::vector<std::byte> bytes(400);
  for (std::byte& b : bytes) b = std::byte(g.next());
  for (size_t from : {0, 1, 7})
    for (size_t n = 0; from + n <= bytes.size(); ++n) {
      uint32_t crc = ~0u;
      for (size_t i = 0; i < n; ++i) {
        crc ^= uint32_t(bytes[from + i]);
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
      }
      ASSERT_EQ(crc32_of({bytes.data() + from, n}), ~crc) << from << " " << n;
    }
}

// An array that several values name is each one's own.
TEST(Native, SharesNoMemoryBetweenValues) {
  Folder folder;
  std::string path = folder.path + "/m.npz";
  Tensor t = normal({5000}, 3);
  Graph g = trace({{DType::f32, {5000}}}, [&](auto& in) { return std::vector{in[0] + t}; });
  auto q = std::make_shared<Quantized>();
  q->scale = t.to_vector<float>();
  q->zero.assign(5000, 0);
  q->axis = 0;
  g.values[size_t(g.inputs[0])].quantized = q;               // reads the constant's array first, and lets it go
  NativeFile f{.graph = g, .has_graph = true, .kind = "graph", .tensors = {{"a", t}, {"b", t}}};
  save_native(f, path);
  EXPECT_LT(std::filesystem::file_size(path), 30000u);
  NativeFile back = load_native(path);
  std::vector<Tensor> all{back.tensors[0].tensor, back.tensors[1].tensor, large_constants(back.graph).at(0)};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(difference(all[i], t), 0) << i;
    std::memset(all[i].view().data, 0, all[i].spec().bytes());
  }
  EXPECT_EQ(back.graph.values[size_t(g.inputs[0])].quantized->scale, q->scale);
}

// Two names of a directory for the same bytes.
TEST(Native, CopiesArraysThatOverlap) {
  Folder folder;
  std::string path = folder.path + "/m.npz";
  Tensor t = normal({5000}, 3);
  auto bytes = native_bytes({.kind = "state_dict", .tensors = {{"a", t}, {"b", t.clone()}}});
  auto find = [&](std::string_view what, size_t from) { return size_t(std::search(bytes.begin() + int64_t(from), bytes.end(), reinterpret_cast<const std::byte*>(what.data()), reinterpret_cast<const std::byte*>(what.data()) + what.size()) - bytes.begin()); };
  size_t a = find("a.npy", find("PK\1\2", 0)), b = find("b.npy", find("PK\1\2", 0));
  ASSERT_LT(b, bytes.size());
  std::copy_n(bytes.begin() + int64_t(a) - 4, 4, bytes.begin() + int64_t(b) - 4);              // where the member begins
  write_file(path, bytes);
  NativeFile back = load_native(path);
  ASSERT_EQ(back.tensors.size(), 2u);
  std::memset(back.tensors[0].tensor.view().data, 0, t.spec().bytes());
  EXPECT_EQ(difference(back.tensors[1].tensor, t), 0);
}

TEST(Native, LeavesNothingHalfWritten) {
  Folder folder;
  std::string path = folder.path + "/m.npz";
  NativeFile f{.graph = small_graph(), .has_graph = true, .kind = "graph"};
  save_native(f, path);
  auto before = read_file(path);
  pid_t child = fork();                                              // a disk that takes 1000 bytes and no more
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    try { save_native(f, path); } catch (const Error& e) { _exit(e.kind() == ErrorKind::io ? 42 : 1); }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_EQ(read_file(path), before);
  size_t files = 0;
  for (auto& entry : std::filesystem::directory_iterator(folder.path)) { (void)entry; ++files; }
  EXPECT_EQ(files, 1u);
  EXPECT_NE(error_of([&] { save_native(f, folder.path + "/none/m.npz"); }).find("none/m.npz"), std::string::npos);
  EXPECT_NE(error_of([&] { load_native(folder.path + "/absent.npz"); }).find("No such file"), std::string::npos);
}

TEST(Native, AFileIsWholeWheneverItsWriterIsKilled) {
  Folder folder;
  std::string path = folder.path + "/m.npz";
  auto of = [](double value) { return NativeFile{.kind = "state_dict", .tensors = {{"w", Tensor::full({1 << 18}, value)}}}; };
  for (int turn = 0; turn < 15; ++turn) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
      for (double v = 2;; v = 5 - v) {                                // 2, 3, 2, ...
        save_native(of(v), path);
        if (write(ends[1], "x", 1) != 1) _exit(1);
      }
    char one = 0;
    EXPECT_EQ(read(ends[0], &one, 1), 1);                             // one is written: the kill meets a later one
    usleep(useconds_t(turn * 1700));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    close(ends[0]);
    close(ends[1]);
    ASSERT_TRUE(WIFSIGNALED(status));
    auto values = load_native(path).tensors[0].tensor.to_vector<float>();
    EXPECT_TRUE(std::all_of(values.begin(), values.end(), [&](float v) { return v == values[0] && v > 1; }));
  }
}

TEST(Onnx, ReadsBackWhatItWrote) {
  Graph g = small_graph();
  OnnxReport report;
  auto bytes = onnx_bytes(g, {.opset = 13}, &report);
  EXPECT_GT(report.nodes, 4);
  Graph back = load_onnx(std::span<const std::byte>(bytes));
  EXPECT_EQ(back.values[size_t(back.inputs[0])].spec.text(), "float32(batch, 1, 8, 8)");
  Tensor x = normal({3, 1, 8, 8}, 4);
  EXPECT_LT(difference(run(back, x), run(g, x)), 1e-6);
  std::string names;
  for (const Value& v : back.values) if (v.trainable) names += v.name + " ";
  EXPECT_EQ(names, "0.weight 0.bias 1.weight 1.bias 5.weight 5.bias ");
  for (int opset : {9, 11, 15, 18, 21, 25, 28}) {
    auto other = onnx_bytes(g, {.opset = opset});
    EXPECT_LT(difference(run(load_onnx(std::span<const std::byte>(other)), x), run(g, x)), 1e-6) << opset;
  }
}

TEST(Onnx, RefusesBeforeItWrites) {
  Folder folder;
  Graph g = trace({{DType::f32, {1, 2, 4, 4}}}, [](auto& in) { return std::vector{uniform(Tensor::zeros({2}, DType::i64), {2}) + sum(in[0])}; });
  std::string e = error_of([&] { export_onnx(g, folder.path + "/m.onnx"); });
  EXPECT_NE(e.find("uniform"), std::string::npos) << e;
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
  EXPECT_NE(error_of([&] { onnx_bytes(small_graph(), {.opset = 5}); }).find("opset"), std::string::npos);
}

// Damaged files give an error or a sound graph, never a crash; run under the sanitizers too.
template <class Load> void damage(std::vector<std::byte> bytes, int rounds, Load load) {
  Generator g(7);
  int refused = 0;
  for (int i = 0; i < rounds; ++i) {
    auto bad = bytes;
    if (i % 4 == 0) bad.resize(size_t(g.below(bad.size())));
    else for (uint64_t k = 0, n = 1 + g.below(4); k < n; ++k) bad[size_t(g.below(bad.size()))] = std::byte(g.next());
    try { load(bad); } catch (const Error&) { ++refused; }
  }
  EXPECT_GT(refused, rounds / 8);
}
TEST(Onnx, SurvivesDamage) {
  damage(onnx_bytes(small_graph()), 3000, [](const auto& b) { verify(load_onnx(std::span<const std::byte>(b))); });
}
TEST(Native, SurvivesDamage) {
  NativeFile f{.graph = small_graph(), .has_graph = true, .kind = "graph"};
  damage(native_bytes(f), 3000, [](const auto& b) { load_native(std::span<const std::byte>(b)); });
}

// y = conv(x) + what the run before gave, which is kept.
TEST(Tflite, WritesStatesAsPicturesLie) {
  Tensor w = normal({4, 3, 3, 3}, 1), start = normal({1, 4, 6, 5}, 2), memory = start.clone();
  auto step = [&](const Tensor& x) {
    Tensor y = conv2d(x, w, {}, {.padding = {1, 1, 1, 1}}) + memory;
    assign(memory, y);
    return y * 0.5;
  };
  Graph g = trace({{DType::f32, {1, 3, 6, 5}}}, [&](const std::vector<Tensor>& in) { return std::vector{step(in[0])}; });
  TfliteReport report;
  TfliteProgram file(tflite_bytes(g, {}, &report));
  EXPECT_EQ(report.operators.count("TRANSPOSE"), 0u);
  EXPECT_EQ(report.operators["ASSIGN_VARIABLE"], 1);
  EXPECT_EQ(difference(memory, start), 0);                           // writing runs nothing
  for (uint64_t k = 0; k < 3; ++k) {
    Tensor x = normal({1, 3, 6, 5}, 3 + k);
    EXPECT_LE(difference(permute(file.run({permute(x, {0, 2, 3, 1}).clone()})[0], {0, 3, 1, 2}), step(x)), 1e-5);
  }
}

}  // namespace
}  // namespace miniten
