"""Calibration against worked examples, its floor against simulated ones, and what it refuses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import Calibration
from landscape.records.outputs import (
    bins_of_equal_mass,
    bins_of_equal_width,
    calibration_error,
)

CONFIDENCE = np.array([0.95, 0.85, 0.85, 0.62, 0.55, 0.30])
CORRECT = np.array([1.0, 1, 0, 1, 0, 0])
X = torch.tensor([[1.0, 0], [0, 1], [1, 1], [-1, 2]], dtype=torch.float64)
Y = torch.tensor([0, 1, 2, 1])
W = torch.tensor([[1.0, -1], [0, 2], [0.5, 0.5]], dtype=torch.float64)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def softmax_regression(weight=W, y=Y, x=X):
    model = nn.Linear(2, 3, bias=False).double()
    model.weight.data.copy_(weight)
    return Objective(model, [(x, y)], cross_entropy)


def test_worked_examples():
    for bins, expected in ((10, 0.33), (15, 0.33), (1, 0.1866666667)):
        bin_of = bins_of_equal_width(CONFIDENCE, bins)
        assert calibration_error(CONFIDENCE, CORRECT, bin_of, bins) == pytest.approx(expected)
    bin_of = bins_of_equal_mass(CONFIDENCE, 3)
    assert calibration_error(CONFIDENCE, CORRECT, bin_of, 3) == pytest.approx(0.3633333333)


def test_bins_are_open_below_and_closed_above():
    assert bins_of_equal_width(np.array([0.2, 0.2000001, 1.0, 0.6]), 5).tolist() == [0, 1, 4, 2]


def test_ties_of_equal_mass_stay_in_the_order_of_the_data():
    assert bins_of_equal_mass(np.full(5, 0.7), 2).tolist() == [0, 0, 0, 1, 1]


def test_values_of_softmax_regression():
    record = Calibration()(softmax_regression())
    assert record.ece == pytest.approx(0.3508335520, abs=1e-10)
    assert record.brier == pytest.approx(0.3684318621, abs=1e-10)
    assert record.cross_entropy == pytest.approx(0.5899555278, abs=1e-10)
    assert record.accuracy == 0.75
    confidence, accuracy, count = record.reliability
    assert count.sum() == 4
    assert (count * np.abs(accuracy - confidence)).sum() / 4 == pytest.approx(record.ece)


def test_permuted_classes_change_nothing():
    order = torch.tensor([2, 0, 1])
    one = Calibration()(softmax_regression())
    other = Calibration()(softmax_regression(W[order], order.argsort()[Y]))
    assert other.ece == pytest.approx(one.ece, rel=1e-12)
    assert other.brier == pytest.approx(one.brier, rel=1e-12)


def test_scaled_logits_move_the_error_and_not_the_accuracy():
    one, other = (Calibration()(softmax_regression(c * W)) for c in (1, 3))
    assert one.accuracy == other.accuracy
    assert abs(one.ece - other.ece) > 0.05


def test_ignored_labels_are_left_out():
    y = torch.tensor([0, 1, -100, 1])
    model = softmax_regression().model
    masked = Objective(model, [(X, y)], cross_entropy)
    kept = [0, 1, 3]
    assert Calibration()(masked).ece == Calibration()(softmax_regression(y=Y[kept], x=X[kept])).ece


def test_places_of_a_sequence_are_examples():
    model = softmax_regression().model

    def per_place(model, batch):
        return F.cross_entropy(model(batch.x).flatten(0, 1), batch.y.flatten())

    sequences = Objective(model, [(X.reshape(2, 2, 2), Y.reshape(2, 2))], per_place)
    assert Calibration()(sequences).ece == pytest.approx(Calibration()(softmax_regression()).ece)


def confident(n, shift=0.0, seed=0):
    """n predictions of two classes, right with the stated probability minus `shift`."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 1.0, n)
    right = rng.random(n) < confidence - shift
    z = torch.tensor(np.log(confidence / (1 - confidence)))[:, None] * torch.tensor([1.0, 0])
    y = torch.tensor(np.where(right, 0, 1))
    model = nn.Linear(2, 2, bias=False).double()
    model.weight.data = torch.eye(2, dtype=torch.float64)
    return Objective(model, [(z, y)], cross_entropy)


@pytest.mark.thinned(2)
@pytest.mark.parametrize(("n", "mean", "spread"), [(200, 0.062, 0.017), (1000, 0.029, 0.008)])
def test_floor_is_that_of_perfect_calibration(n, mean, spread):
    """Mean error of perfectly calibrated predictions, confidences uniform in [0.5, 1]."""
    records = [Calibration(resamples=100)(confident(n, seed=seed)) for seed in range(30)]
    floors = np.array([record.floor for record in records])
    assert floors.mean() == pytest.approx(mean, abs=0.002)
    errors = np.array([record.ece for record in records])
    assert errors.mean() == pytest.approx(mean, abs=4 * spread / 30**0.5)
    above = [record.ece > record.floor_high for record in records]
    assert np.mean(above) < 0.25


def test_overconfidence_stands_above_the_floor():
    record = Calibration()(confident(1000, shift=0.15))
    assert record.ece_low > record.floor_high
    assert record.ece_low < record.ece < record.ece_high
    assert record.ece == pytest.approx(0.15, abs=0.05)


def test_refuses_what_has_no_classes():
    model = nn.Linear(2, 3).double()
    subject = Objective(
        model, [(X, torch.zeros(4, 3).double())], lambda m, b: F.mse_loss(m(b.x), b.y)
    )
    with pytest.raises(ValueError, match="must be classes"):
        Calibration()(subject)


@pytest.mark.parametrize(("name", "value"), [("bins", 0), ("resamples", 10)])
def test_settings_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be at least"):
        Calibration(**{name: value})


class Probabilities(nn.Module):
    """Softmax regression that answers with probabilities, or their logs."""

    def __init__(self, logs, weight=W):
        super().__init__()
        self.linear, self.logs = nn.Linear(2, 3, bias=False).double(), logs
        self.linear.weight.data.copy_(weight)

    def forward(self, x):
        p = self.linear(x).softmax(-1)
        return p.log() if self.logs else p


def nll(model, batch):
    answer = model(batch.x)
    return F.nll_loss(answer if model.logs else answer.log(), batch.y)


def test_probabilities_are_no_logits():
    objective = Objective(Probabilities(logs=False), [(X, Y)], nll)
    with pytest.raises(ValueError, match=r"logits=lambda model, batch: model\(batch\.x\)\.log\(\)"):
        Calibration()(objective)
    assert objective.accuracy() == 0.75  # the largest is the same one


@pytest.mark.parametrize("logs", [True, False])
def test_logs_of_probabilities_are_logits(logs):
    """As they are, or by the remedy that the refusal names."""
    logits = None if logs else lambda model, batch: model(batch.x).log()
    record = Calibration()(Objective(Probabilities(logs), [(X, Y)], nll, logits=logits))
    expected = Calibration()(softmax_regression())
    assert record.ece == pytest.approx(expected.ece, rel=1e-12)
    assert record.cross_entropy == pytest.approx(expected.cross_entropy, rel=1e-12)


def test_probabilities_that_the_loss_takes_for_logits_are_shifted():
    """The softmax of p + 1 is that of p: the other remedy."""
    model = Probabilities(logs=False)
    objective = Objective(model, [(X, Y)], cross_entropy, logits=lambda m, b: m(b.x) + 1)
    assert Calibration()(objective).cross_entropy == pytest.approx(objective.value(), rel=1e-12)
