# What the toolchain files beside it share: Debian's cross compiler for ${debian_triplet}, against the root folder that
# tools/sysroot.sh ${CMAKE_SYSTEM_PROCESSOR} makes. What is built runs under ${emulator} of qemu-user: the tests on each of
# MINITEN_EMULATED_CPUS.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_CXX_COMPILER ${debian_triplet}-g++)
cmake_path(SET CMAKE_SYSROOT NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../../.venv/sysroot/${CMAKE_SYSTEM_PROCESSOR})
set(CMAKE_CROSSCOMPILING_EMULATOR ${emulator} -L ${CMAKE_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
