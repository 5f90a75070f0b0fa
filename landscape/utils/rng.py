"""Seed generators for a while, and derive seeds from names (rule R8)."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from landscape.utils import global_generators


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[Callable[[], None]]:
    """Seed torch's global generators of the CPU and of `device` inside, and restore them after.

    Yields a function that seeds them again.
    """
    cuda = device.type == "cuda"
    kept = torch.get_rng_state()
    kept_on_device = torch.cuda.get_rng_state(device) if cuda else None

    def start() -> None:
        torch.random.default_generator.manual_seed(seed)
        if cuda:
            _seed_device(seed, device)

    try:
        start()
        yield start
    finally:
        torch.set_rng_state(kept)
        if kept_on_device is not None:
            torch.cuda.set_rng_state(kept_on_device, device)


class seeded_everywhere:
    """`seeded`, and the same for the global generators of numpy and of Python.

    A class, because it is entered in every pass of training.
    """

    def __init__(self, seed: int, device: torch.device):
        self.seed, self.device = seed, device

    def __enter__(self) -> Callable[[], None]:
        self._of_python = global_generators.python_state()
        self._of_numpy = global_generators.put_another_numpy()
        self._of_torch = torch.random.default_generator.get_state()
        cuda = self.device.type == "cuda"
        self._of_device = torch.cuda.get_rng_state(self.device) if cuda else None
        self._start()
        return self._start

    def __exit__(self, *_: object) -> None:
        torch.random.default_generator.set_state(self._of_torch)
        if self._of_device is not None:
            torch.cuda.set_rng_state(self._of_device, self.device)
        global_generators.put_numpy_back(*self._of_numpy)
        global_generators.put_python_back(self._of_python)

    def _start(self) -> None:
        torch.random.default_generator.manual_seed(self.seed)
        if self._of_device is not None:
            _seed_device(self.seed, self.device)
        random.seed(self.seed)
        np.random.seed(self.seed % 2**32)


def _seed_device(seed: int, device: torch.device) -> None:
    with torch.cuda.device(device):  # `manual_seed` seeds the current one
        torch.cuda.manual_seed(seed)


def generator_states(device: torch.device) -> dict[str, object]:
    """The states of the global generators by library, to be compared."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return {
        "torch": b"".join(t.numpy().tobytes() for t in (torch.get_rng_state(), *cuda)),
        "numpy": (kind, np.asarray(keys).tobytes(), *rest),
        "Python": random.getstate(),
    }


def drawn() -> tuple[Any, ...]:
    """State that changes when Python's or numpy's global generator is drawn from, inside of
    `seeded_everywhere`.
    """
    return global_generators.python_state(), global_generators.numpy_numbers()


def seed_of(*parts: int | str) -> int:
    """Derive a 63-bit seed from parts such as (seed, step, "mask"), the same in every process."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
