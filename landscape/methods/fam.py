"""FAM, relative flatness aware minimisation: Adilova et al., PMLR 221, 2023.

arXiv 2307.02337. The measure: Petzka et al., NeurIPS 2021.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape.methods.components import penalty, penalty_cost
from landscape.methods.components.penalty import CLOSED, SIGNS, LayerPass
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn
from landscape.network.higher_order import ThirdOrder, second_derivatives
from landscape.network.linear_layer import Call, recorded_calls
from landscape.utils import checks

FORMS = ("kappa", "kappa_hat")
GRADIENTS = ("full", "frozen")


@dataclass
class FAM:
    """Descend along the loss plus λ times the relative flatness of one layer: L + λ max(κ(W), 0).

    W (d, m) the layer's weights, H_{s,s'} the block of the Hessian of rows w_s and w_s':
    κ = Σ_{s,s'} ⟨w_s, w_s'⟩ tr H_{s,s'},  κ̂ = ‖W‖² tr H.

    lam: λ, of κ itself (0.1/64: the code's 0.1 for CIFAR-10 multiplies κ/m, and m is 64 there);
    0 is the base alone, bit for bit.
    layer: module name of a linear layer or a convolution, there m = channels · kernel; None is the
    last linear layer that the forward pass calls.
    form: the measure: "kappa" (the paper's) or "kappa_hat".
    gradient: "full", also through tr H into all layers, or "frozen", tr H held constant: it then
    moves W alone, by 2λTW with T_{s,s'} = tr H_{s,s'} for κ.
    warmup: steps over which λ grows linearly from 0, by the walker's count of steps.
    draws: random signs a step for an estimate of κ; None takes them, one a step, only where
    no exact way holds. Which one holds is checked on every batch.
    over: the method that descends on L + λκ; None is plain descent. All its gradients of the loss
    are penalised, also those at w + e and on held-out data.

    A negative κ, which smooth hidden layers can have, counts as zero: without that the sum has no
    lower bound. With random signs that holds for each step's estimate. Logs kappa as it is, and as
    loss the one without the penalty. Under autocast products with H have its precision. Keeps the
    layer and its way in itself: one instance per run.

    Cost: 1 pass a step, or those of `over`. To each of them a softmax head adds next to nothing,
    random signs 3 passes a draw (1 where frozen), other layers 2 for each of d outputs (2/3), times
    the share of the weights from the layer on. `grad_evals` counts these.

    Raises ValueError for settings outside these, an unknown layer, an empty one, one whose flatness
    is not defined or always 0, an `over` that is no method or another FAM.

    Differs from the authors' code:
    - the released loop reads the Hessian in another index order than it is stored in.
    - it cuts the gradient through the Hessian: that is "frozen"; the paper's formula is "full".
    - it divides by m; it runs a second forward pass, which moves batch norm twice.

    Example: L(w) = ‖w‖²/2 from w = (0.6, 0.8), with κ = ‖w‖² tr H = 2 ‖w‖²: w − 0.1 (w + 4 λ w).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.6, 0.8]])
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> stepper = ls.optim.wrap(ls.methods.FAM(lam=0.1), model, base, mse)
    >>> loss = stepper.step((torch.eye(2), torch.zeros(2, 1)))
    >>> model.weight.data
    tensor([[0.5160, 0.6880]])
    """

    lam: float = 0.1 / 64
    layer: str | None = None
    form: str = "kappa"
    gradient: str = "full"
    warmup: int = 0
    draws: int | None = None
    over: Any = None
    no_maximize: ClassVar[str] = "its penalty would reward sharpness"
    no_rule: ClassVar[str] = "it penalises and perturbs nothing"
    no_closure: ClassVar[str] = "its penalty looks at outputs inside the network"
    no_compile: ClassVar[str] = "takes second derivatives, which compiled graphs do not have"

    way: str | None = field(default=None, init=False, compare=False, repr=False)  # first batch's
    chosen: str = field(default="", init=False, compare=False, repr=False)  # the layer's name

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.non_negative(lam=self.lam)
        checks.one_of(FORMS, form=self.form)
        checks.one_of(GRADIENTS, gradient=self.gradient)
        checks.whole(0, warmup=self.warmup)
        if self.draws is not None:
            checks.whole(1, draws=self.draws)
        if self.over is not None and (not hasattr(self.over, "step") or isinstance(self.over, FAM)):
            raise ValueError(
                "`over` must be a method other than FAM: one penalty has one layer. "
                f"Got {type(self.over).__name__}."
            )

    @property
    def base(self) -> type[torch.optim.Optimizer]:
        """The base optimizer that `over` promises; AttributeError where it has none."""
        return self.over.base

    def step(self, walker: Walker, batch: Batch) -> None:
        """Make one step on one batch."""
        if self.lam == 0:
            self._descend(walker, batch)
            return
        means = Means(walker, batch)
        with walker.minimising(self._penalised(walker, means)), second_derivatives():
            self._descend(walker, batch)

    def state_dict(self) -> dict[str, Any]:
        """State that the next step depends on, that of `over` included."""
        over = self.over.state_dict() if hasattr(self.over, "state_dict") else {}
        return {"way": self.way, "layer": self.chosen, "over": over}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.way, self.chosen = state["way"], state["layer"]
        if state["over"]:
            self.over.load_state_dict(state["over"])

    def _descend(self, walker: Walker, batch: Batch) -> None:
        if self.over is None:
            walker.descend(walker.grad(batch))
        else:
            self.over.step(walker, batch)

    def _penalised(self, walker: Walker, means: "Means") -> LossFn:
        plain_loss, lam = walker.loss, self.lam
        if self.warmup:
            lam *= min(1.0, walker.step_index / self.warmup)

        def loss(model: nn.Module, batch: Batch) -> Tensor:
            with torch.enable_grad():  # also where only the value is asked for
                with self._differentiable(), self._recorded(model) as calls:
                    plain = plain_loss(model, batch)
                kappa = self._flatness(walker, model, plain, calls, batch)
                penalised = plain + lam * kappa.clamp(min=0)
            means.add(batch, plain.detach(), kappa.detach())
            return penalised if torch.is_grad_enabled() else penalised.detach()

        return loss

    def _flatness(
        self, walker: Walker, model: nn.Module, loss: Tensor, calls: list[Call], batch: Batch
    ) -> Tensor:
        """κ or κ̂ of one pass, shape (), its cost counted."""
        name = self.chosen or self._name(calls)
        seen = LayerPass(model, name, loss, [c for c in calls if c.name == name], batch.y)
        way = penalty.choose_again(self.way or self._choose(seen), seen)
        draws, full = self.draws or 1, self.gradient == "full"
        cost = penalty_cost.cost(way, seen, draws, full)
        walker.count(batch, penalty_cost.products(way, seen, draws), cost)
        return penalty.compute(way, seen, self.form, draws, full)

    def _recorded(self, model: nn.Module) -> AbstractContextManager[list[Call]]:
        return recorded_calls(penalty.candidates(model, self.chosen or self.layer))

    def _name(self, calls: list[Call]) -> str:
        """The name of the layer: that of the settings, or the last one called."""
        if self.layer is None and not calls:
            raise ValueError(
                "FAM needs a linear layer that the forward pass calls. Found none. "
                "A convolution can be named in `layer`."
            )
        return calls[-1].name if self.layer is None else self.layer

    def _choose(self, seen: LayerPass) -> str:
        """Choose the layer and the way, on the first batch."""
        way = SIGNS if self.draws is not None else penalty.choose(seen)
        if way == SIGNS:
            penalty.check_signs(seen, self.form)
        penalty.warn_of_custom_functions(way, seen)
        self.way, self.chosen = way, seen.name
        return way

    @contextmanager
    def _differentiable(self) -> Iterator[None]:
        """Kernels with all the derivatives that the way needs: fused attention has no second one,
        and torch's norms have no third.
        """
        if self.way == CLOSED:
            yield
            return
        with sdpa_kernel(SDPBackend.MATH), ThirdOrder():
            yield


class Means:
    """Means that a step logs: loss and κ over its own passes, weighted by examples.

    Those are the first pass on the step's batch, or the first on each of its shards: what a method
    asks again, or of other data, is a look. A method that logs a loss itself keeps it.
    """

    def __init__(self, walker: Walker, batch: Batch):
        self.walker, self.size = walker, batch.size
        self.seen: list[Batch] = []
        self.before = walker.logged.get("loss")

    def add(self, batch: Batch, loss: Tensor, kappa: Tensor) -> None:
        """Add one pass."""
        counted = sum(b.size for b in self.seen)
        if counted >= self.size or any(b is batch for b in self.seen):
            return
        if not self.seen:
            self.theirs = self.walker.logged.get("loss") is not self.before
            self.loss, self.kappa = loss, kappa
        else:
            fraction = batch.size / (counted + batch.size)
            self.loss = torch.lerp(self.loss, loss, fraction)
            self.kappa = torch.lerp(self.kappa, kappa, fraction)
        self.seen.append(batch)
        self.walker.log(kappa=self.kappa)
        if not self.theirs:
            self.walker.log(loss=self.loss)
