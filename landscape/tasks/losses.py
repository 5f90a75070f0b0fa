"""Losses by name, besides cross-entropy and those of the user's own."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from landscape.network.batch import Batch, LossFn
from landscape.network.score import MEAN_IOU, Score
from landscape.tasks.usual_loss import answer

OVER = ("batch", "image")


@dataclass(frozen=True)
class Dice:
    """Dice loss: 1 − mean_c (2 Σ p_c y_c + s) / (Σ p_c + Σ y_c + s), shape ().

    p: softmax of the model's logits (n, ..., classes); y: 1 where a place is of class c, from
    integers (n, ...). Places whose label is no class are left out.
    over: "batch", sums over the places of all images, or "image", of each one, then their mean.
    smoothing: s, so that an absent class that is nowhere named has the ratio 1.

    Over the batch it is no mean over examples: batches are not split, and measures take whole ones
    of the training's size. Its score is the mean IoU.

    Example: class 1 has 2.6/3.2 and class 0 has 2.2/2.8.

    >>> import torch
    >>> import landscape as ls
    >>> from landscape.tasks.losses import Dice
    >>> p = torch.tensor([[0.2, 0.8], [0.6, 0.4]])
    >>> loss = Dice()(torch.nn.Identity(), ls.Batch(p.log()[None], torch.tensor([[1, 0]])))
    >>> round(loss.item(), 4)
    0.2009
    """

    over: str = "batch"
    smoothing: float = 1.0
    score: ClassVar[Score] = MEAN_IOU

    def __post_init__(self) -> None:
        if self.over not in OVER:
            raise ValueError(f"`over` must be one of {', '.join(OVER)}. Got {self.over!r}.")
        if not self.smoothing > 0:
            raise ValueError(f"`smoothing` must be positive. Got {self.smoothing}.")

    @property
    def of_whole_batches(self) -> bool:
        """The loss of a batch is not the mean of those of its examples."""
        return self.over == "batch"

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Evaluate the loss of a batch."""
        logits, labels = model(batch.x), batch.y
        classes = torch.arange(logits.shape[-1], device=logits.device)
        y = (labels.unsqueeze(-1) == classes).to(logits.dtype)
        p = logits.softmax(-1) * y.sum(-1, keepdim=True)
        places = tuple(range(0 if self.over == "batch" else 1, labels.dim()))
        overlap, sizes = (p * y).sum(places), p.sum(places) + y.sum(places)
        return 1 - ((2 * overlap + self.smoothing) / (sizes + self.smoothing)).mean()


def squared_error(model: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of a regression head, shape (): its output (n, 1) or (n,) and y (n,)."""
    z = answer(model, batch.x)
    return (z.reshape(batch.y.shape) - batch.y).square().mean()


LOSSES: dict[str, LossFn] = {
    "dice": Dice(),
    "dice-per-image": Dice(over="image"),
    "squared-error": squared_error,
}
