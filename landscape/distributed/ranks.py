"""Ranks of a `torch.distributed` group that run the same program, each on its own data.

Every exchange starts with a header of five numbers from each rank. It carries a failure to the
others, so that all of them raise and none waits for ever, and it shows ranks that are out of step.
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from landscape.utils.memory import ran_out

FINE, RAN_OUT, FAILED = 0, 1, 2  # how a rank comes to a meeting
SUM, OBJECTS, ONE = 0, 1, 2  # what it wants to exchange there


class OutOfStep(RuntimeError):
    """The ranks do not compute the same thing."""


class RanOutElsewhere(MemoryError):
    """Memory ran out on another rank."""


class Alone:
    """Process that has no other to agree with: the same methods as `Ranks`."""

    index, size = 0, 1

    def sum(self, t: Tensor) -> Tensor:
        """The sum of what each rank gives, any shape."""
        return t

    def differentiable_sum(self, t: Tensor) -> Tensor:
        """The sum, through which gradients flow back to every rank."""
        return t

    def gather(self, value: Any) -> list[Any]:
        """Values that the ranks give, in their order."""
        return [value]

    def from_rank(self, rank: int, value: Any) -> Any:
        """Value that one rank gives; those of the others are not looked at."""
        return value

    def first(self, value: Any) -> Any:
        """Value that rank 0 gives: a decision by a clock, or a file that it has read."""
        return self.from_rank(0, value)

    def any(self, flag: bool) -> bool:
        """Tell whether it holds on some rank."""
        return any(self.gather(flag))

    def all(self, flag: bool) -> bool:
        """Tell whether it holds on every rank."""
        return all(self.gather(flag))

    def least(self, value: int | None) -> int | None:
        """The smallest number of all ranks; None where none of them knows it."""
        return min((v for v in self.gather(value) if v is not None), default=None)

    def note(self, *tensors: Tensor) -> None:
        """Tensors that must be the same on all ranks, bit for bit: the next meeting compares."""

    @contextmanager
    def guarded(self, asks: bool = False) -> Iterator[None]:
        """While open, an error on one rank is raised on all of them.

        asks: it is a question that all ranks ask, and may ask again.
        """
        yield


class Ranks(Alone):
    """The ranks of a group. All of them call the same methods, in the same order.

    index, size: this rank, and how many there are. device: where the tensors of a sum live.
    Sums come out bit for bit the same on all ranks.
    """

    def __init__(self, group: dist.ProcessGroup, device: torch.device):
        self.group = group
        self.index, self.size = dist.get_rank(group), dist.get_world_size(group)
        self._numbers = dist.get_process_group_ranks(group)
        backends = str(dist.get_backend_config(group))
        on_cuda = "nccl" in backends and (device.type == "cuda" or "gloo" not in backends)
        self.device = torch.device("cuda" if on_cuda else "cpu")
        self._questions, self._meetings, self._checksum, self._lost = 0, 0, 0, False

    def sum(self, t: Tensor) -> Tensor:  # noqa: D102
        moved = t.detach().to(self.device, copy=True).contiguous()
        self._meet(SUM, t.numel())
        with self._connection():
            dist.all_reduce(moved, group=self.group)
        return moved.to(t.device)

    def differentiable_sum(self, t: Tensor) -> Tensor:  # noqa: D102
        answer: Tensor = _Sum.apply(t, self)
        return answer

    def gather(self, value: Any) -> list[Any]:  # noqa: D102
        self._meet(OBJECTS, 0)
        return self._objects(value)

    def from_rank(self, rank: int, value: Any) -> Any:  # noqa: D102
        self._meet(ONE, rank)
        held, source = [value if self.index == rank else None], self._numbers[rank]
        with self._connection():
            dist.broadcast_object_list(held, source, self.group)
        return held[0]

    def note(self, *tensors: Tensor) -> None:  # noqa: D102
        for t in tensors:
            whole = t.detach().contiguous().view(-1).view(torch.int16)
            self._checksum += int(whole.sum(dtype=torch.int64))

    @contextmanager
    def guarded(self, asks: bool = False) -> Iterator[None]:  # noqa: D102
        self._questions += asks
        before = self._meetings
        try:
            yield
            if asks and self._meetings == before:
                self._meet(OBJECTS, 0)  # nobody goes on while another has to ask again
        except Exception as error:
            if self._lost or getattr(error, "is_known_to_ranks", False):
                raise
            common = self._meet(SUM, 0, error)
            if common is error:
                raise
            raise common from None  # type: ignore[misc]

    def _meet(self, kind: int, count: int, error: Exception | None = None) -> Exception | None:
        """Exchange headers: returns where this rank has failed, raises where another has."""
        status = FINE if error is None else RAN_OUT if ran_out(error) else FAILED
        header = [status, self._questions, kind, count, self._checksum % 2**62]
        mine = torch.tensor(header, device=self.device)
        self._meetings += 1
        each = [torch.empty_like(mine) for _ in range(self.size)]
        with self._connection():
            dist.all_gather(each, mine, group=self.group)
        headers, self._checksum = [h.tolist() for h in each], 0
        worst = max(h[0] for h in headers)
        if worst != FINE:
            return self._failed(headers, worst, error)
        if any(h != headers[0] for h in headers):
            raise self._known(
                OutOfStep(
                    "The ranks compute different things, as with other settings, weights, threads "
                    "or hardware. Start all of them alike."
                )
            )
        return None

    def _failed(
        self, headers: list[list[int]], worst: int, error: Exception | None
    ) -> Exception | None:
        """Agree on one error: this rank's own, if there is none that weighs more."""
        packed = self._objects(None if error is None else _packed(error))
        steps = {h[1] for h in headers}
        if worst == RAN_OUT and len(steps) > 1:
            raise self._known(
                OutOfStep("Memory ran out on a rank that the others did not wait for.")
            )
        sender = next(i for i, h in enumerate(headers) if h[0] == worst)
        if error is not None and headers[self.index][0] == worst:
            return self._known(error)
        other = RanOutElsewhere(f"Memory ran out on rank {sender}.")
        raise self._known(other if worst == RAN_OUT else _unpacked(packed[sender], sender))

    def _objects(self, value: Any) -> list[Any]:
        each: list[Any] = [None] * self.size
        with self._connection():
            dist.all_gather_object(each, value, group=self.group)
        return each

    @contextmanager
    def _connection(self) -> Iterator[None]:
        """Name the cause where another process is gone."""
        try:
            yield
        except RuntimeError as error:
            self._lost = True
            raise RuntimeError(
                f"The connection to another rank is lost: has it ended? ({_line(error)})"
            ) from None

    @staticmethod
    def _known(error: Exception) -> Exception:
        error.is_known_to_ranks = True  # type: ignore[attr-defined]
        return error


class _Sum(torch.autograd.Function):
    """The sum over ranks; its derivative is the sum of the ranks' gradients, at every order."""

    @staticmethod
    def forward(ctx: Any, t: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.sum(t)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.ranks.differentiable_sum(gradients[0]), None


ALONE = Alone()


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _packed(error: Exception) -> tuple[bytes | None, str]:
    """An error as bytes, where its type allows that, and in words."""
    try:
        return pickle.dumps(error), _line(error)
    except Exception:  # a type of the model's own
        return None, _line(error)


def _unpacked(packed: tuple[bytes | None, str], rank: int) -> Exception:
    """The error of another rank, of its own type where that is known here."""
    data, words = packed
    try:
        error = pickle.loads(data) if data else None
    except Exception:  # a type of the model's own
        error = None
    return error if isinstance(error, Exception) else RuntimeError(f"Rank {rank} failed: {words}")


def ranks_of(group: Any, device: torch.device) -> Alone:
    """The ranks of a process group; `ALONE` for None and for a group of one.

    Raises ValueError for anything else, and for a group that this process is not in.
    """
    if group is None:
        return ALONE
    if not dist.is_available() or not isinstance(group, dist.ProcessGroup):
        raise ValueError(
            "`group` must be a process group that this process is in, as "
            f"torch.distributed.group.WORLD after init_process_group. Got {group!r}."
        )
    return Ranks(group, device) if dist.get_world_size(group) > 1 else ALONE
