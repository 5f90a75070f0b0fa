"""Learning-rate factors by hand."""

import pytest

from landscape.training.schedule import factor
from landscape.training.settings import TrainingSettings


def at(spent, **settings):
    return factor(TrainingSettings(**settings), spent)


def test_cosine_goes_from_one_over_a_half_to_zero():
    assert [at(s) for s in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 0.0], abs=1e-12)


def test_step_multiplies_by_gamma_at_each_milestone():
    steps = {"schedule": "step", "milestones": (0.75, 0.5), "gamma": 0.2}
    assert [at(s, **steps) for s in (0.49, 0.5, 0.75)] == pytest.approx([1.0, 0.2, 0.04])


def test_warm_up_rises_and_the_cosine_runs_over_the_rest():
    assert 0 < at(0.0, warmup=0.2) < at(0.1, warmup=0.2) < 0.6
    assert at(0.2, warmup=0.2) == 1.0
    assert at(0.6, warmup=0.2) == pytest.approx(0.5)


def test_constant_stays():
    assert at(0.9, schedule="constant") == 1.0
