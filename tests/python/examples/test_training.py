"""The examples of training reach what they promise, with fewer steps than by default, and fail where they do not."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "python"))

import character_model  # noqa: E402
import digits_autoencoder  # noqa: E402
import digits_distillation  # noqa: E402
import digits_mlp  # noqa: E402
import digits_resnet  # noqa: E402
import karate_club  # noqa: E402
import keyword_ds_cnn  # noqa: E402
import tone_spotter  # noqa: E402


@pytest.mark.parametrize("seed", range(3))
def test_karate_club(seed):
    assert karate_club.run(seed) >= karate_club.MUST_REACH


def test_digits():
    assert digits_resnet.run(seed=0, epochs=3, verbose=False) >= 0.95


def test_the_plain_loop():
    assert digits_mlp.run(seed=0, epochs=10) >= 0.93


def test_autoencoder():
    error, reference = digits_autoencoder.run(seed=0, epochs=30, verbose=False)
    assert error <= 0.85 * reference


def test_a_student_gains_by_a_teacher():
    teacher, alone, taught = digits_distillation.run(seed=0, count=200)
    assert teacher > taught > alone > 0.8


def test_keywords_in_floats_and_in_bytes():
    accuracy, in_bytes = keyword_ds_cnn.run(seed=0, steps=60)
    assert accuracy >= 0.8 and in_bytes >= accuracy - 0.01


def test_tones_as_a_stream():
    accuracy, apart = tone_spotter.run(seed=0, steps=60)
    assert accuracy >= 0.9 and apart <= 1e-4


@pytest.mark.parametrize("kind, steps, bits", [("lstm", 40, 4.8), ("gpt", 80, 4.9)])
def test_characters(kind, steps, bits):
    got, written = character_model.run(kind, steps, seed=0)
    assert got <= bits and len(written) == character_model.LENGTH


def test_a_missed_figure_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr(karate_club, "MUST_REACH", 1.01)
    assert karate_club.main([]) == 1 and "wanted" in capsys.readouterr().out
