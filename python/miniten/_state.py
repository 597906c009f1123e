"""What pickled tensors name to be made again."""

from miniten import _core


def rebuild_tensor(kind, dtype, shape, values, requires_grad):
    return _core._rebuild_tensor(kind, dtype, shape, values, requires_grad)
