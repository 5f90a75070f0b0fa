"""Seed torch's generators for a while, and derive seeds from names (rule R8)."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


def seed_of(*parts: int | str) -> int:
    """Derive a 63-bit seed from parts such as (seed, step, "mask"), the same in every process."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
