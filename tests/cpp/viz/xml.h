#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

namespace miniten::viz::check {

struct Element {
  std::string name, text;
  std::map<std::string, std::string> attributes;
};

// The elements of well-formed XML without prolog in document order, character references resolved; otherwise `error` says where.
struct Xml {
  std::vector<Element> elements;
  std::string error;

  explicit Xml(const std::string& source) : s_(source) {
    std::vector<size_t> open;
    while (error.empty() && at_ < s_.size()) {
      if (s_[at_] != '<') {
        std::string text = characters('<');
        if (!open.empty()) elements[open.back()].text += text;
        else if (text.find_first_not_of(" \n") != text.npos) fail("text outside of the root");
        continue;
      }
      ++at_;
      if (peek() == '/') {
        ++at_;
        const std::string closed = name();
        if (open.empty() || elements[open.back()].name != closed) fail("</" + closed + "> closes nothing");
        else open.pop_back();
        expect('>');
        continue;
      }
      if (open.empty() && !elements.empty()) fail("a second root");
      Element element;
      element.name = name();
      if (element.name.empty()) fail("no name");
      while (error.empty() && peek() == ' ') {
        ++at_;
        const std::string key = name();
        expect('='), expect('"');
        if (!element.attributes.emplace(key, characters('"')).second) fail("attribute " + key + " twice");
        expect('"');
      }
      const bool empty = peek() == '/';
      if (empty) ++at_;
      expect('>');
      elements.push_back(element);
      if (!empty) open.push_back(elements.size() - 1);
    }
    if (error.empty() && !open.empty()) fail("<" + elements[open.back()].name + "> is not closed");
  }

  std::vector<Element> named(const std::string& name) const {
    std::vector<Element> found;
    for (const Element& e : elements) if (e.name == name) found.push_back(e);
    return found;
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> found;
    for (const Element& e : elements) if (e.name == "text") found.push_back(e.text);
    return found;
  }
  bool has_text(const std::string& text) const {
    for (const std::string& t : texts()) if (t == text) return true;
    return false;
  }

 private:
  char peek() const { return at_ < s_.size() ? s_[at_] : '\0'; }
  void fail(const std::string& why) { if (error.empty()) error = why + " at byte " + std::to_string(at_); }
  void expect(char c) { if (peek() == c) ++at_; else fail(std::string("expected ") + c); }
  std::string name() {
    const size_t start = at_;
    while (isalnum(static_cast<unsigned char>(peek())) || peek() == '-' || peek() == ':') ++at_;
    return s_.substr(start, at_ - start);
  }
  std::string characters(char end) {
    static const std::map<std::string, char> known = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"#39", '\''}};
    std::string out;
    for (; at_ < s_.size() && s_[at_] != end; ++at_) {
      if (s_[at_] == '<') return fail("a bare <"), out;
      if (static_cast<unsigned char>(s_[at_]) < 0x20 && s_[at_] != '\n') return fail("a control character"), out;
      if (s_[at_] != '&') { out += s_[at_]; continue; }
      const size_t semicolon = s_.find(';', at_);
      auto entity = semicolon == s_.npos ? known.end() : known.find(s_.substr(at_ + 1, semicolon - at_ - 1));
      if (entity == known.end()) return fail("a bare &"), out;
      out += entity->second;
      at_ = semicolon;
    }
    return out;
  }
  const std::string& s_;
  size_t at_ = 0;
};

}  // namespace miniten::viz::check
