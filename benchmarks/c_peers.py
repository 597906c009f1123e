"""Exported C beside other generators' on emulated Cortex-M: instructions of one call, as the Markdown table of docs/edge/export_c.md.

    pip install bakenn emx-onnx-cgen torch onnx
    python benchmarks/c_peers.py [net ...]

int8: BakeNN's own C, and the same graph with the CMSIS-NN 4.0 that its package brings, as plain C (-U__ARM_FEATURE_DSP) and with ARM's DSP instructions. float32: what emx-onnx-cgen writes of the ONNX file. All compiled with -O2 by the same compiler and counted alike
(benchmarks/c_export.py); code and constants are by `size` of the objects with -Os, working memory is what each one says or declares.
"""
from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile

import nets
import numpy as np
import torch
from c_export import arm, counted, prepare, run

import miniten as mt
from miniten import edge, nn

SHIM = """#include "{header}"
#define MODEL_INPUT_SIZE {inputs}
#define MODEL_OUTPUT_SIZE {outputs}
{call}
"""
WAYS = ("M3", "M4, plain C", "M4", "M55")
INT8, FLOAT = ["-DINPUT=int8_t", "-DOUTPUT=int8_t"], ["-DINPUT=float", "-DOUTPUT=float"]


def trained_a_little(name: str) -> tuple[torch.nn.Module, tuple[int, ...], list[torch.Tensor]]:
    """torch's net with statistics of batch norms that fit its weights: without, scales of integers are out of all bounds."""
    torch.manual_seed(0)
    model, shape = nets.ALL[name](torch.nn)
    data = [torch.randn(*shape) for _ in range(4)]
    model.train()
    with torch.no_grad():
        for _ in range(30):
            model(torch.randn(8, *shape[1:]))
    return model.eval(), shape, data


def size_of(folder: pathlib.Path, sources: list[pathlib.Path], flags: list[str]) -> int:
    total = 0
    for source in sources:
        arm("M4", "-Os", *flags, "-c", "-o", folder / "small.o", source)
        total += int(run("arm-none-eabi-size", folder / "small.o").splitlines()[1].split()[0])
    return total


def row(who: str, name: str, numbers: str, folder: pathlib.Path, types: list[str], sources: list[pathlib.Path], ram: str, flags: list[str] = [], ways: tuple[str, ...] = WAYS) -> None:  # noqa: B006
    plain, flash = ["-DPLAIN_C", "-U__ARM_FEATURE_DSP"], size_of(folder, sources, flags)
    if flash > 500 * 1024:  # the M55's board has no room for it
        ways = tuple(w for w in ways if w != "M55")
    count = {w: counted(folder, w.split(",")[0], types + flags + (plain if w == WAYS[1] else []), sources) for w in ways}
    print(f"| {name} | {numbers} | {who} | {flash / 1024:.1f} | {ram} | " + " | ".join(f"{count[w] / 1e6:.2f}" if w in count else "" for w in WAYS) + " |", flush=True)


def ours(name: str, integers: bool, model: torch.nn.Module, shape: tuple[int, ...], data: list[torch.Tensor]) -> None:
    net, _ = nets.ALL[name](nn)
    net.load_state_dict({k: mt.tensor(v.numpy()) for k, v in model.state_dict().items()})
    with tempfile.TemporaryDirectory() as path:
        folder = pathlib.Path(path)
        report = edge.export_c(net.eval(), shape, folder, calibration_data=[d.numpy() for d in data] if integers else None)
        prepare(folder)
        row("MiniTen", name, "int8" if integers else "float32", folder, INT8 if integers else FLOAT, [folder / "model.c"], f"{report.arena_bytes / 1024:.1f}")


def bakenn(name: str, model: torch.nn.Module, data: list[torch.Tensor], cmsis: bool) -> None:
    import bakenn
    from bakenn.backend.portable_c.selection import CBackendOptions, KernelPolicy

    with tempfile.TemporaryDirectory() as path:
        folder = pathlib.Path(path)
        options = CBackendOptions(kernel_policy=KernelPolicy.STATIC_PRIORITY, enable_cmsis_nn=True, target=bakenn.targets.CORTEX_M4) if cmsis else None
        compiled = bakenn.compile_torch_ptq(model, data[0], data, folder / "c", name="net", backend_options=options)
        (folder / "c" / "model.h").write_text(SHIM.format(header="bknn_net.h", inputs="BKNN_NET_INPUT_SIZE", outputs="BKNN_NET_OUTPUT_SIZE", call="""static uint8_t model_arena[BKNN_NET_ARENA_SIZE + 16] __attribute__((aligned(16)));
#define model_run(in, out) bknn_net_infer(model_arena, in, out)"""))
        prepare(folder)
        sources = sorted(p for p in (folder / "c").rglob("*.c"))
        includes = [f"-I{p}" for p in sorted({s.parent for s in (folder / "c").rglob("*.h")})]
        assert not cmsis or any(s.name.startswith("arm_convolve") or s.name.startswith("arm_fully") for s in sources), "CMSIS-NN was not taken"
        ram = next(line.split()[-2].strip("(") for line in compiled.memory_report.to_text().splitlines() if "Total model arena" in line)
        row("BakeNN, CMSIS-NN 4.0" if cmsis else "BakeNN", name, "int8", folder, INT8, sources, f"{int(ram) / 1024:.1f}", ["-std=gnu11", *includes], WAYS[1:] if cmsis else WAYS)  # its linear layer asks for the Cortex-M4's instructions by name


def emx(name: str, model: torch.nn.Module, shape: tuple[int, ...]) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = pathlib.Path(path)
        net, _ = nets.ALL[name](nn)
        net.load_state_dict({k: mt.tensor(v.numpy()) for k, v in model.state_dict().items()})
        edge.export_onnx(net.eval(), shape, folder / "net.onnx")
        run(sys.executable, "-m", "emx_onnx_cgen", "compile", folder / "net.onnx", folder / "net.c", "--model-name", "net", "--large-temp-threshold", "0", "--large-weight-threshold", "0")
        outputs = np.asarray(net(np.zeros(shape, np.float32))).size
        (folder / "model.h").write_text("#include <stdint.h>\nvoid net();\n" + SHIM.format(header="stddef.h", inputs=int(np.prod(shape)), outputs=outputs, call="#define model_run(in, out) net(in, out)"))
        prepare(folder)
        row("emx-onnx-cgen", name, "float32", folder, FLOAT, [folder / "net.c"], "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=[], help=", ".join(nets.ALL))
    print("| net | numbers | C of | code and constants, kB | arena, kB | " + " | ".join(f"instructions {w}, M" for w in WAYS) + " |\n" + "|---" * (5 + len(WAYS)) + "|")
    for net in parser.parse_args().nets or nets.ALL:
        model, shape, data = trained_a_little(net)
        for integers in (True, False):
            ours(net, integers, model, shape, data)
        for attempt in (lambda: bakenn(net, model, data, False), lambda: bakenn(net, model, data, True), lambda: emx(net, model, shape)):
            try:
                attempt()
            except (Exception, SystemExit) as e:  # noqa: BLE001
                print(f"<!-- {net}: {str(e)[:300]} -->", flush=True)
