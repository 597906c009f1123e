#!/bin/sh
# deb.sh BUILD COMPILER FLAGS CMAKE CPACK: makes the Debian package, looks into it, unpacks it into a root folder of its own and
# runs the program and check.sh there.
set -eu
here=$(dirname "$0")
work=$1/deb compiler=$2 flags=$3 cmake=$4 cpack=$5
rm -rf "$work"
mkdir -p "$work"
"$cpack" --config "$1/CPackConfig.cmake" -B "$work" -D CPACK_DEBIAN_COMPRESSION_TYPE=zstd >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
deb=$(find "$work" -maxdepth 1 -name 'miniten_*.deb')
dpkg-deb -f "$deb" Package Version Architecture Depends
dpkg-deb -f "$deb" Depends | grep -q 'libc6 .*libminizip-dev\|libminizip-dev.*libc6 '
dpkg-deb -c "$deb" >"$work/files"
for file in bin/miniten lib/libminiten.a lib/cmake/miniten/miniten-config.cmake lib/pkgconfig/miniten.pc include/miniten/miniten.h share/doc/miniten/copyright; do
  grep -q " ./usr/$file\$" "$work/files" || { echo "there is no /usr/$file in it"; exit 1; }
done
dpkg -x "$deb" "$work/root"
"$work/root/usr/bin/miniten" version
sh "$here/check.sh" "$work/root/usr" "$work/out_of_tree" "$compiler" "$flags" "$cmake"
