"""A made-up study that looks like a real one: nine methods, six seeds, one run that diverged."""

import itertools

import numpy as np
import pytest
from scipy import stats

from landscape.records import (
    METRICS,
    ComparisonRecord,
    CurvesRecord,
    EigenvaluesRecord,
    NoiseRecord,
    Point,
    ProfileRecord,
    PruningRecord,
    QuantizationRecord,
    RelativeFlatnessRecord,
    SharpnessRecord,
    SpectralDensityRecord,
    StudyRecord,
    SurfaceRecord,
    WorstCaseRecord,
)
from landscape.report import Contents

FEW = ("test_accuracy", "generalisation_gap", "lambda_max", "grad_evals")
NINE = ("sgd", "adamw", "sam", "asam", "lookbehind", "lets", "msam", "fam", "aace")
SHARPNESS = dict(zip(NINE, (60, 85, 24, 20, 22, 18, 15, 40, 30), strict=True))
ACCURACY = dict(
    zip(NINE, (0.921, 0.915, 0.936, 0.938, 0.933, 0.9365, 0.941, 0.9235, 0.922), strict=True)
)
PASSES = dict(zip(NINE, (1, 1, 2, 2, 4, 3.1, 2, 2.6, 2), strict=True))
SIGMA = np.array([0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1])


def sharpness(method):
    return SHARPNESS.get(method, 35.0)


def point(split="train", examples=1024):
    return Point(0.02, 0.013, 31.0, 9610, examples, split, "stored", "float32", "cpu", "5f1e")


def curves(method, rng, diverges=False, epochs=20):
    t = np.arange(epochs + 1)
    loss = 2.3 * np.exp(-t / (2.2 + rng.normal(0, 0.1))) + 0.02 + 0.002 * rng.random(epochs + 1)
    accuracy = 0.1 + (ACCURACY.get(method, 0.92) - 0.1) * (1 - np.exp(-t / 2.0))
    accuracy = accuracy + rng.normal(0, 0.003, epochs + 1)
    if diverges:
        loss, accuracy = loss.copy(), accuracy.copy()
        loss[5:], accuracy[5:] = np.nan, np.nan
    passes = 23.0 * t * PASSES.get(method, 1)
    return CurvesRecord(
        epoch=t, train_loss=loss, train_accuracy=accuracy, test_loss=loss + 0.1,
        test_accuracy=accuracy, learning_rate=0.05 * (1 - t / epochs), grad_evals=passes,
        seconds=0.02 * passes,
    )  # fmt: skip


def eigenvalues(method, rng, k=10):
    top = sharpness(method) * np.exp(rng.normal(0, 0.12))
    values = np.append(top * np.exp(-0.35 * np.arange(k - 1)), -0.05 * top)
    bounds = 0.01 * np.abs(values)
    return EigenvaluesRecord(
        values=values, residuals=bounds, bounds=bounds, converged=np.arange(k) < k - 1 + (top > 14),
        hvps=41, which="magnitude", point=point(),
    )  # fmt: skip


def noise(method, rng, draws=20):
    level = SIGMA[:, None] * sharpness(method) ** 0.5
    spread = np.abs(1 + rng.normal(0, 0.1, (1, draws)) + rng.normal(0, 0.03, (len(SIGMA), draws)))
    loss = 0.25 + 4.0 * (level * spread) ** 2
    accuracy = 0.1 + (ACCURACY.get(method, 0.92) - 0.1) * np.exp(-2.0 * (level * spread) ** 2)
    return NoiseRecord(
        sigma=SIGMA, loss=loss, accuracy=accuracy, scale="max", clean_loss=0.25,
        clean_accuracy=ACCURACY.get(method, 0.92), point=point("test", 360),
    )  # fmt: skip


def surface(method, rng, size=51):
    x = np.linspace(-1, 1, size)
    a, b = x[:, None], x[None, :]
    bend = sharpness(method) * (1 + rng.normal(0, 0.05))
    ripple = 0.15 * np.sin(3 * a + 1) ** 2 * (a**2 + b**2)
    loss = 0.02 + bend * (0.12 * a**2 + 0.05 * b**2 + 0.04 * a * b + ripple)
    return SurfaceRecord(
        x=x, y=x, loss=loss, accuracy=np.exp(-loss), directions="random", cosine=0.0,
        other_loss=loss + 0.1, other_accuracy=np.exp(-loss - 0.1),
        other_point=vars(point("test", 360)), point=point(),
    )  # fmt: skip


def density(method, rng):
    grid = np.linspace(-4.0, 1.3 * sharpness(method), 257)
    width = float(grid[1] - grid[0]) * 2
    centres = sharpness(method) * np.exp(-0.35 * np.arange(9)) * np.exp(rng.normal(0, 0.1))
    kernels = np.exp(-(((grid[:, None] - np.append(centres, 0.0)) / width) ** 2) / 2)
    curve = kernels @ np.append(np.full(9, 1e-4), 1.0) / (width * (2 * np.pi) ** 0.5)
    return SpectralDensityRecord(
        grid=grid, density=curve, low=0.8 * curve, high=1.2 * curve, nodes=np.zeros((10, 5)),
        weights=np.full((10, 5), 0.2), width=width, mean=1e-4 * centres.sum(), mean_low=0.0,
        mean_high=1.0, steps_error=0.001, hvps=50, n=9610, point=point(),
    )  # fmt: skip


def changes(method, rng):
    """Records of what is exact: rounding, pruning, the worst case, sharpness."""
    top = ACCURACY.get(method, 0.92) + rng.normal(0, 0.002)
    fall = np.array([0.001, 0.01, 0.1]) * (1 + 0.1 * rng.random(3))
    rise = 1e-2 * sharpness(method) * np.array([0.1, 1.0, 5.0])
    clean = {"clean_loss": 0.25, "clean_accuracy": top, "point": point("test", 360)}
    return {
        "quantization": QuantizationRecord(
            bits=np.array([8, 4]), loss=0.25 + fall[:2, None] * [1.0, 2.0],
            accuracy=top - fall[:2, None] * [1.0, 2.0], error=np.full((2, 2), 0.1),
            granularity=("channel", "tensor"), **clean,
        ),
        "pruning": PruningRecord(
            fraction=np.array([0.2, 0.5, 0.9]), pruned=np.array([1922, 4805, 8649]),
            loss=0.25 + fall, accuracy=top - fall, scope="global", **clean,
        ),
        "worst_case": WorstCaseRecord(
            radius=np.array([0.01, 0.05, 0.1]), loss=0.25 + rise, accuracy=top - fall,
            reached=np.stack([0.25 + rise] * 2, axis=1), scale="rms", **clean,
        ),
        "sharpness": SharpnessRecord(
            radii=np.array([0.01, 0.05, 0.1]), sharpness=rise[:, None] * (1 + rng.random((3, 4))),
            one_step=rise[:, None] * np.ones((3, 4)), loss=np.full(4, 0.02),
            share=np.full(4, 256.0), rule="sam", point=point(),
        ),
    }  # fmt: skip


def profile(method, rng):
    x = np.linspace(-1, 1, 21)
    loss = 0.02 + 0.05 * sharpness(method) * x**2 * (1 + 0.2 * rng.random((5, 1)))
    return ProfileRecord(x=x, loss=loss, accuracy=np.exp(-loss), directions="random", point=point())


def cell(method, seed, diverges, size):
    rng = np.random.default_rng([sum(method.encode()), seed])
    found = {"curves": curves(method, rng, diverges)}
    if diverges:
        return found
    found["eigenvalues"] = eigenvalues(method, rng)
    found["relative_flatness"] = RelativeFlatnessRecord(
        value=0.4 * sharpness(method) * (1 + rng.normal(0, 0.1)), simplified=9.0, stderr=0.0,
        layer="head", estimator="exact", point=point(),
    )  # fmt: skip
    found["noise"] = noise(method, rng)
    found["spectral_density"] = density(method, rng)
    found |= changes(method, rng)
    if seed == 0:
        found["profile"] = profile(method, rng)
        found["surface"] = surface(method, rng, size)
    return found


def numbers(method, seed, found):
    """The row of a study, metric -> value."""
    last = found["curves"]
    if "eigenvalues" not in found:
        return {"grad_evals": last.grad_evals[-1], "seconds": last.seconds[-1]}
    rng = np.random.default_rng([7, sum(method.encode()), seed])
    shared = np.random.default_rng(seed).normal(0, 0.002)
    accuracy = ACCURACY.get(method, 0.92) + shared + rng.normal(0, 0.0015)
    gap = 0.1 + 0.0015 * sharpness(method) + rng.normal(0, 0.012)
    return {
        "test_accuracy": accuracy, "test_loss": 0.02 + gap, "train_loss": 0.02,
        "generalisation_gap": gap, "grad_norm": 0.013 + rng.normal(0, 0.002),
        "w_norm": 31.0 + rng.normal(0, 0.5), "lambda_max": found["eigenvalues"].values[0],
        "kappa": found["relative_flatness"].value,
        "kappa_hat": 0.4 * found["relative_flatness"].value,
        "noise_sigma_5": 0.5 / sharpness(method) ** 0.5 * (1 + rng.normal(0, 0.05)),
        "grad_evals": last.grad_evals[-1], "seconds": last.seconds[-1] + rng.random(),
    }  # fmt: skip


def study(cells, methods, seeds, diverged, task, metrics):
    table = np.full((len(metrics), len(methods), seeds), np.nan)
    for (j, method), seed in itertools.product(enumerate(methods), range(seeds)):
        row = numbers(method, seed, cells[method, seed])
        table[:, j, seed] = [row.get(metric, np.nan) for metric in metrics]
    status = [
        ["diverged" if (m, s) in diverged else "finished" for s in range(seeds)] for m in methods
    ]
    return StudyRecord(
        metrics=np.array(list(metrics)), methods=np.array(methods), seeds=np.arange(seeds),
        table=table, status=np.array(status), task=task,
    )  # fmt: skip


def interval(samples):
    samples = samples[np.isfinite(samples)]
    n = len(samples)
    if n == 0:
        return np.nan, np.nan, np.nan, 0
    mean = samples.mean()
    half = stats.t.ppf(0.975, n - 1) * samples.std(ddof=1) / n**0.5 if n > 1 else np.nan
    return mean, mean - half, mean + half, n


def holm(p):
    adjusted, worst = np.full(len(p), np.nan), 0.0
    order = [i for i in np.argsort(p) if np.isfinite(p[i])]
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p[i]))
        adjusted[i] = worst
    return adjusted


def kendall(a, b):
    both = np.isfinite(a) & np.isfinite(b)
    return stats.kendalltau(a[both], b[both]).statistic if both.sum() > 2 else np.nan


def compare(table, baseline):
    """Statistics of a study, in the plainest way, for the fixtures only."""
    metrics, methods = list(table.metrics), list(table.methods)
    shape = (len(metrics), len(methods))
    names = ("mean", "low", "high", "n", "difference", "difference_low", "difference_high",
             "effect_size", "t_p", "holm_p", "sign_flip_p")  # fmt: skip
    out = {name: np.full(shape, np.nan) for name in names}
    for i, j in np.ndindex(shape):
        mine = table.table[i, j]
        out["mean"][i, j], out["low"][i, j], out["high"][i, j], out["n"][i, j] = interval(mine)
        if methods[j] == baseline:
            continue
        paired = mine - table.table[i, methods.index(baseline)]
        found = interval(paired)
        out["difference"][i, j], out["difference_low"][i, j], out["difference_high"][i, j] = found[
            :3
        ]
        paired = paired[np.isfinite(paired)]
        if len(paired) > 1 and paired.std() > 0:
            out["effect_size"][i, j] = paired.mean() / paired.std(ddof=1)
            out["t_p"][i, j] = stats.ttest_1samp(paired, 0.0).pvalue
            signs = np.array(list(itertools.product((-1, 1), repeat=len(paired))))
            sums = np.abs((signs * paired).sum(axis=1))
            out["sign_flip_p"][i, j] = np.mean(sums >= abs(paired.sum()) - 1e-12)
    out["holm_p"] = np.stack([holm(row) for row in out["t_p"]])
    measures = [m for m in ("lambda_max", "kappa", "kappa_hat", "noise_sigma_5") if m in metrics]
    gap = np.ravel(table.table[metrics.index("generalisation_gap")])
    flat = {m: np.ravel(table.table[metrics.index(m)]) for m in measures}
    tau = np.array([kendall(flat[m], gap) for m in measures])
    return ComparisonRecord(
        metrics=table.metrics, methods=table.methods, **out, measures=np.array(measures), tau=tau,
        tau_low=tau - 0.15, tau_high=np.minimum(tau + 0.12, 1.0), within_tau=0.2 * tau,
        baseline=baseline,
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_contents():
    """Contents of a study of `methods`, `seeds` runs each; `diverged`: pairs (method, seed)."""

    def make(
        methods=NINE,
        seeds=6,
        diverged=(("adamw", 3),),
        size=51,
        task="digits",
        metrics=tuple(METRICS),
    ):
        cells = {
            (method, seed): cell(method, seed, (method, seed) in diverged, size)
            for method, seed in itertools.product(methods, range(seeds))
        }
        table = study(cells, methods, seeds, diverged, task, metrics)
        return Contents(
            study=table,
            comparison=compare(table, methods[0]),
            cells=cells,
            settings={"training": {"epochs": 20, "batch_size": 64}, "sam": {"rho": 0.05}},
            environment={"python": "3.11.2", "torch": "2.13.0", "device": "cpu", "threads": 1},
            command=f"landscape compare --task {task} --seeds {seeds}",
            notes=("the test set is fixed; a seed sets initialisation, order and held-out split",),
        )

    return make


@pytest.fixture(scope="session")
def small(make_contents):
    """Three methods, three seeds, small grids, few metrics: quick to draw."""
    return make_contents(("sgd", "sam", "msam"), 3, (), size=9, metrics=FEW)
