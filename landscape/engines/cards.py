"""Cards of a machine shared out among the items that run there."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import torch

from landscape.utils.device import visible_names

try:
    import fcntl
except ImportError:  # Windows: whoever starts workers there tells each its card
    fcntl = None  # type: ignore[assignment]

WAIT = 1.0  # seconds between two looks for a free card

_mine: str | None = None  # the card of this process; CUDA reads the variable once


@contextmanager
def card(per_card: int) -> Iterator[str | None]:
    """Hold a place on a card of this machine while open, and show this process that card alone.

    A process keeps the card of its first item, as CUDA does, and waits where all places on it are
    taken; a place is freed when its holder ends, however it ends. Yields None where there is no
    card, or a single one, which whoever started the process has chosen.

    per_card: places on each card.
    """
    global _mine
    names = visible_names(torch.cuda.device_count()) if _mine is None else [_mine]
    if fcntl is None or (_mine is None and len(names) < 2):
        yield None
        return
    name, handle = _free_place(names, per_card)
    _mine = name
    os.environ["CUDA_VISIBLE_DEVICES"] = name
    try:
        yield name
    finally:
        os.close(handle)


def _free_place(names: list[str], per_card: int) -> tuple[str, int]:
    """Wait for a place; a card without any holder comes first. The locked file is the place."""
    job = os.environ.get("SLURM_JOB_ID", "")  # jobs may call different cards by one name
    folder = Path(tempfile.gettempdir()) / f"landscape-cards-{os.getuid()}-{job}"
    folder.mkdir(mode=0o700, exist_ok=True)
    while True:
        for place, name in product(range(per_card), names):
            handle = os.open(folder / f"{name}.{place}", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
            else:
                return name, handle
        time.sleep(WAIT)
