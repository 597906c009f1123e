#include "monitor/filter.h"
#include <charconv>
#include <cmath>
#include <variant>
#include "miniten/base/error.h"

namespace miniten::monitor {

namespace {

struct None { bool operator==(const None&) const = default; };
using Words = std::vector<std::string>;
using Value = std::variant<None, double, std::string, Words>;

Value value_of(const Json& j) {
  if (j.is_boolean()) return j.get<bool>() ? 1.0 : 0.0;
  bool ok;
  if (double v = number_of(j, ok); ok) return v;
  if (j.is_string()) return j.get<std::string>();
  if (j.is_array()) {
    Words words;
    for (const Json& e : j) words.push_back(e.is_string() ? e.get<std::string>() : e.dump(-1, ' ', false, Json::error_handler_t::replace));
    return words;
  }
  return None{};
}

class Parser {
 public:
  Parser(std::string_view text, const FilterRun& run) : text_(text), run_(run) {}
  bool run() {
    Value v = either();
    space();
    if (at_ != text_.size()) fail("the end of the expression");
    return truth(v);
  }

 private:
  [[noreturn]] void fail(const std::string& want) const {
    std::string got = at_ < text_.size() ? "\"" + std::string(text_.substr(at_, 20)) + "\" at position " + std::to_string(at_) : "the end";
    throw Error(ErrorKind::value, "filter", want, got, "as in: metric('val_loss') < 0.3 and params['lr'] > 1e-3");
  }
  static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
  static bool digit(char c) { return c >= '0' && c <= '9'; }
  static bool truth(const Value& v) {
    if (auto* d = std::get_if<double>(&v)) return *d != 0;
    if (auto* s = std::get_if<std::string>(&v)) return !s->empty();
    if (auto* w = std::get_if<Words>(&v)) return !w->empty();
    return false;
  }
  void space() { while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_; }
  bool symbol(std::string_view s) {
    space();
    if (text_.substr(at_, s.size()) != s) return false;
    at_ += s.size();
    return true;
  }
  bool word(std::string_view s) {
    space();
    size_t end = at_ + s.size();
    if (text_.substr(at_, s.size()) != s || (end < text_.size() && (letter(text_[end]) || digit(text_[end])))) return false;
    at_ = end;
    return true;
  }
  void expect(std::string_view s) { if (!symbol(s)) fail("\"" + std::string(s) + "\""); }
  struct Deeper {
    int& depth;
    explicit Deeper(Parser& p) : depth(p.depth_) { if (++depth > 100) p.fail("at most 100 levels"); }
    ~Deeper() { --depth; }
  };

  Value either() {
    Deeper deeper(*this);
    Value v = both();
    while (word("or")) {
      Value other = both();
      if (!truth(v)) v = other;
    }
    return v;
  }
  Value both() {
    Value v = negated();
    while (word("and")) {
      Value other = negated();
      if (truth(v)) v = other;
    }
    return v;
  }
  Value negated() {
    Deeper deeper(*this);
    if (word("not")) return truth(negated()) ? 0.0 : 1.0;
    return comparison();
  }
  static bool contains(const Value& part, const Value& whole) {
    auto* s = std::get_if<std::string>(&part);
    if (!s) return false;
    if (auto* text = std::get_if<std::string>(&whole)) return text->find(*s) != text->npos;
    if (auto* words = std::get_if<Words>(&whole)) for (const auto& w : *words) if (w == *s) return true;
    return false;
  }
  static bool ordered(const Value& a, const Value& b, bool (*of)(int)) {
    if (auto *x = std::get_if<double>(&a), *y = std::get_if<double>(&b); x && y) return !std::isnan(*x) && !std::isnan(*y) && of(*x < *y ? -1 : *x > *y);
    if (auto *x = std::get_if<std::string>(&a), *y = std::get_if<std::string>(&b); x && y) return of(x->compare(*y));
    return false;
  }
  Value comparison() {
    Value left = sum();
    bool holds = true, any = false;
    for (;;) {
      enum { lt, le, gt, ge, eq, ne, in, not_in } op;
      if (symbol("<=")) op = le;
      else if (symbol(">=")) op = ge;
      else if (symbol("==")) op = eq;
      else if (symbol("!=")) op = ne;
      else if (symbol("<")) op = lt;
      else if (symbol(">")) op = gt;
      else if (word("in")) op = in;
      else if (word("not")) {
        if (!word("in")) fail("\"in\"");
        op = not_in;
      } else break;
      Value right = sum();
      any = true;
      switch (op) {
        case lt: holds &= ordered(left, right, [](int c) { return c < 0; }); break;
        case le: holds &= ordered(left, right, [](int c) { return c <= 0; }); break;
        case gt: holds &= ordered(left, right, [](int c) { return c > 0; }); break;
        case ge: holds &= ordered(left, right, [](int c) { return c >= 0; }); break;
        case eq: holds &= left == right; break;
        case ne: holds &= left != right; break;
        case in: holds &= contains(left, right); break;
        case not_in: holds &= !contains(left, right); break;
      }
      left = right;
    }
    return any ? Value(holds ? 1.0 : 0.0) : left;
  }
  static Value reckon(const Value& a, const Value& b, char op) {
    auto *x = std::get_if<double>(&a), *y = std::get_if<double>(&b);
    if (!x || !y) return None{};
    return op == '+' ? *x + *y : op == '-' ? *x - *y : op == '*' ? *x * *y : *x / *y;
  }
  Value sum() {
    Value v = product();
    for (;;) {
      if (symbol("+")) v = reckon(v, product(), '+');
      else if (symbol("-")) v = reckon(v, product(), '-');
      else return v;
    }
  }
  Value product() {
    Value v = unary();
    for (;;) {
      if (symbol("*")) v = reckon(v, unary(), '*');
      else if (symbol("/")) v = reckon(v, unary(), '/');
      else return v;
    }
  }
  Value unary() {
    Deeper deeper(*this);
    if (symbol("-")) return reckon(0.0, unary(), '-');
    if (symbol("+")) return unary();
    return atom();
  }
  std::string quoted() {
    space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) fail("a name in quotes");
    char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      out += text_[at_++];
    }
    if (at_ >= text_.size()) fail("a closing quote");
    ++at_;
    return out;
  }
  Value metric(int which) {                      // -1: the least, 0: the last, 1: the greatest
    expect("(");
    std::string name = quoted();
    expect(")");
    const RunData::Series* s = run_.data().find(name);
    if (!s) return None{};
    if (which == 0) return s->points.back().value;
    double best = std::nan("");
    for (const Point& p : s->points) best = which < 0 ? std::fmin(best, p.value) : std::fmax(best, p.value);
    return best;
  }
  Value text_of(const char* key) { return run_.metadata.contains(key) ? value_of(run_.metadata[key]) : Value(None{}); }
  Value atom() {
    space();
    if (at_ >= text_.size()) fail("a value");
    if (symbol("(")) {
      Value v = either();
      expect(")");
      return v;
    }
    if (text_[at_] == '\'' || text_[at_] == '"') return quoted();
    if (digit(text_[at_]) || text_[at_] == '.') {
      double v;
      auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), v);
      if (error != std::errc()) fail("a number");
      at_ = size_t(end - text_.data());
      return v;
    }
    if (word("metric")) return metric(0);
    if (word("min_metric")) return metric(-1);
    if (word("max_metric")) return metric(1);
    if (word("params")) {
      const Json* j = run_.metadata.contains("hyperparams") ? &run_.metadata["hyperparams"] : nullptr;
      expect("[");
      do {
        std::string key = quoted();
        j = j && j->is_object() && j->contains(key) ? &(*j)[key] : nullptr;
        expect("]");
      } while (symbol("["));
      return j ? value_of(*j) : Value(None{});
    }
    if (word("tags")) return text_of("tags");
    if (word("name")) return run_.name;
    for (const char* key : {"status", "comment", "created", "experiment_name"}) if (word(key)) return text_of(key);
    if (word("True")) return 1.0;
    if (word("False")) return 0.0;
    if (word("None")) return None{};
    fail("a value: metric(''), min_metric(''), max_metric(''), params[''], tags, name, status, comment, created, a number or text");
  }

  std::string_view text_;
  const FilterRun& run_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

bool matches(std::string_view expression, const FilterRun& run) { return Parser(expression, run).run(); }

}  // namespace miniten::monitor
