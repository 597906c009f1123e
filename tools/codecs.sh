#!/usr/bin/env bash
# tools/codecs.sh native|aarch64|armv7: .venv/codecs/<name>, the image and zip libraries as wheels hold them: small, position-independent,
# static, from Debian's source packages with its patches. lib, include and licenses.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
  native) cross=() compiler='' ;;
  aarch64) cross=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 "-DCMAKE_SYSROOT=$PWD/.venv/sysroot/aarch64") compiler=aarch64-linux-gnu- ;;
  armv7) cross=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=armv7 "-DCMAKE_SYSROOT=$PWD/.venv/sysroot/armv7") compiler=arm-linux-gnueabihf- ;;
  *) echo "tools/codecs.sh native|aarch64|armv7, got '${1:-}'"; exit 2 ;;
esac
export PATH=$PWD/.venv/bin:$PATH
to=$PWD/.venv/codecs/$1 sources=$PWD/.venv/codecs/sources
wanted=(libjpeg-turbo libpng1.6 minizip)
[[ -e $to/made && $to/made -nt tools/codecs.sh ]] && exit 0

if [[ ! -e $sources/made ]]; then
  echo "Fetching the sources of ${wanted[*]}"
  rm -rf "$sources"
  mkdir -p "$sources"/apt/{lists,cache/archives}/partial
  touch "$sources/apt/status"
  # The system's own lists, of sources
  sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$sources/apt/debian.sources" 2>/dev/null ||
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$sources/apt/debian.list"
  cat >"$sources/apt/apt.conf" <<END
APT::Sandbox::User "$(id -un)";
Dir::State "$sources/apt";
Dir::State::status "$sources/apt/status";
Dir::Cache "$sources/apt/cache";
Dir::Etc::sourcelist "$(ls "$sources"/apt/debian.*)";
Dir::Etc::sourceparts "-";
END
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  (
    export APT_CONFIG=$sources/apt/apt.conf
    cd "$sources"
    apt-get update -qq
    for package in "${wanted[@]}"; do
      apt-get source -qq "$package" >/dev/null 2>apt/log || apt-get source -qq "$package/$release" >/dev/null 2>>apt/log || { cat apt/log; exit 1; }
    done
  )
  # Of the capabilities that jmorecfg.h lists, those that MiniTen asks for.
  printf '\n#undef %s' C_PROGRESSIVE_SUPPORTED IDCT_SCALING_SUPPORTED DCT_IFAST_SUPPORTED DCT_FLOAT_SUPPORTED QUANT_1PASS_SUPPORTED QUANT_2PASS_SUPPORTED >>"$(echo "$sources"/libjpeg-turbo-*/jmorecfg.h)"
  printf '\n' >>"$(echo "$sources"/libjpeg-turbo-*/jmorecfg.h)"
  touch "$sources/made"
fi

echo "Building ${wanted[*]} for $1"
rm -rf "$to" "build/codecs/$1"
mkdir -p "$to/lib" "$to/include/minizip"
# Tables of 64 kB where an instruction counts leading zeros are left out, and unwind tables where errors leave by longjmp.
flags='-Os -DNDEBUG -fPIC -ffunction-sections -fdata-sections -fvisibility=hidden -DUSE_CLZ_INTRINSIC'
build() { # build FOLDER TARGET OPTION...
  cmake -S "$sources/$1" -B "build/codecs/$to_name/$1" -G Ninja -DCMAKE_C_COMPILER="${compiler}gcc" "${cross[@]}" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE="$flags -fno-asynchronous-unwind-tables" \
    -DCMAKE_POLICY_VERSION_MINIMUM=3.5 "${@:3}" >"build/codecs/$to_name/log" 2>&1 && cmake --build "build/codecs/$to_name/$1" --target "$2" >>"build/codecs/$to_name/log" 2>&1 || { cat "build/codecs/$to_name/log"; exit 1; }
}
to_name=$1
mkdir -p "build/codecs/$to_name"
jpeg=$(basename "$sources"/libjpeg-turbo-*/) png=$(basename "$sources"/libpng1.6-*/) zip=$(basename "$sources"/minizip-*/)
build "$jpeg" jpeg-static -DWITH_SIMD=0 -DENABLE_SHARED=0 -DWITH_ARITH_ENC=0 -DWITH_TURBOJPEG=0
build "$png" png_static -DPNG_SHARED=0 -DPNG_TESTS=0
cp "build/codecs/$to_name/$jpeg/libjpeg.a" "build/codecs/$to_name/$png/libpng16.a" "$to/lib"
cp "$sources/$jpeg"/{jpeglib,jmorecfg,jerror}.h "build/codecs/$to_name/$jpeg/jconfig.h" "$sources/$png"/{png,pngconf}.h "build/codecs/$to_name/$png/pnglibconf.h" "$to/include"
for source in ioapi unzip zip; do
  read -ra each <<<"$flags"
  "${compiler}gcc" ${cross[3]:+"--sysroot=${cross[3]#*=}"} "${each[@]}" -DNOCRYPT -DNOUNCRYPT -c "$sources/$zip/$source.c" -o "build/codecs/$to_name/$source.o"
done
"${compiler}ar" rcs "$to/lib/libminizip.a" "build/codecs/$to_name"/{ioapi,unzip,zip}.o
cp "$sources/$zip"/{ioapi,unzip,zip}.h "$to/include/minizip"
{
  echo "This software is based in part on the work of the Independent JPEG Group. Parts of these libraries are in the extension:"
  for license in "$jpeg/LICENSE.md" "$png/LICENSE" "$zip/MiniZip64_info.txt"; do printf '\n==== %s ====\n\n' "${license%%/*}"; cat "$sources/$license"; done
} >"$to/licenses.txt"
touch "$to/made"
