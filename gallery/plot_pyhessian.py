"""
PyHessian and we, side by side
==============================

The same eigenvalues by two solvers, judged by one test that needs to trust neither: for an
eigenpair (θ, v) the residual ‖Hv − θv‖ is zero.
"""

# %%
# A small network on the embedded digits.

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import landscape as ls
from landscape.data.digits import load

data = load()
x, y = data.train_x[:300].flatten(1), data.train_y[:300]
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))


def loss(model, batch):
    """Mean cross-entropy."""
    return nn.functional.cross_entropy(model(batch.x), batch.y)


stepper = ls.optim.wrap("sgd", model, torch.optim.SGD(model.parameters(), 0.1, 0.9), loss)
for _ in range(60):
    stepper.step((x, y))

# %%
# The reference: the dense Hessian is only 1210 x 1210; computed from a copy in float64.

exact_model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10)).double()
exact_model.load_state_dict(model.state_dict())
exact = ls.Objective(exact_model, [(x.double(), y)], loss)
dense = exact.hvp(torch.eye(len(exact.w), dtype=torch.float64))
truth = torch.linalg.eigvalsh(dense)
truth = truth[truth.abs().argsort(descending=True)][:10].numpy()

# %%
# Every solver that is installed, at its defaults, and then PyHessian at a stricter stop. Its own
# stop compares two successive estimates; ours uses the residual.

objective = ls.Objective(model, [(x, y)], loss)
found = {
    "landscape": ls.measures.Eigenvalues(k=10)(objective),
    "PyHessian, its default stop": ls.measures.Eigenvalues(
        k=10, backend="pyhessian", tolerance=1e-3
    )(objective),
    "PyHessian, stop at 1e-6": ls.measures.Eigenvalues(
        k=10, backend="pyhessian", tolerance=1e-6, max_hvps=4000
    )(objective),
}
for name, record in found.items():
    order = np.abs(record.values).argsort()[::-1]
    error = np.abs(record.values[order] - truth) / np.abs(truth[0])
    inside = np.abs(record.values[order] - truth) <= record.bounds[order]
    print(
        f"{name}: {record.hvps} products, worst error {np.nanmax(error):.1e} of λ max, "
        f"{inside.sum()} of 10 within the residual"
    )

# %%
# The error of each eigenvalue, and the bound in the record.

figure, axes = plt.subplots(1, len(found), figsize=(9, 3), sharey=True, layout="constrained")
for ax, (name, record) in zip(axes, found.items(), strict=True):
    order = np.abs(record.values).argsort()[::-1]
    ax.semilogy(np.abs(record.values[order] - truth) + 1e-12, "o", label="true error")
    ax.semilogy(record.bounds[order], "_", markersize=12, label="stated bound")
    ax.set(title=name, xlabel="eigenvalue, by magnitude")
axes[0].set_ylabel("distance from the true eigenvalue")
axes[0].legend()
