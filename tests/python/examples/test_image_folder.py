"""The example of picture folders: it learns from files and writes nets that take raw pictures."""

import sys
from pathlib import Path

import numpy as np
from judges import judge

from miniten.utils.vision import load_image, save_image

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "python"))

import image_folder  # noqa: E402


def test_stripes_and_checks(tmp_path):
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:48, :48]
    for i in range(40):
        size, phase = int(draw.integers(3, 9)), draw.integers(0, 9, 2)
        stripes, checks = (x + phase[0]) // size % 2, ((x + phase[0]) // size + (y + phase[1]) // size) % 2
        for name, pattern in (("stripes", stripes), ("checks", checks)):
            (tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
            colours = draw.integers(0, 100, 3), draw.integers(150, 256, 3)
            save_image(np.where(pattern[..., None] > 0, *colours).astype(np.uint8), tmp_path / "pictures" / name / f"{i}.{'png' if i % 2 else 'jpg'}")
    assert image_folder.run(tmp_path / "pictures", tmp_path / "out", epochs=15, workers=2, verbose=False) >= 0.9
    image = load_image(tmp_path / "pictures" / "stripes" / "1.png")[None]
    session = judge("onnxruntime").InferenceSession(str(tmp_path / "out" / "whole.onnx"))
    logits = session.run(None, {"image": image})[0]
    interpreter = judge("ai_edge_litert.interpreter").Interpreter(str(tmp_path / "out" / "whole.tflite"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    assert logits.argmax() == 1 and np.abs(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]) - logits).max() < 1e-4
