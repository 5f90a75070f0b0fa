"""Processes of this machine: each a pool of one, so that a lost one names its item."""

import multiprocessing
import os
import queue
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from typing import Any, ClassVar

import torch

from landscape.engines.engine import End, Engine, Item
from landscape.engines.worker import now_and_then
from landscape.utils import interrupt
from landscape.utils.device import cards_for, device_of, visible_cards
from landscape.utils.processes import usable_cores
from landscape.utils.progress import Listener, Progress

MESSAGE_SECONDS = 0.2  # between two messages of a worker
TRIES = 3  # of an item whose process was lost
LOST = (
    f"its process was lost {TRIES} times, as when the system kills it for its memory. "
    "Use fewer --workers, or a smaller batch."
)


@dataclass(frozen=True)
class Local(Engine):
    """Items in this process, or in `workers` others with one thread each.

    One item runs in this process: another would only have to import everything again. All visible
    cards are used in turn, each by `1 / gpus_per_cell` items. A process that is lost, as when the
    system kills it for its memory, is tried three times. Ctrl-C stops all.

    Raises ValueError for an address or arguments: there are none.
    """

    elsewhere: ClassVar[bool] = False

    def check(self) -> None:
        """Raise ValueError for what only a cluster takes."""
        if self.at != "auto":
            raise ValueError(
                f"`at` has no effect: the engine is local, on this machine. Got {self.at!r}."
            )
        self.check_args(())

    def at_once(self, device: str) -> int:
        """`workers`, or one process per core on the CPU, one per card or share of it on CUDA."""
        if self.workers:
            return self.workers
        if device_of(device).type == "cuda":
            return (len(cards_for(device)) or 1) * self.per_card
        return usable_cores()

    def run(self, items: Sequence[Any], hear: Listener) -> Generator[End]:
        """Run items in this process where one runs at a time, else in others."""
        device = items[0].device if items else "cpu"
        workers = min(self.at_once(device), len(items))
        with _present_folder_left_out():
            yield from _in_others(items, workers, hear) if workers > 1 else _here(items, hear)


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


def _here(items: Sequence[Item], hear: Listener) -> Generator[End]:
    for item in items:
        try:
            end = End(item, item.run(hear), None)
        except Exception as raised:
            end = End(item, None, raised)
        yield end


def _in_others(items: Sequence[Item], workers: int, hear: Listener) -> Generator[End]:
    """Each worker is a pool of one process, so that a lost process names its item, and that it can
    be told its card; one that takes the place of a lost one gets the same.
    """
    context = multiprocessing.get_context("spawn")
    messages, stop = context.Queue(), context.Event()
    waiting, tries = deque(items), Counter[str]()
    cards = shared_cards(items, workers)
    card_of: dict[ProcessPoolExecutor, str | None] = {}
    running: dict[Future[Any], tuple[Item, ProcessPoolExecutor]] = {}

    def new_pool(card: str | None) -> ProcessPoolExecutor:
        options: dict[str, Any] = {"initializer": _start_worker, "initargs": (messages, stop, card)}
        pool = ProcessPoolExecutor(1, mp_context=context, **options)
        card_of[pool] = card
        return pool

    def start(item: Item, pool: ProcessPoolExecutor) -> None:
        tries[item.label] += 1
        with _no_interrupt():  # workers inherit it: none may die of Ctrl-C while it starts
            running[pool.submit(_run_item, item)] = item, pool

    try:
        for card in cards:
            start(waiting.popleft(), new_pool(card))
        while running:
            done, _ = wait(running, timeout=MESSAGE_SECONDS, return_when=FIRST_COMPLETED)
            _drain(messages, hear)
            for future in done:
                item, pool = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    pool = new_pool(card_of[pool])
                    error = ChildProcessError(LOST)
                    if tries[item.label] < TRIES:
                        start(item, pool)
                        continue
                elif error is not None and not isinstance(error, Exception):
                    raise error  # Ctrl-C, or a signal that reached the workers
                yield End(item, None if error else future.result(), error)
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


def shared_cards(items: Sequence[Item], workers: int) -> list[str | None]:
    """The card of each worker: all that are visible, in turn; None leaves the choice to the items,
    where there is one card or some item names its own.
    """
    cards = visible_cards()
    if len(cards) < 2 or not all(cards_for(item.device) for item in items):
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


def _run_item(item: Item) -> Any:
    return item.run(now_and_then(MESSAGE_SECONDS, _messages.put, interrupt.check))
