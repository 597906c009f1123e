"""docs/reference says what the docstrings and headers say."""

import importlib.util
import inspect
from pathlib import Path

ROOT = Path(__file__).parents[3]
spec = importlib.util.spec_from_file_location("make_reference", ROOT / "tools" / "make_reference.py")
make_reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_reference)


def test_pages_are_as_written(tmp_path):
    make_reference.write(tmp_path)
    kept = {p.name: p.read_text() for p in (ROOT / "docs" / "reference").glob("*.md")}
    made = {p.name: p.read_text() for p in tmp_path.glob("*.md")}
    assert sorted(kept) == sorted(made), "run make reference"
    stale = [name for name in made if made[name] != kept[name]]
    assert not stale, f"run make reference: {stale}"


def test_signatures_are_short_and_whole():
    short = make_reference.short
    assert short("(x: miniten._core.Tensor | numpy.typing.ArrayLike, dtype: miniten._core.DType | str | type | numpy.dtype | None = None)") == "(x: ArrayLike, dtype: DTypeLike = None)"
    assert short("(self, n: collections.abc.Sequence[int]) -> None") == "(n: Sequence[int])"
    assert short("(self) -> miniten._core.Session") == "() -> Session"

    def f(self, a: "int", *, b: "str | None" = None) -> "Module": ...

    assert make_reference.python_signature(f, method=True) == "(a: int, *, b: str | None = None) -> Module"
    assert inspect.signature(f).parameters["self"]


def test_every_twin_has_its_header():
    rows = dict(line.split("\t") for line in (ROOT / "tests/contract/names.txt").read_text().splitlines() if line)
    lost = [n for n, twin in rows.items() if not twin.startswith("- ") and make_reference.header_of(twin) is None]
    assert lost == []
