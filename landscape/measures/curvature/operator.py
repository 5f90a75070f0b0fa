"""The curvature at a point as an operator: a symmetric matrix by its products with vectors."""

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch import Tensor

from landscape.distributed.ranks import Alone
from landscape.linalg import probes
from landscape.measures.curvature.fisher import (
    check_label_free,
    check_mean_over_rows,
    empirical_fisher,
)
from landscape.measures.curvature.forward_over_reverse import forward_over_reverse
from landscape.measures.curvature.gauss_newton import GaussNewton, of_the_output
from landscape.measures.curvature.refusals import agree, refuse_asymmetric, refuse_changing
from landscape.network.higher_order import NoSecondDerivative, has_custom_functions
from landscape.network.parameter_block import Block
from landscape.network.precision import arithmetic, arithmetic_of
from landscape.objective.curvature_products import Build, GradientGraph, Products, hessian
from landscape.objective.finite_differences import Differences, Formula, of_the_gradient
from landscape.objective.objective import Objective

CURVATURES = ("hessian", "gauss-newton", "fisher", "empirical-fisher")
BUILDS: Mapping[str, Callable[[], Build]] = {  # each for one operator
    "hessian": lambda: hessian,
    "gauss-newton": GaussNewton,
    "fisher": GaussNewton,
    "empirical-fisher": lambda: empirical_fisher,
}
CHECKS = {"fisher": check_label_free, "empirical-fisher": check_mean_over_rows}
MEASURED_ON = ("cuda",)  # devices where double backward has a rival; on the CPU it is the fastest
EXACT = {"double backward", "forward over reverse"}  # which of them is a matter of time
PAYS = 0.9  # of the time of double backward
TICK = 1e-9  # seconds: a coarse clock may not advance between two readings


def operator(
    objective: Objective,
    curvature: str = "hessian",
    layer: str | None = None,
    seed: int = 0,
    precision: str = "ieee",
    krylov: bool = False,
) -> "Operator":
    """The curvature of an objective at its point, checked for symmetry.

    curvature: "hessian", ∇²L; "gauss-newton", Jᵀ H_z J with H_z of the loss as a function of the
    model's output; "fisher", the same matrix where it is the Fisher matrix of the model's labels,
    else refused; "empirical-fisher", the mean of ∇ℓ_i ∇ℓ_iᵀ over the examples.
    layer: name of a module: the diagonal block of its parameters, vectors then have its length.
    seed: of the vectors that the checks use.
    precision: of the products, a name in `ARITHMETICS`; the checks are in ieee.
    krylov: the caller's first product may decide how products are made, and its Krylov space shows
    their symmetry, to be held against `refuse_asymmetric`: no product is spent on it.

    Products are made by double backward. Where the model or loss does not allow that, or where a
    custom autograd.Function in it silently breaks it, finite differences stand in, as
    `Operator.products` and `Operator.error` say.

    Raises ValueError for unknown names, for products that are not symmetric, for gradients that
    differ from one evaluation to the next, and where Gauss-Newton or the Fisher is not defined.
    """
    check_curvature(curvature)
    made = Operator(objective, curvature, layer, arithmetic_of(precision))
    made.check(seed, krylov)
    return made


def check_curvature(curvature: str) -> None:
    """Raise ValueError for an unknown curvature."""
    if curvature not in CURVATURES:
        raise ValueError(f"`curvature` must be one of {', '.join(CURVATURES)}. Got {curvature!r}.")


class Operator:
    """A symmetric matrix (m, m): `matvec`, and what a record says of how products are made.

    n: m, the length of its vectors. products: "double backward", "forward over reverse" or "finite
    differences"; ways: what the comparison of the first two said, "" where there was none.
    precision: "ieee" or "tf32"; precision_error: ‖Ĥv − Hv‖/‖Hv‖ of its products Ĥv against ieee,
    form_error: |vᵀ(Ĥ − H)v|/(‖v‖·‖Hv‖), each the larger of two random vectors.
    error: relative error of one product, estimated from a second step size; 0 where exact but for
    rounding. count: products so far. build: makes products of a group of batches, see `Products`.
    """

    def __init__(
        self, objective: Objective, curvature: str, layer: str | None, precision: str = "ieee"
    ):
        self.objective, self.curvature, self.layer = objective, curvature, layer
        self.block = Block.of(objective.model, objective.weights, layer)
        self.n, self.count = self.block.n, 0
        self.products, self.error = "double backward", 0.0
        self.build = BUILDS[curvature]()
        self._exact = Products(self.build, self.block, objective.memory)
        self._differences: Differences | None = None
        self.precision, self.precision_error, self.form_error = precision, 0.0, 0.0
        self.ways = ""
        self._undecided = False  # the next product decides how products are made
        self._seconds: list[float] = []
        self._gradient_seconds = float("nan")

    @property
    def ranks(self) -> Alone:
        """The ranks that hold the objective's data."""
        return self.objective.ranks

    @property
    def like(self) -> Tensor:
        """An empty vector (m,): the length, dtype and device of those it takes."""
        return self.objective.w.new_empty(self.n)

    @property
    def graphs(self) -> str:
        """State of the graphs: "kept" between products or "rebuilt" for each; "none" are used
        but by double backward.
        """
        if self.products != "double backward":
            return "none"
        own = self.objective.keeps_graphs if self._shares_graphs else self._exact.keeps
        return "kept" if own else "rebuilt"

    @property
    def cost(self) -> float:
        """Time of a product in gradients, the median; both as timed here."""
        return median(self._seconds) / max(self._gradient_seconds, TICK)

    def take_way(self, products: str) -> None:
        """Make products as another process has chosen to, where both ways are exact.

        Raises ValueError where they are made otherwise here.
        """
        if products != self.products and {products, self.products} != EXACT:
            raise ValueError(
                f"Products by {products}, as in another process, are none here: they are made by "
                f"{self.products}. The workers need the libraries of the head."
            )
        self.products = products

    def matvec(self, v: Tensor) -> Tensor:
        """A v, (m,) -> (m,)."""
        if v.shape != (self.n,):
            raise ValueError(f"`v` must have shape ({self.n},). Got {tuple(v.shape)}.")
        started = self._clock()
        product = self.product(v)
        self._seconds.append(self._clock() - started)
        return product

    def product(self, v: Tensor, at: Tensor | None = None) -> Tensor:
        """A v with the matrix of another point (n,)."""
        with arithmetic(self.precision):
            return self._product(v, at)

    def _product(self, v: Tensor, at: Tensor | None) -> Tensor:
        if self._undecided:
            self._undecided = False
            return self._first_product(v)
        self.count += 1
        point = self.objective.w if at is None else at
        if self._differences is not None:
            return self._differences(v, point)
        if self.products == "forward over reverse":
            return self._forward(v, point)
        if self._shares_graphs:
            return self.objective.double_backward(v, at)
        exact, risk = self._exact, self.objective.risk
        return self.objective.retry_on_oom(lambda: exact(risk, v, point), exact)

    def doubt(self, v: Tensor) -> float:
        """‖error of A v‖ by a second step size; 0 for products that are exact but for rounding."""
        if self._differences is None:
            return 0.0
        self.count += 2
        return self._differences.doubt(v, self.objective.w)

    @property
    def _allowed(self) -> float:
        """The relative difference that rounding may make."""
        return 3 * torch.finfo(self.objective.w.dtype).eps ** 0.5

    def check(self, seed: int, krylov: bool = False) -> None:
        """Decide how products are made, and refuse those that no eigenvalue could be trusted of.

        krylov: leave both to the products to come, where one way of making them is known.
        """
        measured = self.objective.device.type in MEASURED_ON
        if self.curvature in CHECKS:
            risk, refuse = self.objective.risk, CHECKS[self.curvature]
            self.objective.retry_on_oom(lambda: refuse(risk))
        if krylov and not measured and self.precision == "ieee":
            self._undecided = True
            return
        u, v = probes.gaussians(self.like, 2, seed)
        precision, self.precision = self.precision, "ieee"
        hu, hv = self._first_product(u), self.matvec(v)
        size = float(hu.norm() + hv.norm())
        self.refuse_asymmetric(float((u @ hv - v @ hu).abs()) / size if size else 0.0)
        if measured and self.products == "double backward":
            self._choose([(u, hu), (v, hv)], self._allowed)
        if precision != "ieee":
            self.precision = precision
            self._measure_precision([(u, hu), (v, hv)])

    def refuse_asymmetric(self, asymmetry: float) -> None:
        """Raise ValueError for an antisymmetric part of so much of a matrix of ieee products."""
        if self.precision == "ieee":
            refuse_asymmetric(asymmetry, self._allowed + 3 * self.error)

    def _check_gradients(self) -> None:
        """Two evaluations at the same point agree: one, the unit of cost, and the one that has the
        kept graph, or where that differs, as a loss in float64 may, two more.
        """
        started = self._clock()
        gradient = self.objective.summarised_grad()
        self._gradient_seconds = self._clock() - started
        if graphs := self._kept_graphs:
            kept = self.objective.risk.total(graph.gradient.detach() for graph in graphs)
            if agree(gradient, kept, self._allowed):
                return
        refuse_changing(self.objective.grad(), self.objective.grad(), self._allowed)

    def _first_product(self, u: Tensor) -> Tensor:
        """A u, and the choice between double backward and finite differences."""
        try:
            exact = self.product(u)
        except NoSecondDerivative:
            exact = None
        self._check_gradients()
        if exact is not None and not self._has_custom_functions():
            return exact
        if self.curvature == "empirical-fisher":
            raise ValueError(
                "The empirical Fisher matrix needs double backward, which this model or loss does "
                'not allow: use curvature="gauss-newton".'
            )
        w = self.objective.w
        differences = Differences(self._formula, self.block, u, w)
        approximate = differences(u, w)
        if exact is not None and differences.apart(exact, approximate) <= differences.close:
            return exact
        self._differences = differences
        self.products, self.error = "finite differences", differences.error
        self._seconds.clear()
        return approximate

    @property
    def _formula(self) -> Formula:
        if self.curvature == "hessian":
            return of_the_gradient(self.objective.grad, self.block)
        return of_the_output(self.objective, self.block)

    def _choose(self, exact: list[tuple[Tensor, Tensor]], allowed: float) -> None:
        """Take forward over reverse where it agrees with double backward, and is faster.

        exact: vectors and their products by double backward, the last of which was timed.
        """
        if self.curvature != "hessian":
            return
        apart, seconds = 0.0, 0.0
        try:
            for v, hv in exact:  # the first one warms up
                started = self._clock()
                product = self._forward(v, self.objective.w)
                seconds = self._clock() - started
                apart = max(apart, float((product - hv).norm() / hv.norm()))
        except (RuntimeError, MemoryError) as error:
            reason = str(error).strip().splitlines()[0]
            self.ways = f"forward over reverse is not available: {reason}"
            return
        self.count += len(exact)
        share = self.ranks.first(seconds / max(self._seconds[-1], TICK))
        self.ways = f"forward over reverse takes {share:.2f} of the time of double backward"
        if not apart <= allowed:
            self.ways += f", but differs by {apart:.1g}: not used"
        elif share < PAYS:
            self.products, self._seconds = "forward over reverse", [seconds]

    def _forward(self, v: Tensor, at: Tensor) -> Tensor:
        """A v by forward over reverse, at a point (n,)."""
        risk, block = self.objective.risk, self.block
        return self.objective.retry_on_oom(
            lambda: forward_over_reverse(risk, block, v, at), self._exact
        )

    def _measure_precision(self, exact: list[tuple[Tensor, Tensor]]) -> None:
        """Compare products in the operator's arithmetic with ieee ones, (v, Hv) each."""
        for v, hv in exact:
            apart, size = self.product(v) - hv, float(hv.norm())
            self.precision_error = max(self.precision_error, float(apart.norm()) / size)
            self.form_error = max(self.form_error, float((v @ apart).abs() / v.norm()) / size)

    def _has_custom_functions(self) -> bool:
        risk = self.objective.risk

        def ask() -> bool:
            if graphs := self._kept_graphs:
                return any(graph.has_custom_functions for graph in graphs)
            with risk.opened(self.objective.w.requires_grad_()):
                return has_custom_functions(risk.batch_loss(risk.terms[0][0]))

        return self.ranks.any(self.objective.retry_on_oom(ask))

    @property
    def _kept_graphs(self) -> list[GradientGraph]:
        return self.objective.kept_graphs if self._shares_graphs else []

    @property
    def _shares_graphs(self) -> bool:
        return self.curvature == "hessian" and self.block.whole

    def _clock(self) -> float:
        if self.objective.device.type == "cuda":
            torch.cuda.synchronize(self.objective.device)
        return time.perf_counter()
