"""Rows of one long measure shared out over an engine: blocks of half a minute to two minutes.

A row is what the measure splits into: a row of a surface, a draw of noise, a probe of a density, a
point of a path. The head computes the first one and chooses the pass, so that all take the same;
each block is an item with a file of its own beside the measure's; the head takes them in and checks
that all answer its question. The numbers are those of one process with one thread, bit for bit.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import torch

from landscape.analysis.minimum import Minimum, label_of, splits_into
from landscape.engines.engine import End, Engine
from landscape.engines.site import ends
from landscape.measures.rows.shared_rows import Share, ShareDone
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
        """Compute the rows into the block's file; those that are there are kept."""

        def tell(message: Progress) -> None:
            progress(replace(message, label=self.label))

        try:
            self.again().ask(self.name, self.measure, self.share, tell)
        except ShareDone:
            return


def answer_by(engine: Engine, minimum: Minimum, name: str, measure: Any, progress: Listener) -> Any:
    """The record of a measure whose rows an engine computes; it is not kept yet.

    A measure that asks for more rows by what the first ones tell gets them in further rounds.

    Raises ValueError where the minimum cannot be opened elsewhere, and where a worker's rows answer
    another question; the first error of a block, with its name.
    """
    share = Share(minimum.rows_of(name))
    with _one_thread():
        while True:
            try:
                record = minimum.ask(name, measure, share)
                break
            except ShareDone as done:
                blocks = _blocks(minimum, name, measure, engine, done)
                _run(engine, minimum, blocks, progress)
                share = replace(share, ways=done.ways, ordered=done.missing)
    progress(Progress("measure", label_of(minimum, name), 1, 1))
    return record


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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
        numbers = span if len(rows) > 1 else rows[0]
        label = f"{label_of(minimum, name)}, {splits_into(measure)} {numbers}"
        blocks.append(RowBlock(label, device, minimum.again, name, measure, share))
    return blocks


def _run(engine: Engine, minimum: Minimum, blocks: Sequence[RowBlock], progress: Listener) -> None:
    """Run all blocks to their end; raise the first error of one."""
    if not blocks:
        return
    _check_portable(blocks[0])
    board = _Board(blocks, label_of(minimum, blocks[0].name), progress)
    with closing(ends(engine, blocks, board.hear, minimum.folder, None)) as ended:
        failed = [end for end in ended if end.error is not None]
    if failed:
        raise _error_of(failed[0], f"{len(failed)} of {len(blocks)} blocks failed")


def _error_of(end: End, count: str) -> BaseException:
    """The error of a block: with its name and how to go on, where the user can mend it."""
    if not isinstance(end.error, ValueError | OSError):
        assert end.error is not None
        return end.error
    reason = str(end.error).rstrip(".")
    return ValueError(
        f"{end.item.label}: {reason}. {count}; what is finished is kept, and the same command "
        "goes on."
    )


def _check_portable(block: RowBlock) -> None:
    try:
        pickle.dumps(block)
    except Exception as error:
        raise ValueError(
            "`engine` opens the network in other processes: name model, data and loss as "
            f"file.py:net instead of giving them as objects ({type(error).__name__})."
        ) from None


class _Board:
    """Sums up the progress of blocks as that of their measure, in rows; those before are known."""

    def __init__(self, blocks: Sequence[RowBlock], label: str, listener: Listener):
        self.sizes = {block.label: len(block.share.rows or ()) for block in blocks}
        self.shares = dict.fromkeys(self.sizes, 0.0)
        self.known = min(row for block in blocks for row in block.share.rows or ())
        self.label, self.listener = label, listener

    def hear(self, message: Progress) -> None:
        """Take in a message of a block."""
        if message.label in self.shares:
            self.shares[message.label] = message.share
            done = sum(share * self.sizes[label] for label, share in self.shares.items())
            total = self.known + sum(self.sizes.values())
            self.listener(Progress("measure", self.label, self.known + done, total))
