"""
Noise robustness of nine methods
================================

How much noise on its weights does a minimum tolerate? Measured for nine methods with the same noise
for each, with what can and what cannot be concluded.
"""

# %%
# Nine short runs from one start. The epochs are equal, the compute is not: most of the methods take
# two or more gradients a step.

import tempfile
from pathlib import Path

import landscape as ls
from landscape import plots
from landscape.methods import PAPERS
from landscape.statistics.noise_curve import curve, difference, sigma_at_drop

folder = Path(tempfile.mkdtemp())
short = {"training": {"epochs": 6, "device": "cpu"}}
runs = {m: ls.train("digits", m, 0, folder / m, settings=short) for m in PAPERS}

# %%
# Gaussian noise on the weights, its standard deviation a share of the largest weight of the layer,
# as analogue hardware has it. Ten draws, the same ones for all methods and levels.

measure = ls.measures.NoiseRobustness(sigmas=(0.0, 0.05, 0.1, 0.15, 0.2), draws=10)
noise = {method: measure(run.objective("test")) for method, run in runs.items()}
plots.noise(noise)

# %%
# Two numbers per minimum: the noise at which five points of accuracy are lost, and the paired
# difference to SGD at one level. The intervals are over draws: they say how well we know *this*
# minimum. Another seed of training gives another minimum; ``landscape compare`` has six of each.

for method, record in noise.items():
    if method == "sgd":
        continue
    borne, against = sigma_at_drop(record, 5.0), difference(record, noise["sgd"])[3]
    clean = record.clean_accuracy
    print(
        f"{method:10} clean {clean:.3f}   five points lost at σ = {borne.mean:.3f} "
        f"[{borne.low:.3f}, {borne.high:.3f}]   accuracy at 0.15 minus SGD's {against.mean:+.3f} "
        f"[{against.low:+.3f}, {against.high:+.3f}]"
    )

# %%
# The unit decides: a network with a few large weights gets more noise, in units of the largest one,
# than a network of equal norm without. AdamW leads above and comes last in units of each layer's
# root mean square. Beside it the gradient evaluations that each method spent.

rms = ls.measures.NoiseRobustness(sigmas=(0.0, 0.5), draws=10, scale="rms")
for method, run in runs.items():
    accuracy = curve(rms(run.objective("test")))[-1]
    print(
        f"{method:10} at σ = 0.5 rms {accuracy.mean:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]"
        f"   {run.metrics[-1]['grad_evals']:.0f} gradient evaluations"
    )
