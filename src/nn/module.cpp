#include "miniten/nn/module.h"
#include <set>

namespace miniten::nn {

std::vector<Tensor> Module::operator()(const std::vector<Tensor>& inputs) {
  note_call(inputs);
  LayerScope scope(label_);
  if (pre_hooks_.empty() && hooks_.empty()) return forward(inputs);
  std::vector<Tensor> in = inputs;
  auto before = pre_hooks_;                              // a hook may remove itself
  for (auto& [number, hook] : before) if (auto changed = hook(*this, in)) in = std::move(*changed);
  std::vector<Tensor> out = forward(in);
  auto after = hooks_;
  for (auto& [number, hook] : after) if (auto changed = hook(*this, in, out)) out = std::move(*changed);
  return out;
}
int Module::add_forward_pre_hook(PreHook hook) { return pre_hooks_.emplace_back(next_hook_, std::move(hook)), next_hook_++; }
int Module::add_forward_hook(Hook hook) { return hooks_.emplace_back(next_hook_, std::move(hook)), next_hook_++; }
bool Module::remove_hook(int number) {
  auto same = [&](auto& entry) { return entry.first == number; };
  return std::erase_if(pre_hooks_, same) + std::erase_if(hooks_, same) > 0;
}
ModuleRef Module::find_module(std::string_view path) {
  ModuleRef m(this);
  while (m && !path.empty()) {
    size_t dot = path.find('.');
    m = m->child(path.substr(0, dot));
    path = dot == path.npos ? "" : path.substr(dot + 1);
  }
  return m;
}
void Module::to(DType dtype) {
  if (!is_float(dtype)) throw Error(ErrorKind::type, "to", "a floating-point dtype", std::string(name_of(dtype)), "quantise with edge.quantize_model");
  NoGrad no_grad;
  auto convert = [&](const Tensor& t) {
    if (!t || !is_float(t.dtype()) || t.dtype() == dtype) return;
    Tensor c = cast(t, dtype).clone();
    t->spec = c->spec;
    t->strides = c->strides;
    t->offset = c->offset;
    t->storage = c->storage;
    t->grad = Tensor();
  };
  for (auto& [name, m] : named_modules()) {
    for (auto& [own, t] : m->own_parameters()) convert(t);
    for (auto& [own, t] : m->own_buffers()) convert(t);
  }
}
Tensor Module::operator()(const Tensor& x) {
  auto out = (*this)(std::vector<Tensor>{x});
  if (out.size() != 1) throw Error(ErrorKind::value, type_name(), "a module of one output", std::to_string(out.size()), "call it with a list of tensors");
  return out[0];
}
void Module::note_call(const std::vector<Tensor>& inputs) {
  if (mode().recorder) return;                           // traced shapes are not what the user passed
  last_inputs_.clear();
  for (const Tensor& t : inputs) last_inputs_.push_back(t.spec());
}

static void check_name(const Module& m, const std::string& name) {
  if (name.empty() || name.find('.') != name.npos)
    throw Error(ErrorKind::value, m.type_name(), "a name without dots", "\"" + name + "\"");
}
template <class T> static void put(std::vector<std::pair<std::string, T>>& list, const std::string& name, T value) {
  for (auto& [known, old] : list)
    if (known == name) { old = std::move(value); return; }
  list.emplace_back(name, std::move(value));
}
template <class T> static const T* find(const std::vector<std::pair<std::string, T>>& list, std::string_view name) {
  for (auto& [known, value] : list) if (known == name) return &value;
  return nullptr;
}

Tensor Module::register_parameter(std::string name, Tensor t) {
  check_name(*this, name);
  if (t && !is_parameter(t)) t = parameter(t, is_float(t.dtype()));
  if (!find(parameters_, name)) remove(name);
  put(parameters_, name, t);
  return t;
}
Tensor Module::register_buffer(std::string name, Tensor t) {
  check_name(*this, name);
  if (!find(buffers_, name)) remove(name);
  put(buffers_, name, t);
  return t;
}
ModuleRef Module::register_module(std::string name, ModuleRef m) {
  check_name(*this, name);
  if (!m) throw Error(ErrorKind::type, type_name(), "a module for \"" + name + "\"", "none");
  for (auto& [path, inner] : m->named_modules())
    if (inner.get() == this) throw Error(ErrorKind::value, type_name(), "a module that does not contain this one", "\"" + name + "\", a cycle");
  if (!find(children_, name)) remove(name);
  if (m->label_.empty()) m->label_ = name;
  put(children_, name, m);
  return m;
}
bool Module::remove(std::string_view name) {
  auto same = [&](auto& entry) { return entry.first == name; };
  return std::erase_if(parameters_, same) + std::erase_if(buffers_, same) + std::erase_if(children_, same) > 0;
}
Tensor Module::parameter_of(std::string_view name) const { auto* t = find(parameters_, name); return t ? *t : Tensor(); }
Tensor Module::buffer_of(std::string_view name) const { auto* t = find(buffers_, name); return t ? *t : Tensor(); }
ModuleRef Module::child(std::string_view name) const { auto* m = find(children_, name); return m ? *m : ModuleRef(); }

void Module::collect(std::string_view prefix, bool buffers, StateDict& out) const {
  for (auto& [name, t] : buffers ? buffers_ : parameters_) {
    bool seen = !t;
    if (t && !buffers) for (auto& entry : out) seen |= entry.second.same(t);
    if (!seen) out.emplace_back(std::string(prefix) + name, t);
  }
  for (auto& [name, m] : children_) m->collect(std::string(prefix) + name + ".", buffers, out);
}
StateDict Module::named_parameters() const { StateDict d; collect("", false, d); return d; }
StateDict Module::named_buffers() const { StateDict d; collect("", true, d); return d; }
void Module::collect_modules(std::string prefix, std::vector<std::pair<std::string, ModuleRef>>& out) {
  for (auto& [path, m] : out) if (m.get() == this) return;
  out.emplace_back(prefix, ModuleRef(this));
  for (auto& [name, m] : children_) m->collect_modules(prefix.empty() ? name : prefix + "." + name, out);
}
std::vector<std::pair<std::string, ModuleRef>> Module::named_modules() {
  std::vector<std::pair<std::string, ModuleRef>> all;
  collect_modules("", all);
  return all;
}
std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> p;
  for (auto& [name, t] : named_parameters()) p.push_back(t);
  return p;
}

static void collect_state(const Module& m, const std::string& prefix, StateDict& out) {   // torch's order: own, then children
  for (auto& [name, t] : m.own_parameters()) if (t) out.emplace_back(prefix + name, t);
  for (auto& [name, t] : m.own_buffers()) if (t) out.emplace_back(prefix + name, t);
  for (auto& [name, child] : m.children()) collect_state(*child, prefix + name + ".", out);
}
StateDict Module::state_dict() const {
  StateDict d;
  collect_state(*this, "", d);
  return d;
}
Module::LoadResult Module::load_state_dict(const StateDict& given, bool strict) {
  StateDict own = state_dict();
  LoadResult result;
  std::string wrong;
  std::vector<std::pair<Tensor, Tensor>> moves;
  for (auto& [name, t] : own) {
    const Tensor* value = find(given, name);
    if (!value) { result.missing.push_back(name); continue; }
    if (value->shape() != t.shape()) wrong += "\n  " + name + ": wanted " + t.shape().text() + ", got " + value->shape().text();
    else moves.emplace_back(t, *value);
  }
  for (auto& [name, t] : given) if (!find(own, name)) result.unexpected.push_back(name);
  std::string report;
  auto list = [&](const char* title, const std::vector<std::string>& names) {
    for (const std::string& n : names) report += std::string("\n  ") + title + " " + n;
  };
  if (strict) { list("missing", result.missing); list("unexpected", result.unexpected); }
  if (!wrong.empty() || !report.empty())
    throw Error(ErrorKind::value, "load_state_dict", "names and shapes of the model", "these that differ:" + report + wrong,
                strict && wrong.empty() ? "strict=False ignores missing and unexpected names" : "");
  NoGrad no_grad;
  for (auto& [to, from] : moves) assign(to, cast(from, to.dtype()));
  return result;
}

void Module::train(bool on) {
  training_ = on;
  on_train(on);
  for (auto& [name, m] : children_) m->train(on);
}
void Module::zero_grad() { for (const Tensor& p : parameters()) p->grad = Tensor(); }
void Module::set_requires_grad(bool on) { for (Tensor p : parameters()) p.set_requires_grad(on); }

static std::string indented(const std::string& text) {
  std::string s;
  for (char c : text) { s += c; if (c == '\n') s += "  "; }
  return s;
}
std::string Module::repr() const {
  std::string s = type_name() + "(" + extra_repr();
  if (children_.empty()) return s + ")";
  for (auto& [name, m] : children_) s += "\n  (" + name + "): " + indented(m->repr());
  return s + "\n)";
}

void Module::visit_refs(const std::function<void(Object*)>& visit) const {
  for (auto& [name, t] : parameters_) if (t) visit(t.impl());
  for (auto& [name, t] : buffers_) if (t) visit(t.impl());
  for (auto& [name, m] : children_) visit(m.get());
}
void Module::clear_refs() {
  auto p = std::move(parameters_), b = std::move(buffers_);
  auto c = std::move(children_);
  parameters_.clear();
  buffers_.clear();
  children_.clear();
}

// ---- trace and compile ----
namespace {
struct EvalMode {                                        // eval for a scope; every module gets its own flag back
  std::vector<std::pair<ModuleRef, bool>> before;
  explicit EvalMode(Module& m) {
    for (auto& [name, inner] : m.named_modules()) before.emplace_back(inner, inner->training());
    m.eval();
  }
  ~EvalMode() {
    for (auto& [m, on] : before)
      if (on) { m->train(true); break; }                 // the outermost first; then those that differ
    for (auto& [m, on] : before) if (m->training() != on) m->train(on);
  }
};
TraceNames names_of(Module& m) {
  TraceNames names;
  for (auto& [name, t] : m.state_dict()) names.constants.emplace_back(t, name);
  return names;
}
}  // namespace

Graph trace_module(Module& m, const std::vector<Spec>& inputs, bool fixed_batch) {
  EvalMode eval(m);
  TraceNames names = names_of(m);
  auto run = [&](const std::vector<Tensor>& in) { return m(in); };
  if (!fixed_batch) {
    std::vector<Spec> symbolic = inputs;
    bool any = false;
    for (Spec& s : symbolic) if (s.shape.rank >= 2) { s.shape[0] = symbol("batch"); any = true; }
    if (any) try {
      Graph g = trace(symbolic, run, names);
      Graph bound = bind_inputs(g, inputs);
      return g;
    } catch (const Error&) {}                            // the module needs its sizes: trace with those given
  }
  return trace(inputs, run, names);
}

Session compile(Module& m, const std::vector<Spec>& inputs, const CompileOptions& options) {
  return Session(trace_module(m, inputs, true), options);
}

std::vector<Spec> specs_or_last(std::string_view op, const Module& m, const std::vector<Spec>& given) {
  if (!given.empty()) return given;
  if (m.last_input_specs().empty())
    throw Error(ErrorKind::value, op, "the model's input shape", "none, and a model that was never called",
                "pass input_shape, or call the model once on real data");
  return m.last_input_specs();
}

}  // namespace miniten::nn
