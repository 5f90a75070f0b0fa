"""Outcome: the numbers of one minimum and the sentences about them."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.analysis import outcome
from landscape.records import (
    EigenvaluesRecord,
    NoiseRecord,
    Point,
    RiseAreaRecord,
    TraceRecord,
)

POINT = Point(0.25, 0.03, 2.0, 10, 100, "train", "stored", "float32", "cpu", "x")


def eigenvalues(**changes):
    values = {
        "values": np.array([-3.0, 2.0]), "residuals": np.array([1e-3, 1e-3]),
        "bounds": np.array([1e-4, 2e-4]), "converged": np.array([True, True]), "hvps": 9,
        "which": "magnitude", "point": POINT,
    }  # fmt: skip
    return EigenvaluesRecord(**(values | changes))


def noise(accuracy):
    levels = np.array([0.0, 0.1, 0.2])
    return NoiseRecord(
        sigma=levels, loss=np.ones((3, 2)), accuracy=np.array(accuracy), scale="filter",
        clean_loss=0.2, clean_accuracy=0.9, point=POINT,
    )  # fmt: skip


def test_numbers_have_names_and_intervals():
    trace = TraceRecord(
        value=5.0, stderr=0.1, low=4.0, high=6.0, draws=8, deflated=0, hvps=8, converged=True
    )
    fallen = noise([[0.9, 0.9], [0.85, 0.85], [0.8, 0.8]])
    found = outcome.values({"eigenvalues": eigenvalues(), "trace": trace, "noise": fallen})
    assert (found["lambda_max"], found["lambda_max_bound"]) == (2.0, 2e-4)
    assert found["eigenvalues"] == [-3.0, 2.0]
    assert (found["trace_low"], found["trace"], found["trace_high"]) == (4.0, 5.0, 6.0)
    assert found["noise_sigma_5"] == pytest.approx(0.1)
    assert (found["loss"], found["grad_norm"], found["examples"]) == (0.25, 0.03, 100)


def test_an_area_is_said_with_its_rise_and_error_and_not_where_there_is_none():
    rises, plane = np.array([0.05, 0.1, 0.2]), np.ones((2, 2))
    fields = {"directions": "eigenvectors", "cosine": 0.0, "rises": rises, "point": POINT}
    fields |= {"eigenvalues": np.ones(2), "eigenvalue_bounds": np.zeros(2)}
    record = RiseAreaRecord(
        x=rises, y=rises, loss=plane, accuracy=plane, areas=4 * rises, area_errors=0.01 * rises,
        **fields,
    )  # fmt: skip
    found = outcome.values({"rise_area": record})
    assert (found["rise"], found["rise_area"], found["rise_area_error"]) == (0.1, 0.4, 0.001)
    (said,) = outcome.sentences({"rise_area": record}, {})
    assert said.startswith("The loss rises by less than 0.1 on an area of 0.4 ± 0.001")
    gone = replace(record, areas=np.full(3, np.nan))
    assert "area" not in outcome.sentences({"rise_area": gone}, {})[0]


def test_two_sentences_say_what_was_measured_and_no_more():
    curvature, robustness = outcome.sentences(
        {"eigenvalues": eigenvalues(), "noise": noise([[0.9, 0.9], [0.85, 0.85], [0.8, 0.8]])},
        {"test_accuracy": 0.91},
    )
    assert curvature.startswith("The largest eigenvalue of the Hessian is 2 (an eigenvalue lies")
    assert "trace" not in curvature and "‖∇L‖ 0.03 at a loss of 0.25" in curvature
    assert robustness == (
        "Test accuracy 91.0%, noise of σ = 0.1 on the weights costs 5 points of accuracy."
    )
    assert outcome.sentences({}, {}) == []


def test_what_did_not_converge_and_what_never_fell_is_said():
    unsure = eigenvalues(converged=np.array([True, False]))
    steady = noise([[0.9, 0.9]] * 3)
    curvature, robustness = outcome.sentences({"eigenvalues": unsure, "noise": steady}, {})
    assert "not converged" in curvature
    assert "up to σ = 0.2 on the weights costs less than 5 points" in robustness


@pytest.mark.parametrize("change", [{"curvature": "gauss-newton"}, {"layer": "fc"}])
def test_another_matrix_is_not_called_the_hessian(change):
    assert "lambda_max" not in outcome.values({"eigenvalues": eigenvalues(**change)})


def test_a_training_ends_with_accuracy_losses_and_cost():
    row = {
        "epoch": 3, "test_accuracy": 0.5, "test_loss": 1.0, "train_loss": 0.5, "grad_evals": 9,
        "seconds": 2.0,
    }  # fmt: skip
    assert outcome.of_training(row) == (
        "Test accuracy 50.0%, test loss 1, training loss 0.5 after 3 epochs, 9 gradient "
        "evaluations in 2 s."
    )
    assert outcome.of_training(row | {"test_accuracy": float("nan")}).startswith("Test loss 1,")
