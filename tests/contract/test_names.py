"""names.txt lists every public Python name beside its C++ twin, or the reason why there is none.

A line is "<python name><tab><C++ name>" or "<python name><tab>- <reason>". A C++ name must stand in a public header that
opens its namespace.
"""

import importlib
import pkgutil
import re
from pathlib import Path

import miniten

HERE = Path(__file__).parent
HEADERS = HERE.parent.parent / "include" / "miniten"


def public_modules():
    yield miniten
    for info in pkgutil.walk_packages(miniten.__path__, "miniten."):
        parts = info.name.split(".")[1:]
        if any(p.startswith("_") for p in parts):
            continue
        module = importlib.import_module(info.name)
        if hasattr(module, "__all__"):
            yield module


def python_names():
    return {f"{m.__name__}.{name}" for m in public_modules() for name in m.__all__}


def table():
    rows = [line.split("\t") for line in (HERE / "names.txt").read_text().splitlines() if line]
    assert all(len(r) == 2 and r[1] for r in rows), [r for r in rows if len(r) != 2]
    names = [r[0] for r in rows]
    assert names == sorted(set(names)), "sorted, each once"
    return dict(rows)


def test_every_python_name_has_a_line():
    listed, there = set(table()), python_names()
    assert there - listed == set(), "add these to names.txt"
    assert listed - there == set(), "these are gone: take them out of names.txt"


def test_every_listed_name_exists():
    for module in public_modules():
        for name in module.__all__:
            assert hasattr(module, name), f"{module.__name__}.{name}"
        assert len(set(module.__all__)) == len(module.__all__), module.__name__


def test_every_cpp_name_is_declared():
    texts = [h.read_text() for h in HEADERS.rglob("*.h")] + [h.read_text() for h in HEADERS.rglob("*.inc")]
    opened = [(set(re.findall(r"namespace ([\w:]+)", t)) | ({"miniten"} if "OP(" in t else set()), set(re.findall(r"\w+", t))) for t in texts]
    missing = []
    for python, cpp in table().items():
        if cpp.startswith("- "):
            assert len(cpp) > 10, f"{python}: give the reason"
            continue
        space, _, name = cpp.rpartition("::")
        while space and not any(space in spaces for spaces, _ in opened):      # miniten::nn::Module::forward
            space = space.rpartition("::")[0]
        if not any(space in spaces and name.replace("operator", "") in words | {"+", "-", "*", "/"} for spaces, words in opened):
            missing.append(f"{python}: {cpp}")
    assert missing == [], missing
