#include "miniten/cli/cli.h"
#include <iostream>
#include <vector>

int main(int count, char** values) {
  std::vector<std::string> args(values + std::min(count, 1), values + count);
  return miniten::cli::main(args, std::cout, std::cerr);
}
