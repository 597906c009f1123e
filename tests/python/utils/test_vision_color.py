"""Colour beside Pillow, torch's formulas and the standard library's HSV."""

import colorsys

import numpy as np
import pytest
from judges import judge
from pictures import distance, noise, photograph

import miniten as mt
from miniten.utils.vision import (
    adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, autocontrast, denormalize, invert, normalize, posterize, random_brightness,
    random_contrast, solarize, to_grayscale,
)

Image, Enhance, Ops = judge("PIL.Image"), judge("PIL.ImageEnhance"), judge("PIL.ImageOps")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize("dtype, limit, result", [(np.uint8, 1e-6, np.float32), (np.uint16, 1e-6, np.float32), (np.float32, 1e-6, np.float32), (np.float64, 1e-14, np.float64)])
def test_normalize_and_back(dtype, limit, result):
    image = noise(21, 34, dtype=dtype)
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    want = (image.astype(np.float64) / top - MEAN) / STD
    got = normalize(image, MEAN, STD)
    assert got.dtype == result and distance(got, want) <= limit * np.abs(want).max()
    assert distance(denormalize(got, MEAN, STD), image / top) < 1e-6
    assert distance(normalize(image, 0.5, 0.5), (image / top - 0.5) / 0.5) < 1e-6
    assert normalize(image[..., 0], 0.5, 0.25).shape == (21, 34)


def test_pitfall_normalize_goes_by_axis_and_dtype_not_by_content():
    image = np.zeros((3, 5, 3), np.uint8)                              # three rows and three channels
    image[..., 1] = 1
    got = normalize(image, (0, 0.5, 0), (1, 1, 1))
    assert np.allclose(got[..., 1], 1 / 255 - 0.5) and (got[..., 0] == 0).all()   # a dark image is scaled as any other
    for c in (1, 2, 4, 7, 16):
        image = noise(5, 61, c)
        mean, std = np.arange(c) / c, np.arange(1, c + 1.0)
        assert distance(normalize(image, mean, std), (image / 255 - mean) / std) < 1e-6
    for mean, std, match in ((MEAN[:2], STD, "one a channel"), (MEAN, (1, 0, 1), "std"), (MEAN, (1, float("nan"), 1), "std"), ((), STD, "mean")):
        with pytest.raises(ValueError, match=match):
            normalize(noise(4, 4), mean, std)
    with pytest.raises(TypeError, match="float"):
        denormalize(noise(4, 4), MEAN, STD)


def test_grayscale_as_pillow():
    image = photograph()
    assert np.array_equal(to_grayscale(image)[..., 0], np.asarray(Image.fromarray(image).convert("L")))
    assert to_grayscale(image, 3).shape == image.shape and to_grayscale(image[..., 0]).shape == image.shape[:2]
    wide = noise(9, 9, dtype=np.float64)
    assert to_grayscale(wide).dtype == np.float64 and distance(to_grayscale(wide)[..., 0], wide @ [0.299, 0.587, 0.114]) < 1e-15
    assert distance(to_grayscale(noise(9, 9, dtype=np.uint16))[..., 0], noise(9, 9, dtype=np.uint16) @ [0.299, 0.587, 0.114]) <= 0.51
    assert to_grayscale(noise(9, 9, 4)).shape == (9, 9, 1)


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7, 20.0])
@pytest.mark.parametrize("name", ["Brightness", "Contrast", "Color"])
def test_adjustments_as_pillow(name, factor):
    ours = {"Brightness": adjust_brightness, "Contrast": adjust_contrast, "Color": adjust_saturation}[name]
    for image in (photograph()[:80, :90], noise(20, 20, 0)):
        want = np.asarray(getattr(Enhance, name)(Image.fromarray(image)).enhance(factor))
        assert distance(ours(image, factor), want) <= 1                # Pillow truncates
    f = noise(20, 20, dtype=np.float64)
    gray = f @ [0.299, 0.587, 0.114]
    other = {"Brightness": 0, "Contrast": gray.mean(), "Color": gray[..., None]}[name]
    assert distance(ours(f, factor), np.clip(other + factor * (f - other), 0, 1)) < 1e-14
    rgba = noise(6, 6, 4)
    assert np.array_equal(ours(rgba, factor)[..., 3], rgba[..., 3])


def test_pitfall_brightness_clamps():
    assert adjust_brightness(np.array([[200, 10]], np.uint8), 2).tolist() == [[255, 20]]
    assert adjust_brightness(np.array([[0.8, 0.1]]), 2).tolist() == [[1.0, 0.2]]
    assert np.isnan(adjust_brightness(np.array([[np.nan]]), 2)).all()


@pytest.mark.parametrize("shift", [-0.5, -0.2, 0.0, 0.1, 0.5])
def test_hue_as_colorsys(shift):
    image = noise(8, 9, dtype=np.float64)
    image[0, 0], image[0, 1] = 0.5, 0
    want = np.array([[colorsys.hsv_to_rgb((h + shift) % 1, s, v) for h, s, v in (colorsys.rgb_to_hsv(*p) for p in row)] for row in image])
    assert distance(adjust_hue(image, shift), want) < 1e-12
    bytes_ = noise(8, 9)
    back = np.array([[colorsys.hsv_to_rgb((h + shift) % 1, s, v) for h, s, v in (colorsys.rgb_to_hsv(*(p / 255)) for p in row)] for row in bytes_])
    assert distance(adjust_hue(bytes_, shift), back * 255) <= 0.51
    assert np.array_equal(adjust_hue(bytes_[..., :1], shift), bytes_[..., :1])


def test_tables_as_pillow():
    image = photograph()[:60, :70] // 2 + 30
    pillow = Image.fromarray(image)
    assert np.array_equal(invert(image), np.asarray(Ops.invert(pillow)))
    assert np.array_equal(posterize(image, 3), np.asarray(Ops.posterize(pillow, 3)))
    assert np.array_equal(solarize(image, 100), np.asarray(Ops.solarize(pillow, 100)))
    assert distance(autocontrast(image), np.asarray(Ops.autocontrast(pillow))) <= 1
    assert (autocontrast(np.full((3, 3), 9, np.uint8)) == 9).all()
    assert np.allclose(invert(np.array([[0.25]])), 0.75)


def test_random_ones_stay_in_their_range_and_are_seeded():
    image = np.full((1, 1), 0.5)
    drawn = np.array([random_brightness(image, 0.4, seed=s)[0, 0] / 0.5 for s in range(300)])
    assert drawn.min() >= 0.6 and drawn.max() <= 1.4 and drawn.min() < 0.65 and drawn.max() > 1.35
    two = np.array([[0.4, 0.6]])
    drawn = np.array([random_contrast(two, 0.5, 1.5, seed=s) for s in range(300)])
    factor = (drawn[:, 0, 1] - drawn[:, 0, 0]) / 0.2
    assert factor.min() >= 0.5 - 1e-9 and factor.max() <= 1.5 + 1e-9 and factor.std() > 0.2
    assert np.array_equal(random_contrast(two, seed=4), random_contrast(two, seed=4))
    mt.manual_seed(3)
    a = random_brightness(image)
    mt.manual_seed(3)
    assert a == random_brightness(image)


@pytest.mark.parametrize("call, match", [
    (lambda i: adjust_brightness(i, -1), "factor"), (lambda i: adjust_contrast(i, float("nan")), "factor"), (lambda i: adjust_saturation(i, float("inf")), "factor"),
    (lambda i: adjust_hue(i, 0.6), "0.5"), (lambda i: to_grayscale(i, 2), "1 or 3"), (lambda i: posterize(i, 0), "bits"), (lambda i: random_contrast(i, 2, 1), "lower"),
    (lambda i: random_brightness(i, -1), "max_delta"), (lambda i: to_grayscale(np.zeros((4, 4, 2), np.uint8)), "1, 3 or 4 channels"),
    (lambda i: adjust_brightness(np.zeros((3, 8, 9), np.uint8), 1), "permute"), (lambda i: autocontrast(np.array([[np.nan]])), "NaN"),
])
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call(noise(4, 4))
