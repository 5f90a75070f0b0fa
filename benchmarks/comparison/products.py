"""Ways to make a Hessian-vector product, ours beside those of torch: what each costs, and when the
work of making it ready is paid back.
"""

import copy
from collections.abc import Callable, Iterator
from statistics import median

import torch
from torch import Tensor
from torch.func import functional_call, grad, jvp, linearize
from torch.nn.attention import SDPBackend, sdpa_kernel

from comparison import truth
from comparison.rounds import OURS, Block, Contender, Scale
from comparison.subjects import (
    CRITERION,
    Subject,
    small_convolutions,
    small_language_model,
    small_mlp,
    wide_mlp,
)
from landscape.measures.curvature.operator import operator

AT_ONCE = 8
Product = Callable[[Tensor], Tensor]


def ways(scale: Scale) -> Iterator[Block]:
    """Four networks, a vector a product."""
    for network in (small_mlp, small_convolutions, small_language_model, wide_mlp):
        subject = network(scale)
        compared = Ways(subject, scale)
        yield Block(
            "a Hessian-vector product",
            subject.title,
            {name: compared.contender(name, make) for name, make in MAKERS.items()},
            rounds=scale.pick(7, 1),
            repeats=scale.pick(5, 1),
        )


def ours(subject: Subject) -> Product:
    """By the way that `operator` chooses on the device."""
    return operator(subject.objective()).matvec


def kept_graph(subject: Subject) -> Product:
    """Double backward in four lines of torch."""
    return truth.double_backward(copy.deepcopy(subject.network), subject.x, subject.y)


def several(subject: Subject) -> Product:
    """The same for `AT_ONCE` vectors (n, k) in one backward pass by vmap."""
    model = copy.deepcopy(subject.network)
    parameters = list(model.parameters())
    loss = CRITERION(model(subject.x), subject.y)
    gradient = torch.autograd.grad(loss, parameters, create_graph=True)
    flat = torch.cat([g.reshape(-1) for g in gradient])

    def product(vectors: Tensor) -> Tensor:
        columns = torch.autograd.grad(
            flat, parameters, vectors.T, retain_graph=True, is_grads_batched=True
        )
        return torch.cat([c.flatten(1) for c in columns], 1).T

    return product


def forward_over_reverse(subject: Subject) -> Product:
    """The derivative of the gradient along the vector."""
    loss, w = flat_loss(subject)
    return lambda v: jvp(grad(loss), (w,), (v,))[1]


def linearised(subject: Subject) -> Product:
    """The same, traced once, with all that does not depend on the vector worked out before."""
    loss, w = flat_loss(subject)
    return linearize(grad(loss), w)[1]


def compiled(subject: Subject) -> Product:
    """That, through torch.compile."""
    return torch.compile(linearised(subject), dynamic=False)


MAKERS: dict[str, Callable[[Subject], Product]] = {
    OURS: ours,
    "double backward, the graph kept": kept_graph,
    f"double backward, {AT_ONCE} vectors at once, a vector of them": several,
    "forward over reverse": forward_over_reverse,
    "forward over reverse, linearised": linearised,
    "forward over reverse, linearised and compiled": compiled,
}


def flat_loss(subject: Subject) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """The loss as a function of one vector, and the vector of the network."""
    model = copy.deepcopy(subject.network)
    parameters = dict(model.named_parameters())
    sizes = [p.numel() for p in parameters.values()]

    def loss(w: Tensor) -> Tensor:
        parts = zip(parameters.items(), w.split(sizes), strict=True)
        values = {name: part.view_as(p) for (name, p), part in parts}
        return CRITERION(functional_call(model, values, (subject.x,)), subject.y)

    return loss, torch.cat([p.detach().reshape(-1) for p in parameters.values()])


class Ways:
    """The ways on one network, each made ready before the rounds, judged by float64."""

    def __init__(self, subject: Subject, scale: Scale):
        self.subject, self.scale = subject, scale
        draw = torch.Generator().manual_seed(0)
        vectors = torch.randn(subject.n, AT_ONCE, generator=draw).to(subject.x.device)
        self.vectors = vectors / vectors.norm(dim=0)
        double = subject.double
        exact = truth.double_backward(double.network, double.x, double.y)
        self.exact = exact(self.vectors[:, 0].double())
        self.ready: dict[str, float] = {}  # seconds that it took
        self.seconds: dict[str, list[float]] = {name: [] for name in MAKERS}

    def contender(self, name: str, make: Callable[[Subject], Product]) -> Contender | str:
        """A way by its name; of several vectors a call takes a share of the time."""
        asked = self.vectors if make is several else self.vectors[:, 0]
        per = AT_ONCE if make is several else 1
        started = self.scale.clock()
        try:
            with sdpa_kernel(SDPBackend.MATH):
                product = make(self.subject)
                product(asked)
        except Exception as error:
            return f"does not run: {type(error).__name__}: {str(error).splitlines()[0][:100]}"
        self.ready[name] = self.scale.clock() - started

        def call(_round: int) -> Tensor:
            started = self.scale.clock()
            with sdpa_kernel(SDPBackend.MATH):
                found = product(asked)
            self.seconds[name].append((self.scale.clock() - started) / per)
            return found[:, 0] if per > 1 else found

        return Contender(call, lambda answers: self._words(name, answers), per=per)

    def _words(self, name: str, answers: list[Tensor]) -> str:
        """Error, and after how many products the way has taken less time in all than ours."""
        error = max(float((h.double() - self.exact).norm()) for h in answers)
        words = (
            f"error {error / float(self.exact.norm()):.0e}; {self.ready[name]:.2g} s to make ready"
        )
        if name == OURS:
            return words
        gained = median(self.seconds[OURS]) - median(self.seconds[name])
        if gained <= 0:
            return f"{words}; never pays"
        spent = self.ready[name] - self.ready[OURS]
        return f"{words}; pays after {max(0, round(spent / gained)):,}"
