#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include "check.h"
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
