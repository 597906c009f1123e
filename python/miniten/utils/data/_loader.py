"""The loader: batches of a dataset, prepared ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from miniten import _core
from miniten._core import Tensor, tensor
from miniten.utils.data._arguments import check_dataset, index_list, whole
from miniten.utils.data._collate import collate
from miniten.utils.data._datasets import IterableDataset, twin
from miniten.utils.data._samplers import BatchSampler, RandomSampler, SequentialSampler
from miniten.utils.data._workers import Processes, Threads, ahead


class DataLoader:
    """Batches of a dataset: for x, y in DataLoader(dataset, 64, shuffle=True): ... is one epoch, and each loop the next.

    Samples of MiniTen's own datasets and transforms are made and gathered in C++, without the interpreter's lock; others go
    through collate_fn (by default collate). num_workers > 0: that many workers prepare up to prefetch_factor batches each
    ahead of time; the batches and their order are the same for any number, and so are the draws of vision transforms, which
    are keyed by (seed, epoch, sample index). worker_type: 'thread', or 'process' for Python code that holds the
    interpreter's lock. persistent: workers live on between epochs, until close(). An error of a sample carries a note with
    its index. state_dict() after a batch, given to load_state_dict() of a like loader, goes on with the next batch.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        prefetch_factor: int = 2,
        seed: int | None = None,
        worker_type: str = "thread",
        persistent: bool = False,
    ) -> None:
        self._streams = isinstance(dataset, IterableDataset)
        if not self._streams:
            check_dataset("DataLoader", dataset)
            if len(dataset) == 0:
                raise ValueError("[DataLoader] expected a dataset with samples, got an empty one")
        elif shuffle or sampler is not None or batch_sampler is not None:
            raise ValueError("[DataLoader] expected no shuffle, sampler or batch_sampler for a stream of samples, got one (shuffle in the stream)")
        if sampler is not None and shuffle:
            raise ValueError("[DataLoader] expected shuffle or a sampler, got both (leave shuffle out: the sampler decides the order)")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("[DataLoader] expected batch_sampler alone, got batch_size, shuffle, sampler or drop_last beside it")
        if worker_type not in ("thread", "process"):
            raise ValueError(f"[DataLoader] expected a worker_type of 'thread', 'process', got {worker_type!r}")
        self.dataset = dataset
        self.num_workers = whole("DataLoader", "num_workers", num_workers, 0)
        self.prefetch_factor = whole("DataLoader", "prefetch_factor", prefetch_factor, 1)
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.worker_type = worker_type
        self.persistent = persistent
        self.epoch = 0
        self.seed = seed
        if seed is not None:
            whole("DataLoader", "a seed", seed, 0)
        self._own_sampler = sampler is None and batch_sampler is None
        self.sampler: Any = sampler
        if self._own_sampler and not self._streams:
            self.sampler = RandomSampler(dataset, seed=seed) if shuffle else SequentialSampler(dataset)
        self.batch_size: int | None = None
        self.batch_sampler: Any = batch_sampler
        if batch_sampler is None:
            self.batch_size = whole("DataLoader", "batch_size", batch_size, 1)
            self.batch_sampler = None if self._streams else BatchSampler(self.sampler, batch_size, drop_last)
        self._key: int | None = seed  # of the samples' draws; drawn where it is needed first
        self._at = (0, 0)  # the epoch and batch that come next
        self._skip = 0
        self._workers: Any = None

    def __len__(self) -> int:
        if self._streams:
            n, size = len(self.dataset), self.batch_size
            return n // size if self.drop_last else -(-n // size)
        return len(self.batch_sampler)

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this epoch: its order is that of a loader which has run so many."""
        self.epoch = whole("DataLoader", "an epoch", epoch, 0)
        self._at, self._skip = (self.epoch, 0), 0

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: plain numbers, to be saved with the model."""
        return {"epoch": self._at[0], "batch": self._at[1], "seed": getattr(self.sampler, "seed", None), "key": self._key}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where another loader of the same dataset and arguments stood: the next pass begins after its last batch."""
        for name in ("epoch", "batch"):
            if name not in state:
                raise ValueError(f"[DataLoader] expected a state with epoch, batch, seed and key, got {sorted(state)}")
        self.epoch, self._skip = whole("DataLoader", "an epoch", state["epoch"], 0), whole("DataLoader", "a batch", state["batch"], 0)
        self._at = (self.epoch, self._skip)
        self.close()
        if state.get("seed") is not None and hasattr(self.sampler, "seed"):
            self.sampler.seed = state["seed"]
        if state.get("key") is not None:
            self._key = state["key"]

    def close(self) -> None:
        """Ends persistent workers; the next pass starts new ones."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()

    def __del__(self) -> None:
        if getattr(self, "_workers", None) is not None:
            self.close()

    def __iter__(self) -> Iterator[Any]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        skip, self._skip = self._skip, 0
        self._at = (epoch, skip)
        if self._streams:
            return self._counted(self._stream(epoch, skip), epoch, skip)
        batches = self._runs(epoch) if self._own_sampler else self._sampled(epoch)
        fetch = self._fetcher()
        rest = islice(batches, skip, None)
        if self.num_workers == 0:
            return self._counted((fetch(batch, epoch) for batch in rest), epoch, skip)
        return self._counted(self._prefetched(rest, fetch, epoch), epoch, skip)

    def _counted(self, batches: Iterator[Any], epoch: int, done: int) -> Iterator[Any]:
        try:
            for batch in batches:
                done += 1
                self._at = (epoch, done)
                yield batch
                del batch
            self._at = (epoch + 1, 0)
        finally:
            batches.close()  # type: ignore[attr-defined]

    def _runs(self, epoch: int) -> Iterator[Tensor]:
        order = self.sampler.order(epoch)
        assert self.batch_size is not None
        for i in range(len(self)):
            yield order[i * self.batch_size : (i + 1) * self.batch_size]

    def _sampled(self, epoch: int) -> Iterator[Any]:
        if self.sampler is not None and hasattr(self.sampler, "order") and hasattr(self.sampler, "epoch"):
            self.sampler.epoch = epoch
        return iter(self.batch_sampler)

    def _fetcher(self) -> Callable[[Any, int], Any]:
        """(batch of indices, epoch) -> the batch. Holds what it needs and not the loader."""
        dataset, collate_fn = self.dataset, self.collate_fn
        pair = twin(dataset) if collate_fn is None else None
        if self._key is None and (pair is None or pair[0].draws()):
            self._key = getattr(self.sampler, "seed", None)
            if self._key is None:
                self._key = _core._data_seed()
        key = self._key or 0
        if pair is not None:
            native, single = pair

            def gather(batch: Any, epoch: int) -> Any:
                indices = batch if isinstance(batch, Tensor) else tensor(index_list("DataLoader", batch), dtype="int64")
                rows = native.batch(indices, key, epoch)
                return rows[0] if single else tuple(rows)

            return gather
        return _Fetch(dataset, collate_fn, key, self.worker_type == "process" and self.num_workers > 0)

    def _stream(self, epoch: int, skip: int) -> Iterator[Any]:
        if self._key is None:
            self._key = _core._data_seed()
        stream = _stream_batches(self.dataset, self.batch_size, self.drop_last, self.collate_fn or collate, self._key, epoch)
        if self.num_workers:
            stream = ahead(stream, self.num_workers * self.prefetch_factor, type(self.dataset).__name__)
        for _ in range(skip):
            if next(stream, None) is None:
                break
        return stream

    def _prefetched(self, batches: Iterator[Any], fetch: Callable[[Any, int], Any], epoch: int) -> Iterator[Any]:
        workers, self._workers = self._workers, None
        if workers is None:
            kind = Processes if self.worker_type == "process" and isinstance(fetch, _Fetch) else Threads
            workers = kind(self.num_workers, type(self.dataset).__name__, fetch)
        waiting: deque[Any] = deque(workers.submit(b, epoch) for b in islice(batches, self.num_workers * self.prefetch_factor))
        try:
            while waiting:
                result = waiting.popleft().result()
                for batch in islice(batches, 1):
                    waiting.append(workers.submit(batch, epoch))
                yield result
                del result
        finally:
            for future in waiting:
                future.cancel()
            if self.persistent and self._workers is None:
                self._workers = workers
            else:
                workers.close()


class _Fetch:
    """Samples made by Python code, then collated; with notes on what failed."""

    def __init__(self, dataset: Any, collate_fn: Callable[[list[Any]], Any] | None, key: int, alone: bool) -> None:
        self.dataset, self.collate_fn, self.key, self.alone = dataset, collate_fn, key, alone

    def __call__(self, batch: Any, epoch: int) -> Any:
        indices = batch.tolist() if isinstance(batch, Tensor) else index_list("DataLoader", batch)
        samples = []
        for i in indices:
            if self.alone:
                _seed_process(self.key, epoch, i)
            try:
                with _core._SampleKey(self.key, epoch, i % 2**64):
                    samples.append(self.dataset[i])
            except Exception as error:
                error.add_note(f"[DataLoader] sample {i} of {len(self.dataset)} in {type(self.dataset).__name__}")
                raise
        try:
            return (self.collate_fn or collate)(samples)
        except Exception as error:
            shown = ", ".join(map(str, indices[:16])) + (", ..." if len(indices) > 16 else "")
            error.add_note(f"[DataLoader] the batch of samples {shown} in {type(self.dataset).__name__}")
            raise


def _seed_process(key: int, epoch: int, index: int) -> None:
    """A worker process begins as a copy of the program: without this, all of them would draw the same numbers."""
    import random
    import sys

    seed = hash((key, epoch, index)) & (2**63 - 1)
    random.seed(seed)
    _core.manual_seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)


def _stream_batches(dataset: Any, size: Any, drop_last: bool, collate_fn: Callable[[list[Any]], Any], key: int, epoch: int) -> Iterator[Any]:
    stream, count, more = iter(dataset), 0, True
    while more:
        samples = []
        while len(samples) < size:
            try:
                with _core._SampleKey(key, epoch, count):
                    samples.append(next(stream))
            except StopIteration:
                more = False
                break
            except Exception as error:
                error.add_note(f"[DataLoader] sample {count} of the stream {type(dataset).__name__}")
                raise
            count += 1
        if len(samples) == size or (samples and not drop_last):
            yield collate_fn(samples)
