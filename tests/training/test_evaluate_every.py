"""Evaluations every so many epochs: the same training, fewer rows."""

import pytest
import torch

from landscape.study.cell import cell_folder
from landscape.training.train import settings_for, train


def trained(path, method="sam", **training):
    settings = {"training": {"epochs": 5, "device": "cpu", **training}}
    return train("digits", method, 0, path, settings=settings, resume=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that is evaluated after each epoch."""
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(("every", "epochs"), [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4, 5]),
                                               (0, [0, 5])])  # fmt: skip
def test_rows_and_weights(tmp_path, whole, every, epochs):
    run = trained(tmp_path / "b", evaluate_every=every)
    assert [row["epoch"] for row in run.metrics] == epochs
    for name, weight in run.model().state_dict().items():
        assert torch.equal(weight, whole.model().state_dict()[name])
    for key in ("test_accuracy", "test_loss", "train_loss", "grad_evals"):
        assert run.metrics[-1][key] == whole.metrics[-1][key]


def test_folders_keep_their_names(tmp_path):
    """The default leaves a cell's folder where it was; another value makes another one."""
    plain, same, other = (
        cell_folder(tmp_path, settings_for("digits", "sgd", 0, {"training": extra}))
        for extra in ({}, {"evaluate_every": 1}, {"evaluate_every": 0})
    )
    assert plain == same != other


def test_negative_is_refused():
    with pytest.raises(ValueError, match=r"`training\.evaluate_every` must be non-negative"):
        settings_for("digits", "sgd", 0, {"training": {"evaluate_every": -1}})


def test_an_interrupted_run_goes_on(tmp_path):
    def stop(told):
        if told.done >= 0.5:
            raise KeyboardInterrupt

    settings = {"training": {"epochs": 5, "device": "cpu", "evaluate_every": 2}}
    with pytest.raises(KeyboardInterrupt):
        train("digits", "sgd", 0, tmp_path / "r", settings=settings, progress=stop)
    run = trained(tmp_path / "r", "sgd", evaluate_every=2)
    assert [row["epoch"] for row in run.metrics] == [0, 2, 4, 5]
