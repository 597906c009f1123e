#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/dispatch.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif (defined(__aarch64__) || defined(__arm__)) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace miniten::kernels {
namespace {

#if defined(__x86_64__) || defined(__i386__)

struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Leaf leaf_of(unsigned leaf, unsigned sub = 0) {
  Leaf r;
  if (!__get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d)) return {};
  return r;
}

unsigned saved_state_mask() {  // which registers the system saves on a task switch
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

// The system keeps no room for tiles until a process asks for it, which holds for all its threads.
bool may_use_tiles() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

void ask_processor(CpuInfo& info) {
  const Leaf zero = leaf_of(0), one = leaf_of(1), seven = leaf_of(7), seven_one = leaf_of(7, 1);
  char vendor[13] = {};
  std::memcpy(vendor, &zero.b, 4);
  std::memcpy(vendor + 4, &zero.d, 4);
  std::memcpy(vendor + 8, &zero.c, 4);
  info.vendor = vendor;

  char brand[49] = {};
  for (unsigned i = 0; i < 3; ++i) {
    const Leaf part = leaf_of(0x80000002u + i);
    std::memcpy(brand + 16 * i, &part, 16);
  }
  info.brand = brand;
  while (!info.brand.empty() && info.brand.back() == ' ') info.brand.pop_back();
  info.brand.erase(0, info.brand.find_first_not_of(' '));

  const unsigned saved = one.c >> 27 & 1 ? saved_state_mask() : 0;
  const bool avx = (saved & 0x6) == 0x6, avx512 = (saved & 0xe6) == 0xe6;
  const auto add = [&](const char* name, bool system, unsigned bits, int bit) {
    if (system && (bits >> bit & 1)) info.flags.push_back(name);
  };
  add("sse2", true, one.d, 26);
  add("sse3", true, one.c, 0);
  add("ssse3", true, one.c, 9);
  add("sse4_1", true, one.c, 19);
  add("sse4_2", true, one.c, 20);
  add("avx", avx, one.c, 28);
  add("f16c", avx, one.c, 29);
  add("fma", avx, one.c, 12);
  add("avx2", avx, seven.b, 5);
  add("avxvnni", avx, seven_one.a, 4);
  add("avx512f", avx512, seven.b, 16);
  add("avx512dq", avx512, seven.b, 17);
  add("avx512bw", avx512, seven.b, 30);
  add("avx512vl", avx512, seven.b, 31);
  add("avx512vnni", avx512, seven.c, 11);
  add("avx512bf16", avx512, seven_one.a, 5);
  const bool amx = (saved & 0x60000) == 0x60000 && (seven.d >> 24 & 1) && may_use_tiles();
  add("amx_tile", amx, seven.d, 24);
  add("amx_int8", amx, seven.d, 25);
  add("amx_bf16", amx, seven.d, 22);

  const bool amd = info.vendor == "AuthenticAMD" || info.vendor == "HygonGenuine";
  for (unsigned i = 0; i < 8; ++i) {
    const Leaf cache = leaf_of(amd ? 0x8000001du : 4u, i);
    const unsigned type = cache.a & 31, level = cache.a >> 5 & 7;
    if (type == 0) break;
    const int64_t line = (cache.b & 0xfff) + 1;
    const int64_t bytes = line * ((cache.b >> 12 & 0x3ff) + 1) * ((cache.b >> 22) + 1) * (int64_t(cache.c) + 1);
    if (level == 1 && type == 1) {
      info.l1d_bytes = bytes;
      info.line_bytes = line;
    } else if (level == 2) {
      info.l2_bytes = bytes;
    } else if (level == 3) {
      info.l3_bytes = bytes;
    }
  }
}

#else

#if defined(__linux__)
std::string first_line(const char* path) {
  char text[256] = {};
  if (std::FILE* file = std::fopen(path, "r")) {
    if (!std::fgets(text, sizeof text, file)) text[0] = 0;
    std::fclose(file);
  }
  text[std::strcspn(text, "\n")] = 0;
  return text;
}

void ask_caches(CpuInfo& info) {
  for (int i = 0; i < 6; ++i) {
    const std::string base = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/";
    const std::string size = first_line((base + "size").c_str()), type = first_line((base + "type").c_str());
    if (size.empty()) break;
    char* unit = nullptr;
    int64_t bytes = std::strtoll(size.c_str(), &unit, 10);
    if (*unit == 'K') bytes *= 1024;
    if (*unit == 'M') bytes *= 1024 * 1024;
    const int level = std::atoi(first_line((base + "level").c_str()).c_str());
    if (level == 1 && type == "Data") {
      info.l1d_bytes = bytes;
      info.line_bytes = std::atoll(first_line((base + "coherency_line_size").c_str()).c_str());
    } else if (level == 2) {
      info.l2_bytes = bytes;
    } else if (level == 3) {
      info.l3_bytes = bytes;
    }
  }
}

void ask_name(CpuInfo& info) {
  std::FILE* file = std::fopen("/proc/cpuinfo", "r");
  if (!file) return;
  char line[512];
  while (std::fgets(line, sizeof line, file)) {
    line[std::strcspn(line, "\n")] = 0;
    const char* colon = std::strchr(line, ':');
    if (!colon || !colon[1]) continue;
    if (!std::strncmp(line, "CPU implementer", 15) && info.vendor.empty()) info.vendor = colon + 2;
    if (!std::strncmp(line, "CPU part", 8) && info.brand.empty()) info.brand = std::string("part ") + (colon + 2);
    if (!std::strncmp(line, "Model", 5)) info.brand = colon + 2;
  }
  std::fclose(file);
}
#endif

void ask_processor(CpuInfo& info) {
#if defined(__aarch64__)
  info.flags.push_back("asimd");  // part of the base architecture
#endif
#if defined(__linux__)
#if defined(__aarch64__)
  const unsigned long bits = getauxval(AT_HWCAP), more = getauxval(AT_HWCAP2);
  if (bits >> 20 & 1) info.flags.push_back("asimddp");
  if (bits >> 10 & 1) info.flags.push_back("asimdhp");
  if (bits >> 22 & 1) info.flags.push_back("sve");
  if (more >> 13 & 1) info.flags.push_back("i8mm");
  if (more >> 14 & 1) info.flags.push_back("bf16");
#elif defined(__arm__)
  const unsigned long bits = getauxval(AT_HWCAP);
  if (bits >> 12 & 1) info.flags.push_back("neon");
  if (bits >> 16 & 1) info.flags.push_back("vfpv4");
#endif
  ask_caches(info);
  ask_name(info);
#endif
}

#endif

}  // namespace

const CpuInfo& cpu_info() {
  static const CpuInfo info = [] {
    CpuInfo found;
    ask_processor(found);
    return found;
  }();
  return info;
}

}  // namespace miniten::kernels
