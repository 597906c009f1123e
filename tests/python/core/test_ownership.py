"""One lifetime for what C++ and Python own together: identity, cycles, memory."""

import gc
import resource
import weakref

import numpy as np
import pytest

import miniten as mt
from miniten import nn, optim


def test_objects_keep_their_identity():
    m = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    assert m[0] is m[0] and m[0].weight is m[0].weight and next(m.parameters()) is m[0].weight
    assert optim.SGD(m.parameters()).parameters[0] is m[0].weight
    x = mt.ones(1, requires_grad=True)
    (x * 2).backward()
    assert x.grad is x.grad


def test_a_wrapper_lives_as_long_as_its_object():
    m = nn.Linear(2, 3)

    class Tagged(mt.Parameter):
        pass

    p = Tagged(mt.ones(3, 2))
    p.tag = "mine"
    m.weight = p
    del p
    gc.collect()
    assert type(m.weight) is Tagged and m.weight.tag == "mine"


class Node(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.layer.parent = [self]                 # in the child's __dict__
        self.me = [self]
        self.inner = nn.Sequential(nn.Linear(2, 2), nn.DepthwiseSeparableConv2d(2, 2, 3))
        self.inner[1].owner = {"model": self}
        self.scale = nn.Parameter(mt.ones(2))

    def forward(self, x):
        return self.layer(x) * self.scale


def test_cycles_are_collected():
    refs = []
    for _ in range(20):
        n = Node()
        n(mt.ones(1, 2)).sum().backward()
        refs += [weakref.ref(n), weakref.ref(n.layer), weakref.ref(n.inner), weakref.ref(n.inner[1]), weakref.ref(n.scale)]
    del n
    gc.collect()
    assert [r for r in refs if r() is not None] == []


def test_what_is_in_use_is_not_collected():
    n = Node()
    layer, weight = n.layer, n.inner[0].weight
    shape = weight.shape
    ref = weakref.ref(n)
    opt = optim.SGD(n.parameters(), lr=0.1)
    del n
    gc.collect()
    assert ref() is not None, "layer.parent still refers to it"
    del layer
    gc.collect()
    assert ref() is None and weight.shape == shape and len(opt.parameters) > 0
    opt.step()


def test_thousands_of_models_leave_no_memory():
    def make(n):
        for _ in range(n):
            node = Node()
            node(mt.ones(4, 2)).sum().backward()
            optim.Adam(node.parameters()).step()
        gc.collect()

    make(300)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    make(3000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 4000, f"grew by {grown} KiB"


def test_training_and_inference_leave_no_memory():
    m = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    opt = optim.Adam(m.parameters())
    loss = nn.CrossEntropyLoss()
    x, y = np.random.rand(8, 1, 8, 8).astype("float32"), np.arange(8) % 3
    session = mt.compile(m, (8, 1, 8, 8))

    def run(n):
        for _ in range(n):
            opt.zero_grad()
            loss(m(x), y).backward()
            opt.step()
            session.run(x)
            mt.from_numpy(x).numpy()

    run(200)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(1000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 4000, f"grew by {grown} KiB"


def test_forgotten_super_init_is_told():
    class Forgot(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

    class Forgot2(nn.Module):
        def __init__(self):
            self.n = 3

    with pytest.raises(TypeError, match=r"\[Forgot\] expected super\(\).__init__\(\)"):
        Forgot()
    f = Forgot2()
    for use in (lambda: f(mt.ones(2)), lambda: f.parameters(), lambda: f.eval(), lambda: repr(f), lambda: f.missing):
        with pytest.raises((TypeError, AttributeError)):
            use()
    gc.collect()
    with pytest.raises((TypeError, BufferError, AttributeError)):
        np.asarray(mt.Tensor.__new__(mt.Tensor)) + mt.Tensor.__new__(mt.Tensor)


def test_tensors_freed_on_other_threads():
    import threading

    session = mt.compile(nn.Linear(4, 4), (2, 4))

    def work():
        for _ in range(200):
            (session.clone().run(np.ones((2, 4), "float32")) + 1).sum()

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
