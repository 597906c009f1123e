"""Each framework's quickest training step on one net of nets.py: (label, a step with Adam on one batch, the losses of the first three)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
RATE = 1e-3


def _batch(net: str, shape: tuple[int, ...], batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, *shape[1:])).astype(np.float32)
    return x, x if net == "autoencoder" else rng.integers(0, 2, batch)


def miniten(net: str, weights: str, batch: int, threads: int, compiled: bool = True) -> Any:
    import nets

    import miniten as mt

    mt.set_num_threads(threads)
    model, shape = nets.TRAINED[net](mt.nn)
    with np.load(weights) as arrays:
        model.load_state_dict(dict(arrays.items()))
    x, y = _batch(net, shape, batch)
    model.train()
    loss_of = mt.nn.MSELoss() if net == "autoencoder" else mt.nn.CrossEntropyLoss()
    optimizer = mt.optim.Adam(model.parameters(), lr=RATE)
    given, target = mt.tensor(x), mt.tensor(y)

    def eager() -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(given), target)
        loss.backward()
        optimizer.step()
        return (loss,)

    whole = mt.compile_step(model, loss_of, optimizer, x.shape, y.shape) if compiled else None
    step = (lambda: whole(given, target)) if whole else eager
    return f"MiniTen {mt.__version__}", step, [float(step()[0].item()) for _ in range(3)]


def torch(net: str, weights: str, batch: int, threads: int, compiled: bool = False) -> Any:
    import nets
    import torch as t

    t.set_num_threads(threads)
    model, shape = nets.TRAINED[net](t.nn)
    with np.load(weights) as arrays:
        model.load_state_dict({name: t.from_numpy(arrays[name]) for name in model.state_dict()})
    x, y = (t.from_numpy(a) for a in _batch(net, shape, batch))
    model.train()
    if x.ndim == 4:
        model, x = model.to(memory_format=t.channels_last), x.contiguous(memory_format=t.channels_last)
    loss_of = t.nn.MSELoss() if net == "autoencoder" else t.nn.CrossEntropyLoss()
    optimizer = t.optim.Adam(model.parameters(), lr=RATE, fused=True)
    run = t.compile(model) if compiled else model

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(run(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return f"torch {t.__version__}" + (" compiled" if compiled else ""), step, [float(step().item()) for _ in range(3)]


def jax(net: str, weights: str, batch: int, threads: int) -> Any:
    """One jitted function with donated buffers, channels last, as XLA wants them on a CPU. The runtime has no knob for threads: the
    process is held to as many processors."""
    import os

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import jax as j
    import jax.numpy as jnp
    from jax_nets import Layers

    with np.load(weights) as arrays:
        state = {name: jnp.asarray(arrays[name]) for name in arrays.files if not name.endswith("num_batches_tracked")}
    layers = Layers()
    import nets

    model, shape = nets.TRAINED[net](layers)
    model.name("")
    x, y = _batch(net, shape, batch)
    given, target = jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x), jnp.asarray(y)
    running = {n: a for n, a in state.items() if "running" in n}
    parameters = {n: (a.transpose(2, 3, 1, 0) if a.ndim == 4 else a) for n, a in state.items() if n not in running}

    def loss_of(p: dict, r: dict) -> Any:
        r = dict(r)
        out = model({**p, **r}, r, given)
        if net == "autoencoder":
            return jnp.mean((out - target) ** 2), r
        return -jnp.mean(jnp.take_along_axis(j.nn.log_softmax(out), target[:, None], 1)), r

    def update(p: dict, r: dict, m: dict, v: dict, t: Any) -> Any:
        (loss, r), g = j.value_and_grad(loss_of, has_aux=True)(p, r)
        t = t + 1
        m = {n: 0.9 * m[n] + 0.1 * g[n] for n in p}
        v = {n: 0.999 * v[n] + 0.001 * g[n] ** 2 for n in p}
        p = {n: p[n] - RATE * (m[n] / (1 - 0.9**t)) / (jnp.sqrt(v[n] / (1 - 0.999**t)) + 1e-8) for n in p}
        return p, r, m, v, t, loss

    jitted = j.jit(update, donate_argnums=(0, 1, 2, 3))
    now: Any = (parameters, running, {n: jnp.zeros_like(a) for n, a in parameters.items()}, {n: jnp.zeros_like(a) for n, a in parameters.items()}, jnp.float32(0))

    def step() -> Any:
        nonlocal now
        *now, loss = jitted(*now)
        return loss.block_until_ready()

    return f"JAX {j.__version__}", step, [float(step()) for _ in range(3)]
