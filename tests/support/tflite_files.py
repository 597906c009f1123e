"""Small .tflite files, operator by operator, and LiteRT's answers to them. Needs ai-edge-litert, the judge."""

import numpy as np
from judges import judge

schema = judge("ai_edge_litert.schema_py_generated")
flatbuffers = judge("flatbuffers")
interpreter = judge("ai_edge_litert.interpreter")

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9, "float64": 10, "uint32": 15, "resource": 13}


class File:
    """A model under construction: tensors by index, operators in order; subgraph() starts the next graph."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "test"
        self.model.operatorCodes, self.model.subgraphs, self.model.signatureDefs = [], [], []
        self.model.buffers = [schema.BufferT()]
        self.subgraph("main")

    def subgraph(self, name):
        g = schema.SubGraphT()
        g.name, g.tensors, g.operators, g.inputs, g.outputs = name, [], [], [], []
        self.model.subgraphs.append(g)
        self.graph = g
        return len(self.model.subgraphs) - 1

    def tensor(self, shape=(), dtype="float32", data=None, scale=None, zero=0, axis=0, variable=False, name=None, open_batch=False):
        t = schema.TensorT()
        if data is not None:
            data = np.asarray(data)
            shape, dtype = data.shape, data.dtype.name
            b = schema.BufferT()
            b.data = np.frombuffer(data.tobytes(), np.uint8)
            self.model.buffers.append(b)
            t.buffer = len(self.model.buffers) - 1
        t.shape, t.type = list(shape), TYPES[dtype]
        if open_batch:
            t.shapeSignature = [-1, *shape[1:]]
        t.name = name or f"t{len(self.graph.tensors)}"
        t.isVariable = variable
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, "float32"))
            q.zeroPoint = np.broadcast_to(np.asarray(zero, "int64"), q.scale.shape)
            q.quantizedDimension = axis
            t.quantization = q
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def op(self, name, inputs, outputs, options=None, version=1, custom=None, custom_options=None, **fields):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version, code.customCode = version, custom
        self.model.operatorCodes.append(code)
        o = schema.OperatorT()
        o.opcodeIndex = len(self.model.operatorCodes) - 1
        o.inputs, o.outputs = list(inputs), list(outputs)
        if custom_options is not None:
            o.customOptions = np.frombuffer(custom_options, np.uint8)
        if options:
            table = getattr(schema, options + "T")()
            for key, value in fields.items():
                assert hasattr(table, key), key
                setattr(table, key, value)
            o.builtinOptionsType, o.builtinOptions = getattr(schema.BuiltinOptions, options), table
        self.graph.operators.append(o)

    def signature(self, key, inputs, outputs, subgraph=0):
        s = schema.SignatureDefT()
        s.signatureKey, s.subgraphIndex, s.inputs, s.outputs = key, subgraph, [], []
        for entries, names in ((s.inputs, inputs), (s.outputs, outputs)):
            for name, index in names.items():
                e = schema.TensorMapT()
                e.name, e.tensorIndex = name, index
                entries.append(e)
        self.model.signatureDefs.append(s)

    def bytes(self, inputs=None, outputs=None):
        if inputs is not None:
            self.model.subgraphs[0].inputs, self.model.subgraphs[0].outputs = list(inputs), list(outputs)
        b = flatbuffers.Builder(1024)
        b.Finish(self.model.Pack(b), b"TFL3")
        return bytes(b.Output())


def litert(data, *runs, reference=True, xnnpack=False):
    """The outputs of each run, with variables kept between them."""
    R = interpreter.OpResolverType
    kernels = R.AUTO if xnnpack else R.BUILTIN_REF if reference else R.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    it = interpreter.Interpreter(model_content=data, experimental_op_resolver_type=kernels, num_threads=1)
    results = []
    for i, arrays in enumerate(runs):
        if i == 0:
            for d, a in zip(it.get_input_details(), arrays, strict=True):
                it.resize_tensor_input(d["index"], a.shape)
            it.allocate_tensors()
        for d, a in zip(it.get_input_details(), arrays, strict=True):
            it.set_tensor(d["index"], a)
        it.invoke()
        results.append([it.get_tensor(d["index"]).copy() for d in it.get_output_details()])
    return results
