"""Context of a record: the point that was measured, the settings, and fingerprints of tensors."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import Field, field, fields, is_dataclass
from functools import partial, wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from landscape.objective.objective import Objective
from landscape.records import Point
from landscape.utils import progress as messages
from landscape.utils.environment import environment
from landscape.utils.progress_display import listening

Progress = Callable[[int, int], None]  # (done, total); the total may be an upper limit
Call = TypeVar("Call", bound=Callable[..., Any])


def shows_progress(call: Call) -> Call:
    """Let a measure's `progress=True` show a bar, in a terminal or a notebook, and let it run over
    the ranks of an objective if its class says so by `over_ranks = True`.
    """

    @wraps(call)
    def shown(self: Any, *objective: Any, progress: Any = None, **options: Any) -> Any:
        if getattr(objective[0] if objective else None, "is_sharded", False):
            _refuse_sharded(self, [*objective[1:], *options.values()])
        with on_ranks(self, [*objective, *options.values()]):
            if progress is not True:
                return call(self, *objective, progress=progress or None, **options)
            name = type(self).__name__
            with listening(True) as listener:

                def tell(done: int, total: int) -> None:
                    listener(messages.Progress("measure", name, done, total))

                return call(self, *objective, progress=tell, **options)

    return cast(Call, shown)


def refuse_reestimated(objective: Objective, name: str) -> None:
    """Raise ValueError where batch norm's statistics are of all ranks' batches, and a measure goes
    through those of this rank by itself.
    """
    reestimated = objective.batch_norm == "reestimated" and objective.risk.trained_norms
    if objective.ranks.size > 1 and reestimated:
        raise ValueError(
            f'{name} cannot re-estimate batch norm over ranks. Use batch_norm="stored", or measure '
            "it in one process."
        )


@contextmanager
def on_ranks(measure: Any, arguments: Sequence[Any]) -> Iterator[None]:
    """While open, a measure runs on all ranks of its objective; all of them end together.

    Raises ValueError for a measure that does not say `over_ranks`: it might read the batches of one
    rank alone. And for settings that differ between ranks.
    """
    objectives = [a for a in arguments if isinstance(a, Objective) and a.ranks.size > 1]
    if not objectives:
        yield
        return
    name, ranks = type(measure).__name__, objectives[0].ranks
    if not getattr(measure, "over_ranks", False):
        raise ValueError(
            f"{name} does not add up over ranks. Measure it in one process, without a `group`."
        )
    with ranks.guarded():
        if len(set(ranks.gather(f"{name} {settings_of(measure)}"))) > 1:
            raise ValueError(f"All ranks must ask the same. The settings of {name} differ.")
        yield
        ranks.all(True)


def _refuse_sharded(measure: Any, beside: list[Any]) -> None:
    """ValueError for measures that need whole vectors, and for anything beside the objective."""
    if not getattr(measure, "takes_sharded", False) or any(b is not None for b in beside):
        raise ValueError(
            f"{type(measure).__name__} cannot be asked like this of a sharded network, which has "
            "Eigenvalues()(objective) and Trace(method='hutchinson')(objective) alone."
        )


def point_of(objective: Objective, split: str = "given") -> Point:
    """Describe the objective's point and data. Costs one gradient, once per objective."""
    summary = objective.summary
    return Point(
        loss=summary.loss,
        grad_norm=summary.grad_norm,
        w_norm=summary.w_norm,
        n=objective.weights.n,
        examples=objective.examples,
        split=split,
        batch_norm=objective.batch_norm,
        dtype=str(objective.risk.w.dtype).removeprefix("torch."),
        device=str(objective.device),
        fingerprint=objective.fingerprint,
        model_dtype=objective.precision.dtype,
        loss_function=name_of(objective.loss),
        parameters=objective.weights.pattern,
        score=objective.score,
    )


def name_of(loss: Any) -> str:
    """The name of a function, with the keywords that a partial fixes; of an object its class."""
    if isinstance(loss, partial):
        keywords = ", ".join(f"{key}={value}" for key, value in loss.keywords.items())
        return f"{name_of(loss.func)}({keywords})" if keywords else name_of(loss.func)
    return getattr(loss, "__qualname__", type(loss).__qualname__)


def same_network(objective: Objective, other: Objective) -> Objective:
    """Check that `other` is the same network on other data, and return it.

    Raises ValueError for another network or another batch-norm policy.
    """
    if other.weights.shapes != objective.weights.shapes:
        raise ValueError(
            "`other` must be an objective of the same network on other data. "
            f"Got one with {other.weights.n} weights beside {objective.weights.n}, or other names."
        )
    if other.batch_norm != objective.batch_norm:
        raise ValueError(
            f"`other` must have the same batch-norm policy, {objective.batch_norm}. "
            f"Got {other.batch_norm}."
        )
    return other


def signature(measure: Any, objective: Objective) -> dict[str, Any]:
    """The fields of a record that say where, with which settings and by which versions."""
    return {
        "point": point_of(objective),
        "settings": settings_of(measure),
        "provenance": environment(objective.ranks.size),
    }


def settings_of(measure: Any) -> dict[str, Any]:
    """Settings of a measure as a record keeps them, with tensors replaced by fingerprints."""
    kept = [f for f in fields(measure) if not _is_left_out(f, getattr(measure, f.name))]
    return {f.name: recorded(getattr(measure, f.name)) for f in kept}


def unless_default(default: Any) -> Any:
    """A setting that records keep where it is not the default: those from before there was such a
    setting answer the same question.
    """
    return field(default=default, metadata={"unless_default": True})


def _is_left_out(f: Field[Any], value: Any) -> bool:
    return bool(f.metadata.get("unless_default")) and value == f.default


def recorded(value: Any) -> Any:
    """A setting as a record keeps it."""
    if isinstance(value, Tensor):
        return fingerprint(value)
    if isinstance(value, Mapping):
        return {key: recorded(item) for key, item in value.items()}
    return settings_of(value) if is_dataclass(value) else value


def fingerprint(t: Tensor) -> str:
    """Fingerprint of a tensor: 16 hexadecimal digits of the SHA-256 of numbers, shape and type."""
    data = t.detach().cpu().flatten().clone()
    digest = hashlib.sha256(f"{data.dtype} {tuple(t.shape)}".encode())
    digest.update(data.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
