#!/usr/bin/env bash
# tools/check_wheels.sh: installs the wheel of dist/wheels beside NumPy alone, looks at what its libraries need and runs
# tests/support/wheels/check.py.
set -euo pipefail
cd "$(dirname "$0")/.."
work=build/check_wheels
rm -rf $work
mkdir -p $work
.venv/bin/python -m pip --disable-pip-version-check install --quiet --root-user-action=ignore --target $work/wheel dist/wheels/miniten-*.whl
find $work/wheel/miniten $work/wheel/miniten.libs -name '*.so*' | while read -r file; do
  readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r needed; do
    case $needed in
      libc.so.6 | libm.so.6 | libstdc++.so.6 | libgcc_s.so.1 | libz.so.1 | ld-linux-*) ;;  # what manylinux names as everywhere
      *) [[ -e $work/wheel/miniten.libs/$needed ]] || { echo "$(basename "$file") needs $needed, which the wheel does not hold"; exit 1; } ;;
    esac
  done
done
check() { PYTHONPATH=$1 .venv/bin/python -S tests/support/wheels/check.py "$2" $work/models; }
check $work/wheel write
check $work/wheel compare
