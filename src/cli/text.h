#pragma once
#include <string>
#include <vector>

namespace miniten::cli {

std::string with_commas(int64_t);                      // 1,234,567
std::string number(const char* format, double);        // printf's
// Columns with two spaces between them, the first `left` ones left-aligned, a line under the first row.
std::string table(const std::vector<std::vector<std::string>>& rows, size_t left = 1);

}  // namespace miniten::cli
