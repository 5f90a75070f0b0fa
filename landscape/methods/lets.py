"""LETS, learning the perturbation radius: Wang, Jiang, Fu, Zhang, ECML PKDD 2024.

arXiv 2408.08222.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from landscape.methods import ascent
from landscape.methods.components import learned_radius
from landscape.methods.components.learned_radius import Radius
from landscape.methods.dual_walker import HESSIANS, DualWalker, dual, tangents
from landscape.methods.requirements import nested
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.utils import checks

UPPERS = ("fresh", "same", "next")


@dataclass
class LETS:
    """A method whose radius descends on half the squared gap between held-out and training loss.

    min_ρ F(ρ) = ½ (L_vl(θ*(ρ)) - L_tr(θ*(ρ)))²  with one step θ⁺ of the method for θ*:
    dF/dρ = G ⟨δ, dθ⁺/dρ⟩,  G = L_vl - L_tr,  δ = ∇L_vl - ∇L_tr, both at θ⁺.
    Over SAM: dθ⁺/dρ = (∂θ⁺/∂g̃) H(θ + ρv) v,  v = e/ρ; for plain SGD that is -lr·Hv. Over any other
    method the whole step is differentiated, with the response of the base optimizer.

    rho: start of the radius, positive; None is that of `over`.
    beta: Adam's step for the radius, in units of the start (0.01: our choice); 0 keeps it.
    hessian: the approximation of H ż at a point z that moves by ż with the radius: "exact", a
    Hessian-vector product (for aace's adversarial loss "difference"); "difference", of gradients
    at z and z + 0.01ρ ż; "secant", (g̃ - g)/ρ, the average over radii from 0 to ρ: free where the
    step's own pass gave the same gradient at w, and where not (aace, whose own pass is of another
    loss) replaced by "difference"; "diagonal", g̃² ż, not the Hessian's scale, for comparison only.
    upper: training batch of the gap: a "fresh" one, the step's own ("same"), or that of the
    "next" step, whose gradient at its start is needed anyway; the radius then changes after that
    step. On its own batch the step has just gone down, so "same" shrinks the radius whenever the
    gap is positive: in a toy with noisy labels to 0.0001, where "fresh" and "next" kept it alive.
    independent: G from a further held-out and a further fresh batch, forward only: products of two
    independent estimates have no bias, while one pair of batches for both adds the variance of G
    to what is minimised.
    every: steps between two updates of the radius.
    parameterisation: Adam works on log ρ ("exp"), on softplus⁻¹(ρ), or on ρ itself ("clip").
    bounds: of the radius, in units of the start ((0.02, 40): from 0.001 to 2 for a start of 0.05).
    over: the method whose radius it is, any that perturbs; None is SAM at 0.05.

    The two losses of the gap are taken in train mode, without a trace. A gap or gradient that is
    not finite leaves the radius alone. With dropout, ask the walker for `same_mask`: the secant
    subtracts two passes. Logs rho, gap, hypergradient (dF/dρ), agreement, the cosine of δ and
    dθ⁺/dρ, and whether it was negative. Keeps its state in itself: one instance per run.

    Cost: 3 passes a step over SAM, over others theirs and 1; 1 more with "fresh", "same", and
    "next" over aace; 1 more for each look with "exact", "difference", or a secant that is not free.
    With `every`, a step of others has the passes of `over`.

    Raises ValueError for settings outside these, or where the walker has no held-out data.

    Differs from the authors' code: none was found. Adam for the radius, the order "next" and the
    response of momentum and Adam are our choices.

    Example: the radius after two steps, moved by Adam's first step, 1 % of its start.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> held_out = [(torch.eye(2), torch.ones(2, 1))]
    >>> stepper = ls.optim.wrap(ls.methods.LETS(rho=0.5), model, base, mse, held_out=held_out)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> round(float(stepper.method.radius), 4)
    0.505
    """

    rho: float | None = None
    beta: float = 0.01
    hessian: str = "secant"
    upper: str = "next"
    independent: bool = False
    every: int = 1
    parameterisation: str = "exp"
    bounds: tuple[float, float] = (0.02, 40.0)
    over: ascent.Perturbs | None = None
    no_maximize: ClassVar[str] = "its radius is of a loss where less is better"
    no_rule: ClassVar[str] = "a learned radius goes around everything else"
    no_closure: ClassVar[str] = "it also takes the loss of other batches"
    no_per_rank: ClassVar[str] = "lets would learn another radius on every rank."

    steps: int = field(default=0, init=False, compare=False, repr=False)
    learned: Radius = field(
        default_factory=learned_radius.begin, init=False, compare=False, repr=False
    )
    kept: Tensor | None = field(default=None, init=False, compare=False, repr=False)  # dθ⁺/dρ

    def __post_init__(self) -> None:
        if self.over is not None:
            ascent.check_perturbs(self.over)
            check_depends_on_its_radius(self.over)
        checks.typed(self)
        checks.positive(rho=self.start)
        checks.non_negative(beta=self.beta)
        checks.whole(1, every=self.every)
        checks.one_of(HESSIANS, hessian=self.hessian)
        checks.one_of(UPPERS, upper=self.upper)
        checks.one_of(learned_radius.PARAMETERISATIONS, parameterisation=self.parameterisation)
        low, high = self.bounds
        if not 0 < low <= 1 <= high:
            raise ValueError(f"`bounds` must enclose 1, above zero. Got {low}, {high}.")

    @property
    def start(self) -> float:
        """Radius ρ at the first step."""
        return ascent.start(self)

    @property
    def radius(self) -> Tensor:
        """Present radius ρ, shape ()."""
        return self.start * self.learned.value

    @property
    def no_compile(self) -> str:
        """Reason why its passes cannot run through a compiled network; "" where they can."""
        exact = self.hessian == "exact"
        return "takes second derivatives, which compiled graphs do not have" if exact else ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Extra batches by name, and "response", the derivative of a base step."""
        if self.beta == 0:
            return ()
        fresh = self.upper == "fresh" or self.independent
        return ("held_out", "response", *["fresh"] * fresh)

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        start, rho = walker.w, self.radius.to(walker.device)
        self.steps += 1
        due = self.beta > 0 and self.steps % self.every == 0
        walker.log(rho=rho)
        with tangents():
            dual_walker = DualWalker(walker, rho, self.hessian)
            over = ascent.Ascent() if self.over is None else self.over
            with ascent.radius(over, dual(rho, torch.ones_like(rho)) if due else rho):
                over.step(cast(Walker, dual_walker), batch)
        with walker.leading():
            self._update(walker, batch, start, dual_walker)

    def state_dict(self) -> dict[str, Any]:
        """State that the next step depends on: numbers and tensors."""
        return {
            "steps": self.steps,
            "kept": self.kept,
            **self.learned._asdict(),
            **ascent.state_of(self.over),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.steps, self.kept = state["steps"], state["kept"]
        self.learned = Radius(*(state[name] for name in Radius._fields))
        ascent.load_state_of(self.over, state)

    def begin_task(self) -> None:
        """Keep the radius and drop what the last step left for the next: other data follow."""
        self.kept = None

    def _update(self, walker: Walker, batch: Batch, start: Tensor, dual_walker: DualWalker) -> None:
        """The upper steps that are due after a step of the method from `start`."""
        if self.kept is not None:
            train = dual_walker.pass_at_start() or walker.value_and_grad(batch, at=start)
            self._learn(walker, start, *train, self.kept)
        if self.upper == "next":
            self.kept = dual_walker.slope
        elif dual_walker.slope is not None:
            w, other = walker.w, walker.fresh() if self.upper == "fresh" else batch
            self._learn(walker, w, *walker.value_and_grad(other, at=w), dual_walker.slope)

    def _learn(self, walker: Walker, w: Tensor, loss: Tensor, g: Tensor, slope: Tensor) -> None:
        """The upper step at w; loss and g of the training batch there, slope = dw/dρ."""
        held_out, g_held_out = walker.value_and_grad(walker.held_out(), at=w)
        gap, delta = held_out - loss, g_held_out - g
        if self.independent:
            others = walker.held_out(), walker.fresh()
            gap = walker.value(others[0], at=w) - walker.value(others[1], at=w)
        along = delta @ slope.to(delta)
        hypergradient = gap * along
        self.learned = learned_radius.descend(
            self.learned, self.start * hypergradient, self.beta, self.parameterisation, self.bounds
        )
        length = delta.norm() * slope.norm()
        agreement = torch.where(length > 0, along / length, 0.0)
        walker.log(gap=gap, hypergradient=hypergradient, agreement=agreement)
        walker.log(negative=(along < 0).double())


def check_depends_on_its_radius(over: Any) -> None:
    """Raise ValueError where a step of the method, or of one inside, may have no radius."""
    for method in nested(over):
        if hasattr(method, "no_learned_radius"):
            raise ValueError(
                "`over` must depend on its radius in every step. "
                f"Got {type(method).__name__}: {method.no_learned_radius}."
            )
