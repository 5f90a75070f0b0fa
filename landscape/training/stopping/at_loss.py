"""Stop where the training loss meets a level: networks are then compared at the same loss.

Jiang, Neyshabur, Mobahi, Krishnan, Bengio, ICLR 2020 (arXiv 1912.02178), stop at the first epoch
whose loss is small enough. Its last steps overshoot by different amounts, so the point is searched
on the segment between the weights before and after that epoch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape.network import batch_norm

TOLERANCE = 0.02  # of the level
MOST_HALVINGS = 60  # a share of the segment in float64 has no more digits


@dataclass(frozen=True)
class Stop:
    """Point where a training met its level: share of the last epoch's segment, and the loss."""

    share: float
    loss: float


def check_model(model: nn.Module) -> None:
    """Raise ValueError for running statistics, which belong to the ends of a segment alone."""
    if batch_norm.layers(model):
        raise ValueError(
            "`training.stop_at_loss` takes weights between two epochs, and the running statistics "
            "of batch norm belong to neither. Use a network without batch norm, or leave it out."
        )


def check_start(loss: float, level: float, when: str) -> None:
    """Raise ValueError where the level is met before the first step. when: in words."""
    if loss <= level:
        raise ValueError(
            f"`training.stop_at_loss` must be below the loss {when}, {loss:.4g}. Got {level}."
        )


def stop_between(
    model: nn.Module, before: Mapping[str, Tensor], level: float, loss: Callable[[], float]
) -> Stop:
    """Put a model, whose loss is at most the level, where it meets the level within 2 %.

    before: state dict at the start of the epoch, where the loss was above the level. loss: that of
    the model as it stands.
    """
    after = {name: value.detach().clone() for name, value in model.named_parameters()}

    def loss_at(share: float) -> float:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                start = before[name].to(parameter.device)
                parameter.copy_(start.double().lerp(after[name].double(), share))
        return loss()

    return crossing(loss_at, loss(), level)


def crossing(loss_at: Callable[[float], float], last: float, level: float) -> Stop:
    """Bisect the shares [0, 1] for a loss within 2 % of the level, f(0) above it, f(1) = `last`.

    Where rounding allows no share so near, the nearest below the level. The last call of `loss_at`
    is at the answer; none where the end itself is near enough.

    Example: on (1 − t)² the level 0.25 is met at t = 1/2.

    >>> from landscape.training.stopping.at_loss import crossing
    >>> crossing(lambda t: (1 - t) ** 2, 0.0, 0.25)
    Stop(share=0.5, loss=0.25)
    """
    low, high, best = 0.0, 1.0, Stop(1.0, last)
    for _ in range(MOST_HALVINGS):
        if abs(best.loss - level) <= TOLERANCE * level:
            return best
        middle = Stop((low + high) / 2, loss_at((low + high) / 2))
        if middle.loss > level:
            low = middle.share
        else:
            high = middle.share
        best = middle
    return Stop(high, loss_at(high))
