"""compile(precision=): what is rounded, by how much results move, and that a session says which layers changed."""

import numpy as np
import pytest

import miniten as mt
from miniten import nn

ISAS = mt.cpu_info()["available_isas"]
FAST = {"avx512_bf16", "avx512_amx"}  # with instructions for bfloat16


@pytest.fixture(autouse=True)
def same_isa_afterwards():
    before = mt.cpu_info()["isa"]
    yield
    mt.set_isa(before)


def rounded(x):
    """To bfloat16, to nearest with ties to even."""
    bits = np.asarray(x, "float32").view("uint32")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view("float32")


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(24, 48, 3, padding=1, stride=2), nn.Conv2d(48, 48, 1)
        self.third, self.last = nn.Conv2d(48, 48, 3, padding=1), nn.Linear(48, 10)

    def forward(self, x):
        y = nn.functional.relu(self.first(x))
        y = nn.functional.relu(self.third(self.second(y)) + y)
        return self.last(y.mean((2, 3)))


class Last(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.MultiheadAttention(64, 2, batch_first=True)

    def forward(self, x):
        return self.layer(x, x, x)[0]


def inverted():
    """A chain by bands of rows: its wide middle does not fit the cache."""
    return nn.Sequential(nn.Conv2d(32, 96, 1), nn.ReLU6(), nn.Conv2d(96, 96, 3, padding=1, groups=96), nn.ReLU6(), nn.Conv2d(96, 32, 1))


NETS = {
    "linear": (lambda: nn.Sequential(nn.Linear(200, 130), nn.ReLU(), nn.Linear(130, 31)), (1, 200)),
    "wide": (lambda: nn.Sequential(nn.Linear(700, 400), nn.ReLU(), nn.Linear(400, 31)), (1, 700)),
    "batch": (lambda: nn.Sequential(nn.Linear(200, 130), nn.ReLU(), nn.Linear(130, 31)), (70, 200)),
    "conv": (Residual, (2, 24, 19, 18)),
    "chain": (inverted, (1, 32, 40, 40)),
    "attention": (Attention, (2, 37, 64)),
    "lstm": (lambda: Last(nn.LSTM(24, 65, num_layers=2)), (30, 1, 24)),
    "gru": (lambda: Last(nn.GRU(24, 65, bidirectional=True)), (30, 1, 24)),
}


def net_of(name):
    mt.manual_seed(3)
    make, shape = NETS[name]
    return make().eval(), np.random.default_rng(4).normal(size=shape).astype("float32")


def narrow_ops(session, x):
    return [row["op"] for row in session.profile(x, runs=1) if "bf16" in row["op"] or "blocks" in row["op"]]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", NETS)
def test_results_move_by_the_rounding_alone(name, isa):
    mt.set_isa(isa)
    net, x = net_of(name)
    want = mt.compile(net, x.shape).run(x).numpy()
    scale = max(1, np.abs(want).max())
    for precision, bound in [("bf16", 0.02), ("bf16_weights", 0.01), ("int8_weights", 0.02)]:
        session = mt.compile(net, x.shape, precision=precision)
        error = np.abs(session.run(x).numpy() - want).max() / scale
        assert error <= bound, (precision, error)
        assert bool(narrow_ops(session, x)) == (error > 0) or name == "conv", (precision, error)  # a direct form instead of Winograd's
        one = mt.compile(net, x.shape, threads=1, precision=precision).run(x).numpy()
        assert np.array_equal(one, mt.compile(net, x.shape, threads=2, precision=precision).run(x).numpy())


def test_only_the_weights_of_few_rows_are_narrowed_without_the_instructions():
    mt.set_isa([i for i in ISAS if i not in FAST][-1])
    for name, ops in [("linear", ["matmul_bf16_weights"] * 2), ("batch", []), ("lstm", ["recurrent_bf16_weights"] * 2)]:
        net, x = net_of(name)
        for precision in ("bf16", "bf16_weights"):
            assert narrow_ops(mt.compile(net, x.shape, precision=precision), x) == ops
    net, x = net_of("wide")
    assert narrow_ops(mt.compile(net, x.shape, precision="int8_weights"), x) == ["matmul_blocks"]


@pytest.mark.parametrize("isa", sorted(FAST))
def test_instructions_take_every_product_that_pays(isa):
    if isa not in ISAS:
        pytest.skip(f"no {isa} here")
    mt.set_isa(isa)
    if mt.compile(net_of("batch")[0], (70, 200), precision="bf16").to_text().count("matmul_bf16") == 0:
        pytest.skip("an Intel processor, whose dot products are slower than its float32")
    attention = ["matmul_bf16", "attention_bf16", "matmul_bf16"]
    for name, ops in [("batch", ["matmul_bf16"] * 2), ("chain", ["conv_chain_bf16"]), ("gru", ["recurrent_bf16"] * 2), ("attention", attention)] + [("conv", ["conv2d_bf16"] * 3)] * (isa == "avx512_amx"):
        net, x = net_of(name)
        found = narrow_ops(mt.compile(net, x.shape, precision="bf16"), x)
        assert found[: len(ops)] == ops, (name, found)


@pytest.mark.parametrize("isa", ISAS)
def test_one_product_is_that_of_rounded_values(isa):
    mt.set_isa(isa)
    rng = np.random.default_rng(1)
    w = rng.normal(size=(300, 90)).astype("float32")
    for rows in (1, 50):
        x = rng.normal(size=(rows, 300)).astype("float32")
        session = mt.compile(lambda v: v @ mt.tensor(w), x.shape, precision="bf16")
        ops = narrow_ops(session, x)
        a, b = (rounded(x) if ops == ["matmul_bf16"] else x), (rounded(w) if ops else w)
        want = a.astype("float64") @ b.astype("float64")
        np.testing.assert_allclose(session.run(x).numpy(), want, atol=2e-6 * 300)


def test_a_session_stays_right_on_another_instruction_set():
    for name in NETS:
        net, x = net_of(name)
        mt.set_isa(ISAS[-1])
        session = mt.compile(net, x.shape, precision="bf16")
        want = session.run(x).numpy()
        for isa in ISAS:
            mt.set_isa(isa)
            assert np.abs(session.run(x).numpy() - want).max() <= 0.03 * max(1, np.abs(want).max()), (name, isa)


def test_weights_are_half_as_large():
    net = nn.Linear(1024, 1024, bias=False).eval()
    full, half = (mt.compile(net, (1, 1024), precision=p).weight_bytes for p in ("float32", "bf16_weights"))
    assert full - half == 2 * 1024 * 1024


def test_what_cannot_be_is_refused():
    net = nn.Linear(4, 4)
    with pytest.raises(ValueError, match="precision 'float32', 'bf16'"):
        mt.compile(net, (1, 4), precision="fp8")
    with pytest.raises(ValueError, match="exact"):
        mt.compile(net, (1, 4), precision="bf16", exact=True)
