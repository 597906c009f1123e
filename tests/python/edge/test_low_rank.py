"""Products of low rank: SVD, Tucker and CP forms against NumPy, variational Bayes against SciPy, exports against onnxruntime and LiteRT."""

import copy

import numpy as np
import pytest
from judges import judge
from nets import SMALL_SHAPE, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn, optim
from miniten.edge import LowRankApproximation, low_rank, prune_model
from miniten.edge.compression import svd, vbmf_rank


def arrays_of(model):
    return {n.replace("/", "."): t.numpy().copy() for n, t in model.state_dict().items()}


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
    small, report = low_rank(net, report=True, measure=False, **options)
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
    small = low_rank(net, rank_ratio=0.5, measure=False)
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


# ---- forms of convolutions ----
def windows():
    mt.manual_seed(4)
    net = nn.Sequential(
        nn.Conv2d(6, 12, 5, stride=(2, 1), padding=(2, 1)), nn.ReLU(), nn.Conv2d(12, 16, 3, padding=2, dilation=2, bias=False), nn.ReLU6(), nn.Conv2d(16, 10, (3, 5), stride=2), nn.Conv2d(10, 8, 1),
        nn.Flatten(), nn.Linear(8 * 3 * 3, 12),
    ).eval()
    x = np.random.default_rng(1).normal(size=(2, 6, 16, 16)).astype("float32")
    while net[:-2](x).shape[1:] != (8, 3, 3):
        x = x[..., :-1, :] if net[:-2](x).shape[2] > 3 else x[..., :-1]
    net(x)
    return net, x


def product_of(form, parts, shape):
    """The weight that the factors multiply to."""
    o, i, h, w = shape
    parts = [p.astype("float64") for p in parts]
    if form == "svd":
        return np.einsum("orxy,rihw->oihw", parts[1], parts[0])
    if form == "spatial":
        return np.einsum("rihx,oryw->oihw", parts[0], parts[1])
    if form == "tucker":
        return np.einsum("qixy,pqhw,opab->oihw", *parts)
    return np.einsum("rixy,rzhw,orab->oihw", *parts)


@pytest.mark.parametrize("method", ["svd", "spatial", "tucker", "cp"])
@pytest.mark.parametrize("options", [{"rank": 3}, {"energy": 0.7}, {"rank_ratio": 0.4}, {"rank": "vbmf"}])
def test_the_factors_of_windows_multiply_to_what_the_report_says(method, options):
    net, x = windows()
    small, report = low_rank(net, method=method, measure=False, report=True, **options)
    state, given = arrays_of(small), arrays_of(net)
    twin = copy.deepcopy(net)
    for r in report.rows:
        w = given[f"{r.layer}.weight"]
        if r.reason or w.ndim == 2:
            continue
        parts = [state[f"{r.layer}.weight.{k}"] for k in ("first", "second", "third") if f"{r.layer}.weight.{k}" in state]
        assert r.form == ("svd" if w.shape[2:] == (1, 1) else method) and len(parts) == (2 if r.form in ("svd", "spatial") else 3)
        assert sum(p.size for p in parts) == r.after < r.before == w.size
        whole = product_of(r.form, parts, w.shape)
        assert np.linalg.norm(whole - w) / np.linalg.norm(w) == pytest.approx(r.error, abs=2e-3 if method == "cp" else 1e-5)
        with mt.no_grad():
            dict(twin.state_dict())[f"{r.layer}.weight"][...] = mt.tensor(whole.astype("float32"))
        if method == "spatial" and r.form == "spatial":
            o, i, h, wide = w.shape
            matrix = w.transpose(0, 3, 1, 2).reshape(o * wide, i * h)
            assert r.error == pytest.approx(np.linalg.norm(matrix - with_rank_k(matrix, r.rank)) / np.linalg.norm(matrix), abs=1e-5)
    assert sum(not r.reason for r in report.rows) >= 2
    with mt.no_grad():  # the linear layer is svd's in every method
        if not report.rows[-1].reason:
            dict(twin.state_dict())["7.weight"][...] = mt.tensor(state["7.weight.second"].T @ state["7.weight.first"].T)
    np.testing.assert_allclose(small(x).numpy(), twin(x).numpy(), atol=2e-4)


def test_tensors_of_low_rank_are_found():
    rng = np.random.default_rng(3)
    u, v, core = rng.normal(size=(20, 4)), rng.normal(size=(12, 3)), rng.normal(size=(4, 3, 3, 3))
    a, b, c = rng.normal(size=(20, 5)), rng.normal(size=(12, 5)), rng.normal(size=(9, 5))
    exact = {"tucker": np.einsum("op,iq,pqhw->oihw", u, v, core), "cp": np.einsum("or,ir,tr->oit", a, b, c).reshape(20, 12, 3, 3), "spatial": np.einsum("rih,orw->oihw", rng.normal(size=(4, 12, 3)), rng.normal(size=(20, 4, 3)))}
    for method, w in exact.items():
        net = nn.Sequential(nn.Conv2d(12, 20, 3))
        with mt.no_grad():
            net[0].weight[...] = mt.tensor(w.astype("float32"))
        _, report = low_rank(net, method=method, energy=0.999999, measure=False, report=True, input_shape=(1, 12, 6, 6))
        row = report.rows[0]
        assert not row.reason and row.error < (0.02 if method == "cp" else 2e-3)
        if method == "tucker":
            assert (row.rank, row.input_rank) == (4, 3)
    noise = rng.normal(size=(20, 12, 3, 3))
    net = nn.Sequential(nn.Conv2d(12, 20, 3))
    with mt.no_grad():
        net[0].weight[...] = mt.tensor(noise.astype("float32"))
    _, report = low_rank(net, method="tucker", rank=6, measure=False, report=True, input_shape=(1, 12, 6, 6))
    u = np.linalg.svd(noise.reshape(20, -1), full_matrices=False)[0][:, :6]
    v = np.linalg.svd(noise.transpose(1, 0, 2, 3).reshape(12, -1), full_matrices=False)[0][:, :6]
    hosvd = np.einsum("op,iq,pqhw->oihw", u, v, np.einsum("op,iq,oihw->pqhw", u, v, noise))
    assert report.rows[0].error < np.linalg.norm(noise - hosvd) / np.linalg.norm(noise)  # iterations gain over the truncated one


# ---- ranks ----
def vbmf_by_scipy(w):
    """Nakajima et al. 2013, with the noise's variance by SciPy."""
    optimize = judge("scipy.optimize")
    l, m = sorted(w.shape)
    s = np.linalg.svd(w.astype("float64"), compute_uv=False)
    alpha = l / m
    tau_bar = 2.5129 * np.sqrt(alpha)
    x_bar = (1 + tau_bar) * (1 + alpha / tau_bar)

    def energy(v):
        x = s**2 / (m * v)
        high, low = x[x > x_bar], x[x <= x_bar]
        tau = (high - (1 + alpha) + np.sqrt((high - (1 + alpha)) ** 2 - 4 * alpha)) / 2
        return np.sum(low - np.log(low)) + np.sum(high - tau) + np.sum(np.log((tau + 1) / high)) + alpha * np.sum(np.log(tau / alpha + 1))

    most = int(min(np.ceil(l / (1 + alpha)) - 1, l)) - 1
    lower, upper = max(s[most + 1] ** 2 / (m * x_bar), np.mean(s[most + 1 :] ** 2) / m), np.sum(s**2) / (l * m)
    best = min(np.linspace(lower, upper, 400), key=energy)
    v = optimize.minimize_scalar(energy, bounds=(max(lower, best * 0.98), min(upper, best * 1.02)), method="bounded").x
    return int((s > np.sqrt(m * v * x_bar)).sum())


@pytest.mark.parametrize("seed", range(6))
def test_variational_bayes_finds_what_is_not_noise(seed):
    rng = np.random.default_rng(seed)
    m, n, rank = [(60, 40, 5), (40, 90, 8), (128, 128, 12), (30, 200, 3), (64, 64, 1), (100, 50, 20)][seed]
    w = (rng.normal(size=(m, rank)) @ rng.normal(size=(rank, n)) + rng.normal(size=(m, n)) * 0.5).astype("float32")
    assert vbmf_rank(w) == vbmf_by_scipy(w) == rank
    assert vbmf_rank(rng.normal(size=(m, n)).astype("float32")) <= 2 and vbmf_rank(np.zeros((m, n), "float32")) == 1
    with pytest.raises(ValueError, match="matrix"):
        vbmf_rank(np.ones(3, "float32"))


@pytest.mark.parametrize("method", ["svd", "spatial", "tucker"])
def test_budgets_of_weights_are_met(method):
    net, x = windows()
    for budget in (0.8, 0.5, 0.3):
        _, report = low_rank(net, budget=budget, method=method, measure=False, report=True)
        before, after = sum(r.before for r in report.rows), sum(r.after for r in report.rows)
        assert 0.7 * budget * before < after <= budget * before
    with pytest.raises(ValueError, match="rank 1 everywhere comes to 0.0"):
        low_rank(net, budget=0.001, method=method)


# ---- by what the layers read ----
def test_activations_whiten_the_decomposition():
    rng = np.random.default_rng(0)
    mt.manual_seed(1)
    net = nn.Sequential(nn.Linear(24, 40), nn.Tanh(), nn.Linear(40, 16)).eval()
    x = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 24)) + 0.05 * rng.normal(size=(300, 24))).astype("float32")
    net(x)
    aware, report = low_rank(net, 4, data=[x[:100], x[100:]], measure=False, report=True)
    blind = low_rank(net, 4, measure=False)
    want = net(x).numpy()
    assert np.linalg.norm(aware(x).numpy() - want) < 0.8 * np.linalg.norm(blind(x).numpy() - want)
    heard = {}
    hook = net[1].register_forward_hook(lambda m, i, o: heard.update(h=o.numpy()))
    net(x)
    hook.remove()
    for r, inputs in zip(report.rows, (x, heard["h"]), strict=True):  # the least there is: singular values of what the layer gives
        s = np.linalg.svd(inputs.astype("float64") @ arrays_of(net)[f"{r.layer}.weight"].T.astype("float64"), compute_uv=False)
        assert r.error == pytest.approx(np.sqrt((s[4:] ** 2).sum() / (s**2).sum()), abs=5e-3)
    conv, images_ = windows()
    aware, blind = low_rank(conv, 4, data=images_, measure=False), low_rank(conv, 4, measure=False)
    want = conv(images_).numpy()
    assert np.linalg.norm(aware(images_).numpy() - want) < np.linalg.norm(blind(images_).numpy() - want)
    for bad, words in [([], "batch"), (np.full((2, 24), np.nan, "float32"), "finite")]:
        with pytest.raises(ValueError, match=words):
            low_rank(net, 4, data=bad, measure=False)


# ---- recurrent layers and attention ----
class Sequence(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(20, 6)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_are_factorised(kind, tmp_path):
    mt.manual_seed(3)
    net = Sequence(kind(32, 20, num_layers=2, batch_first=True)).eval()
    x = np.random.default_rng(2).normal(size=(3, 7, 32)).astype("float32")
    net(x)
    small, report = low_rank(net, 4, measure=False, report=True)
    twin, state = copy.deepcopy(net), arrays_of(net)
    rows = [r for r in report.rows if r.op == "recurrent"]
    names = [f"layer.weight_{of}_l{i}" for i in (0, 1) for of in ("ih", "hh")]
    assert [r.layer for r in rows] == names and not any(r.reason for r in rows)
    with mt.no_grad():
        for name in [*names, "head.weight"]:
            dict(twin.state_dict())[name][...] = mt.tensor(with_rank_k(state[name], 4).astype("float32"))
    np.testing.assert_allclose(small(x).numpy(), twin(x).numpy(), atol=1e-5)
    small.train()
    nn.MSELoss()(small(x), np.zeros((3, 6), "float32")).backward()
    assert all(p.grad is not None for p in small.parameters()) and len(list(small.parameters())) == len(list(net.parameters())) + 5
    small.eval()
    session = mt.compile(small, x.shape)
    assert session.graph.ops.count("recurrent_factored") == 2
    np.testing.assert_allclose(session(x), small(x).numpy(), atol=1e-5)
    edge.export_onnx(small, x.shape, tmp_path / "m.onnx")
    session = judge("onnxruntime").InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {session.get_inputs()[0].name: x})[0], small(x).numpy(), atol=1e-5)


def test_attention_is_factorised():
    mt.manual_seed(3)
    net = nn.TransformerEncoderLayer(32, 4, dim_feedforward=64, batch_first=True).eval()
    x = np.random.default_rng(2).normal(size=(2, 5, 32)).astype("float32")
    net(x)
    small, report = low_rank(net, 6, measure=False, report=True)
    assert len(report.rows) == 4 and not any(r.reason for r in report.rows)
    twin, state = copy.deepcopy(net), arrays_of(net)
    with mt.no_grad():
        for name, t in twin.state_dict().items():
            if t.ndim == 2:
                t[...] = mt.tensor(with_rank_k(state[name], 6).astype("float32"))
    np.testing.assert_allclose(small(x).numpy(), twin(x).numpy(), atol=1e-4)


# ---- only where it is faster ----
def test_layers_stay_where_factors_are_slower():
    mt.manual_seed(1)
    net = nn.Sequential(nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 12), nn.ReLU(), nn.Linear(12, 12)).eval()
    net(np.zeros((1, 1024), "float32"))
    small, report = low_rank(net, 8, report=True)
    rows = {r.layer: r for r in report.rows}
    assert not rows["0"].reason and rows["0"].factored_us < rows["0"].dense_us
    for r in report.rows:
        if "slower" in r.reason:
            assert r.factored_us >= r.dense_us > 0 and r.after == r.before
        elif not r.reason:
            assert 0 < r.factored_us < r.dense_us and r.after < r.before
    assert "us, " in str(report) and str(report).count("\n") == 4
    conv, x = windows()
    _, report = low_rank(conv, 2, method="cp", report=True)
    assert all(r.dense_us > 0 for r in report.rows if not r.reason or "slower" in r.reason)


@pytest.mark.parametrize("method", ["spatial", "tucker", "cp"])
def test_exports(method, tmp_path):
    net, x = windows()
    small = low_rank(net, rank_ratio=0.5, method=method, measure=False)
    want = small(x[:1]).numpy()
    edge.export_onnx(small, (1, *x.shape[1:]), tmp_path / "m.onnx")
    session = judge("onnxruntime").InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {session.get_inputs()[0].name: x[:1]})[0], want, atol=1e-4)
    edge.export_tflite(small, (1, *x.shape[1:]), tmp_path / "m.tflite")
    np.testing.assert_allclose(edge.load_tflite(tmp_path / "m.tflite")(x[:1].transpose(0, 2, 3, 1)).numpy(), want, atol=1e-4)


def test_low_rank_refuses():
    net, _ = windows()
    for options, words in [({"method": "qr"}, "spatial"), ({"budget": 0.0}, "budget"), ({"budget": 1.0}, "budget"), ({"budget": 0.5, "rank": 2}, "both"), ({"rank": "best"}, "vbmf"), ({"rank": "vbmf", "energy": 0.5}, "both"),
                           ({"rank": -3}, "rank"), ({"energy": float("nan")}, "energy")]:
        with pytest.raises(ValueError, match=words):
            low_rank(net, **options)
    with mt.no_grad():
        net[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="0.weight"):
        low_rank(net)
