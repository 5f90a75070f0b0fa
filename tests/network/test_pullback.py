"""vᵀ ∂y/∂x: the bits of torch's own contraction, in every dtype, without sympy."""

import subprocess
import sys

import pytest
import torch

from landscape.network.flatness import pullback


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(6,), (2, 3), (3, 1, 2)])
def test_same_bits_as_torch_from_the_vector_on(dtype, shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(dtype).requires_grad_()
    v = torch.randn(shape, generator=generator)
    y = (1000 * x).square() if dtype == torch.float64 else x.square() * x
    (expected,) = torch.autograd.grad(y, x, v.to(y), retain_graph=True)
    assert torch.equal(pullback(y, x, v), expected)
    assert torch.equal(pullback(y, x, v), expected), "the graph is kept"


def test_vector_is_a_constant_though_it_depends_on_the_input():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert pullback(x.square(), x, 3 * x).tolist() == [6.0, 24.0]  # 3 x · 2 x


def test_zeros_where_the_output_does_not_depend_on_the_input():
    x, other = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    assert pullback(2 * other, x, torch.ones(2)).tolist() == [0.0, 0.0]


def test_derivatives_are_taken_where_gradients_are_off():
    x = torch.tensor([3.0], requires_grad=True)
    y = x.square()
    with torch.no_grad():
        assert pullback(y, x, torch.ones(1)).item() == 6.0


@pytest.mark.slow
def test_products_of_an_objective_import_no_sympy():
    code = (
        "import sys, torch, landscape as ls\n"
        "loss = lambda model, batch: model(batch.x).square().mean()\n"
        "o = ls.Objective(torch.nn.Linear(2, 1), [(torch.ones(3, 2), torch.zeros(3))], loss)\n"
        "ls.measures.Eigenvalues(k=1)(o)\n"
        "assert 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
