"""Noise that can be repeated."""

from __future__ import annotations

from miniten import _core


class _Scope:
    def __init__(self, before):
        self._before = before

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        _core._set_determinism(*self._before)


class _Deterministic:
    """deterministic(seed): from now on, or within a with block, dropout's masks depend on (seed, step, layer) alone.

    deterministic.step(n) sets the step, deterministic(None) ends it. A layer is its path in the model, so two runs of the
    same model draw the same noise whatever else was drawn meanwhile.
    """

    def __call__(self, seed: int | None = 0) -> _Scope:
        if seed is not None and (not hasattr(seed, "__index__") or not 0 <= seed < 2**64):
            raise ValueError(f"[deterministic] expected a seed in [0, 2^64), got {seed!r}")
        scope = _Scope(_core._determinism())
        _core._set_determinism(seed, 0)
        return scope

    def step(self, n: int) -> None:
        seed, _ = _core._determinism()
        if seed is None:
            raise ValueError("[deterministic] expected deterministic(seed) before its step, got none")
        _core._set_determinism(seed, int(n))


deterministic = _Deterministic()
