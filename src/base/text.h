#pragma once

namespace miniten {

// A float as the double of its shortest decimals: printed as a double it is as short as it can be, and float(it) == x.
double shortest(float x);

}  // namespace miniten
