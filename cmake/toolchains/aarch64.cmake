# 64-bit ARM: emulated are a processor with every extension and one with none.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(debian_triplet aarch64-linux-gnu)
set(emulator qemu-aarch64)
set(MINITEN_EMULATED_CPUS max cortex-a53)
include(${CMAKE_CURRENT_LIST_DIR}/debian.cmake)
