// Uses an installed MiniTen: an op of its own, a model, a gradient, a compiled session.
#include <miniten/miniten.h>
#include <cmath>
#include <cstdio>

using namespace miniten;

static const OpDef cube_op{
    .name = "user.cube", .doc = "x^3", .infer = [](const Call& c, Specs& out) { out.push(c.in[0]); },
    .eval = [](const Context& c) {
      for (int64_t i = 0; i < c.out[0].shape().count(); ++i) c.out[0].f32()[i] = std::pow(c.in[0].f32()[i], 3.0f);
    },
    .vjp = [](const Vjp& v) { v.result[0] = v.grad[0] * square(v.in[0]) * 3.0; }, .keep = keep_inputs, .traits = {.dense = 1}};

int main() {
  register_op(cube_op);
  Tensor x = Tensor::of({2}, {1, 2}).set_requires_grad();
  backward(sum(apply(cube_op, {x})));
  if (x.grad().to_vector<float>() != std::vector<float>{3, 12}) return 1;

  auto model = make<nn::Sequential>(std::vector<nn::ModuleRef>{make<nn::Linear>(4, 8), make<nn::ReLU>(), make<nn::Linear>(8, 2)});
  Tensor input = Tensor::ones({3, 4});
  Session session = nn::compile(*model, {input.spec()});
  Tensor difference = abs(session.run(std::vector{input})[0] - (*model)(input));
  std::printf("gradient ok; compiled differs from eager by %g\n", max(difference).item());
  return max(difference).item() < 1e-5 ? 0 : 1;
}
