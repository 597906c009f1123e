"""Blur, Sobel, Canny and thresholds beside OpenCV and scikit-image."""

import numpy as np
import pytest
from judges import judge
from pictures import camera, distance, noise, photograph

import miniten as mt
from miniten.utils.vision import canny, canny_edge_detection, gaussian_blur, histogram_equalize, otsu_threshold, sobel, sobel_filter, threshold, to_grayscale

cv2 = judge("cv2")
BORDERS = {"reflect101": cv2.BORDER_REFLECT_101, "reflect": cv2.BORDER_REFLECT, "replicate": cv2.BORDER_REPLICATE}


# ---- blur ----
@pytest.mark.parametrize("sigma", [0.3, 0.8, 1.0, 2.5, 7.0])
@pytest.mark.parametrize("border", BORDERS)
def test_blur_as_opencv(sigma, border):
    for image in (photograph()[:70, :90], noise(31, 17, 0), noise(5, 9, 4)):
        for size in (0, 5):                                            # for bytes OpenCV rounds its kernel to 8 bits
            got = gaussian_blur(image, sigma, size or None, border)
            assert distance(got, cv2.GaussianBlur(image, (size, size), sigma, borderType=BORDERS[border])) <= 2
            size = size or int(np.rint(sigma * 6 + 1)) | 1
            assert distance(got, cv2.GaussianBlur(image.astype(np.float32), (size, size), sigma, borderType=BORDERS[border])) <= 0.54   # in fixed point
    for dtype, limit in ((np.float32, 1e-6), (np.float64, 1e-6), (np.uint16, 2)):
        image = noise(24, 33, dtype=dtype)
        got = gaussian_blur(image, sigma, 7, border)
        assert got.dtype == dtype and distance(got, cv2.GaussianBlur(image, (7, 7), sigma, borderType=BORDERS[border])) <= limit


def test_blur_as_scikit_image():
    filters = judge("skimage.filters")
    image = noise(40, 50, 0, dtype=np.float64)
    want = filters.gaussian(image, 2.0, mode="nearest", truncate=4.0)
    assert distance(gaussian_blur(image, 2.0, 17, "replicate"), want) < 1e-12


def test_blur_of_tiny_images_and_wide_kernels():
    for h, w in ((1, 1), (1, 9), (2, 2), (3, 1)):
        image = noise(h, w, 3, dtype=np.float64)
        pads = ((15, 15), (15, 15), (0, 0))
        full = np.pad(image, pads, mode="reflect") if h > 1 and w > 1 else np.pad(np.pad(image, ((15, 15), (0, 0), (0, 0)), mode="reflect" if h > 1 else "edge"), ((0, 0), (15, 15), (0, 0)), mode="reflect" if w > 1 else "edge")
        k = np.exp(-np.arange(-15, 16) ** 2 / (2 * 16.0))
        k /= k.sum()
        want = sum(k[i] * k[j] * full[i : i + h, j : j + w] for i in range(31) for j in range(31))
        assert distance(gaussian_blur(image, 4.0, 31), want) < 1e-12
    flat = np.full((9, 9), 200, np.uint8)
    assert (gaussian_blur(flat, 3.0) == 200).all()


# ---- Sobel ----
@pytest.mark.parametrize("border", BORDERS)
def test_sobel_as_opencv(border):
    for image in (photograph()[:50, :61], noise(31, 17, 0), noise(1, 5, 3), noise(4, 1, 0), noise(9, 9, dtype=np.uint16), noise(9, 9, dtype=np.float32)):
        dx = cv2.Sobel(image, cv2.CV_32F, 1, 0, borderType=BORDERS[border]).reshape(image.shape)
        dy = cv2.Sobel(image, cv2.CV_32F, 0, 1, borderType=BORDERS[border]).reshape(image.shape)
        limit = 0 if image.dtype != np.float32 else 1e-6
        assert distance(sobel_filter(image, "x", border), dx) <= limit and distance(sobel_filter(image, "y", border), dy) <= limit
        got = sobel_filter(image, border=border)
        assert got.dtype == np.float32 and distance(got, np.sqrt(dx**2 + dy**2)) <= 1e-6 * max(1, np.abs(dx).max())
    wide = noise(9, 8, dtype=np.float64)
    assert sobel(wide).dtype == np.float64 and distance(sobel(wide, "x"), cv2.Sobel(wide, cv2.CV_64F, 1, 0)) < 1e-14


# ---- Canny ----
@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("low, high", [(50, 150), (0, 30), (100, 100), (300.5, 700.25), (1500, 3000)])
def test_canny_finds_opencvs_edges(norm, low, high):
    photo = photograph()
    for image in (photo[..., 1], camera(), cv2.GaussianBlur(photo[..., 0], (0, 0), 2), noise(60, 80, 0), noise(1, 40, 0), noise(33, 1, 0), noise(2, 2, 0)):
        image = np.ascontiguousarray(image)
        want = cv2.Canny(image, low, high, L2gradient=norm == "l2")
        got = canny_edge_detection(image, low, high, sigma=0, norm=norm)
        assert got.dtype == np.uint8 and set(np.unique(got)) <= {0, 255}
        assert (got != want).sum() == 0


def test_canny_of_colours_as_opencv():
    image = photograph()[:150, :200]
    got = canny(image, 100, 200, sigma=0)
    assert got.shape == (150, 200, 1) and np.array_equal(got[..., 0], cv2.Canny(image, 100, 200))


def test_canny_of_floats_is_that_of_bytes():
    image = camera()
    want = canny(image, 100, 200, sigma=0)
    for dtype, unit in ((np.float64, 255), (np.float32, 255), (np.uint16, 1 / 257)):
        scaled = (image / unit if unit != 1 / 257 else image.astype(np.uint16) * 257).astype(dtype)
        got = canny(scaled, 100 / unit, 200 / unit, sigma=0)
        assert (got != want).mean() < 0.002                            # ties of rounding


def test_canny_beside_scikit_image():
    feature = judge("skimage.feature")
    image = camera() / 255.0
    theirs = feature.canny(image, sigma=1.4, low_threshold=0.1, high_threshold=0.2, mode="nearest")
    ours = canny(image, 0.1, 0.2, norm="l2") > 0
    near = np.ones((3, 3), np.uint8)
    hit = (ours & (cv2.dilate(theirs.astype(np.uint8), near) > 0)).sum() / ours.sum()
    found = (theirs & (cv2.dilate(ours.astype(np.uint8), near) > 0)).sum() / theirs.sum()
    assert hit > 0.95 and found > 0.95, (hit, found)


def test_pitfall_canny_diagonals_are_one_pixel_thin():
    y, x = np.mgrid[:40, :40]
    for image in ((x + y > 40), (x - y > 0)):
        edges = canny(image.astype(np.uint8) * 200, 100, 200, sigma=0)
        assert np.array_equal(edges, cv2.Canny(image.astype(np.uint8) * 200, 100, 200))
        rows = (edges[5:35] > 0).sum(1)
        assert rows.max() <= 2 and rows[5:25].min() >= 1


# ---- histograms ----
def test_equalize_as_opencv():
    for image in (camera(), photograph()[..., 0].copy(), np.full((4, 4), 9, np.uint8), noise(3, 3, 0)):
        assert np.array_equal(histogram_equalize(image), cv2.equalizeHist(image))
    photo = photograph()[:60, :60]
    assert np.array_equal(histogram_equalize(photo)[..., 2], cv2.equalizeHist(np.ascontiguousarray(photo[..., 2])))


def test_otsu_as_opencv_and_scikit_image():
    filters = judge("skimage.filters")
    for image in (camera(), photograph()[..., 0].copy(), noise(40, 40, 0)):
        limit, want = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        assert otsu_threshold(image) == limit == filters.threshold_otsu(image)
        assert np.array_equal(threshold(image), want)
        assert np.array_equal(threshold(image, 99), np.where(image > 99, 255, 0))
    assert otsu_threshold(np.full((3, 3), 7, np.uint8)) == 7
    assert threshold(np.array([[0.2, 0.8]]), 0.5).tolist() == [[0, 255]]


def test_nothing_is_changed_and_tensors_stay_tensors():
    image = photograph()[:30, :40].copy()
    before = image.copy()
    for f in (gaussian_blur, sobel, lambda i: canny(i, 10, 20), histogram_equalize, to_grayscale):
        out = f(mt.tensor(image))
        assert isinstance(out, mt.Tensor) and np.array_equal(out.numpy(), f(image))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("call, match", [
    (lambda i: gaussian_blur(i, 0), "sigma"), (lambda i: gaussian_blur(i, -1), "sigma"), (lambda i: gaussian_blur(i, float("nan")), "sigma"), (lambda i: gaussian_blur(i, 1, 4), "odd"),
    (lambda i: gaussian_blur(i, 1, 0), "odd"), (lambda i: gaussian_blur(i, 1, border="constant"), "pad"), (lambda i: sobel(i, "z"), "'x'"), (lambda i: canny(i, 200, 100), "low_threshold"),
    (lambda i: canny(i, -1, 100), "low_threshold"), (lambda i: canny(i, 1, 2, sigma=-1), "sigma"), (lambda i: canny(i, 1, 2, norm="l3"), "'l2'"),
    (lambda i: canny(np.array([[np.nan, 1.0]]), 1, 2), "NaN"), (lambda i: otsu_threshold(i), "one channel"), (lambda i: gaussian_blur(i, 1e9), "shrink"),
])
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call(noise(4, 4))


def test_bad_dtypes():
    for f in (histogram_equalize, otsu_threshold, threshold):
        with pytest.raises(TypeError, match="uint8"):
            f(np.zeros((4, 4), np.float32))
