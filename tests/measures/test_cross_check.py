"""Every solver on one question, judged by the same products."""

import sys

import numpy as np
import pytest

from landscape.measures import CrossCheck
from landscape.records import load


def test_who_meets_the_residual_and_who_differs(objective, tmp_path):
    pytest.importorskip("curvlinops")
    calls = []
    record = CrossCheck(k=2)(objective(), progress=lambda *now: calls.append(now))
    assert list(record.backends) == ["lanczos", "pyhessian", "curvlinops"]
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert record.met[0].all() and record.met[2].all()
    assert not record.differs[0].any() and not record.differs[2].any()
    assert (record.met == (record.residuals <= 1e-4 * np.abs(record.values[0]).max())).all()
    assert (record.seconds > 0).all()
    assert not record.message.astype(bool).any()
    record.save(tmp_path / "x.nc")
    np.testing.assert_array_equal(load(tmp_path / "x.nc").values, record.values)


def test_a_solver_that_misses_one_differs(objective, monkeypatch):
    from landscape.measures import eigenvalues

    def without_the_first(made, block, k, *rest):
        values, vectors, hvps = eigenvalues.power_iteration(made, block, k + 1, *rest)
        return values[1:], vectors[:, 1:], hvps

    monkeypatch.setitem(eigenvalues.OTHERS, "pyhessian", without_the_first)
    record = CrossCheck(k=2, tolerance=1e-5, max_hvps=2000)(objective())
    assert record.met[0].all()
    assert record.differs[1].all()


def test_what_lies_within_its_own_bound_does_not_differ(objective, monkeypatch):
    from landscape.measures import eigenvalues

    def a_little_off(*question):
        values, vectors, hvps = eigenvalues.power_iteration(*question)
        return values * (1 + 1e-6), vectors, hvps

    monkeypatch.setitem(eigenvalues.OTHERS, "pyhessian", a_little_off)
    record = CrossCheck(k=2, tolerance=1e-5, max_hvps=2000)(objective())
    off = np.abs(record.values[1] - record.values[0])
    assert (off > 1e-8).all() and (off <= record.bounds[1] + record.bounds[0]).all()
    assert not record.differs[1].any()


def test_what_fails_says_why(objective, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyhessian", None)
    record = CrossCheck(k=2, which="largest")(objective())
    assert "by magnitude" in record.message[1]
    assert np.isnan(record.values[1]).all() and np.isnan(record.hvps[1])
    assert not record.met[1].any() and not record.differs[1].any()
    record = CrossCheck(k=2)(objective("conv", batch_norm="reestimated"))
    assert record.met[0].all()
    assert "pyhessian" in record.message[1] or "re-estimate" in record.message[1]
    assert "re-estimate" in record.message[2]


def test_our_own_errors_are_raised(objective):
    with pytest.raises(ValueError, match="Unknown layer 'frist'"):
        CrossCheck(k=2, layer="frist")(objective("tied"))
