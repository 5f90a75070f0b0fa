"""
Batch norm and surfaces
=======================

Away from the trained weights the activations change, and with them the mean and variance that
batch norm should subtract and divide by. Which ones it uses decides the picture.
"""

# %%
# A small convolutional network with batch norm.

import tempfile
from pathlib import Path

import landscape as ls
from landscape import plots

run = ls.train(
    "digits-cnn", "sgd", 0, Path(tempfile.mkdtemp()) / "run",
    settings={"training": {"epochs": 4, "device": "cpu"}},
)  # fmt: skip

# %%
# The three policies. "stored": the running statistics, the network as it is deployed. "batch":
# those of the examples at hand. "reestimated": computed anew over all examples at every point.

policies = ("stored", "batch", "reestimated")
objectives = {
    policy: run.objective("train", examples=300, batch_norm=policy) for policy in policies
}
surfaces = {
    policy: ls.measures.Surface(size=15)(objective) for policy, objective in objectives.items()
}
plots.surface(surfaces)

# %%
# The directions are the same for all three, the loss at the centre nearly so. Away from it "stored"
# exaggerates the rise. All 300 examples fit into one batch here, so the two others agree; with
# several batches they differ a little.

for policy, record in surfaces.items():
    ratio = record.loss / surfaces["reestimated"].loss
    low, high = ratio.min(), ratio.max()
    print(f"{policy}: loss at w {record.centre:.4f}, elsewhere {low:.2f} to {high:.2f} times")

# %%
# The curvature differs as well. A surface and its eigenvalues must describe the same function, so
# the policy belongs to the objective, and every record and figure states it.

for policy, objective in objectives.items():
    top = ls.measures.Eigenvalues(k=1, tolerance=1e-3)(objective)
    print(f"{policy}: λ max {top.values[0]:.3f} ± {top.bounds[0]:.1g} ({top.point.batch_norm})")
