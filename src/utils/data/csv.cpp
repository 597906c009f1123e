#include <charconv>
#include <cmath>
#include <fstream>
#include "miniten/utils/datasets.h"

namespace miniten::utils::data {

namespace {

struct Field {
  std::string text;
  double value = NAN;
  bool number = false, empty = false;
};

void read_number(Field& f) {
  std::string_view t = f.text;
  while (!t.empty() && (t.front() == ' ' || t.front() == '\t')) t.remove_prefix(1);
  while (!t.empty() && (t.back() == ' ' || t.back() == '\t')) t.remove_suffix(1);
  if (t.empty()) {
    f.empty = true;
    return;
  }
  if (t.front() == '+' && t.size() > 1 && t[1] != '-' && t[1] != '+') t.remove_prefix(1);
  auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), f.value);
  f.number = error == std::errc() && end == t.data() + t.size();
  if (error == std::errc::result_out_of_range && end == t.data() + t.size()) {
    f.value = std::strtod(std::string(t).c_str(), nullptr);
    f.number = true;
  }
  if (!f.number) f.value = NAN;
}

}  // namespace

CsvTable read_csv(const std::string& path, char delimiter, CsvHeader header) {
  if (delimiter == '"' || delimiter == '\n' || delimiter == '\r' || delimiter == '\0') throw Error(ErrorKind::value, "read_csv", "a delimiter other than a quote or a line's end", "that");
  std::ifstream file(path, std::ios::binary);
  auto unreadable = [&] { return Error(ErrorKind::io, "read_csv", "a file that can be read", "\"" + path + "\""); };
  if (!file) throw unreadable();
  std::string all((std::istreambuf_iterator<char>(file)), {});
  if (file.bad()) throw unreadable();
  size_t at = all.starts_with("\xef\xbb\xbf") ? 3 : 0;
  int64_t line = 1;
  auto next_row = [&](std::vector<Field>& row) {                       // false at the end
    row.clear();
    while (at < all.size() && (all[at] == '\n' || (all[at] == '\r' && at + 1 < all.size() && all[at + 1] == '\n'))) {   // empty lines
      at += all[at] == '\r' ? 2 : 1;
      ++line;
    }
    if (at >= all.size()) return false;
    for (;;) {
      Field& f = row.emplace_back();
      if (at < all.size() && all[at] == '"') {
        int64_t opened = line;
        for (++at;; ++at) {
          if (at >= all.size()) throw Error(ErrorKind::value, "read_csv", "a quote that ends", "one opened in line " + std::to_string(opened) + " of \"" + path + "\"");
          if (all[at] == '"') {
            if (at + 1 >= all.size() || all[at + 1] != '"') break;
            ++at;
          }
          line += all[at] == '\n';
          f.text.push_back(all[at]);
        }
        ++at;
        if (at < all.size() && all[at] != delimiter && all[at] != '\n' && all[at] != '\r')
          throw Error(ErrorKind::value, "read_csv", "a delimiter after a quote", "more text in line " + std::to_string(line) + " of \"" + path + "\"");
      } else {
        size_t end = at;
        while (end < all.size() && all[end] != delimiter && all[end] != '\n') ++end;
        f.text.assign(all, at, end - at);
        if (!f.text.empty() && f.text.back() == '\r' && (end == all.size() || all[end] == '\n')) f.text.pop_back();
        at = end;
      }
      if (at < all.size() && all[at] == '\r') ++at;
      read_number(f);
      if (at >= all.size() || all[at] != delimiter) break;
      ++at;
    }
    if (at < all.size()) ++at;
    ++line;
    return true;
  };

  CsvTable t;
  std::vector<Field> row, first;
  if (!next_row(row)) throw Error(ErrorKind::value, "read_csv", "a table", "an empty file \"" + path + "\"");
  t.columns = int64_t(row.size());
  auto numbers = [](const std::vector<Field>& r) { int64_t n = 0; for (auto& f : r) n += f.number; return n; };
  std::vector<Field> head = row;
  bool more = next_row(row);
  bool has_header = header == CsvHeader::yes || (header == CsvHeader::infer && numbers(head) == 0 && more && numbers(row) > 0);
  std::vector<std::vector<std::string>> text(static_cast<size_t>(t.columns));
  std::vector<char> worded(static_cast<size_t>(t.columns));
  auto keep = [&](std::vector<Field>& r, int64_t number) {
    if (int64_t(r.size()) != t.columns)
      throw Error(ErrorKind::value, "read_csv", std::to_string(t.columns) + " fields in each row", std::to_string(r.size()) + " in line " + std::to_string(number) + " of \"" + path + "\"");
    for (size_t c = 0; c < r.size(); ++c) {
      t.values.push_back(r[c].value);
      worded[c] = worded[c] || !(r[c].number || r[c].empty);
      text[c].push_back(std::move(r[c].text));
    }
    ++t.rows;
  };
  if (has_header) for (Field& f : head) t.names.push_back(f.text);
  else keep(head, 1);
  for (; more; more = next_row(row)) keep(row, line - 1);
  if (t.rows == 0) throw Error(ErrorKind::value, "read_csv", "a row below the header", "none in \"" + path + "\"");
  t.text.resize(size_t(t.columns));
  for (size_t c = 0; c < text.size(); ++c) if (worded[c]) t.text[c] = std::move(text[c]);
  return t;
}

}  // namespace miniten::utils::data
