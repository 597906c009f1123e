#include <cmath>
#include "base/json.h"
#include "edge/models.h"
#include "edge/pruning/choose.h"
#include "miniten/base/random.h"
#include "miniten/core/autograd.h"
#include "miniten/edge/compression.h"
#include "miniten/interchange/native.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

namespace {

constexpr const char* op = "weight_sharing";

std::vector<float> distinct(std::vector<float> values) {       // ascending
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

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
  if (o.trainable && o.scope != "layer") throw Error(ErrorKind::unsupported, op, "scope layer for trainable values", "\"" + o.scope + "\"");
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
      v.trainable = o.trainable;
      if (o.trainable) v.constant = parameter(v.constant);
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

SharedModel::SharedModel(Graph g, ShareReport report, bool trainable) : GraphModule(std::move(g)), report_(std::move(report)), trainable_(trainable) {
  for (size_t id = 0; trainable && id < graph().values.size(); ++id) {
    const Value& v = graph().values[id];
    if (!v.codebook || !v.constant || !v.trainable) continue;
    std::vector<float> w = v.constant.to_vector<float>(), book = distinct(w), keep(w.size(), 1.0f);
    std::vector<int64_t> labels(w.size()), first(book.size() + 1, 0);
    bool zeros = false;
    for (size_t i = w.size(); i-- > 0;) {
      labels[i] = std::lower_bound(book.begin(), book.end(), w[i]) - book.begin();
      if (w[i] == 0) labels[i] = int64_t(book.size()), keep[i] = 0, zeros = true;          // stays
      first[size_t(labels[i])] = int64_t(i);
    }
    ties_[int(id)] = {Tensor::of<int64_t>({int64_t(w.size())}, labels), Tensor::of<int64_t>({int64_t(first.size())}, first),
                      zeros ? Tensor::of<float>(v.spec.shape, keep) : Tensor()};
  }
}

// Its value is the weight's, bit for bit; its gradient reaches each element as the sum over all of the same value.
Tensor SharedModel::tied(const Value& v, const Tie& t) const {
  Tensor w = reshape(v.constant, {v.constant.numel()}), total = scatter_add(w, t.labels, t.first.numel());
  Tensor book = total - detach(total) + gather(detach(w), t.first);
  Tensor all = reshape(gather(book, t.labels), v.spec.shape);
  return t.keep ? all * t.keep : all;
}

std::vector<Tensor> SharedModel::forward(const std::vector<Tensor>& inputs) {
  if (ties_.empty() || !training() || !mode().grad) return GraphModule::forward(inputs);
  std::vector<Spec> specs;
  for (const Tensor& x : inputs) specs.push_back(x.spec());
  Graph g = bind_inputs(graph(), specs);
  std::map<int, Tensor> made;
  Replay how{.training = true};
  how.reads = [&](int node, std::vector<Tensor>& in) {
    for (size_t i = 0; i < in.size(); ++i) {
      int id = g.nodes[size_t(node)].in[i];
      auto tie = ties_.find(id);
      if (tie == ties_.end()) continue;
      Tensor& t = made[id];
      if (!t) t = tied(g.values[size_t(id)], tie->second);
      in[i] = t;
    }
  };
  return replay(g, inputs, how);
}

Graph SharedModel::current() const {
  Graph g = graph();
  for (auto& [id, tie] : ties_) {
    Value& v = g.values[size_t(id)];
    std::vector<float> book = distinct(v.constant.to_vector<float>());
    v.codebook = Tensor::of<float>({int64_t(book.size())}, book);
  }
  return g;
}
std::vector<std::pair<std::string, Tensor>> SharedModel::centroids() const {
  std::vector<std::pair<std::string, Tensor>> all;
  for (const Value& v : current().values) if (v.codebook) all.emplace_back(v.name, v.codebook);
  return all;
}
NativeFile SharedModel::file() const {
  NativeFile f;
  f.graph = current();
  f.has_graph = true;
  f.kind = "shared";
  ShareReport r = report_;
  r.bytes = 0;                                               // a file does not hold its own size
  nlohmann::ordered_json extra = parse_json(r.to_json());
  if (trainable_) extra["trainable"] = true;
  f.extra = extra.dump();
  return f;
}
size_t SharedModel::size_bytes(Entropy entropy) const {
  NativeFile f = file();
  f.entropy = entropy;
  return native_bytes(f).size();
}
size_t SharedModel::save(const std::string& path, Entropy entropy) const {
  NativeFile f = file();
  f.entropy = entropy;
  return save_native(f, path);
}
ShareReport SharedModel::report() const {
  ShareReport r = report_;
  r.bytes = size_bytes();
  return r;
}
double SharedModel::compression_ratio() const { return double(report_.given_bytes) / double(size_bytes()); }
Ref<SharedModel> SharedModel::from_file(const NativeFile& f) {
  if (f.kind != "shared" || !f.has_graph)
    throw Error(ErrorKind::value, "SharedModel.load", "a file of a model with shared weights", f.kind.empty() ? "one without a kind" : "one of kind \"" + f.kind + "\"");
  ShareReport report = ShareReport::from_json(f.extra);
  auto m = make<SharedModel>(f.graph, std::move(report), parse_json(f.extra).value("trainable", false));
  m->eval();
  return m;
}
Ref<SharedModel> SharedModel::clone() const {
  auto copy = make<SharedModel>(own_copy(current()), report_, trainable_);
  copy->train(training());
  return copy;
}
Ref<nn::GraphModule> SharedModel::packed() const {
  Graph g = current();
  for (size_t id = 0, n = g.values.size(); id < n; ++id) {
    Tensor book = g.values[id].codebook, w = g.values[id].constant;
    if (!book || !w || w.dtype() != DType::f32 || book.numel() > 256) continue;
    std::vector<float> values = w.to_vector<float>(), known = book.to_vector<float>();
    std::vector<uint8_t> at(values.size());
    for (size_t i = 0; i < at.size(); ++i) at[i] = uint8_t(std::lower_bound(known.begin(), known.end(), values[i]) - known.begin());
    auto reader = std::find_if(g.nodes.begin(), g.nodes.end(), [&](const Node& node) { return std::count(node.in.begin(), node.in.end(), int(id)) > 0; });
    if (reader == g.nodes.end()) continue;
    std::string name = g.values[id].name;
    Tensor packed = Tensor::of<uint8_t>(w.shape(), at);
    int indices = g.add_value(packed.spec(), name, packed), table = g.add_value(book.spec(), name + ".codebook", book);
    g.values[size_t(indices)].codebook = book;
    Value& v = g.values[id];
    v = {v.spec, ""};
    int wide = g.add_value({DType::i32, w.shape()});
    Node widen{&cast_op, std::make_shared<CastAttrs>(CastAttrs{DType::i32}), {indices}, {wide}, reader->name, {}}, decode{&gather_op, std::make_shared<GatherAttrs>(), {table, wide}, {int(id)}, reader->name, {}};
    g.nodes.insert(g.nodes.insert(reader, std::move(decode)), std::move(widen));
  }
  infer_all(g);
  verify(g);
  auto m = make<nn::GraphModule>(std::move(g));
  m->eval();
  return m;
}
Ref<SharedModel> SharedModel::load(const std::string& path) { return from_file(load_native(path)); }

Ref<SharedModel> weight_sharing(nn::Module& model, const ShareOptions& o, const std::vector<Spec>& inputs) {
  check(o);
  NoGrad no_grad;
  Swap<Recorder*> eager(mode().recorder, nullptr);
  Graph g = own_copy(whole_graph(op, model, inputs));
  ShareReport report = share_graph(g, o);
  auto m = make<SharedModel>(std::move(g), std::move(report), o.trainable);
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
    auto j = parse_json(text);
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
