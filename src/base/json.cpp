#include "base/json.h"

template class nlohmann::basic_json<>;
template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace miniten {

nlohmann::ordered_json parse_json(std::string_view text, bool throws) { return nlohmann::ordered_json::parse(text, nullptr, throws); }

}  // namespace miniten
