#include "edge/utils/zoo.h"
#include <array>
#include <cstdlib>
#include "miniten/nn/graph_module.h"
#include "miniten/nn/layers.h"
#include "miniten/nn/recurrent.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

// What comes in, then layers: c in,out,kernel,stride: convolution; d channels,stride: depthwise; l in,out: linear; p: pooling;
// f: flatten. Between those with weights are ReLUs.
const char* const nets[] = {
    "1,3,32,32 c3,16,3,1 c16,32,3,2 c32,32,3,1 f l8192,10",
    "1,3,64,64 c3,16,3,2 d16,1 c16,32,1,1 d32,2 c32,64,1,1 f l16384,10",
    "1,784 l784,256 l256,128 l128,10",
    "16,256 l256,512 l512,512 l512,64",
    "1,1,32,32 c1,16,3,1 d16,1 c16,48,1,1 p d48,1 c48,64,1,1 p f l4096,10",
    "1,3,32,32 c3,16,3,1 c16,16,3,1 c16,16,3,1 p c16,64,3,1 c64,64,3,1 f l16384,10",
    "1,8,14,14 c8,64,3,1 c64,128,1,1 d128,1 c128,128,1,1 p c128,128,3,1 f l6272,16",
    "1,16,28,28 c16,64,5,2 c64,64,1,1 p c64,96,3,1 f l4704,16",
    "1,1,28,28 c1,6,5,1 p c6,16,5,1 p f l784,120 l120,84 l84,10",
    "1,1,49,10 c1,64,3,2 d64,1 c64,64,1,1 d64,1 c64,64,1,1 f l8000,12",
    "1,640 l640,128 l128,128 l128,8 l8,128 l128,640",
    "1,1,8,8 c1,4,3,1 p c4,8,3,1 f l128,4",
    "1,3,64,64 c3,8,3,2 c8,16,3,2 c16,32,3,2 c32,64,3,2 f l1024,10",
    "1,1024 l1024,1024 l1024,1024 l1024,96",
};
// Convolutions by in, out, kernel, stride and size; depthwise by channels, stride and size; linear by in, out and rows.
constexpr int16_t convolutions[][5] = {
    {1, 8, 3, 1, 12}, {1, 32, 3, 1, 20}, {3, 32, 3, 2, 96}, {3, 24, 3, 1, 24}, {8, 16, 3, 1, 20}, {12, 24, 3, 1, 10}, {24, 24, 3, 1, 24}, {48, 48, 3, 1, 12},
    {96, 96, 3, 1, 10}, {128, 128, 3, 1, 6}, {32, 64, 3, 1, 20}, {20, 40, 3, 2, 20}, {8, 24, 1, 1, 10}, {24, 48, 1, 1, 24}, {48, 96, 1, 1, 12}, {96, 96, 1, 1, 12},
    {96, 192, 1, 1, 9}, {192, 32, 1, 1, 14}, {16, 64, 1, 1, 28}, {24, 40, 5, 1, 14}, {3, 16, 5, 2, 40}, {8, 16, 5, 1, 12}};
constexpr int16_t depthwise[][3] = {{8, 1, 10}, {24, 1, 24}, {40, 2, 40}, {96, 1, 14}, {192, 1, 10}};
constexpr int16_t linear[][3] = {{40, 64, 1}, {64, 8, 1}, {150, 100, 1}, {300, 128, 1}, {900, 200, 1}, {2000, 12, 1}, {6000, 12, 1}, {1500, 1000, 1}, {96, 192, 8}, {200, 8, 8}, {300, 400, 16},
                                 {500, 1000, 32}, {96, 96, 64}};

nn::ModuleRef layer_of(char kind, const int64_t* v) {
  if (kind == 'l') return make<nn::Linear>(v[0], v[1]);
  if (kind == 'p') return make<nn::MaxPool2d>(Dims{2, 2});
  if (kind == 'f') return make<nn::Flatten>();
  bool deep = kind == 'd';
  int64_t kernel = deep ? 3 : v[2], stride = deep ? v[1] : v[3];
  return make<nn::Conv2d>(v[0], deep ? v[0] : v[1], nn::Conv2dOptions{.kernel_size = {kernel, kernel}, .stride = {stride, stride}, .padding = {kernel / 2, kernel / 2}, .groups = deep ? v[0] : 1});
}
ProbeNet net_of(const char* text) {
  std::vector<nn::ModuleRef> layers;
  Shape shape;
  for (const char* at = text; *at; at += *at == ' ') {
    char kind = *at >= 'a' ? *at++ : 0;
    int64_t v[4] = {};
    int n = 0;
    for (; *at && *at != ' '; at += *at == ',') v[n++] = std::strtoll(at, const_cast<char**>(&at), 10);
    if (!kind) {
      for (int i = 0; i < n; ++i) shape.push(v[i]);
      continue;
    }
    layers.push_back(layer_of(kind, v));
    if (kind != 'p' && kind != 'f' && *at) layers.push_back(make<nn::ReLU>());
  }
  auto m = make<nn::Sequential>(std::move(layers));
  m->eval();
  return {m, {DType::f32, shape}, true};
}

}  // namespace

std::vector<ProbeNet> probe_nets() {
  std::vector<ProbeNet> all;
  auto layer = [&](nn::ModuleRef l, const Shape& shape) {
    l->eval();
    all.push_back({std::move(l), {DType::f32, shape}, false});
  };
  for (const char* text : nets) all.push_back(net_of(text));
  for (auto& c : convolutions) {
    const int64_t v[] = {c[0], c[1], c[2], c[3]};
    layer(layer_of('c', v), {1, c[0], c[4], c[4]});
  }
  for (auto& d : depthwise) {
    const int64_t v[] = {d[0], d[1]};
    layer(layer_of('d', v), {1, d[0], d[2], d[2]});
  }
  for (auto& l : linear) {
    const int64_t v[] = {l[0], l[1]};
    layer(layer_of('l', v), {l[2], l[0]});
  }
  for (auto [channels, size] : std::vector<std::array<int64_t, 2>>{{6, 10}, {24, 16}, {64, 20}, {192, 12}}) {
    layer(layer_of('p', nullptr), {1, channels, size, size});
    layer(layer_of('f', nullptr), {1, channels, size, size});
    layer(make<nn::AvgPool2d>(Dims{2, 2}), {1, channels, size, size});
    auto of_two = trace({{DType::f32, {1, channels, size, size}}}, [&](const std::vector<Tensor>& in) {
      Tensor x = sigmoid(in[0]), y = tanh(in[0]);
      return std::vector<Tensor>{mean(x + y, {2, 3}), x * y, concat(std::array{x, y}, 1)};
    });
    all.push_back({make<nn::GraphModule>(std::move(of_two)), {DType::f32, {1, channels, size, size}}, false});
    Shape tokens{1, size, channels * 4};
    layer(make<nn::Softmax>(-1), tokens);
    layer(make<nn::LayerNorm>(Shape{channels * 4}), tokens);
    layer(make<nn::GELU>(), tokens);
    layer(make<nn::LSTM>(channels, 16), {1, size, channels});
    auto attention = trace({{DType::f32, {4, size, channels}}}, [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{matmul(softmax(matmul(in[0], permute(in[0], {0, 2, 1})), -1), in[0])}; });
    all.push_back({make<nn::GraphModule>(std::move(attention)), {DType::f32, {4, size, channels}}, false});
  }
  return all;
}

}  // namespace miniten::edge
