"""What a figure shows in words is never stronger than its intervals."""

import dataclasses
import re

import numpy as np
import pytest

from landscape.plots.drawing.style import METHOD_STYLES
from landscape.records import DisplacementRecord, LifelongRecord, SpectralDensityRecord
from landscape.report import figure_summaries
from landscape.report.figures import HOW_TO_READ, TITLES
from landscape.report.verdict import verdicts

NAMES = {look.label for look in METHOD_STYLES.values()}


def planted(make_contents, low, high, p=0.001):
    """Two methods whose every difference is 1 [low, high]."""
    contents = make_contents(("sgd", "sam"), 6, (), size=5)
    record = contents.comparison
    record.difference[:, 1], record.holm_p[:, 1] = (low + high) / 2, p
    record.difference_low[:, 1], record.difference_high[:, 1] = low, high
    for name in ("tau", "tau_low", "tau_high"):
        getattr(record, name)[:] = {"tau": 0.3, "tau_low": -0.1, "tau_high": 0.6}[name]
    return decided(contents)


def decided(contents):
    """The contents with the decisions that the intervals of its comparison lead to."""
    comparison = dataclasses.replace(contents.comparison, direction=None)
    return dataclasses.replace(contents, comparison=comparison)


def same(contents):
    """Every record of the other method is that of the baseline, moved by seed: no difference."""
    cells = {(m, s): contents.cells["sgd", (s + (m == "sam")) % 6] for m, s in contents.cells}
    return dataclasses.replace(contents, cells=cells)


@pytest.mark.parametrize("p", [0.001, 0.2])
def test_where_intervals_span_zero_no_figure_names_a_winner(make_contents, p):
    contents = same(planted(make_contents, -1.0, 3.0, p))
    for figure in TITLES:
        words = figure_summaries.summary(contents, figure)
        assert not re.search(r"(higher|lower|larger|smaller|better|worse)\b", words), (
            figure,
            words,
        )


def test_an_interval_without_zero_that_holm_rejects_names_none(make_contents):
    words = figure_summaries.summary(planted(make_contents, 0.1, 3.0, p=0.06), "spectrum")
    assert words == "λ max of the Hessian: no difference from SGD is shown for SAM."


def test_a_difference_is_told_with_its_interval(make_contents):
    contents = planted(make_contents, -5.0, -1.0)
    assert figure_summaries.summary(contents, "spectrum") == (
        "λ max of the Hessian: lower than SGD’s for SAM (−3.0 [−5.0, −1.0])."
    )
    assert "SAM" in figure_summaries.summary(contents, "differences")


def test_for_the_others_it_says_so(make_contents):
    contents = make_contents(("sgd", "sam", "fam", "msam"), 6, (), size=5)
    record = contents.comparison
    i = list(record.metrics).index("lambda_max")
    record.difference[i] = [np.nan, -3.0, 0.5, 4.0]
    record.difference_low[i], record.difference_high[i] = (
        record.difference[i] - 2,
        record.difference[i] + 2,
    )
    record.holm_p[i] = [np.nan, 0.001, 0.6, 0.001]
    contents = decided(contents)
    assert figure_summaries.summary(contents, "spectrum") == (
        "λ max of the Hessian: higher than SGD’s for mSAM (+4.0 [+2.0, +6.0]); "
        "lower than SGD’s for SAM (−3.0 [−5.0, −1.0]); for FAM no difference is shown."
    )


@pytest.mark.parametrize("figure", ["surface", "profile"])
def test_one_minimum_of_each_method_gets_a_range_and_no_names(make_contents, figure):
    words = figure_summaries.summary(make_contents(("sgd", "sam"), 6, (), size=5), figure)
    assert words.endswith("One minimum of each method: no interval, no verdict.")
    assert not any(name in words for name in NAMES) and " to " in words


def test_means_are_given_without_names(make_contents):
    words = figure_summaries.summary(make_contents(size=5), "comparison")
    assert words.startswith("Range of the means: test accuracy (%) 91.")
    assert not any(re.search(rf"\b{name}\b", words) for name in NAMES)


def test_numbers_of_records_are_paired_by_seed(make_contents):
    """The mean eigenvalue is lower by exactly 1 on every shared seed; a seed of one is no pair."""
    contents = make_contents(("sgd", "sam"), 6, (), size=5)
    cells = {key: dict(found) for key, found in contents.cells.items()}
    for (method, seed), found in cells.items():
        record: SpectralDensityRecord = found["spectral_density"]
        found["spectral_density"] = dataclasses.replace(
            record, mean=10.0 * seed - (method == "sam")
        )
    del cells["sgd", 0]["spectral_density"]
    words = figure_summaries.summary(dataclasses.replace(contents, cells=cells), "density")
    assert words == "Mean eigenvalue: no difference from SGD is shown for SAM."  # 5 pairs: p = 1/16
    cells["sgd", 0]["spectral_density"] = dataclasses.replace(record, mean=0.0)
    words = figure_summaries.summary(dataclasses.replace(contents, cells=cells), "density")
    assert words == "Mean eigenvalue: lower than SGD’s for SAM (−1 [−1, −1])."


def test_one_seed_and_one_method_are_told_nothing_stronger(make_contents):
    for contents in (make_contents(("sgd", "sam"), 1, (), size=5), make_contents(("sam",), 2, ())):
        for figure in TITLES:
            words = figure_summaries.summary(contents, figure)
            assert not re.search(r"\b(higher|lower) than", words), (figure, words)


def test_verdicts_over_many_methods_are_corrected():
    """One difference with p = 0.03 counts alone, and not among five (Holm)."""
    base = dict(enumerate([0.0] * 6))
    near = dict(enumerate([1.0, 2.0, 0.3, 1.5, -0.2, 1.1]))
    none = dict(enumerate([1.0, -1.0, 0.5, -0.5, 0.2, -0.2]))
    alone = verdicts({"sgd": base, "sam": near}, "sgd", "higher")
    assert (alone["sam"].kind, alone["sam"].better) == ("higher", True)
    among = verdicts({"sgd": base, "sam": near, **dict.fromkeys("abcd", none)}, "sgd")
    assert {found.kind for found in among.values()} == {"undecided"}


def test_a_lower_loss_alone_makes_no_flatter_surface(make_contents):
    """The same bowl, once 0.5 lower: the summary speaks of the rise, the caption of the colours."""
    contents = make_contents(("sgd", "sam"), 1, (), size=5)
    for kind in ("surface", "profile"):
        cells = {key: dict(records) for key, records in contents.cells.items()}
        low = cells["sgd", 0][kind]
        high = dataclasses.replace(
            low,
            loss=low.loss + 0.5,
            point=dataclasses.replace(low.point, loss=low.point.loss + 0.5),
        )
        cells["sam", 0] = {**cells["sam", 0], kind: high}
        words = figure_summaries.summary(dataclasses.replace(contents, cells=cells), kind)
        assert "rise of the loss" in words and " to " not in words, words
    assert "without being flatter" in HOW_TO_READ["surface"]
    assert not re.search(r"(basin|dark)[^.]* is a flatter", " ".join(HOW_TO_READ.values()))


def test_a_lower_accuracy_alone_is_no_cost_of_rounding(make_contents):
    contents = make_contents(("sgd", "sam"), 6, (), size=5)
    cells = {key: dict(records) for key, records in contents.cells.items()}
    for seed in range(6):
        for kind in ("quantization", "pruning"):
            r = cells["sgd", seed][kind]
            cells["sam", seed][kind] = dataclasses.replace(
                r, accuracy=r.accuracy - 0.2, clean_accuracy=r.clean_accuracy - 0.2
            )
    contents = dataclasses.replace(contents, cells=cells)
    for kind in ("quantization", "pruning"):
        assert "no difference from SGD is shown" in figure_summaries.summary(contents, kind)


def test_hollow_dots_are_said_not_to_be_significant_even_off_zero():
    """A bar may miss zero where Holm's correction leaves no difference shown."""
    assert "Holm" in HOW_TO_READ["differences"]
    assert "even where the bar misses zero" in HOW_TO_READ["differences"]


def test_a_page_without_a_sequence_of_tasks_says_nothing_of_forgetting(make_contents):
    contents = make_contents(("sgd", "sam"), 2, (), size=5)
    assert figure_summaries.summary(contents, "task_sharpness") == ""


def test_sharper_runs_that_forget_more_are_told_by_their_rank_correlation(make_contents):
    """Every run forgets as much as it is sharp: Kendall's τ is 1, over all and within methods."""
    contents = make_contents(("sgd", "sam"), 6, (), size=5)
    cells = {
        (method, seed): {"lifelong": forgetful(0.01 * (1 + seed) + 0.1 * (method == "sgd"))}
        for method, seed in contents.cells
    }
    words = figure_summaries.summary(dataclasses.replace(contents, cells=cells), "task_sharpness")
    assert re.search(r"with forgetting: \+1\S* .*over all runs, \+1\S* .*within methods", words)


def forgetful(fall):
    """A run of two tasks that loses `fall` of the first, and is ten times as sharp after it."""
    a = np.array([[0.9, 0.5], [0.9 - fall, 0.9]])
    ones = np.ones(2)
    return LifelongRecord(
        accuracy=a, start=0.5 * ones, loss=a, start_loss=ones, grad_evals=ones, seconds=ones,
        classes=np.arange(4).reshape(2, 2), quantities=np.array(["lambda_max"]),
        measured=np.array([[10 * fall], [1.0]]),
    )  # fmt: skip


def tuned(body, tail=0.1, **changed):
    """A run whose two modules from a file went `body` and `tail` of their norm; a drawn head."""
    columns = {
        "parameters": np.array(["body.weight", "tail.weight", "head.weight"]),
        "elements": np.array([6, 3, 4]), "distance": np.array([3.0 * body, 4.0 * tail, 9.0]),
        "start_norm": np.array([3.0, 4.0, 1.0]), "frozen": np.zeros(3, dtype=bool),
        "drawn": np.array([False, False, True]),
    }  # fmt: skip
    return DisplacementRecord(**columns | changed)


def moved(make_contents, run):
    """A study of two methods, of whose runs run(method, seed) is the record."""
    contents = make_contents(("sgd", "sam"), 6, (), size=5)
    cells = {key: {"displacement": run(*key)} for key in contents.cells}
    contents = dataclasses.replace(contents, cells=cells)
    return figure_summaries.summary(contents, "displacement")


def test_how_far_a_fine_tuned_network_moved_and_which_part_most(make_contents):
    words = moved(make_contents, lambda m, s: tuned(0.2 + 0.001 * s * (1 + (m == "sam"))))
    assert words.startswith("Distance that the weights from the file moved, over their norm:")
    assert "higher than SGD’s for SAM (+0.0" in words
    assert words.endswith(
        "Of the parts from the file body moved farthest for its norm in every run."
    )
    apart = moved(make_contents, lambda m, s: tuned(0.2 if s else 0.01))
    assert "no difference from SGD is shown for SAM" in apart
    assert apart.endswith("body moved farthest for its norm in 10 of 12 runs.")


def test_where_all_from_the_file_is_frozen_no_part_is_said_to_move(make_contents):
    frozen = np.array([True, True, False])
    words = moved(make_contents, lambda m, s: tuned(0.0, 0.0, frozen=frozen))
    assert words == "All weights from the file are frozen."


def test_one_part_is_not_compared_with_itself(make_contents):
    frozen = np.array([False, True, False])
    words = moved(make_contents, lambda m, s: tuned(0.2 + 0.01 * s, frozen=frozen))
    assert "moved farthest" not in words


def test_without_given_weights_there_is_nothing_to_say(make_contents):
    contents = make_contents(("sgd", "sam"), 2, (), size=5)
    assert figure_summaries.summary(contents, "displacement") == ""
