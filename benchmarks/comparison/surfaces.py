"""Loss surfaces: a whole call beside bare forward passes and loss-landscapes."""

import copy
import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from comparison import truth
from comparison.rounds import OURS, Block, Contender, Scale
from comparison.subjects import CRITERION, Subject, residual, small_mlp
from landscape import measures

CHECKED = 25  # points held against float64


def whole(scale: Scale) -> Iterator[Block]:
    """25 x 25 points on two networks."""
    size, rounds = scale.pick(25, 3), scale.pick(5, 1)
    for network, forwards in ((small_mlp, 1.5), (residual, 1.1)):
        subject = network(scale)
        yield Block(
            f"surface {size} x {size}", subject.title, contenders(subject, size, forwards), rounds
        )


def contenders(
    subject: Subject, size: int, forwards: float, at_most: float | None = None
) -> dict[str, Contender]:
    """Ours, the points alone, loss-landscapes and bare forward passes.

    forwards: how many times as long as bare forward passes ours may take; at_most: its seconds.
    """
    ours = partial(surface, subject, size)
    peer = partial(loss_landscapes, subject, size)
    bare = partial(forward, subject, size**2)
    return {
        OURS: Contender(ours, partial(accuracy, subject), at_most=at_most),
        f"{OURS}, the points alone": Contender(partial(points, subject, size)),
        "loss-landscapes, random_plane": Contender(peer, partial(misplaced, subject), 1.5),
        f"{size**2} bare forward passes with the loss": Contender(bare, at_least=1 / forwards),
    }


def fixed_cost(scale: Scale) -> Iterator[Block]:
    """A surface of 9 points: what a call costs beside its points, at most 10 forward passes."""
    for network in (small_mlp, residual):
        subject = network(scale)
        bare = partial(forward, subject, 9)
        entrants = {
            OURS: Contender(partial(surface, subject, 3), partial(accuracy, subject)),
            "9 bare forward passes with the loss": Contender(bare, at_least=9 / 19),
        }
        yield Block("surface 3 x 3", subject.title, entrants, scale.pick(7, 1))


def surface(subject: Subject, size: int, seed: int):
    """The record, and the plane's seed."""
    return measures.Surface(size=size, seed=seed)(subject.objective()), seed


def accuracy(subject: Subject, answers) -> str:
    """Losses at some points of the last surface against float64."""
    record, seed = answers[-1]
    plane = measures.random_plane(subject.objective(), seed)
    draw = np.random.default_rng(0)
    at = draw.integers(len(record.x), size=(min(CHECKED, record.loss.size), 2))
    exact = truth.losses(subject, (plane.point(record.x[i], record.y[j]) for i, j in at))
    return f"losses right to {relative(record.loss[at[:, 0], at[:, 1]], exact):.0e}"


def relative(values, exact) -> float:
    """The largest difference in units of max(loss, 0.01)."""
    return float((np.abs(values - exact) / np.maximum(exact, 0.01)).max())


def points(subject: Subject, size: int, seed: int) -> None:
    """The grid by `Objective.evaluate`, without the record's checks."""
    objective = subject.objective()
    plane = measures.random_plane(objective, seed)
    axis = np.linspace(-1, 1, size).tolist()
    for x in axis:
        objective.evaluate(plane.point(x, y) for y in axis)


def loss_landscapes(subject: Subject, size: int, seed: int) -> np.ndarray:
    """Its surface with filter normalisation; the model is a copy, because it stays at a corner."""
    import loss_landscapes as library
    from loss_landscapes.metrics import Loss

    torch.manual_seed(seed)
    metric = Loss(CRITERION, subject.x, subject.y)
    with warnings.catch_warnings(action="ignore"):
        return library.random_plane(copy.deepcopy(subject.network), metric, 1, size, "filter")


def misplaced(subject: Subject, _answers) -> str:
    """By how many points the second row of its grid is shifted along the first."""
    import loss_landscapes as library

    torch.manual_seed(0)
    weights = lambda model: model.get_module_parameters().as_numpy()  # noqa: E731
    grid = library.random_plane(copy.deepcopy(subject.network).cpu(), weights, 1, 2, "filter")
    along = grid[0, 1] - grid[0, 0]
    shift = (grid[1, 0] - grid[0, 0]) @ along / (along @ along)
    return f"every other row is shifted by {abs(shift):.1f} points"


@torch.no_grad()
def forward(subject: Subject, passes: int, _seed: int) -> None:
    """Forward passes at the weights as they are, each with its loss as a number."""
    for _ in range(passes):
        CRITERION(subject.network(subject.x), subject.y).item()
