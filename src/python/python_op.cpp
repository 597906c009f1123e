#include "python/python_op.h"
#include <mutex>
#include <nanobind/stl/optional.h>
#include <variant>
#include "miniten/base/parallel.h"
#include "miniten/ops/ops.h"

namespace miniten::python {

namespace {

// Attributes whose names and kinds come from the defaults given at registration.
using AttrValue = std::variant<bool, int64_t, double, std::string, Dims>;
struct PythonAttrs { std::vector<std::pair<std::string, AttrValue>> values; };

// Never freed: graphs and tapes may use it until the program ends.
struct PythonOp {
  std::string name, doc;
  nb::object infer, eval, vjp;
  PythonAttrs defaults;
  OpDef record;
};
struct OpHandle { PythonOp* op; };

AttrValue attr_of(std::string_view op, const std::string& name, nb::handle v) {
  if (PyBool_Check(v.ptr())) return nb::cast<bool>(v);
  if (PyLong_Check(v.ptr())) return integer_of(op, v);
  if (PyFloat_Check(v.ptr())) return nb::cast<double>(v);
  if (PyUnicode_Check(v.ptr())) return nb::cast<std::string>(v);
  if (PyTuple_Check(v.ptr()) || PyList_Check(v.ptr())) return shape_of(op, v);
  throw Error(ErrorKind::type, op, "attribute '" + name + "' as bool, int, float, str or a tuple of ints", type_text(v));
}
nb::object object_of(const AttrValue& v) {
  return std::visit([](const auto& x) -> nb::object {
    if constexpr (std::is_same_v<std::decay_t<decltype(x)>, Dims>) return shape_tuple(x);
    else return nb::cast(x);
  }, v);
}
nb::dict keywords(const void* attrs) {
  nb::dict d;
  for (const auto& [name, value] : static_cast<const PythonAttrs*>(attrs)->values) d[name.c_str()] = object_of(value);
  return d;
}

const PythonOp& closure(const OpDef& op) { return *static_cast<const PythonOp*>(op.self); }

Spec spec_of(const OpDef& op, nb::handle o, DType otherwise) {
  if (nb::isinstance<Spec>(o)) return nb::cast<const Spec&>(o);
  if (nb::isinstance<nb::tuple>(o) && nb::len(o) == 2 && PySequence_Check(nb::handle(o[0]).ptr())) {
    Spec s{dtype_of(op.name, o[1]), shape_of(op.name, o[0])};
    check_sizes(op.name, s.shape);
    return s;
  }
  Shape shape = shape_of(op.name, o);
  check_sizes(op.name, shape);
  return {otherwise, shape};
}

void infer(const Call& c, Specs& out) {
  nb::gil_scoped_acquire gil;
  const PythonOp& p = closure(c.op);
  if (p.infer.is_none()) {
    for (int i = 0; i < c.op.outputs; ++i) out.push(c.in[0]);
    return;
  }
  nb::list specs;
  for (const Spec& s : c.in) specs.append(nb::cast(s));
  nb::object result = p.infer(*nb::tuple(specs), **keywords(c.attrs));
  DType first = c.in.empty() ? DType::f32 : c.in[0].dtype;
  if (c.op.outputs == 1 && !nb::isinstance<nb::list>(result)) return out.push(spec_of(c.op, result, first));
  for (nb::handle s : nb::steal<nb::tuple>(PySequence_Tuple(result.ptr()))) out.push(spec_of(c.op, s, first));
  if (out.n != c.op.outputs) c.fail(std::to_string(c.op.outputs) + " specs from infer", std::to_string(out.n));
}

std::mutex pending_mutex;
std::exception_ptr pending;

void run(const Context& c) {
  const PythonOp& p = closure(c.op);
  nb::list arrays;
  for (const View& v : c.in) {                       // copies: an array that is kept must not look into an arena
    Tensor t = Tensor::empty(v.spec);
    copy_values(v, t.view());
    arrays.append(numpy_of(t));
  }
  nb::object result = p.eval(*nb::tuple(arrays), **keywords(c.attrs));
  nb::tuple results = c.out.size() == 1 && !nb::isinstance<nb::tuple>(result) ? nb::make_tuple(result) : nb::steal<nb::tuple>(PySequence_Tuple(result.ptr()));
  if (results.size() != c.out.size())
    throw Error(ErrorKind::value, c.op.name, std::to_string(c.out.size()) + " arrays from eval", std::to_string(results.size()));
  for (size_t i = 0; i < c.out.size(); ++i) {
    Tensor t = to_tensor(c.op.name, results[i], {{}, true});
    if (t.shape() != c.out[i].shape())
      throw Error(ErrorKind::value, c.op.name, "an array of shape " + c.out[i].shape().text() + " from eval", t.shape().text(), "infer and eval must agree");
    copy_values(t.view(), c.out[i]);
  }
}

void eval(const Context& c) {
  nb::gil_scoped_acquire gil;
  if (!in_region()) return run(c);
  try {
    run(c);
  } catch (...) {                                    // no exception may leave a region of the team
    for (const View& v : c.out) if (v.is_contiguous()) std::memset(v.data, 0, v.spec.bytes());
    std::lock_guard lock(pending_mutex);
    if (!pending) pending = std::current_exception();
  }
}

void vjp(const Vjp& v) {
  nb::gil_scoped_acquire gil;
  const PythonOp& p = closure(v.op);
  nb::list in, out, grads;
  for (const Tensor& t : v.in) in.append(tensor_object(t));
  for (size_t i = 0; i < v.out.size(); ++i) {
    out.append(tensor_object(v.out[i]));
    grads.append(tensor_object(v.grad[i] ? v.grad[i] : Tensor::zeros(v.out[i].shape(), v.out[i].dtype())));
  }
  nb::object result = p.vjp(nb::tuple(in), nb::tuple(out), nb::tuple(grads), **keywords(v.attrs));
  nb::tuple given = nb::isinstance<nb::tuple>(result) || nb::isinstance<nb::list>(result) ? nb::steal<nb::tuple>(PySequence_Tuple(result.ptr())) : nb::make_tuple(result);
  if (given.size() != v.in.size()) throw Error(ErrorKind::value, v.op.name, std::to_string(v.in.size()) + " gradients from vjp", std::to_string(given.size()));
  for (size_t i = 0; i < v.in.size(); ++i) {
    nb::handle g = given[i];
    if (g.is_none()) continue;
    Tensor t = to_tensor(v.op.name, g);
    if (t.shape() != v.in[i].shape())
      throw Error(ErrorKind::value, v.op.name, "a gradient of shape " + v.in[i].shape().text() + " for input " + std::to_string(i), t.shape().text());
    v.result[i] = t;
  }
}

std::shared_ptr<void> clone_attrs(const void* a) { return std::make_shared<PythonAttrs>(*static_cast<const PythonAttrs*>(a)); }
void visit_attrs(void* a, const FieldVisitor& visit) {
  for (auto& [name, value] : static_cast<PythonAttrs*>(a)->values)
    std::visit([&, n = std::string_view(name)](auto& slot) { visit(n, &slot); }, value);
}

OpHandle register_python_op(std::string name, nb::object infer_rule, nb::object eval_rule, nb::object vjp_rule, nb::dict attrs, nb::object inputs, int outputs, std::string doc) {
  auto callable = [&](nb::handle f, const char* what, bool needed) {
    if (needed ? !PyCallable_Check(f.ptr()) : !f.is_none() && !PyCallable_Check(f.ptr()))
      throw Error(ErrorKind::type, "register_op", std::string("a callable ") + what, type_text(f));
  };
  callable(infer_rule, "infer", false);
  callable(eval_rule, "eval", true);
  callable(vjp_rule, "vjp", false);
  if (name.empty()) throw Error(ErrorKind::value, "register_op", "a name", "''");
  if (find_op(name)) throw Error(ErrorKind::value, "register_op", "a name that is free", "'" + name + "'", "there is an op of that name");
  if (outputs < 1 || outputs > max_outputs) throw Error(ErrorKind::value, "register_op", "1 to " + std::to_string(max_outputs) + " outputs", std::to_string(outputs));
  Dims range = pair_of("register_op", inputs);
  if (range[0] < 1 || range[1] < range[0] || range[1] > max_inputs)
    throw Error(ErrorKind::value, "register_op", "inputs as a number or (least, most) up to " + std::to_string(max_inputs), range.text());
  auto op = std::make_unique<PythonOp>();
  op->name = name;
  op->doc = doc;
  op->infer = std::move(infer_rule);
  op->eval = std::move(eval_rule);
  op->vjp = std::move(vjp_rule);
  for (auto [key, value] : attrs) {
    std::string n = nb::cast<std::string>(key);
    op->defaults.values.emplace_back(n, attr_of("register_op", n, value));
  }
  OpDef& r = op->record;
  r.name = op->name;
  r.doc = op->doc;
  r.min_inputs = int(range[0]);
  r.max_inputs = int(range[1]);
  r.outputs = outputs;
  r.infer = infer;
  r.eval = eval;
  r.vjp = op->vjp.is_none() ? nullptr : vjp;
  r.keep = {~0u, ~0u};
  r.traits.out = Layout::dense;
  r.attrs = {&op->defaults, clone_attrs, visit_attrs};
  r.self = op.get();
  register_op(r);
  return {op.release()};
}

nb::object call(const OpHandle& handle, const nb::args& args, const nb::kwargs& kwargs) {
  const PythonOp& p = *handle.op;
  PythonAttrs attrs = p.defaults;
  for (auto [key, value] : kwargs) {
    std::string name = nb::cast<std::string>(key);
    auto at = std::find_if(attrs.values.begin(), attrs.values.end(), [&](const auto& a) { return a.first == name; });
    if (at == attrs.values.end()) throw Error(ErrorKind::type, p.name, "attributes given at registration", "'" + name + "'");
    AttrValue v = attr_of(p.name, name, value);
    if (std::holds_alternative<double>(at->second) && std::holds_alternative<int64_t>(v)) v = double(std::get<int64_t>(v));
    if (v.index() != at->second.index()) throw Error(ErrorKind::type, p.name, "attribute '" + name + "' of the kind of its default", type_text(value));
    at->second = v;
  }
  std::vector<Tensor> in, out(size_t(p.record.outputs));
  for (nb::handle a : args) in.push_back(to_tensor(p.name, a));
  std::vector<Input> borrowed(in.begin(), in.end());
  apply(p.record, borrowed, &attrs, out);
  raise_pending_error();
  return single_or_tuple(out);
}

}  // namespace

void raise_pending_error() {
  std::exception_ptr error;
  {
    std::lock_guard lock(pending_mutex);
    std::swap(error, pending);
  }
  if (error) std::rethrow_exception(error);
}

void bind_python_op(nb::module_& m) {
  nb::class_<Spec>(m, "Spec", "Shape and dtype of a value.")
      .def("__init__", [](Spec* self, nb::object shape, DTypeLike dtype) {
          new (self) Spec{dtype_or_none("Spec", dtype.object).value_or(DType::f32), shape_of("Spec", shape)};
        }, nb::arg("shape"), nb::arg("dtype") = nb::none(), nb::sig("def __init__(self, shape: int | collections.abc.Sequence[int], dtype: DType | str | type | None = None) -> None"))
      .def_prop_ro("shape", [](const Spec& s) { return shape_tuple(s.shape); }, nb::sig("def shape(self) -> tuple[int, ...]"))
      .def_prop_ro("dtype", [](const Spec& s) { return s.dtype; })
      .def("__eq__", [](const Spec& a, const Spec& b) { return a == b; }, nb::is_operator(), nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__repr__", &Spec::text);
  nb::class_<OpHandle>(m, "Op", "An op registered with register_op. Called with tensors, and attributes by keyword.")
      .def("__call__", call, nb::sig("def __call__(self, *inputs: Tensor | numpy.typing.ArrayLike, **attributes: typing.Any) -> typing.Any"))
      .def_prop_ro("name", [](const OpHandle& h) { return h.op->name; })
      .def("__repr__", [](const OpHandle& h) { return "<miniten op '" + h.op->name + "'>"; });
  m.def("register_op", register_python_op, nb::arg("name"), nb::kw_only(), nb::arg("infer") = nb::none(), nb::arg("eval"), nb::arg("vjp") = nb::none(), nb::arg("attrs") = nb::dict(),
        nb::arg("inputs") = 1, nb::arg("outputs") = 1, nb::arg("doc") = "",
        nb::sig("def register_op(name: str, *, infer: collections.abc.Callable[..., typing.Any] | None = None, eval: collections.abc.Callable[..., typing.Any], "
                "vjp: collections.abc.Callable[..., typing.Any] | None = None, attrs: dict[str, typing.Any] = {}, inputs: int | tuple[int, int] = 1, outputs: int = 1, doc: str = '') -> Op"),
        "Adds an op to the registry and returns it as a function. It is traced, differentiated and run in Sessions like any other.\n\n"
        "infer(*specs, **attrs) -> a Spec or (shape, dtype), or a list of them; None: like the first input.\n"
        "eval(*arrays, **attrs) -> array or tuple of arrays, from NumPy arrays.\n"
        "vjp(inputs, outputs, grads, **attrs) -> a gradient (or None) for each input, computed with tensors.\n"
        "attrs: attribute names with their defaults (bool, int, float, str or tuple of ints).");
  m.def("list_ops", [] {
    nb::list names;
    for (const OpDef* op : all_ops()) names.append(nb::str(op->name.data(), op->name.size()));
    return names;
  }, nb::sig("def list_ops() -> list[str]"), "Names of every op in the registry.");
}

}  // namespace miniten::python
