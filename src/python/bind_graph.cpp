#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>
#include "miniten/graph/passes.h"
#include "miniten/graph/session.h"
#include "miniten/interchange/native.h"
#include "miniten/nn/graph_module.h"
#include "python/bind.h"

namespace miniten::python {

namespace {

struct ValueInfo {
  std::string name;
  Spec spec;
  nb::tuple tuple() const { return nb::make_tuple(name, shape_tuple(spec.shape), spec.dtype); }
};

std::vector<ValueInfo> infos(const Graph& g, const std::vector<int>& ids) {
  std::vector<ValueInfo> out;
  for (int id : ids) out.push_back({g.values[size_t(id)].name, g.values[size_t(id)].spec});
  return out;
}

// Named shapes are put in the order of forward's parameters where it has parameters of these names.
void order_by_signature(nb::handle function, NamedSpecs& s) {
  nb::object code = nb::getattr(nb::getattr(function, "__func__", function), "__code__", nb::none());
  if (s.names.empty() || code.is_none()) return;
  std::vector<std::string> variables;
  for (nb::handle v : nb::borrow<nb::tuple>(code.attr("co_varnames"))) variables.push_back(nb::cast<std::string>(v));
  std::vector<size_t> order;
  for (size_t i = 0; i < s.names.size(); ++i) order.push_back(i);
  auto place = [&](size_t i) { return std::find(variables.begin(), variables.end(), s.names[i]); };
  for (size_t i : order) if (place(i) == variables.end()) return;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return place(a) < place(b); });
  NamedSpecs sorted;
  for (size_t i : order) {
    sorted.specs.push_back(s.specs[i]);
    sorted.names.push_back(s.names[i]);
  }
  s = sorted;
}

void name_inputs(std::string_view op, Graph& g, const std::vector<std::string>& names) {
  if (names.empty()) return;
  if (names.size() != g.inputs.size())
    throw Error(ErrorKind::value, op, std::to_string(g.inputs.size()) + " named inputs", std::to_string(names.size()));
  for (size_t i = 0; i < names.size(); ++i) g.values[size_t(g.inputs[i])].name = names[i];
}

Graph traced(std::string_view op, nb::handle model, nb::handle input_shape, nb::handle input_dtypes, bool fixed) {
  NamedSpecs s = specs_of(op, input_shape, input_dtypes);
  Graph g;
  if (nb::isinstance<Graph>(model)) {
    g = nb::cast<const Graph&>(model);
    if (!s.specs.empty()) g = bind_inputs(g, s.specs);
  } else if (nb::isinstance<nn::Module>(model)) {
    auto& m = nb::cast<nn::Module&>(model);
    order_by_signature(model.attr("forward"), s);
    auto* graph_module = dynamic_cast<nn::GraphModule*>(&m);
    if (graph_module) {
      g = nn::graph_of(op, m, s.specs);
      if (fixed && !g.is_static()) g = bind_inputs(g, nn::specs_or_last(op, m, s.specs));
    } else {
      g = nn::trace_module(m, nn::specs_or_last(op, m, s.specs), fixed);
    }
  } else if (PyCallable_Check(model.ptr())) {
    if (s.specs.empty()) throw Error(ErrorKind::value, op, "the function's input shape", "none", "pass input_shape");
    order_by_signature(model, s);
    g = trace(s.specs, [&](const std::vector<Tensor>& in) {
      nb::list args;
      for (const Tensor& t : in) args.append(tensor_object(t));
      return tensors_of(op, model(*nb::tuple(args)));
    });
  } else {
    throw Error(ErrorKind::type, op, "a Module, a Graph or a function of tensors", type_text(model));
  }
  name_inputs(op, g, s.names);
  return g;
}

std::vector<std::string> pass_names(nb::handle passes) {
  if (PyUnicode_Check(passes.ptr())) return {nb::cast<std::string>(passes)};
  std::vector<std::string> out;
  for (nb::handle p : passes) out.push_back(nb::cast<std::string>(nb::str(p)));
  if (out.empty()) out.push_back("none");
  return out;
}

Precision precision_of(std::string_view name) {
  constexpr std::string_view names[] = {"float32", "bf16", "bf16_weights", "int8_weights"};
  for (int i = 0; i < 4; ++i) if (name == names[i]) return Precision(i);
  throw Error(ErrorKind::value, "compile", "precision 'float32', 'bf16', 'bf16_weights' or 'int8_weights'", "'" + std::string(name) + "'");
}

std::vector<Tensor> session_inputs(const Session& s, const nb::args& args, const nb::kwargs& kwargs) {
  std::vector<Tensor> in(s.graph().inputs.size());
  if (args.size() > in.size()) throw Error(ErrorKind::value, "session", std::to_string(in.size()) + " inputs", std::to_string(args.size()));
  for (size_t i = 0; i < args.size(); ++i) in[i] = to_tensor("session", args[i], {{}, true});
  if (args.size() == in.size() && kwargs.size() == 0) return in;
  const std::vector<std::string> names = s.input_names();
  for (auto [key, value] : kwargs) {
    std::string name = nb::cast<std::string>(key);
    auto at = std::find(names.begin(), names.end(), name);
    std::string known;
    for (const std::string& n : names) known += (known.empty() ? "" : ", ") + n;
    if (at == names.end()) throw Error(ErrorKind::type, "session", "inputs named " + known, "'" + name + "'");
    Tensor& slot = in[size_t(at - names.begin())];
    if (slot) throw Error(ErrorKind::type, "session", "each input once", "'" + name + "' twice");
    slot = to_tensor("session", value, {{}, true});
  }
  for (size_t i = 0; i < in.size(); ++i)
    if (!in[i]) throw Error(ErrorKind::value, "session", "an array for input '" + names[i] + "'", "none");
  return in;
}

nb::object run(Session& s, const nb::args& args, const nb::kwargs& kwargs) {
  std::vector<Tensor> in = session_inputs(s, args, kwargs), out;
  {
    nb::gil_scoped_release release;
    out = s.run(in);
  }
  raise_pending_error();
  return single_or_tuple(out);
}

// A session with the memory that it reads and writes.
struct BoundSession {
  Session& session;
  std::vector<Tensor> in, out;
  nb::object result;
  nb::object run() {
    {
      nb::gil_scoped_release release;
      session.run(in, out);
    }
    raise_pending_error();
    return result;
  }
};
BoundSession bind(Session& s, const nb::args& args, const nb::kwargs& kwargs) {
  BoundSession bound{s, session_inputs(s, args, kwargs), {}, {}};
  bound.out = s.outputs_for(bound.in);
  bound.result = single_or_tuple(bound.out);
  return bound;
}

std::vector<Tensor> given_or_zeros(const Session& s, const nb::args& args) {
  if (args.size() > 0) return session_inputs(s, args, {});
  std::vector<Tensor> in;
  for (const Spec& spec : s.input_specs()) in.push_back(Tensor::zeros(spec.shape, spec.dtype));
  return in;
}

nb::list profile(Session& s, const nb::args& args, int runs) {
  nb::list rows;
  for (const StepProfile& p : s.profile(given_or_zeros(s, args), runs)) {
    nb::dict row;
    nb::list in, out;
    for (const Spec& spec : p.in) in.append(shape_tuple(spec.shape));
    for (const Spec& spec : p.out) out.append(shape_tuple(spec.shape));
    row["name"] = p.name;
    row["op"] = p.op;
    row["input_shapes"] = in;
    row["output_shapes"] = out;
    row["macs"] = p.cost.macs;
    row["flops"] = 2 * p.cost.macs + p.cost.flops;
    row["latency_ms"] = p.nanoseconds * 1e-6;
    rows.append(row);
  }
  raise_pending_error();
  return rows;
}

#define SHAPE_TYPE "collections.abc.Sequence[int] | collections.abc.Sequence[collections.abc.Sequence[int]] | dict[str, collections.abc.Sequence[int]] | None"

}  // namespace

void bind_graph(nb::module_& m) {
  nb::class_<ValueInfo>(m, "ValueInfo", "Name, shape and dtype of an input or output.")
      .def_ro("name", &ValueInfo::name)
      .def_prop_ro("shape", [](const ValueInfo& v) { return shape_tuple(v.spec.shape); }, nb::sig("def shape(self) -> tuple[int, ...]"))
      .def_prop_ro("dtype", [](const ValueInfo& v) { return v.spec.dtype; })
      .def("__iter__", [](const ValueInfo& v) { return nb::iter(v.tuple()); }, nb::sig("def __iter__(self) -> collections.abc.Iterator[typing.Any]"))
      .def("__len__", [](const ValueInfo&) { return 3; })
      .def("__getitem__", [](const ValueInfo& v, nb::object i) { return v.tuple().attr("__getitem__")(i); }, nb::sig("def __getitem__(self, index: int, /) -> typing.Any"))
      .def("__repr__", [](const ValueInfo& v) { return v.name + ": " + v.spec.text(); });

  nb::class_<Graph>(m, "Graph", "A traced or imported model: values and nodes, by id.")
      .def("to_text", &Graph::to_text, "A stable listing of inputs, nodes and outputs.")
      .def("__str__", &Graph::to_text)
      .def("__repr__", [](const Graph& g) { return "<miniten Graph of " + std::to_string(g.nodes.size()) + " nodes>"; })
      .def_prop_ro("inputs", [](const Graph& g) { return infos(g, g.inputs); })
      .def_prop_ro("outputs", [](const Graph& g) { return infos(g, g.outputs); })
      .def_prop_ro("ops", [](const Graph& g) {
          std::vector<std::string> names;
          for (const Node& n : g.nodes) names.emplace_back(n.op->name);
          return names;
        }, "Op names of the nodes, in order.")
      .def_rw("name", &Graph::name)
      .def_rw("metadata", &Graph::metadata)
      .def("verify", [](const Graph& g) { verify(g); }, "Raises ValueError naming the node where an invariant does not hold.")
      .def("optimized", [](const Graph& g, nb::object passes) {
          Graph copy = g;
          optimize(copy, pass_names(passes));
          return copy;
        }, nb::arg("passes") = "all", nb::sig("def optimized(self, passes: str | collections.abc.Sequence[str] = 'all') -> Graph"), "A copy after the named passes.")
      .def("replay", [](const Graph& g, nb::args args) {
          std::vector<Tensor> in;
          std::vector<Spec> specs;
          for (nb::handle a : args) {
            in.push_back(to_tensor("replay", a));
            specs.push_back(in.back().spec());
          }
          std::vector<Tensor> out = g.is_static() ? replay(g, in) : replay(bind_inputs(g, specs), in);
          raise_pending_error();
          return single_or_tuple(out);
        }, nb::sig("def replay(self, *inputs: Tensor | numpy.typing.ArrayLike) -> typing.Any"), "Applies every node again, eagerly; gradients flow to parameters.");

  m.def("trace", [](nb::object model, nb::object input_shape, nb::object input_dtypes, bool dynamic_batch) {
          return traced("trace", model, input_shape, input_dtypes, !dynamic_batch);
        }, nb::arg("model"), nb::arg("input_shape") = nb::none(), nb::arg("input_dtypes") = nb::none(), nb::kw_only(), nb::arg("dynamic_batch") = true,
        nb::sig("def trace(model: Module | Graph | collections.abc.Callable[..., typing.Any], input_shape: " SHAPE_TYPE " = None, input_dtypes: typing.Any = None, *, dynamic_batch: bool = True) -> Graph"),
        "The graph of a module (in eval mode) or of a function of tensors. Without input_shape a module's last call tells the shapes.");

  nb::class_<Session>(m, "Session", "A compiled graph that runs in one planned arena. One run at a time: give each thread a clone().")
      .def("run", run, nb::sig("def run(self, *inputs: Tensor | numpy.typing.ArrayLike, **named: Tensor | numpy.typing.ArrayLike) -> typing.Any"),
           "Inputs in order or by name -> a tensor, or a tuple in output order.")
      .def("__call__", run, nb::sig("def __call__(self, *inputs: Tensor | numpy.typing.ArrayLike, **named: Tensor | numpy.typing.ArrayLike) -> typing.Any"))
      .def("bind", bind, nb::keep_alive<0, 1>(), nb::sig("def bind(self, *inputs: Tensor | numpy.typing.ArrayLike, **named: Tensor | numpy.typing.ArrayLike) -> BoundSession"),
           "Inputs in order or by name -> the session with these inputs and outputs of its own, for calls without conversions or allocations: write the next values into inputs, "
           "call it, read its outputs. Raises NotImplementedError where sizes are known only at run time.")
      .def_prop_ro("inputs", [](const Session& s) { return infos(s.graph(), s.graph().inputs); }, "(name, shape, dtype) of each input.")
      .def_prop_ro("outputs", [](const Session& s) { return infos(s.graph(), s.graph().outputs); }, "(name, shape, dtype) of each output.")
      .def_prop_ro("arena_bytes", &Session::arena_bytes, "Planned bytes of working memory.")
      .def_prop_ro("weight_bytes", &Session::weight_bytes, "Bytes of constants, packed forms included.")
      .def_prop_ro("dynamic_bytes", &Session::dynamic_bytes, "Bytes of values whose size is known only at run time, in the last run.")
      .def("measured_arena_bytes", [](Session& s, nb::args args) { return s.measured_arena_bytes(given_or_zeros(s, args)); },
           nb::sig("def measured_arena_bytes(self, *inputs: Tensor | numpy.typing.ArrayLike) -> int"), "High-water mark of the arena in a run; zeros stand in for inputs not given.")
      .def_prop_ro("tuning", [](const Session& s) {
          const TuningReport& t = s.tuning();
          nb::dict d;
          d["path"] = t.path;
          d["timed"] = t.timed;
          d["remembered"] = t.remembered;
          d["changed"] = t.changed;
          return d;
        }, nb::sig("def tuning(self) -> dict[str, typing.Any]"), "Of compile(tune=): path of the file of choices, how many layers were timed, how many the file knew, and how many "
        "changed from what the cost model chose.")
      .def("clone", &Session::clone, "Shares the weights, has its own arena and states.")
      .def("profile", profile, nb::arg("inputs"), nb::kw_only(), nb::arg("runs") = 10,
           nb::sig("def profile(self, *inputs: Tensor | numpy.typing.ArrayLike, runs: int = 10) -> list[dict[str, typing.Any]]"), "A row for each step: op, shapes, macs, flops, latency_ms (median).")
      .def_prop_ro("graph", [](const Session& s) { return s.graph(); }, nb::rv_policy::copy, "The graph that runs, after the passes.")
      .def("to_text", &Session::to_text)
      .def("save", [](const Session& s, nb::object path) { return save_native({.graph = s.graph(), .has_graph = true, .kind = "graph"}, path_of(path)); },
           nb::arg("path"), nb::sig("def save(self, path: str | os.PathLike[str]) -> int"),
           "Writes the graph that runs, after the passes, as a native file (.npz), states as they are now: what a build for inference alone takes. Returns its bytes.")
      .def("__repr__", [](const Session& s) { return "<miniten Session of " + std::to_string(s.graph().nodes.size()) + " nodes, arena " + std::to_string(s.arena_bytes()) + " bytes>"; });

  nb::class_<BoundSession>(m, "BoundSession", "What Session.bind gives: a session with the tensors that it reads and writes, the same at each call.")
      .def("__call__", &BoundSession::run, nb::sig("def __call__(self) -> typing.Any"), "Runs on what inputs hold now -> outputs, a tensor or a tuple: the same ones at each call, with new values.")
      .def_prop_ro("inputs", [](const BoundSession& b) { return tuple_of(b.in); }, nb::sig("def inputs(self) -> tuple[Tensor, ...]"),
                   "The tensors given; of an array one that shares its memory; of a list, or an array whose memory cannot be shared, one that holds a copy.")
      .def_prop_ro("outputs", [](const BoundSession& b) { return tuple_of(b.out); }, nb::sig("def outputs(self) -> tuple[Tensor, ...]"));

  m.def("compile", [](nb::object model, nb::object input_shape, std::optional<int> threads, bool exact, nb::object passes, nb::object input_dtypes, const std::string& precision, nb::object tune) {
          if (threads && *threads < 1) throw Error(ErrorKind::value, "compile", "at least 1 thread", std::to_string(*threads));
          bool tunes = !nb::isinstance<nb::bool_>(tune) || nb::cast<bool>(tune);
          std::string choices = !tunes ? "" : nb::isinstance<nb::bool_>(tune) ? default_tuning_file() : path_of(tune);
          Session s(traced("compile", model, input_shape, input_dtypes, true), {threads.value_or(0), exact, pass_names(passes), choices, precision_of(precision)});
          if (const std::string& warning = s.tuning().warning; !warning.empty() && PyErr_WarnEx(PyExc_RuntimeWarning, ("[compile] " + warning).c_str(), 1) < 0) throw nb::python_error();
          return s;
        }, nb::arg("model"), nb::arg("input_shape") = nb::none(), nb::arg("threads") = nb::none(), nb::arg("exact") = false, nb::arg("passes") = "all", nb::arg("input_dtypes") = nb::none(),
        nb::arg("precision") = "float32", nb::arg("tune") = false,
        nb::sig("def compile(model: Module | Graph | collections.abc.Callable[..., typing.Any], input_shape: " SHAPE_TYPE " = None, threads: int | None = None, exact: bool = False, "
                "passes: str | collections.abc.Sequence[str] = 'all', input_dtypes: typing.Any = None, "
                "precision: typing.Literal['float32', 'bf16', 'bf16_weights', 'int8_weights'] = 'float32', tune: bool | str | os.PathLike[str] = False) -> Session"),
        "Traces, optimises and plans a model. exact refuses algorithms that round differently from the direct form. precision: of products with constant weights. 'bf16' rounds "
        "them and their inputs, and what attention multiplies, to bfloat16 where the processor multiplies those faster, and elsewhere does as 'bf16_weights'; that and 'int8_weights' narrow only the weights of "
        "products of few rows, such as recurrent and linear layers at batch 1. profile() and to_text() name the ops that changed. tune: times the ways of doing each layer once and keeps the fastest in a file, by machine and shape, for "
        "the next time: True for ~/.cache/miniten/choices, or its path.");
}

}  // namespace miniten::python
