#include "miniten/edge/export.h"

namespace miniten::edge {

std::vector<Tensor> TfliteModule::forward(const std::vector<Tensor>& inputs) {
  NoGrad no_grad;
  return program_.run(inputs);
}

static nn::ModuleRef module_of(TfliteProgram p) {
  try {
    auto m = make<nn::GraphModule>(p.graph());
    m->eval();
    return m;
  } catch (const TooLarge&) {
    throw;
  } catch (const Error&) {
    if (!p.loops()) throw;
  }
  p.reset();                                     // of what the attempt left
  return make<TfliteModule>(std::move(p));
}
nn::ModuleRef load_tflite(const std::string& path, const TfliteOptions& o) { return module_of(TfliteProgram(path, o)); }
nn::ModuleRef load_tflite(std::span<const std::byte> bytes, const TfliteOptions& o) { return module_of(TfliteProgram(bytes, o)); }

}  // namespace miniten::edge
