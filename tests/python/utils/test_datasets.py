"""Datasets in files, transformed datasets, splits, and the loader's workers and states."""

import csv
import gc
import io
import json
import math
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import judge
from pictures import noise

import miniten as mt
from miniten.utils import vision as v
from miniten.utils.data import (
    ArrayDataset, ConcatDataset, CSVDataset, DataLoader, Dataset, ImageFolder, IterableDataset, KFold, MemmapDataset, StratifiedSampler, Subset,
    TransformDataset, random_split, train_test_split,
)

selection = judge("sklearn.model_selection")
X, Y = np.arange(60, dtype=np.float32).reshape(30, 2), np.arange(30)


def equal(a, b):
    return len(a) == len(b) and all(np.array_equal(np.asarray(p), np.asarray(q)) for x, y in zip(a, b) for p, q in zip(x, y))


# ---- pictures ----
@pytest.fixture
def folder(tmp_path):
    for label, name in enumerate(("cat", "dog", "eel")):
        for i in range(4):
            path = tmp_path / name / ("deep" if i == 3 else ".") / f"{i}.{('png', 'JPG', 'bmp', 'ppm')[i]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            v.save_image(noise(20 + i, 24, seed=10 * label + i), path.with_suffix(path.suffix.lower()))
            if path.suffix == ".JPG":
                os.rename(path.with_suffix(".jpg"), path)
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "cat" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "top.png").write_bytes(b"x")
    return tmp_path


def test_image_folder(folder):
    d = ImageFolder(folder)
    assert d.classes == ["cat", "dog", "eel"] and d.class_to_idx == {"cat": 0, "dog": 1, "eel": 2} and len(d) == 12
    assert d.targets == [0] * 4 + [1] * 4 + [2] * 4 and [p for p, _ in d.samples] == sorted(p for p, _ in d.samples)
    for i in range(12):
        image, label = d[i]
        path = d.samples[i][0]
        assert label == i // 4 and image.dtype == np.uint8 and np.array_equal(image, v.load_image(path))
        assert pathlib.Path(path).parent.name in (d.classes[label], "deep")
    assert d[-1][1] == 2 and "12 pictures of 3 classes" in repr(d)
    with pytest.raises(IndexError, match="12"):
        d[12]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_image_folder_in_a_loader(folder, workers):
    t = v.Compose([v.Resize((16, 16)), v.RandomCrop(12), v.RandomHorizontalFlip(), v.ToTensor(), v.Normalize([0.5] * 3, [0.25] * 3)])
    native = list(DataLoader(ImageFolder(folder, t), 5, shuffle=True, seed=3, num_workers=workers))
    assert [tuple(x.shape) for x, _ in native] == [(5, 3, 12, 12), (5, 3, 12, 12), (2, 3, 12, 12)] and str(native[0][1].dtype) == "int64"
    assert equal(native, list(DataLoader(ImageFolder(folder, t), 5, shuffle=True, seed=3)))
    python = v.Compose([*(v.Resize((16, 16)), v.RandomCrop(12), v.RandomHorizontalFlip(), v.ToTensor(), v.Normalize([0.5] * 3, [0.25] * 3)), lambda x: x])
    assert equal(native, list(DataLoader(ImageFolder(folder, python), 5, shuffle=True, seed=3, num_workers=workers)))
    again = DataLoader(ImageFolder(folder, t), 5, shuffle=True, seed=3, num_workers=workers)
    first = list(again)
    assert not equal(first, list(again))                                # the next epoch draws anew
    assert list(DataLoader(ImageFolder(folder, t, target_transform=lambda y: y * 10), 12))[0][1].tolist() == [0] * 4 + [10] * 4 + [20] * 4


def test_image_folder_errors(folder, tmp_path):
    with pytest.raises(OSError, match="missing"):
        ImageFolder(tmp_path / "missing")
    (folder / "fox").mkdir()
    with pytest.raises(ValueError, match="fox"):
        ImageFolder(folder)
    (folder / "fox" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    d = ImageFolder(folder, v.Compose([v.Resize((8, 8)), v.ToTensor()]))
    for workers in (0, 2):
        with pytest.raises(ValueError, match="broken.png.*in sample 12"):
            list(DataLoader(d, 13, num_workers=workers))
    with pytest.raises(ValueError, match="Resize"):
        list(DataLoader(ImageFolder(folder), 2))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="a folder for each class"):
        ImageFolder(empty)
    with pytest.raises(TypeError, match="callable"):
        ImageFolder(folder, transform=3)


# ---- transformed ----
def test_transform_dataset_and_map():
    d = ArrayDataset(X, Y)
    assert d.map(lambda s: s[1])[3].item() == 3
    double = TransformDataset(d, lambda s: (s[0] * 2, s[1]))
    assert double[2][0].tolist() == [8, 10] and len(double) == 30 and double[-1][1].item() == 29
    images = noise(12 * 16, 16).reshape(12, 16, 16, 3)
    t = v.Compose([v.RandomCrop(12), v.ToTensor()])
    mapped = ArrayDataset(images, np.arange(12)).map(t)
    assert isinstance(mapped[0], tuple) and mapped[0][0].shape == (3, 12, 12) and mapped[0][1].item() == 0
    assert ArrayDataset(images).map(t)[0].shape == (3, 12, 12)
    with pytest.raises(TypeError, match="callable"):
        TransformDataset(d, None)


def images_dataset(python):
    images = noise(37 * 16, 16).reshape(37, 16, 16, 3)
    steps = [v.RandomCrop(12, padding=2), v.RandomHorizontalFlip(), v.ColorJitter(0.3), v.ToTensor()]
    return ArrayDataset(images, np.arange(37)).map(v.Compose(steps + ([lambda x: x] if python else [])))


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: Subset(d, [5, 3, 30, 30, 8, 1, 0, 2]), lambda d: ConcatDataset([d, d])], ids=["plain", "subset", "concat"])
def test_augmentation_is_keyed_by_seed_epoch_and_sample(wrap):
    def epochs(python, workers, seed=4, **more):
        loader = DataLoader(wrap(images_dataset(python)), 5, shuffle=True, seed=seed, num_workers=workers, **more)
        return list(loader), list(loader)

    want = epochs(False, 0)
    assert not equal(want[0], want[1])
    for python, workers in ((True, 0), (False, 1), (False, 4), (True, 3)):
        got = epochs(python, workers)
        assert equal(got[0], want[0]) and equal(got[1], want[1]), (python, workers)
    other = epochs(False, 0, seed=5)
    by_label = {int(y): x for bx, by in want[0] for x, y in zip(bx.numpy(), by.numpy())}
    by_other = {int(y): x for bx, by in other[0] for x, y in zip(bx.numpy(), by.numpy())}
    assert any(not np.array_equal(by_label[k], by_other[k]) for k in by_label)


def test_processes_give_the_same_batches():
    want = list(DataLoader(images_dataset(True), 5, shuffle=True, seed=4))
    assert equal(list(DataLoader(images_dataset(True), 5, shuffle=True, seed=4, num_workers=2, worker_type="process")), want)
    assert equal(list(DataLoader(images_dataset(False), 5, shuffle=True, seed=4, num_workers=2, worker_type="process")), want)


class NumpyNoise(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        if i == 7:
            raise KeyError("no such file")
        return np.random.rand(), os.getpid()


def test_process_workers_draw_different_numbers_and_pass_errors_on():
    values, pids = zip(*[(float(a[0]), int(b[0])) for a, b in DataLoader(Subset(NumpyNoise(), range(7)), 1, num_workers=2, worker_type="process", seed=1)])
    assert len(set(values)) == 7 and os.getpid() not in pids
    with pytest.raises(KeyError, match="no such file") as e:
        list(DataLoader(NumpyNoise(), 1, num_workers=2, worker_type="process"))
    assert "in __getitem__" in str(e.value.__cause__)                   # the worker's own trace


def test_persistent_workers_live_on():
    def workers():
        return {t for t in threading.enumerate() if "loader" in t.name and t.name.startswith("Slow")}

    class Slow(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, i):
            return i

    loader = DataLoader(Slow(), 2, num_workers=2, persistent=True)
    assert [b.tolist() for b in loader] == [[0, 1], [2, 3], [4, 5]]
    first = workers()
    assert len(first) == 2 and [b.tolist() for b in loader] == [[0, 1], [2, 3], [4, 5]] and workers() == first
    del loader
    gc.collect()
    end = time.monotonic() + 10
    while workers() and time.monotonic() < end:
        time.sleep(0.01)
    assert not workers()


# ---- states ----
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [0, 1, 4, 8])
def test_resume_in_mid_epoch(workers, stop):
    def make(**more):
        return DataLoader(images_dataset(False), 5, shuffle=True, num_workers=workers, **more)

    mt.manual_seed(3)
    loader = make()
    whole = [*loader, *loader, *loader]
    mt.manual_seed(3)
    killed = make()
    seen = list(killed)
    loop = iter(killed)
    for _ in range(stop):
        seen.append(next(loop))
    state = killed.state_dict()
    loop.close()
    resumed = make(seed=99)
    resumed.load_state_dict(state)
    seen += list(resumed)
    seen += list(resumed)
    assert equal(seen, whole)


def test_resume_with_samplers_and_streams():
    sampler = StratifiedSampler(Y % 3, 5, seed=2)
    loader = DataLoader(ArrayDataset(X, Y), 5, sampler=sampler)
    want = [*loader, *loader]
    again = DataLoader(ArrayDataset(X, Y), 5, sampler=StratifiedSampler(Y % 3, 5, seed=7))
    again.load_state_dict({"epoch": 1, "batch": 2, "seed": 2, "key": None})
    assert equal(list(again), want[6 + 2:])
    stream = DataLoader(Count(20), 3)
    loop = iter(stream)
    next(loop), next(loop)
    other = DataLoader(Count(20), 3)
    other.load_state_dict(stream.state_dict())
    assert [b.tolist() for b in other] == [b.tolist() for b in loop]
    with pytest.raises(ValueError, match="state"):
        other.load_state_dict({})


# ---- streams ----
class Count(IterableDataset):
    def __init__(self, n, broken=None):
        self.n, self.broken = n, broken

    def __iter__(self):
        for i in range(self.n):
            if i == self.broken:
                raise OSError("stream broke")
            yield i


@pytest.mark.parametrize("workers", [0, 2])
def test_streams(workers):
    assert [b.tolist() for b in DataLoader(Count(7), 3, num_workers=workers)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [b.tolist() for b in DataLoader(Count(7), 3, num_workers=workers, drop_last=True)] == [[0, 1, 2], [3, 4, 5]]
    assert list(DataLoader(Count(0), 3, num_workers=workers)) == []
    loop = iter(DataLoader(Count(9, broken=5), 3, num_workers=workers))
    assert next(loop).tolist() == [0, 1, 2]
    with pytest.raises(OSError, match="stream broke") as e:
        next(loop)
    assert "sample 5" in e.value.__notes__[0]
    with pytest.raises(TypeError):
        len(DataLoader(Count(7)))
    for bad in ({"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}):
        with pytest.raises(ValueError, match="stream"):
            DataLoader(Count(7), **bad)
    endless = iter(DataLoader(Count(10**9), 2, num_workers=workers))
    assert next(endless).tolist() == [0, 1]
    endless.close()


# ---- files of arrays ----
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", "float16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_memmap_of_npy(tmp_path, dtype, order):
    a = np.asarray(np.random.default_rng(0).integers(0, 2, (20, 3, 4)) if dtype == "bool" else noise(20 * 3, 4, 0).reshape(20, 3, 4)).astype(dtype)
    np.save(tmp_path / "a.npy", np.asarray(a, order=order))
    np.save(tmp_path / "y.npy", np.arange(20))
    d = MemmapDataset(tmp_path / "a.npy", tmp_path / "y.npy")
    assert len(d) == 20 and np.array_equal(d[7][0].numpy(), a[7]) and d[7][1].item() == 7
    batches = list(DataLoader(d, 6, shuffle=True, seed=1, num_workers=2))
    for x, y in batches:
        assert np.array_equal(x.numpy(), a[y.numpy()])


def test_memmap_reads_nothing_before_it_is_used(tmp_path):
    size = 256 << 20
    with open(tmp_path / "big.bin", "wb") as f:
        f.truncate(size)                                                # a hole on disk
        f.seek(size - 4)
        f.write(np.float32(7).tobytes())
    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
    before = resident()
    d = MemmapDataset(tmp_path / "big.bin", dtype="float32", shape=(size // 4096, 1024))
    assert d[-1][-1].item() == 7 and resident() - before < 32 << 20
    with pytest.raises(ValueError, match="read-only"):
        d.arrays[0][0] = 1


def test_memmap_of_npz_and_raw(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    np.savez_compressed(tmp_path / "c.npz", x=X, y=Y)
    for name in ("a.npz", "c.npz"):
        assert equal(list(DataLoader(MemmapDataset(tmp_path / name), 7)), list(DataLoader(ArrayDataset(X, Y), 7)))
    assert MemmapDataset(tmp_path / "a.npz", members=("y",))[4].item() == 4
    (tmp_path / "r.bin").write_bytes(b"header" + X.tobytes())
    d = MemmapDataset(tmp_path / "r.bin", dtype="float32", shape=(30, 2), offset=6)
    assert np.array_equal(d.arrays[0].numpy(), X)
    for call, error, match in (
        (lambda: MemmapDataset(tmp_path / "r.bin", dtype="float32", shape=(31, 2), offset=6), ValueError, "bytes"), (lambda: MemmapDataset(tmp_path / "r.bin"), ValueError, "npy"),
        (lambda: MemmapDataset(tmp_path / "no.npy"), OSError, "no.npy"), (lambda: MemmapDataset(tmp_path / "no.npz"), OSError, "no.npz"), (lambda: MemmapDataset(), ValueError, "one path"),
        (lambda: MemmapDataset(tmp_path / "a.npz", members=("z",)), ValueError, "'z'"), (lambda: MemmapDataset(tmp_path / "r.bin", dtype="float32"), ValueError, "together"),
        (lambda: MemmapDataset(tmp_path / "r.bin", dtype="float32", shape=(2**40, 2**40)), ValueError, "map_raw"),
    ):
        with pytest.raises(error, match=match):
            call()
    np.save(tmp_path / "cut.npy", X)
    data = (tmp_path / "cut.npy").read_bytes()
    for n in (0, 5, 11, 60, len(data) - 1):
        (tmp_path / "cut.npy").write_bytes(data[:n])
        with pytest.raises(ValueError):
            MemmapDataset(tmp_path / "cut.npy")


# ---- tables ----
def test_csv(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('width,"height, in ""cm""",kind\r\n1.5,2,cat\r\n-3e2,,dog\n\n+4,0x,cat\n'.replace("0x", "7"))
    d = CSVDataset(path, target="kind")
    assert d.columns == ["width", 'height, in "cm"'] and d.classes == ["cat", "dog"] and len(d) == 3
    assert d[0][0].tolist() == [1.5, 2] and [int(y) for _, y in d] == [0, 1, 0] and math.isnan(d[1][0][1].item()) and d[2][0].tolist() == [4, 7]
    assert CSVDataset(path, target=-1, columns=["width"], dtype="float64")[1][0].tolist() == [-300]
    with pytest.raises(ValueError, match="'kind'.*'cat' in row 0"):
        CSVDataset(path)
    with pytest.raises(ValueError, match="'colour'"):
        CSVDataset(path, target="colour")
    path.write_text("1;2;3\n4;5;6\n")
    numbers = CSVDataset(path, delimiter=";", target=0, target_dtype="int64")
    assert numbers[1][0].tolist() == [5, 6] and numbers[1][1].item() == 4 and str(numbers.arrays[1].dtype) == "int64"
    assert len(CSVDataset(path, delimiter=";", header=True)) == 1 and CSVDataset(path, delimiter=";")[0].tolist() == [1, 2, 3]
    for text, match in (("", "empty"), ("a,b\n", "numbers|below"), ("1,2\n3\n", "line 2"), ('1,"2\n3,4', "quote"), ("1,2\n3,4,5", "3 in line 2")):
        path.write_text(text)
        with pytest.raises(ValueError, match=match):
            CSVDataset(path)
    with pytest.raises(OSError):
        CSVDataset(tmp_path / "missing.csv")
    with pytest.raises(ValueError, match="one character"):
        CSVDataset(path, delimiter="::")


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1, max_size=20), words=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1), min_size=20, max_size=20))
def test_csv_as_the_standard_library_writes_it(tmp_path_factory, rows, words):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([*r, f"w{w}"] for r, w in zip(rows, words))
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text(out.getvalue(), newline="")
    d = CSVDataset(path, target=3, dtype="float64", header=False)
    assert np.array_equal(d.arrays[0].numpy(), np.array(rows)) and [d.classes[int(y)] for _, y in d] == [f"w{w}" for w in words[: len(rows)]]


# ---- splits ----
def test_random_split():
    parts = random_split(ArrayDataset(X, Y), [20, 7, 3], seed=1)
    assert [len(p) for p in parts] == [20, 7, 3] and sorted(i for p in parts for i in p.indices) == list(range(30))
    assert [p.indices for p in parts] == [p.indices for p in random_split(ArrayDataset(X, Y), [20, 7, 3], seed=1)]
    torch = judge("torch")
    for shares, n in (([0.5, 0.3, 0.2], 11), ([0.9, 0.1], 30), ([1 / 3] * 3, 10)):
        assert [len(p) for p in random_split(range(n), shares)] == [len(p) for p in torch.utils.data.random_split(range(n), shares)]
    for lengths in ([20, 9], [31, -1], [30, 0], [0.5, 0.6], [0.99, 0.01], [], ["a"], [True, 29]):
        with pytest.raises(ValueError, match="random_split"):
            random_split(ArrayDataset(X, Y), lengths)


@settings(deadline=None, max_examples=50)
@given(n=st.integers(2, 60), k=st.integers(2, 10))
def test_kfold_as_scikit_learns(n, k):
    if k > n:
        with pytest.raises(ValueError, match="n_splits"):
            list(KFold(k).split(range(n)))
        return
    ours = [(a.indices, b.indices) for a, b in KFold(k).split(range(n))]
    assert ours == [(a.tolist(), b.tolist()) for a, b in selection.KFold(k).split(np.zeros(n))]
    shuffled = [b.indices for _, b in KFold(k, shuffle=True, seed=1).split(range(n))]
    assert sorted(i for b in shuffled for i in b) == list(range(n)) and [len(b) for b in shuffled] == [len(b) for _, b in ours]


@settings(deadline=None, max_examples=50)
@given(labels=st.lists(st.sampled_from("abc"), min_size=9, max_size=60), k=st.integers(2, 3))
def test_stratified_kfold_as_scikit_learns(labels, k):
    counts = Counter(labels)
    if min(counts.values()) < k:
        with pytest.raises(ValueError, match="each class"):
            list(KFold(k, stratify=labels).split(labels))
        return
    ours = [b.indices for _, b in KFold(k, stratify=labels).split(labels)]
    assert ours == [b.tolist() for _, b in selection.StratifiedKFold(k).split(np.zeros(len(labels)), labels)]
    mixed = [b.indices for _, b in KFold(k, shuffle=True, seed=3, stratify=labels).split(labels)]
    assert [Counter(labels[i] for i in b) for b in mixed] == [Counter(labels[i] for i in b) for b in ours]


def test_groups_stay_whole():
    groups = np.repeat(np.arange(10), 3)
    for size in (0.2, 0.35, 3):
        train, test = train_test_split(range(30), size, groups=groups, seed=1)
        a, b = {groups[i] for i in train.indices}, {groups[i] for i in test.indices}
        want = next(selection.GroupShuffleSplit(1, test_size=size, random_state=0).split(np.zeros(30), groups=groups))
        assert not a & b and len(b) == len({groups[i] for i in want[1]}) and sorted(train.indices + test.indices) == list(range(30))
    for bad in ({"groups": [0] * 30}, {"groups": [0, 1]}, {"groups": groups, "stratify": groups}):
        with pytest.raises(ValueError, match="group"):
            train_test_split(range(30), **bad)


@settings(deadline=None, max_examples=60)
@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=80), size=st.integers(1, 20))
def test_stratified_batches(labels, size):
    sampler = StratifiedSampler(labels, size, seed=1)
    order = list(sampler)
    assert sorted(order) == list(range(len(labels))) and list(sampler) != order or len(set(labels)) == len(labels) or len(labels) < 6
    left = Counter(labels)
    for at in range(0, len(order), size):
        batch = Counter(labels[i] for i in order[at : at + size])
        total = sum(left.values())
        for c in left:
            assert abs(batch[c] - left[c] * sum(batch.values()) / total) < 1
        left -= batch


# ---- many epochs, and the end ----
def test_memory_stays_over_a_thousand_epochs():
    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")

    loader = DataLoader(ArrayDataset(np.zeros((64, 32, 32, 3), np.uint8), np.arange(64)).map(v.Compose([v.RandomCrop(28), v.ToTensor()])), 32, shuffle=True, seed=1, num_workers=2, persistent=True)
    for _ in range(100):
        list(loader)
    gc.collect()
    before = resident()
    for _ in range(1000):
        list(loader)
    gc.collect()
    assert resident() - before < 8 << 20


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_ctrl_c_ends_a_stuck_loader_at_once(kind):
    code = (
        "import os, signal, threading, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a parent may have ignored it, as a shell does for what runs behind it
        "from miniten.utils.data import DataLoader, Dataset\n"
        "class Stuck(Dataset):\n"
        "    def __len__(self): return 4\n"
        "    def __getitem__(self, i): time.sleep(600)\n"
        f"loader = DataLoader(Stuck(), 2, num_workers=2, worker_type='{kind}')\n"
        "threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "try:\n    list(loader)\nexcept KeyboardInterrupt:\n    print('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "ended" and done.returncode == 0, done.stderr


def test_bad_loader_arguments():
    for bad, match in (({"worker_type": "fiber"}, "'process'"), ({"seed": -1}, "seed"), ({"num_workers": -1}, "num_workers")):
        with pytest.raises(ValueError, match=match):
            DataLoader(ArrayDataset(X), **bad)


KILLED = """
import json, os, pathlib, sys
import numpy as np
from miniten.utils.data import ArrayDataset, DataLoader
from miniten.utils.vision import Compose, RandomCrop, ToTensor

folder, stop = pathlib.Path(sys.argv[1]), int(sys.argv[2])
images = np.arange(60 * 36 * 3, dtype=np.uint64).reshape(60, 6, 6, 3).astype(np.uint8)
loader = DataLoader(ArrayDataset(images, np.arange(60)).map(Compose([RandomCrop(4), ToTensor()])), 8, shuffle=True, num_workers=2)
if (folder / "state.json").exists():
    loader.load_state_dict(json.loads((folder / "state.json").read_text()))
while loader.epoch < 3:
    for x, y in loader:
        with open(folder / "seen.txt", "a") as f:
            f.write(json.dumps([y.numpy().tolist(), float(x.sum())]) + "\\n")
        (folder / "new.json").write_text(json.dumps(loader.state_dict()))
        os.replace(folder / "new.json", folder / "state.json")
        stop -= 1
        if stop == 0:
            os.kill(os.getpid(), 9)
"""


def test_a_killed_program_goes_on_in_mid_epoch(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(KILLED)
    seen = {}
    for name, stops in (("whole", [0]), ("killed", [3, 9, 1, 0])):
        folder = tmp_path / name
        folder.mkdir()
        if name == "killed":                                               # the seed of the run that was never stopped
            (folder / "state.json").write_text(first)
        else:
            loader = DataLoader(ArrayDataset(np.zeros((60, 6, 6, 3), np.uint8), np.arange(60)).map(v.Compose([v.RandomCrop(4), v.ToTensor()])), 8, shuffle=True)
            next(iter(loader))
            first = json.dumps({**loader.state_dict(), "batch": 0})
            (folder / "state.json").write_text(first)
        codes = [subprocess.run([sys.executable, str(program), str(folder), str(stop)], timeout=60).returncode for stop in stops]
        assert codes == [-9] * (len(stops) - 1) + [0]
        seen[name] = (folder / "seen.txt").read_text()
    assert seen["killed"] == seen["whole"] and seen["whole"].count("\n") == 3 * 8
