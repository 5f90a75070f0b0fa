"""Small records of every kind, with numbers that can be checked by eye."""

import numpy as np
import pytest

from landscape.records import (
    ComparisonRecord,
    CurvesRecord,
    EigenvaluesRecord,
    NoiseRecord,
    Point,
    StudyRecord,
    SurfaceRecord,
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
