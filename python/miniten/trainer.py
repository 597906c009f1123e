"""The loop around forward, backward and step: docs/train.md."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from miniten import _core
from miniten._core import Module, Optimizer, Tensor
from miniten._noise import deterministic
from miniten._state import load, save
from miniten.autograd import no_grad
from miniten.nn.metrics import Metric, metric
from miniten.optim.ema import EMA

__all__ = ["History", "Trainer"]

_LOSSES = {
    "cross_entropy": "CrossEntropyLoss", "mse": "MSELoss", "l1": "L1Loss", "mae": "L1Loss", "nll": "NLLLoss", "bce": "BCELoss",
    "bce_with_logits": "BCEWithLogitsLoss", "huber": "HuberLoss", "smooth_l1": "SmoothL1Loss",
}
_EACH_STEP = ("LinearWarmup", "WarmupCosine", "OneCycleLR")


class History:
    """What fit measured: history maps a name to its value in each epoch, epoch lists their numbers from 0."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def add(self, epoch: int, logs: Mapping[str, Any]) -> None:
        self.epoch.append(epoch)
        for name, value in logs.items():
            number = _number(value)
            if number is not None:
                self.history.setdefault(name, [math.nan] * (len(self.epoch) - 1)).append(number)
        for values in self.history.values():
            values += [math.nan] * (len(self.epoch) - len(values))

    def __getitem__(self, name: str) -> list[float]:
        return self.history[name]

    def __repr__(self) -> str:
        return f"History({len(self.epoch)} epochs: {', '.join(self.history)})"


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _split(batch: Any, op: str) -> tuple[tuple, Any]:
    """Inputs and target: the last of a tuple or list is the target."""
    if isinstance(batch, Mapping):
        raise TypeError(f"[{op}] expected batches (inputs.., target), got a dict (give a collate_fn that makes a tuple)")
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise ValueError(f"[{op}] expected batches (inputs.., target), got {type(batch).__name__} of {len(batch) if hasattr(batch, '__len__') else 'one'}")
    return tuple(batch[:-1]), batch[-1]


def _is_array(x: Any) -> bool:
    return isinstance(x, Tensor) or hasattr(x, "__array__")


def _loader(data: Any, op: str, shuffle: bool, batch_size: int, seed: int | None) -> Iterable:
    """A loader as it is; a tuple of arrays, or a dataset, is loaded in batches."""
    from miniten.utils.data import ArrayDataset, DataLoader

    if isinstance(data, (tuple, list)) and len(data) >= 2 and all(_is_array(a) for a in data):
        data = ArrayDataset(*data)
    elif _is_array(data):
        data = ArrayDataset(data)
    if not hasattr(data, "__iter__") or (hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (list, tuple))):
        if not hasattr(data, "__getitem__"):
            raise TypeError(f"[{op}] expected a DataLoader, a dataset, arrays, or batches, got {type(data).__name__}")
        return DataLoader(data, batch_size=batch_size, shuffle=shuffle, seed=seed)
    return data


class Trainer:
    """Trains a model: Trainer(model, optimizer, loss, metrics=["accuracy"]).fit(train, val, epochs=10).

    loss: a module or function (output, target) -> one number, or a name ("cross_entropy", "mse", ..). metrics: objects of nn.metrics or
    their names. scheduler: stepped after each epoch; LinearWarmup, WarmupCosine and OneCycleLR after each update; ReduceLROnPlateau
    is given val_loss, or loss. accumulate: batches to an update. ema: a decay, or an optim.EMA; validation uses the averages.
    compile: 'auto' runs whole steps of the commonest batch shape as one planned graph where the model allows it, True insists,
    False never. on_nonfinite: 'raise', 'skip' or 'step' for losses and gradients with NaN or infinity. seed: shuffling and noise repeat.
    """

    def __init__(self, model: Module, optimizer: Optimizer, loss: Any, metrics: Sequence[Any] = (), scheduler: Any = None, accumulate: int = 1,
                 clip_norm: float | None = None, clip_value: float | None = None, ema: Any = None, compile: bool | str = "auto",
                 on_nonfinite: str = "raise", seed: int | None = None) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"[Trainer] expected a Module, got {type(model).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"[Trainer] expected an optimizer of miniten.optim, got {type(optimizer).__name__}")
        if isinstance(loss, str):
            from miniten import nn

            if loss not in _LOSSES:
                raise ValueError(f"[Trainer] expected a loss, or one of {', '.join(_LOSSES)}, got {loss!r}")
            loss = getattr(nn, _LOSSES[loss])()
        if not callable(loss):
            raise TypeError(f"[Trainer] expected a loss (output, target) -> number, got {type(loss).__name__}")
        if not isinstance(accumulate, int) or accumulate < 1:
            raise ValueError(f"[Trainer] expected accumulate of at least 1, got {accumulate!r}")
        if compile not in ("auto", True, False):
            raise ValueError(f"[Trainer] expected compile 'auto', True or False, got {compile!r}")
        if on_nonfinite not in ("raise", "skip", "step"):
            raise ValueError(f"[Trainer] expected on_nonfinite 'raise', 'skip' or 'step', got {on_nonfinite!r}")
        for name, value in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if value is not None and not value > 0:
                raise ValueError(f"[Trainer] expected {name} above 0, got {value}")
        blocked = [n for n, used in (("accumulate", accumulate > 1), ("clip_norm", clip_norm), ("clip_value", clip_value), ("on_nonfinite='skip'", on_nonfinite == "skip"), ("seed", seed is not None)) if used]
        if compile is True and blocked:
            raise ValueError(f"[Trainer] expected compile='auto' or False with {', '.join(blocked)}, got True")
        self.model, self.optimizer, self.loss, self.scheduler = model, optimizer, loss, scheduler
        self.metrics: list[Metric] = [metric(m) for m in ([metrics] if isinstance(metrics, str) else metrics)]
        self.accumulate, self.clip_norm, self.clip_value = accumulate, clip_norm, clip_value
        self.ema = EMA(model, ema) if isinstance(ema, float) else ema
        self.compile = False if blocked else compile
        self.on_nonfinite, self.seed = on_nonfinite, seed
        self.stop_training = False
        self.epoch = 0                                          # the next one
        self.step = 0                                           # updates done
        self.total_epochs = self.steps_per_epoch = None
        self.history = History()
        self._steps: dict[tuple, Any] = {}
        self._callbacks: Sequence[Any] = ()

    # ---- training ----
    def fit(self, train: Any, val: Any = None, epochs: int = 1, callbacks: Sequence[Any] = (), verbose: bool | str = "auto", resume: Any = None, *, logger: Any = None,
            batch_size: int = 32) -> History:
        """Trains up to `epochs` in total: a resumed fit, or a second one, goes on from where it is. -> History.

        train, val: a DataLoader, a dataset or a tuple of arrays (batch_size is for these two), or any iterable of batches (inputs.., target).
        resume: a checkpoint to go on from. logger: a monitor.MetricsLogger that is given every epoch's logs.
        """
        if not isinstance(epochs, int) or epochs < 0:
            raise ValueError(f"[fit] expected epochs of 0 or more, got {epochs!r}")
        if verbose not in ("auto", True, False):
            raise ValueError(f"[fit] expected verbose 'auto', True or False, got {verbose!r}")
        loader = _loader(train, "fit", True, batch_size, self.seed)
        validation = None if val is None else _loader(val, "fit", False, batch_size, self.seed)
        if resume is not None:
            self.load_checkpoint(resume)
        for c in callbacks:
            for name, value in (("model", self.model), ("trainer", self)):
                setter = getattr(c, f"set_{name}", None)
                setter(value) if callable(setter) else setattr(c, name, value)
        self._callbacks = callbacks
        self.stop_training = False
        self.total_epochs = epochs
        self.steps_per_epoch = len(loader) if hasattr(loader, "__len__") else None
        policy, self.optimizer.on_nonfinite = self.optimizer.on_nonfinite, self.on_nonfinite
        logs: dict[str, Any] = {}
        try:
            _each(callbacks, "on_train_begin", {})
            while self.epoch < epochs and not self.stop_training:
                logs = self._one_epoch(loader, validation, callbacks, verbose)
                if logger is not None:
                    logger.log_metrics({k: n for k, v in logs.items() if (n := _number(v)) is not None}, step=self.epoch - 1)
            _each(callbacks, "on_train_end", logs)
        finally:
            self.optimizer.on_nonfinite = policy
            self._steps.clear()
            self._callbacks = ()
        return self.history

    def _one_epoch(self, loader: Iterable, validation: Iterable | None, callbacks: Sequence[Any], verbose: bool | str) -> dict[str, Any]:
        from miniten.utils.progress import progress

        epoch = self.epoch
        if hasattr(loader, "set_epoch"):
            loader.set_epoch(epoch)
        _each(callbacks, "on_epoch_begin", epoch, {})
        self.model.train()
        self._reset()
        self.optimizer.zero_grad()
        waiting, batch = 0, -1
        bar = progress(loader, f"epoch {epoch + 1}/{self.total_epochs}", total=self.steps_per_epoch) if verbose else loader
        for batch, content in enumerate(bar):
            _each(callbacks, "on_batch_begin", batch, {})
            inputs, target = _split(content, "fit")
            logs = {"loss": self._batch(inputs, target, epoch, batch, waiting), "size": len(target) if hasattr(target, "__len__") else 1}
            waiting = (waiting + 1) % self.accumulate
            if isinstance(bar, progress):
                bar.set(loss=self._mean_loss())
            _each(callbacks, "on_batch_end", batch, logs)
            if self.stop_training:
                break
        if batch < 0:
            raise ValueError("[fit] expected at least one batch in an epoch, got none (a generator can be used once: give a DataLoader)")
        if waiting:
            self._update(self.accumulate / waiting)
        logs = self._results()
        logs["lr"] = self.optimizer.lr
        if validation is not None:
            with self._averages():
                logs.update({f"val_{k}": v for k, v in self._measure(validation).items()})
        self._schedule(logs)
        self.epoch += 1
        self.history.add(epoch, logs)
        _each(callbacks, "on_epoch_end", epoch, logs)
        if verbose is True:
            shown = "  ".join(f"{k} {n:.4g}" for k, v in logs.items() if (n := _number(v)) is not None)
            print(f"epoch {epoch + 1}/{self.total_epochs}  {shown}", file=sys.stderr)
        return logs

    def _batch(self, inputs: tuple, target: Any, epoch: int, batch: int, waiting: int) -> float:
        compiled = self._compiled(inputs, target)
        if compiled is not None:
            loss, output = compiled(*inputs, target)
            value = float(loss.item())
            self._check(value, epoch, batch)
            self._after_update()
        else:
            if self.seed is None:
                output, loss = self._forward(inputs, target)
            else:
                with deterministic(self.seed):
                    deterministic.step(self.step * self.accumulate + waiting)
                    output, loss = self._forward(inputs, target)
            value = float(loss.item())
            if not self._check(value, epoch, batch):
                self.optimizer.zero_grad()
                return value
            (loss if self.accumulate == 1 else loss * (1.0 / self.accumulate)).backward()
            if waiting + 1 == self.accumulate:
                self._update(1.0)
        self._note(output, target, value)
        return value

    def _forward(self, inputs: tuple, target: Any) -> tuple[Any, Any]:
        output = self.model(*inputs)
        return output, self.loss(output, target)

    def _check(self, value: float, epoch: int, batch: int) -> bool:
        if math.isfinite(value) or self.on_nonfinite == "step":
            return True
        if self.on_nonfinite == "raise":
            raise ValueError(f"[fit] expected a finite loss, got {value} in epoch {epoch + 1}, batch {batch + 1} (lower the rate, set clip_norm, or pass on_nonfinite='skip')")
        return False

    def _update(self, scale: float) -> None:
        parameters = self.optimizer.parameters
        if scale != 1.0:
            for p in parameters:
                if p.grad is not None:
                    p.grad = p.grad * scale
        for c in self._callbacks:  # gradients are whole and not yet clipped; not every callback looks at them
            if hasattr(c, "on_update_begin"):
                c.on_update_begin(self.step, {})
        if self.clip_norm is not None:
            _core.clip_grad_norm(list(parameters), self.clip_norm)
        if self.clip_value is not None:
            _core.clip_grad_value(list(parameters), self.clip_value)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._after_update()

    def _after_update(self) -> None:
        self.step += 1
        if self.ema is not None:
            self.ema.update()
        if self.scheduler is not None and repr(self.scheduler).split("(")[0] in _EACH_STEP:
            self.scheduler.step()

    def _schedule(self, logs: Mapping[str, Any]) -> None:
        if self.scheduler is None:
            return
        if isinstance(self.scheduler, _core.ReduceLROnPlateau):
            self.scheduler.step(logs.get("val_loss", logs["loss"]))
        elif repr(self.scheduler).split("(")[0] not in _EACH_STEP:
            self.scheduler.step()

    def _compiled(self, inputs: tuple, target: Any) -> Any:
        """The planned graph of this batch's shapes; None: an eager step. The first batch of a shape is eager."""
        if self.compile is False or not all(hasattr(a, "shape") and hasattr(a, "dtype") for a in (*inputs, target)):
            return None
        key = tuple((tuple(a.shape), str(a.dtype)) for a in (*inputs, target))
        if key not in self._steps:
            self._steps[key] = None
            return None
        if self._steps[key] is None and sum(s is not None for s in self._steps.values()) < 2:
            if any(hasattr(m, "_forward_hooks") or hasattr(m, "_forward_pre_hooks") for m in self.model.modules()):
                self._refuse("hooks")
                return None
            policy, self.optimizer.on_nonfinite = self.optimizer.on_nonfinite, "step"
            try:
                shapes, kinds = [list(a.shape) for a in inputs], [str(a.dtype).removeprefix("miniten.") for a in inputs]
                self._steps[key] = _core.compile_step(self.model, self.loss, self.optimizer, shapes, [list(target.shape)], kinds, [str(target.dtype).removeprefix("miniten.")])
            except (ValueError, TypeError, NotImplementedError, IndexError, AttributeError) as e:
                self._refuse(str(e))
            finally:
                self.optimizer.on_nonfinite = policy
        return self._steps.get(key)

    def forget_steps(self) -> None:
        """Steps are compiled again: for a callback that changed what the model computes with, as masks."""
        self._steps.clear()

    def _refuse(self, why: str) -> None:
        if self.compile is True:
            raise ValueError(f"[Trainer] expected a model whose training step can be compiled, got one that cannot ({why})")
        self.compile = False

    # ---- what is measured ----
    def _reset(self) -> None:
        self._loss = self._count = 0.0
        for m in self.metrics:
            m.reset()

    def _note(self, output: Any, target: Any, loss: float) -> None:
        n = target.shape[0] if getattr(target, "shape", ()) else 1
        self._loss += loss * n
        self._count += n
        if self.metrics:
            with no_grad():
                first = output[0] if isinstance(output, tuple) else output
                for m in self.metrics:
                    m.update(first, target)

    def _mean_loss(self) -> float:
        return self._loss / self._count if self._count else math.nan

    def _results(self) -> dict[str, Any]:
        return {"loss": self._mean_loss(), **{m.name: m.compute() for m in self.metrics}}

    def _measure(self, loader: Iterable) -> dict[str, Any]:
        was_training = self.model.training
        self.model.eval()
        self._reset()
        try:
            with no_grad():
                for content in loader:
                    inputs, target = _split(content, "evaluate")
                    output, loss = self._forward(inputs, target)
                    self._note(output, target, float(loss.item()))
        finally:
            self.model.train(was_training)
        if not self._count:
            raise ValueError("[evaluate] expected at least one batch, got none")
        return self._results()

    def _averages(self) -> Any:
        import contextlib

        return contextlib.nullcontext() if self.ema is None else self.ema.average_parameters()

    def evaluate(self, data: Any, batch_size: int = 256) -> dict[str, Any]:
        """Loss and metrics in eval mode, without the averages of ema (use ema.average_parameters() around it)."""
        return self._measure(_loader(data, "evaluate", False, batch_size, self.seed))

    def predict(self, data: Any, batch_size: int = 256) -> Any:
        """Outputs of all batches one after another, in eval mode. Batches (inputs.., target) lose their target."""
        arrays_alone = _is_array(data)
        was_training = self.model.training
        self.model.eval()
        outputs: list[Any] = []
        try:
            with no_grad():
                for content in _loader(data, "predict", False, batch_size, self.seed):
                    if not arrays_alone and isinstance(content, (tuple, list)) and len(content) > 1:
                        content = tuple(content[:-1])
                    outputs.append(self.model(*content) if isinstance(content, (tuple, list)) else self.model(content))
        finally:
            self.model.train(was_training)
        if not outputs:
            raise ValueError("[predict] expected at least one batch, got none")
        if isinstance(outputs[0], tuple):
            return tuple(_core.cat(list(part), 0) for part in zip(*outputs))
        return _core.cat(outputs, 0)

    # ---- checkpoints ----
    def save_checkpoint(self, path: Any) -> int:
        """Everything that resume needs: model, optimizer, scheduler, averages, epoch and history. -> bytes."""
        content: dict[str, Any] = {
            "kind": "miniten checkpoint", "epoch": self.epoch, "step": self.step, "model": dict(self.model.state_dict()), "optimizer": dict(self.optimizer.state_dict()),
            "history": {"epoch": list(self.history.epoch), **{f"log/{k}": list(v) for k, v in self.history.history.items()}},
        }
        if self.scheduler is not None:
            content["scheduler"] = self.scheduler.state_dict()
        if self.ema is not None:
            content["ema"] = self.ema.state_dict()
        return save(content, path)

    def load_checkpoint(self, path: Any) -> None:
        content = load(path)
        if not isinstance(content, dict) or content.get("kind") != "miniten checkpoint":
            raise ValueError(f"[load_checkpoint] expected a file of save_checkpoint, got {type(content).__name__}")
        for part, there in (("scheduler", self.scheduler), ("ema", self.ema)):
            if (part in content) != (there is not None):
                raise ValueError(f"[load_checkpoint] expected a trainer {'with' if part in content else 'without'} {part}, as the checkpoint, got one {'without' if part in content else 'with'}")
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(content["scheduler"])
        if self.ema is not None:
            self.ema.load_state_dict(content["ema"])
        self.epoch, self.step = int(content["epoch"]), int(content["step"])
        self.history = History()
        self.history.epoch = [int(e) for e in content["history"]["epoch"]]
        self.history.history = {k.removeprefix("log/"): [float(v) for v in values] for k, values in content["history"].items() if k != "epoch"}
        self._steps.clear()


def _each(callbacks: Sequence[Any], event: str, *args: Any) -> None:
    for c in callbacks:
        getattr(c, event)(*args)
