#include "miniten/base/temporary.h"
#include <cstdlib>
#include <filesystem>
#include "miniten/base/error.h"

namespace miniten {

TemporaryFolder::TemporaryFolder(const char* who) {
  std::error_code none;
  path_ = (std::filesystem::temp_directory_path(none) / "miniten.XXXXXX").string();
  if (none || !::mkdtemp(path_.data())) throw Error(ErrorKind::io, who, "a temporary folder", path_, "set TMPDIR");
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code none;
  std::filesystem::remove_all(path_, none);
}

}  // namespace miniten
