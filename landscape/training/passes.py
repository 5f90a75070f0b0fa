"""Passes of a step of a method, counted on a small network."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.methods import METHODS, make
from landscape.methods.requirements import cycle
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch

WARM_UP = 2  # steps after which a method has all that it carries over from one to the next
COUNTED = 4  # steps at least
SIZE = 8  # examples of a batch


def passes_per_step(name: str) -> float:
    """Forward and backward passes over one batch in a step of a method at its defaults.

    name: as `landscape.methods.make` takes it. A pass over part of a batch counts as that part.
    The mean over whole cycles, where not all steps of a method cost alike.
    """
    method = make(name)
    counted = COUNTED * cycle(method)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3))
        batches = [
            Batch(torch.randn(SIZE, 4), torch.arange(SIZE) % 3) for _ in range(WARM_UP + counted)
        ]
    base = getattr(method, "base", torch.optim.SGD)
    walker = Walker(model, base(model.parameters(), lr=0.1), _loss)
    walker.feed(batches, iter(batches))
    before = 0.0
    for i, batch in enumerate(batches):
        before = walker.grad_evals if i == WARM_UP else before
        walker.begin(batch.size)
        method.step(walker, batch)
    return (walker.grad_evals - before) / counted


def nests(outer: str) -> list[str]:
    """The methods that `outer` takes inside, so that "outer+inner" is one."""
    found = []
    for inner in METHODS:
        try:
            make(f"{outer}+{inner}")
        except ValueError:
            continue
        found.append(inner)
    return found


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    return F.cross_entropy(model(batch.x), batch.y)
