#include "miniten/edge/preprocessing.h"
#include "edge/models.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {
// `first` and then `second`, whose only input is first's only output.
Graph joined(Graph first, const Graph& second) {
  std::vector<int> ids(second.values.size(), -1);
  ids[size_t(second.inputs[0])] = first.outputs[0];
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0) {
      ids[i] = int(first.values.size());
      first.values.push_back(second.values[i]);
    }
  auto moved = [&](std::vector<int> list) {
    for (int& id : list) id = ids[size_t(id)];
    return list;
  };
  for (Node n : second.nodes) {
    n.in = moved(n.in);
    n.out = moved(n.out);
    first.nodes.push_back(std::move(n));
  }
  for (State s : second.states) first.states.push_back({ids[size_t(s.entry)], ids[size_t(s.exit)]});
  first.outputs = moved(second.outputs);
  first.name = second.name;
  first.metadata = second.metadata;
  first.metadata["input_layout"] = "NHWC";               // exporters leave it so
  return first;
}
}  // namespace

Ref<nn::GraphModule> with_preprocessing(nn::Module& model, const utils::vision::Transform& transforms, const Spec& input) {
  constexpr const char* op = "with_preprocessing";
  if (input.shape.rank != 4) throw Error(ErrorKind::value, op, "an input_shape of (height, width, channels) or (n, height, width, channels)", input.shape.text());
  double range = input.dtype == DType::u8 ? 255 : input.dtype == DType::u16 ? 65535 : input.dtype == DType::f32 ? 1 : 0;
  if (range == 0) throw Error(ErrorKind::type, op, "an input_dtype of uint8, uint16 or float32", std::string(name_of(input.dtype)));
  Graph front = trace({input}, [&](const std::vector<Tensor>& in) {
    LayerScope scope("preprocessing");
    Tensor x = permute(input.dtype == DType::f32 ? in[0] : cast(in[0], DType::f32), {0, 3, 1, 2});
    utils::vision::Pictures p = transforms.on_pictures({x, range, range != 1, range == 1});
    if (!p.scaled) throw Error(ErrorKind::value, op, "ToTensor or Normalize among the transforms", transforms.text(), "the model takes floats");
    return std::vector<Tensor>{p.range == 1 ? p.x : p.x * (1 / p.range)};
  }, {{}, {"image"}});
  Graph back = own_copy(bound_graph(op, model, front.specs(front.outputs)));
  if (back.inputs.size() != 1) throw Error(ErrorKind::value, op, "a model with one input", std::to_string(back.inputs.size()) + " inputs");
  Graph whole = joined(std::move(front), back);
  verify(whole);
  auto module = make<nn::GraphModule>(std::move(whole));
  module->eval();
  return module;
}

}  // namespace miniten::edge
