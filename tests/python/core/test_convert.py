"""Arrays in and out: dtypes, memory orders, sharing and lifetimes."""

import array
import copy
import gc
import pickle
import struct
import subprocess
import sys
import weakref

import numpy as np
import pytest

import miniten as mt

DTYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]


def sample(dtype, shape=(3, 4)):
    n = int(np.prod(shape))
    return (np.arange(n) % 2 == 0).reshape(shape) if dtype == "bool" else np.arange(n).reshape(shape).astype(dtype)


LAYOUTS = {
    "row-major": lambda a: a,
    "Fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "negative strides": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "every second": lambda a: np.repeat(np.repeat(a, 2, 0), 2, 1)[::2, ::2],
    "broadcast": lambda a: np.broadcast_to(a[0], a.shape),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, a.size, 1).reshape(a.shape),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "a field of records": lambda a: np.rec.fromarrays([np.zeros(a.shape, "u1"), a], names="pad,x")["x"],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_of_every_dtype_and_layout_are_copied_in(dtype, layout):
    a = LAYOUTS[layout](sample(dtype))
    t = mt.Tensor(a)
    assert t.dtype == dtype and t.shape == (3, 4)
    assert np.array_equal(t.numpy(), a)
    assert t.numpy().dtype == np.dtype(dtype)
    assert t.tolist() == a.tolist()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (1, 1, 1), (2, 3, 4, 5), (1, 2, 1, 2, 1, 2, 1, 2)])
def test_shapes(shape):
    a = np.asarray(np.random.rand(*shape), "float32")
    t = mt.tensor(a)
    assert t.shape == shape and t.ndim == len(shape) and t.numel() == a.size
    assert np.array_equal(t.numpy(), a) and t.numpy().shape == shape
    assert np.array_equal((t + 1).numpy(), a + 1)


def test_numbers_and_lists_become_float32_int64_or_bool():
    for data, dtype, shape in [
        (1, "int64", ()), (1.5, "float32", ()), (True, "bool", ()), ([1, 2], "int64", (2,)), ([1, 2.0], "float32", (2,)), ([True, False], "bool", (2,)),
        ([True, 2], "int64", (2,)), ([[1, 2], [3, 4]], "int64", (2, 2)), ([], "float32", (0,)), ([[], []], "float32", (2, 0)), (((1.0,),), "float32", (1, 1)),
        ([np.float64(1), 2], "float64", (2,)), (2**63, "uint64", ()),
    ]:
        t = mt.tensor(data)
        assert (t.dtype, t.shape) == (dtype, shape), data
    assert mt.tensor([np.ones(2, "int8"), np.zeros(2, "int8")]).tolist() == [[1, 1], [0, 0]]
    assert mt.tensor([mt.tensor([1.0]), mt.tensor([2.0])]).shape == (2, 1)
    assert mt.tensor([1, 2], dtype="int8").dtype == "int8"
    assert mt.tensor([[1.7, -1.7]], dtype=mt.int32).tolist() == [[1, -1]]


def test_nan_and_infinities_are_kept():
    a = np.array([np.nan, np.inf, -np.inf, -0.0], "float32")
    t = mt.tensor(a)
    assert np.array_equal(t.numpy(), a, equal_nan=True) and np.signbit(t.numpy()[3])
    assert np.isnan(mt.relu(t).numpy()[0])


@pytest.mark.parametrize(
    "data, error, words",
    [
        ("text", TypeError, "str"),
        (None, TypeError, "NoneType"),
        (b"abc", TypeError, "bytes"),
        ({}, TypeError, "dict"),
        (1j, TypeError, "complex"),
        ([1, "2"], TypeError, "str"),
        ([[1, 2], [3]], ValueError, "1 elements beside 2"),
        ([1, [2]], ValueError, "depth"),
        ([[1], 2], ValueError, "depth"),
        (np.array(["a"]), TypeError, "<U1"),
        (np.array([object()]), TypeError, "object"),
        (np.array([1j]), TypeError, "complex128"),
        (np.array(["2020"], "datetime64[Y]"), TypeError, "datetime64"),
        (np.zeros((1,) * 9), ValueError, "8 dimensions"),
        (2**64, ValueError, "64 bits"),
        (-(2**63) - 1, ValueError, "64 bits"),
        ([[[[[[[[[1]]]]]]]]], ValueError, "8 deep"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(data, error, words):
    with pytest.raises(error, match=r"^\[tensor\] expected") as caught:
        mt.tensor(data)
    assert words in str(caught.value)


def test_a_list_that_holds_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="deep"):
        mt.tensor(loop)


def test_numbers_that_do_not_fit_are_refused():
    for value, dtype in [(300, "int8"), (-1, "uint8"), (2**40, "int32"), (float("nan"), "int32"), (float("inf"), "int64")]:
        with pytest.raises(ValueError, match=dtype):
            mt.tensor(value, dtype=dtype)
    assert mt.tensor(2**64 - 1, dtype="uint64").item() == 2**64 - 1
    assert mt.tensor(-(2**63)).item() == -(2**63)
    with pytest.raises(ValueError, match="int8"):
        mt.tensor([1], dtype="int8") + 300


def test_buffers_of_the_standard_library():
    assert mt.tensor(array.array("d", [1, 2])).dtype == "float64"
    assert mt.tensor(memoryview(bytes(3))).tolist() == [0, 0, 0]
    assert mt.tensor(bytearray(b"\x01\x02")).dtype == "uint8"


def test_tensor_copies_and_from_numpy_shares():
    a = np.zeros(3, "float32")
    copied, shared = mt.Tensor(a), mt.from_numpy(a)
    a[:] = 7
    assert copied.tolist() == [0, 0, 0] and shared.tolist() == [7, 7, 7]
    shared[0] = 5
    assert a[0] == 5
    t = mt.tensor(shared)
    a[:] = 1
    assert t.tolist() == [5, 7, 7]


@pytest.mark.parametrize("layout", [k for k in LAYOUTS if k not in ("other byte order", "unaligned", "a field of records")])
def test_from_numpy_shares_every_layout(layout):
    a = LAYOUTS[layout](sample("float32"))
    t = mt.from_numpy(a)
    assert np.shares_memory(t.numpy(), a) and np.array_equal(t.numpy(), a)
    assert np.array_equal((t * 2).numpy(), a * 2)
    assert t.numpy().flags.writeable == a.flags.writeable


@pytest.mark.parametrize("layout", ["other byte order", "unaligned"])
def test_from_numpy_refuses_what_it_cannot_share(layout):
    with pytest.raises(ValueError, match="shared"):
        mt.from_numpy(LAYOUTS[layout](sample("float32")))


def test_read_only_arrays_stay_so():
    a = np.frombuffer(np.ones(3, "float32").tobytes(), "float32")
    t = mt.from_numpy(a)
    with pytest.raises(ValueError, match="read-only"):
        t[0] = 2
    with pytest.raises(ValueError):
        t.numpy()[0] = 2
    assert t.clone().numpy().flags.writeable


def test_numpy_shares_and_outlives_the_tensor():
    t = mt.zeros(4)
    a = t.numpy()
    a[1] = 3
    assert t.tolist() == [0, 3, 0, 0] and np.shares_memory(a, t.numpy())
    t.data = mt.ones(4)
    del t
    gc.collect()
    assert a.tolist() == [0, 3, 0, 0]


def test_an_array_outlives_what_was_shared_from():
    t = mt.from_numpy(np.arange(1000.0))
    gc.collect()
    assert t.sum().item() == 499500
    v = mt.arange(6, dtype="float32").reshape(2, 3).T
    a = v.numpy()
    del v
    gc.collect()
    assert a.tolist() == [[0, 3], [1, 4], [2, 5]] and a.strides == (4, 12)


def test_numpy_of_a_recorded_tensor_is_read_only():
    t = mt.ones(2, requires_grad=True)
    assert not t.numpy().flags.writeable and not (t * 2).numpy().flags.writeable
    assert t.detach().numpy().flags.writeable
    with pytest.raises((BufferError, TypeError)):
        struct.pack_into("f", t, 0, 1.0)


def test_array_protocols():
    t = mt.tensor([[1.0, 2.0]])
    assert np.asarray(t).tolist() == [[1, 2]] and np.shares_memory(np.asarray(t), t.numpy())
    assert np.array(t, dtype="int32").dtype == np.int32
    assert not np.shares_memory(np.array(t, copy=True), t.numpy())
    assert t.__array__("float64").dtype == np.float64
    with pytest.raises(ValueError):
        t.__array__("float64", copy=False)
    assert np.stack([t, t]).shape == (2, 1, 2)
    assert memoryview(t).format == "f"


def test_mixing_with_numpy_operands():
    a, t = np.arange(3.0), mt.tensor([1.0, 2.0, 3.0])
    for result in (a + t, t + a, np.float64(1) * t, t * np.float64(1), np.float32(2) / t, a[0] - t, a * t[0]):
        assert isinstance(result, mt.Tensor)
    assert (np.float64(2) * t).dtype == "float32" and (t * np.array(2.0)).dtype == "float32"
    assert (a + t).dtype == "float64"
    assert ((t > np.float32(1.5)) & (np.array([True, True, False]) == mt.tensor([True, True, True]))).tolist() == [False, True, False]
    assert (t == 2).tolist() == [False, True, False] and (t != a).tolist() == [True, True, True]
    assert (t == "a") is False and (t == None) is False and (t != None) is True  # noqa: E711
    for bad in ("a", None, {}, 1j, object()):
        with pytest.raises(TypeError):
            t + bad
        with pytest.raises(TypeError):
            bad * t


def test_bfloat16_and_int4():
    t = mt.tensor([1.0, 3.14159], dtype="bfloat16")
    assert t.dtype == mt.bfloat16 and t.tolist() == [1.0, 3.140625]
    with pytest.raises(TypeError, match="float"):
        t.numpy()
    assert t.float().numpy().dtype == np.float32
    ml_dtypes = pytest.importorskip("ml_dtypes")
    assert mt.tensor(np.array([1, 2], ml_dtypes.bfloat16)).dtype == "bfloat16"
    with pytest.raises((NotImplementedError, TypeError)):
        mt.tensor([1], dtype="int4")


def test_dtypes_compare_with_names_and_numpy():
    assert mt.float32 == "float32" and mt.float32 == np.dtype("float32") and np.dtype("float32") == mt.float32
    assert mt.float32 != mt.float64 and hash(mt.float32) == hash("float32")
    assert repr(mt.int8) == "miniten.int8" and str(mt.int8) == "int8" and mt.int16.itemsize == 2
    assert np.zeros(2, mt.uint8).dtype == np.uint8
    for same in ("float64", np.float64, np.dtype("float64"), mt.float64, "double"):
        assert mt.zeros(1, dtype=same).dtype == mt.float64
    assert mt.zeros(1, dtype=float).dtype == mt.float32 and mt.zeros(1, dtype=int).dtype == mt.int64 and mt.zeros(1, dtype=bool).dtype == mt.bool_
    for wrong in ("float31", 3, object, np.dtype("U1"), np.complex64):
        with pytest.raises(TypeError, match="dtype"):
            mt.zeros(1, dtype=wrong)
    assert pickle.loads(pickle.dumps(mt.float16)) is mt.float16


def test_pickle_and_deepcopy_of_leaves():
    for t in (mt.tensor([[1.0, 2.0]]), mt.tensor([1, 2], dtype="int8"), mt.Tensor([1.0], requires_grad=True), mt.Parameter([1.0, 2.0]), mt.zeros(0, 3), mt.tensor(1.5)):
        for other in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t), copy.copy(t)):
            assert type(other) is type(t) and other.dtype == t.dtype and other.shape == t.shape
            assert other.tolist() == t.tolist() and other.requires_grad == t.requires_grad
            assert other is not t and not np.shares_memory(other.detach().numpy(), t.detach().numpy())
    t = mt.Parameter([1.0])
    (t * 2).sum().backward()
    a, b = copy.deepcopy([t, t])
    assert a is b and a.grad.tolist() == [2.0]
    with pytest.raises(ValueError, match="detach"):
        pickle.dumps(t * 2)
    with pytest.raises(ValueError, match="detach"):
        copy.deepcopy(t * 2)


def test_dlpack_with_numpy():
    a = np.arange(6.0).reshape(2, 3)
    assert np.shares_memory(mt.from_dlpack(a).numpy(), a)
    t = mt.tensor([[1, 2], [3, 4]]).T
    assert np.shares_memory(np.from_dlpack(t), t.numpy()) and np.from_dlpack(t).tolist() == [[1, 3], [2, 4]]
    assert t.__dlpack_device__() == (1, 0)
    with pytest.raises(ValueError, match="detach"):
        np.from_dlpack(mt.ones(1, requires_grad=True))


def test_dlpack_with_torch():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.int64, torch.uint8, torch.bool):
        x = torch.ones(2, 3).to(dtype).T
        t = mt.from_dlpack(x)
        assert t.dtype == str(dtype)[6:] and t.shape == (3, 2) and t.strides == (1, 3)
        back = torch.from_dlpack(t)
        assert back.dtype == dtype and back.data_ptr() == x.data_ptr()
    x = torch.zeros(3)
    t = mt.from_dlpack(x)
    del x
    gc.collect()
    t[0] = 4
    assert t.tolist() == [4, 0, 0]
    assert mt.tensor(torch.arange(3)).tolist() == [0, 1, 2]


def test_tensors_are_weakly_referable_and_freed():
    t = mt.zeros(3)
    ref = weakref.ref(t)
    t.grad = t
    del t
    gc.collect()
    assert ref() is None


def test_import_is_light():
    code = "import sys, miniten; assert 'numpy' not in sys.modules, 'numpy'; miniten.tensor([1.0]) + 1; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    clock = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    best = {m: min(float(subprocess.run([sys.executable, "-c", clock.format(m)], check=True, capture_output=True, text=True).stdout) for _ in range(5)) for m in ("miniten", "numpy")}
    assert best["miniten"] <= 0.5 * best["numpy"], best
