"""One peer in a process of its own: serve.py MODULE FUNCTION JSON-ARGUMENTS.

FUNCTION gives (label, call, outputs or None). The first line out tells the label and, with `outputs`, that they lie in that .npy file;
each line in, a number of milliseconds, is answered by the median microseconds of single calls over that time.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import statistics
import sys
import time

import numpy as np

REST = 0.02  # after a turn: threads that are stopped while they spin would wake on one core


def main() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: not to outlive who asked
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a runtime prints is no answer
    module, function, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    saved = arguments.pop("outputs", None)
    try:
        label, call, outputs = getattr(importlib.import_module(module), function)(**arguments)
        if saved:
            np.save(saved, np.asarray(outputs, np.float32))
    except Exception as e:
        print(json.dumps({"error": f"{type(e).__name__}: {e}"[:300]}), file=answers)
        return
    print(json.dumps({"label": label}), file=answers)
    for line in sys.stdin:
        seconds, clock = float(line) / 1e3, time.perf_counter
        end = clock() + seconds / 4
        while True:
            call()
            if clock() > end:
                break
        times, end = [], clock() + seconds
        while not times or clock() < end:
            start = clock()
            call()
            times.append(clock() - start)
        time.sleep(REST)
        print(json.dumps(statistics.median(times) * 1e6), file=answers)


if __name__ == "__main__":
    main()
