// A graph convolution tells the two halves of a karate club apart from one known member each (Zachary 1977).
//
//   karate_club [data folder]      by default examples/data
//
// The Python twin is examples/python/karate_club.py. Ends with 1 where fewer than 90 % of the other 32 members are told right.
#include <miniten/miniten.h>
#include <cstdio>

using namespace miniten;

namespace {

class Net : public nn::Module {
 public:
  explicit Net(int64_t nodes) {
    add("first", make<nn::GraphConv>(nodes, 16, true, true, nn::GraphNorm::sym));
    add("second", make<nn::GraphConv>(16, 2, true, true, nn::GraphNorm::sym));
  }
  std::vector<Tensor> forward(const std::vector<Tensor>& in) override {          // features, dense adjacency
    Tensor hidden = relu((*child("first"))({in[0], in[1]})[0]);
    return (*child("second"))({hidden, in[1]});
  }
  std::string type_name() const override { return "Net"; }
};

Tensor adjacency_of(const Tensor& edges, int64_t nodes) {                        // (2, E)
  std::vector<int64_t> ends = edges.to_vector<int64_t>();
  const size_t count = ends.size() / 2;
  std::vector<float> matrix(size_t(nodes * nodes), 0.0f);
  for (size_t i = 0; i < count; ++i)
    matrix[size_t(ends[i] * nodes + ends[count + i])] = matrix[size_t(ends[count + i] * nodes + ends[i])] = 1;
  return Tensor::of<float>({nodes, nodes}, matrix);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "examples/data";
  const int64_t nodes = 34;
  manual_seed(0);
  Tensor clubs = cast(utils::data::load_npy(folder + "/karate_clubs.npy"), DType::i64);
  Tensor adjacency = adjacency_of(cast(utils::data::load_npy(folder + "/karate_edges.npy"), DType::i64), nodes);
  Tensor nobody = one_hot(Tensor::of<int64_t>({nodes}, [&] { std::vector<int64_t> all; for (int64_t i = 0; i < nodes; ++i) all.push_back(i); return all; }()), nodes);
  Tensor leaders = Tensor::of<int64_t>({2}, std::vector<int64_t>{0, nodes - 1});

  auto net = make<Net>(nodes);
  auto optimizer = make<optim::Adam>(net->parameters(), optim::Adam::Options{.lr = 0.01, .weight_decay = 5e-4});
  for (int step = 0; step < 200; ++step) {
    optimizer->zero_grad();
    Tensor told = (*net)({nobody, adjacency})[0];
    backward(cross_entropy(gather(told, leaders), gather(clubs, leaders)));
    optimizer->step();
  }
  NoGrad no_grad;
  double right = sum(equal(argmax((*net)({nobody, adjacency})[0], 1), clubs)).item() - 2;   // the leaders were given
  std::printf("%.0f of the other %lld members told right, at least 90 %% wanted\n", right, static_cast<long long>(nodes - 2));
  return right >= 0.9 * double(nodes - 2) ? 0 : 1;
}
