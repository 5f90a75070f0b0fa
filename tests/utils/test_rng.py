"""Generators come back bit for bit, whoever has drawn from them before and inside."""

import random

import numpy as np
import pytest
import torch

from landscape.utils import global_generators
from landscape.utils.rng import drawn, seeded_everywhere

CPU = torch.device("cpu")


def draws():
    return [
        torch.rand(3).tolist(),
        np.random.rand(2).tolist(),
        np.random.randn(),
        random.random(),
        random.gauss(0, 1),
        np.random.randint(9),
    ]


def states():
    numpys = repr(np.random.get_state(legacy=False))
    numbers = np.random.get_bit_generator().state["state"]
    return torch.get_rng_state().tolist(), numpys, str(numbers), random.getstate()


@pytest.fixture(params=["even", "half a pair of Gaussians", "other generator"], autouse=True)
def before(request):
    """Global generators before a seeded block, put back at the end."""
    kept, generator = np.random.get_state(legacy=False), np.random.get_bit_generator()
    with torch.random.fork_rng():
        random.seed(1)
        if request.param == "other generator":
            np.random.set_bit_generator(np.random.PCG64(5))
        else:
            np.random.seed(1)
        if request.param.startswith("half"):
            np.random.randn()
            random.gauss(0, 1)
        yield
    np.random.set_bit_generator(generator)
    np.random.set_state(kept)


@pytest.mark.parametrize("inside", [lambda: None, draws])
@pytest.mark.parametrize("times", [1, 2])
def test_states_come_back(inside, times):
    before = states()
    for _ in range(times):
        with seeded_everywhere(3, CPU):
            inside()
    assert states() == before


def test_streams_go_on_where_they_were():
    """Also where the user draws between two blocks, which a state read earlier does not know."""
    kept = random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state()
    expected = [draws() for _ in range(3)]
    random.setstate(kept[0])
    np.random.set_state(kept[1])
    torch.set_rng_state(kept[2])
    inside, outside = [], []
    for _ in range(3):
        with seeded_everywhere(3, CPU):
            inside.append(draws())
        outside.append(draws())
    assert outside == expected
    assert inside[0] == inside[1] == inside[2]


def test_blocks_nest():
    with seeded_everywhere(3, CPU):
        first = draws()
        with seeded_everywhere(4, CPU):
            inner = draws()
        second = draws()
    with seeded_everywhere(3, CPU):
        assert [draws(), draws()] == [first, second]
    with seeded_everywhere(4, CPU):
        assert draws() == inner


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: np.random.randn()])
def test_a_draw_is_seen(draw):
    with seeded_everywhere(3, CPU):
        before = drawn()
        assert drawn() == before
        draw()
        assert drawn() != before


def test_numbers_in_memory_are_those_of_the_state():
    numbers = global_generators.python_state()
    if random.getstate()[2] is not None:
        assert numbers == random.getstate()
        return
    *words, position = random.getstate()[1]
    assert np.frombuffer(numbers, np.uint32).tolist() == [position, *words]
