#!/bin/sh
# check.sh PREFIX BUILD COMPILER FLAGS CMAKE: builds main.cpp by find_package and by pkg-config, and runs both.
set -eu
here=$(dirname "$0")
prefix=$1 build=$2 compiler=$3 flags=$4 cmake=$5
rm -rf "$build"
"$cmake" -S "$here" -B "$build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_FLAGS="$flags"
"$cmake" --build "$build"
"$build/out_of_tree"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name miniten.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046,SC2086
"$compiler" $flags "$here/main.cpp" -o "$build/by_pkg_config" $(pkg-config --cflags --libs miniten)
"$build/by_pkg_config"
