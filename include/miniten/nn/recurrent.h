#pragma once
#include "miniten/nn/module.h"
#include "miniten/ops/attrs.h"

namespace miniten::nn {

// One step. x (N, input) or (input,); state h, for the LSTM h and c, of (N, hidden); none: zeros. Gives the new h (and
// c). Gates in torch's order: i, f, g, o and r, z, n; h = (1 - z) * n + z * h.
class RecurrentCell : public Module {
 public:
  RecurrentCell(CellKind, const char* name, int64_t input_size, int64_t hidden_size, bool bias = true);
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  std::string type_name() const override { return name_; }
  std::string extra_repr() const override;
  bool takes_options() const override { return true; }
  int64_t input_size, hidden_size;
  CellKind kind;

 private:
  const char* name_;
};
struct RNNCell : RecurrentCell { RNNCell(int64_t in, int64_t hidden, bool bias = true, bool relu = false) : RecurrentCell(relu ? CellKind::relu : CellKind::tanh, "RNNCell", in, hidden, bias) {} };
struct LSTMCell : RecurrentCell { LSTMCell(int64_t in, int64_t hidden, bool bias = true) : RecurrentCell(CellKind::lstm, "LSTMCell", in, hidden, bias) {} };
struct GRUCell : RecurrentCell { GRUCell(int64_t in, int64_t hidden, bool bias = true) : RecurrentCell(CellKind::gru, "GRUCell", in, hidden, bias) {} };

struct RecurrentOptions {
  int64_t num_layers = 1;
  bool bias = true, batch_first = false;
  double dropout = 0;                      // between layers, in training
  bool bidirectional = false;
};
// Layers of cells over a sequence; weights under torch's names (weight_ih_l0, .., bias_hh_l1_reverse).
class Recurrent : public Module {
 public:
  Recurrent(CellKind, const char* name, int64_t input_size, int64_t hidden_size, const RecurrentOptions&);
  // (x, [h0, [c0]]) -> output, h (and c). x (T, N, input), batch_first (N, T, input), or without a batch (T, input); states
  // (layers * directions, N, hidden).
  std::vector<Tensor> forward(const std::vector<Tensor>&) override;
  // The same with a length for each sequence, in any order: later steps neither count nor move states, outputs there are 0.
  std::vector<Tensor> run(const Tensor& x, const std::vector<Tensor>& states, const std::vector<int64_t>& lengths);
  // One step of a stream: x (N, input) and the states of the step before -> output (N, hidden), states. One direction only.
  std::vector<Tensor> step(const Tensor& x, const std::vector<Tensor>& states);
  std::string type_name() const override { return name_; }
  std::string extra_repr() const override;
  bool takes_options() const override { return true; }
  int64_t input_size, hidden_size;
  RecurrentOptions options;
  CellKind kind;

 private:
  struct Weights { Tensor w_ih, w_hh, b_ih, b_hh; };
  Weights weights(int64_t layer, bool reverse) const;
  std::vector<Tensor> initial(const std::vector<Tensor>& given, int64_t batch, const Tensor& like) const;
  const char* name_;
};
struct RNN : Recurrent { RNN(int64_t in, int64_t hidden, const RecurrentOptions& o = {}, bool relu = false) : Recurrent(relu ? CellKind::relu : CellKind::tanh, "RNN", in, hidden, o) {} };
struct LSTM : Recurrent { LSTM(int64_t in, int64_t hidden, const RecurrentOptions& o = {}) : Recurrent(CellKind::lstm, "LSTM", in, hidden, o) {} };
struct GRU : Recurrent { GRU(int64_t in, int64_t hidden, const RecurrentOptions& o = {}) : Recurrent(CellKind::gru, "GRU", in, hidden, o) {} };

}  // namespace miniten::nn
