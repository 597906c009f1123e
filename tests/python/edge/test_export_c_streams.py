"""edge.export_c of quantised streams: recurrent layers in integers, a call at a time."""
import numpy as np
import pytest
from exported_c import CC, Lambda, call, library, macros

import miniten as mt
from miniten import edge, nn

pytestmark = pytest.mark.skipif(not CC, reason="no C compiler")
LAYERS = {
    "lstm": lambda: nn.LSTM(8, 16, 2, batch_first=True),
    "gru": lambda: nn.GRU(8, 16, batch_first=True),
    "rnn": lambda: nn.RNN(8, 16, batch_first=True),
}


def net(kind):
    mt.manual_seed(4)
    return Lambda(lambda m, x: m.head(m.a(m.before(x))[0]), before=nn.Linear(8, 8), a=LAYERS[kind](), head=nn.Linear(16, 5)).eval()


def sequences(count=6, steps=20):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((1, steps, 8)).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("kind", LAYERS)
def test_integers_follow_the_float_model_over_a_whole_sequence(kind, tmp_path):
    model, data = net(kind), sequences()
    report = edge.export_c(model, (1, 1, 8), tmp_path, streaming=True, calibration_data=data, verify="host")  # the session's bytes
    assert (report.input_dtypes, report.output_dtypes) == (["int8"], ["int8"])
    assert report.state_bytes == 2 * 16 * {"lstm": 4, "gru": 1, "rnn": 1}[kind]  # int16
    source = (tmp_path / "model.c").read_text()
    assert "expf" not in source and "tanhf" not in source
    number, lib, x = macros(tmp_path / "model.h"), library(tmp_path), data[0]
    want = np.asarray(model(x))
    for _ in range(2):
        lib.model_reset()
        for t in range(x.shape[1]):
            given = np.clip(np.rint(x[:, t : t + 1] / number("INPUT_SCALE")) + number("INPUT_ZERO_POINT"), -128, 127).astype(np.int8)
            got = np.zeros((1, 1, 5), np.int8)
            call(lib.model_step, [np.ascontiguousarray(given)], [got])
            real = (got.astype(np.float32) - number("OUTPUT_ZERO_POINT")) * number("OUTPUT_SCALE")
            assert np.abs(real - want[:, t : t + 1]).max() < 0.04 * np.abs(want).max()


def test_calls_of_several_steps_and_layers_alone(tmp_path):
    mt.manual_seed(1)
    layer = Lambda(lambda m, x: m.a(x), a=nn.GRU(8, 16))  # (T, N, F): two steps a call, and the state as a result too
    data = [np.swapaxes(s, 0, 1) for s in sequences()]
    report = edge.export_c(layer, (2, 1, 8), tmp_path, streaming=True, calibration_data=data, verify="host")
    assert report.state_bytes == 32


def test_sequences_must_be_made_of_calls(tmp_path):
    for data in ([np.zeros((1, 20, 7), np.float32)], [np.zeros((3, 20, 8), np.float32)]):
        with pytest.raises(ValueError, match="calibration sequences"):
            edge.export_c(net("gru"), (1, 1, 8), tmp_path / "out", streaming=True, calibration_data=data)
    with pytest.raises(ValueError, match="at least one sample"):
        edge.export_c(net("gru"), (1, 1, 8), tmp_path / "out", streaming=True, calibration_data=[])
    assert not (tmp_path / "out").exists()
