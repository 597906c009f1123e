"""Writes examples/data/digits_images.npy and digits_labels.npy from scikit-learn's copy of the digits: make_digits.py [folder]."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "examples" / "data"
digits = load_digits()
np.save(folder / "digits_images.npy", np.ascontiguousarray(digits.images.astype(np.uint8)))
np.save(folder / "digits_labels.npy", digits.target.astype(np.uint8))
