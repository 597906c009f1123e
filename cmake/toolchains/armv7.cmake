# 32-bit ARM with hardware floats, what Debian calls armhf: emulated is a processor without integer division. All layers are tested,
# for sizes are narrower than on the others.
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(debian_triplet arm-linux-gnueabihf)
set(emulator qemu-arm)
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)  # no notes on what g++ 6 passed otherwise
set(MINITEN_CAN_FOLD_CODE OFF CACHE INTERNAL "gold does not know Thumb's way to variables of a thread")
set(MINITEN_EMULATED_CPUS cortex-a9)
set(MINITEN_EMULATED_LAYERS base core ops graph nn optim train interchange utils viz monitor edge cli)
include(${CMAKE_CURRENT_LIST_DIR}/debian.cmake)
