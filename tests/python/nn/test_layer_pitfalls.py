"""What the first MiniTen got wrong in layers, each as a test."""

import time

import numpy as np
import pytest

import miniten as mt
from miniten import nn, optim


def test_relu_and_its_kin_show_nan():
    x = mt.tensor([np.nan, -1.0, 2.0])
    for layer in (nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.GELU(), nn.SiLU(), nn.Hardtanh(), nn.Hardswish(), nn.ELU(), nn.Mish()):
        y = layer(x).numpy()
        assert np.isnan(y[0]) and np.isfinite(y[1:]).all(), layer


def test_batch_norm_has_a_gradient_and_an_unbiased_running_variance():
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    layer = nn.BatchNorm1d(3, momentum=1.0)
    t = mt.Tensor(x, requires_grad=True)
    (layer(t) ** 3).sum().backward()
    assert np.abs(t.grad.numpy()).max() > 0
    np.testing.assert_allclose(layer.running_var.numpy(), x.var(0, ddof=1), rtol=1e-5)
    frozen = layer.eval()(mt.tensor(x)).detach().numpy()
    np.testing.assert_allclose(frozen, (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + 1e-5), atol=1e-5)


def test_a_cell_has_a_state_dict():
    for cell in (nn.RNNCell(2, 3), nn.LSTMCell(2, 3), nn.GRUCell(2, 3)):
        assert list(cell.state_dict()) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]


def best(f, times=7):
    least = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        f()
        least = min(least, time.perf_counter() - start)
    return least


def test_attention_is_no_slower_than_a_few_times_numpy():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 64, 128)).astype("float32")
    mha = nn.MultiheadAttention(128, 8, batch_first=True).eval()
    w, out = mha.in_proj_weight.detach().numpy(), mha.out_proj.weight.detach().numpy()

    def by_numpy():
        q, k, v = ((x @ part.T).reshape(4, 64, 8, 16).transpose(0, 2, 1, 3) for part in np.split(w, 3))
        s = q @ k.transpose(0, 1, 3, 2) / 4
        e = np.exp(s - s.max(-1, keepdims=True))
        y = (e / e.sum(-1, keepdims=True)) @ v
        return y.transpose(0, 2, 1, 3).reshape(4, 64, 128) @ out.T

    t = mt.tensor(x)
    with mt.no_grad():
        np.testing.assert_allclose(mha(t, need_weights=False)[0].numpy(), by_numpy(), atol=1e-4)
        assert best(lambda: mha(t, need_weights=False)) < 5 * best(by_numpy)


def test_every_parameter_is_trained():
    """Named in the published comparison of the first MiniTen: it trained the last layer alone."""
    mt.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten(), nn.Linear(144, 8), nn.LayerNorm(8), nn.PReLU(), nn.Linear(8, 3))
    before = {k: p.detach().numpy().copy() for k, p in model.named_parameters()}
    opt = optim.AdamW(model.parameters(), lr=0.01)
    x, y = np.random.default_rng(0).normal(size=(6, 1, 8, 8)).astype("float32"), np.arange(6) % 3
    nn.functional.cross_entropy(model(x), y).backward()
    opt.step()
    for k, p in model.named_parameters():
        if k != "0.bias":                                               # batch norm takes it out again
            assert not np.array_equal(p.detach().numpy(), before[k]), k


def test_wrong_shapes_never_read_out_of_bounds():
    for layer, shape in [(nn.Linear(4, 2), (3, 5)), (nn.Conv2d(3, 4, 3), (1, 2, 5, 5)), (nn.Conv1d(3, 4, 3), (1, 3, 2)), (nn.LSTM(4, 2), (3, 2, 5)), (nn.LayerNorm(4), (3, 5)),
                         (nn.GroupNorm(2, 4), (1, 6, 3)), (nn.ConvTranspose2d(3, 4, 3), (1, 2, 5, 5)), (nn.MultiheadAttention(8, 2), (3, 2, 6)), (nn.PixelShuffle(2), (1, 3, 2, 2))]:
        with pytest.raises(ValueError, match="expected"):
            layer(mt.zeros(*shape))
