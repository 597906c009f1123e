"""The include law: each layer includes only what its row in HACKING.md allows. Exit 1 names every breach."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
allowed = {}
for line in (root / "HACKING.md").read_text().splitlines():
    cells = [c.strip() for c in line.strip("|").split("|")]
    if line.startswith("|") and len(cells) >= 2 and re.fullmatch(r"[a-z]+(, [a-z]+)*", cells[0]) and cells[0] != "layer":
        for layer in cells[0].split(", "):
            allowed[layer] = {x for x in cells[1].split(", ") if x != "std"} | {layer, "base"}

breaches = []
for path in sorted([*root.glob("src/**/*"), *root.glob("include/miniten/**/*")]):
    if path.suffix not in {".h", ".cpp", ".inc"}:
        continue
    parts = path.relative_to(root).parts
    layer = parts[1] if parts[0] == "src" else parts[2]
    if layer.endswith(".h"):
        continue  # the umbrella
    if layer not in allowed:
        breaches.append(f"{path.relative_to(root)}: layer {layer} has no row")
        continue
    for include in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M):
        target = include.split("/")
        public = target[0] == "miniten"
        other = target[1] if public else target[0]
        if other.endswith((".h", ".inc")):
            other = None if layer in {"cli", "python"} else layer
        if layer in {"cli", "python"}:
            ok = public or len(target) == 1  # public headers, and its own beside it
        else:
            ok = other in allowed[layer]
        if not ok:
            breaches.append(f"{path.relative_to(root)}: {layer} may not include {include}")
print("\n".join(breaches) or f"include law holds for {len(allowed)} layers")
sys.exit(bool(breaches))
