#include "miniten/core/attrs.h"
#include <bit>
#include <charconv>
#include <cstdlib>
#include <locale.h>
#include "miniten/base/symbol.h"

namespace miniten {

namespace {

template <class T> std::string number_text(T x) {
  char buffer[64];
  auto r = std::to_chars(buffer, buffer + sizeof buffer, x);     // shortest text that reads back equal
  return std::string(buffer, r.ptr);
}

std::string quoted(const std::string& s) {
  std::string r = "\"";
  for (char c : s) { if (c == '"' || c == '\\') r += '\\'; r += c; }
  return r + "\"";
}

std::string field_text(const FieldSlot& slot) {
  return std::visit([](auto* p) -> std::string {
    using T = std::remove_pointer_t<decltype(p)>;
    if constexpr (std::is_same_v<T, Dims>) return p->text();
    else if constexpr (std::is_same_v<T, bool>) return *p ? "true" : "false";
    else if constexpr (std::is_same_v<T, std::string>) return quoted(*p);
    else if constexpr (std::is_same_v<T, DType>) return std::string(name_of(*p));
    else if constexpr (std::is_same_v<T, std::vector<float>>) {
      std::string s = "[";
      for (float f : *p) s += (s.size() > 1 ? " " : "") + number_text(f);
      return s + "]";
    } else return number_text(*p);
  }, slot);
}

// Reads "{name=value name=value}" from left to right.
struct Reader {
  std::string_view text;
  size_t at = 0;
  [[noreturn]] void fail(const char* want) const {
    throw Error(ErrorKind::value, "attributes", want, "\"" + std::string(text.substr(0, 200)) + "\"");
  }
  void skip() { while (at < text.size() && (text[at] == ' ' || text[at] == '{' || text[at] == '}')) ++at; }
  std::string_view word(std::string_view stops) {
    size_t end = std::min(text.find_first_of(stops, at), text.size());
    auto w = text.substr(at, end - at);
    at = end;
    return w;
  }
  std::string_view value() {
    size_t begin = at;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) if (text[at] == '\\') ++at;
      if (at >= text.size()) fail("a closing quote");
      ++at;
    } else if (at < text.size() && (text[at] == '(' || text[at] == '[')) {
      size_t end = text.find(text[at] == '(' ? ')' : ']', at);
      if (end == text.npos) fail("a closing bracket");
      at = end + 1;
    } else word(" }");
    return text.substr(begin, at - begin);
  }
  template <class T> T number(std::string_view w) const {
    T x{};
    bool whole;
    if constexpr (std::is_floating_point_v<T>) {               // from_chars of floats is 32 KB where the C++ library is linked statically
      static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
      std::string copy(w);
      char* end = nullptr;
      if constexpr (std::is_same_v<T, float>) x = strtof_l(copy.c_str(), &end, c_locale);
      else x = strtod_l(copy.c_str(), &end, c_locale);
      whole = end == copy.c_str() + w.size();
    } else {
      auto r = std::from_chars(w.data(), w.data() + w.size(), x);
      whole = r.ec == std::errc() && r.ptr == w.data() + w.size();
    }
    if (w.empty() || !whole) fail("a number");
    return x;
  }
};

void read_field(const Reader& r, std::string_view v, const FieldSlot& slot) {
  std::visit([&](auto* p) {
    using T = std::remove_pointer_t<decltype(p)>;
    if constexpr (std::is_same_v<T, bool>) {
      if (v != "true" && v != "false") r.fail("true or false");
      *p = v == "true";
    } else if constexpr (std::is_same_v<T, Dims> || std::is_same_v<T, std::vector<float>>) {
      if (v.size() < 2 || (v[0] != '(' && v[0] != '[')) r.fail("a list");
      *p = {};
      for (size_t i = 1; i < v.size() - 1;) {
        size_t end = std::min(v.find_first_of(", ", i), v.size() - 1);
        std::string_view item = v.substr(i, end - i);
        i = end + 1;
        if (item.empty()) continue;
        if constexpr (std::is_same_v<T, Dims>) p->push(item[0] == '-' || (item[0] >= '0' && item[0] <= '9') ? r.number<int64_t>(item) : symbol(item));
        else p->push_back(r.number<float>(item));
      }
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (v.size() < 2 || v[0] != '"') r.fail("a quoted text");
      p->clear();
      for (size_t i = 1; i + 1 < v.size(); ++i) { if (v[i] == '\\') ++i; *p += v[i]; }
    } else if constexpr (std::is_same_v<T, DType>) {
      if (!parse_dtype(v, *p)) r.fail("a dtype");
    } else *p = r.template number<T>(v);
  }, slot);
}

}  // namespace

std::string attrs_to_text(const AttrCodec& codec, const void* a) {
  if (!codec.fields || !a) return "";
  std::string s;
  codec.fields(const_cast<void*>(a), [&](std::string_view name, FieldSlot slot) {
    s += (s.empty() ? "" : " ") + std::string(name) + "=" + field_text(slot);
  });
  return "{" + s + "}";
}

static bool same_number(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }
static bool same_number(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

bool attrs_equal(const AttrCodec& codec, const void* a, const void* b) {
  if (!codec.fields) return true;
  std::vector<FieldSlot> fields;
  codec.fields(const_cast<void*>(a ? a : codec.defaults), [&](std::string_view, FieldSlot slot) { fields.push_back(slot); });
  bool equal = true;
  size_t i = 0;
  codec.fields(const_cast<void*>(b ? b : codec.defaults), [&](std::string_view, FieldSlot slot) {
    equal = equal && std::visit([&](auto* p) {
      const auto& other = *std::get<decltype(p)>(fields[i]);
      if constexpr (std::is_floating_point_v<std::remove_pointer_t<decltype(p)>>) return same_number(other, *p);
      else if constexpr (std::is_same_v<decltype(p), std::vector<float>*>)
        return std::equal(p->begin(), p->end(), other.begin(), other.end(), [](float x, float y) { return same_number(x, y); });
      else return other == *p;
    }, slot);
    ++i;
  });
  return equal;
}

Attrs attrs_from_text(const AttrCodec& codec, std::string_view text) {
  if (!codec.clone) return nullptr;
  auto attrs = codec.clone(codec.defaults);
  Reader r{text};
  for (r.skip(); r.at < text.size(); r.skip()) {
    std::string_view name = r.word("= }");
    if (r.at >= text.size() || text[r.at] != '=') r.fail("name=value");
    ++r.at;
    std::string_view value = r.value();
    bool known = false;
    codec.fields(attrs.get(), [&](std::string_view field, FieldSlot slot) {
      if (field == name) { known = true; read_field(r, value, slot); }
    });
    if (!known) throw Error(ErrorKind::value, "attributes", "a known attribute", std::string(name), "the file may come from a newer version");
  }
  return attrs;
}

Attrs attrs_bound(const AttrCodec& codec, const void* a, Dim symbol, int64_t size) {
  if (!codec.clone || !a) return nullptr;
  auto bound = codec.clone(a);
  codec.fields(bound.get(), [&](std::string_view, FieldSlot slot) {
    if (auto** dims = std::get_if<Dims*>(&slot))
      for (Dim& d : **dims) d = miniten::bound(d, symbol, size);
  });
  return bound;
}

}  // namespace miniten
