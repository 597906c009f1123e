"""Compression: k-means against brute force and scikit-learn, SVD against NumPy, distillation against torch."""

import copy
import itertools

import numpy as np
import pytest
from judges import judge
from nets import SMALL_SHAPE, SMALL_WEIGHTS, Residual, fresh_net, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn, optim
from miniten.edge import LowRankApproximation, compress_model, knowledge_distillation, low_rank, prune_model, weight_sharing
from miniten.edge.compression import distillation_loss, kmeans_1d, svd


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


# ---- low rank ----
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (12, 7), (7, 12), (40, 3), (64, 64), (3, 200)])
def test_svd_equals_numpy(shape, rng=np.random.default_rng(4)):
    for w in (rng.normal(size=shape), np.outer(rng.normal(size=shape[0]), rng.normal(size=shape[1])), np.zeros(shape), rng.normal(size=shape) * 10 ** rng.uniform(-3, 3, size=shape[1])):
        w = w.astype("float32")
        u, s, v = (t.numpy().astype("float64") for t in svd(w))
        want = np.linalg.svd(w.astype("float64"), compute_uv=False)
        scale = max(want[0], 1e-30)
        np.testing.assert_allclose(s, want, atol=2e-6 * scale)
        assert (np.diff(s) <= 1e-6 * scale).all()
        np.testing.assert_allclose(u @ np.diag(s) @ v.T, w, atol=3e-6 * scale)


def test_low_rank_approximation(rng=np.random.default_rng(5)):
    w = rng.normal(size=(40, 30)).astype("float32")
    a = LowRankApproximation(rank_ratio=0.5)
    left, right = a.compress_matrix(w)
    assert left.shape == (40, 15) and right.shape == (15, 30) and a.rank_of((40, 30)) == 15
    u, s, vt = np.linalg.svd(w.astype("float64"), full_matrices=False)
    np.testing.assert_allclose(a.reconstruct(left, right).numpy(), (u[:, :15] * s[:15]) @ vt[:15], atol=1e-4)
    assert a.compression_ratio(left, right) == pytest.approx(1200 / (15 * 70))
    for shape in [(30, 30), (40, 30), (300, 2), (16, 64)]:  # a form larger than the matrix is never kept
        for ratio in (0.1, 0.5, 1.0):
            left, right = LowRankApproximation(ratio).compress_matrix(rng.normal(size=shape))
            assert left.numel() + right.numel() < shape[0] * shape[1]
    for bad in (0, -0.5, 1.5, float("nan")):
        with pytest.raises(ValueError, match="rank_ratio"):
            LowRankApproximation(bad)
    with pytest.raises(ValueError, match="smaller"):
        a.compress_matrix(np.ones((1, 9)))
    for wrong in (np.ones(3), np.ones((2, 3, 4)), np.array([[1, np.nan], [1, 1]])):
        with pytest.raises(ValueError, match="matrix|finite"):
            a.compress_matrix(wrong)


def with_rank_k(w, k):
    u, s, vt = np.linalg.svd(w.astype("float64"), full_matrices=False)
    return (u[:, :k] * s[:k]) @ vt[:k]


@pytest.mark.parametrize("options", [{"rank": 3}, {"energy": 0.8}, {"rank_ratio": 0.3}])
def test_models_of_low_rank_equal_the_truncated_weights(options):
    mt.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, groups=4), nn.Conv2d(16, 24, 1), nn.ReLU6(), nn.Flatten(), nn.Linear(24 * 4, 30), nn.ReLU(), nn.Linear(30, 4)).eval()
    x = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype("float32")
    net(x)
    before = snapshot(net)
    small, report = low_rank(net, report=True, **options)
    assert same_snapshot(before, snapshot(net))
    rows = {r.layer: r for r in report.rows}
    assert set(rows) == {"0", "2", "3", "6", "8"} and "two factors" in rows["2"].reason
    twin = copy.deepcopy(net)
    state = dict(twin.state_dict())
    with mt.no_grad():
        for layer, r in rows.items():
            if r.reason:
                continue
            w = state[layer + ".weight"].numpy().copy()
            matrix = w.reshape(w.shape[0], -1)
            truncated = with_rank_k(matrix, r.rank)
            state[layer + ".weight"][...] = mt.tensor(truncated.reshape(w.shape).astype("float32"))
            assert r.error == pytest.approx(np.linalg.norm(matrix - truncated) / np.linalg.norm(matrix), abs=1e-5)
            assert r.before == matrix.size and r.after == r.rank * sum(matrix.shape) < r.before
            if "rank" in options:
                assert r.rank == 3
            if "energy" in options:
                s = np.linalg.svd(matrix.astype("float64"), compute_uv=False) ** 2
                assert s[: r.rank].sum() / s.sum() >= 0.8 - 1e-6 > s[: r.rank - 1].sum() / s.sum() - 1e-6
    np.testing.assert_allclose(small(x).numpy(), twin(x).numpy(), atol=1e-4)
    assert any(not r.reason for r in rows.values()) and edge.count_parameters(small)["total_parameters"] < edge.count_parameters(net)["total_parameters"]
    assert edge.count_flops(small, x.shape)["total_macs"] < edge.count_flops(net, x.shape)["total_macs"]


def test_low_rank_goes_on(tmp_path):
    net, x = small_net(), images(8, 1)
    small = low_rank(net, rank_ratio=0.5)
    small.train()
    optimizer, loss, losses = optim.Adam(small.parameters(), lr=0.01), nn.CrossEntropyLoss(), []
    for _ in range(5):
        optimizer.zero_grad()
        value = loss(small(x), np.arange(8) % 4)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < losses[0]
    small.eval()
    edge.export_onnx(small, SMALL_SHAPE, tmp_path / "m.onnx")
    ort = judge("onnxruntime")
    theirs = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]).run(None, {"input": x[:1]})[0]
    np.testing.assert_allclose(theirs, small(x[:1]).numpy(), atol=1e-5)
    q = edge.quantize_model(small, calibration_data=x)
    assert np.abs(q(x).numpy() - small(x).numpy()).max() < 0.3
    edge.export_miniten(small, tmp_path / "m.npz")
    np.testing.assert_allclose(edge.load_miniten(tmp_path / "m.npz")(x).numpy(), small(x).numpy(), atol=1e-6)


def test_low_rank_keeps_what_would_grow_or_fill_zeros():
    net = small_net()
    _, report = low_rank(net, 1000, report=True)
    assert all(r.reason and r.after == r.before for r in report.rows)
    _, report = low_rank(prune_model(net, 0.5), 1, report=True)
    assert all("pruned" in r.reason or "two factors" in r.reason for r in report.rows)
    for options, words in [({"rank": 0}, "rank"), ({"energy": 0.0}, "energy"), ({"energy": 1.5}, "energy"), ({"rank": 2, "energy": 0.5}, "both"), ({"skip": ["no"]}, "no"), ({"rank_ratio": 0}, "rank_ratio")]:
        with pytest.raises(ValueError, match=words):
            low_rank(net, **options)


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
    assert edge.count_parameters(compress_model(net, "low_rank", rank=1))["total_parameters"] < edge.count_parameters(net)["total_parameters"]
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
