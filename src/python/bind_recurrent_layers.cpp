#include "miniten/nn/recurrent.h"
#include "python/layer_binding.h"

namespace miniten::python {

using namespace nb::literals;

std::vector<Tensor> states_of(const char* layer, nb::handle h) {
  std::vector<Tensor> out;
  if (h.is_none()) return out;
  if (nb::isinstance<nb::tuple>(h) || nb::isinstance<nb::list>(h)) for (nb::handle s : nb::list(h)) out.push_back(to_tensor(layer, s));
  else out.push_back(to_tensor(layer, h));
  return out;
}
nb::object state_object(const std::vector<Tensor>& out, size_t first) {
  return out.size() == first + 1 ? nb::cast(out[first]) : nb::object(nb::make_tuple(out[first], out[first + 1]));
}

namespace {

nn::RecurrentOptions options(int64_t layers, bool bias, bool batch_first, double dropout, bool bidirectional) { return {layers, bias, batch_first, dropout, bidirectional}; }

template <class M> void sequence(auto& c, const char* name) {
  c.def("forward", [name](M& self, ArrayLike x, nb::object hx, nb::object lengths) {
      std::vector<int64_t> each;
      if (!lengths.is_none()) {
        Tensor t = to_tensor(name, lengths);
        if (!is_integer(t.dtype()) || t.rank() != 1) throw Error(ErrorKind::type, name, "integer lengths (N,)", t.spec().text());
        each = cast(t, DType::i64).to_vector<int64_t>();
        if (each.empty()) throw Error(ErrorKind::value, name, "a length for each sequence", "none");
      }
      auto out = self.run(x.tensor(name), states_of(name, hx), each);
      return nb::make_tuple(out[0], state_object(out, 1));
    }, "input"_a, "hx"_a = nb::none(), nb::kw_only(), "lengths"_a = nb::none(), nb::sig("def forward(self, input: Tensor | numpy.typing.ArrayLike, hx: typing.Any = None, *, lengths: typing.Any = None) -> tuple[Tensor, typing.Any]"),
    "-> output, state. lengths: of each sequence, in any order; outputs beyond are 0 and states stand.");
  c.def("step", [name](M& self, ArrayLike x, nb::object state) {
      auto out = self.step(x.tensor(name), states_of(name, state));
      return nb::make_tuple(out[0], state_object(out, 1));
    }, "x"_a, "state"_a = nb::none(), nb::sig("def step(self, x: Tensor | numpy.typing.ArrayLike, state: typing.Any = None) -> tuple[Tensor, typing.Any]"),
    "One step of a stream: x (N, input_size) and the state of the step before -> output (N, hidden_size), state.");
  c.def_prop_ro("input_size", [](const M& l) { return l.input_size; });
  c.def_prop_ro("hidden_size", [](const M& l) { return l.hidden_size; });
  c.def_prop_ro("num_layers", [](const M& l) { return l.options.num_layers; });
  c.def_prop_ro("batch_first", [](const M& l) { return l.options.batch_first; });
  c.def_prop_ro("bidirectional", [](const M& l) { return l.options.bidirectional; });
}
template <class M> void one_step(auto& c, const char* name) {
  c.def("forward", [name](M& self, ArrayLike x, nb::object hx) {
      std::vector<Tensor> in{x.tensor(name)};
      for (Tensor& s : states_of(name, hx)) in.push_back(s);
      return state_object(self.M::forward(in), 0);
    }, "input"_a, "hx"_a = nb::none(), nb::sig("def forward(self, input: Tensor | numpy.typing.ArrayLike, hx: typing.Any = None) -> typing.Any"));
  c.def_prop_ro("input_size", [](const M& l) { return l.input_size; });
  c.def_prop_ro("hidden_size", [](const M& l) { return l.hidden_size; });
}
bool is_relu(const char* name, std::string_view f) {
  if (f != "tanh" && f != "relu") throw Error(ErrorKind::value, name, "nonlinearity 'tanh' or 'relu'", "'" + std::string(f) + "'");
  return f == "relu";
}

}  // namespace

#define LAYERS "num_layers"_a = 1, "bias"_a = true, "batch_first"_a = false, "dropout"_a = 0.0, "bidirectional"_a = false

void bind_recurrent_layers(nb::module_& m) {
  auto rnn = layer_with_own_forward<nn::RNN>(m, "RNN", "h = tanh(W_ih x + b_ih + W_hh h + b_hh), layers of them over (T, N, input_size).");
  rnn.def("__init__", [](nb::pointer_and_handle<nn::RNN> at, int64_t in, int64_t hidden, int64_t layers, bool bias, bool batch_first, double dropout, bool both, std::string_view f) {
      construct(at, in, hidden, options(layers, bias, batch_first, dropout, both), is_relu("RNN", f));
    }, "input_size"_a, "hidden_size"_a, LAYERS, nb::kw_only(), "nonlinearity"_a = "tanh");
  sequence<nn::RNN>(rnn, "RNN");
  auto lstm = layer_with_own_forward<nn::LSTM>(m, "LSTM", "Hochreiter and Schmidhuber 1997; gates i, f, g, o. -> output, (h, c).");
  lstm.def("__init__", [](nb::pointer_and_handle<nn::LSTM> at, int64_t in, int64_t hidden, int64_t layers, bool bias, bool batch_first, double dropout, bool both) {
      construct(at, in, hidden, options(layers, bias, batch_first, dropout, both));
    }, "input_size"_a, "hidden_size"_a, LAYERS);
  sequence<nn::LSTM>(lstm, "LSTM");
  auto gru = layer_with_own_forward<nn::GRU>(m, "GRU", "Cho et al. 2014; gates r, z, n; h = (1 - z) n + z h. -> output, h.");
  gru.def("__init__", [](nb::pointer_and_handle<nn::GRU> at, int64_t in, int64_t hidden, int64_t layers, bool bias, bool batch_first, double dropout, bool both) {
      construct(at, in, hidden, options(layers, bias, batch_first, dropout, both));
    }, "input_size"_a, "hidden_size"_a, LAYERS);
  sequence<nn::GRU>(gru, "GRU");

  auto rnn_cell = layer_with_own_forward<nn::RNNCell>(m, "RNNCell", "One step: x (N, input_size), h (N, hidden_size) -> h.");
  rnn_cell.def("__init__", [](nb::pointer_and_handle<nn::RNNCell> at, int64_t in, int64_t hidden, bool bias, std::string_view f) { construct(at, in, hidden, bias, is_relu("RNNCell", f)); },
               "input_size"_a, "hidden_size"_a, "bias"_a = true, "nonlinearity"_a = "tanh");
  one_step<nn::RNNCell>(rnn_cell, "RNNCell");
  auto lstm_cell = layer_with_own_forward<nn::LSTMCell>(m, "LSTMCell", "One step: x (N, input_size), (h, c) -> (h, c).");
  lstm_cell.def("__init__", [](nb::pointer_and_handle<nn::LSTMCell> at, int64_t in, int64_t hidden, bool bias) { construct(at, in, hidden, bias); }, "input_size"_a, "hidden_size"_a, "bias"_a = true);
  one_step<nn::LSTMCell>(lstm_cell, "LSTMCell");
  auto gru_cell = layer_with_own_forward<nn::GRUCell>(m, "GRUCell", "One step: x (N, input_size), h (N, hidden_size) -> h.");
  gru_cell.def("__init__", [](nb::pointer_and_handle<nn::GRUCell> at, int64_t in, int64_t hidden, bool bias) { construct(at, in, hidden, bias); }, "input_size"_a, "hidden_size"_a, "bias"_a = true);
  one_step<nn::GRUCell>(gru_cell, "GRUCell");
}

}  // namespace miniten::python
