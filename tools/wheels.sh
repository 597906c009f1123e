#!/usr/bin/env bash
# tools/wheels.sh: dist/wheels gets manylinux wheels for this machine's processor, one for .venv's Python and, where a Python from
# 3.12 on is found, one for that and every later version; where that is x86-64, one for 64-bit ARM and one for 32-bit ARM; and the source package.
# Prints their sizes.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.venv/bin:$PATH
rm -rf dist/wheels build/wheels
mkdir -p dist/wheels build/wheels
pip=(-m pip --disable-pip-version-check wheel --quiet --no-deps)
repair() { # repair WHEEL OPTION...: named after the Linux it needs
  auditwheel repair --wheel-dir dist/wheels "$@" >/dev/null 2>build/wheels/auditwheel.log || { cat build/wheels/auditwheel.log; exit 1; }
}

tools/codecs.sh native
python "${pip[@]}" --no-build-isolation --wheel-dir build/wheels/here -Cbuild-dir=build/python_wheel -Ccmake.define.MINITEN_CODECS="$PWD/.venv/codecs/native" .
repair build/wheels/here/miniten-*.whl

stable=$(tools/pythons.sh | head -1)
if [[ $stable ]]; then
  "$stable" -m venv build/wheels/venv
  mapfile -t wanted < <(python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); print(*p['build-system']['requires'] + p['project']['dependencies'], sep='\n')")
  build/wheels/venv/bin/python -m pip --disable-pip-version-check install --quiet "${wanted[@]}"
  build/wheels/venv/bin/python "${pip[@]}" --no-build-isolation --wheel-dir build/wheels/stable -Cbuild-dir=build/python_stable -Ccmake.define.MINITEN_CODECS="$PWD/.venv/codecs/native" .
  repair build/wheels/stable/miniten-*-abi3-*.whl
else
  echo "No Python from 3.12 on with headers and venv: no wheel for the stable ABI"
fi

cross() { # cross NAME MACHINE TRIPLET NUMPY: for the processor of tools/sysroot.sh NAME, as Python and Debian call it, beside a NumPy of its own
  local root=$PWD/.venv/sysroot/$1 version
  version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  [[ -e $root/usr/bin/python$version ]] || { echo "the root folder $1 has $(basename "$root"/usr/bin/python3.*[0-9]), .venv has Python $version"; exit 1; }
  tools/codecs.sh "$1"
  _PYTHON_HOST_PLATFORM=linux-$2 SETUPTOOLS_EXT_SUFFIX=.cpython-${version/./}-$3.so \
    python "${pip[@]}" --no-build-isolation --wheel-dir "build/wheels/$1" -Cbuild-dir="build/python_$1" -Ccmake.python-hints=false \
    -Ccmake.define.CMAKE_TOOLCHAIN_FILE="$PWD/cmake/toolchains/$1.cmake" -Ccmake.define.Python_EXECUTABLE="$PWD/.venv/bin/python" \
    -Ccmake.define.MINITEN_CODECS="$PWD/.venv/codecs/$1" -Ccmake.define.MINITEN_EMULATED_PACKAGES="$4" -Ccmake.define.Python_INCLUDE_DIR="$root/usr/include/python$version" .
  repair "build/wheels/$1"/miniten-*.whl --ldpaths "$root/usr/lib/$3:$root/lib/$3"
}
if [[ $(uname -m) == x86_64 ]]; then
  python -m pip --disable-pip-version-check install --quiet --root-user-action=ignore --target build/wheels/numpy --only-binary=:all: --python-version "$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
    --implementation cp --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 'numpy>=1.24'
  cross aarch64 aarch64 aarch64-linux-gnu "$PWD/build/wheels/numpy"
  cross armv7 armv7l arm-linux-gnueabihf "$PWD/.venv/sysroot/armv7/usr/lib/python3/dist-packages"
fi
python -c 'from scikit_build_core.build import build_sdist; build_sdist("dist/wheels")' >/dev/null

printf '| | file | unpacked |\n|---|---|---|\n'
for package in dist/wheels/*; do
  python - "$package" <<'END'
import os, sys, tarfile, zipfile

path = sys.argv[1]
is_wheel = path.endswith(".whl")
sizes = [m.file_size for m in zipfile.ZipFile(path).infolist()] if is_wheel else [m.size for m in tarfile.open(path)]
print(f"| `{os.path.basename(path)}` | {os.path.getsize(path) / 1e6:.2f} MB | {sum(sizes) / 1e6:.2f} MB |")
END
done
