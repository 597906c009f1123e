#include "ops/recurrent.h"
#include "ops/c/windows.h"
#include "ops/c_rules.h"

namespace miniten::c {

namespace {

// Gate rows in the order that the C code reads: i, f, g, o and r, z, n.
std::vector<float> ordered(const Tensor& w, const RecurrentAttrs& at) {
  std::vector<float> from = w.to_vector<float>(), to;
  if (!at.onnx_gates || recurrent_gates(cell_of(at)) == 1) return from;
  std::vector<int> order = cell_of(at) == CellKind::lstm ? std::vector{0, 2, 3, 1} : std::vector{1, 0, 2};
  size_t block = from.size() / order.size();
  for (int k : order) to.insert(to.end(), from.begin() + std::ptrdiff_t(size_t(k) * block), from.begin() + std::ptrdiff_t(size_t(k + 1) * block));
  return to;
}

struct Cell {
  const char *name, *gates, *update;
  int scratch;                                           // blocks of n numbers
};
constexpr Cell cells[] = {
    {"rnn_tanh_f32", "", "      for (int32_t j = 0; j < n; ++j) out[j] = state[j] = tanhf(gates[j]);\n", 1},
    {"rnn_relu_f32", "", "      for (int32_t j = 0; j < n; ++j) out[j] = state[j] = gates[j] > 0.0f ? gates[j] : 0.0f;\n", 1},
    {"lstm_f32", "/* Gates: input, forget, candidate, output. */\n", R"(      for (int32_t j = 0; j < n; ++j) {
        const float i = 1.0f / (1.0f + expf(-gates[j])), f = 1.0f / (1.0f + expf(-gates[n + j]));
        const float g = tanhf(gates[2 * n + j]), o = 1.0f / (1.0f + expf(-gates[3 * n + j]));
        cell[j] = f * cell[j] + i * g;
        out[j] = state[j] = o * tanhf(cell[j]);
      }
)", 4},
    {"gru_f32", "/* Gates: reset, update, candidate; those of the input, then those of the state. */\n", R"(      for (int32_t j = 0; j < n; ++j) {
        const float *const own = gates + 3 * n;
        const float r = 1.0f / (1.0f + expf(-(gates[j] + own[j]))), z = 1.0f / (1.0f + expf(-(gates[n + j] + own[n + j])));
        const float g = tanhf(gates[2 * n + j] + r * own[2 * n + j]);
        out[j] = state[j] = g + z * (state[j] - g);
      }
)", 6}};
const Cell& cell_in_c(const Call& c) { return cells[size_t(cell_of(c.as<RecurrentAttrs>()))]; }

// The forms of the weights of input and state.
struct Forms {
  WeightForm input, hidden;
  std::string suffix() const { return input.packed() || hidden.packed() ? (input.packed() ? input.suffix() : "_dense") + (hidden == input ? "" : hidden.packed() ? hidden.suffix() : "_dense") : ""; }
};
std::string define_cell(CWriter& w, const Cell& cell, CellKind kind, int gates, const Forms& forms) {
  w.include("math.h");
  std::string input = define_dense(w, forms.input), hidden = define_dense(w, forms.hidden), type = "struct recurrent" + forms.suffix(), name = cell.name + forms.suffix();
  w.define(type, type + R"( {
  int32_t steps, batch, inputs, hidden, reverse;
  const )" + forms.input.type(DType::f32) + " *input_weight;\n  const " + forms.hidden.type(DType::f32) + R"( *hidden_weight;
  const float *input_bias, *hidden_bias; /* without hidden_bias the gates add up */
};
)");
  bool lstm = kind == CellKind::lstm, apart = kind == CellKind::gru;
  std::string to = apart ? "gates + 3 * n" : "gates", add = apart ? "r->hidden_bias" : "gates";
  w.define(name, std::string(cell.gates) + "static void " + name + "(const " + type + " *r, const float *x, const int64_t *lengths, const float *h0, " + (lstm ? "const float *c0, " : "") +
      "float *y, float *h,\n    " + (lstm ? "float *c, " : "") + R"(float *gates) {
  const int32_t n = r->hidden;
  for (int32_t b = 0; b < r->batch; ++b) {
    float *const state = h + b * n)" + (lstm ? ", *const cell = c + b * n" : "") + R"(;
    for (int32_t j = 0; j < n; ++j) state[j] = h0 ? h0[b * n + j] : 0.0f;
)" + (lstm ? "    for (int32_t j = 0; j < n; ++j) cell[j] = c0 ? c0[b * n + j] : 0.0f;\n" : "") + R"(    for (int32_t i = 0; i < r->steps; ++i) {
      const int32_t t = r->reverse ? r->steps - 1 - i : i, row = t * r->batch + b;
      float *const out = y + row * n;
      if (lengths && t >= lengths[b]) {
        for (int32_t j = 0; j < n; ++j) out[j] = 0.0f;
        continue;
      }
      )" + input + R"((x + row * r->inputs, r->input_weight, r->input_bias, gates, r->inputs, )" + text(gates) + R"( * n, -INFINITY, INFINITY);
      )" + hidden + R"((state, r->hidden_weight, )" + add + ", " + to + ", n, " + text(gates) + R"( * n, -INFINITY, INFINITY);
)" + cell.update + "    }\n  }\n}\n");
  return name;
}

}  // namespace

const CRules recurrent{
    [](CWriter& w, const CCall& c) {
      const auto& at = c.call.as<RecurrentAttrs>();
      RecurrentInputs in(at);
      if (c.in[0].spec.dtype != DType::f32) c.refuse("float32", c.in[0].spec.text(), "export a float32 or a quantised model");
      const Shape &x = c.in[0].spec.shape, &hh = c.in[size_t(in.w_hh)].spec.shape;
      CellKind kind = cell_of(at);
      const int64_t rows = hh[0], hidden = hh[1], inputs = x[2];
      bool apart = kind == CellKind::gru;
      const std::vector<float> w_ih = ordered(weight_of(c, in.w_ih), at), w_hh = ordered(weight_of(c, in.w_hh), at);
      const Forms forms{choose_form(w_ih, rows, inputs, DType::f32), choose_form(w_hh, rows, hidden, DType::f32)};
      std::vector<float> from_x(size_t(rows), 0.0f), from_h = from_x;
      if (at.bias) {
        from_x = ordered(weight_of(c, in.b_ih), at);
        from_h = ordered(weight_of(c, in.b_hh), at);
      }
      for (int64_t i = 0; i < rows && !apart; ++i) from_x[size_t(i)] += from_h[size_t(i)];
      std::string f = define_cell(w, cell_in_c(c.call), kind, recurrent_gates(kind), forms);
      std::string record = w.record("struct recurrent" + forms.suffix(), "cell", join({{"steps", x[0]}, {"batch", x[1]}, {"inputs", inputs}, {"hidden", hidden}, {"reverse", int(at.reverse)}, "\n  ",
          {"input_weight", store_dense(w, forms.input, w_ih, rows, inputs, "input_weight")}, {"input_bias", w.constant(Tensor::of<float>({rows}, from_x), "input_bias")}, "\n  ",
          {"hidden_weight", store_dense(w, forms.hidden, w_hh, rows, hidden, "hidden_weight")}, {"hidden_bias", apart ? w.constant(Tensor::of<float>({rows}, from_h), "hidden_bias") : "0"}}));
      auto given = [&](int i) { return i < 0 ? std::string("0") : w.pointer(c.in[size_t(i)]); };
      std::string from = w.pointer(c.in[0]), h0 = given(in.h0), y = w.pointer(c.out[0]), h = w.pointer(c.out[1]);
      if (kind == CellKind::lstm) {
        h0 += ", " + given(in.c0);
        h += ", " + w.pointer(c.out[2]);
      }
      w.line(call(f, {record, from, given(in.lengths), h0, y, h, w.scratch("float")}));
    },
    [](const Call& c) { return uint64_t(cell_in_c(c).scratch * c.in[2].shape[1]) * sizeof(float); },
    [](const CCall& c) {
      RecurrentAttrs at = c.call.as<RecurrentAttrs>();
      RecurrentInputs in(at);
      CStream s;
      if (at.reverse) c.refuse("one direction for a stream", "a layer that begins at the end", "export it without streaming");
      if (at.lengths) c.refuse("steps that all count for a stream", "lengths", "export it without streaming");
      for (int i : {in.h0, in.c0}) if (i >= 0 && !c.call.value(i)) return s;
      const int states = at.cell == "lstm" ? 2 : 1;
      for (int i = 0; i < (at.bias ? 5 : 3); ++i) s.in.push_back(i);
      for (int k = 0; k < states; ++k) {
        int i = k ? in.c0 : in.h0;
        s.in.push_back(~k);
        s.carried.push_back({1 + k, i >= 0 ? c.call.value(i)->clone() : Tensor::zeros(c.call.out[size_t(1 + k)].shape)});
      }
      at.state = true;
      at.save = false;
      s.attrs = std::make_shared<RecurrentAttrs>(at);
      return s;
    }};

}  // namespace miniten::c
