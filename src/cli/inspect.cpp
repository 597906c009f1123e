#include <nlohmann/json.hpp>
#include <ostream>
#include "cli/files.h"
#include "cli/text.h"
#include "miniten/base/parallel.h"
#include "miniten/edge/pruning.h"
#include "miniten/edge/utils.h"

namespace miniten::cli {

namespace {

using json = nlohmann::ordered_json;

json specs_json(const Graph& g, const std::vector<int>& ids, std::string (*name)(const Graph&, size_t)) {
  json j = json::array();
  for (size_t i = 0; i < ids.size(); ++i) {
    const Spec& s = g.values[size_t(ids[i])].spec;
    json shape = json::array();
    for (Dim d : s.shape) shape.push_back(is_symbol(d) ? json(symbol_name(d)) : json(d));
    j.push_back({{"name", name(g, i)}, {"shape", shape}, {"dtype", name_of(s.dtype)}});
  }
  return j;
}
std::string specs_text(const Graph& g, const std::vector<int>& ids, std::string (*name)(const Graph&, size_t)) {
  std::string s;
  for (size_t i = 0; i < ids.size(); ++i) s += (i ? ", " : "") + name(g, i) + " " + g.values[size_t(ids[i])].spec.text();
  return s;
}
std::map<std::string, int> ops_of(const Graph& g) {
  std::map<std::string, int> ops;
  for (const Node& n : g.nodes) ++ops[std::string(n.op->name)];
  return ops;
}

}  // namespace

int inspect(const Inspect& o, Output to) {
  auto m = open_model(o.file);
  const Graph& g = m->graph();
  std::vector<Spec> specs = specs_for(*m, o.shapes);
  std::optional<edge::Device> device;
  if (!o.device.empty()) device = open_device(o.device);
  auto* q = dynamic_cast<edge::QuantizedModel*>(m.get());
  auto* p = dynamic_cast<edge::PrunedModel*>(m.get());
  if (to.json) {
    json j{{"file", o.file}, {"bytes", file_bytes(o.file)}, {"type", m->type_name()}, {"inputs", specs_json(g, g.inputs, input_name)},
           {"outputs", specs_json(g, g.outputs, output_name)}, {"ops", ops_of(g)}};
    j.update(json::parse(edge::count_parameters(*m).to_json()));
    j["flops"] = json::parse(edge::count_flops(*m, specs).to_json());
    if (bind_inputs(g, specs).is_static()) j["memory"] = json::parse(edge::estimate_memory(*m, specs).to_json());
    if (device) j["latency"] = json::parse(edge::estimate_latency(*m, specs, *device).to_json());
    if (q) j["quantization"] = json::parse(q->report().to_json());
    if (p) j["pruning"] = json::parse(p->report().to_json());
    if (!g.metadata.empty()) j["metadata"] = g.metadata;                     // of files that others made: not always UTF-8
    if (o.graph) j["graph"] = g.to_text();
    to.out << j.dump(-1, ' ', false, json::error_handler_t::replace) << "\n";
    return 0;
  }
  to.out << o.file << ": " << m->type_name() << ", " << with_commas(int64_t(file_bytes(o.file))) << " bytes\n"
         << "inputs:  " << specs_text(g, g.inputs, input_name) << "\noutputs: " << specs_text(g, g.outputs, output_name) << "\nops:     ";
  bool first = true;
  for (auto& [op, count] : ops_of(g)) {
    to.out << (first ? "" : ", ") << op << " " << count;
    first = false;
  }
  for (auto& [name, text] : g.metadata) to.out << "\n" << name << ": " << json(text.size() > 100 ? text.substr(0, 100) + ".." : text).dump(-1, ' ', true, json::error_handler_t::replace);
  to.out << "\n\n" << edge::model_summary(*m, specs, {.depth = o.depth, .device = device ? &*device : nullptr});
  if (q) to.out << "\n" << q->report().to_text();
  if (p) to.out << "\n" << p->report().to_text();
  if (o.graph) to.out << "\n" << g.to_text();
  return 0;
}

int version(Output to) {
  if (to.json) to.out << json{{"version", MINITEN_VERSION}, {"threads", get_num_threads()}}.dump() << "\n";
  else to.out << "miniten " MINITEN_VERSION "\n";
  return 0;
}

}  // namespace miniten::cli
