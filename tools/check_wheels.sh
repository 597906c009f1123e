#!/usr/bin/env bash
# tools/check_wheels.sh: installs each wheel of dist/wheels beside NumPy alone, looks at what its libraries need and runs
# tests/support/wheels/check.py: the first writes models and what they compute, every one must compute the same. Those
# for ARM run under qemu-user, for 64-bit ARM on a processor with every extension and on one with none. The source package is
# built by pip in an environment of its own and must compute the same too.
set -euo pipefail
cd "$(dirname "$0")/.."
work=build/check_wheels sysroot=$PWD/.venv/sysroot
rm -rf $work
mkdir -p $work

holds_what_it_needs() { # FOLDER
  find "$1"/miniten* -name '*.so*' | while read -r file; do
    readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r needed; do
      case $needed in
        libc.so.6 | libm.so.6 | libstdc++.so.6 | libgcc_s.so.1 | libz.so.1 | ld-linux-*) ;;  # what manylinux names as everywhere
        *) [[ -e $1/miniten.libs/$needed ]] || { echo "$(basename "$file") needs $needed, which the wheel does not hold"; exit 1; } ;;
      esac
    done
  done
}
check() { # FOLDER PYTHON...
  local folder=$1
  shift
  [[ -e $work/models ]] || PYTHONPATH=$folder "$@" -S tests/support/wheels/check.py write $work/models
  PYTHONPATH=$folder "$@" -S tests/support/wheels/check.py compare $work/models
}

for wheel in dist/wheels/*.whl; do # is what its name promises, as auditwheel sees it
  name=$(basename "$wheel" .whl)
  .venv/bin/auditwheel show "$wheel" | tr '\n' ' ' | grep -q "consistent with the following platform tag: \"${name##*-}\"" || { echo "auditwheel does not find ${name##*-} in $wheel"; exit 1; }
done

for wheel in dist/wheels/miniten-*_"$(uname -m)".whl; do
  pythons=(.venv/bin/python)
  [[ $wheel != *-abi3-* ]] || mapfile -t pythons < <(tools/pythons.sh)
  for python in "${pythons[@]}"; do
    folder=$work/$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    "$python" -m pip --disable-pip-version-check install --quiet --root-user-action=ignore --target "$folder" "$wheel"
    holds_what_it_needs "$folder"
    check "$folder" "$python"
  done
done

check_emulated() { # WHEEL ROOT NUMPY EMULATOR PROCESSOR...
  [[ -e $1 && $(uname -m) == x86_64 ]] || return 0
  local name version options root=$sysroot/$2 numpy=$3 emulator=$4
  name=$(basename "$1" .whl)
  version=${name#*-*-cp3} version=3.${version%%-*}
  options=(--platform "${name##*-}" --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64)
  [[ $numpy ]] && options+=(--no-deps)
  .venv/bin/python -m pip --disable-pip-version-check install --quiet --root-user-action=ignore --target "$work/$name" --only-binary=:all: --python-version "$version" --implementation cp "${options[@]}" "$1"
  holds_what_it_needs "$work/$name"
  for processor in "${@:5}"; do
    check "$work/$name${numpy:+:$numpy}" "$emulator" -cpu "$processor" -L "$root" "$root/usr/bin/python$version"
  done
}
check_emulated "$(echo dist/wheels/miniten-*_aarch64.whl)" aarch64 '' qemu-aarch64 max cortex-a53
check_emulated "$(echo dist/wheels/miniten-*_armv7l.whl)" armv7 "$sysroot/armv7/usr/lib/python3/dist-packages" qemu-arm cortex-a9

python3 -m venv $work/source
$work/source/bin/python -m pip --disable-pip-version-check install --quiet dist/wheels/miniten-*.tar.gz
check "$($work/source/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')" $work/source/bin/python

for wheel in dist/wheels/*.whl; do # last, since all else can hold in one that is too large
  bytes=$(.venv/bin/python -c 'import sys, zipfile; print(sum(m.file_size for m in zipfile.ZipFile(sys.argv[1]).infolist()))' "$wheel")
  ((bytes < 10000000)) || { echo "$(basename "$wheel") takes $bytes bytes unpacked; 10 MB are promised"; exit 1; }
done
