"""The group of processes that torchrun has started, joined for as long as it is needed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from landscape.distributed.ranks import ALONE, Alone, Ranks
from landscape.utils.processes import check_single_process

NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # set by torchrun
PATIENCE = timedelta(minutes=30)  # with a rank that loads data or measures by itself
ENDED = (
    "Another rank has ended, so this one cannot go on. torchrun --max-restarts starts all again "
    "from the last checkpoint; so does the same command with --resume."
)

Item = TypeVar("Item")
_joined: list[Alone] = []


def is_launched() -> bool:
    """Tell whether torchrun has started this process as one of several."""
    return all(name in os.environ for name in NAMES) and os.environ["WORLD_SIZE"] != "1"


def is_first() -> bool:
    """Tell whether this process is the one that writes and speaks."""
    return not is_launched() or os.environ["RANK"] == "0"


def is_restarted() -> bool:
    """Tell whether torchrun has started all ranks again, after one of them had ended."""
    return is_launched() and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def current() -> Alone:
    """The ranks that were joined; `ALONE` outside of `joined`."""
    return _joined[-1] if _joined else ALONE


@contextmanager
def joined(device: str | None = None) -> Iterator[Alone]:
    """While open, this process is one of the ranks that torchrun has started; else it is alone.

    device: as settings name it. Each rank of a host takes a card of its own, and NCCL; on the CPU
    it is Gloo.

    Raises ValueError under another launcher than torchrun, for a card by number, for more ranks
    than cards, and where another rank ends.
    """
    if _joined or not is_launched():
        if not _joined:
            check_single_process()
        yield current()
        return
    on_cuda = device != "cpu" and torch.cuda.is_available()
    if on_cuda:
        _take_card(device)
    if not dist.is_initialized():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_cuda else "gloo", timeout=PATIENCE, **_meeting_point()
        )
    group: Any = dist.group.WORLD
    ranks = Ranks(group, torch.device("cuda" if on_cuda else "cpu"))
    _joined.append(ranks)
    try:
        with ranks.guarded():
            yield ranks
    except RuntimeError as error:
        if not _is_of_a_connection(error):
            raise
        raise ValueError(ENDED) from error
    finally:
        _joined.remove(ranks)
    dist.destroy_process_group()


def own(pieces: list[Item], ranks: Alone) -> tuple[list[Item], Any]:
    """This rank's pieces, next to each other, and the group that holds all of them; all the pieces
    and None where they are fewer than ranks.
    """
    if not isinstance(ranks, Ranks) or len(pieces) < ranks.size:
        return pieces, None
    ends = [len(pieces) * i // ranks.size for i in range(ranks.size + 1)]
    return pieces[ends[ranks.index] : ends[ranks.index + 1]], ranks.group


def enough(pieces: Sequence[Any], ranks: Alone) -> list[Any]:
    """The same batches, cut into at least as many as there are ranks, where they hold examples
    enough.
    """
    parts = -(-ranks.size // len(pieces))
    return [part for piece in pieces for part in piece.shards(min(parts, piece.size))]


def _meeting_point() -> dict[str, Any]:
    """Keys of this attempt in torchrun's store, which outlives the ranks; else torch's own choice.

    Without a prefix the ranks of a second attempt would wait for the addresses of the first one's.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return {}
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(*place, size, False, timeout=PATIENCE, wait_for_workers=False)
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return {
        "store": dist.PrefixStore(f"landscape attempt {attempt}", store),
        "rank": rank,
        "world_size": size,
    }


def _take_card(device: str | None) -> None:
    local, cards = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if device and ":" in device:
        raise ValueError(f"Each rank takes a card of its own. Got {device!r}: use cuda or auto.")
    if local >= cards:
        raise ValueError(
            f"Each rank needs a card of its own. Got {cards} for {local + 1} ranks of this host: "
            "torchrun --nproc-per-node gpu, or --device cpu."
        )
    torch.cuda.set_device(local)


def _is_of_a_connection(error: RuntimeError) -> bool:
    words = ("connection", "gloo", "nccl")
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in words)
