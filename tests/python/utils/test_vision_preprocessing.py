"""Transforms in front of a model, in its files."""

import pathlib

import numpy as np
import pytest
from judges import judge

import miniten as mt
from miniten import nn
from miniten.edge import export_c, export_miniten, export_onnx, export_tflite, load_miniten, quantize_model, with_preprocessing
from miniten.utils.vision import CenterCrop, Compose, Grayscale, Normalize, Pad, RandomCrop, Resize, ToTensor

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
EXACT = {
    "normalise": [ToTensor(), Normalize(MEAN, STD)],
    "crop": [CenterCrop((41, 50)), ToTensor(), Normalize(MEAN, STD)],
    "pad": [Pad((1, 2, 3, 4), fill=9), ToTensor(), Pad(1, fill=0.5), Normalize([0.5], [0.2])],
    "nearest": [Resize((24, 32), "nearest"), ToTensor()],
    "resized floats": [ToTensor(), Normalize(MEAN, STD), Resize(20)],
    "bytes normalised": [Normalize(MEAN, STD, layout="hwc")],
}
ROUNDED = {  # a value between two bytes may go to either
    "bilinear": [Resize((24, 32), antialias=False), CenterCrop(20), ToTensor(), Normalize(MEAN, STD)],
    "antialiased": [Resize(24), CenterCrop(20), ToTensor(), Normalize(MEAN, STD)],
    "grown": [Resize((90, 97)), ToTensor()],
    "bicubic": [Resize((24, 32), "bicubic"), ToTensor()],
    "area": [Resize((25, 32), "area"), ToTensor()],
    "Pillow": [Resize((24, 32), like="pil"), ToTensor(), Normalize([0.5], [0.2])],
    "OpenCV": [Resize((24, 32), like="cv2"), ToTensor()],
    "grey": [Grayscale(3), ToTensor(), Normalize(MEAN, STD)],
}


def net():
    mt.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)).eval()


def pictures(n=2, dtype=np.uint8, seed=0):
    draw = np.random.default_rng(seed)
    return draw.random((n, 60, 80, 3), dtype=dtype) if dtype == np.float32 else draw.integers(0, np.iinfo(dtype).max + 1, (n, 60, 80, 3), dtype=dtype)


def by_hand(model, steps, x):
    out = []
    for image in x:
        y = np.asarray(Compose(steps)(image))
        out.append(y if y.shape[0] == 3 else y.transpose(2, 0, 1))
    return model(np.ascontiguousarray(np.stack(out))).numpy()


def run_onnx(path, x):
    session = judge("onnxruntime").InferenceSession(path)
    (port,) = session.get_inputs()
    assert port.shape == list(x.shape) and port.type == {"uint8": "tensor(uint8)", "uint16": "tensor(uint16)", "float32": "tensor(float)"}[str(x.dtype)]
    return session.run(None, {port.name: x})[0]


def run_tflite(path, x):
    interpreter = judge("ai_edge_litert.interpreter").Interpreter(path)
    interpreter.allocate_tensors()
    (port,) = interpreter.get_input_details()
    assert tuple(port["shape"]) == x.shape and port["dtype"] == x.dtype
    interpreter.set_tensor(port["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("name", [*EXACT, *ROUNDED])
def test_raw_pictures_in_logits_out(name, tmp_path):
    steps = EXACT.get(name) or ROUNDED[name]
    model, x = net(), pictures()
    want = by_hand(model, steps, x)
    whole = with_preprocessing(model, steps, x.shape)
    got = whole(x).numpy()
    limit = 1e-5 if name in EXACT else 2e-3      # 1 of 255 in some pixels, which the net averages
    assert np.abs(got - want).max() <= limit
    onnx, tflite = str(tmp_path / "m.onnx"), str(tmp_path / "m.tflite")
    export_onnx(whole, output_path=onnx)
    export_tflite(whole, output_path=tflite)
    assert np.abs(run_onnx(onnx, x) - got).max() <= 1e-5
    assert np.abs(run_tflite(tflite, x) - got).max() <= (1e-5 if name in EXACT else limit)


@pytest.mark.parametrize("name", ROUNDED)
def test_pixels_are_within_one_of_255(name):
    steps = [t for t in ROUNDED[name] if not isinstance(t, Normalize)]
    x = pictures(1)
    whole = with_preprocessing(nn.Identity(), steps, x.shape)
    got, want = whole(x).numpy()[0] * 255, np.asarray(Compose(steps)(x[0])) * 255
    assert np.abs(got - want).max() < 1.001 and (np.abs(got - want) > 0.5).mean() < 0.05   # halves go to the even byte in a graph
    assert np.abs(got - np.rint(got)).max() < 1e-4


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_dtypes(dtype):
    model, x = net(), pictures(2, dtype)
    steps = [CenterCrop(40), ToTensor(), Normalize(MEAN, STD)]
    assert np.abs(with_preprocessing(model, steps, x.shape, np.dtype(dtype).name)(x).numpy() - by_hand(model, steps, x)).max() <= 1e-5


def test_quantised_models_keep_their_integers(tmp_path):
    steps = [CenterCrop((24, 32)), ToTensor(), Normalize(MEAN, STD)]
    calibration = np.stack([np.asarray(Compose(steps)(i)) for i in pictures(8, seed=1)])
    model = quantize_model(net(), calibration_data=calibration)
    x = pictures(1, seed=2)
    whole = with_preprocessing(model, Compose(steps), (60, 80, 3))
    want = by_hand(model, steps, x)
    step = np.ptp(want) / 100
    assert np.abs(whole(x).numpy() - want).max() <= step
    report = export_tflite(whole, output_path=str(tmp_path / "q.tflite"))
    assert report.quantization == "int8" and "TRANSPOSE" not in report.operators
    assert np.abs(run_tflite(str(tmp_path / "q.tflite"), x) - want).max() <= step


def test_native_files_and_c(tmp_path):
    steps = [Resize((24, 32), antialias=False), ToTensor(), Normalize(MEAN, STD)]
    x = pictures(1)
    whole = with_preprocessing(net(), steps, (60, 80, 3))
    export_miniten(whole, str(tmp_path / "m.npz"))
    assert np.array_equal(load_miniten(str(tmp_path / "m.npz"))(x).numpy(), whole(x).numpy())
    export_c(whole, output_dir=str(tmp_path), verify="host")
    assert "uint8_t" in pathlib.Path(tmp_path, "model.h").read_text()


def test_the_model_is_not_changed():
    model = net()
    whole = with_preprocessing(model, [ToTensor()], (60, 80, 3))
    before = whole(pictures(1)).numpy()
    with mt.no_grad():
        for p in model.parameters():
            p[...] = 0
    assert np.array_equal(whole(pictures(1)).numpy(), before)


def test_errors():
    model = net()
    for steps, error, text in [
        ([RandomCrop(20), ToTensor()], NotImplementedError, "draw nothing.*RandomCrop"),
        ([Resize(30)], ValueError, "ToTensor or Normalize"),
        ([Pad(2, padding_mode="edge"), ToTensor()], NotImplementedError, "Pad with one constant"),
        ([CenterCrop(100), ToTensor()], ValueError, "60 x 80"),
        ([lambda x: x], TypeError, "transforms of miniten.utils.vision"),
        ([Compose([lambda x: x]), ToTensor()], NotImplementedError, "draw nothing"),
    ]:
        with pytest.raises(error, match=text):
            with_preprocessing(model, steps, (60, 80, 3))
    with pytest.raises(ValueError, match="input_shape of"):
        with_preprocessing(model, [ToTensor()], (60, 80))
    with pytest.raises(TypeError, match="uint8, uint16 or float32"):
        with_preprocessing(model, [ToTensor()], (60, 80, 3), "int64")
    with pytest.raises(ValueError, match="3"):
        with_preprocessing(model, [ToTensor()], (60, 80, 4))
