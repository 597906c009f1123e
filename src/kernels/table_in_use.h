#pragma once

// MINITEN_TABLE_IN_USE(Table, table, KERNELS), in miniten::kernels: table() gives the kernels of the instruction set in use.
// Where a build holds one set alone, calls go straight, and the linker drops the kernels that nothing calls.
#ifdef MINITEN_ONE_TARGET
#define MINITEN_DECLARE_ONE(name, result, parameters) result name parameters;
#define MINITEN_ADDRESS_ONE(name, result, parameters) &MINITEN_ONE_TARGET::name,
#define MINITEN_TABLE_IN_USE(Table, table, KERNELS)             \
  namespace MINITEN_ONE_TARGET {                                \
  KERNELS(MINITEN_DECLARE_ONE)                                  \
  }                                                             \
  inline constexpr Table only_##table = {KERNELS(MINITEN_ADDRESS_ONE)}; \
  constexpr const Table& table() { return only_##table; }
#else
#define MINITEN_TABLE_IN_USE(Table, table, KERNELS) const Table& table();
#endif
