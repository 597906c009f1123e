#pragma once
#include <limits>
#include "miniten/core/attrs.h"

namespace miniten {

enum class CellKind : uint8_t { tanh, relu, lstm, gru };

inline constexpr float infinity = std::numeric_limits<float>::infinity();

// A result cut to [lo, hi]: relu is [0, inf), relu6 [0, 6].
struct ClampAttrs     { float lo = -infinity, hi = infinity;     void fields(auto f) { f("lo", lo); f("hi", hi); } };
struct AlphaAttrs     { double alpha = 1;                        void fields(auto f) { f("alpha", alpha); } };
struct ReduceAttrs    { Axes axes;                               void fields(auto f) { f("axes", axes); } };
struct AxisAttrs      { int64_t axis = 0;                        void fields(auto f) { f("axis", axis); } };
struct GatherAttrs    { int64_t axis = 0, frozen = -1;           // frozen: the row whose gradient is 0; -1: none
                        void fields(auto f) { f("axis", axis); f("frozen", frozen); } };
struct ShapeAttrs     { Shape shape;                             void fields(auto f) { f("shape", shape); } };
struct PermuteAttrs   { Axes order;                              void fields(auto f) { f("order", order); } };
struct CastAttrs      { DType dtype = DType::f32;                void fields(auto f) { f("dtype", dtype); } };
struct SliceAttrs     { Dims start, stop, step;                  // one per axis, normalised: 0 <= start, step != 0
                        void fields(auto f) { f("start", start); f("stop", stop); f("step", step); } };
struct PadAttrs       { Dims before, after; double value = 0;    void fields(auto f) { f("before", before); f("after", after); f("value", value); } };
struct Conv2dAttrs    { Dims stride{1, 1}, padding{0, 0, 0, 0}, dilation{1, 1};   // padding: top, left, bottom, right
                        int64_t groups = 1;
                        Shape extent;                            // H, W of the operand that is computed (gradients)
                        float lo = -infinity, hi = infinity;
                        void fields(auto f) { f("stride", stride); f("padding", padding); f("dilation", dilation); f("groups", groups);
                                              f("extent", extent); f("lo", lo); f("hi", hi); } };
struct Pool2dAttrs    { Dims kernel{1, 1}, stride{1, 1}, padding{0, 0, 0, 0}, dilation{1, 1};
                        bool ceil_mode = false, count_include_pad = true;
                        Shape extent;
                        void fields(auto f) { f("kernel", kernel); f("stride", stride); f("padding", padding); f("dilation", dilation);
                                              f("ceil_mode", ceil_mode); f("count_include_pad", count_include_pad); f("extent", extent); } };
struct BatchNormAttrs { double eps = 1e-5, momentum = 0.1;       // momentum: of training, what the running statistics take from a batch
                        void fields(auto f) { f("eps", eps); f("momentum", momentum); } };
struct RecurrentAttrs { std::string cell = "lstm";               // lstm, gru, tanh, relu
                        bool bias = false, state = false, lengths = false;      // which inputs there are
                        bool reverse = false;                    // from the last step to the first
                        bool onnx_gates = false;                 // i, o, f, g and z, r, n; else torch's i, f, g, o and r, z, n
                        bool save = false;                       // also what the gradient needs
                        void fields(auto f) { f("cell", cell); f("bias", bias); f("state", state); f("lengths", lengths); f("reverse", reverse);
                                              f("onnx_gates", onnx_gates); f("save", save); } };
struct ScatterAttrs   { int64_t axis = 0; std::string reduction = "none";    // none (the last of equals stays), add, mul, max, min
                        void fields(auto f) { f("axis", axis); f("reduction", reduction); } };
struct SortAttrs      { int64_t axis = 0; bool descending = false; int64_t k = -1;     // k: the first k only, -1: all
                        void fields(auto f) { f("axis", axis); f("descending", descending); f("k", k); } };
struct ScanAttrs      { int64_t axis = 0; bool exclusive = false, reverse = false;
                        void fields(auto f) { f("axis", axis); f("exclusive", exclusive); f("reverse", reverse); } };
struct SizeAttrs      { int64_t size = 0;                        void fields(auto f) { f("size", size); } };
struct RandomAttrs    { Shape shape; int64_t stream = 0;         void fields(auto f) { f("shape", shape); f("stream", stream); } };
struct AdamAttrs      { float beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0; bool decoupled = false;
                        void fields(auto f) { f("beta1", beta1); f("beta2", beta2); f("eps", eps); f("weight_decay", weight_decay);
                                              f("decoupled", decoupled); } };
struct SgdAttrs       { float momentum = 0, dampening = 0, weight_decay = 0; bool nesterov = false;
                        void fields(auto f) { f("momentum", momentum); f("dampening", dampening); f("weight_decay", weight_decay);
                                              f("nesterov", nesterov); } };

// Integer arithmetic, see docs/quantisation: y = clamp(round(float(acc) * (x_scale * w_scale / y_scale)) + y_zero, lo, hi).
struct QuantizeAttrs  { DType dtype = DType::i8; int64_t axis = -1;      // axis: of scale and zero, -1: one for all
                        void fields(auto f) { f("dtype", dtype); f("axis", axis); } };
struct RequantizeAttrs{ int64_t axis = -1, zero = 0, lo = -128, hi = 127;    // axis: of multiplier and shift
                        DType dtype = DType::i8;
                        bool once = false;                                // one rounding; else the product is rounded, then the shift
                        void fields(auto f) { f("axis", axis); f("zero", zero); f("lo", lo); f("hi", hi); f("dtype", dtype); f("once", once); } };
// LiteRT's integers: y = clamp(sum * multiplier * 2^(shift - 31) + y_zero, lo, hi), by multiplier and shift as inputs.
struct ExactConv2dAttrs { Dims stride{1, 1}, padding{0, 0, 0, 0}, dilation{1, 1};
                        int64_t groups = 1;
                        Shape extent;                                     // H, W of the output where it is the operand that is spread
                        int64_t x_zero = 0, w_zero = 0, y_zero = 0, lo = -128, hi = 127;
                        DType dtype = DType::i8;
                        void fields(auto f) { f("stride", stride); f("padding", padding); f("dilation", dilation); f("groups", groups); f("extent", extent);
                                              f("x_zero", x_zero); f("w_zero", w_zero); f("y_zero", y_zero); f("lo", lo); f("hi", hi); f("dtype", dtype); } };
struct ExactMatmulAttrs { int64_t a_zero = 0, b_zero = 0, y_zero = 0, lo = -128, hi = 127;
                        DType dtype = DType::i8;
                        bool once = false;                                // as of RequantizeAttrs
                        void fields(auto f) { f("a_zero", a_zero); f("b_zero", b_zero); f("y_zero", y_zero); f("lo", lo); f("hi", hi); f("dtype", dtype); f("once", once); } };
struct ExactPairAttrs { std::string function = "add";                     // add, sub, mul, prelu
                        int64_t a_zero = 0, b_zero = 0, y_zero = 0, lo = -128, hi = 127;
                        DType dtype = DType::i8;
                        void fields(auto f) { f("function", function); f("a_zero", a_zero); f("b_zero", b_zero); f("y_zero", y_zero); f("lo", lo); f("hi", hi); f("dtype", dtype); } };
struct ExactAvgPool2dAttrs { Dims kernel{1, 1}, stride{1, 1}, padding{0, 0, 0, 0};
                        int64_t lo = -128, hi = 127;
                        void fields(auto f) { f("kernel", kernel); f("stride", stride); f("padding", padding); f("lo", lo); f("hi", hi); } };
struct ExactScaleAttrs { float scale = 1;                                 // of the output
                        int64_t zero = 0, lo = -128, hi = 127;
                        DType dtype = DType::i8;
                        void fields(auto f) { f("scale", scale); f("zero", zero); f("lo", lo); f("hi", hi); f("dtype", dtype); } };
struct FakeQuantizeAttrs { int64_t lo = -128, hi = 127, axis = -1;
                        void fields(auto f) { f("lo", lo); f("hi", hi); f("axis", axis); } };
struct DynamicQuantizeAttrs { DType dtype = DType::u8;                 // or int16, with zero point 0
                        void fields(auto f) { f("dtype", dtype); } };
struct QConv2dAttrs   { Dims stride{1, 1}, padding{0, 0, 0, 0}, dilation{1, 1};
                        int64_t groups = 1;
                        float x_scale = 1, y_scale = 1;
                        int64_t x_zero = 0, y_zero = 0, lo = -128, hi = 127;
                        DType dtype = DType::i8;                          // of the output
                        void fields(auto f) { f("stride", stride); f("padding", padding); f("dilation", dilation); f("groups", groups);
                                              f("x_scale", x_scale); f("x_zero", x_zero); f("y_scale", y_scale); f("y_zero", y_zero);
                                              f("lo", lo); f("hi", hi); f("dtype", dtype); } };
struct QMatmulAttrs   { float x_scale = 1, y_scale = 1;
                        int64_t x_zero = 0, y_zero = 0, lo = -128, hi = 127;
                        DType dtype = DType::i8;
                        void fields(auto f) { f("x_scale", x_scale); f("x_zero", x_zero); f("y_scale", y_scale); f("y_zero", y_zero);
                                              f("lo", lo); f("hi", hi); f("dtype", dtype); } };
struct QAddAttrs      {                                                 // of sums, differences and products of a and b
                        float a_scale = 1, b_scale = 1, y_scale = 1;
                        int64_t a_zero = 0, b_zero = 0, y_zero = 0, lo = -128, hi = 127;
                        void fields(auto f) { f("a_scale", a_scale); f("a_zero", a_zero); f("b_scale", b_scale); f("b_zero", b_zero);
                                              f("y_scale", y_scale); f("y_zero", y_zero); f("lo", lo); f("hi", hi); } };
struct QTableAttrs    { float x_scale = 1, y_scale = 1;
                        int64_t x_zero = 0, y_zero = 0;
                        std::string function;                             // what the table holds, for readers
                        void fields(auto f) { f("x_scale", x_scale); f("x_zero", x_zero); f("y_scale", y_scale); f("y_zero", y_zero);
                                              f("function", function); } };
struct QSoftmaxAttrs  { float x_scale = 1, y_scale = 1;
                        int64_t y_zero = 0;
                        void fields(auto f) { f("x_scale", x_scale); f("y_scale", y_scale); f("y_zero", y_zero); } };
struct MatmulBlocksAttrs { int64_t block = 32;                            // weights along K that share a scale
                        float lo = -infinity, hi = infinity;
                        void fields(auto f) { f("block", block); f("lo", lo); f("hi", hi); } };
struct QAvgPool2dAttrs{ Dims kernel{1, 1}, stride{1, 1}, padding{0, 0, 0, 0};
                        bool ceil_mode = false, count_include_pad = true;
                        float x_scale = 1, y_scale = 1;
                        int64_t x_zero = 0, y_zero = 0;
                        void fields(auto f) { f("kernel", kernel); f("stride", stride); f("padding", padding); f("ceil_mode", ceil_mode);
                                              f("count_include_pad", count_include_pad); f("x_scale", x_scale); f("x_zero", x_zero);
                                              f("y_scale", y_scale); f("y_zero", y_zero); } };

}  // namespace miniten
