#include "base/json.h"
#include "miniten/interchange/native.h"
#include "base/features.h"
#include "base/text.h"
#include "interchange/json_text.h"
#include "interchange/limits.h"
#include "interchange/native/entropy.h"
#include "interchange/native/sparse.h"
#include "interchange/native/zip.h"

namespace miniten {

namespace {

using json = nlohmann::json;

json shape_json(const Shape& s) {
  json j = json::array();
  for (Dim d : s) j.push_back(is_symbol(d) ? json(symbol_name(d)) : json(d));
  return j;
}
Shape shape_of(const json& j) {
  Shape s;
  for (const json& d : j) s.push(d.is_string() ? symbol(d.get<std::string>()) : d.get<Dim>());
  return s;
}
json spec_json(const Spec& s) { return {{"dtype", std::string(name_of(s.dtype))}, {"shape", shape_json(s.shape)}}; }
Spec spec_of(const json& j) {
  Spec s;
  if (!parse_dtype(j.at("dtype").get<std::string>(), s.dtype)) throw Error(ErrorKind::value, "native", "a known dtype", "\"" + j["dtype"].get<std::string>() + "\"");
  if (!has_int16 && s.dtype == DType::i16) throw Error(ErrorKind::unsupported, "native", "a model without int16", "int16", "name it in MINITEN_MODELS of the build");
  s.shape = shape_of(j.at("shape"));
  check_sizes("native", s.shape);
  return s;
}

const char* const coders[] = {"", "huffman", "rans"};         // what "packed" says of coded indices

struct Writer {
  Entropy entropy = Entropy::none;
  std::vector<ZipMember> members;
  std::vector<std::pair<Tensor, std::string>> stored;
  // The member that holds a tensor; one for tensors that share memory. Dense weights do not
  // shrink by deflating, the headers of short vectors do.
  std::string put(const Tensor& t, std::string name, bool deflated = false) {
    for (auto& [known, member] : stored)
      if (known->storage.get() == t->storage.get() && known->offset == t->offset && known.spec() == t.spec() && known.strides() == t.strides()) return member;
    if (name.empty()) name = "array";
    auto taken = [&](const std::string& n) { for (auto& m : members) if (m.name == n + ".npy") return true; return n == "manifest"; };
    std::string unique = name;
    for (int i = 1; taken(unique); ++i) unique = name + "." + std::to_string(i);
    members.push_back({unique + ".npy", to_npy(t), deflated || (t.rank() < 2 && t.spec().bytes() <= 256)});
    stored.emplace_back(t, unique);
    return unique;
  }
};

// Many scales are an array, the one of a constant of the graph where it holds the same.
json quantized_json(const Graph& g, const Value& v, Writer& w) {
  const Quantized& q = *v.quantized;
  json j{{"dtype", std::string(name_of(q.dtype))}};
  if (q.axis != -1) j["axis"] = q.axis;
  if (q.block) j["block"] = q.block;
  bool one_zero = !q.zero.empty() && std::count(q.zero.begin(), q.zero.end(), q.zero[0]) == int64_t(q.zero.size());
  j["zero"] = one_zero && q.zero.size() == q.scale.size() ? json(q.zero[0]) : json(q.zero);
  int64_t n = int64_t(q.scale.size());
  if (n > 1)
    for (const Value& other : g.values)
      if (other.constant && !other.mask && other.spec == Spec{DType::f32, {n}} && other.constant.to_vector<float>() == q.scale) {
        j["scale"] = w.put(other.constant, other.name);
        return j;
      }
  if (n > 64) j["scale"] = w.put(Tensor::of<float>({n}, q.scale), v.name + ".scale");
  else for (float s : q.scale) j["scale"].push_back(shortest(s));
  return j;
}

json graph_json(const Graph& g, Writer& w) {
  json values = json::array(), nodes = json::array(), states = json::array();
  for (const Value& v : g.values) {
    json j = spec_json(v.spec);
    if (!v.name.empty()) j["name"] = v.name;
    auto packed = v.constant && v.codebook ? pack_indices(v.constant, v.codebook, v.mask) : std::nullopt;
    // Huffman's codes take a bit at least, so zeros are the mask's; a range coder's zeros cost less than that.
    const bool tells_zeros = w.entropy == Entropy::rans;
    auto coded = packed ? code_indices(v.constant, v.codebook, tells_zeros ? Tensor() : v.mask, w.entropy) : std::nullopt;
    auto deflated = [](const Tensor& t) { return deflated_size({t.view().data, size_t(t.spec().bytes())}); };
    bool is_coded = coded && coded->spec().bytes() + 32 < deflated(*packed) + (v.mask && tells_zeros ? deflated(pack_bits(v.mask)) : 0);
    if (is_coded) {
      packed = coded;
      j["packed"] = coders[int(w.entropy)];
    } else if (packed) j["packed"] = "indices";
    else if (v.constant && v.mask && (packed = pack_values(v.constant, v.mask))) j["packed"] = true;
    if (v.constant) j["array"] = w.put(packed ? *packed : v.constant, v.name, v.mask || v.codebook);
    if (v.trainable) j["trainable"] = true;
    if (v.quantized) j["quantized"] = quantized_json(g, v, w);
    if (v.mask) {
      bool is_told = (!packed || (is_coded && tells_zeros)) && v.constant && is_nonzero(v.constant, v.mask);        // by the values themselves
      j["mask"] = is_told ? json(true) : json(w.put(pack_bits(v.mask), v.name + ".mask", true));
    }
    if (v.codebook) j["codebook"] = w.put(v.codebook, v.name + ".codebook");
    values.push_back(std::move(j));
  }
  for (const Node& n : g.nodes) {
    json j{{"op", std::string(n.op->name)}, {"in", n.in}, {"out", n.out}};
    if (std::string at = attrs_to_text(n.op->attrs, n.attributes()); !at.empty()) j["attrs"] = at;
    if (!n.name.empty()) j["name"] = n.name;
    if (n.stays_float) j["stays_float"] = true;
    for (const Graph& sub : n.subgraphs) j["subgraphs"].push_back(graph_json(sub, w));
    nodes.push_back(std::move(j));
  }
  for (const State& s : g.states) states.push_back({s.entry, s.exit});
  return {{"name", g.name}, {"values", values}, {"nodes", nodes}, {"inputs", g.inputs}, {"outputs", g.outputs}, {"states", states}, {"metadata", g.metadata}};
}

class Reader {
 public:
  // pages: where the stored members lie, to stay there; may be null.
  Reader(const std::vector<ZipMember>& members, const std::shared_ptr<Pages>& pages) : members_(members), pages_(has_in_place ? pages : nullptr) {
    if (!has_in_place) return;
    asked_.resize(members.size());
    stay_.resize(members.size());
    const std::byte* end = nullptr;
    for (const ZipMember& m : members) {
      if (!m.stored.data()) continue;
      if (m.stored.data() < end) pages_ = nullptr;                       // each byte is one member's
      end = m.stored.data() + m.stored.size();
    }
  }
  Tensor get(std::string_view name, const Spec* spec) {
    for (size_t i = 0; i < members_.size(); ++i) {
      const ZipMember& m = members_[i];
      if (m.name.size() != name.size() + 4 || !m.name.starts_with(name) || !m.name.ends_with(".npy")) continue;
      const bool may_stay = has_in_place && m.stored.data() && !std::exchange(asked_[i], uint8_t{1});      // whoever asks again gets a copy
      Tensor t = from_npy(m.content(), name, may_stay ? pages_ : nullptr);
      if (has_in_place && t->storage->owner) stay_[i] = t->storage;
      if (!spec || t.spec() == *spec) return t;
      if (t.spec().bytes() != spec->bytes() || !spec->shape.is_static())
        throw Error(ErrorKind::value, "native", "\"" + std::string(name) + "\" of " + spec->text(), t.spec().text());
      return Tensor::wrap(t->storage, *spec, contiguous(spec->shape));   // dtypes that .npy has no name for
    }
    throw Error(ErrorKind::value, "native", "an array named \"" + std::string(name) + "\"", "none", "the file may be truncated");
  }
  // When all is read: pages between arrays that stay go.
  void finish() {
    if (!has_in_place || !pages_ || std::none_of(stay_.begin(), stay_.end(), [](auto& s) { return bool(s); })) return;
    std::byte* from = pages_->data();
    auto drop_until = [&](std::byte* to) { if (to - from >= least_gap) Pages::drop({from, to}); };
    for (const Ref<Storage>& s : stay_) {
      if (!s) continue;
      drop_until(s->data);
      from = s->data + s->bytes;
    }
    drop_until(pages_->data() + pages_->bytes().size());
    stay_.clear();
  }

 private:
  static constexpr ptrdiff_t least_gap = ptrdiff_t{1} << 18;             // to split a huge page takes time
  const std::vector<ZipMember>& members_;
  std::shared_ptr<Pages> pages_;
  std::vector<uint8_t> asked_;
  std::vector<Ref<Storage>> stay_;                                       // while one may be asked for again: its pages go with it
};

// A constant with a mask or codebook.
void read_packed(const json& v, Reader& r, std::map<std::string, Tensor>& books, Value& value) {
  if (!has_packed) throw Error(ErrorKind::unsupported, "native", "weights without masks and codebooks", "\"" + value.name + "\"", "name such a model in MINITEN_MODELS of the build");
  bool is_told = v.contains("mask") && v["mask"].is_boolean();
  if (v.contains("mask") && !is_told) value.mask = unpack_bits(r.get(v["mask"].get<std::string>(), nullptr), value.spec.shape);
  if (v.contains("codebook")) {
    Tensor& book = books[v["codebook"].get<std::string>()];
    if (!book) book = r.get(v["codebook"].get<std::string>(), nullptr);
    value.codebook = book;
  }
  std::string form = v.contains("packed") && v["packed"].is_string() ? v["packed"].get<std::string>() : "";
  Entropy entropy = form == coders[1] ? Entropy::huffman : form == coders[2] ? Entropy::rans : Entropy::none;
  if (!form.empty() && form != "indices" && entropy == Entropy::none)
    throw Error(ErrorKind::unsupported, "native", "weights packed as indices, huffman or rans", "\"" + form + "\"", "update MiniTen");
  bool packed = value.mask && form.empty() && v.value("packed", false);
  if (entropy != Entropy::none) {
    value.constant = decode_indices(r.get(v.at("array").get<std::string>(), nullptr), value.codebook ? value.codebook : Tensor::zeros({0}), entropy == Entropy::huffman ? value.mask : Tensor(), value.spec, entropy);
    if (is_told) value.mask = nonzero_mask(value.constant);
  } else if (form == "indices") value.constant = unpack_indices(r.get(v.at("array").get<std::string>(), nullptr), value.codebook ? value.codebook : Tensor::zeros({0}), value.mask, value.spec);
  else if (v.contains("array")) {
    Spec stored = packed ? Spec{value.spec.dtype, {kept_by(value.mask)}} : value.spec;
    value.constant = r.get(v["array"].get<std::string>(), &stored);
    if (packed) value.constant = unpack_values(value.constant, value.mask, value.spec);
    if (is_told) value.mask = nonzero_mask(value.constant);
  }
}

Graph graph_of(const json& j, Reader& r, int depth = 0) {
  if (depth > 16) throw Error(ErrorKind::value, "native", "subgraphs at most 16 deep", "more");
  Graph g;
  g.name = j.value("name", "");
  g.metadata = j.value("metadata", std::map<std::string, std::string>{});
  std::map<std::string, Tensor> books;                 // a codebook of several values stays one
  for (const json& v : j.at("values")) {
    Value value;
    value.spec = spec_of(v);
    value.name = v.value("name", "");
    value.trainable = v.value("trainable", false);
    if (v.contains("mask") || v.contains("codebook")) read_packed(v, r, books, value);
    else if (v.contains("array")) value.constant = r.get(v["array"].get<std::string>(), &value.spec);
    if (v.contains("quantized")) {
      const json& q = v["quantized"];
      auto made = std::make_shared<Quantized>();
      if (q.at("scale").is_string()) {
        Tensor scale = r.get(q["scale"].get<std::string>(), nullptr);
        if (scale.dtype() != DType::f32 || scale.rank() > 1)
          throw Error(ErrorKind::value, "native", "scales of float32 along one axis", scale.spec().text(), "the file may be damaged");
        made->scale = scale.to_vector<float>();
      } else made->scale = q["scale"].get<std::vector<float>>();
      if (q.at("zero").is_number()) made->zero.assign(made->scale.size(), q["zero"].get<int32_t>());
      else made->zero = q["zero"].get<std::vector<int32_t>>();
      made->axis = q.value("axis", -1);
      made->block = q.value("block", 0);
      if (!parse_dtype(q.at("dtype").get<std::string>(), made->dtype)) throw Error(ErrorKind::value, "native", "a known dtype", "\"" + q["dtype"].get<std::string>() + "\"");
      value.quantized = made;
    }
    g.values.push_back(std::move(value));
  }
  for (const json& n : j.at("nodes")) {
    std::string op = n.at("op").get<std::string>();
    Node node{find_op(op), nullptr, n.at("in").get<std::vector<int>>(), n.at("out").get<std::vector<int>>(), n.value("name", ""), {}};
    if (!node.op) throw Error(ErrorKind::unsupported, "native", "a known op", "\"" + op + "\" in layer \"" + node.name + "\"", "register the op first, or update MiniTen");
    if (n.contains("attrs")) node.attrs = attrs_from_text(node.op->attrs, n["attrs"].get<std::string>());
    node.stays_float = n.value("stays_float", false);
    if (n.contains("subgraphs")) for (const json& sub : n["subgraphs"]) node.subgraphs.push_back(graph_of(sub, r, depth + 1));
    g.nodes.push_back(std::move(node));
  }
  g.inputs = j.at("inputs").get<std::vector<int>>();
  g.outputs = j.at("outputs").get<std::vector<int>>();
  for (const json& s : j.at("states")) g.states.push_back({s.at(0).get<int>(), s.at(1).get<int>()});
  verify(g);
  return g;
}

}  // namespace

Entropy entropy_named(std::string_view name) {
  for (int e = 1; e < 3; ++e) if (name == coders[e]) return Entropy(e);
  throw Error(ErrorKind::value, "save", "entropy huffman or rans", "\"" + std::string(name) + "\"");
}

std::vector<std::byte> native_bytes(const NativeFile& f) {
  Writer w;
  w.entropy = f.entropy;
  json manifest{{"format", "miniten"}, {"version", 1}, {"kind", f.kind}};
  if (!f.extra.empty()) manifest["extra"] = f.extra;
  if (f.has_graph) manifest["graph"] = graph_json(f.graph, w);
  json tensors = json::array();
  for (const NamedTensor& t : f.tensors) {
    json j = spec_json(t.tensor.spec());
    j["name"] = t.name;
    j["array"] = w.put(t.tensor, t.name);
    tensors.push_back(std::move(j));
  }
  manifest["tensors"] = tensors;
  std::string text = manifest.dump();
  std::vector<ZipMember> members{{"manifest.json", {}, true}};
  for (char c : text) members[0].bytes.push_back(std::byte(c));
  for (ZipMember& m : w.members) members.push_back(std::move(m));
  return zip(members);
}

size_t save_native(const NativeFile& f, const std::string& path) {
  auto bytes = native_bytes(f);
  write_file(path, bytes);
  return bytes.size();
}

static NativeFile file_of(std::vector<ZipMember> members, uint64_t max_memory, const std::shared_ptr<Pages>& pages = nullptr) {
  MemoryLimit limit("native", max_memory);
  NativeFile f;
  const ZipMember* manifest = nullptr;
  for (const ZipMember& m : members) if (m.name == "manifest.json") manifest = &m;
  Reader r(members, pages);
  if (!manifest) {                                     // a plain .npz: named arrays
    f.kind = "state_dict";
    for (const ZipMember& m : members)
      if (m.name.ends_with(".npy")) f.tensors.push_back({m.name.substr(0, m.name.size() - 4), r.get({m.name.data(), m.name.size() - 4}, nullptr)});
    if (f.tensors.empty()) throw Error(ErrorKind::value, "native", "a manifest or arrays", "neither");
    r.finish();
    return f;
  }
  try {
    std::span<const std::byte> bytes = manifest->content();
    const char* text = reinterpret_cast<const char*>(bytes.data());
    if (bytes.size() > max_memory / bytes_by_character) MemoryLimit::refuse("native", max_memory, "a manifest of " + std::to_string(bytes.size()));
    require_shallow("native", bytes, 200);
    json j = json::parse(std::string(text, bytes.size()));                // of strings everywhere: one parser in the library
    if (std::string format = j.value("format", ""); format != "miniten") throw Error(ErrorKind::value, "native", "format \"miniten\"", "\"" + format + "\"");
    if (int version = j.at("version").get<int>(); version < 1 || version > 1)
      throw Error(ErrorKind::unsupported, "native", "version 1", std::to_string(version), "update MiniTen");
    f.kind = j.value("kind", "");
    f.extra = j.value("extra", "");
    if (j.contains("graph")) {
      f.graph = graph_of(j["graph"], r);
      check_declared(f.graph, "native", max_memory);
      f.has_graph = true;
    }
    for (const json& t : j.at("tensors")) {
      Spec spec = spec_of(t);
      f.tensors.push_back({t.at("name").get<std::string>(), r.get(t.at("array").get<std::string>(), &spec)});
    }
  } catch (const json::exception& e) {
    throw Error(ErrorKind::value, "native", "a sound manifest", e.what(), "the file may be damaged");
  }
  r.finish();
  return f;
}

NativeFile load_native(std::span<const std::byte> bytes, uint64_t max_memory) { return file_of(unzip(bytes, max_memory, true), max_memory); }
NativeFile load_native(const std::string& path, uint64_t max_memory) {
  auto pages = read_pages(path, max_memory);
  return file_of(unzip(pages->bytes(), max_memory, true), max_memory, pages);
}

}  // namespace miniten
