"""Work shared out over processes: one cell trains and measures one method with one seed."""

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from typing import Any

import torch

from landscape.study.cell import Cell
from landscape.utils import interrupt
from landscape.utils.device import cards_for, visible_cards
from landscape.utils.progress import Listener, Progress, ProgressAggregator

MESSAGE_SECONDS = 0.2  # between two messages of a worker
TRIES = 3  # of a cell whose process was lost
LOST = (
    f"its process was lost {TRIES} times, as when the system kills it for its memory. "
    "Use fewer --workers, or a smaller batch."
)
End = tuple[Cell, BaseException | None]


@dataclass(frozen=True)
class Failure:
    """A cell that did not end, and why, in one line."""

    method: str
    seed: int
    why: str

    def __str__(self) -> str:
        return f"{self.method}, seed {self.seed}: {self.why}"


def run_all(
    cells: Sequence[Cell], workers: int, progress: Listener, stage: str = ""
) -> list[Failure]:
    """Run every cell, in this process or in `workers` others with one thread each.

    One cell runs in this process: another would only have to import everything again.
    stage: the name of the whole where it is one of several, as "tuning".
    A cell that fails does not stop the others; it is returned with its reason. A cell whose process
    is lost, as when the system kills it for its memory, is tried three times. Ctrl-C stops all;
    finished cells stay, unfinished ones can be resumed.

    Raises the first cell's error where every cell failed.
    """
    jobs = {cell.label: ("", *cell.measures) for cell in cells}
    board = ProgressAggregator(jobs, stage, progress)
    workers = min(workers, len(cells))
    ends = _in_others(cells, workers, board) if workers > 1 else _in_this_process(cells, board)
    with _present_folder_left_out():
        errors = {cell.label: error for cell, error in ends if error is not None}
    if errors and len(errors) == len(cells):
        raise next(iter(errors.values()))
    return [
        Failure(cell.method, cell.seed, _reason(errors[cell.label]))
        for cell in cells
        if cell.label in errors
    ]


@contextmanager
def _present_folder_left_out() -> Iterator[None]:
    """Let no process that starts inside look for Python's own modules in the present folder."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _reason(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return words if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {words}"


def _in_this_process(cells: Sequence[Cell], board: ProgressAggregator) -> Iterator[End]:
    for cell in cells:
        error: Exception | None = None
        try:
            cell.run(board.hear)
        except Exception as raised:
            error = raised
        board.finish(cell.label)
        yield cell, error


def _in_others(cells: Sequence[Cell], workers: int, board: ProgressAggregator) -> Iterator[End]:
    """Each worker is a pool of one process, so that a lost process names its cell, and that it can
    be told its card; one that takes the place of a lost one gets the same.
    """
    context = multiprocessing.get_context("spawn")
    messages, stop = context.Queue(), context.Event()
    waiting, tries = deque(cells), Counter[str]()
    cards = shared_cards(cells, workers)
    card_of: dict[ProcessPoolExecutor, str | None] = {}
    running: dict[Future[None], tuple[Cell, ProcessPoolExecutor]] = {}

    def new_pool(card: str | None) -> ProcessPoolExecutor:
        options: dict[str, Any] = {"initializer": _start_worker, "initargs": (messages, stop, card)}
        pool = ProcessPoolExecutor(1, mp_context=context, **options)
        card_of[pool] = card
        return pool

    def start(cell: Cell, pool: ProcessPoolExecutor) -> None:
        tries[cell.label] += 1
        with _no_interrupt():  # workers inherit it: none may die of Ctrl-C while it starts
            running[pool.submit(_run_cell, cell)] = cell, pool

    try:
        for card in cards:
            start(waiting.popleft(), new_pool(card))
        while running:
            done, _ = wait(running, timeout=MESSAGE_SECONDS, return_when=FIRST_COMPLETED)
            _drain(messages, board.hear)
            for future in done:
                cell, pool = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    pool = new_pool(card_of[pool])
                    error = ChildProcessError(LOST)
                    if tries[cell.label] < TRIES:
                        start(cell, pool)
                        continue
                elif error is not None and not isinstance(error, Exception):
                    raise error  # Ctrl-C, or a signal that reached the workers
                board.finish(cell.label)
                yield cell, error
                if waiting:
                    start(waiting.popleft(), pool)
    except BaseException:
        stop.set()
        raise
    finally:
        for pool in card_of:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ignore Ctrl-C inside; only the main thread can say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, kept)


def _drain(messages: Any, hear: Callable[[Progress], None]) -> None:
    while True:
        try:
            hear(messages.get_nowait())
        except queue.Empty:
            return


_messages: Any = None


def shared_cards(cells: Sequence[Cell], workers: int) -> list[str | None]:
    """The card of each worker: all that are visible, in turn; None leaves the choice to the cells,
    where there is one card or some cell names its own.
    """
    cards = visible_cards()
    if len(cards) < 2 or not all(cards_for(cell.device) for cell in cells):
        return [None] * workers
    return [cards[i % len(cards)] for i in range(workers)]


def _start_worker(messages: Any, stop: Any, card: str | None = None) -> None:
    """Initialise a worker: single-threaded, ignores SIGINT, exits with its parent, and sees one
    card alone where it is told one; CUDA reads that when it is first used.

    SIGTERM and SIGUSR1, which a scheduler sends to all processes of a job, stop it at a safe point.
    """
    global _messages
    _messages = messages
    if card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: interrupt.request())
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def end_with_parent() -> None:
        wait_for([sentinel])
        os._exit(1)

    def stop_with_parent() -> None:
        stop.wait()
        interrupt.request()

    for work in (end_with_parent, stop_with_parent):
        threading.Thread(target=work, daemon=True).start()


def _run_cell(cell: Cell) -> None:
    last = 0.0

    def tell(message: Progress) -> None:
        nonlocal last
        interrupt.check()
        if time.monotonic() - last > MESSAGE_SECONDS:
            _messages.put(message)
            last = time.monotonic()

    cell.run(tell)
