"""The native .npz: all that goes into it comes back, NumPy alone reads it, older files load for ever, newer ones say what to do."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import miniten as mt
from miniten import edge, nn, optim
from miniten.edge import export_miniten, load_miniten, with_preprocessing
from miniten.utils import vision

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "native"
LABELS = ["cat", "dog", "Haus ß", "no, 'none'"]


def trained():
    mt.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    trainer = mt.Trainer(net, optimizer, nn.CrossEntropyLoss(), metrics=["accuracy"])
    r = np.random.default_rng(0)
    history = trainer.fit((r.normal(size=(32, 3, 8, 8)).astype("float32"), np.arange(32) % 4), epochs=3, verbose=False)
    return net.eval(), optimizer, history


def test_labels_history_preprocessing_masks_and_moments_come_back(tmp_path):
    net, optimizer, history = trained()
    raw = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 3)).astype("uint8")
    for name, model in [("float", net), ("pruned", edge.prune_model(net, 0.5)), ("int8", edge.quantize_model(net, calibration_data=np.ones((4, 3, 8, 8), "float32"))),
                        ("pictures", with_preprocessing(net, [vision.ToTensor(), vision.Normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.3))], (8, 8, 3)))]:
        x = raw if name == "pictures" else raw.transpose(0, 3, 1, 2).astype("float32") / 255
        want = np.array(model(x))
        export_miniten(model, tmp_path / "m.npz", input_shape=x.shape, input_dtypes=str(x.dtype), labels=LABELS, history=history, metadata={"author": "nobody"})
        back = load_miniten(tmp_path / "m.npz")
        np.testing.assert_allclose(np.array(back(x)), want, rtol=1e-5, atol=1e-6)
        assert back.labels == LABELS and back.metadata["author"] == "nobody"
        assert back.history == {"epoch": history.epoch, **history.history} and len(back.history["loss"]) == 3
        again = load_miniten((lambda p: (export_miniten(back, p), p)[1])(tmp_path / "again.npz"))  # and go on from there
        assert again.labels == LABELS and again.history == back.history
    pruned = edge.prune_model(net, 0.5)
    export_miniten(pruned, tmp_path / "p.npz")
    back = load_miniten(tmp_path / "p.npz")
    assert back.masks.keys() == pruned.masks.keys() and all(np.array_equal(np.array(back.masks[k]), np.array(m)) for k, m in pruned.masks.items())
    assert back.actual_sparsity() == pruned.actual_sparsity()
    plain = load_miniten((lambda p: (export_miniten(net, p, input_shape=(1, 3, 8, 8)), p)[1])(tmp_path / "plain.npz"))
    assert plain.labels is None and plain.history is None


def test_notes_of_wrong_kinds_are_refused(tmp_path):
    net, _, _ = trained()
    with pytest.raises(TypeError, match="metadata"):
        export_miniten(net, tmp_path / "m.npz", metadata={"a": 3})
    assert not list(tmp_path.iterdir())


NUMPY_ALONE = """
import json, sys
import numpy as np
with np.load("m.npz", allow_pickle=False) as f:
    manifest = json.loads(f["manifest.json"])
    graph = manifest["graph"]
    arrays = {v["name"]: f[v["array"]] for v in graph["values"] if "array" in v and v.get("name")}
    masks = {v["name"]: np.unpackbits(f[v["mask"]], count=int(np.prod(v["shape"]))).reshape(v["shape"]) for v in graph["values"] if isinstance(v.get("mask"), str)}
    moments = {n: f[n] for n in f.files if n.startswith("optimizer.")}
assert not any(m.startswith("miniten") for m in sys.modules)
print(json.dumps({"format": manifest["format"], "version": manifest["version"], "ops": [n["op"] for n in graph["nodes"]], "labels": json.loads(graph["metadata"]["labels"]),
                  "epochs": json.loads(graph["metadata"]["history"])["epoch"], "sums": {n: float(a.astype("float64").sum()) for n, a in arrays.items()},
                  "moments": {n: list(a.shape) for n, a in moments.items()}, "masks": {n: int(m.sum()) for n, m in masks.items()}}))
"""


def test_numpy_alone_reads_a_file(tmp_path):
    net, optimizer, history = trained()
    export_miniten(net, tmp_path / "m.npz", include_optimizer=True, optimizer=optimizer, input_shape=(1, 3, 8, 8), labels=LABELS, history=history)
    read = json.loads(subprocess.run([sys.executable, "-c", NUMPY_ALONE], cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
    assert read["format"] == "miniten" and read["version"] == 1 and "conv2d" in read["ops"] and read["labels"] == LABELS and read["epochs"] == [0, 1, 2]
    for name, value in net.state_dict().items():
        if "num_batches" not in name:
            assert read["sums"][name] == pytest.approx(float(value.numpy().astype("float64").sum()), abs=1e-6)
    moments = {n.removeprefix("optimizer.").split(".", 1)[1]: s for n, s in read["moments"].items() if n.count(".") > 1}
    assert {n: list(p.shape) for n, p in net.named_parameters()}.items() <= moments.items()
    with zipfile.ZipFile(tmp_path / "m.npz") as z:  # a checksum of every member
        assert z.testzip() is None and all(i.CRC or not i.file_size for i in z.infolist())


# ---- versions ----
@pytest.mark.parametrize("name", ["float", "int8", "pruned", "shared", "states"])
def test_files_of_version_1_load_for_ever(name):
    """Written once by version 1 of the format; never write them anew: a reader that cannot read them is wrong."""
    model = load_miniten(GOLDEN / f"v1_{name}.npz")
    with np.load(GOLDEN / "v1_outputs.npz") as f:
        x, want = f[name + "_in"], f[name + "_out"]
    got = np.stack([np.array(model(row)) for row in x])
    if name == "int8":
        np.testing.assert_array_equal(got, want)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    with np.load(GOLDEN / f"v1_{name}.npz") as f:
        assert json.loads(f["manifest.json"])["version"] == 1
    if name != "states":
        assert model.labels == ["a", "b", "c"] and model.history["loss"] == [1.5, 0.25]


def changed(data, change):
    """The same file with another manifest."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename == "manifest.json":
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest)
            new.writestr(item.filename, content)
    return out.getvalue()


@pytest.mark.parametrize("load", [load_miniten, mt.load, nn.Module.load])
def test_a_newer_version_says_what_to_do(load):
    data = (GOLDEN / "v1_float.npz").read_bytes()
    load(changed(data, lambda m: None))
    with pytest.raises(NotImplementedError, match=r"version 1, got 2 \(update MiniTen\)"):
        load(changed(data, lambda m: m.update(version=2)))
    with pytest.raises(ValueError, match="format"):
        load(changed(data, lambda m: m.update(format="other")))


# ---- atomic writes ----
WRITERS = {
    "m.npz": "edge.export_miniten(net, 'm.npz')",
    "m.onnx": "edge.export_onnx(net, (1, 512), 'm.onnx')",
    "m.tflite": "edge.export_tflite(net, (1, 512), 'm.tflite')",
    "m.safetensors": "mt.save_safetensors(net.state_dict(), 'm.safetensors')",
    "s.npz": "mt.save(net.state_dict(), 's.npz')",
}
START = """
import resource, signal, sys
import numpy as np
import miniten as mt
from miniten import edge, nn
net = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512)).eval()
net(np.zeros((1, 512), "float32"))
"""
LOADERS = {"m.npz": load_miniten, "m.onnx": edge.load_onnx, "m.tflite": edge.load_tflite, "m.safetensors": mt.load_safetensors, "s.npz": mt.load}


def test_a_full_disk_leaves_the_old_file(tmp_path):
    script = START + "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    for name, write in WRITERS.items():
        (tmp_path / name).write_bytes(b"old")
        script += f"try:\n    {write}\nexcept OSError as e:\n    print('room' in str(e) and '{name}' in str(e))\n"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.split() == ["True"] * len(WRITERS), done.stdout + done.stderr
    assert sorted(os.listdir(tmp_path)) == sorted(WRITERS) and all((tmp_path / n).read_bytes() == b"old" for n in WRITERS)


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    """Killed at some moment of endless writing: each file is whole or is not there; what was begun has another name."""
    script = START + "print('ready', flush=True)\nwhile True:\n" + "".join(f"    {w}\n" for w in WRITERS.values())
    r = np.random.default_rng(4)
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(r.uniform(0.05, 0.4))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        for name, load in LOADERS.items():
            if (tmp_path / name).exists():
                load(tmp_path / name)
        assert all(any(p.name == n or p.name.startswith(n + ".") for n in WRITERS) for p in tmp_path.iterdir())
    assert (tmp_path / "m.npz").exists()
