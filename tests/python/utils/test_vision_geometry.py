"""Crops, padding, flips and warps beside NumPy, Pillow and OpenCV."""

import numpy as np
import pytest
from judges import judge
from pictures import distance, noise, photograph

import miniten as mt
from miniten.utils.vision import (
    affine, center_crop, crop, flip_horizontal, flip_vertical, pad, perspective, random_crop, random_flip, rotate,
)

Image = judge("PIL.Image")
RESAMPLE = {"nearest": 0, "bilinear": 2, "bicubic": 3}
DTYPES = [np.uint8, np.uint16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("c", [0, 1, 3, 5])
def test_crops_flips_and_pads_as_numpy(dtype, c):
    image = noise(12, 17, c, dtype=dtype)
    before = image.copy()
    for got, want in (
        (crop(image, 2, 3, 5, 7), image[2:7, 3:10]), (center_crop(image, (4, 8)), image[4:8, 4:12]), (center_crop(image, 12), image[:, 2:14]),
        (flip_horizontal(image), image[:, ::-1]), (flip_vertical(image), image[::-1]),
    ):
        assert got.dtype == dtype and np.array_equal(got, want)
    around = ((2, 4), (1, 3)) + ((0, 0),) * (image.ndim - 2)
    for mode, numpys in (("constant", "constant"), ("edge", "edge"), ("symmetric", "symmetric"), ("reflect101", "reflect"), ("wrap", "wrap")):
        assert np.array_equal(pad(image, (1, 2, 3, 4), mode=mode), np.pad(image, around, mode=numpys)), mode
    far = ((30, 0), (0, 40)) + ((0, 0),) * (image.ndim - 2)
    for mode, numpys in (("reflect", "symmetric"), ("reflect101", "reflect"), ("wrap", "wrap")):
        assert np.array_equal(pad(image, (0, 30, 40, 0), mode=mode), np.pad(image, far, mode=numpys)), mode
    assert np.array_equal(pad(image, 2), np.pad(image, ((2, 2), (2, 2)) + ((0, 0),) * (image.ndim - 2)))
    assert np.array_equal(image, before)


def test_pad_fills_channels():
    out = pad(noise(2, 2), 1, fill=(1, 2, 300))
    assert out[0, 0].tolist() == [1, 2, 255]
    assert pad(np.zeros((2, 2), np.float32), 1, fill=0.5)[0, 0] == 0.5
    with pytest.raises(ValueError, match="3, one a channel"):
        pad(noise(2, 2), 1, fill=(1, 2))


@pytest.mark.parametrize("call, match", [
    (lambda i: crop(i, 0, 0, 11, 5), "inside"), (lambda i: crop(i, -1, 0, 5, 5), "inside"), (lambda i: crop(i, 8, 0, 5, 5), "inside"), (lambda i: crop(i, 0, 0, 0, 5), "height"),
    (lambda i: crop(i, 2**62, 0, 5, 5), "inside"), (lambda i: center_crop(i, 11), "within"), (lambda i: random_crop(i, (5, 99)), "within"), (lambda i: pad(i, -1), "paddings"),
    (lambda i: pad(i, (1, 2, 3)), "1, 2 or 4"), (lambda i: pad(i, 1, mode="mirror"), "'replicate'"), (lambda i: rotate(i, float("nan")), "angle"),
    (lambda i: rotate(i, 3, interpolation="area"), "'bicubic'"), (lambda i: affine(i, scale=0), "scale"), (lambda i: rotate(i, 3, fill=(1, 2)), "fill"),
    (lambda i: perspective(i, [(0, 0)] * 4, [(0, 0)] * 4), "corners"), (lambda i: perspective(i, [(0, 0)] * 3, [(0, 0)] * 4), "four"), (lambda i: rotate(i, 3, center=(1,)), "centre"),
])
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call(noise(10, 10))


def test_random_ones_are_seeded():
    image = noise(20, 20)
    assert np.array_equal(random_crop(image, 5, seed=3), random_crop(image, 5, seed=3))
    assert len({random_crop(image, 5, seed=s).tobytes() for s in range(20)}) > 10
    flips = [np.array_equal(random_flip(image, seed=s), image) for s in range(400)]
    assert 150 < sum(flips) < 250
    both = {random_flip(image, True, True, seed=s).tobytes() for s in range(60)}
    assert both == {v.tobytes() for v in (image, image[:, ::-1].copy(), image[::-1].copy(), image[::-1, ::-1].copy())}
    mt.manual_seed(7)
    a = random_crop(image, 5)
    mt.manual_seed(7)
    assert np.array_equal(a, random_crop(image, 5))


@pytest.mark.parametrize("interpolation", RESAMPLE)
@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("angle", [0, 45, 90, -30, 180, 270, 123.4, 359, -720.5])
def test_rotate_as_pillow(interpolation, expand, angle):
    for image in (photograph()[:90, :131], noise(30, 30, 1)[..., 0]):
        want = np.asarray(Image.fromarray(image).rotate(angle, RESAMPLE[interpolation], expand=expand, fillcolor=(9, 8, 7) if image.ndim == 3 else 9))
        got = rotate(image, angle, expand=expand, fill=(9, 8, 7) if image.ndim == 3 else 9, interpolation=interpolation)
        assert got.shape == want.shape and got.dtype == np.uint8
        off = np.abs(got.astype(int) - want)
        assert (off > 1).mean() < 0.01                                 # where a centre falls on an edge, rounding decides


def test_pitfall_rotate_45_turns():
    image = np.zeros((41, 41), np.float32)
    image[20, 5:36] = 1
    out = rotate(image, 45)
    assert out[30, 10] > 0.4 and out[10, 30] > 0.4 and out[20, 6] == 0   # from lower left to upper right: counter-clockwise
    assert out.dtype == np.float32 and image[20, 5] == 1
    wide = rotate(image.astype(np.float64), 45, center=(20.5, 20.5))
    assert wide.dtype == np.float64 and distance(wide, out) < 1e-6
    for quarter in (1, 2, 3):
        assert np.array_equal(rotate(noise(9, 14), 90 * quarter, expand=True), np.rot90(noise(9, 14), quarter))


@pytest.mark.parametrize("interpolation", RESAMPLE)
def test_affine_as_pillow_transforms(interpolation):
    image = photograph()[:80, :120]
    h, w = image.shape[:2]
    angle, tx, ty, scale, shear = 25.0, 7.0, -4.0, 1.3, (10.0, 5.0)
    rot, sx, sy = np.radians([angle, *shear])
    about, back = np.eye(3), np.eye(3)
    about[:2, 2], back[:2, 2] = (w / 2 + tx, h / 2 + ty), (-w / 2, -h / 2)
    turn = np.array([[np.cos(rot), -np.sin(rot), 0], [np.sin(rot), np.cos(rot), 0], [0, 0, 1]])
    slant = np.array([[1, 0, 0], [np.tan(-sy), 1, 0], [0, 0, 1]]) @ np.array([[1, np.tan(-sx), 0], [0, 1, 0], [0, 0, 1]])
    # torchvision: rotation * shear about y after x, scaled, moved.
    lean = np.array([[np.cos(rot - sy) / np.cos(sy), -np.cos(rot - sy) * np.tan(sx) / np.cos(sy) - np.sin(rot), 0],
                     [np.sin(rot - sy) / np.cos(sy), -np.sin(rot - sy) * np.tan(sx) / np.cos(sy) + np.cos(rot), 0], [0, 0, 1]])
    assert np.allclose(turn @ slant, lean)
    inverse = np.linalg.inv(about @ (lean * [[scale], [scale], [1]]) @ back)
    want = np.asarray(Image.fromarray(image).transform((w, h), 0, tuple(inverse[:2].ravel()), RESAMPLE[interpolation], fillcolor=(1, 2, 3)))
    got = affine(image, angle, (tx, ty), scale, shear, interpolation, fill=(1, 2, 3))
    assert (np.abs(got.astype(int) - want) > 1).mean() < 0.002
    assert np.array_equal(affine(image), image)


def test_perspective_as_opencv():
    cv2 = judge("cv2")
    image = photograph()[:100, :150]
    start = [(0, 0), (150, 0), (150, 100), (0, 100)]
    end = [(10, 5), (140, 12), (130, 90), (4, 99)]
    half = np.float32(0.5)
    matrix = cv2.getPerspectiveTransform(np.float32(start) - half, np.float32(end) - half)    # OpenCV's pixels lie on whole numbers
    want = cv2.warpPerspective(image, matrix, (150, 100), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    got = perspective(image, start, end)
    inside = cv2.warpPerspective(np.ones((100, 150), np.uint8), matrix, (150, 100), flags=cv2.INTER_NEAREST)
    inside = cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0
    off = np.abs(got.astype(int) - want)[inside]
    assert inside.mean() > 0.6 and off.mean() < 1 and np.quantile(off, 0.99) <= 6  # OpenCV's coordinates have 5 bits
    assert np.array_equal(perspective(image, start, start), image)
    assert (got[~cv2.dilate(inside.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)] == 0).all()
