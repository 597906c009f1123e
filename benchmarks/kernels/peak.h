#pragma once
#include <string_view>

namespace miniten::kernels::benchmarks {

// What this core reaches on an instruction set with everything in registers: float operations, or those of exact products of
// bytes, a second (a multiplication and an addition are two). Measured at the first call; 0 where not known.
double peak_flops(std::string_view isa);
double peak_byte_ops(std::string_view isa);

}  // namespace miniten::kernels::benchmarks
