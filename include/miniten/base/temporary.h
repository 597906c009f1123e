#pragma once
#include <string>

namespace miniten {

// A folder of one's own under TMPDIR, gone with all it holds when this is.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const char* who);               // throws io in the name of who
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace miniten
