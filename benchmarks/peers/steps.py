"""Each framework's quickest form of one step of nets.TRAINED: (label, the step on one batch, the losses of the first three)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nets  # noqa: E402

RATES = {"adam": 1e-3, "adamw": 1e-3, "sgd": 0.02}
MOMENTUM, DECAY = 0.9, 0.01


def _batch(step: nets.Step, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((step.batch, *shape[1:])).astype(np.float32)
    return x, x if step.network is nets.autoencoder else rng.integers(0, 2, step.batch)


def _loss(nn: Any, step: nets.Step) -> Any:
    return nn.MSELoss() if step.network is nets.autoencoder else nn.CrossEntropyLoss()


def _optimizer(optim: Any, kind: str, parameters: Any, **more: Any) -> Any:
    if kind == "sgd":
        return optim.SGD(parameters, lr=RATES[kind], momentum=MOMENTUM, **more)
    return optim.Adam(parameters, lr=RATES[kind], **more) if kind == "adam" else optim.AdamW(parameters, lr=RATES[kind], weight_decay=DECAY, **more)


def miniten(net: str, weights: str, threads: int, compiled: bool = True) -> Any:
    import miniten as mt

    mt.set_num_threads(threads)
    wanted = nets.TRAINED[net]
    model, shape = wanted.network(mt.nn)
    with np.load(weights) as arrays:
        model.load_state_dict(dict(arrays.items()))
    x, y = _batch(wanted, shape)
    model.train()
    loss_of, optimizer = _loss(mt.nn, wanted), _optimizer(mt.optim, wanted.optimizer, model.parameters())
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


def torch(net: str, weights: str, threads: int, compiled: bool = False) -> Any:
    import torch as t
    import torch_nets

    t.set_num_threads(threads)
    wanted = nets.TRAINED[net]
    model, shape = wanted.network(torch_nets)
    with np.load(weights) as arrays:
        model.load_state_dict({name: t.from_numpy(arrays[name]) for name in model.state_dict()})
    x, y = (t.from_numpy(a) for a in _batch(wanted, shape))
    model.train()
    if x.ndim == 4:
        model, x = model.to(memory_format=t.channels_last), x.contiguous(memory_format=t.channels_last)
    loss_of, optimizer = _loss(t.nn, wanted), _optimizer(t.optim, wanted.optimizer, model.parameters(), fused=True)
    run = t.compile(model) if compiled else model

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(run(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return f"torch {t.__version__}" + (" compiled" if compiled else ""), step, [float(step().item()) for _ in range(3)]


def jax(net: str, weights: str, threads: int) -> Any:
    """One jitted function with donated buffers, channels last, as XLA wants them on a CPU. The runtime has no knob for threads: the
    process is held to as many processors."""
    import os

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import jax as j
    import jax.numpy as jnp
    import jax_nets

    with np.load(weights) as arrays:
        state = {name: jnp.asarray(arrays[name]) for name in arrays.files if not name.endswith("num_batches_tracked")}
    wanted = nets.TRAINED[net]
    model, shape = wanted.network(jax_nets)
    model.name("")
    x, y = _batch(wanted, shape)
    given, target = jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x), jnp.asarray(y)
    running = {n: a for n, a in state.items() if "running" in n}
    parameters = {n: (a.transpose(2, 3, 1, 0) if a.ndim == 4 else a) for n, a in state.items() if n not in running}
    rate = RATES[wanted.optimizer]

    def loss_of(p: dict, r: dict, x: Any, y: Any) -> Any:
        r = dict(r)
        out = model.run({**p, **r}, r, x)
        if wanted.network is nets.autoencoder:
            return jnp.mean((out - y) ** 2), r
        return -jnp.mean(jnp.take_along_axis(j.nn.log_softmax(out), y[:, None], 1)), r

    def update(p: dict, r: dict, m: dict, v: dict, t: Any, x: Any, y: Any) -> Any:
        (loss, r), g = j.value_and_grad(loss_of, has_aux=True)(p, r, x, y)
        t = t + 1
        if wanted.optimizer == "sgd":
            m = {n: MOMENTUM * m[n] + g[n] for n in p}
            return {n: p[n] - rate * m[n] for n in p}, r, m, v, t, loss
        m = {n: 0.9 * m[n] + 0.1 * g[n] for n in p}
        v = {n: 0.999 * v[n] + 0.001 * g[n] ** 2 for n in p}
        kept = 1 - rate * DECAY if wanted.optimizer == "adamw" else 1
        p = {n: kept * p[n] - rate * (m[n] / (1 - 0.9**t)) / (jnp.sqrt(v[n] / (1 - 0.999**t)) + 1e-8) for n in p}
        return p, r, m, v, t, loss

    jitted = j.jit(update, donate_argnums=(0, 1, 2, 3))
    zeros = lambda: {n: jnp.zeros_like(a) for n, a in parameters.items()}  # noqa: E731
    now: Any = (parameters, running, zeros(), {} if wanted.optimizer == "sgd" else zeros(), jnp.float32(0))

    def step() -> Any:
        nonlocal now
        *now, loss = jitted(*now, given, target)
        return loss.block_until_ready()

    return f"JAX {j.__version__}", step, [float(step()) for _ in range(3)]
