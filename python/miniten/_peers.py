"""Other runtimes that `miniten bench --against` measures beside MiniTen, where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def open_peer(name: str, path: str, inputs: list[Any], threads: int) -> tuple[str, Callable[[], Any], list[Any]]:
    """-> (label, one inference on these inputs without copies, its outputs)."""
    arrays = [x.numpy() for x in inputs]
    try:
        return {"onnxruntime": _onnxruntime, "litert": _litert}[name](path, arrays, threads)
    except ImportError as e:
        raise RuntimeError(f"{name} is not installed: pip install {'ai-edge-litert' if name == 'litert' else name}") from e


def _onnxruntime(path: str, arrays: list[Any], threads: int) -> tuple[str, Callable[[], Any], list[Any]]:
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {i.name: a for i, a in zip(session.get_inputs(), arrays)}
    outputs = session.run(None, feeds)
    bound = session.io_binding()
    for name, array in feeds.items():
        bound.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for output, array in zip(session.get_outputs(), outputs):
        bound.bind_ortvalue_output(output.name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    return f"onnxruntime {onnxruntime.__version__}", lambda: session.run_with_iobinding(bound), outputs


def _litert(path: str, arrays: list[Any], threads: int) -> tuple[str, Callable[[], Any], list[Any]]:
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

    interpreter = Interpreter(path, num_threads=threads)
    details = interpreter.get_input_details()
    arrays = [_channels_last(a) if a.ndim == 4 and a.shape[1:] != tuple(d["shape"])[1:] == _channels_last(a).shape[1:] else a for d, a in zip(details, arrays)]
    for detail, array in zip(details, arrays):
        if tuple(detail["shape"]) != array.shape:
            interpreter.resize_tensor_input(detail["index"], array.shape)
    interpreter.allocate_tensors()
    for detail, array in zip(details, arrays):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return f"litert {version('ai-edge-litert')}", interpreter.invoke, [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def _channels_last(x: Any) -> Any:
    return x.transpose(0, 2, 3, 1).copy()
