"""Reductions along short rows, which go by another way than long ones."""

import numpy as np
import pytest
import torch

import miniten as mt


@pytest.mark.parametrize("n", (1, 2, 7, 16, 17, 63, 64, 65))
@pytest.mark.parametrize("rows", (15, 16, 100, 3000))
def test_of_short_rows_against_torch(rows, n):
    x = np.random.default_rng(n).standard_normal((rows, 2 * n)).astype("float32")
    x[rows // 2, 0] = np.nan
    for a in (x[:, :n].copy(), x[:, :n]):                                  # dense, and with gaps between the rows
        ours, theirs = mt.tensor(x)[:, :n] if a.base is not None else mt.tensor(a), torch.from_numpy(a.copy())
        for name in ("sum", "mean", "amax", "amin"):
            np.testing.assert_allclose(getattr(mt, name)(ours, -1).numpy(), getattr(torch, name)(theirs, -1).numpy(), rtol=1e-5, atol=1e-5)


def test_threads_change_no_bit():
    x = mt.tensor(np.random.default_rng(1).standard_normal((5000, 40)).astype("float32"))
    session = [mt.compile(lambda t: mt.sum(t, -1), (5000, 40), threads=n).run(x).numpy() for n in (1, 2, 3)]
    assert all((session[0] == s).all() for s in session)
