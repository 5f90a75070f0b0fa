"""The way of each method over the loss of a network with two weights, by the package's steppers.

The network is x -> b·a·x, its output the logit of one class against the other. 80 % of the labels
agree with the sign of x, so that the loss is least along the curves a·b = log 4: a valley, steep
where |a| and |b| differ and flattest where they are equal. Rings: where the first steps took
gradients away from the weights.
"""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import landscape as ls
from landscape.methods import METHODS
from landscape.plots.drawing.method_styles import style_of
from landscape.plots.drawing.style import HIGHER, INK, LOWER, PAPER, styled

START = 0.15, 2.4
LR, STEPS = 0.3, 80
RINGED = 6  # steps whose gradients are marked
EXAMPLES = 40
LEVELS = (0, 0.002, 0.01, 0.03, 0.1, 0.3, 1)
RADIUS = 0.3  # wide enough to be seen
SETTINGS = {
    "sam": {"rho": RADIUS},
    "asam": {"rho": RADIUS},
    "lookbehind": {"rho": RADIUS},
    "lets": {"rho": RADIUS},
    "msam": {"rho": RADIUS, "num_shards": 4, "mode": "sequential"},
    "fam": {"lam": 0.1},
    "aace": {"rho": 0.2},
    "multistep-sam": {"rho": RADIUS},
    "friendly-sam": {"rho": RADIUS},
    "gsam": {"rho": RADIUS},
    "looksam": {"rho": RADIUS},
    "wsam": {"rho": RADIUS, "gamma": 0.8},
    "sam-on": {"rho": RADIUS, "no_norm": True},  # the two weights are no normalisation
}
LABELS = {"multistep-sam": "Multistep SAM", "lookahead": "Lookahead"}
PATHS = {"sgd-adamw": "adamw", **{name: name for name in [*SETTINGS, "lookahead"]}}


class TwoWeights(nn.Module):
    """x -> (0, b·a·x)."""

    def __init__(self):
        super().__init__()
        self.first, self.last = (nn.Linear(1, 1, bias=False) for _ in range(2))
        self.first.weight.data.fill_(START[0])
        self.last.weight.data.fill_(START[1])

    def forward(self, x):
        """Logits, (n, 2)."""
        score = self.last(self.first(x))
        return torch.cat([torch.zeros_like(score), score], dim=1)


def point(model):
    """(a, b) as numbers."""
    return model.first.weight.item(), model.last.weight.item()


def examples(share_wrong, seed):
    """(x, y): signs, and labels of which that share is the other one, in a drawn order."""
    order = torch.randperm(EXAMPLES, generator=torch.Generator().manual_seed(seed))
    x = torch.tensor([1.0, -1.0]).repeat(EXAMPLES // 2)[order]
    wrong = torch.arange(EXAMPLES) < share_wrong * EXAMPLES
    return x[:, None], ((x > 0) ^ wrong[order]).long()


def walked(name):
    """(weights after every step (steps + 1, 2), points of the passes elsewhere (m, 2))."""
    model, data, passes = TwoWeights(), examples(0.2, seed=0), []

    def loss(model, batch):
        passes.append(point(model))
        return nn.functional.cross_entropy(model(batch.x), batch.y)

    base = torch.optim.AdamW if name == "adamw" else torch.optim.SGD
    optimizer = base(model.parameters(), lr=LR)
    method = METHODS[name](**SETTINGS.get(name, {}))
    extra = {"held_out": [examples(0.25, seed=1)]} if name == "lets" else {}
    stepper = ls.optim.wrap(method, model, optimizer, loss, **extra)
    steps, marked = [point(model)], 0
    for i in range(STEPS):
        stepper.step(data)
        steps.append(point(model))
        if i < RINGED:
            marked = len(passes)
    away = [p for p in passes[:marked] if min(np.hypot(*np.subtract(steps, p).T)) > 1e-6]
    return np.array(steps), np.array(away).reshape(-1, 2)


@styled
def drawn(card) -> Figure:
    """The way of a card's method in blue, that of SGD in grey."""
    figure = Figure(figsize=(3.0, 2.6), layout="constrained")
    ax = figure.subplots()
    a, b = np.meshgrid(np.linspace(0.01, 2.2, 120), np.linspace(0.3, 3.0, 120))
    height = 0.8 * np.logaddexp(0, -a * b) + 0.2 * np.logaddexp(0, a * b)
    ax.contourf(a, b, height - height.min(), levels=LEVELS, cmap="Blues", alpha=0.7)
    ax.plot(a[0], np.log(4) / a[0], color=INK, linewidth=0.6, linestyle=":")
    steps, away = walked(PATHS[card])
    ax.scatter(*away.T, s=12, facecolors=PAPER, edgecolors=LOWER, linewidths=0.6)
    label = LABELS.get(card) or style_of(PATHS[card]).label
    for path, colour, name in ((walked("sgd")[0], HIGHER, "SGD"), (steps, LOWER, label)):
        ax.plot(*path.T, color=colour, linewidth=0.8, marker=".", markersize=2.5)
        ax.plot(*path[-1], color=colour, marker="o", markersize=6, label=name, linestyle="")
    ax.set(xlabel="a", ylabel="b", xlim=(0, 2.2), ylim=(0.3, 3))
    ax.legend(loc="lower left", title=f"after {STEPS} steps", title_fontsize=7.5)
    return figure
