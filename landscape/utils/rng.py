"""Seed generators for a while, and derive seeds from names (rule R8)."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[Callable[[], None]]:
    """Seed torch's global generators of the CPU and of `device` inside, and restore them after.

    Yields a function that seeds them again.
    """
    devices = [device] if device.type == "cuda" else []

    def start() -> None:
        torch.random.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)

    with torch.random.fork_rng(devices=devices):
        start()
        yield start


@contextmanager
def seeded_everywhere(seed: int, device: torch.device) -> Iterator[Callable[[], None]]:
    """`seeded`, and the same for the global generators of numpy and of Python."""
    kept = random.getstate(), np.random.get_state()
    try:
        with seeded(seed, device) as start_torch:

            def start() -> None:
                start_torch()
                random.seed(seed)
                np.random.seed(seed % 2**32)

            start()
            yield start
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])


def generator_states(device: torch.device) -> dict[str, object]:
    """The states of the global generators by library, to be compared."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return {
        "torch": b"".join(t.numpy().tobytes() for t in (torch.get_rng_state(), *cuda)),
        "numpy": (kind, np.asarray(keys).tobytes(), *rest),
        "Python": random.getstate(),
    }


def drawn() -> int:
    """A number that changes when Python's or numpy's global generator is drawn from."""
    name, keys, position, *cached = np.random.get_state(legacy=True)
    return hash((random.getstate(), name, np.asarray(keys).tobytes(), position, *cached))


def seed_of(*parts: int | str) -> int:
    """Derive a 63-bit seed from parts such as (seed, step, "mask"), the same in every process."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
