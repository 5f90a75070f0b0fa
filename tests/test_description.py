"""What lies in a folder: said in one tree, nothing imported."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from landscape.analysis import hints
from landscape.analysis.analyze import analyze
from landscape.description import describe, differing
from landscape.records import EigenvaluesRecord, TraceRecord
from landscape.training.run import Run
from landscape.training.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = {"training": {"epochs": 1, "device": "cpu"}, "sam": {"rho": 0.2}}
    run = train("digits", "sam", 3, tmp_path_factory.mktemp("runs") / "r", settings=settings)
    analyze(
        run, ["relative_flatness", "eigenvalues"], examples=40, options={"eigenvalues": {"k": 2}}
    )
    return run


def test_a_run(run):
    found = describe(run.path)
    assert found["what"] == "run"
    assert (found["task"], found["method"], found["seed"]) == ("digits", "sam", 3)
    assert found["state"] == "finished"
    assert found["radius"] == "‖e‖ = 0.2, of sam"
    assert found["settings"] == {
        "training.epochs": "1, default 40",
        "training.device": "cpu, default auto",
        "sam.rho": "0.2, default 0.05",
    }
    assert found["metrics"]["epoch"] == 1
    assert found["records"]["eigenvalues"].startswith("values (2) ")
    assert "on 40 train examples" in found["records"]["relative_flatness"]
    assert found["environment"]["torch"] == torch.__version__


def test_settings_of_a_task_that_is_not_ours_are_held_against_the_program(run):
    other = Run(run.path)
    other.settings = replace(run.settings, own={"task": {"model": "evil.py:net"}})
    found = differing(other)
    assert found["training.epochs"] == "1, default 30"
    assert "evil.py:net" in found["own.task"]


def test_a_record_and_a_checkpoint(run, tmp_path):
    found = describe(run.path / "records" / "eigenvalues.nc")
    assert found["what"] == "record" and found["settings"]["k"] == 2
    torch.save(
        {"model": {"a": torch.zeros(2, 3), "b": torch.full((2,), torch.nan)}}, tmp_path / "x.pt"
    )
    found = describe(tmp_path / "x.pt")
    assert (found["tensors"], found["numbers"]) == (2, 8)
    assert found["shapes"] == {"a": "2×3", "b": "2"}
    assert "b holds NaN" in found["notes"][1]


def test_what_is_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"no run, study or audit: it has no settings\.json"):
        describe(tmp_path)
    with pytest.raises(ValueError, match="There is no checkpoint"):
        describe(tmp_path / "none.pt")


def eigenvalues(converged):
    k = len(converged)
    return EigenvaluesRecord(
        values=np.arange(k, 0.0, -1.0), residuals=np.zeros(k), bounds=np.zeros(k),
        converged=np.array(converged), hvps=12, which="magnitude",
    )  # fmt: skip


def trace(converged):
    return TraceRecord(3.0, 0.1, 2.0, 4.0, 10, 5, 40, converged)


def test_one_line_of_a_record():
    assert str(eigenvalues([True] * 3)).startswith("values (3) 1 to 3, residuals (3) 0 to 0, ")
    assert str(trace(True)).startswith("value 3, stderr 0.1, low 2, high 4, draws 10")
    assert repr(trace(True)) == f"TraceRecord({trace(True)})"
    assert len(repr(eigenvalues([True] * 3))) < 300


def test_advice_says_what_to_do():
    assert hints.of_records({"eigenvalues": eigenvalues([True]), "trace": trace(True)}) == []
    (one, two) = hints.of_records(
        {"eigenvalues": eigenvalues([True, False, True]), "trace": trace(False)}
    )
    assert "1 of 3 have not converged in 12 products" in one
    assert "--set eigenvalues.max_hvps=48" in one and "--set eigenvalues.k=2" in one
    assert "[2, 4] after 40 products" in two and "--set trace.max_hvps=160" in two
    assert hints.of_seeds(6) == []
    assert "Student's t alone" in hints.of_seeds(5)[0] and "--seeds 6" in hints.of_seeds(5)[0]
    assert "no interval" in hints.of_seeds(1)[0]
