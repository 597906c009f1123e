#pragma once
#include <optional>
#include "miniten/base/shape.h"

namespace miniten {

// Sizes that follow from a symbol: floor((of * times + plus) / over), a number where `of` is one; times and over of at
// least 1. Equal formulas are one symbol, named as reckoned from left to right: "height+1/2" is half of height + 1.
struct Derived { Dim of; int64_t times = 1, plus = 0, over = 1; };
Dim derived(const Derived&);
std::optional<Derived> derivation(Dim);              // none: a number, or a symbol of its own
std::optional<int64_t> difference(Dim a, Dim b);     // a - b where it is known
bool may_equal(Dim a, Dim b);                        // or both follow from one symbol: told once it is bound
Dim bound(Dim, Dim symbol, Dim size);                // with the symbol replaced, also in what follows from it

}  // namespace miniten
