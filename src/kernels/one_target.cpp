// Builds for inference alone hold one instruction set, MINITEN_ONE_TARGET, in place of dispatch.cpp's choice.
#include <cstdlib>
#include "kernels/dispatch.h"
#include "kernels/gemm_bf16.h"

namespace miniten::kernels {

namespace MINITEN_ONE_TARGET {
extern const Bf16Table bf16_table;
}
const Bf16Table& bf16_table() { return MINITEN_ONE_TARGET::bf16_table; }

#define MINITEN_TEXT_OF(name) #name
#define MINITEN_TEXT(name) MINITEN_TEXT_OF(name)
std::string_view isa() { return MINITEN_TEXT(MINITEN_ONE_TARGET); }
#undef MINITEN_TEXT
#undef MINITEN_TEXT_OF

std::vector<std::string_view> available_isas() { return {isa()}; }
bool set_isa(std::string_view name) { return name == isa(); }
std::string_view requested_isa_error() {
  const char* wanted = std::getenv("MINITEN_ISA");
  return wanted && *wanted && wanted != isa() ? std::string_view(wanted) : std::string_view();
}

}  // namespace miniten::kernels
