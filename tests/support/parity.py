"""One call checks a function of tensors against torch: value, first and second gradient, replay and compiled graph."""

import numpy as np

import miniten as mt
from judges import judge

torch = judge("torch")


def distance(got, wanted):
    """max |got - wanted| / max(1, max |wanted|); NaN and infinities must stand in the same places."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    assert got.shape == wanted.shape, f"shape {got.shape}, wanted {wanted.shape}"
    odd = ~np.isfinite(wanted)
    assert np.array_equal(got[odd], wanted[odd], equal_nan=True), f"{got[odd]} where {wanted[odd]} was wanted"
    if not (~odd).any():
        return 0.0
    return float(np.max(np.abs(got - wanted)[~odd]) / max(1.0, np.max(np.abs(wanted[~odd]))))


def agree(got, wanted, within=1e-5):
    d = distance(got, wanted)
    assert d <= within, f"differs by {d:.3g}, more than {within:.3g}"


def values(x):
    x = x.detach()
    return x.numpy() if isinstance(x, mt.Tensor) else x.numpy(force=True)


def flat(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def gradients(m, f, arrays, weights, second):
    """Value, gradients of a weighted sum, and gradients of a weighted sum of those."""
    is_torch = m is torch
    x = [torch.tensor(a, requires_grad=True) if is_torch else mt.Tensor(a, requires_grad=True) for a in arrays]
    grad = torch.autograd.grad if is_torch else mt.autograd.grad
    tensor = torch.tensor if is_torch else mt.Tensor
    out = flat(f(m, m.nn.functional, *x))
    total = sum((o * tensor(w)).sum() for o, w in zip(out, weights(out)))
    first = grad(total, x, create_graph=second, allow_unused=True)
    result = [[values(o) for o in out], [np.zeros_like(a) if g is None else values(g) for g, a in zip(first, arrays)]]
    if second:
        live = [(g, np.cos(np.arange(a.size, dtype=a.dtype)).reshape(a.shape)) for g, a in zip(first, arrays) if g is not None and g.requires_grad]
        if live:
            again = grad(sum((g * tensor(w)).sum() for g, w in live), x, allow_unused=True)
            result.append([np.zeros_like(a) if g is None else values(g) for g, a in zip(again, arrays)])
        else:
            result.append([np.zeros_like(a) for a in arrays])
    return result


def check(f, arrays, constants=(), second=True, replay=True, within=1e-5):
    """f(m, F, *tensors, *constants), m being miniten or torch and F its nn.functional; constants are arrays without gradient."""

    def of(m, F, *x):
        kind = str(x[0].dtype).removeprefix("torch.")
        typed = [c.astype(kind) if c.dtype.kind == "f" else c for c in constants]
        made = [torch.tensor(c) if m is torch else mt.Tensor(c) for c in typed]
        return f(m, F, *x, *made)

    def weights(out):
        return [np.sin(1.0 + np.arange(int(np.prod(tuple(o.shape))))).reshape(tuple(o.shape)) for o in out]

    wide = [np.asarray(a, np.float64) for a in arrays]
    for name, got, wanted in zip(
        ("value", "gradient", "second gradient"), gradients(mt, of, wide, weights, second), gradients(torch, of, wide, weights, second)
    ):
        for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
            assert distance(g, w) <= 1e-9, f"{name} {i} differs by {distance(g, w):.3g} in float64:\n{g}\n{w}"

    narrow = [np.asarray(a, np.float32) for a in arrays]
    wanted = [values(o) for o in flat(of(torch, torch.nn.functional, *[torch.tensor(a) for a in narrow]))]
    eager = [values(o) for o in flat(of(mt, mt.nn.functional, *[mt.Tensor(a) for a in narrow]))]
    for g, w in zip(eager, wanted, strict=True):
        assert g.dtype == w.dtype, f"dtype {g.dtype}, wanted {w.dtype}"
        agree(g, w, within)
    if replay:
        replayed(lambda *x: of(mt, mt.nn.functional, *x), narrow, eager, within)


def replayed(f, arrays, eager, within=1e-5):
    """The traced graph gives the eager values again, node by node and compiled."""
    shapes, dtypes = [a.shape for a in arrays], [a.dtype for a in arrays]
    traced = mt.trace(lambda *x: flat(f(*x)), shapes, dtypes)
    for g, w in zip(flat(traced.replay(*arrays)), eager, strict=True):
        assert np.array_equal(values(g), w, equal_nan=True), "the replayed graph differs from eager"
    for passes in ("none", "all"):
        session = mt.compile(traced, passes=passes)
        for _ in range(2):
            for g, w in zip(flat(session.run(*arrays)), eager, strict=True):
                agree(values(g), w, within)
    session.measured_arena_bytes(*arrays)
    assert session.measured_arena_bytes(*arrays) <= session.arena_bytes
