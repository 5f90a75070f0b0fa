"""When memory runs out: the same numbers from smaller batches, or a refusal with the reason."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.network.batch import Batch
from landscape.objective.objective import Objective
from landscape.utils.memory import ran_out

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    MemoryError(),
]


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()


def data(weight=None):
    g = torch.Generator().manual_seed(1)
    sizes = (13, 6)
    weights = (weight, None)
    return [
        Batch(
            torch.randn(n, 6, generator=g, dtype=torch.float64),
            torch.randint(0, 3, (n,), generator=g),
            w,
        )
        for n, w in zip(sizes, weights, strict=True)
    ]


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


class Small:
    """A machine on which a loss of more than `room` examples does not fit once it is `on`."""

    def __init__(self, room, error=ERRORS[0], loss=cross_entropy, graphs=False):
        self.room, self.error, self.loss, self.on = room, error, loss, False
        self.graphs, self.largest = graphs, 0

    def __call__(self, model, batch):
        value = self.loss(model, batch)
        if self.on and batch.size > self.room and (torch.is_grad_enabled() or not self.graphs):
            raise self.error
        self.largest = max(self.largest, batch.size)
        return value


ASKED = {
    "value": lambda o, v: o.value(v),
    "grad": lambda o, v: o.grad(v),
    "hvp": lambda o, v: o.hvp(v),
    "hvp of two": lambda o, v: o.hvp(torch.stack([v, 2 * v], 1)),
    "accuracy": lambda o, v: o.accuracy(v),
    "evaluate": lambda o, v: torch.tensor(o.evaluate([v, 2 * v, -v])),
}


@pytest.fixture
def v():
    generator = torch.Generator().manual_seed(3)
    n = sum(p.numel() for p in net().parameters())
    return torch.randn(n, generator=generator, dtype=torch.float64)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("weight", [None, 2.5])
@pytest.mark.parametrize("room", [1, 4])
def test_the_same_numbers_from_smaller_batches(asked, weight, room, v):
    machine = Small(room)
    exact = Objective(net(), data(weight), cross_entropy)
    model = net()
    objective = Objective(model, data(weight), machine)
    fingerprint, machine.on, machine.largest = exact.fingerprint, True, 0
    before = {k: t.clone() for k, t in model.state_dict().items()}
    with pytest.warns(UserWarning, match="Memory ran out: batches are split") as caught:
        found = ASKED[asked](objective, v)
    assert len(caught) == 1
    torch.testing.assert_close(found, ASKED[asked](exact, v), rtol=1e-10, atol=1e-12)
    assert machine.largest <= room
    assert objective.examples == 19 and objective.fingerprint == fingerprint
    assert sum(objective.shares) == pytest.approx(1, rel=1e-12)
    assert all(torch.equal(t, before[k]) for k, t in model.state_dict().items())
    torch.testing.assert_close(objective.grad(v), exact.grad(v))  # without another warning


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: f"{type(e).__name__} {e}"[:50])
def test_all_that_allocators_say(error, v):
    machine = Small(5, error)
    objective = Objective(net(), data(), machine)
    machine.on = True
    with pytest.warns(UserWarning, match="Memory ran out"):
        objective.grad(v)
    assert max(b.size for b in objective.batches) == 4
    assert ran_out(error)


def test_from_the_first_pass_on():
    machine = Small(5)
    machine.on = True
    with pytest.warns(UserWarning, match="Memory ran out"):
        objective = Objective(net(), data(), machine)
    assert objective.value() == pytest.approx(
        Objective(net(), data(), cross_entropy).value(), rel=1e-12
    )


def test_kept_graphs_go_first(v):
    """Where graphs of all batches do not fit, one at a time may: no batch is split for it."""
    full = False

    def loss(model, batch):
        if full and objective.keeps_graphs is not False:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return cross_entropy(model, batch)

    exact = Objective(net(), data(), cross_entropy)
    for asked in (lambda o, at: o.hvp(v, at), ASKED["grad"]):
        full = False
        objective = Objective(net(), data(), loss)
        torch.testing.assert_close(objective.hvp(v), exact.hvp(v))
        assert objective.keeps_graphs and objective._products._kept
        full = True
        torch.testing.assert_close(asked(objective, 2 * v), asked(exact, 2 * v))
        assert objective.keeps_graphs is False and objective._products._kept is None
        torch.testing.assert_close(objective.hvp(v), exact.hvp(v))
        assert len(objective.batches) == 2


def over_labels(model, batch):
    """The mean over the labels that count: no mean over examples."""
    return F.cross_entropy(model(batch.x), batch.y.where(batch.y > 0, -100))


@pytest.mark.parametrize(
    ("options", "machine", "batches", "reason"),
    [
        ({"batch_norm": "batch"}, Small(4), data(), "under the policy 'batch' batch norm takes"),
        ({"batch_norm": "reestimated"}, Small(4), data(), "the policy 'reestimated'"),
        ({}, Small(0), data(), "batches hold one example each"),
        ({}, Small(4, loss=over_labels), data(), "not the mean of the losses of their examples"),
        (
            {},
            Small(4, loss=lambda m, b: m(b.x[0]).square().mean()),
            [Batch([data()[0].x, torch.zeros(3)], None, 13.0)],
            "do not have one row per example",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_reason(options, machine, batches, reason):
    objective = Objective(net(), batches, machine, **options)
    machine.on = True
    with pytest.raises(ValueError, match=reason) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        objective.grad()
    assert str(caught.value).startswith("Memory ran out, and ")


def test_policies_without_batch_norm_are_split(v):
    def plain():
        torch.manual_seed(0)
        return nn.Linear(6, 3).double()

    machine = Small(4)
    objective = Objective(plain(), data(), machine, batch_norm="batch")
    machine.on = True
    with pytest.warns(UserWarning, match="Memory ran out"):
        assert objective.value() == pytest.approx(
            Objective(plain(), data(), cross_entropy).value(), rel=1e-12
        )


def test_other_errors_pass():
    def broken(model, batch):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        Objective(net(), data(), broken)
