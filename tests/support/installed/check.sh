#!/bin/sh
# check.sh PREFIX BUILD COMPILER FLAGS: builds main.cpp by find_package and by pkg-config, and runs both.
set -eu
here=$(dirname "$0")
prefix=$1 build=$2 compiler=$3 flags=$4
cmake -S "$here" -B "$build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_FLAGS="$flags"
cmake --build "$build"
"$build/out_of_tree"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig:$prefix/lib/x86_64-linux-gnu/pkgconfig:$prefix/lib/aarch64-linux-gnu/pkgconfig"
# shellcheck disable=SC2046,SC2086
"$compiler" $flags "$here/main.cpp" -o "$build/by_pkg_config" $(pkg-config --cflags --libs miniten)
"$build/by_pkg_config"
