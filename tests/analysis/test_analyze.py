"""One loop for runs and checkpoints, from Python: the same numbers as an audit's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import landscape as ls
from landscape import records
from landscape.measures.context import fingerprint

OPTIONS = {
    "sharpness": {"radii": (0.05, 0.1), "steps": 2},
    "spectral_density": {"steps": 8, "probes": 2},
}


def points(seed):
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(seed))
    return x, x[:, :3].argmax(1)


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


@pytest.fixture
def checkpoint(tmp_path, monkeypatch, network):
    """model.pt in the present folder, with live objects that it is measured with."""
    monkeypatch.chdir(tmp_path)
    torch.save(network.state_dict(), "model.pt")
    parts = {"train": points(0), "test": DataLoader(TensorDataset(*points(1)), batch_size=16)}
    return {"model": network, "data": parts, "device": "cpu"}


@pytest.mark.slow
def test_audit_and_analyze_of_a_checkpoint_agree(checkpoint):
    """Training and test data differ, so that a table of their own would show."""
    answered = ls.analyze("model.pt", list(OPTIONS), options=OPTIONS, **checkpoint)
    audited = ls.audit(Path("model.pt"), options=OPTIONS, **checkpoint).answers
    for name, field in (("sharpness", "mean"), ("spectral_density", "density")):
        ours, theirs = answered[name], audited[name]
        np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field))
        assert ours.point.fingerprint == theirs.point.fingerprint
        assert ours.settings == theirs.settings
    alone = ls.analyze(
        "model.pt", ["sharpness"], options=OPTIONS, out="alone", **checkpoint | {"data": points(0)}
    )["sharpness"]
    np.testing.assert_array_equal(alone.mean, answered["sharpness"].mean)


def test_the_area_takes_the_eigenvectors_that_were_just_computed(checkpoint, monkeypatch):
    options = {"eigenvalues": {"k": 3}, "rise_area": {"size": 11, "cells": 1.0, "rise": 0.02}}
    asked, solve = [], ls.measures.Eigenvalues.__call__

    def counted(measure, objective, **rest):
        asked.append(measure.k)
        return solve(measure, objective, **rest)

    monkeypatch.setattr(ls.measures.Eigenvalues, "__call__", counted)
    both = ls.analyze("model.pt", list(options), options=options, **checkpoint)
    assert asked == [3]
    np.testing.assert_array_equal(
        both["rise_area"].eigenvalues, sorted(both["eigenvalues"].values)[:-3:-1]
    )
    alone = ls.analyze("model.pt", ["rise_area"], options=options, out="alone", **checkpoint)
    assert asked == [3, 2]
    np.testing.assert_allclose(alone["rise_area"].areas, both["rise_area"].areas, rtol=1e-2)


def test_planes_of_a_checkpoint_stand_side_by_side(checkpoint):
    found = {}
    for directions in ("random", "eigenvectors", "random"):
        options = {"surface": {"size": 3, "directions": directions}}
        found[directions] = ls.analyze("model.pt", ["surface"], options=options, **checkpoint)
    kept = records.load_all("minima/model")
    assert set(kept) == {"surface", "surface-eigenvectors"}
    for name, directions in (("surface", "random"), ("surface-eigenvectors", "eigenvectors")):
        np.testing.assert_array_equal(kept[name].loss, found[directions]["surface"].loss)


def nn_loss(model, batch):
    return nn.functional.cross_entropy(model(batch.x), batch.y)


def test_live_objects_are_not_changed_and_named_in_the_records(checkpoint, network):
    with torch.no_grad():
        moved = {name: p.clone() + 1 for name, p in network.state_dict().items()}
    torch.save(moved, "moved.pt")
    before = {name: p.clone() for name, p in network.state_dict().items()}
    found = ls.analyze("moved.pt", ["noise"], options=noise(), out="here", **checkpoint)["noise"]
    assert all(torch.equal(p, before[name]) for name, p in network.state_dict().items())
    w = torch.cat([moved[name].flatten() for name, _ in network.named_parameters()])
    assert found.provenance["weights"] == fingerprint(w)
    assert found.provenance["model"] == "torch.nn.modules.container.Sequential"
    assert records.load("here/records/noise.nc").loss.tolist() == found.loss.tolist()


def noise():
    return {"noise": {"sigmas": (0.0, 0.1), "draws": 2}}


def test_a_factory_a_loader_and_a_loss(checkpoint, network):
    given = {"model": lambda: network, "data": lambda: points(0), "loss": nn_loss}
    found = ls.analyze("model.pt", ["noise"], options=noise(), **given, device="cpu")["noise"]
    assert found.point.split == "given"
    assert found.point.loss == pytest.approx(
        nn_loss(network, ls.Batch(*points(0))).item(), rel=1e-5
    )


def test_what_is_there_is_kept_unless_forced(checkpoint):
    def written(**options):
        ls.analyze("model.pt", ["noise"], options=noise(), **checkpoint, **options)
        return Path("minima/model/records/noise.nc").stat().st_mtime_ns

    first = written()
    assert written() == first
    assert written(force=True) > first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 3}, "`model` must be a torch.nn.Module, or a function or name"),
        ({"model": lambda: 3}, "must make a torch.nn.Module. Got int"),
        ({"model": None}, "its model must be named"),
        ({"data": []}, "data has no examples"),
        (
            {"loss": "cross_entropy"},
            "`loss` must be dice, dice-per-image, squared-error or pkg.mod:name or file.py:name",
        ),
        ({"measures": ["eigenvalue"]}, "Unknown measure 'eigenvalue'. Did you mean 'eigenvalues'"),
        ({"options": {"noise": {"draw": 3}}}, "Unknown setting of noise 'draw'"),
    ],
)
def test_wrong_arguments_are_told(checkpoint, arguments, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        ls.analyze("model.pt", **{"measures": ["noise"], **checkpoint, **arguments})


def test_a_measure_is_known_in_any_case(checkpoint):
    assert list(ls.analyze("model.pt", ["NOISE"], options=noise(), **checkpoint)) == ["noise"]


def test_describe_and_dir(checkpoint):
    assert ls.describe("model.pt")["what"] == ls.describe(Path("model.pt"))["what"] == "checkpoint"
    assert {"analyze", "audit", "describe"} <= set(dir(ls))
