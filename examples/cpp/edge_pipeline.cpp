// MiniTen's main job on real data, through public headers alone: train, quantise, prune, measure, export, read back.
//
//   edge_pipeline [data folder] [output folder]      by default examples/data and build/demo_cpp
//
// The Python twin, with a report and figures, is examples/python/edge_pipeline.py. Ends with 1 where a figure is missed.
#include <miniten/miniten.h>
#include <cstdio>
#include <filesystem>

using namespace miniten;
namespace data = miniten::utils::data;

namespace {

struct Digits {
  std::shared_ptr<data::Subset> train, test;
};

// Images (1, 8, 8) in [0, 1] with labels, every digit with the same share on both sides.
Digits load_digits(const std::string& folder, uint64_t seed) {
  Tensor images = cast(data::load_npy(folder + "/digits_images.npy"), DType::f32) / 16.0;
  Tensor labels = cast(data::load_npy(folder + "/digits_labels.npy"), DType::i64);
  auto all = std::make_shared<data::ArrayDataset>(std::vector<Tensor>{unsqueeze(images, 1), labels});
  std::vector<int64_t> classes = labels.to_vector<int64_t>();
  auto [train, test] = data::train_test_split(all, {.test_size = 0.3, .seed = seed, .stratify = classes});
  return {train, test};
}

data::Sample whole(const data::Dataset& dataset) {
  data::Indices all(size_t(dataset.size()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
  return dataset.batch(all);
}

nn::ModuleRef conv(int64_t in, int64_t out, int64_t kernel, int64_t groups = 1) {
  return make<nn::Conv2d>(in, out, nn::Conv2dOptions{.kernel_size = {kernel, kernel}, .padding = {kernel / 2, kernel / 2}, .groups = groups, .bias = false});
}
Ref<nn::Sequential> make_model() {
  return make<nn::Sequential>(std::vector<nn::ModuleRef>{
      conv(1, 16, 3), make<nn::BatchNorm2d>(16), make<nn::ReLU>(),
      conv(16, 16, 3, 16), make<nn::BatchNorm2d>(16), make<nn::ReLU>(),
      conv(16, 48, 1), make<nn::BatchNorm2d>(48), make<nn::ReLU>(),
      make<nn::MaxPool2d>(Dims{2, 2}),
      conv(48, 48, 3, 48), make<nn::BatchNorm2d>(48), make<nn::ReLU>(),
      conv(48, 64, 1), make<nn::BatchNorm2d>(64), make<nn::ReLU>(),
      make<nn::MaxPool2d>(Dims{2, 2}),
      make<nn::Flatten>(), make<nn::Dropout>(0.2f), make<nn::Linear>(64 * 2 * 2, 10)});
}

// The batch moved by up to one pixel in each direction, as a digit may stand on a sensor.
Tensor shifted(const Tensor& images, Generator& random) {
  auto offset = [&] { return std::min<int64_t>(2, int64_t(random.uniform() * 3)); };
  int64_t dy = offset(), dx = offset();
  return slice(slice(pad(images, {0, 0, 1, 1}, {0, 0, 1, 1}), 2, dy, dy + 8), 3, dx, dx + 8);
}

// AdamW with warm-up and cosine decay.
void fit(nn::Module& model, const data::DatasetRef& dataset, int epochs, double lr, uint64_t seed) {
  data::DataLoader loader(dataset, {.batch_size = 32, .shuffle = true, .drop_last = true, .seed = seed});
  auto optimizer = make<optim::AdamW>(model.parameters(), optim::Adam::Options{.lr = lr, .weight_decay = 0.01});
  auto scheduler = optim::WarmupCosine(optimizer, loader.size(), epochs * loader.size());
  nn::CrossEntropyLoss loss_of(0.05f);
  Generator random(seed);
  model.train();
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    double total = 0;
    for (const data::Sample& batch : loader) {
      optimizer->zero_grad();
      Tensor loss = loss_of.forward({model(shifted(batch[0], random)), batch[1]})[0];
      backward(loss);
      optimizer->step();
      scheduler->step();
      total += loss.item();
    }
    std::printf("\repoch %d of %d, loss %.4f ", epoch, epochs, total / double(loader.size()));
    std::fflush(stdout);
  }
  std::printf("\n");
  model.eval();
}

double accuracy(nn::Module& model, const data::Sample& test) {
  NoGrad no_grad;
  Tensor right = equal(argmax(model(test[0]), 1), test[1]);
  return mean(cast(right, DType::f32)).item() * 100;
}

// max |a - b| / max(1, max |b|)
double difference(const Tensor& a, const Tensor& b) { return max(abs(a - b)).item() / std::max(1.0, max(abs(b)).item()); }

struct Variant {
  const char* name;
  Ref<nn::Module> model;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "examples/data", output = argc > 2 ? argv[2] : "build/demo_cpp";
  const std::vector<Spec> input{{DType::f32, {1, 1, 8, 8}}};
  const int epochs = 30;
  const uint64_t seed = 0;
  std::filesystem::create_directories(output);

  manual_seed(seed);
  Digits digits = load_digits(folder, seed);
  data::Sample test = whole(*digits.test), calibration = whole(*digits.train);

  Ref<nn::Module> model = make_model();
  fit(*model, digits.train, epochs, 4e-3, seed);
  auto quantized = edge::quantize_model(*model, {}, {{calibration[0]}});
  auto pruned = edge::prune_model(*model, 0.5);
  fit(*pruned, digits.train, epochs / 3, 2e-3, seed + 1);
  const Variant variants[] = {{"float32", model},
                              {"int8", quantized},
                              {"int8, then 50 % pruned", edge::prune_model(*quantized, 0.5)},
                              {"50 % pruned", pruned},
                              {"50 % pruned, then int8", edge::quantize_model(*pruned, {}, {{calibration[0]}})}};

  int missed = 0;
  auto promise = [&](bool kept, const char* what, double value) {
    if (!kept) std::printf("MISSED: %s: %g\n", what, value);
    missed += !kept;
  };
  std::vector<nn::Module*> models;
  for (const Variant& v : variants) models.push_back(v.model.get());
  auto latencies = edge::compare_models(models, input, {.num_runs = 500, .threads = 1});

  std::printf("%-24s%11s%10s%10s%10s%10s%12s%12s%13s\n", "model", "accuracy", "file", "non-zero", "MACs", "arena", "p50", "p95", "images/s");
  for (size_t i = 0; i < std::size(variants); ++i) {
    nn::Module& m = *variants[i].model;
    std::string path = output + "/variant_" + std::to_string(i);
    auto native = edge::export_miniten(m, path + ".npz", input);
    edge::export_onnx(m, input, path + ".onnx", {}, {{"input", {{0, "batch"}}}});
    std::printf("%-24s%9.2f %%%8zu B%10lld%10lld%8zu B%9.4f ms%9.4f ms%13.0f\n", variants[i].name, accuracy(m, test), native.bytes,
                static_cast<long long>(edge::count_parameters(m).nonzero), static_cast<long long>(edge::count_flops(m, input).macs),
                nn::compile(m, input, {.threads = 1}).arena_bytes(), latencies[i].percentile(50), latencies[i].percentile(95), latencies[i].throughput());
    NoGrad no_grad;
    Tensor want = m(test[0]);
    double by_native = difference((*edge::load_miniten(path + ".npz"))(test[0]), want), by_onnx = difference((*edge::load_onnx(path + ".onnx"))(test[0]), want);
    promise(by_native <= 1e-5, "the native file, read again, differs", by_native);
    promise(by_onnx <= 1e-5, "the ONNX file, read again, differs", by_onnx);
  }
  double base = accuracy(*model, test);
  promise(base >= 97.5, "accuracy of float32 in per cent, at least 97.5 is promised", base);
  promise(base - accuracy(*quantized, test) <= 0.5 + 1e-9, "points lost by int8, at most 0.5", base - accuracy(*quantized, test));
  promise(base - accuracy(*variants[4].model, test) <= 1 + 1e-9, "points lost by pruning, then int8, at most 1", base - accuracy(*variants[4].model, test));
  std::printf("The files are in %s\n", output.c_str());
  return missed ? 1 : 0;
}
