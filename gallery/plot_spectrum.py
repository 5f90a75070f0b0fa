"""
Reading a spectrum
==================

A network has as many curvatures as weights. A few are large, most are almost zero, some are
negative: the largest alone tells little, the density of all of them tells the rest.
"""

# %%
# A network trained for some epochs on the embedded digits, and its distance from a minimum.

import tempfile
from pathlib import Path

import landscape as ls
from landscape import plots

run = ls.train(
    "digits", "sgd", 0, Path(tempfile.mkdtemp()) / "run",
    settings={"training": {"epochs": 15, "device": "cpu"}},
)  # fmt: skip
objective = run.objective("train", examples=600)
point = objective.summary
print(f"loss {point.loss:.4f}, gradient norm {point.grad_norm:.4f}, {len(objective.w)} weights")

# %%
# The outer eigenvalues, from both ends. A value is within its bound of a true eigenvalue; what the
# plot crosses out has not converged.

outer = ls.measures.Eigenvalues(k=12, which="both", tolerance=1e-3)(objective)
print(f"largest {outer.values.max():.4f}, smallest {outer.values.min():.4f}")
print(f"largest bound {outer.bounds.max():.1g}, {outer.hvps} Hessian-vector products")
plots.spectrum(outer)

# %%
# How much of the whole do the largest carry? The trace is the sum of all eigenvalues.

trace = ls.measures.Trace(tolerance=0.02)(objective)
positive = outer.values[outer.values > 0]
print(f"trace {trace.value:.3f}, 95 % interval {trace.low:.3f} to {trace.high:.3f}")
print(f"the {len(positive)} largest of {trace.n}: {positive.sum() / trace.value:.0%} of it")

# %%
# All of them: a peak at zero that towers over the rest, hence the logarithmic axis. Its width is
# that of the smoothing kernel, not of the peak.

density = ls.measures.SpectralDensity(probes=6, steps=40)(objective)
inside = abs(density.nodes) < 0.01 * outer.values.max()
share = (density.weights * inside).sum(axis=1).mean()
print(f"within a hundredth of λ max around zero: about {share:.0%} of all directions")
print(f"mean eigenvalue {density.mean:.5f} ({density.mean_low:.5f} to {density.mean_high:.5f})")
print(f"trace / n       {trace.value / trace.n:.5f}")
plots.density(density)

# %%
# Where do the large ones come from? The Gauss-Newton part of the Hessian has no negative
# eigenvalues: what the two differ by is the network's own curvature, weighted by its errors.

part = ls.measures.Eigenvalues(k=3, curvature="gauss-newton", tolerance=1e-3)(objective)
for whole, own in zip(sorted(positive)[::-1], part.values, strict=False):
    print(f"Hessian {whole:.4f}   Gauss-Newton {own:.4f}")
