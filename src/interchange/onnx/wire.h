#pragma once
#include <protozero/pbf_reader.hpp>
#include <string>
#include <vector>
#include "miniten/base/error.h"

// A protobuf message read with every wire type checked first: protozero only asserts them, and bytes may be hostile.
namespace miniten::onnx_proto {

class Wire {
  using Type = protozero::pbf_wire_type;

 public:
  explicit Wire(protozero::data_view bytes) : m_(bytes) {}
  bool next() {
    if (!m_.next()) return false;
    if (m_.has_wire_type(Type::length_delimited)) {     // protozero compares lengths as ptrdiff_t: from 2 GB on they pass in 32 bits
      auto rest = m_.data();
      const char* at = rest.data();
      uint64_t length = protozero::decode_varint(&at, rest.data() + rest.size());
      if (length > uint64_t(rest.data() + rest.size() - at)) throw protozero::end_of_buffer_exception();
    }
    return true;
  }
  uint32_t tag() const { return m_.tag(); }
  void skip() { m_.skip(); }

  int64_t integer() { require(Type::varint, "an integer"); return m_.get_int64(); }
  float real() { require(Type::fixed32, "a float"); return m_.get_float(); }
  protozero::data_view bytes() { require(Type::length_delimited, "bytes"); return m_.get_view(); }
  std::string text() { require(Type::length_delimited, "text"); return m_.get_string(); }
  Wire message() { return Wire(bytes()); }

  // A repeated field, packed or one by one.
  template <class T> void integers(std::vector<T>& to) {
    if (packed()) for (int64_t v : m_.get_packed_int64()) to.push_back(T(v));
    else to.push_back(T(integer()));
  }
  void reals(std::vector<float>& to) {
    if (packed()) for (float v : m_.get_packed_float()) to.push_back(v);
    else to.push_back(real());
  }
  void reals(std::vector<double>& to) {
    if (packed()) { for (double v : m_.get_packed_double()) to.push_back(v); return; }
    require(Type::fixed64, "a double");
    to.push_back(m_.get_double());
  }

 private:
  bool packed() const { return m_.has_wire_type(Type::length_delimited); }
  void require(Type type, const char* what) const {
    if (!m_.has_wire_type(type))
      throw Error(ErrorKind::value, "load_onnx", std::string(what) + " in field " + std::to_string(m_.tag()), "wire type " + std::to_string(int(m_.wire_type())), "the file is damaged");
  }
  protozero::pbf_reader m_;
};

}  // namespace miniten::onnx_proto
