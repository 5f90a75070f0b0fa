"""Every measure against its definition. A check yields (got, right, allowed difference)."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

import landscape as ls
from differential.reference import Reference

Check = Iterator[tuple[Any, Any, float]]
ask = ls.measures


def scale(*values: Any) -> float:
    """The largest magnitude, above zero."""
    return max(float(np.abs(np.asarray(v, dtype=float)).max()) for v in values) + 1e-12


def near(got: Any, right: Any, tolerance: float, size: float = 0.0) -> tuple[Any, Any, float]:
    """Equal to a relative tolerance."""
    return got, right, tolerance * max(size, scale(right))


def draws(n: int, count: int, seed: int = 0) -> list[Tensor]:
    """Standard normal vectors (n,), drawn in float32 from one generator."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, generator=generator).double() for _ in range(count)]


def value(o: ls.Objective, r: Reference) -> Check:
    """Loss, gradient, accuracy."""
    tolerance, (v,) = r.case.tolerance, draws(len(r.w), 1, 5)
    yield near(o.w, r.w, 0.0)
    yield near(o.value(), r.value(r.w), 1e-9)
    g = r.gradient(r.w)
    yield near(o.grad(), g, tolerance)
    yield near(o.value(r.w + 0.1 * v), r.value(r.w + 0.1 * v), 1e-9)
    if r.case.logits is not None and r.case.reference is None:
        yield near(o.accuracy(), r.accuracy(), 1e-9)


def product(o: ls.Objective, r: Reference) -> Check:
    """One Hessian-vector product."""
    (v,) = draws(len(r.w), 1, 5)
    yield near(o.hvp(v), r.hessian @ v, r.case.tolerance)


def eigenvalues(o: ls.Objective, r: Reference) -> Check:
    """By magnitude, and from both ends."""
    dense = torch.linalg.eigvalsh(r.hessian)
    largest = dense.abs().max().item()
    got = ask.Eigenvalues(k=3)(o)
    slack = r.case.tolerance * largest
    right = dense.abs().sort(descending=True).values[:3]
    yield np.abs(got.values), right, float(got.bounds.max()) + slack
    nearest = (torch.as_tensor(got.values)[:, None] - dense).abs().min(1).values
    yield nearest, torch.zeros(3), float(got.bounds.max()) + slack
    ends = ask.Eigenvalues(k=2, which="both")(o)
    yield np.sort(ends.values), dense[[0, 1, -2, -1]], float(ends.bounds.max()) + slack
    yield got.converged.all() and ends.converged.all(), True, 0.0


def trace(o: ls.Objective, r: Reference) -> Check:
    """Within twice the half-width of its 95 % interval."""
    H, got = r.hessian, ask.Trace()(o)
    slack = r.case.tolerance * float(torch.linalg.eigvalsh(H).abs().sum())
    yield got.value, H.trace(), got.high - got.low + slack


def spectral_density(o: ls.Objective, r: Reference) -> Check:
    """Integral 1, first and second moment within twice the half-width of their intervals."""
    H, got = r.hessian, ask.SpectralDensity(probes=60, steps=5)(o)
    n, slack = len(H), r.case.tolerance * float(torch.linalg.eigvalsh(H).abs().max())
    yield np.trapezoid(got.density, got.grid), 1.0, 1e-3
    yield got.mean, H.trace() / n, got.mean_high - got.mean_low + slack
    second = np.nansum(got.weights * got.nodes**2, axis=1)
    allowed = 4 * second.std(ddof=1) / math.sqrt(len(second))
    yield second.mean(), H.square().sum() / n, allowed + slack * scale(np.nan_to_num(got.nodes))


def relative_flatness(o: ls.Objective, r: Reference) -> Check:
    """By the block of the dense Hessian of the last linear layer."""
    got = ask.RelativeFlatness()(o)
    yield got.layer == r.last_linear(), True, 0.0
    kappa, kappa_hat, size = flatness(r, got.layer)
    yield got.value, kappa, r.case.tolerance * size + 5 * got.stderr
    yield got.simplified, kappa_hat, r.case.tolerance * size + 5 * got.simplified_stderr


def flatness(r: Reference, layer: str) -> tuple[float, float, float]:
    """Σ ⟨w_s, w_s'⟩ tr H_{s,s'}, ‖W‖² tr H, and the size of what they add up."""
    weight = r.model.get_submodule(layer)._parameters["weight"]
    number = next(i for i, p in enumerate(r.parameters) if p is weight)
    start = sum(p.numel() for p in r.parameters[:number])
    W = r.parts(r.w)[number]
    d, m = W.shape
    block = r.hessian[start : start + d * m, start : start + d * m].view(d, m, d, m)
    kappa = kappa_hat = size = 0.0
    for s in range(d):
        for t in range(d):
            term = float(W[s] @ W[t] * block[s, :, t, :].trace())
            kappa, size = kappa + term, size + abs(term)
        kappa_hat += float(W.square().sum() * block[s, :, s, :].trace())
    return kappa, kappa_hat, max(size, abs(kappa_hat))


def noise(o: ls.Objective, r: Reference) -> Check:
    """The same draws, in units of each tensor's largest weight and in absolute ones."""
    largest = torch.zeros_like(r.w)
    for place in r.tensors():
        largest[place] = r.w[place].abs().max()
    xi = draws(len(r.w), 2)
    everywhere = {"scale": "absolute", "biases": True, "normalisation": True}
    for unit, options in ((largest, {}), (torch.ones_like(r.w), everywhere)):
        got = ask.NoiseRobustness(sigmas=(0.0, 0.05), draws=2, **options)(o)
        right = [[r.value(r.w + s * unit * e) for e in xi] for s in (0.0, 0.05)]
        yield near(got.loss, right, r.case.tolerance)


def quantization(o: ls.Objective, r: Reference) -> Check:
    """Four bits, by tensor and by filter, group by group."""
    got = ask.Quantization(bits=(4,))(o)
    rounded_at = torch.cat(r.tensors())
    for column, groups in enumerate((r.tensors(), r.filters())):
        w = r.w.clone()
        for group in groups:
            step = float(w[group].abs().max()) / 7
            w[group] = step * torch.round(w[group] / step) if step else w[group]
        yield near(got.loss[0, column], r.value(w), r.case.tolerance)
        error = (w - r.w).norm() / r.w[rounded_at].norm()
        yield near(got.error[0, column], error, r.case.tolerance)


def pruning(o: ls.Objective, r: Reference) -> Check:
    """The smallest weights of the network, and of each layer, set to zero one by one."""
    for scope in ("global", "layer"):
        got = ask.Pruning(fractions=(0.0, 0.3, 0.7), scope=scope)(o)
        groups = [torch.cat(r.tensors())] if scope == "global" else r.tensors()
        for i, share in enumerate((0.0, 0.3, 0.7)):
            w = r.w.clone()
            for group in groups:
                order = sorted(group.tolist(), key=lambda k: abs(float(r.w[k])))
                w[order[: math.ceil(share * len(order))]] = 0.0
            yield near(got.loss[i], r.value(w), r.case.tolerance)


RADII = (0.1, 0.3)


def worst_case(o: ls.Objective, r: Reference) -> Check:
    """One step is the formula; several lie between it and an ascent of many steps and starts."""
    unit = torch.zeros_like(r.w)
    for part in r.filters():
        unit[part] = r.w[part].square().mean().sqrt()
    everywhere = {"scale": "absolute", "biases": True, "normalisation": True}
    for s, options in ((unit, {}), (torch.ones_like(unit), everywhere)):
        step = s * direction(s * r.gradient(r.w))
        ahead = [r.value(r.w), *(r.value(r.w + rho * step) for rho in RADII)]
        got = ask.WorstCase(radii=RADII, steps=1, restarts=0, **options)(o)
        yield near(got.loss, np.maximum.accumulate(ahead)[1:], r.case.tolerance)
    got = ask.WorstCase(radii=RADII, steps=6, restarts=1, **everywhere)(o)
    low, top = max(ahead), highest(r, RADII[-1])
    high = top + 0.05 * (top - ahead[0])
    yield near(got.loss[-1], min(max(float(got.loss[-1]), low), high), r.case.tolerance)


def direction(g: Tensor) -> Tensor:
    """g/‖g‖."""
    return g / g.norm().clamp(min=1e-300)


def highest(r: Reference, rho: float) -> float:
    """The largest loss on the ball's surface that three ascents of 30 steps find."""
    best = -math.inf
    for start in (r.gradient(r.w), *draws(len(r.w), 2, 9)):
        e = rho * direction(start)
        for i in range(30):
            at = r.loss(r.w + e)
            best = max(best, at.item())
            e = e + rho * (0.5 if i < 15 else 0.1) * direction(r.flat(at))
            e = e * min(1.0, rho / float(e.norm()))
    return best


def sharpness(o: ls.Objective, r: Reference) -> Check:
    """The one step of SAM and of ASAM on each batch."""
    largest = max(b.size for b in o.given)
    pairs = zip(r.names, r.parts(r.w), strict=True)
    T = [p.abs() + 0.01 if "weight" in n.split(".")[-1] else torch.ones_like(p) for n, p in pairs]
    adaptive = torch.cat([t.flatten() for t in T])
    for rule, T in (("sam", torch.ones_like(r.w)), ("asam", adaptive)):
        got = ask.Sharpness(radii=RADII, rule=rule, m=largest, steps=1, restarts=0)(o)
        clean = [v.item() for v in r.losses(r.w)]
        right = np.empty((len(RADII), len(clean)))
        for b in range(len(clean)):
            step = T * direction(T * r.flat(r.losses(r.w)[b]))
            right[:, b] = [r.losses(r.w + rho * step)[b].item() - clean[b] for rho in RADII]
        yield near(got.one_step, right, r.case.tolerance, scale(clean))
        best = np.maximum(0.0, np.maximum.accumulate(right))
        yield near(got.sharpness, best, r.case.tolerance, scale(clean))
        yield near(got.share, r.weights, 1e-9)


def critical_sharpness(o: ls.Objective, r: Reference) -> Check:
    """The curvature along the gradient, and a bracket at whose ends the loss fell and rose."""
    got, g = ask.CriticalSharpness()(o), r.gradient(r.w)
    right = float(g @ r.hessian @ g / (g @ g))
    yield near(got.directional, right, r.case.tolerance, float(torch.linalg.norm(r.hessian, 2)))
    before, after = (r.value(r.w - 2 / lam * g) - r.value(r.w) for lam in (got.high, got.low))
    slack = 1e-6 * scale(r.value(r.w))
    yield before, min(before, 0.0), slack
    yield after, max(after, 0.0), slack


def adaptive_sharpness(o: ls.Objective, r: Reference) -> Check:
    """One step to the corner of the signs on each batch, and the draws of the average case."""
    largest, c = max(b.size for b in o.given), r.w.abs()
    measure = ask.AdaptiveSharpness(radii=RADII, average_radii=RADII, m=largest, steps=1, draws=2)
    got, clean = measure(o), [v.item() for v in r.losses(r.w)]
    right = np.empty((len(RADII), len(clean)))
    for b in range(len(clean)):
        step = c * torch.sign(c * r.flat(r.losses(r.w)[b]))
        right[:, b] = [r.losses(r.w + rho * step)[b].item() - clean[b] for rho in RADII]
    best = np.maximum(0.0, np.maximum.accumulate(right))
    yield near(got.worst, best, r.case.tolerance, scale(clean))
    noise = [c * torch.erf(xi / 2**0.5) for xi in draws(len(r.w), 2)]
    average = [[r.value(r.w + rho * xi) - r.value(r.w) for xi in noise] for rho in RADII]
    yield near(got.average, average, r.case.tolerance, scale(clean))


def pac_bayes(o: ls.Objective, r: Reference) -> Check:
    """The mean rise at the noise that was found is the deviation, within the bracket."""
    count = 4
    rise = 0.1 * scale(r.value(r.w))
    got = ask.PacBayes(quantity="loss", deviation=rise, draws=count)(o)
    for i, sigma in enumerate(got.sigma):
        if not (np.isfinite(sigma) and sigma > 0):
            continue
        ends = []
        for factor in (0.985, 1.015):
            unit = factor * sigma * torch.ones_like(r.w)
            if i == 1:
                unit = ((factor * sigma * r.w) ** 2 + 1e-6).sqrt()
            points = [r.value(r.w + unit * xi) for xi in draws(len(r.w), count)]
            ends.append(float(np.mean(points)) - r.value(r.w))
        yield near(min(max(rise, min(ends)), max(ends)), rise, 1e-3)


def batch_eigenvalues(o: ls.Objective, r: Reference) -> Check:
    """All examples in two equal batches: λ₁ of both together is that of the Hessian."""
    if o.examples % 2 or o.batch_norm != "stored":
        return
    got = ask.BatchEigenvalues(m=o.examples // 2, tolerance=1e-3)(o)
    right = float(torch.linalg.eigvalsh(r.hessian)[-1])
    slack = r.case.tolerance * float(torch.linalg.norm(r.hessian, 2))
    yield got.whole, right, got.whole_bound + slack
    yield got.mean, max(got.mean, right - got.whole_bound - float(got.bounds.max())), 1e-9


def calibration(o: ls.Objective, r: Reference) -> Check:
    """The accuracy beside it, and the gap of one bin."""
    got = ask.Calibration(bins=1, resamples=100)(o)
    if r.case.logits is not None and r.case.reference is None:
        yield near(got.accuracy, r.accuracy(), 1e-9)
    yield near(got.ece, abs(got.accuracy - got.mean_confidence), 1e-9, 1.0)


def fisher_rao(o: ls.Objective, r: Reference) -> Check:
    """By one example a batch: the mean of the squared derivative along w."""
    got = ask.FisherRao()(o)
    if any(b.size > 1 for b in o.given):
        forms = [float(r.w @ r.flat(r.losses(r.w)[b])) for b in range(len(o.given))]
        least = float(np.average(np.square(forms), weights=r.weights))
        yield got.empirical, max(got.empirical, least * (1 - r.case.tolerance)), 1e-9 * scale(least)


def checked_plane(o: ls.Objective, r: Reference) -> Check:
    """Filters as long as those of w, nothing elsewhere, a right angle."""
    plane, rest = ask.random_plane(o, 0), torch.ones(len(r.w), dtype=torch.bool)
    for part in r.filters():
        rest[part] = False
        length = float(r.w[part].norm())
        yield near([d[part].norm() for d in (plane.d1, plane.d2)], [length] * 2, 1e-6)
    yield float(plane.d1[rest].abs().sum() + plane.d2[rest].abs().sum()), 0.0, 0.0
    yield plane.cosine, 0.0, 0.5


def surface(o: ls.Objective, r: Reference) -> Check:
    """Nine points of a plane whose directions are checked first."""
    yield from checked_plane(o, r)
    got, plane = ask.Surface(size=3, span=0.5)(o), ask.random_plane(o, 0)
    axis = (-0.5, 0.0, 0.5)
    right = [[r.value(r.w + x * plane.d1 + y * plane.d2) for y in axis] for x in axis]
    yield near(got.loss, right, r.case.tolerance)
    yield near(got.centre, r.value(r.w), r.case.tolerance)


def profile(o: ls.Objective, r: Reference) -> Check:
    """Three points of two lines."""
    got, plane = ask.Profile(lines=2, size=3, span=0.5)(o), ask.random_plane(o, 0)
    axis = (-0.5, 0.0, 0.5)
    right = [[r.value(r.w + x * d) for x in axis] for d in (plane.d1, plane.d2)]
    yield near(got.loss, right, r.case.tolerance)


def path(o: ls.Objective, r: Reference) -> Check:
    """Both ends, the middle, and the barrier."""
    (end,) = draws(len(r.w), 1, 7)
    got = ask.Path(end=end, size=3)(o)
    right = [r.value(r.w.lerp(end, t)) for t in (0.0, 0.5, 1.0)]
    yield near(got.loss, right, r.case.tolerance)
    barrier = max(0.0, right[1] - (right[0] + right[2]) / 2)
    yield near(got.barrier, barrier, r.case.tolerance, scale(right))


MEASURES: dict[str, Callable[[ls.Objective, Reference], Check]] = {
    "value": value,
    "product": product,
    "eigenvalues": eigenvalues,
    "trace": trace,
    "spectral_density": spectral_density,
    "relative_flatness": relative_flatness,
    "noise": noise,
    "quantization": quantization,
    "pruning": pruning,
    "worst_case": worst_case,
    "sharpness": sharpness,
    "critical_sharpness": critical_sharpness,
    "adaptive_sharpness": adaptive_sharpness,
    "batch_eigenvalues": batch_eigenvalues,
    "pac_bayes": pac_bayes,
    "fisher_rao": fisher_rao,
    "calibration": calibration,
    "surface": surface,
    "profile": profile,
    "path": path,
}
