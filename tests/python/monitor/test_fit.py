"""Callbacks with mt.Trainer: what docs/monitor/callbacks.md promises."""

import math

import numpy as np
import pytest

import miniten as mt
from miniten.monitor import (
    CSVLogger,
    EarlyStopping,
    Experiment,
    GradientMonitor,
    LearningRateMonitor,
    LearningRateScheduler,
    MetricsLogger,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TerminateOnNaN,
)


def data(n=64):
    x = np.random.default_rng(0).standard_normal((n, 4)).astype(np.float32)
    return x, (x[:, :1] * 2 - x[:, 1:2]).astype(np.float32)


def trainer(lr=0.05, **options):
    mt.manual_seed(3)
    model = mt.nn.Sequential(mt.nn.Linear(4, 8), mt.nn.ReLU(), mt.nn.Linear(8, 1))
    return mt.Trainer(model, mt.optim.Adam(model.parameters(), lr=lr), mt.nn.MSELoss(), **options)


def weights(t):
    return {k: np.array(v.numpy()) for k, v in t.model.state_dict().items()}


def test_everything_together(tmp_path, capsys):
    t = trainer()
    with MetricsLogger(tmp_path / "runs") as log:
        history = t.fit(data(), data(), 3, logger=log, verbose=False, callbacks=[
            EarlyStopping(patience=3), ModelCheckpoint(tmp_path / "{epoch}-{val_loss:.3f}.npz"), ProgressBar(), LearningRateScheduler(lambda e, lr: lr * 0.5 if e else lr), ReduceLROnPlateau(),
            TerminateOnNaN(), CSVLogger(tmp_path / "log.csv"), LearningRateMonitor(log)])
    assert len(history.epoch) == 3 and len(list(tmp_path.glob("*.npz"))) == 3
    metrics = Experiment(tmp_path / "runs").get_run_metrics(log.run_name)
    assert [v for _, v in metrics["val_loss"]] == pytest.approx(history.history["val_loss"]) and [s for s, _ in metrics["loss"]] == [0, 1, 2]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 3 and err[2].startswith("epoch 3/3") and "val_loss" in err[2] and "size" not in err[2]


def test_early_stopping_restores_the_best_weights():
    t, best = trainer(lr=0.05), {}

    class Keep(EarlyStopping):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, {**logs, "val_loss": [3.0, 1.0, 2.0, 2.0, 2.0][epoch]})
            best[epoch] = weights(self.trainer)

    stop = Keep(patience=2, restore_best_weights=True)
    history = t.fit(data(), data(), 10, verbose=False, callbacks=[stop])
    assert len(history.epoch) == 4 and stop.best_epoch == 1
    assert all(np.array_equal(v, best[1][k]) for k, v in weights(t).items()) and not np.array_equal(weights(t)["0.weight"], best[3]["0.weight"])


def test_a_checkpoint_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole = trainer(seed=7)
    whole.fit(data(), None, 4, verbose=False)
    first = trainer(seed=7)
    checkpoint = ModelCheckpoint(tmp_path / "last.npz")
    first.fit(data(), None, 2, verbose=False, callbacks=[checkpoint])
    second = trainer(seed=7)
    second.fit(data(), None, 4, verbose=False, resume=checkpoint.paths[0])
    assert all(np.array_equal(v, weights(whole)[k]) for k, v in weights(second).items())


def test_nan_stops_training_names_the_op_and_leaves_sound_weights():
    class Log(mt.nn.Module):
        def forward(self, x):
            return x.log()

    mt.manual_seed(0)
    model = mt.nn.Sequential(mt.nn.Linear(4, 1), Log())
    t = mt.Trainer(model, mt.optim.SGD(model.parameters(), lr=0.1), mt.nn.MSELoss())
    watch = TerminateOnNaN(watch=True)
    with pytest.warns(RuntimeWarning, match="TerminateOnNaN"):
        t.fit((data()[0], data()[1]), None, 5, verbose=False, callbacks=[watch])
    assert t.stop_training and "NaN first in layer 1, op log in the forward pass" in watch.reason
    assert all(np.isfinite(v).all() for v in weights(t).values())
    assert t.on_nonfinite == "raise" and t.compile == "auto" and not math.isnan(t.optimizer.lr)


def test_gradient_norms_are_those_before_clipping(tmp_path):
    t = trainer(clip_norm=1e-3)
    norms = GradientMonitor()
    t.fit(data(), None, 2, verbose=False, callbacks=[norms])
    assert len(norms.history) == t.step == 4 and all(n["grad_norm"] > 1e-2 for n in norms.history)
    auto = trainer()
    auto.fit(data(), None, 1, verbose=False, callbacks=[GradientMonitor(every=2)])
    assert auto.compile == "auto"


@pytest.mark.parametrize("compiled", [False, True])
def test_a_schedule_freezes_a_prepared_model(compiled, tmp_path):
    from miniten.edge.quantization import prepare_qat

    x = np.random.default_rng(0).standard_normal((64, 1, 6, 6)).astype(np.float32)
    y = (x.mean((1, 2, 3)) > 0).astype(np.int64)
    mt.manual_seed(1)
    net = mt.nn.Sequential(mt.nn.Conv2d(1, 4, 3), mt.nn.BatchNorm2d(4), mt.nn.ReLU(), mt.nn.Flatten(), mt.nn.Linear(64, 2))
    seen = []

    class Look(mt.monitor.Callback):
        def on_epoch_end(self, epoch, logs=None):
            state = self.model.state_dict()
            seen.append(([(o.lo, o.hi) for o in self.model.observers], np.array(state["1.running_mean"].numpy())))

    def fit(epochs, **options):
        prepared = prepare_qat(net, calibration_data=x * 0.5)
        t = mt.Trainer(prepared, mt.optim.SGD(prepared.parameters(), lr=0.05), "cross_entropy", compile=compiled)
        schedule = mt.monitor.QuantizationSchedule(**options)
        t.fit((x, y), epochs=epochs, verbose=False, callbacks=[schedule, Look()])
        return t, schedule

    t, schedule = fit(5, observers=2, batch_norm=0.8)                  # epochs 2 and 4
    ranges, means = zip(*seen)
    assert [ranges[i] == ranges[i + 1] for i in range(4)] == [False, True, True, True]
    assert [np.array_equal(means[i], means[i + 1]) for i in range(4)] == [False, False, False, True]
    assert schedule.frozen == ["observers", "batch_norm"]
    assert fit(2, observers=None, batch_norm=1)[1].frozen == ["batch_norm"]
    for bad in (-1, 0.0, 1.0, True, "2"):
        with pytest.raises(ValueError, match="QuantizationSchedule.*expected observers"):
            mt.monitor.QuantizationSchedule(observers=bad)
    with pytest.raises(TypeError, match="a model of edge.prepare_qat, got Sequential"):
        trainer().fit(data(), epochs=1, verbose=False, callbacks=[mt.monitor.QuantizationSchedule()])
