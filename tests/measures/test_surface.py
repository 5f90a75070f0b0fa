"""Surfaces against a naive loop, a function with no symmetry, and the eigenvalues."""

import copy
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective, Plane
from landscape.measures import Eigenvalues, Surface, pca_plane, random_plane


@pytest.mark.parametrize("size", [(3, 2), (2, 3), (4, 4)])
def test_loss_i_j_belongs_to_x_i_y_j(bare_objective, size):
    """Rule R9: L = 10 w_0 + w_1³ has no symmetry that would hide a transposed or mirrored grid."""
    subject = bare_objective([0.5, 0.0], lambda w: 10 * w[0] + w[1] ** 3)
    e = torch.eye(2, dtype=torch.float64)
    span = ((-2.0, 2.0), (1.0, 4.0))
    record = Surface(size=size, span=span, plane=Plane(subject.w, e[0], e[1]))(subject)
    np.testing.assert_array_equal(record.x, np.linspace(-2, 2, size[0]))
    np.testing.assert_array_equal(record.y, np.linspace(1, 4, size[1]))
    expected = 10 * (0.5 + record.x[:, None]) + record.y[None, :] ** 3
    np.testing.assert_allclose(record.loss, expected, rtol=1e-12)
    assert record.directions == "plane"
    assert np.isnan(record.centre)  # the grid does not hold w, and says so


@pytest.mark.parametrize("policy", ["stored", "batch"])
def test_equals_a_naive_loop_over_copies(objective, policy):
    subject = objective("conv", batch_norm=policy)
    record = Surface(size=(5, 3), span=(0.7, 0.4), seed=3)(subject)
    plane = random_plane(subject, seed=3)
    assert record.loss.shape == (5, 3)
    for i, x in enumerate(record.x):
        for j, y in enumerate(record.y):
            model = copy.deepcopy(subject.model).eval()
            model[1].train(policy == "batch")
            at = subject.w + x * plane.d1 + y * plane.d2
            nn.utils.vector_to_parameters(at, model.parameters())
            z = torch.cat([model(b.x) for b in subject.batches]).detach()
            targets = torch.cat([b.y for b in subject.batches])
            np.testing.assert_allclose(record.loss[i, j], F.cross_entropy(z, targets), rtol=1e-12)
            accuracy = (z.argmax(1) == targets).double().mean()
            np.testing.assert_allclose(record.accuracy[i, j], accuracy, rtol=1e-12)


def test_float32_equals_the_naive_loop_in_float64(net, data):
    """Within 1e-5 · max(loss, 0.01), which is what a picture may differ by."""
    exact = net("mlp")
    single = Objective(
        copy.deepcopy(exact).float(), [(b.x.float(), b.y) for b in data()], cross_entropy
    )
    plane = random_plane(single)
    record = Surface(size=5, plane=plane)(single)
    for i, x in enumerate(record.x):
        for j, y in enumerate(record.y):
            model = copy.deepcopy(exact)
            nn.utils.vector_to_parameters(plane.point(x, y).double(), model.parameters())
            z = torch.cat([model(b.x) for b in data()]).detach()
            loss = F.cross_entropy(z, torch.cat([b.y for b in data()])).item()
            assert abs(record.loss[i, j] - loss) <= 1e-5 * max(loss, 0.01)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.mark.parametrize("size", [3, 7, 11, 51])
def test_the_point_is_the_centre(bare_objective, size):
    subject, half = bare_objective([0.3, 0.7], lambda w: (w**2).sum()), size // 2
    e = torch.eye(2, dtype=torch.float64)
    record = Surface(size=size, span=0.3, plane=Plane(subject.w, *e))(subject)
    assert record.x[half] == record.y[half] == 0
    assert record.loss[half, half] == record.centre == subject.value() == record.point.loss
    assert (record.x[0], record.x[-1]) == (-0.3, 0.3)
    np.testing.assert_allclose(np.diff(record.x), record.x[1] - record.x[0])


@pytest.mark.thinned(3)
@pytest.mark.parametrize("policy", ["stored", "batch", "reestimated"])
def test_curvatures_along_eigenvectors_are_eigenvalues(objective, policy):
    """Rule R7: surface and eigenvalues speak of one function, under each batch-norm policy."""
    subject, h = objective("conv", batch_norm=policy), 1e-3
    loss = Surface(size=3, span=h, directions="eigenvectors")(subject).loss
    values = Eigenvalues(k=2)(subject).values
    curvatures = [
        (loss[2, 1] - 2 * loss[1, 1] + loss[0, 1]) / h**2,
        (loss[1, 2] - 2 * loss[1, 1] + loss[1, 0]) / h**2,
    ]
    np.testing.assert_allclose(curvatures, values, rtol=1e-3)


def test_two_data_sets_in_one_pass(objective, data):
    """The second one's numbers are those of a walk of its own over the same plane."""
    subject = objective("conv", batch_norm="batch")
    other = Objective(
        subject.model,
        [(-b.x, b.y) for b in data("conv", (6, 3))],
        cross_entropy,
        batch_norm="batch",
    )
    record = Surface(size=3)(subject, other=other)
    alone = Surface(size=3, plane=random_plane(subject))(other)
    np.testing.assert_array_equal(record.other_loss, alone.loss)
    np.testing.assert_array_equal(record.other_accuracy, alone.accuracy)
    assert (record.other.point, record.other.other) == (alone.point, None)
    np.testing.assert_array_equal(record.other.accuracy, alone.accuracy)
    np.testing.assert_array_equal(record.loss, Surface(size=3)(subject).loss)
    assert record.other_point == asdict(alone.point)
    assert Surface(size=3)(subject).other_loss is None


def test_a_second_objective_must_fit(objective, data):
    subject = objective("conv")
    with pytest.raises(ValueError, match=r"`other` must have the same batch-norm policy, stored"):
        Surface(size=3)(subject, other=objective("conv", batch_norm="batch"))
    with pytest.raises(ValueError, match=r"`other` must be an objective of the same network"):
        Surface(size=3)(subject, other=objective("mlp"))


def test_the_record_checks_itself(objective):
    record = Surface(size=3)(objective("conv"))
    np.testing.assert_allclose(record.filter_ratios, 1.0, rtol=1e-6)
    assert abs(record.cosine) < 1e-10
    assert record.nonfinite == 0
    assert record.position.tolist() == [0, 0]
    subject = objective("mlp")
    d1, d2 = 3 * subject.w, torch.ones_like(subject.w)
    skewed = Surface(size=3, plane=Plane(subject.w, d1, d2))(subject)
    np.testing.assert_allclose(skewed.filter_ratios[0], 3.0)
    assert skewed.filter_ratios[1, 0] < 0.9 * skewed.filter_ratios[1, 1]
    assert skewed.cosine == pytest.approx(float(F.cosine_similarity(d1, d2, 0)))


def test_the_share_that_is_not_finite(bare_objective):
    subject = bare_objective([1.0, 1.0], lambda w: w[0].log() + w[1])
    e = torch.eye(2, dtype=torch.float64)
    record = Surface(size=5, span=2.0, plane=Plane(subject.w, *e))(subject)
    assert np.isnan(record.loss[0]).all()
    assert np.isneginf(record.loss[1]).all()
    assert record.nonfinite == 2 / 5


def test_a_point_beside_the_plane_is_not_its_centre(bare_objective):
    subject = bare_objective([1.0, 1.0, 1.0], lambda w: (w**2).sum())
    e = torch.eye(3, dtype=torch.float64)
    record = Surface(size=3, plane=Plane(subject.w + e[2], e[0], e[1]))(subject)
    assert record.position.tolist() == [0.0, 0.0]
    assert record.off_plane == pytest.approx(1.0)
    assert np.isnan(record.centre)


def test_planes_are_laid_through_points(objective):
    """A trajectory through its end, minima through their mean; the box holds all of them."""
    subject = objective()
    steps = torch.randn(5, 53, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = torch.cat([subject.w + steps, subject.w[None]])
    walked = Surface(size=7, directions="trajectory", points=points)(subject)
    assert walked.centre == subject.value()
    np.testing.assert_allclose(walked.points[-1], 0, atol=1e-12)
    plane = pca_plane(points)
    named = {str(k): p for k, p in enumerate(points)}
    fitted = Surface(size=7, directions="minima", points=named)(subject)
    np.testing.assert_allclose(fitted.points, plane.project(points)[0], atol=1e-12)
    np.testing.assert_allclose(fitted.points_off_plane, plane.project(points)[1])
    np.testing.assert_allclose(fitted.explained, plane.explained)
    np.testing.assert_allclose(fitted.position, fitted.points[-1])
    assert fitted.off_plane == pytest.approx(fitted.points_off_plane[-1])
    assert fitted.point_names.tolist() == list("012345")
    for record in (walked, fitted):
        for axis, along in zip((record.x, record.y), record.points.T, strict=True):
            assert axis[0] < along.min()
            assert along.max() < axis[-1]
            assert 0 in axis
    with pytest.raises(ValueError, match=r"The plane of a trajectory needs `points`"):
        Surface(directions="trajectory")(subject)
    with pytest.raises(ValueError, match=r"`points` must have shape \(k, 53\). Got a \(4,\)"):
        Surface(points={"a": torch.zeros(4)})(subject)


def test_a_killed_walk_goes_on_with_the_same_numbers(objective, tmp_path):
    keep, calls = tmp_path / "rows", []
    whole = Surface(size=5)(objective("conv"))

    class Killed(BaseException):
        pass

    def kill(done, _):
        if done == 15:
            raise Killed

    with pytest.raises(Killed):
        Surface(size=5)(objective("conv"), keep=keep, progress=kill)
    subject = objective("conv")
    asked = subject.evaluate
    subject.evaluate = lambda points, **options: calls.append(1) or asked(points, **options)
    record = Surface(size=5)(subject, keep=keep)
    assert len(calls) == 2
    assert record.loss.tobytes() == whole.loss.tobytes()
    assert record.accuracy.tobytes() == whole.accuracy.tobytes()
    assert not keep.exists()


@pytest.mark.parametrize("changed", ["seed", "data", "w", "policy", "buffers", "other"])
def test_rows_of_another_question_are_not_taken(objective, data, tmp_path, changed):
    keep = tmp_path / "rows"

    def ask(change, progress=None):
        subject = objective(
            "conv",
            seed=int(change == "w"),
            batch_norm="batch" if change == "policy" else "stored",
        )
        if change == "buffers":
            subject.model[1].running_mean += 1
        shift = float(change == "data")
        batches = [(b.x + shift, b.y) for b in data("conv")]
        subject = Objective(subject.model, batches, cross_entropy, batch_norm=subject.batch_norm)
        measure = Surface(size=3, seed=int(change == "seed"))
        other = subject if change == "other" else None
        return measure(subject, other=other, keep=keep, progress=progress)

    def kill(done, _):
        raise KeyboardInterrupt

    expected = ask(changed)
    with pytest.raises(KeyboardInterrupt):
        ask(None, kill)
    np.testing.assert_array_equal(ask(changed).loss, expected.loss)


def test_progress_counts_points(objective):
    calls = []
    Surface(size=3)(objective(), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(3, 9), (6, 9), (9, 9)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 50}, "`size` must be odd and at least 3.* Got 50."),
        ({"size": (5, 4)}, "`size` must be odd and at least 3.* Got 4."),
        ({"size": 1}, "`size` must be odd and at least 3"),
        ({"size": 1, "span": ((0.0, 1.0), (0.0, 1.0))}, "`size` must be at least 2. Got 1."),
        ({"span": 0.0}, "`span` must be positive. Got 0.0."),
        ({"span": (1.0, float("nan"))}, "`span` must be positive. Got"),
        ({"span": ((0.0, 1.0), (2.0, 1.0))}, "`span` must rise from one end to the other. Got"),
        ({"directions": "pca"}, "`directions` must be one of random, eigenvectors, .* Got 'pca'."),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Surface(**settings)


def test_a_plane_of_other_shape_is_refused(objective):
    plane = Plane(*torch.eye(3))
    with pytest.raises(ValueError, match=r"`plane` must lie in the space of w, of shape \(53,\)"):
        Surface(plane=plane)(objective())
