"""Top 10 eigenvalues of the digits MLP against a dense float64 Hessian, and against PyHessian.

    python benchmarks/eigenvalues_digits.py [--out benchmarks/results/eigenvalues_digits.md]

The network is trained by SGD (seed 0) for 0, 5 and 40 epochs; 1,000 training examples. The dense
Hessian comes from double backward in float64, column by column, its spectrum from LAPACK.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from landscape import Objective, measures, train
from landscape.tasks import cross_entropy

K = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for epochs in (0, 5, 40) for row in compared(epochs)]
    text = "\n".join([*HEAD, *rows, "", "Command: `python benchmarks/eigenvalues_digits.py`", ""])
    print(text)
    if args.out:
        args.out.write_text(text)


HEAD = [
    "# Top 10 eigenvalues of the digits MLP against the dense float64 Hessian",
    "",
    "4,810 weights, 1,000 training examples, one thread, one run. Errors in units of max|λ|, the",
    "worst of the ten. *Met*: pairs with residual ‖Hv - θv‖ ≤ 1e-4 max|λ|, PyHessian's taken with",
    "our products. *Inside*: of those, how many lie within their stated bound (PyHessian states",
    "none: its residual); 1e-13 max|λ| is granted to the dense solver. PyHessian 0.1 runs with the",
    "tolerance given.",
    "",
    "| epochs | solver | worst error | met | inside | HVPs | seconds |",
    "| --- | --- | --- | --- | --- | --- | --- |",
]
SOLVERS = {
    "lanczos, float64": {},
    "lanczos, float32": {},
    "pyhessian, 1e-4": {"backend": "pyhessian"},
    "pyhessian, 1e-8": {"backend": "pyhessian", "tolerance": 1e-8, "max_hvps": 20_000},
}


def compared(epochs):
    """A table row per solver at one point of training."""
    objective = point(epochs)
    exact = spectrum(objective)[:K]
    scale, single = abs(exact[0]), as_float32(objective)
    for name, settings in SOLVERS.items():
        started = time.perf_counter()
        asked = objective if "float64" in name else single
        record = measures.Eigenvalues(k=K, **settings)(asked)
        seconds = time.perf_counter() - started
        error = np.abs(record.values - exact)
        met = record.residuals <= 1e-4 * scale
        inside = met & (error <= record.bounds + 1e-13 * scale)
        yield (
            f"| {epochs} | {name} | {error.max() / scale:.1e} | {met.sum()} | {inside.sum()} "
            f"| {record.hvps} | {seconds:.2f} |"
        )


def point(epochs):
    """The objective in float64 after so many epochs."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"training": {"epochs": max(epochs, 1), "device": "cpu"}}
        settings = {"training": {"epochs": max(epochs, 1), "device": "cpu"}}
        run = train("digits", "sgd", 0, folder, settings=settings)
        objective = run.objective("train", examples=1000)
        model = objective.model.double()
        if not epochs:
            torch.manual_seed(0)
            model = run.task.build().double()
    pairs = [(b.x.double(), b.y) for b in objective.batches]
    return Objective(model, pairs, cross_entropy)


def as_float32(objective):
    """The same point and data in float32."""
    import copy

    model = copy.deepcopy(objective.model).float()
    return Objective(model, [(b.x.float(), b.y) for b in objective.batches], cross_entropy)


def spectrum(objective):
    """All eigenvalues, by magnitude, of the dense Hessian."""
    n = objective.weights.n
    columns = []
    for start in range(0, n, 500):
        block = torch.zeros(n, min(500, n - start), dtype=torch.float64)
        block[start + torch.arange(block.shape[1]), torch.arange(block.shape[1])] = 1
        columns.append(objective.hvp(block))
    dense = torch.cat(columns, 1)
    assert (dense - dense.T).abs().max() < 1e-10
    values = torch.linalg.eigvalsh((dense + dense.T) / 2).numpy()
    return values[np.argsort(-np.abs(values))]


if __name__ == "__main__":
    main()
