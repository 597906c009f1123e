#include "edge/quantization/steps.h"
#include "miniten/interchange/native.h"

namespace miniten::edge {

namespace {

constexpr const char* op = "quantize_model";

NativeFile file_of(const Graph& g, QuantizationReport report) {
  NativeFile file;
  file.graph = g;
  file.has_graph = true;
  file.kind = "quantized";
  report.bytes = 0;                                          // a file does not hold its own size
  file.extra = report.to_json();
  return file;
}
void measure(QuantizationReport& report, const Graph& g) { report.bytes = native_bytes(file_of(g, report)).size(); }

}  // namespace

Ref<QuantizedModel> model_of(Graph g, QuantizationReport report) {
  measure(report, g);
  return make<QuantizedModel>(std::move(g), std::move(report));
}

QuantizedModel::QuantizedModel(Graph g, QuantizationReport report)
    : GraphModule(std::move(g)), report_(std::make_shared<QuantizationReport>(std::move(report))) {
  eval();
}

QuantizedModel::QuantizedModel(nn::ModuleRef source, std::vector<std::function<void(Graph&)>> before, const QuantizationConfig& config)
    : GraphModule(std::move(source), std::move(before)), report_(std::make_shared<QuantizationReport>()) {
  report_->config = resolved(config);
  report_->mode = report_->config.mode == "static" ? "dynamic" : report_->config.mode;
  report_->notes.push_back("not quantised yet: the first call tells the shapes");
  own_transform_ = transforms().size();
  add_transform([report = report_, config](Graph& g) {
    *report = quantize_graph(g, config);
    measure(*report, g);
  });
  eval();
}

NativeFile QuantizedModel::file() const { return file_of(graph(), *report_); }
size_t QuantizedModel::size_bytes() const { return native_bytes(file()).size(); }
double QuantizedModel::size_reduction() const { return double(report_->float_bytes) / double(size_bytes()); }
size_t QuantizedModel::save(const std::string& path) const { return save_native(file(), path); }

Ref<QuantizedModel> QuantizedModel::from_file(const NativeFile& f) {
  if (f.kind != "quantized" || !f.has_graph)
    throw Error(ErrorKind::value, "QuantizedModel.load", "a file of a quantised model", f.kind.empty() ? "one without a kind" : "one of kind \"" + f.kind + "\"");
  QuantizationReport report = QuantizationReport::from_json(f.extra);
  measure(report, f.graph);
  return make<QuantizedModel>(f.graph, std::move(report));
}
Ref<QuantizedModel> QuantizedModel::load(const std::string& path) { return from_file(load_native(path)); }

Ref<QuantizedModel> QuantizedModel::clone() const {
  if (has_graph()) {
    Graph g = graph();
    for (Value& v : g.values) {
      if (!v.constant) continue;
      Tensor own = Tensor::empty(v.spec, v.constant.strides());
      copy_values(v.constant.view(), own.view());
      v.constant = own;
    }
    return make<QuantizedModel>(std::move(g), *report_);
  }
  auto own = transforms().begin() + int64_t(own_transform_);
  auto copy = make<QuantizedModel>(source(), std::vector(transforms().begin(), own), report_->config);
  std::for_each(own + 1, transforms().end(), [&](auto& later) { copy->add_transform(later); });
  for (auto& [name, t] : snapshot()) copy->replace_weight(name, t);
  return copy;
}

Ref<QuantizedModel> quantize_model(nn::Module& model, const QuantizationConfig& config, const Batches& calibration) {
  check_config(config);
  auto finish = [&](Graph g, const Batches& batches) {
    QuantizationReport report = quantize_graph(g, config, batches);
    return model_of(std::move(g), std::move(report));
  };
  if (calibration) {
    std::vector<Tensor> first = calibration();
    if (first.empty()) throw Error(ErrorKind::value, op, "at least one calibration batch", "none", "leave calibration data out to quantise activations at run time");
    std::vector<Spec> specs;
    for (const Tensor& t : first) specs.push_back(t.spec());
    return finish(nn::graph_of(op, model, specs), [&, first]() mutable { return first.empty() ? calibration() : std::exchange(first, {}); });
  }
  auto* module = dynamic_cast<nn::GraphModule*>(&model);
  if (module && module->has_graph()) return finish(module->graph(), nullptr);
  if (module && module->source()) {
    auto copy = make<QuantizedModel>(module->source(), module->transforms(), config);
    copy->report_->requantized = dynamic_cast<QuantizedModel*>(module);
    for (auto& [name, t] : module->snapshot()) copy->replace_weight(name, t);
    return copy;
  }
  if (!model.last_input_specs().empty()) return finish(nn::graph_of(op, model), nullptr);
  if (!model.is_owned())
    throw Error(ErrorKind::value, op, "a model whose input shape is known, or one made by make<>", "a local one that was never called", "call it once");
  return make<QuantizedModel>(nn::ModuleRef(&model), std::vector<std::function<void(Graph&)>>{}, config);
}

Ref<QuantizedModel> quantize_model(nn::Module& model, const QuantizationConfig& config, const std::vector<std::vector<Tensor>>& calibration) {
  size_t next = 0;
  return quantize_model(model, config, [&]() { return next < calibration.size() ? calibration[next++] : std::vector<Tensor>{}; });
}

}  // namespace miniten::edge
