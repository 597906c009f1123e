#include "miniten/edge/export.h"

namespace miniten::edge {

static Ref<nn::GraphModule> module_of(Graph g) {
  auto m = make<nn::GraphModule>(std::move(g));
  m->eval();
  return m;
}
Ref<nn::GraphModule> load_tflite(const std::string& path, const TfliteOptions& o) { return module_of(miniten::load_tflite(path, o)); }
Ref<nn::GraphModule> load_tflite(std::span<const std::byte> bytes, const TfliteOptions& o) { return module_of(miniten::load_tflite(bytes, o)); }

}  // namespace miniten::edge
