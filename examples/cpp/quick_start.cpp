#include <miniten/miniten.h>
#include <cstdio>
using namespace miniten;

int main() {
  auto model = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Flatten>(), make<nn::Linear>(64, 32), make<nn::ReLU>(), make<nn::Linear>(32, 10)});
  Tensor x = Tensor::ones({32, 1, 8, 8});
  auto quantized = edge::quantize_model(*model, {}, {{x}});
  std::printf("%s\n%s", (*quantized)(x).shape().text().c_str(), quantized->report().to_text().c_str());
}
