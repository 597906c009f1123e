#include "miniten/base/file.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include "base/pages.h"
#include "miniten/base/error.h"

namespace miniten {

namespace {
[[noreturn]] void refuse(const std::string& path, std::string want) {
  throw Error(ErrorKind::io, "file", std::move(want) + " \"" + path + "\"", std::strerror(errno));
}
struct Descriptor {
  int fd;
  ~Descriptor() { if (fd >= 0) ::close(fd); }
};
}  // namespace

std::shared_ptr<Pages> read_pages(const std::string& path, uint64_t limit) {
  Descriptor f{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (f.fd < 0) refuse(path, "a readable file");
  struct stat info;
  if (::fstat(f.fd, &info) != 0) refuse(path, "a readable file");
  if (!S_ISREG(info.st_mode)) throw Error(ErrorKind::io, "file", "a regular file", "\"" + path + "\"");
  if (uint64_t(info.st_size) > limit)
    throw Error(ErrorKind::io, "file", "at most " + std::to_string(limit) + " bytes", "\"" + path + "\" of " + std::to_string(info.st_size));
  auto pages = std::make_shared<Pages>("file", uint64_t(info.st_size));
  std::span<std::byte> bytes = pages->bytes();
  size_t at = 0;
  while (at < bytes.size()) {
    ssize_t n = ::read(f.fd, bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) refuse(path, "a readable file");
    if (n == 0) break;
    at += size_t(n);
  }
  pages->shrink(at);
  return pages;
}
std::vector<std::byte> read_file(const std::string& path, uint64_t limit) {
  auto pages = read_pages(path, limit);
  return {pages->bytes().begin(), pages->bytes().end()};
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::string temporary = path + ".XXXXXX";
  Descriptor f{::mkstemp(temporary.data())};
  if (f.fd < 0) refuse(path, "a folder that can be written to for");
  struct Remove {                                      // whatever goes wrong, the temporary file goes
    const std::string& name;
    bool keep = false;
    ~Remove() { if (!keep) ::unlink(name.c_str()); }
  } guard{temporary};
  size_t at = 0;
  while (at < bytes.size()) {
    ssize_t n = ::write(f.fd, bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) refuse(path, "room for " + std::to_string(bytes.size()) + " bytes to write");
    at += size_t(n);
  }
  mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(f.fd, 0666 & ~mask) != 0 || ::fsync(f.fd) != 0) refuse(path, "a disk that keeps");
  if (::rename(temporary.c_str(), path.c_str()) != 0) refuse(path, "a name that can be written:");
  guard.keep = true;
}

}  // namespace miniten
