#include "kernels/dispatch.h"

#include <atomic>
#include <cstdlib>

#include "kernels/ftable.h"
#include "kernels/gemm_bf16.h"
#if __has_include("kernels/qtable.h")
#include "kernels/qtable.h"
#define MINITEN_HAS_QTABLE 1
#else
#define MINITEN_HAS_QTABLE 0
#endif

// targets.inc, written by the build, lists the targets compiled in: MINITEN_FLOAT_TARGET(name) for those of the float
// kernels, MINITEN_INT8_TARGET(name) for those of the int8 kernels, MINITEN_BF16_TARGET(name) for products in bfloat16.
// It undefines them.
#define MINITEN_ADDRESS(name, result, parameters) &name,
#define MINITEN_FLOAT_TARGET(target)                                               \
  namespace miniten::kernels::target {                                             \
  MINITEN_FLOAT_KERNELS(MINITEN_DECLARE)                                           \
  constexpr FloatTable float_table = {MINITEN_FLOAT_KERNELS(MINITEN_ADDRESS)};     \
  }
#if MINITEN_HAS_QTABLE
#define MINITEN_INT8_TARGET(target)    \
  namespace miniten::kernels::target { \
  extern const QTable q_table;         \
  }
#endif
#define MINITEN_BF16_TARGET(target)      \
  namespace miniten::kernels::target {   \
  extern const Bf16Table bf16_table;     \
  }
#include "kernels/targets.inc"

namespace miniten::kernels {
namespace {

struct Isa {
  std::string_view name, extends;  // extends: whose tables serve where this one has none
  std::string_view needs;          // flags of cpu_info(), separated by spaces
};

constexpr Isa kIsas[] = {
    {"scalar", "", ""},
#if defined(__x86_64__) || defined(__i386__)
    {"sse2", "scalar", "sse2"},
    {"avx2", "sse2", "avx2 fma f16c"},
    {"avx_vnni", "avx2", "avx2 fma f16c avxvnni"},
    {"avx512", "avx2", "avx2 fma f16c avx512f avx512bw avx512vl avx512dq"},
    {"avx512_vnni", "avx512", "avx2 fma f16c avx512f avx512bw avx512vl avx512dq avx512vnni"},
    {"avx512_bf16", "avx512_vnni", "avx2 fma f16c avx512f avx512bw avx512vl avx512dq avx512vnni avx512bf16"},
    {"avx512_amx", "avx512_bf16", "avx2 fma f16c avx512f avx512bw avx512vl avx512dq avx512vnni avx512bf16 amx_tile amx_int8 amx_bf16"},
#elif defined(__aarch64__)
    {"neon", "scalar", "asimd"},
    {"neon_dotprod", "neon", "asimd asimddp"},
    {"neon_i8mm", "neon_dotprod", "asimd asimddp i8mm"},
#endif
};
constexpr int kIsaCount = sizeof(kIsas) / sizeof(kIsas[0]);

const FloatTable* own_float_table(std::string_view name) {
#define MINITEN_FLOAT_TARGET(target) \
  if (name == #target) return &target::float_table;
#include "kernels/targets.inc"
  return nullptr;
}

const QTable* own_qtable([[maybe_unused]] std::string_view name) {
#if MINITEN_HAS_QTABLE
#define MINITEN_INT8_TARGET(target) \
  if (name == #target) return &target::q_table;
#endif
#include "kernels/targets.inc"
  return nullptr;
}

const Bf16Table* own_bf16_table(std::string_view name) {
#define MINITEN_BF16_TARGET(target) \
  if (name == #target) return &target::bf16_table;
#include "kernels/targets.inc"
  return nullptr;
}

const Isa* find_isa(std::string_view name) {
  for (const Isa& isa : kIsas)
    if (isa.name == name) return &isa;
  return nullptr;
}

template <class Table>
const Table* inherited(const Isa* isa, const Table* (*own)(std::string_view)) {
  for (; isa; isa = find_isa(isa->extends))
    if (const Table* table = own(isa->name)) return table;
  return nullptr;
}

bool supported(const Isa& isa) {
  std::string_view left = isa.needs;
  while (!left.empty()) {
    const auto end = left.find(' ');
    const std::string_view flag = left.substr(0, end);
    bool found = false;
    for (const std::string& have : cpu_info().flags) found = found || have == flag;
    if (!found) return false;
    left = end == left.npos ? std::string_view{} : left.substr(end + 1);
  }
  return true;
}

struct Choice {
  std::string_view name;
  const FloatTable* floats = nullptr;
  const QTable* quantised = nullptr;
  const Bf16Table* bf16 = nullptr;
};

struct Choices {
  Choice all[kIsaCount];
  int count = 0;
};

std::atomic<const Choice*> current{nullptr};

const Choices& choices() {
  static const Choices found = [] {
    Choices c;
    for (const Isa& isa : kIsas)
      if ((own_float_table(isa.name) || own_qtable(isa.name) || own_bf16_table(isa.name)) && supported(isa))
        c.all[c.count++] = {isa.name, inherited(&isa, own_float_table), inherited(&isa, own_qtable), inherited(&isa, own_bf16_table)};
    return c;
  }();
  return found;
}

const Choice* find_choice(std::string_view name) {
  const Choices& c = choices();
  for (int i = 0; i < c.count; ++i)
    if (c.all[i].name == name) return &c.all[i];
  return nullptr;
}

const std::string& requested_error() {
  static const std::string error = [] {
    const char* wanted = std::getenv("MINITEN_ISA");
    const Choice* choice = wanted && *wanted ? find_choice(wanted) : nullptr;
    const bool refused = wanted && *wanted && !choice;
    if (!choice) choice = &choices().all[choices().count - 1];
    const Choice* none = nullptr;
    current.compare_exchange_strong(none, choice);
    return refused ? std::string(wanted) : std::string();
  }();
  return error;
}

const Choice* choose_first() {
  requested_error();
  return current.load(std::memory_order_acquire);
}

inline const Choice* in_use() {
  const Choice* choice = current.load(std::memory_order_acquire);
  return __builtin_expect(choice != nullptr, 1) ? choice : choose_first();
}

}  // namespace

const FloatTable& ftable() { return *in_use()->floats; }
const QTable& qtable() { return *in_use()->quantised; }
const Bf16Table& bf16_table() { return *in_use()->bf16; }
std::string_view isa() { return in_use()->name; }

std::vector<std::string_view> available_isas() {
  std::vector<std::string_view> names;
  for (int i = 0; i < choices().count; ++i) names.push_back(choices().all[i].name);
  return names;
}

bool set_isa(std::string_view name) {
  requested_error();
  const Choice* choice = find_choice(name);
  if (choice) current.store(choice, std::memory_order_release);
  return choice != nullptr;
}

std::string_view requested_isa_error() { return requested_error(); }

}  // namespace miniten::kernels
