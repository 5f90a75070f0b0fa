"""The trace of matrices whose trace is known, and intervals that hold as often as they say."""

import numpy as np
import pytest
import torch

from landscape.linalg.deflation import sketch
from landscape.linalg.trace import METHODS, trace

FLOAT = torch.float64
N = 60


def spectra(n=N):
    """Positive, indefinite, heavy-tailed of both signs, a power law, nearly of rank 3."""
    rng, k = np.random.default_rng(0), np.arange(1.0, n + 1)
    normal, signs = rng.normal(size=n), np.where(rng.random(n) < 0.3, -1.0, 1.0)
    found = {
        "positive": normal**2,
        "indefinite": normal + 0.3,
        "heavy": signs * k**-1.5,
        "power law": k**-2.0,
        "near low rank": np.concatenate([[10.0, 8.0, 5.0], 0.01 * k[3:] / n]),
    }
    return {name: torch.tensor(values, dtype=FLOAT) for name, values in found.items()}


def asked(values, **settings):
    """The estimators turn with the basis, so a diagonal stands for every matrix."""
    return trace(lambda v: values * v, torch.zeros(len(values), dtype=FLOAT), **settings)


def holds(found, exact):
    return found.low - 1e-12 <= exact <= found.high + 1e-12


def coverage(values, seeds, **settings):
    found = [asked(values, seed=seed, **settings) for seed in range(seeds)]
    return np.mean([holds(f, float(values.sum())) for f in found]), found


def test_a_rotation_changes_nothing_but_rounding():
    a = torch.randn(N, N, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
    q = torch.linalg.qr(a).Q
    values = spectra()["heavy"]
    h = q * values @ q.T
    for method in METHODS:
        found = trace(lambda v: h @ v, h[0], method=method, tolerance=0.1)
        assert abs(found.value - float(values.sum())) < 4.5 * found.stderr


@pytest.mark.parametrize("method", METHODS)
def test_the_identity_is_exact(method):
    found = asked(torch.ones(N, dtype=FLOAT), method=method)
    assert found.value == pytest.approx(N, rel=1e-12)
    assert found.stderr < 1e-5 and found.converged


def test_a_basis_of_everything_leaves_nothing_to_chance():
    values = spectra(12)["indefinite"]
    found = asked(values, tolerance=1e-6)
    assert (found.draws, found.deflated, found.matvecs) == (2, 12, 14)  # two before the basis
    assert found.value == pytest.approx(float(values.sum()), rel=1e-12)
    assert found.stderr == 0 and found.converged
    assert 0 < found.high - found.low < 1e-10


def test_the_known_share_is_that_of_the_basis():
    values = spectra()["heavy"]
    share = sketch(lambda v: values * v, values, 0.01, 14, 0)
    v = share.basis
    assert 5 <= share.size <= 14
    torch.testing.assert_close(v @ v.T, torch.eye(share.size, dtype=FLOAT), rtol=0, atol=1e-12)
    assert share.known == pytest.approx(float((v * values * v).sum()), rel=1e-12)


@pytest.mark.parametrize(("method", "least"), [("krylov", 4), ("hutch++", 3)])
def test_a_basis_stops_where_directions_are_cheaper(method, least):
    """Of three eigenvalues above a flat floor; at a loose tolerance the floor is not worth it."""
    values = spectra()["near low rank"]
    found = asked(values, method=method, tolerance=0.05)
    assert least <= found.deflated <= 9


def test_an_exhausted_range_ends_the_sketch():
    values = torch.zeros(N, dtype=FLOAT)
    values[:2] = torch.tensor([2.0, -1.0])
    found = asked(values, method="hutch++", tolerance=1e-3)
    assert found.deflated == 2
    assert found.value == pytest.approx(1.0, rel=1e-9)


def test_it_says_where_it_did_not_converge():
    found = asked(spectra()["indefinite"], tolerance=0.001, max_matvecs=40)
    assert not found.converged
    assert found.matvecs == 40
    assert found.high - found.low > 0.002 * abs(found.value)


@pytest.mark.parametrize("method", METHODS)
def test_it_stops_where_the_interval_is_narrow_enough_and_no_sooner(method):
    for seed in range(20):
        found = asked(spectra()["positive"], method=method, tolerance=0.1, seed=seed)
        half = (found.high - found.low) / 2
        assert found.converged and 10 < found.matvecs < 100
        assert half <= 0.1 * found.value


def test_a_trace_of_zero_never_converges_by_chance():
    values = torch.cat([torch.ones(30), -torch.ones(30)]).double()
    for seed in range(20):
        found = asked(values, method="hutchinson", max_matvecs=60, tolerance=0.1, seed=seed)
        assert not found.converged


def test_every_product_is_told_and_counted():
    told = []
    found = asked(spectra()["heavy"], tolerance=0.1, callback=told.append)
    assert told == list(range(1, found.matvecs + 1))
    assert found.matvecs == found.deflated + found.draws


@pytest.mark.parametrize("method", METHODS)
def test_the_error_of_products_widens_the_interval(method):
    values = spectra()["heavy"]
    settings = {"tolerance": 0.0, "max_matvecs": 30, "method": method}
    exact = asked(values, **settings)
    rough = asked(values, **settings, error=1e-2)
    assert (rough.draws, rough.value) == (exact.draws, exact.value)
    wider = (rough.high - rough.low - exact.high + exact.low) / 2
    longest = 1e-2 * float(values.abs().sum() + values.norm())
    assert 1e-2 * float(values.norm()) / 2 < wider < 1.5 * longest


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=[pytest.mark.slow] * (m != "hutch++")) for m in METHODS]
)
def test_the_interval_holds(method):
    """300 seeds: 0.91 is three standard deviations below 0.95; all cases at 1,000 below."""
    share, _ = coverage(spectra()["heavy"], 300, method=method, tolerance=0.3, max_matvecs=60)
    assert 0.91 <= share <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0.3, 0.05])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", spectra())
def test_the_interval_holds_with_stopping_on(name, method, tolerance):
    """1,000 seeds; also of those runs alone that stopped because they had converged."""
    values = spectra()[name]
    settings = {"method": method, "tolerance": tolerance, "max_matvecs": 200}
    share, found = coverage(values, 1000, **settings)
    assert share >= 0.93
    stopped = [f for f in found if f.converged]
    if len(stopped) >= 500:
        assert np.mean([holds(f, float(values.sum())) for f in stopped]) >= 0.93


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "xtrace"}, "`method` must be one of krylov, hutch.., hutchinson. Got 'xtrace'"),
        ({"tolerance": -0.1}, "`tolerance` must be non-negative. Got -0.1"),
        ({"max_matvecs": 19}, "`max_matvecs` must be at least 20. Got 19"),
    ],
)
def test_what_cannot_be_done_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        asked(spectra()["heavy"], **settings)


def test_products_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="NaN or infinity in product 1"):
        asked(torch.full((N,), torch.nan, dtype=FLOAT), method="hutchinson")
