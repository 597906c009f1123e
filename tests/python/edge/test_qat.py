"""Quantisation-aware training: rounding and its gradients against torch, eval mode against the integer engine, accuracy on real digits."""

import copy
import functools

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn
from miniten.edge import convert, export_onnx, load_miniten, prepare_qat, prune_model, quantization, quantize_model

CLASSES = 10


def small_net(seed=1):
    mt.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Conv2d(8, 12, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(192, CLASSES),
    )


class Residual(nn.Module):
    """Two paths added, joined and averaged: shapes of ResNet-8."""

    def __init__(self):
        super().__init__()
        mt.manual_seed(2)
        self.stem, self.stem_norm = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.a, self.a_norm = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.b, self.b_norm = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16)
        self.cut, self.pool, self.head = nn.Conv2d(8, 16, 1, stride=2), nn.GlobalAvgPool2d(), nn.Linear(32, CLASSES)

    def forward(self, x):
        x = mt.relu(self.stem_norm(self.stem(x)))
        x = mt.relu(self.a_norm(self.a(x)) + x)
        y = mt.relu(self.b_norm(self.b(x)) + self.cut(x))
        return self.head(mt.flatten(self.pool(mt.concat([y, self.cut(x)], 1)), 1))


NETS = {"small": small_net, "residual": Residual}


@functools.cache
def digits():
    data = judge("sklearn.datasets").load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x, y = (data.images[order] / 8 - 1).astype("float32")[:, None], data.target[order].astype("int64")
    return (x[:1300], y[:1300]), (x[1300:], y[1300:])


def train(model, data, steps, lr, seed=0, batch=64):
    (x, y), draw = data, np.random.default_rng(seed)
    optimizer = mt.optim.Adam(model.parameters(), lr=lr)
    model.train()
    losses = []
    for _ in range(steps):
        at = draw.integers(0, len(y), batch)
        loss = nn.functional.cross_entropy(model(x[at]), y[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses


def accuracy(model, data):
    return float(np.mean(np.argmax(model(data[0]).numpy(), 1) == data[1]))


# ---- rounding ----
def points(rng, shape):
    return (rng.normal(size=shape) * 3).astype("float32")


@pytest.mark.parametrize("low, high, zero", [(-128, 127, 5), (0, 255, 128), (-8, 7, 0)])
def test_fake_quantize_is_torchs(low, high, zero):
    torch, rng = judge("torch"), np.random.default_rng(3)
    x, scale = points(rng, (4, 6, 5)), 0.125
    g = points(rng, x.shape)
    a, b = mt.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours, theirs = quantization.fake_quantize(a, scale, zero, low, high), torch.fake_quantize_per_tensor_affine(b, scale, zero, low, high)
    np.testing.assert_array_equal(ours.numpy(), theirs.detach().numpy())
    (ours * mt.Tensor(g)).sum().backward()
    (theirs * torch.tensor(g)).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_fake_quantize_by_channel_is_torchs():
    torch, rng = judge("torch"), np.random.default_rng(4)
    x, scale, zero = points(rng, (3, 5, 4)), np.array([0.5, 0.25, 0.0625, 1, 2], "float32"), np.array([0, 3, -4, 1, 0], "int32")
    a, b = mt.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours = quantization.fake_quantize(a, scale, zero, -16, 15, axis=1)
    theirs = torch.fake_quantize_per_channel_affine(b, torch.tensor(scale), torch.tensor(zero), 1, -16, 15)
    np.testing.assert_array_equal(ours.numpy(), theirs.detach().numpy())
    ours.sum().backward()
    theirs.sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


@pytest.mark.parametrize("axis", [None, 1])
def test_scales_learn_as_torchs(axis):
    torch, rng = judge("torch"), np.random.default_rng(5)
    x = points(rng, (3, 4, 5))
    scale, zero = (np.array([0.0625], "float32"), np.array([3], "float32")) if axis is None else (np.array([0.5, 0.0625, 0.125, 0.25], "float32"), np.array([0, 2, -3, 7], "float32"))
    g = points(rng, x.shape)
    theirs = [torch.tensor(v, requires_grad=True) for v in (x, scale, zero)]
    if axis is None:
        y = torch._fake_quantize_learnable_per_tensor_affine(*theirs, -16, 15, 1.0)
    else:
        y = torch._fake_quantize_learnable_per_channel_affine(*theirs, axis, -16, 15, 1.0)
    (y * torch.tensor(g)).sum().backward()
    ours = [mt.Tensor(x, requires_grad=True)] + [mt.Tensor(v if axis is not None else v[0], requires_grad=True) for v in (scale, zero)]
    z = quantization.fake_quantize(*ours, -16, 15, axis=axis)
    (z * mt.Tensor(g)).sum().backward()
    np.testing.assert_array_equal(z.numpy(), y.detach().numpy())
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad.numpy().reshape(-1), b.grad.numpy().reshape(-1), rtol=2e-5, atol=1e-5)


# ---- eval mode is the integer engine ----
OTHERS = [{"dtype": "int16"}, {"dtype": "int16x8"}, {"dtype": "int16x8", "learned_scales": True}, {"dtype": "int4"}, {"mode": "weight_only", "block": 16}, {"mode": "weight_only"},
          {"overrides": {0: {"dtype": "int16"}, -1: {"dtype": "int4"}}}]


@pytest.mark.parametrize("options", [{}, {"learned_scales": True}, {"activation_dtype": "uint8"}, {"activation_symmetric": True}, *OTHERS], ids=str)
@pytest.mark.parametrize("net", NETS)
def test_eval_mode_gives_the_bytes_of_the_converted_model(net, options):
    (data, _), net = digits(), NETS[net]()
    train(net, data, 3, 1e-3)
    prepared = prepare_qat(net, calibration_data=data[0][:64], **options)
    for steps in (0, 4):
        train(prepared, data, steps, 1e-3)
        integers = convert(prepared)
        stays = {r.reason for r in integers.report().rows if r.reason}
        assert stays <= ({"has no constant weights"} if {"dtype": "int4"} == options or options.get("mode") else set()), integers.report()
        np.testing.assert_array_equal(prepared(data[0][:50]).numpy(), integers(data[0][:50]).numpy())


class Sequence(nn.Module):
    """The rows of a digit, one after the other."""

    def __init__(self, layer):
        super().__init__()
        mt.manual_seed(3)
        self.body, self.head = layer(8, 24, batch_first=True), nn.Linear(24, CLASSES)

    def forward(self, x):
        return self.head(self.body(x[:, 0])[0][:, -1])


class Attends(nn.Module):
    def __init__(self):
        super().__init__()
        mt.manual_seed(3)
        self.body = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, activation="gelu")
        self.head = nn.Linear(64, CLASSES)

    def forward(self, x):
        return self.head(self.body(x[:, 0]).flatten(1))


ROWS = {"lstm": lambda: Sequence(nn.LSTM), "gru": lambda: Sequence(nn.GRU), "rnn": lambda: Sequence(nn.RNN), "attention": Attends}


@pytest.mark.parametrize("options", [{}, {"dtype": "int16"}, {"dtype": "int4"}], ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_recurrent_layers_and_attention_train_as_the_integers_compute(name, options):
    (data, _), net = digits(), ROWS[name]()
    train(net, data, 5, 3e-3)
    prepared = prepare_qat(net, calibration_data=data[0][:64], **options)
    losses = train(prepared, data, 12, 3e-3)
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    integers = convert(prepared)
    np.testing.assert_array_equal(prepared(data[0][:50]).numpy(), integers(data[0][:50]).numpy())
    if name != "attention" and not options:               # states of 16 bits, weights of 8
        assert {r.dtype for r in integers.report().rows if r.layer == "body"} == {"int16"}
    prepared.train()
    prepared.freeze_observers()
    with mt.no_grad():
        trained = prepared(data[0][:50]).numpy()
    assert np.abs(trained - integers(data[0][:50]).numpy()).max() < 0.1 * np.abs(trained).max()


@pytest.mark.parametrize("options", [{"dtype": "int4"}, {"mode": "weight_only", "block": 16}], ids=str)
def test_weights_that_are_stored_alone_are_those_that_trained(options):
    data, _ = digits()
    net = small_net()
    train(net, data, 5, 1e-3)
    prepared = prepare_qat(net, calibration_data=data[0][:64], freeze_batch_norm_at=0, **options)
    train(prepared, data, 5, 1e-3)
    integers = prepared(data[0][:64]).numpy()
    prepared.train()
    with mt.no_grad():
        np.testing.assert_allclose(prepared(data[0][:64]).numpy(), integers, rtol=1e-4, atol=1e-4)


def test_what_is_trained_is_what_is_stored():
    """A step away from the rounded weights' loss, the float weights alone move; what conversion stores is their rounding."""
    data, _ = digits()
    net = small_net()
    train(net, data, 5, 1e-3)
    prepared = prepare_qat(net, calibration_data=data[0][:64])
    train(prepared, data, 5, 1e-3)
    state = {k: v.numpy() for k, v in prepared.state_dict().items()}
    factor = state["1.weight"] / np.sqrt(state["1.running_var"].astype("float64") + 1e-5)
    folded = (state["0.weight"] * factor[:, None, None, None]).astype("float32")
    scale = np.abs(folded).max((1, 2, 3)) / np.float32(127)
    integers = convert(prepared).state_dict()["0/weight"].numpy()
    assert integers.dtype == np.int8
    np.testing.assert_array_equal(integers, np.rint(folded / scale[:, None, None, None]))


def test_rounding_in_training_is_that_of_the_integers():
    """Frozen, a training pass differs from the integer engine by less than a step of the output."""
    data, _ = digits()
    for make in NETS.values():
        net = make()
        train(net, data, 30, 1e-3)
        prepared = prepare_qat(net, calibration_data=data[0][:256], freeze_observers_at=0, freeze_batch_norm_at=0)
        prepared.train()
        with mt.no_grad():
            trained = prepared(data[0][:64]).numpy()
        prepared.eval()
        integers = prepared(data[0][:64]).numpy()
        step = prepared.observers[-1].scale
        assert np.abs(trained - integers).max() <= 3 * step
        assert np.mean(np.abs(trained - integers) > 1.01 * step) < 0.02


# ---- batch norm and observers ----
def test_batch_norm_trains_and_freezes():
    data, _ = digits()
    net = small_net()
    train(net, data, 3, 1e-3)
    prepared = prepare_qat(net, calibration_data=data[0][:64], freeze_batch_norm_at=2)

    def statistics():
        return prepared.state_dict()["1.running_mean"].numpy().copy()

    seen = [statistics()]
    for _ in range(4):
        train(prepared, data, 1, 1e-3)
        seen.append(statistics())
    moved = [not np.array_equal(a, b) for a, b in zip(seen, seen[1:])]
    assert moved == [True, True, False, False]
    prepared.freeze_batch_norm(False)
    train(prepared, data, 1, 1e-3)
    assert not np.array_equal(statistics(), seen[-1])


def test_observers_follow_the_data_and_freeze():
    data, _ = digits()
    prepared = prepare_qat(small_net(), calibration_data=data[0][:64], freeze_observers_at=2, observer_momentum=0.5)
    assert prepared.observers[0].layer == "input" and prepared.observers[0].lo == -1
    x = data[0][:32] * 3
    highs = []
    for _ in range(4):
        prepared.train()
        prepared(x)
        highs.append(prepared.observers[0].hi)
    assert highs == [2.0, 2.5, 2.5, 2.5]
    assert prepared.steps == 4


def test_the_first_batch_finds_ranges():
    data, _ = digits()
    prepared = prepare_qat(small_net(), input_shape=(1, 1, 8, 8))
    with pytest.raises(ValueError, match="saw no data"):
        convert(prepared)
    prepared.train()
    prepared(data[0][:16] * 2)
    assert prepared.observers[0].hi == 2 * data[0][:16].max()
    np.testing.assert_array_equal(prepared.eval()(data[0][:8]).numpy(), convert(prepared)(data[0][:8]).numpy())


def test_learned_scales_move():
    data, _ = digits()
    net = small_net()
    train(net, data, 20, 1e-3)
    prepared = prepare_qat(net, calibration_data=data[0][:128], learned_scales=True)
    before = {k: v.numpy().copy() for k, v in prepared.state_dict().items() if k.startswith("quantization.scales.")}
    assert len(before) == len(prepared.observers) + 4 == 9         # pooling and flattening share their input's; four weights
    train(prepared, data, 5, 1e-3)
    after = prepared.state_dict()
    assert all(not np.array_equal(v, after[k].numpy()) for k, v in before.items())
    assert set(before) <= {n for n, _ in prepared.named_parameters()}


# ---- the model around it ----
def test_the_given_model_stays_and_names_are_its_own():
    net = small_net()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    data, _ = digits()
    prepared = prepare_qat(net, calibration_data=data[0][:32])
    train(prepared, data, 2, 1e-2)
    for k, v in net.state_dict().items():
        np.testing.assert_array_equal(v.numpy(), before[k])
    names = {n for n, _ in prepared.named_parameters()}
    assert names == {n for n, _ in net.named_parameters()}
    missing = prepared.load_state_dict(net.state_dict(), strict=False)
    np.testing.assert_array_equal(prepared.state_dict()["0.weight"].numpy(), net.state_dict()["0.weight"].numpy())
    assert all(m.startswith("quantization.") for m in missing.missing_keys)


@pytest.mark.parametrize("learned_scales", [False, True])
def test_state_and_copies_carry_everything(learned_scales):
    data, _ = digits()
    net = small_net()
    train(net, data, 3, 1e-3)
    prepared = prepare_qat(net, calibration_data=data[0][:64], learned_scales=learned_scales)
    train(prepared, data, 3, 1e-3)
    twin = copy.deepcopy(prepared)
    fresh = prepare_qat(net, calibration_data=data[0][:8], learned_scales=learned_scales)
    fresh.load_state_dict(prepared.state_dict())
    want = prepared(data[0][:20]).numpy()
    for other in (twin, fresh):
        np.testing.assert_array_equal(other.eval()(data[0][:20]).numpy(), want)
    train(twin, data, 2, 1e-3, seed=5)
    train(prepared, data, 2, 1e-3, seed=5)
    np.testing.assert_array_equal(twin(data[0][:20]).numpy(), prepared(data[0][:20]).numpy())


def test_zeros_stay_through_training():
    data, _ = digits()
    pruned = prune_model(small_net(), 0.6)
    pruned(data[0][:2])
    masks = {k: v.numpy() for k, v in pruned.masks.items()}
    prepared = prepare_qat(pruned, calibration_data=data[0][:64])
    train(prepared, data, 6, 1e-2)
    state, stored = prepared.state_dict(), convert(prepared).state_dict()
    for name, mask in masks.items():
        assert not state[name].numpy()[~mask].any() and state[name].numpy()[mask].all()
        kept = stored[name.replace(".", "/")].numpy()
        assert (kept[~mask.reshape(kept.shape)] == 0).all() if kept.shape == mask.shape else (kept == 0).sum() >= (~mask).sum()


def test_a_converted_model_has_what_a_quantised_one_has(tmp_path):
    onnxruntime = judge("onnxruntime")
    data, _ = digits()
    net = small_net()
    train(net, data, 20, 1e-3)
    prepared = prepare_qat(net, calibration_data=data[0][:64])
    train(prepared, data, 5, 1e-3)
    q, want = convert(prepared), prepared(data[0][:40]).numpy()
    assert "trained with quantisation for 5 steps" in str(q.report()) and q.size_reduction() > 1.8
    q.save(tmp_path / "q.npz")
    np.testing.assert_array_equal(load_miniten(tmp_path / "q.npz")(data[0][:40]).numpy(), want)
    prepared.save(tmp_path / "p.npz")
    np.testing.assert_array_equal(load_miniten(tmp_path / "p.npz")(data[0][:40]).numpy(), want)
    export_onnx(q, (40, 1, 8, 8), tmp_path / "q.onnx")
    session = onnxruntime.InferenceSession((tmp_path / "q.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {session.get_inputs()[0].name: data[0][:40]})[0]
    np.testing.assert_array_equal(theirs.argmax(1), want.argmax(1))


def test_a_compiled_step_trains_as_an_eager_one():
    (x, y), _ = digits()
    x, y = x[:32], y[:32]
    states = []
    for compiled in (False, True):
        prepared = prepare_qat(small_net(), calibration_data=x, freeze_observers_at=2, freeze_batch_norm_at=3).train()
        optimizer = mt.optim.SGD(prepared.parameters(), lr=0.02)
        step = mt.compile_step(prepared, nn.CrossEntropyLoss(), optimizer, x.shape, y.shape, target_dtypes="int64") if compiled else None
        for _ in range(5):
            if step:
                step(x, y)
                continue
            loss = nn.functional.cross_entropy(prepared(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        states.append({k: v.numpy() for k, v in prepared.state_dict().items()})
    assert states[0]["quantization.steps"] == states[1]["quantization.steps"] == 5
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=2e-2, atol=2e-2, err_msg=name)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_trainer_trains_it(compiled):
    from miniten.utils.data import ArrayDataset, DataLoader

    training, test = digits()
    net = small_net()
    train(net, training, 100, 3e-3)
    prepared = prepare_qat(net, calibration_data=training[0][:128])
    trainer = mt.Trainer(prepared, mt.optim.AdamW(prepared.parameters(), lr=1e-3), "cross_entropy", ["accuracy"], compile=compiled)
    history = trainer.fit(DataLoader(ArrayDataset(*training), 65), DataLoader(ArrayDataset(*test), 71), epochs=2, verbose=False)
    assert prepared.steps == 40
    assert history["val_accuracy"][-1] == pytest.approx(accuracy(convert(prepared), test)) and history["val_accuracy"][-1] > 0.9


# ---- accuracy ----
class Separable(nn.Module):
    """Shapes of DS-CNN."""

    def __init__(self):
        super().__init__()

        def block(c, groups, k):
            return [nn.Conv2d(c, c, k, padding=k // 2, groups=groups, bias=False), nn.BatchNorm2d(c), nn.ReLU()]

        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            *block(16, 16, 3), *block(16, 1, 1), *block(16, 16, 3), *block(16, 1, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(256, CLASSES))

    def forward(self, x):
        return self.layers(x)


@functools.cache
def trained(net, seed):
    mt.manual_seed(seed)
    model = (NETS | {"separable": Separable})[net]()
    train(model, digits()[0], 150, 4e-3, seed=seed, batch=32)
    return model


@pytest.mark.parametrize("net, learned_scales", [("small", False), ("small", True), ("separable", False), ("separable", True), ("residual", False)])
def test_accuracy_stays(net, learned_scales):
    training, test = digits()
    floats, drops = [], []
    for seed in range(6):
        model = trained(net, seed)
        floats.append(accuracy(model, test))
        prepared = prepare_qat(model, calibration_data=training[0][:256], learned_scales=learned_scales, freeze_observers_at=40, freeze_batch_norm_at=40)
        train(prepared, training, 40, 5e-4, seed=seed + 10, batch=32)
        train(prepared, training, 20, 1e-4, seed=seed + 20, batch=32)
        drops.append(floats[-1] - accuracy(prepared, test))
    assert np.median(floats) > 0.8 and min(floats) > 0.75, floats
    assert np.median(drops) <= 0.003, drops


# ---- what is refused ----
def test_refusals():
    net, x = small_net(), np.zeros((2, 1, 8, 8), "float32")
    with pytest.raises(NotImplementedError, match="by output channel"):
        prepare_qat(net, calibration_data=x, per_channel=False)
    with pytest.raises(NotImplementedError, match="mode static"):
        prepare_qat(net, calibration_data=x, mode="dynamic")
    with pytest.raises(NotImplementedError, match="symmetric weights"):
        prepare_qat(net, calibration_data=x, dtype="int4", symmetric=False)
    with pytest.raises(NotImplementedError, match="follow the weights"):
        prepare_qat(net, calibration_data=x, dtype="int4", learned_scales=True)
    with pytest.raises(ValueError, match="learned scales start from ranges"):
        prepare_qat(net, input_shape=(1, 1, 8, 8), learned_scales=True)
    with pytest.raises(ValueError, match="input shape"):
        prepare_qat(small_net())
    with pytest.raises(ValueError, match="skip patterns"):
        prepare_qat(net, calibration_data=x, skip="nothing")
    with pytest.raises(TypeError, match="prepare_qat gave"):
        convert(net)
    with pytest.raises(ValueError, match="integer form"):
        prepare_qat(nn.Sequential(nn.Softmax(-1)), input_shape=(2, 3))
