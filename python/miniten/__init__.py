"""MiniTen: edge deep learning in one small install. Train, quantise, prune, benchmark, estimate, export, deploy."""

from miniten._core import (
    CompiledStep,
    DType,
    Graph,
    Op,
    Parameter,
    Session,
    SparseMatrix,
    Spec,
    Tensor,
    ValueInfo,
    __version__,
    abs,
    add,
    all,
    any,
    arange,
    argmax,
    argmin,
    as_tensor,
    cast,
    cat,
    ceil,
    clamp,
    clip,
    compile,
    compile_step,
    cos,
    cpu_info,
    div,
    eq,
    erf,
    exp,
    expand,
    eye,
    flatten,
    floor,
    floor_divide,
    from_dlpack,
    from_numpy,
    full,
    gather,
    ge,
    get_num_threads,
    gt,
    is_grad_enabled,
    le,
    list_ops,
    log,
    log1p,
    log_softmax,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    manual_seed,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    mul,
    ne,
    neg,
    nonzero,
    ones,
    pad,
    permute,
    pow,
    promote_types,
    rand,
    randn,
    reciprocal,
    register_op,
    relu,
    remainder,
    reshape,
    round,
    set_isa,
    set_num_threads,
    sigmoid,
    sign,
    sin,
    softmax,
    sparse_coo,
    sparse_csr,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    sub,
    sum,
    take,
    tanh,
    tensor,
    trace,
    transpose,
    unsqueeze,
    var,
    where,
    zeros,
)
from miniten import autograd, nn, optim
from miniten._noise import deterministic
from miniten._state import load, save
from miniten.autograd import enable_grad, no_grad, set_grad_enabled

float32 = DType.float32
float64 = DType.float64
float16 = DType.float16
bfloat16 = DType.bfloat16
int8 = DType.int8
int16 = DType.int16
int32 = DType.int32
int64 = DType.int64
uint8 = DType.uint8
uint16 = DType.uint16
uint32 = DType.uint32
uint64 = DType.uint64
bool_ = DType.bool_
bool = DType.bool_
int4 = DType.int4
uint4 = DType.uint4

_lazy = ("edge", "monitor", "utils", "viz")
_later = {
    "History": "miniten.trainer", "Trainer": "miniten.trainer", "metrics": "miniten.nn", "profile": "miniten.monitor.profiler", "profiler": "miniten.monitor.profiler",
}


def __getattr__(name: str):
    import importlib

    if name in _lazy:
        return importlib.import_module(f"miniten.{name}")
    if name in _later:
        return getattr(importlib.import_module(_later[name]), name)
    raise AttributeError(f"module 'miniten' has no attribute '{name}'")


def __dir__():
    return sorted({*globals(), *_lazy, *_later})


__all__ = [
    "CompiledStep", "DType", "Graph", "History", "Op", "Parameter", "Session", "SparseMatrix", "Spec", "Tensor", "Trainer", "ValueInfo",
    "__version__", "abs", "add", "all", "any", "arange", "argmax", "argmin", "as_tensor", "autograd", "bfloat16", "bool_", "cast", "cat", "ceil",
    "clamp", "clip", "compile", "compile_step", "cos", "cpu_info", "deterministic", "div", "enable_grad", "eq", "erf", "exp", "expand", "eye",
    "flatten", "float16", "float32", "float64", "floor", "floor_divide", "from_dlpack", "from_numpy", "full", "gather", "ge", "get_num_threads",
    "gt", "int16", "int32", "int4", "int64", "int8", "is_grad_enabled", "le", "list_ops", "load", "log", "log1p", "log_softmax", "logical_and",
    "logical_not", "logical_or", "logical_xor", "lt", "manual_seed", "matmul", "max", "maximum", "mean", "metrics", "min", "minimum", "mul", "ne",
    "neg", "nn", "no_grad", "nonzero", "ones", "optim", "pad", "permute", "pow", "promote_types", "rand", "randn", "reciprocal", "register_op",
    "relu", "remainder", "reshape", "round", "save", "set_grad_enabled", "set_isa", "set_num_threads", "sigmoid", "sign", "sin", "softmax",
    "sparse_coo", "sparse_csr", "split", "sqrt", "square", "squeeze", "stack", "std", "sub", "sum", "take", "tanh", "tensor", "trace", "transpose",
    "uint16", "uint32", "uint4", "uint64", "uint8", "unsqueeze", "var", "where", "zeros",
]
