"""
Nine older and five newer methods
=================================

Fourteen methods on the same digits, network and seed: what each costs, how accurate it is, how
sharp its minimum and how much of its accuracy noise on the weights takes.
"""

# %%
# A small network with a layer norm, whose scales and shifts SAM-ON perturbs, and 100 steps of each
# method from one start on the same batches. The steps are equal, the compute is not.

import torch
from torch import nn

import landscape as ls
from landscape import plots
from landscape.data import DATA
from landscape.methods import NEWER, PAPERS
from landscape.statistics.noise_curve import curve

digits = DATA["digits"](None)
train = digits.train_x.flatten(1)[:1200], digits.train_y[:1200]
held_out = [(digits.train_x.flatten(1)[1200:1264], digits.train_y[1200:1264])]
test = digits.test_x.flatten(1), digits.test_y


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch.x), batch.y)


def trained(method):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 10))
    if method == "adamw":
        base = torch.optim.AdamW(model.parameters(), lr=0.01)
    else:
        base = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    stepper = ls.optim.wrap(method, model, base, loss, held_out=held_out)
    for _ in range(100):
        rows = torch.randint(0, 1200, (64,))
        stepper.step((train[0][rows], train[1][rows]))
    return model, stepper.walker.grad_evals / 100


networks = {method: trained(method) for method in (*PAPERS, *NEWER)}

# %%
# One minimum of each: its sharpest direction on the training data, with the bound of the numerical
# error; on the test set the accuracy under noise on the weights, with its interval over draws, the
# same draws for all. LookSAM climbs at every fifth step only, for 1.2 passes a step.

eigenvalues = ls.measures.Eigenvalues(k=1)
noise = ls.measures.NoiseRobustness(sigmas=(0.0, 0.1, 0.2), draws=10)
tolerated = {}
for method, (model, passes) in networks.items():
    spectrum = eigenvalues(ls.Objective(model, [train], loss))
    tolerated[method] = noise(ls.Objective(model, [test], loss))
    noisy = curve(tolerated[method])[-1]
    print(
        f"{method:13} passes {passes:.1f}   λ max {spectrum.values[0]:.3f} ± "
        f"{spectrum.bounds[0]:.1g}   accuracy {tolerated[method].clean_accuracy:.3f}, under noise "
        f"{noisy.mean:.3f} [{noisy.low:.3f}, {noisy.high:.3f}]"
    )

# %%
# One seed of each: another one gives other numbers, so no order can be read off.
# ``landscape compare --task digits-cnn --methods all,newer`` has six, with intervals over them.

plots.noise(tolerated)
