"""Eigenvalues and trace of the Hessian of a network whose weights lie in shards."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from landscape.linalg import Space, lanczos, probes
from landscape.linalg.split_trace import split_trace
from landscape.measures.context import Progress, name_of, settings_of
from landscape.records import EigenvaluesRecord, Point, TraceRecord
from landscape.utils.environment import environment

if TYPE_CHECKING:
    from landscape.objective.sharded import ShardedObjective

REPEATS, SAFETY = 3, 2.0  # as of `product_error`
ASYMMETRY = 3  # √eps: as of an operator's check
UNSPLIT = {  # settings that sharded vectors have no answer for, and the only value that they take
    "curvature": "hessian", "layer": None, "backend": "lanczos", "vectors": False,
}  # fmt: skip


def eigenvalues(
    measure: Any, objective: "ShardedObjective", progress: Progress | None = None
) -> EigenvaluesRecord:
    """Extreme eigenvalues by Lanczos with sharded vectors; every process gets the record.

    measure: an `Eigenvalues`. The bounds include the error of the products, estimated by products
    at rounded weights. The record holds no vectors.
    Raises ValueError for settings that need whole vectors.
    """
    space, seed = _space(measure, objective), measure.seed
    hvps = _check(objective, space, seed)
    result = lanczos(
        objective.hvp,
        objective.n,
        measure.k,
        measure.which,
        tolerance=0.9 * measure.tolerance,
        max_matvecs=measure.max_hvps,
        seed=seed,
        dtype=objective.w.dtype,
        device=objective.device,
        callback=progress and (lambda done, _: progress(done, measure.max_hvps or 2 * done)),
        shards=space,
    )
    error = _product_error(objective, space, result.vectors[:, ~result.values.isnan()], seed)
    bounds = result.bounds + error
    return EigenvaluesRecord(
        values=result.values.numpy(),
        residuals=result.residuals.numpy(),
        bounds=bounds.numpy(),
        converged=(result.ranked & (bounds <= measure.tolerance * result.norm)).numpy(),
        hvps=result.matvecs + hvps + 1 + REPEATS,
        which=measure.which,
        graphs="rebuilt",
        error_from="rounded weights",
        **_signature(measure, objective, space),
    )


def trace(
    measure: Any, objective: "ShardedObjective", progress: Progress | None = None
) -> TraceRecord:
    """Trace from random directions, sharded, as "hutchinson" takes it; every process gets the
    record.

    measure: a `Trace`. Raises ValueError for settings that need whole vectors.
    """
    space = _space(measure, objective)
    if measure.method != "hutchinson":
        raise ValueError(
            'The trace of a sharded network is taken with method="hutchinson". '
            f"Got {measure.method!r}."
        )
    hvps = _check(objective, space, measure.seed)
    found = split_trace(
        objective.hvp,
        objective.w,
        space,
        tolerance=measure.tolerance,
        max_matvecs=measure.max_hvps - hvps,
        seed=measure.seed,
    )
    if progress is not None:
        progress(found.matvecs, found.matvecs)
    return TraceRecord(
        value=found.value,
        stderr=found.stderr,
        low=found.low,
        high=found.high,
        draws=found.draws,
        deflated=0,
        hvps=found.matvecs + hvps,
        converged=found.converged,
        method="hutchinson",
        n=objective.n,
        **_signature(measure, objective, space),
    )


def _space(measure: Any, objective: "ShardedObjective") -> Space:
    for name, value in UNSPLIT.items():
        asked = getattr(measure, name, value)
        if asked != value:
            raise ValueError(
                f"A sharded network is measured with {name}={value!r} alone. Got {asked!r}."
            )
    if measure.precision == "tf32":
        raise ValueError("A sharded network is measured in ieee arithmetic. Got 'tf32'.")
    ranks = objective.ranks
    return Space(objective.n, objective.local, ranks.sum, ranks.index)


def _random(objective: "ShardedObjective", space: Space, seed: int, count: int) -> list[Tensor]:
    return list(probes.gaussians(objective.w, count, space.seed(seed)))


def _check(objective: "ShardedObjective", space: Space, seed: int) -> int:
    """Refuse products that are not symmetric; how many products that took."""
    u, v = _random(objective, space, seed, 2)
    hu, hv = objective.hvp(u), objective.hvp(v)
    apart = abs(space.dot(u, hv) - space.dot(v, hu))
    allowed = ASYMMETRY * torch.finfo(u.dtype).eps ** 0.5 * (space.norm(hu) + space.norm(hv))
    if not apart <= allowed:
        raise ValueError(
            f"Curvature products are not symmetric: u·Hv and v·Hu differ by {apart:.2g}, where "
            f"{allowed:.2g} is allowed. Look for a custom backward or a detached part in the model "
            "or loss."
        )
    return 2


def _product_error(
    objective: "ShardedObjective", space: Space, vectors: Tensor, seed: int
) -> float:
    """Estimate of ‖Ĥv − Hv‖ for each unit column of `vectors`, as `product_error` has it."""
    (signs,) = probes.signs(objective.w.new_empty(vectors.shape[1]), 1, seed)
    mixed, w = vectors @ signs, objective.w
    product, eps = objective.hvp(mixed), torch.finfo(w.dtype).eps
    neighbours = (w * (1 + eps * xi) for xi in _random(objective, space, seed, REPEATS))
    return SAFETY * max(space.norm(objective.hvp(mixed, at) - product) for at in neighbours)


def _signature(measure: Any, objective: "ShardedObjective", space: Space) -> dict[str, Any]:
    dtype = str(objective.w.dtype).removeprefix("torch.")
    point = Point(
        loss=objective.value(),
        grad_norm=space.norm(objective.grad()),
        w_norm=space.norm(objective.w),
        n=objective.n,
        examples=objective.examples,
        split="given",
        batch_norm="stored",
        dtype=dtype,
        device=str(objective.device),
        fingerprint=objective.fingerprint,
        model_dtype=dtype,
        loss_function=name_of(objective.loss),
    )
    provenance = {**environment(), "shards": objective.ranks.size}
    return {"point": point, "settings": settings_of(measure), "provenance": provenance}
