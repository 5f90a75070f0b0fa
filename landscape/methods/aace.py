"""AACE-SAM, adaptive adversarial cross-entropy: Ratchatorn, Tanaka, ICIP 2024.

arXiv 2406.14329.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.methods import ascent
from landscape.methods.components import label_shift
from landscape.methods.walker.accumulation import weighted_parts, whole_of
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch, LossFn, refuse_probabilities
from landscape.utils import checks


@dataclass
class AACE(ascent.Ascent):
    """SAM that climbs by descending an adversarial loss, which grows as the training loss dies.

    a = ∇ mean_i KL(q_i ‖ p_i),  e = -ρ a,  G = ∇L(w + e): minus, because the adversarial loss is an
    attack to be made likelier. p softmax, y label, target q_c = p_c/(1 - p_y) for c ≠ y and
    q_y = min(p_y, threshold), held constant. At threshold 0 the loss is -log(1 - p_y) and each
    example's gradient is that of cross-entropy times -p_y/(1 - p_y).

    rho: factor of the perturbation (0.2: the default of the authors' code).
    normalize: e = -ρ a/‖a‖, a fixed length instead.
    threshold: largest target weight of the label itself, in [0, 1].
    mode: the target over wrong classes: "ada" (adaptive, the paper's), "const", uniform, "rand",
    drawn; the last two are not antiparallel to cross-entropy.

    Needs a classifier: logits with classes last, integer targets, one for each row of logits, as
    (B, C) with (B,) or (B, T, C) with (B, T). Targets outside the classes, as -100 or 255, are left
    out of the mean; one that is a class counts, whatever the loss ignores.
    Logs as the step's loss the plain mean cross-entropy of the passes at w.

    Cost: 2 passes a step. The first step also takes a loss without a gradient, on sequences 2 to 4
    more, to see whether the loss leaves rows out or shifts the labels.

    Raises ValueError for settings outside these, targets that are no classes, a single logit,
    probabilities in place of logits (seen in the first step), a loss that leaves out rows with a
    label, or one of sequences that shifts the labels.

    Differs from the authors' code:
    - the target is the softmax over the wrong classes: no 0/0 where the label's p rounds to 1.

    Example: two classes, where p = ½ and the climb is that of SAM without its norm, e = ρ ∇L(w).

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(1, 2, bias=False)
    >>> model.weight.data = torch.zeros(2, 1)
    >>> base = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> loss = lambda model, batch: torch.nn.functional.cross_entropy(model(batch.x), batch.y)
    >>> stepper = ls.optim.wrap(ls.methods.AACE(rho=2.0), model, base, loss)
    >>> value = stepper.step((torch.ones(1, 1), torch.tensor([1])))
    >>> model.weight.data
    tensor([[-0.0881],
            [ 0.0881]])
    """

    rho: float = 0.2
    normalize: bool = False
    threshold: float = 0.0
    mode: str = "ada"
    tries: int = field(default=5, init=False, compare=False, repr=False)  # of the labels' places
    seen: bool = field(default=False, init=False, compare=False, repr=False)  # that they are logits
    no_closure: ClassVar[str] = "its climb follows another loss, of the logits"

    def __post_init__(self) -> None:
        checks.typed(self)
        checks.non_negative(rho=self.rho)
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"`threshold` must lie in [0, 1]. Got {self.threshold}.")
        checks.one_of(tuple(SCORES), mode=self.mode)

    @property
    def ball(self) -> str:
        """Length ‖e‖/‖a‖, a the gradient of the adversarial loss, or ‖e‖ where it is normalised."""
        return "‖e‖" if self.normalize else "‖e‖/‖a‖"

    @property
    def plain(self) -> bool:
        """Test whether `gradient` is that of the loss itself: here it is not."""
        return False

    def gradient(self, walker: Walker, shard: Batch, at: Tensor | None = None) -> Tensor:
        """Gradient a of the adversarial loss, (n,)."""
        self._check_places(walker, shard)
        with walker.leading():
            return walker.grad(shard, at, loss=self._adversarial(walker, logs=at is None))

    def climb(self, walker: Walker, g: Tensor, w: Tensor, rho: ascent.Radius) -> Tensor:
        """Perturbation e = -ρ a, or -ρ a/‖a‖."""
        return -ascent.sam(g, w, rho) if self.normalize else -rho * g

    def _check_places(self, walker: Walker, shard: Batch) -> None:
        if self.tries:
            first, _ = weighted_parts(shard)[0]
            known = label_shift.check(walker, first, lambda _, b: cross_entropy(walker, b))
            self.tries = 0 if known else self.tries - 1

    def _adversarial(self, walker: Walker, logs: bool) -> LossFn:
        def loss(model: nn.Module, batch: Batch) -> Tensor:
            z, y = classes(walker.logits(batch), batch.y)
            if not self.seen:
                refuse_probabilities(z, "AACE")
                self.seen = len(z) > 0
            if logs:
                fraction = whole_of(batch).size / (walker.step_size or batch.size)
                plain = fraction * F.cross_entropy(z.detach(), y)
                walker.log(loss=walker.logged.get("loss", 0.0) + plain)
            return aace(z, y, self.threshold, self.mode).mean()

        return loss


RULE = "AACE needs integer targets, one for each row of logits."


def aace(z: Tensor, y: Tensor, threshold: float = 0.0, mode: str = "ada") -> Tensor:
    """KL(q ‖ p) of each example, (n,); z logits (n, classes), y labels (n,). q has no gradient."""
    log_p = z.log_softmax(-1)
    with torch.no_grad():
        q = SCORES[mode](z).scatter(1, y[:, None], -torch.inf).softmax(-1)
        p_y = log_p.gather(1, y[:, None]).exp()
        q = q.scatter(1, y[:, None], p_y.clamp(max=threshold))
    return F.kl_div(log_p, q, reduction="none").sum(-1)


def _draws(z: Tensor) -> Tensor:
    """Logs of uniform weights, whose softmax is the weights divided by their sum."""
    return torch.rand_like(z).log()


SCORES: dict[str, Callable[[Tensor], Tensor]] = {  # logits of the target over the wrong classes
    "ada": torch.clone,
    "const": torch.zeros_like,
    "rand": _draws,
}


def cross_entropy(walker: Walker, batch: Batch) -> Tensor:
    """Mean cross-entropy of the logits and labels that AACE compares, shape ()."""
    return F.cross_entropy(*classes(walker.logits(batch), batch.y))


def classes(z: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Logits (n, classes), at least in float32, and labels (n,), without those of no class.

    Raises ValueError where targets are no classes, or logits no tensor of several classes.
    """
    if not isinstance(z, Tensor) or not isinstance(y, Tensor):
        kinds = [str(t.dtype) if isinstance(t, Tensor) else type(t).__name__ for t in (y, z)]
        raise ValueError(
            f"{RULE} Got targets of type {kinds[0]} and logits of type {kinds[1]}: put the labels "
            "alone into the batch's y, and return a tensor from `logits=`."
        )
    shapes = f"Got targets {y.dtype} {tuple(y.shape)} and logits {tuple(z.shape)}"
    if z.shape[-1:] == (1,) or (z.dim() == 1 and z.shape == y.shape):
        raise ValueError(
            f"AACE needs a logit for each class. {shapes}: for two classes with one logit z (n,) "
            "return torch.stack((torch.zeros_like(z), z), -1) from `logits=`, with integer targets."
        )
    if y.is_floating_point() and z.shape == y.shape:
        raise ValueError(
            f"{RULE} {shapes}: soft targets have no one label to attack. Give labels, as "
            "y.argmax(-1), or use another method, as sam."
        )
    if y.is_floating_point() or z.shape[:-1] != y.shape:
        raise ValueError(f"{RULE} {shapes}.")
    z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    counted = (y >= 0) & (y < z.shape[-1])
    (rows,) = counted.flatten().nonzero(as_tuple=True)
    return z.flatten(0, -2)[rows], y.flatten()[rows]
