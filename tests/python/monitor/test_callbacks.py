"""Callbacks in a loop of our own: what Trainer.fit does, without it."""

import io
import math

import numpy as np
import pytest

import miniten as mt
from miniten.monitor import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    GradientMonitor,
    LearningRateMonitor,
    LearningRateScheduler,
    MetricsLogger,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TerminateOnNaN,
)


class Loop:
    """A trainer as small as can be."""

    def __init__(self, model=None, lr=0.1):
        self.model = model or mt.nn.Sequential(mt.nn.Linear(3, 4), mt.nn.ReLU(), mt.nn.Linear(4, 1))
        self.optimizer = mt.optim.SGD(self.model.parameters(), lr=lr)
        self.stop_training = False
        self.epochs_run = 0

    def fit(self, epochs, callbacks, val=None, x=None, batches=2, poison=None):
        rng = np.random.default_rng(1)
        x = rng.standard_normal((8, 3)).astype(np.float32) if x is None else x
        target = x.sum(1, keepdims=True)
        calls = CallbackList(callbacks, self.model, self)
        calls.on_train_begin({})
        for epoch in range(epochs):
            calls.on_epoch_begin(epoch, {})
            for batch in range(batches):
                calls.on_batch_begin(batch, {})
                self.optimizer.zero_grad()
                out = self.model(x)
                if poison is not None and (epoch, batch) == poison:
                    out = (out * 0.0 - 1.0).log()
                loss = ((out - target) ** 2).mean()
                loss.backward()
                self.optimizer.step()
                calls.on_batch_end(batch, {"loss": loss.item()})
                if self.stop_training:
                    break
            logs = {"loss": loss.item()}
            if val is not None and epoch < len(val):
                logs["val_loss"] = val[epoch]
            calls.on_epoch_end(epoch, logs)
            self.epochs_run += 1
            if self.stop_training:
                break
        calls.on_train_end({})
        return self


class Snapshots(Callback):
    def __init__(self):
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(np.array(self.model.state_dict()["0.weight"].numpy()))


def test_order_of_events_and_what_callbacks_see():
    seen = []

    class All(Callback):
        def on_train_begin(self, logs=None):
            seen.append(("train_begin", self.model is not None, self.trainer is not None))

        def on_epoch_begin(self, epoch, logs=None):
            seen.append(("epoch_begin", epoch))

        def on_batch_end(self, batch, logs=None):
            seen.append(("batch_end", batch, sorted(logs)))

        def on_epoch_end(self, epoch, logs=None):
            seen.append(("epoch_end", epoch, sorted(logs)))

        def on_train_end(self, logs=None):
            seen.append(("train_end",))

    Loop().fit(1, [All()], val=[1.0])
    assert seen == [("train_begin", True, True), ("epoch_begin", 0), ("batch_end", 0, ["loss"]), ("batch_end", 1, ["loss"]), ("epoch_end", 0, ["loss", "val_loss"]), ("train_end",)]
    with pytest.raises(TypeError, match="expected miniten.monitor.Callback objects, got str"):
        CallbackList(["x"])


def test_early_stopping_restores_the_best_epochs_weights():
    snapshots, stop = Snapshots(), EarlyStopping(patience=2, restore_best_weights=True)
    loop = Loop().fit(20, [snapshots, stop], val=[1.0, 0.5, 0.7, 0.6, 0.1])
    assert loop.epochs_run == 4 and stop.stopped_epoch == 3 and stop.best_epoch == 1 and stop.best == 0.5
    now = loop.model.state_dict()["0.weight"].numpy()
    np.testing.assert_array_equal(now, snapshots.weights[1])
    assert not np.array_equal(now, snapshots.weights[3])


def test_early_stopping_keeps_the_last_weights_unless_asked():
    snapshots, stop = Snapshots(), EarlyStopping(patience=1)
    loop = Loop().fit(20, [snapshots, stop], val=[1.0, 2.0])
    assert loop.epochs_run == 2
    np.testing.assert_array_equal(loop.model.state_dict()["0.weight"].numpy(), snapshots.weights[1])


@pytest.mark.parametrize("monitor, mode, values, epochs", [
    ("val_accuracy", "auto", [0.1, 0.5, 0.4, 0.45], 4), ("val_loss", "auto", [3, 2, 2.5, 2.4], 4), ("val_loss", "max", [3, 2, 2.5], 3), ("val_loss", "min", [math.nan, math.nan, 1], 2)])
def test_early_stopping_modes(monitor, mode, values, epochs):
    stop = EarlyStopping(monitor, patience=2, mode=mode)
    calls = CallbackList([stop])
    calls.on_train_begin()
    for epoch, v in enumerate(values):
        calls.on_epoch_end(epoch, {monitor: v})
        if calls.stop_training:
            break
    assert calls.stop_training and epoch + 1 == epochs


def test_min_delta_baseline_and_missing_metric():
    stop = EarlyStopping(patience=1, min_delta=0.1)
    calls = CallbackList([stop])
    calls.on_train_begin()
    calls.on_epoch_end(0, {"val_loss": 1.0})
    calls.on_epoch_end(1, {"val_loss": 0.95})
    assert calls.stop_training
    with pytest.warns(RuntimeWarning, match="expected 'val_loss' among the logs, got: loss"):
        EarlyStopping().on_epoch_end(0, {"loss": 1})
    with pytest.raises(ValueError, match="mode 'auto', 'min' or 'max'"):
        EarlyStopping(mode="best")


def test_checkpoints_are_real_and_training_goes_on_from_them(tmp_path):
    path = tmp_path / "deep" / "{epoch:02d}-{val_loss:.2f}.npz"
    straight = Loop(mt.nn.Sequential(mt.nn.Linear(3, 1)), lr=0.05)
    start = {k: mt.tensor(v) for k, v in straight.model.state_dict().items()}
    checkpoint = ModelCheckpoint(path)
    straight.fit(4, [checkpoint], val=[0.4, 0.3, 0.2, 0.1])
    assert [p.rsplit("/", 1)[1] for p in checkpoint.paths] == ["01-0.40.npz", "02-0.30.npz", "03-0.20.npz", "04-0.10.npz"]
    saved = mt.load(checkpoint.paths[1])
    again = Loop(mt.nn.Sequential(mt.nn.Linear(3, 1)), lr=0.05)
    again.model.load_state_dict(saved["model"])
    again.optimizer.load_state_dict(saved["optimizer"])
    again.fit(2, [])
    np.testing.assert_array_equal(again.model.state_dict()["0.weight"].numpy(), straight.model.state_dict()["0.weight"].numpy())
    assert saved["epoch"] == 1 and not np.array_equal(saved["model"]["0.weight"].numpy(), start["0.weight"].numpy())
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == [p.rsplit("/", 1)[1] for p in checkpoint.paths]      # no half-written file


def test_checkpoint_best_only_keep_and_frequency(tmp_path):
    best = ModelCheckpoint(tmp_path / "best.npz", save_best_only=True, save_weights_only=True)
    snapshots = Snapshots()
    Loop().fit(4, [snapshots, best], val=[0.5, 0.2, 0.9, 0.3])
    np.testing.assert_array_equal(mt.load(tmp_path / "best.npz")["0.weight"].numpy(), snapshots.weights[1])
    often = ModelCheckpoint(tmp_path / "{epoch}-{batch}.npz", save_freq=2, keep=2)
    Loop().fit(3, [often])
    assert sorted(p.name for p in tmp_path.glob("*-*.npz")) == ["2-1.npz", "3-1.npz"]
    with pytest.raises(ValueError, match="expected names of the logs"):
        ModelCheckpoint(tmp_path / "{val_acc}.npz").on_epoch_end(0, {"loss": 1})
    with pytest.raises(ValueError, match="save_freq"):
        ModelCheckpoint(tmp_path / "x", save_freq="hour")


def test_checkpoint_is_the_trainers_where_it_has_one(tmp_path):
    saved = []
    loop = Loop()
    loop.save_checkpoint = saved.append
    loop.fit(2, [ModelCheckpoint(tmp_path / "{epoch}.npz")])
    assert saved == [str(tmp_path / "1.npz"), str(tmp_path / "2.npz")]


def test_learning_rate_callbacks():
    loop, seen = Loop(lr=0.1), LearningRateMonitor()
    loop.fit(3, [LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else lr), seen])
    np.testing.assert_allclose(seen.history, [0.1, 0.05, 0.025], rtol=1e-6)
    loop.fit(1, [LearningRateScheduler(lambda epoch: 0.7)])
    assert loop.optimizer.lr == pytest.approx(0.7)
    with pytest.raises(ValueError, match="a finite number of 0 or more, got nan"):
        loop.fit(1, [LearningRateScheduler(lambda epoch: math.nan)])


def test_reduce_lr_on_plateau():
    loop, seen = Loop(lr=0.1), LearningRateMonitor()
    loop.fit(8, [ReduceLROnPlateau(factor=0.1, patience=2, min_lr=0.005, min_delta=0), seen], val=[1, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6])
    np.testing.assert_allclose(seen.history, [0.1, 0.1, 0.1, 0.01, 0.01, 0.005, 0.005, 0.005], rtol=1e-5)
    for bad in ({"factor": 1}, {"factor": 0}, {"patience": -1}):
        with pytest.raises(ValueError, match="ReduceLROnPlateau"):
            ReduceLROnPlateau(**bad)


def test_terminate_on_nan_names_the_op_and_the_gradient():
    watched = TerminateOnNaN(watch=True)
    with pytest.warns(RuntimeWarning, match="op log"):
        loop = Loop().fit(5, [watched], poison=(1, 1))
    assert loop.epochs_run == 2 and "loss is nan in batch 1" in watched.reason and "NaN first in op log in the forward pass" in watched.reason
    plain = TerminateOnNaN()
    with pytest.warns(RuntimeWarning):
        Loop().fit(5, [plain], poison=(0, 0))
    assert "parameter 0.weight" in plain.reason
    with pytest.raises(FloatingPointError, match="TerminateOnNaN"):
        Loop().fit(5, [TerminateOnNaN(raises=True)], poison=(0, 0))


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    Loop().fit(2, [CSVLogger(path)], val=[0.5, math.nan])
    rows = path.read_text().splitlines()
    assert rows[0] == "epoch,loss,val_loss" and rows[1].startswith("0,") and rows[2].endswith(",nan") and len(rows) == 3
    Loop().fit(1, [CSVLogger(path, append=True)], val=[0.25])
    assert path.read_text().splitlines()[3].endswith(",0.25")
    hostile = CSVLogger(tmp_path / "h.csv")
    hostile.on_train_begin()
    hostile.on_epoch_end(0, {'a,"b"\n': "x,y"})
    hostile.on_train_end()
    import csv

    assert list(csv.reader(open(tmp_path / "h.csv", newline=""))) == [["epoch", 'a,"b"\n'], ["0", "x,y"]]


def test_gradient_monitor(tmp_path):
    with MetricsLogger(tmp_path) as log:
        g = GradientMonitor(log, histograms=True)
        loop = Loop().fit(1, [g])
        norms = [np.sqrt(float((p.grad.numpy() ** 2).sum())) for _, p in loop.model.named_parameters()]
        assert g.history[-1]["grad_norm"] == pytest.approx(np.sqrt(sum(n * n for n in norms)), rel=1e-6)
        assert g.history[-1]["0.weight"] == pytest.approx(norms[0], rel=1e-6)
        assert len(log.get_metric("grad_norm/0.weight")) == 2


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_bar_redraws_one_line_on_a_terminal_and_is_quiet_in_a_file():
    out = Terminal()
    Loop().fit(2, [ProgressBar(2, 2, file=out, every=0)], val=[0.5, 0.25])
    assert out.getvalue().count("\n") == 2 and "\r" in out.getvalue()
    last = out.getvalue().rstrip("\n").split("\r")[-1]
    assert "epoch 2/2" in last and "val_loss 0.25" in last and "[########################]" in last
    out = io.StringIO()
    Loop().fit(2, [ProgressBar(file=out, every=0)], val=[0.5, 0.25])
    assert "\r" not in out.getvalue() and [line.split("  ")[0] for line in out.getvalue().splitlines()] == ["epoch 1", "epoch 2"]
    bar = ProgressBar(file=out)
    bar.on_epoch_begin(0)
    assert "\x1b" not in bar.line({"a\x1b[31m": 1, "b": "x\ny"}, bar._start + 1) and "\n" not in bar.line({"b": "x\ny"}, bar._start + 1)
