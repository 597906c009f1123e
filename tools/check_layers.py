"""The include law: a layer includes only itself, base and what its row of the table in HACKING.md allows."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
allowed = {}
for line in (root / "HACKING.md").read_text().partition("| layer |")[2].splitlines():
    cells = [c.strip(" `") for c in line.strip("| ").split("|")]
    if line.startswith("|") and len(cells) >= 2 and re.fullmatch(r"[a-z]+(, [a-z]+)*", cells[0]):
        for layer in cells[0].split(", "):
            allowed[layer] = set(re.split(r",\s*", cells[1])) - {"std"} | {layer, "base"}
if not allowed:
    sys.exit("HACKING.md has no table | layer | may include |")

breaches = []
for path in sorted(p for folder in ("include/miniten", "src") for p in (root / folder).rglob("*") if p.suffix in {".h", ".cpp", ".inc"}):
    parts = path.relative_to(root).parts
    layer = parts[1] if parts[0] == "src" else parts[2]
    if layer == "miniten.h":  # the umbrella
        continue
    if layer not in allowed:
        breaches.append(f"{path.relative_to(root)}: {layer} has no row in the table")
        continue
    for include in re.findall(r'^\s*#\s*include\s*["<]([^">]+)[">]', path.read_text(), re.M):
        public = include.startswith("miniten/")
        other = include.removeprefix("miniten/").split("/")[0]
        if layer in {"cli", "python"}:
            forbidden = not public and other in allowed and other != layer
        else:
            forbidden = other == "miniten.h" or other in allowed and other not in allowed[layer]
        if forbidden:
            breaches.append(f"{path.relative_to(root)}: {layer} may not include {include}")
print("\n".join(breaches) or f"The include law holds for {len(allowed)} layers")
sys.exit(bool(breaches))
