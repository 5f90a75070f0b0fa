"""Tables of networks and the answers on them: round trips, orientation, who is left out."""

import itertools
import json

import numpy as np
import pytest

from landscape.statistics.granulated import PREDICTS
from landscape.statistics.grid_answers import GridAnswers, answers_of
from landscape.statistics.network_table import MEASURE, NetworkTable, quantity, read_networks
from landscape.utils.files import plain

POINTS = list(itertools.product(("0.05", "0.1", "0.2"), ("16", "64", "128"), ("sgd", "sam")))
SETTINGS = dict(zip(("learning rate", "width", "method"), zip(*POINTS, strict=True), strict=True))


def table(missing=0):
    draw = np.random.default_rng(0)
    gap = draw.normal(0.1, 0.02, len(POINTS))
    numbers = {
        "lambda_max": gap * 20,  # orders them as the gap does
        "noise_sigma_5": 0.2 - gap,  # falls as the gap rises: flatter is larger
        "sharpness@0.1": draw.normal(size=len(POINTS)),
        "steps": draw.integers(100, 200, len(POINTS)).astype(float),
        "train_loss": draw.normal(0.05, 1e-4, len(POINTS)),
        "gap_loss": gap,
        "noise_intolerance": gap - 0.2,
    }
    states = ["not reached: training loss 0.4 after 9 epochs"] * missing
    states += ["reached"] * (len(POINTS) - missing)
    return NetworkTable(SETTINGS, [0] * len(POINTS), states, numbers)


@pytest.fixture(scope="module")
def answers():
    return answers_of(table(1), {"level": 0.05}, resamples=200)


def of(answers, target, measure):
    (found,) = [a for a in answers.of(target) if a.measure == measure]
    return found


def test_measures_are_turned_so_that_sharper_is_larger(answers):
    for measure in ("lambda_max", "noise_sigma_5"):
        found = of(answers, "gap_loss", measure)
        assert found.correlations.Psi.tau == 1
        assert found.verdict == PREDICTS
        assert found.holm_p == pytest.approx(3 / 1001)  # three measures
    assert quantity("sharpness@0.1").label == "sharpness at ρ = 0.1"


def test_yardsticks_have_no_verdict_and_a_target_leaves_out_its_own_measure(answers):
    assert of(answers, "gap_loss", "steps").verdict == ""
    assert [a.measure for a in answers.of("noise_intolerance", MEASURE)] == [
        "lambda_max", "sharpness@0.1",
    ]  # fmt: skip


def test_networks_that_did_not_arrive_are_out_and_listed(answers):
    assert answers.left_out == {
        "learning rate 0.05, width 16, method sgd, seed 0": "not reached: training loss 0.4 after "
        "9 epochs"
    }
    assert answers.planned == 18
    assert not answers.too_many_left_out  # 1 of 18 is less than a tenth, 2 are more
    assert answers_of(table(2), resamples=20).too_many_left_out
    assert of(answers, "gap_loss", "lambda_max").correlations.tau.n == 17


def test_answers_read_back_what_they_wrote(answers):
    text = json.dumps(plain(answers.to_dict()), allow_nan=False)
    again = GridAnswers.from_dict(json.loads(text))
    assert plain(again.to_dict()) == json.loads(text)
    assert again.about == {"level": 0.05}
    with pytest.raises(ValueError, match=r"no correlate\.json of schema 1: kind 'audit'"):
        GridAnswers.from_dict({"kind": "audit", "schema": 1})


def test_a_table_reads_back_what_it_wrote(tmp_path):
    given = table(1)
    given.numbers["steps"][3] = np.nan
    given.write(tmp_path / "networks.csv")
    again = read_networks(tmp_path / "networks.csv")
    assert again.settings == SETTINGS
    assert list(again.states) == list(given.states)
    for name, values in given.numbers.items():
        np.testing.assert_allclose(again.numbers[name], values, rtol=1e-6)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"other\.csv is no table of networks"):
        read_networks(tmp_path / "other.csv")
