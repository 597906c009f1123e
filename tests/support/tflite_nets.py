"""Small TFLite models of several operators, as their files."""

import numpy as np
from tflite_files import File, schema

RNG = np.random.default_rng(3)
I32 = lambda *v: np.array(v, "int32")


def rand(*shape):
    return RNG.normal(size=shape).astype("float32")


def bytes_of(*shape, lo=-128, hi=128, dtype="int8"):
    return RNG.integers(lo, hi, size=shape).astype(dtype)


def network():
    """A convolution, a depthwise one, a pool and a product, with an open batch."""
    f = File()
    x = f.tensor((1, 9, 8, 3), open_batch=True, name="image")
    a, b, c, d = f.tensor((1, 5, 4, 6)), f.tensor((1, 5, 4, 6)), f.tensor((1, 2, 2, 6)), f.tensor((1, 24))
    y = f.tensor((1, 4), name="scores;softmax")
    f.op("CONV_2D", [x, f.tensor(data=rand(6, 3, 3, 3)), f.tensor(data=rand(6))], [a], "Conv2DOptions", padding=0, strideW=2, strideH=2, fusedActivationFunction=3)
    f.op("DEPTHWISE_CONV_2D", [a, f.tensor(data=rand(1, 3, 3, 6)), f.tensor(data=rand(6))], [b], "DepthwiseConv2DOptions", padding=0, strideW=1, strideH=1, depthMultiplier=1, fusedActivationFunction=1)
    f.op("MAX_POOL_2D", [b], [c], "Pool2DOptions", padding=1, strideW=2, strideH=2, filterWidth=2, filterHeight=2)
    f.op("RESHAPE", [c, f.tensor(data=np.array([-1, 24], "int32"))], [d], "ReshapeOptions")
    f.op("FULLY_CONNECTED", [d, f.tensor(data=rand(4, 24), name="head"), -1], [y], "FullyConnectedOptions")
    f.signature("serving_default", {"picture": x}, {"logits": y})
    return f.bytes([x], [y])


def quantized_network():
    f = File()
    q = dict(scale=0.04, zero=-3)
    x = f.tensor((1, 6, 6, 8), "int8", **q)
    a, b, c = f.tensor((1, 6, 6, 16), "int8", scale=0.11, zero=4), f.tensor((1, 6, 6, 16), "int8", scale=0.13, zero=-9), f.tensor((1, 6, 6, 16), "int8", scale=0.2, zero=0)
    s = RNG.uniform(0.002, 0.01, 16)
    bias = lambda n, scale: f.tensor(data=bytes_of(n, lo=-900, hi=900, dtype="int32"), scale=scale)
    f.op("CONV_2D", [x, f.tensor(data=bytes_of(16, 3, 3, 8, lo=-127), scale=s), bias(16, s * 0.04)], [a], "Conv2DOptions", version=3, padding=0, strideW=1, strideH=1, fusedActivationFunction=1)
    f.op("DEPTHWISE_CONV_2D", [a, f.tensor(data=bytes_of(1, 3, 3, 16, lo=-127), scale=s, axis=3), bias(16, s * 0.11)], [b], "DepthwiseConv2DOptions", version=3, padding=0, strideW=1, strideH=1, depthMultiplier=1)
    f.op("ADD", [a, b], [c], "AddOptions", version=2)
    return f.bytes([x], [c])


def accumulator(initial=None):
    """y = total += x; the total begins at what CALL_ONCE writes."""
    f = File()
    x, handle, old, y = f.tensor((1, 3)), f.tensor((), "resource"), f.tensor((1, 3)), f.tensor((1, 3))
    if initial is not None:
        f.op("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)
    f.op("VAR_HANDLE", [], [handle], "VarHandleOptions", container="", sharedName="total")
    f.op("READ_VARIABLE", [handle], [old], "ReadVariableOptions")
    f.op("ADD", [x, old], [y], "AddOptions")
    f.op("ASSIGN_VARIABLE", [handle, y], [], "AssignVariableOptions")
    if initial is not None:
        f.subgraph("init")
        inner = f.tensor((), "resource")
        f.op("VAR_HANDLE", [], [inner], "VarHandleOptions", container="", sharedName="total")
        f.op("ASSIGN_VARIABLE", [inner, f.tensor(data=initial)], [], "AssignVariableOptions")
    return f.bytes([x], [y])


def lstm(cifg=False, peephole=False, projection=False, norm=False, major=False, clip=0.0, batch=2, steps=4, width=3, units=5):
    f = File()
    x = f.tensor((steps, batch, width) if major else (batch, steps, width))
    out = 4 if projection else units
    w = lambda *shape: f.tensor(data=rand(*shape) * 0.5)
    gates = lambda make, skip: [-1 if skip and g == 0 else make() for g in range(4)]
    ids = [x, *gates(lambda: w(units, width), cifg), *gates(lambda: w(units, out), cifg)]
    ids += [w(units) if peephole and not (cifg and g == 0) else -1 for g in range(3)]
    ids += gates(lambda: w(units), cifg)
    ids += [w(out, units), w(out)] if projection else [-1, -1]
    ids += [f.tensor((batch, out), variable=True), f.tensor((batch, units), variable=True)]
    ids += gates(lambda: w(units), cifg) if norm else [-1] * 4
    y = f.tensor((steps, batch, out) if major else (batch, steps, out))
    f.op("UNIDIRECTIONAL_SEQUENCE_LSTM", ids, [y], "UnidirectionalSequenceLSTMOptions", fusedActivationFunction=4, timeMajor=major, cellClip=clip)
    return f.bytes([x], [y]), (steps, batch, width) if major else (batch, steps, width)


def sparse(dense, values, order, formats, block_map=()):
    """x @ dense^T with the weight stored sparse; formats: a size, or (segments, indices)."""
    f = File()
    x, y = f.tensor((2, dense.shape[1])), f.tensor((2, dense.shape[0]))
    w, full = f.tensor(data=dense), f.tensor(dense.shape)
    f.model.buffers[f.graph.tensors[w].buffer].data = np.frombuffer(np.asarray(values, "float32").tobytes(), np.uint8)
    s = schema.SparsityParametersT()
    s.traversalOrder, s.blockMap, s.dimMetadata = I32(*order), I32(*block_map), []
    for form in formats:
        d = schema.DimensionMetadataT()
        if isinstance(form, int):
            d.format, d.denseSize = 0, form
        else:
            d.format = 1
            for kind, numbers in zip(("Segments", "Indices"), form, strict=True):
                v = schema.Int32VectorT()
                v.values = I32(*numbers)
                setattr(d, f"array{kind}Type", schema.SparseIndexVector.Int32Vector)
                setattr(d, f"array{kind}", v)
        s.dimMetadata.append(d)
    f.graph.tensors[w].sparsity = s
    f.op("DENSIFY", [w], [full], "DensifyOptions")
    f.op("FULLY_CONNECTED", [x, full, -1], [y], "FullyConnectedOptions")
    return f.bytes([x], [y])
