"""edge.export_c: the instructions that single chips have (FPU, DSP, MVE) give the bytes of plain C, in fewer steps."""
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from exported_c import run_command
from judges import program

import miniten as mt
from miniten import edge, nn

EXAMPLE = Path(__file__).parents[3] / "examples" / "c" / "cortex_m"
rng = np.random.default_rng(17)
HARD = ["-mfloat-abi=hard"]
CHIPS = {  # flags and a board; mps3's tightly coupled memories are smaller than those of mps2.ld, at the same places
    "m4": (["-mcpu=cortex-m4", *HARD, "-mfpu=fpv4-sp-d16"], "mps2-an386"),
    "m33_without_fpu": (["-mcpu=cortex-m33+nofp"], "mps2-an386"),
    "m55": (["-mcpu=cortex-m55", *HARD], "mps3-an547"),
    "m55_plain": (["-mcpu=cortex-m55", *HARD, "-DPLAIN_C"], "mps3-an547"),
    "m55_without_vectors": (["-mcpu=cortex-m55+nomve", *HARD], "mps3-an547"),
}
GCC = ["arm-none-eabi-gcc", "-mthumb"]
CLANG = ["clang", "--target=arm-none-eabi", "-isystem", "/usr/include/newlib", "-mthumb"]
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]


def on_chip(folder, chip, sources, *flags, compiler=GCC):
    """Status of main, compiled for and run on that chip's board."""
    program("arm-none-eabi-gcc"), program("qemu-system-arm"), program(compiler[0])
    own, board = CHIPS[chip]
    elf, layout = folder / f"{chip}.elf", folder / "layout.ld"
    layout.write_text((EXAMPLE / "mps2.ld").read_text().replace("4M", "512K" if board.startswith("mps3") else "4M"))
    for source in sources:
        run_command(*compiler, *WARNINGS, "-O2", *own, *flags, "-c", "-o", source.with_suffix(".o"), source)
    run_command(*GCC, *own, "-nostartfiles", "-T", layout, "-o", elf, EXAMPLE / "startup.c", *(s.with_suffix(".o") for s in sources), "-lm", "-lc", "-lgcc")
    return subprocess.run(["qemu-system-arm", "-M", board, "-display", "none", "-serial", "none", "-monitor", "none", "-semihosting-config", "enable=on,target=native", "-kernel", str(elf)], timeout=100).returncode


def wide_net():
    """Depths that fill vectors and some that do not, odd ones, groups, borders."""
    mt.manual_seed(5)
    return nn.Sequential(nn.Conv2d(3, 21, 3, padding=1), nn.ReLU(), nn.Conv2d(21, 21, 3, 2, 1, groups=21), nn.ReLU6(), nn.Conv2d(21, 33, 1), nn.Conv2d(33, 33, 3, padding=1, groups=33),
                         nn.Conv2d(33, 30, 3, padding=1, groups=3), nn.ReLU(), nn.Conv2d(30, 40, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(160, 7)).eval(), (1, 3, 9, 8)


OPTIONS = {"int8": {}, "uint8": {"activation_dtype": "uint8"}, "int16x8": {"activation_dtype": "int16"}, "int16": {"dtype": "int16", "activation_dtype": "int16"}}
CASES = [(c, kind) for c in CHIPS for kind in ("int8", "exact")] + [("m4", "uint8"), ("m4", "int16x8"), ("m33_without_fpu", "int16x8"), ("m4", "int16"), ("m55", "int16x8"), ("m55", "uint8")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folders = {}

    def export(kind):
        if kind not in folders:
            model, shape = wide_net()
            folders[kind] = tmp_path_factory.mktemp(kind)
            data = [rng.standard_normal(shape).astype(np.float32) for _ in range(3)]
            quantized = edge.quantize_model(model, calibration_data=data, **OPTIONS.get(kind, {}))
            if kind == "exact":  # in LiteRT's fixed point
                shape = edge.export_tflite(quantized, shape, folders[kind] / "model.tflite").inputs[0].shape
                quantized = edge.load_tflite(folders[kind] / "model.tflite", exact="tflite")
            edge.export_c(quantized, shape, folders[kind], verify="host")
        return folders[kind]

    return export


@pytest.mark.parametrize("chip, kind", CASES)
def test_every_chip_gives_the_bytes_of_the_session(chip, kind, exported, tmp_path):
    sources = [tmp_path / "model.c", tmp_path / "model_self_test.c"]
    for file in exported(kind).glob("*.[ch]"):
        (tmp_path / file.name).write_text(file.read_text())
    assert on_chip(tmp_path, chip, sources) == 0
    if (chip, kind) in (("m4", "int8"), ("m55", "int8"), ("m4", "int16x8"), ("m4", "int16"), ("m4", "exact"), ("m55", "exact")):
        assert on_chip(tmp_path, chip, sources, compiler=CLANG) == 0
    if (chip, kind) == ("m55", "int8"):  # that a difference would be seen
        text = sources[1].read_text()
        sources[1].write_text(re.sub(r"(expected0_0\[7\] = \{\s*)(-?\d+)", lambda m: m[1] + str(int(m[2]) ^ 1), text))
        assert sources[1].read_text() != text and on_chip(tmp_path, chip, sources) == 1


def test_packed_weights_beside_vectors(tmp_path):
    mt.manual_seed(6)
    net, shape = nn.Sequential(nn.Conv2d(8, 32, 3), nn.ReLU(), nn.Conv2d(32, 24, 1), nn.Flatten(), nn.Linear(24 * 16, 5)).eval(), (1, 8, 6, 6)
    data = [rng.standard_normal(shape).astype(np.float32)]
    net(data[0])
    report = edge.export_c(edge.weight_sharing(net, num_clusters=16, skip=["2"]), shape, tmp_path, calibration_data=data, verify="host")
    assert report.weight_bytes < report.dense_weight_bytes
    assert on_chip(tmp_path, "m55", [tmp_path / "model.c", tmp_path / "model_self_test.c"]) == 0


def test_sums_of_int16_that_32_bits_do_not_hold(tmp_path):
    mt.manual_seed(7)
    net, shape = nn.Sequential(nn.Linear(4003, 5), nn.ReLU(), nn.Linear(5, 3)).eval(), (3, 4003)
    data = [rng.standard_normal(shape).astype(np.float32)]
    net(data[0])
    edge.export_c(edge.quantize_model(net, calibration_data=data, **OPTIONS["int16x8"]), shape, tmp_path, verify="host")
    source = tmp_path / "model.c"
    assert {"row_s16x8", "row_s16x8_long"} <= set(re.findall(r"row_s16\w*", source.read_text()))
    for chip in ("m4", "m33_without_fpu"):
        assert on_chip(tmp_path, chip, [source, tmp_path / "model_self_test.c"]) == 0
    assert {"smlald", "smlad"} <= instructions(tmp_path, "m4")


ROUNDS_ALIKE = r"""
#include "model.c"
int main(void) {
  uint32_t seed = 1;
  for (int32_t i = 0; i < 200000; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const uint32_t part = seed >> 8 & 0x7fffffu;
    seed = seed * 1664525u + 1013904223u;
    /* sums of all sizes; multipliers from 2^-30 to 2^4, every other one a few bits long, so that products meet halves */
    const int32_t acc = (int32_t)seed >> (i % 29);
    const uint32_t multiplier = ((97u + (uint32_t)i % 34u) << 23) | (i & 1 ? part : part & 0x780000u);
    const uint32_t whole = scaled_exactly(acc < 0 ? 0u - (uint32_t)acc : (uint32_t)acc, multiplier);
    const int32_t y = (acc < 0 ? -(int32_t)whole : (int32_t)whole) + 3, want = y < -128 ? -128 : y > 127 ? 127 : y;
    if (requantize(acc, multiplier, 3, -128, 127) != want) return 1;
#ifdef MVE
    const struct scaling f = {0, 0, 3, -128, 127};
    if (vgetq_lane_s32(requantize_four(vdupq_n_s32(acc), vdupq_n_u32(multiplier), &f), 1) != want) return 1;
#endif
  }
  return FPU == WANTED ? 0 : 1;
}
"""


@pytest.mark.parametrize("chip, by_fpu", [("m4", 1), ("m55", 1), ("m33_without_fpu", 0)])
def test_an_fpu_rounds_as_integers_do(chip, by_fpu, exported, tmp_path):
    (tmp_path / "model.h").write_text((exported("int8") / "model.h").read_text())
    (tmp_path / "model.c").write_text((exported("int8") / "model.c").read_text())
    (tmp_path / "main.c").write_text(ROUNDS_ALIKE)
    assert on_chip(tmp_path, chip, [tmp_path / "main.c"], f"-DWANTED={by_fpu}") == 0


def instructions(folder, chip, *flags):
    """What the functions of the model hold, by name of instruction."""
    assembly = run_command(*GCC, "-std=c99", "-O2", *CHIPS[chip][0], *flags, "-S", "-o", "-", folder / "model.c")
    return set(re.findall(r"^\s+([a-z][a-z0-9.]+)\s", assembly, re.MULTILINE))


@pytest.mark.parametrize("chip, kind, names", [("m55", "int8", {"vmladava.s8", "vld20.32", "vmullb.s8", "vcvtn.s32.f32"}), ("m55", "exact", {"vmladava.s8", "vqrdmulh.s32", "vmullb.s8"}), ("m4", "exact", {"smlad", "smlabb"}), ("m4", "int8", {"smlad", "smlabb", "vcvtr.s32.f32"}),
                                               ("m4", "int16x8", {"smlad", "smlabb", "vcvtr.s32.f32"}), ("m4", "int16", {"smlald", "smlalbb", "smlaltt"})])
def test_instructions_that_the_chip_has_are_used(chip, kind, names, exported):
    program("arm-none-eabi-gcc")
    there = instructions(exported(kind), chip)
    assert not names - there
    assert not {"vcvtr.s32.f32", "sxtb16", "smlald", "vld20.32"} & instructions(exported(kind), chip, "-DPLAIN_C")
