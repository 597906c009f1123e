"""Functions on images: arrays (height, width, channels) or (height, width) of uint8, uint16, float32 or float64.

A Tensor gives a Tensor, any other array a NumPy array. float images are meant to lie in [0, 1].
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from miniten import _core

Size = int | Sequence[int]
Numbers = float | Sequence[float] | None


def _sides(op: str, size: Size) -> tuple[int, int]:
    if hasattr(size, "__index__"):
        return size.__index__(), size.__index__()
    pair = tuple(size)  # type: ignore[arg-type]
    if len(pair) != 2 or not all(hasattr(n, "__index__") for n in pair):
        raise ValueError(f"[{op}] expected a size as (height, width) or one whole number, got {size!r}")
    return pair[0].__index__(), pair[1].__index__()


def _pair(op: str, what: str, value: Any) -> tuple[float, float]:
    pair = tuple(value) if hasattr(value, "__len__") else (value, 0.0)
    if len(pair) != 2:
        raise ValueError(f"[{op}] expected {what} as two numbers, got {value!r}")
    return float(pair[0]), float(pair[1])


# ---- files ----
def load_image(source: Any, mode: str = "rgb", exif_orientation: bool = True, max_pixels: int = 2**28) -> Any:
    """Reads a PNG, JPEG, GIF (its first frame), BMP, PPM or PGM from a path, bytes or a binary file: uint8 (height, width, channels).

    mode: 'rgb', 'rgba', 'gray' (one channel), or 'unchanged': the file's own channels, and uint16 for files of 16 bits.
    Pictures of more than max_pixels are refused before memory is taken.
    """
    if hasattr(source, "read"):
        source = source.read()
    if isinstance(source, (bytearray, memoryview)):
        source = bytes(source)
    return _core._vision_load(source, mode, exif_orientation, max_pixels)


def save_image(image: Any, path: Any, quality: int = 95, compression: int = 6, format: str | None = None) -> None:
    """Writes an image as .png, .jpg, .jpeg, .bmp, .ppm or .pgm, by the path's ending or by format; a binary file needs format.

    Floats in [0, 1] become uint8; uint16 is kept in PNG, PPM and PGM. quality: JPEG's, 1 to 100. compression: PNG's, 0 to 9.
    """
    if format is None and not hasattr(path, "write"):
        _core._vision_save(image, path, quality, compression)
        return
    if format is None:
        raise ValueError("[save_image] expected format= beside a file, got none ('png', 'jpg', 'bmp', 'ppm', 'pgm')")
    data = _core._vision_encode(image, format.lower().lstrip("."), quality, compression)
    if hasattr(path, "write"):
        path.write(data)
        return
    with open(os.fspath(path), "wb") as f:
        f.write(data)


def encode_image(image: Any, format: str, quality: int = 95, compression: int = 6) -> bytes:
    """The bytes that save_image would write."""
    return _core._vision_encode(image, format.lower().lstrip("."), quality, compression)


# ---- size and geometry ----
def resize(image: Any, size: Size, interpolation: str = "bilinear", antialias: bool | None = None, like: str | None = None) -> Any:
    """The image at size (height, width), or with its shorter side at one number.

    interpolation: 'nearest', 'bilinear', 'bicubic', 'area', 'lanczos'. Half-pixel centres; antialiased where an axis shrinks
    unless antialias=False. like: 'pil', 'cv2' or 'tflite' follows that library's rule to within 1 of 255.
    """
    if hasattr(size, "__index__"):
        n = size.__index__()
        if not hasattr(image, "shape"):
            image = _core.as_tensor(image)
        if n < 1 or len(image.shape) not in (2, 3) or 0 in tuple(image.shape):
            h, w = n, n  # refused below
        else:
            h, w = (int(v) for v in tuple(image.shape)[:2])
            h, w = (n, n * w // h) if h <= w else (n * h // w, n)
    else:
        h, w = _sides("resize", size)
    return _core._vision_resize(image, h, w, interpolation, antialias, like)


def crop(image: Any, top: int, left: int, height: int, width: int) -> Any:
    """The rectangle of height x width at (top, left), which must lie inside the image."""
    return _core._vision_crop(image, top, left, height, width)


def center_crop(image: Any, size: Size) -> Any:
    """The middle of the image, (height, width) or a square."""
    return _core._vision_center_crop(image, *_sides("center_crop", size))


def random_crop(image: Any, size: Size, seed: int | None = None) -> Any:
    """A rectangle of (height, width), or a square, anywhere inside the image."""
    return _core._vision_random_crop(image, *_sides("random_crop", size), seed)


def pad(image: Any, padding: int | Sequence[int], fill: Numbers = 0, mode: str = "constant") -> Any:
    """Adds pixels around: padding is one number, (left and right, top and bottom), or (left, top, right, bottom).

    mode: 'constant' (fill: a number or one per channel), 'replicate' (also 'edge'), 'reflect' (the edge repeated, also
    'symmetric'), 'reflect101' (not repeated), 'wrap'.
    """
    sides = (padding,) if hasattr(padding, "__index__") else tuple(padding)  # type: ignore[arg-type]
    if len(sides) not in (1, 2, 4):
        raise ValueError(f"[pad] expected 1, 2 or 4 paddings, got {len(sides)}")
    left, top, right, bottom = sides * 4 if len(sides) == 1 else sides * 2 if len(sides) == 2 else sides
    mode = {"edge": "replicate", "symmetric": "reflect"}.get(mode, mode)
    return _core._vision_pad(image, left, top, right, bottom, fill, mode)


def flip_horizontal(image: Any) -> Any:
    """Left and right exchanged."""
    return _core._vision_flip(image, True)


def flip_vertical(image: Any) -> Any:
    """Top and bottom exchanged."""
    return _core._vision_flip(image, False)


def random_flip(image: Any, horizontal: bool = True, vertical: bool = False, seed: int | None = None) -> Any:
    """Flipped in each of the chosen directions with a chance of one half."""
    return _core._vision_random_flip(image, horizontal, vertical, seed)


def rotate(image: Any, angle: float, expand: bool = False, fill: Numbers = 0, interpolation: str = "bilinear", center: Sequence[float] | None = None) -> Any:
    """Turned counter-clockwise by angle degrees around its middle, or around center (x, y).

    expand: the result is large enough for the whole picture. fill: a number or one per channel, where there is no picture.
    interpolation: 'nearest', 'bilinear', 'bicubic'.
    """
    return _core._vision_rotate(image, angle, expand, fill, interpolation, center)


def affine(
    image: Any, angle: float = 0, translate: Sequence[float] = (0, 0), scale: float = 1, shear: float | Sequence[float] = 0,
    interpolation: str = "bilinear", fill: Numbers = 0, center: Sequence[float] | None = None,
) -> Any:
    """Turned clockwise by angle degrees, sheared (degrees), scaled and moved by translate (x, y), as torchvision's affine."""
    return _core._vision_affine(image, angle, _pair("affine", "translate", translate), scale, _pair("affine", "shear", shear), fill, interpolation, center)


def perspective(image: Any, startpoints: Sequence[Sequence[float]], endpoints: Sequence[Sequence[float]], interpolation: str = "bilinear", fill: Numbers = 0) -> Any:
    """The perspective view that moves the four startpoints (x, y) to the endpoints."""
    return _core._vision_perspective(image, startpoints, endpoints, fill, interpolation)


# ---- colour ----
def normalize(image: Any, mean: Numbers, std: Numbers) -> Any:
    """(image / range - mean) / std per channel: range is 255 for uint8, 65535 for uint16 and 1 for floats, whatever they hold."""
    return _core._vision_normalize(image, mean, std)


def denormalize(image: Any, mean: Numbers, std: Numbers) -> Any:
    """image * std + mean per channel: what normalize did to a float image, undone."""
    return _core._vision_denormalize(image, mean, std)


def to_grayscale(image: Any, channels: int = 1) -> Any:
    """0.299 R + 0.587 G + 0.114 B in one channel, or three equal ones."""
    return _core._vision_to_grayscale(image, channels)


def adjust_brightness(image: Any, factor: float) -> Any:
    """image * factor, clamped: 0 is black, 1 the image."""
    return _core._vision_adjust_brightness(image, factor)


def adjust_contrast(image: Any, factor: float) -> Any:
    """Blended with the mean of its grey image: 0 is that grey, 1 the image."""
    return _core._vision_adjust_contrast(image, factor)


def adjust_saturation(image: Any, factor: float) -> Any:
    """Blended with its grey image: 0 is grey, 1 the image."""
    return _core._vision_adjust_saturation(image, factor)


def adjust_hue(image: Any, factor: float) -> Any:
    """The hue turned by factor, in [-0.5, 0.5] of the circle."""
    return _core._vision_adjust_hue(image, factor)


def random_brightness(image: Any, max_delta: float = 0.2, seed: int | None = None) -> Any:
    """adjust_brightness by a factor in [1 - max_delta, 1 + max_delta]."""
    return _core._vision_random_brightness(image, max_delta, seed)


def random_contrast(image: Any, lower: float = 0.8, upper: float = 1.2, seed: int | None = None) -> Any:
    """adjust_contrast by a factor in [lower, upper]."""
    return _core._vision_random_contrast(image, lower, upper, seed)


def invert(image: Any) -> Any:
    """The negative."""
    return _core._vision_invert(image)


def posterize(image: Any, bits: int) -> Any:
    """uint8 with its upper bits alone."""
    return _core._vision_posterize(image, bits)


def solarize(image: Any, threshold: float) -> Any:
    """Values of threshold and more inverted."""
    return _core._vision_solarize(image, threshold)


def autocontrast(image: Any) -> Any:
    """Each channel stretched over the whole range."""
    return _core._vision_autocontrast(image)


# ---- filters ----
def gaussian_blur(image: Any, sigma: float = 1.0, kernel_size: int | None = None, border: str = "reflect101") -> Any:
    """Blurred by a Gaussian of sigma pixels; kernel_size (odd) is chosen from sigma as OpenCV does."""
    if kernel_size is not None and (not hasattr(kernel_size, "__index__") or kernel_size.__index__() < 1):
        raise ValueError(f"[gaussian_blur] expected an odd kernel_size of 1 or more, got {kernel_size!r}")
    return _core._vision_gaussian_blur(image, sigma, kernel_size or 0, border)


def sobel_filter(image: Any, direction: str | None = None, border: str = "reflect101") -> Any:
    """Gradients per channel by unscaled 3x3 Sobel kernels: along 'x' or 'y', or their magnitude. float32 (float64 for float64)."""
    return _core._vision_sobel(image, direction, border)


def canny_edge_detection(image: Any, low_threshold: float, high_threshold: float, sigma: float = 1.4, norm: str = "l1") -> Any:
    """Canny's edges, uint8 0 or 255, as OpenCV finds them after a blur of sigma (0: none).

    The thresholds are in the image's own units, after the unscaled Sobel filter. norm: 'l1' |gx| + |gy|, or 'l2'.
    """
    return _core._vision_canny(image, low_threshold, high_threshold, sigma, norm)


def histogram_equalize(image: Any) -> Any:
    """uint8 with each channel's histogram made even."""
    return _core._vision_histogram_equalize(image)


def otsu_threshold(image: Any) -> float:
    """Otsu's threshold of a uint8 image of one channel: the last grey level of the darker class."""
    return _core._vision_otsu(image)


def threshold(image: Any, value: float | None = None) -> Any:
    """uint8: 255 where the image is above value (by default Otsu's), 0 elsewhere."""
    return _core._vision_threshold(image, value)


canny = canny_edge_detection
sobel = sobel_filter
