"""Steps of training: ours beside bare passes, the usual SAM loop and pytorch_optimizer."""

from collections.abc import Callable, Iterator
from functools import cache, partial

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from comparison import truth
from comparison.rounds import OURS, Block, Contender, Scale
from comparison.subjects import (
    CRITERION,
    Subject,
    cross_entropy,
    residual,
    small_convolutions,
    small_language_model,
    small_mlp,
)
from landscape import Batch, methods, optim

RHO = 0.05
SGD = {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}
CHECKED = 5  # steps held against float64
Start = Callable[[Subject], tuple[nn.Module, Callable[[], object]]]


def sam(scale: Scale) -> Iterator[Block]:
    """SAM on four networks, from one that is all Python to one that is all arithmetic."""
    for network, examples, repeats in (
        (small_mlp, 64, 40),
        (small_convolutions, 64, 5),
        (small_language_model, 16, 3),
        (residual, 16, 1),
    ):
        subject = first(network, examples, scale)
        loop = contender(usual_loop, subject, RHO, at_least=1)
        entrants = {
            OURS: contender(partial(ours, methods.SAM(rho=RHO)), subject, RHO),
            "the usual loop over parameters": loop,
            "pytorch_optimizer's SAM": contender(pytorch_optimizer, subject, RHO),
            "2 bare passes + base step": floor(subject, 2, None if repeats == 40 else 1.05),
        }
        repeats = scale.pick(repeats, 1)
        yield Block("a step of SAM", subject.title, entrants, scale.pick(15, 1), repeats)


def others(scale: Scale) -> Iterator[Block]:
    """Methods that were far above their passes."""
    msam = methods.MSAM(num_shards=8)
    for method, name, network, examples, repeats, passes, most in (
        (msam, "mSAM, 8 shards", small_mlp, 64, 10, 2, 3),
        (msam, "mSAM, 8 shards", residual, 16, 1, 2, 1.5),
        (methods.LETS(), "LETS", small_mlp, 64, 20, 3, 2.5),
        (methods.FAM(), "FAM", small_language_model, 16, 2, 1, 3),
    ):
        subject = first(network, examples, scale)
        entrants = {
            OURS: contender(partial(ours, method), subject),
            f"{passes} bare pass{'es' * (passes > 1)} + base step": floor(subject, passes, most),
        }
        repeats = scale.pick(repeats, 1)
        yield Block(f"a step of {name}", subject.title, entrants, scale.pick(11, 1), repeats)


def first(network: Callable[[Scale], Subject], examples: int, scale: Scale) -> Subject:
    """The network with the first of its examples as the batch of a step; more where it has few."""
    count = scale.pick(examples, 16)
    subject = network(scale) if network is not residual else residual(scale, count)
    return Subject(subject.name, subject.network, subject.x[:count], subject.y[:count])


def contender(
    start: Start, subject: Subject, rho: float | None = None, at_least: float | None = None
) -> Contender:
    """Steps that go on from each other; with a radius, judged by SAM in float64.

    They start with the call that warms up, where a library that is missing is noted.
    """
    begun = cache(lambda: start(subject)[1])

    def step(_round: int) -> None:
        begun()()

    judge = (lambda _: "") if rho is None else (lambda _: accuracy(start, subject, rho))
    return Contender(step, judge, at_least)


def floor(subject: Subject, passes: int, most: float | None) -> Contender:
    """The passes of the bare module and one step of the base optimizer; ours may take `most`."""
    model, sgd = started(subject)

    def step(_round: int) -> None:
        for _ in range(passes):
            sgd.zero_grad()
            CRITERION(model(subject.x), subject.y).backward()
        sgd.step()

    return Contender(step, at_least=None if most is None else 1 / most)


def started(subject: Subject) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A copy in training mode, with its base optimizer."""
    model = subject.copy().train()
    return model, torch.optim.SGD(model.parameters(), **SGD)


def ours(method: methods.Method, subject: Subject, **options: object):
    """A stepper as a user's loop has it."""
    model, sgd = started(subject)
    batch = Batch(subject.x, subject.y)
    sides = {"held_out": [batch]} if isinstance(method, methods.LETS) else {}
    stepper = optim.wrap(method, model, sgd, cross_entropy, **sides, **options)
    return model, partial(stepper.step, batch)


def usual_loop(subject: Subject):
    """SAM as public implementations write it: each parameter moved in place, kept, and put back."""
    model, sgd = started(subject)
    parameters = [p for p in model.parameters() if p.requires_grad]
    kept: dict[nn.Parameter, torch.Tensor] = {}

    def backward() -> None:
        CRITERION(model(subject.x), subject.y).backward()

    def step() -> None:
        backward()
        with torch.no_grad():
            norm = torch.norm(torch.stack([p.grad.norm(p=2) for p in parameters]), p=2)
            scale = RHO / (norm + 1e-12)
            for p in parameters:
                kept[p] = p.data.clone()
                p.add_(p.grad * scale)
        sgd.zero_grad()
        backward()
        with torch.no_grad():
            for p in parameters:
                p.data = kept[p]
        sgd.step()
        sgd.zero_grad()

    return model, step


def pytorch_optimizer(subject: Subject):
    """The SAM of pytorch_optimizer with a closure, as it documents it."""
    from pytorch_optimizer import SAM

    model = subject.copy().train()
    optimizer = SAM(model.parameters(), torch.optim.SGD, rho=RHO, **SGD)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = CRITERION(model(subject.x), subject.y)
        loss.backward()
        return loss

    def step() -> None:
        closure()
        optimizer.step(closure)

    return model, step


def accuracy(start: Start, subject: Subject, rho: float) -> str:
    """The way of a few steps in float64: the distance of the ends over its length.

    In float32 the sign of one ReLU's input decides as much as all rounding.
    """
    subject = subject.double
    before = parameters_to_vector(subject.network.parameters()).detach()
    exact = truth.sam_path(subject, CHECKED, rho, SGD)
    model, step = start(subject)
    for _ in range(CHECKED):
        step()
    after = parameters_to_vector(model.parameters()).detach()
    error = (after - exact).norm() / (exact - before).norm()
    return f"{CHECKED} steps in float64 right to {error:.0e}"
