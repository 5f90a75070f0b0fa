"""The top ten eigenvalues, and the top one: ours with bounds and checks, others as documented."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from comparison import solvers, truth
from comparison.rounds import OURS, Block, Contender, Scale, loosest
from comparison.subjects import (
    Subject,
    small_convolutions,
    small_language_model,
    small_mlp,
    wide_mlp,
)

WANTED = 1e-4  # of max|λ|: our default tolerance
LEFT_OUT = "left out: about a thousand products, see benchmarks/eigenvalues.py"


def top_ten(scale: Scale) -> Iterator[Block]:
    """Four networks."""
    for network in (small_mlp, small_convolutions, small_language_model, wide_mlp):
        subject, k = network(scale), scale.pick(10, 3)
        entrants = Entrants(subject, k, scale.pick(3 if network is wide_mlp else 5, 1))
        entrants.ours()
        entrants.at_equal_accuracy(f"{OURS}, tolerance", solvers.ours, (1e-1, 1e-2, 1e-3, 1e-4))
        entrants.arpack()
        if network is wide_mlp:
            entrants.contenders["PyHessian, tol 1e-3"] = LEFT_OUT
        else:
            entrants.add("PyHessian, tol 1e-3", solvers.pyhessian)
        steps = [m for m in (2 * k, 30, 40, 60, 80, 120) if m >= 2 * k]
        entrants.at_equal_accuracy("hessian-eigenthings, Lanczos steps", solvers.lanczos, steps)
        yield Block(f"top {k} eigenvalues", subject.title, entrants.contenders, entrants.rounds)


def top_one(scale: Scale) -> Iterator[Block]:
    """Two networks; power iterations at equal accuracy, too."""
    for network in (small_mlp, small_convolutions):
        subject = network(scale)
        entrants = Entrants(subject, 1, scale.pick(7, 1))
        entrants.ours()
        entrants.at_equal_accuracy(f"{OURS}, tolerance", solvers.ours, (1e-1, 1e-2, 1e-3, 1e-4))
        entrants.arpack()
        entrants.add("PyHessian, tol 1e-3", solvers.pyhessian)
        entrants.at_equal_accuracy(
            "PyHessian, tol", solvers.pyhessian, (1e-3, 1e-4, 1e-5, 1e-6), at_least=1 / 1.2
        )
        entrants.at_equal_accuracy(
            "hessian-eigenthings, power, tol", solvers.power, (1e-2, 1e-3, 1e-4)
        )
        yield Block("top eigenvalue", subject.title, entrants.contenders, entrants.rounds)


class Entrants:
    """The contenders for the k largest eigenvalues of a network, judged by the true ones."""

    def __init__(self, subject: Subject, k: int, rounds: int):
        self.subject, self.k, self.rounds = subject, k, rounds
        self.exact = truth.eigenvalues(subject, k)
        self.contenders: dict[str, Contender | str] = {}

    def add(self, name: str, solve, at_least: float | None = None, **settings) -> None:
        """A solver with its settings; it answers with (values, ...)."""
        call = partial(solve, self.subject, self.k, **settings)
        self.contenders[name] = Contender(call, self._accuracy, at_least)

    def at_equal_accuracy(self, name: str, solve, settings, at_least=None) -> None:
        """The same with the loosest setting that is right to WANTED."""
        calls = {f"{name} {s:g}": partial(solve, self.subject, self.k, setting=s) for s in settings}
        words, call = loosest(calls, self._error, WANTED)
        self.contenders[words] = Contender(call, self._accuracy, at_least)

    def ours(self, at_most: float | None = None) -> None:
        """Ours by default, with its certificate."""
        call = partial(solvers.ours, self.subject, self.k)
        self.contenders[OURS] = Contender(call, self._certificate, at_most=at_most)

    def arpack(self) -> None:
        """scipy's eigsh at tol 1e-3 on three kinds of products."""
        self.add("eigsh on our products", solvers.our_products, 1 / 1.35)
        self.add("eigsh on bare kept graphs", solvers.bare_products)
        self.add("eigsh on curvlinops", solvers.curvlinops)

    def _error(self, answer) -> float:
        return truth.error(answer[0], self.exact)

    def _accuracy(self, answers) -> str:
        return f"error at most {max(map(self._error, answers)):.0e}"

    def _certificate(self, answers) -> str:
        """Errors, how many pairs converged and lie within their bounds, and products."""
        pairs = sum(len(values) for values, *_ in answers)
        converged = sum(int(flags.sum()) for *_, flags, _ in answers)
        rounding = 1e-12 * abs(self.exact[0])
        inside = sum(
            int((np.abs(values[:, None] - self.exact).min(1) <= bounds + rounding).sum())
            for values, bounds, *_ in answers
        )
        products = "-".join(map(str, sorted({min(p := [a[-1] for a in answers]), max(p)})))
        return (
            f"{self._accuracy(answers)}; {converged} of {pairs} converged, {inside} within their "
            f"bounds; {products} products"
        )
