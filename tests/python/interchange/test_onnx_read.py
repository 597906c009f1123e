"""Models as the world writes them: control flow, functions, external data, open sizes, contrib ops; judged by onnxruntime."""

import numpy as np
import pytest
from judges import judge

from miniten import edge, nn, optim
from miniten.edge import load_onnx

onnx, ort = judge("onnx"), judge("onnxruntime")
RNG = np.random.default_rng(5)


def rand(*shape):
    return RNG.normal(size=shape).astype("float32")


def parse(text, ir=8, opset=17, extra="", **weights):
    model = onnx.parser.parse_model(f'<ir_version: {ir}, opset_import: ["" : {opset}{extra}]>\n' + text)
    for name, w in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(w), name))
    return model


def check(model, *inputs, tol=1e-5, exact=False):
    """MiniTen and onnxruntime on the same file -> the loaded module."""
    data = model.SerializeToString()
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    want = session.run(None, {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)})
    module = load_onnx(data)
    got = module(*inputs)
    for g, w in zip(got if isinstance(got, tuple) else (got,), want, strict=True):
        g = np.array(g)
        assert g.shape == w.shape and g.dtype == w.dtype, (g.shape, g.dtype, w.shape, w.dtype)
        if exact:
            assert np.array_equal(g, w), np.abs(g.astype("int64") - w.astype("int64")).max()
        else:
            np.testing.assert_array_less(np.abs(g.astype("float64") - w), tol * max(1, np.abs(w).max()) + 1e-12)
    return module


def test_open_sizes_run_as_compiled_graphs():
    model = parse("""
        net (float[N, 3, 4] x) => (float[N, M] y) {
          s = Shape(x)  zero = Constant<value_ints = [0]>()  n = Gather<axis = 0>(s, zero)
          rest = Constant<value_ints = [-1]>()  to = Concat<axis = 0>(n, rest)
          flat = Reshape(x, to)  p = MatMul(flat, w)  y = Relu(p)
        }""", w=rand(12, 5))
    for batch in (1, 3, 7):
        module = check(model, rand(batch, 3, 4))
    assert isinstance(module, nn.GraphModule) and repr(module.graph.inputs[0].shape[0]) == "N"
    module(rand(2, 3, 4))
    assert [p.shape for p in module.parameters()] == [(12, 5)]
    with pytest.raises(ValueError, match="inputs"):
        module(rand(2, 3, 4), rand(1))
    with pytest.raises((ValueError, TypeError), match=r'"x"|x'):
        module(rand(2, 3))
    np.testing.assert_allclose(module(x=np.ones((1, 3, 4), "float32")).numpy(), module(np.ones((1, 3, 4), "float32")).numpy())


def test_a_branch_that_depends_on_the_input():
    model = parse("""
        net (float[N, 4] x) => (float[N, 4] y) {
          total = ReduceSum<keepdims = 0>(x)  zero = Constant<value_float = 0.0>()  up = Greater(total, zero)
          y = If(up)<then_branch = up_g () => (float[N, 4] a) { a = Mul(x, w) },
                     else_branch = down_g () => (float[N, 4] b) { c = Sub(x, w)  b = Relu(c) }>
        }""", w=rand(4))
    x = np.abs(rand(2, 4))
    for sign in (1, -1):
        module = check(model, sign * x)
    assert "condition" in module.runs_by_node or "constant" in module.runs_by_node
    for sign in (1, -1):  # one module, both branches
        y = module(sign * x).numpy()
        w = list(module.parameters())[0].numpy()
        np.testing.assert_allclose(y, x * w if sign > 0 else np.maximum(-x - w, 0), rtol=1e-6)


def test_loops_and_scans():
    loop = parse("""
        net (int64 n, float[2] x) => (float[2] last, float[K, 2] all) {
          on = Constant<value = bool {1}>()
          last, all = Loop(n, on, x)<body = turn (int64 i, bool c, float[2] v) => (bool c_out, float[2] v_out, float[2] row) {
            c_out = Identity(c)  v_out = Add(v, step)  row = Mul(v_out, step) }>
        }""", step=np.array([0.5, -2.0], "float32"))
    for n in (1, 4):
        check(loop, np.array(n, "int64"), rand(2))
    scan = parse("""
        net (float[2] h, float[5, 2] x) => (float[2] last, float[5, 2] all) {
          last, all = Scan<num_scan_inputs = 1, body = turn (float[2] s, float[2] e) => (float[2] s_out, float[2] row) {
            t = Add(s, e)  s_out = Tanh(t)  row = Identity(s_out) }>(h, x)
        }""")
    module = check(scan, rand(2), rand(5, 2))
    assert isinstance(module, nn.GraphModule)  # a known number of steps is unrolled


def test_local_functions():
    text = """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        net (float[N, 3] x) => (float[N, 3] y) { a = own.scaled<factor = 3.0>(x)  y = own.twice(a) }
        <domain: "own", opset_import: ["" : 17]> scaled <factor: float> (v) => (r) { f = Constant<value_float: float = @factor>()  r = Mul(v, f) }
        <domain: "own", opset_import: ["" : 17, "own" : 1]> twice (v) => (r) { r = Add(v, v) }"""
    model = onnx.parser.parse_model(text)
    got = load_onnx(model.SerializeToString())(np.ones((2, 3), "float32")).numpy()
    assert np.array_equal(got, np.full((2, 3), 6, "float32"))


def test_external_data(tmp_path):
    w = rand(64, 8)
    model = parse("net (float[N, 64] x) => (float[N, 8] y) { y = MatMul(x, w) }", w=w)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    x = rand(3, 64)
    np.testing.assert_allclose(load_onnx(tmp_path / "m.onnx")(x).numpy(), x @ w, atol=1e-4)
    data = (tmp_path / "m.onnx").read_bytes()
    with pytest.raises(ValueError, match="path"):
        load_onnx(data)
    (tmp_path / "outside.onnx").write_bytes(data.replace(b"weights.bin", b"../eight.bn"))
    with pytest.raises(ValueError, match="beside the model"):
        load_onnx(tmp_path / "outside.onnx")
    (tmp_path / "weights.bin").write_bytes(b"short")
    with pytest.raises(ValueError, match="bytes"):
        load_onnx(tmp_path / "m.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(OSError, match="weights.bin"):
        load_onnx(tmp_path / "m.onnx")


def test_sparse_weights():
    model = parse("net (float[N, 3] x) => (float[N, 4] y) { y = MatMul(x, w) }")
    values = onnx.numpy_helper.from_array(np.array([2.0, -3.0], "float32"), "w")
    where = onnx.numpy_helper.from_array(np.array([1, 10], "int64"), "at")
    model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, where, [3, 4]))
    w = np.zeros(12, "float32")
    w[[1, 10]] = [2, -3]
    x = rand(2, 3)
    np.testing.assert_allclose(load_onnx(model.SerializeToString())(x).numpy(), x @ w.reshape(3, 4), rtol=1e-6)


@pytest.mark.parametrize("op,gates", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("with_lengths", [False, True])
def test_recurrent_layers(op, gates, direction, with_lengths):
    d, hidden, inputs, steps, batch = 2 if direction == "bidirectional" else 1, 6, 5, 7, 3
    more = ", linear_before_reset = 1" if op == "GRU" and direction != "reverse" else ""
    extra = {"lengths": np.array([7, 4, 1], "int32")} if with_lengths else {}
    states = ", c" if op == "LSTM" else ""
    model = parse(f"""net (float[{steps}, {batch}, {inputs}] x) => (float[A, B, C, D] y, float[E, F, G] h) {{
        y, h{states} = {op}<hidden_size = {hidden}, direction = "{direction}"{more}>(x, w, r, b, {"lengths" if with_lengths else ""}) }}""",
        w=rand(d, gates * hidden, inputs) * 0.5, r=rand(d, gates * hidden, hidden) * 0.5, b=rand(d, 2 * gates * hidden) * 0.5, **extra)
    check(model, rand(steps, batch, inputs))


def test_training_what_was_read():
    model = parse("net (float[N, 8] x) => (float[N, 3] y) { a = Gemm<transB = 1>(x, w1, b1)  h = Relu(a)  y = Gemm(h, w2, b2) }",
                  w1=rand(16, 8) * 0.3, b1=np.zeros(16, "float32"), w2=rand(16, 3) * 0.3, b2=np.zeros(3, "float32"))
    module = load_onnx(model.SerializeToString()).train()
    x = rand(64, 8)
    labels = (x[:, 0] > 0).astype("int64") + (x[:, 1] > 0)
    loss, o = nn.CrossEntropyLoss(), optim.Adam(module.parameters(), lr=0.02)
    first = float(loss(module(x), labels).item())
    for _ in range(60):
        o.zero_grad()
        loss(module(x), labels).backward()
        o.step()
    assert float(loss(module(x), labels).item()) < 0.3 * first
    assert (module.eval()(x).numpy().argmax(1) == labels).mean() > 0.9


def test_quantised_operators_equal_onnxruntime():
    s, z = np.float32, lambda v: np.array(v, "uint8")
    conv = parse("""net (uint8[1, 3, 8, 8] x) => (uint8[1, 4, 8, 8] y) {
        y = QLinearConv<pads = [1, 1, 1, 1]>(x, xs, xz, w, ws, wz, ys, yz, b) }""",
        xs=s(0.02), xz=z(120), w=RNG.integers(-127, 128, (4, 3, 3, 3)).astype("int8"), ws=np.array([0.01, 0.02, 0.005, 0.013], "float32"), wz=np.zeros(4, "int8"),
        ys=s(0.05), yz=z(128), b=RNG.integers(-500, 500, 4).astype("int32"))
    module = check(conv, RNG.integers(0, 256, (1, 3, 8, 8)).astype("uint8"), exact=True)
    assert "qconv2d" in module.graph.optimized().ops  # in integers, not in floats
    x = RNG.integers(0, 256, (2, 6)).astype("uint8")
    matmul = parse("net (uint8[2, 6] x) => (uint8[2, 5] y) { y = QLinearMatMul(x, xs, xz, w, ws, wz, ys, yz) }",
                   xs=s(0.02), xz=z(120), w=RNG.integers(0, 256, (6, 5)).astype("uint8"), ws=s(0.01), wz=z(127), ys=s(0.01), yz=z(128))
    check(matmul, x, exact=True)
    integer = parse("net (uint8[2, 6] x) => (int32[2, 5] y) { y = MatMulInteger(x, w, xz, wz) }", w=RNG.integers(0, 256, (6, 5)).astype("uint8"), xz=z(120), wz=z(127))
    check(integer, x, exact=True)
    contrib = ', "com.microsoft" : 1'
    for text in ("y = com.microsoft.QLinearAdd(x, xs, xz, x, ws, wz, ys, yz)", "y = com.microsoft.QLinearMul(x, xs, xz, x, ws, wz, ys, yz)",
                 "y = com.microsoft.QLinearSigmoid(x, xs, xz, sig, zero)"):
        check(parse(f"net (uint8[2, 6] x) => (uint8[2, 6] y) {{ {text} }}", extra=contrib, xs=s(0.02), xz=z(120), ws=s(0.03), wz=z(100), ys=s(0.06), yz=z(90),
                    sig=s(1 / 256), zero=z(0)), x, exact=True)


def test_contrib_operators_equal_onnxruntime():
    contrib = ', "com.microsoft" : 1'
    x = rand(2, 5, 8)
    for text in ("y = com.microsoft.Gelu(x)", "y = com.microsoft.FastGelu(x, b)", "y = com.microsoft.BiasGelu(x, b)", "y = com.microsoft.QuickGelu(x)",
                 "y = com.microsoft.SkipLayerNormalization<epsilon = 0.00001>(x, skip, g, b)"):
        check(parse(f"net (float[2, 5, 8] x) => (float[2, 5, 8] y) {{ {text} }}", extra=contrib, b=rand(8), g=rand(8), skip=rand(2, 5, 8)), x)
    attention = "y = com.microsoft.Attention<num_heads = 2>(x, w, b, mask)"
    check(parse(f"net (float[2, 5, 8] x) => (float[2, 5, 8] y) {{ {attention} }}", extra=contrib, w=rand(8, 24), b=rand(24), mask=np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], "int32")), x)
    heads = "y = com.microsoft.MultiHeadAttention<num_heads = 2>(x, k, v, b)"
    check(parse(f"net (float[2, 5, 8] x) => (float[2, 5, 8] y) {{ {heads} }}", extra=contrib, k=rand(2, 7, 8), v=rand(2, 7, 8), b=rand(24)), x)
    fused = 'y = com.microsoft.FusedConv<kernel_shape = [3, 3], activation = "Relu">(x, w, b)'
    check(parse(f"net (float[1, 2, 6, 6] x) => (float[1, 3, 4, 4] y) {{ {fused} }}", extra=contrib, w=rand(3, 2, 3, 3), b=rand(3)), rand(1, 2, 6, 6))
    bits = "y = com.microsoft.MatMulNBits<K = 64, N = 6, bits = 4, block_size = 32>(x, w, s)"
    check(parse(f"net (float[3, 64] x) => (float[3, 6] y) {{ {bits} }}", extra=contrib, w=RNG.integers(0, 256, (6, 2, 16)).astype("uint8"), s=np.abs(rand(12)) * 0.1), rand(3, 64), tol=1e-4)


def test_folding_batch_norms():
    model = parse("""net (float[N, 2, 5, 5] x) => (float[N, 3, 5, 5] y) {
        a = Conv<pads = [1, 1, 1, 1]>(x, w)  n = BatchNormalization(a, g, b, m, v)  y = Relu(n) }""",
        w=rand(3, 2, 3, 3), g=rand(3), b=rand(3), m=rand(3), v=np.abs(rand(3)) + 0.5)
    data, x = model.SerializeToString(), rand(2, 2, 5, 5)
    kept, folded = load_onnx(data), load_onnx(data, fold_batch_norm=True)
    assert "batch_norm" in kept.graph.ops and "batch_norm" not in folded.graph.ops
    np.testing.assert_allclose(kept(x).numpy(), folded(x).numpy(), atol=2e-5)
    assert len(list(folded.parameters())) == 2 and len(list(kept.parameters())) == 3


@pytest.mark.parametrize("open_sizes", [False, True])
def test_imported_batch_norms_train_as_batch_norms(open_sizes):
    torch = judge("torch")
    own = "" if not open_sizes else "s = Shape(r)  k = ReduceMax<keepdims = 0>(t)  lim = Constant<value_float = 100.0>()  up = Less(k, lim)"
    last = "y = Identity(t)" if not open_sizes else 'y = If(up)<then_branch = a () => (float[N, 3, 5, 5] p) { p = Identity(t) }, else_branch = b () => (float[N, 3, 5, 5] q) { q = Neg(t) }>'
    model = parse(f"""net (float[N, 2, 5, 5] x) => (float[N, 3, 5, 5] y) {{
        c = Conv<pads = [1, 1, 1, 1]>(x, w)  n = BatchNormalization<momentum = 0.8>(c, one, zero, zero, one)  r = Relu(n)  m = BatchNormalization(r, one, zero, zero, one)  t = Tanh(m) {own} {last} }}""",
        w=rand(3, 2, 3, 3), one=np.ones(3, "float32"), zero=np.zeros(3, "float32"))  # equal tensors are written once
    net = load_onnx(model.SerializeToString())
    assert isinstance(net, edge.export.OnnxModule) == open_sizes
    conv, first, second = torch.nn.Conv2d(2, 3, 3, padding=1, bias=False), torch.nn.BatchNorm2d(3, momentum=0.2), torch.nn.BatchNorm2d(3)
    conv.weight.data = torch.tensor(onnx.numpy_helper.to_array(model.graph.initializer[0]))
    parameters = dict(net.named_parameters())
    assert set(parameters) == {"w", "one", "zero"} and len(list(net.buffers())) == 4
    theirs = torch.nn.Sequential(conv, first, torch.nn.ReLU(), second, torch.nn.Tanh())
    x = rand(8, 2, 5, 5)
    net.train()
    for _ in range(3):
        want = theirs(torch.tensor(x))
        got = net(x)
        np.testing.assert_allclose(got.numpy() if not got.requires_grad else got.detach().numpy(), want.detach().numpy(), atol=1e-5)
    (got**2).sum().backward()
    (want**2).sum().backward()
    np.testing.assert_allclose(parameters["w"].grad.numpy(), conv.weight.grad.numpy(), atol=1e-3)
    np.testing.assert_allclose(parameters["one"].grad.numpy(), (first.weight.grad + second.weight.grad).numpy(), atol=1e-3)
    moved = [b.numpy() for b in net.buffers()]
    for b in (first.running_mean, first.running_var, second.running_mean, second.running_var):
        assert min(np.abs(m - b.numpy()).max() for m in moved) < 1e-5
    np.testing.assert_allclose(net.eval()(x).numpy(), theirs.eval()(torch.tensor(x)).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(("bounds", "ops"), [(("", "l", "h"), ["clamp"]), (("", "l"), ["clamp"]), (("", '""', "h"), ["clamp"]), (("", "h", "l"), ["maximum", "minimum"])])
def test_a_clip_of_known_bounds_is_one_clamp(bounds, ops):
    model = parse(f"net (float[3, 4] x) => (float[3, 4] y) {{ y = Clip(x{', '.join(bounds)}) }}", l=np.float32(-0.5), h=np.float32(0.5))
    assert check(model, rand(3, 4), exact=False).graph.ops == ops


def test_what_is_unknown_is_named():
    model = parse('net (float[2] x) => (float[2] y) { y = com.nobody.Strange(x) }', extra=', "com.nobody" : 1')
    model.graph.node[0].name = "the_node"
    with pytest.raises(NotImplementedError, match="com.nobody.Strange-1.*the_node"):
        load_onnx(model.SerializeToString())
    import miniten.onnx_backend as backend

    assert not backend.is_compatible(model) and backend.supports_device("CPU") and not backend.supports_device("CUDA")
    node = onnx.helper.make_node("Einsum", ["a", "b"], ["y"], equation="ij,jk")
    a, b = rand(2, 3), rand(3, 4)
    np.testing.assert_allclose(backend.run_node(node, [a, b])[0], a @ b, atol=1e-5)


def test_a_split_that_does_not_fit_is_refused():
    def split(attributes):
        return parse(f"g (float[2, 6] x) => (float[M, N] a, float[M, N] b) {{ a, b = Split <{attributes}> (x) }}", opset=18).SerializeToString()

    x = rand(2, 6)
    assert [t.shape for t in load_onnx(split("axis = -1, num_outputs = 2"))(x)] == [(2, 3), (2, 3)]
    for attributes in ("axis = -131069, num_outputs = 2", "axis = 1, num_outputs = 1099511627776"):
        with pytest.raises((ValueError, NotImplementedError), match="Split"):
            load_onnx(split(attributes))(x)


def test_pads_beyond_memory_are_refused():
    def padded(by):
        return parse('g (float[2, 6] x) => (float[M, N] y) { y = Pad <mode = "wrap"> (x, pads) }', opset=19, pads=np.array([0, 0, 0, by])).SerializeToString()

    x = rand(2, 6)
    assert np.array_equal(load_onnx(padded(3))(x).numpy(), np.pad(x, [(0, 0), (0, 3)], mode="wrap"))
    for by in (1 << 40, (1 << 63) - 1):
        with pytest.raises((ValueError, NotImplementedError, MemoryError)):
            load_onnx(padded(by), max_memory_mb=64)(x)
