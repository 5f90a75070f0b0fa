"""Memory of large vectors is used again, and never while anything refers to it."""

import pytest
import torch

from landscape.methods.walker import memory
from landscape.methods.walker.memory import Memory


@pytest.fixture
def large(monkeypatch):
    """Vectors of any length count as large."""
    monkeypatch.setattr(memory, "LARGE", 0)


def address(t):
    return t.untyped_storage().data_ptr()


def test_a_block_that_nothing_refers_to_is_given_out_again(large):
    blocks = Memory(torch.zeros(1), 3)
    first = blocks.empty()
    place = address(first)
    second = blocks.copy(torch.tensor([1.0, 2.0, 3.0]))
    assert address(second) != place
    del first
    assert address(blocks.joined([torch.zeros(1, 2), torch.ones(1)])) == place
    assert second.tolist() == [1.0, 2.0, 3.0]


def in_a_graph(t):
    return (t.requires_grad_() ** 2).sum()


@pytest.mark.parametrize(
    "kept",
    [
        lambda t: t[1:],
        lambda t: t.numpy(),
        lambda t: t.untyped_storage(),
        lambda t: torch.from_dlpack(t),
        in_a_graph,
    ],
    ids=["view", "array", "storage", "dlpack", "graph"],
)
def test_a_block_that_anything_refers_to_stays(large, kept):
    blocks = Memory(torch.zeros(1), 3)
    place = address(vector := blocks.empty())
    held = kept(vector)
    del vector
    assert all(address(blocks.empty()) != place for _ in range(3))
    del held
    assert address(blocks.empty()) == place


def test_small_vectors_are_torchs_own():
    blocks = Memory(torch.zeros(1), 3)
    assert blocks.empty() is None
    w = torch.ones(3)
    assert torch.equal(blocks.copy(w), w) and address(blocks.copy(w)) != address(w)
    assert torch.equal(blocks.joined([torch.zeros(1, 2), torch.ones(1)]), torch.tensor([0, 0, 1.0]))


def test_steps_in_memory_that_is_used_again(name, stepper, batches, monkeypatch):
    """The same way, bit for bit, and nothing handed out changes later."""
    steps = batches(3)

    def way():
        ours = stepper(name, net={"batch_norm": True})
        for batch in steps:
            ours.step(batch)
            assert all(torch.equal(t, copied) for t, copied in ours.walker.returned)
            for kept in (ours.walker.returned, ours.walker.points, ours.walker.own):
                kept.clear()
        return ours.walker.weights.read()

    plain = way()
    monkeypatch.setattr(memory, "LARGE", 0)
    assert torch.equal(way(), plain)
