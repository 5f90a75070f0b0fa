"""What a record of a run says of itself: settings, seeds, data, policy, precision, versions."""

from dataclasses import fields

import pytest

from landscape.analysis.analyze import analyze
from landscape.measures import MEASURES
from landscape.records import load
from landscape.training.train import train

DRAWS_NOTHING = {"quantization", "pruning", "critical_sharpness", "fisher_rao"}
QUICK = {
    "eigenvalues": {"k": 1, "tolerance": 0.1},
    "noise": {"sigmas": (0.0, 0.1), "draws": 2},
    "quantization": {"bits": (8,)},
    "relative_flatness": {},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = {
        "training": {"epochs": 1, "device": "cpu", "measure_every": 18, "measure_examples": 30}
    }
    run = train("digits", "lets", 4, tmp_path_factory.mktemp("run") / "r", settings=settings)
    analyze(run, list(QUICK), examples=40, options=QUICK)
    return run


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_that_draws_has_a_seed(name):
    """So that its record, whose settings are the measure's own, holds it."""
    assert ("seed" in {f.name for f in fields(MEASURES[name])}) == (name not in DRAWS_NOTHING)


@pytest.mark.parametrize("kind", QUICK)
def test_a_record_in_the_run_says_where_it_comes_from(run, kind):
    record = load(run.path / "records" / f"{kind}.nc")
    newer = {"precision", "precision_tolerance"}  # unless it is the default, as in older records
    assert set(record.settings) | newer == {f.name for f in fields(MEASURES[kind])} | newer
    whose = record.provenance["run"]
    assert (whose["task"], whose["method"], whose["seed"]) == ("digits", "lets", 4)
    assert (whose["precision"], record.point.dtype) == ("fp32", "float32")
    assert (record.point.batch_norm, record.point.device) == ("stored", "cpu")
    assert len(record.point.fingerprint) == 16 and len(whose["data_fingerprint"]) == 64
    assert {"landscape", "torch", "numpy", "python", "threads"} <= set(record.provenance)


@pytest.mark.parametrize("kind", ["curves", "radius", "sharpness_over_training"])
def test_a_record_that_the_metrics_make_has_the_settings_of_the_run(run, kind):
    record = run.records()[kind]
    assert (record.settings["seed"], record.settings["method"]) == (4, "lets")
    assert record.settings["training"]["precision"] == "fp32"
    assert record.provenance["device"] == "cpu"
    assert len(record.provenance["data_fingerprint"]) == 64
    assert {"landscape", "torch", "numpy", "python", "threads"} <= set(record.provenance)
