"""
Connecting two minima
=====================

Two runs from different seeds end at different points with the same accuracy. On the straight line
between them the loss rises: a barrier. Runs that share their first epochs have none, or a small one
(Frankle et al. 2020).
"""

# %%
# One network, trained for an epoch; two copies that go on with other orders of the examples; and
# two from other initialisations.

import copy

import torch
from torch import nn

import landscape as ls
from landscape import plots
from landscape.data.digits import load
from landscape.models import mlp

data = load()
x, y = data.train_x, data.train_y


def loss(model, batch):
    """Mean cross-entropy."""
    return nn.functional.cross_entropy(model(batch.x), batch.y)


def train(model, epochs, order):
    """In place, with momentum; `order` is the seed of the shuffling."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    stepper = ls.optim.wrap("sgd", model, optimizer, loss)
    generator = torch.Generator().manual_seed(order)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(64):
            stepper.step((x[rows], y[rows]))
    return model


def fresh(seed):
    """A network at its initialisation."""
    torch.manual_seed(seed)
    return mlp()


shared = train(fresh(0), 1, order=0)
one, other = (train(copy.deepcopy(shared), 12, order) for order in (1, 2))
stranger, third = train(fresh(1), 13, order=3), train(fresh(2), 13, order=4)

# %%
# The loss on the line from the first to its twin and to a stranger, on training and test examples.

objective = ls.Objective(one, [(x, y)], loss)
test = ls.Objective(one, [(data.test_x, data.test_y)], loss)
ends = {"shared start": other, "own start": stranger}
paths = {}
for name, end in ends.items():
    w = ls.Objective(end, [(x, y)], loss).w
    paths[name] = ls.measures.Path(end=w, size=25, name="the other end")(objective, other=test)
    found = paths[name]
    print(
        f"{name}: distance {found.length:.2f}, loss {found.loss[0]:.4f} and {found.loss[-1]:.4f}, "
        f"barrier {found.barrier:.4f}, on test examples {found.other.barrier:.4f}"
    )
plots.path(paths)

# %%
# Three minima from three initialisations, in the plane through them. A barrier on the straight line
# does not separate minima: a curved path may go around it (Garipov et al. 2018), and permuting
# hidden units may remove it (Entezari et al. 2022). The figure shows this line and plane only.

points = {
    name: ls.Objective(end, [(x, y)], loss).w
    for name, end in {"first": one, "second": stranger, "third": third}.items()
}
plots.surface(ls.measures.Surface(size=25, directions="minima", points=points)(objective))
