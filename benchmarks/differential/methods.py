"""Every method of training, three steps with momentum and weight decay, against plain loops.

A check yields (got, right, allowed difference).
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

import landscape as ls
from differential.case import Case
from differential.measures import flatness, near
from differential.reference import (
    Reference,
    batch_of,
    counts,
    plain_kernels,
    restore,
    rows,
    state_of,
)

Grads = list[Tensor | None]
Make = Callable[[], Case]
SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
ADAMW = {"lr": 0.01, "weight_decay": 0.1}
STEPS, RHO, SHARDS = 3, 0.05, 2


class Plain:
    """A model, its loss and torch's optimizer as a plain loop has them.

    Gradients are lists, None where a pass did not reach a parameter. Passes away from w start like
    the step's first one, and leave buffers and other state as that one left them.
    """

    def __init__(self, case: Case, optimizer: str = "sgd"):
        self.case, self.model = case, case.model
        for module in self.model.modules():
            module.training = case.training
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        self.names, self.ps = [n for n, _ in named], [p for _, p in named]
        self.optimizer: Any = (
            torch.optim.AdamW(self.ps, **ADAMW)
            if optimizer == "adamw"
            else torch.optim.SGD(self.ps, **SGD)
        )

    def begin(self) -> None:
        """Note the state from which the passes of a step start."""
        self.start = state_of(self.model)

    def loss(self, batch: Any) -> Tensor:
        with plain_kernels():
            return self.case.loss(self.model, copy.deepcopy(batch))

    def grads(self, batch: Any, e: Grads | None = None, loss: Any = None) -> Grads:
        """Gradients at w, or at w + e without a trace."""
        after = state_of(self.model)
        restore(self.model, self.start)
        kept = [p.detach().clone() for p in self.ps]
        self.move(kept, e)
        value = (loss or self.loss)(batch)
        g = list(torch.autograd.grad(value, self.ps, allow_unused=True))
        for p, old in zip(self.ps, kept, strict=True):
            p.data = old
        if e is not None:
            restore(self.model, after)
        return g

    def move(self, to: list[Tensor], e: Grads | None = None) -> None:
        """Write weights, moved by e."""
        for p, v, d in zip(self.ps, to, e or [None] * len(to), strict=True):
            p.data = v.clone() if d is None else v + d

    def descend(self, g: Grads) -> None:
        for p, v in zip(self.ps, g, strict=True):
            p.grad = v
        self.optimizer.step()

    def weights(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.ps]

    def climb(self, g: Grads, rho: float, T: list[Tensor] | None = None) -> Grads:
        """ρ T²g/‖Tg‖."""
        T = T or [torch.ones_like(p) for p in self.ps]
        pairs = list(zip(g, T, strict=True))
        length = torch.sqrt(sum((t * v).square().sum() for v, t in pairs if v is not None))
        return [None if v is None else rho * t * t * v / length for v, t in pairs]


def mean(grads: list[Grads], sizes: list[int]) -> Grads:
    """Of the shards that reached a parameter, weighted by examples of all."""

    def one(column: tuple[Tensor | None, ...]) -> Tensor | None:
        reached = [(v, n) for v, n in zip(column, sizes, strict=True) if v is not None]
        return sum(v * n / sum(sizes) for v, n in reached) if reached else None

    return [one(column) for column in zip(*grads, strict=True)]


def plus(a: Grads, b: Grads) -> Grads:
    return [y if x is None else x if y is None else x + y for x, y in zip(a, b, strict=True)]


def sgd(m: Plain, b: Any) -> None:
    m.descend(m.grads(b))


def sam(m: Plain, b: Any) -> None:
    m.descend(m.grads(b, m.climb(m.grads(b), RHO)))


def asam(m: Plain, b: Any) -> None:
    T = [
        p.detach().abs() + 0.01 if "weight" in n.split(".")[-1] else torch.ones_like(p)
        for n, p in zip(m.names, m.ps, strict=True)
    ]
    m.descend(m.grads(b, m.climb(m.grads(b), 0.5, T)))


def msam(m: Plain, b: Any) -> None:
    n = next(counts(b.x))
    cuts = [slice(n * j // SHARDS, n * (j + 1) // SHARDS) for j in range(SHARDS)]
    shards = [type(b)(x=rows(b.x, cut), y=rows(b.y, cut)) for cut in cuts]
    found = []
    for shard in shards:
        m.begin()
        found.append(m.grads(shard, m.climb(m.grads(shard), RHO)))
    m.descend(mean(found, [cut.stop - cut.start for cut in cuts]))


def lookbehind(m: Plain, b: Any) -> None:
    slow, z = m.weights(), None
    for _ in range(2):
        fast = m.weights()
        m.move(slow, z)
        a = m.grads(b, [None] * len(slow) if z else None)
        z = plus(z or [None] * len(slow), m.climb(a, RHO))
        m.move(slow)
        g = m.grads(b, z)
        m.move(fast)
        m.descend(g)
    m.move([s + 0.5 * (f - s) for s, f in zip(slow, m.weights(), strict=True)])


def multistep(m: Plain, b: Any) -> None:
    e = m.climb(m.grads(b), RHO)
    e = plus(e, m.climb(m.grads(b, e), RHO))
    m.descend(m.grads(b, e))


def aace(m: Plain, b: Any) -> None:
    def adversarial(batch: Any) -> Tensor:
        with plain_kernels():
            z, y = m.case.logits(m.model, copy.deepcopy(batch)), batch.y  # type: ignore[misc]
        counted = (y >= 0) & (y < z.shape[-1])
        p = z.softmax(-1)[counted].gather(1, y[counted][:, None])
        return -(1 - p).log().mean()

    if m.case.logits is None:  # nothing says which logits the labels belong to
        return
    a = m.grads(b, loss=adversarial)
    m.descend(m.grads(b, [None if v is None else -0.2 * v for v in a]))


def trained(
    make: Make, method: Any, step: Callable[[Plain, Any], None], optimizer: str = "sgd"
) -> Iterator[tuple[Any, Any, float]]:
    """Both weights after three steps, and the loss that the first step returned."""
    theirs, ours = Plain(make(), optimizer), Plain(make(), optimizer)
    given = {"held_out": ours.case.batches} if isinstance(method, ls.methods.LETS) else {}
    stepper = ls.optim.wrap(
        method, ours.model, ours.optimizer, ours.case.loss, logits=ours.case.logits, **given
    )
    for i in range(STEPS):
        item = ours.case.batches[i % len(ours.case.batches)]
        loss = stepper.step(item)
        theirs.begin()
        if i == 0:
            first = theirs.loss(batch_of(item)).detach()
            restore(theirs.model, theirs.start)
            if not isinstance(method, ls.methods.AACE | ls.methods.MSAM):  # theirs are other means
                yield near(loss.detach(), first, 1e-9)
        step(theirs, batch_of(item))
    got, right = (torch.cat([v.flatten() for v in m.weights()]) for m in (ours, theirs))
    yield near(got, right, theirs.case.tolerance * 1e-2)


def lookahead(make: Make) -> Iterator[tuple[Any, Any, float]]:
    slow: list[list[Tensor]] = []

    def step(m: Plain, b: Any) -> None:
        slow.append(m.weights())
        sgd(m, b)
        if len(slow) == 2:
            m.move([s + 0.5 * (f - s) for s, f in zip(slow[0], m.weights(), strict=True)])
            slow.clear()

    yield from trained(make, ls.methods.Lookahead(k=2), step)


def lets(make: Make) -> Iterator[tuple[Any, Any, float]]:
    """With a radius that stays it is SAM; the hypergradient is the derivative of the gap's half
    square by the radius, by central differences of whole steps.
    """
    yield from trained(make, ls.methods.LETS(beta=0.0), sam)
    ours = Plain(make())
    items = [ours.case.batches[0], ours.case.batches[-1]]
    method = ls.methods.LETS(hessian="exact", upper="same")
    given = {"held_out": [items[1]]}
    stepper = ls.optim.wrap(method, ours.model, ours.optimizer, ours.case.loss, **given)
    stepper.step(items[0])

    def half_square(rho: float) -> float:
        m = Plain(make())
        m.begin()
        batch, held_out = (batch_of(item) for item in items)
        m.descend(m.grads(batch, m.climb(m.grads(batch), rho)))
        state, values = state_of(m.model), []
        for b in (held_out, batch):
            restore(m.model, state)
            values.append(m.loss(b).item())
        return (values[0] - values[1]) ** 2 / 2

    right = (half_square(RHO * 1.001) - half_square(RHO * 0.999)) / (0.002 * RHO)
    if right and ours.case.tolerance < 1e-3:  # one batch for both has no gap; casts make steps
        yield near(float(stepper.logged["hypergradient"]), right, 1e-3)


def fam(make: Make) -> Iterator[tuple[Any, Any, float]]:
    """Without a penalty it is SGD; the logged κ is that of the dense Hessian; and the step along a
    random direction has κ's central difference.
    """
    yield from trained(make, ls.methods.FAM(lam=0.0), sgd)
    ours, lam, lr = Plain(make()), 0.01, 0.1
    item = ours.case.batches[0]
    before = torch.cat([v.flatten() for v in ours.weights()])
    method = ls.methods.FAM(lam=lam)
    optimizer = torch.optim.SGD(ours.ps, lr=lr)
    stepper = ls.optim.wrap(method, ours.model, optimizer, ours.case.loss)
    stepper.step(item)
    moved = (before - torch.cat([v.flatten() for v in ours.weights()])) / lr
    case = make()
    case.batches, case.weights, case.reference, case.batch_norm = [item], None, None, "stored"
    r = Reference(case)
    for module in r.model.modules():
        module.training = case.training
    r.state = state_of(r.model)

    def kappa(w: Tensor) -> float:
        at, r.w = r.w, w
        vars(r).pop("hessian", None)
        value = flatness(r, method.chosen)[0]
        r.w = at
        return value

    here = kappa(r.w)
    if method.way == "signs":  # one draw a step is no number to compare
        return
    yield near(float(stepper.logged["kappa"]), here, 10 * case.tolerance)
    if here > 0 and case.tolerance < 1e-3:
        g, h = r.gradient(r.w), 1e-4
        d = (g != 0) * torch.randn(len(r.w), generator=torch.Generator().manual_seed(1)).double()
        slope = (kappa(r.w + h * d) - kappa(r.w - h * d)) / (2 * h)
        yield near(d @ (moved - g), lam * slope, 1e-3, lam * float(g.abs().max()))


METHODS: dict[str, Callable[[Make], Iterator[tuple[Any, Any, float]]]] = {
    "sgd": lambda make: trained(make, "sgd", sgd),
    "adamw": lambda make: trained(make, "adamw", sgd, "adamw"),
    "sam": lambda make: trained(make, "sam", sam),
    "asam": lambda make: trained(make, "asam", asam),
    "lookbehind": lambda make: trained(make, "lookbehind", lookbehind),
    "lets": lets,
    "msam": lambda make: trained(make, ls.methods.MSAM(num_shards=SHARDS), msam),
    "fam": fam,
    "aace": lambda make: trained(make, ls.methods.AACE(), aace),
    "multistep-sam": lambda make: trained(make, "multistep-sam", multistep),
    "lookahead": lookahead,
}
