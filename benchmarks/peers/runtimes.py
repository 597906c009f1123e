"""Each runtime at its best on one model: (label, one inference with the input handed over and the output readable, its output)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

BENCHMARKS = Path(__file__).resolve().parents[1]


def miniten(model: str, x: str, threads: int, precision: str | None = None) -> Any:
    import miniten as mt

    given = mt.tensor(np.load(x))
    network = mt.edge.load_onnx(model) if model.endswith(".onnx") else mt.load(model)
    session = mt.compile(network, given.shape, threads=threads, **({"precision": precision} if precision else {}))
    bound = session.bind(given)
    return f"MiniTen {mt.__version__}", bound, bound().numpy()


def _bound(peer: str, model: str, x: str, threads: int) -> Any:
    import miniten as mt
    from miniten._peers import open_peer

    label, run, outputs = open_peer(peer, model, [mt.tensor(np.load(x))], threads)
    return label, run, np.array(outputs[0])


def onnxruntime(model: str, x: str, threads: int) -> Any:
    return _bound("onnxruntime", model, x, threads)


def litert(model: str, x: str, threads: int) -> Any:
    return _bound("litert", model, x, threads)


def openvino(model: str, x: str, threads: int, precision: str = "f32", samples: str = "", attention: bool = False) -> Any:
    """With samples, quantised to int8 by NNCF first."""
    import openvino as ov

    given = np.load(x)
    core = ov.Core()
    network = core.read_model(model)
    network.reshape(list(given.shape))
    if samples:
        import nncf

        data = np.load(samples)
        network = nncf.quantize(network, nncf.Dataset([s[None] for s in data]), subset_size=len(data), **({"model_type": nncf.ModelType.TRANSFORMER} if attention else {}))
    request = core.compile_model(network, "CPU", {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}).create_infer_request()
    request.set_input_tensor(ov.Tensor(given, shared_memory=True))
    request.infer()
    output = request.get_output_tensor().data
    return f"OpenVINO {version('openvino')}", lambda given=given: request.infer(), output.copy()


def ncnn(model: str, x: str, threads: int) -> Any:
    import ncnn

    given = np.load(x)
    folder = Path(model).with_suffix(".pnnx")
    folder.mkdir(exist_ok=True)
    onnx = folder / "net.onnx"
    onnx.write_bytes(Path(model).read_bytes())
    shape = str(list(given.shape)).replace(" ", "")
    tool = Path(next(iter(importlib.util.find_spec("pnnx").submodule_search_locations))) / "pnnx"
    subprocess.run([str(tool), onnx.name, f"inputshape={shape}f32", "fp16=0"], cwd=folder, check=True, capture_output=True)
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    if net.load_param(str(folder / "net.ncnn.param")) or net.load_model(str(folder / "net.ncnn.bin")):
        raise RuntimeError("ncnn does not load what pnnx made")
    source, result, borrowed = net.input_names()[0], net.output_names()[0], given[0]
    mat = ncnn.Mat(borrowed).clone()

    def run() -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input(source, mat)
        return np.array(extractor.extract(result)[1])

    return f"ncnn {version('ncnn')}", run, run()


def mnn(model: str, x: str, threads: int) -> Any:
    import _tools  # the converter without the wrapper that fetches a telemetry client
    import MNN

    given = np.load(x)
    converted = str(Path(model).with_suffix(".mnn"))
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", model, "--MNNModel", converted, "--bizCode", "x", "--keepInputFormat", "1"])
    interpreter = MNN.Interpreter(converted)
    session = interpreter.createSession({"backend": "CPU", "numThread": threads, "precision": "high"})
    source, result = interpreter.getSessionInput(session), interpreter.getSessionOutput(session)
    interpreter.resizeTensor(source, given.shape)
    interpreter.resizeSession(session)
    result = interpreter.getSessionOutput(session)
    host = MNN.Tensor(given.shape, MNN.Halide_Type_Float, given, MNN.Tensor_DimensionType_Caffe)
    shape = result.getShape()
    landed = MNN.Tensor(shape, MNN.Halide_Type_Float, np.zeros(shape, np.float32), MNN.Tensor_DimensionType_Caffe)

    def run() -> None:
        source.copyFrom(host)
        interpreter.runSession(session)
        result.copyToHostTensor(landed)

    run()
    return f"MNN {version('MNN')}", run, np.array(landed.getNumpyData()).reshape(shape)


def torch(net: str, weights: str, x: str, threads: int, compiled: bool = False) -> Any:
    import torch as t

    sys.path.insert(0, str(BENCHMARKS))
    import nets

    t.set_num_threads(threads)
    model, _ = nets.EVERY[net](t.nn)
    with np.load(weights) as arrays:
        model.load_state_dict({name: t.from_numpy(arrays[name]) for name in model.state_dict()})
    model.eval()
    given = t.from_numpy(np.load(x))
    if given.ndim == 4:
        model, given = model.to(memory_format=t.channels_last), given.contiguous(memory_format=t.channels_last)
    if compiled:
        import torch._inductor.config as inductor

        inductor.freezing = True
        model = t.compile(model)

    def run() -> Any:
        with t.inference_mode() if not compiled else t.no_grad():
            return model(given)

    return f"torch {t.__version__}" + (" compiled" if compiled else ""), run, run().numpy()
