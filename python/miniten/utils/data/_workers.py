"""Who prepares batches ahead of time: threads, or processes for Python code that holds the interpreter's lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, Full, Queue, SimpleQueue
from typing import Any

from miniten import _core


class Threads:
    """submit(batch, epoch) -> a Future of fetch(batch, epoch)."""

    def __init__(self, count: int, name: str, fetch: Callable[[Any, int], Any]) -> None:
        self._tasks: SimpleQueue[Any] = SimpleQueue()
        self._count = count
        tasks = self._tasks

        def work() -> None:
            while (task := tasks.get()) is not None:
                future, batch, epoch = task
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(fetch(batch, epoch))
                    except BaseException as error:
                        future.set_exception(error)
                del task, future, batch

        # Daemons: a sample that never comes does not keep the program from ending.
        for k in range(count):
            threading.Thread(target=work, name=f"{name} loader {k}", daemon=True).start()

    def submit(self, batch: Any, epoch: int) -> Future[Any]:
        future: Future[Any] = Future()
        self._tasks.put((future, batch, epoch))
        return future

    def close(self) -> None:
        for _ in range(self._count):
            self._tasks.put(None)


_fetch: Callable[[Any, int], Any] | None = None  # of a worker process


def _begin(fetch: Callable[[Any, int], Any]) -> None:
    import signal

    global _fetch
    _fetch = fetch
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends its workers
    _core.set_num_threads(1)


def _work(batch: Any, epoch: int) -> Any:
    assert _fetch is not None
    return _fetch(batch, epoch)


class _Pending:
    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self) -> Any:
        return self._result.get()

    def cancel(self) -> bool:
        return False


class Processes:
    """As Threads. Samples are made in processes of their own and come back as copies."""

    def __init__(self, count: int, name: str, fetch: Callable[[Any, int], Any]) -> None:
        import multiprocessing

        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("fork" if "fork" in methods else None)
        self._pool = context.Pool(count, _begin, (fetch,))

    def submit(self, batch: Any, epoch: int) -> _Pending:
        return _Pending(self._pool.apply_async(_work, (batch, epoch)))

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


def ahead(stream: Iterable[Any], depth: int, name: str) -> Iterator[Any]:
    """The items of a stream, up to depth of them made ahead by one thread."""
    ready: Queue[Any] = Queue(depth)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.05)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            for item in stream:
                if not put((item, None)):
                    return
            put((None, StopIteration()))
        except BaseException as error:
            put((None, error))

    threading.Thread(target=work, name=f"{name} loader 0", daemon=True).start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
            del item
    finally:
        stop.set()
        try:
            while True:
                ready.get_nowait()
        except Empty:
            pass
