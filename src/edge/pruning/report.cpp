#include "base/json.h"
#include "edge/pruning/choose.h"

namespace miniten::edge {

int64_t PruneReport::total() const {
  int64_t n = 0;
  for (const PruneRow& r : rows) n += r.total;
  return n;
}
int64_t PruneReport::zeros() const {
  int64_t n = 0;
  for (const PruneRow& r : rows) n += r.zeros;
  return n;
}

std::string PruneReport::to_text() const {
  size_t width = 6;
  for (const PruneRow& r : rows) width = std::max(width, r.weight.size());
  auto line = [&](const std::string& name, const std::string& dtype, int64_t total, int64_t zeros) {
    char numbers[96];
    std::snprintf(numbers, sizeof numbers, "  %-8s %10lld %10lld  %6.2f %%\n", dtype.c_str(), (long long)total, (long long)zeros, total ? 100.0 * double(zeros) / double(total) : 0.0);
    return name + std::string(width - std::min(width, name.size()), ' ') + numbers;
  };
  std::string s = "weight" + std::string(width - 6, ' ') + "  dtype         total      zeros  sparsity\n";
  for (const PruneRow& r : rows) s += line(r.weight, r.dtype, r.total, r.zeros);
  s += line("all", "", total(), zeros());
  char wish[160];
  std::snprintf(wish, sizeof wish, "asked for %.2f %% by %s, scope %s", 100 * wanted, method.c_str(), scope.c_str());
  s += wish;
  if (bytes) {
    std::snprintf(wish, sizeof wish, "; file: %zu -> %zu bytes, %.2fx smaller", dense_bytes, bytes, double(dense_bytes) / double(bytes));
    s += wish;
  }
  return s + "\n";
}

std::string PruneReport::to_json() const {
  nlohmann::ordered_json j{{"wanted", wanted}, {"method", method}, {"scope", scope}, {"total", total()}, {"zeros", zeros()},
                           {"dense_bytes", dense_bytes}, {"bytes", bytes}, {"weights", nlohmann::ordered_json::array()}};
  for (const PruneRow& r : rows) j["weights"].push_back({{"name", r.weight}, {"dtype", r.dtype}, {"total", r.total}, {"zeros", r.zeros}});
  return j.dump();
}

}  // namespace miniten::edge
