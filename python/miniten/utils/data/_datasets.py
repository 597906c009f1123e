"""Datasets: samples by index, from memory and from other datasets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from miniten import _core
from miniten._core import Tensor, as_tensor, tensor
from miniten.utils.data._arguments import check_dataset, index_list, position


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

    def map(self, transform: Callable[[Any], Any]) -> TransformDataset:
        """The dataset with transform applied to each sample; a vision transform, to its first part."""
        return TransformDataset(self, transform)


class IterableDataset:
    """Samples in one stream. A subclass gives __iter__; each pass of a loader begins it anew."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"[IterableDataset] expected {type(self).__name__} to give __iter__, got none")


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
        i = position("ArrayDataset", index, len(self))
        return self.arrays[0][i] if len(self.arrays) == 1 else tuple(a[i] for a in self.arrays)

    def _twin(self) -> tuple[Any, bool]:
        return _core._data_arrays(list(self.arrays)), len(self.arrays) == 1

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{a.dtype}{tuple(a.shape)}' for a in self.arrays)})"


class Subset(Dataset):
    """The samples of a dataset at indices, in their order."""

    def __init__(self, dataset: Any, indices: Iterable[int]) -> None:
        check_dataset("Subset", dataset)
        self.dataset = dataset
        self.indices = index_list("Subset", indices)
        size = len(dataset)
        for i in self.indices:
            position("Subset", i, size)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[position("Subset", index, len(self))]]

    def _twin(self) -> tuple[Any, bool] | None:
        inner = twin(self.dataset)
        return inner and (_core._data_subset(inner[0], tensor(self.indices, dtype="int64")), inner[1])

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
            check_dataset("ConcatDataset", d)
            end += len(d)
            self.cumulative_sizes.append(end)

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        i = position("ConcatDataset", index, len(self))
        k = bisect_right(self.cumulative_sizes, i)
        return self.datasets[k][i - (self.cumulative_sizes[k - 1] if k else 0)]

    def _twin(self) -> tuple[Any, bool] | None:
        parts = [twin(d) for d in self.datasets]
        if any(p is None or p[1] != parts[0][1] for p in parts):  # type: ignore[index]
            return None
        return _core._data_concat([p[0] for p in parts if p]), parts[0][1]  # type: ignore[index]


class TransformDataset(Dataset):
    """A dataset with transform applied to each sample; a vision transform, to its first part. Inside a loader the draws of
    vision transforms are keyed by (seed, epoch, sample index).
    """

    def __init__(self, dataset: Any, transform: Callable[[Any], Any]) -> None:
        check_dataset("TransformDataset", dataset)
        if not callable(transform):
            raise TypeError(f"[TransformDataset] expected a callable, got {type(transform).__name__}")
        self.dataset = dataset
        self.transform = transform

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        sample = self.dataset[position("TransformDataset", index, len(self))]
        if isinstance(self.transform, _core.Transform) and isinstance(sample, tuple):
            changed = (self.transform(sample[0]), *sample[1:])
            return type(sample)(*changed) if hasattr(sample, "_fields") else changed
        return self.transform(sample)

    def _twin(self) -> tuple[Any, bool] | None:
        inner = twin(self.dataset) if isinstance(self.transform, _core.Transform) and self.transform._native else None
        return inner and (_core._data_transformed(inner[0], self.transform), inner[1])

    def __repr__(self) -> str:
        return f"TransformDataset({self.dataset!r}, {self.transform!r})"


def twin(dataset: Any) -> tuple[Any, bool] | None:
    """The C++ dataset of the same samples, and whether they are single tensors; None where Python code makes them."""
    kind = type(dataset)
    for base in kind.__mro__:
        if "_twin" in vars(base):
            return dataset._twin() if kind.__getitem__ is base.__getitem__ and kind.__len__ is base.__len__ else None
        if "__getitem__" in vars(base) or "__len__" in vars(base):
            return None
    return None
