"""Items as tasks of Dask: on a scheduler that runs, or on processes of this machine."""

import logging
import os
import queue
import uuid
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from landscape.engines.engine import End, Engine, Item, parameters
from landscape.engines.site import Unfit
from landscape.engines.worker import Outcome, now_and_then, perform
from landscape.utils.optional import optional
from landscape.utils.processes import usable_cores
from landscape.utils.progress import Listener, Progress

MESSAGE_SECONDS = 1.0  # between two messages of a worker; a thousand workers send a thousand
CONNECT_SECONDS = 15
MOST_SITES = 3  # workers that are not fit for an item, after which it fails
LOST = (
    "its worker was lost {} times, as when the system kills it for its memory. "
    "Look into the workers' logs; use fewer workers on a machine, or a smaller batch."
)


@dataclass(frozen=True)
class Dask(Engine):
    """Items as tasks of Dask, https://distributed.dask.org.

    at: the address of a scheduler, tcp://host:8786, or its scheduler file (.json); "auto" is
    DASK_SCHEDULER_ADDRESS where that is set, else `workers` processes of this machine.
    workers: of this machine, default one per core; of a scheduler, the items that run at once,
    default as many as there are workers. Start these with one thread each: a process runs one item
    at a time in any case.
    args: of `LocalCluster` or its workers on this machine, of `Client` at a scheduler.

    A worker that is lost is replaced by another one as often as the scheduler's setting
    `distributed.scheduler.allowed-failures` allows, 3 times by default. One that lacks the study's
    folder, the data or this version is sent home, and its item goes to another.
    """

    def check(self) -> None:
        """Raise ValueError where Dask is not installed or does not take an argument."""
        distributed = optional("distributed", "cluster")
        if self._address:
            self.check_args(parameters(distributed.Client.__init__) - {"address"})
        else:
            kinds = (distributed.LocalCluster, distributed.Nanny, distributed.Worker)
            self.check_args(parameters(*(kind.__init__ for kind in kinds)) - {"n_workers"})

    @property
    def _address(self) -> str | None:
        return os.environ.get("DASK_SCHEDULER_ADDRESS") if self.at == "auto" else self.at

    def reach(self) -> None:
        """Raise ValueError where no scheduler answers."""
        if self._address:
            connected(self._address, self.args).close()

    def at_once(self, device: str) -> int:
        """`workers`; else one per core, and 1 at a scheduler, whose workers are not known yet."""
        return self.workers or (1 if self._address else usable_cores())

    def run(self, items: Sequence[Any], hear: Listener) -> Generator[End]:
        """Send items to the scheduler and yield ends as they arrive."""
        with ExitStack() as stack:
            client = self._client(stack, items)
            yield from Sent(client, items, self.per_card, hear).ends(self.workers or len(items))

    def _client(self, stack: ExitStack, items: Sequence[Item]) -> Any:
        """A client, closed with the stack as the cluster that it started."""
        from distributed import Client, LocalCluster

        if self._address:
            return stack.enter_context(connected(self._address, self.args))
        workers = min(self.at_once("cpu"), len(items))
        quiet = {"dashboard_address": None, "silence_logs": logging.ERROR, "threads_per_worker": 1}
        return stack.enter_context(
            Client(stack.enter_context(LocalCluster(n_workers=workers, **{**quiet, **self.args})))
        )


def connected(address: str, args: Any) -> Any:
    """A client of a scheduler that runs. Raises ValueError where none answers."""
    from distributed import Client

    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    try:
        return Client(**where, **{"timeout": CONNECT_SECONDS, **args})
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"No Dask scheduler answers at {address}: {why.rstrip('.')}. Start one with: "
            "dask scheduler"
        ) from None


class Sent:
    """Items that were sent to a scheduler, with what comes back from it.

    Progress comes through the scheduler's events, ends through the futures; both wait in one queue.
    """

    def __init__(self, client: Any, items: Sequence[Item], per_card: int, hear: Listener):
        self.client, self.waiting, self.per_card, self.hear = client, deque(items), per_card, hear
        self.events: queue.Queue[Any] = queue.Queue()
        self.unfit = Counter[str]()
        self.running: dict[Any, Item] = {}
        self.topic = f"landscape-{uuid.uuid4().hex}"

    def ends(self, at_once: int) -> Generator[End]:
        """Yield the end of every item; so many are with the scheduler at a time."""
        self.client.subscribe_topic(self.topic, lambda event: self.events.put(event[1]))
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < at_once:
                    self._send(self.waiting.popleft())
                event = self.events.get()
                if isinstance(event, dict):
                    self.hear(Progress(**event["message"]))
                elif (end := self._end_of(event)) is not None:
                    yield end
        finally:
            self.client.cancel(list(self.running))
            self.client.unsubscribe_topic(self.topic)

    def _send(self, item: Item) -> None:
        future = self.client.submit(_task, item, self.topic, self.per_card, pure=False)
        self.running[future] = item
        future.add_done_callback(self.events.put)

    def _end_of(self, future: Any) -> End | None:
        """The end of an item; None where its worker was not fit and another one gets it."""
        item = self.running.pop(future)
        if future.status != "finished":
            return End(item, None, _reason(future))
        outcome, worker = future.result()
        if isinstance(outcome.error, Unfit):
            self.client.retire_workers([worker])
            self.unfit[item.label] += 1
            if self.unfit[item.label] < MOST_SITES and self.client.nthreads():
                self.waiting.append(item)
                return None
        return End(item, *outcome)


def _reason(future: Any) -> BaseException:
    """Why a future has no answer."""
    from distributed import KilledWorker

    error = future.exception() if future.status == "error" else None
    if error is None:
        return ConnectionError("the connection to the scheduler was lost, or it cancelled the task")
    if isinstance(error, KilledWorker):
        return ChildProcessError(LOST.format(error.allowed_failures + 1))
    if isinstance(error, ImportError):
        return OSError(f"the workers cannot import landscape ({error}). Install it there.")
    return error


def _task(item: Item, topic: str, per_card: int) -> tuple[Outcome, str]:
    """Run an item on a worker; the answer names the worker."""
    from dataclasses import asdict

    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def check() -> None:
        state = worker.state.tasks.get(key)
        if state is None or state.state == "cancelled":
            raise Cancelled("nobody waits for it any more")

    def tell(message: Progress) -> None:
        worker.log_event(topic, {"message": asdict(message)})

    try:
        outcome = perform(item, per_card, now_and_then(MESSAGE_SECONDS, tell, check))
    except Cancelled as stopped:
        outcome = Outcome(None, OSError(str(stopped)))
    return outcome, worker.address


class Cancelled(KeyboardInterrupt):
    """Nobody waits for the item any more; it stops as with Ctrl-C, with a checkpoint kept."""
