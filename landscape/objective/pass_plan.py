"""Plans of a forward pass: the plain one, and faster ones, used where they agree with it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from landscape.network.batch import Batch, mapped
from landscape.objective.empirical_risk import EmpiricalRisk, Terms
from landscape.objective.few_classes import few_classes
from landscape.objective.fold_batch_norm import Chain, chains, folded
from landscape.utils.rng import seed_of

Answer = tuple[float, float]  # L, accuracy
FLOOR = 0.01
# Two plans may differ by a tolerance · max(L, FLOOR), and by a share of answers: by arithmetic.
TOLERANCE = {"ieee": 1e-5, "tf32": 1e-2, "bf16": 5e-2}
FLIPS = {"ieee": 2e-3, "tf32": 2e-2, "bf16": 5e-2}


@dataclass(frozen=True)
class PassPlan:
    """Options of a forward pass: the batches with their weight fractions, images in channels_last,
    folded layers, kernels for few classes, whether all points stand in the same tensors, with
    kernels that have no second derivatives, and the arithmetic: "ieee", "tf32" or "bf16".
    """

    terms: Terms
    chains: Sequence[Chain] = ()
    in_place: bool = True
    narrow: bool = False
    channels_last: bool = False
    precision: str = "ieee"

    def __str__(self) -> str:
        """The options in words: two plans of one name give the same numbers."""
        ways = {
            "in place": self.in_place,
            "few classes": self.narrow,
            "channels_last": self.channels_last,
            "folded": bool(self.chains),
            self.precision: self.precision != "ieee",
        }
        return ", ".join(way for way, chosen in ways.items() if chosen) or "plain"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While open, layers work as planned."""
        with ExitStack() as stack:
            stack.enter_context(folded(self.chains))
            if self.narrow:
                stack.enter_context(few_classes())
            yield


def plain_plan(risk: EmpiricalRisk, precision: str = "ieee") -> PassPlan:
    """A pass as the model is written, in an arithmetic."""
    return PassPlan(risk.terms, in_place=False, precision=precision)


def fast_plans(risk: EmpiricalRisk, precision: str = "ieee") -> Iterator[list[PassPlan]]:
    """Yield faster plans, from the simplest on: on the CPU with kernels for few classes, then
    images in channels_last, then with stored batch norm folded, too; and the same without those
    kernels. In another arithmetic than ieee neither those kernels nor folding.
    """
    exact = precision == "ieee"
    plans = [PassPlan(risk.terms, narrow=exact, precision=precision)]
    if risk.device.type != "cpu":
        yield [replace(plans[0], narrow=False)]
        return
    if any(isinstance(module, nn.Conv2d) for module in risk.model.modules()):
        terms = [(_in_channels_last(batch), fraction) for batch, fraction in risk.terms]
        plans.append(replace(plans[0], terms=terms, channels_last=True))
    if not exact:
        yield plans
        return
    with risk.isolated():
        layers = chains(risk.model) if risk.policy == "stored" else []
    if layers:
        plans.append(replace(plans[-1], chains=layers))
    yield plans
    yield [replace(plan, narrow=False) for plan in plans]


def elsewhere(risk: EmpiricalRisk) -> Tensor:
    """A random point: every weight moved by about a tenth of those of its tensor, and 0.01."""
    w = risk.w.clone()
    generator = torch.Generator().manual_seed(seed_of(risk.seed, "elsewhere"))
    for values in (w[s] for s in risk.weights.layers.values()):
        xi = torch.randn(values.shape, generator=generator, dtype=torch.float64).to(w)
        values += 0.1 * (values.square().mean().sqrt() + 0.1) * xi
    return w


def agree(answer: Answer, expected: Answer, precision: str = "ieee") -> bool:
    """Tell whether two plans' loss and accuracy are the same up to rounding. NaN is not."""
    off = abs(answer[0] - expected[0]) <= TOLERANCE[precision] * max(abs(expected[0]), FLOOR)
    flips = abs(answer[1] - expected[1])
    return off and (flips <= FLIPS[precision] or flips != flips)


def _in_channels_last(batch: Batch) -> Batch:
    def convert(t: Tensor) -> Tensor:
        if t.dim() != 4 or not t.is_floating_point():
            return t
        # One channel is channels_last already by its shape, but not by its strides.
        return torch.empty_like(t, memory_format=torch.channels_last).copy_(t)

    return replace(batch, x=mapped(batch.x, convert))
