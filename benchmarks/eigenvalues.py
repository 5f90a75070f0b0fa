"""Top 10 eigenvalues of small networks: right, and in how many products, beside other solvers.

    python benchmarks/eigenvalues.py [--only NAME] [--out benchmarks/results/eigenvalues.md]

Each network is measured in float32 on 300 of the digits; the truth is the spectrum of the dense
Hessian at the same weights in float64, by double backward, column by column, from LAPACK. Times are
those of `peers.py`.
"""

import argparse
import copy
import warnings
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import torch
from networks import NETWORKS, Network, trained
from scipy.optimize import linear_sum_assignment
from scipy.sparse.linalg import eigsh
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape import measures
from landscape.measures.curvature.with_pyhessian import power_iteration
from landscape.network.parameter_block import Block

K, WANTED = 10, 1e-4
CAP = 3000  # products that PyHessian may take
LOOSE = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6)  # tolerances of ours
STRICT = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # of PyHessian


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="Networks whose name contains this.")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = []
    for network in NETWORKS:
        if not args.only or args.only in network.name:
            rows.append(measured(network))
            print(rows[-1], flush=True)
    text = "\n".join(page(rows))
    print(text)
    if args.out:
        args.out.write_text(text)


def measured(network: Network) -> dict:
    """All that the table says of one network."""
    objective = network.objective(torch.float32)
    exact = spectrum(network.objective(torch.float64))
    scale = np.abs(exact[0])
    ours = measures.Eigenvalues(k=K)(objective)
    error, missed = compared(ours.values, exact)
    values = curvlinops_values(network)
    return {
        "name": network.name,
        "n": objective.weights.n,
        "error": error.max() / scale,
        "inside": int((error <= ours.bounds + 1e-13 * scale).sum()),
        "missed": missed,
        "converged": int(ours.converged.sum()),
        "hvps": ours.hvps,
        "loose": ours_at_equal_accuracy(objective, exact),
        "pyhessian": pyhessian_at_equal_accuracy(objective, exact),
        "curvlinops": None if values is None else compared(values, exact)[0].max() / scale,
    }


def compared(values, exact):
    """Distance of each value from the eigenvalue that it is paired with, one to one, and how many
    eigenvalues are left over that are larger than the smallest value by more than the tolerance.
    """
    rivals = exact[: len(values) + 10]
    rows, columns = linear_sum_assignment(np.abs(values[:, None] - rivals))
    left = np.delete(rivals, columns)
    missed = np.abs(left) > np.abs(values).min() + WANTED * np.abs(exact[0])
    return np.abs(values - rivals[columns])[np.argsort(rows)], int(missed.sum())


def spectrum(objective):
    """All eigenvalues, by magnitude, of the dense Hessian."""
    identity = torch.eye(objective.weights.n, dtype=torch.float64)
    dense = torch.stack([objective.hvp(e) for e in identity])
    assert (dense - dense.T).abs().max() <= 1e-10 * dense.abs().max()
    values = torch.linalg.eigvalsh((dense + dense.T) / 2).numpy()
    return values[np.argsort(-np.abs(values))]


def reached(values, exact):
    """Whether all are right to 1e-4 max|λ| and none is missing."""
    error, missed = compared(values, exact)
    return error.max() <= WANTED * np.abs(exact[0]) and not missed


def ours_at_equal_accuracy(objective, exact):
    """Products of ours with the loosest tolerance at which the values are right."""
    for tolerance in LOOSE:
        record = measures.Eigenvalues(k=K, tolerance=tolerance)(objective)
        if reached(record.values, exact):
            return record.hvps
    return None


def pyhessian_at_equal_accuracy(objective, exact):
    """Products of PyHessian with the loosest tolerance at which the values are right; None where
    there is none within CAP.
    """
    block = Block.of(objective.model, objective.weights, None)
    for tolerance in STRICT:
        values, _, products = power_iteration(
            objective, block, K, "magnitude", tolerance, CAP, seed=0
        )
        if reached(values.numpy(), exact):
            return products
        if products >= 0.98 * CAP:
            break
    return None


def curvlinops_values(network):
    """As its documentation says: the operator, handed to scipy's eigsh at tol=1e-3; attention by
    the kernels that can be differentiated. None where it cannot differentiate the network.
    """
    from curvlinops import HessianLinearOperator

    model = copy.deepcopy(trained(network)).train(network.batch_norm == "batch")
    operator = HessianLinearOperator(
        model,
        network.criterion(),
        list(model.parameters()),
        [network.data(torch.float32)],
        check_deterministic=False,
    )
    try:
        with sdpa_kernel(SDPBackend.MATH):
            values = eigsh(operator.to_scipy(np.float32), k=K, which="LM", tol=1e-3)[0]
    except (NotImplementedError, RuntimeError):  # layers without forward mode
        return None
    return values[np.argsort(-np.abs(values))].astype(float)


def page(rows):
    """The table, and under it what it says."""
    yield "# Top 10 eigenvalues of small networks"
    yield ""
    yield from HEAD.format(
        curvlinops=version("curvlinops-for-pytorch"), torch=torch.__version__, cap=CAP
    ).splitlines()
    for row in rows:
        yield "| " + " | ".join(cells(row)) + " |"
    yield ""
    yield from summary(rows)
    yield ""
    yield "Command: `python benchmarks/eigenvalues.py --out benchmarks/results/eigenvalues.md`"
    yield ""


HEAD = """\
Float32, 300 digits, one run; torch {torch}, PyHessian 0.1, curvlinops {curvlinops}. Truth: the
dense float64 Hessian by double backward, LAPACK. *Error*: worst of the ten in units of max|λ|.
*Inside*: how many lie within their stated bound. *Missed*: larger eigenvalues that are not among
the ten. *Products*: Hessian-vector products of ours with the default tolerance, checks and
certificate included; then at equal accuracy, where both solvers get the loosest tolerance at which
all ten are right to 1e-4 max|λ|: ours, and PyHessian's power iteration, "never" where it is not
within {cap}. *curvlinops*: its worst error with scipy's eigsh at tol 1e-3; "refuses" where it
cannot differentiate the network.

| network | weights | error | inside | missed | products | ours, equal accuracy | PyHessian, equal \
accuracy | curvlinops |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def cells(row):
    """One line of the table."""
    theirs = row["curvlinops"]
    return (
        row["name"],
        f"{row['n']:,}",
        f"{row['error']:.0e}",
        f"{row['inside']} of {K}",
        str(row["missed"]),
        str(row["hvps"]),
        str(row["loose"] or "never"),
        str(row["pyhessian"] or "never"),
        "refuses" if theirs is None else f"{theirs:.0e}",
    )


def summary(rows):
    """Medians over the networks; "never" counts as the cap."""
    equal = [(row["loose"] or CAP) / (row["pyhessian"] or CAP) for row in rows]
    default = [row["hvps"] / (row["pyhessian"] or CAP) for row in rows]
    right = [row["error"] <= WANTED and row["inside"] == K and not row["missed"] for row in rows]
    yield f"* All ten right to 1e-4, inside their bounds, none missed: {sum(right)} of {len(rows)}."
    for words, ratios in (("at equal accuracy", equal), ("with our default tolerance", default)):
        yield (
            f"* Products, ours over PyHessian's, {words} (never counts as {CAP}): median "
            f"{median(ratios):.3f}, worst {max(ratios):.2f}, at most 1/10 on "
            f"{sum(r <= 0.1 for r in ratios)} of {len(rows)}."
        )


if __name__ == "__main__":
    main()
