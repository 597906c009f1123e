#include "miniten/cli/cli.h"
#include <gtest/gtest.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include "miniten/base/random.h"
#include "miniten/edge/export.h"
#include "miniten/nn/layers.h"

using namespace miniten;

namespace {

struct Result { int code; std::string out, err; };
Result call(const std::vector<std::string>& args) {
  std::ostringstream out, err;
  int code = cli::main(args, out, err);
  return {code, out.str(), err.str()};
}

struct Cli : testing::Test {
  std::string folder = (std::filesystem::temp_directory_path() / "miniten_cli_XXXXXX").string();
  void SetUp() override {
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    manual_seed(1);
    auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(4, 8), make<nn::ReLU>(), make<nn::Linear>(8, 3)});
    edge::export_miniten(*net, path("net.npz"), {{DType::f32, {1, 4}}});
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string path(const std::string& name) const { return folder + "/" + name; }
};

TEST_F(Cli, NothingAskedIsWrongUse) {
  Result r = call({});
  EXPECT_EQ(r.code, 2);
  EXPECT_EQ(r.out, "");
  EXPECT_NE(r.err.find("inspect"), std::string::npos);
}

TEST_F(Cli, HelpIsNoError) {
  Result r = call({"--help"});
  EXPECT_EQ(r.code, 0);
  EXPECT_EQ(r.err, "");
  EXPECT_NE(r.out.find("Exit code: 0 done"), std::string::npos);
}

TEST_F(Cli, PruneQuantizeAndConvertChain) {
  ASSERT_EQ(call({"prune", path("net.npz"), path("p.npz"), "--sparsity", "0.5"}).code, 0);
  Result q = call({"quantize", path("p.npz"), path("q.npz"), "--json"});
  ASSERT_EQ(q.code, 0) << q.err;
  Result onnx = call({"convert", path("q.npz"), path("q.onnx")});
  // Dynamic scales may have no form in the opset: then nothing is there, else the file reads again.
  EXPECT_EQ(onnx.code == 0, std::filesystem::exists(path("q.onnx"))) << onnx.err;
  EXPECT_EQ(call({"run", path("q.npz")}).code, 0);
}

TEST_F(Cli, OpenSizesAreOneUnlessGiven) {
  Result one = call({"estimate", path("net.npz"), "--json"}), five = call({"estimate", path("net.npz"), "--json", "--shape", "5,4"});
  EXPECT_NE(one.out.find("\"total_macs\":56"), std::string::npos) << one.out;
  EXPECT_NE(five.out.find("\"total_macs\":280"), std::string::npos) << five.out;
}

TEST_F(Cli, AnOutputThatCannotBeWrittenIsAFailure) {
  std::ofstream full("/dev/full");
  std::ostringstream err;
  std::vector<std::string> args{"inspect", path("net.npz")};
  EXPECT_EQ(cli::main(args, full, err), 1);
  EXPECT_NE(err.str().find("could not be written"), std::string::npos);
}

TEST_F(Cli, EveryTruncationOfAFileIsRefused) {
  std::ifstream f(path("net.npz"), std::ios::binary);
  std::string whole((std::istreambuf_iterator<char>(f)), {});
  for (size_t n = 0; n < whole.size(); n += 1 + whole.size() / 97) {
    std::ofstream(path("cut.npz"), std::ios::binary) << whole.substr(0, n);
    Result r = call({"inspect", path("cut.npz")});
    EXPECT_EQ(r.code, 2) << n;
    EXPECT_EQ(r.out, "");
  }
}

}  // namespace
