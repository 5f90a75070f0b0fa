"""Seed torch's generators for a while, and derive seeds from names (rule R8)."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[Callable[[], None]]:
    """Torch's global generators of the CPU and of `device` start from `seed` inside and are as
    before outside. Yields what starts them again.
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
    """One 63-bit seed from several parts, the same in every process: `seed_of(seed, step,
    "mask")`.
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
