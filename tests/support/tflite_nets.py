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


class Landmarks(File):
    """A network in the style of MediaPipe's face, hand and iris models: weights in float16, some of them sparse, shortcuts of
    pooled and padded channels."""

    def half(self, array, sparse=False):
        array = np.asarray(array, "float16")
        out = self.tensor(array.shape)
        if sparse:
            array[RNG.random(array.shape) < 0.7] = 0
            rows = array.reshape(-1, array.shape[-1])
            segments = np.concatenate([[0], np.cumsum((rows != 0).sum(1))])
            w, full = self.tensor(data=array), self.tensor(array.shape, "float16")
            self.model.buffers[self.graph.tensors[w].buffer].data = np.frombuffer(rows[rows != 0].tobytes(), np.uint8)
            s = schema.SparsityParametersT()
            s.traversalOrder, s.dimMetadata = np.arange(array.ndim, dtype="int32"), []
            for size in array.shape[:-1]:
                d = schema.DimensionMetadataT()
                d.format, d.denseSize = 0, size
                s.dimMetadata.append(d)
            d = schema.DimensionMetadataT()
            d.format = 1
            for kind, numbers in (("Segments", segments), ("Indices", np.nonzero(rows)[1])):
                v = schema.Int32VectorT()
                v.values = numbers.astype("int32")
                setattr(d, f"array{kind}Type", schema.SparseIndexVector.Int32Vector)
                setattr(d, f"array{kind}", v)
            s.dimMetadata.append(d)
            self.graph.tensors[w].sparsity = s
            self.op("DENSIFY", [w], [full], "DensifyOptions")
            w = full
        else:
            w = self.tensor(data=array)
        self.op("DEQUANTIZE", [w], [out], "DequantizeOptions", version=3)
        return out

    def shape(self, x):
        return list(self.graph.tensors[x].shape)

    def conv(self, x, channels, kernel, stride=1, sparse=False, activation=0):
        b, h, w, c = self.shape(x)
        y = self.tensor((b, -(-h // stride), -(-w // stride), channels))
        weight = self.half(rand(channels, kernel, kernel, c) / np.sqrt(kernel * kernel * c), sparse)
        self.op("CONV_2D", [x, weight, self.half(rand(channels) * 0.1)], [y], "Conv2DOptions", padding=0, strideW=stride, strideH=stride, fusedActivationFunction=activation)
        return y

    def prelu(self, x):
        y = self.tensor(self.shape(x))
        self.op("PRELU", [x, self.half(RNG.uniform(0, 0.5, (1, 1, self.shape(x)[-1])))], [y])
        return y

    def block(self, x, channels, stride=1, sparse=False, prelu=True):
        b, h, w, c = self.shape(x)
        y = self.tensor((b, -(-h // stride), -(-w // stride), c))
        self.op("DEPTHWISE_CONV_2D", [x, self.half(rand(1, 3, 3, c) / 3), self.half(rand(c) * 0.1)], [y], "DepthwiseConv2DOptions", padding=0, strideW=stride, strideH=stride, depthMultiplier=1)
        y = self.conv(y, channels, 1, sparse=sparse)
        if stride > 1:
            pooled = self.tensor((b, h // 2, w // 2, c))
            self.op("MAX_POOL_2D", [x], [pooled], "Pool2DOptions", padding=1, strideW=2, strideH=2, filterWidth=2, filterHeight=2)
            x = pooled
        if channels > c:
            padded = self.tensor((*self.shape(x)[:3], channels))
            self.op("PAD", [x, self.tensor(data=np.array([[0, 0]] * 3 + [[0, channels - c]], "int32"))], [padded], "PadOptions")
            x = padded
        total = self.tensor(self.shape(y))
        self.op("ADD", [y, x], [total], "AddOptions", fusedActivationFunction=0 if prelu else 1)
        return self.prelu(total) if prelu else total

    def upsampled(self, x):
        b, h, w, c = self.shape(x)
        y = self.tensor((b, 2 * h, 2 * w, c))
        self.op("RESIZE_BILINEAR", [x, self.tensor(data=I32(2 * h, 2 * w))], [y], "ResizeBilinearOptions", version=3, halfPixelCenters=True)
        return y

    def flat(self, x, width):
        b, h, w, c = self.shape(x)
        y = self.tensor((b, h * w * c // width, width))
        self.op("RESHAPE", [x, self.tensor(data=I32(b, h * w * c // width, width))], [y], "ReshapeOptions", newShape=[b, h * w * c // width, width])
        return y


def landmarks(sparse, prelu):
    f = Landmarks()
    x = f.tensor((1, 32, 32, 3), name="image")
    a = f.conv(x, 8, 5, 2, activation=0 if prelu else 1)
    a = f.prelu(a) if prelu else a
    a = f.block(a, 12, prelu=prelu, sparse=sparse)
    b = f.block(f.block(a, 16, 2, prelu=prelu, sparse=sparse), 16, prelu=prelu)
    c = f.block(b, 16, 2, prelu=prelu, sparse=sparse)
    up, total = f.upsampled(c), f.tensor(f.shape(b))
    f.op("ADD", [up, b], [total], "AddOptions")
    boxes, scores = f.tensor((1, 80, 16), name="regressors"), f.tensor((1, 80, 1), name="classificators")
    for out, width in ((boxes, 16), (scores, 1)):
        parts = [f.flat(f.conv(total, width, 3), width), f.flat(f.conv(c, width, 3), width)]
        f.op("CONCATENATION", parts, [out], "ConcatenationOptions", axis=1)
    present, logit = f.tensor((1, 1, 1, 4)), f.tensor((1, 1, 1, 4), name="presence")
    f.op("CONV_2D", [c, f.half(rand(4, 4, 4, 16) * 0.1, sparse), f.half(rand(4))], [present], "Conv2DOptions", padding=1, strideW=1, strideH=1)
    f.op("LOGISTIC", [present], [logit])
    return f.bytes([x], [boxes, scores, logit])


def wake_word(integers):
    """A frame of features each run; two convolutions along the time that variables remember."""
    f = File()
    q = dict(dtype="int8") if integers else {}
    scaled = lambda scale, zero: dict(scale=scale, zero=zero) if integers else {}
    weight = lambda *shape: f.tensor(data=bytes_of(*shape, lo=-127), scale=RNG.uniform(0.002, 0.01, shape[0])) if integers else f.tensor(data=rand(*shape) * 0.3)
    x = f.tensor((1, 1, 1, 8), name="frame", **q, **scaled(0.05, -3))
    f.op("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)
    at, sizes = x, [(8, 4, 12, (0.05, -3), (0.04, 5)), (12, 3, 6, (0.04, 5), (0.1, -7))]
    for k, (c, steps, channels, q_in, q_out) in enumerate(sizes):
        handle, old = f.tensor((), "resource"), f.tensor((1, steps - 1, 1, c), **q, **scaled(*q_in))
        whole, kept = f.tensor((1, steps, 1, c), **q, **scaled(*q_in)), f.tensor((1, steps - 1, 1, c), **q, **scaled(*q_in))
        y = f.tensor((1, 1, 1, channels), **q, **scaled(*q_out))
        f.op("VAR_HANDLE", [], [handle], "VarHandleOptions", container="", sharedName=f"stream_{k}")
        f.op("READ_VARIABLE", [handle], [old], "ReadVariableOptions")
        f.op("CONCATENATION", [old, at], [whole], "ConcatenationOptions", version=2 if integers else 1, axis=1)
        f.op("STRIDED_SLICE", [whole, f.tensor(data=I32(0, 1, 0, 0)), f.tensor(data=I32(1, steps, 1, c)), f.tensor(data=I32(1, 1, 1, 1))], [kept], "StridedSliceOptions", version=2 if integers else 1)
        f.op("ASSIGN_VARIABLE", [handle, kept], [], "AssignVariableOptions")
        w = weight(channels, steps, 1, c)
        scale = f.graph.tensors[w].quantization.scale * np.float32(q_in[0]) if integers else None
        bias = f.tensor(data=bytes_of(channels, lo=-900, hi=900, dtype="int32"), scale=scale) if integers else f.tensor(data=rand(channels))
        f.op("CONV_2D", [whole, w, bias], [y], "Conv2DOptions", version=3 if integers else 1, padding=1, strideW=1, strideH=1, fusedActivationFunction=1)
        at = y
    f.subgraph("init")
    for k, (c, steps, _, q_in, _) in enumerate(sizes):
        handle = f.tensor((), "resource")
        f.op("VAR_HANDLE", [], [handle], "VarHandleOptions", container="", sharedName=f"stream_{k}")
        zeros = np.full((1, steps - 1, 1, c), q_in[1] if integers else 0, "int8" if integers else "float32")
        f.op("ASSIGN_VARIABLE", [handle, f.tensor(data=zeros, **scaled(*q_in))], [], "AssignVariableOptions")
    return f.bytes([x], [at])
