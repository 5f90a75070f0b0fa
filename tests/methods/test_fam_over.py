"""FAM around other methods: trajectories, what is logged, what is kept."""

import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call

from landscape.methods import FAM, LETS, METHODS, SAM, SGD, AdamW, make
from landscape.network.batch import Batch
from landscape.optim import wrap

pytestmark = pytest.mark.slow  # runs the program from end to end

PAIRS = [f"fam+{name}" for name in METHODS if name not in ("fam", "adamw")]
SETTINGS = {"fam": {"lam": 0.1}}


@pytest.mark.parametrize("layer", ["0", "2"])
def test_twenty_steps_of_fam_over_sam_against_a_naive_twin(layer, stepper, batches):
    """Climb and descend on L + λκ, κ from the dense Hessian; momentum and weight decay by hand."""
    lam, rho, lr, momentum, wd = 0.1, 0.05, 0.1, 0.9, 5e-4
    ours = stepper("fam+sam", {"fam": {"lam": lam, "layer": layer}, "sam": {"rho": rho}})
    model, name = ours.walker.model, f"{layer}.weight"
    w = {key: p.detach().clone() for key, p in model.named_parameters()}
    velocity = {key: torch.zeros_like(p) for key, p in w.items()}

    def slope(at, batch):
        at = {key: p.detach().requires_grad_() for key, p in at.items()}

        def loss(W):
            return F.cross_entropy(functional_call(model, {**at, name: W}, batch.x), batch.y)

        W = at[name]
        T = torch.einsum("stut->su", hessian(loss, W, create_graph=True))
        kappa = (W @ W.T * T).sum()
        penalised = loss(W) + lam * kappa.relu()
        return dict(zip(at, torch.autograd.grad(penalised, list(at.values())), strict=True))

    for batch in batches(20):
        g = slope(w, batch)
        norm = torch.cat([part.flatten() for part in g.values()]).norm()
        g = slope({key: w[key] + rho * g[key] / norm for key in w}, batch)
        for key, v in velocity.items():
            v.mul_(momentum).add_(g[key] + wd * w[key])
            w[key] = w[key] - lr * v
        ours.step(batch)
    torch.testing.assert_close(
        ours.walker.w, torch.cat([p.flatten() for p in w.values()]), rtol=1e-9, atol=1e-11
    )


@pytest.mark.parametrize("pair", PAIRS)
def test_without_a_penalty_it_is_the_method_inside(pair, trained, batches):
    """F2, bit for bit."""
    inner = pair.partition("+")[2]
    steps = batches(5)
    assert torch.equal(trained(pair, {"fam": {"lam": 0.0}}, steps), trained(inner, {}, steps))


@pytest.mark.parametrize("pair", PAIRS)
def test_the_penalty_reaches_the_method_inside(pair, trained, batches):
    steps = batches(2)
    free, held = (trained(pair, {"fam": {"lam": lam}}, steps) for lam in (0.0, 0.5))
    assert (free - held).norm() > 1e-4


@pytest.mark.parametrize("pair", PAIRS)
def test_the_logged_loss_is_the_plain_one(pair, stepper, batches):
    """Of all shards, at w, without the penalty; κ beside it."""
    ours = stepper(pair, {"fam": {"lam": 0.5}})
    for batch in batches(3):
        expected = F.cross_entropy(ours.walker.model(batch.x), batch.y).detach()
        torch.testing.assert_close(ours.step(batch), expected)
        assert ours.logged["kappa"] > 0


def test_the_walkers_loss_comes_back(stepper, batch):
    ours = stepper("fam+sam", SETTINGS)
    loss = ours.walker.loss
    ours.step(batch)
    assert ours.walker.loss is loss


@pytest.mark.parametrize("draws", [None, 2])
def test_the_state_of_the_method_inside_is_kept(draws, stepper, batches):
    """R4: five and five steps are ten, through a file, with LETS's radius and FAM's own way."""
    settings = {"fam": {"lam": 0.1, "layer": "0", "draws": draws}}
    steps = batches(10)
    ours = stepper("fam+lets", settings)
    for i, batch in enumerate(steps):
        if i == 5:
            file = io.BytesIO()
            torch.save((ours.walker.model.state_dict(), ours.state_dict()), file)
        ours.step(batch)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    resumed = stepper("fam+lets", settings)
    resumed.walker.model.load_state_dict(weights)
    resumed.load_state_dict(state)
    assert resumed.method.way == ("exact" if draws is None else "signs")
    for batch in steps[5:]:
        resumed.step(batch)
    assert torch.equal(ours.walker.w, resumed.walker.w)
    assert torch.equal(ours.method.over.radius, resumed.method.over.radius)


def test_the_base_optimizer_is_that_of_the_method_inside(small_net):
    net = small_net()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    loss = None
    with pytest.raises(ValueError, match=r"needs torch.optim.AdamW as the base optimizer"):
        wrap(FAM(over=AdamW()), net, sgd, loss)
    assert wrap(FAM(over=SGD()), net, sgd, loss)
    assert not hasattr(FAM(over=SAM()), "base")
    assert not hasattr(FAM(), "base")


def test_what_cannot_stand_inside_is_refused():
    with pytest.raises(ValueError, match=r"`over` must be a method other than FAM.* Got FAM"):
        FAM(over=FAM())
    with pytest.raises(ValueError, match=r"`over` must be a method other than FAM.* Got str"):
        FAM(over="sam")
    assert isinstance(make("fam+lets+asam").over, LETS)


def test_lets_learns_on_the_penalised_gap(stepper, batches):
    """Held-out and training loss both carry λκ: with one batch on both sides there is no gap."""
    (batch,) = batches(1)
    ours = stepper("fam+lets", {"fam": {"lam": 0.5}, "lets": {"upper": "same"}}, held_out=[batch])
    for _ in range(3):
        ours.step(batch)
        assert ours.logged["gap"] == 0


def test_regression_over_sam(batches):
    """A loss without classes, a hidden layer: the exact way inside a climb."""
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    stepper = wrap(
        FAM(lam=0.01, layer="0", over=SAM()),
        net,
        torch.optim.SGD(net.parameters(), lr=0.05),
        lambda m, b: F.mse_loss(m(b.x).squeeze(1), b.y),
    )
    data = [Batch(b.x, b.x[:, 0].sin()) for b in batches(1) * 30]
    losses = [stepper.step(b).item() for b in data]
    assert losses[-1] < 0.7 * losses[0]
    assert stepper.method.way == "exact"
