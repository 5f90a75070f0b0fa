"""Batches that are read anew by each pass: the same numbers, and never two batches at once."""

import gc
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from landscape.measures import Eigenvalues, Sharpness, Surface
from landscape.objective.objective import Objective

N, SIZE = 24, 4


def examples():
    g = torch.Generator().manual_seed(0)
    return torch.randn(N, 3, generator=g), torch.randint(0, 3, (N,), generator=g)


def pairs():
    x, y = examples()
    return [(x[i : i + SIZE], y[i : i + SIZE]) for i in range(0, N, SIZE)]


class Counting:
    """Makes each batch when it is asked for, and counts how many are alive."""

    def __init__(self):
        self.reads, self.alive, self.most = 0, 0, 0

    def __len__(self):
        return N // SIZE

    def __getitem__(self, i):
        x, y = (t.clone() for t in pairs()[i])
        self.reads += 1
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(x, self._gone)
        return x, y

    def _gone(self):
        self.alive -= 1


class Examples(Dataset):
    def __len__(self):
        return N

    def __getitem__(self, i):
        return tuple(t[i] for t in examples())


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3))


def loss(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def test_numbers_are_those_of_kept_batches_and_few_are_ever_there():
    data = Counting()
    kept = Objective(net(), pairs(), loss)
    streamed = Objective(net(), data, loss, streamed=True, memory=0)
    assert streamed.value() == kept.value()
    assert streamed.grad().equal(kept.grad())
    v = torch.ones_like(kept.w)
    torch.testing.assert_close(streamed.hvp(v), kept.hvp(v))
    assert streamed.fingerprint == kept.fingerprint
    assert streamed.value_and_accuracy() == kept.value_and_accuracy()
    points = [kept.w + 0.1 * i for i in range(20)]
    assert np.allclose(streamed.evaluate(points), kept.evaluate(points))
    gc.collect()
    assert data.alive == 0
    assert data.most <= 2
    before = data.reads
    streamed.grad()
    assert data.reads - before == len(data)


@pytest.mark.slow
def test_measures_read_the_batches_anew():
    kept = Objective(net(), pairs(), loss)
    streamed = Objective(net(), Counting(), loss, streamed=True)
    values = [Eigenvalues(k=2)(objective).values for objective in (kept, streamed)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    surfaces = [Surface(size=3)(objective).loss for objective in (kept, streamed)]
    assert np.allclose(*surfaces)
    sharp = [Sharpness(m=SIZE)(objective).loss for objective in (kept, streamed)]
    assert np.allclose(*sharp, rtol=1e-3)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loader_draws_its_order_once(shuffle):
    loader = DataLoader(Examples(), batch_size=SIZE, shuffle=shuffle)
    objective = Objective(net(), loader, loss, streamed=True)
    assert objective.value() == objective.value()
    assert objective.value() == pytest.approx(Objective(net(), pairs(), loss).value(), rel=1e-6)


def test_arrays_on_disk_stay_there(tmp_path):
    np.save(tmp_path / "x.npy", examples()[0].numpy())
    x = torch.from_numpy(np.load(tmp_path / "x.npy", mmap_mode="c"))
    batches = [(x[i : i + SIZE], y) for i, (_, y) in zip(range(0, N, SIZE), pairs(), strict=True)]
    streamed = Objective(net(), batches, loss, streamed=True)
    assert streamed.value() == Objective(net(), pairs(), loss).value()


def test_halved_batches_are_read_anew_too():
    objective = Objective(net(), Counting(), loss, streamed=True)
    value, risk = objective.value(), objective.risk
    with pytest.warns(UserWarning, match="Memory ran out"):
        objective._retry._halve()
    assert len(risk.terms) == 2 * len(pairs())
    assert objective.value() == pytest.approx(value, rel=1e-6)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(*examples(), strict=True))


@pytest.mark.parametrize("batches", [iter(pairs()), DataLoader(Stream(), batch_size=4), {"x": 1}])
def test_what_can_be_read_only_once_is_refused(batches):
    with pytest.raises(ValueError, match="`streamed` needs batches that can be read again"):
        Objective(net(), batches, loss, streamed=True)
