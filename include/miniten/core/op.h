#pragma once
#include <algorithm>
#include <initializer_list>
#include <optional>
#include <span>
#include "miniten/core/attrs.h"
#include "miniten/core/tensor.h"

namespace miniten {

// One record per op. Generic code reads these slots, never op names.

// A rule that only training, passes, conversions and tests ask for. Builds for inference alone keep none of them, so the
// linker drops what they name (cmake/inference.cmake).
template <class F>
struct NoRule {
  constexpr NoRule() = default;
  template <class T> constexpr NoRule(T&&) {}
  constexpr operator F() const { return nullptr; }
};
#ifdef MINITEN_INFERENCE
template <class F> using Rule = NoRule<F>;
#else
template <class F> using Rule = F;
#endif
// What tests alone ask for, which the package for Python leaves out.
#ifdef MINITEN_NO_SAMPLES
template <class F> using TestRule = NoRule<F>;
#else
template <class F> using TestRule = Rule<F>;
#endif

// At most N, never on the heap; elements are made when pushed.
template <class T, int N = 8>
struct Few {
  int n = 0;
  T at[N];
  void push(T v) {
    if (n == N) throw Error(ErrorKind::unsupported, "op", "at most " + std::to_string(N) + " values", "more");
    at[n++] = std::move(v);
  }
  std::span<const T> span() const { return {at, size_t(n)}; }
  std::span<T> span() { return {at, size_t(n)}; }
};
template <class T, int N> requires(std::is_trivially_destructible_v<T> && sizeof(T) > 64)
struct Few<T, N> {
  int n = 0;
  union { T at[N]; };
  Few() {}
  void push(const T& v) {
    if (n == N) throw Error(ErrorKind::unsupported, "op", "at most " + std::to_string(N) + " values", "more");
    new (&at[n++]) T(v);
  }
  std::span<const T> span() const { return {at, size_t(n)}; }
  std::span<T> span() { return {at, size_t(n)}; }
};
inline constexpr int max_inputs = 32, max_outputs = 8;
using Specs = Few<Spec, max_outputs>;

struct Input {                               // borrows
  const Tensor* tensor;
  Input(const Tensor& t) : tensor(&t) {}
};

// What infer, work, cost and the like are told of one application.
struct Call {
  const OpDef& op;
  const void* attrs;
  std::span<const Spec> in, out;             // out is empty inside infer
  std::span<const Input> known = {};         // infer: the inputs themselves, where there are any; may lack data
  bool prepared = false;                     // work: eval will be given what prepare wrote
  bool exact = true;                         // work, prepare: what Context says
  int workers = 1;                           // work: threads that will share it; only cuts that change no bit may follow it
  template <class A> const A& as() const { return *static_cast<const A*>(attrs); }
  const Tensor* value(int i) const {         // input i if its values can be read already, else null
    return size_t(i) < known.size() && known[size_t(i)].tensor->has_data() ? known[size_t(i)].tensor : nullptr;
  }
  [[noreturn]] void fail(std::string want, std::string got, std::string hint = "", ErrorKind = ErrorKind::value) const;
};

// How much work eval has, by shape alone: so results do not depend on the number of threads (see Call::workers).
struct Work {
  int pieces = 1;                            // of every phase
  uint64_t scratch = 0;                      // bytes for each worker
  uint64_t shared = 0;                       // bytes for all pieces together
  int phases = 1;                            // a barrier lies between phases
};

struct Context {
  const OpDef& op;
  const void* attrs;
  std::span<const View> in, out;
  int piece = 0, pieces = 1, phase = 0, phases = 1;
  std::byte *scratch = nullptr, *shared = nullptr;
  const std::byte* prepared = nullptr;
  bool exact = true;                         // refuse algorithms that round differently (Winograd)
  template <class A> const A& as() const { return *static_cast<const A*>(attrs); }
  std::pair<int64_t, int64_t> slice(int64_t n, int64_t grain = 1) const {
    int64_t blocks = (n + grain - 1) / grain;
    return {std::min(n, blocks * piece / pieces * grain), std::min(n, blocks * (piece + 1) / pieces * grain)};
  }
};

struct Vjp {
  const OpDef& op;
  const void* attrs;
  std::span<const Tensor> in, out, grad;     // what Keep does not name is a spec without data; grad may be null tensors
  std::span<Tensor> result;
  template <class A> const A& as() const { return *static_cast<const A*>(attrs); }
  bool needs(int i) const { return size_t(i) < in.size() && in[size_t(i)].requires_grad(); }
};

// One application in training, of an op that then does something else: batch statistics instead of running ones.
struct Training {
  const OpDef& op;
  const void* attrs;
  std::span<const Tensor> in;
  Tensor frozen;                             // a bool scalar, or null: where true, it does what eval does and its states stay
  std::span<Tensor> out;
  template <class A> const A& as() const { return *static_cast<const A*>(attrs); }
};

struct Cost { int64_t macs = 0, flops = 0; };  // flops: elementwise work, multiply-adds not counted

struct Fusion {                              // may `first` also do what `next`, its only reader, does?
  Call first, next;
  int slot;                                  // the input of next that is first's output
  bool sums = false;                         // also another operand, as the residual of a sum
  bool chains = false;                       // only: as the next stage of what is computed by bands of rows
  bool own = false;                          // nobody else reads input 1 of first: a new constant may be written over it
};
struct Absorbed {
  Attrs attrs;                               // first's new attributes, or those of `op`
  std::vector<int> inputs_of_next;           // what it reads besides, appended
  std::vector<std::pair<int, Tensor>> constants;   // inputs replaced by new constants, or appended
  const OpDef* op = nullptr;                 // what does both; null: first's op
};

struct Sample { std::vector<Tensor> in; Attrs attrs; };

struct Keep { uint32_t inputs = 0, outputs = 0; };                       // bit i: backward needs its data
inline constexpr Keep keep_nothing{}, keep_inputs{~0u, 0}, keep_output{0, 1};

enum class Layout : uint8_t { any, dense, channels_last };               // any: as it comes; dense: row-major

enum class Conversion : uint8_t { none, to_integers, to_floats };        // quantize and dequantize: what lower_quantized looks for

struct Traits {
  bool pointwise = false;                    // out[i] depends on in[i] alone: may be computed in place, keeps the input's order
  bool movement = false;                     // values move, none is computed: integers and quantised values pass through
  uint32_t shape_only = 0;                   // bit i: of input i only the shape is read; all of them: a constant once shapes are known
  bool stops_gradient = false;               // the output never needs one: detach, count
  bool random = false;                       // not folded
  bool activation = false;                   // one input, one output, elementwise: a quantised producer may absorb it
  uint32_t dense = 0;                        // bit i: eval takes input i row-major; a copy is made where it is not
  uint32_t channels_last = 0;                // bit i: eval takes input i channels-last
  Layout out = Layout::any;                  // any: pointwise ops keep their input's order, others write row-major
  Conversion converts = Conversion::none;
  uint32_t weights = 0;                      // bit i: input i is a weight: pruned, clustered, quantised per channel
  int8_t channel_axis = 0;                   // of the weight: its output channels
  Few<int8_t, 4> writes;                     // output i overwrites input writes[i], a state
};

// How an op stands in int8. `lower` is given a float op whose inputs come from dequantize and whose only reader is
// quantize; it names the integer op that does the same.
struct Quantized {                           // one value's quantisation
  std::vector<float> scale;                  // one, or one for each index along axis
  std::vector<int32_t> zero;
  int axis = -1, block = 0;
  DType dtype = DType::i8;
  bool operator==(const Quantized&) const = default;
};
struct Lowering {
  Call call;                                 // the float op
  std::span<const Quantized* const> in;      // null: that input stays float
  const Quantized* out;                      // null: the output stays float
  std::string* reason = nullptr;             // if given: says why where the answer is none
};
struct Lowered {
  const OpDef* op;
  Attrs attrs;
  std::vector<int> inputs;                   // of the float op, in the new op's order; integers where quantised
  std::vector<Tensor> constants;             // appended inputs
};
enum class QuantMode : uint8_t { needs_float, passes_through, has_integer_form };
struct QuantRule {
  QuantMode mode = QuantMode::needs_float;
  uint32_t activations = 1;                  // bit i: input i is an activation that must be quantised for `lower`
  Rule<std::optional<Lowered> (*)(const Lowering&)> lower = nullptr;
  // Weights in integers, activations quantised at run time: what follows (q, scale, zero) of input 0; float output.
  Rule<std::optional<Lowered> (*)(const Lowering&)> dynamic = nullptr;
  uint32_t either = 0;                       // bit i: input i is an activation where it is computed; a constant may be quantised like one
  // The same by other ops, which have integer forms of their own: its first outputs. None: not for these operands.
  Rule<std::vector<Tensor> (*)(const Call&, std::span<const Tensor> in)> compose = nullptr;
};

// The same op in a file format. By default attribute fields map 1:1 by name. What an exporter or importer of one op
// needs beyond this stands in `rules`, of a type that the interchange of that format declares.
struct Foreign {
  std::string_view name;                     // empty: no form
  int since = 0;                             // first opset or version with this meaning
  Rule<const void*> rules = nullptr;
};

struct OpDef {
  std::string_view name, doc;
  int min_inputs = 1, max_inputs = 1, outputs = 1;
  void (*infer)(const Call&, Specs& out) = nullptr;                       // all validation lives here
  void (*eval)(const Context&) = nullptr;                                 // one piece; no allocation, exception or thread
  Work (*work)(const Call&) = nullptr;                                    // null: one piece
  Rule<void (*)(const Vjp&)> vjp = nullptr;                               // written with other ops
  Keep keep;
  Rule<Cost (*)(const Call&)> cost = nullptr;
  std::optional<Strides> (*view)(const Call&, const Strides& in, int64_t& offset) = nullptr;  // output 0 as another look at input 0; offset in elements
  Rule<std::optional<Absorbed> (*)(const Fusion&)> absorb = nullptr;
  // in: data only of constants; to null: asks the size. eval then reads what was written in place of the inputs that are traits.weights.
  uint64_t (*prepare)(const Call&, std::span<const View> in, std::byte* to) = nullptr;
  TestRule<std::vector<Sample> (*)()> samples = nullptr;                  // what the contract tests try
  QuantRule quant;
  Traits traits;
  Foreign onnx, tflite, c;
  AttrCodec attrs;
  const void* self = nullptr;                // a table's row, or the closure of an op registered at run time
  Rule<void (*)(const Training&)> train = nullptr;                        // in training mode instead of eval; written with other ops
};

// ---- registry ----
const OpDef* find_op(std::string_view name);                              // null: none
std::vector<const OpDef*> all_ops();
void register_op(const OpDef&);                                           // the record must outlive its use; names are unique

// ---- the one chokepoint ----
void apply(const OpDef&, std::span<const Input>, const void* attrs, std::span<Tensor> out);
template <class A = std::nullptr_t>
Tensor apply(const OpDef& op, std::initializer_list<Input> in, const A& attrs = {}) {
  Tensor out;
  const void* p = nullptr;
  if constexpr (!std::is_same_v<A, std::nullptr_t>) p = &attrs;
  apply(op, {in.begin(), in.size()}, p, {&out, 1});
  return out;
}
void run_pieces(Context, const Work&, int threads = 0);      // all phases and pieces, on the team; 0: all it has

// Checks the number of inputs, then asks infer. `known` may be empty.
void infer_outputs(const OpDef&, const void* attrs, std::span<const Spec> in, Specs& out, std::span<const Input> known = {});

// Strides of output i, given those of the inputs: by view, traits.out, or the order of a pointwise op's operands.
Strides output_strides(const Call&, std::span<const Strides> in, int i);
Layout wanted_layout(const OpDef&, int input);

// ---- its readers: eager is the default; the others are switched on here ----
struct Recorder {
  uint64_t serial = 0;
  virtual void record(const Call&, std::span<const Input>, std::span<Tensor> out) = 0;
  virtual ~Recorder() = default;
};
struct Observer {
  virtual void saw(const Call&, double nanoseconds) = 0;
  virtual ~Observer() = default;
};
struct StateLog {                            // told of a state before an op overwrites it
  virtual void before_write(const Tensor& state) = 0;
  virtual ~StateLog() = default;
};
struct Mode {
  bool grad = true;
  bool inference = false;                    // what is made is of no use to a tape; set with grad = false
  bool anomaly = false;                      // the tape remembers where ops were called, and a gradient with NaN is an error
  Recorder* recorder = nullptr;
  Observer* observer = nullptr;
  StateLog* states = nullptr;
};
Mode& mode();                                // of this thread
template <class T>
struct Swap {                                // sets a field of mode() for a scope
  T& field;
  T old;
  Swap(T& field, T now) : field(field), old(std::exchange(field, now)) {}
  ~Swap() { field = old; }
  Swap(const Swap&) = delete;
};
struct NoGrad : Swap<bool> { NoGrad() : Swap(mode().grad, false) {} };

// The ops that core itself cannot live without, by declaration alone: their definitions are in ops/.
extern const OpDef add_op, mul_op, copy_op, to_channels_last_op;

}  // namespace miniten
