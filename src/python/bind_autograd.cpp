#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/core/autograd.h"
#include "miniten/ops/ops.h"
#include "python/bind.h"
#include "python/python_op.h"

namespace miniten::python {

namespace {

std::vector<Tensor> tensor_list(std::string_view op, nb::handle o) {
  std::vector<Tensor> out;
  if (nb::isinstance<Tensor::Impl>(o)) return {nb::cast<Tensor>(o)};
  if (!PySequence_Check(o.ptr())) throw Error(ErrorKind::type, op, "a tensor or a sequence of tensors", type_text(o));
  for (nb::handle t : nb::steal<nb::tuple>(PySequence_Tuple(o.ptr()))) {
    if (!nb::isinstance<Tensor::Impl>(t)) throw Error(ErrorKind::type, op, "tensors", type_text(t));
    out.push_back(nb::cast<Tensor>(t));
  }
  return out;
}

Tensor seed_of(const Tensor& of, nb::handle seed) { return seed.is_none() ? Tensor() : Operand{seed}.tensor("backward", of.dtype()); }

nb::tuple grad(nb::handle outputs, nb::handle inputs, nb::handle grad_outputs, std::optional<bool> retain_graph, bool create_graph, bool allow_unused) {
  std::vector<Tensor> of = tensor_list("grad", outputs), leaves = tensor_list("grad", inputs), total(leaves.size());
  std::vector<nb::object> seeds;
  if (!grad_outputs.is_none()) {
    if (nb::isinstance<nb::list>(grad_outputs) || nb::isinstance<nb::tuple>(grad_outputs))
      for (nb::handle s : nb::steal<nb::tuple>(PySequence_Tuple(grad_outputs.ptr()))) seeds.push_back(nb::borrow(s));
    else seeds.push_back(nb::borrow(grad_outputs));
    if (seeds.size() != of.size())
      throw Error(ErrorKind::value, "grad", std::to_string(of.size()) + " grad_outputs", std::to_string(seeds.size()));
  }
  for (const Tensor& leaf : leaves)
    if (!leaf.requires_grad()) throw Error(ErrorKind::value, "grad", "inputs that require a gradient", "one that does not", "set requires_grad before computing");
  for (size_t i = 0; i < of.size(); ++i) {
    std::vector<Tensor> part = gradients(of[i], leaves, create_graph, seeds.empty() ? Tensor() : seed_of(of[i], seeds[i]), i + 1 < of.size() || retain_graph.value_or(create_graph));
    for (size_t k = 0; k < part.size(); ++k)
      if (part[k]) total[k] = total[k] ? total[k] + part[k] : part[k];
  }
  nb::list out;
  for (size_t k = 0; k < total.size(); ++k) {
    if (!total[k] && !allow_unused)
      throw Error(ErrorKind::value, "grad", "inputs that the outputs depend on", "input " + std::to_string(k) + ", which was not used", "pass allow_unused=True to get None there");
    out.append(tensor_object(total[k]));
  }
  return nb::tuple(out);
}

// ---- functions of Python that the tape holds ----
struct Callable {                            // may be released without the interpreter's lock, or after its end
  nb::object f;
  explicit Callable(nb::object f) : f(std::move(f)) {}
  ~Callable() {
    if (!Py_IsInitialized()) {
      f.release();
      return;
    }
    nb::gil_scoped_acquire gil;
    f.reset();
  }
};
nb::object register_hook(const Tensor& t, nb::object f) {
  if (!PyCallable_Check(f.ptr())) throw Error(ErrorKind::type, "register_hook", "a function of the gradient", type_text(f));
  int64_t id = add_hook(t, [held = std::make_shared<Callable>(f)](const Tensor& g) {
    nb::gil_scoped_acquire gil;
    nb::object result = held->f(tensor_object(g));
    return result.is_none() ? Tensor() : to_tensor("hook", result);
  });
  return nb::module_::import_("miniten.autograd").attr("RemovableHandle")(tensor_object(t), id);
}
std::vector<Tensor> run_checkpoint(nb::object f, const std::vector<Tensor>& in) {
  auto held = std::make_shared<Callable>(f);
  return checkpoint([held](const std::vector<Tensor>& x) {
    nb::gil_scoped_acquire gil;
    nb::list arguments;
    for (const Tensor& t : x) arguments.append(tensor_object(t));
    return tensors_of("checkpoint", held->f(*nb::tuple(arguments)));
  }, in);
}
std::string place() { return nb::cast<std::string>(nb::module_::import_("miniten.autograd").attr("_place")()); }

// ---- autograd.Function: forward has run already; the op hands its results to the tape ----
struct FunctionState {
  nb::object function, context;
  std::vector<Tensor> results;               // until the op has copied them
  std::vector<int> positions;                // of the tensors among forward's arguments
  size_t arguments = 0;
  ~FunctionState() {
    if (!Py_IsInitialized()) {
      function.release();
      context.release();
      return;
    }
    nb::gil_scoped_acquire gil;
    function.reset();
    context.reset();
  }
};
struct FunctionAttrs {
  std::shared_ptr<FunctionState> state;
  void fields(auto) {}
};

void function_infer(const Call& c, Specs& out) {
  for (const Tensor& t : c.as<FunctionAttrs>().state->results) out.push(t.spec());
}
void function_eval(const Context& c) {
  const auto& results = c.as<FunctionAttrs>().state->results;
  for (size_t i = 0; i < c.out.size(); ++i) copy_values(results[i].view(), c.out[i]);
}
void function_vjp(const Vjp& v) {
  nb::gil_scoped_acquire gil;
  const FunctionState& s = *v.as<FunctionAttrs>().state;
  nb::list grads, outputs;
  for (size_t i = 0; i < v.out.size(); ++i) {
    grads.append(tensor_object(v.grad[i] ? v.grad[i] : Tensor::zeros(v.out[i].shape(), v.out[i].dtype())));
    outputs.append(tensor_object(v.out[i]));
  }
  nb::object result = s.function.attr("_run_backward")(s.context, nb::tuple(outputs), nb::tuple(grads));
  nb::tuple given = nb::isinstance<nb::tuple>(result) ? nb::borrow<nb::tuple>(result) : nb::make_tuple(result);
  if (given.size() < s.arguments) throw Error(ErrorKind::value, v.op.name, std::to_string(s.arguments) + " gradients from backward", std::to_string(given.size()));
  for (size_t i = 0; i < s.positions.size(); ++i) {
    nb::handle g = given[size_t(s.positions[i])];
    if (g.is_none() || !v.needs(int(i))) continue;
    Tensor t = to_tensor(v.op.name, g);
    if (t.shape() != v.in[i].shape())
      throw Error(ErrorKind::value, v.op.name, "a gradient of shape " + v.in[i].shape().text() + " for argument " + std::to_string(s.positions[i]), t.shape().text());
    v.result[i] = t.dtype() == v.in[i].dtype() ? t : cast(t, v.in[i].dtype());
  }
}

// The record of one subclass. It is never freed: a tape may outlive the class.
const OpDef& function_op(nb::handle function) {
  nb::dict own = nb::borrow<nb::dict>(function.attr("__dict__").attr("copy")());
  if (own.contains("_record")) return *static_cast<const OpDef*>(nb::cast<nb::capsule>(own["_record"]).data());
  auto* name = new std::string(nb::cast<std::string>(function.attr("__qualname__")));
  auto* op = new OpDef{};
  op->name = *name;
  op->doc = "autograd.Function";
  op->min_inputs = 0;
  op->max_inputs = max_inputs;
  op->infer = function_infer;
  op->eval = function_eval;
  op->vjp = function_vjp;
  op->keep = {0, ~0u};
  op->attrs = codec<FunctionAttrs>;
  function.attr("_record") = nb::capsule(op);
  return *op;
}

nb::object apply_function(nb::object function, nb::object context, nb::tuple arguments) {
  const OpDef& op = function_op(function);
  if (mode().recorder)
    throw Error(ErrorKind::unsupported, op.name, "ops that a graph can hold", "an autograd.Function while tracing", "register it with register_op, or write it with MiniTen's functions");
  auto state = std::make_shared<FunctionState>();
  std::vector<Tensor> in;
  for (size_t i = 0; i < arguments.size(); ++i)
    if (nb::isinstance<Tensor::Impl>(arguments[i])) {
      in.push_back(nb::cast<Tensor>(arguments[i]));
      state->positions.push_back(int(i));
    }
  if (in.size() > size_t(max_inputs)) throw Error(ErrorKind::value, op.name, "at most " + std::to_string(max_inputs) + " tensors", std::to_string(in.size()));
  nb::list needs;
  for (nb::handle a : arguments) needs.append(nb::isinstance<Tensor::Impl>(a) && nb::cast<Tensor>(a).requires_grad());
  context.attr("needs_input_grad") = nb::tuple(needs);
  nb::object result;
  {
    NoGrad no_grad;
    result = function.attr("forward")(context, *arguments);
  }
  state->results = tensors_of(op.name, result);
  if (state->results.empty() || state->results.size() > size_t(max_outputs))
    throw Error(ErrorKind::value, op.name, "1 to " + std::to_string(max_outputs) + " results from forward", std::to_string(state->results.size()));
  context.attr("_results") = nb::isinstance<nb::tuple>(result) ? result : nb::object(nb::make_tuple(result));
  state->function = function;
  state->context = context;
  state->arguments = arguments.size();
  FunctionAttrs attrs{state};
  std::vector<Input> borrowed(in.begin(), in.end());
  std::vector<Tensor> out(state->results.size());
  apply(op, borrowed, &attrs, out);
  state->results.clear();
  if (nb::isinstance<Tensor::Impl>(result)) return tensor_object(out[0]);
  nb::list outputs;
  for (const Tensor& t : out) outputs.append(tensor_object(t));
  return nb::tuple(outputs);
}

}  // namespace

void bind_autograd(nb::module_& m, TensorClass& c) {
  c.def("backward", [](const Tensor& t, nb::object gradient, std::optional<bool> retain_graph, bool create_graph, nb::object inputs) {
      Tensor seed = seed_of(t, gradient);
      if (inputs.is_none()) return backward(t, seed, retain_graph, create_graph);
      std::vector<Tensor> to = tensor_list("backward", inputs), part = gradients(t, to, create_graph, seed, retain_graph);
      for (size_t i = 0; i < to.size(); ++i)
        if (part[i]) to[i]->grad = to[i]->grad ? to[i]->grad + part[i] : part[i];
    }, nb::arg("gradient") = nb::none(), nb::arg("retain_graph") = nb::none(), nb::arg("create_graph") = false, nb::arg("inputs") = nb::none(),
    nb::sig("def backward(self, gradient: Tensor | numpy.typing.ArrayLike | None = None, retain_graph: bool | None = None, create_graph: bool = False, "
            "inputs: Tensor | collections.abc.Sequence[Tensor] | None = None) -> None"),
    "Adds the gradient of this scalar (or, with gradient, of any shape) to the grad of every leaf that requires one, or of inputs alone. What ops saved is freed on "
    "the way: a second walk needs retain_graph=True in the first.");
  c.def_prop_ro("grad_fn", [](const Tensor& t) -> std::optional<std::string> {
      const OpDef* op = producer_of(t);
      if (!op) return {};
      return std::string(op->name);
    }, "Name of the op that made this tensor; None for a leaf.");
  c.def_prop_ro("_version", [](const Tensor& t) { return t.has_data() ? t->storage->version : 0; });
  m.def("grad", grad, nb::arg("outputs"), nb::arg("inputs"), nb::arg("grad_outputs") = nb::none(), nb::arg("retain_graph") = nb::none(), nb::arg("create_graph") = false, nb::arg("allow_unused") = false,
        nb::sig("def grad(outputs: Tensor | collections.abc.Sequence[Tensor], inputs: Tensor | collections.abc.Sequence[Tensor], grad_outputs: typing.Any = None, "
                "retain_graph: bool | None = None, create_graph: bool = False, allow_unused: bool = False) -> tuple[Tensor, ...]"),
        "Gradients of the sum of outputs with respect to inputs. With create_graph they can be differentiated again.");
  set_place_reporter(place);
  c.def("register_hook", register_hook, nb::arg("hook"), nb::sig("def register_hook(self, hook: collections.abc.Callable[[Tensor], Tensor | None]) -> typing.Any"),
        "Calls hook(gradient) when the gradient of this tensor is known; a result that is not None takes its place. Returns a handle with remove().");
  c.def("_remove_hook", [](const Tensor& t, int64_t id) { remove_hook(t, id); }, nb::arg("id"));
  c.def("retain_grad", [](const Tensor& t) { retain_grad(t); }, "backward() fills the grad of this computed tensor too.");
  c.def("is_inference", [](const Tensor& t) { return t->inference; });
  m.def("_checkpoint", run_checkpoint);
  m.def("is_inference_mode_enabled", [] { return mode().inference; });
  m.def("_set_inference", [](bool on) {
    bool before = std::exchange(mode().inference, on);
    return before;
  }, nb::arg("on"));
  m.def("is_anomaly_enabled", [] { return mode().anomaly; });
  m.def("_set_anomaly", [](bool on) { return std::exchange(mode().anomaly, on); }, nb::arg("on"));
  m.def("is_grad_enabled", [] { return mode().grad; });
  m.def("_set_grad_enabled", [](bool on) { return std::exchange(mode().grad, on); }, nb::arg("on"));
  m.def("_apply_function", apply_function);
  bind_python_op(m);
}

}  // namespace miniten::python
