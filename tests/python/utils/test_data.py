"""Datasets, samplers, splits and the loader, beside torch's and scikit-learn's."""

import math
import subprocess
import sys
import threading
import time
from collections import Counter, namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import judge

import miniten as mt
from miniten.utils.data import (
    ArrayDataset, BatchSampler, ConcatDataset, DataLoader, Dataset, RandomSampler, SequentialSampler, Subset, SubsetSampler, WeightedRandomSampler,
    train_test_split,
)

torch = judge("torch")
selection = judge("sklearn.model_selection")


class Numbers(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return np.full(3, i, np.float32), i


def numbers(n):
    return ArrayDataset(np.arange(2 * n, dtype=np.float32).reshape(n, 2), np.arange(n))


def visited(loader):
    return [i for batch in loader for i in batch[1].tolist()]


# ---- datasets ----
def test_array_dataset_gives_rows():
    d = numbers(5)
    x, y = d[-2]
    assert x.tolist() == [6, 7] and y.item() == 3 and len(d) == 5
    assert [int(y) for _, y in d] == [0, 1, 2, 3, 4]
    assert ArrayDataset(mt.arange(3))[1].item() == 1
    for i in (5, -6):
        with pytest.raises(IndexError, match=r"\[-5, 5\)"):
            d[i]


def test_array_dataset_refuses_unequal_lengths():
    with pytest.raises(ValueError, match="5, 4"):
        ArrayDataset(np.zeros(5), np.zeros(4))
    with pytest.raises(ValueError, match="one array"):
        ArrayDataset()
    with pytest.raises(ValueError, match="first axis"):
        ArrayDataset(np.float32(1))


def test_array_dataset_shares_memory_and_batches_do_not():
    x = np.zeros((4, 2), np.float32)
    d = ArrayDataset(x)
    batch = next(iter(DataLoader(d, 4)))
    x[1] = 7
    assert d[1].tolist() == [7, 7] and batch[1].tolist() == [0, 0]


@pytest.mark.parametrize("array", [
    np.arange(24, dtype=np.int16).reshape(4, 3, 2).transpose(1, 2, 0), np.arange(24.0).reshape(6, 4)[::2], np.asfortranarray(np.arange(12).reshape(3, 4)),
    np.arange(6)[::-1], np.ones((3, 0), np.uint8), np.array([True, False, True]), np.arange(3, dtype=np.float16),
])
def test_batches_equal_numpys_rows(array):
    d = ArrayDataset(array)
    got = next(iter(DataLoader(d, batch_size=3, sampler=[2, 0, -1])))
    assert np.array_equal(got.numpy(), array[[2, 0, -1]]) and got.numpy().dtype == array.dtype


def test_concat_counts_from_both_ends():
    d = ConcatDataset([numbers(3), Numbers(2)])
    assert [int(d[i][1]) for i in range(-5, 5)] == [0, 1, 2, 0, 1] * 2
    assert int(d[-1][1]) == 1
    for i in (5, -6):
        with pytest.raises(IndexError):
            d[i]
    assert len(numbers(3) + numbers(4)) == 7
    with pytest.raises(ValueError):
        ConcatDataset([])


def test_subset():
    s = Subset(Subset(numbers(10), [8, 6, -6]), np.array([2, 0]))
    assert [int(y) for _, y in s] == [4, 8]
    assert visited(DataLoader(s, 2)) == [4, 8]
    with pytest.raises(IndexError):
        Subset(numbers(3), [3])
    with pytest.raises(TypeError, match="__getitem__"):
        Subset({1, 2}, [0])


# ---- splits ----
@settings(deadline=None)
@given(n=st.integers(0, 300), size=st.one_of(st.floats(0, 1), st.integers(0, 300)), seed=st.integers(0, 2**64 - 1), shuffle=st.booleans())
def test_split_is_a_partition(n, size, seed, shuffle):
    tests = size if isinstance(size, int) else math.ceil(size * n)
    try:
        train, test = train_test_split(list(range(n)), size, shuffle=shuffle, seed=seed)
    except ValueError:
        exact = size if isinstance(size, int) else size * n
        assert not 1e-6 < exact <= n - 1 or (isinstance(size, float) and not 0 < size < 1)
        return
    assert sorted(train.indices + test.indices) == list(range(n))
    assert len(train) > 0 and len(test) > 0 and abs(len(test) - tests) <= (not isinstance(size, int) and abs(size * n - round(size * n)) < 1e-6)
    if not shuffle:
        assert test.indices == list(range(len(train), n))


@settings(deadline=None)
@given(labels=st.lists(st.integers(-3, 3), min_size=2, max_size=200), size=st.floats(0.05, 0.95), seed=st.integers(0, 1000))
def test_stratified_shares_are_within_one(labels, size, seed):
    try:
        _, test = train_test_split(labels, size, seed=seed, stratify=labels)
    except ValueError:
        return
    got = Counter(labels[i] for i in test.indices)
    for label, n in Counter(labels).items():
        assert abs(got[label] - n * len(test) / len(labels)) < 1


@pytest.mark.parametrize("counts", [(50, 33, 14, 6), (178, 182, 177, 183, 181, 182, 181, 179, 174, 180), (90, 10), (20, 20)])
@pytest.mark.parametrize("size", [0.2, 0.25, 0.5, 0.9])
def test_stratified_shares_are_those_of_scikit_learn(counts, size):
    labels = np.repeat(np.arange(len(counts)), counts)
    train, test = train_test_split(labels, size, seed=1, stratify=labels)
    a, b = selection.train_test_split(labels, test_size=size, stratify=labels, random_state=0)
    assert (len(train), len(test)) == (len(a), len(b))
    got, wanted = np.bincount(labels[test.indices], minlength=len(counts)), np.bincount(b, minlength=len(counts))
    assert np.abs(got - wanted).max() <= 1                            # both break ties of remainders, scikit-learn at random
    exact = np.asarray(counts) * len(test) / len(labels)
    assert np.abs(got - exact).sum() <= np.abs(wanted - exact).sum() + 1e-9


def test_split_of_text_labels_is_seeded_and_refuses_empty_sides():
    labels = ["cat"] * 8 + ["dog"] * 2
    _, test = train_test_split(labels, 0.5, seed=3, stratify=labels)
    assert Counter(labels[i] for i in test.indices) == {"cat": 4, "dog": 1}
    assert test.indices == train_test_split(labels, 0.5, seed=3, stratify=labels)[1].indices
    assert len(train_test_split(range(10), 0.9)[0]) == 1
    assert len(train_test_split(range(100), 0.07)[1]) == 7
    for size in (0.0, 1.0, 0, 10, 0.95, -0.5, float("nan")):
        with pytest.raises(ValueError, match="test_size|each side"):
            train_test_split(range(10), size)
    with pytest.raises(ValueError, match="10 labels"):
        train_test_split(range(10), stratify=[1, 2])


# ---- samplers ----
def test_samplers_leave_global_generators_alone():
    np.random.seed(0)
    before, ours = np.random.get_state()[1].copy(), mt.rand(1).item()
    mt.manual_seed(5)
    wanted = mt.rand(3).tolist()
    mt.manual_seed(5)
    loader = DataLoader(numbers(20), 4, shuffle=True, seed=1)
    visited(loader)
    train_test_split(numbers(20), seed=1)
    list(RandomSampler(numbers(5), seed=2))
    assert mt.rand(3).tolist() == wanted and ours is not None
    assert np.array_equal(before, np.random.get_state()[1])


def test_manual_seed_fixes_what_has_no_seed():
    def run():
        mt.manual_seed(11)
        return visited(DataLoader(numbers(20), 4, shuffle=True)), train_test_split(numbers(20))[1].indices

    assert run() == run()


def test_samplers():
    d = range(10)
    assert list(SequentialSampler(d)) == list(d)
    s = RandomSampler(d, seed=1)
    first, second = list(s), list(s)
    assert first != second and sorted(first) == sorted(second) == list(d)
    assert list(RandomSampler(d, seed=1)) == first
    assert len(list(RandomSampler(d, replacement=True, num_samples=40))) == 40 == len(RandomSampler(d, True, 40))
    assert len(set(RandomSampler(d, num_samples=4))) == 4
    assert sorted(SubsetSampler([7, 7, 2], seed=1)) == [2, 7, 7] and list(SubsetSampler([])) == []
    drawn = Counter(WeightedRandomSampler([1, 0, 3], 8000, seed=1))
    assert drawn[1] == 0 and abs(drawn[2] - 6000) < 250
    assert sorted(WeightedRandomSampler(np.array([1.0, 0, 3]), 2, replacement=False)) == [0, 2]
    for weights, n in (([1, -1], 1), ([0, 0], 1), ([float("nan")], 1), ([], 1), ([1], 0)):
        with pytest.raises(ValueError):
            WeightedRandomSampler(weights, n)
    with pytest.raises(ValueError, match="replacement"):
        WeightedRandomSampler([1, 0], 2, replacement=False)


@settings(deadline=None)
@given(n=st.integers(1, 60), size=st.integers(1, 20), drop=st.booleans())
def test_batch_sampler_as_torchs(n, size, drop):
    ours, theirs = BatchSampler(range(n), size, drop), torch.utils.data.BatchSampler(range(n), size, drop)
    assert list(ours) == list(theirs) and len(ours) == len(theirs)


# ---- the loader ----
@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 50), size=st.integers(1, 12), drop=st.booleans(), shuffle=st.booleans(), workers=st.integers(0, 3))
def test_batches_have_torchs_shapes(n, size, drop, shuffle, workers):
    x, y = np.random.default_rng(0).random((n, 3, 2), np.float32), np.arange(n)
    theirs = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), size, shuffle=shuffle, drop_last=drop)
    for d in (ArrayDataset(x, y), list(zip(x, y))):
        ours = DataLoader(d, size, shuffle=shuffle, drop_last=drop, num_workers=workers, seed=0)
        assert len(ours) == len(theirs)
        a, b = list(ours), list(theirs)
        assert [[tuple(t.shape) for t in s] for s in a] == [[tuple(t.shape) for t in s] for s in b]
        for bx, by in a:
            assert isinstance(bx, mt.Tensor) and np.array_equal(bx.numpy(), x[by.numpy()]) and str(by.dtype) == "int64"
        seen = [i for _, by in a for i in by.tolist()]
        assert len(set(seen)) == len(seen) and (shuffle or seen == list(range(len(seen))))


def test_epochs_differ_and_repeat():
    a, b = (DataLoader(numbers(30), 4, shuffle=True, seed=3) for _ in range(2))
    first, second = visited(a), visited(a)
    assert first != second and [visited(b), visited(b)] == [first, second]
    b.set_epoch(1)
    assert visited(b) == second
    assert visited(DataLoader(numbers(30), 4, shuffle=True, seed=4)) != first
    outer = iter(b)
    next(outer)
    visited(b)
    assert len(list(outer)) == len(b) - 1                             # passes side by side


@pytest.mark.parametrize("dataset", [numbers(37), Numbers(37)], ids=["arrays", "python"])
def test_any_number_of_workers_gives_the_same_batches(dataset):
    want = visited(DataLoader(dataset, 5, shuffle=True, seed=8))
    for workers in (1, 2, 7):
        assert visited(DataLoader(dataset, 5, shuffle=True, seed=8, num_workers=workers, prefetch_factor=3)) == want


def test_workers_work_at_once_and_keep_order():
    meeting = threading.Barrier(3, timeout=20)

    class Meets(Numbers):
        def __getitem__(self, i):
            meeting.wait()                                            # passes only where three are inside at once
            time.sleep(0.001 * (i % 3))
            return super().__getitem__(i)

    assert visited(DataLoader(Meets(12), num_workers=3)) == list(range(12))


def test_workers_prefetch_no_more_than_asked_and_end():
    seen = []

    class Counts(Numbers):
        def __getitem__(self, i):
            seen.append(i)
            return super().__getitem__(i)

    def workers():
        return [t for t in threading.enumerate() if t.name.startswith("Counts")]

    loop = iter(DataLoader(Counts(100), num_workers=2, prefetch_factor=2))
    next(loop)
    limit = time.monotonic() + 10
    while len(seen) < 5 and time.monotonic() < limit:
        time.sleep(0.01)
    assert sorted(seen) == [0, 1, 2, 3, 4] and len(workers()) == 2
    loop.close()
    while workers() and time.monotonic() < limit:
        time.sleep(0.01)
    assert workers() == []


Pair = namedtuple("Pair", "image label")


def test_samples_of_every_form():
    samples = [{"x": np.float32([i, i]), "y": (i, [float(i), f"n{i}"]), "p": Pair(mt.ones(2) * i, i > 0)} for i in range(3)]
    b = next(iter(DataLoader(samples, 3)))
    assert b["x"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert b["y"][0].tolist() == [0, 1, 2] and str(b["y"][0].dtype) == "int64"
    assert b["y"][1][0].tolist() == [0, 1, 2] and b["y"][1][1] == ["n0", "n1", "n2"]
    assert isinstance(b["p"], Pair) and b["p"].image.shape == (3, 2) and str(b["p"].label.dtype) == "bool"
    torch_batch = next(iter(DataLoader([(torch.ones(2), torch.tensor(1))], 1)))
    assert torch_batch[0].shape == (1, 2)


def test_collate_fn_and_batch_sampler():
    assert list(DataLoader([1, 2, 3], 2, collate_fn=sum)) == [3, 3]
    b = DataLoader(numbers(6), batch_sampler=[[5, 0], [1]], num_workers=1)
    assert [y.tolist() for _, y in b] == [[5, 0], [1]] and len(b) == 2
    assert visited(DataLoader(numbers(6), sampler=SubsetSampler([2, 4], seed=0))) in ([2, 4], [4, 2])

    class Doubled(ArrayDataset):
        def __getitem__(self, i):
            return super().__getitem__(i) * 2

    assert next(iter(DataLoader(Subset(Doubled(mt.arange(4)), [3, 1]), 2))).tolist() == [6, 2]


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_name_the_sample(workers):
    class Broken(Numbers):
        def __getitem__(self, i):
            if i == 7:
                raise KeyError("no such file")
            return np.zeros(3 if i == 20 else 2), i

    loop = iter(DataLoader(Broken(30), 5, num_workers=workers))
    next(loop)
    with pytest.raises(KeyError, match="no such file") as e:
        next(loop)
    assert e.value.__notes__ == ["[DataLoader] sample 7 of 30 in Broken"]
    assert any(entry.name == "__getitem__" for entry in e.traceback)
    with pytest.raises(ValueError, match=r"\(2,\), got one of \(3,\)") as e:
        list(DataLoader(Subset(Broken(30), range(18, 22)), 4, num_workers=workers))
    assert "samples 0, 1, 2, 3" in e.value.__notes__[0]

    class Lies(Numbers):
        def __getitem__(self, i):
            return [0, 1][i]

    with pytest.raises(IndexError) as e:
        list(DataLoader(Lies(4), num_workers=workers))
    assert "sample 2 of 4" in e.value.__notes__[0]


@pytest.mark.parametrize("arguments, error", [
    ({"batch_size": 0}, "batch_size"), ({"batch_size": 1.5}, "batch_size"), ({"num_workers": -1}, "num_workers"), ({"prefetch_factor": 0}, "prefetch_factor"),
    ({"sampler": [0], "shuffle": True}, "sampler"), ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler"), ({"shuffle": True, "seed": -1}, "seed"),
    ({"batch_sampler": [[0]], "drop_last": True}, "batch_sampler"),
])
def test_bad_arguments(arguments, error):
    with pytest.raises(ValueError, match=error):
        DataLoader(numbers(3), **arguments)


def test_bad_datasets_and_samples():
    with pytest.raises(ValueError, match="empty"):
        DataLoader([])
    with pytest.raises(TypeError, match="__len__"):
        DataLoader(iter([1]))
    with pytest.raises(TypeError, match="NoneType"):
        list(DataLoader([None]))
    with pytest.raises(ValueError, match="keys"):
        list(DataLoader([{"a": 1}, {"b": 1}], 2))
    with pytest.raises(ValueError, match="parts"):
        list(DataLoader([(1, 2), (1,)], 2))
    with pytest.raises(IndexError):
        list(DataLoader(numbers(3), sampler=[0, 3]))


def test_digits_are_scikit_learns():
    digits = judge("sklearn.datasets").load_digits()
    images, labels = np.load("examples/data/digits_images.npy"), np.load("examples/data/digits_labels.npy")
    assert images.dtype == labels.dtype == np.uint8
    assert np.array_equal(images, digits.images) and np.array_equal(labels, digits.target)
    x, y = next(iter(DataLoader(ArrayDataset(images, labels), 64)))
    assert x.shape == (64, 8, 8) and np.array_equal(y.numpy(), digits.target[:64])


def test_numpy_is_not_needed():
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import miniten as mt; from miniten.utils.data import *\n"
        "train, test = train_test_split(ArrayDataset(mt.ones(10, 2), mt.arange(10)), seed=1)\n"
        "print([b[0].shape[0] for b in DataLoader(train, 3, shuffle=True, num_workers=2)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[3, 3, 2]", done.stderr
