"""Distillation against torch: logits, hints, attention, teachers of every kind, answers on disk, whole trainings."""

import numpy as np
import pytest
from judges import judge
from nets import SMALL_SHAPE, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn, optim
from miniten.edge import knowledge_distillation
from miniten.edge.compression import distillation_loss


@pytest.mark.parametrize(("temperature", "alpha"), [(3.0, 0.5), (1.0, 1.0), (5.0, 0.0), (0.5, 0.3)])
def test_loss_equals_torch(temperature, alpha):
    torch = judge("torch")
    rng = np.random.default_rng(1)
    for scale in (1, 50):  # confident logits: the first MiniTen gave -45 for equal ones
        s, t, y = rng.normal(size=(9, 5)) * scale, rng.normal(size=(9, 5)) * scale, rng.integers(0, 5, 9)
        s, t = s.astype("float32"), t.astype("float32")
        ours = mt.tensor(s, requires_grad=True)
        loss = distillation_loss(ours, t, y, temperature, alpha)
        loss.backward()
        theirs = torch.tensor(s, requires_grad=True)
        f = torch.nn.functional
        kl = f.kl_div(f.log_softmax(theirs / temperature, 1), f.log_softmax(torch.tensor(t) / temperature, 1), reduction="batchmean", log_target=True)
        want = alpha * temperature**2 * kl + (1 - alpha) * f.cross_entropy(theirs, torch.tensor(y))
        want.backward()
        assert loss.item() == pytest.approx(want.item(), rel=1e-4, abs=1e-5)
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-5 * scale)
    assert distillation_loss(t, t, y, temperature, 1.0).item() == pytest.approx(0, abs=1e-5)
    assert distillation_loss(t, t, y, temperature, alpha).item() >= -1e-5


def test_distillation_trains_the_student_alone():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8)).astype("float32"), rng.integers(0, 3, 64)
    mt.manual_seed(1)
    teacher = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3)).train()
    student = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3))
    trainer = knowledge_distillation(student, teacher, temperature=2.0, alpha=0.7)
    taught, untaught = snapshot(teacher), snapshot(student)
    first = trainer.train_step(x, y)
    assert same_snapshot(taught, snapshot(teacher)), "the teacher moved"
    changed = snapshot(student)
    assert all(not np.array_equal(changed[0][n], untaught[0][n]) for n in changed[0]), "train_step changed no weight"
    assert isinstance(first, float) and trainer.distillation_loss(student(x), teacher(x), y).item() < first
    trainer.optimizer = optim.Adam(student.parameters(), lr=0.01)
    seen = []
    history = trainer.fit([(x[:32], y[:32]), (x[32:], y[32:])], epochs=20, on_epoch=lambda e, loss: seen.append((e, loss)))
    assert len(history["loss"]) == 20 == len(seen) and history["loss"][-1] < history["loss"][0] and seen[3] == (3, history["loss"][3])
    assert not student.training


def test_a_taught_student_gains_over_one_trained_alone():
    """On the digits: students of five seeds with 100 labelled samples, taught by a net that saw 1000, or trained alone for as long; tested on samples that none of them saw."""
    datasets = judge("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype("float32"), y[order]
    unseen_x, unseen_y = x[1000:], y[1000:]
    mt.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer, loss = optim.Adam(teacher.parameters(), lr=0.01), nn.CrossEntropyLoss()
    for _ in range(80):
        optimizer.zero_grad()
        loss(teacher(x[:1000]), y[:1000]).backward()
        optimizer.step()
    gains = []
    for seed in range(5):
        accuracy = {}
        for alpha in (0.9, 0.0):
            mt.manual_seed(seed)
            student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
            trainer = knowledge_distillation(student, teacher, temperature=4.0, alpha=alpha)
            trainer.optimizer = optim.Adam(student.parameters(), lr=0.02)
            trainer.fit([(x[:100], y[:100])], epochs=150)
            accuracy[alpha] = (student(unseen_x).numpy().argmax(1) == unseen_y).mean()
        gains.append(accuracy[0.9] - accuracy[0.0])
    assert np.median(gains) >= 0.01, gains


def test_distillation_refuses():
    s, t, y = np.zeros((4, 3), "float32"), np.zeros((4, 5), "float32"), np.zeros(4, "int64")
    for call, words in [(lambda: distillation_loss(s, t, y), "classes"), (lambda: distillation_loss(s, s, y + 3), "label|class|range|3"), (lambda: distillation_loss(s, s, y, 0), "temperature"),
                        (lambda: distillation_loss(s, s, y, 3, 1.5), "alpha"), (lambda: distillation_loss(s[0], s[0], y), "N, C"), (lambda: knowledge_distillation(small_net(), small_net(), temperature=-1), "temperature"),
                        (lambda: knowledge_distillation(small_net()).train_step(images(2, 1), [0, 1]), "teacher")]:
        with pytest.raises((ValueError, IndexError), match=words):
            call()
    net = small_net()
    with pytest.raises(ValueError, match="own teacher"):
        knowledge_distillation(net, net)
    student = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    before = snapshot(student)
    with pytest.raises(ValueError, match="classes"):
        knowledge_distillation(student, net).train_step(images(2, 1), [0, 1])
    with pytest.raises((ValueError, IndexError)):
        knowledge_distillation(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), net).train_step(images(2, 1), [0, 9])
    bad = images(2, 1)
    bad[0, 0, 0, 0] = np.nan
    twin = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    held = snapshot(twin)
    with pytest.raises(ValueError, match="finite"):
        knowledge_distillation(twin, net).train_step(bad, [0, 1])
    assert all(np.array_equal(held[0][n], snapshot(twin)[0][n]) for n in held[0]) and all(np.array_equal(before[0][n], snapshot(student)[0][n]) for n in before[0])


# ---- hints, attention, several teachers ----
def small_conv(channels, seed):
    mt.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * channels * 16, 4))


def features(model, x, path, training):
    heard = []
    layer = dict(model.named_modules())[path]
    handle = layer.register_forward_hook(lambda m, i, o: heard.append(o.numpy().astype("float64")))
    before = model.training
    model.train(training)
    with mt.no_grad():
        logits = model(x).numpy()
    model.train(before)
    handle.remove()
    return logits, heard[0]


def test_hints_and_attention_are_what_they_say():
    teacher, student = small_conv(8, 1), small_conv(4, 2)
    x, y = images(16, 3), np.arange(16) % 4
    d = knowledge_distillation(student, teacher, alpha=0.5, hints={"1": "1"}, attention={"4": "4"}, hint_weight=0.7, attention_weight=20.0)
    d.train_step(x, y)  # makes the adapter
    assert [a is None for a in d.adapters] == [False, True] and d.adapters[0].weight.shape == (8, 4, 1, 1)
    (taught, a), (own, b) = features(teacher, x, "1", False), features(student, x, "1", True)
    w, bias = d.adapters[0].weight.numpy()[:, :, 0, 0], d.adapters[0].bias.numpy()
    hint = ((np.einsum("nchw,oc->nohw", b, w) + bias[None, :, None, None] - a) ** 2).mean()
    maps = []
    for f in (features(teacher, x, "4", False)[1], features(student, x, "4", True)[1]):
        m = (f**2).mean(1).reshape(16, -1)
        maps.append(m / np.linalg.norm(m, axis=1, keepdims=True))
    attention = ((maps[0] - maps[1]) ** 2).sum(1).mean()
    want = distillation_loss(own, taught, y).item() + 0.7 * hint + 20 * attention
    assert d.train_step(x, y) == pytest.approx(want, rel=1e-4)
    adapter = w.copy()
    losses = [d.train_step(x, y) for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0] and not np.array_equal(adapter, d.adapters[0].weight.numpy()[:, :, 0, 0])


def test_linear_layers_take_hints_and_teachers_stay():
    teacher, student = small_conv(6, 1), nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 4))
    x, y = images(8, 3), np.arange(8) % 4
    before = snapshot(teacher)
    d = knowledge_distillation(student, teacher, hints={"3": "6"})
    d.train_step(x, y)
    assert d.adapters == [None] and same_snapshot(snapshot(teacher), before)
    wide = knowledge_distillation(small_conv(4, 5), teacher, hints={"5": "5"})  # after a flatten: (N, 128) to (N, 192)
    wide.train_step(x, y)
    assert wide.adapters[0].weight.shape == (192, 128)


def test_several_teachers_answer_by_their_mean():
    teachers, student = [small_conv(4, s) for s in (1, 2, 3)], small_conv(3, 4)
    x, y = images(12, 3), np.arange(12) % 4
    own = features(student, x, "0", True)[0]
    softened = []
    for t in teachers:
        z = features(t, x, "0", False)[0].astype("float64") / 2.5
        softened.append(np.exp(z - z.max(1, keepdims=True)) / np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True))
    p = np.mean(softened, 0)
    q = own.astype("float64") / 2.5
    q = q - np.log(np.exp(q).sum(1, keepdims=True))
    want = 2.5**2 * (p * (np.log(p) - q)).sum(1).mean()
    d = knowledge_distillation(student, teachers, temperature=2.5, alpha=1.0)
    assert d.train_step(x, y) == pytest.approx(want, rel=1e-4) and len(d.teachers) == 3


def test_hints_that_do_not_fit():
    teacher, student = small_conv(4, 1), small_conv(4, 2)
    x, y = images(4, 3), np.arange(4) % 4
    with pytest.raises(ValueError, match="layers: 0, 1"):
        knowledge_distillation(student, teacher, hints={"0": "nine"})
    with pytest.raises(ValueError, match="above 0"):
        knowledge_distillation(student, teacher, hints={"0": "0"}, hint_weight=0.0)
    with pytest.raises(TypeError, match="teacher"):
        knowledge_distillation(student, hints={"0": "0"})
    with pytest.raises(ValueError, match="equal sizes"):
        knowledge_distillation(student, teacher, hints={"0": "3"}).train_step(x, y)
    with pytest.raises(ValueError, match="images"):
        knowledge_distillation(student, teacher, attention={"6": "6"}).train_step(x, y)


# ---- answers on disk, whole trainings, teachers of any kind ----
def small_lessons(seed=0, n=64):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1, 8, 8)).astype("float32")
    return x, (x.reshape(n, -1)[:, :4].argmax(1)).astype("int64")


def flat_student(seed=7):
    mt.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 4))


class Counted(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, 0

    def forward(self, x):
        self.calls += 1
        return self.inner(x)


def test_answers_are_kept_on_disk(tmp_path):
    x, y = small_lessons()
    batches = [(x[:32], y[:32]), (x[32:], y[32:])]

    def losses(cache, hints, teacher):
        d = knowledge_distillation(small_conv(4, 2), teacher, hints=hints, cache=cache)
        return d, d.fit(batches, epochs=3)["loss"]

    for k, hints in enumerate(({}, {"inner.1": "inner.1"})):
        hints = {s.removeprefix("inner."): t for s, t in hints.items()}
        plain, kept = Counted(small_conv(8, 1)), Counted(small_conv(8, 1))
        folder = tmp_path / str(k)
        _, want = losses(None, hints, plain)
        mt.manual_seed(0)
        d, got = losses(folder, hints, kept)
        assert plain.calls == 6 and kept.calls == 2 and d.cached == 4 and len(list(folder.iterdir())) == 2
        if not hints:  # adapters start anew
            assert got == want
        d, _ = losses(folder, hints, kept)  # another run
        assert kept.calls == 2 and d.cached == 6
        next(iter(folder.iterdir())).write_bytes(b"damaged")
        d, _ = losses(folder, hints, kept)
        assert kept.calls == 3 and d.cached == 5
        with mt.no_grad():
            kept.inner[0].weight[0, 0, 0, 0] = 9.0  # another teacher
        d, _ = losses(folder, hints, kept)
        assert kept.calls == 5
    with pytest.raises(OSError, match="folder"):
        knowledge_distillation(flat_student(), small_net(), cache=next(iter((tmp_path / "0").iterdir())) / "below")


def test_fit_calls_back_and_shows_progress(capsys, tmp_path):
    from miniten.monitor import EarlyStopping, ModelCheckpoint

    x, y = small_lessons()
    d = knowledge_distillation(flat_student(), small_net())
    seen = []

    class Watch:
        def __getattr__(self, name):
            if name.startswith("on_"):
                return lambda *a: seen.append(name)
            raise AttributeError(name)

    history = d.fit((x, y), epochs=3, val=[(x, y)], callbacks=[Watch(), ModelCheckpoint(tmp_path / "best.npz", monitor="val_loss")], metrics=["accuracy"], verbose=True, batch_size=32)
    assert seen.count("on_epoch_end") == 3 and seen.count("on_batch_end") == 6 and seen[0] == "on_train_begin" and seen[-1] == "on_train_end"
    assert {"loss", "val_loss", "accuracy", "val_accuracy"} <= set(history.history) and (tmp_path / "best.npz").exists()
    assert "epoch 3/3" in capsys.readouterr().err and not d.student.training
    student = d.student
    plain = nn.CrossEntropyLoss()(student(x), y).item()
    assert history["val_loss"][-1] == pytest.approx(plain, rel=1e-5)
    stopped = knowledge_distillation(flat_student(), small_net()).fit([(x, y)], epochs=50, callbacks=[EarlyStopping(monitor="loss", patience=0, min_delta=100.0)])
    assert len(stopped["loss"]) < 5
    for bad, words in [((), "batch"), ([x], "inputs"), ([(x, y + 9)], "label|class|range")]:
        with pytest.raises((ValueError, IndexError), match=words):
            d.fit(bad, epochs=1)
    with pytest.raises(ValueError, match="epoch"):
        d.fit([(x, y)], epochs=0)


def test_teachers_of_every_kind(tmp_path):
    x, y = small_lessons()
    teacher = small_net()
    edge.export_onnx(teacher, SMALL_SHAPE, tmp_path / "t.onnx", dynamic_axes={"input": {0: "n"}})
    edge.export_miniten(teacher, tmp_path / "t.npz")
    want = knowledge_distillation(flat_student(), teacher).train_step(x, y)
    for other in (tmp_path / "t.onnx", str(tmp_path / "t.npz"), mt.load(tmp_path / "t.npz"), edge.load_onnx(tmp_path / "t.onnx")):
        d = knowledge_distillation(flat_student(), other)
        assert d.train_step(x, y) == pytest.approx(want, rel=1e-5)
    quantized = edge.quantize_model(teacher, calibration_data=x)
    assert knowledge_distillation(flat_student(), [quantized, tmp_path / "t.npz"]).train_step(x, y) == pytest.approx(want, rel=0.1)
    # layers of a graph, by their names
    conv = small_conv(4, 2)
    by_module = knowledge_distillation(conv, teacher, hints={"0": "0"})
    by_graph = knowledge_distillation(small_conv(4, 2), mt.load(tmp_path / "t.npz"), hints={"0": "0"})
    for d in (by_module, by_graph):
        mt.manual_seed(5)
        d.value = d.train_step(x, y)
    assert by_graph.value == pytest.approx(by_module.value, rel=1e-4)
    with pytest.raises(ValueError, match="layers: 0"):
        knowledge_distillation(small_conv(4, 2), mt.load(tmp_path / "t.npz"), hints={"0": "nine"}).train_step(x, y)
    with pytest.raises(TypeError, match="teacher"):
        knowledge_distillation(conv, 3)
    with pytest.raises(OSError):
        knowledge_distillation(conv, tmp_path / "none.npz")


def test_students_learn_in_integers():
    x, y = small_lessons()
    student = flat_student()
    student(x)
    prepared = edge.prepare_qat(student, calibration_data=x)
    d = knowledge_distillation(prepared, small_net(), alpha=0.3)
    history = d.fit([(x, y)], epochs=25)
    assert history["loss"][-1] < history["loss"][0]
    integers = prepared.convert()
    assert isinstance(integers, edge.QuantizedModel)
    assert np.array_equal(integers(x).numpy(), prepared(x).numpy())  # what was trained is what runs


def test_a_student_teaches_itself():
    x, y = small_lessons(n=96)
    d = knowledge_distillation(flat_student(), "self", temperature=2.0, alpha=0.6)
    d.optimizer = optim.Adam(d.student.parameters(), lr=0.01)
    alphas, teachers = [], []

    class Watch:
        def __getattr__(self, name):
            if name.startswith("on_"):
                return lambda *a: None
            raise AttributeError(name)

        def on_batch_begin(self, *a):
            alphas.append(d.alpha)
            teachers.append(d.teacher)

    history = d.fit([(x, y)], epochs=6, callbacks=[Watch()])
    np.testing.assert_allclose(alphas, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert d.alpha == 0.6 and len(set(map(id, teachers))) == 6 and history["loss"][-1] < history["loss"][0]
    with pytest.raises(ValueError, match="self"):
        knowledge_distillation(flat_student(), "self", cache="x")
    with pytest.raises(ValueError, match="teacher"):
        knowledge_distillation(flat_student(), "self").train_step(x, y)
