"""TFLite operators with their inputs, one a file: what the reader, and the writer after it, are tried on."""

import numpy as np
from tflite_files import File

RNG = np.random.default_rng(11)
I32 = lambda *v: np.array(v, "int32")


def rand(*shape, lo=-3, hi=3):
    return RNG.uniform(lo, hi, shape).astype("float32")


def single(name, inputs, out, options=None, version=1, q=None, dtype=None, **fields):
    """A file of one operator. inputs: arrays that are fed, or ("constant", array); out: shapes or (shape, dtype) of the outputs; q: (scale, zero) of what is fed, q_out of what comes out."""
    f = File()
    ids, fed, arrays = [], [], []
    q_in, q_out = q or (None, None)
    for x in inputs:
        if x is None:
            ids.append(-1)
        elif isinstance(x, tuple):
            ids.append(f.tensor(data=x[1], **(x[2] if len(x) > 2 else {})))
        else:
            quantized = q_in and x.dtype in (np.int8, np.uint8, np.int16)
            ids.append(f.tensor(x.shape, x.dtype.name, **(dict(scale=q_in[0], zero=q_in[1]) if quantized else {})))
            fed.append(ids[-1])
            arrays.append(x)
    outs = []
    for o in out:
        shape, t = o if isinstance(o[0], tuple) or o[0] == () else (o, dtype or "float32")
        outs.append(f.tensor(shape, t, **(dict(scale=q_out[0], zero=q_out[1]) if q_out and t in ("int8", "uint8", "int16") else {})))
    f.op(name, ids, outs, options, version, **fields)
    return f.bytes(fed, outs), arrays


NOT_IN_THE_REFERENCE = {"CEIL", "ROUND", "ELU", "BROADCAST_TO", "LOCAL_RESPONSE_NORMALIZATION"}


C = lambda a, **k: ("constant", np.asarray(a), k)
X4 = lambda: rand(2, 5, 6, 3)
FLOATS = {
    **{name: (name, [rand(2, 3, 4)], [(2, 3, 4)]) for name in ("ABS", "NEG", "EXP", "SIN", "COS", "SQUARE", "FLOOR", "CEIL", "ROUND", "SIGN", "LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "ELU", "HARD_SWISH")},
    **{name: (name, [rand(2, 3, lo=0.1)], [(2, 3)]) for name in ("LOG", "SQRT", "RSQRT")},
    **{name: (name, [rand(2, 3, 4), rand(3, 1, lo=0.3)], [(2, 3, 4)]) for name in ("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD")},
    **{name: (name, [rand(2, 3, 4), rand(4, lo=0.5)], [(2, 3, 4)], name.title() + "Options", 1, dict(fusedActivationFunction=1)) for name in ("ADD", "SUB", "MUL", "DIV")},
    "add_int32": ("ADD", [RNG.integers(-9, 9, (2, 3)).astype("int32"), RNG.integers(-9, 9, (2, 3)).astype("int32")], [((2, 3), "int32")], "AddOptions"),
    "mul_int32_relu6": ("MUL", [RNG.integers(-9, 9, (2, 3)).astype("int32"), RNG.integers(-9, 9, (3,)).astype("int32")], [((2, 3), "int32")], "MulOptions", 1, dict(fusedActivationFunction=3)),
    "add_relu6": ("ADD", [X4(), X4()], [(2, 5, 6, 3)], "AddOptions", 1, dict(fusedActivationFunction=3)),
    "POW": ("POW", [rand(2, 3, lo=0.1), rand(2, 3)], [(2, 3)]),
    "ATAN2": ("ATAN2", [rand(2, 3), rand(2, 3)], [(2, 3)]),
    "ADD_N": ("ADD_N", [rand(2, 3), rand(2, 3), rand(2, 3)], [(2, 3)], "AddNOptions"),
    "GELU": ("GELU", [rand(2, 3)], [(2, 3)], "GeluOptions", 1, dict(approximate=False)),
    "gelu_tanh": ("GELU", [rand(2, 3)], [(2, 3)], "GeluOptions", 1, dict(approximate=True)),
    "LEAKY_RELU": ("LEAKY_RELU", [rand(2, 3)], [(2, 3)], "LeakyReluOptions", 1, dict(alpha=0.2)),
    "PRELU": ("PRELU", [X4(), C(rand(1, 1, 3))], [(2, 5, 6, 3)]),
    "L2_NORMALIZATION": ("L2_NORMALIZATION", [rand(3, 5)], [(3, 5)], "L2NormOptions"),
    "LOCAL_RESPONSE_NORMALIZATION": ("LOCAL_RESPONSE_NORMALIZATION", [rand(1, 2, 2, 7)], [(1, 2, 2, 7)], "LocalResponseNormalizationOptions", 1, dict(radius=2, bias=1.0, alpha=0.3, beta=0.6)),
    "SOFTMAX": ("SOFTMAX", [rand(3, 7)], [(3, 7)], "SoftmaxOptions", 1, dict(beta=0.7)),
    "LOG_SOFTMAX": ("LOG_SOFTMAX", [rand(3, 7)], [(3, 7)]),
    **{name: (name, [rand(2, 3), rand(3)], [((2, 3), "bool")]) for name in ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL")},
    **{name: (name, [rand(2, 3) > 0, rand(2, 3) > 0], [((2, 3), "bool")]) for name in ("LOGICAL_AND", "LOGICAL_OR")},
    "LOGICAL_NOT": ("LOGICAL_NOT", [rand(2, 3) > 0], [((2, 3), "bool")]),
    "SELECT": ("SELECT", [rand(2, 3) > 0, rand(2, 3), rand(2, 3)], [(2, 3)]),
    "select_rows": ("SELECT", [rand(2) > 0, rand(2, 3), rand(2, 3)], [(2, 3)]),
    "SELECT_V2": ("SELECT_V2", [rand(2, 1) > 0, rand(2, 3), rand(3)], [(2, 3)]),
    **{name: (name, [X4(), C(I32(1, -2))], [(2, 3)], "ReducerOptions") for name in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")},
    "mean_kept": ("MEAN", [X4(), C(I32(2, 1))], [(2, 1, 1, 3)], "ReducerOptions", 1, dict(keepDims=True)),
    "sum_int32": ("SUM", [RNG.integers(-9, 9, (2, 3)).astype("int32"), C(I32(1))], [((2,), "int32")], "ReducerOptions"),
    "REDUCE_ANY": ("REDUCE_ANY", [rand(2, 3) > 2, C(I32(1))], [((2,), "bool")], "ReducerOptions"),
    "REDUCE_ALL": ("REDUCE_ALL", [rand(2, 3) > -2, C(I32(1))], [((2,), "bool")], "ReducerOptions"),
    "ARG_MAX": ("ARG_MAX", [rand(2, 7), C(I32(1))], [((2,), "int32")], "ArgMaxOptions", 1, dict(outputType=2)),
    "ARG_MIN": ("ARG_MIN", [rand(2, 7), C(I32(-1))], [((2,), "int64")], "ArgMinOptions", 1, dict(outputType=4)),
    "CUMSUM": ("CUMSUM", [rand(2, 7), C(I32(1))], [(2, 7)], "CumsumOptions", 1, dict(exclusive=True, reverse=True)),
    "TOPK_V2": ("TOPK_V2", [rand(2, 9), C(I32(3))], [(2, 3), ((2, 3), "int32")]),
    "BATCH_MATMUL": ("BATCH_MATMUL", [rand(2, 3, 4), rand(2, 5, 4)], [(2, 3, 5)], "BatchMatMulOptions", 1, dict(adjY=True)),
    "batch_matmul_x": ("BATCH_MATMUL", [rand(2, 4, 3), rand(2, 4, 5)], [(2, 3, 5)], "BatchMatMulOptions", 1, dict(adjX=True)),
    "cast_down": ("CAST", [rand(2, 3)], [((2, 3), "int32")], "CastOptions", 1, dict(inDataType=0, outDataType=2)),
    "cast_bool": ("CAST", [rand(2, 3) > 0], [(2, 3)], "CastOptions", 1, dict(inDataType=6, outDataType=0)),
    "FAKE_QUANT": ("FAKE_QUANT", [rand(4, 9)], [(4, 9)], "FakeQuantOptions", 1, dict(min=-2.0, max=2.5, numBits=8)),
    # layers
    "conv_same": ("CONV_2D", [rand(2, 7, 6, 3), C(rand(4, 3, 2, 3)), C(rand(4))], [(2, 4, 3, 4)], "Conv2DOptions", 1, dict(padding=0, strideW=2, strideH=2, fusedActivationFunction=1)),
    "conv_dilated": ("CONV_2D", [rand(1, 9, 9, 2), C(rand(4, 3, 3, 2)), C(rand(4))], [(1, 5, 5, 4)], "Conv2DOptions", 1, dict(padding=1, strideW=1, strideH=1, dilationWFactor=2, dilationHFactor=2)),
    "conv_groups": ("CONV_2D", [rand(1, 5, 5, 4), C(rand(6, 3, 3, 2)), C(rand(6))], [(1, 5, 5, 6)], "Conv2DOptions", 6, dict(padding=0, strideW=1, strideH=1)),
    "depthwise_multiplied": ("DEPTHWISE_CONV_2D", [rand(2, 6, 5, 3), C(rand(1, 3, 3, 6)), C(rand(6))], [(2, 3, 3, 6)], "DepthwiseConv2DOptions", 1, dict(padding=0, strideW=2, strideH=2, depthMultiplier=2, fusedActivationFunction=3)),
    "fully_connected_3d": ("FULLY_CONNECTED", [rand(2, 3, 4), C(rand(5, 4)), None], [(2, 3, 5)], "FullyConnectedOptions", 5, dict(keepNumDims=True, fusedActivationFunction=2)),
    "fully_connected_computed": ("FULLY_CONNECTED", [rand(3, 4), rand(5, 4), None], [(3, 5)], "FullyConnectedOptions"),
    "transpose_conv_same": ("TRANSPOSE_CONV", [C(I32(1, 8, 7, 3)), C(rand(3, 3, 3, 2)), rand(1, 4, 4, 2)], [(1, 8, 7, 3)], "TransposeConvOptions", 1, dict(padding=0, strideW=2, strideH=2)),
    "transpose_conv_bias": ("TRANSPOSE_CONV", [C(I32(1, 7, 7, 3)), C(rand(3, 3, 3, 2)), rand(1, 3, 3, 2), C(rand(3))], [(1, 7, 7, 3)], "TransposeConvOptions", 3, dict(padding=1, strideW=2, strideH=2)),
    "average_pool_same": ("AVERAGE_POOL_2D", [X4()], [(2, 3, 3, 3)], "Pool2DOptions", 1, dict(padding=0, strideW=2, strideH=2, filterWidth=3, filterHeight=3)),
    "max_pool_same": ("MAX_POOL_2D", [X4()], [(2, 3, 3, 3)], "Pool2DOptions", 1, dict(padding=0, strideW=2, strideH=2, filterWidth=3, filterHeight=3, fusedActivationFunction=1)),
    "l2_pool": ("L2_POOL_2D", [X4()], [(2, 2, 3, 3)], "Pool2DOptions", 1, dict(padding=1, strideW=2, strideH=2, filterWidth=2, filterHeight=2)),
    # movement
    "RESHAPE": ("RESHAPE", [rand(2, 6), C(I32(3, -1))], [(3, 4)], "ReshapeOptions"),
    "reshape_by_option": ("RESHAPE", [rand(2, 6)], [(3, 4)], "ReshapeOptions", 1, dict(newShape=[3, 4])),
    "SQUEEZE": ("SQUEEZE", [rand(1, 3, 1, 2)], [(3, 2)], "SqueezeOptions", 1, dict(squeezeDims=[])),
    "squeeze_one": ("SQUEEZE", [rand(1, 3, 1, 2)], [(1, 3, 2)], "SqueezeOptions", 1, dict(squeezeDims=[-2])),
    "EXPAND_DIMS": ("EXPAND_DIMS", [rand(3, 2), C(I32(-1))], [(3, 2, 1)]),
    "TRANSPOSE": ("TRANSPOSE", [rand(2, 3, 4), C(I32(2, 0, 1))], [(4, 2, 3)]),
    "CONCATENATION": ("CONCATENATION", [rand(2, 3), rand(2, 2)], [(2, 5)], "ConcatenationOptions", 1, dict(axis=-1)),
    "PACK": ("PACK", [rand(2, 3), rand(2, 3)], [(2, 2, 3)], "PackOptions", 1, dict(valuesCount=2, axis=1)),
    "UNPACK": ("UNPACK", [rand(2, 3)], [(2,), (2,), (2,)], "UnpackOptions", 1, dict(num=3, axis=-1)),
    "SPLIT": ("SPLIT", [C(I32(1)), rand(2, 6)], [(2, 2), (2, 2), (2, 2)], "SplitOptions", 1, dict(numSplits=3)),
    "SPLIT_V": ("SPLIT_V", [rand(2, 6), C(I32(1, -1, 2)), C(I32(1))], [(2, 1), (2, 3), (2, 2)], "SplitVOptions", 1, dict(numSplits=3)),
    "SLICE": ("SLICE", [rand(4, 5), C(I32(1, 2)), C(I32(-1, 2))], [(3, 2)]),
    "STRIDED_SLICE": ("STRIDED_SLICE", [rand(4, 5, 6), C(I32(1, 0, -2)), C(I32(3, 0, -7)), C(I32(1, 1, -2))], [(2, 6)[:1] + (3,)], "StridedSliceOptions", 1, dict(shrinkAxisMask=2)),
    "strided_slice_masks": ("STRIDED_SLICE", [rand(4, 5, 6), C(I32(2, 1, 3)), C(I32(9, 4, 9)), C(I32(1, 2, 1))], [(4, 2, 6)], "StridedSliceOptions", 1, dict(beginMask=5, endMask=5)),
    "strided_slice_new": ("STRIDED_SLICE", [rand(4, 5, 6), C(I32(0, 0, 1)), C(I32(0, 0, 4)), C(I32(1, 1, 1))], [(1, 4, 5, 3)], "StridedSliceOptions", 2, dict(newAxisMask=1, ellipsisMask=2)),
    "GATHER": ("GATHER", [rand(4, 5), I32(3, 0, 3)], [(4, 3)], "GatherOptions", 1, dict(axis=1)),
    "gather_batches": ("GATHER", [rand(2, 5, 3), I32(3, 0, 1, 2).reshape(2, 2)], [(2, 2, 3)], "GatherOptions", 1, dict(axis=1, batchDims=1)),
    "GATHER_ND": ("GATHER_ND", [rand(3, 4, 2), I32(0, 1, 2, 3).reshape(2, 2)], [(2, 2)]),
    "SCATTER_ND": ("SCATTER_ND", [I32(0, 2, 0).reshape(3, 1), rand(3, 2), C(I32(4, 2))], [(4, 2)]),
    "EMBEDDING_LOOKUP": ("EMBEDDING_LOOKUP", [I32(2, 0, 1, 2), C(rand(3, 5))], [(4, 5)]),
    "ONE_HOT": ("ONE_HOT", [I32(2, 0, -1, 3), C(I32(4).reshape(())), C(np.float32(5)), C(np.float32(-1))], [(4, 4)], "OneHotOptions", 1, dict(axis=-1)),
    "one_hot_front": ("ONE_HOT", [I32(2, 0, 1), C(I32(4).reshape(())), C(np.float32(5)), C(np.float32(-1))], [(4, 3)], "OneHotOptions", 1, dict(axis=0)),
    "PAD": ("PAD", [rand(2, 3), C(I32(1, 0, 2, 1).reshape(2, 2))], [(3, 6)]),
    "PADV2": ("PADV2", [rand(2, 3), C(I32(1, 0, 2, 1).reshape(2, 2)), C(np.float32(7))], [(3, 6)]),
    "MIRROR_PAD": ("MIRROR_PAD", [rand(3, 4), C(I32(1, 2, 3, 1).reshape(2, 2))], [(6, 8)], "MirrorPadOptions", 1, dict(mode=0)),
    "mirror_pad_symmetric": ("MIRROR_PAD", [rand(3, 4), C(I32(1, 2, 3, 1).reshape(2, 2))], [(6, 8)], "MirrorPadOptions", 1, dict(mode=1)),
    "TILE": ("TILE", [rand(2, 3), C(I32(2, 3))], [(4, 9)]),
    "BROADCAST_TO": ("BROADCAST_TO", [rand(3, 1), C(I32(2, 3, 4))], [(2, 3, 4)], None, 2),
    "REVERSE_V2": ("REVERSE_V2", [rand(3, 4), C(I32(1))], [(3, 4)]),
    "DYNAMIC_UPDATE_SLICE": ("DYNAMIC_UPDATE_SLICE", [rand(5, 4), rand(2, 3), C(I32(4, 1))], [(5, 4)]),
    "SHAPE": ("SHAPE", [rand(3, 4)], [((2,), "int32")], "ShapeOptions", 1, dict(outType=2)),
    "RANK": ("RANK", [rand(3, 4)], [((), "int32")]),
    "FILL": ("FILL", [C(I32(2, 3)), np.float32(4) * np.ones((), "float32")], [(2, 3)]),
    "ZEROS_LIKE": ("ZEROS_LIKE", [rand(2, 3)], [(2, 3)]),
    "DEPTH_TO_SPACE": ("DEPTH_TO_SPACE", [rand(1, 2, 3, 8)], [(1, 4, 6, 2)], "DepthToSpaceOptions", 1, dict(blockSize=2)),
    "SPACE_TO_DEPTH": ("SPACE_TO_DEPTH", [rand(1, 4, 6, 2)], [(1, 2, 3, 8)], "SpaceToDepthOptions", 1, dict(blockSize=2)),
    "SPACE_TO_BATCH_ND": ("SPACE_TO_BATCH_ND", [rand(1, 4, 5, 2), C(I32(2, 3)), C(I32(0, 0, 0, 1).reshape(2, 2))], [(6, 2, 2, 2)]),
    "BATCH_TO_SPACE_ND": ("BATCH_TO_SPACE_ND", [rand(6, 2, 2, 2), C(I32(2, 3)), C(I32(0, 0, 0, 1).reshape(2, 2))], [(1, 4, 5, 2)]),
    **{f"bilinear_{i}": ("RESIZE_BILINEAR", [rand(1, 4, 5, 2), C(I32(*to))], [(1, *to, 2)], "ResizeBilinearOptions", 3, dict(alignCorners=a, halfPixelCenters=h)) for i, (to, a, h) in enumerate([((7, 9), False, False), ((8, 10), False, True), ((7, 3), True, False), ((2, 2), False, True)])},
    **{f"nearest_{i}": ("RESIZE_NEAREST_NEIGHBOR", [rand(1, 4, 5, 2), C(I32(*to))], [(1, *to, 2)], "ResizeNearestNeighborOptions", 3, dict(alignCorners=a, halfPixelCenters=h)) for i, (to, a, h) in enumerate([((7, 9), False, False), ((8, 10), False, True), ((7, 3), True, False)])},
}


def ints(*shape, dtype="int8", lo=None, hi=None):
    i = np.iinfo(dtype)
    return RNG.integers(i.min if lo is None else lo, i.max + 1 if hi is None else hi, shape).astype(dtype)


W = lambda *shape: ints(*shape, lo=-127)
IN, OUT = (0.03, -5), (0.06, 11)
per = lambda n: RNG.uniform(0.003, 0.01, n).astype("float32")
QUANTISED = {
    "conv": ("CONV_2D", [ints(1, 6, 6, 3), C(W(4, 3, 3, 3), scale=(s := per(4))), C(ints(4, dtype="int32", lo=-999, hi=999), scale=s * 0.03)], [((1, 6, 6, 4), "int8")], "Conv2DOptions", 3, dict(padding=0, strideW=1, strideH=1, fusedActivationFunction=1)),
    "conv_uint8": ("CONV_2D", [ints(1, 6, 6, 3, dtype="uint8"), C(ints(4, 3, 3, 3, dtype="uint8"), scale=0.007, zero=121), C(ints(4, dtype="int32", lo=-999, hi=999), scale=0.007 * 0.03)], [((1, 6, 6, 4), "uint8")], "Conv2DOptions", 1, dict(padding=0, strideW=1, strideH=1)),
    "depthwise": ("DEPTHWISE_CONV_2D", [ints(1, 6, 6, 4), C(W(1, 3, 3, 4), scale=(s := per(4)), axis=3), C(ints(4, dtype="int32", lo=-999, hi=999), scale=s * 0.03)], [((1, 3, 3, 4), "int8")], "DepthwiseConv2DOptions", 3, dict(padding=0, strideW=2, strideH=2, depthMultiplier=1)),
    "fully_connected": ("FULLY_CONNECTED", [ints(3, 8), C(W(5, 8), scale=0.006), C(ints(5, dtype="int32", lo=-999, hi=999), scale=0.03 * 0.006)], [((3, 5), "int8")], "FullyConnectedOptions", 4),
    "transpose_conv": ("TRANSPOSE_CONV", [C(I32(1, 8, 8, 3)), C(W(3, 3, 3, 2), scale=per(3)), ints(1, 4, 4, 2)], [((1, 8, 8, 3), "int8")], "TransposeConvOptions", 2, dict(padding=0, strideW=2, strideH=2)),
    **{name: (name, [ints(2, 5, 4), ints(2, 5, 4)], [((2, 5, 4), "int8")], name.title() + "Options", 2) for name in ("ADD", "SUB", "MUL")},
    "add_uint8": ("ADD", [ints(2, 5, 4, dtype="uint8"), ints(4, dtype="uint8")], [((2, 5, 4), "uint8")], "AddOptions", 1),
    **{name: (name, [ints(2, 9)], [((2, 9), "int8")], None, 2) for name in ("RELU", "RELU6")},
    "HARD_SWISH": ("HARD_SWISH", [ints(2, 9)], [((2, 9), "int8")]),
    "LEAKY_RELU": ("LEAKY_RELU", [ints(2, 9)], [((2, 9), "int8")], "LeakyReluOptions", 2, dict(alpha=0.2)),
    "PRELU": ("PRELU", [ints(1, 3, 3, 4), C(ints(1, 1, 4), scale=0.02)], [((1, 3, 3, 4), "int8")], None, 1),
    "MEAN": ("MEAN", [ints(1, 5, 5, 4), C(I32(1, 2))], [((1, 4), "int8")], "ReducerOptions", 2),
    "SUM": ("SUM", [ints(1, 3, 4), C(I32(1))], [((1, 4), "int8")], "ReducerOptions", 2),
    "SQUARED_DIFFERENCE": ("SQUARED_DIFFERENCE", [ints(2, 9), ints(2, 9)], [((2, 9), "int8")], None, 2),
    "BATCH_MATMUL": ("BATCH_MATMUL", [ints(2, 3, 4), ints(2, 4, 5)], [((2, 3, 5), "int8")], "BatchMatMulOptions", 2),
    "QUANTIZE": ("QUANTIZE", [ints(3, 50)], [((3, 50), "int8")], "QuantizeOptions", 2),
    "quantize_floats": ("QUANTIZE", [rand(3, 50)], [((3, 50), "int8")], "QuantizeOptions", 1),
    "quantize_int16": ("QUANTIZE", [rand(3, 50)], [((3, 50), "int16")], "QuantizeOptions", 2),
    "DEQUANTIZE": ("DEQUANTIZE", [ints(3, 50)], [(3, 50)], None, 2),
    "dequantize_uint8": ("DEQUANTIZE", [ints(3, 50, dtype="uint8")], [(3, 50)], None, 1),
}
SAME = {  # one scale on both sides: values move
    "AVERAGE_POOL_2D": ("AVERAGE_POOL_2D", [ints(1, 6, 6, 3)], [((1, 3, 3, 3), "int8")], "Pool2DOptions", 2, dict(padding=0, strideW=2, strideH=2, filterWidth=3, filterHeight=3)),
    "average_of_all": ("AVERAGE_POOL_2D", [ints(1, 6, 5, 3)], [((1, 1, 1, 3), "int8")], "Pool2DOptions", 2, dict(padding=1, strideW=5, strideH=6, filterWidth=5, filterHeight=6)),
    "MAX_POOL_2D": ("MAX_POOL_2D", [ints(1, 6, 6, 3)], [((1, 3, 3, 3), "int8")], "Pool2DOptions", 2, dict(padding=0, strideW=2, strideH=2, filterWidth=3, filterHeight=3, fusedActivationFunction=1)),
    "PAD": ("PAD", [ints(2, 3), C(I32(1, 0, 2, 1).reshape(2, 2))], [((3, 6), "int8")], None, 2),
    "CONCATENATION": ("CONCATENATION", [ints(2, 3), ints(2, 4)], [((2, 7), "int8")], "ConcatenationOptions", 2, dict(axis=1)),
    "TRANSPOSE": ("TRANSPOSE", [ints(2, 3, 4), C(I32(2, 0, 1))], [((4, 2, 3), "int8")], None, 2),
    "RESHAPE": ("RESHAPE", [ints(2, 6), C(I32(3, 4))], [((3, 4), "int8")], "ReshapeOptions"),
    "RESIZE_BILINEAR": ("RESIZE_BILINEAR", [ints(1, 4, 5, 2), C(I32(7, 9))], [((1, 7, 9, 2), "int8")], "ResizeBilinearOptions", 3, dict(halfPixelCenters=True)),
    "RESIZE_NEAREST_NEIGHBOR": ("RESIZE_NEAREST_NEIGHBOR", [ints(1, 4, 5, 2), C(I32(7, 9))], [((1, 7, 9, 2), "int8")], "ResizeNearestNeighborOptions", 3),
    "MAXIMUM": ("MAXIMUM", [ints(2, 9), ints(2, 9)], [((2, 9), "int8")], None, 2),
    "SPLIT": ("SPLIT", [C(I32(1)), ints(2, 6)], [((2, 3), "int8"), ((2, 3), "int8")], "SplitOptions", 2, dict(numSplits=2)),
    "STRIDED_SLICE": ("STRIDED_SLICE", [ints(4, 5), C(I32(0, 1)), C(I32(4, 5)), C(I32(2, 2))], [((2, 2), "int8")], "StridedSliceOptions", 2),
    "SPACE_TO_BATCH_ND": ("SPACE_TO_BATCH_ND", [ints(1, 4, 5, 2), C(I32(2, 3)), C(I32(0, 0, 0, 1).reshape(2, 2))], [((6, 2, 2, 2), "int8")], None, 2),
}
FIXED = {  # operators whose output scale the format prescribes
    "SOFTMAX": (("SOFTMAX", [ints(3, 9)], [((3, 9), "int8")], "SoftmaxOptions", 2, dict(beta=1.0)), (0.1, 3), (1 / 256, -128)),
    "LOGISTIC": (("LOGISTIC", [ints(3, 9)], [((3, 9), "int8")], None, 2), (0.05, 3), (1 / 256, -128)),
    "TANH": (("TANH", [ints(3, 9)], [((3, 9), "int8")], None, 2), (0.03, 3), (1 / 128, 0)),
    "L2_NORMALIZATION": (("L2_NORMALIZATION", [ints(3, 9)], [((3, 9), "int8")], "L2NormOptions", 2), (0.03, 3), (1 / 128, 0)),
    "tanh_int16": (("TANH", [ints(3, 99, dtype="int16")], [((3, 99), "int16")], None, 3), (1 / 4096, 0), (1 / 32768, 0)),
    "conv_int16x8": (("CONV_2D", [ints(1, 6, 6, 3, dtype="int16"), C(W(4, 3, 3, 3), scale=(s := per(4))), C(ints(4, dtype="int64", lo=-9999, hi=9999), scale=s * np.float32(0.0002))],
                      [((1, 6, 6, 4), "int16")], "Conv2DOptions", 4, dict(padding=0, strideW=1, strideH=1)), (0.0002, 0), (0.0003, 0)),
    "fully_connected_int16x8": (("FULLY_CONNECTED", [ints(3, 8, dtype="int16"), C(W(5, 8), scale=0.006), None], [((3, 5), "int16")], "FullyConnectedOptions", 7), (0.0002, 0), (0.0003, 0)),
    "add_int16": (("ADD", [ints(3, 8, dtype="int16"), ints(3, 8, dtype="int16")], [((3, 8), "int16")], "AddOptions", 2, dict(potScaleInt16=False)), (0.0002, 0), (0.0003, 0)),
}
