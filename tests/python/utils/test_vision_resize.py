"""Resizing beside Pillow, OpenCV and torch."""

import numpy as np
import pytest
from judges import judge
from pictures import camera, distance, noise, photograph

import miniten as mt
from miniten.utils.vision import resize

Image = judge("PIL.Image")
torch = judge("torch")
SIZES = [(224, 224), (100, 333), (427, 200), (900, 1000), (1, 1), (3, 700), (426, 640), (214, 320), (53, 80)]
PILLOW_EXACT = 0 if int(judge("PIL").__version__.split(".")[0]) >= 13 else 1
PIL_FILTERS = {"nearest": 0, "bilinear": 2, "bicubic": 3, "area": 4, "lanczos": 1}


@pytest.mark.parametrize("interpolation", PIL_FILTERS)
@pytest.mark.parametrize("size", SIZES)
def test_like_pil(interpolation, size):
    for image in (photograph(), noise(37, 53, 1)[..., 0]):
        want = np.asarray(Image.fromarray(image).resize(size[::-1], PIL_FILTERS[interpolation]))
        got = resize(image, size, interpolation, like="pil")
        assert got.dtype == np.uint8 and distance(got, want) <= PILLOW_EXACT
        if interpolation in ("bilinear", "bicubic", "lanczos"):           # without the rounding, and the clipping, between the passes
            planes = image.reshape(*image.shape[:2], -1)
            floats = [np.asarray(Image.fromarray(planes[..., c].astype(np.float32)).resize(size[::-1], PIL_FILTERS[interpolation])) for c in range(planes.shape[2])]
            exact = np.clip(np.stack(floats, -1), 0, 255)
            assert distance(resize(image, size, interpolation).reshape(exact.shape), exact) <= 0.53   # bilinear is in fixed point


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "area"])
def test_like_pil_float(interpolation):
    image = noise(40, 61, 0, dtype=np.float32)
    for size in ((17, 20), (90, 61), (40, 200)):
        want = np.asarray(Image.fromarray(image).resize(size[::-1], PIL_FILTERS[interpolation]))
        assert distance(resize(image, size, interpolation, like="pil"), want) < 2e-6
        wide = resize(image.astype(np.float64), size, interpolation, like="pil")
        assert wide.dtype == np.float64 and distance(wide, want) < 2e-6


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "area", "lanczos"])
@pytest.mark.parametrize("size", SIZES)
def test_like_cv2(interpolation, size):
    cv2 = judge("cv2")
    flag = {"nearest": 0, "bilinear": 1, "bicubic": 2, "area": 3, "lanczos": 4}[interpolation]
    for image in (photograph(), noise(37, 53, 1)[..., 0], noise(20, 30, 4, seed=2)):
        want = cv2.resize(image, size[::-1], interpolation=flag)
        assert distance(resize(image, size, interpolation, like="cv2"), want) <= (0 if interpolation == "nearest" else 1)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_like_cv2_floats(interpolation):
    cv2 = judge("cv2")
    flag = {"bilinear": 1, "bicubic": 2, "lanczos": 4}[interpolation]
    for dtype, limit in ((np.float32, 2e-5), (np.float64, 2e-5), (np.uint16, 1)):
        image = noise(41, 29, 3, dtype=dtype)
        for size in ((20, 60), (100, 13)):
            assert distance(resize(image, size, interpolation, like="cv2"), cv2.resize(image, size[::-1], interpolation=flag)) <= limit


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
def test_floats_as_torch(interpolation, antialias):
    image = noise(33, 47, 3, dtype=np.float64)
    for size in ((20, 20), (70, 91), (33, 10)):
        want = torch.nn.functional.interpolate(torch.from_numpy(image).permute(2, 0, 1)[None], size, mode=interpolation, antialias=antialias)[0].permute(1, 2, 0)
        assert distance(resize(image, size, interpolation, antialias=antialias), want.numpy()) < 1e-12


def test_area_is_the_mean_over_the_rectangle():
    image = noise(40, 60, 3, dtype=np.float64)
    assert distance(resize(image, (10, 20), "area"), image.reshape(10, 4, 20, 3, 3).mean((1, 3))) < 1e-12
    grown = resize(np.array([[0.0, 1.0]]), (1, 3), "area")
    assert np.allclose(grown, [[0, 0.5, 1]])
    assert distance(resize(image, (7, 13), "area").mean(), image.mean()) < 1e-12


def test_like_tflite():
    tflite = pytest.importorskip("ai_edge_litert")
    assert tflite is not None
    image = noise(12, 15, 2, dtype=np.float32)
    # TFLite's reference formula with half_pixel_centers, written out.
    def axis(n, m):
        at = (np.arange(m) + 0.5) * n / m - 0.5
        low = np.clip(np.floor(at), 0, n - 1).astype(int)
        return low, np.clip(np.ceil(at), 0, n - 1).astype(int), np.clip(at, 0, n - 1) - low
    for size in ((5, 6), (30, 20)):
        (y0, y1, fy), (x0, x1, fx) = axis(12, size[0]), axis(15, size[1])
        fy, fx = fy[:, None, None], fx[None, :, None]
        rows = image[y0] * (1 - fy) + image[y1] * fy
        want = rows[:, x0] * (1 - fx) + rows[:, x1] * fx
        assert distance(resize(image, size, like="tflite"), want) < 1e-6
    near = resize(image, (5, 6), "nearest", like="tflite")
    assert np.array_equal(near, image[np.floor((np.arange(5) + 0.5) * 12 / 5).astype(int)][:, np.floor((np.arange(6) + 0.5) * 15 / 6).astype(int)])
    with pytest.raises(ValueError, match="TFLite"):
        resize(image, (5, 6), "bicubic", like="tflite")


def test_pitfall_half_pixel_centres_and_rounding():
    assert resize(np.array([[0, 255]], np.uint8), (1, 4), antialias=False).tolist() == [[0, 64, 191, 255]]
    ramp = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    assert abs(resize(ramp, (2, 128)).mean() - ramp.mean()) < 0.51        # truncation would lose half a level
    flat = np.full((9, 9, 3), 77, np.uint8)
    for interpolation in PIL_FILTERS:
        assert (resize(flat, (5, 23), interpolation) == 77).all(), interpolation


def test_shapes_dtypes_and_strides():
    image = camera()
    assert resize(image, (10, 20)).shape == (10, 20) and resize(image[..., None], (10, 20)).shape == (10, 20, 1)
    assert resize(photograph(), 64).shape == (64, 64 * 640 // 427, 3)
    assert resize(np.transpose(photograph(), (1, 0, 2)), 64).shape == (64 * 640 // 427, 64, 3)
    turned = np.transpose(photograph(), (1, 0, 2))
    assert np.array_equal(resize(turned, (50, 60)), resize(np.ascontiguousarray(turned), (50, 60)))
    assert np.array_equal(resize(photograph()[::2, ::-1], (50, 60)), resize(np.ascontiguousarray(photograph()[::2, ::-1]), (50, 60)))
    same = resize(image, image.shape)
    assert np.array_equal(same, image) and not np.shares_memory(same, image)
    tensor = resize(mt.tensor(image), (10, 20))
    assert isinstance(tensor, mt.Tensor) and np.array_equal(tensor.numpy(), resize(image, (10, 20)))
    before = image.copy()
    resize(image, (100, 100), "lanczos")
    assert np.array_equal(before, image)
    assert resize(noise(8, 8, 7), (3, 20), "bicubic").shape == (3, 20, 7)


def test_nan_stays_where_it_is():
    image = np.zeros((8, 8), np.float32)
    image[0, 0] = np.nan
    out = resize(image, (16, 16))
    assert np.isnan(out[0, 0]) and not np.isnan(out[8:, 8:]).any()


@pytest.mark.parametrize("arguments, match", [
    (((0, 5),), "height"), (((5, -1),), "width"), (((5,),), "height, width"), (((5, 5), "cubic"), "'bicubic'"), (((2**31, 5),), "2\\^30"),
    (((5, 5), "bilinear", True, "cv2"), "antialias"), (((5, 5), "bilinear", False, "pil"), "antialias"), (((5, 5), "bilinear", None, "pillow"), "'pil'"), ((0,), "height"),
])
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        resize(noise(4, 4), *arguments)


@pytest.mark.parametrize("image", [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 0), np.uint8), np.zeros((4, 4), np.int64), np.zeros(4, np.uint8), np.zeros((2, 3, 4, 4), np.float32), "photo.png", None])
def test_bad_images(image):
    with pytest.raises((ValueError, TypeError), match="resize"):
        resize(image, (5, 5))
