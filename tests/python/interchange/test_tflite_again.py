"""What load_tflite reads, export_tflite writes again: LiteRT gives the same for both files, or the operator is refused by name."""

import numpy as np
import pytest
from tflite_cases import FIXED, FLOATS, IN, NOT_IN_THE_REFERENCE, OUT, QUANTISED, SAME, single
from tflite_files import litert
from tflite_nets import accumulator, landmarks, lstm, wake_word

from miniten import nn
from miniten.edge import export_miniten, export_tflite, load_miniten, load_tflite

RNG = np.random.default_rng(5)
CASES = {**{k: (c, None) for k, c in FLOATS.items()}, **{"q_" + k: (c, (IN, OUT)) for k, c in QUANTISED.items()}, **{"same_" + k: (c, (IN, IN)) for k, c in SAME.items()}, **{"fixed_" + k: (c, q) for k, (c, *q) in FIXED.items()}}
REFUSED = {"sum_int32": "float64", "TOPK_V2": "argsort", "SCATTER_ND": "scatter_add"}
# Files that keep their one operator. The others are written by operators that compute the same.
ONE = ["conv_same", "conv_groups", "depthwise_multiplied", "fully_connected_3d", "transpose_conv_same", "average_pool_same", "PRELU", "HARD_SWISH", "LEAKY_RELU", "GELU", "gelu_tanh", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "mean_kept", "CUMSUM"]
ONE += [f"bilinear_{i}" for i in range(4)] + ["q_conv", "q_depthwise", "q_fully_connected", "q_ADD", "q_SUB", "q_MUL", "q_HARD_SWISH", "q_LEAKY_RELU", "q_BATCH_MATMUL", "q_QUANTIZE", "q_quantize_int16"]
ONE += ["same_" + k for k in SAME if k not in ("SPACE_TO_BATCH_ND", "SPLIT", "MAX_POOL_2D", "STRIDED_SLICE")] + ["fixed_" + k for k in FIXED if k != "L2_NORMALIZATION"]


def rand(*shape):
    return RNG.normal(size=shape).astype("float32")


def written(data, arrays, path, **options):
    module = load_tflite(data)
    report = export_tflite(module, [x.shape for x in arrays], path, input_dtypes=[str(x.dtype) for x in arrays], **options)
    assert report.checked_by == ["miniten"]
    return module, report


def far(got, want):
    assert [(g.shape, g.dtype) for g in got] == [(w.shape, w.dtype) for w in want]
    return max(np.abs(g.astype("float64") - w).max(initial=0) / (max(1, np.abs(w).max(initial=0)) if w.dtype.kind == "f" else 1) for g, w in zip(got, want, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_every_operator_is_written_again(name, tmp_path):
    (op, inputs, out, *rest), q = CASES[name]
    if q and any(getattr(x, "dtype", None) == "uint8" for x in inputs):
        q = ((q[0][0], 123), (q[1][0], 139))
    options, version, fields = [*rest] + [None, 1, {}][len(rest) :]
    data, arrays = single(op, inputs, out, options, version, q=q, **fields)
    if name in REFUSED:
        with pytest.raises(NotImplementedError, match=REFUSED[name]):
            written(data, arrays, tmp_path / "m.tflite")
        assert not list(tmp_path.iterdir())
        return
    _, report = written(data, arrays, tmp_path / "m.tflite")
    reference = op not in NOT_IN_THE_REFERENCE and op != "SUM" and "BROADCAST_TO" not in report.operators
    (want,), (got,) = litert(data, arrays, reference=reference), litert((tmp_path / "m.tflite").read_bytes(), arrays, reference=reference)
    integers = want[0].dtype in (np.int8, np.uint8, np.int16)
    assert far(got, want) <= (1 if integers else 1e-5)
    if name in ONE:
        assert sum(report.operators.values()) == 1, report.operators
        assert integers <= (far(got, want) == 0)


# ---- with a memory ----
FRAME = {False: lambda: rand(1, 1, 1, 8), True: lambda: RNG.integers(-128, 128, (1, 1, 1, 8)).astype("int8")}
STREAMS = {
    "accumulator": lambda: (accumulator(rand(1, 3)), [[rand(1, 3)] for _ in range(4)]),
    "lstm": lambda: (lstm()[0], [[rand(2, 4, 3)] for _ in range(3)]),
    "wake_word": lambda: (wake_word(False), [[FRAME[False]()] for _ in range(7)]),
    "wake_word_int8": lambda: (wake_word(True), [[FRAME[True]()] for _ in range(7)]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_models_with_variables_are_written_and_stream(name, tmp_path):
    data, runs = STREAMS[name]()
    want = litert(data, *runs)
    module, report = written(data, runs[0], tmp_path / "m.tflite")
    assert report.operators["READ_VARIABLE"] == report.operators["ASSIGN_VARIABLE"] > 0 and "TRANSPOSE" not in report.operators
    export_miniten(module, tmp_path / "m.npz")
    limit = 0 if name.endswith("int8") else 1e-5
    again = (tmp_path / "m.tflite").read_bytes()
    for reference in (True, False):
        got = litert(again, *runs, reference=reference)
        assert max(far(g, w) for g, w in zip(got, want, strict=True)) <= limit
    # exporting moved no state, and each of the files begins where the model stands
    steps = 1 if name.endswith("int8") else 1e-5
    for model in (module, load_tflite(again), load_miniten(tmp_path / "m.npz"), load_tflite(tmp_path / "m.tflite")):
        assert max(far([np.array(model(*x))], w) for x, w in zip(runs, want, strict=True)) <= steps


def test_states_that_have_moved_are_written_as_they_are(tmp_path):
    data, runs = STREAMS["wake_word"]()
    want = litert(data, *runs)
    module = load_tflite(data)
    for x in runs[:3]:
        module(*x)
    export_tflite(module, (1, 1, 1, 8), tmp_path / "m.tflite")
    export_miniten(module, tmp_path / "m.npz")
    got = litert((tmp_path / "m.tflite").read_bytes(), *runs[3:])
    assert max(far(g, w) for g, w in zip(got, want[3:], strict=True)) <= 1e-5
    back = load_miniten(tmp_path / "m.npz")
    assert max(far([np.array(back(*x))], w) for x, w in zip(runs[3:], want[3:], strict=True)) <= 1e-5


def test_a_streaming_lstm_of_our_own(tmp_path):
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x):
            return self.head(self.lstm(x)[0])

    model = Tagger().eval()
    x = rand(1, 6, 3)
    whole = model(x).numpy()
    export_tflite(model, (1, 1, 3), tmp_path / "m.tflite")  # a frame each run
    frames = [[x[:, k : k + 1]] for k in range(6)]
    data = (tmp_path / "m.tflite").read_bytes()
    again, _ = written(data, frames[0], tmp_path / "again.tflite")
    for got in (litert(data, *frames), litert((tmp_path / "again.tflite").read_bytes(), *frames), [[np.array(again(*f))] for f in frames]):
        np.testing.assert_allclose(np.concatenate([y for (y,) in got], 1), whole, atol=1e-5)


def test_metadata_is_written_and_read(tmp_path):
    data = landmarks(False, False)
    module = load_tflite(data)
    graph = module.graph
    graph.metadata = {**graph.metadata, "labels": "face, hand"}
    export_tflite(nn.GraphModule(graph), (1, 32, 32, 3), tmp_path / "m.tflite")
    assert load_tflite(tmp_path / "m.tflite").graph.metadata["labels"] == "face, hand"
