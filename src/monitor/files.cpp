#include "monitor/files.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include "miniten/base/error.h"

namespace miniten::monitor {

void fail_io(std::string_view op, const std::string& what, const std::string& path) {
  throw Error(ErrorKind::io, op, what, "\"" + path + "\": " + std::strerror(errno));
}

namespace {

struct Descriptor {
  int fd;
  ~Descriptor() { if (fd >= 0) ::close(fd); }
};

}  // namespace

std::string read_text(std::string_view op, const std::string& path) {
  Descriptor f{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (f.fd < 0) fail_io(op, "a file that can be read", path);
  std::string text;
  struct stat s;
  if (::fstat(f.fd, &s) == 0 && S_ISREG(s.st_mode)) text.reserve(size_t(s.st_size) + 1);
  char block[1 << 16];
  for (ssize_t n; (n = ::read(f.fd, block, sizeof block)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io(op, "a file that can be read", path);
    text.append(block, size_t(n));
  }
  return text;
}

void write_text(std::string_view op, const std::string& path, std::string_view text) {
  std::string temporary = path + "." + std::to_string(::getpid()) + ".new";
  Descriptor f{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  if (f.fd < 0) fail_io(op, "a file that can be written", path);
  while (!text.empty()) {
    ssize_t n = ::write(f.fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      int kept = errno;
      ::unlink(temporary.c_str());
      errno = kept;
      fail_io(op, "a file that can be written", path);
    }
    text.remove_prefix(size_t(n));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    int kept = errno;
    ::unlink(temporary.c_str());
    errno = kept;
    fail_io(op, "a file that can be replaced", path);
  }
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == name.npos && name.find('\0') == name.npos && name.size() <= 255;
}
bool is_run(const std::string& dir) {
  struct stat s;
  return ::lstat(dir.c_str(), &s) == 0 && S_ISDIR(s.st_mode) && ::lstat((dir + "/" + metadata_file).c_str(), &s) == 0 && S_ISREG(s.st_mode);
}
bool is_being_written(const std::string& dir) {
  Descriptor f{::open((dir + "/" + metrics_file).c_str(), O_RDONLY | O_CLOEXEC)};
  if (f.fd < 0) return false;
#ifdef F_OFD_GETLK
  struct flock lock{};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  return ::fcntl(f.fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
#else
  return false;
#endif
}

Json parse_object(std::string_view op, std::string_view text) {
  bool deep = false;
  Json j = Json::parse(text, [&](int depth, Json::parse_event_t, Json&) { return depth <= 100 || (deep = true, false); }, false);
  if (deep) throw Error(ErrorKind::value, op, "JSON of at most 100 levels", "more");
  if (!j.is_object()) throw Error(ErrorKind::value, op, "a JSON object", j.is_discarded() ? "text that is no JSON" : j.type_name());
  return j;
}

Json number_json(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "Infinity" : "-Infinity";
  return v;
}
double number_of(const Json& j, bool& ok) {
  ok = true;
  if (j.is_number()) return j.get<double>();
  if (j.is_string()) {
    const auto& s = j.get_ref<const std::string&>();
    if (s == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (s == "Infinity") return HUGE_VAL;
    if (s == "-Infinity") return -HUGE_VAL;
  }
  ok = false;
  return 0;
}
void append_number(std::string& to, double v) {
  if (!std::isfinite(v)) {
    to += std::isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return;
  }
  if (v == 0 && std::signbit(v)) {               // "-0" reads as the integer 0
    to += "-0.0";
    return;
  }
  char text[32];
  to.append(text, std::to_chars(text, text + sizeof text, v).ptr);
}

namespace {

// Bytes of the UTF-8 sequence at the front of s: 0 where it is none (overlong, surrogate, cut off, beyond U+10FFFF).
size_t sequence(std::string_view s) {
  auto byte = [&](size_t i) { return i < s.size() ? uint8_t(s[i]) : 0u; };
  auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  unsigned a = byte(0);
  if (a < 0x80) return 1;
  if (a >= 0xc2 && a < 0xe0) return follows(1) ? 2 : 0;
  if (a >= 0xe0 && a < 0xf0) return follows(1) && follows(2) && !(a == 0xe0 && byte(1) < 0xa0) && !(a == 0xed && byte(1) >= 0xa0) ? 3 : 0;
  if (a >= 0xf0 && a < 0xf5) return follows(1) && follows(2) && follows(3) && !(a == 0xf0 && byte(1) < 0x90) && !(a == 0xf4 && byte(1) >= 0x90) ? 4 : 0;
  return 0;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t n = sequence(text);
    if (n) out += text.substr(0, n);
    else out += "\xef\xbf\xbd";
    text.remove_prefix(n ? n : 1);
  }
  return out;
}
void append_string(std::string& to, std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  to += '"';
  while (!text.empty()) {
    size_t n = sequence(text);
    auto c = uint8_t(text[0]);
    if (n == 0) to += "\xef\xbf\xbd";
    else if (n > 1) to += text.substr(0, n);
    else if (c == '"' || c == '\\') { to += '\\'; to += char(c); }
    else if (c == '\n') to += "\\n";
    else if (c < 0x20 || c == 0x7f) { to += "\\u00"; to += digits[c >> 4]; to += digits[c & 15]; }
    else to += char(c);
    text.remove_prefix(n ? n : 1);
  }
  to += '"';
}

double now_seconds() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace miniten::monitor
