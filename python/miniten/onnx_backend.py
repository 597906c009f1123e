"""MiniTen as a backend of the onnx package (`onnx.backend.base`): onnx's own tests and tools run on it. Needs onnx.

    import miniten.onnx_backend as backend
    outputs = backend.prepare(onnx.load("model.onnx")).run([x])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep, Device, DeviceType, namedtupledict

from miniten._core import DType, Tensor, cast, load_onnx

__all__ = ["MiniTenBackend", "MiniTenRep", "is_compatible", "prepare", "run_model", "run_node", "supports_device"]


def _to_tensor(x: Any) -> Tensor:
    array = np.asarray(x)
    if array.dtype.name == "bfloat16":  # a float32's upper half
        return cast(Tensor((array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)), "bfloat16")
    return Tensor(array)


def _to_array(t: Tensor) -> Any:
    if t.dtype != DType.bfloat16:
        return np.array(t)
    halves = (np.array(cast(t, "float32")).view(np.uint32) >> 16).astype(np.uint16)
    return halves.view(helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16))


class MiniTenRep(BackendRep):
    """A model ready to run."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.module = load_onnx(model.SerializeToString())
        given = {t.name for t in model.graph.initializer}
        self.inputs = [i.name for i in model.graph.input if i.name not in given]
        self.outputs = [o.name for o in model.graph.output]

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Inputs as a sequence in the graph's order, a mapping by name, or one array."""
        if isinstance(inputs, Mapping):
            inputs = [inputs[name] for name in self.inputs]
        elif not isinstance(inputs, Sequence) or isinstance(inputs, str | bytes):
            inputs = [inputs]
        results = self.module(*(_to_tensor(x) for x in inputs))
        arrays = [_to_array(t) for t in (results if isinstance(results, tuple) else (results,))]
        return tuple(namedtupledict("Outputs", self.outputs)(*arrays))


class MiniTenBackend(Backend):
    """onnx's backend interface: prepare, run_model, run_node, supports_device."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> MiniTenRep:
        """Reads a model; NotImplementedError names the first operator that MiniTen does not know."""
        if not cls.supports_device(device):
            raise ValueError(f"[onnx_backend] expected device CPU, got {device}")
        return MiniTenRep(model)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Any, ...]:
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any) -> tuple[Any, ...]:
        """One node as a model of its own, at the opset given (opset_version=, else the newest that onnx knows)."""
        arrays = [np.asarray(x) for x in inputs]
        types = [helper.np_dtype_to_tensor_dtype(a.dtype) for a in arrays]
        values = [helper.make_tensor_value_info(name, t, a.shape) for name, t, a in zip([i for i in node.input if i], types, arrays, strict=True)]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
        graph = helper.make_graph([node], "node", values, outputs)
        opset = helper.make_opsetid(node.domain, kwargs.get("opset_version", onnx.defs.onnx_opset_version()))
        return cls.run_model(helper.make_model(graph, opset_imports=[opset]), arrays, device)

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        try:
            cls.prepare(model, device, **kwargs)
        except (NotImplementedError, ValueError):
            return False
        return True

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return Device(device).type == DeviceType.CPU


prepare = MiniTenBackend.prepare
run_model = MiniTenBackend.run_model
run_node = MiniTenBackend.run_node
is_compatible = MiniTenBackend.is_compatible
supports_device = MiniTenBackend.supports_device
