# 32-bit ARM with hardware floats, what Debian calls armhf: emulated is a processor without integer division.
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(debian_triplet arm-linux-gnueabihf)
set(emulator qemu-arm)
set(MINITEN_EMULATED_CPUS cortex-a9)
include(${CMAKE_CURRENT_LIST_DIR}/debian.cmake)
