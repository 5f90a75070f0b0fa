"""Protocol of an engine: given items, it yields the end of each, in the order in which they end."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

from landscape.utils.names import look_up
from landscape.utils.progress import Listener


class Item(Protocol):
    """Unit of work that can be pickled and that may run again after its worker was lost."""

    @property
    def label(self) -> str:
        """Name in progress messages, different for each item."""

    @property
    def device(self) -> str:
        """Device as settings name it: "auto", "cpu", "cuda", "cuda:1"."""

    def run(self, progress: Listener) -> Any:
        """Do the work; the answer travels back."""


class End(NamedTuple):
    """End of an item: its answer, or the error that it ended with.

    ChildProcessError stands for a worker that was lost as often as the engine tries.
    """

    item: Any
    answer: Any
    error: BaseException | None


@dataclass(frozen=True)
class Engine(ABC):
    """Runner of items; retries after a lost worker are the engine's.

    at: the address of a cluster that runs, or "auto". workers: items at once; None is the engine's
    own default. gpus_per_cell: the share of a card that an item takes, in (0, 1]. args: arguments
    of the library below.
    """

    at: str = "auto"
    workers: int | None = None
    gpus_per_cell: float = 1.0
    args: Mapping[str, Any] = field(default_factory=dict)

    elsewhere: ClassVar[bool] = True  # items may run on other machines

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"`workers` must be at least 1. Got {self.workers}.")
        if not 0 < self.gpus_per_cell <= 1:
            raise ValueError(f"`gpus_per_cell` must be in (0, 1]. Got {self.gpus_per_cell:g}.")
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError for a library that is missing and arguments that do not exist."""

    def reach(self) -> None:  # noqa: B027
        """Raise ValueError where no cluster answers; called before anything is written."""

    @abstractmethod
    def at_once(self, device: str) -> int:
        """Count the items that run at once, as far as that is known before they start."""

    @abstractmethod
    def run(self, items: Sequence[Any], hear: Listener) -> Generator[End]:
        """Run every item and yield its end; `hear` gets their progress.

        An item that fails stops no other. Closing the iterator, as Ctrl-C does, stops all.
        """

    @property
    def per_card(self) -> int:
        """Count the items that share a card."""
        return int(1 / self.gpus_per_cell + 1e-9)

    def check_args(self, known: Iterable[str]) -> None:
        """Raise ValueError for arguments that the library does not know."""
        for name in self.args:
            look_up("engine argument", name, dict.fromkeys(sorted(known)))


def parameters(*functions: Callable[..., Any]) -> set[str]:
    """Names of the keywords that functions take."""
    from inspect import Parameter, signature

    found = {n: p for f in functions for n, p in signature(f).parameters.items() if n != "self"}
    variadic = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    return {name for name, parameter in found.items() if parameter.kind not in variadic}
