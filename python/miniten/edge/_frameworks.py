"""Models of PyTorch and Keras by way of their own ONNX exporters. Neither is needed to import this file."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from miniten._core import GraphModule, OnnxModule, load_onnx

Axes = Mapping[str, Mapping[int, str]]


def _needs(name: str, who: str, hint: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise NotImplementedError(f"[{who}] expected the package {name}, got {e} ({hint})") from e


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _list(x: Any) -> list[Any]:
    return [y for v in x for y in _list(v)] if isinstance(x, list | tuple) else list(_list(list(x.values()))) if isinstance(x, Mapping) else [] if x is None else [x]


def _compare(who: str, loaded: Any, inputs: Sequence[Any], want: Sequence[Any], tolerance: float) -> None:
    import numpy as np

    results = loaded(*inputs)
    got = [r.numpy() for r in (results if isinstance(results, tuple) else (results,))]
    if len(got) != len(want):
        raise ValueError(f"[{who}] expected {len(want)} outputs as the model has, got {len(got)}")
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        if g.shape != w.shape:
            raise ValueError(f"[{who}] expected output {i} of shape {w.shape}, got {g.shape}")
        gap = float(np.abs(g.astype("float64") - w).max(initial=0))
        if not gap <= tolerance * max(1.0, float(np.abs(w.astype("float64")).max(initial=0))):
            raise ValueError(f"[{who}] expected what the model computes on the example, got a difference of {gap:.3g} in output {i} (try another exporter= or opset_version=)")


@contextlib.contextmanager
def _in_eval(module: Any) -> Iterator[None]:
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, on in modes:
            m.training = on


def _torch_bytes(torch: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], how: dict[str, Any], exporter: str) -> bytes:
    class Whole(torch.nn.Module):  # type: ignore[misc,name-defined]
        """In training mode itself, so that the exporter does not make one weight of two that are equal by chance."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = module
            self.training = True

        def forward(self, *tensors: Any) -> Any:
            return module(*tensors[: len(args)], **dict(zip(kwargs, tensors[len(args) :], strict=True)))

        def state_dict(self, *a: Any, **k: Any) -> Any:  # names as without it
            return module.state_dict(*a, **k)

    def written(model: Any, args: Any, kwargs: Any, **options: Any) -> bytes:
        buffer = io.BytesIO()
        with contextlib.redirect_stdout(io.StringIO()), torch.enable_grad():  # without gradients torch takes fused paths that have no ONNX form
            torch.onnx.export(model, args, buffer, kwargs=kwargs or None, **{k: v for k, v in how.items() if v is not None}, **options)
        return buffer.getvalue()

    failed: Exception | None = None
    if exporter != "dynamo":
        try:  # weights stay under their names, batch norms stay layers
            return written(Whole(), (*args, *kwargs.values()), None, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False, keep_initializers_as_inputs=False)
        except Exception as e:
            if exporter == "torchscript":
                raise
            failed = e
    if not _installed("onnxscript"):
        raise NotImplementedError(
            f"[from_torch] expected a module that torch's TorchScript exporter writes, got {failed if failed else 'exporter=' + repr(exporter)} (torch's other exporter needs the package onnxscript)"
        ) from failed
    return written(module, args, kwargs, dynamo=True, external_data=False)


def from_torch(
    module: Any,
    example: Any,
    *,
    dynamic_axes: Axes | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    exporter: str = "auto",
    fold_batch_norm: bool = False,
) -> GraphModule | OnnxModule:
    """A `torch.nn.Module` as a MiniTen module: torch's own exporter writes it, `load_onnx` reads it, and both run on the example.

    example: a tensor or array, a tuple of them, or a dict by the names of forward's arguments. The module is taken in eval mode and left as it was.
    dynamic_axes: as in `torch.onnx.export`, and both run at twice these sizes too; without it the first axis stays open where the module allows it.
    exporter: 'torchscript', 'dynamo' (needs onnxscript), or 'auto': the first, and the second where the first fails.
    """
    torch = _needs("torch", "from_torch", "install PyTorch beside MiniTen, or export to ONNX elsewhere and call load_onnx")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"[from_torch] expected a torch.nn.Module, got {type(module).__name__}")
    if exporter not in ("auto", "torchscript", "dynamo"):
        raise ValueError(f"[from_torch] expected exporter 'auto', 'torchscript' or 'dynamo', got {exporter!r}")

    def tensor(x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            return x.detach()
        import numpy as np

        return torch.from_numpy(np.array(x))

    named = isinstance(example, Mapping)
    kwargs = {k: tensor(v) for k, v in example.items()} if named else {}
    args = () if named else tuple(tensor(x) for x in (example if isinstance(example, tuple | list) else (example,)))
    inputs = [*args, *kwargs.values()]
    names = list(input_names or kwargs or (["input"] if len(inputs) == 1 else [f"input_{i}" for i in range(len(inputs))]))
    if len(names) != len(inputs):
        raise ValueError(f"[from_torch] expected {len(inputs)} input_names, got {names}")
    how = {"opset_version": opset_version, "input_names": names, "output_names": list(output_names) if output_names else None}

    def run(wider: Axes) -> tuple[list[Any], list[Any]]:
        given = []
        for name, x in zip(names, inputs, strict=True):
            for axis in wider.get(name, ()):
                x = torch.cat([x, x], axis)
            given.append(x)
        results = module(*given[: len(args)], **dict(zip(kwargs, given[len(args) :], strict=True)))
        return [x.numpy() for x in given], [y.detach().numpy() for y in _list(results)]

    def read(axes: Axes | None, by: str) -> GraphModule | OnnxModule:
        loaded = load_onnx(_torch_bytes(torch, module, args, kwargs, {**how, "dynamic_axes": axes}, by), fold_batch_norm=fold_batch_norm)
        _compare("from_torch", loaded, *run({}), 1e-4)
        if axes:
            try:
                _compare("from_torch", loaded, *run(axes), 1e-4)
            except Exception as e:
                raise ValueError(f"[from_torch] expected open sizes {dict(axes)}, got a file that torch's exporter wrote for the example's: {e} (try exporter='dynamo', or other dynamic_axes)") from e
        return loaded

    with _in_eval(module), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamic_axes is None:
            first = {name: {0: "batch"} for name, x in zip(names, inputs, strict=True) if x.dim() >= 2}
            try:
                return read(first, exporter)
            except Exception:
                return read(None, exporter)
        if exporter == "auto" and _installed("onnxscript"):
            with contextlib.suppress(Exception):
                return read(dynamic_axes, "torchscript")
        return read(dynamic_axes, exporter if exporter != "auto" or not _installed("onnxscript") else "dynamo")


def from_keras(model: Any, example: Any = None, *, opset_version: int | None = None, fold_batch_norm: bool = False) -> GraphModule | OnnxModule:
    """A Keras model as a MiniTen module: Keras 3's own ONNX export, or tf2onnx where that is what is installed; read by `load_onnx`.

    example: an array, or a list of them, that both run on; without it the model is read and not run. Layers keep Keras' axes (N, H, W, C).
    """
    keras = _needs("keras", "from_keras", "install Keras beside MiniTen, or export to ONNX elsewhere and call load_onnx")
    if not isinstance(model, keras.Model):
        raise TypeError(f"[from_keras] expected a keras.Model, got {type(model).__name__}")
    inputs = [] if example is None else list(example) if isinstance(example, list | tuple) else [example]
    want = []
    if inputs:  # a model exports once it has been called
        import numpy as np

        want = [np.asarray(keras.ops.convert_to_numpy(y)) for y in _list(model(inputs[0] if len(inputs) == 1 else inputs, training=False))]
    backend = keras.backend.backend() if hasattr(keras, "backend") else "tensorflow"
    needed = {"torch": "onnxscript", "tensorflow": "tf2onnx", "jax": "tf2onnx"}.get(backend)
    if needed and not _installed(needed):
        raise NotImplementedError(f"[from_keras] expected the package {needed}, which Keras exports with on its backend {backend}, got none (pip install {needed})")
    import tempfile

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = os.path.join(folder, "model.onnx")
        options: dict[str, Any] = {} if opset_version is None else {"opset_version": opset_version}
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                model.export(path, format="onnx", verbose=False, **options)
            except (TypeError, AttributeError):  # Keras 2 and early 3
                converter = _needs("tf2onnx", "from_keras", "this Keras has no ONNX export of its own")
                converter.convert.from_keras(model, output_path=path, opset=opset_version)
        loaded = load_onnx(path, fold_batch_norm=fold_batch_norm)
    if inputs:
        _compare("from_keras", loaded, inputs, want, 1e-4)
    return loaded
