"""Points in bfloat16: the numbers of a plain loop under autocast, their error measured, recorded
and limited; everything else stays in IEEE float32.
"""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.measures import (
    Eigenvalues,
    NoiseRobustness,
    Path,
    Profile,
    SpectralDensity,
    Surface,
    Trace,
)
from landscape.measures.context import settings_of
from landscape.network.batch import Batch
from landscape.objective.objective import Objective

ANY = {"precision": "bf16", "precision_tolerance": float("inf")}
MEASURES = {
    "surface": partial(Surface, size=(3, 5)),
    "profile": partial(Profile, lines=4, size=3),
    "noise": partial(NoiseRobustness, sigmas=(0.1, 0.2), draws=3),
    "path": partial(Path, size=5),
}
# Positions of the points that are compared: corners and middle, as each record stores them.
COMPARED = {
    "surface": ([0, 0, 2, 2, 1], [0, 4, 0, 4, 2]),
    "profile": ([0, 0, 3, 3, 2], [0, 2, 0, 2, 1]),
    "noise": ([0, 1, 0, 1, 1], [0, 0, 2, 2, 1]),
    "path": ([0, 4, 2],),
}


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture
def objective(net, data):
    """An MLP in float32, on other data for another seed."""

    def make(seed=1, name="mlp"):
        batches = [Batch(b.x.float() + 0.1 * seed, b.y) for b in data(name)]
        return Objective(net(name).float(), batches, cross_entropy)

    return make


def asked(name, objective, **settings):
    end = {"end": -0.5 * objective.w} if name == "path" else {}
    return MEASURES[name](**end, **settings)


def plain_loop(model, batches, w):
    """L(w) as a user has it: weights copied in, a new block of autocast for each point."""
    nn.utils.vector_to_parameters(w, model.parameters())
    losses = []
    for batch in batches:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            losses.append(F.cross_entropy(model(batch.x), batch.y).item() * batch.size)
    return sum(losses) / sum(batch.size for batch in batches)


@pytest.mark.parametrize("name", ["mlp", "relu", "layer_norm"])
def test_points_are_those_of_a_plain_loop(name, objective, net):
    """Many points in one opening: casts of weights are not kept from one to the next."""
    subject = objective(name=name)
    points = [t * subject.w for t in (1.0, 0.7, 1.3, -0.5, 1.0)]
    losses = [loss for loss, _ in subject.evaluating_in("bf16").evaluate(points)]
    right = [plain_loop(net(name).float(), subject.given, point) for point in points]
    np.testing.assert_allclose(losses, right, rtol=1e-5)
    ieee = [loss for loss, _ in subject.evaluate(points)]
    assert np.abs(np.array(losses) / ieee - 1).max() > 1e-5


@pytest.mark.parametrize("name", MEASURES)
def test_the_error_is_measured_and_recorded(name, objective):
    """That of both data sets, at the corners of the grid and in its middle."""
    subject, other = objective(), objective(seed=7)
    exact = asked(name, subject)(subject, other=other)
    rough = asked(name, subject, **ANY)(subject, other=other)
    assert (exact.precision, exact.precision_error) == ("ieee", 0.0)
    assert rough.precision == "bf16"
    places = COMPARED[name]
    errors = [
        np.abs(getattr(rough, field)[places] / getattr(exact, field)[places] - 1).max()
        for field in ("loss", "other_loss")
    ]
    assert rough.precision_error == pytest.approx(max(errors), rel=1e-3)
    assert 1e-5 < rough.precision_error < 0.1
    flips = [
        np.abs(getattr(rough, field)[places] - getattr(exact, field)[places]).max()
        for field in ("accuracy", "other_accuracy")
    ]
    assert rough.precision_accuracy_error == pytest.approx(max(flips))
    assert rough.settings["precision"] == "bf16"
    assert rough.point.loss == exact.point.loss


@pytest.mark.parametrize("name", MEASURES)
def test_a_large_error_is_refused_unless_accepted(name, objective):
    subject = objective()
    error = asked(name, subject, **ANY)(subject).precision_error
    with pytest.raises(
        ValueError, match=r'in "bf16" is off by .*e-0.*Choose `precision` "ieee", or'
    ):
        asked(name, subject, precision="bf16", precision_tolerance=0.99 * error)(subject)
    accepted = asked(name, subject, precision="bf16", precision_tolerance=1.01 * error)(subject)
    assert accepted.precision_error == error


def test_a_small_loss_is_refused_by_default(objective):
    """Margins of a hundred: rounding of the logits moves what is left of the loss."""
    subject = objective()
    sharp = Objective(subject.model, subject.given, lambda m, b: F.cross_entropy(9 * m(b.x), b.y))
    with pytest.raises(ValueError, match=r"0\.001 is allowed.*precision_tolerance` 0?\.?\d"):
        Profile(lines=2, size=3, precision="bf16")(sharp)


def test_the_other_data_count(objective):
    subject, other = objective(), objective(seed=30)
    alone = asked("profile", subject, **ANY)(subject).precision_error
    both = asked("profile", subject, **ANY)(subject, other=other).precision_error
    assert both > alone
    with pytest.raises(ValueError, match="is off by"):
        asked("profile", subject, precision="bf16", precision_tolerance=alone)(subject, other=other)


def test_losses_that_are_no_numbers_in_both_agree(objective):
    """And those in one of them do not."""
    subject = objective()

    def broken(model, batch):
        return cross_entropy(model, batch) * float("nan")

    of_nan = Objective(subject.model, subject.given, broken)
    assert asked("profile", subject, precision="bf16")(of_nan).precision_error == 0.0

    def only_low(model, batch):
        y = model(batch.x)
        return cross_entropy(model, batch) * (float("nan") if y.dtype == torch.bfloat16 else 1)

    with pytest.raises(ValueError, match="is off by inf of the loss"):
        asked("profile", subject, precision="bf16", precision_tolerance=1e9)(
            Objective(subject.model, subject.given, only_low)
        )


def test_all_but_points_is_in_float32(objective):
    subject = objective()
    low, v = subject.evaluating_in("bf16"), torch.ones_like(subject.w)
    assert low.value() == subject.value()
    assert torch.equal(low.grad(), subject.grad())
    assert torch.equal(low.hvp(v), subject.hvp(v))
    assert low.value_and_accuracy() == subject.value_and_accuracy()
    assert low.way() != subject.way()
    assert "bf16" in low.way(expected=1)


def test_another_process_takes_the_same_pass(objective):
    subject = objective(name="conv")
    low, again = (subject.evaluating_in("bf16") for _ in range(2))
    again.take_way(low.way())
    assert again.way() == low.way()
    with pytest.raises(ValueError, match="is none here"):
        subject.take_way(low.way())


def test_records_from_before_answer_the_same_question(objective):
    """A default arithmetic is in no record's settings."""
    subject = objective()
    for name in MEASURES:
        assert not {"precision", "precision_tolerance"} & settings_of(asked(name, subject)).keys()
        assert settings_of(asked(name, subject, **ANY)).keys() >= ANY.keys()


def test_noise_of_no_level(objective):
    subject = objective()
    record = NoiseRobustness(sigmas=(0.0,), draws=2, precision="bf16")(subject)
    assert (record.precision, record.precision_error) == ("bf16", 0.0)


@pytest.mark.parametrize("measure", [Eigenvalues, Trace, SpectralDensity])
def test_curvature_is_refused(measure):
    with pytest.raises(ValueError, match=r"one of auto, ieee, tf32. Got 'bf16', which is for loss"):
        measure(precision="bf16")


@pytest.mark.parametrize("name", MEASURES)
def test_settings_are_checked(name):
    with pytest.raises(ValueError, match=r"one of auto, ieee, tf32, bf16. Got 'fp16'\."):
        MEASURES[name](precision="fp16")
    with pytest.raises(ValueError, match=r"`precision_tolerance` must be positive. Got 0\."):
        MEASURES[name](precision_tolerance=0.0)


def test_on_the_cpu_tf32_is_ieee(objective):
    subject = objective()
    exact, tf32 = (asked("profile", subject, precision=p)(subject) for p in ("ieee", "tf32"))
    np.testing.assert_allclose(tf32.loss, exact.loss, rtol=1e-6)
    assert tf32.precision == "tf32"
    assert tf32.precision_error < 1e-6
