"""
Why filter normalisation matters
================================

Two networks with the same function must not look different. Rescale the layers of a ReLU network:
along plain random directions one seems sharp and the other flat, along filter-normalised ones (Li
et al. 2018) they are the same.
"""

# %%
# A network of the embedded digits, and its twin: every hidden layer five times larger, the head 25
# times smaller. The twin answers every input as the original does.

import copy

import torch
from torch import nn

import landscape as ls
from landscape import plots
from landscape.data.digits import load

data = load()
x, y = data.train_x[:500].flatten(1), data.train_y[:500]
torch.manual_seed(0)
model = nn.Sequential(
    nn.Linear(64, 32, bias=False), nn.ReLU(),
    nn.Linear(32, 32, bias=False), nn.ReLU(),
    nn.Linear(32, 10, bias=False),
)  # fmt: skip


def loss(model, batch):
    """Mean cross-entropy."""
    return nn.functional.cross_entropy(model(batch.x), batch.y)


stepper = ls.optim.wrap("sgd", model, torch.optim.SGD(model.parameters(), 0.1, 0.9), loss)
for _ in range(150):
    stepper.step((x, y))

twin = copy.deepcopy(model)
with torch.no_grad():
    for number, factor in {0: 5.0, 2: 5.0, 4: 1 / 25}.items():
        twin[number].weight *= factor
apart = (twin(x) - model(x)).abs().max().item()
print(f"largest difference of the outputs: {apart:.1g}")

# %%
# The plain plane: two Gaussian directions, the same for both, each as long as the original's
# weights.

networks = {"original": model, "rescaled twin": twin}
objectives = {name: ls.Objective(net, [(x, y)], loss) for name, net in networks.items()}
w = objectives["original"].w
d1, d2 = torch.randn(2, len(w), generator=torch.Generator().manual_seed(0))
d1, d2 = (d * w.norm() / d.norm() for d in (d1, d2))
plain = {
    name: ls.measures.Surface(size=21, span=1.0, plane=ls.Plane(objective.w, d1, d2))(objective)
    for name, objective in objectives.items()
}
for name, record in plain.items():
    print(f"{name}: loss at the centre {record.centre:.4f}, mean {record.loss.mean():.3g}")
plots.surface(plain)

# %%
# The same Gaussian numbers, each filter scaled to the length of the weights' own filter. The little
# that still differs comes from making the two directions orthogonal, which layers of other lengths
# weigh differently.

normalised = {
    name: ls.measures.Surface(size=21, directions="random")(objective)
    for name, objective in objectives.items()
}
for name, record in normalised.items():
    print(f"{name}: loss at the centre {record.centre:.4f}, mean {record.loss.mean():.4f}")
plots.surface(normalised)

# %%
# What remains is chance: one plane shows two directions of thousands. The band of twenty lines
# shows how much such a picture varies.

lines = ls.measures.Profile(lines=20, size=15)(objectives["original"])
ends = lines.loss[:, 0]
print(f"loss at distance 1, over 20 lines: {ends.min():.2f} to {ends.max():.2f}")
plots.profile(lines)
