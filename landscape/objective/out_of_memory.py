"""When memory runs out: the same mean over the same examples, in smaller batches."""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from landscape.distributed.ranks import RanOutElsewhere
from landscape.network import batch_norm
from landscape.network.batch import rows_of
from landscape.network.isolation import gradients_on
from landscape.objective.curvature_products import Products
from landscape.objective.empirical_risk import EmpiricalRisk
from landscape.objective.reduction import is_mean
from landscape.utils.memory import ran_out

Answer = TypeVar("Answer")


class OutOfMemoryRetry:
    """Retries a pass that ran out of memory: first without cached graphs, then with halved batches.

    The batches of the risk stay halved for all later passes.
    """

    def __init__(self, risk: EmpiricalRisk):
        self.risk = risk
        self._is_split, self._is_checked = False, True

    def __call__(self, ask: Callable[[], Answer], products: Sequence[Products]) -> Answer:
        """ask() with gradients on, repeated until it fits, on all ranks at once.

        products: whose cached graphs may be released.
        Raises ValueError where the batches cannot be split.
        """
        with self.risk.ranks.guarded():
            while True:
                try:
                    with self.risk.ranks.guarded(asks=True):
                        self._check()
                        with gradients_on():
                            return ask()
                except (RuntimeError, MemoryError) as error:
                    if not ran_out(error):
                        raise
                    elsewhere = isinstance(error, RanOutElsewhere)
                # Outside of the clause, because the error holds the tensors of its pass.
                released = [cache.release_graphs() for cache in products]
                if not self.risk.ranks.any(any(released)) and not elsewhere:
                    self._halve()
                if self.risk.device.type == "cuda":
                    torch.cuda.empty_cache()

    def _halve(self) -> None:
        """Split each batch in two, where it holds two examples."""
        risk = self.risk
        refuse_indivisible(risk)
        if not self._is_split:
            warnings.warn(
                "Memory ran out: batches are split into smaller ones, for the same mean over the "
                "same examples.",
                stacklevel=2,
            )
        pairs = [
            (half, fraction * half.size / batch.size)
            for batch, fraction in risk.terms
            for half in batch.shards(min(2, batch.size))
        ]
        risk.regroup(*zip(*pairs, strict=True))
        self._is_split, self._is_checked = True, False

    def _check(self) -> None:
        """Refuse a loss that is no mean over examples: halves do not add up to their batch."""
        if self._is_checked:
            return
        risk = self.risk
        if not all(is_mean(risk, batch) for batch in risk.batches):
            raise ValueError(
                "Memory ran out, and the batches cannot be split: their loss is not the "
                "mean of the losses of their examples. Give smaller batches."
            )
        self._is_checked = True


def refuse_indivisible(risk: EmpiricalRisk) -> None:
    """Raise ValueError where smaller batches would be others, or where there are none."""
    ran = "Memory ran out, and "
    if risk.policy != "stored" and batch_norm.layers(risk.model):
        raise ValueError(
            f"{ran}the batches cannot be split: under the policy {risk.policy!r} batch "
            'norm takes its statistics from whole ones. Give smaller batches, or "stored".'
        )
    if any(len(rows_of(batch)) > 1 for batch in risk.batches):
        raise ValueError(
            f"{ran}the batches cannot be split: their tensors do not have one row per example. "
            "Give smaller batches."
        )
    if all(batch.size == 1 for batch in risk.batches):
        raise ValueError(f"{ran}batches hold one example each: nothing is left to split.")
