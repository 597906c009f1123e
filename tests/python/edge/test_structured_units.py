"""Units of recurrent layers, columns of embeddings, heads of attention, transposed convolutions: cut with what reads them."""

import numpy as np
import pytest
from judges import judge
from nets import NETS, zeroed

import miniten as mt
from miniten import edge, nn
from miniten.edge import channel_groups, prune_model


class Words(nn.Module):
    """Tokens through an embedding and a recurrent layer of two levels."""

    def __init__(self, kind="LSTM", bidirectional=False, padding=None):
        super().__init__()
        self.embed = nn.Embedding(17, 12, padding_idx=padding)
        self.layer = getattr(nn, kind)(12, 10, num_layers=2, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(20 if bidirectional else 10, 5)

    def forward(self, x):
        return self.head(self.layer(self.embed(x))[0][:, -1])


class Decoder(nn.Module):
    """Transposed convolutions and a pixel shuffle."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3, padding=1), nn.ConvTranspose2d(8, 12, 2, stride=2), nn.ConvTranspose2d(12, 12, 3, groups=12, padding=1)
        self.d, self.shuffle, self.e = nn.Conv2d(12, 24, 1), nn.PixelShuffle(2), nn.Conv2d(6, 4, 1)

    def forward(self, x):
        x = mt.relu(self.b(mt.relu(self.a(x))))
        return self.e(mt.tanh(self.shuffle(self.d(self.c(x)))))


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.out = nn.MultiheadAttention(24, 6, batch_first=True), nn.Linear(24, 3)

    def forward(self, x):
        return self.out(self.attention(x, x, x, need_weights=False)[0])


TOKENS = np.random.default_rng(3).integers(0, 17, size=(3, 7))
MADE = {
    **{kind: (lambda kind=kind: Words(kind), TOKENS) for kind in ("LSTM", "GRU", "RNN")}, "both ways": (lambda: Words("LSTM", True), TOKENS), "padded": (lambda: Words("GRU", padding=4), TOKENS),
    "decoder": (Decoder, np.random.default_rng(1).normal(size=(2, 3, 5, 5)).astype("float32")), "heads": (Heads, np.random.default_rng(1).normal(size=(2, 5, 24)).astype("float32")),
}
SETS = {
    "LSTM": {"embed": 12, "layer": 10}, "GRU": {"embed": 12, "layer": 10}, "RNN": {"embed": 12, "layer": 10}, "both ways": {"embed": 12, "layer": 10}, "padded": {"embed": 12, "layer": 10}, "decoder": {"a": 8, "b": 12, "d": 6}, "heads": {"attention": 6},
}


def net_of(name):
    mt.manual_seed(5)
    make, x = MADE[name]
    net = make().eval()
    net(x)
    return net, x


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("importance", ["l1", "random", "taylor"])
def test_units_go_with_all_that_is_theirs(name, importance):
    net, x = net_of(name)
    groups = channel_groups(net)
    assert {g.name: g.channels for g in groups}.items() >= SETS[name].items()
    y = net(x).numpy()
    data = [(x, np.zeros_like(y))] if importance == "taylor" else None
    for sparsity in (0.3, 0.7):
        p = prune_model(net, sparsity, method="structured", importance=importance, scope="layer", data=data, seed=2)
        want, got = zeroed(net, p.kept)(x).numpy(), p(x).numpy()
        assert np.abs(got - want).max() <= 2e-5 * max(1, np.abs(want).max())
        assert edge.count_parameters(p)["total_parameters"] < edge.count_parameters(net)["total_parameters"]
        left = {g.name: g.channels for g in channel_groups(p)}
        for group, size in SETS[name].items():
            assert left[group] == max(1, size - round(sparsity * size))


def test_units_are_printed_with_their_gates():
    groups = {g.name: g for g in channel_groups(net_of("LSTM")[0])}
    text = str(groups["embed"])
    assert "embed: 12 channels;" in text and "embed.weight[1]" in text and "layer.weight_ih_l0[1]" in text
    axes = [a for g in channel_groups(net_of("LSTM")[0]) for a in g.axes]
    assert {("layer.weight_hh_l0", 0), ("layer.weight_hh_l0", 1), ("layer.bias_hh_l1", 0), ("layer.weight_ih_l1", 1), ("head.weight", 1)} <= set(axes)
    kept = prune_model(net_of("LSTM")[0], 0.5, method="structured", scope="layer").kept["layer.weight_ih_l0"][0]
    assert len(kept) == 20 and kept[:5] == [k - 10 for k in kept[5:10]] == [k - 30 for k in kept[15:]]  # the same units of each gate


@pytest.mark.parametrize("name", [*NETS, *MADE])
def test_every_cut_net_exports(name, tmp_path):
    if name in MADE:
        net, x = net_of(name)
    else:
        make, shape = NETS[name]
        mt.manual_seed(5)
        net, x = make().eval(), np.random.default_rng(1).normal(size=shape).astype("float32")
        net(x)
    x = x[:1]
    p = prune_model(net, 0.5, method="structured", scope="layer")
    want = p(x).numpy()
    dtypes = [str(x.dtype)]
    edge.export_onnx(p, x.shape, tmp_path / "a.onnx", input_dtypes=dtypes)
    session = judge("onnxruntime").InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {session.get_inputs()[0].name: x})[0], want, atol=1e-5)
    interpreter = judge("ai_edge_litert.interpreter")
    edge.export_tflite(p, x.shape, tmp_path / "a.tflite", input_dtypes=dtypes, keep_layout=True)
    i = interpreter.Interpreter(model_path=str(tmp_path / "a.tflite"))
    i.allocate_tensors()
    i.set_tensor(i.get_input_details()[0]["index"], x)
    i.invoke()
    np.testing.assert_allclose(i.get_tensor(i.get_output_details()[0]["index"]), want, atol=2e-5)
    edge.export_c(p, x.shape, tmp_path / "c", input_dtypes=dtypes, verify="host")  # compiled, and its self test run
