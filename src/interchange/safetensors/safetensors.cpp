#include "base/json.h"
#include "base/pages.h"
#include "miniten/interchange/safetensors.h"
#include <algorithm>
#include <cstring>
#include <set>
#include <tuple>
#include "interchange/json_text.h"

namespace miniten {

namespace {

using json = nlohmann::ordered_json;

constexpr uint64_t largest_header = 100'000'000;       // the format's own limit
constexpr std::pair<std::string_view, DType> dtypes[] = {   // in the order in which the format's library writes them
    {"U64", DType::u64}, {"I64", DType::i64}, {"F64", DType::f64}, {"F32", DType::f32}, {"U32", DType::u32},
    {"I32", DType::i32}, {"BF16", DType::bf16}, {"F16", DType::f16}, {"U16", DType::u16}, {"I16", DType::i16},
    {"I8", DType::i8}, {"U8", DType::u8}, {"BOOL", DType::boolean}};

size_t rank_of(const NamedTensor& t) {
  for (size_t i = 0; i < std::size(dtypes); ++i) if (dtypes[i].second == t.tensor.dtype()) return i;
  throw Error(ErrorKind::unsupported, "safetensors", "whole bytes for \"" + t.name + "\"", t.tensor.spec().text(), "the format has no such element type; save as .npz");
}

[[noreturn]] void unsound(std::string want, std::string got) {
  throw Error(ErrorKind::value, "safetensors", std::move(want), std::move(got), "the file may be damaged");
}

Spec spec_of(const std::string& name, const json& j) {
  Spec spec;
  std::string dtype = j.at("dtype").get<std::string>();
  auto known = std::find_if(std::begin(dtypes), std::end(dtypes), [&](const auto& d) { return d.first == dtype; });
  if (known == std::end(dtypes))
    throw Error(ErrorKind::unsupported, "safetensors", "F64, F32, F16, BF16, an integer or BOOL for \"" + name + "\"", dtype);
  spec.dtype = known->second;
  for (const json& d : j.at("shape")) {
    if (!d.is_number_unsigned()) unsound("sizes for \"" + name + "\"", d.dump());
    spec.shape.push(Dim(d.get<uint64_t>() & uint64_t(INT64_MAX)));
  }
  check_sizes("safetensors", spec.shape);
  return spec;
}

}  // namespace

std::vector<std::byte> safetensors_bytes(const Safetensors& file) {
  struct Placed { size_t rank; const NamedTensor* it; };
  std::vector<Placed> order;
  std::set<std::string_view> names{"__metadata__"};
  for (const NamedTensor& t : file.tensors) {
    if (!names.insert(t.name).second) throw Error(ErrorKind::value, "safetensors", "a name of its own for every tensor, and not \"__metadata__\"", "\"" + t.name + "\"");
    order.push_back({rank_of(t), &t});
  }
  std::sort(order.begin(), order.end(), [](const Placed& a, const Placed& b) { return std::tie(a.rank, a.it->name) < std::tie(b.rank, b.it->name); });

  json header = json::object();
  for (const auto& [key, value] : file.metadata) header["__metadata__"][key] = value;
  size_t end = 0;
  for (auto [rank, t] : order) {
    const Spec& s = t->tensor.spec();
    size_t begin = end;
    end += bytes_of(s.dtype, s.shape.count());
    header[t->name] = {{"dtype", std::string(dtypes[rank].first)}, {"shape", std::vector<Dim>(s.shape.begin(), s.shape.end())}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');

  std::vector<std::byte> bytes(8 + text.size() + end);
  for (int i = 0; i < 8; ++i) bytes[size_t(i)] = std::byte(uint64_t(text.size()) >> (8 * i));
  std::memcpy(bytes.data() + 8, text.data(), text.size());
  std::byte* to = bytes.data() + 8 + text.size();
  for (auto [rank, t] : order) {
    const Tensor values = t->tensor.clone();
    const size_t n = bytes_of(values.dtype(), values.numel());
    if (n) std::memcpy(to, values.view().data, n);
    to += n;
  }
  return bytes;
}

size_t save_safetensors(const Safetensors& file, const std::string& path) {
  auto bytes = safetensors_bytes(file);
  write_file(path, bytes);
  return bytes.size();
}

Safetensors load_safetensors(std::span<const std::byte> bytes, uint64_t max_memory) {
  MemoryLimit limit("safetensors", max_memory);
  uint64_t length = 0;
  if (bytes.size() < 8) unsound("8 bytes of header length", std::to_string(bytes.size()) + " bytes");
  for (int i = 0; i < 8; ++i) length |= uint64_t(bytes[size_t(i)]) << (8 * i);
  if (length > largest_header || length > bytes.size() - 8)
    unsound("a header within the file's " + std::to_string(bytes.size()) + " bytes and 100 MB", std::to_string(length) + " bytes");
  const auto header = bytes.subspan(8, size_t(length)), data = bytes.subspan(8 + size_t(length));
  if (length > max_memory / bytes_by_character) MemoryLimit::refuse("safetensors", max_memory, "a header of " + std::to_string(length));
  require_shallow("safetensors", header, 200);

  Safetensors file;
  size_t at = 0;
  try {
    std::set<std::string> names;
    const char* text = reinterpret_cast<const char*>(header.data());
    json j = json::parse(std::string(text, header.size()), [&](int depth, json::parse_event_t event, json& key) {
      if (event == json::parse_event_t::key && depth == 1 && !names.insert(key.get<std::string>()).second)
        unsound("a name of its own for every tensor", key.dump() + " twice");
      return true;
    });
    if (!j.is_object()) unsound("a header that is a JSON object", j.type_name());
    struct Place { uint64_t begin, end; std::string name; Spec spec; };
    std::vector<Place> places;
    for (const auto& [name, entry] : j.items()) {
      if (name == "__metadata__") {
        for (const auto& [key, value] : entry.items()) file.metadata.emplace_back(key, value.get<std::string>());
        continue;
      }
      const json& offsets = entry.at("data_offsets");
      if (offsets.size() != 2 || !offsets.at(0).is_number_unsigned() || !offsets.at(1).is_number_unsigned())
        unsound("two data_offsets for \"" + name + "\"", offsets.dump());
      places.push_back({offsets[0].get<uint64_t>(), offsets[1].get<uint64_t>(), name, spec_of(name, entry)});
    }
    std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    for (const Place& p : places) {
      const uint64_t n = bytes_of(p.spec.dtype, p.spec.shape.count());
      if (p.begin != at || p.end < p.begin || p.end - p.begin != n || p.end > data.size())
        unsound("bytes " + std::to_string(at) + " to " + std::to_string(at + n) + " of " + std::to_string(data.size()) + " for \"" + p.name + "\", " + p.spec.text(),
                std::to_string(p.begin) + " to " + std::to_string(p.end));
      Tensor t = Tensor::empty(p.spec);
      if (n) std::memcpy(t.view().data, data.data() + at, size_t(n));
      if (p.spec.dtype == DType::boolean)
        for (size_t i = 0; i < n; ++i)
          if (uint8_t(data[at + i]) > 1) unsound("0 or 1 for the bools of \"" + p.name + "\"", std::to_string(int(data[at + i])));
      file.tensors.push_back({p.name, std::move(t)});
      at = size_t(p.end);
    }
  } catch (const json::exception& e) {
    unsound("a sound header", e.what());
  }
  if (at != data.size()) unsound(std::to_string(at) + " bytes of values", std::to_string(data.size()));
  return file;
}

Safetensors load_safetensors(const std::string& path, uint64_t max_memory) {
  return load_safetensors(std::span<const std::byte>(read_pages(path, max_memory)->bytes()), max_memory);
}

}  // namespace miniten
