"""
A first look
============

Train the embedded digits with two methods, measure both minima, look at them side by side.
"""

# %%
# Two short runs on the same start, order and split.

import tempfile
from pathlib import Path

import landscape as ls
from landscape import plots
from landscape.analysis.analyze import analyze

folder = Path(tempfile.mkdtemp())
short = {"training": {"epochs": 8, "device": "cpu"}}
runs = {m: ls.train("digits", m, 0, folder / m, settings=short) for m in ("sgd", "sam")}

# %%
# Four measures of each minimum. Every result is a record with its uncertainty.

small = {"surface": {"size": 15}, "eigenvalues": {"k": 5}}
for run in runs.values():
    analyze(run, examples=300, options=small)
records = {method: run.records() for method, run in runs.items()}
for method, found in records.items():
    spectrum = found["eigenvalues"]
    print(f"{method}: λ max {spectrum.values[0]:.3f} ± {spectrum.bounds[0]:.1g}")

# %%
# The loss around both, on the same axes and colours.

plots.surface({method: found["surface"] for method, found in records.items()})

# %%
# The effect of noise on the weights.

plots.noise({method: found["noise"] for method, found in records.items()})
