#include "miniten/interchange/runner.h"
#include <cstring>
#include "miniten/graph/session.h"
#include "miniten/interchange/native.h"

using namespace miniten;

struct miniten_model {
  Session session;
  std::vector<std::string> names;                // of inputs, then outputs
  std::vector<Spec> specs;
  std::vector<std::vector<int64_t>> shapes;
  std::vector<miniten_port> ports;
  size_t inputs;
  std::vector<Tensor> in, out;                   // row-major copies
};

namespace {

thread_local std::string error;

// What f returns, or, where it throws, `otherwise`.
template <class F, class R> R guarded(R otherwise, F f) noexcept {
  try {
    return f();
  } catch (const std::exception& e) {
    try { error = e.what(); } catch (...) {}
  } catch (...) {
  }
  return otherwise;
}

std::unique_ptr<miniten_model> make_model(NativeFile file) {
  if (!file.has_graph) throw Error(ErrorKind::value, "miniten_load", "a file with a model", "one of kind \"" + file.kind + "\"");
  std::vector<Spec> given = file.graph.specs(file.graph.inputs);
  for (Spec& s : given) for (Dim& d : s.shape) if (is_symbol(d)) d = 1;
  Session session(bind_inputs(std::move(file.graph), given), {.threads = 1, .keep_constants = false});
  std::unique_ptr<miniten_model> m(new miniten_model{std::move(session), {}, {}, {}, {}, given.size(), {}, {}});
  m->names = m->session.input_names();
  m->specs = m->session.input_specs();
  for (const std::string& name : m->session.output_names()) m->names.push_back(name);
  for (const Spec& s : m->session.output_specs()) m->specs.push_back(s);
  for (size_t i = 0; i < m->specs.size(); ++i) {
    const Spec& s = m->specs[i];
    if (bits_of(s.dtype) < 8 || !s.shape.is_static()) throw Error(ErrorKind::unsupported, "miniten_load", "inputs and outputs of known sizes in whole bytes", m->names[i] + " of " + s.text());
    m->shapes.emplace_back(s.shape.begin(), s.shape.end());
    (i < m->inputs ? m->in : m->out).push_back(Tensor::empty(s));
  }
  for (size_t i = 0; i < m->specs.size(); ++i)
    m->ports.push_back({m->names[i].c_str(), name_of(m->specs[i].dtype).data(), m->shapes[i].data(), m->shapes[i].size(), size_t(m->specs[i].bytes())});
  return m;
}

}  // namespace

miniten_model* miniten_load(const void* file, size_t bytes) {
  return guarded<>(static_cast<miniten_model*>(nullptr), [&] { return make_model(load_native(std::span(static_cast<const std::byte*>(file), bytes))).release(); });
}
miniten_model* miniten_load_path(const char* path) {
  return guarded<>(static_cast<miniten_model*>(nullptr), [&] { return make_model(load_native(std::string(path))).release(); });
}
void miniten_free(miniten_model* m) { delete m; }

size_t miniten_inputs(const miniten_model* m) { return m->inputs; }
size_t miniten_outputs(const miniten_model* m) { return m->ports.size() - m->inputs; }
const miniten_port* miniten_input(const miniten_model* m, size_t i) { return i < m->inputs ? &m->ports[i] : nullptr; }
const miniten_port* miniten_output(const miniten_model* m, size_t i) { return i < miniten_outputs(m) ? &m->ports[m->inputs + i] : nullptr; }
size_t miniten_arena_bytes(const miniten_model* m) { return m->session.arena_bytes(); }

int miniten_run(miniten_model* m, const void* const inputs[], void* const outputs[]) {
  return guarded<>(-1, [&] {
    for (size_t i = 0; i < m->inputs; ++i) std::memcpy(m->in[i].view().data, inputs[i], m->ports[i].bytes);
    m->session.run_into(m->in);
    for (size_t i = 0; i < m->out.size(); ++i) {
      copy_values(m->session.output(int(i)), m->out[i].view());
      std::memcpy(outputs[i], m->out[i].view().data, m->ports[m->inputs + i].bytes);
    }
    return 0;
  });
}
const char* miniten_error() { return error.c_str(); }
