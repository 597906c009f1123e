#include <flatbuffers/flatbuffers.h>
#include <map>
#include "interchange/tflite/schema.h"
#include "interchange/tflite/write.h"

namespace miniten::tflite_file {

namespace {

namespace S = tflite_schema;
using flatbuffers::FlatBufferBuilder;
using Offset = flatbuffers::Offset<void>;

flatbuffers::voffset_t field(int id) { return flatbuffers::FieldIndexToOffset(flatbuffers::voffset_t(id)); }
template <class T> void put(FlatBufferBuilder& b, int id, T value, T otherwise = T()) { b.AddElement<T>(field(id), value, otherwise); }
template <class O> void put_offset(FlatBufferBuilder& b, int id, O offset) { if (offset.o) b.AddOffset(field(id), flatbuffers::Offset<void>(offset.o)); }
Offset table(FlatBufferBuilder& b, auto fill) {
  auto start = b.StartTable();
  fill();
  return Offset(b.EndTable(start));
}
std::vector<int32_t> int32s(const Shape& s) { return {s.begin(), s.end()}; }

// Options by the names of their fields.
Offset options_table(FlatBufferBuilder& b, const Operator& op, const S::Options& known) {
  std::map<size_t, flatbuffers::uoffset_t> vectors;
  std::vector<const ForeignAttribute*> values(known.fields.size(), nullptr);
  for (auto& [name, value] : op.options) {
    size_t i = 0;
    while (i < known.fields.size() && known.fields[i].name != name) ++i;
    if (i == known.fields.size()) throw Error(ErrorKind::value, "export_tflite", "an option that " + op.type + " has", "\"" + name + "\"");
    values[i] = &value;
    if (known.fields[i].type == S::FieldType::text) vectors[i] = b.CreateString(std::get<std::string>(value)).o;
    if (known.fields[i].type == S::FieldType::ints) {
      auto& list = std::get<std::vector<int64_t>>(value);
      vectors[i] = b.CreateVector(std::vector<int32_t>(list.begin(), list.end())).o;
    }
  }
  return table(b, [&] {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!values[i]) continue;
      auto number = [&] { return std::get<int64_t>(*values[i]); };
      int id = int(i);
      double other = known.fields[i].otherwise;
      switch (known.fields[i].type) {
        case S::FieldType::byte: put<int8_t>(b, id, int8_t(number()), int8_t(other)); break;
        case S::FieldType::boolean: put<uint8_t>(b, id, number() != 0, uint8_t(other)); break;
        case S::FieldType::int32: put<int32_t>(b, id, int32_t(number()), int32_t(other)); break;
        case S::FieldType::uint32: put<uint32_t>(b, id, uint32_t(number()), uint32_t(other)); break;
        case S::FieldType::int64: put<int64_t>(b, id, number(), int64_t(other)); break;
        case S::FieldType::float32: put<float>(b, id, std::get<float>(*values[i]), float(other)); break;
        case S::FieldType::text:
        case S::FieldType::ints: b.AddOffset(field(id), Offset(vectors[i])); break;
        default: throw Error(ErrorKind::unsupported, "export_tflite", "numbers as options", std::string(known.fields[i].name) + " of " + op.type);
      }
    }
  });
}

Offset quantization_table(FlatBufferBuilder& b, const Quantized& q) {
  auto scale = b.CreateVector(q.scale);
  auto zero = b.CreateVector(std::vector<int64_t>(q.zero.begin(), q.zero.end()));
  return table(b, [&] {
    put_offset(b, S::scale, scale);
    put_offset(b, S::zero_point, zero);
    put<int32_t>(b, S::quantized_dimension, std::max(q.axis, 0));
  });
}
Offset sparsity_table(FlatBufferBuilder& b, const Sparsity& s) {
  bool narrow = s.shape[s.shape.rank - 1] <= 256;
  auto vector = [&](auto offset) { return table(b, [&] { put_offset(b, 0, offset); }); };
  Offset segments = vector(b.CreateVector(s.segments)), indices;
  if (narrow) indices = vector(b.CreateVector(std::vector<uint8_t>(s.indices.begin(), s.indices.end())));
  else indices = vector(b.CreateVector(s.indices));
  std::vector<int32_t> order;
  std::vector<Offset> levels;
  for (int i = 0; i < s.shape.rank; ++i) {
    order.push_back(i);
    bool last = i + 1 == s.shape.rank;
    levels.push_back(table(b, [&] {
      put<int8_t>(b, S::format, last ? S::sparse_csr : S::dense);
      put<int32_t>(b, S::dense_size, last ? 0 : int32_t(s.shape[i]));
      if (!last) return;
      put<uint8_t>(b, S::array_segments_type, S::int32_vector);
      put_offset(b, S::array_segments, segments);
      put<uint8_t>(b, S::array_indices_type, narrow ? S::uint8_vector : S::uint16_vector);
      put_offset(b, S::array_indices, indices);
    }));
  }
  auto traversal = b.CreateVector(order);
  auto all = b.CreateVector(levels);
  return table(b, [&] {
    put_offset(b, S::traversal_order, traversal);
    put_offset(b, S::dim_metadata, all);
  });
}
Offset tensor_table(FlatBufferBuilder& b, const FileTensor& t, uint32_t buffer) {
  auto shape = b.CreateVector(int32s(t.sparse ? t.sparse->shape : t.spec.shape));
  Offset sparsity = t.sparse ? sparsity_table(b, *t.sparse) : Offset();
  auto name = b.CreateString(t.name);
  Offset q = t.quantized ? quantization_table(b, *t.quantized) : Offset();
  return table(b, [&] {
    put_offset(b, S::shape, shape);
    put_offset(b, S::tensor_name, name);
    put_offset(b, S::sparsity, sparsity);
    put_offset(b, S::quantization, q);
    put<uint32_t>(b, S::buffer, buffer);
    put<int8_t>(b, S::type, int8_t(t.resource ? S::resource_type : S::type_of(t.spec.dtype)));
    put<uint8_t>(b, S::is_variable, t.variable);
    put<uint8_t>(b, S::has_rank, 1);
  });
}
Offset code_table(FlatBufferBuilder& b, const std::string& type, int version) {
  int number = S::builtin_number(type);
  if (number < 0) throw Error(ErrorKind::unsupported, "export_tflite", "builtin operators", type);
  return table(b, [&] {
    put<int32_t>(b, S::builtin_code, number);
    put<int32_t>(b, S::operator_version, version, 1);
    put<int8_t>(b, S::deprecated_builtin_code, int8_t(std::min(number, S::placeholder_builtin)));
  });
}
Offset ports(FlatBufferBuilder& b, const std::vector<Port>& list) {
  std::vector<Offset> rows;
  for (const Port& p : list) {
    auto name = b.CreateString(p.name);
    rows.push_back(table(b, [&] {
      put_offset(b, S::map_name, name);
      put<uint32_t>(b, S::tensor_index, uint32_t(p.tensor));
    }));
  }
  return Offset(b.CreateVector(rows).o);
}
std::vector<int32_t> tensors_of(const std::vector<Port>& list) {
  std::vector<int32_t> t;
  for (const Port& p : list) t.push_back(p.tensor);
  return t;
}
Offset buffer_table(FlatBufferBuilder& b, const void* data, size_t bytes) {
  if (bytes == 0) return table(b, [] {});
  b.ForceVectorAlignment(bytes, 1, 16);
  auto v = b.CreateVector(static_cast<const uint8_t*>(data), bytes);
  return table(b, [&] { put_offset(b, S::data, v); });
}

// One file under construction: buffers and operator codes are its graphs' together.
struct File {
  FlatBufferBuilder b;
  std::vector<Offset> buffers, codes;
  std::map<std::pair<std::string, int>, uint32_t> numbers;
  explicit File(size_t bytes) : b(bytes), buffers{buffer_table(b, nullptr, 0)} {}

  uint32_t buffer(const void* data, size_t bytes) {
    buffers.push_back(buffer_table(b, data, bytes));
    return uint32_t(buffers.size() - 1);
  }
  Offset op(const Model& m, const Operator& op) {
    auto [at, fresh] = numbers.try_emplace({op.type, version_of(m, op)}, uint32_t(codes.size()));
    const uint32_t code = at->second;            // clang 14 captures no structured bindings
    if (fresh) codes.push_back(code_table(b, op.type, at->first.second));
    auto in = b.CreateVector(std::vector<int32_t>(op.in.begin(), op.in.end())), out = b.CreateVector(std::vector<int32_t>(op.out.begin(), op.out.end()));
    const S::Options& known = S::options_of(op.type);
    Offset options = known.number ? options_table(b, op, known) : Offset();
    return table(b, [&] {
      put<uint32_t>(b, S::opcode_index, code);
      put_offset(b, S::inputs, in);
      put_offset(b, S::outputs, out);
      put_offset(b, S::builtin_options, options);
      put<uint8_t>(b, S::builtin_options_type, uint8_t(known.number));
    });
  }
  Offset graph(const Model& m) {
    std::vector<Offset> tensors, operators;
    for (const FileTensor& t : m.tensors) tensors.push_back(tensor_table(b, t, t.data ? buffer(t.data.view().data, t.spec.bytes()) : 0));
    for (const Operator& o : m.operators) operators.push_back(op(m, o));
    auto tensor_list = b.CreateVector(tensors), operator_list = b.CreateVector(operators);
    auto in = b.CreateVector(tensors_of(m.inputs)), out = b.CreateVector(tensors_of(m.outputs));
    auto graph_name = b.CreateString(m.name);
    return table(b, [&] {
      put_offset(b, S::tensors, tensor_list);
      put_offset(b, S::graph_inputs, in);
      put_offset(b, S::graph_outputs, out);
      put_offset(b, S::operators, operator_list);
      put_offset(b, S::graph_name, graph_name);
    });
  }
  Offset metadata(const std::string& name, const std::string& value) {
    uint32_t at = buffer(value.data(), value.size());
    auto text = b.CreateString(name);
    return table(b, [&] {
      put_offset(b, S::metadata_name, text);
      put<uint32_t>(b, S::metadata_buffer_index, at);
    });
  }
};

// The graph that writes what the variables begin with.
Model initialiser(const Model& m) {
  Model init;
  init.name = "initialise";
  for (const Variable& v : m.variables) {
    int handle = int(init.tensors.size());
    init.tensors.push_back({.name = v.name, .resource = true});
    init.tensors.push_back({.name = v.name + "_begins_with", .spec = v.initial.spec(), .quantized = v.quantized, .data = v.initial});
    init.operators.push_back({"VAR_HANDLE", {}, {handle}, {{"container", std::string()}, {"shared_name", v.name}}});
    init.operators.push_back({"ASSIGN_VARIABLE", {handle, handle + 1}, {}, {}});
  }
  return init;
}

}  // namespace

std::vector<std::byte> bytes_of(const Model& m) {
  size_t total = 0;
  for (const FileTensor& t : m.tensors) if (t.data) total += t.spec.bytes() + 16;
  if (total > (size_t{1} << 31) - (1 << 24)) throw Error(ErrorKind::unsupported, "export_tflite", "constants of less than 2 GB, which is all that the format holds", std::to_string(total >> 20) + " MB");
  File file(total + 4096);
  FlatBufferBuilder& b = file.b;
  std::vector<Offset> graphs{file.graph(m)}, metadata;
  if (!m.variables.empty()) graphs.push_back(file.graph(initialiser(m)));
  std::string runtime = runtime_of(m);
  runtime.resize(16, '\0');
  metadata.push_back(file.metadata("min_runtime_version", runtime));
  for (auto& [name, value] : m.metadata) metadata.push_back(file.metadata(name, value));
  Offset signature_in = ports(b, m.inputs), signature_out = ports(b, m.outputs);
  auto key = b.CreateString("serving_default");
  Offset signature = table(b, [&] {
    put_offset(b, S::signature_inputs, signature_in);
    put_offset(b, S::signature_outputs, signature_out);
    put_offset(b, S::signature_key, key);
  });
  auto code_list = b.CreateVector(file.codes), graph_list = b.CreateVector(graphs), buffer_list = b.CreateVector(file.buffers),
       metadata_list = b.CreateVector(metadata), signature_list = b.CreateVector(std::vector<Offset>{signature});
  auto description = b.CreateString(m.description);
  Offset model = table(b, [&] {
    put<uint32_t>(b, S::model_version, S::version);
    put_offset(b, S::operator_codes, code_list);
    put_offset(b, S::subgraphs, graph_list);
    put_offset(b, S::description, description);
    put_offset(b, S::buffers, buffer_list);
    put_offset(b, S::metadata, metadata_list);
    put_offset(b, S::signature_defs, signature_list);
  });
  b.Finish(model, S::identifier);
  auto* first = reinterpret_cast<const std::byte*>(b.GetBufferPointer());
  return {first, first + b.GetSize()};
}

}  // namespace miniten::tflite_file
