"""Gradient modes, gradients of chosen inputs, functions with a gradient of their own, and a check of gradients."""

from __future__ import annotations

import functools
import sys
from typing import Any, Callable, Sequence

from miniten import _core
from miniten._core import Tensor, grad, is_anomaly_enabled, is_grad_enabled, is_inference_mode_enabled

__all__ = [
    "Function", "FunctionContext", "RemovableHandle", "checkpoint", "detect_anomaly", "enable_grad", "grad", "gradcheck", "gradgradcheck", "inference_mode",
    "is_anomaly_enabled", "is_grad_enabled", "is_inference_mode_enabled", "no_grad", "set_detect_anomaly", "set_grad_enabled",
]


class set_grad_enabled:
    """Records gradients or not: at once, and until the end of a with block where it is used as one."""

    def __init__(self, mode: bool):
        self._mode = bool(mode)
        self._before = [_core._set_grad_enabled(self._mode)]

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        _core._set_grad_enabled(self._before.pop())


class _Scope:
    _mode = True
    _before: list[bool]

    def __new__(cls, function: Callable | None = None):
        scope = super().__new__(cls)
        scope._before = []
        return scope if function is None else scope(function)

    def __enter__(self):
        self._before.append(_core._set_grad_enabled(self._mode))
        return self

    def __exit__(self, *error: object) -> None:
        _core._set_grad_enabled(self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def inside(*args, **kwargs):
            before = _core._set_grad_enabled(self._mode)
            try:
                return function(*args, **kwargs)
            finally:
                _core._set_grad_enabled(before)

        return inside


class no_grad(_Scope):
    """Nothing inside records a gradient. `with no_grad():`, or a decorator."""

    _mode = False


class enable_grad(_Scope):
    """Gradients are recorded inside, also within no_grad. `with enable_grad():`, or a decorator."""

    _mode = True


class inference_mode(_Scope):
    """As no_grad, and what is made inside can never be part of a tape. `with inference_mode():`, or a decorator."""

    def __enter__(self):
        self._before.append((_core._set_grad_enabled(False), _core._set_inference(True)))
        return self

    def __exit__(self, *error: object) -> None:
        grad_before, inference_before = self._before.pop()
        _core._set_inference(inference_before)
        _core._set_grad_enabled(grad_before)

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def inside(*args, **kwargs):
            with inference_mode():
                return function(*args, **kwargs)

        return inside


class detect_anomaly:
    """Ops remember where they were called, and a gradient with NaN raises ValueError naming op and place. Slower."""

    _mode = True

    def __init__(self):
        self._before: list[bool] = []

    def __enter__(self):
        self._before.append(_core._set_anomaly(self._mode))
        return self

    def __exit__(self, *error: object) -> None:
        _core._set_anomaly(self._before.pop())


class set_detect_anomaly(detect_anomaly):
    """detect_anomaly on or off: at once, and until the end of a with block where it is used as one."""

    def __init__(self, mode: bool):
        self._before = [_core._set_anomaly(bool(mode))]

    def __enter__(self):
        return self


def _place() -> str:
    """Where the program is, outside of this package."""
    import linecache

    package = __file__.rpartition("autograd")[0]
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
    name = frame.f_code.co_filename
    line = linecache.getline(name, frame.f_lineno).strip()
    return f"{name}:{frame.f_lineno}, in {frame.f_code.co_name}" + (f": {line}" if line else "")


class RemovableHandle:
    """What register_hook returns: remove() takes the hook away; so does the end of a with block."""

    def __init__(self, tensor: Tensor, number: int):
        self._tensor, self._number = tensor, number

    def remove(self) -> None:
        self._tensor._remove_hook(self._number)

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def checkpoint(fn: Callable[..., Any], *args: Any, use_reentrant: bool = False, **kwargs: Any) -> Any:
    """fn(*args, **kwargs) without keeping what its gradient needs; backward runs fn once more.

    fn returns a tensor or a tuple of them. Tensors it captured get their gradients too, and its random numbers, batch-norm
    statistics and dropout keys are the same the second time. use_reentrant is torch's and changes nothing.
    """
    places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
    shape: list[Any] = []

    def run(*tensors):
        given = list(args)
        for i, t in zip(places, tensors):
            given[i] = t
        result = fn(*given, **kwargs)
        shape[:] = [type(result) if isinstance(result, (tuple, list)) else None]
        return result if shape[0] else (result,)

    results = _core._checkpoint(run, [args[i] for i in places])
    return results[0] if shape[0] is None else shape[0](results)


class FunctionContext:
    """What a Function's forward leaves for its backward: tensors by save_for_backward, anything else as an attribute."""

    needs_input_grad: tuple[bool, ...] = ()
    _saved: tuple = ()
    _versions: tuple = ()
    _results: tuple = ()
    _outputs: tuple = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"[save_for_backward] expected tensors or None, got {type(t).__name__} (keep other things as attributes)")
        self._saved = tensors
        self._versions = tuple(None if t is None else t._version for t in tensors)

    @property
    def saved_tensors(self) -> tuple:
        for t, version in zip(self._saved, self._versions):
            if t is not None and t._version != version:
                raise ValueError("[saved_tensors] expected the value that was saved, got one overwritten since (copy the tensor before it is overwritten)")
        return tuple(self._live(t) for t in self._saved)

    def _live(self, tensor):
        # A saved result joins the tape again, so that second derivatives pass through it.
        for result, output in zip(self._results, self._outputs):
            if tensor is result:
                return output
        return tensor


class Function:
    """An op with a gradient of its own, in Python: static forward(ctx, *args) and backward(ctx, *grads).

    backward gives a gradient, or None, for each argument of forward. Call the function by apply. It cannot be traced:
    for that, see register_op.
    """

    @staticmethod
    def forward(ctx: FunctionContext, *args: Any) -> Any:
        raise NotImplementedError("[Function] expected a static method forward(ctx, ...), got none")

    @staticmethod
    def backward(ctx: FunctionContext, *grads: Tensor) -> Any:
        raise NotImplementedError("[Function] expected a static method backward(ctx, ...), got none")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        return _core._apply_function(cls, FunctionContext(), args)

    @classmethod
    def _run_backward(cls, ctx, outputs, grads):
        ctx._outputs = outputs
        try:
            return cls.backward(ctx, *grads)
        finally:
            ctx._outputs = ()


def gradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compares the gradients of fn at inputs with central differences, in float64.

    True where every |analytic - numeric| <= atol + rtol * |numeric|; else ValueError names input and output, or, without
    raise_exception, False.
    """
    import numpy as np

    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    tensors = [t for t in given if isinstance(t, Tensor) and t.requires_grad]
    if not tensors:
        raise ValueError("[gradcheck] expected an input that requires a gradient, got none")
    for t in tensors:
        if t.dtype != "float64":
            raise ValueError(f"[gradcheck] expected float64 inputs, got {t.dtype} (float32 is too coarse: pass dtype='float64')")

    def outputs_of(arguments):
        result = fn(*arguments)
        return [r for r in (result if isinstance(result, (tuple, list)) else (result,)) if isinstance(r, Tensor) and r.dtype.is_floating_point]

    def values_at(which, array):
        arguments = [Tensor(array) if t is which else t for t in given]
        with no_grad():
            return [np.array(o.detach().numpy()) for o in outputs_of(arguments)]

    results = outputs_of(given)
    for i, t in enumerate(tensors):
        numeric = [np.zeros((t.numel(), r.numel())) for r in results]
        base = np.array(t.detach().numpy())
        for k in range(base.size):
            near = []
            for sign in (1, -1):
                moved = base.copy()
                moved.reshape(-1)[k] += sign * eps
                near.append(values_at(t, moved))
            for n, up, down in zip(numeric, *near):
                n[k] = (up - down).reshape(-1) / (2 * eps)
        for o, (r, wanted) in enumerate(zip(results, numeric)):
            for j in range(r.numel()):
                seed = np.zeros(r.shape)
                seed.reshape(-1)[j] = 1
                g = grad(r, [t], Tensor(seed), retain_graph=True, allow_unused=True)[0] if r.requires_grad else None
                got = np.zeros(t.numel()) if g is None else np.array(g.detach().numpy()).reshape(-1)
                wrong = ~(np.abs(got - wanted[:, j]) <= atol + rtol * np.abs(wanted[:, j]))
                if wrong.any():
                    if not raise_exception:
                        return False
                    k = int(np.argmax(wrong))
                    raise ValueError(
                        f"[gradcheck] expected d output {o}[{j}] / d input {i}[{k}] = {wanted[k, j]:.8g} (central difference), got {got[k]:.8g}"
                    )
    return True


def gradgradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """gradcheck of the gradients of fn: second derivatives against central differences of first ones, in float64."""
    import numpy as np

    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    wanted = [i for i, t in enumerate(given) if isinstance(t, Tensor) and t.requires_grad]

    def gradients(*arguments):
        tensors = [arguments[i] for i in wanted]
        live = [t if t.requires_grad else Tensor(t, requires_grad=True) for t in tensors]
        full = list(arguments)
        for i, t in zip(wanted, live):
            full[i] = t
        with enable_grad():
            result = fn(*full)
            outputs = [r for r in (result if isinstance(result, (tuple, list)) else (result,)) if isinstance(r, Tensor) and r.requires_grad]
            total = sum((o * Tensor(np.cos(np.arange(o.numel(), dtype="float64")).reshape(o.shape))).sum() for o in outputs)
            found = grad(total, live, create_graph=True, allow_unused=True)
        return tuple(t * 0 if g is None else g for g, t in zip(found, live))

    return gradcheck(gradients, given, eps, atol, rtol, raise_exception)
