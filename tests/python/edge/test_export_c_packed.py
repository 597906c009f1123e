"""edge.export_c of clustered and block-sparse weights: packed in flash, the same results."""
import json

import numpy as np
import pytest
from exported_c import CC, Lambda, call, library, macros, run_command
from judges import program

import miniten as mt
from miniten import edge, nn

pytestmark = pytest.mark.skipif(not CC, reason="no C compiler")
rng = np.random.default_rng(5)


def conv_net():  # 45 outputs and 37 inputs: units at the edges are not whole
    return nn.Sequential(nn.Conv2d(5, 37, 3, padding=1), nn.BatchNorm2d(37), nn.ReLU(), nn.Conv2d(37, 45, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(405, 11)).eval(), (1, 5, 6, 6)


def even_net():
    return nn.Sequential(nn.Conv2d(8, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, 16)).eval(), (1, 8, 6, 6)


def lstm_net():
    return Lambda(lambda m, x: m.head(m.a(x)[0]), a=nn.LSTM(13, 18, batch_first=True), head=nn.Linear(18, 5)).eval(), (1, 4, 13)


NETS = {"conv": conv_net, "even": even_net, "lstm": lstm_net}
CHANGES = {
    "16": lambda m: edge.weight_sharing(m, num_clusters=16),
    "5": lambda m: edge.weight_sharing(m, num_clusters=5),
    "256": lambda m: edge.weight_sharing(m, num_clusters=256),
    "blocks": lambda m: edge.prune_model(m, sparsity=0.8, pattern=(16, 4), skip=["0.weight"] if "0.weight" in m.state_dict() else []),
    "pruned_16": lambda m: edge.weight_sharing(edge.prune_model(m, sparsity=0.8, pattern=(16, 4)), num_clusters=16),
}


@pytest.mark.parametrize("net, change", [(n, c) for n in NETS for c in CHANGES if c != "256" or n == "even"])
def test_floats(net, change, tmp_path):
    mt.manual_seed(3)
    model, shape = NETS[net]()
    model(rng.standard_normal(shape).astype(np.float32))
    changed = CHANGES[change](model)
    report = edge.export_c(changed, shape, tmp_path, verify="host")
    assert report.weight_bytes < 0.66 * report.dense_weight_bytes
    assert "packed" in str(report) and json.loads(report.to_json())["dense_weight_bytes"] == report.dense_weight_bytes
    x = rng.standard_normal(shape).astype(np.float32)
    want = np.asarray(changed(x))
    got = np.zeros_like(want)
    call(library(tmp_path).model_run, [x], [got])
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(1, np.abs(want).max()))


OPTIONS = [{"per_channel": False}, {"activation_dtype": "uint8"}, {"activation_dtype": "int16"}]
CASES = [(n, c, {}) for n in ("conv", "even") for c in CHANGES if c != "256"] + [("conv", c, o) for c in ("5", "pruned_16") for o in OPTIONS]


@pytest.mark.parametrize("net, change, options", CASES, ids=str)
def test_integers_give_the_bytes_of_the_session(net, change, options, tmp_path):
    mt.manual_seed(3)
    model, shape = NETS[net]()
    data = [rng.standard_normal(shape).astype(np.float32) for _ in range(3)]
    model(data[0])
    q = edge.quantize_model(CHANGES[change](model), calibration_data=data, **options)
    report = edge.export_c(q, shape, tmp_path)
    assert report.weight_bytes < 0.9 * report.dense_weight_bytes
    number, dtype = macros(tmp_path / "model.h"), np.dtype(report.input_dtypes[0])
    run = library(tmp_path).model_run
    for _ in range(3):
        x = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape, dtype=dtype)
        want = np.asarray(q((x.astype(np.float32) - number("INPUT_ZERO_POINT")) * number("INPUT_SCALE")))
        got = np.zeros(want.shape, report.output_dtypes[0])
        call(run, [x], [got])
        assert np.array_equal((got.astype(np.float32) - number("OUTPUT_ZERO_POINT")) * number("OUTPUT_SCALE"), want)


def test_distinct_weights_stay_as_they_are(tmp_path):
    model, shape = conv_net()
    report = edge.export_c(model, shape, tmp_path)
    assert report.weight_bytes == report.dense_weight_bytes and "packed" not in str(report)
    assert "packed" not in (tmp_path / "model.c").read_text()


@pytest.mark.parametrize("change", ["16", "pruned_16"])
def test_dsp_instructions_and_other_chips(change, tmp_path):
    program("arm-none-eabi-gcc"), program("qemu-system-arm"), program("riscv64-unknown-elf-gcc"), program("qemu-riscv32")
    model, shape = even_net()
    data = [rng.standard_normal(shape).astype(np.float32)]
    model(data[0])
    report = edge.export_c(CHANGES[change](model), shape, tmp_path, calibration_data=data, verify="qemu")
    assert report.weight_bytes < 0.7 * report.dense_weight_bytes and report.code_bytes < 8000
    (tmp_path / "start.c").write_text(r'__asm__(".globl _start\n_start:\n.option push\n.option norelax\nla gp, __global_pointer$\n.option pop\ncall main\nli a7, 93\necall\n");')
    run_command("riscv64-unknown-elf-gcc", "-std=c99", "-march=rv32imc", "-mabi=ilp32", "-O2", "--specs=picolibc.specs", "-nostartfiles", "-o", tmp_path / "test", *(tmp_path / f for f in ("start.c", "model.c", "model_self_test.c")), "-lm")
    run_command("qemu-riscv32", tmp_path / "test")
