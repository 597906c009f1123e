#include "monitor/environment.h"
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include "miniten/base/parallel.h"

namespace miniten::monitor {

namespace fs = std::filesystem;

namespace {

std::string line_of(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line.substr(0, 4096);
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0 || line.rfind("Model", 0) == 0) {
      size_t colon = line.find(": ");
      if (colon != line.npos) return line.substr(colon + 2);
    }
  return "";
}

bool is_revision(const std::string& s) { return s.size() >= 40 && s.find_first_not_of("0123456789abcdef") == s.npos; }

// The commit checked out in the repository around the working folder, from its files: no program is run.
std::string git_revision() {
  std::error_code error;
  for (fs::path at = fs::current_path(error); !error; at = at.parent_path()) {
    fs::path git = at / ".git";
    if (fs::is_regular_file(git, error)) {                      // a worktree: "gitdir: <path>"
      std::string line = line_of(git);
      if (line.rfind("gitdir: ", 0) == 0) git = at / line.substr(8);
    }
    if (fs::is_directory(git, error)) {
      std::string head = line_of(git / "HEAD");
      if (is_revision(head)) return head;
      if (head.rfind("ref: ", 0) != 0 || head.find("..") != head.npos) return "";
      std::string ref = head.substr(5);
      fs::path common = git;
      if (std::string shared = line_of(git / "commondir"); !shared.empty()) common = git / shared;
      if (std::string found = line_of(common / ref); is_revision(found)) return found;
      std::ifstream packed(common / "packed-refs");
      for (std::string line; std::getline(packed, line);)
        if (line.size() == 41 + ref.size() && line.compare(41, ref.size(), ref) == 0) return line.substr(0, 40);
      return "";
    }
    if (!at.has_relative_path()) break;
  }
  return "";
}

}  // namespace

Json environment() {
  Json j{{"miniten", MINITEN_VERSION}};
  utsname u;
  if (::uname(&u) == 0) {
    j["system"] = std::string(u.sysname) + " " + u.release;
    j["machine"] = u.machine;
  }
  if (std::string model = valid_utf8(cpu_model()); !model.empty()) j["cpu"] = model;
  j["cores"] = std::thread::hardware_concurrency();
  j["threads"] = get_num_threads();
  j["memory_mb"] = double(::sysconf(_SC_PHYS_PAGES)) * double(::sysconf(_SC_PAGESIZE)) / 1048576;
  j["pid"] = ::getpid();
  if (std::string revision = git_revision(); !revision.empty()) j["git_revision"] = revision;
  return j;
}

size_t status_bytes(const char* key) {
  size_t kb = 0;
  FILE* f = std::fopen("/proc/self/status", "re");
  if (!f) return 0;
  char line[256];
  size_t n = std::strlen(key);
  while (std::fgets(line, sizeof line, f))
    if (std::strncmp(line, key, n) == 0 && line[n] == ':') {
      if (std::sscanf(line + n + 1, "%zu", &kb) != 1) kb = 0;
      break;
    }
  std::fclose(f);
  return kb * 1024;
}

bool reset_peak() {
  FILE* f = std::fopen("/proc/self/clear_refs", "we");
  if (!f) return false;
  bool written = std::fputs("5", f) >= 0;
  return std::fclose(f) == 0 && written;
}

double cpu_seconds() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  return double(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + double(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

}  // namespace miniten::monitor
