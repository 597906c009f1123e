#!/usr/bin/env bash
# Makes a fresh Debian machine ready: system packages through apt, then .venv with the build tools.
# tools/setup.sh [judges]: with "judges" also what the tests compare with.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
need() { # need FILE-OR-COMMAND PACKAGE...
  local probe=$1; shift
  if [[ $probe == /* ]]; then [[ -e $probe ]] && return 0; else command -v "$probe" >/dev/null && return 0; fi
  packages+=("$@")
}
need g++ g++
need /usr/include/zlib.h zlib1g-dev
need /usr/include/minizip/unzip.h libminizip-dev
need /usr/include/protozero/pbf_reader.hpp libprotozero-dev
need /usr/include/nlohmann/json.hpp nlohmann-json3-dev
need ccache ccache
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
python3 - <<'PY' || packages+=(python3-dev)
import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_paths()["include"], "Python.h").exists())
PY
if [[ ${1:-} == judges ]]; then
  need /usr/include/gtest/gtest.h libgtest-dev
  need /usr/include/gmock/gmock.h libgmock-dev
  need /usr/include/benchmark/benchmark.h libbenchmark-dev
  need pkg-config pkg-config
fi
if ((${#packages[@]})); then
  root=()
  if [[ $(id -u) != 0 ]]; then
    root=(sudo -n)
    if ! sudo -n true 2>/dev/null; then
      echo "Missing: ${packages[*]}. Run this once, then again:"
      echo "  sudo apt-get update && sudo apt-get install -y ${packages[*]}"
      exit 1
    fi
  fi
  echo "Installing ${packages[*]}"
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

[[ -x .venv/bin/python ]] || python3 -m venv .venv
tools_stamp=.venv/tools-installed
if [[ ! -e $tools_stamp ]]; then
  .venv/bin/pip install --quiet --disable-pip-version-check 'cmake>=3.25' ninja 'nanobind>=2.4' 'scikit-build-core>=0.10' numpy typing_extensions
  touch "$tools_stamp"
fi

if [[ ${1:-} == judges ]]; then
  # Each judge on its own: one that cannot be had skips its tests by name, and fails a CI run.
  missing=()
  for judge in pytest hypothesis mypy 'torch==2.13.0' onnx onnxruntime ai-edge-litert Pillow scikit-image scikit-learn; do
    stamp=".venv/judge-${judge%%=*}"
    [[ -e $stamp ]] && continue
    if .venv/bin/pip install --quiet --disable-pip-version-check "$judge"; then touch "$stamp"; else missing+=("$judge"); fi
  done
  if ((${#missing[@]})); then
    echo "Judges that could not be installed (their tests are skipped): ${missing[*]}"
    [[ ${CI:-} == true ]] && exit 1
  fi
fi
exit 0
