"""Structured pruning: a net with channels cut out computes what the net with those channels' weights at zero does."""

import copy

import numpy as np
import pytest
from judges import judge
from nets import NETS, fresh_net, images, same_snapshot, small_net, snapshot, zeroed

import miniten as mt
from miniten import edge, nn, optim
from miniten.edge import channel_groups, prune_model


def made(name, seed=1):
    make, shape = NETS[name]
    mt.manual_seed(seed)
    net = make()
    x = np.random.default_rng(seed).normal(size=shape).astype("float32")
    for _ in range(3):
        net.train()(x)  # batch norms get statistics that are not the initial ones
    net.eval()(x)
    return net, x


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("importance", ["l1", "random"])
@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.9])
def test_equals_the_net_whose_channels_are_zero(name, importance, sparsity):
    net, x = made(name)
    before = snapshot(net)
    p = prune_model(net, sparsity, method="structured", importance=importance, seed=3)
    assert same_snapshot(before, snapshot(net)), "the model given was modified"
    want, got = zeroed(net, p.kept)(x).numpy(), p(x).numpy()
    assert np.abs(got - want).max() <= 1e-5 * max(1, np.abs(want).max())
    assert got.shape == net(x).shape
    assert np.abs(want - net(x).numpy()).max() > 1e-4 or sparsity < 0.3
    a, b = edge.count_flops(net, x.shape)["total_macs"], edge.count_flops(p, x.shape)["total_macs"]
    assert b < a and edge.count_parameters(p)["total_parameters"] < edge.count_parameters(net)["total_parameters"]
    for axes in p.kept.values():
        for indices in axes.values():
            assert indices == sorted(set(indices)) and indices
    bigger = np.concatenate([x, x + 1])  # any batch
    np.testing.assert_allclose(p(bigger).numpy(), zeroed(net, p.kept)(bigger).numpy(), atol=1e-5)


def test_cuts_the_share_asked_for():
    net, x = made("blocks")
    sizes = {g.name: g.channels for g in channel_groups(net, x.shape)}
    for sparsity in (0.25, 0.5, 0.75):
        layer = prune_model(net, sparsity, method="structured", scope="layer")
        for g in channel_groups(layer, x.shape):
            n = sizes[g.name]
            assert g.channels == max(1, n - round(sparsity * n))
        everywhere = prune_model(net, sparsity, method="structured")
        left = sum(g.channels for g in channel_groups(everywhere, x.shape))
        total = sum(sizes.values())
        assert left == total - round(sparsity * total)


def test_groups_are_what_exists_together():
    groups = {g.name: g for g in channel_groups(made("blocks")[0], (1, 3, 8, 8))}
    assert set(groups) == {"stem", "a1", "b1", "b2"}
    assert set(groups["stem"].layers) == {"stem", "a2"} and groups["stem"].channels == 8
    assert {("stem.weight", 0), ("a2.weight", 0), ("a1.weight", 1), ("b1.weight", 1), ("cut.weight", 1), ("stem_norm.running_var", 0), ("n2.bias", 0)} <= set(groups["stem"].axes)
    assert set(groups["b2"].layers) == {"b2", "cut"} and ("head.weight", 1) in groups["b2"].axes
    assert "stem: 8 channels;" in str(groups["stem"]) and "a1.weight[1]" in str(groups["stem"])
    (heads,) = channel_groups(made("attention")[0], (2, 5, 12))
    assert heads.channels == 6 and set(heads.axes) >= {("q.weight", 0), ("k.weight", 0), ("v.weight", 0), ("out.weight", 1)}
    gate = {g.name: g.channels for g in channel_groups(made("gate")[0], (2, 3, 4, 4))}
    assert gate == {"a": 8, "b": 6, "c": 20}
    grouped = {g.name: g.channels for g in channel_groups(made("grouped")[0], (2, 3, 12, 12))}
    assert grouped == {"a": 4, "b": 6}  # one of each group together; the depthwise convolution follows b


def test_l1_goes_by_the_outputs_of_each_layer():
    mt.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 10, 3), nn.ReLU(), nn.Conv2d(10, 4, 3)).eval()
    p = prune_model(net, 0.4, method="structured", input_shape=(1, 3, 9, 9))
    norms = np.abs(net[0].weight.numpy()).sum((1, 2, 3))
    assert p.kept["0.weight"][0] == sorted(np.argsort(norms, kind="stable")[4:].tolist()) == p.kept["2.weight"][1] == p.kept["0.bias"][0]
    _, _, kept = edge.structured_prune(net[0].weight.numpy(), 0.4)
    assert list(kept) == p.kept["0.weight"][0]
    l2 = prune_model(net, 0.4, method="structured", importance="l2", input_shape=(1, 3, 9, 9))
    assert l2.kept["0.weight"][0] == sorted(np.argsort((net[0].weight.numpy() ** 2).sum((1, 2, 3)))[4:].tolist())
    w = net[0].weight.numpy().reshape(10, -1).astype("float64")
    distances = np.sqrt(((w[:, None] - w[None]) ** 2).sum(-1)).sum(1)
    fpgm = prune_model(net, 0.4, method="structured", importance="geometric_median", input_shape=(1, 3, 9, 9))
    assert fpgm.kept["0.weight"][0] == sorted(np.argsort(distances)[4:].tolist())


def test_bn_scale():
    mt.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 10, 3), nn.BatchNorm2d(10), nn.ReLU(), nn.Conv2d(10, 4, 3)).eval()
    gamma = np.random.default_rng(1).permutation(10).astype("float32") - 4.5
    with mt.no_grad():
        net[1].weight[...] = mt.tensor(gamma)
    p = prune_model(net, 0.4, method="structured", importance="bn_scale", input_shape=(1, 3, 9, 9))
    assert p.kept["0.weight"][0] == sorted(np.argsort(np.abs(gamma), kind="stable")[4:].tolist())
    with pytest.raises(ValueError, match="bn_scale"):
        prune_model(nn.Sequential(nn.Conv2d(3, 10, 3), nn.Conv2d(10, 4, 3)), 0.4, method="structured", importance="bn_scale", input_shape=(1, 3, 9, 9))


def test_options():
    mt.manual_seed(2)
    net = nn.Sequential(nn.Linear(10, 40), nn.ReLU(), nn.Linear(40, 24), nn.ReLU(), nn.Linear(24, 5))
    sizes = lambda p: [g.channels for g in channel_groups(p, (1, 10))]  # noqa: E731
    prune = lambda s, **o: prune_model(net, s, method="structured", input_shape=(1, 10), **o)  # noqa: E731
    assert sizes(prune(0.5, scope="layer")) == [20, 12]
    assert sizes(prune(0.5, scope="layer", round_to=8)) == [24, 16]
    assert sizes(prune(0.95, scope="layer", min_channels=7)) == [7, 7]
    assert sizes(prune(0.99)) == [1, 1]  # a layer never loses all
    assert sizes(prune(0.5, ratios={"0": 0.25, "2.weight": 0.0})) == [30, 24]
    assert sizes(prune(0.5, scope="layer", ratios={"2": 0.75})) == [20, 6]
    assert sizes(prune(0.5, scope="layer", skip=["4"])) == [20, 24]  # the last layer stays whole, so what it reads does
    assert all(n % 16 == 0 or n in (40, 24) for n in sizes(prune(0.3, round_to=16)))
    for options, words in [({"ratios": {"9": 0.5}}, "9"), ({"ratios": {"0": 1.0}}, "sparsity"), ({"skip": ["nowhere"]}, "nowhere"), ({"skip": ["*"]}, "skipped"), ({"min_channels": 0}, "min_channels"),
                           ({"round_to": 0}, "round_to"), ({"importance": "beauty"}, "beauty"), ({"scope": "town"}, "town")]:
        with pytest.raises(ValueError, match=words):
            prune(0.5, **options)


def test_refuses():
    with pytest.raises(ValueError, match="input_shape"):
        prune_model(fresh_net(), 0.5, method="structured")
    with pytest.raises(NotImplementedError, match="quantise"):
        prune_model(edge.quantize_model(small_net(), calibration_data=images(4, 1)), 0.5, method="structured")
    with pytest.raises(ValueError, match="channels"):
        prune_model(nn.Sequential(nn.Linear(4, 3)), 0.5, method="structured", input_shape=(1, 4))
    net = small_net()
    with mt.no_grad():
        net[7].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="7.weight"):
        prune_model(net, 0.5, method="structured")
    p = prune_model(small_net(), 0.5, method="structured")
    with pytest.raises(NotImplementedError, match="copy"):
        p.prune(0.7)


@pytest.mark.parametrize("name", NETS)
def test_goes_on_as_any_model(name, tmp_path):
    net, x = made(name)
    p = prune_model(net, 0.5, method="structured", scope="layer")
    want = p(x).numpy()
    report = p.report()
    original = {n: t.numpy().size for n, t in net.state_dict().items()}
    assert all(r.total == original[r.weight] for r in report.rows) and report.zeros > 0
    assert p.actual_sparsity() == report.zeros / report.total and report.dense_bytes > report.bytes == p.size_bytes()
    p.save(tmp_path / "p.npz")
    back = edge.load_miniten(tmp_path / "p.npz")
    assert np.array_equal(back(x).numpy(), want) and back.kept == p.kept and str(back.report()) == str(report)
    assert np.array_equal(copy.deepcopy(p)(x).numpy(), want)
    edge.export_onnx(p, x.shape, tmp_path / "p.onnx")
    onnx, ort = judge("onnx"), judge("onnxruntime")
    onnx.checker.check_model(str(tmp_path / "p.onnx"), full_check=True)
    theirs = ort.InferenceSession(str(tmp_path / "p.onnx"), providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]
    assert np.abs(theirs - want).max() <= 1e-5 * max(1, np.abs(want).max())
    q = edge.quantize_model(p, calibration_data=x)
    assert np.abs(q(x).numpy() - want).max() <= 0.1 * max(1, np.abs(want).max())
    zeros = prune_model(p, 0.5)  # and zeros in what is left
    assert zeros.actual_sparsity() == pytest.approx(0.5, abs=0.01)
    again = prune_model(p, 0.5, method="structured", scope="layer")
    assert edge.count_flops(again, x.shape)["total_macs"] < edge.count_flops(p, x.shape)["total_macs"]
    p.train()
    optimizer = optim.SGD(p.parameters(), lr=0.01)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = (p(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_masks_stay_with_what_is_left():
    net = small_net()
    p = prune_model(prune_model(net, 0.5), 0.5, method="structured", scope="layer")
    for name, mask in p.masks.items():
        w = {n.replace("/", "."): t.numpy() for n, t in p.state_dict().items()}[name]
        assert mask.shape == w.shape and (w[~mask.numpy()] == 0).all() and not mask.numpy().all()


def test_random_chains():
    """Any legal cut of any net of these parts runs and equals its zeroed twin."""
    random, pruned = np.random.default_rng(5), 0
    for case in range(25):
        mt.manual_seed(case)

        class Chain(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers, self.kinds, channels = nn.ModuleList(), [], 3
                for _ in range(int(random.integers(2, 6))):
                    kind = random.choice(["conv", "depthwise", "grouped", "residual", "norm", "concat", "pool"])
                    if kind == "conv":
                        out = int(random.integers(2, 5)) * 4
                        self.layers.append(nn.Conv2d(channels, out, 3, padding=1))
                        channels = out
                    elif kind == "depthwise":
                        self.layers.append(nn.Conv2d(channels, channels, 3, padding=1, groups=channels))
                    elif kind == "grouped" and channels % 2 == 0:
                        self.layers.append(nn.Conv2d(channels, channels * 2, 1, groups=2))
                        channels *= 2
                    elif kind == "norm":
                        self.layers.append(nn.BatchNorm2d(channels))
                    elif kind == "residual":
                        self.layers.append(nn.Conv2d(channels, channels, 3, padding=1))
                    elif kind == "concat":
                        self.layers.append(nn.Conv2d(channels, 4, 1))
                        channels += 4
                    else:
                        self.layers.append(nn.ReLU())
                        kind = "relu"
                    self.kinds.append(str(kind))
                self.head = nn.Linear(channels * 9, 4)

            def forward(self, x):
                for kind, layer in zip(self.kinds, self.layers, strict=True):
                    y = layer(x)
                    x = mt.tanh(y + x) if kind == "residual" else mt.cat([x, y], 1) if kind == "concat" else y
                return self.head(x.flatten(1))

        net = Chain()
        x = random.normal(size=(2, 3, 3, 3)).astype("float32")
        net(x)
        net.eval()(x)
        try:
            p = prune_model(net, float(random.uniform(0.2, 0.9)), method="structured", importance="random", seed=case)
        except ValueError as e:
            assert "channels between its layers" in str(e) and not channel_groups(net)
            continue
        want = zeroed(net, p.kept)(x).numpy()
        assert np.abs(p(x).numpy() - want).max() <= 2e-5 * max(1, np.abs(want).max()), net.kinds
        pruned += 1
    assert pruned >= 15
