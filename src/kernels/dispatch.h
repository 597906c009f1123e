#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Choice of the instruction set every kernel runs on.
//
// Names, lowest first: scalar sse2 avx2 avx_vnni avx512 avx512_vnni avx512_bf16 avx512_amx on x86-64, scalar neon
// neon_dotprod neon_i8mm on aarch64. One name governs all kernels; where a name has no table of its own for some of them, the table
// of the name it extends is used (avx_vnni -> avx2, avx512_amx -> avx512_bf16 -> avx512_vnni -> avx512, neon_i8mm ->
// neon_dotprod -> neon).
namespace miniten::kernels {

// What the machine is, asked of the processor itself. 0 or empty where not known.
struct CpuInfo {
  std::string vendor;              // "AuthenticAMD"
  std::string brand;               // "AMD EPYC 9354 32-Core Processor"
  std::vector<std::string> flags;  // instruction sets the processor and the system support, e.g. "avx2"
  int64_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0, line_bytes = 0;  // of one core; l3 as shared by its cluster
};
const CpuInfo& cpu_info();

// The instruction set in use. The first use of any kernel chooses the best one available, or the one named by the
// environment variable MINITEN_ISA.
std::string_view isa();

// Compiled in and supported by this machine, lowest first. Never empty.
std::vector<std::string_view> available_isas();

// Makes every later kernel call use `name`; false, and nothing changed, when it is not available. Data packed for the
// kernels stays valid: all instruction sets share one layout. Not to be called while kernels run on other threads if
// their results must be reproducible.
bool set_isa(std::string_view name);

// Empty, or the value of MINITEN_ISA that could not be honoured (then the best available one is in use).
std::string_view requested_isa_error();

struct FloatTable;  // kernels/ftable.h
struct QTable;      // kernels/qtable.h
struct Bf16Table;   // kernels/gemm_bf16.h
const Bf16Table& bf16_table();

}  // namespace miniten::kernels
