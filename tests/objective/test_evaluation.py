"""Evaluation at many points: the numbers of one at a time, without a trace, by the fast way only
where it is the same function.
"""

import functools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.models import convnet, mlp, resnet18
from landscape.network.batch import Batch
from landscape.network.batch_norm import POLICIES
from landscape.objective.objective import Objective
from landscape.objective.pass_plan import agree, elsewhere, fast_plans


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def images(sizes=(7, 4), seed=1, dtype=torch.float64, channels=1):
    g = torch.Generator().manual_seed(seed)
    return [
        Batch(
            torch.randn(size, channels, 8, 8, generator=g, dtype=torch.float64).to(dtype),
            torch.randint(0, 10, (size,), generator=g),
        )
        for size in sizes
    ]


def warm(make=convnet, dtype=torch.float64):
    """A network whose statistics differ from those of any batch."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make().to(dtype)
        model(torch.randn(30, 1, 8, 8, dtype=dtype))
    return model


def around(objective, count=5, scale=0.05):
    g = torch.Generator().manual_seed(2)
    xi = torch.randn(count, objective.weights.n, generator=g, dtype=torch.float64)
    return list(objective.w + scale * xi.to(objective.w))


def naive(model, batches, loss, point, logits=None):
    """A loop of a user: copy the point into the model, eval mode, weights by examples."""
    torch.nn.utils.vector_to_parameters(point, model.parameters())
    model.eval()
    total = sum(b.share for b in batches)
    right = [((logits or model)(b.x).argmax(-1) == b.y).sum().item() for b in batches]
    with torch.no_grad():
        value = sum(b.share / total * loss(model, b).item() for b in batches)
    return value, sum(right) / sum(len(b.y) for b in batches)


def is_fast(objective):
    return objective._evaluator.plan.in_place


@pytest.mark.parametrize("make", [convnet, mlp])
@pytest.mark.parametrize("weight", [None, 30.0])
def test_the_numbers_of_a_naive_loop(make, weight):
    model, batches = warm(make), images()
    batches[1] = Batch(batches[1].x, batches[1].y, weight)
    objective = Objective(model, batches, cross_entropy)
    points = around(objective)
    found = objective.evaluate(points)
    assert is_fast(objective)
    assert found == objective.evaluate(point for point in points)
    expected = [naive(warm(make), batches, cross_entropy, point) for point in points]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-12, atol=0)
    plans = [plan for kind in fast_plans(objective.risk) for plan in kind]
    assert [len(plan.chains) for plan in plans] == ([0, 0, 2] * 2 if make is convnet else [0, 0])
    for plan in plans:
        found = objective._evaluator._answers(plan, points)
        torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-12, atol=0)


def by_name(risk):
    return {str(plan): plan for kind in fast_plans(risk) for plan in kind}


def test_the_fastest_plan_that_agrees_is_chosen(monkeypatch):
    objective = Objective(warm(), images(), cross_entropy)
    evaluator = objective._evaluator
    plain, *names = ["plain", *by_name(objective.risk)][:4]
    assert names == [
        "in place, few classes",
        "in place, few classes, channels_last",
        "in place, few classes, channels_last, folded",
    ]
    assert objective.way(1) == plain
    for times, fastest in [
        ((3, 2, 1), 2),
        ((3, 1, 2), 1),
        ((1.0, 0.95, 0.91), 0),
        ((math.inf, 2, 1), 2),
        ((1e-4, 1e-5, 1e-6), 0),
    ]:
        seconds = dict(zip(names, times, strict=True))
        monkeypatch.setattr(evaluator, "_seconds", lambda plan, *_, s=seconds: s[str(plan)])
        evaluator._planned = None
        assert objective.way() == names[fastest]
    assert objective.way(1) == names[0]  # known already


def test_few_points_are_not_worth_a_choice():
    objective = Objective(warm(), images(), cross_entropy)
    points = around(objective)
    found = objective.evaluate(points, expected=5)
    assert not objective._evaluator._is_planned
    assert found == [objective.value_and_accuracy(point) for point in points]
    objective.evaluate(points, expected=500)
    assert objective._evaluator._is_planned


def test_points_may_be_written_in_place():
    objective = Objective(warm(mlp), images(), cross_entropy)
    w, d, t = objective.w, around(objective, 1)[0], torch.linspace(-1, 1, 5).tolist()
    written = [lambda out, a=a: torch.add(w, d, alpha=a, out=out) for a in t]
    assert objective.evaluate(written) == objective.evaluate(torch.add(w, d, alpha=a) for a in t)
    assert objective.evaluate([written[0], w])[1] == objective.evaluate([w])[0]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ways_agree_under_every_policy(policy, dtype):
    objective = Objective(warm(dtype=dtype), images(dtype=dtype), cross_entropy, batch_norm=policy)
    points = around(objective)
    one_by_one = [objective.value_and_accuracy(point) for point in points]
    assert all(map(agree, objective.evaluate(points), one_by_one))
    assert is_fast(objective)
    assert [v for v, _ in one_by_one] == pytest.approx(list(map(objective.value, points)), rel=1e-6)


def test_points_of_a_row_are_many_and_chunks_do_not_show():
    objective = Objective(warm(mlp), images(), cross_entropy)
    points = around(objective, 130)
    assert objective.evaluate(points) == [objective.value_and_accuracy(p) for p in points]
    assert objective.evaluate([]) == []
    assert is_fast(objective)


class Counting(nn.Module):
    """Buffers, modes and random numbers all decide the output, and every pass moves them."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))
        self.inner = nn.Dropout()

    def forward(self, x):
        self.calls += 1
        self.inner.train()
        return (x * self.w).sum() + self.calls + 1e-9 * torch.rand((), dtype=torch.float64)


@pytest.mark.parametrize("raises", [None, RuntimeError, KeyboardInterrupt])
def test_every_pass_starts_alike_and_nothing_is_left(raises):
    model = Counting()
    model.inner.eval()
    count, seen = [], []

    def loss(model, batch):
        value = model(batch.x)
        count.append(model.calls.item())
        seen.append(torch.rand(()).item())
        if raises and len(count) == 15:
            raise raises("planned")
        return value

    objective = Objective(model, [Batch(torch.ones(1, 2).double(), None)], loss)
    buffer, parameter, state = model.calls, model.w, torch.get_rng_state()
    count.clear(), seen.clear()
    points = [objective.w] * 12
    if raises:
        with pytest.raises(raises, match="planned"):
            objective.evaluate(points)
    else:
        found = objective.evaluate(points)
        assert len(found) == 12
        assert len({v for v, _ in found}) == 1
    assert len(set(count)) == len(set(seen)) == 1
    assert model.calls is buffer and buffer.item() == 0 and model.w is parameter
    assert torch.equal(state, torch.get_rng_state())
    assert model.training and not model.inner.training
    assert not model._forward_hooks


def test_points_are_asked_for_outside():
    """A generator of points may use the model and torch's random numbers."""
    model = warm()
    objective = Objective(model, images(), cross_entropy)
    weight = model.conv1.weight

    def points():
        for _ in range(3):
            assert model.conv1.weight is weight and model.training and torch.is_grad_enabled()
            yield objective.w + 0.01 * torch.randn(objective.weights.n)

    torch.manual_seed(7)
    found = objective.evaluate(points())
    assert len(set(found)) == 3
    torch.manual_seed(7)
    assert objective.evaluate(points()) == found


def test_a_point_is_not_written_to_and_must_fit():
    objective = Objective(warm(mlp), images(), cross_entropy)
    points = around(objective, 2)
    before = [p.clone() for p in points]
    objective.evaluate(points)
    assert all(map(torch.equal, points, before))
    with pytest.raises(ValueError, match=r"must have shape \(4810,\). Got \(1,\)"):
        objective.evaluate([torch.zeros(1)])


def test_logits_and_targets_that_are_no_classes():
    model, batches = warm(), images()
    other = Objective(
        model, batches, cross_entropy, logits=lambda m, b: F.one_hot(b.y, 10).double()
    )
    assert [a for _, a in other.evaluate([other.w] * 2)] == [1.0, 1.0]
    regression = Objective(
        model, [Batch(b.x, b.x) for b in batches], lambda m, b: m(b.x).square().mean()
    )
    assert math.isnan(regression.evaluate([regression.w])[0][1])
    assert is_fast(regression)
    twice = Objective(model, batches, lambda m, b: cross_entropy(m, b) + m(b.x).mean())
    assert math.isnan(twice.evaluate([twice.w])[0][1])


def test_frozen_parameters_fold_too():
    model = warm()
    model.norm1.requires_grad_(False)
    model.conv2.weight.requires_grad_(False)
    objective = Objective(model, images(), cross_entropy)
    points = around(objective)
    one_by_one = [objective.value_and_accuracy(p) for p in points]
    torch.testing.assert_close(objective.evaluate(points), one_by_one, rtol=1e-12, atol=0)
    assert is_fast(objective)


def test_folding_shows_in_no_parameter():
    objective = Objective(
        warm(), images(), lambda m, b: cross_entropy(m, b) + m.conv1.weight.square().sum()
    )
    points = around(objective)
    one_by_one = [objective.value_and_accuracy(p) for p in points]
    torch.testing.assert_close(objective.evaluate(points), one_by_one, rtol=1e-12, atol=0)
    assert is_fast(objective)


@functools.cache
def remembered(weight):
    return weight.square().sum().item()


UNFIT = {  # a loss, and the options of a plan that change it
    "a look inside": (
        lambda m, b: cross_entropy(m, b) + m.conv1(b.x).square().mean(),
        ("folded",),
    ),
    "strides matter": (
        lambda m, b: cross_entropy(m, b) + m.conv1(b.x).view(-1).mean(),
        ("channels_last",),
    ),
    "strides of logits matter": (
        lambda m, b: F.cross_entropy(m(b.x.repeat(10, 1, 1, 1)).view(-1, 5), b.y.repeat(20) % 5),
        ("few classes",),
    ),
    "no finite number": (lambda m, b: cross_entropy(m, b) / 0, ("in place",)),
    "a weight known by its object": (
        lambda m, b: cross_entropy(m, b) + remembered(m.head.weight),
        ("in place",),
    ),
}


@pytest.mark.parametrize("reason", UNFIT)
def test_a_loss_that_sees_the_difference_goes_the_plain_way(reason):
    loss, unfit = UNFIT[reason]
    objective = Objective(warm(), images(), loss)
    points = around(objective, 2)
    expected = [objective.value_and_accuracy(p) for p in points]
    for name, plan in by_name(objective.risk).items():
        fits = objective._evaluator._seconds(plan, points, expected) < math.inf
        assert fits is not any(option in name for option in unfit)
    found = objective.evaluate(points)
    assert is_fast(objective) is (unfit != ("in place",))
    exact = {"rtol": 1e-12 if is_fast(objective) else 0, "atol": 0}
    torch.testing.assert_close(found, expected, **exact, equal_nan=True)


def test_the_random_point_moves_every_weight():
    objective = Objective(warm(), images(), cross_entropy)
    assert (elsewhere(objective.risk) != objective.w).all()
    assert torch.equal(elsewhere(objective.risk), elsewhere(objective.risk))


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ((1.0 + 9e-6, 0.5), (1.0, 0.5), True),
        ((1.0 + 2e-5, 0.5), (1.0, 0.5), False),
        ((9e-8, 0.5), (0.0, 0.5), True),
        ((2e-7, 0.5), (0.0, 0.5), False),
        ((1.0, 0.51), (1.0, 0.5), False),
        ((1.0, math.nan), (1.0, math.nan), True),
        ((math.nan, 0.5), (math.nan, 0.5), False),
    ],
)
def test_agreement(found, expected, same):
    assert agree(found, expected) is same


@pytest.mark.slow
def test_a_residual_network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = resnet18().eval()
    batches = images((8, 8), dtype=torch.float32, channels=3)
    objective = Objective(model, batches, cross_entropy)
    points = around(objective, 2, 1e-3)
    assert all(map(agree, objective.evaluate(points), map(objective.value_and_accuracy, points)))
    assert is_fast(objective)


@pytest.mark.gpu
@pytest.mark.parametrize("policy", POLICIES)
def test_cuda_agrees_with_float64_on_the_cpu(policy):
    exact = Objective(warm(), images(), cross_entropy, batch_norm=policy)
    on_gpu = Objective(
        warm().float().cuda(), images(dtype=torch.float32), cross_entropy, batch_norm=policy
    )
    points = around(exact)
    found = on_gpu.evaluate(p.float().cuda() for p in points)
    for (loss, accuracy), (true, true_accuracy) in zip(found, exact.evaluate(points), strict=True):
        assert loss == pytest.approx(true, rel=1e-5)
        assert accuracy == true_accuracy
