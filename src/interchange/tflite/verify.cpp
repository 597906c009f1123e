#include "interchange/tflite/table.h"

namespace miniten::tflite_schema {

namespace {

using Verifier = flatbuffers::Verifier;

bool quantized(const Table& t, Verifier& v) {
  auto block = [](const Table& b, Verifier& w) {
    return b.start(w) && b.is_number<int32_t>(w, scales_tensor) && b.is_number<int32_t>(w, zero_points_tensor) && b.is_number<int32_t>(w, block_size) && w.EndTable();
  };
  return t.start(v) && t.is_numbers<float>(v, min) && t.is_numbers<float>(v, max) && t.is_numbers<float>(v, scale) && t.is_numbers<int64_t>(v, zero_point) &&
         t.is_number<uint8_t>(v, details_type) && (t.number<uint8_t>(details_type) != blockwise_quantization || t.is_table(v, details, block)) &&
         t.is_number<int32_t>(v, quantized_dimension) && v.EndTable();
}
template <class T> bool vector_of(const Table& t, Verifier& v) { return t.start(v) && t.is_numbers<T>(v, 0) && v.EndTable(); }
bool indices(const Table& t, Verifier& v, int type, int values) {
  if (!t.is_number<uint8_t>(v, type)) return false;
  switch (t.number<uint8_t>(type)) {
    case int32_vector: return t.is_table(v, values, vector_of<int32_t>);
    case uint16_vector: return t.is_table(v, values, vector_of<uint16_t>);
    case uint8_vector: return t.is_table(v, values, vector_of<uint8_t>);
    default: return true;
  }
}
bool sparse(const Table& t, Verifier& v) {
  auto dimension = [](const Table& d, Verifier& w) {
    return d.start(w) && d.is_number<uint8_t>(w, format) && d.is_number<int32_t>(w, dense_size) && indices(d, w, array_segments_type, array_segments) &&
           indices(d, w, array_indices_type, array_indices) && w.EndTable();
  };
  return t.start(v) && t.is_numbers<int32_t>(v, traversal_order) && t.is_numbers<int32_t>(v, block_map) && t.is_tables(v, dim_metadata, dimension) && v.EndTable();
}
bool tensor(const Table& t, Verifier& v) {
  return t.start(v) && t.is_numbers<int32_t>(v, shape) && t.is_number<uint8_t>(v, type) && t.is_number<uint32_t>(v, buffer) && t.is_text(v, tensor_name) &&
         t.is_table(v, quantization, quantized) && t.is_number<uint8_t>(v, is_variable) && t.is_table(v, sparsity, sparse) &&
         t.is_numbers<int32_t>(v, shape_signature) && v.EndTable();
}
bool options(const Table& t, Verifier& v, const std::vector<Field>& fields) {
  if (!t.start(v)) return false;
  for (int i = 0; i < int(fields.size()); ++i) {
    bool good = true;
    switch (fields[size_t(i)].type) {
      case FieldType::byte: case FieldType::boolean: good = t.is_number<uint8_t>(v, i); break;
      case FieldType::int32: case FieldType::uint32: good = t.is_number<uint32_t>(v, i); break;
      case FieldType::int64: good = t.is_number<int64_t>(v, i); break;
      case FieldType::float32: good = t.is_number<float>(v, i); break;
      case FieldType::ints: good = t.is_numbers<int32_t>(v, i); break;
      case FieldType::floats: good = t.is_numbers<float>(v, i); break;
      case FieldType::bytes: good = t.is_numbers<uint8_t>(v, i); break;
      case FieldType::text: good = t.is_text(v, i); break;
    }
    if (!good) return false;
  }
  return v.EndTable();
}
bool code(const Table& t, Verifier& v) {
  return t.start(v) && t.is_number<int8_t>(v, deprecated_builtin_code) && t.is_text(v, custom_code) && t.is_number<int32_t>(v, operator_version) &&
         t.is_number<int32_t>(v, builtin_code) && v.EndTable();
}
bool node(const Table& t, Verifier& v) {                       // its options are verified once its operator is known
  return t.start(v) && t.is_number<uint32_t>(v, opcode_index) && t.is_numbers<int32_t>(v, inputs) && t.is_numbers<int32_t>(v, outputs) &&
         t.is_number<uint8_t>(v, builtin_options_type) && t.is_table(v, builtin_options, [](const Table& o, Verifier& w) { return o.start(w) && w.EndTable(); }) &&
         t.is_numbers<uint8_t>(v, custom_options) && t.is_numbers<int32_t>(v, intermediates) && v.EndTable();
}
bool graph(const Table& t, Verifier& v) {
  return t.start(v) && t.is_tables(v, tensors, tensor) && t.is_numbers<int32_t>(v, graph_inputs) && t.is_numbers<int32_t>(v, graph_outputs) &&
         t.is_tables(v, operators, node) && t.is_text(v, graph_name) && v.EndTable();
}
bool bytes_of_buffer(const Table& t, Verifier& v) {
  return t.start(v) && t.is_numbers<uint8_t>(v, data) && t.is_number<uint64_t>(v, data_offset) && t.is_number<uint64_t>(v, data_size) && v.EndTable();
}
bool signature(const Table& t, Verifier& v) {
  auto entry = [](const Table& e, Verifier& w) { return e.start(w) && e.is_text(w, map_name) && e.is_number<uint32_t>(w, tensor_index) && w.EndTable(); };
  return t.start(v) && t.is_tables(v, signature_inputs, entry) && t.is_tables(v, signature_outputs, entry) && t.is_text(v, signature_key) &&
         t.is_number<uint32_t>(v, subgraph_index) && v.EndTable();
}
bool note(const Table& t, Verifier& v) { return t.start(v) && t.is_text(v, metadata_name) && t.is_number<uint32_t>(v, metadata_buffer_index) && v.EndTable(); }

// Options of operators, by what each operator's code says they are.
bool all_options(const Table& model, Verifier& v) {
  for (size_t g = 0; g < model.tables(subgraphs); ++g)
    for (size_t i = 0; i < model.table(subgraphs, g).tables(operators); ++i) {
      const Table& n = model.table(subgraphs, g).table(operators, i);
      auto index = n.number<uint32_t>(opcode_index);
      if (index >= model.tables(operator_codes)) return false;
      const Table& c = model.table(operator_codes, index);
      const Options& o = options_of(builtin_name(std::max<int>(c.number<int8_t>(deprecated_builtin_code), c.number<int32_t>(builtin_code))));
      const Table* has = n.table(builtin_options);
      if (has && o.number && n.number<uint8_t>(builtin_options_type) == o.number && !options(*has, v, o.fields)) return false;
    }
  return true;
}

}  // namespace

bool Table::Verify(Verifier& v) const {
  return start(v) && is_number<uint32_t>(v, model_version) && is_tables(v, operator_codes, code) && is_tables(v, subgraphs, graph) && is_text(v, description) &&
         is_tables(v, buffers, bytes_of_buffer) && is_numbers<int32_t>(v, metadata_buffer) && is_tables(v, metadata, note) && is_tables(v, signature_defs, signature) &&
         v.EndTable() && all_options(*this, v);
}

const Table* verified(std::span<const std::byte> bytes) {
  if (bytes.size() >= FLATBUFFERS_MAX_BUFFER_SIZE) return nullptr;
  auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  Verifier v(data, bytes.size());
  return v.VerifyBuffer<Table>(identifier) ? flatbuffers::GetRoot<Table>(data) : nullptr;
}

}  // namespace miniten::tflite_schema
