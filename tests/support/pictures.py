"""Pictures the vision tests share: photographs of scikit-image and scikit-learn, and noise."""

import functools

import numpy as np
from judges import judge


@functools.cache
def photograph():
    """480 x 640 x 3 uint8."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = judge("sklearn.datasets").load_sample_image("china.jpg")
    return np.ascontiguousarray(image[:427, :640])


@functools.cache
def camera():
    """512 x 512 uint8."""
    return judge("skimage.data").camera()


def noise(h, w, c=3, seed=0, dtype=np.uint8):
    shape = (h, w) if c == 0 else (h, w, c)
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def distance(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, (a.shape, b.shape)
    return np.abs(a.astype(np.float64) - b.astype(np.float64)).max()
