#include "edge/models.h"
#include "miniten/edge/utils.h"

namespace miniten::edge {

namespace {

std::string with_commas(int64_t n) {
  std::string s = std::to_string(n);
  for (int i = int(s.size()) - 3; i > 0 && s[size_t(i - 1)] != '-'; i -= 3) s.insert(size_t(i), 1, ',');
  return s;
}
std::string kilobytes(int64_t bytes) {
  char text[48];
  std::snprintf(text, sizeof text, bytes < 1048576 ? "%.1f KB" : "%.2f MB", double(bytes) / (bytes < 1048576 ? 1024 : 1048576));
  return text;
}

}  // namespace

std::string model_summary(nn::Module& m, const std::vector<Spec>& inputs) {
  Graph g = bound_graph("model_summary", m, inputs);
  auto types = layer_types(m);
  std::vector<std::vector<std::string>> rows{{"layer", "type", "output", "parameters", "MACs"}};
  for (const LayerWork& l : layers_of(g)) {
    int64_t own = 0;
    for (int id : l.parameters) own += g.values[size_t(id)].constant.numel();
    auto type = types.find(l.name);
    rows.push_back({l.name.empty() ? "-" : l.name, l.name.empty() || type == types.end() ? l.op : type->second,
                    l.output < 0 ? "" : g.values[size_t(l.output)].spec.text(), with_commas(own), with_commas(l.cost.macs)});
  }
  std::vector<size_t> width(rows[0].size());
  for (auto& row : rows) for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  std::string s;
  for (auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      std::string space(width[i] - row[i].size(), ' ');
      s += (i ? "  " : "") + (i < 3 ? row[i] + space : space + row[i]);
    }
    s += "\n";
    if (&row == &rows[0]) {
      size_t all = 2 * (width.size() - 1);
      for (size_t w : width) all += w;
      s += std::string(all, '-') + "\n";
    }
  }
  ParameterCount p = count_parameters(m);
  FlopCount f = count_flops(m, inputs);
  s += "parameters: " + with_commas(p.total) + " (" + with_commas(p.trainable) + " trainable, " + with_commas(p.nonzero) + " not zero)\n";
  s += "MACs: " + with_commas(f.macs) + ", elementwise FLOPs: " + with_commas(f.elementwise_flops) + ", FLOPs: " + with_commas(f.total()) + "\n";
  if (!g.is_static()) return s + "memory: sizes are known at run time\n";
  MemoryEstimate e = estimate_memory(m, inputs);
  return s + "memory: " + kilobytes(e.parameter) + " parameters, " + kilobytes(e.input) + " input, " + kilobytes(e.activation) + " activations\n";
}

}  // namespace miniten::edge
