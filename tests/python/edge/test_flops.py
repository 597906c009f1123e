"""FLOPs of nets, forward and backward, beside torch's counter; effective MACs beside a count of weights that are not zero."""

import numpy as np
import pytest
from judges import judge
from nets import SMALL_SHAPE, Residual, images, same_snapshot, small_net, snapshot

import miniten as mt
from miniten import edge, nn


def build(n):
    """The same net of miniten.nn and torch.nn."""
    return {
        "mlp": (n.Sequential(n.Linear(20, 30), n.Tanh(), n.Linear(30, 7)), (5, 20)),
        "convolutions": (n.Sequential(n.Conv2d(3, 8, 3, padding=1), n.BatchNorm2d(8), n.ReLU(), n.MaxPool2d(2), n.Conv2d(8, 12, 3, 2, 1), n.ReLU(), n.Flatten(), n.Linear(12 * 9, 4)), (2, 3, 12, 12)),
        "norms": (n.Sequential(n.Linear(16, 16), n.LayerNorm(16), n.GELU(), n.Linear(16, 3)), (6, 16)),
        "embedding": (n.Sequential(n.Linear(8, 8, bias=False), n.Softmax(-1), n.Linear(8, 2)), (3, 4, 8)),
    }


@pytest.mark.parametrize("name", ["mlp", "convolutions", "norms", "embedding"])
def test_forward_and_backward_products_equal_torchs(name):
    torch = judge("torch")
    from torch.utils.flop_counter import FlopCounterMode

    ours, shape = build(nn)[name]
    theirs, _ = build(torch.nn)[name]
    counted = edge.count_flops(ours, shape, backward=True)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        theirs(torch.zeros(shape))
    with FlopCounterMode(display=False) as both:
        theirs(torch.zeros(shape)).sum().backward()
    assert 2 * counted["total_macs"] == forward.get_total_flops()
    assert 2 * (counted["total_macs"] + counted["backward_macs"]) == both.get_total_flops()
    assert counted["backward_flops"] == 2 * counted["backward_macs"] + counted["backward_elementwise_flops"] and counted["backward_elementwise_flops"] > 0


def test_backward_products_by_hand():
    """A product for each of the gradients of weight and input; the first layer's input needs none. torch's counter forgets groups here."""
    layer = nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)
    macs = edge.count_flops(layer, (2, 6, 5, 5), backward=True)
    assert macs["total_macs"] == macs["backward_macs"] == 2 * 6 * 25 * 9
    two = edge.count_flops(nn.Sequential(nn.Conv2d(1, 6, 1, bias=False), layer), (2, 1, 5, 5), backward=True)
    assert two["backward_macs"] == 2 * 6 * 25 + 2 * (2 * 6 * 25 * 9)


def test_frozen_layers_need_fewer_gradients():
    net, shape = build(nn)["mlp"]
    everything = edge.count_flops(net, shape, backward=True)["backward_macs"]
    net[0].weight.requires_grad = net[0].bias.requires_grad = False
    assert edge.count_flops(net, shape, backward=True)["backward_macs"] == everything - 5 * 20 * 30 - 5 * 30 * 7


def test_recurrent_layers_and_graphs_have_gradients_too(tmp_path):
    lstm = edge.count_flops(nn.LSTM(4, 6), (5, 2, 4), backward=True)
    assert lstm["total_macs"] == 5 * 2 * 24 * (4 + 6) and lstm["backward_macs"] >= lstm["total_macs"]
    net = small_net()
    edge.export_onnx(net, SMALL_SHAPE, tmp_path / "net.onnx")
    loaded = edge.load_onnx(tmp_path / "net.onnx")
    ours, theirs = (edge.count_flops(m, SMALL_SHAPE, backward=True) for m in (net, loaded))
    assert ours["backward_macs"] == theirs["backward_macs"] > ours["total_macs"]
    with pytest.raises((ValueError, NotImplementedError)):
        edge.count_flops(edge.quantize_model(net, calibration_data=images(8, 1)), SMALL_SHAPE, backward=True)


def test_effective_macs_leave_zeros_out():
    net = small_net()
    dense = edge.count_flops(net, SMALL_SHAPE, effective=True)
    assert dense["effective_macs"] == dense["total_macs"] and "effective_macs" not in edge.count_flops(net, SMALL_SHAPE)
    pruned = edge.prune_model(net, 0.75, input_shape=SMALL_SHAPE)
    counted = edge.count_flops(pruned, SMALL_SHAPE, effective=True)
    share = {name.removesuffix(".weight"): (mask.numpy().mean()) for name, mask in pruned.masks.items()}
    for row in counted["by_layer"]:
        assert row["effective_macs"] == (round(row["macs"] * share[row["layer"]]) if row["layer"] in share else row["macs"])
    assert counted["effective_macs"] == sum(r["effective_macs"] for r in counted["by_layer"]) < counted["total_macs"]
    q = edge.quantize_model(pruned, calibration_data=images(8, 1))
    assert edge.count_flops(q, SMALL_SHAPE, effective=True)["effective_macs"] <= counted["effective_macs"]  # and those that int8 rounds to 0


def test_counting_backward_changes_nothing():
    for net, shape in ((small_net(), SMALL_SHAPE), (Residual().train(), (2, 4, 9, 9))):
        for p in net.parameters():
            p.grad = mt.ones(*p.shape)
        before, modes = snapshot(net), [m.training for m in net.modules()]
        mt.manual_seed(3)
        edge.count_flops(net, shape, backward=True)
        after = mt.rand(2).numpy()
        mt.manual_seed(3)
        assert np.array_equal(mt.rand(2).numpy(), after)
        assert same_snapshot(before, snapshot(net)) and modes == [m.training for m in net.modules()]
        assert all((p.grad.numpy() == 1).all() for p in net.parameters())
