"""
Your own model, data and loss
=============================

Nothing has to be registered: an objective takes any module, batches and loss.
"""

# %%
# Any trained network, and any data.

import torch
from torch import nn

import landscape as ls
from landscape import plots

torch.manual_seed(0)
x = torch.randn(400, 2)
y = ((x**2).sum(1, keepdim=True) > 1.4).float()
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))


def loss(model, batch):
    """Mean over the batch, shape ()."""
    return nn.functional.binary_cross_entropy_with_logits(model(batch.x), batch.y)


# %%
# Train it with a method of the package in a loop of your own.

optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
stepper = ls.optim.wrap(ls.methods.SAM(rho=0.05), model, optimizer, loss)
for _ in range(200):
    value = stepper.step((x, y))
print(f"loss {value.item():.4f}")

# %%
# Then measure the curvature in its steepest and in its most negative direction.

objective = ls.Objective(model, [(x, y)], loss)
spectrum = ls.measures.Eigenvalues(k=4, which="both")(objective)
for value, bound in zip(spectrum.values, spectrum.bounds, strict=True):
    print(f"λ = {value:+.5f} ± {bound:.1g}")
plots.spectrum(spectrum)

# %%
# And draw the loss around it, in the plane of the two steepest directions.

plots.surface(ls.measures.Surface(size=21, directions="eigenvectors")(objective))
