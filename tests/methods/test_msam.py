"""mSAM against its definition: the perturbed gradients are averaged, not the perturbations."""

import copy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from landscape.methods import FAM, MSAM, SAM
from landscape.network.batch import Batch


def gradient(net, x, y, e=0.0):
    """∇L (n,) of a copy of the network moved by e."""
    twin = copy.deepcopy(net)
    w = parameters_to_vector(net.parameters()) + e
    vector_to_parameters(w.detach(), twin.parameters())
    loss = F.cross_entropy(twin(x), y)
    return parameters_to_vector(torch.autograd.grad(loss, [*twin.parameters()]))


@pytest.mark.parametrize("num_shards", [1, 2, 5, 12])
def test_against_the_definition(num_shards, stepper, small_net, batch):
    """Σ_j (n_j/n) ∇L_j(w + ρ g_j/‖g_j‖); twelve shards of twelve examples: per-example SAM."""
    ours = stepper("msam", {"msam": {"rho": 0.3, "num_shards": num_shards}})
    ours.step(batch)
    net, total = small_net(), 0.0
    ends = [12 * j // num_shards for j in range(num_shards + 1)]
    for i, j in pairwise(ends):
        x, y = batch.x[i:j], batch.y[i:j]
        g = gradient(net, x, y)
        total = total + (j - i) / 12 * gradient(net, x, y, 0.3 * g / g.norm())
    torch.testing.assert_close(ours.walker.descents[0][1], total, rtol=1e-9, atol=1e-12)


def two_parabolas(model, batch):
    """L_1 = (w - 2)²/2, L_2 = 3w²/2, averaged over the rows (a, c): a (w - c)²/2."""
    a, c = batch.x.unbind(1)
    return (a * (model.w - c) ** 2 / 2).mean()


@pytest.mark.parametrize(("num_shards", "expected"), [(1, 1.2), (2, 1.1)])
def test_two_parabolas_by_hand(num_shards, expected, point_walker):
    """w = 1, ρ = 0.1: SAM's gradient is 1.2, mSAM's 1.1; averaged perturbations would give 1.0."""
    walker = point_walker([1.0], two_parabolas, lr=1.0)
    batch = Batch(torch.tensor([[1.0, 2.0], [3.0, 0.0]], dtype=torch.float64), None)
    MSAM(rho=0.1, num_shards=num_shards).step(walker, batch)
    torch.testing.assert_close(1.0 - walker.w.item(), expected, rtol=1e-12, atol=0)


def test_quadratics_of_uneven_weight(point_walker):
    """G = Σ_j (n_j/n)(g_j + ρ A_j g_j/‖g_j‖) exactly, for shards of 2 and 3 examples."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(5, 3, 3, generator=generator, dtype=torch.float64)
    a, c = a @ a.mT, torch.randn(5, 3, generator=generator, dtype=torch.float64)

    def loss(model, batch):
        A, c = batch.x
        d = model.w - c
        return torch.einsum("ni,nij,nj->n", d, A, d).mean() / 2

    walker = point_walker([0.5, -1.0, 2.0], loss, lr=1.0)
    w, expected = walker.w, 0.0
    for part in (slice(0, 2), slice(2, 5)):
        A, g = a[part].mean(0), torch.einsum("nij,nj->i", a[part], w - c[part]) / len(a[part])
        expected = expected + len(a[part]) / 5 * (g + 0.2 * A @ g / g.norm())
    MSAM(rho=0.2, num_shards=2).step(walker, Batch((a, c), None))
    torch.testing.assert_close(w - walker.w, expected, rtol=1e-12, atol=1e-14)


def test_order_matters_between_shards_only(trained, batch):
    def moved(order):
        return trained("msam", {"msam": {"num_shards": 2}}, [Batch(batch.x[order], batch.y[order])])

    straight, inside = torch.arange(12), torch.tensor([5, 1, 2, 3, 4, 0, 11, 7, 8, 9, 10, 6])
    across = torch.tensor([6, 1, 2, 3, 4, 5, 0, 7, 8, 9, 10, 11])
    torch.testing.assert_close(moved(inside), moved(straight), rtol=1e-12, atol=1e-14)
    assert (moved(across) - moved(straight)).norm() > 1e-4


def test_shards_have_longer_gradients(stepper, batch):
    """The penalty that mSAM adds: Σ_j (n_j/n)‖g_j‖ grows as the partition is refined."""
    norms = []
    for num_shards in (1, 2, 4, 12):
        ours = stepper("msam", {"msam": {"num_shards": num_shards, "mode": "sequential"}})
        ours.step(batch)
        norms.append(torch.stack([g.norm() for g in ours.walker.own]).mean().item())
    assert norms == sorted(norms)
    assert norms[-1] > norms[0]


def test_wrong_settings_are_refused(stepper, batch):
    with pytest.raises(ValueError, match=r"`num_shards` must be a whole number of at least 1"):
        MSAM(num_shards=0)
    with pytest.raises(ValueError, match=r"`rho` must be non-negative. Got -1"):
        MSAM(rho=-1.0)
    with pytest.raises(ValueError, match="Got FAM: it penalises and perturbs nothing"):
        MSAM(over=FAM())
    with pytest.raises(ValueError, match=r"at least 13 examples.* Got 12"):
        stepper("msam", {"msam": {"num_shards": 13}}).step(batch)
    assert MSAM(over=SAM(rho=0.3)) == MSAM(over=SAM(rho=0.3))


def test_a_batch_smaller_than_its_shards_is_refused(net_walker, batch):
    """The last batch of an epoch, before anything has moved."""
    walker = net_walker()
    w = walker.w
    with pytest.raises(ValueError, match=r"at least 13 examples.* Got 12: use drop_last=True"):
        MSAM(num_shards=13).step(walker, batch)
    assert torch.equal(walker.w, w)
