"""The loop against plain torch, its budgets, its streams, and how it ends badly."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.data import batches, split
from landscape.tasks.registry import TASKS
from landscape.training.base_optimizer import base_optimizer
from landscape.training.loop import Diverged, Training
from landscape.training.settings import resolve
from landscape.utils.device import device_of
from landscape.utils.rng import seed_of, seeded

DIGITS = TASKS["digits"]


@pytest.fixture(scope="module")
def digits():
    return DIGITS.load(None)


def training(digits, method="sgd", seed=0, **settings):
    layer = {"training": {"device": "cpu", **settings.pop("training", {})}, **settings}
    return Training(resolve("digits", method, seed, layer), DIGITS, digits)


def evaluated_test(t):
    (test,) = t.stage.evaluated["test"]
    return test


def run(t):
    while not t.done:
        list(t.run_epoch())
    return t


def test_two_epochs_are_those_of_a_loop_in_plain_torch(digits):
    """Cosine schedule, momentum, weight decay, order by seed: the same weights, bit for bit."""
    ours = run(training(digits, training={"epochs": 2, "lr": 0.1}))
    with seeded(seed_of(0, "init"), torch.device("cpu")):
        model = DIGITS.build()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True)
    train, step = split(digits, 0, 0.1).train, 0
    for epoch in range(2):
        order = torch.Generator().manual_seed(seed_of(0, "order", epoch))
        for batch in batches(train, 64, generator=order, drop_last=True):
            sgd.param_groups[0]["lr"] = 0.1 * 0.5 * (1 + math.cos(math.pi * step / 36))
            sgd.zero_grad()
            F.cross_entropy(model(batch.x), batch.y).backward()
            sgd.step()
            step += 1
    assert step == 36
    assert torch.equal(ours.walker.w, torch.cat([p.detach().flatten() for p in model.parameters()]))


def test_a_boundary_carries_everything(digits):
    """Three epochs at once, and one, a new object, two more: the same weights and metrics."""
    whole = run(training(digits, "lets", training={"epochs": 3}))
    first = training(digits, "lets", training={"epochs": 3})
    list(first.run_epoch())
    second = training(digits, "lets", training={"epochs": 3})
    second.restore(first.boundary())
    run(second)
    assert torch.equal(whole.walker.w, second.walker.w)
    for a, b in zip(whole.rows, second.rows, strict=True):
        timing = ("seconds", "examples_per_second")
        assert {k: v for k, v in a.items() if k not in timing} == {
            k: v for k, v in b.items() if k not in timing
        }


@pytest.mark.parametrize(("method", "epochs"), [("sgd", 4), ("sam", 2), ("lookbehind", 1)])
def test_equal_gradient_evaluations(digits, method, epochs):
    """The budget is SAM's: 2 epochs of SAM, 4 of SGD, 1 of Lookbehind with k = 2."""
    t = run(training(digits, method, training={"epochs": 2, "budget": "grad-evals"}))
    assert (t.epoch, t.walker.grad_evals) == (epochs, 72)
    assert t.optimizer.param_groups[0]["lr"] < 0.01  # the cosine went all the way


def test_every_method_trains_on_the_same_examples_and_none_on_test_data(digits):
    sgd, lets = training(digits), training(digits, "lets")
    assert (
        torch.equal(sgd.examples.train.x, lets.examples.train.x)
        and len(sgd.examples.train.x) == 1167
    )
    rows = {tuple(x.flatten().tolist()) for x in digits.test_x}
    lets_sees = [*lets.examples.train.x, *lets.examples.held_out.x]
    assert len(lets_sees) == 1297
    assert sum(tuple(x.flatten().tolist()) in rows for x in lets_sees) <= 1  # twins in the source


def test_a_seed_decides_start_order_and_split_but_not_the_test_set(digits):
    one, two = training(digits, seed=0), training(digits, seed=1)
    assert not torch.equal(one.walker.w, two.walker.w)
    assert not torch.equal(one.examples.train.x, two.examples.train.x)
    assert torch.equal(evaluated_test(one).x, evaluated_test(two).x)
    assert torch.equal(one.walker.w, training(digits, "sam", seed=0).walker.w)


def test_training_touches_no_global_random_state(digits):
    state = torch.get_rng_state()
    run(training(digits, "lets", training={"epochs": 1}))
    assert torch.equal(state, torch.get_rng_state())


def test_divergence_ends_at_the_last_finite_boundary(digits):
    t = training(digits, training={"epochs": 3, "lr": 1e4, "momentum": 0.99})
    with pytest.raises(Diverged):
        run(t)
    assert t.walker.w.isfinite().all() and not t.done
    assert t.rows[-1]["epoch"] == t.epoch


def test_label_smoothing_bends_the_training_loss_only(digits):
    t = training(digits, training={"epochs": 1, "label_smoothing": 0.9})
    plain = F.cross_entropy(t.model(evaluated_test(t).x), evaluated_test(t).y).item()
    assert t.rows[0]["test_loss"] == pytest.approx(plain, rel=1e-6)
    smoothed = t.walker.loss(t.model, evaluated_test(t)).item()
    assert smoothed == pytest.approx(
        F.cross_entropy(
            t.model(evaluated_test(t).x), evaluated_test(t).y, label_smoothing=0.9
        ).item(),
        rel=1e-6,
    )


def test_bf16_autocast_trains(digits):
    t = run(training(digits, "sam", training={"epochs": 2, "precision": "bf16"}))
    assert t.walker.w.dtype == torch.float32
    assert t.rows[-1]["train_loss"] < t.rows[0]["train_loss"]


def test_adamw_is_the_base_optimizer_of_its_method_and_on_request(digits):
    def kind(method, **options):
        t = training(digits, method, training=options)
        return type(base_optimizer(t.model, t.settings, t.method)).__base__

    assert kind("adamw") is torch.optim.AdamW
    assert kind("sam") is torch.optim.SGD
    assert kind("sam", optimizer="adamw") is torch.optim.AdamW
    assert kind("adamw", optimizer="sgd") is torch.optim.SGD


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_the_base_optimizer_steps_loads_and_is_hooked_as_torchs_own(digits, kind):
    name = kind.__name__.lower()
    t = training(digits, "sam", training={"optimizer": name, "weight_decay": 0.1})
    twins, steps = [], []
    for i in range(2):
        p = nn.Parameter(torch.linspace(-1, 1, 5))
        ours = base_optimizer(nn.ParameterList([p]), t.settings, t.method)
        settings = {name: ours.defaults[name] for name in ("lr", "weight_decay", "fused")}
        if kind is torch.optim.SGD:
            settings |= {"momentum": t.settings.training.momentum}
        twins.append((p, ours if i else kind([p], **settings)))
    (p, theirs), (q, ours) = twins
    ours.register_step_post_hook(lambda *_: steps.append(1))
    for _ in range(3):
        p.grad, q.grad = p.detach().sin(), q.detach().sin()
        theirs.step()
        ours.step()
        assert torch.equal(p, q) and q.requires_grad and q.is_leaf
        ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
        ours.zero_grad()
        assert q.grad is None
    assert len(steps) == 3
    assert ours.state_dict().keys() == theirs.state_dict().keys()


@pytest.mark.parametrize("name", ["gpu", "cuda:x"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ValueError, match=r"`training.device` must be"):
        device_of(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="speaks of machines without CUDA")
def test_cuda_where_there_is_none_is_refused():
    with pytest.raises(ValueError, match="No CUDA device is available"):
        device_of("cuda")


@pytest.mark.gpu
def test_an_epoch_on_cuda_is_near_the_one_on_the_cpu(digits):
    """36 steps of SAM in float32: weights agree to 1e-3 of their norm, losses to 1 %."""
    cpu = run(training(digits, "sam", training={"epochs": 2}))
    gpu = run(training(digits, "sam", training={"epochs": 2, "device": "cuda"}))
    w = cpu.walker.w
    assert (gpu.walker.w.cpu() - w).norm() < 1e-3 * w.norm()
    assert gpu.rows[-1]["train_loss"] == pytest.approx(cpu.rows[-1]["train_loss"], rel=0.01)
