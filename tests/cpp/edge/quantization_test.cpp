#include "miniten/edge/quantization.h"
#include <unistd.h>
#include <filesystem>
#include "check.h"
#include "kernels/dispatch.h"
#include "miniten/interchange/native.h"
#include "miniten/nn/layers.h"

namespace miniten::edge {
namespace {

using check::contains;
using check::error_of;
using check::normal;
using Modules = std::vector<nn::ModuleRef>;

std::vector<int64_t> whole(const Tensor& t) { return cast(t, DType::i64).to_vector<int64_t>(); }
std::vector<float> values(const Tensor& t) { return t.to_vector<float>(); }
double sqnr_db(const Tensor& reference, const Tensor& got) {
  double signal = 0, noise = 0;
  auto a = values(reference), b = values(got);
  for (size_t i = 0; i < a.size(); ++i) {
    signal += double(a[i]) * a[i];
    noise += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
  }
  return 10 * std::log10(signal / noise);
}

// ---- tensors ----
TEST(QuantizeTensor, IsSymmetricByDefault) {
  auto q = quantize_tensor(Tensor::of({5}, {-2, -1, 0, 0.5f, 1}));
  EXPECT_EQ(whole(q.q), (std::vector<int64_t>{-127, -64, 0, 32, 64}));        // -63.5 and 31.75, half to even
  EXPECT_FLOAT_EQ(float(q.scale.item()), 2.0f / 127);
  EXPECT_EQ(q.zero_point.item(), 0);
  EXPECT_EQ(q.zero_point.dtype(), DType::i8);
}

TEST(QuantizeTensor, KeepsZeroInAsymmetricRanges) {
  for (DType t : {DType::i8, DType::u8, DType::i16})
    for (auto x : {std::vector<float>{0.3f}, {10, 11}, {-5, -4}, {-1, 3}, {0}, {1e-42f}, {3e38f, -3e38f}, {1e-38f, -2e-38f}}) {
      Tensor in = Tensor::of<float>({int64_t(x.size())}, x);
      auto q = quantize_tensor(in, t, false);
      double step = q.scale.item();
      EXPECT_GT(step, 0);
      EXPECT_TRUE(std::isfinite(step));
      auto back = values(dequantize_tensor(q.q, q.scale, q.zero_point));
      for (size_t i = 0; i < x.size(); ++i) EXPECT_LE(std::abs(double(back[i]) - x[i]), 0.5 * step + 1.2e-7 * std::abs(x[i])) << x[i] << " in " << name_of(t);
      EXPECT_EQ(values(dequantize_tensor(cast(q.zero_point, t), q.scale, q.zero_point))[0], 0.0f);
    }
}

TEST(QuantizeTensor, TakesAnAxis) {
  Tensor x = normal({3, 4, 5}, 1) * Tensor::of({1, 4, 1}, {1, 100, 0.01f, 0});
  for (bool symmetric : {true, false}) {
    auto q = quantize_tensor(x, DType::i8, symmetric, -2);
    EXPECT_EQ(q.axis, 1);
    EXPECT_EQ(q.scale.shape(), (Shape{4}));
    auto a = values(x), b = values(dequantize_tensor(q.q, q.scale, q.zero_point, 1)), s = values(q.scale);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_LE(std::abs(a[i] - b[i]), 0.5001f * s[i / 5 % 4]);
  }
}

TEST(QuantizeTensor, TakesEveryKindOfInput) {
  EXPECT_EQ(quantize_tensor(Tensor::zeros({0, 3})).q.numel(), 0);
  EXPECT_EQ(quantize_tensor(Tensor::full({}, 2.0)).q.item(), 127);
  EXPECT_EQ(whole(quantize_tensor(cast(Tensor::of({2}, {1, -1}), DType::f64)).q), (std::vector<int64_t>{127, -127}));
  EXPECT_EQ(whole(quantize_tensor(cast(Tensor::of({2}, {1, -1}), DType::f16), DType::u8).q), (std::vector<int64_t>{255, 1}));
  EXPECT_EQ(whole(quantize_tensor(Tensor::of({2}, {1, -1}), DType::i16).q), (std::vector<int64_t>{32767, -32767}));
}

TEST(QuantizeTensor, RefusesWhatItCannotDo) {
  Tensor x = normal({2, 3}, 1);
  EXPECT_EQ(error_of([] { quantize_tensor(Tensor::of({2}, {1, NAN})); }), "[quantize_tensor] expected finite values, got NaN or infinity (replace them first)");
  EXPECT_NE(error_of([] { quantize_tensor(Tensor::of({2}, {1, INFINITY})); }).find("finite"), std::string::npos);
  EXPECT_NE(error_of([&] { quantize_tensor(x, DType::i32); }).find("int4, int8, uint8 or int16, got int32"), std::string::npos);
  EXPECT_NE(error_of([&] { quantize_tensor(x, DType::i4, true, {}, 8); }).find("the axis that blocks run along"), std::string::npos);
  EXPECT_NE(error_of([&] { quantize_tensor(x, DType::i8, true, 2); }).find("an axis in [-2, 2), got 2"), std::string::npos);
  EXPECT_NE(error_of([&] { quantize_tensor(cast(x, DType::i32)); }).find("floating-point"), std::string::npos);
  auto q = quantize_tensor(x, DType::i8, true, 0);
  EXPECT_NE(error_of([&] { dequantize_tensor(q.q, q.scale); }).find("axis"), std::string::npos);
  EXPECT_NE(error_of([&] { dequantize_tensor(q.q, Tensor::full({}, 1), Tensor::full({}, 300)); }).find("zero points within int8, got 300"), std::string::npos);
}

// ---- models ----
nn::Conv2dOptions window(int64_t size, int64_t groups = 1, bool bias = true) {
  return {.kernel_size = {size, size}, .padding = {size / 2, size / 2}, .groups = groups, .bias = bias};
}
// Convolution, batch norm, depthwise and pointwise, pools, linear: with statistics that are not the initial ones.
Ref<nn::Sequential> small_net() {
  manual_seed(5);
  auto net = make<nn::Sequential>(Modules{
      make<nn::Conv2d>(3, 8, window(3, 1, false)), make<nn::BatchNorm2d>(8), make<nn::ReLU>(), make<nn::MaxPool2d>(Dims{2, 2}),
      make<nn::Conv2d>(8, 8, window(3, 8)), make<nn::ReLU6>(), make<nn::Conv2d>(8, 16, window(1)), make<nn::ReLU>(),
      make<nn::GlobalAvgPool2d>(), make<nn::Flatten>(), make<nn::Linear>(16, 10)});
  for (int i = 0; i < 3; ++i) (*net)(normal({16, 3, 12, 12}, uint64_t(i)) * 1.5 + 0.3);
  net->eval();
  return net;
}
std::vector<std::vector<Tensor>> calibration() { return {{normal({16, 3, 12, 12}, 10)}, {normal({5, 3, 12, 12}, 11)}}; }
const Tensor& image() { static Tensor x = normal({4, 3, 12, 12}, 20); return x; }

TEST(QuantizeModel, ComputesInIntegersThroughout) {
  auto net = small_net();
  auto q = quantize_model(*net, {}, calibration());
  std::string text = q->graph().to_text();
  for (const char* op : {"qconv2d(", "qmatmul(", "qavg_pool2d(", "max_pool2d("}) EXPECT_TRUE(contains(text, op)) << op << "\n" << text;
  for (const char* op : {" conv2d(", " matmul(", "relu(", "mean(", "batch_norm("}) EXPECT_FALSE(contains(text, op)) << op << "\n" << text;
  EXPECT_EQ(q->report().mode, "static");
  EXPECT_EQ(q->report().calibration_samples, 21);
  for (const QuantizationRow& r : q->report().rows) EXPECT_EQ(r.reason, "") << r.layer;
  Tensor want = (*net)(image()), got = (*q)(image());
  EXPECT_EQ(got.dtype(), DType::f32);
  EXPECT_GT(sqnr_db(want, got), 25);
  EXPECT_NE(values(want), values(got));
}

TEST(QuantizeModel, GivesTheSameBytesEagerPlannedForBatchesAndInstructionSets) {
  auto q = quantize_model(*small_net(), {}, calibration());
  auto planned = values((*q)(image()));
  const std::string before(kernels::isa());
  for (std::string_view name : kernels::available_isas()) {
    ASSERT_TRUE(kernels::set_isa(name));
    EXPECT_EQ(values(replay(bind_inputs(q->graph(), {image().spec()}), {image()})[0]), planned) << name;
    EXPECT_EQ(values((*q)(image())), planned) << name;
    EXPECT_EQ(values((*q)(slice(image(), 0, 2, 3))), std::vector<float>(planned.begin() + 20, planned.begin() + 30)) << name;
  }
  kernels::set_isa(before);
}

TEST(QuantizeModel, LeavesTheGivenModelAlone) {
  auto net = small_net();
  std::vector<std::vector<float>> before;
  auto state = net->state_dict();
  for (auto& [name, t] : state) before.push_back(values(cast(t, DType::f32)));
  auto specs = net->last_input_specs();
  for (const char* mode : {"static", "dynamic", "weight_only"}) {
    auto q = quantize_model(*net, {.mode = mode}, calibration());
    for (auto& [name, t] : q->state_dict())
      for (auto& [own, given] : state) EXPECT_NE(t->storage.get(), given->storage.get()) << name << " shares memory with " << own;
  }
  for (size_t i = 0; i < state.size(); ++i) EXPECT_EQ(values(cast(state[i].second, DType::f32)), before[i]) << state[i].first;
  EXPECT_EQ(net->last_input_specs(), specs);
  EXPECT_FALSE(net->training());
}

TEST(QuantizeModel, KeepsWeightsAsNamedIntegerConstants) {
  auto q = quantize_model(*small_net(), {}, calibration());
  int weights = 0;
  for (const Node& n : q->graph().nodes)
    for (size_t k = 0; k < n.in.size(); ++k) {
      if (!(n.op->traits.weights >> k & 1)) continue;
      const Value& v = q->graph().values[size_t(n.in[k])];
      ++weights;
      EXPECT_EQ(v.spec.dtype, DType::i8);
      EXPECT_TRUE(contains(v.name, ".weight")) << v.name;
      ASSERT_TRUE(v.quantized);
      EXPECT_EQ(v.quantized->scale.size(), size_t(v.spec.shape[v.quantized->axis]));
      auto w = whole(v.constant);
      EXPECT_GE(*std::min_element(w.begin(), w.end()), -127);
      EXPECT_EQ(std::max(*std::max_element(w.begin(), w.end()), -*std::min_element(w.begin(), w.end())), 127);
    }
  EXPECT_EQ(weights, 4);
  std::string names;
  for (auto& [name, t] : q->state_dict()) names += name + " ";
  EXPECT_TRUE(contains(names, "10/weight 10/weight/scale 10/bias")) << names;
}

TEST(QuantizeModel, WithoutDataQuantisesActivationsAtRunTime) {
  auto net = small_net();
  auto q = quantize_model(*net);
  std::string text = q->graph().to_text();
  EXPECT_TRUE(contains(text, "qconv2d_dynamic(")) << text;
  EXPECT_TRUE(contains(text, "qmatmul_dynamic(")) << text;
  EXPECT_EQ(q->report().mode, "dynamic");
  EXPECT_TRUE(contains(q->report().to_text(), "no calibration data"));
  EXPECT_GT(sqnr_db((*net)(image()), (*q)(image())), 25);
  EXPECT_EQ(values((*q)(image())), values(replay(bind_inputs(q->graph(), {image().spec()}), {image()})[0]));
  EXPECT_EQ(quantize_model(*net, {.mode = "dynamic"})->report().notes.size(), 0u);
}

TEST(QuantizeModel, WaitsForTheFirstCallOfAModelThatNeverRan) {
  auto net = make<nn::Sequential>(Modules{make<nn::Linear>(6, 64), make<nn::ReLU>(), make<nn::Linear>(64, 3)});
  Tensor x = normal({5, 6}, 1), want = [&] { NoGrad no_grad; return net->forward({x})[0]; }();
  auto q = quantize_model(*net);
  EXPECT_FALSE(q->has_graph());
  EXPECT_TRUE(contains(q->report().to_text(), "not quantised yet"));
  EXPECT_TRUE(contains(error_of([&] { q->size_bytes(); }), "call it once"));
  auto copy = q->clone();
  copy->add_transform([](Graph& g) {                         // what pruning does to integers
    for (Value& v : g.values)
      if (v.constant && v.quantized) v.constant = Tensor::zeros(v.spec.shape, v.spec.dtype);
  });
  {
    NoGrad no_grad;
    for (auto& [name, t] : net->state_dict()) assign(t, t * 0.0);      // later changes do not count
  }
  EXPECT_GT(sqnr_db(want, (*q)(x)), 25);
  EXPECT_EQ(q->report().rows.size(), 2u);
  EXPECT_GT(q->size_reduction(), 0.1);
  auto bias = values((*copy)(x));
  for (size_t i = 3; i < bias.size(); ++i) EXPECT_EQ(bias[i], bias[i % 3]);
  EXPECT_EQ(copy->report().rows.size(), 2u);
}

TEST(QuantizeModel, MeasuresItsFile) {
  auto net = make<nn::Sequential>(Modules{make<nn::Linear>(256, 512), make<nn::ReLU>(), make<nn::Linear>(512, 256)});
  auto q = quantize_model(*net, {}, {{normal({8, 256}, 1)}});
  std::string path = (std::filesystem::temp_directory_path() / ("miniten_q" + std::to_string(getpid()) + ".npz")).string();
  EXPECT_EQ(q->save(path), q->size_bytes());
  EXPECT_EQ(std::filesystem::file_size(path), q->size_bytes());
  EXPECT_EQ(q->report().bytes, q->size_bytes());
  EXPECT_GE(q->size_reduction(), 3.8);
  auto back = QuantizedModel::load(path);
  std::filesystem::remove(path);
  Tensor x = normal({3, 256}, 2);
  EXPECT_EQ(values((*back)(x)), values((*q)(x)));
  EXPECT_EQ(back->report().to_text(), q->report().to_text());
  EXPECT_EQ(back->size_bytes(), q->size_bytes());
  EXPECT_EQ(back->report().to_json(), q->report().to_json());
}

TEST(QuantizeModel, StoresWeightsAlone) {
  auto net = small_net();
  for (bool symmetric : {true, false}) {
    auto q = quantize_model(*net, {.symmetric = symmetric, .mode = "weight_only"});
    EXPECT_GT(sqnr_db((*net)(image()), (*q)(image())), 35);
    EXPECT_TRUE(contains(q->report().to_text(), "float32, weights int8"));
    size_t integers = 0;
    for (const Value& v : q->graph().values) integers += v.constant && v.spec.dtype == DType::i8 && v.quantized;
    EXPECT_EQ(integers, 4u);
    EXPECT_EQ(values((*q)(image())), values((*q->clone())(image())));
  }
}

TEST(QuantizeModel, SkipsLayersByName) {
  auto net = small_net();
  auto rows = [&](std::vector<std::string> skip) {
    std::string floats;
    auto q = quantize_model(*net, {.skip = skip}, calibration());
    for (const QuantizationRow& r : q->report().rows) if (!r.reason.empty()) floats += r.layer + "(" + r.op + ") ";
    return floats;
  };
  EXPECT_EQ(rows({"4"}), "4(conv2d) ");
  EXPECT_EQ(rows({"1?"}), "10(matmul) ");
  EXPECT_EQ(rows({"matmul"}), "10(matmul) ");
  EXPECT_EQ(rows({"*"}), "0(conv2d) 3(max_pool2d) 4(conv2d) 6(conv2d) 8(mean) 10(matmul) ");
  std::string error = error_of([&] { quantize_model(*net, {.skip = {"head.*"}}, calibration()); });
  EXPECT_TRUE(contains(error, "\"head.*\"")) << error;
  EXPECT_TRUE(contains(error, "10")) << error;
}

struct Residual : nn::Module {                               // concat, add, an op without integer form
  Residual() {
    a = add("a", make<nn::Conv2d>(4, 4, window(3)));
    b = add("b", make<nn::Conv2d>(4, 4, window(3)));
    c = add("c", make<nn::Conv2d>(8, 6, window(1)));
  }
  std::vector<Tensor> forward(const std::vector<Tensor>& in) override {
    Tensor x = relu((*a)(in[0])), y = relu((*b)(x) + x), parts[]{x, y};
    Tensor z = (*c)(concat(parts, 1));
    return {log_softmax(mean(z, {2, 3}), 1), z};
  }
  std::string type_name() const override { return "Residual"; }
  nn::ModuleRef a, b, c;
};

TEST(QuantizeModel, AddsConcatenatesAndConvertsOnlyAroundFloats) {
  auto net = make<Residual>();
  net->eval();
  Tensor x = normal({2, 4, 9, 9}, 1);
  auto q = quantize_model(*net, {}, {{normal({8, 4, 9, 9}, 2)}});
  std::string text = q->graph().to_text();
  auto count = [&](const std::string& op) {
    size_t n = 0;
    for (size_t at = text.find(op); at != text.npos; at = text.find(op, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(count("= qconv2d("), 3u) << text;
  EXPECT_EQ(count("= qadd("), 1u) << text;
  EXPECT_EQ(count("= concat("), 1u) << text;
  EXPECT_EQ(count("= quantize("), 1u) << text;
  EXPECT_EQ(count("= dequantize("), 2u) << text;
  auto want = net->forward({x}), got = (*q)(std::vector<Tensor>{x});
  EXPECT_GT(sqnr_db(want[1], got[1]), 25);
  EXPECT_LT(check::difference(want[0], got[0]), 0.1);
  std::string report = q->report().to_text();
  EXPECT_TRUE(contains(report, "log_softmax")) << report;
  EXPECT_TRUE(contains(report, "has no integer form")) << report;
}

TEST(QuantizeModel, MethodsAnswerOutliersDifferently) {
  auto net = make<nn::Sequential>(Modules{make<nn::Linear>(16, 16)});
  net->eval();
  Tensor x = normal({400, 16}, 1);
  x.view().f32()[5] = 500;
  auto scale = [&](const char* method) {
    return quantize_model(*net, {.method = method, .percentile = 99.9f}, {{slice(x, 0, 0, 200)}, {slice(x, 0, 200, 400)}})->report().rows[0].input_scale;
  };
  float minmax = scale("minmax");
  EXPECT_GT(minmax, 500.0f / 255);
  EXPECT_LT(scale("percentile"), minmax / 20);
  EXPECT_LT(scale("moving_average"), minmax);
  EXPECT_LE(scale("mse"), minmax);
  EXPECT_LT(scale("entropy"), minmax / 20);
  EXPECT_LE(scale("octav"), minmax);
  EXPECT_LE(scale("auto"), minmax);
  Tensor plain = normal({400, 16}, 1);
  auto noise = [&](const char* method) {
    auto q = quantize_model(*net, {.method = method}, {{plain}});
    return sqnr_db((*net)(plain), (*q)(plain));
  };
  for (const char* method : {"minmax", "moving_average", "percentile", "mse", "entropy", "octav", "auto"}) EXPECT_GT(noise(method), 30) << method;
}

TEST(QuantizeModel, SurvivesStrangeRanges) {
  auto make_net = [](float weight, float bias, float second) {
    auto net = make<nn::Sequential>(Modules{make<nn::Linear>(4, 3)});
    NoGrad no_grad;
    assign(net->state_dict()[0].second, Tensor::full({3, 4}, weight) * Tensor::of({3, 1}, {1, 0, second}));
    assign(net->state_dict()[1].second, Tensor::full({3}, bias));
    net->eval();
    return net;
  };
  Tensor x = normal({6, 4}, 1);
  for (auto [weight, bias, second, data] : {std::array<float, 4>{0, 0, 0, 1}, {1, 1e6f, 1e-12f, 1}, {1e-30f, 1, 1e-8f, 1e-30f}, {1, 0, 1, 0}, {1e20f, -1e18f, 1e-20f, 1e-6f}}) {
    auto net = make_net(weight, bias, second);
    Tensor in = x * double(data);
    auto q = quantize_model(*net, {}, {{in}});
    Tensor want = (*net)(in), got = (*q)(in);
    auto a = values(want), b = values(got);
    float most = 1e-30f;
    for (float v : a) most = std::max(most, std::abs(v));
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_TRUE(std::isfinite(b[i])) << weight << " " << bias;
      EXPECT_LE(std::abs(a[i] - b[i]), 0.02f * most) << weight << " " << bias << " at " << i << " " << q->report().to_text();
    }
  }
}

TEST(QuantizeModel, KeepsPrunedWeightsAtZero) {
  auto net = small_net();
  Graph g = nn::graph_of("test", *net);
  for (Value& v : g.values)
    if (v.trainable && v.spec.shape.rank == 4) {
      v.mask = greater(normal(v.spec.shape, 3), Tensor::full({}, 0));
      v.constant = v.constant * cast(v.mask, DType::f32);
    }
  for (const char* mode : {"static", "dynamic"}) {
    Graph q = g;
    quantize_graph(q, {.mode = mode}, [batches = calibration(), i = size_t{0}]() mutable { return i < batches.size() ? batches[i++] : std::vector<Tensor>{}; });
    int masked = 0;
    for (const Value& v : q.values) {
      if (!v.mask) continue;
      ++masked;
      EXPECT_EQ(v.spec.dtype, DType::i8);
      auto w = whole(v.constant), mask = whole(v.mask);
      for (size_t i = 0; i < w.size(); ++i) ASSERT_TRUE(mask[i] || w[i] == 0);
    }
    EXPECT_EQ(masked, 3) << mode;
  }
}

TEST(QuantizeModel, RefusesWhatItCannotDo) {
  auto net = small_net();
  auto with = [&](QuantizationConfig c) { return error_of([&] { quantize_model(*net, c, calibration()); }); };
  EXPECT_EQ(with({.mode = "fast"}), "[quantize_model] expected mode among static, dynamic, weight_only, got \"fast\"");
  EXPECT_TRUE(contains(with({.method = "best"}), "method among minmax"));
  EXPECT_TRUE(contains(with({.dtype = DType::i32}), "dtype int4, int8 or int16, got int32"));
  EXPECT_TRUE(contains(with({.symmetric = false}), "activations are asymmetric by default"));
  EXPECT_TRUE(contains(with({.percentile = 10}), "percentile"));
  EXPECT_TRUE(contains(error_of([&] { quantize_model(*net, {}, std::vector<std::vector<Tensor>>{}); }), "at least one calibration batch"));
  EXPECT_TRUE(contains(error_of([&] { quantize_model(*net, {}, {{Tensor::zeros({0, 3, 12, 12})}}); }), "at least one sample"));
  EXPECT_TRUE(contains(error_of([&] { quantize_model(*net, {}, {{normal({2, 3, 12, 12}, 1)}, {normal({2, 4, 12, 12}, 1)}}); }), "calibration batch 1"));
  Tensor bad = normal({2, 3, 12, 12}, 1);
  bad.view().f32()[7] = NAN;
  EXPECT_TRUE(contains(error_of([&] { quantize_model(*net, {}, {{bad}}); }), "NaN or infinity in input \"input\", batch 0"));
  {
    NoGrad no_grad;
    Tensor w = net->state_dict().back().second;
    assign(w, w * double(NAN));
  }
  EXPECT_TRUE(contains(error_of([&] { quantize_model(*net); }), "NaN or infinity in \"10.bias\""));
}

TEST(QuantizeModel, QuantisesAnewWhatIsQuantised) {
  auto net = small_net();
  auto q = quantize_model(*net, {}, calibration());
  EXPECT_FALSE(q->report().requantized);
  nn::GraphModule wrapped(q->graph());
  for (nn::Module* model : {static_cast<nn::Module*>(q.get()), static_cast<nn::Module*>(&wrapped)}) {
    auto again = quantize_model(*model, {}, calibration());
    EXPECT_TRUE(again->report().requantized);
    EXPECT_TRUE(QuantizationReport::from_json(again->report().to_json()).requantized);
    for (const QuantizationRow& r : again->report().rows) EXPECT_TRUE(r.reason.empty()) << r.layer << ": " << r.reason;
    const auto want = q->forward(calibration()[0])[0].to_vector<float>(), got = again->forward(calibration()[0])[0].to_vector<float>();
    double signal = 0, noise = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      signal += double(want[i]) * want[i];
      noise += (double(want[i]) - got[i]) * (double(want[i]) - got[i]);
    }
    EXPECT_GT(signal, 300 * noise);
  }
}

TEST(QuantizeModel, NamesTheLayerThatOverflows) {
  auto net = small_net();
  {
    NoGrad no_grad;
    Tensor w = net->state_dict()[1].second;                  // batch norm's gamma: finite, its product is not
    assign(w, w * 0.0 + 3e38);
  }
  std::string error = error_of([&] { quantize_model(*net, {}, calibration()); });
  EXPECT_TRUE(contains(error, "layer \"")) << error;
}

}  // namespace
}  // namespace miniten::edge
