"""Trace of the digits MLP's Hessian against the exact one: ours, plain Hutchinson, PyHessian.

    python benchmarks/trace.py [--out benchmarks/results/trace.md] [--seeds 20]

The network is trained by SGD (seed 0) for 0, 5 and 40 epochs; 1,000 training examples. The exact
trace is the sum of the diagonal of the dense float64 Hessian, from one product a column. All
estimators work in float32. Two more tables ask how often intervals hold on small matrices.
"""

import argparse
import copy
import math
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from digits_points import as_float32, point
from pyhessian import hessian
from scipy import stats

from landscape import measures
from landscape.linalg import trace
from landscape.linalg.quadratic_forms import estimate, numbered_directions

OURS = {
    "ours, by layers": {},
    "ours (Krylov basis)": {"method": "krylov"},
    "ours, Hutch++": {"method": "hutch++"},
    "ours, plain Hutchinson, 1,000 products": {"method": "hutchinson", "max_hvps": 1000},
}
N = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--coverage-seeds", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for epochs in (0, 5, 40) for row in compared(epochs, args.seeds)]
    held = list(coverage(args.coverage_seeds))
    few = list(ten_directions(args.coverage_seeds))
    versions = f"torch {torch.__version__}, PyHessian {version('pyhessian')}, one thread"
    words = (HEAD.format(seeds=args.seeds), *rows, COVERED.format(seeds=args.coverage_seeds), *held)
    text = "\n".join(
        [*words, FEW, *few, "", f"{versions}. Command: `python benchmarks/trace.py`", ""]
    )
    print(text)
    if args.out:
        args.out.write_text(text)


HEAD = """# Trace of the digits MLP's Hessian

4,810 weights, 1,000 training examples, {seeds} seeds each. Asked for: a 95 % interval of ± 1 %.
*Error*: of the estimate, relative to the exact trace. *Stated*: half of the 95 % interval, relative
too. *Holds*: seeds whose interval holds the exact trace. PyHessian states no error and stops where
the running mean moves by less than 0.1 %, or after 100 products; both are its defaults.
*To 1 %*: how many products plain Hutchinson would need for that interval, from the exact matrix.

| epochs | estimator | products: median, most | error: median, worst | stated | converged | holds |
| --- | --- | --- | --- | --- | --- | --- |"""
COVERED = """
## How often the interval holds, stopping on

Diagonal matrices with n = 100 in float64, {seeds} seeds; the estimators turn with the basis, so a
diagonal stands for every matrix of its spectrum. At most 200 products.

| spectrum | method | tolerance | products, mean | holds | converged | holds, of those |
| --- | --- | --- | --- | --- | --- | --- |"""
FEW = """
## Ten random directions, no basis

Student's t of the scatter of ten xᵀHx against our interval, whose variance comes from ‖Hx‖².

| spectrum | t of the scatter holds | ours holds | width, ours / t (medians) |
| --- | --- | --- | --- |"""


def compared(epochs, seeds):
    """A table row per estimator at one point of training, and what plain Hutchinson would need."""
    objective = point(epochs)
    h = dense(objective)
    exact, single = float(h.trace()), as_float32(objective)
    for name, settings in OURS.items():
        records = [measures.Trace(seed=s, **settings)(single) for s in range(seeds)]
        half = [(r.high - r.low) / 2 / exact for r in records]
        holds = sum(r.low <= exact <= r.high for r in records)
        converged = sum(r.converged for r in records)
        numbers = described([r.hvps for r in records], [r.value / exact - 1 for r in records])
        yield f"| {epochs} | {name} | {numbers} | {np.median(half):.2%} | {converged} | {holds} |"
    samples = [pyhessian_samples(single, s) for s in range(seeds)]
    errors = [np.mean(x) / exact - 1 for x in samples]
    yield f"| {epochs} | PyHessian | {described([len(x) for x in samples], errors)} | – | – | – |"
    squares = float(h.square().sum())
    signs = 2 * (squares - float(h.diagonal().square().sum()))
    needs = [math.ceil(v * (1.96 / (0.01 * exact)) ** 2) for v in (signs, 2 * squares)]
    words = f"plain Hutchinson, to 1 %: signs {needs[0]:,}, Gaussian or sphere {needs[1]:,}"
    yield f"| {epochs} | {words} | – | – | – | – | – |"


def described(products, errors):
    size = np.abs(errors)
    most, typical = np.max(products), np.median(products)
    return f"{typical:.0f}, {most} | {np.median(size):.2%}, {size.max():.2%}"


def dense(objective):
    """The Hessian (n, n), float64."""
    n, columns = objective.weights.n, []
    for start in range(0, n, 500):
        block = torch.zeros(n, min(500, n - start), dtype=torch.float64)
        block[start + torch.arange(block.shape[1]), torch.arange(block.shape[1])] = 1
        columns.append(objective.hvp(block))
    return torch.cat(columns, 1)


def pyhessian_samples(objective, seed):
    """Its vᵀHv on all data in one batch, with its own stop rule."""
    x, y = (torch.cat([getattr(b, name) for b in objective.batches]) for name in ("x", "y"))
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its backward(create_graph=True)
        made = hessian(copy.deepcopy(objective.model), F.cross_entropy, data=(x, y), cuda=False)
        return made.trace()


def spectra():
    rng, k = np.random.default_rng(0), np.arange(1.0, N + 1)
    normal = rng.normal(size=N)
    found = {
        "positive (χ²)": normal**2,
        "indefinite (normal + 0.3)": normal + 0.3,
        "heavy-tailed, both signs (± k^-1.5)": np.where(rng.random(N) < 0.3, -1, 1) * k**-1.5,
        "power law (k^-2)": k**-2,
        "near low rank (10, 8, 5, then 0.01)": np.concatenate([[10, 8, 5], np.full(N - 3, 0.01)]),
        "rank 1": np.eye(N)[0],
    }
    return {name: torch.tensor(values) for name, values in found.items()}


def coverage(seeds):
    for name, values in spectra().items():
        exact = float(values.sum())
        for method in ("krylov", "hutch++", "hutchinson"):
            for tolerance in (0.3, 0.05):
                settings = {"method": method, "tolerance": tolerance, "max_matvecs": 200}
                found = [
                    trace(lambda v, d=values: d * v, values, seed=seed, **settings)
                    for seed in range(seeds)
                ]
                holds = np.array([f.low - 1e-12 <= exact <= f.high + 1e-12 for f in found])
                stopped = np.array([f.converged for f in found])
                of_those = f"{holds[stopped].mean():.1%}" if stopped.any() else "–"
                products = np.mean([f.matvecs for f in found])
                yield (
                    f"| {name} | {method} | {tolerance} | {products:.0f} | {holds.mean():.1%} "
                    f"| {stopped.mean():.0%} | {of_those} |"
                )


def ten_directions(seeds):
    for name, values in spectra().items():
        exact, held, width = float(values.sum()), np.zeros(2), []
        for seed in range(seeds):
            x = torch.stack([*map(numbered_directions(values, seed), range(10))])
            forms, squares = (x**2 @ values).numpy(), (x**2 @ values**2).numpy()
            ours = estimate(forms, squares, N)
            scatter = stats.t.ppf(0.975, 9) * forms.std(ddof=1) / 10**0.5
            held += [abs(ours.value - exact) <= half for half in (scatter, ours.half)]
            width.append(ours.half / scatter)
        t, own = held / seeds
        yield f"| {name} | {t:.1%} | {own:.1%} | {np.median(width):.2f} |"


if __name__ == "__main__":
    main()
