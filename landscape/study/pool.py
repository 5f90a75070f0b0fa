"""Work shared out over processes: one cell trains and measures one method with one seed."""

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for
from typing import Any

import torch

from landscape.study.cell import Cell
from landscape.utils.progress import Listener, Progress

MESSAGE_SECONDS = 0.2  # between two messages of a worker


def run_all(cells: Sequence[Cell], workers: int, progress: Listener, stage: str = "") -> None:
    """Run every cell, in this process or in `workers` others with one thread each.

    stage: what the whole is called where it is one of several, as "tuning".
    An error or Ctrl-C stops the rest; finished cells stay, unfinished ones can be resumed.
    """
    board = _Board(cells, progress, stage)
    if workers <= 1:
        for cell in cells:
            cell.run(board.hear)
            board.finish(cell)
        return
    context = multiprocessing.get_context("spawn")
    messages, stop = context.Queue(), context.Event()
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(messages, stop)
    ) as pool:
        with _no_interrupt():  # workers inherit it: none may die of Ctrl-C while it starts
            futures = {pool.submit(_run_cell, cell): cell for cell in cells}
        try:
            _follow(futures, messages, board)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C is ignored inside; only the main thread can say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, kept)


def _follow(futures: dict[Future[None], Cell], messages: Any, board: "_Board") -> None:
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=MESSAGE_SECONDS, return_when=FIRST_COMPLETED)
        _drain(messages, board.hear)
        for future in done:
            future.result()
            board.finish(futures[future])


def _drain(messages: Any, hear: Callable[[Progress], None]) -> None:
    while True:
        try:
            hear(messages.get_nowait())
        except queue.Empty:
            return


class _Board:
    """Sums up the cells' messages to the progress of the whole, in which the training and each
    measure of a cell count alike.
    """

    def __init__(self, cells: Sequence[Cell], progress: Listener, stage: str):
        self._total, self._progress, self._stage = len(cells), progress, stage
        self._finished, self._shares = 0, dict[str, float]()
        self._parts = {cell.label: ("", *cell.measures) for cell in cells}

    def hear(self, message: Progress) -> None:
        """Pass a cell's message on, and how far the whole is."""
        cell, _, measure = message.label.partition(": ")
        share, parts = message.done / message.total if message.total else 0.0, self._parts[cell]
        self._shares[cell] = (parts.index(measure.replace(" ", "_")) + share) / len(parts)
        self._progress(message)
        self._whole()

    def finish(self, cell: Cell) -> None:
        """A cell has ended."""
        self._finished += 1
        self._shares.pop(cell.label, None)
        self._progress(Progress("measure", cell.label, 1, 1))
        self._whole()

    def _whole(self) -> None:
        done = self._finished + sum(self._shares.values())
        self._progress(Progress("compare", self._stage, done, self._total))


_messages: Any = None
_stop: Any = None


def _start_worker(messages: Any, stop: Any) -> None:
    """In a worker: one thread, no Ctrl-C of its own, an end when the parent ends."""
    global _messages, _stop
    _messages, _stop = messages, stop
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def end_with_parent() -> None:
        wait_for([sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _run_cell(cell: Cell) -> None:
    last = 0.0

    def tell(message: Progress) -> None:
        nonlocal last
        if _stop.is_set():
            raise KeyboardInterrupt
        if time.monotonic() - last > MESSAGE_SECONDS:
            _messages.put(message)
            last = time.monotonic()

    cell.run(tell)
