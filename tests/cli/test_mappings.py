"""Mappings as inputs, through training, measures and studies, as tokenizers give them."""

import pytest
import torch

from landscape.analysis.analyze import analyze
from landscape.data import DataSet, split
from landscape.training.run import Run

pytestmark = pytest.mark.slow  # runs the program from end to end

MINE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(20, 6), nn.Linear(6, 2)

    def forward(self, input_ids, attention_mask):
        there = attention_mask.unsqueeze(-1).float()
        return self.head((self.words(input_ids) * there).sum(1) / there.sum(1))


def data():
    g = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 20, (60, 5), generator=g)
    mask = torch.ones_like(ids)
    mask[::2, 3:] = 0
    x, y = {"input_ids": ids, "attention_mask": mask}, (ids[:, 0] > 9).long()
    part = lambda rows: ({k: t[rows] for k, t in x.items()}, y[rows])
    return {"train": [part(slice(0, 20)), part(slice(20, 40))], "test": [part(slice(40, 60))]}


def uneven():
    one, other = (({"a": torch.ones(2, n)}, torch.ones(2)) for n in (3, 4))
    return {"train": [one, other], "test": [one]}
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    return "--model", "mine.py:Net", "--data", "mine.py:data", "--device", "cpu"


def test_a_split_keeps_rows_together():
    x = {"a": torch.arange(20), "b": torch.arange(20)[:, None] * 2}
    dataset = DataSet("mine", x, torch.arange(20), x, torch.arange(20), 20)
    parts = split(dataset, 3, 0.25)
    for part in (parts.train, parts.held_out):
        assert torch.equal(part.x["a"], part.y) and torch.equal(part.x["b"][:, 0], 2 * part.y)
    assert (parts.train.size, parts.held_out.size) == (15, 5)
    shorter = {**x, "b": x["b"][:19]}
    with pytest.raises(ValueError, match="one row for each"):
        DataSet("mine", shorter, torch.arange(20), x, torch.arange(20), 20)
    moved = {**x, "b": x["b"] + 1}
    assert DataSet("m", moved, torch.arange(20), x, torch.arange(20), 20).fingerprint != (
        dataset.fingerprint
    )


def test_train_and_analyze(landscape, tmp_path, mine):
    done = landscape("train", *mine, "--method", "sam", "--epochs", "2", "--out", "run")
    assert (done.code, done.err) == (0, "")
    assert "test accuracy" in done.out
    run = Run.open(tmp_path / "run")
    assert run.metrics[-1]["train_accuracy"] > 0.4
    found = analyze(run.path, ["eigenvalues", "noise"], options={"noise": {"draws": 2}}, trust=True)
    assert set(found) == {"eigenvalues", "noise"}


def test_compare(landscape, tmp_path, mine):
    done = landscape(
        "compare", *mine, "--methods", "sgd,sam", "--seeds", "1", "--epochs", "1", "--out", "study",
        "--measures", "eigenvalues", "--workers", "1", "--quiet",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (tmp_path / "study" / "report.html").exists()


def test_batches_that_do_not_fit_together(refused, mine):
    lines = refused("train", *mine[:3], "mine.py:uneven", "--method", "sgd", "--out", "run")
    assert "pad them to one length" in lines[0]
