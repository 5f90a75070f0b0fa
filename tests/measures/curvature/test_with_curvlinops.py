"""curvlinops with ARPACK as a second opinion."""

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, Objective
from landscape.measures import Eigenvalues
from landscape.measures.eigenvalues import WHICH

pytest.importorskip("curvlinops")


@pytest.mark.parametrize("which", WHICH)
def test_agrees_with_ours(objective, which):
    subject = objective()
    ours = Eigenvalues(k=2, which=which, tolerance=1e-6)(subject)
    theirs = Eigenvalues(k=2, which=which, backend="curvlinops")(subject)
    np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-5)
    assert (theirs.residuals < 1e-3).all()
    assert theirs.hvps > 3
    assert (theirs.backend, theirs.which) == ("curvlinops", which)


def test_dict_batches_a_layer_and_what_is_unused(net):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net("mlp")
            self.idle = nn.Linear(2, 2).double()

        def forward(self, x):
            return self.inner(x["x"])

    x = torch.randn(9, 6, dtype=torch.float64)
    subject = Objective(
        Named(),
        [Batch({"x": x[:6]}, torch.arange(6) % 3), Batch({"x": x[6:]}, torch.arange(3))],
        lambda m, b: F.cross_entropy(m(b.x), b.y),
    )
    for layer in (None, "inner.2"):
        ours = Eigenvalues(k=1, tolerance=1e-9, layer=layer)(subject)
        theirs = Eigenvalues(k=1, tolerance=1e-4, layer=layer, backend="curvlinops")(subject)
        np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-6)


def test_its_wrong_products_show_in_the_residual(objective):
    """Affine layer norm: jvp(jacrev) drops a term, ARPACK converges to the spectrum of no one."""
    record = Eigenvalues(k=2, backend="curvlinops")(objective("layer_norm"))
    assert not record.converged.any()


def test_what_it_cannot_do(objective, monkeypatch):
    with pytest.raises(ValueError, match="cannot re-estimate"):
        Eigenvalues(k=1, backend="curvlinops")(objective("conv", batch_norm="reestimated"))
    with pytest.raises(ValueError, match=r"fewer pairs than the matrix has, 53. Got 53"):
        Eigenvalues(k=53, backend="curvlinops")(objective())
    monkeypatch.setitem(sys.modules, "curvlinops", None)
    with pytest.raises(ValueError, match=r"landscape\[bench\]"):
        Eigenvalues(k=1, backend="curvlinops")(objective())


def test_stopped_early(objective):
    record = Eigenvalues(k=3, max_hvps=1, tolerance=1e-12, backend="curvlinops")(objective("tied"))
    assert len(record.values) == 3
    assert not record.converged.all()
