"""Writes the type stub of the extension module: stubs.py <folder of _core> <output.pyi>.

Tensor has methods called int, float, bool and numpy, which would hide the types of these names from the annotations of
its body, so those are written in full. The methods that python/miniten/_composed.py adds are declared there too.
"""

import ast
import importlib
import pathlib
import re
import sys

from nanobind.stubgen import StubGen

HEAD = "import builtins\nfrom numpy import ndarray as ndarray_type, dtype as dtype_type\nfrom numpy.typing import ArrayLike\nfrom miniten._composed import MinMax, Values\n\n__version__: str\nTensorLike = Tensor | ArrayLike\n"


def added_methods():
    """Declarations of _composed._METHODS: the functions, their first argument being self."""
    tree = ast.parse((pathlib.Path(__file__).parent.parent / "python/miniten/_composed.py").read_text())
    names = next(ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "_METHODS")
    for f in tree.body:
        if isinstance(f, ast.FunctionDef) and f.name in names:
            f.args.args[0] = ast.arg("self")
            f.body = [ast.Expr(ast.Constant(...))]
            text = ast.unparse(f).replace("\n    ", " ")
            yield "    " + re.sub(r"\bAny\b", "typing.Any", re.sub(r"\bSequence\b", "collections.abc.Sequence", text))


def without_repeats(text):
    """Layers without what they have from Module word by word: the binding's slots, and what shows or copies them."""
    module = re.search(r"^class Module:\n(?:(?: .*)?\n)*", text, flags=re.M)
    declared = re.findall(r"^    def __\w+__\(.*(?:\n(?:        .*)?)*?\n(?=\n    \S)", module.group(), flags=re.M)
    rest = text[module.end():]
    for slot in declared:
        if re.match(r"    def (__(get|set|del)attr(ibute)?__|__deepcopy__)\b", slot):
            rest = rest.replace(slot.rstrip() + "\n\n", "")
    for slot in ("extra_repr(self) -> str", "forward(self, *inputs: Tensor | ArrayLike) -> Any"):      # without Module's words
        rest = rest.replace(f"    def {slot}: ...\n\n", "")
    return text[:module.end()] + rest


def main(folder, output):
    sys.path.insert(0, folder)
    generator = StubGen(importlib.import_module("_core"), include_private=True, quiet=True)
    generator.put(generator.module)
    text = generator.get()
    text = text.replace("numpy.typing.ArrayLike", "ArrayLike").replace("numpy.ndarray", "ndarray_type").replace("numpy.dtype", "dtype_type")
    text = re.sub(r"^import numpy(\.typing)?\n", "", text, flags=re.M)
    text = without_repeats(text)
    tensor = re.search(r"^class Tensor\b.*\n(?:(?: .*)?\n)*", text, flags=re.M)
    text = text[:tensor.end()].rstrip() + "\n\n" + "\n\n".join(added_methods()) + "\n\n" + text[tensor.end():]
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith("class "):
            inside = line.startswith("class Tensor")
        if inside and re.match(r"\s+def |\s+@", line):
            line = re.sub(r"(?<!def )(?<!\.)\b(int|float|bool|type)\b(?!\()", r"builtins.\1", line)
        if inside and re.match(r"\s+def __(eq|ne)__\(", line):
            line += "  # type: ignore[override]"
        lines.append(line)
    text = "\n".join(lines) + "\n"
    first = re.search(r"^(from|import) ", text, flags=re.M).start()
    text = text[:first] + HEAD + text[first:].replace("Tensor | ArrayLike", "TensorLike")
    # Read by tools: 30 KB less without blank lines, indented by one, short texts on a line, and what Module declares already.
    text = re.sub(r"\n\s*\n", "\n", text)
    text = re.sub(r"^ +", lambda spaces: " " * ((len(spaces[0]) + 3) // 4), text, flags=re.M)
    text = re.sub(r'^( *)"""\n\1(\S[^\n]*[^"\n])\n\1"""$', r'\1"""\2"""', text, flags=re.M)
    ast.parse(text)
    with open(output, "w") as f:
        f.write(text)


main(*sys.argv[1:])
