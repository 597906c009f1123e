"""No weak or unique symbol leaves an object compiled for one instruction set: the linker could choose it for a machine
that lacks the set. And no build file tunes for the machine it runs on."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else root / "build/dev")
objects = sorted(build.glob("CMakeFiles/miniten_simd_*.dir/**/*.o"))
assert objects, f"no kernel objects under {build}"
found = []
for path in objects:
    for line in subprocess.run(["nm", "-C", path], check=True, capture_output=True, text=True).stdout.splitlines():
        if re.match(r"^[0-9a-f ]+ [WVu] ", line):
            found.append(f"{path.name}: {line}")
for path in [root / "CMakeLists.txt", root / "CMakePresets.json", root / "pyproject.toml", root / "Makefile", *root.glob("cmake/**/*.cmake")]:
    if re.search(r"-m(arch|tune|cpu)=native", path.read_text()):
        found.append(f"{path.name} tunes for the machine it runs on")
print("\n".join(found) or f"{len(objects)} kernel objects export no weak symbol")
sys.exit(bool(found))
