#pragma once
#include <gtest/gtest.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include "miniten/base/error.h"

namespace miniten::check {

struct Folder {                                  // bait lies here, nothing else
  std::string path = (std::filesystem::temp_directory_path() / "miniten_monitor_XXXXXX").string();
  Folder() { EXPECT_NE(mkdtemp(path.data()), nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

inline std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}
inline void append(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary | std::ios::app) << text; }

template <class F> std::string refusal(F f) {
  try { f(); } catch (const Error& e) { return e.what(); }
  return "no error";
}

}  // namespace miniten::check
