"""Datasets in files: folders of pictures, arrays mapped from disk, tables of text."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

from miniten import _core
from miniten._core import Tensor, as_tensor, tensor
from miniten.utils.data._arguments import position
from miniten.utils.data._datasets import ArrayDataset, Dataset


class ImageFolder(Dataset):
    """(image, label) for each picture in root/<class>/: PNG, JPEG, GIF, BMP, PPM, PGM, in the order of their names.

    transform gets the image, an array (height, width, channels); target_transform the label. mode as in load_image. With
    MiniTen's own transforms alone, a loader decodes and transforms whole batches in C++ threads.
    """

    def __init__(
        self, root: str | os.PathLike[str], transform: Callable[[Any], Any] | None = None, target_transform: Callable[[int], Any] | None = None,
        mode: str = "rgb", exif_orientation: bool = True, max_pixels: int = 2**28,
    ) -> None:
        for name, f in (("transform", transform), ("target_transform", target_transform)):
            if f is not None and not callable(f):
                raise TypeError(f"[ImageFolder] expected {name} as a callable, got {type(f).__name__}")
        self.root, self.transform, self.target_transform = os.fspath(root), transform, target_transform
        self._options = (mode, exif_orientation, max_pixels)
        native = transform if isinstance(transform, _core.Transform) and transform._native else None
        self._folder = _core._ImageFolder(self.root, native, *self._options)
        self._whole = target_transform is None and (transform is None or native is not None)
        self.classes: list[str] = self._folder.classes
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.targets: list[int] = self._folder.labels
        self.samples: list[tuple[str, int]] = list(zip(self._folder.paths, self.targets))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, label = self.samples[position("ImageFolder", index, len(self))]
        image = _core._vision_load(path, *self._options)
        if self.transform is not None:
            image = self.transform(image)
        return image, label if self.target_transform is None else self.target_transform(label)

    def _twin(self) -> tuple[Any, bool] | None:
        return (self._folder, False) if self._whole else None

    def __repr__(self) -> str:
        return f"ImageFolder({self.root!r}, {len(self)} pictures of {len(self.classes)} classes)"


def _member(path: str, name: str) -> Tensor:
    with zipfile.ZipFile(path) as z:
        info = z.getinfo(name)
        if info.compress_type == zipfile.ZIP_STORED:
            with open(path, "rb") as f:
                f.seek(info.header_offset + 26)
                name_bytes, extra_bytes = struct.unpack("<HH", f.read(4))
            return _core._data_map_npy(path, info.header_offset + 30 + name_bytes + extra_bytes)
    import numpy

    with numpy.load(path, allow_pickle=False) as arrays:
        return as_tensor(arrays[name.removesuffix(".npy")])


class MemmapDataset(ArrayDataset):
    """Rows of arrays that stay on disk until they are used: .npy files, the members of one .npz, or raw numbers.

    MemmapDataset("x.npy", "y.npy"); MemmapDataset("d.npz", members=("x", "y")), by default all of them (compressed ones are
    read into memory); MemmapDataset("x.bin", dtype="uint8", shape=(60000, 28, 28), offset=16).
    """

    def __init__(
        self, *paths: str | os.PathLike[str], members: Sequence[str] | None = None, dtype: Any = None, shape: Sequence[int] | None = None, offset: int = 0
    ) -> None:
        if not paths:
            raise ValueError("[MemmapDataset] expected one path or more, got none")
        if (dtype is None) != (shape is None):
            raise ValueError("[MemmapDataset] expected dtype and shape together, got one of them (both for raw files, neither for .npy and .npz)")
        names = [os.fspath(p) for p in paths]
        if dtype is not None:
            super().__init__(*(_core._data_map_raw(p, dtype, shape, offset) for p in names))
        elif names[0].endswith(".npz"):
            if len(names) > 1:
                raise ValueError(f"[MemmapDataset] expected one .npz, got {len(names)} paths")
            if not os.path.isfile(names[0]):
                raise OSError(f'[MemmapDataset] expected a file that can be read, got "{names[0]}"')
            try:
                with zipfile.ZipFile(names[0]) as z:
                    there = [n.removesuffix(".npy") for n in z.namelist() if n.endswith(".npy")]
            except zipfile.BadZipFile as error:
                raise ValueError(f'[MemmapDataset] expected an .npz file, got "{names[0]}" ({error})') from None
            for m in members or there:
                if m not in there:
                    raise ValueError(f"[MemmapDataset] expected members of {there}, got {m!r}")
            super().__init__(*(_member(names[0], m + ".npy") for m in members or there))
        else:
            super().__init__(*(_core._data_map_npy(p, 0) for p in names))


class CSVDataset(ArrayDataset):
    """Rows of a table of numbers: features, or (features, target) with target a column's name or number.

    header: True, False, or 'infer': a first row without any number above one with some. A target of words becomes class
    numbers (classes lists the words, sorted); numbers take target_dtype, by default dtype. Empty fields are NaN.
    columns: the features by name or number, by default all but the target.
    """

    def __init__(
        self, path: str | os.PathLike[str], target: str | int | None = None, dtype: Any = "float32", delimiter: str = ",", header: bool | str = "infer",
        columns: Sequence[str | int] | None = None, target_dtype: Any = None,
    ) -> None:
        if header not in ("infer", True, False):
            raise ValueError(f"[CSVDataset] expected header as True, False or 'infer', got {header!r}")
        names, values, text = _core._data_csv(path, delimiter, None if header == "infer" else bool(header))
        count = values.shape[1]

        def column(which: str | int) -> int:
            if isinstance(which, str):
                if names.count(which) != 1:
                    raise ValueError(f"[CSVDataset] expected a column of {names or 'a file with a header'}, got {which!r}")
                return names.index(which)
            return position("CSVDataset", which, count)

        goal = None if target is None else column(target)
        chosen = [c for c in range(count) if c != goal] if columns is None else [column(c) for c in columns]
        if not chosen:
            raise ValueError("[CSVDataset] expected a feature beside the target, got one column")
        for c in chosen:
            if text[c]:
                bad = next(i for i, t in enumerate(text[c]) if t.strip() and not _is_number(t))
                raise ValueError(f"[CSVDataset] expected numbers in column {names[c] if names else c!r}, got {text[c][bad]!r} in row {bad} (leave it out with columns=, or make it the target)")
        self.columns = [names[c] for c in chosen] if names else chosen
        self.classes: list[str] | None = None
        arrays = [_core.cast(values[:, tensor(chosen, dtype="int64")], dtype)]
        if goal is not None:
            if text[goal]:
                self.classes = sorted(set(text[goal]))
                number = {word: i for i, word in enumerate(self.classes)}
                arrays.append(tensor([number[word] for word in text[goal]], dtype="int64"))
            else:
                arrays.append(_core.cast(values[:, goal], dtype if target_dtype is None else target_dtype))
        super().__init__(*arrays)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
