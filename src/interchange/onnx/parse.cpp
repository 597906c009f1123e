#include <filesystem>
#include "base/pages.h"
#include "interchange/onnx/model.h"
#include "interchange/onnx/proto.h"
#include "interchange/onnx/wire.h"
#include "miniten/interchange/native.h"

namespace miniten::onnx_model {

void refuse(std::string want, std::string got, std::string hint) {
  throw Error(ErrorKind::value, "load_onnx", std::move(want), std::move(got), std::move(hint));
}

namespace {

namespace P = onnx_proto;
using onnx_proto::Wire;
using protozero::data_view;

constexpr int deepest = 64;                    // messages within messages: bytes may be hostile

std::pair<std::string, std::string> read_entry(Wire m) {
  std::pair<std::string, std::string> e;
  while (m.next()) if (m.tag() == P::entry_key) e.first = m.text(); else if (m.tag() == P::entry_value) e.second = m.text(); else m.skip();
  return e;
}

struct Reading {
  std::string folder;
  uint64_t largest_file;
  std::map<std::string, std::shared_ptr<Pages>> files;   // of external data
  int depth = 0;

  std::span<const std::byte> external(const std::string& name, const std::map<std::string, std::string>& where, uint64_t bytes) {
    auto location = where.find("location");
    if (location == where.end()) refuse("a location for the external data of \"" + name + "\"", "none");
    std::filesystem::path path(location->second);
    bool inside = path.is_relative();
    for (const auto& part : path) inside &= part != "..";
    if (!inside) refuse("external data beside the model", "\"" + location->second + "\" for \"" + name + "\"", "the path may not leave the model's folder");
    if (folder.empty()) refuse("weights inside the bytes", "external data for \"" + name + "\"", "load the model by its path");
    auto file = files.find(location->second);
    if (file == files.end()) file = files.emplace(location->second, read_pages((std::filesystem::path(folder) / path).string(), largest_file)).first;
    auto number = [&](const char* key, uint64_t otherwise) {
      auto v = where.find(key);
      return v == where.end() ? otherwise : std::strtoull(v->second.c_str(), nullptr, 10);
    };
    uint64_t offset = number("offset", 0), length = number("length", bytes), size = file->second->bytes().size();
    if (offset > size || length > size - offset || length != bytes)
      refuse(std::to_string(bytes) + " bytes of \"" + location->second + "\" for \"" + name + "\"", std::to_string(length) + " at " + std::to_string(offset) + " of " + std::to_string(size));
    return file->second->bytes().subspan(offset, length);
  }

  // unread: where to say that the tensor has a type without numbers, instead of throwing.
  Initializer tensor(Wire m, std::string* unread = nullptr) {
    Initializer n;
    std::vector<int64_t> sizes, i64;
    std::vector<float> f32;
    std::vector<double> f64;
    std::vector<int32_t> i32;
    std::vector<uint64_t> u64;
    std::map<std::string, std::string> where;
    data_view raw;
    bool has_raw = false, is_external = false;
    int64_t type = 0;
    while (m.next()) switch (m.tag()) {
      case P::dims: m.integers(sizes); break;
      case P::data_type: type = m.integer(); break;
      case P::float_data: m.reals(f32); break;
      case P::int32_data: m.integers(i32); break;
      case P::int64_data: m.integers(i64); break;
      case P::double_data: m.reals(f64); break;
      case P::uint64_data: m.integers(u64); break;
      case P::tensor_name: n.name = m.text(); break;
      case P::raw_data: raw = m.bytes(); has_raw = true; break;
      case P::external_data: where.insert(read_entry(m.message())); break;
      case P::data_location: is_external = m.integer() == 1; break;
      default: m.skip();
    }
    Spec spec;
    if (!from_onnx_type(type, spec.dtype)) {
      std::string got = "type " + std::to_string(type) + (type == 8 ? " (strings)" : "") + " for \"" + n.name + "\"";
      if (!unread) throw Error(ErrorKind::unsupported, "load_onnx", "tensors of numbers that MiniTen has", got);
      *unread = got;
      return n;
    }
    for (int64_t d : sizes) { if (d < 0) refuse("sizes of 0 or more for \"" + n.name + "\"", std::to_string(d)); spec.shape.push(d); }
    check_sizes("load_onnx", spec.shape);
    auto count = uint64_t(spec.shape.count());
    auto wrong = [&](uint64_t got) { refuse(std::to_string(count) + " values for \"" + n.name + "\" " + spec.text(), std::to_string(got)); };
    auto copy = [&](const void* from, size_t bytes) {
      if (bytes != spec.bytes()) wrong(uint64_t(bytes) * 8 / uint64_t(bits_of(spec.dtype)));
      n.tensor = Tensor::empty(spec);
      if (bytes) std::memcpy(n.tensor.view().data, from, bytes);
      if (spec.dtype == DType::boolean) for (size_t i = 0; i < bytes; ++i) n.tensor.view().data[i] = std::byte(n.tensor.view().data[i] != std::byte(0));
      return n;
    };
    if (is_external) { auto bytes = external(n.name, where, spec.bytes()); return copy(bytes.data(), bytes.size()); }
    if (has_raw) return copy(raw.data(), raw.size());
    if (bits_of(spec.dtype) < 8) {             // two in the low byte of each number
      std::vector<uint8_t> packed(i32.begin(), i32.end());
      return copy(packed.data(), packed.size());
    }
    auto convert = [&](auto& values) {
      if (values.size() != count) wrong(values.size());
      n.tensor = Tensor::empty(spec);
      for (size_t i = 0; i < count; ++i) {
        if (spec.dtype == DType::f16 || spec.dtype == DType::bf16) n.tensor.view().as<uint16_t>()[i] = uint16_t(int64_t(values[i]));
        else visit_dtype(spec.dtype, [&](auto zero) { n.tensor.view().as<decltype(zero)>()[i] = decltype(zero)(values[i]); });
      }
    };
    if (spec.dtype == DType::f32) convert(f32);
    else if (spec.dtype == DType::f64) convert(f64);
    else if (spec.dtype == DType::i64) convert(i64);
    else if (spec.dtype == DType::u64 || spec.dtype == DType::u32) convert(u64);
    else convert(i32);
    return n;
  }

  // Values at coordinates, zeros elsewhere: made dense.
  Initializer sparse(Wire m) {
    Initializer values, at;
    std::vector<int64_t> sizes;
    while (m.next()) switch (m.tag()) {
      case P::sparse_values: values = tensor(m.message()); break;
      case P::sparse_indices: at = tensor(m.message()); break;
      case P::sparse_dims: m.integers(sizes); break;
      default: m.skip();
    }
    if (!values.tensor || !at.tensor || at.tensor.dtype() != DType::i64) refuse("a sparse tensor of values and int64 indices", "another");
    Spec spec{values.tensor.dtype(), Shape(std::span<const Dim>(sizes))};
    for (int64_t d : sizes) if (d < 0) refuse("sizes of 0 or more for \"" + values.name + "\"", std::to_string(d));
    check_sizes("load_onnx", spec.shape);
    int64_t n = values.tensor.numel(), rank = int64_t(sizes.size()), width = at.tensor.rank() == 2 ? rank : 1;
    if (at.tensor.numel() != n * width || bits_of(spec.dtype) < 8) refuse("an index for each value of \"" + values.name + "\"", at.tensor.spec().text());
    Initializer dense{values.name, Tensor::zeros(spec.shape, spec.dtype)};
    size_t size = bytes_of(spec.dtype, 1);
    for (int64_t i = 0; i < n; ++i) {
      int64_t flat = 0;
      for (int64_t k = 0; k < width; ++k) {
        int64_t index = at.tensor.view().i64()[i * width + k], limit = width == 1 ? spec.shape.count() : sizes[size_t(k)];
        if (index < 0 || index >= limit) refuse("indices inside " + spec.shape.text(), std::to_string(index));
        flat = flat * (width == 1 ? 1 : sizes[size_t(k)]) + index;
      }
      std::memcpy(dense.tensor.view().data + size_t(flat) * size, values.tensor.view().data + size_t(i) * size, size);
    }
    return dense;
  }

  std::pair<std::string, Attribute> attribute(Wire m) {
    Attribute a;
    std::string name;
    while (m.next()) switch (m.tag()) {
      case P::attribute_name: name = m.text(); break;
      case P::f: a.f = m.real(); break;
      case P::i: a.i = m.integer(); break;
      case P::s: a.s = m.text(); break;
      case P::t: a.t = tensor(m.message(), &a.unread).tensor; break;
      case P::sparse_tensor: a.t = sparse(m.message()).tensor; break;
      case P::g: a.g = std::make_shared<const Graph>(graph(m.message())); break;
      case P::floats: m.reals(a.floats); break;
      case P::ints: m.integers(a.ints); break;
      case P::strings: a.strings.push_back(m.text()); break;
      case P::ref_attr_name: a.refers = m.text(); break;
      default: m.skip();
    }
    return {std::move(name), std::move(a)};
  }

  Node node(Wire m) {
    Node n;
    while (m.next()) switch (m.tag()) {
      case P::node_input: n.in.push_back(m.text()); break;
      case P::node_output: n.out.push_back(m.text()); break;
      case P::node_name: n.name = m.text(); break;
      case P::op_type: n.type = m.text(); break;
      case P::attribute: n.attributes.insert(attribute(m.message())); break;
      case P::node_domain: n.domain = m.text(); break;
      default: m.skip();
    }
    return n;
  }

  Input value_info(Wire m) {
    Input v;
    auto read_dim = [&](Wire d) {
      Dim size = 0;
      bool known = false;
      while (d.next()) switch (d.tag()) {
        case P::dim_value: size = d.integer(); known = true; break;
        case P::dim_param: { std::string p = d.text(); if (!p.empty()) { size = symbol(p); known = true; } break; }
        default: d.skip();
      }
      int axis = v.spec.shape.rank;
      bool negative = known && !is_symbol(size) && size < 0;
      if (negative && size != -1) refuse("sizes of 0 or more for input \"" + v.name + "\"", std::to_string(size));
      v.spec.shape.push(known && !negative ? size : symbol(axis ? v.name + "_dim_" + std::to_string(axis) : "batch"));
    };
    auto read_shape = [&](Wire s) { while (s.next()) if (s.tag() == P::dim) read_dim(s.message()); else s.skip(); };
    auto read_tensor_type = [&](Wire t) {
      bool has_shape = false;
      while (t.next()) switch (t.tag()) {
        case P::elem_type: {
          int64_t number = t.integer();
          v.typed = from_onnx_type(number, v.spec.dtype);
          v.other = v.typed ? "" : "type " + std::to_string(number) + (number == 8 ? " (strings)" : "");
          break;
        }
        case P::shape: read_shape(t.message()); has_shape = true; break;
        default: t.skip();
      }
      if (!has_shape && v.typed) { v.typed = false; v.other = "a tensor of unknown rank"; }
    };
    while (m.next()) switch (m.tag()) {
      case P::value_name: v.name = m.text(); break;
      case P::value_type: {
        auto t = m.message();
        while (t.next()) if (t.tag() == P::tensor_type) read_tensor_type(t.message()); else { v.other = "a sequence, map or optional"; t.skip(); }
        break;
      }
      default: m.skip();
    }
    return v;
  }

  Graph graph(Wire m) {
    if (++depth > deepest) refuse("at most " + std::to_string(deepest) + " graphs within graphs", "more");
    Graph g;
    while (m.next()) switch (m.tag()) {
      case P::node: g.nodes.push_back(node(m.message())); break;
      case P::graph_name: g.name = m.text(); break;
      case P::initializer: g.initializers.push_back(tensor(m.message())); break;
      case P::sparse_initializer: g.initializers.push_back(sparse(m.message())); break;
      case P::input: g.inputs.push_back(value_info(m.message())); break;
      case P::output: g.outputs.push_back(value_info(m.message()).name); break;
      default: m.skip();
    }
    --depth;
    return g;
  }

  static void opset(Wire m, Opsets& to) {
    std::string domain;
    int64_t version = 0;
    while (m.next()) if (m.tag() == P::opset_domain) domain = m.text(); else if (m.tag() == P::opset_version) version = m.integer(); else m.skip();
    to[domain == "ai.onnx" ? "" : domain] = version;
  }
  Function function(Wire m) {
    Function f;
    while (m.next()) switch (m.tag()) {
      case P::function_name: f.name = m.text(); break;
      case P::function_domain: f.domain = m.text(); break;
      case P::function_input: f.in.push_back(m.text()); break;
      case P::function_output: f.out.push_back(m.text()); break;
      case P::function_node: f.nodes.push_back(node(m.message())); break;
      case P::function_default: f.defaults.insert(attribute(m.message())); break;
      case P::function_opset: opset(m.message(), f.opsets); break;
      default: m.skip();
    }
    return f;
  }

  Model model(Wire m) {
    Model model;
    bool has_graph = false;
    while (m.next()) switch (m.tag()) {
      case P::ir_version: model.ir_version = m.integer(); break;
      case P::graph: if (has_graph) m.skip(); else model.graph = graph(m.message()); has_graph = true; break;
      case P::opset_import: opset(m.message(), model.opsets); break;
      case P::metadata_props: model.metadata.insert(read_entry(m.message())); break;
      case P::functions: model.functions.push_back(function(m.message())); break;
      default: m.skip();
    }
    if (!has_graph) refuse("an ONNX model", "bytes without a graph");
    return model;
  }
};

}  // namespace

Model parse(std::span<const std::byte> bytes, const std::string& folder, uint64_t largest_file) {
  try {
    return Reading{folder, largest_file, {}, 0}.model(Wire({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  } catch (const protozero::exception& e) {
    refuse("an ONNX model", std::string("bytes that are none: ") + e.what(), "the file may be truncated");
  }
}

}  // namespace miniten::onnx_model
