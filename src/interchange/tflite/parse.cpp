#include <cstring>
#include "interchange/tflite/model.h"
#include "interchange/tflite/sparse.h"
#include "interchange/tflite/table.h"

namespace miniten::tflite_model {

void refuse(std::string want, std::string got, std::string hint) {
  throw Error(ErrorKind::value, "load_tflite", std::move(want), std::move(got), std::move(hint));
}

namespace {

namespace S = tflite_schema;
using S::Table;

struct Reading {
  std::span<const std::byte> file;
  const Table& model;
  std::vector<Tensor> shared;                  // by buffer: what several tensors look at
  size_t budget;                               // numbers and names that may be copied: tables of hostile files repeat

  void spend(size_t n) {
    if (n > budget) refuse("a file that says each thing once", "one that repeats itself without end");
    budget -= n;
  }
  std::string text(const Table& t, int field) {
    std::string s = t.text(field);
    spend(s.size());
    return s;
  }
  // Indices below limit; -1 for what is left out where that is allowed.
  std::vector<int> indices(std::span<const int32_t> from, size_t limit, const char* what, bool optional) {
    spend(from.size());
    std::vector<int> v(from.begin(), from.end());
    for (int i : v)
      if (i < (optional ? -1 : 0) || i >= int64_t(limit)) refuse(std::string(what) + " below " + std::to_string(limit), std::to_string(i));
    return v;
  }

  std::span<const std::byte> bytes_of(uint32_t buffer) {
    if (buffer >= model.tables(S::buffers)) refuse("a buffer below " + std::to_string(model.tables(S::buffers)), std::to_string(buffer));
    const Table& b = model.table(S::buffers, buffer);
    auto inside = b.numbers<uint8_t>(S::data);
    if (!inside.empty()) return std::as_bytes(inside);
    auto offset = b.number<uint64_t>(S::data_offset), size = b.number<uint64_t>(S::data_size);
    if (offset <= 1 || size == 0) return {};
    if (offset > file.size() || size > file.size() - offset) refuse("a buffer inside the file", std::to_string(size) + " bytes at " + std::to_string(offset));
    return file.subspan(offset, size);
  }

  std::shared_ptr<const Quantized> quantized(const Table& q, const TensorInfo& t) {
    auto scale = q.numbers<float>(S::scale);
    auto zero = q.numbers<int64_t>(S::zero_point);
    if (q.number<uint8_t>(S::details_type) == S::blockwise_quantization)
      throw Error(ErrorKind::unsupported, "load_tflite", "one scale, or one for each channel, for \"" + t.name + "\"", "blocks");
    if (scale.empty()) return nullptr;
    auto r = std::make_shared<Quantized>();
    r->dtype = t.spec.dtype;
    spend(scale.size());
    r->scale.assign(scale.begin(), scale.end());
    r->zero.assign(scale.size(), 0);
    if (!zero.empty() && zero.size() != scale.size() && zero.size() != 1) refuse("a zero point for each scale of \"" + t.name + "\"", std::to_string(zero.size()));
    for (size_t i = 0; i < scale.size() && !zero.empty(); ++i) {
      int64_t z = zero[zero.size() == 1 ? 0 : i];
      if (z < INT32_MIN || z > INT32_MAX) refuse("zero points of 32 bits for \"" + t.name + "\"", std::to_string(z));
      r->zero[i] = int32_t(z);
    }
    for (float s : r->scale) if (!(s >= 0) || s > 3.4e38f) refuse("finite scales for \"" + t.name + "\"", std::to_string(s));
    if (scale.size() > 1) {
      r->axis = q.number<int32_t>(S::quantized_dimension);
      if (r->axis < 0 || r->axis >= t.spec.shape.rank || t.spec.shape[r->axis] != int64_t(scale.size()))
        refuse("a scale for each index of an axis of \"" + t.name + "\" " + t.spec.text(), std::to_string(scale.size()) + " for axis " + std::to_string(r->axis));
    }
    return r;
  }

  TensorInfo tensor(const Table& t) {
    TensorInfo r;
    r.name = text(t, S::tensor_name);
    int type = t.number<uint8_t>(S::type);
    auto sizes = t.numbers<int32_t>(S::shape), open = t.numbers<int32_t>(S::shape_signature);
    if (sizes.size() > size_t(Dims::capacity)) refuse("at most 8 axes for \"" + r.name + "\"", std::to_string(sizes.size()));
    for (int32_t d : sizes) {
      if (d < 0) refuse("sizes of 0 or more for \"" + r.name + "\"", std::to_string(d));
      r.spec.shape.push(d);
    }
    r.open = r.spec.shape;
    if (open.size() == sizes.size())
      for (int i = 0; i < int(open.size()); ++i)
        if (open[size_t(i)] == -1) r.open[i] = symbol(i ? r.name + "_dim_" + std::to_string(i) : "batch");
    r.variable = t.boolean(S::is_variable);
    if (!S::from_type(type, r.spec.dtype)) { r.other = std::string(S::type_name(type)); return r; }
    check_sizes("load_tflite", r.spec.shape);
    if (const Table* q = t.table(S::quantization)) r.quantized = quantized(*q, r);
    auto buffer = t.number<uint32_t>(S::buffer);
    auto bytes = bytes_of(buffer);
    if (bytes.empty() || r.variable) return r;
    if (const Table* s = t.table(S::sparsity)) {
      r.constant = dense_of(*s, bytes, r.spec, r.name);
      return r;
    }
    if (bytes.size() != r.spec.bytes()) refuse(std::to_string(r.spec.bytes()) + " bytes for \"" + r.name + "\" " + r.spec.text(), std::to_string(bytes.size()));
    if (shared.size() <= buffer) shared.resize(buffer + 1);
    if (!shared[buffer]) {
      shared[buffer] = Tensor::empty(r.spec);
      std::byte* to = shared[buffer].view().data;
      std::memcpy(to, bytes.data(), bytes.size());
      if (r.spec.dtype == DType::boolean) for (size_t i = 0; i < bytes.size(); ++i) to[i] = std::byte(to[i] != std::byte(0));
    }
    if (r.spec.dtype == DType::boolean && shared[buffer].dtype() != DType::boolean) refuse("a buffer of truth values for \"" + r.name + "\"", shared[buffer].spec().text());
    r.constant = shared[buffer].spec() == r.spec ? shared[buffer] : Tensor::wrap(shared[buffer]->storage, r.spec, contiguous(r.spec.shape));
    return r;
  }

  Attribute attribute(const Table& t, int id, const S::Field& f) {
    switch (f.type) {
      case S::FieldType::byte: return int64_t{t.number<int8_t>(id, int8_t(f.otherwise))};
      case S::FieldType::boolean: return int64_t{t.boolean(id, f.otherwise != 0)};
      case S::FieldType::int32: return int64_t{t.number<int32_t>(id, int32_t(f.otherwise))};
      case S::FieldType::uint32: return int64_t{t.number<uint32_t>(id, uint32_t(f.otherwise))};
      case S::FieldType::int64: return t.number<int64_t>(id, int64_t(f.otherwise));
      case S::FieldType::float32: return double(t.number<float>(id, float(f.otherwise)));
      case S::FieldType::text: return text(t, id);
      case S::FieldType::floats: { auto v = t.numbers<float>(id); spend(v.size()); return std::vector<float>(v.begin(), v.end()); }
      case S::FieldType::bytes: { auto v = t.numbers<uint8_t>(id); spend(v.size()); return std::vector<int64_t>(v.begin(), v.end()); }
      default: { auto v = t.numbers<int32_t>(id); spend(v.size()); return std::vector<int64_t>(v.begin(), v.end()); }
    }
  }
  Operator node(const Table& t, size_t tensors) {
    Operator n;
    const Table& code = model.table(S::operator_codes, t.number<uint32_t>(S::opcode_index));
    int number = std::max<int>(code.number<int8_t>(S::deprecated_builtin_code), code.number<int32_t>(S::builtin_code));
    n.type = S::builtin_name(number);
    if (n.type.empty()) n.type = "builtin operator " + std::to_string(number);
    n.custom = text(code, S::custom_code);
    n.version = code.number<int32_t>(S::operator_version, 1);
    n.in = indices(t.numbers<int32_t>(S::inputs), tensors, "tensors", true);
    n.out = indices(t.numbers<int32_t>(S::outputs), tensors, "tensors", false);
    n.intermediates = indices(t.numbers<int32_t>(S::intermediates), tensors, "tensors", true);
    const S::Options& o = S::options_of(n.type);
    const Table* has = o.number && t.number<uint8_t>(S::builtin_options_type) == o.number ? t.table(S::builtin_options) : nullptr;
    for (size_t i = 0; has && i < o.fields.size(); ++i)
      n.attributes.emplace(std::string(o.fields[i].name), attribute(*has, int(i), o.fields[i]));
    auto custom = t.numbers<uint8_t>(S::custom_options);
    int32_t integer;
    if (n.type == "CUSTOM")
      for (const S::Field& f : S::custom_options_of(n.custom)) {
        if (custom.size() < sizeof integer) break;
        std::memcpy(&integer, custom.data(), sizeof integer);
        n.attributes.emplace(std::string(f.name), int64_t{integer});
        custom = custom.subspan(sizeof integer);
      }
    return n;
  }
  Subgraph graph(const Table& t) {
    Subgraph g;
    g.name = text(t, S::graph_name);
    size_t n = t.tables(S::tensors);
    spend(n * 16);
    for (size_t i = 0; i < n; ++i) g.tensors.push_back(tensor(t.table(S::tensors, i)));
    spend(t.tables(S::operators) * 16);
    for (size_t i = 0; i < t.tables(S::operators); ++i) g.operators.push_back(node(t.table(S::operators, i), n));
    g.in = indices(t.numbers<int32_t>(S::graph_inputs), n, "tensors", false);
    g.out = indices(t.numbers<int32_t>(S::graph_outputs), n, "tensors", false);
    return g;
  }
  std::vector<Entry> entries(const Table& t, int field, size_t tensors) {
    std::vector<Entry> all;
    for (size_t i = 0; i < t.tables(field); ++i) {
      const Table& e = t.table(field, i);
      auto index = e.number<uint32_t>(S::tensor_index);
      if (index >= tensors) refuse("a tensor below " + std::to_string(tensors), std::to_string(index));
      all.push_back({text(e, S::map_name), int(index)});
      spend(8);
    }
    return all;
  }
  Model whole() {
    Model m;
    auto version = model.number<uint32_t>(S::model_version);
    if (version != S::version) throw Error(ErrorKind::unsupported, "load_tflite", "schema version 3", std::to_string(version));
    m.description = text(model, S::description);
    for (size_t i = 0; i < model.tables(S::subgraphs); ++i) m.subgraphs.push_back(graph(model.table(S::subgraphs, i)));
    if (m.subgraphs.empty()) refuse("at least one subgraph", "none");
    for (size_t i = 0; i < model.tables(S::signature_defs); ++i) {
      const Table& t = model.table(S::signature_defs, i);
      auto g = t.number<uint32_t>(S::subgraph_index);
      if (g >= m.subgraphs.size()) refuse("a subgraph below " + std::to_string(m.subgraphs.size()), std::to_string(g));
      size_t n = m.subgraphs[g].tensors.size();
      m.signatures.push_back({text(t, S::signature_key), entries(t, S::signature_inputs, n), entries(t, S::signature_outputs, n), int(g)});
    }
    for (size_t i = 0; i < model.tables(S::metadata); ++i) {
      const Table& t = model.table(S::metadata, i);
      auto bytes = bytes_of(t.number<uint32_t>(S::metadata_buffer_index));
      spend(bytes.size());
      std::string value(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      while (!value.empty() && value.back() == '\0') value.pop_back();
      bool readable = std::all_of(value.begin(), value.end(), [](unsigned char c) { return c >= ' ' && c < 127; });
      if (readable) m.metadata.emplace(text(t, S::metadata_name), value);        // packed metadata is not text
    }
    return m;
  }
};

}  // namespace

Model parse(std::span<const std::byte> bytes) {
  std::vector<std::byte> aligned;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % 16) {
    aligned.assign(bytes.begin(), bytes.end());
    bytes = aligned;
  }
  const Table* model = S::verified(bytes);
  if (!model) refuse("a TFLite model", "bytes that are none", "the file may be truncated or damaged");
  return Reading{bytes, *model, {}, 4 * bytes.size() + 4096}.whole();
}

}  // namespace miniten::tflite_model
