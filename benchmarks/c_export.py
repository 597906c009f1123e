"""Flash, RAM and instructions of exported C on Cortex-M, as the Markdown table of docs/edge/export_c.md.

    python benchmarks/c_export.py [net ...]

Needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm. Instructions are those of one call, counted by QEMU's
-icount through SysTick (one tick each 40 instructions) on mps2-an386, a Cortex-M4 with FPU; code and weights are by `size` of the
object with -Os, instructions with -O2.
"""
from __future__ import annotations

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np

import miniten as mt
import nets
from miniten import edge, nn

MAIN = r"""
#include "model.h"
#define SYST ((volatile uint32_t *)0xe000e010)
static INPUT input[MODEL_INPUT_SIZE];
static OUTPUT output[MODEL_OUTPUT_SIZE];
static void say(const char *text) {
  register uint32_t operation __asm__("r0") = 0x04;
  register const char *what __asm__("r1") = text;
  __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(what) : "memory");
}
int main(void) {
  char digits[16];
  uint32_t n, i = 15;
  for (uint32_t k = 0; k < MODEL_INPUT_SIZE; ++k) input[k] = (INPUT)((int32_t)(k * 37 % 251) - 125);
  SYST[1] = 0xffffff;
  SYST[2] = 0;
  SYST[0] = 5;
  model_run(input, output);
  n = 0xffffff - SYST[2];
  digits[i] = 0;
  do digits[--i] = (char)('0' + n % 10); while (n /= 10);
  say(digits + i);
  return 0;
}
"""
ROOT = pathlib.Path(__file__).resolve().parent.parent
CORTEX_M = ROOT / "examples/c/cortex_m"
CORES = {"cortex-m0plus": ["-mcpu=cortex-m0plus"], "cortex-m3": ["-mcpu=cortex-m3"], "cortex-m4": ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
         "cortex-m7": ["-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"], "cortex-m33": ["-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"]}


def run(*command: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout + done.stderr


def compile_for(core: str, *more: object) -> None:
    run("arm-none-eabi-gcc", "-std=c99", "-mthumb", *CORES[core], "-ffunction-sections", "-fdata-sections", *more)


def instructions(folder: pathlib.Path, report: edge.export.ExportCReport) -> int:
    types = {"float32": "float", "int8": "int8_t"}
    (folder / "main.c").write_text(MAIN)
    compile_for("cortex-m4", "-O2", "-nostartfiles", "-T", CORTEX_M / "mps2.ld", "-Wl,--gc-sections", f"-DINPUT={types[report.input_dtypes[0]]}",
                f"-DOUTPUT={types[report.output_dtypes[0]]}", "-o", folder / "run.elf", CORTEX_M / "startup.c", folder / "main.c", folder / "model.c", "-lm", "-lc", "-lgcc")
    return 40 * int(run("qemu-system-arm", "-M", "mps2-an386", "-icount", "shift=0", "-display", "none", "-serial", "none", "-monitor", "none",
                        "-semihosting-config", "enable=on,target=native", "-kernel", folder / "run.elf"))


def measure(name: str, integers: bool) -> str:
    mt.manual_seed(0)
    model, shape = nets.ALL[name](nn)
    model.eval()
    rng = np.random.default_rng(0)
    data = [rng.standard_normal(shape).astype(np.float32) for _ in range(4)] if integers else None
    with tempfile.TemporaryDirectory() as path:
        folder = pathlib.Path(path)
        report = edge.export_c(model, shape, folder, calibration_data=data, verify="qemu")
        code = {}
        for core in CORES:
            compile_for(core, "-Os", "-c", "-o", folder / "small.o", folder / "model.c")
            code[core] = int(run("arm-none-eabi-size", folder / "small.o").splitlines()[1].split()[0]) - report.weight_bytes
        count = instructions(folder, report)
    kb = lambda n: f"{n / 1024:.1f}"
    return (f"| {name} | {'int8' if integers else 'float32'} | {kb(report.weight_bytes)} | {kb(code['cortex-m0plus'])} | {kb(code['cortex-m4'])} | {kb(report.arena_bytes)} | "
            f"{report.stack_bytes} | {report.macs / 1e6:.2f} | {count / 1e6:.1f} | {count / report.macs:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=[], help=", ".join(nets.ALL))
    wanted = parser.parse_args().nets or list(nets.ALL)
    print("| net | numbers | weights, kB | code M0+, kB | code M4, kB | arena, kB | stack, bytes | MACs, M | instructions, M | per MAC |\n|---|---|---|---|---|---|---|---|---|---|")
    for net in wanted:
        for integers in (True, False):
            print(measure(net, integers), flush=True)
