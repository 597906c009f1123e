"""Commands that look at pictures, other runtimes and budgets, each beside what the library or another program says."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import miniten as mt
import numpy as np
import pytest
from judges import judge
from miniten import edge, nn
from miniten.utils import vision

BUILT = Path(__file__).resolve().parents[3] / "build" / "dev" / "bin" / "miniten"
PYTHON = [sys.executable, "-m", "miniten"]
FAST = [str(BUILT)] if BUILT.exists() else PYTHON


def call(*args, program=FAST, cwd=None):
    return subprocess.run([*program, *map(str, args)], capture_output=True, cwd=cwd, timeout=120)


def ok(*args, **kw):
    r = call(*args, **kw)
    assert r.returncode == 0, (args, r.stderr.decode())
    return r.stdout.decode()


def doc(*args, **kw):
    return json.loads(ok(*args, "--json", **kw))


def make_net():
    mt.manual_seed(2)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 9 * 6, 5)).eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    net = make_net()
    x = np.random.default_rng(3).standard_normal((64, 3, 22, 16)).astype(np.float32)
    y = net(x).numpy()
    edge.export_miniten(net, folder / "net.npz")
    edge.export_onnx(net, (1, 3, 22, 16), folder / "net.onnx")
    edge.export_tflite(net, (1, 3, 22, 16), folder / "net.tflite")
    np.save(folder / "x.npy", x)
    np.save(folder / "one.npy", x[:1])
    np.save(folder / "classes.npy", y.argmax(1))
    np.save(folder / "numbers.npy", y)
    picture = np.random.default_rng(4).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    vision.save_image(picture, folder / "cat.png")
    return folder


# ---- pictures ----
IMAGENET = (np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32))


@pytest.mark.parametrize(
    ("options", "size", "mean", "std"),
    [
        ([], "crop", 0, 1),
        (["--fit", "stretch", "--normalize", "symmetric"], "stretch", 0.5, 0.5),
        (["--fit", "pad", "--normalize", "none"], "pad", 0, 1 / 255),
        (["--normalize", "imagenet"], "crop", *IMAGENET),
        (["--mean", "0.1,0.2,0.3", "--std", "0.5"], "crop", np.array([0.1, 0.2, 0.3], np.float32), 0.5),
    ],
)
def test_a_picture_is_prepared_as_by_hand(files, options, size, mean, std):
    image = vision.load_image(files / "cat.png")  # 40 x 50 for 22 x 16
    if size == "stretch":
        image = vision.resize(image, (22, 16))
    elif size == "crop":
        image = vision.center_crop(vision.resize(image, (22, 28)), (22, 16))
    else:
        image = vision.pad(vision.resize(image, (13, 16)), (0, 4, 0, 5))
    x = ((image.astype(np.float32) / 255 - mean) / std).astype(np.float32)
    want = make_net()(x.transpose(2, 0, 1)[None]).numpy()
    for model in ("net.npz", "net.onnx", "net.tflite"):
        got = doc("run", files / model, "--image", files / "cat.png", *options)["outputs"][0]["values"]
        np.testing.assert_allclose(got, want, atol=1e-4 * max(1, np.abs(want).max()))


def test_the_judge_prepares_the_same_picture(files):
    """Pillow's resize and torchvision's crop, as ImageNet models are fed."""
    judge("PIL")
    from PIL import Image

    image = Image.open(files / "cat.png").resize((28, 22), Image.Resampling.BILINEAR).crop((6, 0, 22, 22))
    x = (np.asarray(image, np.float32) / 255 - IMAGENET[0]) / IMAGENET[1]
    want = make_net()(x.transpose(2, 0, 1)[None]).numpy()
    got = doc("run", files / "net.npz", "--image", files / "cat.png", "--normalize", "imagenet")["outputs"][0]["values"]
    np.testing.assert_allclose(got, want, atol=0.02 * np.abs(want).max())  # one rounding to 8 bits instead of two


def test_pictures_for_integers_and_for_batches(files, tmp_path):
    ok("quantize", files / "net.npz", tmp_path / "q.tflite", "--calibration", files / "x.npy")
    image = vision.center_crop(vision.resize(vision.load_image(files / "cat.png"), (22, 28)), (22, 16)).astype(np.float32) / 255
    q = edge.load_tflite(tmp_path / "q.tflite")
    got = doc("run", tmp_path / "q.tflite", "--image", files / "cat.png")["outputs"][0]["values"]
    np.testing.assert_array_equal(got, q(image[None]).numpy())
    two = doc("run", files / "net.npz", "--image", files / "cat.png", "--image", files / "cat.png", "--top", 2)["outputs"][0]
    assert two["shape"] == [2, 5] and two["top"][0] == two["top"][1]
    r = call("run", files / "net.onnx", "--image", files / "cat.png", "--image", files / "cat.png")
    assert r.returncode == 2 and b"takes 1 picture at once" in r.stderr


# ---- models beside each other ----
def test_diff_names_the_layer_and_ends_with_1(files, tmp_path):
    assert "no layer parts" in ok("diff", files / "net.npz", files / "net.onnx")
    assert doc("diff", files / "net.onnx", files / "net.tflite", "--input", files / "one.npy")["first"] is None
    net = make_net()
    net.state_dict()["4.weight"].numpy()[0, 0] += 1
    edge.export_miniten(net, tmp_path / "other.npz", input_shape=(1, 3, 22, 16))
    r = call("diff", files / "net.npz", tmp_path / "other.npz", "--json")
    assert r.returncode == 1 and json.loads(r.stdout)["first"] == "4"
    assert call("diff", files / "net.npz", tmp_path / "other.npz", "--tolerance", 100).returncode == 0


def test_other_runtimes_are_measured_in_turn(files):
    judge("onnxruntime")
    judge("ai_edge_litert")
    rows = doc("bench", "net.onnx", "--against", "onnxruntime,litert", "--against", "net.tflite", "--runs", 20, "--threads", 1, program=PYTHON, cwd=files)["models"]
    assert [r["label"].split(" ")[0] for r in rows] == ["net.onnx", "onnxruntime", "litert", "net.tflite"]
    assert rows[0]["verdict"] == "reference" and all(r["verdict"] in ("faster", "slower", "no difference") for r in rows[1:])
    assert all(r["difference"] < 1e-5 for r in rows) and all(len(r["latencies_ms"]) == 20 for r in rows)
    assert rows[2]["label"].endswith("the model written as .tflite")
    if FAST != PYTHON:
        r = call("bench", files / "net.onnx", "--against", "onnxruntime")
        assert r.returncode == 2 and b"needs Python: python -m miniten bench" in r.stderr


def test_a_runtime_that_is_not_installed_is_named(files):
    code = "import sys; sys.modules['onnxruntime'] = None; from miniten.__main__ import main; sys.exit(main(sys.argv[1:]))"
    r = call("-c", code, "bench", files / "net.onnx", "--against", "onnxruntime", program=[sys.executable])
    assert r.returncode == 1 and b"onnxruntime is not installed: pip install onnxruntime" in r.stderr and r.stdout == b""


def test_a_latency_target_is_an_exit_code(files, tmp_path):
    assert call("bench", files / "net.npz", "--target-ms", 1e6, "--runs", 5).returncode == 0
    r = call("bench", files / "net.npz", "--target-ms", 1e-6, "--percentile", 95, "--runs", 5, "--json", "--report", tmp_path / "r.json")
    j = json.loads(r.stdout)
    assert r.returncode == 1 and j["passes"] is False and j["percentile"] == 95 and j["actual_latency_ms"] == pytest.approx(np.percentile(j["latencies_ms"], 95))
    assert json.loads((tmp_path / "r.json").read_text())["latency"]["latencies_ms"] == j["latencies_ms"]
    assert doc("bench", files / "net.npz", "--input", files / "x.npy", "--runs", 2)["num_runs"] == 2


# ---- smaller models ----
def test_prune_to_a_target_and_by_a_pattern(files, tmp_path):
    macs = edge.count_flops(make_net(), (1, 3, 22, 16))["total_macs"]
    ok("prune", files / "net.npz", tmp_path / "half.npz", "--method", "structured", "--target", "macs=0.5")
    half = edge.count_flops(edge.load_miniten(tmp_path / "half.npz"), (1, 3, 22, 16))["total_macs"]
    assert 0.2 * macs < half <= 0.5 * macs
    ok("prune", files / "net.npz", tmp_path / "p.npz", "--pattern", "2:4")
    same = edge.prune_model(edge.load_miniten(files / "net.npz"), pattern="2:4", input_shape=(1, 3, 22, 16))
    w, v = (m.state_dict()["4/weight"].numpy() for m in (edge.load_miniten(tmp_path / "p.npz"), same))
    np.testing.assert_array_equal(w, v)
    assert ((w.transpose(0, 2, 3, 1).reshape(-1, 4) != 0).sum(1) <= 2).all()
    r = call("prune", files / "net.npz", tmp_path / "none.npz", "--target", "flash_kb=0.1")
    assert r.returncode == 1 and b"comes to" in r.stderr and not (tmp_path / "none.npz").exists()


@pytest.mark.parametrize("targets", [[], ["--targets", "classes.npy"], ["--targets", "numbers.npy"]])
def test_compress_meets_its_budget(files, tmp_path, targets):
    j = doc("compress", "net.npz", tmp_path / "small.npz", "--data", "x.npy", *targets, "--budget", "flash_kb=6", "max_drop=0.5", "--journal", tmp_path / "journal.jsonl", cwd=files)
    taken = j["compression"]["trials"][j["compression"]["best"]]
    size = (tmp_path / "small.npz").stat().st_size
    assert size == j["bytes"] <= 6 * 1024 < (files / "net.npz").stat().st_size and taken["flash_kb"] * 1024 == pytest.approx(size, rel=0.01)
    y = edge.load_miniten(tmp_path / "small.npz")(np.load(files / "x.npy")).numpy()
    want = np.load(files / "numbers.npy")
    score = 1 - ((y - want) ** 2).sum() / ((want - want.mean()) ** 2).sum() if targets[-1:] == ["numbers.npy"] else (y.argmax(1) == want.argmax(1)).mean()
    assert taken["score"] == pytest.approx(score, abs=0.02) and score > 0.7
    r = call("compress", "net.npz", tmp_path / "none.npz", "--data", "x.npy", "--flash-kb", 0.01, cwd=files)
    assert r.returncode == 1 and b"flash_kb" in r.stderr and not (tmp_path / "none.npz").exists()


def test_zeros_and_shared_values_stay_small_on_the_way_out(tmp_path):
    onnx = judge("onnx")
    mt.manual_seed(6)
    net = nn.Sequential(nn.Linear(200, 160), nn.ReLU(), nn.Linear(160, 5)).eval()
    pruned = edge.prune_model(net, 0.9, input_shape=(1, 200))
    pruned.save(tmp_path / "p.npz")
    edge.weight_sharing(pruned, 20).save(tmp_path / "shared.npz")
    for form in ("onnx", "tflite"):
        dense, sparse = (doc("convert", "p.npz", f"{name}.{form}", *more, cwd=tmp_path)["bytes"] for name, more in (("d", []), ("s", ["--sparse"])))
        assert sparse < 0.5 * dense
        again = doc("convert", f"s.{form}", f"again.{form}", "--sparse", cwd=tmp_path)["bytes"]  # what came sparse goes so again, when asked
        assert again == pytest.approx(sparse, rel=0.02) and doc("convert", f"s.{form}", f"full.{form}", cwd=tmp_path)["bytes"] == pytest.approx(dense, rel=0.02)
        assert call("diff", "p.npz", f"again.{form}", cwd=tmp_path).returncode == 0
    assert {tuple(t.dims) for t in onnx.load(tmp_path / "again.onnx").graph.sparse_initializer} & {(200, 160), (160, 200)}
    assert doc("prune", "p.npz", "more.tflite", "--sparsity", 0.95, "--sparse", cwd=tmp_path)["bytes"] < sparse
    sizes = [doc("convert", "shared.npz", "c.npz", *more, cwd=tmp_path)["bytes"] for more in ([], ["--entropy", "huffman"], ["--entropy", "rans"])]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 3
    x = np.random.default_rng(0).standard_normal((2, 200)).astype("float32")
    assert np.array_equal(mt.load(str(tmp_path / "c.npz"))(x).numpy(), mt.load(str(tmp_path / "shared.npz"))(x).numpy())
    for out, more, word in [("w.npz", ["--sparse"], b"--sparse"), ("w.onnx", ["--entropy", "rans"], b"--entropy"), ("w.npz", ["--entropy", "zip"], b"huffman or rans")]:
        r = call("convert", "p.npz", out, *more, cwd=tmp_path)
        assert r.returncode == 2 and word in r.stderr and not (tmp_path / out).exists()


# ---- the demo ----
def test_the_demo_leaves_files_that_every_command_takes(tmp_path):
    folder = tmp_path / "demo"
    rows = {r["file"]: r for r in doc("demo", folder)["models"]}
    assert list(rows) == ["shapes.npz", "int8.npz", "half.npz", "half_int8.npz"]
    for name, row in rows.items():
        assert row["bytes"] == (folder / name).stat().st_size and row["accuracy"] > 0.85
    assert rows["half_int8.npz"]["bytes"] < rows["int8.npz"]["bytes"] < rows["shapes.npz"]["bytes"] and rows["half.npz"]["macs"] < rows["int8.npz"]["macs"]
    top = doc("run", "shapes.onnx", "--image", "picture.png", "--labels", "labels.txt", "--top", 2, cwd=folder)["outputs"][0]["top"][0]
    assert len(top) == 2 and top[0]["label"] in ("circle", "square", "cross", "triangle")
    assert call("diff", "shapes.npz", "shapes.onnx", cwd=folder).returncode == 0
    ok("compress", "shapes.npz", "small.npz", "--data", "samples.npz", "--targets", "targets.npz", "--flash-kb", 20, cwd=folder)
    ok("check", "half_int8.npz", "--device", "stm32f411", cwd=folder)


# ---- shells ----
def bash_completes(*words):
    script = 'eval "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _miniten; printf "%s\\n" "${COMPREPLY[@]}"'
    return subprocess.run(["bash", "-c", script, "bash", ok("completion", "bash"), *words], capture_output=True, text=True, timeout=60, check=True).stdout.split()


def test_bash_completes_words():
    assert bash_completes("miniten", "com") == ["compress", "completion"]
    assert bash_completes("miniten", "prune", "--me") == ["--method"]
    assert set(bash_completes("miniten", "prune", "--method", "")) >= {"magnitude", "structured"}
    assert bash_completes("miniten", "estimate", "x.npz", "--device", "stm32f4") == ["stm32f407", "stm32f411"]
    assert set(bash_completes("miniten", "completion", "")) >= {"bash", "zsh", "fish"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_option_is_in_the_script(shell):
    script = ok("completion", shell)
    assert doc("completion", shell)["script"] == script
    for command in ("inspect", "run", "export-c", "compress", "diff", "monitor"):
        assert command in script
        for option in ("--" + line.split("--", 1)[1].split()[0].rstrip(",") for line in ok(command, "--help").splitlines() if line.startswith("  --")):
            assert (f"-l {option[2:]}" if shell == "fish" else option) in script, option


def test_a_bundle_checks_itself(files, tmp_path):
    bundle = tmp_path / "b.zip"
    told = doc("package", files / "net.onnx", bundle, "--target", "c", "--target", "onnx", "--name", "net", "--input", files / "one.npy", "--license", "MIT")
    assert told["bytes"] == bundle.stat().st_size and told["targets"] == ["npz", "onnx", "c"] and told["about"]["inputs"][0]["shape"] == [1, 3, 22, 16]
    with zipfile.ZipFile(bundle) as z:
        assert {m.filename: m.file_size for m in z.infolist()} == told["files"]
        z.extractall(tmp_path / "b")
    assert np.array_equal(np.load(tmp_path / "b/golden/input_0.npy"), np.load(files / "one.npy"))
    run = subprocess.run(["sh", tmp_path / "b/check.sh"], env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and "miniten      passed" in run.stdout, run.stdout + run.stderr
    for wrong in (("--target", "coreml"), ("--name", "int"), ("--shape", "1,3,22,16,1")):
        r = call("package", files / "net.npz", tmp_path / "wrong.zip", *wrong)
        assert r.returncode == 2 and not (tmp_path / "wrong.zip").exists(), r.stderr
    assert call("package", files / "net.npz", tmp_path / "wrong.tar").returncode == 2
