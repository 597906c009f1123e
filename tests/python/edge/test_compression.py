"""Compression: k-means against brute force and scikit-learn, distillation against torch."""

import copy
import itertools

import numpy as np
import pytest
from judges import judge
from nets import SMALL_SHAPE, SMALL_WEIGHTS, Residual, fresh_net, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn, optim
from miniten.edge import compress_model, knowledge_distillation, prune_model, weight_sharing
from miniten.edge.compression import distillation_loss, kmeans_1d


def arrays_of(model):
    return {n.replace("/", "."): t.numpy().copy() for n, t in model.state_dict().items()}


# ---- k-means ----
def best_cost(values, k):
    """All ways to cut the sorted values."""
    v = np.sort(np.asarray(values, "float64"))
    best = np.inf
    for cuts in itertools.combinations(range(1, len(v)), k - 1):
        parts = np.split(v, cuts)
        best = min(best, sum(((p - p.mean()) ** 2).sum() for p in parts))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_kmeans_is_optimal(seed):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=11), rng.integers(-3, 4, size=11), rng.exponential(size=11) ** 3, np.r_[rng.normal(size=5), rng.normal(size=6) * 1e-4 + 100]][seed % 4].astype("float32")
    distinct = len(np.unique(values))
    for k in range(1, 8):
        centroids, labels, cost = kmeans_1d(values, k)
        c = centroids.numpy()
        assert len(c) == min(k, distinct) and (np.diff(c) > 0).all() and labels.shape == values.shape
        np.testing.assert_allclose(cost, best_cost(values, len(c)) if k < distinct else 0, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(((values - c[labels.numpy()]) ** 2).sum(), cost, rtol=1e-4, atol=1e-6)


def dynamic_programming(values, k):
    """The textbook's n^2 k."""
    v = np.sort(values.astype("float64"))
    n = len(v)
    s, q = np.r_[0, np.cumsum(v)], np.r_[0, np.cumsum(v * v)]
    i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = np.where(i < j, q[j] - q[i] - (s[j] - s[i]) ** 2 / (j - i), np.inf)
    best = cost[0].copy()
    for _ in range(k - 1):
        best = (best[:, None] + cost).min(0)
    return best[n]


@pytest.mark.parametrize("k", [2, 3, 7, 16, 40])
def test_kmeans_of_many_values_equals_dynamic_programming(k):
    rng = np.random.default_rng(k)
    for values in (rng.normal(size=700), rng.standard_t(2, size=700), np.r_[rng.normal(size=350), rng.normal(size=350) + 50], np.round(rng.normal(size=700) * 8)):
        values = values.astype("float32")
        np.testing.assert_allclose(kmeans_1d(values, k)[2], dynamic_programming(values, k), rtol=1e-4, atol=1e-6)


def test_kmeans_narrows_its_search_and_beats_scikit_learn():
    cluster = judge("sklearn.cluster")
    values = np.random.default_rng(0).normal(size=20000).astype("float32")
    ours = kmeans_1d(values, 12)[2]
    theirs = cluster.KMeans(12, n_init=3, random_state=0).fit(values.reshape(-1, 1).astype("float64")).inertia_
    assert ours <= theirs * (1 + 1e-6)
    c, labels, cost = kmeans_1d(np.random.default_rng(1).normal(size=300_000).astype("float32"), 16)
    assert len(c) == 16 and len(np.unique(labels.numpy())) == 16
    again = kmeans_1d(np.random.default_rng(1).normal(size=300_000).astype("float32"), 16)
    assert np.array_equal(again[0].numpy(), c.numpy()) and again[2] == cost


def test_kmeans_refuses():
    for values, k, words in [([1.0], 0, "cluster"), ([1.0], -1, "cluster"), ([], 2, "value"), ([1.0, np.nan], 2, "NaN"), ([np.inf], 2, "infinity")]:
        with pytest.raises(ValueError, match=words):
            kmeans_1d(np.array(values, "float32"), k)
    centroids, labels, cost = kmeans_1d(np.full(5, 0.3, "float32"), 4)
    assert centroids.tolist() == [np.float32(0.3)] and cost == 0


# ---- weight sharing ----
@pytest.mark.parametrize("start", ["optimal", "linear", "density", "random"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_sharing(start, scope, tmp_path):
    net = small_net()
    before = snapshot(net)
    shared = weight_sharing(net, num_clusters=16, start=start, scope=scope, seed=1)
    assert same_snapshot(before, snapshot(net))
    given, now = arrays_of(net), arrays_of(shared)
    for name in SMALL_WEIGHTS:
        values = np.unique(now[name])
        assert len(values) <= 16 and set(values) <= set(shared.centroids[name].numpy())
        assert not np.array_equal(now[name], given[name])
        if start == "optimal" and scope == "layer":
            centroids, labels, _ = kmeans_1d(given[name], 16)
            assert np.array_equal(centroids.numpy()[labels.numpy()], now[name])
    if scope == "global":
        assert len({tuple(c.numpy()) for c in shared.centroids.values()}) == 1
    assert np.array_equal(now["7.bias"], given["7.bias"])
    x = images(4, 1)
    assert 0 < np.abs(shared(x).numpy() - net(x).numpy()).max() < 1
    path = tmp_path / "s.npz"
    assert shared.save(path) == path.stat().st_size == shared.size_bytes()
    for back in (edge.SharedModel.load(path), edge.load_miniten(path), mt.load(path)):
        assert type(back) is edge.SharedModel and np.array_equal(back(x).numpy(), shared(x).numpy()) and str(back.report()) == str(shared.report())
    assert np.array_equal(copy.deepcopy(shared)(x).numpy(), shared(x).numpy())


def test_the_optimal_start_is_the_best():
    net = small_net()
    error = {start: sum(r.error**2 * r.total for r in weight_sharing(net, 8, start=start).report().rows) for start in ("optimal", "linear", "density", "random")}
    assert all(error["optimal"] <= e * (1 + 1e-6) for e in error.values())


def test_files_hold_few_bits(tmp_path):
    mt.manual_seed(1)
    net = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 128)).eval()
    net(np.zeros((1, 256), "float32"))
    for k, bits in [(2, 1), (4, 2), (16, 4), (17, 5), (256, 8)]:
        shared = weight_sharing(net, k)
        size = shared.save(tmp_path / "s.npz")
        weights = 256 * 512 + 512 * 128
        assert size <= weights * bits / 8 + 4 * 640 + 8 * k + 3000
        assert shared.compression_ratio() == shared.report().given_bytes / size
        stored = np.load(tmp_path / "s.npz")  # read with NumPy alone
        packed = np.unpackbits(stored["0.weight"])[: 256 * 512 * bits].reshape(-1, bits)
        index = packed @ (1 << np.arange(bits)[::-1])
        assert np.array_equal(stored["0.weight.codebook"][index].reshape(512, 256), arrays_of(shared)["0.weight"])
    assert weight_sharing(net, 16).compression_ratio() > 7


def test_zeros_stay(tmp_path):
    pruned = prune_model(small_net(), 0.8)
    shared = weight_sharing(pruned, 8)
    for name, mask in pruned.masks.items():
        w = arrays_of(shared)[name]
        assert np.array_equal(w == 0, ~mask.numpy()) and len(np.unique(w)) <= 8 and 0 in shared.centroids[name].numpy()
    mt.manual_seed(1)
    larger = prune_model(nn.Sequential(nn.Linear(256, 256)), 0.8, input_shape=(1, 256))
    assert weight_sharing(larger, 16).size_bytes() < 0.4 * larger.size_bytes()
    shared.save(tmp_path / "s.npz")
    assert np.array_equal(edge.load_miniten(tmp_path / "s.npz")(images(3, 1)).numpy(), shared(images(3, 1)).numpy())
    with pytest.raises(ValueError, match="at least 2"):
        weight_sharing(pruned, 1)


def test_shared_weights_do_not_move():
    shared = weight_sharing(small_net(), 8)
    before = arrays_of(shared)
    shared.train()
    optimizer = optim.Adam(shared.parameters(), lr=0.01)
    optimizer.zero_grad()
    nn.CrossEntropyLoss()(shared(images(8, 1)), np.arange(8) % 4).backward()
    optimizer.step()
    after = arrays_of(shared)
    assert all(np.array_equal(before[n], after[n]) for n in SMALL_WEIGHTS) and not np.array_equal(before["7.bias"], after["7.bias"])


@pytest.mark.parametrize("sparse", [False, True])
def test_packed_models_decode_a_layer_at_a_time(sparse, tmp_path):
    mt.manual_seed(3)
    net = nn.Sequential(*[layer for _ in range(4) for layer in (nn.Linear(256, 256), nn.ReLU())], nn.Linear(256, 10)).eval()
    x = np.random.default_rng(0).standard_normal((2, 256)).astype("float32")
    net(x)
    shared = weight_sharing(prune_model(net, 0.6) if sparse else net, 16)
    packed = shared.packed()
    weights = 4 * 256 * 256 + 2560
    assert {str(t.dtype).removeprefix("miniten.") for n, t in packed.state_dict().items() if t.ndim == 2} == {"uint8"}
    assert sum(t.numpy().nbytes for t in packed.state_dict().values()) < 1.1 * weights
    assert np.array_equal(packed(x).numpy(), shared(x).numpy())
    dense, by_layer = mt.compile(shared, x.shape), mt.compile(packed, x.shape)
    np.testing.assert_allclose(by_layer.run(x).numpy(), dense.run(x).numpy(), atol=1e-6)
    assert 256 * 256 * 4 <= by_layer.arena_bytes < 3 * 256 * 256 * 4 < 4 * weights  # one layer's floats and what its kernel packs, not all
    edge.export_miniten(packed, tmp_path / "p.npz")
    again = mt.compile(edge.load_miniten(tmp_path / "p.npz"), x.shape)
    assert again.arena_bytes == by_layer.arena_bytes and np.array_equal(again.run(x).numpy(), by_layer.run(x).numpy())
    conv = small_net()
    few = weight_sharing(conv, 8)
    np.testing.assert_allclose(mt.compile(few.packed(), SMALL_SHAPE).run(images(1, 2)).numpy(), few(images(1, 2)).numpy(), atol=1e-5)
    many = weight_sharing(net, 400).packed()  # more values than a byte tells: expanded
    assert {str(t.dtype).removeprefix("miniten.") for t in many.state_dict().values()} == {"float32"}


def test_a_million_weights_take_less_than_thrice_their_sorting():
    import time

    values = np.random.default_rng(0).normal(size=1_000_000).astype("float32")
    best = [np.inf, np.inf]
    for _ in range(3):
        for k, run in enumerate((lambda: np.argsort(values, kind="stable"), lambda: kmeans_1d(values, 16))):
            start = time.perf_counter()
            run()
            best[k] = min(best[k], time.perf_counter() - start)
    assert best[1] < 12 * best[0], best


def test_entropy_coded_files(tmp_path):
    mt.manual_seed(2)
    net = nn.Sequential(nn.Linear(128, 96), nn.ReLU(), nn.Linear(96, 10))
    x = np.random.default_rng(0).standard_normal((3, 128)).astype("float32")
    with mt.no_grad():
        net[0].weight.copy_(mt.tensor(np.random.default_rng(1).standard_normal((96, 128)).astype("float32")))
    net.eval()
    net(x)
    for model in (weight_sharing(net, 16), weight_sharing(prune_model(net, 0.9), 16), weight_sharing(net, 8, start="linear")):
        plain, coded = model.save(tmp_path / "a.npz"), model.save(tmp_path / "b.npz", entropy="rans")
        assert coded == model.size_bytes("rans") == (tmp_path / "b.npz").stat().st_size < plain == model.size_bytes()
        again = mt.load(str(tmp_path / "b.npz"))
        for n, a in arrays_of(model).items():
            assert np.array_equal(a, arrays_of(again)[n])
        assert (again(x).numpy() == model(x).numpy()).all()
        bits = 0
        for n in ("0.weight", "2.weight"):
            _, count = np.unique(arrays_of(model)[n], return_counts=True)
            bits += -(count * np.log2(count / count.sum())).sum()
        assert coded < bits / 8 * 1.02 + 3000  # the graph, the codebooks and their frequencies
    with pytest.raises(ValueError, match="rans"):
        model.save(tmp_path / "c.npz", entropy="zip")


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01), lambda p: optim.AdamW(p, lr=0.01)])
def test_values_train_as_one(make, sparse, tmp_path):
    net = small_net()
    given = prune_model(net, 0.5) if sparse else net
    shared = weight_sharing(given, 6, trainable=True)
    assert shared.trainable
    labels = {n: np.unique(a, return_inverse=True)[1].reshape(a.shape) for n, a in arrays_of(shared).items() if n in SMALL_WEIGHTS}
    before = arrays_of(shared)
    shared.train()
    optimizer, loss, losses = make(shared.parameters()), nn.CrossEntropyLoss(), []
    x, y = images(32, 1), np.arange(32) % 4
    for _ in range(12):
        optimizer.zero_grad()
        value = loss(shared(x), y)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < losses[0]
    shared.eval()
    after = arrays_of(shared)
    for n in SMALL_WEIGHTS:
        assert not np.array_equal(before[n], after[n])
        for k in np.unique(labels[n]):
            assert len(np.unique(after[n][labels[n] == k])) == 1  # bit for bit
        assert ((after[n] == 0) == (before[n] == 0)).all()
        assert np.array_equal(np.unique(after[n]), shared.centroids[n].numpy())
    small = shared.save(tmp_path / "a.npz")
    assert small < 0.7 * net.save(str(tmp_path / "b.npz"))
    again = mt.load(str(tmp_path / "a.npz"))
    assert again.trainable and (again(x).numpy() == shared(x).numpy()).all()
    for m in (again, copy.deepcopy(shared)):
        m.train()
        step = make(m.parameters())
        loss(m(x), y).backward()
        step.step()
        assert all(len(np.unique(a)) <= 7 for n, a in arrays_of(m).items() if n in SMALL_WEIGHTS)


def test_gradients_of_values_are_sums():
    torch = judge("torch")
    mt.manual_seed(1)
    net = nn.Sequential(nn.Linear(9, 7), nn.Tanh(), nn.Linear(7, 3))
    x, y = np.random.default_rng(0).standard_normal((5, 9)).astype("float32"), np.array([0, 1, 2, 0, 1])
    net(x)
    shared = weight_sharing(net, 4, trainable=True)
    shared.train()
    nn.CrossEntropyLoss()(shared(x), y).backward()
    w = {n: torch.tensor(a, requires_grad=True) for n, a in arrays_of(shared).items()}
    out = torch.nn.functional.linear(torch.tanh(torch.nn.functional.linear(torch.tensor(x), w["0.weight"], w["0.bias"])), w["2.weight"], w["2.bias"])
    torch.nn.functional.cross_entropy(out, torch.tensor(y)).backward()
    for n, p in shared.named_parameters():
        want = w[n.replace("/", ".")].grad.numpy()
        if n.endswith("weight"):
            a = p.numpy()
            want = sum(np.where(a == v, want[a == v].sum(), 0) for v in np.unique(a))
        np.testing.assert_allclose(p.grad.numpy(), want, atol=1e-6)


def test_sharing_refuses():
    net = small_net()
    for options, words in [({"num_clusters": 0}, "num_clusters"), ({"num_clusters": 70000}, "num_clusters"), ({"start": "here"}, "here"), ({"scope": "town"}, "town"), ({"skip": ["no"]}, "no"), ({"skip": "*"}, "skipped")]:
        with pytest.raises(ValueError, match=words):
            weight_sharing(net, **options)
    with pytest.raises(NotImplementedError, match="scope layer"):
        weight_sharing(net, trainable=True, scope="global")
    with pytest.raises(NotImplementedError, match="quantise"):
        weight_sharing(edge.quantize_model(net, calibration_data=images(4, 1)))
    with pytest.raises(ValueError, match="call it once|input_shape"):
        weight_sharing(fresh_net())
    with mt.no_grad():
        net[7].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="7.weight"):
        weight_sharing(net)
    kept = weight_sharing(small_net(), 4, skip=["0"])
    assert "0.weight" not in kept.centroids and np.array_equal(arrays_of(kept)["0.weight"], arrays_of(small_net())["0.weight"])


# ---- distillation ----
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


# ---- by name ----
def test_compress_model():
    net = small_net()
    assert isinstance(compress_model(net), edge.QuantizedModel)
    assert compress_model(net, "prune", sparsity=0.5).actual_sparsity() == 0.5
    assert isinstance(compress_model(net, "share", num_clusters=4), edge.SharedModel)
    assert edge.count_parameters(compress_model(net, "low_rank", rank=1, measure=False))["total_parameters"] < edge.count_parameters(net)["total_parameters"]
    student = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    trainer = compress_model(net, "distill", student=student, temperature=2.0)
    assert trainer.student is student and trainer.train_step(images(4, 1), [0, 1, 2, 3]) > 0
    with pytest.raises(ValueError, match="method"):
        compress_model(net, "squeeze")
    with pytest.raises(ValueError, match="student"):
        compress_model(net, "distill")


def test_any_order_keeps_what_came_before():
    x = images(8, 1)
    net = small_net()
    pruned = prune_model(net, 0.5)
    shared = weight_sharing(pruned, 16)
    q = edge.quantize_model(shared, calibration_data=x)
    zeros = {n: arrays_of(pruned)[n] == 0 for n in SMALL_WEIGHTS}
    assert all((arrays_of(shared)[n][z] == 0).all() for n, z in zeros.items())
    assert any("clustered" in note for note in q.report().notes)
    assert np.abs(q(x).numpy() - shared(x).numpy()).max() < 0.3
    thin = prune_model(weight_sharing(Residual().eval(), 8, input_shape=(1, 4, 6, 6)), 0.5, method="structured")
    assert thin(np.zeros((1, 4, 6, 6), "float32")).shape == (1, 6)


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
