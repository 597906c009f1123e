#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>
#include "cli/files.h"
#include "cli/text.h"
#include "miniten/base/random.h"
#include "miniten/edge/benchmark.h"
#include "miniten/edge/utils.h"
#include "miniten/nn/layers.h"
#include "miniten/train/compile_step.h"
#include "miniten/utils/vision.h"

// The whole job in some seconds, on pictures drawn here: train, shrink, measure; the files are for trying the other commands.
namespace miniten::cli {

namespace {

using json = nlohmann::ordered_json;
constexpr int64_t side = 16, batch = 32;
const std::vector<std::string> classes{"circle", "square", "cross", "triangle"};

struct KeptRandomness {
  Generator kept = default_generator();
  ~KeptRandomness() { default_generator() = kept; }
};

// One shape somewhere in a noisy picture, values in [0, 1].
void draw(size_t kind, Generator& random, float* to) {
  double radius = 3 + 3 * random.uniform(), x0 = radius + (side - 2 * radius) * random.uniform(), y0 = radius + (side - 2 * radius) * random.uniform(), ink = 0.5 + 0.4 * random.uniform();
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x) {
      double dx = std::abs(double(x) + 0.5 - x0), dy = double(y) + 0.5 - y0, ady = std::abs(dy);
      bool inside = kind == 0 ? std::hypot(dx, dy) < radius : kind == 1 ? std::max(dx, ady) < 0.85 * radius
                  : kind == 2 ? std::min(dx, ady) < 0.3 * radius && std::max(dx, ady) < radius : ady < radius && dx < (dy + radius) / 2;
      to[y * side + x] = float(std::clamp((inside ? ink : 0.1) + 0.12 * double(random.normal()), 0.0, 1.0));
    }
}
struct Pictures { Tensor images, labels; };
Pictures pictures(int64_t count, uint64_t seed) {
  Generator random(seed);
  Pictures p{Tensor::empty({DType::f32, {count, 1, side, side}}), Tensor::empty({DType::i64, {count}})};
  for (int64_t i = 0; i < count; ++i) {
    size_t kind = random.below(classes.size());
    p.labels.view().as<int64_t>()[i] = int64_t(kind);
    draw(kind, random, p.images.view().f32() + i * side * side);
  }
  return p;
}
double accuracy(nn::Module& m, const Pictures& p) {
  auto got = argmax(m(p.images), -1).to_vector<int64_t>(), want = p.labels.to_vector<int64_t>();
  size_t right = 0;
  for (size_t i = 0; i < want.size(); ++i) right += got[i] == want[i];
  return double(right) / double(want.size());
}
void train(const nn::ModuleRef& model, const Pictures& p, int epochs) {
  auto adam = make<optim::Adam>(model->parameters(), optim::Adam::Options{.lr = 4e-3});
  auto loss = [](const std::vector<Tensor>& out, const std::vector<Tensor>& target) { return cross_entropy(out[0], target[0]); };
  model->train();
  train::CompiledStep step(model, loss, adam, {{DType::f32, {batch, 1, side, side}}}, {{DType::i64, {batch}}});
  for (int e = 0; e < epochs; ++e) {
    show_progress("training, epoch " + std::to_string(e + 1) + " of " + std::to_string(epochs));
    for (int64_t at = 0; at + batch <= p.images.dim(0); at += batch) step.run(std::vector<Tensor>{slice(p.images, 0, at, at + batch).clone(), slice(p.labels, 0, at, at + batch).clone()});
  }
  show_progress("");
  model->eval();
}
void save_arrays(const std::string& path, const char* name, const Tensor& t) {
  NativeFile f;
  f.kind = "state_dict";
  f.tensors.push_back({name, t});
  save_native(f, path);
}

}  // namespace

int demo(const Demo& o, Output to) {
  std::error_code error;
  std::filesystem::create_directories(o.directory, error);
  if (!std::filesystem::is_directory(o.directory, error)) throw WrongUse{"\"" + o.directory + "\" is no folder and cannot be made one"};
  auto path = [&](const std::string& name) { return (std::filesystem::path(o.directory) / name).string(); };
  KeptRandomness kept;
  manual_seed(1);
  Pictures learn = pictures(1600, 11), test = pictures(400, 12);         // the test's are never learned from
  auto conv = [](int64_t in, int64_t out) { return make<nn::Conv2d>(in, out, nn::Conv2dOptions{.kernel_size = {3, 3}, .padding = {1, 1}}); };
  auto net = make<nn::Sequential>(std::vector<nn::ModuleRef>{conv(1, 12), make<nn::ReLU>(), make<nn::MaxPool2d>(Dims{2, 2}), conv(12, 24), make<nn::ReLU>(), make<nn::MaxPool2d>(Dims{2, 2}),
                                                             conv(24, 24), make<nn::ReLU>(), make<nn::Flatten>(), make<nn::Linear>(24 * 16, int64_t(classes.size()))});
  train(net, learn, 6);
  std::vector<Spec> one{{DType::f32, {1, 1, side, side}}};
  (*net)(slice(learn.images, 0, 0, 1).clone());
  auto half = edge::prune_model(*net, 0.5, {.method = "structured"}, one);
  train(half, learn, 2);                                                 // what the cut cost is learned again
  Tensor samples = slice(learn.images, 0, 0, 128).clone();
  std::vector<std::vector<Tensor>> calibration{{samples}};
  auto int8 = edge::quantize_model(*net, {}, calibration), half_int8 = edge::quantize_model(*half, {}, calibration);

  struct Made { std::string name, file; nn::Module* model; };
  std::vector<Made> made{{"float32", "shapes.npz", net.get()}, {"int8", "int8.npz", int8.get()}, {"half the channels", "half.npz", half.get()}, {"half the channels, int8", "half_int8.npz", half_int8.get()}};
  std::vector<nn::Module*> models;
  std::vector<std::string> labels;
  for (const Made& m : made) { models.push_back(m.model); labels.push_back(m.name); }
  auto times = edge::compare_models(models, one, {.num_runs = 200, .threads = 1}, labels);
  json j{{"folder", o.directory}, {"models", json::array()}};
  std::vector<std::vector<std::string>> rows{{"model", "file", "bytes", "accuracy", "MACs", "RAM", "median ms"}};
  for (size_t k = 0; k < made.size(); ++k) {
    size_t bytes = edge::export_miniten(*made[k].model, path(made[k].file), one).bytes;
    double share = accuracy(*made[k].model, test), ram = double(edge::estimate_memory(*made[k].model, one).activation) / 1024;
    int64_t macs = edge::count_flops(*made[k].model, one).macs;
    j["models"].push_back({{"model", made[k].name}, {"file", made[k].file}, {"bytes", bytes}, {"accuracy", share}, {"macs", macs}, {"ram_kb", ram}, {"median_latency_ms", times[k].percentile(50)}});
    rows.push_back({made[k].name, made[k].file, with_commas(int64_t(bytes)), number("%.1f %%", 100 * share), with_commas(macs), number("%.1f KB", ram), number("%.4f", times[k].percentile(50))});
  }
  edge::export_onnx(*net, one, path("shapes.onnx"), {}, {{"input", {{0, "batch"}}}});
  save_arrays(path("samples.npz"), "input", samples);
  save_arrays(path("targets.npz"), "target", slice(learn.labels, 0, 0, 128).clone());
  utils::vision::save_image(reshape(slice(test.images, 0, 0, 1), {side, side}).clone(), path("picture.png"));
  std::string names;
  for (const std::string& c : classes) names += c + "\n";
  write_file(path("labels.txt"), std::as_bytes(std::span(names)));
  if (to.json) {
    to.out << j.dump() << "\n";
    return 0;
  }
  to.out << "pictures of " << classes.size() << " shapes drawn and learned: 1,600 to learn from, 400 others to test on\n" << table(rows, 2) << "\nfiles are in " << o.directory << "; now try\n";
  for (const char* c : {"inspect shapes.onnx", "run shapes.onnx --image picture.png --labels labels.txt --top 2", "diff shapes.npz int8.npz --input samples.npz --tolerance 0.1",
                        "bench shapes.npz --against int8.npz", "compress shapes.npz small.npz --data samples.npz --targets targets.npz --flash-kb 8", "check half_int8.npz --device stm32f411"})
    to.out << "  miniten " << c << "\n";
  return 0;
}

}  // namespace miniten::cli
