"""Loss and accuracy at many points: the model is opened once for all of them, and a faster pass
stands beside the plain one where the two are seen to agree.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from landscape.network.batch import Batch, correct, mapped, scalar
from landscape.network.linear_layer import answers_of
from landscape.objective.fold_batch_norm import Chain, chains, folded
from landscape.utils.rng import seed_of

if TYPE_CHECKING:
    from landscape.objective.objective import Objective

Found = tuple[float, float]  # L, accuracy
AT_ONCE = 2**26  # bytes of points between two openings
TOLERANCE, FLOOR = 1e-5, 0.01  # the two ways may differ by TOLERANCE · max(L, FLOOR)
FLIPS = 2e-3  # and by rounding's share of answers


@dataclass(frozen=True)
class Way:
    """How a pass is run: on which copy of the batches, with which layers folded, each point in
    tensors of its own or all in the same ones. Views of another tensor cost as much as a layer.
    """

    batches: Sequence[Batch]
    chains: Sequence[Chain] = ()
    in_place: bool = True


class Evaluator:
    """(L, accuracy) at points of an objective, by a fast way where there is one."""

    def __init__(self, objective: "Objective"):
        self.objective = objective
        self.plain = Way(objective.batches, in_place=False)
        self._labels: dict[int, Tensor] = {}  # of each batch, how many count
        self._none = torch.zeros((), dtype=torch.int64, device=objective.device)

    def __call__(self, points: Sequence[Tensor]) -> list[Found]:
        """One pair a point."""
        return self.by(self.way, points)

    @cached_property
    def way(self) -> Way:
        """The fast way, where it agrees with the plain one at w and at a random point."""
        points = [self.objective.w, elsewhere(self.objective)]
        expected = self.by(self.plain, points)
        try:
            fast = _fast_way(self.objective)
            found = self.by(fast, points)
        except Exception:  # a model may refuse another memory format in words of its own
            return self.plain
        return fast if all(map(agree, found, expected)) else self.plain

    def by(self, way: Way, points: Sequence[Tensor]) -> list[Found]:
        """(L, accuracy) at each of a few points; the device is waited for once.

        Every pass starts from the same buffers, modes and random numbers.
        """
        objective, rows = self.objective, []
        weights, place = objective.weights, objective.w
        with (
            torch.no_grad(),
            objective.isolated() as renew,
            weights.substituted(weights.views(place)) as stand_at,
            folded(way.chains),
            answers_of(objective.model) as outputs,
        ):
            move = place.copy_ if way.in_place else stand_at
            for point in points:
                renew()
                move(weights.checked(point.detach().to(place)))
                with objective.normalised(way.batches):
                    rows += [self._ask(i, b, outputs) for i, b in enumerate(way.batches)]
        shape = (len(points), len(way.batches))
        losses, right, counted = (torch.stack(t).view(shape) for t in zip(*rows, strict=True))
        loss = losses.cpu().double() @ torch.tensor(objective.shares, dtype=torch.float64)
        accuracy = right.cpu().sum(1).double() / counted.sum(1)
        return list(zip(loss.tolist(), accuracy.tolist(), strict=True))

    def _ask(self, i: int, batch: Batch, outputs: list[Any]) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of the i-th batch, how many answers are right, of how many."""
        objective = self.objective
        outputs.clear()
        loss = scalar(objective.loss(objective.model, batch))
        if objective.logits is not None:
            right = correct(objective.logits(objective.model, batch), batch.y)
        else:
            right = correct(outputs[0], batch.y) if len(outputs) == 1 else None
        if right is None:
            return loss, self._none, self._none.cpu()
        if i not in self._labels:
            self._labels[i] = (batch.y >= 0).sum().cpu()
        return loss, right, self._labels[i]


def chunks(points: Iterable[Tensor], w: Tensor) -> Iterator[list[Tensor]]:
    """As many points, of the size of `w`, as the model is opened for at a time.

    They are asked for between two openings, while the model stands as its user left it.
    """
    size = max(1, min(64, AT_ONCE // (w.numel() * w.element_size())))
    points = iter(points)
    while some := list(islice(points, size)):
        yield some


def _fast_way(objective: "Objective") -> Way:
    """On the CPU with images in channels_last and stored batch norm folded."""
    batches = objective.batches
    if objective.device.type != "cpu":
        return Way(batches)
    if any(isinstance(module, nn.Conv2d) for module in objective.model.modules()):
        batches = tuple(map(_in_channels_last, batches))
    with objective.isolated():
        some = chains(objective.model) if objective.batch_norm == "stored" else []
    return Way(batches, some)


def elsewhere(objective: "Objective") -> Tensor:
    """A random point: every weight moved by about a tenth of those of its tensor, and 0.01."""
    w = objective.w
    generator = torch.Generator().manual_seed(seed_of(objective.seed, "elsewhere"))
    for part in (w[s] for s in objective.layers.values()):
        xi = torch.randn(part.shape, generator=generator, dtype=torch.float64).to(w)
        part += 0.1 * (part.square().mean().sqrt() + 0.1) * xi
    return w


def agree(found: Found, expected: Found) -> bool:
    """Whether two ways to one loss and accuracy are the same up to rounding. NaN is not."""
    off = abs(found[0] - expected[0]) <= TOLERANCE * max(abs(expected[0]), FLOOR)
    flips = abs(found[1] - expected[1])
    return off and (flips <= FLIPS or flips != flips)


def _in_channels_last(batch: Batch) -> Batch:
    def convert(t: Tensor) -> Tensor:
        if t.dim() != 4 or not t.is_floating_point():
            return t
        # One channel is channels_last already by its shape, but not by its strides.
        return torch.empty_like(t, memory_format=torch.channels_last).copy_(t)

    return replace(batch, x=mapped(batch.x, convert))
