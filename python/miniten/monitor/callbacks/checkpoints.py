"""Files that training goes on from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from miniten.monitor.callbacks.base import Logs, Watching, number


class ModelCheckpoint(Watching):
    """Saves a checkpoint that training can go on from: model, optimizer, and whatever the trainer keeps besides.

    filepath: may name the epoch and the logs, '{epoch:03d}-{val_loss:.4f}.npz' (epochs from 1 there). save_freq: 'epoch', or a
    number of batches. keep: only so many of the newest files stay. A file appears whole or not at all. paths: those that are there.
    """

    def __init__(self, filepath: str | os.PathLike[str], monitor: str = "val_loss", save_best_only: bool = False, mode: str = "auto", save_freq: str | int = "epoch", *,
                 save_weights_only: bool = False, keep: int | None = None) -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch" and not (isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0):
            raise ValueError(f"[ModelCheckpoint] expected save_freq 'epoch' or a number of batches, got {save_freq!r}")
        if keep is not None and keep < 1:
            raise ValueError(f"[ModelCheckpoint] expected keep of 1 or more, got {keep}")
        self.filepath = os.fspath(filepath)
        self.save_best_only, self.save_freq, self.save_weights_only, self.keep = save_best_only, save_freq, save_weights_only, keep
        self.paths: list[str] = []
        self.epoch, self._batches = 0, 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.epoch = epoch

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % self.save_freq == 0:
            self._consider({**(logs or {}), "batch": batch})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch = epoch
        if self.save_freq == "epoch":
            self._consider(logs or {})

    def _consider(self, logs: dict[str, Any]) -> None:
        if self.save_best_only:
            value = self.value(logs)
            if value is None or not self.better(value):
                return
            self.best = value
        path = self._path(logs)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._save(path, logs)
        if path in self.paths:
            self.paths.remove(path)
        self.paths.append(path)
        while self.keep is not None and len(self.paths) > self.keep:
            Path(self.paths.pop(0)).unlink(missing_ok=True)

    def _path(self, logs: dict[str, Any]) -> str:
        values = {k: n if (n := number(v)) is not None else str(v) for k, v in logs.items()}
        try:
            return self.filepath.format(**{**values, "epoch": self.epoch + 1, "batch": logs.get("batch", 0)})
        except KeyError as e:
            raise ValueError(f"[ModelCheckpoint] expected names of the logs in '{self.filepath}', got {e} beside {sorted(values)}") from None

    def _save(self, path: str, logs: dict[str, Any]) -> None:
        from miniten import save

        if self.save_weights_only:
            save(dict(self.model.state_dict()), path)
        elif hasattr(self.trainer, "save_checkpoint"):
            self.trainer.save_checkpoint(path)
        else:
            optimizer = getattr(self.trainer, "optimizer", None)
            content = {"epoch": self.epoch, "model": dict(self.model.state_dict()), "logs": {k: n for k, v in logs.items() if (n := number(v)) is not None}}
            if optimizer is not None:
                content["optimizer"] = dict(optimizer.state_dict())
            save(content, path)
