"""A .tflite file in LiteRT, fed and read as the model's own (N, C, H, W)."""

import numpy as np
from judges import judge

NAMES = {3: "NCL", 4: "NCHW", 5: "NCDHW"}


def order_of(axes, rank):
    return [NAMES[rank].index(c) for c in axes] if axes else list(range(rank))


def to_file(x, port):
    return np.ascontiguousarray(np.transpose(x, order_of(port.axes, np.ndim(x))))


def from_file(y, port):
    return np.transpose(y, np.argsort(order_of(port.axes, np.ndim(y)))) if np.ndim(y) else y


class LiteRT:
    """reference=True: its reference kernels, else XNNPACK."""

    def __init__(self, path, report, reference=True):
        runtime = judge("ai_edge_litert.interpreter")
        resolver = runtime.OpResolverType.BUILTIN_REF if reference else runtime.OpResolverType.BUILTIN
        self.run = runtime.Interpreter(str(path), experimental_op_resolver_type=resolver, num_threads=1)
        self.run.allocate_tensors()
        self.report = report

    def integers(self, *inputs):
        """As the file has them."""
        self.run.reset_all_variables()
        self.fed = []
        for d, port, x in zip(self.run.get_input_details(), self.report.inputs, inputs, strict=True):
            x = to_file(np.asarray(x), port)
            if d["quantization"][0] and x.dtype.kind == "f":
                scale, zero = d["quantization"]
                limits = np.iinfo(d["dtype"])
                x = np.clip(np.round(x / np.float32(scale)) + zero, limits.min, limits.max)
            self.fed.append(x.astype(d["dtype"]))
            self.run.set_tensor(d["index"], self.fed[-1])
        self.run.invoke()
        return [self.run.get_tensor(d["index"]) for d in self.run.get_output_details()]

    def __call__(self, *inputs):
        out = []
        for d, port, y in zip(self.run.get_output_details(), self.report.outputs, self.integers(*inputs), strict=True):
            if d["quantization"][0] and y.dtype.kind in "iu":
                scale, zero = d["quantization"]
                y = (y.astype("float32") - zero) * np.float32(scale)
            out.append(from_file(y, port))
        return out
