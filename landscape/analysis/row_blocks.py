"""Rows of one long measure shared out over an engine: blocks of half a minute to two minutes.

The head evaluates the first row and chooses the pass, so that all take the same; each block is an
item with a file of its own beside the measure's; the head takes them in and checks that all answer
its question. The numbers are those of one process with one thread, bit for bit.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import torch

from landscape.analysis.minimum import Minimum
from landscape.engines.engine import Engine
from landscape.engines.site import ends
from landscape.measures.space.resumable_rows import Share, ShareDone
from landscape.utils.progress import Listener, Progress

BLOCK_SECONDS = 60.0  # of a block: a lost worker costs that much, opening the network a few seconds


@dataclass(frozen=True)
class RowBlock:
    """Some rows of a measure: an item of an engine. `again` opens the minimum."""

    label: str
    device: str
    again: Callable[[], Minimum]
    name: str
    measure: Any
    share: Share

    def run(self, progress: Listener) -> None:
        """Evaluate the rows into the block's file; those that are there are kept."""

        def tell(message: Progress) -> None:
            progress(replace(message, label=self.label))

        try:
            self.again().ask(self.name, self.measure, self.share, tell)
        except ShareDone:
            return


def answer_by(engine: Engine, minimum: Minimum, name: str, measure: Any, progress: Listener) -> Any:
    """The record of a measure whose rows an engine evaluates; it is not kept yet.

    Raises ValueError where the minimum cannot be opened elsewhere, and where a worker's rows answer
    another question; the first error of a block.
    """
    path = minimum.rows_of(name)
    with _one_thread():
        first = _first_row(minimum, name, measure, path)
        whole = Share(path, ways=first.ways, whole=True)
        blocks = _blocks(minimum, name, measure, engine, first)
        if blocks:
            _check_portable(blocks[0])
            board = _Rows(blocks, f"{minimum.name}: {name.replace('_', ' ')}", progress)
            with closing(ends(engine, blocks, board.hear, minimum.folder, None)) as ended:
                errors = [end.error for end in ended if end.error is not None]
            if errors:
                raise errors[0]
        return minimum.ask(name, measure, whole, progress)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _first_row(minimum: Minimum, name: str, measure: Any, path: Path) -> ShareDone:
    try:
        minimum.ask(name, measure, Share(path))
    except ShareDone as done:
        return done
    raise AssertionError(f"{name} has no rows")


def _blocks(
    minimum: Minimum, name: str, measure: Any, engine: Engine, first: ShareDone
) -> list[RowBlock]:
    """The missing rows in blocks of about `BLOCK_SECONDS`, of fewer where workers would idle."""
    assert minimum.again is not None
    objective, path = minimum.objectives.objective(name), minimum.rows_of(name)
    device, missing = objective.device.type, first.missing
    workers = engine.at_once(device)
    size = max(1, min(int(BLOCK_SECONDS / max(first.seconds, 1e-9)), ceil(len(missing) / workers)))
    blocks = []
    for rows in (missing[i : i + size] for i in range(0, len(missing), size)):
        span = f"{rows[0]}-{rows[-1]}"
        share = Share(path.with_name(f"{path.name}.{span}"), rows, first.ways)
        label = f"{minimum.name}: {name.replace('_', ' ')}, rows {span}"
        blocks.append(RowBlock(label, device, minimum.again, name, measure, share))
    return blocks


def _check_portable(block: RowBlock) -> None:
    try:
        pickle.dumps(block)
    except Exception as error:
        raise ValueError(
            "`engine` opens the network in other processes: name model, data and loss as "
            f"file.py:net instead of giving them as objects ({type(error).__name__})."
        ) from None


class _Rows:
    """Sums up the progress of blocks as that of their measure."""

    def __init__(self, blocks: Sequence[RowBlock], label: str, listener: Listener):
        self.shares = {block.label: 0.0 for block in blocks}
        self.label, self.listener = label, listener

    def hear(self, message: Progress) -> None:
        """Take in a message of a block."""
        if message.label in self.shares:
            self.shares[message.label] = message.share
            done, total = sum(self.shares.values()), len(self.shares)
            self.listener(Progress("measure", self.label, done, total))
