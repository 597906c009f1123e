import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

import miniten as mt  # noqa: E402


@pytest.fixture(autouse=True)
def same_random_numbers():
    mt.manual_seed(0)
    np.random.seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
