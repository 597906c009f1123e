#include <map>
#include <set>
#include "graph/layout.h"
#include "interchange/c/prepare.h"
#include "interchange/c/repeat.h"
#include "core/c_loops.h"

namespace miniten {

namespace {

std::string number(auto n) { return std::to_string(n); }
std::string plural(int64_t n, const char* what) { return c::join({n, " ", what, (n == 1 ? "" : "s")}); }

// A graph that is being written.
struct Written {
  const Graph& graph;
  const OutputPlan& plan;
  Layouts layouts;
  std::vector<std::string> names;                  // of owners: a C expression
  std::vector<std::string> outputs;                // where the caller wants them
  uint64_t begin = 0;                              // of its arena in the whole one
  std::string prefix = "t";                        // of what its steps compute
  size_t step = 0;
  Written(const Graph& g, const OutputPlan& p) : graph(g), plan(p), layouts(layouts_of(g)), names(g.values.size()) {}
};

class Writer : public CWriter {
 public:
  Writer(const Graph& g, const OutputPlan& p) : all_(g, p) {
    for (size_t i = 0; i < g.inputs.size(); ++i) all_.names[size_t(g.inputs[i])] = g.inputs.size() == 1 ? "input" : "in" + number(i);
    for (size_t i = 0; i < g.outputs.size(); ++i) all_.outputs.push_back("(" + c_type(g.values[size_t(g.outputs[i])].spec.dtype) + " *)output" + (g.inputs.size() == 1 && g.outputs.size() == 1 ? "" : "s[" + number(i) + "]"));
    for (size_t i = 0; i < g.states.size(); ++i) all_.names[size_t(g.states[i].entry)] = unique("state_" + c_identifier(g.values[size_t(g.states[i].entry)].name));
  }

  void define(std::string_view name, std::string_view source) override {
    if (defined_.insert(std::string(name)).second) functions_ += std::string(source) + "\n";
  }
  void include(std::string_view header) override { includes_.insert(std::string(header)); }
  void line(std::string_view code) override {
    if (code.starts_with("}")) --depth_;
    body_ += c::join({std::string(size_t(2 * depth_), ' '), code, "\n"});
    if (code.ends_with("{")) ++depth_;
  }
  std::string pointer(const COperand& x) override {
    if (x.constant) return stored(x.constant, array_name(now_->graph.values[size_t(x.value)].name));
    return place(x.value);
  }
  std::string constant(const Tensor& t, std::string_view hint) override { return stored(t.view().is_contiguous() ? t : t.clone(), layer_ + "_" + std::string(hint)); }
  std::string record(std::string_view type, std::string_view hint, std::string_view fields) override {
    std::string f(fields), key = std::string(type) + f;
    while (!f.empty() && (f.back() == ' ' || f.back() == ',')) f.pop_back();
    auto [at, is_new] = records_.try_emplace(key);
    if (is_new) {
      at->second = unique(c_identifier(layer_ + "_" + std::string(hint)));
      constants_ += c::join({"static const ", type, " ", at->second, " = {\n  ", f, "};\n"});
    }
    return "&" + at->second;
  }
  std::string scratch(std::string_view type) override { return in_arena(std::string(type), now_->plan.scratch[now_->step]); }
  void saved(size_t bytes) override { saved_bytes_ += bytes; }

  void steps() {
    const Graph& g = now_->graph;
    for (size_t i = 0; i < now_->plan.steps.size(); ++i) {
      const Node& n = g.nodes[size_t(now_->plan.steps[i])];
      begin_step(i, n);
      if (n.op == &repeat_op) repeat(n);
      else {
        const std::vector<Tensor> constants = g.constants(n.in);
        const std::vector<Input> known(constants.begin(), constants.end());
        const auto in = g.specs(n.in), out = g.specs(n.out);
        std::vector<COperand> from, to;
        for (size_t k = 0; k < n.in.size(); ++k) from.push_back({in[k], strides(n.in[k]), constants[k].has_data() ? constants[k] : Tensor(), n.in[k]});
        for (size_t k = 0; k < n.out.size(); ++k) to.push_back({out[k], strides(n.out[k]), {}, n.out[k]});
        static_cast<const CRules*>(n.op->c.rules)->write(*this, {{*n.op, n.attributes(), in, out, known}, from, to, n.name});
      }
    }
  }
  // Inputs that no step reads and outputs that a step did not write need no name.
  void optional(const std::string& name) { optional_.push_back(name); }
  void drop_unused() {
    for (const std::string& name : optional_) {
      const size_t first = body_.find(name + " = "), line = body_.rfind('\n', first) + 1, end = body_.find('\n', first) + 1;
      if (!mentions(name, first + 1)) body_.erase(line, end - line);
    }
  }
  // Whole, from there on?
  bool mentions(const std::string& name, size_t at = 0) const {
    auto goes_on = [&](size_t i) { return i < body_.size() && (std::isalnum(static_cast<unsigned char>(body_[i])) || body_[i] == '_'); };
    for (; (at = body_.find(name, at)) != body_.npos; ++at) if (!(at && goes_on(at - 1)) && !goes_on(at + name.size())) return true;
    return false;
  }
  // A value's first element, as an identifier or in parentheses.
  std::string place(int id) {
    int owner = now_->layouts.owner[size_t(id)];
    const Value& v = now_->graph.values[size_t(owner)];
    std::string name = v.constant && !now_->graph.is_state(owner) ? stored(v.constant, array_name(v.name)) : now_->names[size_t(owner)];
    int64_t offset = now_->layouts.offset[size_t(id)];
    return offset ? "(" + name + " + " + number(offset) + ")" : name;
  }
  const Strides& strides(int id) const { return now_->layouts.strides[size_t(id)]; }
  // No keyword, function or variable ends so.
  static std::string array_name(const std::string& value) {
    std::string name = value.empty() ? "" : c_identifier(value);
    return name.empty() || name.ends_with("_weight") || name.ends_with("_bias") ? name : name + "_values";
  }
  // A known constant in the order its elements lie in.
  std::string stored(const Tensor& t, const std::string& hint) {
    int64_t count = 0;
    std::vector<std::byte> bytes = bytes_in_memory_order(t, count);
    const bool words = t.dtype() == DType::i8 && defined_.contains("WORDS");             // vectors are loaded from it by words
    std::string key = c_type(t.dtype()) + (words ? "W:" : ":") + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    auto [at, is_new] = arrays_.try_emplace(key);
    if (is_new) {
      if (c_type(t.dtype()).empty()) throw Error(ErrorKind::unsupported, "export_c", "types that C has", t.spec().text(), "convert weights with cast first");
      at->second = unique(c_identifier(hint.empty() ? layer_ + "_constant" : hint));
      std::string text = c_array(words ? "static const WORDS" : "static const", at->second, t);
      if (text.find("INFINITY") != text.npos || text.find("NAN") != text.npos) include("math.h");
      constants_ += text;
      weight_bytes_ += bytes.size();
    }
    return at->second;
  }
  std::string unique(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 2; !taken_.insert(name).second; ++i) name = wanted + "_" + number(i);
    return name;
  }

  std::string states() {
    std::string s;
    for (const State& state : all_.graph.states) {
      const Value& v = all_.graph.values[size_t(state.entry)];
      const std::string& name = all_.names[size_t(state.entry)];
      int64_t count = 0;
      std::vector<std::byte> bytes = bytes_in_memory_order(v.constant, count);
      state_bytes_ += bytes.size();
      bool zero = std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
      std::string type = c_type(v.spec.dtype), size = number(std::max<int64_t>(count, 1));
      if (zero) {
        s += c::join({"static ", type, " ", name, "[", size, "];\n"});
        reset_ += c::join({"  for (int32_t i = 0; i < ", size, "; ++i) ", name, "[i] = 0;\n"});
      } else {
        s += c_array("static const", name + "_initial", v.constant) + c_array("static", name, v.constant);
        reset_ += c::join({"  for (int32_t i = 0; i < ", size, "; ++i) ", name, "[i] = ", name, "_initial[i];\n"});
        weight_bytes_ += bytes.size();
      }
    }
    return s;
  }
  const std::string& functions() const { return functions_; }
  const std::string& constants() const { return constants_; }
  const std::string& body() const { return body_; }
  const std::string& reset() const { return reset_; }
  const std::set<std::string>& includes() const { return includes_; }
  size_t weight_bytes() const { return weight_bytes_; }
  size_t saved_bytes() const { return saved_bytes_; }
  size_t state_bytes() const { return state_bytes_; }

 private:
  std::string in_arena(const std::string& type, int buffer) const { return c::join({"(", type, " *)(void *)(arena.bytes + ", now_->begin + now_->plan.buffers[size_t(buffer)].offset, ")"}); }
  void begin_step(size_t step, const Node& n) {
    const Graph& g = now_->graph;
    now_->step = step;
    layer_ = c_identifier(n.name.empty() ? n.op->name : n.name);
    std::string comment = now_->prefix.substr(1) + number(step) + ": " + (n.name.empty() ? "" : c_identifier(n.name) + ", ") + std::string(n.op->name);
    if (n.op == &repeat_op) comment += c::join({", ", repeat_of(n).times, " times"});
    else {
      bool first = true;
      for (int id : n.in) if (!g.is_constant(id)) comment += (std::exchange(first, false) ? " " : ", ") + g.values[size_t(id)].spec.text();
      comment += " -> " + g.values[size_t(n.out[0])].spec.text();
    }
    if (int64_t macs = cost_of(g, n).macs) comment += c::join({", ", macs, " MACs"});
    line(c::join({"/* ", comment, " */"}));
    for (const int& id : n.out) {
      const Place& p = now_->plan.places[size_t(id)];
      int output = now_->plan.held_by[size_t(id)];
      if (now_->layouts.owner[size_t(id)] != id || p.kind != Place::arena) continue;
      std::string& name = now_->names[size_t(id)];
      name = now_->prefix + number(step) + "_" + layer_;
      if (n.out.size() > 1) name += "_" + number(&id - n.out.data());
      std::string type = c_type(g.values[size_t(id)].spec.dtype);
      if (g.values[size_t(id)].spec.shape.count() == 0) continue;                     // nothing is written there
      line(c::join({type, " *const ", name, " = ", output >= 0 ? now_->outputs[size_t(output)] : in_arena(type, p.root), ";"}));
      if (n.out.size() > 1) optional(name);
    }
  }
  // A loop over what the node holds.
  void repeat(const Node& n) {
    const Repeat& r = repeat_of(n);
    const Graph& g = now_->graph;
    Written body(r.body, r.plan);
    if (const int own = now_->plan.scratch[now_->step]; own >= 0) body.begin = now_->begin + now_->plan.buffers[size_t(own)].offset;
    body.prefix = now_->prefix + number(now_->step) + "_";
    std::vector<std::string> outputs;
    for (int id : n.out) outputs.push_back(place(id));
    auto count_of = [](const Graph& of, int id) { return of.values[size_t(id)].spec.shape.count(); };
    auto copy = [&](const std::string& to, const std::string& from, int64_t count) {
      include("string.h");
      line(c::join({"memcpy(", to, ", ", from, ", ", count, " * sizeof *", (to.find(' ') == to.npos ? to : "(" + to + ")"), ");"}));
    };
    auto moved = [](const std::string& to, int64_t first, int64_t step) {
      std::string s = to;
      if (first) s += c::join({" + ", first});
      if (step) s += c::join({step < 0 ? " - " : " + ", std::abs(step), " * step"});
      return s;
    };
    for (const Repeat::Start& b : r.starts) copy(moved(outputs[size_t(b.to)], b.first, 0), place(n.in[size_t(b.in)]), count_of(g, n.in[size_t(b.in)]));
    for (const Repeat::Place& p : r.outputs) body.outputs.push_back(moved(outputs[size_t(p.to)], p.first, p.step));
    for (size_t i = 0; i < r.body.inputs.size(); ++i) {
      std::string& name = body.names[size_t(r.body.inputs[i])];
      if (i >= r.reads.size()) name = outputs[size_t(r.handed[i - r.reads.size()])];
      else name = place(n.in[size_t(r.reads[i].in)]), name = r.reads[i].advance ? "(" + moved(name, 0, r.reads[i].advance) + ")" : name;
    }
    line(c::join({"for (int32_t step = 0; step < ", r.times, "; ++step) {"}));
    Written* outer = std::exchange(now_, &body);
    steps();
    now_ = outer;
    for (const Repeat::Joined& j : r.joined) copy(moved(outputs[size_t(j.to)], j.first, j.step), outputs[size_t(j.from)], count_of(g, n.out[size_t(j.from)]));
    line("}");
  }

  Written all_;
  Written* now_ = &all_;
  std::set<std::string> defined_, includes_, taken_{"input", "output", "inputs", "outputs", "arena", "step"};
  std::map<std::string, std::string> arrays_, records_;
  std::vector<std::string> optional_;
  std::string functions_, constants_, body_, reset_, layer_;
  int depth_ = 1;
  size_t weight_bytes_ = 0, state_bytes_ = 0, saved_bytes_ = 0;
};

std::string where(const Node& n) { return n.name.empty() ? "" : " in layer \"" + n.name + "\""; }

void check_forms(const Graph& g) {
  for (const Node& n : g.nodes) {
    bool view = n.op->view && n.op->c.rules == nullptr;
    if ((!n.op->c.rules && !view) || !n.subgraphs.empty())
      throw Error(ErrorKind::unsupported, "export_c", "ops with a C form", std::string(n.op->name) + where(n), n.op->traits.random ? "export the model in eval mode" : "run this model in a session, or remove the layer");
  }
}

std::string ports_text(const std::vector<CPort>& ports) {
  std::string s;
  for (const CPort& p : ports) s += (s.empty() ? "" : ", ") + p.spec.text();
  return s;
}

void write_port(std::string& h, const std::string& prefix, const char* kind, const std::vector<CPort>& ports) {
  for (size_t i = 0; i < ports.size(); ++i) {
    const CPort& p = ports[i];
    std::string base = "#define " + prefix + "_" + kind + (ports.size() > 1 ? "_" + number(i) : "");
    h += c::join({base, "_SIZE ", p.spec.shape.count(), " /* ", p.spec.text(), ", row-major", (p.name.empty() ? "" : ": " + c_identifier(p.name)), " */\n"});
    h += c::join({base, "_TYPE ", c_type(p.spec.dtype), "\n"});
    if (!p.quantized || p.quantized->scale.size() != 1) continue;
    h += c::join({base, "_SCALE ", c_number(p.quantized->scale[0], DType::f32), "\n", base, "_ZERO_POINT (", p.quantized->zero[0], ")\n"});
  }
}

std::string signature(const CSource& s) {
  std::string name = s.name + (s.streams ? "_step" : "_run");
  if (s.inputs.size() != 1 || s.outputs.size() != 1) return c::join({"void ", name, "(const void *const inputs[], void *const outputs[])"});
  return c::join({"void ", name, "(const ", c_type(s.inputs[0].spec.dtype), " *input, ", c_type(s.outputs[0].spec.dtype), " *output)"});
}

std::string header_of(const CSource& s) {
  std::string up = upper_case(s.name), h = "/* " + s.name + ": " + ports_text(s.inputs) + " -> " + ports_text(s.outputs) + ", " + number(s.macs) + " MACs. Written by MiniTen " MINITEN_VERSION ". */\n";
  h += c::join({"#ifndef ", up, "_H\n#define ", up, "_H\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"});
  h += c::join({"#define ", up, "_ARENA_BYTES ", s.arena_bytes, " /* static working memory */\n"});
  h += c::join({"#define ", up, "_WEIGHT_BYTES ", s.weight_bytes, " /* const arrays */\n"});
  if (s.streams) h += c::join({"#define ", up, "_STATE_BYTES ", s.state_bytes, " /* static, kept from step to step */\n"});
  h += "\n";
  if (s.inputs.size() > 1) h += c::join({"#define ", up, "_INPUTS ", s.inputs.size(), "\n"});
  write_port(h, up, "INPUT", s.inputs);
  if (s.outputs.size() > 1) h += c::join({"#define ", up, "_OUTPUTS ", s.outputs.size(), "\n"});
  write_port(h, up, "OUTPUT", s.outputs);
  bool integers = false;
  for (const std::vector<CPort>* ports : {&s.inputs, &s.outputs}) for (const CPort& p : *ports) integers |= p.quantized && p.quantized->scale.size() == 1;
  h += integers ? "\n/* Integers stand for (q - ZERO_POINT) * SCALE. Not reentrant" : "\n/* Not reentrant";
  h += ": the working memory is static. Inputs and outputs must not overlap. */\n";
  if (s.streams) h += c::join({"void ", s.name, "_reset(void); /* to the state before the first step */\n"});
  return c::join({h, signature(s), ";\n\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n"});
}

}  // namespace

CSource c_source(const Graph& given, const std::string& name, bool streaming, const std::vector<CarriedValue>& carried) {
  check_c_name(name);
  PreparedForC prepared = prepare_for_c(given, streaming, carried);
  CSource s;
  s.name = name;
  s.graph = std::move(prepared.graph);
  s.inputs = std::move(prepared.inputs);
  s.outputs = std::move(prepared.outputs);
  s.streams = !s.graph.states.empty();
  check_forms(s.graph);
  for (const std::vector<CPort>* ports : {&s.inputs, &s.outputs})
    for (const CPort& p : *ports)
      if (c_type(p.spec.dtype).empty()) throw Error(ErrorKind::unsupported, "export_c", "inputs and outputs of types that C has", p.spec.text(), "export a float32 or a quantised model");
  PlanOptions options{.alignment = 8, .work = [](const Call& c) {
    if (&c.op == &repeat_op) return Work{.shared = c.as<Repeat>().plan.arena_bytes};
    auto* rules = static_cast<const CRules*>(c.op.c.rules);
    return Work{.shared = rules && rules->scratch ? rules->scratch(c) : 0};
  }};
  Graph g = s.graph;
  roll_repeats(g, options);
  options.caller_holds_outputs = true;
  OutputPlan p = plan(g, options);
  s.arena_bytes = p.arena_bytes;
  s.macs = cost_of(g).macs;
  s.steps = int(p.steps.size());

  Writer w(g, p);
  std::string up = upper_case(name);
  bool single = s.inputs.size() == 1 && s.outputs.size() == 1;
  if (!single) {
    for (size_t i = 0; i < s.inputs.size(); ++i) {
      std::string type = c_type(s.inputs[i].spec.dtype), port = s.inputs.size() == 1 ? "input" : "in" + number(i);
      w.line(c::join({"const ", type, " *const ", port, " = (const ", type, " *)inputs[", i, "];"}));
      w.optional(port);
    }
  }
  std::string states = w.states();
  w.steps();
  // Outputs that were not computed where the caller wants them.
  for (size_t i = 0; i < g.outputs.size(); ++i) {
    int id = g.outputs[i];
    if (p.held_by[size_t(id)] == int(i)) continue;
    const OpDef& op = copy_op;
    Spec spec = g.values[size_t(id)].spec;
    std::string type = c_type(spec.dtype), to = "out" + number(i);
    w.line(c::join({"/* output ", i, " */"}));
    w.line(c::join({type, " *const ", to, " = ", (single ? "output" : "(" + type + " *)outputs[" + number(i) + "]"), ";"}));
    struct Copied : CWriter {                            // the copy rule, with the caller's memory as its output
      CWriter& w;
      std::string to;
      int from;
      Writer& names;
      Copied(Writer& writer, std::string target, int id) : w(writer), to(std::move(target)), from(id), names(writer) {}
      void define(std::string_view a, std::string_view b) override { w.define(a, b); }
      void include(std::string_view h) override { w.include(h); }
      void line(std::string_view l) override { w.line(l); }
      std::string pointer(const COperand& x) override { return x.value < 0 ? to : names.place(from); }
      std::string constant(const Tensor& t, std::string_view h) override { return w.constant(t, h); }
      std::string record(std::string_view t, std::string_view h, std::string_view f) override { return w.record(t, h, f); }
      std::string scratch(std::string_view t) override { return w.scratch(t); }
      void saved(size_t bytes) override { w.saved(bytes); }
    } copied(w, to, id);
    COperand from{spec, w.strides(id), {}, id}, target{spec, contiguous(spec.shape), {}, -1};
    std::vector<Spec> specs{spec};
    static_cast<const CRules*>(op.c.rules)->write(copied, {{op, op.attrs.defaults, specs, specs}, {&from, 1}, {&target, 1}, ""});
  }
  w.drop_unused();
  s.weight_bytes = w.weight_bytes();
  s.dense_weight_bytes = s.weight_bytes + w.saved_bytes();
  s.state_bytes = w.state_bytes();
  s.header = header_of(s);

  std::string& c = s.source;
  c = "/* " + name + ": " + plural(s.steps, "step") + ", " + number(s.macs) + " MACs; " + number(s.weight_bytes) + " bytes of weights, " + number(s.arena_bytes) + " of working memory" +
      (s.streams ? ", " + number(s.state_bytes) + " of state" : "") + ". Written by MiniTen " MINITEN_VERSION ". */\n#include \"" + name + ".h\"\n";
  for (const std::string& h : w.includes()) if (h != "stdint.h") c += c::join({"#include <", h, ">\n"});
  c += c::join({"\n", w.functions(), w.constants(), "\n"});
  if (!states.empty()) c += states + "\n";
  if (s.arena_bytes)
    c += c::join({"/* Define ", up, "_ARENA_ATTRIBUTE to place the working memory, as __attribute__((section(\".fast\"))). */\n#ifndef ", up, "_ARENA_ATTRIBUTE\n#define ", up, "_ARENA_ATTRIBUTE\n#endif\nstatic union {\n  double alignment;\n  int64_t integer_alignment;\n  uint8_t bytes[", up, "_ARENA_BYTES];\n} arena ", up, "_ARENA_ATTRIBUTE;\n\n"});
  if (s.streams) c += c::join({"void ", name, "_reset(void) {\n", w.reset(), "}\n\n"});
  const std::string inputs = single ? "input" : "inputs";
  c += c::join({signature(s), " {\n", w.body(), (w.mentions(inputs) ? "" : "  (void)" + inputs + ";\n"), "}\n"});
  return s;
}

}  // namespace miniten
