"""The program as a stranger meets it: both forms print the same bytes, results equal the library's, wrong use writes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import miniten as mt
import numpy as np
import pytest
from miniten import edge, nn
from miniten.utils.vision import save_image

ROOT = Path(__file__).resolve().parents[3]
BUILT = ROOT / "build" / "dev" / "bin" / "miniten"
COMMANDS = (
    "inspect", "run", "convert", "export-c", "package", "quantize", "prune", "compress", "diff", "bench", "profile", "estimate", "check", "probe", "monitor", "demo", "completion", "version",
)
FORMS = {"python": [sys.executable, "-m", "miniten"]}
if BUILT.exists():
    FORMS["c++"] = [str(BUILT)]
elif os.environ.get("CI"):
    raise FileNotFoundError(f"{BUILT}: the C++ build comes before the Python tests")


def call(*args, form="python", cwd=None):
    return subprocess.run([*FORMS[form], *map(str, args)], capture_output=True, cwd=cwd, timeout=120)


def ok(*args, **kw):
    r = call(*args, **kw)
    assert r.returncode == 0, (args, r.stderr.decode())
    assert r.stderr == b""
    return r.stdout.decode()


def doc(*args, **kw):
    text = ok(*args, "--json", **kw)
    assert text.endswith("\n") and text.count("\n") == 1
    return json.loads(text)


def make_net():
    mt.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 5)
    ).eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    net = make_net()
    x = np.random.default_rng(3).standard_normal((4, 2, 8, 8)).astype(np.float32)
    net(x)
    edge.export_miniten(net, folder / "net.npz")
    edge.export_onnx(net, (1, 2, 8, 8), folder / "net.onnx")
    edge.export_onnx(net, (4, 2, 8, 8), folder / "open.onnx", dynamic_axes={"x": {0: "batch"}}, input_names=["x"], output_names=["scores"])
    np.save(folder / "x.npy", x)
    np.save(folder / "one.npy", x[:1])
    np.save(folder / "wide.npy", x.astype(np.float64))
    np.savez(folder / "x.npz", x=x)
    edge.export_miniten(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), folder / "gray.npz", input_shape=(1, 1, 12, 10))
    save_image(np.arange(20 * 30, dtype=np.uint8).reshape(20, 30), folder / "grey.png")
    (folder / "labels.txt").write_text("".join(f"class {i}\n" for i in range(5)))
    (folder / "notes.txt").write_text("not a model")
    (folder / "broken.npz").write_bytes((folder / "net.npz").read_bytes()[:500])
    (folder / "broken.onnx").write_bytes(b"\x08\x07\x12")
    (folder / "empty.onnx").write_bytes(b"")
    return folder


def expected(x):
    return make_net()(x).numpy()


def test_both_forms_print_the_same_bytes(files):
    assert len(FORMS) == 2 or not os.environ.get("CI")
    for args in (
        ["--help"], ["version"], ["version", "--json"], ["inspect", "net.npz"], ["inspect", "open.onnx", "--json"], ["inspect", "net.onnx", "--graph"],
        ["run", "net.npz", "--input", "x.npy"], ["run", "net.npz", "--json"], ["estimate", "net.onnx"], ["estimate", "net.onnx", "--json"], ["check", "net.onnx"],
        ["check", "net.onnx", "--max-parameters", "3"], ["bench"], ["bench", "none.npz"], ["fly"], ["quantize", "--help"], [],
        ["diff", "net.npz", "net.onnx"], ["completion", "zsh"], *([c, "--help"] for c in COMMANDS),
    ):
        results = [call(*args, form=form, cwd=files) for form in FORMS]
        for r in results:
            assert (r.returncode, r.stdout, r.stderr) == (results[0].returncode, results[0].stdout, results[0].stderr), args


def test_help_teaches_by_example():
    text = ok("--help")
    for command in COMMANDS:
        assert command in text
        page = ok(command, "--help")
        assert "--json" in page
        assert command == "version" or f"miniten {command} " in page
        assert "Exit code: 0 done, 1 the thing asked failed, 2 wrong use" in page
    assert "Exit code: 0 done, 1 the thing asked failed, 2 wrong use" in text


def test_version():
    assert ok("version") == f"miniten {mt.__version__}\n"
    assert doc("version")["version"] == mt.__version__


def test_inspect_tells_what_the_library_tells(files):
    j = doc("inspect", files / "open.onnx")
    assert j["inputs"] == [{"name": "x", "shape": ["batch", 2, 8, 8], "dtype": "float32"}]
    assert [o["name"] for o in j["outputs"]] == ["scores"]
    assert j["bytes"] == (files / "open.onnx").stat().st_size
    assert j["total_parameters"] == edge.count_parameters(edge.load_onnx(files / "open.onnx"))["total_parameters"]
    assert doc("inspect", files / "net.npz")["total_parameters"] == 2 * 8 * 9 + 8 + 16 + 8 * 16 * 5 + 5
    assert j["flops"]["total_macs"] == 64 * 8 * 18 + 128 * 5
    assert doc("inspect", files / "open.onnx", "--shape", "3,2,8,8")["flops"]["total_macs"] == 3 * j["flops"]["total_macs"]
    text = ok("inspect", files / "open.onnx")
    assert "x float32(batch, 2, 8, 8)" in text and "MACs" in text


@pytest.mark.parametrize("model", ["net.npz", "net.onnx", "open.onnx"])
def test_run_computes_what_the_model_does(files, tmp_path, model):
    rows = 1 if model == "net.onnx" else 4
    given = files / ("one.npy" if rows == 1 else "x.npy")
    want = expected(np.load(given))
    j = doc("run", files / model, "--input", given, "--output", tmp_path / "y.npz")
    name = j["outputs"][0]["name"]
    np.testing.assert_allclose(np.load(tmp_path / "y.npz")[name], want, atol=1e-4)
    np.testing.assert_allclose(mt.load(tmp_path / "y.npz")[name].numpy(), want, atol=1e-4)
    assert "values" not in j["outputs"][0]
    np.testing.assert_allclose(doc("run", files / model, "--input", given)["outputs"][0]["values"], want, atol=1e-4)


def test_run_takes_inputs_by_name_and_of_other_width(files):
    want = expected(np.load(files / "x.npy"))
    for given in ("x.npy", "x=x.npy", "x.npz", "wide.npy"):
        np.testing.assert_allclose(doc("run", "open.onnx", "--input", given, cwd=files)["outputs"][0]["values"], want, atol=1e-4)


def test_run_of_two_inputs_in_either_order(tmp_path):
    class Two(nn.Module):
        def forward(self, a, b):
            return a - 2 * b, a * b

    a, b = np.arange(3, dtype=np.float32), np.array([5, 6, 7], np.float32)
    edge.export_onnx(Two(), [(3,), (3,)], tmp_path / "two.onnx", input_names=["a", "b"], output_names=["p", "q"])
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    np.savez(tmp_path / "both.npz", b=b, a=a)
    for given in (["--input", "a.npy", "--input", "b.npy"], ["--input", "b=b.npy", "--input", "a=a.npy"], ["--input", "b=b.npy", "--input", "a.npy"], ["--input", "both.npz"]):
        outputs = doc("run", "two.onnx", *given, cwd=tmp_path)["outputs"]
        assert [(o["name"], o["values"]) for o in outputs] == [("p", (a - 2 * b).tolist()), ("q", (a * b).tolist())]
    assert call("run", "two.onnx", "--input", "a.npy", cwd=tmp_path).returncode == 2


def test_run_ranks_with_labels(files):
    want = expected(np.load(files / "x.npy"))
    top = doc("run", files / "net.npz", "--input", files / "x.npy", "--labels", files / "labels.txt", "--top", 2)["outputs"][0]["top"]
    assert [[e["index"] for e in sample] for sample in top] == np.argsort(-want, axis=1)[:, :2].tolist()
    assert top[0][0]["label"] == f"class {want[0].argmax()}"
    assert f"class {want[3].argmax()}" in ok("run", files / "net.npz", "--input", files / "x.npy", "--labels", files / "labels.txt")


def test_convert_there_and_back(files, tmp_path):
    written = doc("convert", files / "net.npz", tmp_path / "a.onnx", "--opset", 15)
    assert written["opset"] == 15 and written["bytes"] == (tmp_path / "a.onnx").stat().st_size
    ok("convert", tmp_path / "a.onnx", tmp_path / "b.npz")
    x = np.load(files / "x.npy")
    np.testing.assert_allclose(edge.load_miniten(tmp_path / "b.npz")(x).numpy(), expected(x), atol=1e-4)
    doc("convert", files / "net.npz", tmp_path / "fixed.onnx", "--shape", "2,2,8,8")
    assert doc("inspect", tmp_path / "fixed.onnx")["inputs"][0]["shape"] == [2, 2, 8, 8]


@pytest.mark.parametrize("form", FORMS)
def test_tflite_files_too(files, tmp_path, form):
    written = doc("convert", files / "net.npz", tmp_path / "a.tflite", "--quantize", "int8", "--calibration", files / "x.npy", form=form)
    assert written["checked_by"] == ["miniten"] and written["quantization"] == "int8"
    j = doc("inspect", tmp_path / "a.tflite", form=form)
    assert j["inputs"][0]["shape"] == [1, 8, 8, 2] and j["bytes"] == written["bytes"]
    x = np.load(files / "x.npy")[:1]
    np.save(tmp_path / "nhwc.npy", x.transpose(0, 2, 3, 1))
    got = doc("run", tmp_path / "a.tflite", "--input", tmp_path / "nhwc.npy", form=form)["outputs"][0]["values"]
    assert np.argmax(got) == expected(x).argmax()
    for name in ("b.tflite", "b.npz", "b.onnx"):  # on from there, in every format
        ok("convert", tmp_path / "a.tflite", tmp_path / name, form=form)
    back = doc("run", tmp_path / "b.tflite", "--input", tmp_path / "nhwc.npy", form=form)["outputs"][0]["values"]
    np.testing.assert_allclose(back, got, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("model", ["net.npz", "net.onnx"])
def test_load_limit(files, model, form):
    r = call("inspect", files / model, "--load-limit-mb", "0.001", form=form)
    assert r.returncode == 2 and b"at most 1048 bytes" in r.stderr, r.stderr
    ok("inspect", files / model, "--load-limit-mb", "1", form=form)
    assert call("inspect", files / model, "--load-limit-mb", "0", form=form).returncode == 2


@pytest.mark.parametrize("ending", ["npz", "onnx"])
def test_quantize_is_the_librarys(files, tmp_path, ending):
    out = tmp_path / f"q.{ending}"
    j = doc("quantize", files / "net.npz", out, "--calibration", files / "x.npy", "--skip", "5")
    rows = {r["layer"]: r["dtype"] for r in j["quantization"]["rows"]}
    assert rows["0"] == "int8" and rows["5"] == "float32"
    assert j["quantization"]["calibration_samples"] == 4
    x = np.load(files / "x.npy")
    same = edge.quantize_model(edge.load_miniten(files / "net.npz"), calibration_data=x, skip=["5"])
    back = edge.load_miniten(out) if ending == "npz" else edge.load_onnx(out)
    step = max(r.output_scale for r in same.report().rows)
    np.testing.assert_allclose(back(x).numpy(), same(x).numpy(), atol=step + 1e-5)
    assert np.abs(back(x).numpy() - expected(x)).max() > 0


@pytest.mark.parametrize("ending", ["html", "json", "txt"])
def test_quantize_reports_what_layers_lose(files, tmp_path, ending):
    report = tmp_path / f"r.{ending}"
    ok("quantize", files / "net.npz", tmp_path / "q.npz", "--calibration", files / "x.npy", "--report", report)
    same = edge.compare_quantized(edge.load_miniten(files / "net.npz"), edge.load_miniten(tmp_path / "q.npz"), np.load(files / "x.npy"))
    assert report.read_text() == {"html": same.to_html, "json": same.to_json, "txt": same.to_text}[ending]()


def test_prune_is_the_librarys(files, tmp_path):
    j = doc("prune", files / "net.onnx", tmp_path / "p.npz", "--sparsity", 0.75)
    assert j["pruning"]["zeros"] == round(0.75 * j["pruning"]["total"])
    assert edge.load_miniten(tmp_path / "p.npz").actual_sparsity() == pytest.approx(0.75, abs=1e-3)
    text = ok("inspect", tmp_path / "p.npz")
    assert "75.00 %" in text


def test_measurements_have_the_librarys_keys(files):
    j = doc("bench", files / "net.npz", "--shape", "2,2,8,8", "--runs", 7, "--warmup", 1, "--threads", 1)
    assert j["num_runs"] == 7 and len(j["latencies_ms"]) == 7 and j["threads"] == 1
    assert j["median_latency_ms"] == pytest.approx(np.median(j["latencies_ms"]))
    layers = doc("profile", files / "net.npz")["layers"]
    assert sum(row["macs"] for row in layers) == 64 * 8 * 18 + 128 * 5
    e = doc("estimate", files / "net.npz", "--device", "npu")
    assert e["power"]["device"] == "npu" and e["flops"]["total_macs"] == 64 * 8 * 18 + 128 * 5
    assert "MACs" in ok("profile", files / "net.npz", "--runs", 2) and "ms median" in ok("bench", files / "net.npz", "--runs", 2)


def test_models_are_compared(files, tmp_path):
    ok("quantize", files / "net.npz", tmp_path / "q.npz", "--calibration", files / "x.npy")
    rows = doc("bench", files / "net.npz", "--against", tmp_path / "q.npz", "--against", files / "open.onnx", "--runs", 20)["models"]
    assert [r["verdict"] == "reference" for r in rows] == [True, False, False]
    assert all(r["verdict"] in ("faster", "slower", "no difference") for r in rows[1:]) and rows[1]["peak_memory_mb"] < rows[0]["peak_memory_mb"]
    assert "against the first" in ok("bench", files / "net.npz", "--against", files / "net.npz", "--runs", 2)
    assert doc("bench", files / "net.npz", "--soak", 0.05)["total_inferences"] > 0
    assert doc("bench", files / "net.npz", "--period-ms", 1, "--runs", 3)["period_ms"] == 1


def test_a_probe_is_a_device(files, tmp_path):
    profile = json.loads(json.dumps(doc("probe", "--output", tmp_path / "here.json")))
    assert profile == json.loads((tmp_path / "here.json").read_text()) and profile["measured"]
    e = doc("estimate", files / "net.npz", "--device", tmp_path / "here.json")
    assert e["latency"]["latency_ms"] > 0 and e["latency"]["error"] == profile["error"]
    assert "ms on stm32f411 (peak rates" in ok("estimate", files / "net.npz", "--device", "stm32f411")


def test_a_board_is_a_set_of_limits(files):
    j = doc("check", files / "net.npz", "--device", "stm32f411")
    assert {c["name"]: c["limit"] for c in j["checks"]} == {"max_flash_kb": 512, "max_ram_kb": 128}
    r = call("check", files / "net.npz", "--device", "stm32f411", "--max-flash-kb", 1)
    assert r.returncode == 1 and b"in int8" in r.stdout


def test_check_answers_by_exit_code(files):
    fits = call("check", files / "net.npz", "--max-parameters", 1000)
    too_big = call("check", files / "net.npz", "--max-parameters", 100, "--max-flash-kb", 100, "--json")
    assert (fits.returncode, too_big.returncode) == (0, 1)
    j = json.loads(too_big.stdout)
    assert j["passes_all"] is False
    assert {c["name"]: c["passes"] for c in j["checks"]} == {"max_parameters": False, "max_flash_kb": True}


WRONG = [
    (["fly"], "fly"),
    (["inspect"], "FILE"),
    (["inspect", "none.onnx"], "no file"),
    (["inspect", "."], ".npz, .onnx or .tflite"),
    (["inspect", "notes.txt"], ".npz, .onnx or .tflite"),
    (["inspect", "broken.npz"], "cannot be used"),
    (["inspect", "broken.onnx"], "cannot be used"),
    (["inspect", "empty.onnx"], "cannot be used"),
    (["inspect", "x.npz"], "cannot be used"),
    (["inspect", "net.npz", "--shape", "1,2,9,8"], "does not fit"),
    (["inspect", "net.npz", "--shape", "1,2,8"], "does not fit"),
    (["inspect", "net.npz", "--shape", "1,x"], "--shape"),
    (["inspect", "net.npz", "--shape", "1,2,8,8", "--shape", "1,2,8,8"], "1 inputs"),
    (["inspect", "net.npz", "--colour"], "--colour"),
    (["run", "net.npz", "--input", "none.npy"], "no file"),
    (["run", "net.npz", "--input", "labels.txt"], ".npy"),
    (["run", "net.onnx", "--input", "x.npy"], "expected"),
    (["run", "open.onnx", "--input", "x.npy", "--input", "x.npy"], "one more"),
    (["run", "net.npz", "--input", "x.npy", "--output", "OUT/y.txt"], ".npz"),
    (["run", "net.npz", "--input", "x.npy", "--output", "OUT/none/y.npz"], "no folder"),
    (["run", "net.npz", "--input", "x.npy", "--output", "OUT/y.npz", "--labels", "notes.txt"], "1 lines"),
    (["run", "net.npz", "--top", "0"], "--top"),
    (["convert", "net.npz", "OUT/y.txt"], ".tflite"),
    (["convert", "net.npz", "OUT/y.npz", "--opset", "13"], "--opset"),
    (["convert", "notes.txt", "OUT/y.npz"], ".npz, .onnx or .tflite"),
    (["quantize", "net.npz", "OUT/y.npz", "--dtype", "int9"], "int9"),
    (["quantize", "net.npz", "OUT/y.npz", "--method", "guess"], "guess"),
    (["quantize", "net.npz", "OUT/y.npz", "--mode", "guess"], "guess"),
    (["quantize", "net.npz", "OUT/y.npz", "--skip", "nothing*"], "nothing"),
    (["quantize", "net.npz", "OUT/y.npz", "--calibration", "labels.txt"], ".npy"),
    (["quantize", "net.npz", "OUT/y.npz", "--calibration", "x.npy", "--report", "OUT/r.pdf"], ".html"),
    (["quantize", "net.npz", "OUT/y.npz", "--report", "OUT/r.html"], "--calibration"),
    (["prune", "net.npz", "OUT/y.npz"], "--sparsity"),
    (["prune", "net.npz", "OUT/y.npz", "--sparsity", "0.5", "--target", "flash_kb=1"], "--target"),
    (["prune", "net.npz", "OUT/y.npz", "--target", "flash_kb"], "flash_kb=N"),
    (["prune", "net.npz", "OUT/y.npz", "--target", "macs=0.5"], "structured"),
    (["prune", "net.npz", "OUT/y.npz", "--target", "macs=2", "--method", "structured"], "below 1"),
    (["prune", "net.npz", "OUT/y.npz", "--pattern", "4:2"], "2:4"),
    (["prune", "net.npz", "OUT/y.npz", "--pattern", "4x1"], "--sparsity"),
    (["prune", "net.npz", "OUT/y.npz", "--sparsity", "0.5", "--method", "taylor"], "loss"),
    (["compress", "net.npz", "OUT/y.npz", "--data", "x.npy", "--budget", "flash=9"], "--budget wants"),
    (["compress", "net.npz", "OUT/y.npz", "--flash-kb", "9"], "--data"),
    (["compress", "net.npz", "OUT/y.npz", "--data", "x.npy"], "--flash-kb"),
    (["compress", "net.npz", "OUT/y.npz", "--data", "x.npy", "--flash-kb", "9", "--targets", "x.npy"], "do not fit"),
    (["diff", "net.npz"], "B"),
    (["diff", "net.npz", "broken.onnx"], "cannot be used"),
    (["diff", "net.npz", "net.onnx", "--tolerance", "-1"], "--tolerance"),
    (["run", "gray.npz", "--image", "notes.txt"], "cannot be used"),
    (["run", "net.npz", "--image", "grey.png"], "(batch, channels, height, width)"),
    (["run", "gray.npz", "--image", "grey.png", "--fit", "guess"], "guess"),
    (["run", "gray.npz", "--image", "grey.png", "--normalize", "guess"], "guess"),
    (["run", "gray.npz", "--image", "grey.png", "--mean", "0.1,0.2"], "1 channel"),
    (["run", "gray.npz", "--image", "grey.png", "--std", "0"], "--std"),
    (["completion", "tcsh"], "tcsh"),
    (["bench", "net.npz", "--report", "OUT/r.pdf"], ".html"),
    (["bench", "net.npz", "--percentile", "95"], "--target-ms"),
    (["bench", "net.npz", "--target-ms", "0"], "target"),
    (["bench", "net.npz", "--input", "x.npy", "--shape", "4,2,8,8"], "--shape"),
    (["prune", "net.npz", "OUT/y.npz", "--sparsity", "1.5"], "sparsity"),
    (["prune", "net.npz", "OUT/y.npz", "--sparsity", "-1"], "sparsity"),
    (["prune", "net.npz", "OUT/y.npz", "--sparsity", "half"], "half"),
    (["prune", "net.npz", "OUT/y.npz", "--sparsity", "0.5", "--method", "guess"], "guess"),
    (["bench", "net.npz", "--runs", "0"], "num_runs"),
    (["bench", "net.npz", "--threads", "-1"], "--threads"),
    (["estimate", "net.npz", "--device", "toaster"], "toaster"),
    (["estimate", "net.npz", "--device", "none.json"], "no file"),
    (["check", "net.npz", "--device", "stm32f41"], "the nearest name is stm32f411"),
    (["bench", "net.npz", "--against", "tensorflow"], ".npz, .onnx or .tflite"),
    (["bench", "net.npz", "--soak", "1", "--period-ms", "1"], "--soak"),
    (["bench", "net.npz", "--period-ms", "-1"], "period_ms"),
    (["probe", "--output", "OUT/p.txt"], ".json"),
    (["quantize", "net.npz", "OUT/y.npz", "--layer", "5"], "NAME:KEY=VALUE"),
    (["quantize", "net.npz", "OUT/y.npz", "--layer", "5:colour=red"], "NAME:KEY=VALUE"),
    (["quantize", "net.npz", "OUT/y.npz", "--layer", "5:percentile=most"], "NAME:KEY=VALUE"),
    (["quantize", "net.npz", "OUT/y.npz", "--layer", "5:dtype=int9"], "int9"),
    (["quantize", "net.npz", "OUT/y.npz", "--layer", "nothing:skip"], "nothing"),
    (["quantize", "net.npz", "OUT/y.npz", "--fallback", "maybe"], "maybe"),
    (["quantize", "net.npz", "OUT/y.npz", "--optimize", "speed"], "speed"),
    (["export-c", "net.npz"], "DIR"),
    (["export-c", "net.npz", "OUT/f", "--verify", "moon"], "moon"),
    (["export-c", "net.npz", "OUT/f", "--calibration", "labels.txt"], ".npy"),
    (["profile", "net.npz", "--shape", "1"], "does not fit"),
    (["profile", "net.npz", "--runs", "0"], "at least one run"),
    (["estimate", "net.npz", "--limit-mb", "3"], "--training"),
    (["estimate", "net.npz", "--training", "sgdd"], "sgdd"),
    (["estimate", "net.npz", "--watts", "3"], "--device"),
    (["package", "net.npz", "OUT/y.tar"], ".zip"),
    (["package", "net.npz", "OUT/y.zip", "--target", "moon"], "moon"),
    (["probe", "--threads", "0"], "--threads"),
    (["monitor"], "DIR"),
    (["monitor", ".", "--width", "3"], "--width"),
    (["demo", "OUT/a", "OUT/b"], "OUT"),
    (["version", "now"], "now"),
    (["check", "net.npz", "--max-parameters", "many"], "many"),
    (["check", "net.npz", "--max-parameters", "-5"], "max_parameters"),
]


@pytest.mark.parametrize("args, word", WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_wrong_use(files, tmp_path, args, word):
    form = "c++" if "c++" in FORMS else "python"  # the one that starts faster; both are compared above
    r = call(*(a.replace("OUT", str(tmp_path)) for a in args), form=form, cwd=files)
    message = r.stderr.decode()
    assert r.returncode == 2, (r.returncode, message)
    assert r.stdout == b"" and word in message, message
    assert message.startswith("miniten") and "--help tells how" in message
    assert list(tmp_path.iterdir()) == []


def test_every_command_is_used_wrongly():
    assert {args[0] for args, _ in WRONG} >= set(COMMANDS)


READERS = {
    "inspect": [], "run": [], "convert": ["OUT/y.onnx"], "export-c": ["OUT/c"], "package": ["OUT/y.zip"], "quantize": ["OUT/y.npz"], "prune": ["OUT/y.npz", "--sparsity", "0.5"],
    "compress": ["OUT/y.npz", "--data", "x.npy", "--flash-kb", "9"], "diff": ["net.npz"], "bench": ["--report", "OUT/r.html"], "profile": [], "estimate": [], "check": [],
}


@pytest.mark.parametrize("command", READERS)
def test_bad_models_are_refused_by_every_command(files, tmp_path, command):
    form = "c++" if "c++" in FORMS else "python"
    for bad, word in (("none.npz", "no file"), ("broken.npz", "cannot be used"), ("broken.onnx", "cannot be used"), ("empty.onnx", "cannot be used"), ("x.npz", "cannot be used"),
                      ("notes.txt", ".npz, .onnx or .tflite"), (".", ".npz, .onnx or .tflite")):
        r = call(command, bad, *(a.replace("OUT", str(tmp_path)) for a in READERS[command]), form=form, cwd=files)
        assert (r.returncode, r.stdout) == (2, b"") and word in r.stderr.decode(), (bad, r.stderr)
        assert list(tmp_path.iterdir()) == []


def test_layers_have_settings_of_their_own(files, tmp_path):
    x = np.load(files / "x.npy")
    j = doc("quantize", files / "net.npz", tmp_path / "q.npz", "--calibration", files / "x.npy", "--layer", "#-1:dtype=int16", "--layer", "conv2d:per_channel=false,method=mse", "--fallback", "none")
    same = edge.quantize_model(edge.load_miniten(files / "net.npz"), calibration_data=x, overrides={-1: {"dtype": "int16"}, "conv2d": {"per_channel": False, "method": "mse"}})
    assert {r["layer"]: r["dtype"] for r in j["quantization"]["rows"]} == {r.layer: r.dtype for r in same.report().rows} and "int16" in {r.dtype for r in same.report().rows}
    assert np.array_equal(edge.load_miniten(tmp_path / "q.npz")(x).numpy(), same(x).numpy())
    ok("quantize", files / "net.npz", tmp_path / "s.npz", "--calibration", files / "x.npy", "--layer", "5:skip")
    assert np.array_equal(edge.load_miniten(tmp_path / "s.npz")(x).numpy(), edge.quantize_model(edge.load_miniten(files / "net.npz"), calibration_data=x, skip=["5"])(x).numpy())
    fast = doc("quantize", files / "net.npz", tmp_path / "f.npz", "--calibration", files / "x.npy", "--fallback", "auto")
    assert isinstance(fast["quantization"]["fallback"], list)


def test_a_format_that_cannot_hold_the_model_is_a_failure(files, tmp_path):
    r = call("convert", files / "net.npz", tmp_path / "y.onnx", "--opset", 3)
    assert r.returncode == 1 and b"expected an opset" in r.stderr and b"--help" not in r.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_bad_file_of_each_kind_keeps_the_old_output(files, tmp_path):
    out = tmp_path / "keep.npz"
    out.write_bytes(b"precious")
    assert call("prune", files / "broken.npz", out, "--sparsity", 0.5).returncode == 2
    assert call("quantize", files / "net.npz", out, "--method", "guess").returncode == 2
    assert out.read_bytes() == b"precious" and len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_written_is_a_failure(files):
    r = call("convert", files / "net.npz", "/proc/self/y.onnx")
    assert r.returncode == 1 and b"miniten convert: " in r.stderr


def test_a_name_that_is_no_text(files, tmp_path):
    name = os.fsencode(tmp_path) + b"/net\xff.npz"
    with open(name, "wb") as f:
        f.write((files / "net.npz").read_bytes())
    r = subprocess.run([*FORMS["python"], "check", name], capture_output=True, timeout=120)
    assert r.returncode == 0, r.stderr


def test_the_script_of_the_package_is_main():
    script = Path(sys.executable).parent / "miniten"
    assert subprocess.run([script, "version"], capture_output=True, timeout=60, check=True).stdout == f"miniten {mt.__version__}\n".encode()
