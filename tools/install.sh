#!/usr/bin/env bash
# Builds the Python package and installs it into .venv; does nothing where no source is newer than the last time.
# MINITEN_LTO=OFF in the environment: not optimised at link time, which takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.venv/miniten-installed lto=${MINITEN_LTO:-ON}
sources=(CMakeLists.txt pyproject.toml cmake include src python)
if [[ -e $stamp && $(<"$stamp") == "$lto" && -z $(find "${sources[@]}" -newer "$stamp" -not -name '__pycache__' -not -name '*.pyc' -print -quit) ]]; then
  exit 0
fi
echo "Building MiniTen for Python (the first time takes some minutes)"
echo "$lto" >"$stamp.started" # before the build: an edit made meanwhile counts as newer
PATH=$PWD/.venv/bin:$PATH .venv/bin/python -m pip --disable-pip-version-check install --quiet --root-user-action=ignore \
  --no-build-isolation --no-deps --force-reinstall .
mv "$stamp.started" "$stamp"
