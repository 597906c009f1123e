"""The progress bar: silent where nobody looks, one line where somebody does."""

import io

import pytest

from miniten.utils import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_passes_items_on_and_is_silent_in_files():
    out = io.StringIO()
    assert list(progress(range(3), file=out)) == [0, 1, 2]
    assert out.getvalue() == ""
    assert len(progress([1, 2])) == 2


def test_one_line_on_a_terminal():
    out = Terminal()
    bar = progress(iter("abcd"), "reading", total=4, file=out)
    for _ in bar:
        bar.set(loss=0.123456)
    text = out.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    last = text.rstrip("\n").split("\r")[-1]
    assert last.startswith("reading") and "100%" in last and "4/4" in last and "loss=0.1235" in last


def test_without_a_length_it_counts():
    out = Terminal()
    assert sum(progress((i for i in range(5)), file=out)) == 10
    assert out.getvalue().split("\r")[-1].startswith("5  ")
    with pytest.raises(TypeError, match="total="):
        len(progress(iter([])))


def test_a_loop_that_breaks_ends_its_line():
    out = Terminal()

    def fails():
        yield 1
        raise KeyError("gone")

    with pytest.raises(KeyError):
        list(progress(fails(), file=out))
    assert out.getvalue().endswith("\n") and "1  " in out.getvalue()


def test_no_number_is_too_large_or_small():
    bar = progress([], "x", total=10)
    assert "0/10" in bar.line(0, 0.0)
    assert "1:01:01" in bar.line(10, 3661)
    assert "100%" in bar.line(12, 1)
