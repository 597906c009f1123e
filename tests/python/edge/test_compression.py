"""Compression: k-means against brute force and scikit-learn, shared weights, any order of methods."""

import copy
import heapq
import itertools

import numpy as np
import pytest
from judges import judge
from nets import SMALL_SHAPE, SMALL_WEIGHTS, Residual, fresh_net, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn, optim
from miniten.edge import compress_model, prune_model, weight_sharing
from miniten.edge.compression import kmeans_1d


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
    for values in (rng.normal(size=700), rng.standard_t(2, size=700), np.r_[rng.normal(size=350), rng.normal(size=350) + 50], np.round(rng.normal(size=700) * 8), np.arange(700), np.repeat(np.arange(100), 7)):
        values = values.astype("float32")
        np.testing.assert_allclose(kmeans_1d(values, k)[2], dynamic_programming(values, k), rtol=1e-4, atol=1e-6)


def test_kmeans_beats_scikit_learn():
    cluster = judge("sklearn.cluster")
    values = np.random.default_rng(0).normal(size=20000).astype("float32")
    ours = kmeans_1d(values, 12)[2]
    theirs = cluster.KMeans(12, n_init=3, random_state=0).fit(values.reshape(-1, 1).astype("float64")).inertia_
    assert ours <= theirs * (1 + 1e-6)
    # the price of a cluster of many values is first looked for among every sixteenth
    values = np.random.default_rng(1).normal(size=300_000).astype("float32")
    c, labels, ours = kmeans_1d(values, 16)
    assert len(c) == 16 and len(np.unique(labels.numpy())) == 16
    theirs = cluster.KMeans(16, init=c.numpy().reshape(-1, 1), n_init=1).fit(values.reshape(-1, 1).astype("float64")).inertia_
    assert ours <= theirs * (1 + 1e-6)
    again = kmeans_1d(values, 16)
    assert np.array_equal(again[0].numpy(), c.numpy()) and again[2] == ours


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


def huffman_bits(count):
    heap, bits = list(map(int, count)), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        bits += both
        heapq.heappush(heap, both)
    return bits


@pytest.mark.parametrize("entropy", ["huffman", "rans"])
def test_entropy_coded_files(entropy, tmp_path):
    mt.manual_seed(2)
    net = nn.Sequential(nn.Linear(128, 96), nn.ReLU(), nn.Linear(96, 10))
    x = np.random.default_rng(0).standard_normal((3, 128)).astype("float32")
    with mt.no_grad():
        net[0].weight.copy_(mt.tensor(np.random.default_rng(1).standard_normal((96, 128)).astype("float32")))
    net.eval()
    net(x)
    for model in (weight_sharing(net, 16), weight_sharing(prune_model(net, 0.9), 20), weight_sharing(net, 8, start="linear")):
        plain, coded = model.save(tmp_path / "a.npz"), model.save(tmp_path / "b.npz", entropy=entropy)
        assert coded == model.size_bytes(entropy) == (tmp_path / "b.npz").stat().st_size <= plain == model.size_bytes()
        assert edge.export_miniten(model, tmp_path / "c.npz", entropy=entropy).bytes == coded
        again = mt.load(str(tmp_path / "b.npz"))
        for n, a in arrays_of(model).items():
            assert np.array_equal(a, arrays_of(again)[n])
        assert (again(x).numpy() == model(x).numpy()).all()
        bits = 0
        for n in ("0.weight", "2.weight"):
            _, count = np.unique(arrays_of(model)[n], return_counts=True)
            if entropy == "rans":
                bits += -(count * np.log2(count / count.sum())).sum()
            else:  # zeros of a pruned weight are its mask's
                bits += huffman_bits(np.sort(count)[:-1]) + arrays_of(model)[n].size if count.max() > 0.8 * count.sum() else huffman_bits(count)
        assert coded < bits / 8 * 1.02 + 3000  # the graph, the codebooks and their frequencies
    assert coded < plain
    with pytest.raises(ValueError, match="huffman or rans"):
        model.save(tmp_path / "c.npz", entropy="zip")


def bit_by_bit(coded, book, n):
    """Huffman's canonical codes of a file, bit by bit: lengths of four bits each, then codes that ascend by length and place."""
    length = np.stack([coded[: (len(book) + 1) // 2] >> 4, coded[: (len(book) + 1) // 2] & 15], 1).reshape(-1)[: len(book)]
    code, codes = 0, {}
    for bits in range(1, 16):
        for s in np.flatnonzero(length == bits):
            codes[(bits, code)] = s
            code += 1
        code <<= 1
    out, now, width = [], 0, 0
    for bit in np.unpackbits(coded[(len(book) + 1) // 2 :]):
        now, width = now << 1 | int(bit), width + 1
        if (width, now) in codes:
            out.append(codes[(width, now)])
            now = width = 0
            if len(out) == n:
                break
    return book[out]


def test_huffman_is_read_with_numpy_alone(tmp_path):
    mt.manual_seed(5)
    shared = weight_sharing(prune_model(nn.Sequential(nn.Linear(70, 90)), 0.6, input_shape=(1, 70)), 18)
    shared.save(tmp_path / "h.npz", entropy="huffman")
    stored, w = np.load(tmp_path / "h.npz"), arrays_of(shared)["0.weight"]
    mask = np.unpackbits(stored["0.weight.mask"])[: w.size].astype(bool).reshape(w.shape)
    assert stored["0.weight"].dtype == np.uint8 and stored["0.weight"].nbytes < 5 * mask.sum() / 8
    assert np.array_equal(bit_by_bit(stored["0.weight"], stored["0.weight.codebook"], mask.sum()), w[mask]) and not w[~mask].any()


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
