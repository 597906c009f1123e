#!/usr/bin/env bash
# Builds the Python package and installs it into .venv; does nothing where no source is newer than the last time.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.venv/miniten-installed
if [[ -e $stamp && -z $(find CMakeLists.txt pyproject.toml cmake include src python -newer "$stamp" -not -name '*.pyc' -not -name __pycache__ -print -quit) ]]; then
  exit 0
fi
echo "Building MiniTen"
PATH=$PWD/.venv/bin:$PATH .venv/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall .
touch "$stamp"
