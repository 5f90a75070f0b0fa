"""LETS, learning the perturbation radius: Wang, Jiang, Fu, Zhang, ECML PKDD 2024.

arXiv 2408.08222.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from landscape.batch import Batch
from landscape.methods import ascent, checks, radius
from landscape.methods.radius import Radius
from landscape.walker import Walker

HESSIANS = ("exact", "difference", "secant", "diagonal")
UPPERS = ("fresh", "same", "next")
STRETCH = 0.01  # of the radius: the step of the forward difference


@dataclass
class LETS:
    """SAM whose radius descends on half the squared gap between held-out and training loss.

    min_ρ F(ρ) = ½ (L_vl(θ*(ρ)) - L_tr(θ*(ρ)))²  with one base step θ⁺ for θ*:
    dF/dρ = G ⟨δ, dθ⁺/dρ⟩,  G = L_vl - L_tr,  δ = ∇L_vl - ∇L_tr, both at θ⁺,
    dθ⁺/dρ = (∂θ⁺/∂g̃) H(θ + ρv) v,  v = e/ρ; for plain SGD that is -lr·Hv.

    rho: start of the radius, positive; None is that of `over`.
    beta: Adam's step for the radius, in units of the start (0.01: our choice); 0 keeps it.
    hessian: what stands for Hv: "exact", a Hessian-vector product; "difference", of gradients at
    1.01ρ and ρ; "secant", (g̃ - g)/ρ, the average along the climb and free; "diagonal", g̃²v, not
    the Hessian's scale, for comparison only.
    upper: training batch of the gap: a "fresh" one, the step's own ("same"), or that of the
    "next" step, whose gradient is needed anyway. On its own batch the step has just gone down, so
    "same" shrinks the radius whenever the gap is positive: in a toy with noisy labels to 0.0001,
    where "fresh" and "next" kept it alive.
    every: steps between two updates of the radius.
    parameterisation: Adam works on log ρ ("exp"), on softplus⁻¹(ρ), or on ρ itself ("clip").
    bounds: of the radius, in units of the start ((0.02, 40): from 0.001 to 2 for a start of 0.05).
    over: whose ascent rule climbs, a method like SAM or ASAM; None is SAM at 0.05.

    The two losses of the gap are taken in train mode, without a trace. A gap or gradient that is
    not finite leaves the radius alone. With dropout, ask the walker for `same_mask`: the secant
    subtracts two passes. Logs rho, gap, hypergradient (dF/dρ), and agreement, the cosine of δ and
    dθ⁺/dρ. Keeps its state in itself: one instance per run.

    Cost: 3 passes a step; 2 + 1/every with "next", 2 + 2/every with "fresh" and "same", and
    1/every more for "exact" and "difference".

    Raises ValueError for settings outside these, or where the walker has no held-out data.

    Differs from the authors' code: none was found. Adam for the radius, the order "next" and the
    response of momentum and Adam are our choices.
    """

    rho: float | None = None
    beta: float = 0.01
    hessian: str = "secant"
    upper: str = "next"
    every: int = 1
    parameterisation: str = "exp"
    bounds: tuple[float, float] = (0.02, 40.0)
    over: ascent.Ascends | None = None
    no_rule: ClassVar[str] = "a learned radius goes around everything else"

    steps: int = field(default=0, init=False, compare=False, repr=False)
    learned: Radius = field(default_factory=radius.begin, init=False, compare=False, repr=False)
    kept: Tensor | None = field(default=None, init=False, compare=False, repr=False)  # dθ⁺/dρ

    def __post_init__(self) -> None:
        ascent.check(self.over, self.rho)
        checks.positive(rho=self.start)
        checks.non_negative(beta=self.beta)
        checks.whole(1, every=self.every)
        checks.one_of(HESSIANS, hessian=self.hessian)
        checks.one_of(UPPERS, upper=self.upper)
        checks.one_of(radius.PARAMETERISATIONS, parameterisation=self.parameterisation)
        low, high = self.bounds
        if not 0 < low <= 1 <= high:
            raise ValueError(f"`bounds` must enclose 1, above zero. Got {low}, {high}.")

    @property
    def start(self) -> float:
        """ρ at the first step."""
        return ascent.start(self.over) if self.rho is None else self.rho

    @property
    def radius(self) -> Tensor:
        """ρ as it stands, shape ()."""
        return self.start * self.learned.value

    def step(self, walker: Walker, batch: Batch) -> None:
        """One step on one batch."""
        loss, g = walker.value_and_grad(batch)
        if self.kept is not None:
            self._learn(walker, loss, g, self.kept)
            self.kept = None
        walker.log(rho=self.radius)
        e = ascent.of(walker, self.over, self.radius)(g, walker.w)
        point = walker.w + e
        g_up = walker.grad(batch, at=point)
        walker.descend(g_up)
        self.steps += 1
        if self.beta == 0 or self.steps % self.every != 0:
            return
        slope = walker.response(self._curvature(walker, batch, point, e, g, g_up))
        if self.upper == "next":
            self.kept = slope
            return
        train = walker.fresh() if self.upper == "fresh" else batch
        self._learn(walker, *walker.value_and_grad(train, at=walker.w), slope)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on: numbers and tensors."""
        return {"steps": self.steps, "kept": self.kept, **self.learned._asdict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.steps, self.kept = state["steps"], state["kept"]
        self.learned = Radius(*(state[name] for name in Radius._fields))

    def _curvature(
        self, walker: Walker, batch: Batch, point: Tensor, e: Tensor, g: Tensor, g_up: Tensor
    ) -> Tensor:
        """Hv at the perturbed point, (n,), or what stands for it."""
        rho = self.radius
        if self.hessian == "exact":
            return walker.hvp(batch, e / rho, at=point)
        if self.hessian == "difference":
            return (walker.grad(batch, at=point + STRETCH * e) - g_up) / (STRETCH * rho)
        if self.hessian == "secant":
            return (g_up - g) / rho
        return g_up**2 * e / rho

    def _learn(self, walker: Walker, loss: Tensor, g: Tensor, slope: Tensor) -> None:
        """The upper step; loss and g of the training batch at w, slope = dθ⁺/dρ."""
        held_out, g_held_out = walker.value_and_grad(walker.held_out(), at=walker.w)
        gap, delta = held_out - loss, g_held_out - g
        along = delta @ slope.to(delta)
        hypergradient = gap * along
        self.learned = radius.descend(
            self.learned, self.start * hypergradient, self.beta, self.parameterisation, self.bounds
        )
        length = delta.norm() * slope.norm()
        agreement = torch.where(length > 0, along / length, 0.0)
        walker.log(gap=gap, hypergradient=hypergradient, agreement=agreement)
