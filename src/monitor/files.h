#pragma once
#include <string>
#include <string_view>
#include "base/json.h"

namespace miniten::monitor {

using Json = nlohmann::ordered_json;

inline constexpr const char* metadata_file = "metadata.json";
inline constexpr const char* metrics_file = "metrics.jsonl";

[[noreturn]] void fail_io(std::string_view op, const std::string& what, const std::string& path);   // with errno's text
std::string read_text(std::string_view op, const std::string& path);
void write_text(std::string_view op, const std::string& path, std::string_view text);   // whole or not at all

// One component of a path: no separator, no NUL, not "", "." or "..".
bool is_plain_name(std::string_view);
bool is_run(const std::string& dir);             // a real folder (no link) with metadata.json
bool is_being_written(const std::string& dir);   // some logger has it open

Json parse_object(std::string_view op, std::string_view text);   // a JSON object, not deeper than 100
Json number_json(double);                        // NaN and the infinities as their strings
double number_of(const Json&, bool& ok);
void append_number(std::string& to, double);
void append_string(std::string& to, std::string_view text);   // quoted; what is no UTF-8 becomes U+FFFD
std::string valid_utf8(std::string_view text);
double now_seconds();                            // since 1970

}  // namespace miniten::monitor
