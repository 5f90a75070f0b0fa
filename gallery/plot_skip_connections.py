"""
Surfaces with and without skip connections
==========================================

The best-known pictures of loss surfaces are those of Li et al. (2018): take the shortcuts out of a
residual network, and the deeper it is, the less is left of the bowl around its minimum. The same
here, small: 20 and 56 layers of eight to 32 filters, on the 8x8 digits.
"""

# %%
# Four networks, each trained for three epochs.

import torch
import torch.nn.functional as F

import landscape as ls
from landscape import plots
from landscape.data.digits import load
from landscape.models.resnet import BasicBlock, resnet

torch.set_num_threads(1)  # faster than more, for layers this thin
data = load()
x, y = data.train_x, data.train_y


def loss(model, batch):
    """Mean cross-entropy."""
    return F.cross_entropy(model(batch.x), batch.y)


def trained(blocks, skip, epochs=3):
    """Three stages of so many blocks of two layers, SGD with a cosine schedule."""
    torch.manual_seed(0)
    model = resnet(BasicBlock, (blocks,) * 3, classes=10, channels=1, width=8, skip=skip)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    stepper = ls.optim.wrap("sgd", model, optimizer, loss)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            stepper.step((x[rows], y[rows]))
        schedule.step()
    return model


networks = {
    "20 layers": trained(blocks=3, skip=True),
    "20 layers, no shortcuts": trained(blocks=3, skip=False),
    "56 layers": trained(blocks=9, skip=True),
    "56 layers, no shortcuts": trained(blocks=9, skip=False),
}

# %%
# Filter-normalised directions, the same axes and levels for all. Batch norm's statistics are those
# of the examples at every point; stored ones would exaggerate, see the example on batch norm.

measure = ls.measures.Surface(size=11)
surfaces = {
    name: measure(ls.Objective(model, [(x[:128], y[:128])], loss, batch_norm="batch"))
    for name, model in networks.items()
}
plots.surface(surfaces)

# %%
# At 20 layers both stand in a bowl; the one without shortcuts came less far in the three epochs.
# At 56 the network without them has hardly learned: its cross stands on a plateau near ln 10 = 2.3,
# the loss of a guess. That compares no two minima, since one of them is none; and it is one plane
# of very many, from one seed.

for name, record in surfaces.items():
    test = ls.Objective(networks[name], [(data.test_x, data.test_y)], loss)
    print(
        f"{name}: loss at the cross {record.centre:.3f}, lowest here {record.loss.min():.3f}, "
        f"gradient norm {record.point.grad_norm:.2f}, test accuracy {test.accuracy():.3f}"
    )
