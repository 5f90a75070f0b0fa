"""Small records of every kind, with numbers that can be checked by eye."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.records import (
    AdaptiveSharpnessRecord,
    BatchEigenvaluesRecord,
    CalibrationRecord,
    ComparisonRecord,
    CriticalSharpnessRecord,
    CurvesRecord,
    DisplacementRecord,
    EigenvaluesRecord,
    FisherRaoRecord,
    LifelongRecord,
    NoiseRecord,
    PacBayesRecord,
    PathRecord,
    Point,
    ProfileRecord,
    PruningRecord,
    QuantizationRecord,
    RadiusRecord,
    RiseAreaRecord,
    SharpnessOverTrainingRecord,
    SharpnessRecord,
    SpectralDensityRecord,
    StudyRecord,
    SurfaceRecord,
    WorstCaseRecord,
)

NAN = float("nan")


@pytest.fixture
def point():
    return Point(0.1, 0.01, 3.0, 9, 256, "train", "reestimated", "float32", "cpu", "ab")


@pytest.fixture
def curves_record():
    def make(loss=(2.0, 1.0, 0.5, 0.25), accuracy=(0.1, 0.5, 0.8, 0.9)):
        epoch = np.arange(len(loss))
        return CurvesRecord(
            epoch=epoch, train_loss=np.array(loss), train_accuracy=np.array(accuracy),
            test_loss=np.array(loss), test_accuracy=np.array(accuracy),
            learning_rate=0.1 + 0.0 * epoch, grad_evals=20.0 * epoch, seconds=1.5 * epoch,
        )  # fmt: skip

    return make


@pytest.fixture
def eigenvalues_record(point):
    def make(values=(8.0, 4.0, -1.0), bounds=(0.5, 0.25, 0.125), converged=(True, True, True)):
        return EigenvaluesRecord(
            values=np.array(values), residuals=np.array(bounds), bounds=np.array(bounds),
            converged=np.array(converged), hvps=9, which="magnitude", point=point,
        )  # fmt: skip

    return make


@pytest.fixture
def noise_record(point):
    def make(loss, accuracy=None, sigma=(0.0, 0.01, 0.04)):
        loss = np.array(loss, dtype=float)
        accuracy = np.full_like(loss, NAN) if accuracy is None else np.array(accuracy)
        return NoiseRecord(
            sigma=np.array(sigma), loss=loss, accuracy=accuracy, scale="max", clean_loss=0.1,
            clean_accuracy=0.9, point=point,
        )  # fmt: skip

    return make


@pytest.fixture
def surface_record(point):
    def make(scale=1.0, x=(-1.0, 0.0, 1.0), y=(-2.0, -1.0, 0.0, 1.0, 2.0), loss=None, **fields):
        x, y = np.array(x), np.array(y)
        loss = scale * (0.01 + x[:, None] ** 2 + 0.1 * y[None, :] ** 2) if loss is None else loss
        return SurfaceRecord(
            x=x, y=y, loss=loss, accuracy=np.exp(-loss), cosine=0.0, point=point,
            **{"directions": "random", **fields},
        )  # fmt: skip

    return make


@pytest.fixture
def comparison_record():
    """Two metrics, a baseline and three methods: clear, clear but not after Holm, spans zero."""
    difference = np.array([[NAN, 0.02, 0.01, 0.001], [NAN, -30.0, -5.0, 1.0]])
    half = np.array([[NAN, 0.005, 0.009, 0.01], [NAN, 4.0, 4.9, 3.0]])
    mean = np.array([[0.90, 0.92, 0.91, 0.901], [60.0, 30.0, 55.0, 61.0]])
    p = np.array([[NAN, 0.001, 0.04, 0.8], [NAN, 0.001, 0.04, 0.5]])
    return ComparisonRecord(
        metrics=np.array(["test_accuracy", "lambda_max"]),
        methods=np.array(["sgd", "sam", "fam", "aace"]),
        mean=mean, low=mean - 0.002, high=mean + 0.002, n=np.full((2, 4), 6),
        difference=difference, difference_low=difference - half, difference_high=difference + half,
        effect_size=difference, t_p=p, holm_p=np.minimum(1, 2 * p), sign_flip_p=p,
        measures=np.array(["lambda_max"]), tau=np.array([0.4]), tau_low=np.array([0.1]),
        tau_high=np.array([0.7]), within_tau=np.array([0.05]), baseline="sgd",
    )  # fmt: skip


@pytest.fixture
def study_record():
    table = np.full((2, 2, 3), NAN)
    table[0] = [[0.2, 0.3, 0.4], [0.1, 0.15, NAN]]
    table[1] = [[10.0, 20.0, 30.0], [5.0, 6.0, 7.0]]
    return StudyRecord(
        metrics=np.array(["generalisation_gap", "lambda_max"]), methods=np.array(["sgd", "sam"]),
        seeds=np.arange(3), table=table, status=np.full((2, 3), "finished"), task="digits",
    )  # fmt: skip


@pytest.fixture
def words():
    """Everything a figure says, as one string."""

    def read(figure):
        from matplotlib.text import Text

        return "\n".join(t.get_text() for t in figure.findobj(Text))

    return read


SHARP = {"sgd": 4.0, "sam": 2.0, "lets": 1.0}


@pytest.fixture
def made_up(point):
    """Records of every kind that is drawn by method: kind -> method -> three seeds."""
    test = replace(point, split="test")
    points = {"train": point, "test": test}
    return {
        kind: {
            method: [make(sharp * (0.96 + 0.04 * seed), **points) for seed in range(3)]
            for method, sharp in SHARP.items()
        }
        for kind, make in MADE_UP.items()
    }


def _curves(sharp, **_):
    epoch = np.arange(9)
    loss, accuracy = 2.3 * np.exp(-epoch / (1 + sharp / 4)) + 0.01, 0.95 - 0.85 * np.exp(-epoch / 2)
    accuracy = accuracy - 0.02 * sharp * (epoch > 0)
    return CurvesRecord(epoch, loss, accuracy, loss, accuracy, loss, 20.0 * epoch, 1.5 * epoch)


def _eigenvalues(sharp, train, **_):
    values = 10 * sharp * np.array([1.0, 0.6, 0.35, 0.2, 0.1, -0.08])
    bounds = 0.5 + 0.02 * np.abs(values)
    done = np.arange(6) != 4
    return EigenvaluesRecord(values, bounds, bounds, done, 9, "magnitude", point=train)


def _density(sharp, train, **_):
    grid = np.linspace(-3, 45, 193)
    peaks = np.array([[0.0, 0.99], [10 * sharp, 0.006], [4 * sharp, 0.004]])
    heights = [w * np.exp(-(((grid - at) / 0.8) ** 2) / 2) for at, w in peaks]
    rho = np.sum(heights, axis=0) / (0.8 * (2 * np.pi) ** 0.5)
    return SpectralDensityRecord(
        grid=grid, density=rho, low=0.5 * rho, high=2 * rho, nodes=np.zeros((4, 3)),
        weights=np.full((4, 3), 1 / 3), width=0.8, mean=0.1, mean_low=0.0, mean_high=0.2,
        steps_error=0.0, hvps=12, n=500, point=train,
    )  # fmt: skip


def _noise(sharp, test, **_):
    sigma = np.array([0.0, 0.01, 0.03, 0.1])
    power = sharp * sigma[:, None] * np.array([0.9, 1.0, 1.1])
    loss, accuracy = 0.2 + 60 * power**2, 0.1 + 0.85 * np.exp(-30 * power**2)
    return NoiseRecord(sigma, loss, accuracy, "max", 0.2, 0.95, point=test)


def _quantization(sharp, test, **_):
    fall = 0.02 * sharp * np.array([[0.1, 0.2], [0.6, 1.0]])
    return QuantizationRecord(
        bits=np.array([8, 4]), loss=0.2 + fall, accuracy=0.95 - fall, error=fall, point=test,
        granularity=("channel", "tensor"), clean_loss=0.2, clean_accuracy=0.95,
    )  # fmt: skip


def _pruning(sharp, test, **_):
    share = np.array([0.2, 0.5, 0.9])
    fall = 0.1 * sharp * share**4
    return PruningRecord(share, share, 0.2 + fall, 0.95 - fall, "global", 0.2, 0.95, point=test)


def _worst(sharp, test, **_):
    radius = np.array([0.02, 0.05, 0.1])
    rise = 40 * sharp * radius**2
    return WorstCaseRecord(
        radius, 0.2 + rise, 0.95 - rise / 3, rise[:, None], "rms", 0.2, 0.95, point=test
    )


def _sharpness(sharp, train, **_):
    radii = np.array([0.01, 0.05, 0.2])
    rise = sharp * radii[:, None] * np.array([0.8, 1.0, 1.3])
    return SharpnessRecord(radii, rise, 0.4 * rise, np.full(3, 0.02), np.full(3, 64.0), "sam",
                           point=train)  # fmt: skip


def _radius(sharp, **_):
    epoch = np.arange(1, 13)
    return RadiusRecord(
        epoch, 0.03 * sharp * epoch, 0 * epoch, 0 * epoch, 0.7 - 0.1 * sharp / epoch
    )


def _stability(sharp, train, **_):
    step = 10.0 * np.arange(9)
    ones = np.ones(9)
    return SharpnessOverTrainingRecord(
        step=step, epoch=step / 20, learning_rate=0.1 * ones, threshold=20 * ones,
        loss=2.3 * np.exp(-step / 15) + 0.01, grad_norm=4 * np.exp(-step / 15) + 0.01, w_norm=ones,
        lambda_max=6 * sharp * (1 - np.exp(-step / 30)), lambda_bound=0 * ones,
        ascent_gain=0.1 * sharp * np.exp(-step / 40), point=train,
    )  # fmt: skip


def _profile(sharp, train, test):
    x = np.linspace(-1, 1, 21)
    loss = 0.02 + sharp * np.array([[1.0], [2.0], [0.6]]) * (x**2 + 0.3 * x**3)
    return ProfileRecord(
        x=x, loss=loss, accuracy=np.exp(-loss), directions="random", other_loss=loss + 0.2,
        other_accuracy=np.exp(-loss - 0.2), other_point=vars(test), point=train,
    )  # fmt: skip


def _path(sharp, train, test):
    t = np.linspace(0, 1, 21)
    loss = 0.1 + 0.5 * t + 4 * sharp * t**2 * (1 - t)
    return PathRecord(
        t=t, loss=loss, accuracy=np.exp(-loss), length=2.0, end="sgd, seed 1", stale=False,
        other_loss=loss + 0.3, other_accuracy=np.exp(-loss - 0.3), other_point=vars(test),
        point=train,
    )  # fmt: skip


def _surface(sharp, train, test):
    x, y = np.linspace(-1, 1, 17), np.linspace(-0.5, 0.8, 13)
    a, b = x[:, None], y[None, :]
    loss = 0.05 + sharp * (a**2 + 0.2 * b**2 + 0.3 * a * b + 0.2 * a**3)
    return SurfaceRecord(
        x=x, y=y, loss=loss, accuracy=np.exp(-loss), directions="random", cosine=0.0,
        other_loss=loss + 0.2, other_accuracy=np.exp(-loss - 0.2), other_point=vars(test),
        point=train,
    )  # fmt: skip


def _rise_area(sharp, train, **_):
    """Bowls (λ₁ x² + λ₂ y²)/2 with the areas of their ellipses."""
    u = np.linspace(-1, 1, 25)
    reach = np.sqrt(0.2 / np.array([2 * sharp, sharp]))
    x, y = (3 * r * np.sinh(2.8 * u) / np.sinh(2.8) for r in reach)
    rise = sharp * (x[:, None] ** 2 + 0.5 * y[None, :] ** 2)
    rises = np.array([0.05, 0.1, 0.2])
    areas = 2 * np.pi * rises / (2**0.5 * sharp)
    return RiseAreaRecord(
        x=x, y=y, loss=0.01 + rise, accuracy=np.exp(-rise), directions="eigenvectors", cosine=0.0,
        centre=0.01, rises=rises, areas=areas, area_errors=0.001 * areas, position=np.zeros(2),
        eigenvalues=np.array([2 * sharp, sharp]), eigenvalue_bounds=np.full(2, 0.01), point=train,
    )  # fmt: skip


def _critical(sharp, train, **_):
    return CriticalSharpnessRecord(4 * sharp, 3.9 * sharp, 4.1 * sharp, 0.4 * sharp, 3.8 * sharp,
                                   1.0, 9, "gradient", point=train)  # fmt: skip


def _adaptive(sharp, train, **_):
    radii = np.array([0.001, 0.002, 0.004, 0.008])
    rise = sharp * radii[:, None] * np.array([8.0, 10.0, 13.0])
    return AdaptiveSharpnessRecord(
        radii, rise, 0.1 * rise, 50 * radii, np.full(3, 0.02), np.full(3, 64.0), "linf", "plain",
        point=train,
    )  # fmt: skip


def _pac_bayes(sharp, train, **_):
    sigma = np.array([0.1, 0.4]) / sharp**0.5
    return PacBayesRecord(
        sigma, 0.9 * sigma, 1.15 * sigma, np.ones(2, bool), ("plain", "magnitude"), "error", 0.1,
        0.05, 500, point=train, settings={"draws": 10},
    )  # fmt: skip


def _batch_eigenvalues(sharp, train, **_):
    values = sharp * (10 + 3 * np.sin(np.arange(8.0)) + np.arange(8.0))
    return BatchEigenvaluesRecord(
        values, 0.01 * values, 0.3 * values, 9.0 * sharp, 0.1, 10.0, 14.0, 64, "hessian",
        point=train,
    )  # fmt: skip


def _fisher_rao(sharp, train, **_):
    return FisherRaoRecord(0.4 * sharp, 0.02 * sharp, 0.2 * sharp, 0.03 * sharp, point=train)


def _calibration(sharp, test, **_):
    place = np.arange(400.0)
    confidence = 0.3 + 0.7 * (place / 400) ** 0.4
    correct = (np.sin(place * 12.9898) * 43758.5453 % 1 < confidence - 0.05 * sharp).astype(float)
    return CalibrationRecord(
        confidence, correct, float(correct.mean()), float(confidence.mean()), 0.5, 0.3,
        0.05 * sharp, 0.04 * sharp, 0.07 * sharp, 0.05 * sharp, 0.02, 0.03,
        point=test, settings={"bins": 15},
    )  # fmt: skip


def _lifelong(sharp, **_):
    """Accuracies that fall with every task after their own, the more so the sharper."""
    after, task = np.indices((5, 5))
    left = 0.99 - 0.02 * sharp * (after - task)
    a = np.where(after >= task, left, 0.5 + 0.02 * (task - after))
    position = np.linspace(0, 1, 5)
    own, fall = a.diagonal()[:, None], position**2
    way = own + (a[:, :, None] - own) * fall
    return LifelongRecord(
        accuracy=a, start=np.full(5, 0.5), loss=1 - a, start_loss=np.full(5, 0.7),
        grad_evals=100.0 * np.arange(1, 6), seconds=np.arange(1.0, 6), position=position,
        classes=np.arange(10).reshape(5, 2), quantities=np.array(["lambda_max"]),
        measured=(8 * sharp / np.arange(1, 6))[:, None],
        path_accuracy=np.where((after > task)[:, :, None], way, NAN),
    )  # fmt: skip


def _displacement(sharp, **_):
    """Three modules from a file, a frozen one between them, and a drawn head."""
    names = ("conv1.weight", "norm1.weight", "norm1.bias", *("conv2.weight", "conv3.weight"))
    start = np.array([2.0, 4.0, 0.5, 4.0, 3.0, 1.5])
    frozen = np.array([False, True, True, False, False, False])
    moved = np.array([0.1, 0.0, 0.0, 0.2, 0.15, 0.9]) / sharp
    return DisplacementRecord(
        parameters=np.array([*names, "head.weight"]),
        elements=np.array([72, 8, 8, 1152, 2304, 640]),
        distance=start * moved, start_norm=start, frozen=frozen,
        drawn=np.array([False] * 5 + [True]),
    )  # fmt: skip


MADE_UP = {
    "critical_sharpness": _critical, "adaptive_sharpness": _adaptive, "pac_bayes": _pac_bayes,
    "batch_eigenvalues": _batch_eigenvalues, "fisher_rao": _fisher_rao,
    "calibration": _calibration,
    "curves": _curves, "eigenvalues": _eigenvalues, "spectral_density": _density, "noise": _noise,
    "quantization": _quantization, "pruning": _pruning, "worst_case": _worst,
    "sharpness": _sharpness, "radius": _radius, "sharpness_over_training": _stability,
    "profile": _profile, "path": _path, "surface": _surface, "rise_area": _rise_area,
    "lifelong": _lifelong, "displacement": _displacement,
}  # fmt: skip
