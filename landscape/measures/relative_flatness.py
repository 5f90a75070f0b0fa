"""Relative flatness of a linear layer W: Petzka et al., NeurIPS 2021 (arXiv 2001.00939).

    κ = Σ_{s,s'} ⟨w_s, w_s'⟩ tr H_{s,s'}        κ̂ = ‖W‖² tr H

w_s: row s of W (d, m), the weights into output s; H_{s,s'} (m, m): second derivatives of L by rows
s and s'. Three ways, the first that holds:

* softmax head with cross-entropy: closed form, see `landscape.flatness`;
* examples that do not see each other after the layer: tr H_{s,s'} = Σ_i ‖φ_i‖² ∂²L/∂z_is ∂z_is',
  exact, with d cheap products at the layer's output z = W φ + b, whatever the loss;
* any other layer: κ = E⟨W Z, ∇²L[W Z]⟩ over random signs Z (m, m), with a standard error.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from landscape import flatness
from landscape.batch import scalar
from landscape.environment import environment
from landscape.linalg import probes
from landscape.measures.context import Progress, point_of
from landscape.measures.linear_layer import cut_at, find, parameter
from landscape.objective import Objective
from landscape.records import RelativeFlatnessRecord

CLOSED, EXACT, SIGNS = "softmax head, closed form", "output Hessian, exact", "random signs"


@dataclass(frozen=True)
class RelativeFlatness:
    """κ and κ̂ of one linear layer.

    layer: module name; default the linear layer that is called last, the head.
    draws, seed: of random signs, where it takes them; κ̂ is then not computed, NaN.

    κ can be negative where activations are smooth and the layer is hidden; it is reported so.
    Raises ValueError for a layer that is no nn.Linear or whose weight is not its own.
    """

    layer: str | None = None
    draws: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 2:
            raise ValueError(f"`draws` must be at least 2. Got {self.draws}.")

    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> RelativeFlatnessRecord:
        """Ask it of the objective's point; `progress` counts batches, or draws."""
        layer, stderr = find(objective, self.layer), 0.0
        exact = exactly(objective, layer, progress)
        if exact is not None:
            value, simplified, estimator = exact
        else:
            samples = signed(objective, layer, self.draws, self.seed, progress)
            value, simplified, estimator = samples.mean().item(), float("nan"), SIGNS
            stderr = (samples.std() / len(samples) ** 0.5).item()
        return RelativeFlatnessRecord(
            value=value,
            simplified=simplified,
            stderr=stderr,
            layer=layer,
            estimator=estimator,
            point=point_of(objective),
            settings=asdict(self),
            provenance=environment(),
        )


def exactly(
    objective: Objective, layer: str, progress: Progress | None = None
) -> tuple[float, float, str] | None:
    """κ, κ̂ and the way taken; None where no exact way holds."""
    leaf, name = objective.w.requires_grad_(), parameter(layer)
    own = objective.layers[name]
    W = leaf.detach()[own].view(objective.weights.shapes[name]).double()
    total = sum(batch.share for batch in objective.batches)
    sums, closed = W.new_zeros(2), True
    with cut_at(objective, layer, leaf) as seen:
        for done, batch in enumerate(objective.batches, 1):
            seen.clear()
            loss = scalar(objective.loss(objective.model, batch))
            if len(seen) != 1:
                return None
            (phi, z), y = seen[0], batch.y
            if _is_cross_entropy(loss, z, y):
                counted = y.flatten() != -100  # torch's mark of targets to ignore
                phi, p = phi[counted].double(), z.detach()[counted].double().softmax(1)
                pair = [flatness.kappa(phi, p, W), flatness.kappa_hat(phi, p, W)]
            else:
                closed = False
                if not _through_z_alone(loss, leaf, own, z):
                    return None
                T = flatness.output_traces(loss, phi.double(), z, create_graph=False)
                pair = [flatness.of_traces(T, W, form) for form in ("kappa", "kappa_hat")]
            sums += batch.share / total * torch.stack(pair)
            if progress is not None:
                progress(done, len(objective.batches))
    value, simplified = sums.tolist()
    return value, simplified, CLOSED if closed else EXACT


def signed(
    objective: Objective, layer: str, draws: int, seed: int, progress: Progress | None = None
) -> Tensor:
    """Unbiased samples ⟨W Z, ∇²L[W Z]⟩ of κ for any layer and loss, (draws,) float64, CPU."""
    w, name = objective.w, parameter(layer)
    own, shape = objective.layers[name], objective.weights.shapes[name]
    W, m = w[own].view(shape), shape[1]
    samples = []
    for z in probes.signs(w.new_empty(m * m), draws, seed):
        v = torch.zeros_like(w)
        v[own] = (W @ z.view(m, m)).flatten()
        samples.append((v @ objective.hvp(v)).double().cpu())
        if progress is not None:
            progress(len(samples), draws)
    return torch.stack(samples)


def _is_cross_entropy(loss: Tensor, z: Tensor, y: object) -> bool:
    """Whether the loss is the mean cross-entropy of z (rows, d) with the targets, as softmax
    logits.
    """
    if not isinstance(y, Tensor) or y.dtype != torch.int64 or y.numel() != len(z):
        return False
    y = y.flatten()
    if not bool(((y == -100) | (y >= 0) & (y < z.shape[1])).all()):
        return False
    return bool(torch.isclose(F.cross_entropy(z, y), loss, rtol=1e-5, atol=0.0))


def _through_z_alone(loss: Tensor, leaf: Tensor, own: slice, z: Tensor) -> bool:
    """Whether W reaches the loss through z only, and each example through its own row of it.

    The second is tried: H(r ⊙ v) = r ⊙ Hv for random v and one random sign r for each row.
    """
    (direct,) = torch.autograd.grad(loss, leaf, retain_graph=True, materialize_grads=True)
    if direct[own].any():
        return False
    g = flatness.gradient(loss, z)
    (v,) = probes.gaussians(z.new_empty(z.numel()), 1, seed=0)
    (r,) = probes.signs(z.new_empty(len(z)), 1, seed=1)
    v, r = v.view(z.shape), r[:, None]
    apart, together = (flatness.product(g, z, u, create_graph=False) for u in (r * v, v))
    together = r * together
    allowed = 3 * torch.finfo(z.dtype).eps ** 0.5 * together.norm()
    return bool((apart - together).norm() <= allowed)
