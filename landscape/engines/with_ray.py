"""Items as tasks of Ray: on a cluster that runs, or on processes of this machine."""

import logging
import socket
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from landscape.engines.engine import End, Engine, Item, parameters
from landscape.engines.worker import Outcome, now_and_then, perform
from landscape.utils.optional import optional
from landscape.utils.processes import usable_cores
from landscape.utils.progress import Listener, Progress

MESSAGE_SECONDS = 1.0
CONNECT_SECONDS = 10
RETRIES = 3  # of an item whose worker was lost
LOST = (
    f"its worker was lost {RETRIES + 1} times, as when the system kills it for its memory. "
    "Use fewer --workers, or a smaller batch."
)


@dataclass(frozen=True)
class Ray(Engine):
    """Items as tasks of Ray, https://docs.ray.io.

    at: the address of a cluster, host:6379 or ray://host:10001; "auto" is the one that runs on this
    machine or that RAY_ADDRESS names, else one is started here.
    workers: processes of a new cluster, default one per core; of one that runs, the items at once.
    gpus_per_cell: Ray's `num_gpus`, where the cluster has cards and the device is not the CPU; Ray
    shows each item its card.
    args: of `ray.init`.

    An item whose worker or node is lost is tried 4 times. A process that already uses Ray keeps its
    connection.
    """

    def check(self) -> None:
        """Raise ValueError where Ray is not installed or does not take an argument."""
        self.check_args(parameters(optional("ray", "ray").init) - {"address", "num_cpus"})

    def reach(self) -> None:
        """Raise ValueError where nothing listens at the address: Ray would try for minutes."""
        host, _, port = self.at.removeprefix("ray://").rpartition(":")
        if self.at == "auto":
            return
        try:
            if not host or not port.isdigit():
                raise ValueError("an address is host:port or ray://host:port")
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            raise ValueError(
                f"No Ray cluster answers at {self.at}: {error}. Start one with: ray start --head"
            ) from None

    def at_once(self, device: str) -> int:
        """`workers`; else one per core, and 1 in a cluster that is not known yet."""
        return self.workers or (usable_cores() if self.at == "auto" else 1)

    def run(self, items: Sequence[Any], hear: Listener) -> Generator[End]:
        """Hand items to Ray and yield ends as they arrive."""
        import ray

        begun = not ray.is_initialized()
        if begun:
            self._connect()
        try:
            yield from self._ends(items, hear)
        finally:
            if begun:
                ray.shutdown()

    def _connect(self) -> None:
        import ray

        quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
        options: dict[str, Any] = {**quiet, **self.args}
        if self.at != "auto":
            self.reach()
            ray.init(self.at, **options)
            return
        try:
            ray.init("auto", **options)
        except ConnectionError:
            ray.init("local", num_cpus=self.workers, include_dashboard=False, **options)

    def _ends(self, items: Sequence[Item], hear: Listener) -> Generator[End]:
        import ray

        waiting, running = deque(items), dict[Any, Item]()
        at_once = self.workers or len(items)
        cards = ray.cluster_resources().get("GPU", 0)
        board = ray.remote(num_cpus=0, max_restarts=-1)(Messages).remote()
        task = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_task)
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    item = waiting.popleft()
                    share = self.gpus_per_cell if cards and item.device != "cpu" else 0
                    running[task.options(num_gpus=share).remote(item, board)] = item
                done, _ = ray.wait(list(running), timeout=MESSAGE_SECONDS)
                with suppress(ray.exceptions.RayError):  # messages are lost with their node
                    for message in ray.get(board.taken.remote(), timeout=10 * MESSAGE_SECONDS):
                        hear(message)
                for answer in done:
                    yield _end_of(running.pop(answer), answer)
        finally:
            for answer in running:
                ray.cancel(answer)


class Messages:
    """Actor that holds progress messages until they are taken."""

    def __init__(self) -> None:
        self.held: list[Progress] = []

    def put(self, message: Progress) -> None:
        """Hold a message."""
        self.held.append(message)

    def taken(self) -> list[Progress]:
        """Hand over the messages held."""
        held, self.held = self.held, []
        return held


def _end_of(item: Item, answer: Any) -> End:
    from ray import exceptions, get

    try:
        return End(item, *get(answer))
    except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError):
        return End(item, None, ChildProcessError(LOST))
    except (exceptions.RayError, ImportError) as error:
        return End(item, None, OSError(" ".join(str(error).split())))


def _task(item: Item, board: Any) -> Outcome:
    def tell(message: Progress) -> None:
        board.put.remote(message)

    return perform(item, 1, now_and_then(MESSAGE_SECONDS, tell, lambda: None))
