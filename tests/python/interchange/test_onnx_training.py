"""A network from a file trains as torch trains the one it came from: same steps, same accuracy; and runs for long without growing."""

import gc
import io
import os
import warnings

import numpy as np
from judges import judge

from miniten import nn, optim
from miniten.edge import export_onnx, load_onnx

torch, datasets, onnx, ort = judge("torch"), judge("sklearn.datasets"), judge("onnx"), judge("onnxruntime")
torch.set_num_threads(1)


def digits(turned):
    x, y = datasets.load_digits(return_X_y=True)
    x = (x.reshape(-1, 1, 8, 8) / 16).astype("float32")
    x = np.ascontiguousarray(np.rot90(1 - x, axes=(2, 3))) if turned else x
    order = np.random.default_rng(0).permutation(len(x))
    return (x[order[:1200]], y[order[:1200]]), (x[order[1200:]], y[order[1200:]])


def network():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 12, 3, padding=1, bias=False), torch.nn.BatchNorm2d(12), torch.nn.ReLU(), torch.nn.Conv2d(12, 24, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(24),
                               torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(96, 10))


def batches(x, y, epochs):
    rng = np.random.default_rng(1)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x) - 63, 64):
            yield x[order[i : i + 64]], y[order[i : i + 64]]


def train_torch(net, x, y, epochs, lr):
    net.train()
    o, loss = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9), torch.nn.CrossEntropyLoss()
    for a, b in batches(x, y, epochs):
        o.zero_grad()
        loss(net(torch.tensor(a)), torch.tensor(b)).backward()
        o.step()
    return net.eval()


def test_fine_tuning_reaches_what_torch_reaches(tmp_path):
    torch.manual_seed(0)
    (x, y), _ = digits(turned=False)
    theirs = train_torch(network(), x, y, 2, 0.1)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(theirs, (torch.zeros(1, 1, 8, 8),), buffer, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False, input_names=["image"], dynamic_axes={"image": {0: "n"}})
    ours = load_onnx(buffer.getvalue())
    (x, y), (test_x, test_y) = digits(turned=True)

    def accuracies():
        with torch.no_grad():
            return float((ours.eval()(test_x).numpy().argmax(1) == test_y).mean()), float((theirs.eval()(torch.tensor(test_x)).numpy().argmax(1) == test_y).mean())

    before = accuracies()
    assert before[0] == before[1] < 0.5  # the task is another one
    train_torch(theirs, x, y, 3, 0.05)
    ours.train()
    o, loss = optim.SGD(ours.parameters(), lr=0.05, momentum=0.9), nn.CrossEntropyLoss()
    for a, b in batches(x, y, 3):
        o.zero_grad()
        loss(ours(a), b).backward()
        o.step()
    mine, torchs = accuracies()
    assert torchs > 0.9 and abs(mine - torchs) <= 0.01
    weights = {n.replace("/", "."): p.numpy() for n, p in ours.state_dict().items()}
    for name, w in theirs.state_dict().items():  # step by step the same, running statistics too
        if name in weights:
            np.testing.assert_allclose(weights[name], w.numpy(), atol=0.02 * max(1, float(w.abs().max())))
    export_onnx(ours, (1, 1, 8, 8), tmp_path / "tuned.onnx", dynamic_axes={"image": {0: "n"}})
    session = ort.InferenceSession(str(tmp_path / "tuned.onnx"), providers=["CPUExecutionProvider"])
    assert float((session.run(None, {"image": test_x})[0].argmax(1) == test_y).mean()) == mine


def test_a_head_is_replaced_and_the_rest_frozen():
    torch.manual_seed(2)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network()[:8].eval(), (torch.zeros(1, 1, 8, 8),), buffer, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False, input_names=["image"], dynamic_axes={"image": {0: "n"}})
    body = load_onnx(buffer.getvalue())
    for p in body.parameters():
        p.requires_grad = False
    net = nn.Sequential(body, nn.Linear(96, 10))
    (x, y), (test_x, test_y) = digits(turned=False)
    before = {n: p.numpy().copy() for n, p in body.named_parameters()}
    o, loss = optim.Adam(net[1].parameters(), lr=0.02), nn.CrossEntropyLoss()
    net[1].train()
    for a, b in batches(x, y, 12):
        o.zero_grad()
        loss(net(a), b).backward()
        o.step()
    assert all(np.array_equal(before[n], p.numpy()) for n, p in body.named_parameters())
    assert (net.eval()(test_x).numpy().argmax(1) == test_y).mean() > 0.85


def resident():
    gc.collect()
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_stays_flat_over_many_runs():
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        net (float[N, 8] x) => (float[N, 8] y) { a = MatMul(x, w)  t = ReduceSum<keepdims = 0>(a)  z = Constant<value_float = 0.0>()  up = Greater(t, z)
          y = If(up)<then_branch = p () => (float[N, 8] b) { b = Relu(a) }, else_branch = q () => (float[N, 8] c) { d = Tanh(a)  c = Mul(d, a) }> }""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.random.default_rng(0).normal(size=(8, 8)).astype("float32"), "w"))
    branches = load_onnx(model.SerializeToString())
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)).eval()
    rng = np.random.default_rng(1)
    rows = [rng.normal(size=(n, 8)).astype("float32") for n in (1, 3, 2, 3)]
    pictures = rng.normal(size=(1, 3, 8, 8)).astype("float32")
    import miniten as mt

    session = mt.compile(plain, (1, 3, 8, 8), threads=1)

    def work(runs):
        for i in range(runs):
            branches(rows[i % 4])
            session.run(pictures)

    work(500)
    grown = []
    for _ in range(3):                                     # a leak grows each time, the rest of the process once
        first = resident()
        work(2000)
        grown.append(resident() - first)
    assert min(grown) < 2**19, grown
