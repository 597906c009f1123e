#include "edge/utils/zoo.h"
#include <array>
#include "miniten/nn/graph_module.h"
#include "miniten/nn/layers.h"
#include "miniten/nn/recurrent.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

using Layers = std::vector<nn::ModuleRef>;

nn::ModuleRef conv(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t groups = 1) {
  return make<nn::Conv2d>(in, out, nn::Conv2dOptions{.kernel_size = {kernel, kernel}, .stride = {stride, stride}, .padding = {kernel / 2, kernel / 2}, .groups = groups});
}
nn::ModuleRef depthwise(int64_t channels, int64_t stride = 1) { return conv(channels, channels, 3, stride, channels); }
nn::ModuleRef linear(int64_t in, int64_t out) { return make<nn::Linear>(in, out); }
nn::ModuleRef pool() { return make<nn::MaxPool2d>(Dims{2, 2}); }
nn::ModuleRef flat() { return make<nn::Flatten>(); }

nn::ModuleRef chain(const Layers& layers, bool activations) {
  Layers all;
  for (const nn::ModuleRef& l : layers) {
    all.push_back(l);
    if (activations && &l != &layers.back() && (dynamic_cast<nn::Conv2d*>(l.get()) || dynamic_cast<nn::Linear*>(l.get()))) all.push_back(make<nn::ReLU>());
  }
  auto m = make<nn::Sequential>(std::move(all));
  m->eval();
  return m;
}

}  // namespace

std::vector<ProbeNet> probe_nets() {
  std::vector<ProbeNet> all;
  auto net = [&](Layers layers, Shape shape) { all.push_back({chain(layers, true), {DType::f32, shape}, true}); };
  auto layer = [&](nn::ModuleRef l, Shape shape) { all.push_back({chain({l}, false), {DType::f32, shape}, false}); };
  net({conv(3, 16, 3), conv(16, 32, 3, 2), conv(32, 32, 3), flat(), linear(32 * 256, 10)}, {1, 3, 32, 32});
  net({conv(3, 16, 3, 2), depthwise(16), conv(16, 32, 1), depthwise(32, 2), conv(32, 64, 1), flat(), linear(64 * 256, 10)}, {1, 3, 64, 64});
  net({linear(784, 256), linear(256, 128), linear(128, 10)}, {1, 784});
  net({linear(256, 512), linear(512, 512), linear(512, 64)}, {16, 256});
  net({conv(1, 16, 3), depthwise(16), conv(16, 48, 1), pool(), depthwise(48), conv(48, 64, 1), pool(), flat(), linear(64 * 64, 10)}, {1, 1, 32, 32});
  net({conv(3, 16, 3), conv(16, 16, 3), conv(16, 16, 3), pool(), conv(16, 64, 3), conv(64, 64, 3), flat(), linear(64 * 256, 10)}, {1, 3, 32, 32});
  net({conv(8, 64, 3), conv(64, 128, 1), depthwise(128), conv(128, 128, 1), pool(), conv(128, 128, 3), flat(), linear(128 * 49, 16)}, {1, 8, 14, 14});
  net({conv(16, 64, 5, 2), conv(64, 64, 1), pool(), conv(64, 96, 3), flat(), linear(96 * 49, 16)}, {1, 16, 28, 28});
  net({conv(1, 6, 5), pool(), conv(6, 16, 5), pool(), flat(), linear(16 * 49, 120), linear(120, 84), linear(84, 10)}, {1, 1, 28, 28});
  net({conv(1, 64, 3, 2), depthwise(64), conv(64, 64, 1), depthwise(64), conv(64, 64, 1), flat(), linear(64 * 125, 12)}, {1, 1, 49, 10});
  net({linear(640, 128), linear(128, 128), linear(128, 8), linear(8, 128), linear(128, 640)}, {1, 640});
  net({conv(1, 4, 3), pool(), conv(4, 8, 3), flat(), linear(8 * 16, 4)}, {1, 1, 8, 8});
  net({conv(3, 8, 3, 2), conv(8, 16, 3, 2), conv(16, 32, 3, 2), conv(32, 64, 3, 2), flat(), linear(64 * 16, 10)}, {1, 3, 64, 64});
  net({linear(1024, 1024), linear(1024, 1024), linear(1024, 96)}, {1, 1024});

  for (auto [in, out, kernel, stride, groups, size] : std::vector<std::array<int64_t, 6>>{
           {1, 8, 3, 1, 1, 12}, {1, 32, 3, 1, 1, 20}, {3, 32, 3, 2, 1, 96}, {3, 24, 3, 1, 1, 24}, {8, 16, 3, 1, 1, 20}, {12, 24, 3, 1, 1, 10}, {24, 24, 3, 1, 1, 24}, {48, 48, 3, 1, 1, 12},
           {96, 96, 3, 1, 1, 10}, {128, 128, 3, 1, 1, 6}, {32, 64, 3, 1, 1, 20}, {20, 40, 3, 2, 1, 20}, {8, 8, 3, 1, 8, 10}, {24, 24, 3, 1, 24, 24}, {40, 40, 3, 2, 40, 40}, {96, 96, 3, 1, 96, 14},
           {192, 192, 3, 1, 192, 10}, {8, 24, 1, 1, 1, 10}, {24, 48, 1, 1, 1, 24}, {48, 96, 1, 1, 1, 12}, {96, 96, 1, 1, 1, 12}, {96, 192, 1, 1, 1, 9}, {192, 32, 1, 1, 1, 14}, {16, 64, 1, 1, 1, 28},
           {24, 40, 5, 1, 1, 14}, {3, 16, 5, 2, 1, 40}, {8, 16, 5, 1, 1, 12}})
    layer(conv(in, out, kernel, stride, groups), {1, in, size, size});
  for (auto [in, out, rows] : std::vector<std::array<int64_t, 3>>{
           {40, 64, 1}, {64, 8, 1}, {150, 100, 1}, {300, 128, 1}, {900, 200, 1}, {2000, 12, 1}, {6000, 12, 1}, {1500, 1000, 1}, {96, 192, 8}, {200, 8, 8}, {300, 400, 16}, {500, 1000, 32}, {96, 96, 64}})
    layer(linear(in, out), {rows, in});
  for (auto [channels, size] : std::vector<std::array<int64_t, 2>>{{6, 10}, {24, 16}, {64, 20}, {192, 12}}) {
    layer(pool(), {1, channels, size, size});
    layer(flat(), {1, channels, size, size});
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
