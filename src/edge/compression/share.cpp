#include <cmath>
#include <nlohmann/json.hpp>
#include "edge/models.h"
#include "edge/pruning/choose.h"
#include "miniten/base/random.h"
#include "miniten/edge/compression.h"
#include "miniten/interchange/native.h"

namespace miniten::edge {

namespace {

constexpr const char* op = "weight_sharing";

size_t bytes_of_graph(const Graph& g) {
  NativeFile f;
  f.graph = g;
  f.has_graph = true;
  f.kind = "module";
  return native_bytes(f).size();
}

// Lloyd's iterations over sorted values from given centroids.
Clusters lloyd(std::span<const float> values, std::vector<float> centroids) {
  std::sort(centroids.begin(), centroids.end());
  Clusters c;
  c.labels.assign(values.size(), 0);
  for (int round = 0; round < 300; ++round) {
    std::vector<double> sum(centroids.size(), 0), count(centroids.size(), 0);
    bool moved = round == 0;
    for (size_t i = 0; i < values.size(); ++i) {
      auto above = size_t(std::lower_bound(centroids.begin(), centroids.end(), values[i]) - centroids.begin());
      size_t near = above == centroids.size() ? above - 1 : above;
      if (above > 0 && above < centroids.size() && double(values[i]) - centroids[above - 1] <= double(centroids[above]) - values[i]) near = above - 1;
      moved |= c.labels[i] != int32_t(near);
      c.labels[i] = int32_t(near);
      sum[near] += values[i];
      ++count[near];
    }
    if (!moved) break;
    for (size_t k = 0; k < centroids.size(); ++k) if (count[k] > 0) centroids[k] = float(sum[k] / count[k]);
  }
  c.centroids = std::move(centroids);
  return c;
}
Clusters clustered(const std::vector<float>& values, int64_t k, const ShareOptions& o, Generator& random) {
  if (o.start == "optimal") return kmeans_1d(values, k);
  std::vector<float> sorted = values, start;
  std::sort(sorted.begin(), sorted.end());
  double least = sorted.front(), greatest = sorted.back();
  for (int64_t i = 0; i < k; ++i) {
    double share = (double(i) + 0.5) / double(k);
    if (o.start == "linear") start.push_back(float(least + (greatest - least) * (k == 1 ? 0.5 : double(i) / double(k - 1))));
    else if (o.start == "density") start.push_back(sorted[size_t(share * double(sorted.size()))]);
    else start.push_back(values[size_t(random.next() % values.size())]);
  }
  start.erase(std::unique(start.begin(), start.end()), start.end());
  return lloyd(values, start);
}

// Elements that may move: those inside the mask, and without a mask those that are not 0.
struct Shared {
  int value;
  std::vector<float> all;
  std::vector<size_t> moving;
};

void check(const ShareOptions& o) {
  if (o.num_clusters < 1 || o.num_clusters > 65536) throw Error(ErrorKind::value, op, "num_clusters from 1 to 65536", std::to_string(o.num_clusters));
  if (o.start != "optimal" && o.start != "linear" && o.start != "density" && o.start != "random")
    throw Error(ErrorKind::value, op, "start optimal, linear, density or random", "\"" + o.start + "\"");
  if (o.scope != "layer" && o.scope != "global") throw Error(ErrorKind::value, op, "scope layer or global", "\"" + o.scope + "\"");
}
bool names(const std::string& pattern, const std::string& name) { return matches(pattern, name) || matches(pattern + ".*", name); }

std::vector<Shared> to_share(const Graph& g, const ShareOptions& o) {
  std::vector<Shared> all;
  std::vector<bool> used(o.skip.size());
  std::string list;
  for (const Weight& w : weights_of(g)) {
    const Value& v = g.values[size_t(w.value)];
    if (v.spec.shape.rank < 2) continue;
    list += (list.empty() ? "" : ", ") + v.name;
    bool left_out = false;
    for (size_t p = 0; p < o.skip.size(); ++p) {
      bool named = names(o.skip[p], v.name);
      for (const std::string& layer : w.layers) named |= names(o.skip[p], layer);
      for (const std::string& name : w.ops) named |= name == o.skip[p];
      if (named) used[p] = left_out = true;
    }
    if (left_out) continue;
    if (w.quantized || v.spec.dtype != DType::f32)
      throw Error(ErrorKind::unsupported, op, "float32 weights", "\"" + v.name + "\" of " + v.spec.text(), "share the float model, then quantise it");
    check_finite_weight(op, v.name, v.constant);
    Shared s{w.value, v.constant.to_vector<float>(), {}};
    Tensor mask = v.mask ? v.mask.clone() : Tensor();
    for (size_t i = 0; i < s.all.size(); ++i) if (mask ? mask.view().as<bool>()[i] : s.all[i] != 0) s.moving.push_back(i);
    all.push_back(std::move(s));
  }
  for (size_t p = 0; p < o.skip.size(); ++p)
    if (!used[p]) throw Error(ErrorKind::value, op, "skip patterns that match a weight", "\"" + o.skip[p] + "\"", "weights: " + list);
  if (all.empty()) throw Error(ErrorKind::value, op, "a model with weights of two or more axes", o.skip.empty() ? "one without" : "one whose weights are all skipped");
  return all;
}

ShareReport share_graph(Graph& g, const ShareOptions& o) {
  ShareReport report;
  report.given_bytes = bytes_of_graph(g);
  std::vector<Shared> all = to_share(g, o);
  Generator random(o.seed, 79);
  auto share = [&](const std::vector<size_t>& members) {
    std::vector<float> values;
    bool zeros = false;
    for (size_t k : members) {
      for (size_t i : all[k].moving) values.push_back(all[k].all[i]);
      zeros |= all[k].moving.size() < all[k].all.size();
    }
    if (zeros && o.num_clusters == 1 && !values.empty())
      throw Error(ErrorKind::value, op, "num_clusters of at least 2 where weights are 0", "1", "0 is a cluster of its own");
    Clusters c;
    if (!values.empty()) c = clustered(values, o.num_clusters - zeros, o, random);
    std::vector<float> codebook = c.centroids;
    if (zeros && !std::count(codebook.begin(), codebook.end(), 0.0f)) codebook.push_back(0);
    std::sort(codebook.begin(), codebook.end());
    Tensor book = Tensor::of<float>({int64_t(codebook.size())}, codebook);       // one for all of them
    size_t next = 0;
    for (size_t k : members) {
      Shared& s = all[k];
      Value& v = g.values[size_t(s.value)];
      double square = 0;
      std::vector<float> now(s.all.size(), 0.0f);
      for (size_t i : s.moving) {
        now[i] = c.centroids[size_t(c.labels[next++])];
        square += (double(now[i]) - s.all[i]) * (double(now[i]) - s.all[i]);
      }
      v.constant = Tensor::of<float>(v.spec.shape, now);
      v.trainable = false;
      v.codebook = book;
      report.rows.push_back({v.name, int64_t(s.all.size()), int64_t(codebook.size()), std::sqrt(square / double(std::max<size_t>(s.all.size(), 1)))});
    }
  };
  if (o.scope == "global") {
    std::vector<size_t> members(all.size());
    for (size_t k = 0; k < all.size(); ++k) members[k] = k;
    share(members);
  } else for (size_t k = 0; k < all.size(); ++k) share({k});
  return report;
}

}  // namespace

SharedModel::SharedModel(Graph g, ShareReport report) : GraphModule(std::move(g)), report_(std::move(report)) {}

std::vector<std::pair<std::string, Tensor>> SharedModel::centroids() const {
  std::vector<std::pair<std::string, Tensor>> all;
  for (const Value& v : graph().values) if (v.codebook) all.emplace_back(v.name, v.codebook);
  return all;
}
NativeFile SharedModel::file() const {
  NativeFile f;
  f.graph = graph();
  f.has_graph = true;
  f.kind = "shared";
  ShareReport r = report_;
  r.bytes = 0;                                               // a file does not hold its own size
  f.extra = r.to_json();
  return f;
}
size_t SharedModel::size_bytes() const { return native_bytes(file()).size(); }
size_t SharedModel::save(const std::string& path) const { return save_native(file(), path); }
ShareReport SharedModel::report() const {
  ShareReport r = report_;
  r.bytes = size_bytes();
  return r;
}
double SharedModel::compression_ratio() const { return double(report_.given_bytes) / double(size_bytes()); }
Ref<SharedModel> SharedModel::from_file(const NativeFile& f) {
  if (f.kind != "shared" || !f.has_graph)
    throw Error(ErrorKind::value, "SharedModel.load", "a file of a model with shared weights", f.kind.empty() ? "one without a kind" : "one of kind \"" + f.kind + "\"");
  auto m = make<SharedModel>(f.graph, ShareReport::from_json(f.extra));
  m->eval();
  return m;
}
Ref<SharedModel> SharedModel::clone() const {
  auto copy = make<SharedModel>(own_copy(graph()), report_);
  copy->train(training());
  return copy;
}
Ref<SharedModel> SharedModel::load(const std::string& path) { return from_file(load_native(path)); }

Ref<SharedModel> weight_sharing(nn::Module& model, const ShareOptions& o, const std::vector<Spec>& inputs) {
  check(o);
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Graph g = own_copy(whole_graph(op, model, inputs));
  ShareReport report = share_graph(g, o);
  auto m = make<SharedModel>(std::move(g), std::move(report));
  m->train(model.training());
  return m;
}

std::string ShareReport::to_text() const {
  size_t width = 6;
  for (const ShareRow& r : rows) width = std::max(width, r.weight.size());
  std::string s = "weight" + std::string(width - 6, ' ') + "       total  clusters       error\n";
  for (const ShareRow& r : rows) {
    char line[96];
    std::snprintf(line, sizeof line, "  %10lld %9lld %11.3g\n", (long long)r.total, (long long)r.clusters, r.error);
    s += r.weight + std::string(width - r.weight.size(), ' ') + line;
  }
  char line[96];
  std::snprintf(line, sizeof line, "file: %zu -> %zu bytes, %.2fx smaller\n", given_bytes, bytes, bytes ? double(given_bytes) / double(bytes) : 0.0);
  return bytes ? s + line : s;
}
std::string ShareReport::to_json() const {
  nlohmann::ordered_json j{{"given_bytes", given_bytes}, {"bytes", bytes}, {"rows", nlohmann::ordered_json::array()}};
  for (const ShareRow& r : rows) j["rows"].push_back({{"weight", r.weight}, {"total", r.total}, {"clusters", r.clusters}, {"error", r.error}});
  return j.dump();
}
ShareReport ShareReport::from_json(std::string_view text) {
  try {
    auto j = nlohmann::json::parse(text);
    ShareReport r;
    r.given_bytes = j.at("given_bytes");
    r.bytes = j.at("bytes");
    for (const auto& row : j.at("rows")) r.rows.push_back({row.at("weight"), row.at("total"), row.at("clusters"), row.at("error")});
    return r;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::value, "share report", "the JSON that to_json writes", e.what(), "the file may be damaged");
  }
}

}  // namespace miniten::edge
