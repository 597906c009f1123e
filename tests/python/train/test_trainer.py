"""The Trainer against a loop by hand, its checkpoints, callbacks and refusals."""

import copy
import math

import numpy as np
import pytest
from parity import agree

import miniten as mt
from miniten import nn, optim
from miniten.utils.data import ArrayDataset, DataLoader

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 4)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype("int64")
XV, YV = X[:30] + 0.01, Y[:30]


def model(dropout=0.0):
    mt.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 2))


def values(m):
    return np.concatenate([p.detach().numpy().ravel() for p in m.parameters()])


def loader(seed=3, batch_size=20):
    return DataLoader(ArrayDataset(X, Y), batch_size, shuffle=True, seed=seed)


@pytest.mark.parametrize("compile", [False, "auto", True])
def test_fit_is_the_loop_by_hand(compile):
    m = model()
    opt = optim.Adam(m.parameters(), lr=0.02)
    trainer = mt.Trainer(m, opt, nn.CrossEntropyLoss(), ["accuracy"], compile=compile)
    history = trainer.fit(loader(), (XV, YV), epochs=4, verbose=False)
    n = model()
    other, loss_of, losses = optim.Adam(n.parameters(), lr=0.02), nn.CrossEntropyLoss(), []
    batches = loader()
    for _ in range(4):
        total = 0.0
        for x, y in batches:
            other.zero_grad()
            loss = loss_of(n(x), y)
            loss.backward()
            other.step()
            total += loss.item() * len(y)
        losses.append(total / 90)
    agree(values(m), values(n), 1e-6 if compile is False else 1e-4)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-4)
    assert history.epoch == [0, 1, 2, 3] and set(history.history) == {"loss", "accuracy", "lr", "val_loss", "val_accuracy"}
    n.eval()
    assert history["val_accuracy"][-1] == pytest.approx((n(XV).argmax(1).numpy() == YV).mean(), abs=0.05)
    assert trainer.evaluate((XV, YV))["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-5)
    out = trainer.predict(XV)
    agree(out.numpy(), m.eval()(XV).detach().numpy(), 1e-6)
    agree(trainer.predict(DataLoader(ArrayDataset(XV, YV), 7)).numpy(), out.numpy(), 1e-6)


def test_it_learns_and_compiles():
    m = model()
    trainer = mt.Trainer(m, optim.AdamW(m.parameters(), lr=0.03), "cross_entropy", metrics=["accuracy", "f1"])
    history = trainer.fit((X, Y), epochs=60, verbose=False, batch_size=30)
    assert history["accuracy"][-1] > 0.95 and trainer.compile == "auto"


def test_accumulation_is_a_larger_batch():
    m, n = model(), model()
    kwargs = {"lr": 0.1, "momentum": 0.9}
    mt.Trainer(m, optim.SGD(m.parameters(), **kwargs), "cross_entropy", accumulate=4, compile=False).fit(DataLoader(ArrayDataset(X[:80], Y[:80]), 5), epochs=3, verbose=False)
    mt.Trainer(n, optim.SGD(n.parameters(), **kwargs), "cross_entropy", compile=False).fit(DataLoader(ArrayDataset(X[:80], Y[:80]), 20), epochs=3, verbose=False)
    agree(values(m), values(n), 1e-5)
    m, n = model(), model()                                               # the last group is smaller
    mt.Trainer(m, optim.SGD(m.parameters(), lr=0.1), "cross_entropy", accumulate=3, compile=False).fit(DataLoader(ArrayDataset(X[:50], Y[:50]), 10), epochs=1, verbose=False)
    mt.Trainer(n, optim.SGD(n.parameters(), lr=0.1), "cross_entropy", compile=False).fit([(X[:30], Y[:30]), (X[30:50], Y[30:50])], epochs=1, verbose=False)
    agree(values(m), values(n), 1e-5)


def test_clipping_and_averages():
    m, n = model(), model()
    opt = optim.SGD(m.parameters(), lr=1.0)
    trainer = mt.Trainer(m, opt, "cross_entropy", clip_norm=0.01, ema=0.5)
    before = values(m)
    trainer.fit([(X, Y)], (XV, YV), epochs=1, verbose=False)
    assert np.linalg.norm(values(m) - before) == pytest.approx(0.01, rel=1e-3)
    with trainer.ema.average_parameters():
        averaged = values(m)
        assert trainer.evaluate((XV, YV))["loss"] == pytest.approx(trainer.history["val_loss"][0], rel=1e-5)
    agree(averaged, (before + values(m)) / 2, 1e-6)
    mt.Trainer(n, optim.SGD(n.parameters(), lr=1.0), "cross_entropy", clip_value=1e-4).fit([(X, Y)], epochs=1, verbose=False)
    assert np.abs(values(n) - before).max() <= 1.01e-4


SCHEDULES = {
    "none": lambda o: None,
    "StepLR": lambda o: optim.lr_scheduler.StepLR(o, 2, 0.5),
    "WarmupCosine": lambda o: optim.lr_scheduler.WarmupCosine(o, 4, 30),
    "ReduceLROnPlateau": lambda o: optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=0.5),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_resumed_fit_goes_on_to_the_bit(name, tmp_path):
    def fresh():
        m = model(dropout=0.3)
        opt = optim.Adam(m.parameters(), lr=0.02)
        return m, mt.Trainer(m, opt, "cross_entropy", ["accuracy"], scheduler=SCHEDULES[name](opt), ema=0.9, seed=5)

    whole, trainer = fresh()
    expected = trainer.fit(loader(), (XV, YV), epochs=6, verbose=False)
    half, first = fresh()
    first.fit(loader(), (XV, YV), epochs=3, verbose=False)
    assert first.save_checkpoint(tmp_path / "c.npz") > 0
    other, second = fresh()
    mt.randn(7)
    history = second.fit(loader(), (XV, YV), epochs=6, verbose=False, resume=tmp_path / "c.npz")
    assert np.array_equal(values(other), values(whole)) and history.epoch == expected.epoch
    assert history["loss"] == expected["loss"] and history["lr"] == expected["lr"]
    assert second.fit(loader(), epochs=6, verbose=False).epoch == expected.epoch            # nothing left to do
    with pytest.raises(ValueError, match="without"):
        plain = model(0.3)
        mt.Trainer(plain, optim.Adam(plain.parameters()), "mse").load_checkpoint(tmp_path / "c.npz")


def test_callbacks_are_called_and_may_stop():
    events = []

    class Watch:
        def __getattr__(self, name):
            if not name.startswith("on_"):
                raise AttributeError(name)
            return lambda *args: events.append((name, args[0] if len(args) > 1 else None, set(args[-1])))

    class Stop(Watch):
        def on_epoch_end(self, epoch, logs):
            assert self.model is m and self.trainer.total_epochs == 9 and self.trainer.steps_per_epoch == 5
            if epoch == 1:
                self.trainer.stop_training = True

    m = model()
    trainer = mt.Trainer(m, optim.SGD(m.parameters()), "cross_entropy", ["accuracy"])
    history = trainer.fit(loader(), (XV, YV), epochs=9, callbacks=[Watch(), Stop()], verbose=False)
    assert history.epoch == [0, 1] and trainer.epoch == 2
    names = [e[0] for e in events if e[0] != "on_epoch_end"]
    assert names[:2] == ["on_train_begin"] * 2 and names[-2:] == ["on_train_end"] * 2 and names.count("on_batch_end") == 20
    ends = [e for e in events if e[0] == "on_epoch_end"]
    assert [e[1] for e in ends] == [0, 1] and ends[0][2] == {"loss", "accuracy", "lr", "val_loss", "val_accuracy"}
    assert {"loss"} <= next(e for e in events if e[0] == "on_batch_end")[2]


def test_a_logger_is_given_every_epoch():
    got = []

    class Logger:
        def log_metrics(self, metrics, step):
            got.append((step, metrics))

    m = model()
    mt.Trainer(m, optim.SGD(m.parameters()), "cross_entropy", ["confusion_matrix", "accuracy"]).fit((X, Y), epochs=2, verbose=False, logger=Logger())
    assert [s for s, _ in got] == [0, 1] and set(got[0][1]) == {"loss", "accuracy", "lr"}


def test_losses_that_are_not_finite():
    bad = X.copy()
    bad[25] = np.nan
    batches = [(bad[i : i + 10], Y[i : i + 10]) for i in range(0, 50, 10)]
    for policy in ("raise", "skip", "step"):
        m = model()
        trainer = mt.Trainer(m, optim.SGD(m.parameters(), lr=0.1), "cross_entropy", on_nonfinite=policy)
        if policy == "raise":
            with pytest.raises(ValueError, match="epoch 1, batch 3"):
                trainer.fit(batches, verbose=False)
        else:
            trainer.fit(batches, verbose=False)
            assert np.isfinite(values(m)).all() == (policy == "skip")
        assert trainer.optimizer.on_nonfinite == "step"


def test_several_inputs_and_own_losses():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 1), nn.Linear(4, 1)

        def forward(self, x, y):
            return self.a(x) + self.b(y)

    m = Two()
    target = (X @ np.array([[1], [2], [3], [4]], "float32"))
    trainer = mt.Trainer(m, optim.Adam(m.parameters(), lr=0.1), lambda out, y: ((out - y) ** 2).mean(), ["mae", "r2"])
    history = trainer.fit((X, X[::-1].copy(), target), epochs=40, verbose=False)
    assert history["r2"][-1] > 0.99 and history["mae"][-1] < history["mae"][0]
    assert trainer.predict(DataLoader(ArrayDataset(X, X, target), 16)).shape == (90, 1)


def test_verbose_writes_a_line_an_epoch(capsys):
    m = model()
    trainer = mt.Trainer(m, optim.SGD(m.parameters()), "cross_entropy", ["accuracy"])
    trainer.fit((X, Y), epochs=2, verbose=True)
    assert capsys.readouterr().err.count("accuracy") == 2
    trainer.fit((X, Y), epochs=4)
    assert capsys.readouterr().err == "" and "loss" in repr(trainer.history)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda m, o: mt.Trainer(3, o, "mse"), TypeError, "Module"),
        (lambda m, o: mt.Trainer(m, 3, "mse"), TypeError, "optimizer"),
        (lambda m, o: mt.Trainer(m, o, "loss"), ValueError, "cross_entropy"),
        (lambda m, o: mt.Trainer(m, o, 3), TypeError, "loss"),
        (lambda m, o: mt.Trainer(m, o, "mse", ["precison"]), ValueError, "precision"),
        (lambda m, o: mt.Trainer(m, o, "mse", accumulate=0), ValueError, "accumulate"),
        (lambda m, o: mt.Trainer(m, o, "mse", clip_norm=-1), ValueError, "clip_norm"),
        (lambda m, o: mt.Trainer(m, o, "mse", compile="yes"), ValueError, "compile"),
        (lambda m, o: mt.Trainer(m, o, "mse", compile=True, accumulate=2), ValueError, "accumulate"),
        (lambda m, o: mt.Trainer(m, o, "mse", on_nonfinite="stop"), ValueError, "on_nonfinite"),
        (lambda m, o: mt.Trainer(m, o, "mse").fit((X, Y), epochs=-1), ValueError, "epochs"),
        (lambda m, o: mt.Trainer(m, o, "mse").fit(3), TypeError, "DataLoader"),
        (lambda m, o: mt.Trainer(m, o, "mse").fit([X], verbose=False), ValueError, "target"),
        (lambda m, o: mt.Trainer(m, o, "mse").fit([{"x": X}], verbose=False), TypeError, "dict"),
        (lambda m, o: mt.Trainer(m, o, "mse").fit([], verbose=False), ValueError, "at least one batch"),
        (lambda m, o: mt.Trainer(m, o, "mse").evaluate([]), ValueError, "at least one batch"),
        (lambda m, o: mt.Trainer(m, o, "mse").fit((X, Y), verbose=2), ValueError, "verbose"),
    ],
)
def test_wrong_uses_are_refused(call, error, words):
    m = model()
    with pytest.raises(error) as caught:
        call(m, optim.SGD(m.parameters()))
    assert " expected " in str(caught.value) and words in str(caught.value), str(caught.value)
    assert math.isfinite(values(copy.deepcopy(m)).sum())
