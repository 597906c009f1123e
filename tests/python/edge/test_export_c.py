"""edge.export_c: the C is compiled with every warning an error and UBSan, and compared with the model."""
import ctypes
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from exported_c import CC, FLAGS, Lambda, call, library, macros, run_command
from judges import program

import miniten as mt
from miniten import edge, nn
from miniten.nn import functional as F

pytestmark = pytest.mark.skipif(not CC, reason="no C compiler")
EXAMPLES = Path(__file__).parents[3] / "examples" / "c"
rng = np.random.default_rng(3)


def numpy_of(result):
    return [np.asarray(r) for r in (result if isinstance(result, (tuple, list)) else [result])]


FLOAT_MODELS = {
    "linear": lambda: (nn.Sequential(nn.Linear(10, 7), nn.ReLU(), nn.Linear(7, 3)), [(1, 10)]),
    "linear_rows": lambda: (nn.Sequential(nn.Linear(6, 9), nn.Tanh()), [(5, 6)]),
    "conv": lambda: (nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU6(), nn.Conv2d(6, 5, 1)), [(2, 3, 9, 7)]),
    "grouped_dilated": lambda: (nn.Conv2d(4, 6, (3, 2), padding=(2, 1), dilation=(2, 1), groups=2), [(1, 4, 8, 6)]),
    "depthwise": lambda: (nn.Conv2d(5, 5, 3, 2, 1, groups=5), [(1, 5, 7, 6)]),
    "conv1d": lambda: (nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2)), [(1, 3, 10)]),
    "transposed": lambda: (nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1), [(1, 4, 4, 5)]),
    "transposed_groups": lambda: (nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), [(2, 4, 3, 3)]),
    "pools": lambda: (nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 1, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False)), [(1, 2, 12, 11)]),
    "global_pool": lambda: (nn.Sequential(nn.Conv2d(2, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4), nn.Softmax(-1)), [(1, 2, 8, 8)]),
    "norms": lambda: (nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.Flatten(), nn.LayerNorm(64)), [(2, 4, 4, 4)]),
    "batch_norm_alone": lambda: (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)), [(2, 3, 4, 4)]),
    "activations": lambda: (nn.Sequential(nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.ELU(), nn.LeakyReLU(0.2), nn.Softplus(), nn.Sigmoid(), nn.LogSoftmax(-1)), [(3, 9)]),
    "two_inputs": lambda: (Lambda(lambda m, a, b: (mt.concat([a, b * 2.0], 1), mt.exp(a) - mt.maximum(a, b))), [(2, 3), (2, 3)]),
    "unread_input": lambda: (Lambda(lambda m, a, b: (a * 2.0, a + 1.0)), [(2, 3), (2, 3)]),
    "unread_inputs": lambda: (Lambda(lambda m, a: (m.input_bias * 1.0, m.input_bias + 1.0), input_bias=nn.Parameter(mt.ones((3,)))), [(2, 3)]),
    "shapes": lambda: (Lambda(lambda m, x: (F.pad(x, (2, 1, 1, 0)), mt.reshape(mt.transpose(x, 1, 2), (2, -1)), x[:, ::2, 1:])), [(2, 3, 4)]),
    "reductions": lambda: (Lambda(lambda m, x: (mt.sum(x, 1), mt.mean(x), mt.max(x, (0, 2)), mt.argmax(x, 2), mt.cumsum(x, 1))), [(2, 3, 4)]),
    "resize": lambda: (Lambda(lambda m, x: (F.interpolate(x, scale_factor=2, mode="nearest"), F.interpolate(x, size=(5, 7), mode="bilinear"))), [(1, 2, 4, 4)]),
    "attention": lambda: (Lambda(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(8, 2, batch_first=True)), [(2, 5, 8)]),
    "transformer": lambda: (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), [(1, 4, 8)]),
    "lstm": lambda: (Lambda(lambda m, x: m.head(m.a(x)[0]), a=nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True), head=nn.Linear(12, 3)), [(2, 5, 4)]),
    "gru": lambda: (Lambda(lambda m, x, h: m.a(x, h), a=nn.GRU(4, 6)), [(5, 2, 4), (1, 2, 6)]),
    "rnn": lambda: (Lambda(lambda m, x: (m.a(x)[1], m.b(x)[0]), a=nn.RNN(4, 6, bias=False), b=nn.RNN(4, 3, nonlinearity="relu")), [(5, 1, 4)]),
    "where": lambda: (Lambda(lambda m, x: mt.where(x > 0.1, x, mt.cast(x * 3.0, "int32") * 1.5)), [(3, 4)]),
}


@pytest.mark.parametrize("name", FLOAT_MODELS)
def test_float_models(name, tmp_path):
    mt.manual_seed(1)
    model, shapes = FLOAT_MODELS[name]()
    model.eval()
    report = edge.export_c(model, shapes[0] if len(shapes) == 1 else shapes, tmp_path)
    run = library(tmp_path).model_run
    for _ in range(2):
        inputs = [rng.standard_normal(s).astype(np.float32) for s in shapes]
        expected = numpy_of(model(*inputs))
        outputs = [np.full(e.shape, 77, e.dtype) for e in expected]
        call(run, inputs, outputs)
        for got, want in zip(outputs, expected):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(1, np.abs(want).max()))
    assert report.files == ["model.h", "model.c", "model_self_test.c"] and report.weight_bytes >= 0


def test_an_embedding_takes_indices(tmp_path):
    mt.manual_seed(1)
    model, x = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 3)).eval(), np.array([[9, 0, 3, 3, 7]])
    want = np.asarray(model(x))
    report = edge.export_c(model, output_dir=tmp_path, verify="host")
    assert report.input_dtypes == ["int64"]
    got = np.zeros(want.shape, np.float32)
    call(library(tmp_path).model_run, [x], [got])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


STREAMS = {"lstm": lambda: nn.LSTM(4, 6, 2, batch_first=True), "gru": lambda: nn.GRU(4, 6, batch_first=True), "rnn": lambda: nn.RNN(4, 6, batch_first=True)}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_goes_on_where_the_call_before_ended(name, tmp_path):
    mt.manual_seed(4)
    layer = STREAMS[name]()
    model = Lambda(lambda m, x: m.head(m.a(x)[0]), a=layer, head=nn.Linear(6, 3)).eval()
    report = edge.export_c(model, (2, 1, 4), tmp_path, streaming=True, verify="host")
    assert report.state_bytes == 4 * 2 * 6 * {"lstm": 2 * 2, "gru": 1, "rnn": 1}[name]
    assert f"#define MODEL_STATE_BYTES {report.state_bytes} " in (tmp_path / "model.h").read_text()
    lib, x = library(tmp_path), rng.standard_normal((2, 7, 4)).astype(np.float32)
    whole, state = np.asarray(model(x)), None
    for _ in range(2):
        lib.model_reset()
        for t in range(7):
            got, frame = np.zeros((2, 1, 3), np.float32), np.ascontiguousarray(x[:, t : t + 1])
            call(lib.model_step, [frame], [got])
            np.testing.assert_allclose(got, whole[:, t : t + 1], rtol=0, atol=1e-5)
    for t in range(7):
        y, state = layer.step(mt.tensor(x[:, t]), state)
    np.testing.assert_allclose(np.asarray(model.head(y)), got[:, 0], rtol=0, atol=1e-5)


def residual():
    return Lambda(lambda m, x: m.head(mt.mean(F.relu(m.b(F.relu(m.a(x))) + m.skip(x)), (2, 3))), a=nn.Conv2d(3, 8, 3, 2, 1), b=nn.Conv2d(8, 8, 3, 1, 1),
                  skip=nn.Conv2d(3, 8, 1, 2), head=nn.Linear(8, 5))


QUANTIZED_MODELS = {
    "residual": lambda: (residual(), (1, 3, 12, 12), {}),
    "odd": lambda: (nn.Sequential(nn.Conv2d(3, 7, 3, 1, 1), nn.ReLU(), nn.Conv2d(7, 5, 1), nn.Flatten(), nn.Linear(5 * 25, 3)), (3, 3, 5, 5), {}),
    "depthwise": lambda: (nn.Sequential(nn.Conv2d(6, 6, 3, 2, 1, groups=6), nn.ReLU6(), nn.Conv2d(6, 9, 1), nn.AvgPool2d(2, 2, 1), nn.Conv2d(9, 9, 3, padding=2, dilation=2, groups=3)), (2, 6, 9, 9), {}),
    "pools": lambda: (nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6)), (1, 2, 14, 14), {}),
    "uint8": lambda: (residual(), (1, 3, 8, 8), {"activation_dtype": "uint8"}),
    "symmetric": lambda: (residual(), (1, 3, 8, 8), {"activation_symmetric": True, "per_channel": False}),
    "tables": lambda: (nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 4)), (4, 8), {}),
    "concat": lambda: (Lambda(lambda m, x: m.b(mt.concat([m.a(x), F.relu(m.a(x))], 1)), a=nn.Conv2d(2, 3, 3), b=nn.Conv2d(6, 4, 1)), (1, 2, 6, 6), {}),
    "attention": lambda: (Lambda(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(8, 2, batch_first=True)), (2, 5, 8), {}),
    "transformer": lambda: (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (1, 4, 8), {}),
    "gates": lambda: (Lambda(lambda m, x: m.b(m.a(x) * F.sigmoid(m.a(x)) - F.tanh(m.a(x))), a=nn.Linear(6, 8), b=nn.Linear(8, 4)), (3, 6), {}),
    "int16": lambda: (residual(), (1, 3, 9, 8), {"dtype": "int16", "activation_dtype": "int16"}),
    "int16x8": lambda: (residual(), (1, 3, 9, 8), {"activation_dtype": "int16"}),
    "int16_parts": lambda: (nn.Sequential(nn.Conv2d(6, 6, 3, 2, 1, groups=6), nn.ReLU6(), nn.Conv2d(6, 9, 1), nn.MaxPool2d(2, 1), nn.AvgPool2d(2, 1, 1, count_include_pad=False), nn.Conv2d(9, 9, 3, padding=2, groups=3),
                            nn.GELU(), nn.Flatten(), nn.Linear(9 * 49, 7), nn.Softmax(-1)), (2, 6, 9, 9), {"activation_dtype": "int16"}),
    "int16_attention": lambda: (Lambda(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(8, 2, batch_first=True)), (2, 5, 8), {"activation_dtype": "int16"}),
    "resize": lambda: (Lambda(lambda m, x: m.b(F.interpolate(F.interpolate(m.a(x), scale_factor=2, mode="nearest"), size=(9, 7), mode="bilinear")), a=nn.Conv2d(3, 4, 3), b=nn.Conv2d(4, 2, 3)), (1, 3, 6, 6), {}),
    "split": lambda: (Lambda(lambda m, x: m.b(mt.concat([part * 0.5 for part in mt.split(mt.transpose(m.a(x), 2, 3), 2, 1)], 1)), a=nn.Conv2d(3, 4, 3), b=nn.Conv2d(4, 2, 1)), (1, 3, 6, 5), {}),
    "transposed": lambda: (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 3, 2, stride=2)), (1, 3, 6, 6), {}),  # floats from there on
    "lstm": lambda: (Lambda(lambda m, x: m.head(m.a(x)[0][:, -1]), a=nn.LSTM(5, 6, batch_first=True), head=nn.Linear(6, 3)), (2, 4, 5), {}),
    "gru": lambda: (Lambda(lambda m, x: m.head(m.a(x)[0]), a=nn.GRU(5, 6, batch_first=True), head=nn.Linear(6, 3)), (1, 4, 5), {}),
}


@pytest.mark.parametrize("name", QUANTIZED_MODELS)
def test_quantized_models_give_the_bytes_of_the_session(name, tmp_path):
    mt.manual_seed(2)
    model, shape, options = QUANTIZED_MODELS[name]()
    model.eval()
    q = edge.quantize_model(model, calibration_data=[rng.standard_normal(shape).astype(np.float32) for _ in range(3)], **options)
    report = edge.export_c(q, shape, tmp_path, name="net")
    number = macros(tmp_path / "net.h")
    dtype = np.dtype(report.input_dtypes[0])
    assert dtype.itemsize == (2 if "int16" in str(options) or name in ("lstm", "gru") else 1)
    run = library(tmp_path, "net").net_run
    for _ in range(3):
        x = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape, dtype=dtype)
        floats = (x.astype(np.float32) - number("INPUT_ZERO_POINT")) * number("INPUT_SCALE")
        want = np.asarray(q(floats))
        got = np.zeros(want.shape, report.output_dtypes[0])
        call(run, [x], [got])
        if got.dtype == np.float32:  # of layers that stay in floats
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())
        else:
            assert np.array_equal((got.astype(np.float32) - number("OUTPUT_ZERO_POINT")) * number("OUTPUT_SCALE"), want)
    if name == "tables":
        source = (tmp_path / "net.c").read_text()
        assert "_table[256]" in source and "math.h" not in source


def test_dynamic_models(tmp_path):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))
    q = edge.quantize_model(net.eval(), mode="dynamic")
    edge.export_c(q, (1, 2, 4, 4), tmp_path)
    x = rng.standard_normal((1, 2, 4, 4)).astype(np.float32)
    got, want = np.zeros((1, 4), np.float32), np.asarray(q(x))
    call(library(tmp_path).model_run, [x], [got])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


def test_integer_arithmetic_is_float32s(tmp_path):
    """requantize and add_rounded, which are written in integers, against NumPy's float32, ties and large sums included."""
    q = edge.quantize_model(residual(), calibration_data=[rng.standard_normal((1, 3, 8, 8)).astype(np.float32)])
    edge.export_c(q, (1, 3, 8, 8), tmp_path)
    (tmp_path / "harness.c").write_text("""
#include "model.c"
void requantize_all(const int32_t *acc, const uint32_t *m, int32_t *y, int32_t n);
void requantize_all(const int32_t *acc, const uint32_t *m, int32_t *y, int32_t n) {
  for (int32_t i = 0; i < n; ++i) y[i] = requantize(acc[i], m[i], 3, -128, 127);
}
void add_all(const int32_t *a, const int32_t *b, const uint32_t *scales, int32_t *y, int32_t n);
void add_all(const int32_t *a, const int32_t *b, const uint32_t *scales, int32_t *y, int32_t n) {
  const struct addition p = {.a_scale = scales[0], .b_scale = scales[1], .scale = scales[2]};
  for (int32_t i = 0; i < n; ++i) y[i] = add_rounded(&p, a[i], b[i]);
}
""")
    lib = library(tmp_path, "harness")
    n = 1 << 20
    acc = np.concatenate([rng.integers(-2**31, 2**31, n // 4), rng.integers(-70000, 70000, n // 2), rng.integers(-2**26, 2**26, n // 4)]).astype(np.int32)
    m = 2.0 ** rng.integers(-34, 12, n) * rng.choice([1, 1.5, 1.25, 1.0001], n)
    m = np.where(rng.random(n) < 0.5, m, np.exp(rng.uniform(-16, 0, n))).astype(np.float32)
    # multipliers next to those that make a tie
    near = rng.random(n) < 0.5
    tie = ((rng.integers(0, 200, n) + 0.5) / np.maximum(np.abs(acc.astype(np.float64)), 1)).astype(np.float32)
    tie = tie.view(np.uint32).astype(np.int64) + rng.integers(-1, 2, n)
    m = np.where(near, tie.astype(np.uint32).view(np.float32), m)
    with np.errstate(over="ignore"):
        want = np.clip(np.rint(acc.astype(np.float32) * m).astype(np.float64) + 3, -128, 127)
    got = np.zeros(n, np.int32)
    lib.requantize_all(*(ctypes.c_void_p(v.ctypes.data) for v in (acc, m, got)), n)
    assert np.array_equal(got, want)

    a, b = (g.reshape(-1) for g in np.meshgrid(np.arange(-255, 256, dtype=np.int32), np.arange(-255, 256, dtype=np.int32)))
    got = np.zeros(a.size, np.int32)
    for _ in range(40):
        s = np.exp(rng.uniform(-9, 3, 3)).astype(np.float32)
        if _ % 4 == 0:
            s = (2.0 ** rng.integers(-6, 1, 3)).astype(np.float32)
        want = np.clip(np.rint((a.astype(np.float32) * s[0] + b.astype(np.float32) * s[1]) / s[2]), -65536, 65536)
        lib.add_all(*(ctypes.c_void_p(v.ctypes.data) for v in (a, b, s, got)), a.size)
        inside = np.abs(want) < 60000
        assert np.array_equal(got[inside], want[inside])


def test_calibration_data_quantises(tmp_path):
    data = rng.standard_normal((16, 3, 8, 8)).astype(np.float32)
    report = edge.export_c(residual(), (1, 3, 8, 8), tmp_path, calibration_data=[d[None] for d in data], verify="host")
    assert report.input_dtypes == ["int8"] and json.loads(report.to_json())["verified_by"] == "cc" and "self-test passed" in str(report)


def test_same_model_same_bytes(tmp_path):
    model = residual()
    for folder in ("a", "b"):
        edge.export_c(model, (1, 3, 8, 8), tmp_path / folder)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.skipif(not shutil.which("clang"), reason="no clang")
def test_clang_takes_it_without_a_warning(tmp_path):
    model = residual()
    edge.export_c(model, (1, 3, 8, 8), tmp_path / "a")
    q = edge.quantize_model(model, calibration_data=[rng.standard_normal((1, 3, 8, 8)).astype(np.float32)])
    edge.export_c(q, (1, 3, 8, 8), tmp_path / "q")
    for folder in ("a", "q"):
        run_command("clang", *FLAGS[:6], "-fsyntax-only", tmp_path / folder / "model.c", tmp_path / folder / "model_self_test.c")


@pytest.mark.skipif(not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")), reason="no gcc-arm-none-eabi or qemu-system-arm")
@pytest.mark.parametrize("data", [None, "int8"])
def test_cortex_m4_in_qemu(data, tmp_path):
    samples = [rng.standard_normal((1, 3, 8, 8)).astype(np.float32)]
    report = edge.export_c(residual(), (1, 3, 8, 8), tmp_path, calibration_data=samples if data else None, verify="qemu")
    assert report.verified_by.startswith("qemu-system-arm") and 0 < report.code_bytes < 16000 and 0 < report.stack_bytes < 2000


CHIPS = {
    "cortex-m0plus": ("arm-none-eabi-gcc", "qemu-system-arm"),
    "cortex-m33": ("arm-none-eabi-gcc", "qemu-system-arm"),
    "rv32imc": ("riscv64-unknown-elf-gcc", "qemu-riscv32"),
}
RISCV_START = r'__asm__(".globl _start\n_start:\n.option push\n.option norelax\nla gp, __global_pointer$\n.option pop\ncall main\nli a7, 93\necall\n");'


@pytest.mark.parametrize("name, chip", [("residual", "cortex-m0plus"), ("int16", "cortex-m33"), ("residual", "rv32imc"), ("lstm", "rv32imc")])
def test_other_chips_give_the_same_bytes(name, chip, tmp_path):
    for tool in CHIPS[chip]:
        program(tool)
    model, shape, options = QUANTIZED_MODELS[name]()
    q = edge.quantize_model(model.eval(), calibration_data=[rng.standard_normal(shape).astype(np.float32)], **options)
    edge.export_c(q, shape, tmp_path / "firmware")
    files = [tmp_path / "firmware" / f for f in ("model.c", "model_self_test.c")]
    if chip == "rv32imc":
        (tmp_path / "start.c").write_text(RISCV_START)
        run_command(CHIPS[chip][0], "-std=c99", "-march=rv32imc", "-mabi=ilp32", "-O2", "--specs=picolibc.specs", "-nostartfiles", "-o", tmp_path / "test", tmp_path / "start.c", *files, "-lm")
        run_command("qemu-riscv32", tmp_path / "test")
    else:  # Cortex-M4's board runs them
        run_command("arm-none-eabi-gcc", "-std=c99", "-O2", "-mthumb", f"-mcpu={chip}", "-nostartfiles", "-T", EXAMPLES / "cortex_m" / "mps2.ld", "-o", tmp_path / "test", EXAMPLES / "cortex_m" / "startup.c", *files, "-lm", "-lc", "-lgcc")
        run_command("qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-serial", "none", "-monitor", "none", "-semihosting-config", "enable=on,target=native", "-kernel", tmp_path / "test")


@pytest.mark.parametrize("kind, name", [("float32", "model"), ("int8", "digits")])
def test_the_examples_take_the_folder_as_it_is(kind, name, tmp_path):
    x = rng.standard_normal((8, 1, 8, 8)).astype("float32")
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    model = edge.quantize_model(net, calibration_data=x) if kind == "int8" else net
    edge.export_c(model, (1, 1, 8, 8), tmp_path / "firmware", name=name)
    where = [f"-DMODEL_DIR={tmp_path}/firmware", f"-DMODEL_NAME={name}", "-DCMAKE_C_FLAGS=-Werror"]
    run_command("cmake", "-S", EXAMPLES, "-B", tmp_path / "app", *where)
    run_command("cmake", "--build", tmp_path / "app")
    run_command("ctest", "--test-dir", tmp_path / "app")
    given, (scale, zero) = x[:1], (1, 0)
    if kind == "int8":
        number = macros(tmp_path / "firmware" / "digits.h")
        given = np.clip(np.rint(given / number("INPUT_SCALE")) + number("INPUT_ZERO_POINT"), -128, 127).astype("int8")
        scale, zero = number("OUTPUT_SCALE"), number("OUTPUT_ZERO_POINT")
    given.tofile(tmp_path / "input.bin")
    printed = np.array(run_command(tmp_path / "app" / "app", tmp_path / "input.bin").split(), "float32")
    np.testing.assert_allclose((printed - zero) * scale, np.asarray(model(x[:1])).ravel(), atol=1e-5)


@pytest.mark.skipif(not (shutil.which("make") and shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")), reason="no make, gcc-arm-none-eabi or qemu-system-arm")
def test_the_bare_metal_example_runs(tmp_path):
    edge.export_c(residual(), (1, 3, 8, 8), tmp_path / "firmware")
    shutil.copytree(EXAMPLES / "cortex_m", tmp_path / "app")
    assert run_command("make", "-C", tmp_path / "app", f"MODEL_DIR={tmp_path}/firmware", "--no-print-directory", "run").splitlines()[-1] == "passed"


def test_errors_write_nothing(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), Lambda(lambda m, x: mt.argsort(x, 1)))
    to = tmp_path / "out"
    with pytest.raises(NotImplementedError, match=r"argsort"):
        edge.export_c(model, (1, 4), to)
    good = nn.Linear(4, 4)
    with pytest.raises(NotImplementedError, match="8-bit activations"):
        edge.export_c(edge.quantize_model(good, mode="dynamic", activation_dtype="int16"), (1, 4), to)
    with pytest.raises(ValueError, match="recurrent layer for a stream"):
        edge.export_c(good, (1, 4), to, streaming=True)
    with pytest.raises(NotImplementedError, match="one direction"):
        edge.export_c(nn.LSTM(4, 4, bidirectional=True), (1, 1, 4), to, streaming=True)
    for name in ("int", "2nd", "my-model", "", "while", "ä", "class"):
        with pytest.raises(ValueError, match="name that C can have"):
            edge.export_c(good, (1, 4), to, name=name)
    with pytest.raises(ValueError, match="kB"):
        edge.export_c(nn.Sequential(nn.Linear(4, 400), nn.Linear(400, 4)), (1, 4), to, max_ram_kb=1)
    with pytest.raises(ValueError, match="verify"):
        edge.export_c(good, (1, 4), to, verify="board")
    assert not to.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="folder"):
        edge.export_c(good, (1, 4), tmp_path / "file")
    (to / "model.c").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        edge.export_c(good, (1, 4), to)
    assert sorted(p.name for p in to.iterdir()) == ["model.c"]
