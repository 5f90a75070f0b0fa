"""Thresholds: how they are written, and when they hold."""

import math

import numpy as np
import pytest

from landscape.auditing.requirements import (
    HOLDS,
    NOT_REFUTED,
    SHORT,
    UNCERTAIN,
    Evaluation,
    parse,
    settings,
)
from landscape.records import EigenvaluesRecord, NoiseRecord, PruningRecord, WorstCaseRecord
from landscape.statistics.intervals import Interval

ANSWERS = {
    "evaluation": Evaluation(loss=0.25, accuracy=0.9, grad_norm=1e-3),
    "noise": NoiseRecord(
        sigma=np.array([0.0, 0.05, 0.1]),
        loss=np.array([[0.25] * 3, [0.3, 0.4, 0.5], [1.0, 1.0, 1.0]]),
        accuracy=np.array([[0.9] * 3, [0.7, 0.8, 0.9], [0.5, 0.5, 0.5]]),
        scale="max",
        clean_loss=0.25,
        clean_accuracy=0.9,
    ),
    "eigenvalues": EigenvaluesRecord(
        values=np.array([4.0, -1.0, 0.5]),
        residuals=np.full(3, 0.1),
        bounds=np.array([0.1, 0.2, 0.1]),
        converged=np.array([True, False, True]),
        hvps=9,
        which="both",
    ),
    "pruning": PruningRecord(
        fraction=np.array([0.0, 0.5]),
        loss=np.array([0.25, 0.5]),
        accuracy=np.array([0.9, 0.6]),
        pruned=np.array([0.0, 0.5]),
        scope="global",
        clean_loss=0.25,
        clean_accuracy=0.9,
    ),
}
WORST = WorstCaseRecord(
    radius=np.array([0.0, 0.1]),
    loss=np.array([0.25, 0.5]),
    accuracy=np.array([0.9, 0.6]),
    reached=np.array([[0.25], [0.5]]),
    scale="absolute",
    clean_loss=0.25,
    clean_accuracy=0.9,
)
HALF_WIDTH = 4.302652729911275 * 0.1 / math.sqrt(3)  # of the t interval with 2 degrees of freedom


def outcome(text, answers=ANSWERS, baseline=None):
    requirement = parse(text)
    return requirement.outcome(requirement.found(answers, baseline))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy >= 0.9", HOLDS),
        ("accuracy > 0.9", SHORT),
        ("loss<0.25", SHORT),
        ("loss <= .25", HOLDS),
        ("grad_norm < 1e-2", HOLDS),
        ("noise.accuracy@0.1 >= 0.5", HOLDS),
        ("noise.accuracy@0.05 >= 0.5", HOLDS),
        ("noise.accuracy@0.05 >= 0.8", UNCERTAIN),
        ("noise.accuracy @ 5e-2 >= 1.1", SHORT),
        ("noise.loss@0.05 <= 0.7", HOLDS),
        ("eigenvalues.max <= 4.11", HOLDS),
        ("eigenvalues.max <= 4.05", UNCERTAIN),
        ("eigenvalues.max <= 3.8", SHORT),
        ("eigenvalues.min >= -5", UNCERTAIN),  # has not converged: a lower one may exist
        ("eigenvalues.min >= -0.7", SHORT),
        ("pruning.accuracy@0.5 >= 0.6", HOLDS),
    ],
)
def test_outcomes(text, expected):
    assert outcome(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("worst.loss@0.1 <= 0.6", NOT_REFUTED),
        ("worst.loss@0.1 <= 0.5", NOT_REFUTED),
        ("worst.loss@0.1 < 0.5", SHORT),
        ("worst.loss@0.1 <= 0.4", SHORT),
        ("worst.loss@0.1 >= 0.4", HOLDS),  # at least as bad: that is proven
        ("worst.loss@0.1 >= 0.6", UNCERTAIN),
        ("worst.accuracy@0.1 >= 0.5", NOT_REFUTED),
        ("worst.accuracy@0.1 >= 0.7", SHORT),
        ("worst.accuracy@0.1 <= 0.7", HOLDS),
        ("change.worst.loss@0.1 <= 0.1", NOT_REFUTED),
        ("change.worst.loss@0.1 <= -0.1", UNCERTAIN),
    ],
)
def test_a_search_refutes_and_does_not_prove(text, expected):
    answers = {"worst_case": WORST}
    assert outcome(text, answers, answers) == expected


def test_the_interval_is_students():
    number = parse("noise.accuracy@0.05 >= 0").found(ANSWERS, None)
    assert number.mean == pytest.approx(0.8)
    assert number.low == pytest.approx(0.8 - HALF_WIDTH)
    assert number.high == pytest.approx(0.8 + HALF_WIDTH)


@pytest.mark.parametrize("sign", [">=", "<=", ">", "<"])
def test_without_an_interval_nothing_is_decided(sign):
    nan = float("nan")
    assert parse(f"loss {sign} 1").outcome(Interval(0.5, nan, nan, 1)) == UNCERTAIN


def test_change_is_new_minus_old_and_paired():
    old = dict(ANSWERS)
    shifted = ANSWERS["noise"].accuracy - 0.1
    old["noise"] = NoiseRecord(**{**vars(ANSWERS["noise"]), "accuracy": shifted})
    old["evaluation"] = Evaluation(loss=0.2, accuracy=0.95, grad_norm=1e-3)
    number = parse("change.noise.accuracy@0.05 >= 0").found(ANSWERS, old)
    assert (number.mean, number.low, number.high) == pytest.approx((0.1, 0.1, 0.1))
    assert parse("change.accuracy >= 0").found(ANSWERS, old).mean == pytest.approx(-0.05)
    with pytest.raises(ValueError, match="--baseline"):
        outcome("change.accuracy >= 0")


WRONG = {
    "accuracy": "is written",
    "accuracy => 0.9": "is written",
    "acuracy >= 0.9": "Did you mean 'accuracy'",
    "accuracy@0.1 >= 0.9": "write accuracy alone",
    "noise.accuracy >= 0.9": "write noise.accuracy@..., the level",
    "noise.accuracy@five >= 0.9": "a number stands behind the @",
    "accuracy >= high": "must be a number",
    "accuracy >= nan": "must be a number",
    "": "is written",
    "surface.max <= 3": "^A surface has no number to hold a threshold against. Known: accuracy, ",
    "change.path <= 3": "^A path has no number",
    "worst_case.loss@0.1 <= 3": "Did you mean 'worst.loss'",
    "trace.max <= 3": "Did you mean 'trace'",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_requirements(text):
    with pytest.raises(ValueError, match=WRONG[text]) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_what_does_not_apply_is_no_number():
    answers = {"evaluation": Evaluation(loss=1.0, accuracy=float("nan"), grad_norm=0.0)}
    with pytest.raises(ValueError, match="does not apply"):
        outcome("accuracy >= 0.9", answers)


def test_levels_that_are_named_are_measured():
    texts = ["noise.loss@0.3 < 1", "noise.accuracy@0.02 > 0", "noise.accuracy@0.3 > 0"]
    texts += ["quantization.accuracy@int3-channel > 0", "accuracy > 0", "trace < 1"]
    assert settings([parse(text) for text in texts]) == {
        "noise": {"sigmas": (0.02, 0.3)},
        "quantization": {"bits": (3,)},
        "trace": {},
    }
    with pytest.raises(ValueError, match="write int8, int4"):
        settings([parse("quantization.accuracy@eight > 0")])
