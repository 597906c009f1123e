"""What modules do besides forward: hooks, dtypes, paths, files, initial values, repeatable noise."""

import copy
import gc
import weakref

import numpy as np
import pytest
from judges import judge
from parity import agree

import miniten as mt
from miniten import nn

torch = judge("torch")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x):
        return self.rest(self.first(x))


def test_hooks_see_and_change():
    net, x, seen = Net(), mt.ones(2, 3), []
    handles = [m.register_forward_hook(lambda m, args, out, name=name: seen.append((name, args[0].shape, out.shape)) or None) for name, m in net.named_modules()]
    net(x)
    assert [s[0] for s in seen] == ["first", "rest.0", "rest.1", "rest", ""] and seen[0][1:] == ((2, 3), (2, 4))
    for h in handles:
        h.remove()
    net(x)
    assert len(seen) == 5
    plain = net(x).detach().numpy()
    with net.rest[1].register_forward_hook(lambda m, args, out: out * 2):
        agree(net(x).detach().numpy(), 2 * plain)
    with net.register_forward_pre_hook(lambda m, args: (args[0] * 0,)):
        agree(net(x).detach().numpy(), net.rest(net.first(mt.zeros(2, 3))).detach().numpy())
    with net.first.register_forward_pre_hook(lambda m, args: args[0] * 0):
        agree(net(x).detach().numpy(), net.rest(net.first(mt.zeros(2, 3))).detach().numpy())
    agree(net(x).detach().numpy(), plain, 0)
    with pytest.raises(TypeError, match="function"):
        net.register_forward_hook(3)
    calls = []
    net.first.register_forward_hook(lambda m, a, o: calls.append(m))
    twin = copy.deepcopy(net)
    twin(x)
    assert calls == [twin.first]


def test_hooks_keep_no_module_alive():
    net = Net()
    net.register_forward_hook(lambda m, a, o: net and None)
    net.first.register_forward_hook(lambda m, a, o: net and None)
    net(mt.ones(1, 3))
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None


def test_other_dtypes():
    net = Net().double()
    x = np.random.default_rng(0).normal(size=(5, 3))
    assert net(x).numpy().dtype == np.float64 and all(p.dtype == mt.float64 for p in net.parameters())
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in zip(theirs.state_dict(), net.state_dict().values())})
    agree(net(x).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), 1e-12)
    assert net.float()(x.astype("float32")).dtype == mt.float32
    bn = nn.BatchNorm1d(3).to("float64")
    bn(x)
    assert bn.running_mean.dtype == mt.float64 and bn.num_batches_tracked.dtype == mt.int64
    with pytest.raises(TypeError, match="floating"):
        net.to("int8")


def test_paths_and_files(tmp_path):
    net = Net().eval()
    assert net.get_submodule("rest.1") is net.rest[1] and net.get_submodule("") is net and net.get_parameter("rest.1.bias") is net.rest[1].bias
    for bad in ("rest.7", "nothing"):
        with pytest.raises(ValueError, match=bad):
            net.get_submodule(bad)
    with pytest.raises(ValueError, match="first.gain"):
        net.get_parameter("first.gain")
    x = mt.ones(2, 3)
    wanted = net(x).detach().numpy()
    net.save(tmp_path / "net.npz")
    again = nn.Module.load(tmp_path / "net.npz")
    agree(again.eval()(x).detach().numpy(), wanted)
    assert "Linear" in str(net.summary((1, 3)))


def test_tied_weights_are_counted_once():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    b.weight = a.weight
    net = nn.Sequential(a, b)
    assert len(list(net.parameters())) == 3 and len(net.state_dict()) == 4
    opt = mt.optim.SGD(net.parameters(), lr=0.1)
    before = a.weight.detach().numpy().copy()
    net(mt.ones(1, 4)).sum().backward()
    opt.step()
    assert a.weight is b.weight and not np.array_equal(a.weight.detach().numpy(), before)


INITS = {
    "uniform_": ((-1, 3), lambda w: (w.min() >= -1, w.max() <= 3, abs(w.mean() - 1) < 0.05, abs(w.std() - 4 / 12**0.5) < 0.05)),
    "normal_": ((1, 2), lambda w: (abs(w.mean() - 1) < 0.1, abs(w.std() - 2) < 0.05)),
    "trunc_normal_": ((0, 1, -1, 1), lambda w: (w.min() >= -1, w.max() <= 1, abs(w.std() - 0.5396) < 0.02, abs(w.mean()) < 0.03)),
    "constant_": ((3.5,), lambda w: ((w == 3.5).all(),)),
    "zeros_": ((), lambda w: ((w == 0).all(),)),
    "ones_": ((), lambda w: ((w == 1).all(),)),
    "eye_": ((), lambda w: (np.array_equal(w, np.eye(100, 60)),)),
    "xavier_uniform_": ((2.0,), lambda w: (abs(w).max() <= 2 * (6 / 160) ** 0.5, abs(w.std() - 2 * (2 / 160) ** 0.5) < 0.01)),
    "xavier_normal_": ((), lambda w: (abs(w.std() - (2 / 160) ** 0.5) < 0.005,)),
    "kaiming_uniform_": ((5**0.5,), lambda w: (abs(w).max() <= 60**-0.5, abs(w.std() - (3 * 60) ** -0.5) < 0.005)),
    "kaiming_normal_": ((0, "fan_out", "relu"), lambda w: (abs(w.std() - (2 / 100) ** 0.5) < 0.005,)),
    "orthogonal_": ((2.0,), lambda w: (np.abs(w.T @ w - 4 * np.eye(60)).max() < 1e-4,)),
    "sparse_": ((0.25,), lambda w: (((w == 0).sum(0) == 25).all(), abs(w[w != 0].std() - 0.01) < 0.001)),
}


@pytest.mark.parametrize("name", INITS)
def test_initial_values(name):
    mt.manual_seed(0)
    args, holds = INITS[name]
    w = mt.Parameter(np.asfortranarray(np.ones((100, 60), "float32")))
    assert getattr(nn.init, name)(w, *args) is w
    assert all(holds(w.detach().numpy())), holds(w.detach().numpy())
    mt.manual_seed(0)
    again = getattr(nn.init, name)(mt.zeros(100, 60), *args)
    assert np.array_equal(again.numpy(), w.detach().numpy())


def test_gains_and_dirac_against_torch():
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert nn.init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3))
    for shape, groups in [((4, 2, 3), 1), ((4, 2, 3, 5), 2), ((2, 4, 3, 3), 1)]:
        agree(nn.init.dirac_(mt.ones(*shape), groups).numpy(), torch.nn.init.dirac_(torch.ones(*shape), groups).numpy(), 0)
    for bad in (lambda: nn.init.xavier_uniform_(mt.ones(3)), lambda: nn.init.kaiming_normal_(mt.ones(3, 3), mode="fan"), lambda: nn.init.calculate_gain("step"),
                lambda: nn.init.uniform_(mt.ones(3), 2, 1), lambda: nn.init.sparse_(mt.ones(3, 3), 2.0), lambda: nn.init.normal_(mt.ones(3), std=-1)):
        with pytest.raises(ValueError, match="expected"):
            bad()
    with pytest.raises(TypeError, match="floating"):
        nn.init.ones_(mt.zeros(3, dtype="int64"))


def noise(model, seed=None, step=None):
    if seed is None:
        return model(mt.ones(4, 50)).numpy()
    with mt.deterministic(seed):
        if step is not None:
            mt.deterministic.step(step)
        return model(mt.ones(4, 50)).numpy()


def test_noise_by_seed_step_and_layer():
    model = nn.Sequential(nn.Dropout(), nn.Identity(), nn.Dropout())
    first = noise(model, 3)
    mt.randn(5), model(mt.ones(4, 50))
    assert np.array_equal(noise(model, 3), first) and np.array_equal(noise(copy.deepcopy(model), 3), first)
    assert not np.array_equal(noise(model, 4), first) and not np.array_equal(noise(model, 3, step=1), first)
    assert np.array_equal(noise(model, 3, step=0), first) and not np.array_equal(noise(model), noise(model))
    one, other = noise(nn.Sequential(nn.Dropout()), 3), noise(nn.Sequential(nn.Identity(), nn.Dropout()), 3)
    assert not np.array_equal(one, other)
    a, b = nn.Dropout(deterministic=True, seed=7), nn.Dropout(seed=7)
    assert a.deterministic and b.deterministic and np.array_equal(noise(a), noise(b)) and not np.array_equal(noise(a), first)
    assert "deterministic" in repr(a)
    scope = mt.deterministic(1)
    again = noise(model)
    mt.deterministic(None)
    assert np.array_equal(noise(model, 1), again) and scope is not None
    with pytest.raises(ValueError, match="seed"):
        mt.deterministic.step(1)
    with pytest.raises(ValueError, match="seed"):
        mt.deterministic(-1)


def test_whole_channels_are_dropped():
    y = nn.Dropout2d(0.5)(mt.ones(8, 16, 3, 3)).numpy()
    each = y.reshape(128, 9)
    assert (each == each[:, :1]).all() and set(np.unique(y)) == {0, 2} and 30 < (each[:, 0] == 0).sum() < 100
