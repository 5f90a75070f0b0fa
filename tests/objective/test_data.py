"""Reading batches: once, whatever yields them; refused in one line where they are no data."""

import itertools
from collections import UserDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from landscape.network.batch import Batch
from landscape.objective import data
from landscape.objective.data import fingerprint_of, load_batches, weight_fractions
from landscape.objective.objective import Objective

CPU = torch.device("cpu")


def pairs(*sizes):
    return [(torch.arange(n).float(), torch.arange(n)) for n in sizes]


def shuffling():
    return DataLoader(TensorDataset(torch.arange(50.0)[:, None], torch.arange(50)), 8, shuffle=True)


def test_a_loader_that_shuffles_is_read_once_and_from_the_seed():
    loader, state = shuffling(), torch.get_rng_state()
    one, again, other = (load_batches(loader, CPU, seed) for seed in (0, 0, 1))
    assert fingerprint_of(one) == fingerprint_of(again) != fingerprint_of(other)
    assert sorted(int(i) for b in one for i in b.y) == list(range(50))
    assert [b.size for b in one] == [8] * 6 + [2]
    assert torch.equal(state, torch.get_rng_state())
    model = nn.Linear(1, 50)
    objective = Objective(model, loader, lambda m, b: F.cross_entropy(m(b.x), b.y))
    assert objective.value() == objective.value()
    assert objective.examples == 50


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "at least one batch. Got none"),
        (Batch(torch.zeros(2), None), "an iterable of batches. Got one Batch: put it in a list."),
        (torch.zeros(2, 3), "Got one Tensor"),
        ({"x": torch.zeros(2)}, "Got one dict"),
        (7, "Got one int"),
        (pairs(3)[0], r"a pair \(x, y\), or a mapping. Got Tensor."),
        ([(torch.zeros(3), torch.zeros(4))], "one row per example. Those of batch 0 have 3, 4"),
        ([*pairs(2), ([torch.zeros(2, 3), torch.zeros(4, 3)], None)], "Those of batch 1 have 2, 4"),
        ([(torch.zeros(0, 2), torch.zeros(0))], "Batch 0 must hold examples"),
    ],
)
def test_what_is_no_data_is_refused(batches, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_batches(batches, CPU, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("limit", ["MOST", "SHARE"])
def test_batches_without_end_are_refused(monkeypatch, limit):
    monkeypatch.setattr(data, limit, {"MOST": 20, "SHARE": 1e-9}[limit])
    with pytest.raises(ValueError, match=r"must end, and fit in memory.*islice"):
        load_batches(itertools.repeat(pairs(3)[0]), CPU, 0)
    monkeypatch.setattr(data, "MOST", 20)
    monkeypatch.setattr(data, "SHARE", 0.5)
    assert len(load_batches(itertools.repeat(pairs(3)[0], 20), CPU, 0)) == 20


def test_a_weight_says_what_ragged_tensors_cannot():
    ragged = Batch([torch.zeros(2, 3), torch.zeros(4, 3)], None, weight=2.0)
    assert weight_fractions(load_batches([ragged, *pairs(6)], CPU, 0)) == [0.25, 0.75]


@pytest.mark.parametrize("weights", [(0.0, 0.0), (-1.0, 2.0), (float("inf"), 1.0), (float("nan"),)])
def test_weights_without_a_sum_are_refused(weights):
    """Negative and infinite ones by the batch itself, zeros alone by their sum."""
    with pytest.raises(ValueError, match="non-negative"):
        weight_fractions([Batch(torch.zeros(2), None, weight) for weight in weights])


class Answer(UserDict):
    """What a language model returns: its loss among other things."""

    __getattr__ = UserDict.__getitem__


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 3)

    def forward(self, input_ids, labels=None):
        z = self.table(input_ids)
        return Answer(loss=F.cross_entropy(z.flatten(0, 1), labels.flatten()), logits=z)


def test_batches_as_hugging_face_yields_them():
    g = torch.Generator().manual_seed(0)
    batches = [
        UserDict(
            input_ids=torch.randint(0, 7, (n, 5), generator=g),
            labels=torch.randint(0, 3, (n, 5), generator=g),
        )
        for n in (4, 2)
    ]
    torch.manual_seed(0)
    model = Tagger()
    objective = Objective(
        model, batches, lambda m, b: m(**b.x).loss, logits=lambda m, b: m(**b.x).logits
    )
    with torch.no_grad():
        answers = [model(**b) for b in batches]
    right = sum(
        (a.logits.argmax(-1) == b["labels"]).sum() for a, b in zip(answers, batches, strict=True)
    )
    assert objective.value() == pytest.approx(
        float((4 * answers[0].loss + 2 * answers[1].loss) / 6), rel=1e-6
    )
    assert objective.accuracy() == pytest.approx(int(right) / 30)
    assert objective.examples == 6


@pytest.mark.parametrize("from_numpy", [False, True])
def test_a_loader_that_writes_over_its_batches_is_refused(from_numpy):
    x, y = torch.empty(10, 3), torch.empty(10, dtype=torch.long)
    arrays = x.numpy(), y.numpy()

    def loader():
        for i in range(3):
            for held, value in zip(arrays if from_numpy else (x, y), (i, i), strict=True):
                held[...] = value
            yield x, y

    with pytest.raises(ValueError, match=r"written a later batch.*yield copies"):
        load_batches(loader(), CPU, 0)
    (only,) = load_batches(itertools.islice(loader(), 1), CPU, 0)
    assert len(load_batches([only, only], CPU, 0)) == 2
