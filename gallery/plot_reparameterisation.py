"""
Relative flatness is invariant and λ max is not
===============================================

A ReLU network computes the same function after one layer is multiplied by c and the layer before it
divided by c. A measure of flatness that changes then does not describe the function.
"""

# %%
# A network trained on the embedded digits.

import copy

import matplotlib.pyplot as plt
import torch
from torch import nn

import landscape as ls
from landscape.data.digits import load

data = load()
x, y = data.train_x[:400].flatten(1).double(), data.train_y[:400]
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
model = model.double()


def loss(model, batch):
    """Mean cross-entropy."""
    return nn.functional.cross_entropy(model(batch.x), batch.y)


optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for _ in range(150):
    optimizer.zero_grad()
    loss(model, ls.Batch(x, y)).backward()
    optimizer.step()

# %%
# The same function, written differently: the last layer times c, the hidden layer before it over c.


def rescaled(c):
    """The same function with the last layer times c."""
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin[4].weight *= c
        twin[2].weight /= c
        twin[2].bias /= c
    return twin


factors = [0.25, 0.5, 1.0, 2.0, 4.0]
objectives = [ls.Objective(rescaled(c), [(x, y)], loss) for c in factors]
largest = [
    ls.measures.Eigenvalues(k=1, tolerance=1e-2)(objective).values[0] for objective in objectives
]
flatness = [ls.measures.RelativeFlatness("4")(objective) for objective in objectives]
for c, objective, top, record in zip(factors, objectives, largest, flatness, strict=True):
    print(f"c = {c}: loss {objective.value():.6f}, λ max {top:.4g}, κ {record.value:.6g}")

# %%
# λ max and the trace of the layer change by orders of magnitude; κ and κ̂ do not change at all.

norm = model[4].weight.norm().item()
quantities = {
    "λ max": largest,
    "trace of the layer": [
        record.simplified / (c * norm) ** 2 for c, record in zip(factors, flatness, strict=True)
    ],
    "κ": [record.value for record in flatness],
    "κ̂": [record.simplified for record in flatness],
}
middle = factors.index(1.0)
for (name, values), marker in zip(quantities.items(), "osx+", strict=True):
    plt.semilogy(factors, [v / values[middle] for v in values], marker=marker, label=name)
plt.xscale("log", base=2)
plt.xlabel("c: last layer times c, layer before it over c")
plt.ylabel("measure, relative to c = 1")
plt.legend()

# %%
# One symmetry more: each input feature of the layer by a factor of its own. κ as such sees it; with
# features divided by their standard deviation on the data it does not.

scales = torch.logspace(-0.7, 0.7, 16, dtype=torch.float64)
twin = copy.deepcopy(model)
with torch.no_grad():
    twin[2].weight *= scales[:, None]
    twin[2].bias *= scales
    twin[4].weight /= scales
both = [ls.Objective(m, [(x, y)], loss) for m in (model, twin)]
for normalize in (False, True):
    measure = ls.measures.RelativeFlatness("4", normalize_features=normalize)
    before, after = (measure(objective).value for objective in both)
    print(f"normalize_features={normalize}: κ {before:.6g} -> {after:.6g}")
