#include "check.h"
#include "miniten/edge/compare_quantized.h"
#include "miniten/edge/mixed_precision.h"
#include "miniten/edge/quantized_layers.h"
#include "nets.h"

namespace miniten::edge {
namespace {

using check::error_of;
using check::normal;
using check::small_net;

double sqnr_db(const Tensor& want, const Tensor& got) {
  auto a = check::values(want), b = check::values(got);
  double signal = 0, noise = 0;
  for (size_t i = 0; i < a.size(); ++i) { signal += a[i] * a[i]; noise += (a[i] - b[i]) * (a[i] - b[i]); }
  return 10 * std::log10(signal / noise);
}
struct Fixture : testing::Test {
  nn::ModuleRef net = small_net();
  Tensor x = normal({16, 1, 8, 8}, 5);
  std::vector<std::vector<Tensor>> data{{x}};
  Fixture() { net->eval(); }
  std::string dtype(const QuantizedModel& q, const std::string& layer) {
    for (const QuantizationRow& r : q.report().rows) if (r.layer == layer) return r.dtype;
    return "none";
  }
};
struct Overrides : Fixture {};
struct Doctor : Fixture {};
struct Mixed : Fixture {};

TEST_F(Overrides, ReachLayersByNameOpAndNumber) {
  for (std::string layers : {"7", "=7", "matmul", "#3", "#-1"}) {
    auto q = quantize_model(*net, {.overrides = {{.layers = layers, .dtype = "int16"}}}, data);
    EXPECT_EQ(dtype(*q, "7"), "int16") << layers;
    EXPECT_EQ(dtype(*q, "0"), "int8") << layers;
  }
  EXPECT_NE(error_of([&] { quantize_model(*net, {.overrides = {{.layers = "#4"}}}, data); }).find("-4 to 3"), std::string::npos);
  EXPECT_NE(error_of([&] { quantize_model(*net, {.overrides = {{.layers = "#x"}}}, data); }).find("number"), std::string::npos);
  EXPECT_NE(error_of([&] { quantize_model(*net, {.overrides = {{.layers = "tail"}}}, data); }).find("tail"), std::string::npos);
}

TEST_F(Overrides, AreKeptInTheReport) {
  QuantizationConfig c{.overrides = {{.layers = "0", .dtype = "int16", .per_channel = false, .percentile = 99.5f}, {.layers = "#-1", .mode = "weight_only", .skip = true, .block = 32}}};
  auto q = quantize_model(*net, c, data);
  auto again = QuantizationReport::from_json(q->report().to_json()).config.overrides;
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].dtype, "int16");
  EXPECT_EQ(again[0].per_channel, false);
  EXPECT_EQ(again[0].percentile, 99.5f);
  EXPECT_EQ(again[1].skip, true);
  EXPECT_EQ(again[1].block, 32);
  EXPECT_FALSE(again[1].method);
  EXPECT_EQ(dtype(*q, "7"), "float32");
}

TEST(QuantizeModel, SaturatesFourBitsWhereTheScaleCutsTheGreatest) {
  manual_seed(1);
  auto conv = make<nn::Conv2d>(8, 8, nn::Conv2dOptions{.kernel_size = {3, 3}});
  conv->parameter_of("weight").view().f32()[0] = 3;            // far from the others
  conv->parameter_of("weight").view().f32()[200] = -2;
  Tensor x = normal({2, 8, 6, 6}, 3);
  for (bool corrects : {false, true}) {
    auto q = quantize_model(*conv, {.dtype = DType::i4, .correct_bias = corrects}, {{x}});
    EXPECT_GT(sqnr_db(conv->forward({x})[0], q->forward({x})[0]), 10);
  }
}

TEST_F(Doctor, RowsTellWhatTheModelLoses) {
  auto q = quantize_model(*net, {}, data);
  auto report = compare_quantized(*net, *q, data);
  Tensor want = net->forward({x})[0], got = q->forward({x})[0];
  EXPECT_NEAR(report.sqnr_db, sqnr_db(want, got), 1e-3);
  EXPECT_NEAR(report.rows.back().cumulative_sqnr_db, report.sqnr_db, 1e-6);
  EXPECT_EQ(report.samples, 16);
  for (const ComparisonRow& r : report.rows) {
    EXPECT_GT(r.sqnr_db, 25) << r.layer;
    int64_t counted = 0;
    for (int64_t n : r.histogram) counted += n;
    EXPECT_EQ(counted % 16, 0) << r.layer;
    EXPECT_LE(r.clip_lo, r.clip_hi);
  }
  EXPECT_NE(error_of([&] { compare_quantized(*net, *q, std::vector<std::vector<Tensor>>{}); }).find("sample"), std::string::npos);
}

TEST_F(Doctor, AFixChangesItsLayerAlone) {
  Tensor wide = x.clone();
  wide.view().f32()[0] = 500;                                  // stretches the ranges
  auto q = quantize_model(*net, {}, {{wide}});
  auto report = compare_quantized(*net, *q, data);
  auto fixed = report.apply({"recalibrate", report.rows[0].layer, ""});
  float before = 0, after = 0;
  for (const QuantizationRow& r : q->report().rows) if (r.layer == "0") before = r.output_scale;
  for (const QuantizationRow& r : fixed->report().rows) if (r.layer == "0") after = r.output_scale;
  EXPECT_LT(after, before / 4);
  EXPECT_EQ(dtype(*report.apply({"float", "7", ""}), "7"), "float32");
  EXPECT_NE(error_of([&] { report.apply({"magic", "7", ""}); }).find("magic"), std::string::npos);
}

TEST_F(Mixed, KeepsTheScoreWithAsFewFloatsAsItCan) {
  Tensor want = net->forward({x})[0];
  auto score = [&](nn::Module& m) { return std::min(60.0, sqnr_db(want, m.forward({x})[0])) / 60; };
  auto batches = [&] { return [this, first = true]() mutable { return std::exchange(first, false) ? std::vector<Tensor>{x} : std::vector<Tensor>{}; }; };
  auto all = quantize_with_accuracy(*net, batches(), score, {.max_drop = 1, .objective = "size"});
  for (const QuantizationRow& r : all.model->report().rows) EXPECT_EQ(r.reason, "");
  auto some = quantize_with_accuracy(*net, batches(), score, {.max_drop = 1 - all.score - 0.02, .objective = "size"});
  EXPECT_GE(some.score, some.float_score - (1 - all.score - 0.02));
  EXPECT_GT(some.model->size_bytes(), all.model->size_bytes());
  int chosen = 0;
  for (const MixedPrecisionRow& r : some.table) chosen += r.chosen;
  EXPECT_EQ(chosen, 1);
  EXPECT_NE(error_of([&] { quantize_with_accuracy(*net, batches(), score, {.config = {.fallback = "auto"}}); }).find("objective"), std::string::npos);
}

TEST(QuantizedLayers, AreTheModelsLayers) {
  auto linear = make<nn::Linear>(12, 5);
  Tensor x = normal({9, 12}, 2);
  auto alone = QuantizedLinear::from_float(*linear, [x, first = true]() mutable { return std::exchange(first, false) ? std::vector<Tensor>{x} : std::vector<Tensor>{}; });
  auto model = quantize_model(*linear, {}, {{x}});
  EXPECT_EQ(check::values(alone->forward({x})[0]), check::values(model->forward({x})[0]));
  auto copy = make<QuantizedLinear>(12, 5);
  copy->load_state_dict(alone->state_dict());
  EXPECT_EQ(check::values(copy->forward({x})[0]), check::values(alone->forward({x})[0]));
  auto dynamic = QuantizedLinear::from_float(*linear);
  EXPECT_GT(sqnr_db(linear->forward({x})[0], dynamic->forward({x})[0]), 30);
  EXPECT_NE(error_of([&] { alone->forward({cast(x, DType::i32)}); }).find("int8"), std::string::npos);
  EXPECT_NE(error_of([&] { QuantizedLinear::from_float(*linear, {0, 0}, {1, 0}); }).find("above 0"), std::string::npos);
}

}  // namespace
}  // namespace miniten::edge
