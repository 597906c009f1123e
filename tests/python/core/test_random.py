"""Random numbers: seeds, generators of their own, distributions."""

import numpy as np
import pytest

import miniten as mt


def test_generators_repeat_and_do_not_disturb_each_other():
    a, b = mt.Generator(5), mt.Generator(5)
    first = mt.rand(4, generator=a).tolist()
    mt.rand(100)
    assert mt.rand(4, generator=b).tolist() == first and mt.rand(4, generator=a).tolist() != first
    assert a.manual_seed(5) is a and mt.rand(4, generator=a).tolist() == first and a.initial_seed() == 5
    state = a.get_state()
    later = mt.randn(3, generator=a).tolist()
    a.set_state(state)
    assert mt.randn(3, generator=a).tolist() == later
    mt.manual_seed(1)
    one = mt.rand(2).tolist()
    mt.manual_seed(1)
    mt.rand(50, generator=a)
    assert mt.rand(2).tolist() == one
    with pytest.raises(TypeError, match="Generator"):
        mt.rand(2, generator=3)


def test_integers_and_orders():
    g = mt.Generator(0)
    r = mt.randint(-3, 4, (20_000,), generator=g)
    assert r.dtype == "int64" and r.min().item() == -3 and r.max().item() == 3
    counts = mt.bincount(r + 3).numpy()
    assert (abs(counts - 20_000 / 7) < 250).all()
    assert mt.randint(5, (2, 3), generator=g).shape == (2, 3) and mt.randint(0, 2, (4,), dtype="int8").dtype == "int8"
    p = mt.randperm(100, generator=g)
    assert sorted(p.tolist()) == list(range(100)) and p.tolist() != list(range(100)) and mt.randperm(0).shape == (0,)
    for bad in (lambda: mt.randint(3, 3, (2,)), lambda: mt.randint(0, (2,)), lambda: mt.randperm(-1)):
        with pytest.raises(ValueError):
            bad()


def test_distributions():
    g = mt.Generator(2)
    n = mt.normal(3, 0.5, (20_000,), generator=g)
    assert abs(n.mean().item() - 3) < 0.02 and abs(n.std().item() - 0.5) < 0.02
    b = mt.bernoulli(mt.full((20_000,), 0.3), generator=g)
    assert set(b.unique().tolist()) == {0, 1} and abs(b.mean().item() - 0.3) < 0.02
    w = mt.tensor([0.0, 1.0, 3.0])
    m = mt.multinomial(w, 8000, replacement=True, generator=g)
    assert abs((m == 2).float().mean().item() - 0.75) < 0.03 and not (m == 0).any().item()
    assert sorted(mt.multinomial(mt.ones(4, 5), 5).numpy()[0].tolist()) == [0, 1, 2, 3, 4]
    assert mt.rand_like(mt.zeros(2, 3, dtype="float64")).dtype == "float64" and mt.randn_like(mt.zeros(3)).shape == (3,)
    for bad in (lambda: mt.multinomial(w, 3), lambda: mt.multinomial(mt.tensor([-1.0, 1.0]), 1), lambda: mt.multinomial(mt.zeros(3), 1), lambda: mt.bernoulli(mt.tensor([1.5])), lambda: mt.normal(0, -1, (2,))):
        with pytest.raises(ValueError):
            bad()
