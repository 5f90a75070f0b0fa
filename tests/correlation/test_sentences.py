"""Words about a grid's answers: they say what the verdicts say, and nothing more."""

import math

import pytest

from landscape.correlation.sentences import HEAD, markdown, rows, sentence, sentences, table
from landscape.statistics.granulated import DOES_NOT, PREDICTS, UNDECIDED, Granulated
from landscape.statistics.grid_answers import Answer, GridAnswers
from landscape.statistics.rank_correlation import RankCorrelation


def answer(measure, verdict, tau=0.3, p=0.01):
    psi = RankCorrelation(tau, tau - 0.1, tau + 0.1, 10, 10)
    nothing = RankCorrelation(*[math.nan] * 3, 0, 0)
    found = Granulated(
        psi, ("lr", "width"), (psi, nothing), psi, (tau, math.nan), (1.0, 1.0), nothing,
        (-0.2, 0.2), p,
    )  # fmt: skip
    return Answer("gap_loss", measure, "measure" if verdict else "yardstick", found, verdict, p)


def grid(*answers, left_out=0):
    out = {f"network {i}": "not reached" for i in range(left_out)}
    return GridAnswers(["lr", "width"], answers, 20, out, {"level": 0.05})


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([("lambda_max", PREDICTS)], "Gap of the loss: predicted by λ max of the Hessian."),
        (
            [("trace", DOES_NOT), ("w_norm", UNDECIDED, 0.3, 0.2)],
            "Gap of the loss: no measure is shown to predict it; not by trace of the Hessian; not "
            "decided for ‖w‖.",
        ),
        (
            [("trace", UNDECIDED, -0.5, 0.01)],
            "Gap of the loss: no measure is shown to predict it; not decided for trace of the "
            "Hessian; significantly the other way with trace of the Hessian.",
        ),
        (
            [(name, UNDECIDED, 0.1, 0.9) for name in ("trace", "kappa", "w_norm", "grad_norm")],
            "Gap of the loss: no measure is shown to predict it; not decided for the other 4.",
        ),
    ],
)
def test_a_sentence_follows_the_verdicts(answers, said):
    assert sentence(grid(*[answer(*each) for each in answers]), "gap_loss") == said


def test_networks_are_counted_and_too_many_missing_ones_ask_for_another_grid():
    few = sentences(grid(answer("trace", PREDICTS), left_out=2))
    assert few[0] == "18 of 20 networks, stopped at a training loss of 0.05."
    assert len(few) == 2
    sequence = grid(answer("trace", PREDICTS))
    sequence.about["measured_after_task"] = 1
    assert sentences(sequence)[0] == (
        "20 of 20 networks, each task stopped at a training loss of 0.05, measured after the first."
    )
    many = sentences(grid(answer("trace", PREDICTS), left_out=3))
    assert "change the grid" in many[1]
    assert "not the level" in many[1]


def test_the_table_has_a_row_for_each_and_leaves_yardsticks_without_a_verdict():
    answers = grid(answer("lambda_max", PREDICTS), answer("steps", ""))
    first, second = rows(answers, "gap_loss")
    assert first == (
        "λ max of the Hessian", "+0.30 [+0.20, +0.40]", "[−0.20, +0.20]", "lr +0.30", "100%",
        "0.010", "predicts", "+0.30", "–",
    )  # fmt: skip
    assert len(first) == len(HEAD)
    assert second[5:7] == ("–", "yardstick")
    assert table(answers, "gap_loss").splitlines()[0].startswith("measure")
    assert markdown(answers, "gap_loss").splitlines()[0] == f"| {' | '.join(HEAD)} |"
