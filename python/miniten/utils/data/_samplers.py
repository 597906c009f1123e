"""Samplers: which samples an epoch visits, in which order, each from a generator of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from miniten import _core
from miniten._core import Tensor, tensor
from miniten.utils.data._arguments import class_numbers, index_list, seed_of, whole


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
        self.num_samples = None if num_samples is None else whole("RandomSampler", "num_samples", num_samples, 1)
        self.seed = seed_of("RandomSampler", seed)

    def __len__(self) -> int:
        return len(self.dataset) if self.num_samples is None else self.num_samples

    def order(self, epoch: int) -> Tensor:
        return _core._data_random(len(self.dataset), self.replacement, len(self), self.seed, epoch)


class SubsetSampler(Sampler):
    """The given indices in random order, anew each epoch."""

    def __init__(self, indices: Iterable[int], seed: int | None = None) -> None:
        super().__init__()
        self.indices = index_list("SubsetSampler", indices)
        self.seed = seed_of("SubsetSampler", seed)
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
        self.num_samples = whole("WeightedRandomSampler", "num_samples", num_samples, 1)
        self.replacement = replacement
        self.seed = seed_of("WeightedRandomSampler", seed)
        _core._data_weighted(self.weights, self.num_samples, replacement, self.seed, 0)  # refuses bad weights here

    def __len__(self) -> int:
        return self.num_samples

    def order(self, epoch: int) -> Tensor:
        return _core._data_weighted(self.weights, self.num_samples, self.replacement, self.seed, epoch)


class StratifiedSampler(Sampler):
    """Every sample once, in an order where each run of batch_size holds the classes of labels in their shares."""

    def __init__(self, labels: Iterable[Any], batch_size: int, seed: int | None = None) -> None:
        super().__init__()
        labels = list(labels.tolist() if hasattr(labels, "tolist") else labels)
        self.labels = class_numbers("StratifiedSampler", labels, len(labels), "stratify")
        self.batch_size = whole("StratifiedSampler", "batch_size", batch_size, 1)
        self.seed = seed_of("StratifiedSampler", seed)
        if not self.labels:
            raise ValueError("[StratifiedSampler] expected one label or more, got none")

    def __len__(self) -> int:
        return len(self.labels)

    def order(self, epoch: int) -> Tensor:
        return _core._data_stratified(self.labels, self.batch_size, self.seed, epoch)


class BatchSampler:
    """A sampler's indices in lists of batch_size; the last one is shorter, or left out."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False) -> None:
        self.sampler = sampler
        self.batch_size = whole("BatchSampler", "batch_size", batch_size, 1)
        self.drop_last = drop_last

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch
