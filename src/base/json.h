#pragma once
#include <string_view>
#include <nlohmann/json.hpp>

// What each user of the library would compile for itself is compiled once, in json.cpp.
extern template class nlohmann::basic_json<>;
extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace miniten {

// Members keep their order. Throws nlohmann::json::parse_error, or where that is no error gives what is_discarded().
nlohmann::ordered_json parse_json(std::string_view text, bool throws = true);

}  // namespace miniten
