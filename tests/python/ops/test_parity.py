"""Every function of tensors against torch, a line each: value, first and second gradient, replay, compiled graph."""

import numpy as np
import pytest
from parity import check

X = (3, 4)


def normal(*shape):
    return np.random.default_rng(sum(shape) + len(shape)).normal(size=shape)


def positive(*shape):
    return np.abs(normal(*shape)) + 0.3


def apart(*shape):
    """Values no two of which are close, for max and sorting."""
    n = int(np.prod(shape))
    return (np.random.default_rng(n).permutation(n) / 3.0 - n / 7.0).reshape(shape)


def labels(n, classes):
    return np.random.default_rng(n).integers(0, classes, n)


CASES = {
    # elementwise
    "relu": (lambda m, F, x: m.relu(x), [normal(*X)]),
    "exp": (lambda m, F, x: m.exp(x), [normal(*X)]),
    "log": (lambda m, F, x: m.log(x), [positive(*X)]),
    "tanh": (lambda m, F, x: m.tanh(x), [normal(*X) * 3]),
    "sigmoid": (lambda m, F, x: m.sigmoid(x), [normal(*X) * 4]),
    "sqrt": (lambda m, F, x: m.sqrt(x), [positive(*X)]),
    "abs": (lambda m, F, x: m.abs(x), [normal(*X)]),
    "square": (lambda m, F, x: m.square(x), [normal(*X)]),
    "reciprocal": (lambda m, F, x: m.reciprocal(x), [positive(*X)]),
    "erf": (lambda m, F, x: m.erf(x), [normal(*X)]),
    "sin": (lambda m, F, x: m.sin(x), [normal(*X)]),
    "cos": (lambda m, F, x: m.cos(x), [normal(*X)]),
    "log1p": (lambda m, F, x: m.log1p(x), [positive(*X)]),
    "neg": (lambda m, F, x: -x, [normal(*X)]),
    "floor": (lambda m, F, x: m.floor(x) + x, [normal(*X) * 5]),
    "ceil": (lambda m, F, x: m.ceil(x) * x, [normal(*X) * 5]),
    "round": (lambda m, F, x: m.round(x) * x, [np.array([0.5, 1.5, 2.5, -0.5, -1.5, 3.2])]),
    "sign": (lambda m, F, x: m.sign(x) * x, [normal(*X)]),
    "gelu": (lambda m, F, x: F.gelu(x), [normal(*X) * 2]),
    "silu": (lambda m, F, x: F.silu(x), [normal(*X) * 2]),
    "softplus": (lambda m, F, x: F.softplus(x), [normal(*X) * 2]),
    "relu6": (lambda m, F, x: F.relu6(x), [normal(*X) * 6]),
    "clamp": (lambda m, F, x: m.clamp(x, -0.5, 0.75), [normal(*X)]),
    "clamp from below": (lambda m, F, x: x.clamp(min=0.125), [normal(*X)]),
    "clamp from above": (lambda m, F, x: x.clip(max=0.125), [normal(*X)]),
    "clamp between tensors": (lambda m, F, x, a, b: m.clamp(x, a, b), [normal(*X) * 3, normal(4) - 1, positive(3, 1)]),
    "clamp by a tensor": (lambda m, F, x, a: x.clamp(max=a), [normal(*X), positive(4)]),
    "clamp, strided": (lambda m, F, x: x.T.clamp(-0.5, 0.5), [normal(*X)]),
    "exp of nothing": (lambda m, F, x: m.exp(x), [normal(0, 3)]),
    "tanh of a scalar": (lambda m, F, x: m.tanh(x), [np.array(0.3)]),
    "sigmoid of a step": (lambda m, F, x: m.sigmoid(x[:, ::2]), [normal(3, 7)]),
    # binary
    "add": (lambda m, F, a, b: a + b, [normal(*X), normal(*X)]),
    "add, broadcast": (lambda m, F, a, b: a + b, [normal(2, 1, 4), normal(3, 1)]),
    "sub, broadcast": (lambda m, F, a, b: a - b, [normal(3, 4), normal(4)]),
    "mul, broadcast": (lambda m, F, a, b: a * b, [normal(2, 3, 4), normal(1, 4)]),
    "mul by a scalar tensor": (lambda m, F, a, b: a * b, [normal(2, 3), np.array(0.5)]),
    "div": (lambda m, F, a, b: a / b, [normal(*X), positive(*X)]),
    "div, broadcast": (lambda m, F, a, b: a / b, [normal(4), positive(3, 1)]),
    "pow": (lambda m, F, a, b: a**b, [positive(*X), normal(*X)]),
    "pow 2": (lambda m, F, a: a**2, [normal(*X)]),
    "pow 3": (lambda m, F, a: a**3, [normal(*X)]),
    "pow 0.5": (lambda m, F, a: a**0.5, [positive(*X)]),
    "pow -1.5": (lambda m, F, a: a**-1.5, [positive(*X)]),
    "2 to the x": (lambda m, F, a: 2**a, [normal(*X)]),
    "maximum": (lambda m, F, a, b: m.maximum(a, b), [normal(*X), apart(*X)]),
    "minimum": (lambda m, F, a, b: m.minimum(a, b), [normal(*X), apart(4)]),
    "numbers": (lambda m, F, a: 1 - 2 * (3 / (a + 4)) - a / 2, [positive(*X)]),
    "where": (lambda m, F, a, b: m.where(a > 0, a * b, b), [normal(*X), normal(*X)]),
    "where, broadcast": (lambda m, F, a, b: m.where(a > 0, b, 0.5), [normal(3, 1), normal(*X)]),
    "remainder": (lambda m, F, a: a % 0.7, [normal(*X)]),
    # reductions
    "sum": (lambda m, F, x: x.sum(), [normal(*X)]),
    "sum 0": (lambda m, F, x: x.sum(0), [normal(2, 3, 4)]),
    "sum (0, -1), kept": (lambda m, F, x: x.sum((0, -1), keepdim=True), [normal(2, 3, 4)]),
    "sum of nothing": (lambda m, F, x: x.sum(0), [normal(0, 3)]),
    "mean": (lambda m, F, x: x.mean(), [normal(*X)]),
    "mean 1": (lambda m, F, x: m.mean(x, 1), [normal(2, 3, 4)]),
    "mean of squares": (lambda m, F, x: (x * x).mean((0, 2), keepdim=True), [normal(2, 3, 4)]),
    "max": (lambda m, F, x: x.max(), [apart(*X)]),
    "max, amax": (lambda m, F, x: x.amax(1) if hasattr(x, "amax") else x.max(1), [apart(2, 3, 4)]),
    "min, amin": (lambda m, F, x: x.amin(-1) if hasattr(x, "amin") else x.min(-1), [apart(2, 3, 4)]),
    "var": (lambda m, F, x: x.var(), [normal(*X)]),
    "var 0, biased": (lambda m, F, x: x.var(0, unbiased=False), [normal(5, 3)]),
    "var, correction 2": (lambda m, F, x: m.var(x, 1, correction=2, keepdim=True), [normal(3, 5)]),
    "std": (lambda m, F, x: x.std(1), [normal(3, 5)]),
    # movement
    "reshape": (lambda m, F, x: x.reshape(2, -1) * 2, [normal(*X)]),
    "view of a transpose": (lambda m, F, x: x.transpose(0, 1).reshape(-1) * 3, [normal(*X)]),
    "permute": (lambda m, F, x: x.permute(2, 0, 1) * x.permute(2, 0, 1), [normal(2, 3, 4)]),
    "transpose": (lambda m, F, x: x.transpose(-1, -2) * 2, [normal(2, 3, 4)]),
    "T": (lambda m, F, x: x.T * 2, [normal(*X)]),
    "flatten": (lambda m, F, x: m.flatten(x, 1) * 2, [normal(2, 3, 4)]),
    "squeeze": (lambda m, F, x: x.squeeze() * 2, [normal(2, 1, 3, 1)]),
    "squeeze 1, unsqueeze": (lambda m, F, x: x.squeeze(1).unsqueeze(-1) * 2, [normal(2, 1, 3)]),
    "expand": (lambda m, F, x: x.expand(4, -1, 3) * 2, [normal(2, 1)]),
    "cat": (lambda m, F, a, b: m.cat([a, b * 2, a], dim=1), [normal(2, 3), normal(2, 1)]),
    "stack": (lambda m, F, a, b: m.stack([a, b * b], dim=1), [normal(2, 3), normal(2, 3)]),
    "split": (lambda m, F, x: [p * p for p in m.split(x, 2, dim=1)], [normal(3, 5)]),
    "split, sections": (lambda m, F, x: [p * p for p in x.split([1, 4], 1)], [normal(3, 5)]),
    "pad": (lambda m, F, x: F.pad(x, (1, 2, 0, 1), value=0.5) * 2, [normal(3, 4)]),
    "slices": (lambda m, F, x: x[1:, ::2] * x[:-1, 1::2], [normal(3, 4)]),
    "an index, a new axis, dots": (lambda m, F, x: x[1, None, ..., -1] * 2, [normal(2, 3, 4)]),
    "flip by permuted slices": (lambda m, F, x: x.permute(1, 0)[2:0:-1] * 2 if m.__name__ == "miniten" else x.permute(1, 0)[[2, 1]] * 2, [normal(2, 3)]),
    "clone, detach": (lambda m, F, x: x.clone() * x.detach(), [normal(*X)]),
    "cast": (lambda m, F, x: x.to(m.float64).to(x.dtype) * 2, [normal(*X)]),
    # indexing
    "take": (lambda m, F, x, i: x[i] * 2, [normal(5, 3)], [np.array([[0, 4], [2, 2]])]),
    "take, last axis": (lambda m, F, x, i: x[:, i] * x[:, i], [normal(3, 5)], [np.array([4, 0, -1])]),
    "pairs of indices": (lambda m, F, x, i, j: x[i, j] * 2, [normal(3, 5)], [np.array([0, 2, 1]), np.array([4, 4, -2])]),
    "gather": (lambda m, F, x, i: m.gather(x, 1, i) * 2, [normal(3, 4)], [np.array([[0, 3], [1, 1], [2, 0]])]),
    # linear algebra
    "matmul": (lambda m, F, a, b: a @ b, [normal(3, 4), normal(4, 5)]),
    "matmul, vectors": (lambda m, F, a, b: a @ b, [normal(4), normal(4)]),
    "matmul, vector left": (lambda m, F, a, b: a @ b, [normal(3), normal(3, 5)]),
    "matmul, vector right": (lambda m, F, a, b: m.matmul(a, b), [normal(2, 3, 4), normal(4)]),
    "matmul, batches": (lambda m, F, a, b: a @ b, [normal(2, 3, 4), normal(2, 4, 5)]),
    "matmul, broadcast batches": (lambda m, F, a, b: a @ b, [normal(2, 1, 3, 4), normal(5, 4, 2)]),
    "matmul, transposed": (lambda m, F, a, b: a.T @ b.T, [normal(4, 3), normal(5, 4)]),
    "linear": (lambda m, F, x, w, b: F.linear(x, w, b), [normal(2, 3, 4), normal(5, 4), normal(5)]),
    "linear without bias": (lambda m, F, x, w: F.linear(x, w), [normal(3, 4), normal(5, 4)]),
    # convolution, pooling, normalisation
    "conv2d": (lambda m, F, x, w, b: F.conv2d(x, w, b), [normal(2, 3, 6, 5), normal(4, 3, 3, 3), normal(4)]),
    "conv2d 1x1": (lambda m, F, x, w, b: F.conv2d(x, w, b), [normal(2, 3, 4, 4), normal(5, 3, 1, 1), normal(5)]),
    "conv2d, strided, padded": (lambda m, F, x, w: F.conv2d(x, w, stride=2, padding=1), [normal(2, 3, 7, 6), normal(4, 3, 3, 3)]),
    "conv2d, uneven": (lambda m, F, x, w, b: F.conv2d(x, w, b, stride=(1, 2), padding=(2, 1), dilation=(2, 1)), [normal(1, 2, 7, 8), normal(3, 2, 2, 3), normal(3)]),
    "conv2d, groups": (lambda m, F, x, w: F.conv2d(x, w, padding=1, groups=2), [normal(2, 4, 5, 5), normal(6, 2, 3, 3)]),
    "conv2d, depthwise": (lambda m, F, x, w, b: F.conv2d(x, w, b, padding=1, groups=4), [normal(2, 4, 5, 5), normal(4, 1, 3, 3), normal(4)]),
    "conv2d, depthwise twice": (lambda m, F, x, w: F.conv2d(x, w, stride=2, groups=3), [normal(1, 3, 6, 6), normal(6, 1, 2, 2)]),
    "conv2d, few pixels of many channels": (lambda m, F, x, w: F.conv2d(x, w), [normal(4, 128, 3, 3), normal(140, 128, 1, 1) * 0.1]),
    "max_pool2d": (lambda m, F, x: F.max_pool2d(x, 2), [apart(2, 3, 6, 4)]),
    "max_pool2d, of many channels": (lambda m, F, x: F.max_pool2d(x, (2, 3), stride=(2, 3)), [apart(2, 21, 7, 8)]),
    "max_pool2d, overlapping": (lambda m, F, x: F.max_pool2d(x, 3, stride=2, padding=1), [apart(2, 2, 7, 5)]),
    "avg_pool2d": (lambda m, F, x: F.avg_pool2d(x, 2), [normal(2, 3, 6, 4)]),
    "avg_pool2d, padded": (lambda m, F, x: F.avg_pool2d(x, 3, stride=2, padding=1), [normal(2, 2, 7, 5)]),
    "avg_pool2d, padding not counted": (lambda m, F, x: F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False), [normal(2, 2, 7, 5)]),
    "adaptive_avg_pool2d": (lambda m, F, x: F.adaptive_avg_pool2d(x, (3, 1)), [normal(2, 3, 6, 4)]),
    "softmax": (lambda m, F, x: m.softmax(x, -1), [normal(3, 4) * 3]),
    "softmax, first axis": (lambda m, F, x: m.softmax(x, 0), [normal(3, 4)]),
    "softmax of large values": (lambda m, F, x: m.softmax(x, -1), [normal(3, 4) + 500]),
    "log_softmax": (lambda m, F, x: m.log_softmax(x, 1), [normal(2, 3, 4) * 3]),
    "batch_norm": (lambda m, F, x, w, b, mu, v: F.batch_norm(x, mu, v, w, b), [normal(2, 3, 4, 4), normal(3), normal(3)], [normal(3), positive(3)]),
    # losses
    "cross_entropy": (lambda m, F, x, y: F.cross_entropy(x, y), [normal(6, 4) * 2], [labels(6, 4)]),
    "cross_entropy, smoothed": (lambda m, F, x, y: F.cross_entropy(x, y, label_smoothing=0.125), [normal(6, 4)], [labels(6, 4)]),
    "mse_loss": (lambda m, F, x, y: F.mse_loss(x, y), [normal(3, 4), normal(3, 4) * 2]),
}


SIZE_KNOWN_AT_RUN_TIME = {
    "mask": (lambda m, F, x, k: x[k] * x[k], [normal(3, 4)], [normal(3, 4) > 0]),
    "mask of rows": (lambda m, F, x, k: x[k] * 2, [normal(3, 4)], [np.array([True, False, True])]),
    "mask of nothing": (lambda m, F, x, k: x[k] * 2, [normal(3, 4)], [np.zeros((3, 4), bool)]),
}


@pytest.mark.parametrize("name", SIZE_KNOWN_AT_RUN_TIME)
def test_masks_against_torch(name):
    f, arrays, constants = SIZE_KNOWN_AT_RUN_TIME[name]
    check(f, arrays, constants, replay=False)


@pytest.mark.parametrize("name", CASES)
def test_against_torch(name):
    f, arrays, *constants = CASES[name]
    check(f, arrays, *constants)
