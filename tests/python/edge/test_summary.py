"""The table of layers beside torchinfo's, for the same nets with the same weights' shapes."""

import re

import miniten as mt
import numpy as np
import pytest
from judges import judge
from miniten import edge, nn

torch = judge("torch")
torchinfo = judge("torchinfo")


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.act = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x):
        return self.act(self.conv2(self.act(self.conv1(x))) + x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.body = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 5, bias=False)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean((2, 3)))


class TorchBlock(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.act = torch.nn.ReLU()
        self.conv2 = torch.nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x):
        return self.act(self.conv2(self.act(self.conv1(x))) + x)


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.body = torch.nn.Sequential(TorchBlock(8), TorchBlock(8))
        self.head = torch.nn.Linear(8, 5, bias=False)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean((2, 3)))


SHAPE = (2, 3, 16, 12)


def rows(text):
    """Path -> (type, input, output, parameters, MACs), from the indented lines alone."""
    lines = text.splitlines()
    found, path = {}, []
    for line in lines[2 : next(i for i, line in enumerate(lines) if line.startswith("parameters: "))]:
        depth = len(re.match(r"(?:[│ ]  )*(?:[├└]─ )?", line).group()) // 3
        cells = re.split(r"  +", line[3 * depth :].strip())
        path[max(0, depth - 1) :] = [cells[0]] if depth else []
        if depth:
            kind, given, made = cells[1], *[tuple(map(int, re.findall(r"\d+", c))) for c in cells[2:4]]
            found[".".join(path)] = (kind, given, made, *(0 if c == "-" else int(c.replace(",", "")) for c in (cells[4], cells[6])))
    return found


def test_the_tree_is_torchinfos():
    info = torchinfo.summary(TorchNet(), input_size=SHAPE, verbose=0)
    net = Net().eval()
    mine = rows(edge.model_summary(net, SHAPE))
    paths = {}
    names = []
    for layer in info.summary_list[1:]:
        names[layer.depth - 1 :] = [layer.var_name]
        paths.setdefault(".".join(names), layer)
    assert {k for k in mine if not k.startswith("-")} >= {k for k in paths if not k.endswith("act")}
    for path, layer in paths.items():
        if path.endswith("act"):  # called twice under one name
            continue
        kind, given, made, parameters, macs = mine[path]
        assert made == tuple(layer.output_size) and given == tuple(layer.input_size), path
        assert kind == layer.class_name.removeprefix("Torch"), path
        if layer.is_leaf_layer:
            assert (parameters, macs) == (layer.num_params, layer.macs), path
    text = edge.model_summary(net, SHAPE)
    assert f"parameters: {info.total_params:,} ({info.trainable_params:,} trainable" in text and f"MACs: {info.total_mult_adds:,}," in text


def test_depth_folds_as_torchinfos():
    net = Net().eval()
    info = torchinfo.summary(TorchNet(), input_size=SHAPE, depth=1, verbose=0)
    mine = rows(edge.model_summary(net, SHAPE, depth=1))
    for layer in info.summary_list[1:]:
        if layer.depth == 1:
            assert mine[layer.var_name][3] == layer.num_params and mine[layer.var_name][2] == tuple(layer.output_size)
    assert sum(r[4] for r in mine.values()) == info.total_mult_adds
    assert set(rows(edge.model_summary(net, SHAPE, depth=2))) >= {"body.0", "body.1"} and "body.0.conv1" in rows(edge.model_summary(net, SHAPE, depth=3))


def test_graphs_and_changed_models_are_trees_too(tmp_path):
    net = Net().eval()
    x = np.random.default_rng(0).normal(size=SHAPE).astype("float32")
    whole = rows(edge.model_summary(net, SHAPE))
    graph = rows(edge.model_summary(mt.trace(net, SHAPE), SHAPE))
    assert {k: v[1:] for k, v in graph.items() if v[3]} == {k: v[1:] for k, v in whole.items() if v[3]}
    pruned = rows(edge.model_summary(edge.prune_model(net, 0.5, input_shape=SHAPE), SHAPE))
    assert pruned["body.0.conv1"][3:] == whole["body.0.conv1"][3:]
    small = rows(edge.model_summary(edge.quantize_model(net, calibration_data=x), SHAPE))
    assert small["body.1.conv2"][4] == whole["body.1.conv2"][4]
    edge.export_onnx(net, SHAPE, tmp_path / "net.onnx")
    read = rows(edge.model_summary(edge.load_onnx(tmp_path / "net.onnx"), SHAPE))
    assert sum(r[4] for r in read.values()) == sum(r[4] for r in whole.values())


@pytest.mark.parametrize("shape", [(1, 7), (3, 7)])
def test_a_single_layer(shape):
    text = edge.model_summary(nn.Linear(7, 2, bias=False), shape)
    assert text.splitlines()[2].startswith("Linear") and f"MACs: {shape[0] * 14}," in text
