#pragma once
#include <string>
#include <vector>
#include "miniten/interchange/c.h"

namespace miniten::edge {

// Compiles and runs a self-test in a temporary folder. Throws io where a program is missing, value where something fails.
struct Verified { std::string by; std::optional<size_t> code_bytes, stack_bytes; };
Verified verify_on_host(const CSource&, const std::string& self_test);
Verified verify_in_qemu(const CSource&, const std::string& self_test);

}  // namespace miniten::edge
