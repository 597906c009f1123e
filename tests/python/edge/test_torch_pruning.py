"""torch-pruning as judge: the same net, the same channels gone: the same shapes and the same outputs."""

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn
from miniten.edge import channel_groups, prune_model

torch = judge("torch")
tp = judge("torch_pruning")


def residual(lib, seq):
    """Residual blocks, one with a convolution in its shortcut, a depthwise one, and a concatenation."""

    class Net(lib.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.norm = lib.Conv2d(3, 12, 3, padding=1, bias=False), lib.BatchNorm2d(12)
            self.a1, self.n1, self.a2 = lib.Conv2d(12, 10, 3, padding=1), lib.BatchNorm2d(10), lib.Conv2d(10, 12, 3, padding=1)
            self.dw, self.pw, self.cut = lib.Conv2d(12, 12, 3, padding=1, stride=2, groups=12), lib.Conv2d(12, 16, 1), lib.Conv2d(12, 16, 1, stride=2)
            self.side = lib.Conv2d(16, 6, 3, padding=1)
            self.join = lib.Conv2d(22, 9, 1)
            self.head = lib.Linear(9, 5)
            self.relu = lib.ReLU()

        def forward(self, x):
            x = self.relu(self.norm(self.stem(x)))
            x = self.relu(self.a2(self.relu(self.n1(self.a1(x)))) + x)
            x = self.relu(self.pw(self.relu(self.dw(x))) + self.cut(x))
            x = self.join(seq([x, self.side(x)], 1))
            return self.head(self.relu(x).mean((2, 3)))

    return Net()


def chain(lib, seq):
    """Convolutions, norms, pooling, and a dense layer behind a flatten."""

    class Net(lib.Module):
        def __init__(self):
            super().__init__()
            self.a, self.n, self.b = lib.Conv2d(3, 8, 3, padding=1), lib.BatchNorm2d(8), lib.Conv2d(8, 14, 3, stride=2, padding=1)
            self.pool, self.flat, self.c, self.d = lib.MaxPool2d(2), lib.Flatten(), lib.Linear(14 * 4, 20), lib.Linear(20, 5)
            self.relu = lib.ReLU()

        def forward(self, x):
            x = self.pool(self.relu(self.b(self.relu(self.n(self.a(x))))))
            return self.d(self.relu(self.c(self.flat(x))))

    return Net()


X = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("make", [residual, chain])
@pytest.mark.parametrize("options", [{"sparsity": 0.5}, {"sparsity": 0.7, "scope": "layer", "importance": "random", "seed": 4}, {"sparsity": 0.4, "round_to": 2, "importance": "l2"}])
def test_same_indices_same_net(make, options):
    mt.manual_seed(1)
    ours = make(nn, mt.cat)
    ours.train()
    ours(X)
    ours.eval()
    theirs = make(torch.nn, torch.cat)
    theirs.load_state_dict({n: torch.tensor(t.numpy()) for n, t in ours.state_dict().items()})
    theirs.eval()
    np.testing.assert_allclose(ours(X).numpy(), theirs(torch.tensor(X)).detach().numpy(), atol=1e-5)
    pruned = prune_model(ours, method="structured", **options)
    graph = tp.DependencyGraph().build_dependency(theirs, torch.tensor(X))
    cut = 0
    for group in channel_groups(ours):
        name = group.layers[0]
        layer = theirs.get_submodule(name)
        kept = pruned.kept.get(f"{name}.weight", {}).get(0)
        channels = layer.weight.shape[0]
        if kept is None or len(kept) == channels:
            continue
        gone = sorted(set(range(channels)) - set(kept))
        prune = tp.prune_linear_out_channels if isinstance(layer, torch.nn.Linear) else tp.prune_depthwise_conv_out_channels if layer.weight.shape[1] == 1 < layer.groups else tp.prune_conv_out_channels
        graph.get_pruning_group(layer, prune, idxs=gone).prune()
        cut += len(gone)
    assert cut > 0
    got = {n.replace("/", "."): t.shape for n, t in pruned.state_dict().items()}
    for n, t in theirs.state_dict().items():
        if "num_batches" not in n:
            assert tuple(got[n]) == tuple(t.shape), n
    np.testing.assert_allclose(pruned(X).numpy(), theirs(torch.tensor(X)).detach().numpy(), atol=2e-5)
