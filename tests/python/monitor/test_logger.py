"""MetricsLogger and Experiment from Python: JSON that any parser reads, values that come back, hostile names and values."""

import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

import miniten as mt
from miniten.monitor import Experiment, MetricsLogger


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def lines(log):
    log.flush()
    return [strict(line) for line in open(os.path.join(log.run_dir, "metrics.jsonl"), encoding="utf-8")]


def test_values_and_steps_come_back(tmp_path):
    with MetricsLogger(tmp_path, "exp") as log:
        log.log("loss", 0.5, 10)
        log.log("loss", np.float32(0.25), step=np.int64(20))
        log.log("loss", mt.tensor(0.125))
        log.log_metrics({"acc": 0.5, "f1": True}, step=3)
        assert [(s, v) for s, v, _ in log.get_metric("loss")] == [(10, 0.5), (20, 0.25), (21, 0.125)]
        assert abs(log.get_metric("loss")[0][2] - time.time()) < 5
        assert log.get_latest("loss") == 0.125 and log.get_latest("nothing") is None
        run = log.run_name
    metrics = Experiment(tmp_path).get_run_metrics(run)
    assert metrics == {"loss": [(10, 0.5), (20, 0.25), (21, 0.125)], "acc": [(3, 0.5)], "f1": [(3, 1.0)]}


def test_nan_and_infinities_are_valid_json(tmp_path):
    log = MetricsLogger(tmp_path)
    for v in (math.nan, math.inf, -math.inf):
        log.log("loss", v)
    assert [x["value"] for x in lines(log)] == ["NaN", "Infinity", "-Infinity"]
    values = [v for _, v, _ in log.get_metric("loss")]
    assert math.isnan(values[0]) and values[1:] == [math.inf, -math.inf]
    log.log_hyperparams({"a": math.nan, "b": [math.inf], "c": np.float64(2), "d": np.arange(3), "e": mt.tensor([1.0, 2.0]), "f": None, "g": {"h": object}})
    log.close()
    meta = strict(open(os.path.join(log.run_dir, "metadata.json")).read())
    assert {k: meta["hyperparams"][k] for k in "abcdef"} == {"a": "NaN", "b": ["Infinity"], "c": 2, "d": [0, 1, 2], "e": [1, 2], "f": None}


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a\"b'c\\d", "line\nbreak\r\t\0", "\u202egnirts", "😀" * 200, "x" * 1024, "\ud800", "{}", "../../bait"])
def test_hostile_names_and_values(tmp_path, name):
    try:
        name.encode()
    except UnicodeEncodeError:
        with pytest.raises((TypeError, UnicodeEncodeError)):
            MetricsLogger(tmp_path).log(name, 1)
        return
    with MetricsLogger(tmp_path, name, comment=name) as log:
        log.log(name, 1)
        log.log_text(name, name * 10)
        log.set_tags(name)
        log.log_hyperparams({name: name})
        [metric, text] = lines(log)
        assert metric["name"] == text["name"] == name and text["text"] == name * 10
    assert os.listdir(tmp_path) == [log.run_name]
    e = Experiment(tmp_path)
    assert e.get_run_metrics(log.run_name) == {name: [(0, 1.0)]}
    meta = e.get_run_metadata(log.run_name)
    assert meta["experiment_name"] == meta["comment"] == name and meta["hyperparams"] == {name: name} and e.tags(log.run_name) == [name]


def test_ten_megabytes_of_text_and_names(tmp_path):
    with MetricsLogger(tmp_path) as log:
        with pytest.raises(ValueError, match="a name of 1 to 1024 bytes, got 10000000 bytes"):
            log.log("x" * 10_000_000, 1)
        log.log_text("big", "y" * 10_000_000)
        log.log("after", 1)
        assert len(lines(log)[0]["text"]) == 10_000_000


def test_two_runs_in_one_second_are_two_folders(tmp_path):
    names = [MetricsLogger(tmp_path, "same").run_name for _ in range(5)]
    assert len(set(names)) == 5 and sorted(os.listdir(tmp_path)) == sorted(names)


def test_starts_in_several_processes_are_folders_of_their_own(tmp_path):
    code = "import sys; from miniten.monitor import MetricsLogger\nfor i in range(5): MetricsLogger(sys.argv[1], 'p').log('x', i)"
    children = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [c.wait(60) for c in children] == [0, 0, 0]
    e = Experiment(tmp_path)
    assert len(e.list_runs()) == 15 and all(len(e.get_run_metrics(r)["x"]) == 1 for r in e.list_runs())


def test_kill_9_loses_no_written_line_and_the_run_resumes(tmp_path):
    code = "import sys; from miniten.monitor import MetricsLogger\nlog = MetricsLogger(sys.argv[1], flush_secs=0)\nprint(log.run_name, flush=True)\ni = 0\nwhile True:\n  log.log('x', i, i); i += 1\n  if i == 1000: print('go', flush=True)"
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    run = child.stdout.readline().strip()
    assert child.stdout.readline() == "go\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    file = tmp_path / run / "metrics.jsonl"
    torn = len(file.read_bytes().rpartition(b"\n")[2])          # a write that crosses a page may end there
    e = Experiment(tmp_path)
    assert e.get_run_metadata(run)["status"] == "interrupted"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        points = e.get_run_metrics(run)["x"]
    assert len(said) == (torn > 0)
    assert len(points) >= 1000 and points == [(i, float(i)) for i in range(len(points))]
    with open(file, "a") as f:
        f.write('{"name":"x","st')
    with pytest.warns(RuntimeWarning, match=f"{torn + 15} bytes of a torn last line dropped"):
        e.get_run_metrics(run)
    with MetricsLogger(tmp_path, resume=run) as log:
        assert log.recovered_bytes == torn + 15
        log.log("x", -1)
    assert e.get_run_metrics(run)["x"][-1] == (len(points), -1.0) and e.get_run_metadata(run)["status"] == "closed"


def test_an_exception_is_the_runs_status(tmp_path):
    with pytest.raises(KeyError), MetricsLogger(tmp_path) as log:
        raise KeyError("x")
    assert Experiment(tmp_path).get_run_metadata(log.run_name)["status"] == "failed: KeyError"


def test_histograms_are_numpys(tmp_path, rng):
    values = rng.standard_normal(1000)
    with MetricsLogger(tmp_path) as log:
        log.log_histogram("w", values, step=4, bins=20)
        log.log_histogram("w", np.append(values, [np.nan, np.inf]).astype(np.float32).reshape(2, -1), bins=20)
        first, second = lines(log)
    counts, edges = np.histogram(values, 20)
    assert first["counts"] == counts.tolist() and first["step"] == 4 and second["step"] == 5
    np.testing.assert_allclose(first["edges"], edges, rtol=1e-12, atol=1e-15)
    assert second["nonfinite"] == 2 and sum(second["counts"]) == 1000


def test_images_are_read_back_by_pillow(tmp_path, rng):
    Image = pytest.importorskip("PIL.Image")
    rgb = rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)
    grey = rng.random((4, 6)).astype(np.float32)
    with MetricsLogger(tmp_path) as log:
        log.log_image("rgb", rgb)
        log.log_image("grey", grey)
        with pytest.raises(TypeError, match="uint8, or floats"):
            log.log_image("x", np.zeros((2, 2), np.int64))
        with pytest.raises(ValueError, match="an image"):
            log.log_image("x", np.zeros((2, 2, 5), np.uint8))
        first, second = lines(log)
    np.testing.assert_array_equal(np.asarray(Image.open(os.path.join(log.run_dir, first["file"])).convert("RGB")), rgb)
    np.testing.assert_array_equal(np.asarray(Image.open(os.path.join(log.run_dir, second["file"])).convert("L")), np.floor(grey * 255 + 0.5))


def test_environment_and_system_metrics(tmp_path):
    with MetricsLogger(tmp_path, system_metrics=1e-6) as log:
        log.log("a", 1)
        log.log("a", 2)
        assert log.get_latest("system/rss_mb") > 1
    env = Experiment(tmp_path).get_run_metadata(log.run_name)["environment"]
    assert env["miniten"] == mt.__version__ and env["python"] == sys.version.split()[0] and env["cores"] >= 1


def test_a_million_points_take_no_memory(tmp_path):
    from miniten.monitor import MemoryProfiler

    log = MetricsLogger(tmp_path)
    for i in range(1000):
        log.log("loss", i)
    with MemoryProfiler() as memory:
        for i in range(200_000):
            log.log("loss", 0.5, i)
    assert memory.to_dict()["allocated_end_mb"] - memory.to_dict()["allocated_start_mb"] < 1
    log.close()


def test_logging_costs_less_than_writing_json_from_python(tmp_path):
    def cpu(write, n=20_000):
        start = time.process_time()
        for step in range(n):
            write(step)
        return time.process_time() - start

    with MetricsLogger(tmp_path) as log, open(tmp_path / "plain.jsonl", "w") as f:
        ours, plain = [], []
        for _ in range(5):
            ours.append(cpu(lambda step: log.log("loss", step * 0.1, step)))
            plain.append(cpu(lambda step: f.write(json.dumps({"name": "loss", "step": step, "value": step * 0.1, "time": time.time()}) + "\n")))
    assert sorted(ours)[2] < sorted(plain)[2] / 2


def test_best_run_is_by_best_value_not_the_last(tmp_path):
    runs = {}
    for name, values in {"early": [0.5, 0.1, 0.9], "late": [0.5, 0.4, 0.3]}.items():
        with MetricsLogger(tmp_path, name) as log:
            for v in values:
                log.log("val_loss", v)
        runs[name] = log.run_name
    e = Experiment(tmp_path)
    assert e.get_best_run("val_loss") == runs["early"] and e.get_best_run("val_loss", mode="max") == runs["early"]
    assert e.get_best_run("nothing") is None
    assert e.compare([runs["late"]], "val_loss") == {runs["late"]: [(0, 0.5), (1, 0.4), (2, 0.3)]}
    assert e.filter("min_metric('val_loss') < 0.2") == [runs["early"]]
    assert e.to_csv().splitlines()[0] == "run,metric,step,value,time" and len(e.to_csv().splitlines()) == 7
    e.to_csv(tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text() == e.to_csv()
    assert e.to_dict()[runs["late"]]["metrics"]["val_loss"][2][:2] == [2, 0.3]


def test_delete_run_removes_a_run_and_nothing_else(tmp_path):
    bait = tmp_path / "bait"
    bait.mkdir()
    (bait / "precious").write_text("bait")
    (bait / "metadata.json").write_text("{}")
    root = tmp_path / "runs"
    with MetricsLogger(root) as log:
        pass
    e = Experiment(root)
    os.symlink(bait, root / "link")
    for name in ("../bait", str(bait), "..", ".", "", "link", "nothing", log.run_name + "/..", "*"):
        with pytest.raises(ValueError, match=r"\[delete_run\] expected the name of a run"):
            e.delete_run(name)
    assert (bait / "precious").read_text() == "bait"
    e.delete_run(log.run_name)
    assert e.list_runs() == [] and sorted(os.listdir(root)) == ["link"] and (bait / "precious").read_text() == "bait"


def test_filter_evaluates_no_python(tmp_path):
    with MetricsLogger(tmp_path / "runs"):
        pass
    bait = tmp_path / "bait"
    for text in (f"open({str(bait)!r}, 'w')", f"__import__('pathlib').Path({str(bait)!r}).touch()", "().__class__", "exec('1')"):
        with pytest.raises(ValueError, match=r"\[filter\] expected"):
            Experiment(tmp_path / "runs").filter(text)
    assert not bait.exists()


def test_text_for_a_terminal_holds_no_commands_for_it(tmp_path):
    with MetricsLogger(tmp_path, "\x1b[31mred") as log:
        for i in range(20):
            log.log("loss\x1b[2J", 1 / (i + 1))
    text = Experiment(tmp_path).to_text(width=100)
    assert "> " + log.run_name in text and "closed" in text and "\x1b" not in text and "0.05" in text
