"""Any legal prune of any test net runs, keeps its zeros, survives a file and exports: judged by onnxruntime and LiteRT."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judges import judge
from nets import NETS

import miniten as mt
from miniten.edge import export_onnx, export_tflite, prune_model

patterns = st.one_of(st.none(), st.just("blocks"), st.tuples(st.integers(1, 20), st.integers(1, 6)), st.sampled_from(["1:2", "2:4", "1:4"]))
zeros = st.fixed_dictionaries({"method": st.sampled_from(["magnitude", "random", "lamp"]), "scope": st.sampled_from(["global", "layer"]), "pattern": patterns})
channels = st.fixed_dictionaries({
    "method": st.just("structured"), "scope": st.sampled_from(["global", "layer"]), "importance": st.sampled_from(["l1", "l2", "geometric_median", "random"]),
    "min_channels": st.integers(1, 4), "round_to": st.sampled_from([1, 2, 3, 4, 8]),
})


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(NETS)), options=st.one_of(zeros, channels), sparsity=st.floats(0, 0.99), seed=st.integers(0, 9))
def test_any_legal_prune(name, options, sparsity, seed):
    ort = judge("onnxruntime")
    make, shape = NETS[name]
    mt.manual_seed(seed)
    net = make()
    net.eval()
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    before = net(x).numpy()
    if isinstance(options.get("pattern"), str) and ":" in options["pattern"]:
        n, m = map(int, options["pattern"].split(":"))
        sparsity = 1 - n / m
    pruned = prune_model(net, sparsity, seed=seed, **options)
    after = pruned(x).numpy()
    assert after.shape == before.shape and np.isfinite(after).all()
    assert (net(x).numpy() == before).all()
    for mask_name, mask in pruned.masks.items():
        w = dict((k.replace("/", "."), v) for k, v in pruned.state_dict().items())[mask_name].numpy()
        assert not w[~mask.numpy()].any() and w.any()
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(pruned, x.shape, str(Path(folder) / "a.onnx"))
        session = ort.InferenceSession(str(Path(folder) / "a.onnx"), providers=["CPUExecutionProvider"])
        want = session.run(None, {session.get_inputs()[0].name: x})[0]
        np.testing.assert_allclose(after, want, atol=1e-4 * max(1, np.abs(want).max()))
        interpreter = judge("ai_edge_litert.interpreter").Interpreter
        export_tflite(pruned, x.shape, str(Path(folder) / "a.tflite"), keep_layout=True, sparse=bool(seed % 2))
        i = interpreter(model_path=str(Path(folder) / "a.tflite"))
        i.allocate_tensors()
        i.set_tensor(i.get_input_details()[0]["index"], x)
        i.invoke()
        np.testing.assert_allclose(after, i.get_tensor(i.get_output_details()[0]["index"]), atol=1e-4 * max(1, np.abs(want).max()))
        pruned.save(Path(folder) / "a.npz")
        assert (mt.load(str(Path(folder) / "a.npz"))(x).numpy() == after).all()
