"""Flash, RAM and instructions of exported C on Cortex-M and RV32IMC, as the Markdown table of docs/edge/export_c.md.

    python benchmarks/c_export.py [net ...]

Needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm; for RV32IMC gcc-riscv64-unknown-elf,
picolibc-riscv64-unknown-elf and qemu-system-misc (columns stay empty without). Instructions are those of one call, counted by
QEMU's -icount: on the mps boards through a timer (25, 20 or, of the M55, 32 MHz; an instruction a nanosecond), on RISC-V by minstret.
Code for the Cortex-M0+ runs on the M3 board; for the M55 there is room for 512 kB. Code and weights are by `size` of the object with -Os, instructions with -O2.
"""
from __future__ import annotations

import argparse
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np

import miniten as mt
import nets
from miniten import edge, nn

MAIN = r"""
#include "model.h"
#ifdef MODEL_STATE_BYTES
#define CALL model_step
#else
#define CALL model_run
#endif
static INPUT input[MODEL_INPUT_SIZE];
static OUTPUT output[MODEL_OUTPUT_SIZE];
#ifdef __riscv
__asm__(".section .init\n.globl _start\n_start:\n.option push\n.option norelax\nla gp, __global_pointer$\n.option pop\nla sp, stack_top\ncall main\nli a0, 0x18\n"
        "li a1, 0x20026\ncall semihost\n.text\n.balign 16\n.option push\n.option norvc\nsemihost:\nslli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\nret\n.option pop\n");
long semihost(long operation, const void *what);
static void say(const char *text) { semihost(4, text); }
static uint32_t before;
static uint32_t counted(void) {
  uint32_t n;
  __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop" : "=r"(n));
  return n - before;
}
static void start(void) { before = counted(); }
#else
static void say(const char *text) {
  register uint32_t operation __asm__("r0") = 0x04;
  register const char *what __asm__("r1") = text;
  __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(what) : "memory");
}
#ifdef SYSTICK /* ticks of SYSTICK / 8 ns */
#define TIMER ((volatile uint32_t *)0xe000e010) /* control, reload, value of 24 bits */
static void start(void) {
  TIMER[1] = 0xffffff;
  TIMER[2] = 0;
  TIMER[0] = 5;
}
static uint32_t counted(void) { return SYSTICK * (0xffffff - TIMER[2]) / 8; }
#else
#define TIMER ((volatile uint32_t *)TIMER_AT) /* control, value, reload */
static void start(void) {
  TIMER[2] = 0xffffffff;
  TIMER[1] = 0xffffffff;
  TIMER[0] = 1;
}
static uint32_t counted(void) { return TICK * (0xffffffff - TIMER[1]); }
#endif
#endif
int main(void) {
  char digits[16];
  uint32_t n, i = 15;
  for (uint32_t k = 0; k < MODEL_INPUT_SIZE; ++k) input[k] = (INPUT)((int32_t)(k * 37 % 251) - 125);
  start();
  CALL(input, output);
  n = counted();
  digits[i] = 0;
  do digits[--i] = (char)('0' + n % 10); while (n /= 10);
  say(digits + i);
  return 0;
}
"""
VIRT = """
ENTRY(_start)
SECTIONS {
  . = 0x80000000;
  .text : { KEEP(*(.init)) *(.text*) *(.rodata*) *(.srodata*) }
  .data : { *(.data*) __global_pointer$ = .; *(.sdata*) }
  .bss : { *(.sbss*) *(.bss*) *(COMMON) }
  stack_top = ALIGN(. + 65536, 16);
}
"""
ROOT = pathlib.Path(__file__).resolve().parent.parent
CORTEX_M = ROOT / "examples/c/cortex_m"
CORES = {  # flags, board, nanoseconds of a tick: one instruction takes one
    "M0+": (["-mcpu=cortex-m0plus"], "mps2-an385", 40),
    "M3": (["-mcpu=cortex-m3"], "mps2-an385", 40),
    "M4": (["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"], "mps2-an386", 40),
    "M7": (["-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"], "mps2-an500", 40),
    "M33": (["-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"], "mps2-an505", 50),
    "M55": (["-mcpu=cortex-m55", "-mfloat-abi=hard"], "mps3-an547", 31.25),
}
RISCV = ["riscv64-unknown-elf-gcc", "-std=c99", "-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs", "-ffunction-sections", "-fdata-sections"]
EMULATOR = ["-icount", "shift=0", "-display", "none", "-serial", "none", "-monitor", "none", "-semihosting-config", "enable=on,target=native"]


def run(*command: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout + done.stderr


def streaming_lstm(nn):
    """A frame of 40 features at a time; 12 words."""
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(40, 64, batch_first=True), nn.Linear(64, 12)

        def forward(self, x):
            return self.head(self.lstm(x)[0])

    return Words(), (1, 1, 40)


SMALL = {name: nets.ALL[name] for name in ("autoencoder", "ds_cnn", "resnet8", "visual_wake_words")} | {"streaming_lstm": streaming_lstm}


def arm(core: str, *more: object) -> None:
    run("arm-none-eabi-gcc", "-std=c99", "-mthumb", *CORES[core][0], "-ffunction-sections", "-fdata-sections", *more)


def prepare(folder: pathlib.Path) -> None:
    (folder / "main.c").write_text(MAIN)
    (folder / "virt.ld").write_text(VIRT)
    layout = (CORTEX_M / "mps2.ld").read_text()
    for core in CORES:  # the M33 board begins in its secure memory; the M55's memories are small
        changed = {"M33": layout.replace("0x00000000", "0x10000000").replace("0x20000000", "0x38000000"), "M55": layout.replace("4M", "512K")}
        (folder / f"{core}.ld").write_text(changed.get(core, layout))


def counted(folder: pathlib.Path, core: str, types: list[str], sources: list[pathlib.Path] | None = None) -> int:
    """Instructions of one call of model_run in `sources`, model.c without. types: -DINPUT=, -DOUTPUT= and what else they need."""
    sources = sources or [folder / "model.c"]
    if core == "RV32":
        run(*RISCV, "-O2", "-mcmodel=medany", "-nostartfiles", "-T", folder / "virt.ld", "-Wl,--gc-sections", *types, "-o", folder / "run.elf", folder / "main.c", *sources, "-lm")
        return int(run("qemu-system-riscv32", "-M", "virt", "-bios", "none", *EMULATOR, "-kernel", folder / "run.elf"))
    clock = ["-DSYSTICK=250u"] if core == "M55" else [f"-DTICK={CORES[core][2]}", f"-DTIMER_AT={0x50000000 if core == 'M33' else 0x40000000:#x}"]
    arm(core, "-O2", "-nostartfiles", "-T", folder / f"{core}.ld", "-Wl,--gc-sections", *clock, *types, "-o", folder / "run.elf", CORTEX_M / "startup.c", folder / "main.c", *sources, "-lm", "-lc", "-lgcc")
    return int(run("qemu-system-arm", "-M", CORES[core][1], *EMULATOR, "-kernel", folder / "run.elf"))


def measure(name: str, integers: bool) -> str:
    mt.manual_seed(0)
    model, shape = SMALL[name](nn)
    model.eval()
    rng = np.random.default_rng(0)
    streams = name == "streaming_lstm"
    data = [rng.standard_normal((1, 50, 40) if streams else shape).astype(np.float32) for _ in range(4)] if integers else None
    with tempfile.TemporaryDirectory() as path:
        folder = pathlib.Path(path)
        report = edge.export_c(model, shape, folder, calibration_data=data, streaming=streams, verify="qemu")
        prepare(folder)
        types = [f"-D{port}={ {'float32': 'float'}.get(t, t + '_t')}" for port, t in (("INPUT", report.input_dtypes[0]), ("OUTPUT", report.output_dtypes[0]))]
        riscv = bool(shutil.which("riscv64-unknown-elf-gcc") and shutil.which("qemu-system-riscv32"))
        code, count = {}, {}
        for core in CORES:
            arm(core, "-Os", "-c", "-o", folder / "small.o", folder / "model.c")
            code[core] = int(run("arm-none-eabi-size", folder / "small.o").splitlines()[1].split()[0]) - report.weight_bytes
            if core != "M55" or report.weight_bytes < 500 * 1024:
                count[core] = counted(folder, core, types)
        if riscv:
            run(*RISCV, "-Os", "-c", "-o", folder / "small.o", folder / "model.c")
            code["RV32"] = int(run("riscv64-unknown-elf-size", folder / "small.o").splitlines()[1].split()[0]) - report.weight_bytes
            count["RV32"] = counted(folder, "RV32", types)
    kb = lambda n: f"{n / 1024:.1f}"
    cells = [name, "int8" if integers else "float32", kb(report.weight_bytes), *(kb(code[c]) if c in code else "" for c in ("M0+", "M4", "RV32")), kb(report.arena_bytes + report.state_bytes),
             str(report.stack_bytes), f"{report.macs / 1e6:.2f}", *(f"{count[c] / 1e6:.2f}" if c in count else "" for c in (*CORES, "RV32"))]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=[], help=", ".join(SMALL))
    columns = ["net", "numbers", "weights, kB", "code M0+, kB", "code M4, kB", "code RV32, kB", "RAM, kB", "stack, bytes", "MACs, M", *(f"instructions {c}, M" for c in (*CORES, "RV32"))]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for net in parser.parse_args().nets or SMALL:
        for integers in (True, False):
            print(measure(net, integers), flush=True)
