# From Python 3.12 on, one extension serves every later version (the stable ABI).
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module OPTIONAL_COMPONENTS Development.SABIModule)
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE nanobind_ROOT
                COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED NO_CMAKE_FIND_ROOT_PATH)
file(GLOB python_sources CONFIGURE_DEPENDS src/python/*.cpp)
nanobind_add_module(_core NB_STATIC STABLE_ABI ${python_sources})
target_compile_options(_core PRIVATE -Wall -Wextra -Wno-missing-field-initializers)
target_compile_definitions(_core PRIVATE MINITEN_VERSION="${PROJECT_VERSION}")
target_include_directories(_core PRIVATE src)
target_precompile_headers(_core PRIVATE ${standard_headers} <nanobind/nanobind.h>)
target_link_libraries(_core PRIVATE miniten)
target_link_options(_core PRIVATE -Wl,--exclude-libs,ALL -Wl,--gc-sections)
if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # two types of one name are seen here alone; bounds lost by inlining are no errors
  target_link_options(_core PRIVATE -Wno-error -Werror=odr)
endif()
# Templates give the same code again and again: where the linker can, it keeps one (nothing here compares addresses of functions).
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LINK_OPTIONS -fuse-ld=gold -Wl,--icf=all)
check_cxx_source_compiles("int main() {}" MINITEN_CAN_FOLD_CODE)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
if(MINITEN_CAN_FOLD_CODE)
  target_link_options(_core PRIVATE -fuse-ld=gold -Wl,--icf=all,-O2)  # -O2: strings that end others lie in them
endif()
# The stub tells what the module says of itself, so another processor's is imported under emulation, beside
# a NumPy of that processor in MINITEN_EMULATED_PACKAGES.
set(runs_it ${Python_EXECUTABLE})
if(CMAKE_CROSSCOMPILING)
  execute_process(COMMAND ${Python_EXECUTABLE} -c "import sys; print(*(p for p in sys.path if p.endswith('-packages')), sep=':')" OUTPUT_STRIP_TRAILING_WHITESPACE
                  OUTPUT_VARIABLE packages COMMAND_ERROR_IS_FATAL ANY)
  set(runs_it ${CMAKE_COMMAND} -E env PYTHONPATH=${MINITEN_EMULATED_PACKAGES}:${packages} ${CMAKE_CROSSCOMPILING_EMULATOR} ${CMAKE_SYSROOT}/usr/bin/python3)
endif()
add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/_core.pyi DEPENDS _core ${CMAKE_CURRENT_SOURCE_DIR}/cmake/stubs.py
                   COMMAND ${runs_it} ${CMAKE_CURRENT_SOURCE_DIR}/cmake/stubs.py $<TARGET_FILE_DIR:_core> ${CMAKE_CURRENT_BINARY_DIR}/_core.pyi)
add_custom_target(_core_stub ALL DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/_core.pyi)
install(TARGETS _core LIBRARY DESTINATION miniten)
install(FILES src/viz/assets/inter_license.txt DESTINATION miniten/viz)  # of the typeface in it
if(MINITEN_CODECS)
  install(FILES ${MINITEN_CODECS}/licenses.txt DESTINATION miniten/utils/vision)
endif()
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/_core.pyi DESTINATION miniten)
