"""The `miniten` program: docs/cli.md. The command line itself is C++; this hands the arguments over."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from miniten import _core


def main(argv: Sequence[str] | None = None) -> int:
    """argv: without the program's name, by default sys.argv's -> exit code."""
    args = [os.fsencode(a) for a in (sys.argv[1:] if argv is None else argv)]
    if argv is None:  # a program of its own: Ctrl-C and a closed pipe end it as they end any other
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return _core._cli(args, _open_peer)


def _open_peer(*args: Any) -> Any:
    from miniten._peers import open_peer

    return open_peer(*args)


if __name__ == "__main__":
    sys.exit(main())
