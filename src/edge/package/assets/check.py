"""Runs the model in each runtime that this Python has, on golden/, and compares with the outputs there.

Exit code: 0 one ran and all agreed, 1 one did not agree, 3 none is installed.
"""

import importlib
import json
import sys
from pathlib import Path

here = Path(__file__).resolve().parent


def say(who, what):
    print(f"{who:<12} {what}", flush=True)


def with_miniten(module, file, about, inputs):
    session = module.compile(module.load(file), [x.shape for x in inputs], input_dtypes=[x.dtype.name for x in inputs])
    results = session.run(*inputs)
    return [y.numpy() for y in (results if isinstance(results, (list, tuple)) else [results])]


def with_onnxruntime(module, file, about, inputs):
    options = module.SessionOptions()
    try:
        options.add_session_config_entry("session.x64quantprecision", "1")   # exact integers; processors with AVX2 alone saturate else
        session = module.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception:                          # that way refuses some models that the default takes
        session = module.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {port.name: x for port, x in zip(session.get_inputs(), inputs)})


def with_litert(module, file, about, inputs):
    interpreter = module.Interpreter(model_path=file)
    interpreter.allocate_tensors()
    to_file, back = {}, {}                     # axes of the model in the file's order, and the file's in the model's
    for port in about["inputs"] + about["outputs"]:
        axes = port["axes"] or "".join(map(str, range(len(port["shape"]))))
        own = next((o for o in ("NCL", "NCHW", "NCDHW") if sorted(o) == sorted(axes)), "0123456789")
        to_file[port["name"]] = [own.index(axis) for axis in axes]
        back[port["name"]] = [axes.index(axis) for axis in own[: len(axes)]]
    results = interpreter.get_signature_runner("serving_default")(**{p["name"]: x.transpose(to_file[p["name"]]) for p, x in zip(about["inputs"], inputs)})
    return [results[p["name"]].transpose(back[p["name"]]) for p in about["outputs"]]


RUNTIMES = [
    ("npz", ["miniten"], with_miniten),
    ("onnx", ["onnxruntime"], with_onnxruntime),
    ("tflite", ["ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite"], with_litert),
]


def installed(names):
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            pass
    return None


def main():
    try:
        import numpy as np
    except ImportError:
        say("python", f"not run: {sys.executable} has no NumPy")
        return 3
    report = json.loads((here / "report.json").read_text())
    targets = report["targets"]
    inputs, golden = ([np.load(here / "golden" / f"{kind}_{i}.npy") for i in range(len(report[kind + "s"]))] for kind in ("input", "output"))
    ran = failed = False
    for target, modules, run in RUNTIMES:
        if target not in targets:
            continue
        who, about = modules[0].split(".")[0], targets[target]["report"]
        allowed = targets[target]["tolerance"]
        module = installed(modules)
        if module is None:
            say(who, f"not run: {sys.executable} has no {who}")
            continue
        try:
            outputs = [np.asarray(y) for y in run(module, str(here / about["path"]), about, inputs)]
        except Exception as e:
            say(who, f"FAILED: {about['path']} does not run: {e}")
            failed = True
            continue
        shapes = [y.shape for y in outputs] == [g.shape for g in golden]
        worst = []
        for y, g in zip(outputs, golden):
            gap = np.where((y == g) | (np.isnan(y) & np.isnan(g)), 0, np.abs(y.astype("float64") - g))
            worst.append(float(np.nan_to_num(gap, nan=np.inf).max(initial=0)))
        agrees = shapes and all(w <= t for w, t in zip(worst, allowed))
        ran |= agrees
        failed |= not agrees
        verdict = "passed" if agrees else "FAILED"
        told = f"outputs differ by {max(worst, default=0):.3g}, {max(allowed, default=0):.3g} is allowed" if shapes else f"outputs of {[y.shape for y in outputs]}, not {[g.shape for g in golden]}"
        say(who, f"{verdict}: {about['path']}, {told}")
    return 1 if failed else 0 if ran else 3


sys.exit(main())
