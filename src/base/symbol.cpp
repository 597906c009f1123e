#include "miniten/base/symbol.h"
#include <charconv>
#include <map>
#include <mutex>
#include <numeric>
#include <vector>

namespace miniten {

namespace {
struct Symbols {
  std::mutex mutex;
  std::vector<std::string> names;
  std::map<Dim, Derived> derivations;
};
Symbols& symbols() {
  static Symbols s;
  return s;
}
Dim find(std::string_view name) {                                // under the lock; 0: none of that name
  auto& names = symbols().names;
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return first_symbol - Dim(i);
  return 0;
}
Dim find_or_add(std::string_view name, const Derived* how) {
  std::lock_guard lock(symbols().mutex);
  if (Dim d = find(name)) return d;
  auto& names = symbols().names;
  names.emplace_back(name);
  Dim d = first_symbol - Dim(names.size() - 1);
  if (how) symbols().derivations[d] = *how;
  return d;
}
[[noreturn]] void too_large() { throw Error(ErrorKind::value, "shape", "sizes that fit in memory", "larger ones"); }
void check(const Derived& d) {                                   // products of two such numbers still fit
  constexpr int64_t most = int64_t{1} << 30;
  if (d.times < 1 || d.times > most || d.over < 1 || d.over > most || d.plus > most || d.plus < -most) too_large();
}
int64_t floor_of(int64_t a, int64_t b) { return a / b - (a % b != 0 && a < 0); }
// "name*2+1/2"; 0 where it is another kind of name.
Dim parsed(std::string_view text) {
  size_t at = text.find_first_of("*+-/");
  if (at == 0 || at == text.npos) return 0;
  Dim d = symbol(text.substr(0, at));
  while (at < text.size()) {
    char op = text[at++];
    int64_t n = 0;
    auto end = std::from_chars(text.data() + at, text.data() + text.size(), n);
    at = size_t(end.ptr - text.data());
    bool more = at == text.size() || std::string_view("*+-/").find(text[at]) != std::string_view::npos;
    if (end.ec != std::errc() || !more || n < 1 || n > (int64_t{1} << 32)) return 0;
    d = derived(op == '*' ? Derived{d, n} : op == '/' ? Derived{d, 1, 0, n} : Derived{d, 1, op == '+' ? n : -n});
  }
  return d;
}
}  // namespace

Dim symbol(std::string_view name) {
  {
    std::lock_guard lock(symbols().mutex);
    if (Dim d = find(name)) return d;
  }
  Dim d = parsed(name);
  return d ? d : find_or_add(name, nullptr);
}

std::string symbol_name(Dim d) {
  std::lock_guard lock(symbols().mutex);
  auto i = size_t(first_symbol - d);
  if (!is_symbol(d) || i >= symbols().names.size())
    throw Error(ErrorKind::value, "shape", "a size or a known symbol", std::to_string(d),
                "arithmetic on a symbolic size is not possible: use -1 in reshape, or trace with a fixed shape");
  return symbols().names[i];
}

std::optional<Derived> derivation(Dim d) {
  std::lock_guard lock(symbols().mutex);
  auto at = symbols().derivations.find(d);
  if (at == symbols().derivations.end()) return {};
  return at->second;
}

Dim derived(const Derived& given) {
  Derived d = given;
  if (!is_symbol(d.of)) {
    int64_t sum = 0;
    if (d.over < 1 || __builtin_mul_overflow(d.of, d.times, &sum) || __builtin_add_overflow(sum, d.plus, &sum)) too_large();
    return floor_of(sum, d.over);
  }
  check(d);
  if (auto inner = derivation(d.of)) {
    if (d.times == 1) d = {inner->of, inner->times, inner->plus + d.plus * inner->over, inner->over * d.over};
    else if (inner->over == 1) d = {inner->of, inner->times * d.times, inner->plus * d.times + d.plus, d.over};
  }
  check(d);
  int64_t common = std::gcd(d.times, d.over);
  d = {d.of, d.times / common, floor_of(d.plus, common), d.over / common};
  if (d.times == 1 && d.plus == 0 && d.over == 1) return d.of;
  std::string name = symbol_name(d.of);
  if (d.times != 1) name += "*" + std::to_string(d.times);
  if (d.plus != 0) name += (d.plus > 0 ? "+" : "") + std::to_string(d.plus);
  if (d.over != 1) name += "/" + std::to_string(d.over);
  return find_or_add(name, &d);
}

std::optional<int64_t> difference(Dim a, Dim b) {
  if (!is_symbol(a) && !is_symbol(b)) return a - b;
  Derived x = derivation(a).value_or(Derived{a}), y = derivation(b).value_or(Derived{b});
  if (x.of != y.of || x.times != y.times || x.over != y.over || (x.plus - y.plus) % x.over != 0) return {};
  return (x.plus - y.plus) / x.over;
}

bool may_equal(Dim a, Dim b) {
  if (a == b) return true;
  if (!is_symbol(a) || !is_symbol(b)) return false;
  auto root = [](Dim d) {
    while (auto how = derivation(d)) d = how->of;
    return d;
  };
  return root(a) == root(b);
}

Dim bound(Dim d, Dim symbol, Dim size) {
  if (d == symbol) return size;
  if (!is_symbol(d)) return d;
  auto how = derivation(d);
  if (!how) return d;
  Dim of = bound(how->of, symbol, size);
  return of == how->of ? d : derived({of, how->times, how->plus, how->over});
}

}  // namespace miniten
