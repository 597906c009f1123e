#include "miniten/interchange/runner.h"
#include <filesystem>
#include "check.h"
#include "miniten/base/temporary.h"
#include "miniten/interchange/native.h"
#include "miniten/nn/graph_module.h"
#include "miniten/nn/layers.h"

namespace miniten {
namespace {

using check::normal;

Graph graph_of(bool fixed) {
  manual_seed(1);
  auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{
      make<nn::Conv2d>(2, 4, nn::Conv2dOptions{.kernel_size = {3, 3}, .padding = {1, 1}}), make<nn::ReLU>(), make<nn::MaxPool2d>(Dims{2, 2})});
  return nn::trace_module(*net, {{DType::f32, {1, 2, 8, 6}}}, fixed);
}
std::vector<std::byte> file_of(const Graph& g) { return native_bytes({.graph = g, .has_graph = true, .kind = "graph"}); }
struct Model {
  miniten_model* m;
  explicit Model(const std::vector<std::byte>& file) : m(miniten_load(file.data(), file.size())) {}
  ~Model() { miniten_free(m); }
};

TEST(Runner, RunsLikeASession) {
  for (bool fixed : {false, true}) {                       // an open batch is 1
    Graph g = graph_of(fixed);
    Model model(file_of(g));
    ASSERT_NE(model.m, nullptr) << miniten_error();
    ASSERT_EQ(miniten_inputs(model.m), 1u);
    ASSERT_EQ(miniten_outputs(model.m), 1u);
    const miniten_port *in = miniten_input(model.m, 0), *out = miniten_output(model.m, 0);
    EXPECT_EQ(std::string(in->dtype), "float32");
    EXPECT_EQ(std::vector<int64_t>(in->shape, in->shape + in->rank), (std::vector<int64_t>{1, 2, 8, 6}));
    EXPECT_EQ(std::vector<int64_t>(out->shape, out->shape + out->rank), (std::vector<int64_t>{1, 4, 4, 3}));
    EXPECT_EQ(out->bytes, 4 * 4 * 3 * sizeof(float));
    EXPECT_EQ(miniten_input(model.m, 1), nullptr);
    EXPECT_EQ(miniten_output(model.m, 1), nullptr);
    Tensor x = normal({1, 2, 8, 6}, 4);
    Session session(bind_inputs(g, {x.spec()}), {.threads = 1});
    EXPECT_EQ(miniten_arena_bytes(model.m), session.arena_bytes());
    std::vector<float> got(4 * 4 * 3);
    const void* from[] = {x.view().data};
    void* to[] = {got.data()};
    for (int call = 0; call < 2; ++call) {
      ASSERT_EQ(miniten_run(model.m, from, to), 0) << miniten_error();
      EXPECT_EQ(got, session.run(std::vector{x})[0].to_vector<float>());
    }
  }
}

TEST(Runner, NeedsNoFileOnceItIsLoaded) {
  TemporaryFolder folder("runner");
  std::string path = folder.file("m.npz");
  Tensor w = normal({64, 64, 3, 3}, 1), gamma = normal({64}, 2), beta = normal({64}, 3), mean_ = normal({64}, 4), var_ = square(normal({64}, 5)) + 0.1, x = normal({1, 64, 8, 8}, 6);
  Graph g = trace({x.spec()}, [&](auto& in) { return std::vector{batch_norm(conv2d(in[0], w), gamma, beta, mean_, var_)}; });
  save_native({.graph = g, .has_graph = true, .kind = "graph"}, path);
  miniten_model* m = miniten_load_path(path.c_str());
  ASSERT_NE(m, nullptr) << miniten_error();
  std::filesystem::resize_file(path, 0);
  Tensor y = Session(g, {.threads = 1}).run(std::vector{x})[0];
  std::vector<float> got(size_t(y.numel()));
  const void* from[] = {x.view().data};
  void* to[] = {got.data()};
  ASSERT_EQ(miniten_run(m, from, to), 0) << miniten_error();
  EXPECT_EQ(got, y.to_vector<float>());
  miniten_free(m);
}

TEST(Runner, TellsWhatIsWrongAndThrowsNothing) {
  auto file = file_of(graph_of(true));
  for (size_t bytes : {size_t{0}, size_t{1}, file.size() / 2, file.size() - 1}) {
    EXPECT_EQ(miniten_load(file.data(), bytes), nullptr) << bytes;
    EXPECT_NE(std::string(miniten_error()), "");
  }
  EXPECT_EQ(miniten_load_path("/no/such/file.npz"), nullptr);
  EXPECT_NE(std::string(miniten_error()).find("/no/such/file.npz"), std::string::npos);
  auto arrays = native_bytes({.kind = "state_dict", .tensors = {{"a", Tensor::ones({2})}}});
  EXPECT_EQ(miniten_load(arrays.data(), arrays.size()), nullptr);
  EXPECT_NE(std::string(miniten_error()).find("state_dict"), std::string::npos);
  miniten_free(nullptr);
}

}  // namespace
}  // namespace miniten
