#!/usr/bin/env bash
# tools/pythons.sh: interpreters of Python 3.12 or newer, with headers and venv, that are on PATH or that pyenv installed; one of each version, oldest first.
set -euo pipefail
for python in python3.{12..19} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
  command -v "$python" >/dev/null || continue
  "$python" - 2>/dev/null <<'END' || true
import ensurepip, os, sys, sysconfig
if sys.version_info >= (3, 12) and os.path.exists(sysconfig.get_path("include") + "/Python.h") and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print("%d.%d" % sys.version_info[:2], os.path.realpath(sys.executable))
END
done | sort -Vu -k1,1 | cut -d' ' -f2
