"""edge.export_c of what repeats, as the steps of a quantised recurrent layer: one loop, the session's bytes."""
import re

import numpy as np
import pytest
from exported_c import CC, Lambda, call, library, macros

import miniten as mt
from miniten import edge, nn

pytestmark = pytest.mark.skipif(not CC, reason="no C compiler")
rng = np.random.default_rng(5)
LOOP = re.compile(r"for \(int32_t step = 0; step < (\d+); \+\+step\) \{")


def values(text):
    return sum(len(v) for v in re.findall(r"\] = \{\n(.*?)\};", text, re.DOTALL))


def export(model, shape, folder, **options):
    report = edge.export_c(model, shape, folder, **options)
    source = (folder / "model.c").read_text()
    return report, source, [int(n) for n in LOOP.findall(source)]


LAYERS = {  # layer, batch first, loops for each of its sequences
    "lstm": (lambda: nn.LSTM(5, 6, batch_first=True), 6, 1, 1),
    "gru": (lambda: nn.GRU(5, 6, batch_first=True), 6, 1, 1),
    "rnn": (lambda: nn.RNN(5, 6, batch_first=True), 6, 1, 1),
    "relu": (lambda: nn.RNN(5, 6, nonlinearity="relu", batch_first=True), 6, 1, 1),
    "two layers": (lambda: nn.LSTM(5, 6, 2, batch_first=True), 6, 1, 2),
    "both directions": (lambda: nn.GRU(5, 6, batch_first=True, bidirectional=True), 12, 1, 2),
    "batch": (lambda: nn.LSTM(5, 6, batch_first=True), 6, 3, 1),
}


def net(name, last):
    mt.manual_seed(2)
    layer, width, batch, loops = LAYERS[name]
    model = Lambda((lambda m, x: m.head(m.a(x)[0][:, -1])) if last else (lambda m, x: m.head(m.a(x)[0])), a=layer(), head=nn.Linear(width, 3)).eval()
    return model, batch, loops


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_quantized_layers_are_loops_with_the_bytes_of_the_session(name, last, tmp_path):
    model, batch, loops = net(name, last)
    sources = []
    for steps in (9, 40):
        shape = (batch, steps, 5)
        q = edge.quantize_model(model, calibration_data=[rng.standard_normal(shape).astype(np.float32) for _ in range(3)])
        (folder := tmp_path / str(steps)).mkdir()
        report, source, times = export(q, shape, folder)
        sources.append(source)
        assert times == [steps - 1] * loops
        number, run = macros(folder / "model.h"), library(folder).model_run
        for _ in range(2):
            x = rng.integers(-32768, 32768, shape, dtype=np.int16)
            want = np.asarray(q((x.astype(np.float32) - number("INPUT_ZERO_POINT")) * number("INPUT_SCALE")))
            got = np.zeros(want.shape, report.output_dtypes[0])
            call(run, [x], [got])
            assert np.array_equal((got.astype(np.float32) - number("OUTPUT_ZERO_POINT")) * number("OUTPUT_SCALE"), want)
    short, long = (len(s) - values(s) for s in sources)
    assert abs(long - short) < 0.02 * short


def test_states_and_sequence_as_results(tmp_path):
    mt.manual_seed(3)
    model, shape = Lambda(lambda m, x: (lambda y, s: (y, s[0], s[1]))(*m.a(x)), a=nn.LSTM(5, 6)).eval(), (12, 1, 5)
    q = edge.quantize_model(model, calibration_data=[rng.standard_normal(shape).astype(np.float32) for _ in range(3)])
    _, _, times = export(q, shape, tmp_path, verify="host")  # the session's bytes
    assert times == [11]


class Unrolled(nn.Module):
    def __init__(self, other=None):
        super().__init__()
        self.cell, self.other = nn.GRUCell(4, 4), other

    def forward(self, x):
        h, steps = mt.zeros((x.shape[1], 4)), []
        for t in range(x.shape[0]):
            h = self.cell(x[t], h)
            if self.other and t == 5:
                h = self.other(h)
            steps.insert(0, h)
        return mt.stack(steps, 0), h


def test_loops_of_a_model_written_in_python_backwards(tmp_path):
    mt.manual_seed(4)
    for other, want_times in ((None, 1), (nn.Linear(4, 4), 2)):
        model, x = Unrolled(other).eval(), rng.standard_normal((12, 2, 4)).astype(np.float32)
        (folder := tmp_path / str(want_times)).mkdir()
        _, source, times = export(model, x.shape, folder, verify="host")
        want = [np.asarray(v) for v in model(x)]
        got = [np.zeros(v.shape, np.float32) for v in want]
        call(library(folder).model_run, [x], got)
        for a, b in zip(got, want):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
        if other is None:
            assert len(times) == 1 and times[0] >= 10


def test_what_differs_or_is_read_between_stays_steps(tmp_path):
    mt.manual_seed(5)
    layers = [nn.Linear(4, 4) for _ in range(6)]
    chain = nn.Sequential(*(part for layer in layers for part in (layer, nn.Tanh()))).eval()
    assert export(chain, (1, 4), tmp_path)[2] == []
    shared = nn.Linear(4, 4)

    def between(m, x):
        seen = []
        for _ in range(6):
            x = mt.tanh(m.a(x))
            seen.append(x)
        return seen[1] * seen[3] + x

    model, x = Lambda(between, a=shared).eval(), rng.standard_normal((1, 4)).astype(np.float32)
    export(model, (1, 4), tmp_path, verify="host")
    got = np.zeros((1, 4), np.float32)
    call(library(tmp_path).model_run, [x], [got])
    np.testing.assert_allclose(got, np.asarray(model(x)), rtol=0, atol=1e-5)
