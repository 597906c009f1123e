#pragma once
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>
#include "miniten/base/shape.h"

namespace miniten {

// Attributes of an op are a plain struct with one visitor: `void fields(auto f) { f("axis", axis); }`. Printing,
// reading, equality, hashing, binding of symbols, files and keywords all come from it.
using FieldSlot = std::variant<bool*, int64_t*, float*, double*, Dims*, std::string*, DType*, std::vector<float>*>;
using FieldVisitor = std::function<void(std::string_view name, FieldSlot)>;

struct AttrCodec {
  const void* defaults = nullptr;            // stand in where a caller gives no attributes
  std::shared_ptr<void> (*clone)(const void*) = nullptr;
  void (*fields)(void*, const FieldVisitor&) = nullptr;
};
template <class A> inline const A default_attrs{};
template <class A>
inline constexpr AttrCodec codec{
    &default_attrs<A>,
    [](const void* a) -> std::shared_ptr<void> { return std::make_shared<A>(*static_cast<const A*>(a)); },
    [](void* a, const FieldVisitor& visit) { static_cast<A*>(a)->fields([&](std::string_view n, auto& slot) { visit(n, &slot); }); }};

using Attrs = std::shared_ptr<const void>;
std::string attrs_to_text(const AttrCodec&, const void*);               // "{stride=(1, 1) groups=1}"; "" for none
Attrs attrs_from_text(const AttrCodec&, std::string_view);              // absent fields keep their defaults; throws on bad text
bool attrs_equal(const AttrCodec&, const void*, const void*);
Attrs attrs_bound(const AttrCodec&, const void*, Dim symbol, int64_t size);

}  // namespace miniten
