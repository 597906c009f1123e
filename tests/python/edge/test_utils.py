"""Estimates: FLOPs against torch's counter and brute force, memory against the planner, keys and refusals."""

import itertools
import re

import numpy as np
import pytest
from judges import judge
from nets import SMALL_SHAPE, SMALL_WEIGHTS, Residual, fresh_net, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn


def conv_macs_by_hand(n, channels, size, out_channels, kernel, stride, padding, dilation, groups):
    """Every product, one by one, those with padding too: a kernel does them."""
    out = [(size[i] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for i in (0, 1)]
    count = 0
    for _ in itertools.product(range(n), range(out_channels), range(out[0]), range(out[1])):
        count += sum(1 for _ in itertools.product(range(channels // groups), range(kernel), range(kernel)))
    return count, out


@pytest.mark.parametrize(
    ("n", "channels", "size", "out", "kernel", "stride", "padding", "dilation", "groups"),
    [(1, 3, (9, 7), 4, 3, 1, 0, 1, 1), (2, 3, (9, 7), 4, 3, 2, 1, 1, 1), (3, 4, (8, 8), 4, 3, 1, 1, 1, 4), (1, 4, (10, 9), 6, 3, 2, 2, 2, 2), (2, 5, (4, 4), 3, 1, 1, 0, 1, 1)],
)
def test_convolutions_are_counted_by_hand_and_by_torch(n, channels, size, out, kernel, stride, padding, dilation, groups):
    layer = nn.Conv2d(channels, out, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=False)
    counted = edge.count_flops(layer, (n, channels, *size))
    macs, out_size = conv_macs_by_hand(n, channels, size, out, kernel, stride, padding, dilation, groups)
    assert counted["total_macs"] == macs and counted["total_flops"] == 2 * macs + counted["elementwise_flops"]
    assert layer(mt.zeros(n, channels, *size)).shape[2:] == tuple(out_size)
    torch = judge("torch")
    theirs = torch_flops(torch.nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False), (n, channels, *size))
    assert 2 * counted["total_macs"] == theirs


def torch_flops(model, shape):
    torch = judge("torch")
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(shape))
    return counter.get_total_flops()


def test_flops_of_nets_equal_torch():
    torch = judge("torch")
    t = torch.nn
    theirs = t.Sequential(t.Conv2d(3, 16, 3, 2, 1), t.BatchNorm2d(16), t.ReLU(), t.Conv2d(16, 16, 3, 2, 1, groups=16), t.Conv2d(16, 32, 1), t.ReLU(),
                          t.Conv2d(32, 48, 3, 2, 1), t.AdaptiveAvgPool2d(1), t.Flatten(), t.Linear(48, 10)).eval()
    ours = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1, groups=16), nn.Conv2d(16, 32, 1), nn.ReLU(),
                         nn.Conv2d(32, 48, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10)).eval()
    for shape in [(1, 3, 32, 32), (4, 3, 33, 47)]:
        assert 2 * edge.count_flops(ours, shape)["total_macs"] == torch_flops(theirs, shape)
    assert edge.count_parameters(ours)["total_parameters"] == sum(p.numel() for p in theirs.parameters())

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = nn.Linear(24, 24), nn.Linear(24, 24), nn.Linear(24, 24)

        def forward(self, x):
            return mt.softmax(self.q(x).matmul(self.k(x).transpose(1, 2)), -1).matmul(self.v(x))

    class TorchAttention(t.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = t.Linear(24, 24), t.Linear(24, 24), t.Linear(24, 24)

        def forward(self, x):
            return torch.softmax(self.q(x) @ self.k(x).transpose(1, 2), -1) @ self.v(x)

    shape = (2, 7, 24)
    counted = edge.count_flops(Attention(), shape)
    assert 2 * counted["total_macs"] == torch_flops(TorchAttention(), shape) == 2 * (3 * 2 * 7 * 24 * 24 + 2 * 2 * 7 * 7 * 24)
    assert counted["elementwise_flops"] > 0


def test_flops_follow_batch_stride_padding_and_shapes():
    """Three strided convolutions: the first MiniTen was 30 times off and ignored the batch."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1))
    one = edge.count_flops(net, (1, 3, 64, 64))
    assert one["total_macs"] == 32 * 32 * 8 * 27 + 16 * 16 * 16 * 72 + 8 * 8 * 32 * 144
    assert [row["macs"] for row in one["by_layer"]] == [32 * 32 * 8 * 27, 16 * 16 * 16 * 72, 8 * 8 * 32 * 144]
    five = edge.count_flops(net, (5, 3, 64, 64))
    assert five["total_macs"] == 5 * one["total_macs"] and five["total_flops"] == 5 * one["total_flops"]


def test_macs_and_flops_are_told_apart():
    counted = edge.count_flops(small_net(), SMALL_SHAPE)
    assert list(counted) == ["total_flops", "total_mflops", "total_gflops", "total_macs", "elementwise_flops", "by_layer"]
    assert counted["total_flops"] == 2 * counted["total_macs"] + counted["elementwise_flops"]
    assert counted["total_mflops"] == counted["total_flops"] / 1e6 and counted["total_gflops"] == counted["total_flops"] / 1e9
    assert counted["total_macs"] == sum(r["macs"] for r in counted["by_layer"]) == 64 * 8 * 9 + 64 * 8 * 9 + 64 * 16 * 8 + 1024
    assert counted["total_flops"] == sum(r["flops"] for r in counted["by_layer"])
    assert all(r["flops"] == 2 * r["macs"] + r["elementwise_flops"] for r in counted["by_layer"])
    norm = next(r for r in counted["by_layer"] if r["layer"] == "1")
    assert norm["macs"] == 0 and norm["elementwise_flops"] >= 2 * 64 * 8  # not counted as nothing


def test_integer_models_do_the_same_products():
    net = small_net()
    for q in (edge.quantize_model(net), edge.quantize_model(net, calibration_data=images(8, 1))):
        assert edge.count_flops(q, SMALL_SHAPE)["total_macs"] == edge.count_flops(net, SMALL_SHAPE)["total_macs"]


def test_parameters():
    net = small_net()
    counted = edge.count_parameters(net)
    assert list(counted)[:3] == ["total_parameters", "trainable_parameters", "non_trainable_parameters"]
    assert counted["total_parameters"] == sum(p.numel() for p in net.parameters()) == counted["trainable_parameters"]
    net[0].weight.requires_grad = False
    counted = edge.count_parameters(net)
    assert counted["non_trainable_parameters"] == 72 and counted["total_parameters"] == counted["trainable_parameters"] + 72
    tied = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    tied[1].weight = tied[0].weight
    assert edge.count_parameters(tied)["total_parameters"] == 16
    pruned = edge.prune_model(small_net(), 0.5)
    assert edge.count_parameters(pruned)["nonzero_parameters"] == pruned.nonzero_parameters()


def test_activation_memory_is_the_planners_arena():
    for net, shape in [(small_net(), (1, 1, 8, 8)), (small_net(), (7, 1, 8, 8)), (Residual().eval(), (2, 4, 9, 9)), (edge.quantize_model(small_net(), calibration_data=images(8, 1)), (3, 1, 8, 8))]:
        m = edge.estimate_memory(net, shape)
        session = mt.compile(net, shape, threads=1)
        x = np.zeros(shape, "float32")
        assert m["activation_memory_bytes"] == session.arena_bytes == session.measured_arena_bytes(x)
        assert m["input_memory_bytes"] == x.nbytes
        assert m["total_memory_bytes"] == m["parameter_memory_bytes"] + m["input_memory_bytes"] + m["activation_memory_bytes"]


def test_memory_keys_and_dtypes():
    net = small_net()
    m = edge.estimate_memory(net, SMALL_SHAPE)
    assert list(m) == [f"{part}_memory_{unit}" for part in ("parameter", "input", "activation", "total") for unit in ("bytes", "mb")]
    assert all(m[k + "_mb"] == m[k + "_bytes"] / 2**20 for k in ("parameter_memory", "input_memory", "activation_memory", "total_memory"))
    count = sum(p.numel() for p in net.parameters())
    assert m["parameter_memory_bytes"] == 4 * count
    half = edge.estimate_memory(net, SMALL_SHAPE, dtype="float16")
    assert half["parameter_memory_bytes"] == 2 * count and half["input_memory_bytes"] == 2 * 64
    integers = edge.estimate_memory(edge.quantize_model(net, calibration_data=images(8, 1)), SMALL_SHAPE)
    weights = sum(SMALL_WEIGHTS.values())
    assert weights <= integers["parameter_memory_bytes"] <= weights + 8 * (8 + 8 + 16 + 4)  # with scales and int32 biases
    assert integers["activation_memory_bytes"] < m["activation_memory_bytes"]


def test_power_says_that_it_is_an_estimate():
    net = small_net()
    flops = edge.count_flops(net, SMALL_SHAPE)["total_flops"]
    for device, rate in {"cpu": 1e9, "gpu": 1e10, "edge_cpu": 5e9, "npu": 2e10, "dsp": 1.5e10}.items():
        p = edge.estimate_power(net, SMALL_SHAPE, device=device)
        assert p["flops"] == flops and p["device"] == device and p["ops_per_watt"] == rate and p["estimate"] is True
        assert p["energy_per_inference_j"] == flops / rate and p["energy_per_inference_mj"] == 1000 * (flops / rate) and p["inferences_per_joule"] == pytest.approx(rate / flops)
    assert list(p) == ["flops", "device", "ops_per_watt", "energy_per_inference_j", "energy_per_inference_mj", "inferences_per_joule", "estimate"]
    assert edge.estimate_power(net, SMALL_SHAPE, ops_per_watt=2e9)["energy_per_inference_j"] == flops / 2e9
    for bad in ({"device": "toaster"}, {"ops_per_watt": 0}, {"ops_per_watt": -1}, {"ops_per_watt": float("nan")}, {"ops_per_watt": float("inf")}):
        with pytest.raises(ValueError, match="device|ops_per_watt"):
            edge.estimate_power(net, SMALL_SHAPE, **bad)


def test_compatibility_takes_any_subset_of_constraints():
    net = small_net()
    result = edge.check_edge_compatibility(net, SMALL_SHAPE)
    assert result["passes_all"] is True and {c["name"]: c["limit"] for c in result["checks"]} == {"max_parameters": 10e6, "max_memory_mb": 100, "max_flops": 1e9}
    actual = {
        "max_parameters": edge.count_parameters(net)["total_parameters"],
        "max_memory_mb": edge.estimate_memory(net, SMALL_SHAPE)["total_memory_mb"],
        "max_flops": edge.count_flops(net, SMALL_SHAPE)["total_flops"],
        "max_flash_kb": edge.estimate_memory(net, SMALL_SHAPE)["parameter_memory_bytes"] / 1024,
        "max_ram_kb": (edge.estimate_memory(net, SMALL_SHAPE)["input_memory_bytes"] + edge.estimate_memory(net, SMALL_SHAPE)["activation_memory_bytes"]) / 1024,
    }
    for name, value in actual.items():  # given alone, at the limit and just under it
        for limit, passes in [(value, True), (value * 0.999, False)]:
            one = edge.check_edge_compatibility(net, SMALL_SHAPE, constraints={name: limit})
            (check,) = one["checks"]
            assert one["passes_all"] is passes is check["passes"] and check["name"] == name and check["actual"] == value and check["limit"] == limit
            assert list(check)[:4] == ["name", "actual", "limit", "passes"]
    assert edge.check_edge_compatibility(net, SMALL_SHAPE, {"max_latency_ms": 1e6})["passes_all"]
    both = edge.check_edge_compatibility(net, SMALL_SHAPE, {"max_flops": 1, "max_parameters": 1e9})
    assert not both["passes_all"] and [c["passes"] for c in both["checks"]] == [True, False]
    for bad in ({"max_weight": 3}, {"max_flops": -1}, {"max_flops": float("nan")}):
        with pytest.raises(ValueError, match="max_weight|max_flops"):
            edge.check_edge_compatibility(net, SMALL_SHAPE, bad)


def test_summary_is_a_table_with_totals():
    net = small_net()
    lines = edge.model_summary(net, SMALL_SHAPE).splitlines()
    assert lines[0].split() == ["layer", "type", "input", "output", "parameters", "share", "MACs", "int8", "RAM"]
    text = "\n".join(lines)
    assert [line.split()[0] for line in lines[2:4]] == ["Sequential", "├─"] and "│  └─ pointwise  Conv2d" in text and "   └─ " not in lines[3]
    conv = next(line for line in lines if line.startswith("├─ 0 "))
    assert re.split("  +", conv)[1:4] == ["Conv2d", "(1, 1, 8, 8)", "(1, 8, 8, 8)"]
    assert conv.split("  ")[-2].strip() == f"{72 + 4 * 8 + 4 * 8} B"  # integers, biases, scales
    peak = max(float(v.split()[-2]) * (1024 if v.endswith("KB") else 1) for v in lines[2:13] if v.endswith("B"))
    assert peak == pytest.approx(edge.estimate_memory(net, SMALL_SHAPE)["activation_memory_bytes"], rel=0.03)
    for layer, kind in [("0", "Conv2d"), ("1", "BatchNorm2d"), ("depthwise", "Conv2d"), ("7", "Linear")]:
        assert any(line.strip("│├└─ ").split()[:2] == [layer, kind] for line in lines), layer
    assert f"{sum(p.numel() for p in net.parameters()):,}" in text and f"{edge.count_flops(net, SMALL_SHAPE)['total_macs']:,}" in text


def test_summary_folds_layers_and_predicts_time():
    net = Residual().eval()
    shape = (1, 4, 16, 16)
    whole, folded = edge.model_summary(net, shape), edge.model_summary(net, shape, depth=1)
    assert folded.count("\n") <= whole.count("\n") and whole.splitlines()[-4:] == folded.splitlines()[-4:]
    timed = edge.model_summary(net, shape, device="stm32f746")
    assert timed.splitlines()[0].split()[-1] == "time"
    total = edge.estimate_latency(net, shape, "stm32f746")["latency_ms"]
    assert f"time: {total:.4g} ms on stm32f746 (by peak rates: may be off by 100 %)" in timed
    with pytest.raises(ValueError, match="depth"):
        edge.model_summary(net, shape, depth=-1)


def test_power_of_a_board_is_its_latency_times_its_watts():
    net = small_net()
    latency = edge.estimate_latency(net, SMALL_SHAPE, "stm32f411")["latency_ms"]
    p = edge.estimate_power(net, SMALL_SHAPE, "stm32f411", watts=0.05)
    assert p["energy_per_inference_mj"] == pytest.approx(latency * 0.05) and p["latency_ms"] == latency and p["watts"] == 0.05 and p["error"] == 1
    assert p["ops_per_watt"] == pytest.approx(p["flops"] / p["energy_per_inference_j"]) and p["inferences_per_joule"] == pytest.approx(1 / p["energy_per_inference_j"])
    for bad in ({"device": "raspberry_pi_pico"}, {"device": "stm32f411", "watts": 0}, {"device": "cpu", "watts": 1}, {"device": "stm32f411", "ops_per_watt": 1e9}):
        with pytest.raises(ValueError, match="watts"):
            edge.estimate_power(net, SMALL_SHAPE, **bad)


def test_without_a_shape_the_last_call_tells_it():
    net = small_net()
    net(images(5, 1))
    assert edge.count_flops(net) == edge.count_flops(net, (5, 1, 8, 8))
    assert edge.estimate_memory(net) == edge.estimate_memory(net, (5, 1, 8, 8))
    with pytest.raises(ValueError, match="call it once|input_shape|shape"):
        edge.count_flops(fresh_net())


@pytest.mark.parametrize("ask", [edge.count_flops, edge.estimate_memory, edge.estimate_power, edge.model_summary, edge.check_edge_compatibility], ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (1, 8, 8), (1, 1, -8, 8), (1, 1, 2**40, 2**40), "abc", (1, 1, 8.5, 8), (1, 1, 1, 1)], ids=str)
def test_wrong_shapes_are_refused_with_words(ask, shape):
    with pytest.raises((ValueError, TypeError), match=r"\["):
        ask(small_net(), shape)


def test_what_is_no_model_is_refused():
    for ask in (edge.count_flops, edge.estimate_memory, edge.estimate_power, edge.model_summary, edge.check_edge_compatibility, edge.count_parameters):
        for thing in (None, 3, "model.onnx", np.zeros(3)):
            with pytest.raises(TypeError, match="Module"):
                ask(thing) if ask is edge.count_parameters else ask(thing, SMALL_SHAPE)
    with pytest.raises((ValueError, TypeError), match="bool|dtype"):
        edge.estimate_memory(small_net(), SMALL_SHAPE, dtype="bool")


def test_estimates_change_nothing():
    for net in (small_net().train(), edge.quantize_model(small_net()), edge.prune_model(small_net(), 0.5)):
        before = snapshot(net)
        for ask in (edge.count_flops, edge.estimate_memory, edge.estimate_power, edge.model_summary, edge.check_edge_compatibility):
            ask(net, SMALL_SHAPE)
        edge.count_parameters(net)
        assert same_snapshot(before, snapshot(net))
