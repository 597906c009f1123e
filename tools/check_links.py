"""Relative links and pictures in the Markdown files exist."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
broken, count = [], 0
for page in [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("examples/**/*.md")]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)|<img[^>]+src=\"([^\"]+)\"", text):
        link = next(t for t in target if t)
        if re.match(r"[a-z]+:", link):
            continue
        count += 1
        if not (page.parent / link).exists():
            broken.append(f"{page.relative_to(root)}: {link}")
print("\n".join(broken) or f"{count} links lead somewhere")
sys.exit(bool(broken))
