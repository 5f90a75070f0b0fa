"""Memories: shares of a reservoir, quotas of a balanced one, both against plain twins."""

import pytest
import torch

from landscape.lifelong.memory import Balanced, Memory, Reservoir, drawn, memory_of
from landscape.lifelong.settings import LifelongSettings


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_each_example_stays_in_a_reservoir_with_the_same_chance():
    """M/s within four standard errors, for the first, a middle and the last of s examples."""
    size, offered, trials = 10, 40, 1000
    kept = torch.zeros(offered)
    for seed in range(trials):
        memory, g = Reservoir(size), generator(seed)
        for rows in torch.arange(offered).split(8):
            memory.offer(rows, g)
        assert len(memory.rows) == size and memory.rows.unique().numel() == size
        kept[memory.rows] += 1
    share = size / offered
    error = (share * (1 - share) / trials) ** 0.5
    assert (kept / trials - share).abs().max() < 4 * error


def test_a_reservoir_is_algorithm_r_step_by_step():
    memory, g, twin = Reservoir(3), generator(), generator()
    slots = []
    for s in range(20):
        memory.offer(torch.tensor([100 + s]), g)
        j = s if s < 3 else int(torch.randint(s + 1, (), generator=twin))
        if s < 3:
            slots.append(100 + s)
        elif j < 3:
            slots[j] = 100 + s
        assert memory.rows.tolist() == slots and memory.offered == s + 1


def test_a_balanced_memory_has_as_many_of_each_task_and_keeps_what_it_can():
    memory, g, before = Balanced(10), generator(), set()
    for task, each in enumerate((10, 5, 3, 2), 1):
        memory.end_task(torch.arange(50) + 100 * task, g)
        counts = [int((memory.rows // 100 == t).sum()) for t in range(1, task + 1)]
        assert counts == [each] * task
        old = {row for row in memory.rows.tolist() if row // 100 < task}
        assert old <= before or task == 1
        before = set(memory.rows.tolist())


def test_a_task_with_few_examples_gives_what_it_has():
    memory = Balanced(100)
    memory.end_task(torch.arange(7), generator())
    assert sorted(memory.rows.tolist()) == list(range(7))


@pytest.mark.parametrize("kind", [Balanced, Reservoir])
def test_a_memory_goes_on_from_its_state(kind):
    whole, first, second = kind(6), kind(6), kind(6)
    for memory in (whole, first):
        memory.offer(torch.arange(20), generator(1))
        memory.end_task(torch.arange(20), generator(2))
    second.load_state_dict(first.state_dict())
    for memory in (whole, second):
        memory.offer(torch.arange(20, 40), generator(3))
        memory.end_task(torch.arange(20, 40), generator(4))
    assert torch.equal(whole.rows, second.rows) and whole.offered == second.offered


def test_draws_repeat_examples_only_where_there_are_too_few():
    rows = torch.arange(8)
    assert drawn(rows, 8, generator()).unique().numel() == 8
    assert len(drawn(rows[:2], 9, generator())) == 9


def test_the_size_counts_per_class():
    assert memory_of(LifelongSettings(replay="reservoir", memory=3), classes=10).size == 30
    assert type(memory_of(LifelongSettings(), classes=10)) is Memory
