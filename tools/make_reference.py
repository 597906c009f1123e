"""Writes docs/reference, a page per namespace: make_reference.py [folder].

Names, signatures and docstrings are those of the installed package; C++ twins are those of tests/contract/names.txt, with
the public header that holds their contract.
"""
import functools
import importlib
import inspect
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"
PAGES = [
    "miniten", "miniten.linalg", "miniten.autograd", "miniten.nn", "miniten.nn.functional", "miniten.nn.init", "miniten.nn.metrics", "miniten.nn.utils",
    "miniten.optim", "miniten.optim.lr_scheduler", "miniten.edge", "miniten.monitor", "miniten.utils", "miniten.utils.data", "miniten.utils.vision",
    "miniten.viz", "miniten.onnx_backend",
]
SHORTER = [
    (r"(miniten\._core\.)?Tensor \| numpy\.typing\.ArrayLike", "ArrayLike"),
    (r"(miniten\._core\.)?DType \| str \| type \| numpy\.dtype( \| None)?", "DTypeLike"),
    (r"\bminiten(\.\w+)*\.(?=[A-Z])|collections\.abc\.|typing\.|numpy\.typing\.", ""),
    (r"object \| None|: object\b", lambda m: m[0].replace("object", "Any")),
    (r"(: |-> )'([^']+)'", r"\1\2"),
    (r"\(self(, )?", "("),
    (r" -> None$", ""),
]
UNSAID = {"forward", "extra_repr"}  # every layer has them, and says nothing of its own there


def short(signature):
    for pattern, text in SHORTER:
        signature = re.sub(pattern, text, signature)
    return signature


def signed(text):
    """The signatures a docstring of nanobind opens with, and the rest of it."""
    head, _, rest = text.partition("\n\n")
    lines = head.splitlines()
    if lines and all(re.match(r"\w+\(.*\)( ->.*)?$", line) for line in lines):
        return [short(line[line.index("("):]) for line in lines], rest
    return [], text


def python_signature(function, method=False):
    signature = inspect.signature(function)
    return short(str(signature.replace(parameters=list(signature.parameters.values())[method:])))


def described(thing):
    """Signatures without the name, and the docstring."""
    doc = inspect.cleandoc(thing.__doc__ or "")
    if inspect.isclass(thing):
        if inspect.isfunction(thing.__init__):
            return [python_signature(thing.__init__, method=True)], doc
        signatures, more = signed(inspect.cleandoc(thing.__init__.__doc__ or "")) if "__init__" in vars(thing) else ([], "")
        return signatures, "\n\n".join(t for t in (doc, more if signatures else "") if t)
    if inspect.isfunction(thing):
        return [python_signature(thing)], doc
    return signed(doc)


def members(cls):
    """(head, docstring) of what a class and its private bases define."""
    own = [c for c in cls.__mro__ if c is cls or c.__name__.startswith("_")]
    for name, member in sorted({n: m for c in reversed(own) for n, m in vars(c).items()}.items()):
        if name.startswith("_") or name in UNSAID or inspect.isclass(member) or isinstance(member, cls):
            continue
        bound = not isinstance(member, staticmethod)
        if isinstance(member, (staticmethod, classmethod)):
            member = member.__func__
        if inspect.isdatadescriptor(member):
            text = inspect.cleandoc(member.__doc__ or "")
            kind = re.match(r"\(self\) -> (.*)", text)
            yield (f"{name}: {short(kind[1])}", "") if kind else (name, text)
        elif inspect.isfunction(member):
            yield name + python_signature(member, bound), inspect.cleandoc(member.__doc__ or "")
        elif callable(member):
            signatures, doc = described(member)
            yield name + (signatures or ["(..)"])[0], doc


@functools.cache
def headers():
    """(path, text) of the public headers."""
    return [(p, p.read_text()) for p in sorted(INCLUDE.rglob("*.h")) + sorted(INCLUDE.rglob("*.inc"))]


def header_of(twin):
    """The public header that declares a C++ name."""
    space, _, name = twin.rpartition("::")
    holder = space.rpartition("::")[2]
    word = re.escape(name) if name.startswith("operator") else rf"\b{name}\b"
    for header, text in headers():
        opened = re.search(rf"namespace {space}\b", text) or re.search(rf"(class|struct) {holder}\b", text) or (space == "miniten" and "OP(" in text)
        if opened and re.search(word, re.sub(r"//.*", "", text)):
            return header
    return None


def entry(full, thing, cpp):
    name = full.removeprefix("miniten.")
    signatures, doc = described(thing)
    out = [f"### {name}", "", *(f"`{name}{s}`\n" for s in signatures), doc, ""]
    if inspect.isclass(thing):
        out += [f"- `{head}`{': ' if text else ''}{' '.join(text.split())}" for head, text in members(thing)] + [""]
    if cpp and not cpp.startswith("- "):
        header = header_of(cpp)
        out += [f"C++: `{cpp}`" + (f" in [{header.relative_to(INCLUDE)}](../../{header.relative_to(ROOT)})" if header else ""), ""]
    return out


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rows = dict(line.split("\t") for line in (ROOT / "tests/contract/names.txt").read_text().splitlines() if line)
    places, index = {}, []
    for module_name in PAGES:
        module = importlib.import_module(module_name)
        page = module_name.removeprefix("miniten.") + ".md"
        intro = inspect.cleandoc(module.__doc__ or "")
        out, elsewhere = [f"# {module_name}", "", intro, ""], []
        further = lambda n: getattr(getattr(module, n), "__name__", n).removeprefix("linalg_").removeprefix("functional_") != n  # noqa: E731
        for name in sorted(module.__all__, key=lambda n: (further(n), n.lower(), n)):
            thing, full = getattr(module, name), f"{module_name}.{name}"
            if not callable(thing):
                continue
            if id(thing) in places:
                first = places[id(thing)]
                anchor = re.sub(r"[^\w-]", "", first[1].lower())
                elsewhere.append(f"`{name}`: [{first[1]}]({first[0] if first[0] != page else ''}#{anchor})")
                continue
            places[id(thing)] = page, full.removeprefix("miniten.")
            out += entry(full, thing, rows.get(full, ""))
        if elsewhere:
            out += ["## Described elsewhere", "", ", ".join(elsewhere)]
        (folder / page).write_text(re.sub(r"\n{3,}", "\n\n", "\n".join(out)).rstrip() + "\n")
        index.append(f"| [{module_name}]({page}) | {' '.join(intro.partition(chr(10) * 2)[0].split())} |")
    (folder / "README.md").write_text("\n".join([
        "# Reference", "", "Every public name with its signature, its docstring and its C++ twin, written by `tools/make_reference.py` from the",
        "docstrings and headers. The [guides](../README.md) show how they work together.", "", "| namespace | |", "|---|---|", *index, ""]))


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "reference")
