#pragma once
#include <iosfwd>
#include <span>
#include <string>

namespace miniten::cli {

// The `miniten` program: docs/cli.md. args: without the program's own name. Results go to out, complaints to err.
// -> exit code: 0 done, 1 the thing asked failed, 2 wrong use (nothing is written then). Throws nothing.
int main(std::span<const std::string> args, std::ostream& out, std::ostream& err);

}  // namespace miniten::cli
