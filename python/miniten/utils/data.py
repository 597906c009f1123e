"""Datasets, samplers, splits and the loader.

Every draw comes from a generator of its own, keyed by (seed, epoch). Where no seed is given one is drawn, once, from the
generator that miniten.manual_seed sets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from miniten import _core
from miniten._core import Tensor, as_tensor, stack, tensor

__all__ = [
    "ArrayDataset", "BatchSampler", "ConcatDataset", "DataLoader", "Dataset", "RandomSampler", "Sampler", "SequentialSampler", "Subset", "SubsetSampler",
    "WeightedRandomSampler", "collate", "train_test_split",
]


def _whole(op: str, name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise ValueError(f"[{op}] expected {name} as a whole number of {least} or more, got {value!r}")
    return int(value.__index__())


def _seed(op: str, seed: Any) -> int:
    return _core._data_seed() if seed is None else _whole(op, "a seed", seed, 0) % 2**64


def _position(op: str, index: Any, size: int) -> int:
    if not hasattr(index, "__index__"):
        raise TypeError(f"[{op}] expected a whole number as index, got {type(index).__name__}")
    i = int(index.__index__())
    if not -size <= i < size:
        raise IndexError(f"[{op}] expected an index in [-{size}, {size}), got {i}")
    return i + size if i < 0 else i


def _check_dataset(op: str, dataset: Any) -> None:
    for name in ("__len__", "__getitem__"):
        if not hasattr(dataset, name):
            raise TypeError(f"[{op}] expected a dataset with __len__ and __getitem__, got {type(dataset).__name__} without {name}")


def _index_list(op: str, indices: Iterable[Any]) -> list[int]:
    if hasattr(indices, "tolist"):
        indices = indices.tolist()
    return [_whole(op, "each index", i, -(2**63)) for i in indices]


class Dataset:
    """Samples by index. A subclass gives __len__ and __getitem__; any other object that has both serves as well."""

    def __len__(self) -> int:
        raise NotImplementedError(f"[Dataset] expected {type(self).__name__} to give __len__, got none")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"[Dataset] expected {type(self).__name__} to give __getitem__, got none")

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class ArrayDataset(Dataset):
    """Rows of arrays (NumPy, Tensor, lists) of equal length: a Tensor for one array, a tuple of them for several.

    Shares the arrays' memory where it can; a row is a view of it, a batch of the loader is not.
    """

    def __init__(self, *arrays: Any) -> None:
        if not arrays:
            raise ValueError("[ArrayDataset] expected one array or more, got none")
        self.arrays: tuple[Tensor, ...] = tuple(as_tensor(a) for a in arrays)
        for a in self.arrays:
            if len(a.shape) == 0:
                raise ValueError("[ArrayDataset] expected arrays with a first axis, got a number without axes")
        lengths = [a.shape[0] for a in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"[ArrayDataset] expected arrays of equal length, got {', '.join(map(str, lengths))}")

    def __len__(self) -> int:
        return self.arrays[0].shape[0]

    def __getitem__(self, index: int) -> Any:
        i = _position("ArrayDataset", index, len(self))
        return self.arrays[0][i] if len(self.arrays) == 1 else tuple(a[i] for a in self.arrays)

    def _gather(self, indices: Tensor) -> Any:
        rows = _core._data_gather(list(self.arrays), indices)
        return rows[0] if len(rows) == 1 else tuple(rows)

    def __repr__(self) -> str:
        return f"ArrayDataset({', '.join(f'{a.dtype}{tuple(a.shape)}' for a in self.arrays)})"


class Subset(Dataset):
    """The samples of a dataset at indices, in their order."""

    def __init__(self, dataset: Any, indices: Iterable[int]) -> None:
        _check_dataset("Subset", dataset)
        self.dataset = dataset
        self.indices = _index_list("Subset", indices)
        size = len(dataset)
        for i in self.indices:
            _position("Subset", i, size)
        self._index = tensor(self.indices, dtype="int64")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[_position("Subset", index, len(self))]]

    def _gather(self, indices: Tensor) -> Any:
        return self.dataset._gather(_core._data_gather([self._index], indices)[0])

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {self.dataset!r})"


class ConcatDataset(Dataset):
    """Datasets one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("[ConcatDataset] expected one dataset or more, got none")
        self.cumulative_sizes: list[int] = []
        end = 0
        for d in self.datasets:
            _check_dataset("ConcatDataset", d)
            end += len(d)
            self.cumulative_sizes.append(end)

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        i = _position("ConcatDataset", index, len(self))
        k = bisect_right(self.cumulative_sizes, i)
        return self.datasets[k][i - (self.cumulative_sizes[k - 1] if k else 0)]


def _gathers(dataset: Any) -> bool:
    """Can a batch be gathered in C++? Not where a subclass gives samples of its own."""
    kind = type(dataset)
    if isinstance(dataset, Subset):
        return kind.__getitem__ is Subset.__getitem__ and _gathers(dataset.dataset)
    return isinstance(dataset, ArrayDataset) and kind.__getitem__ is ArrayDataset.__getitem__


class Sampler:
    """Which samples an epoch visits: an iterable of indices with a length. Each pass over it is the next epoch."""

    def __init__(self) -> None:
        self.epoch = 0

    def __len__(self) -> int:
        raise NotImplementedError(f"[Sampler] expected {type(self).__name__} to give __len__, got none")

    def __iter__(self) -> Iterator[int]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return iter(self.order(epoch).tolist())

    def order(self, epoch: int) -> Tensor:
        """The indices of an epoch: int64, the same for the same epoch."""
        raise NotImplementedError(f"[Sampler] expected {type(self).__name__} to give order, got none")


class SequentialSampler(Sampler):
    """0, 1, 2, ... up to the dataset's length."""

    def __init__(self, dataset: Any) -> None:
        super().__init__()
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def order(self, epoch: int) -> Tensor:
        return _core.arange(len(self.dataset), dtype="int64")


class RandomSampler(Sampler):
    """Uniform draws: a permutation, cut or continued to num_samples, or draws with replacement."""

    def __init__(self, dataset: Any, replacement: bool = False, num_samples: int | None = None, seed: int | None = None) -> None:
        super().__init__()
        self.dataset = dataset
        self.replacement = replacement
        self.num_samples = None if num_samples is None else _whole("RandomSampler", "num_samples", num_samples, 1)
        self.seed = _seed("RandomSampler", seed)

    def __len__(self) -> int:
        return len(self.dataset) if self.num_samples is None else self.num_samples

    def order(self, epoch: int) -> Tensor:
        return _core._data_random(len(self.dataset), self.replacement, len(self), self.seed, epoch)


class SubsetSampler(Sampler):
    """The given indices in random order, anew each epoch."""

    def __init__(self, indices: Iterable[int], seed: int | None = None) -> None:
        super().__init__()
        self.indices = _index_list("SubsetSampler", indices)
        self.seed = _seed("SubsetSampler", seed)
        self._index = tensor(self.indices, dtype="int64")

    def __len__(self) -> int:
        return len(self.indices)

    def order(self, epoch: int) -> Tensor:
        if not self.indices:
            return self._index
        return _core._data_gather([self._index], _core._data_random(len(self), False, len(self), self.seed, epoch))[0]


class WeightedRandomSampler(Sampler):
    """num_samples indices with chances in proportion to weights, which are finite, 0 or more, and not all 0."""

    def __init__(self, weights: Iterable[float], num_samples: int, replacement: bool = True, seed: int | None = None) -> None:
        super().__init__()
        self.weights = [float(w) for w in (weights.tolist() if hasattr(weights, "tolist") else weights)]
        self.num_samples = _whole("WeightedRandomSampler", "num_samples", num_samples, 1)
        self.replacement = replacement
        self.seed = _seed("WeightedRandomSampler", seed)
        _core._data_weighted(self.weights, self.num_samples, replacement, self.seed, 0)  # refuses bad weights here

    def __len__(self) -> int:
        return self.num_samples

    def order(self, epoch: int) -> Tensor:
        return _core._data_weighted(self.weights, self.num_samples, self.replacement, self.seed, epoch)


class BatchSampler:
    """A sampler's indices in lists of batch_size; the last one is shorter, or left out."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False) -> None:
        self.sampler = sampler
        self.batch_size = _whole("BatchSampler", "batch_size", batch_size, 1)
        self.drop_last = drop_last

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch


def train_test_split(
    dataset: Any, test_size: float | int = 0.2, shuffle: bool = True, seed: int | None = None, stratify: Iterable[Any] | None = None
) -> tuple[Subset, Subset]:
    """(train, test). test_size: a share in (0, 1), rounded up to whole samples, or a whole number of them.

    Without shuffle the test side is the end. stratify: a label per sample; each class keeps its share of the test side by
    the largest remainder. Raises ValueError where a side would be empty.
    """
    _check_dataset("train_test_split", dataset)
    share, count = 0.0, -1
    if isinstance(test_size, bool) or not hasattr(test_size, "__float__"):
        raise TypeError(f"[train_test_split] expected test_size as a number, got {test_size!r}")
    if hasattr(test_size, "__index__"):
        count = _whole("train_test_split", "test_size", test_size, 0)
    else:
        share = float(test_size)
    classes: list[int] = []
    if stratify is not None:
        number: dict[Any, int] = {}
        classes = [number.setdefault(label, len(number)) for label in (stratify.tolist() if hasattr(stratify, "tolist") else stratify)]
        if len(classes) != len(dataset):
            raise ValueError(f"[train_test_split] expected {len(dataset)} labels to stratify by, got {len(classes)}")
    train, test = _core._data_split(len(dataset), share, count, shuffle, _seed("train_test_split", seed) if shuffle else 0, classes)
    return Subset(dataset, train.tolist()), Subset(dataset, test.tolist())


def collate(samples: Sequence[Any]) -> Any:
    """One batch of samples: arrays and numbers are stacked along a new first axis; tuples, lists and dicts are followed;
    text becomes a list.
    """
    first = samples[0]
    if isinstance(first, (str, bytes)):
        return list(samples)
    if isinstance(first, (bool, int, float)):
        return tensor(list(samples))
    if isinstance(first, Mapping):
        for s in samples:
            if s.keys() != first.keys():
                raise ValueError(f"[collate] expected samples with the keys {sorted(map(str, first))}, got {sorted(map(str, s))}")
        return {k: collate([s[k] for s in samples]) for k in first}
    if isinstance(first, (tuple, list)):
        for s in samples:
            if len(s) != len(first):
                raise ValueError(f"[collate] expected samples of {len(first)} parts, got one of {len(s)}")
        parts = [collate(column) for column in zip(*samples)]
        if isinstance(first, list):
            return parts
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    if isinstance(first, Tensor) or hasattr(first, "__array__") or hasattr(first, "__dlpack__"):
        arrays = [as_tensor(s) for s in samples]
        for a in arrays:
            if a.shape != arrays[0].shape:
                raise ValueError(f"[collate] expected samples of shape {tuple(arrays[0].shape)}, got one of {tuple(a.shape)} (pad them, or pass collate_fn)")
        return stack(arrays)
    raise TypeError(f"[collate] expected arrays, numbers, text, and tuples, lists and dicts of them, got {type(first).__name__} (pass collate_fn)")


class DataLoader:
    """Batches of a dataset: for x, y in DataLoader(dataset, 64, shuffle=True): ... is one epoch, and each loop the next.

    Rows of ArrayDataset and of its subsets are gathered in C++; other samples go through collate_fn (by default collate).
    num_workers > 0: that many threads prepare up to prefetch_factor batches each ahead of time; the batches and their order
    are the same for any number. An error of a sample carries a note with its index.
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
    ) -> None:
        _check_dataset("DataLoader", dataset)
        if len(dataset) == 0:
            raise ValueError("[DataLoader] expected a dataset with samples, got an empty one")
        if sampler is not None and shuffle:
            raise ValueError("[DataLoader] expected shuffle or a sampler, got both (leave shuffle out: the sampler decides the order)")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("[DataLoader] expected batch_sampler alone, got batch_size, shuffle, sampler or drop_last beside it")
        self.dataset = dataset
        self.num_workers = _whole("DataLoader", "num_workers", num_workers, 0)
        self.prefetch_factor = _whole("DataLoader", "prefetch_factor", prefetch_factor, 1)
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.epoch = 0
        self.seed = seed
        self._own_sampler = sampler is None and batch_sampler is None
        self.sampler: Any = sampler
        if self._own_sampler:
            self.sampler = RandomSampler(dataset, seed=seed) if shuffle else SequentialSampler(dataset)
        self.batch_size: int | None = None
        self.batch_sampler: Any = batch_sampler
        if batch_sampler is None:
            self.batch_size = _whole("DataLoader", "batch_size", batch_size, 1)
            self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this epoch: its order is that of a loader which has run so many."""
        self.epoch = _whole("DataLoader", "an epoch", epoch, 0)

    def __iter__(self) -> Iterator[Any]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        batches = self._runs(epoch) if self._own_sampler else iter(self.batch_sampler)
        return map(self._fetch, batches) if self.num_workers == 0 else self._prefetched(batches)

    def _runs(self, epoch: int) -> Iterator[Tensor]:
        order = self.sampler.order(epoch)
        assert self.batch_size is not None
        for i in range(len(self)):
            yield order[i * self.batch_size : (i + 1) * self.batch_size]

    def _fetch(self, batch: Any) -> Any:
        if self.collate_fn is None and _gathers(self.dataset):
            return self.dataset._gather(batch if isinstance(batch, Tensor) else tensor(_index_list("DataLoader", batch), dtype="int64"))
        indices = batch.tolist() if isinstance(batch, Tensor) else _index_list("DataLoader", batch)
        samples = []
        for i in indices:
            try:
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

    def _prefetched(self, batches: Iterator[Any]) -> Iterator[Any]:
        import threading
        from concurrent.futures import Future
        from queue import SimpleQueue

        tasks: SimpleQueue[Any] = SimpleQueue()
        fetch = self._fetch

        def work() -> None:
            while (task := tasks.get()) is not None:
                future, batch = task
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(fetch(batch))
                    except BaseException as error:
                        future.set_exception(error)
                del task, future, batch

        # Daemons: a sample that never comes does not keep the program from ending.
        for k in range(self.num_workers):
            threading.Thread(target=work, name=f"{type(self.dataset).__name__} loader {k}", daemon=True).start()
        waiting: deque[Future[Any]] = deque()

        def submit(batch: Any) -> None:
            future: Future[Any] = Future()
            waiting.append(future)
            tasks.put((future, batch))

        try:
            for batch in islice(batches, self.num_workers * self.prefetch_factor):
                submit(batch)
            while waiting:
                result = waiting.popleft().result()
                for batch in islice(batches, 1):
                    submit(batch)
                yield result
                del result
        finally:
            for future in waiting:
                future.cancel()
            for _ in range(self.num_workers):
                tasks.put(None)
