"""compile(tune=): choices are timed once, kept in a file and used again; results stay within what is promised."""

import os
import pathlib

import numpy as np
import pytest

import miniten as mt
from miniten import nn


def net(zeros=0.0):
    mt.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 1), nn.Flatten(), nn.Linear(64 * 196, 20)).eval()
    if zeros:
        state = dict(model.state_dict())
        keep = np.random.default_rng(0).random((4, 64, 1, 1)) >= zeros
        state["4.weight"] = mt.tensor(state["4.weight"].numpy() * np.repeat(keep, 16, 0).astype("float32"))
        model.load_state_dict(state)
    return model


SHAPE = (1, 16, 14, 14)


def image():
    return np.random.default_rng(1).normal(size=SHAPE).astype("float32")


def relative(a, b):
    return np.abs(a - b).max() / max(1, np.abs(b).max())


@pytest.mark.parametrize("threads", [1, 2])
def test_choices_are_timed_once_and_then_remembered(tmp_path, threads):
    path, x = tmp_path / "deep" / "choices", image()
    plain = mt.compile(net(), SHAPE, threads=threads)
    first = mt.compile(net(), SHAPE, threads=threads, tune=path)
    assert first.tuning["timed"] >= 2 and first.tuning["remembered"] == 0 and first.tuning["path"] == str(path)
    assert relative(first.run(x).numpy(), plain.run(x).numpy()) <= 1e-4
    text = path.read_text()
    again = mt.compile(net(), SHAPE, threads=threads, tune=str(path))
    assert again.tuning["timed"] == 0 and again.tuning["remembered"] == first.tuning["timed"] and path.read_text() == text
    assert np.array_equal(again.run(x).numpy(), first.run(x).numpy())
    assert np.array_equal(again.clone().run(x).numpy(), first.run(x).numpy())
    other = mt.compile(net(), (2, *SHAPE[1:]), threads=threads, tune=path)  # another shape is another key
    assert other.tuning["timed"] >= 2 and text.splitlines()[1] in path.read_text()
    assert plain.tuning == {"path": "", "timed": 0, "remembered": 0, "changed": 0}


@pytest.mark.parametrize("form", ["conv2d_rows", "conv2d_columns", "conv2d_winograd2", "conv2d_winograd4"])
def test_what_the_file_says_is_done_with_the_same_bits_for_any_number_of_threads(tmp_path, form):
    x, results = image(), []
    plain = mt.compile(net(), SHAPE).run(x).numpy()
    for threads in (1, 2, 3):
        path = tmp_path / str(threads)
        mt.compile(net(), SHAPE, threads=threads, tune=path)
        lines = path.read_text().splitlines()
        if form == "conv2d_columns" and threads == 1:
            continue  # nobody to share with
        def choice(key):
            if " conv2d(" not in key:
                return "matmul_rows"
            return "conv2d_rows" if form == "conv2d_columns" and "(32, 16, 3, 3)" in key else form

        path.write_text("\n".join([lines[0], *(key + "\t" + choice(key) for key in (line.split("\t")[0] for line in lines[1:]))]) + "\n")
        session = mt.compile(net(), SHAPE, threads=threads, tune=path)
        assert form in session.to_text()
        results.append(session.run(x).numpy())
        assert relative(results[-1], plain) <= 1e-4
    assert all(np.array_equal(r, results[0]) for r in results)


def test_exact_sessions_are_offered_exact_forms_alone(tmp_path):
    x = image()
    want = mt.compile(net(), SHAPE, exact=True).run(x).numpy()
    tuned = mt.compile(net(), SHAPE, exact=True, tune=tmp_path / "c")
    assert "winograd" not in tuned.to_text() and relative(tuned.run(x).numpy(), want) <= 1e-5


def test_sparse_weights_may_be_taken_for_dense(tmp_path):
    x, path = image(), tmp_path / "c"
    model = net(zeros=0.75)
    want = mt.compile(model, SHAPE, threads=1).run(x).numpy()
    tuned = mt.compile(model, SHAPE, threads=1, tune=path)
    assert relative(tuned.run(x).numpy(), want) <= 1e-4
    assert any("(64, 64, 1, 1)" in line for line in path.read_text().splitlines())


def test_a_narrower_precision_is_tuned_with_its_float_form(tmp_path):
    x = image()
    tuned = mt.compile(net(), SHAPE, precision="bf16", tune=tmp_path / "c")
    assert relative(tuned.run(x).numpy(), mt.compile(net(), SHAPE).run(x).numpy()) <= 0.02


@pytest.mark.parametrize("text", ["", "nonsense", "miniten choices 1\nno tab\n", "miniten choices 1\nkey\tcut off", "\0\1\2" * 99])
def test_a_broken_file_is_ignored_with_a_warning_and_written_anew(tmp_path, text):
    path = tmp_path / "choices"
    path.write_bytes(text.encode())
    with pytest.warns(RuntimeWarning, match="ignored"):
        session = mt.compile(net(), SHAPE, tune=path)
    assert session.tuning["timed"] >= 1
    assert mt.compile(net(), SHAPE, tune=path).tuning["timed"] == 0


def test_an_unknown_choice_is_timed_again(tmp_path):
    path = tmp_path / "choices"
    n = mt.compile(net(), SHAPE, tune=path).tuning["timed"]
    path.write_text(path.read_text().replace("\tconv2d", "\tconv9d"))
    assert 0 < mt.compile(net(), SHAPE, tune=path).tuning["timed"] <= n


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_place_that_cannot_be_written_is_a_warning(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.warns(RuntimeWarning, match="could not write"):
        mt.compile(net(), SHAPE, tune=tmp_path / "c")


def test_a_folder_in_the_file_s_place_is_a_warning(tmp_path):
    with pytest.warns(RuntimeWarning):
        session = mt.compile(net(), SHAPE, tune=tmp_path)
    assert session.run(image()).shape == (1, 20)


def test_true_means_the_user_s_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    session = mt.compile(net(), SHAPE, tune=True)
    assert pathlib.Path(session.tuning["path"]) == tmp_path / "miniten" / "choices" and (tmp_path / "miniten" / "choices").exists()
    assert sorted(p.name for p in (tmp_path / "miniten").iterdir()) == ["choices"]
