#!/usr/bin/env bash
# tools/wheels.sh: dist/wheels gets a manylinux wheel for this machine's processor and the source package; prints their sizes.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.venv/bin:$PATH
rm -rf dist/wheels build/wheels
mkdir -p dist/wheels
python -m pip --disable-pip-version-check wheel --quiet --no-build-isolation --no-deps --wheel-dir build/wheels .
auditwheel repair --wheel-dir dist/wheels build/wheels/miniten-*.whl >/dev/null 2>build/wheels/auditwheel.log || { cat build/wheels/auditwheel.log; exit 1; }
python -c 'from scikit_build_core.build import build_sdist; build_sdist("dist/wheels")' >/dev/null

printf '| | file | unpacked |\n|---|---|---|\n'
for package in dist/wheels/*; do
  python - "$package" <<'END'
import os, sys, tarfile, zipfile

path = sys.argv[1]
is_wheel = path.endswith(".whl")
sizes = [m.file_size for m in zipfile.ZipFile(path).infolist()] if is_wheel else [m.size for m in tarfile.open(path)]
print(f"| `{os.path.basename(path)}` | {os.path.getsize(path) / 2**20:.2f} MB | {sum(sizes) / 2**20:.2f} MB |")
END
done
