"""Splits of a dataset into subsets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from miniten import _core
from miniten.utils.data._arguments import check_dataset, class_numbers, seed_of, whole
from miniten.utils.data._datasets import Subset


def train_test_split(
    dataset: Any, test_size: float | int = 0.2, shuffle: bool = True, seed: int | None = None, stratify: Iterable[Any] | None = None,
    groups: Iterable[Any] | None = None,
) -> tuple[Subset, Subset]:
    """(train, test). test_size: a share in (0, 1), rounded up to whole samples, or a whole number of them.

    Without shuffle the test side is the end. stratify: a label per sample; each class keeps its share of the test side by
    the largest remainder. groups: a group per sample; groups stay whole, and test_size speaks of them. Raises ValueError
    where a side would be empty.
    """
    check_dataset("train_test_split", dataset)
    share, count = 0.0, -1
    if isinstance(test_size, bool) or not hasattr(test_size, "__float__"):
        raise TypeError(f"[train_test_split] expected test_size as a number, got {test_size!r}")
    if hasattr(test_size, "__index__"):
        count = whole("train_test_split", "test_size", test_size, 0)
    else:
        share = float(test_size)
    if stratify is not None and groups is not None:
        raise ValueError("[train_test_split] expected stratify or groups, got both (groups stay whole, so shares of classes cannot be kept)")
    n, seed = len(dataset), seed_of("train_test_split", seed) if shuffle else 0
    if groups is not None:
        train, test = _core._data_groups(class_numbers("train_test_split", groups, n, "group"), share, count, shuffle, seed)
    else:
        classes = [] if stratify is None else class_numbers("train_test_split", stratify, n, "stratify")
        train, test = _core._data_split(n, share, count, shuffle, seed, classes)
    return Subset(dataset, train.tolist()), Subset(dataset, test.tolist())


def random_split(dataset: Any, lengths: Sequence[int] | Sequence[float], seed: int | None = None) -> list[Subset]:
    """Subsets of the given lengths, which sum to the dataset's, or of shares that sum to 1 (what is left over goes one each
    to the first ones). Raises ValueError where a part would be empty.
    """
    check_dataset("random_split", dataset)
    parts = list(lengths)
    counts = all(hasattr(n, "__index__") and not isinstance(n, bool) for n in parts)
    if not parts or not (counts or all(hasattr(n, "__float__") for n in parts)):
        raise ValueError(f"[random_split] expected lengths as whole numbers, or shares that sum to 1, got {lengths!r}")
    numbers = [whole("random_split", "each length", n, 1) for n in parts] if counts else []
    shares = [] if counts else [float(n) for n in parts]
    return [Subset(dataset, i.tolist()) for i in _core._data_random_split(len(dataset), numbers, shares, seed_of("random_split", seed))]


class KFold:
    """Cross-validation: split(dataset) gives (train, test) for each of n_splits folds; every sample is tested once.

    stratify: a label per sample; every fold keeps the classes' shares.
    """

    def __init__(self, n_splits: int = 5, shuffle: bool = False, seed: int | None = None, stratify: Iterable[Any] | None = None) -> None:
        self.n_splits = whole("KFold", "n_splits", n_splits, 2)
        self.shuffle = shuffle
        self.seed = seed_of("KFold", seed) if shuffle else 0
        self.stratify = None if stratify is None else list(stratify.tolist() if hasattr(stratify, "tolist") else stratify)

    def split(self, dataset: Any) -> Iterator[tuple[Subset, Subset]]:
        check_dataset("KFold", dataset)
        classes = [] if self.stratify is None else class_numbers("KFold", self.stratify, len(dataset), "stratify")
        folds = _core._data_kfold(len(dataset), self.n_splits, self.shuffle, self.seed, classes)
        return ((Subset(dataset, train.tolist()), Subset(dataset, test.tolist())) for train, test in folds)

    def __len__(self) -> int:
        return self.n_splits
