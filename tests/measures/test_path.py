"""Paths: the line and its barrier, by hand."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, Objective
from landscape.measures import Path, Surface
from landscape.measures.space.planes import pca_plane, plane_through, random_plane
from landscape.network.weights import Weights
from landscape.records import barrier


def test_a_double_well_by_hand(bare_objective):
    """L = (w² − 1)² + w/4 from −1 to 1 on its line: the chord is w/4, the barrier 1, at t = 1/2."""
    subject = bare_objective([-1.0], lambda w: ((w**2 - 1) ** 2 + w / 4).sum())
    record = Path(torch.tensor([1.0], dtype=torch.float64), size=5, name="the other")(subject)
    np.testing.assert_array_equal(record.t, [0, 0.25, 0.5, 0.75, 1])
    w = 2 * record.t - 1
    np.testing.assert_allclose(record.loss, (w**2 - 1) ** 2 + w / 4, atol=1e-15)
    assert record.barrier == pytest.approx(1.0)
    assert record.length == pytest.approx(2.0)
    assert record.end == "the other"
    assert record.other is None


def test_a_bowl_has_no_barrier(bare_objective):
    subject = bare_objective([-1.0, 2.0], lambda w: (w**2).sum())
    assert Path(torch.tensor([3.0, 0.0]))(subject).barrier == 0.0


def test_the_barrier_stands_on_the_chord_between_unequal_ends():
    """Not on the mean of the ends, nor on the higher one."""
    t = np.array([0.0, 0.5, 1.0])
    assert barrier(t, np.array([0.0, 3.0, 4.0])) == 1.0
    assert barrier(t, np.array([4.0, 3.0, 0.0])) == 1.0
    assert np.isnan(barrier(t, np.array([0.0, np.nan, 0.0])))


def test_the_ends_are_the_two_points(objective):
    here, there = objective("mlp", seed=0), objective("mlp", seed=1)
    record = Path(there.w, size=3)(here, other=here)
    assert (record.loss[0], record.loss[-1]) == (here.value(), there.value())
    assert record.other.barrier == record.barrier


def two_networks():
    """Twins of one function, x as large in the second, with statistics of their own."""
    torch.manual_seed(0)
    one = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    two = copy.deepcopy(one)
    two[0].weight.data, two[0].bias.data = 5 * two[0].weight.data, 5 * two[0].bias.data + 3
    batch = Batch(torch.randn(32, 3).double(), torch.arange(32) % 2)
    for model in (one, two):
        model[1].momentum = None
        model.train()(batch.x)
    return one, two, batch


def loss(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.mark.parametrize(
    ("policy", "in_force"),
    [({}, "reestimated"), ({"batch_norm": "stored"}, "stored"), ({"batch_norm": "batch"}, "batch")],
)
def test_statistics_are_reestimated_on_the_way_unless_a_policy_was_chosen(policy, in_force):
    """The far end is the other network as it is: its loss with its own statistics."""
    one, two, batch = two_networks()
    here = Objective(one, [batch], loss, **policy)
    record = Path(Weights(two).read(), size=3)(here, other=here)
    right = [loss(model.eval(), batch).item() for model in (one, two)]
    assert record.point.batch_norm == record.other_point["batch_norm"] == in_force
    assert here.batch_norm == policy.get("batch_norm", "stored")
    assert record.stale is (in_force == "stored")
    if in_force == "reestimated":
        assert [record.loss[0], record.loss[-1]] == pytest.approx(right, rel=1e-10)
    if in_force == "stored":
        assert record.loss[-1] > 1.5 * right[1]


def test_planes_through_several_minima_do_the_same():
    one, two, batch = two_networks()
    here, ends = Objective(one, [batch], loss), [Weights(m).read() for m in (one, two)]
    points = torch.stack([*ends, ends[0] + torch.ones_like(ends[0])])
    for settings, policy in (
        ({"directions": "minima", "points": points}, "reestimated"),
        ({"directions": "trajectory", "points": points}, "reestimated"),
        ({"directions": "random", "points": points}, "stored"),
        ({"plane": pca_plane(points)}, "reestimated"),
        ({"plane": plane_through(*points)}, "reestimated"),
        ({"plane": random_plane(here)}, "stored"),
    ):
        assert Surface(size=3, **settings)(here).point.batch_norm == policy
    chosen = Objective(one, [batch], loss, batch_norm="stored")
    surface = Surface(size=3, directions="minima", points=points)(chosen)
    assert surface.point.batch_norm == "stored"


@pytest.mark.parametrize(
    ("name", "policy", "stale"),
    [("conv", "stored", True), ("conv", "batch", False), ("mlp", "stored", False)],
)
def test_statistics_of_the_first_end_are_said_to_be_stale(objective, name, policy, stale):
    subject = objective(name, batch_norm=policy)
    assert Path(0.5 * subject.w, size=3)(subject).stale is stale


def test_what_is_refused(objective):
    with pytest.raises(ValueError, match=r"`size` must be at least 3. Got 2."):
        Path(torch.zeros(3), size=2)
    with pytest.raises(ValueError, match=r"`end` must have shape \(53,\), as w. Got \(3,\)."):
        Path(torch.zeros(3))(objective())
    with pytest.raises(ValueError, match=r"`end` is another network: "):
        Path(nn.Linear(2, 2))(objective())
    with pytest.raises(ValueError, match=r"`end` must be finite"):
        Path(objective().w * torch.nan)(objective())
    with pytest.raises(ValueError, match=r"needs its other `end`: on the command line, --to RUN"):
        Path()(objective())


class OwnNorm(nn.Module):
    """Batch norm by hand; frozen, as FrozenBatchNorm2d, it normalises by what is stored."""

    def __init__(self, frozen):
        super().__init__()
        self.frozen = frozen
        self.register_buffer("running_mean", torch.zeros(3))
        self.register_buffer("unused", None)

    def forward(self, x):
        if self.training and not self.frozen:
            with torch.no_grad():
                self.running_mean.lerp_(x.mean(0), 0.1)
            return x - x.mean(0)
        return x - self.running_mean


def test_running_statistics_of_a_users_own_are_refused_unless_stored():
    batch = Batch(torch.randn(8, 3), torch.arange(8) % 2)
    for frozen in (False, True):
        model = nn.Sequential(OwnNorm(frozen), nn.Linear(3, 2))
        here, stored = (
            Objective(model, [batch], loss, **p) for p in ({}, {"batch_norm": "stored"})
        )
        end = 2 * here.w
        assert Path(end, size=3)(stored).loss[0] == here.value()
        asks = [lambda here=here, end=end: Path(end, size=3)(here)]
        asks += [
            lambda policy=policy, model=model: Objective(model, [batch], loss, batch_norm=policy)
            for policy in ("batch", "reestimated")
        ]
        for ask in asks:
            if frozen:
                ask()
            else:
                with pytest.raises(ValueError, match=r"'0' \(OwnNorm\) keep running statistics"):
                    ask()
        assert not model[0].running_mean.any() and model[0].training


def test_the_end_may_be_a_module_a_state_dict_or_a_run(objective):
    """All of them are the same point as the tensor."""
    here = objective()
    torch.manual_seed(3)
    other = copy.deepcopy(here.model)
    for p in other.parameters():
        p.data = torch.randn_like(p)

    class AsARun:
        def model(self):
            return other

    point = Weights(other).read()
    expected = Path(point, size=3)(here)
    for end in (other, other.state_dict(), AsARun()):
        found = Path(end, size=3)(here)
        assert np.array_equal(found.loss, expected.loss) and found.length == expected.length
        assert found.settings == expected.settings
    with pytest.raises(ValueError, match=r"a state dict or a run\. Got list"):
        Path([1.0])(here)
    lacking = dict(list(other.state_dict().items())[1:])
    with pytest.raises(ValueError, match="`end` is another network: it has no "):
        Path(lacking)(here)
    wrong = {name: value[..., :1] for name, value in other.state_dict().items()}
    with pytest.raises(ValueError, match=r"`end` is another network: .* must have shape"):
        Path(wrong)(here)
