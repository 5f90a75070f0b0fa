"""The headline says what the record decided, and no more."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.report.headline import beside, definition, headline

NAN = np.nan
FOUR = ("sgd", "sam", "asam", "fam")


@pytest.fixture(scope="module")
def decided(make_contents):
    """Contents of methods whose verdicts on λ max and accuracy are given, the baseline first."""

    def make(flat, accurate, methods=FOUR):
        contents = make_contents(methods, 2, (), size=5)
        metrics = list(contents.comparison.metrics)
        direction = np.zeros_like(contents.comparison.direction)
        direction[metrics.index("lambda_max"), 1:] = flat
        direction[metrics.index("test_accuracy"), 1:] = accurate
        return replace(contents, comparison=replace(contents.comparison, direction=direction))

    return make


@pytest.mark.parametrize(
    ("flat", "accurate", "words"),
    [
        ([0, 0, 0], [0, 0, 0],
         "No method is shown to find flatter minima than SGD; no method is shown to be more "
         "accurate."),
        ([-1, 0, 0], [0, 0, 0],
         "SAM found flatter minima than SGD, for ASAM and FAM neither is shown; no method is "
         "shown to be more accurate."),
        ([-1, -1, -1], [1, 1, 1],
         "SAM, ASAM and FAM found flatter minima than SGD; all the flatter ones are shown to be "
         "more accurate."),
        ([-1, -1, -1], [1, 1, 0],
         "SAM, ASAM and FAM found flatter minima than SGD; SAM and ASAM are shown to be more "
         "accurate."),
        ([-1, 1, 0], [-1, 1, 0],
         "SAM found flatter minima than SGD, ASAM sharper ones, for FAM neither is shown; ASAM is "
         "shown to be more accurate, SAM less accurate."),
        ([1, 0, 0], [-1, 0, 0],
         "No method is shown to find flatter minima than SGD, SAM found sharper ones, for ASAM "
         "and FAM neither is shown; no method is shown to be more accurate, SAM is shown to be "
         "less accurate."),
        ([-1, NAN, 0], [0, NAN, 0],
         "SAM found flatter minima than SGD, for FAM neither is shown; no method is shown to be "
         "more accurate; too few runs to tell for ASAM."),
        ([-1, NAN, -1], [0, 0, 0],
         "SAM and FAM found flatter minima than SGD; no method is shown to be more accurate; "
         "too few runs to tell the λ max of the Hessian of ASAM."),
        ([NAN, NAN, NAN], [NAN, NAN, NAN],
         "Too few runs finished to compare any method with SGD."),
    ],
)  # fmt: skip
def test_none_some_all_and_mixed_directions(decided, flat, accurate, words):
    assert headline(decided(flat, accurate)) == words


@pytest.mark.parametrize(
    ("flat", "accurate", "words"),
    [
        (-1, 0, "SAM found flatter minima than SGD; SAM is not shown to be more or less accurate."),
        (1, -1, "SAM found sharper minima than SGD; SAM is shown to be less accurate."),
        (0, 1, "SAM is not shown to find flatter or sharper minima than SGD; SAM is shown to be "
               "more accurate."),
    ],
)  # fmt: skip
def test_one_method_beside_the_baseline(decided, flat, accurate, words):
    assert headline(decided([flat], [accurate], ("sgd", "sam"))) == words


def test_a_long_group_is_named_by_those_that_are_not_in_it(decided):
    methods = ("sgd", *(f"sam@{i}" for i in range(12)))
    words = headline(decided([-1] * 10 + [0, 1], [0] * 12, methods))
    assert "All but SAM (10) and SAM (11) found flatter minima than SGD, SAM (11) sharper" in words
    assert "SAM (3)" not in words
    assert "All 12 methods found flatter" in headline(decided([-1] * 12, [0] * 12, methods))


def test_almost_all_of_those_named_before(decided):
    methods = ("sgd", "sam", "asam", "fam", "lets", "msam")
    words = headline(decided([-1] * 5, [1, 1, 1, 1, 0], methods))
    assert words.endswith("; the flatter ones but mSAM are shown to be more accurate.")


def test_one_seed_names_the_methods_and_gives_no_verdict(make_contents):
    contents = make_contents(("sgd", "sam"), 1, (), size=5)
    assert headline(contents) == "SGD and SAM, one run of each: no verdict."
    assert (
        definition(contents) == "Digits, 1 seed, equal epochs. One seed: no interval, no verdict."
    )
    names = ("sgd", "adamw", "sam", "asam", "fam", "lets", "msam", "aace", "lookbehind")
    many = make_contents(names, 1, (), size=5)
    assert headline(many) == "All 9 methods, one run of each: no verdict."


def test_all_diverged_and_one_method(make_contents):
    every = [(method, seed) for method in ("sgd", "sam") for seed in range(2)]
    contents = make_contents(("sgd", "sam"), 2, every, size=5)
    assert headline(contents) == "No run finished (4 runs diverged): there is nothing to compare."
    alone = make_contents(("msam",), 2, (), size=5)
    assert headline(alone) == "mSAM alone: there is nothing to compare it with."


def test_a_baseline_without_a_run_leaves_no_verdict(make_contents):
    gone = [("sgd", seed) for seed in range(3)]
    contents = make_contents(("sgd", "sam"), 3, gone, size=5)
    assert headline(contents) == "Too few runs finished to compare any method with SGD."
    assert "3 of 6 runs not finished." in definition(contents)


def test_without_accuracy_the_test_loss_is_told(make_contents):
    contents = make_contents(("sgd", "sam"), 6, (), metrics=("test_loss", "generalisation_gap"))
    assert headline(contents) == "SAM is shown to have a lower test loss than SGD."


def test_the_line_below_defines_its_words(make_contents):
    words = definition(make_contents(size=5))
    assert words == (
        "Digits, 6 seeds, equal epochs, 1 of 54 runs not finished. Flatter: a lower λ max, the "
        "largest eigenvalue of the Hessian. “Shown”: a 95 % interval without 0 and p < 0.05 after "
        "Holm’s correction."
    )


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([0, 0, 0], ""),
        ([-1, -1, 1],
         "SAM and ASAM are shown to have a lower test loss than SGD, FAM a higher one."),
        ([0, 0, 1],
         "No method is shown to have a lower test loss than SGD, FAM is shown to have a higher "
         "one."),
    ],
)  # fmt: skip
def test_a_test_loss_that_differs_stands_beside_the_headline(decided, losses, words):
    """A method may be flatter, not shown to be less accurate, and have a higher loss."""
    contents = decided([-1, -1, -1], [0, 0, 0])
    direction = contents.comparison.direction.copy()
    direction[list(contents.comparison.metrics).index("test_loss"), 1:] = losses
    contents = replace(contents, comparison=replace(contents.comparison, direction=direction))
    assert beside(contents) == words
