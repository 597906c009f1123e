#include "edge/export/c_toolchain.h"
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>
#include "base/embedded.h"
#include "miniten/base/temporary.h"

extern char** environ;

namespace miniten::edge {

namespace {

constexpr uint8_t startup[] = {
#include "embedded/startup.c.inc"
};
constexpr uint8_t layout[] = {
#include "embedded/mps2.ld.inc"
};

struct Folder : TemporaryFolder {
  Folder() : TemporaryFolder("export_c") {}
  void write(const std::string& name, std::string_view text) const { std::ofstream(file(name), std::ios::binary) << text; }
  std::string read(const std::string& name) const {
    std::ostringstream s;
    s << std::ifstream(file(name)).rdbuf();
    return s.str();
  }
};

// -> exit status; what it said lies in <folder>/said. -1: it took too long.
int run(const Folder& f, const std::vector<std::string>& command, int seconds) {
  std::vector<char*> arguments;
  for (const std::string& a : command) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  std::string said = f.file("said");
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, said.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  pid_t pid = 0;
  int failed = ::posix_spawnp(&pid, arguments[0], &files, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed) throw Error(ErrorKind::io, "export_c", "the program " + command[0] + " for verify", "none", command[0] == "cc" ? "install a C compiler" : "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm");
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (int status = 0;;) {
    if (::waitpid(pid, &status, WNOHANG) == pid) {
      int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      if (code == 127) throw Error(ErrorKind::io, "export_c", "the program " + command[0] + " for verify", "none", "install it");
      return code;
    }
    if (std::chrono::steady_clock::now() > end) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      return -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}
void compile(const Folder& f, const std::vector<std::string>& command) {
  if (int code = run(f, command, 600); code != 0) {
    std::string said = f.read("said").substr(0, 2000);
    throw Error(ErrorKind::value, "export_c", "C that " + command[0] + " compiles", code < 0 ? "no end in ten minutes" : said, "nothing was written; please report this model");
  }
}
void must_pass(const Folder& f, const std::vector<std::string>& command) {
  int code = run(f, command, 600);
  if (code != 0)
    throw Error(ErrorKind::value, "export_c", "a self-test that returns 0 under " + command[0], code < 0 ? "no end in ten minutes" : std::to_string(code), "nothing was written; please report this model");
}
void write_sources(const Folder& f, const CSource& s, const std::string& self_test) {
  f.write(s.name + ".h", s.header);
  f.write(s.name + ".c", s.source);
  f.write(s.name + "_self_test.c", self_test);
}

// The call's own frame and the three largest below it: no kernel calls deeper.
size_t stack_of(const std::string& usage, const std::string& name) {
  std::istringstream lines(usage);
  std::vector<size_t> others;
  size_t own = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    std::string where;
    size_t bytes = 0;
    if (!(std::getline(cells, where, '\t') && cells >> bytes)) continue;
    if (where.ends_with(":" + name + "_run") || where.ends_with(":" + name + "_step")) own = bytes;
    else others.push_back(bytes);
  }
  std::sort(others.rbegin(), others.rend());
  for (size_t i = 0; i < std::min<size_t>(3, others.size()); ++i) own += others[i];
  return own;
}
// text, data and bss of `size`.
size_t text_of(const std::string& said) {
  std::istringstream lines(said);
  std::string heads;
  size_t text = 0;
  std::getline(lines, heads);
  lines >> text;
  return text;
}

}  // namespace

Verified verify_on_host(const CSource& s, const std::string& self_test) {
  Folder f;
  write_sources(f, s, self_test);
  compile(f, {"cc", "-std=c99", "-O1", "-o", f.file("test"), f.file(s.name + ".c"), f.file(s.name + "_self_test.c"), "-lm"});
  must_pass(f, {f.file("test")});
  return {"cc", {}, {}};
}

Verified verify_in_qemu(const CSource& s, const std::string& self_test) {
  Folder f;
  write_sources(f, s, self_test);
  f.write("startup.c", unpacked(startup));
  f.write("mps2.ld", unpacked(layout));
  const std::vector<std::string> compiler{"arm-none-eabi-gcc", "-std=c99", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-ffunction-sections", "-fdata-sections"};
  auto with = [&](std::vector<std::string> more) { more.insert(more.begin(), compiler.begin(), compiler.end()); return more; };
  compile(f, with({"-Os", "-fstack-usage", "-c", "-o", f.file("small.o"), f.file(s.name + ".c")}));
  if (run(f, {"arm-none-eabi-size", f.file("small.o")}, 60) != 0) throw Error(ErrorKind::io, "export_c", "sizes from arm-none-eabi-size", f.read("said"));
  Verified v{"qemu-system-arm (mps2-an386)", {}, {}};
  size_t text = text_of(f.read("said"));
  v.code_bytes = text > s.weight_bytes ? text - s.weight_bytes : text;
  v.stack_bytes = stack_of(f.read("small.su"), s.name);
  compile(f, with({"-O2", "-nostartfiles", "-T", f.file("mps2.ld"), "-Wl,--gc-sections", "-o", f.file("test.elf"), f.file("startup.c"), f.file(s.name + ".c"), f.file(s.name + "_self_test.c"), "-lm", "-lc", "-lgcc"}));
  must_pass(f, {"qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-serial", "none", "-monitor", "none", "-semihosting-config", "enable=on,target=native", "-kernel", f.file("test.elf")});
  return v;
}

}  // namespace miniten::edge
