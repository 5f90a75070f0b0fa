"""What the base optimizer is given beside the flat gradient: None, and a criterion's gradients."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import optim
from landscape.methods import LETS, MSAM, Lookbehind, MultistepSAM, make
from landscape.network.batch import Batch


class Branches(nn.Module):
    """Stochastic depth by a list of which branches each pass takes."""

    def __init__(self, plan):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.branches = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
            self.head = nn.Linear(6, 3)
        self.draw = itertools.cycle(plan).__next__
        self.double()

    def forward(self, x):
        for i in self.draw():
            x = x + torch.tanh(self.branches[i](x))
        return self.head(x)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def branches_that_move(method, plan, batch):
    """After two steps with strong decay: the second shows what momentum does, too."""
    model = Branches(plan)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.5)
    stepper = optim.wrap(method, model, sgd, cross_entropy, held_out=[batch])
    stepper.step(batch)
    before = [b.weight.detach().clone() for b in model.branches]
    stepper.step(batch)
    pairs = zip(before, model.branches, strict=True)
    return [i for i, (old, b) in enumerate(pairs) if not torch.equal(old, b.weight)]


class Extragradient:
    """A user's own method, which marks nothing."""

    def step(self, walker, batch):
        g = walker.grad(batch)
        walker.descend(walker.grad(batch, at=walker.w - 0.1 * g))


@pytest.mark.parametrize(
    ("method", "plan", "moving"),
    [
        ("sgd", [(0,), (1,)], [1]),  # one pass a step: the plan's passes are steps
        ("sam", [(0,), (1,)], [1]),  # the first pass only leads the way
        (Extragradient(), [(0,), (1,)], [1]),
        ("sam", [(0, 1), (1, 2)], [1, 2]),
        ("asam", [(0,), ()], []),
        (MultistepSAM(k=2), [(0,), (1,), (2,)], [2]),
        (MultistepSAM(k=2, average=True), [(0,), (1,), (2,)], [1, 2]),
        ("msam", [(0,), (1,), (0,), (2,), (0,), (1,), (0,), (2,)], [1, 2]),
        (Lookbehind(alpha=1.0), [(0,), (1,), (2,), (1,)], [1]),
        (LETS(beta=0.0), [(0,), (1,)], [1]),
    ],
)
def test_the_gradient_descended_by_says_what_was_reached(method, plan, moving, batch):
    assert branches_that_move(method, plan, batch) == moving


def test_gradients_that_are_zero_are_no_missing_ones(batch):
    """A dead unit is decayed, as torch decays it."""
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    net[0].bias.data.fill_(-1e3)
    before = net[0].weight.detach().clone()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.5)
    optim.wrap("sam", net, sgd, cross_entropy).step(batch)
    torch.testing.assert_close(net[0].weight.detach(), before * 0.95)


def test_both_ways_of_shards_leave_the_same_alone(batches):
    """vmap knows the graph's missing gradients, too."""
    found = []
    for mode in ("sequential", "vmap"):
        model = Branches([(0,)])
        sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.5)
        method = MSAM(mode=mode)
        stepper = optim.wrap(method, model, sgd, cross_entropy)
        for batch in batches(2):
            stepper.step(batch)
        found.append(stepper.walker.w)
        assert torch.equal(model.branches[1].weight, Branches([(0,)]).branches[1].weight)
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


class Margin(nn.Module):
    """Cross-entropy with a learned temperature and class centres, as metric learning has them."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.centres = nn.Parameter(torch.randn(3, 3, dtype=torch.float64))
        self.log_temperature = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, z, y):
        return F.cross_entropy(z @ self.centres * self.log_temperature.exp(), y)


def plain_step(model, criterion, optimizers, batch, rho):
    """SAM where the criterion learns from the second pass."""

    def gradients():
        for optimizer in optimizers:
            optimizer.zero_grad()
        criterion(model(batch.x), batch.y).backward()
        return [p.grad for p in model.parameters()]

    g = gradients()
    norm = torch.sqrt(sum(t.square().sum() for t in g))
    start = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for p, t in zip(model.parameters(), g, strict=True):
            p += rho * t / norm
    gradients()
    with torch.no_grad():
        for p, t in zip(model.parameters(), start, strict=True):
            p.copy_(t)
    for optimizer in optimizers:
        optimizer.step()


@pytest.mark.parametrize("rho", [0.0, 0.05])
def test_a_criterion_with_an_optimizer_of_its_own_learns(rho, small_net, batches):
    models, criteria = [small_net(), small_net()], [Margin(), Margin()]
    optimizers = [
        [torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9), torch.optim.Adam(c.parameters())]
        for m, c in zip(models, criteria, strict=True)
    ]
    stepper = optim.wrap(
        make("sam", {"sam": {"rho": rho}}),
        models[0],
        optimizers[0][0],
        lambda m, b: criteria[0](m(b.x), b.y),
    )
    for batch in batches(5):
        optimizers[0][1].zero_grad()
        stepper.step(batch)
        optimizers[0][1].step()
        plain_step(models[1], criteria[1], optimizers[1], batch, rho)
    for pair in (models, criteria):
        for p, q in zip(*(m.parameters() for m in pair), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", ["sgd", "msam"])
@pytest.mark.parametrize("split", [False, True])
def test_its_gradient_is_the_mean_over_the_batch(method, split, small_net, batch):
    """Over uneven parts and shards by examples; it adds to what is there, as backward does."""
    model, criterion = small_net(), Margin()
    method = make(method, {"msam": {"rho": 0.0, "num_shards": 5}} if method == "msam" else {})
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    stepper = optim.wrap(method, model, sgd, lambda m, b: criterion(m(b.x), b.y))
    (expected,) = torch.autograd.grad(criterion(model(batch.x), batch.y), criterion.centres)
    criterion.centres.grad = torch.ones_like(expected)
    parts = [Batch(batch.x[:3], batch.y[:3]), Batch(batch.x[3:], batch.y[3:])]
    stepper.step(parts if split else batch)
    torch.testing.assert_close(criterion.centres.grad, 1 + expected)


def test_it_learns_from_shards_at_once(small_net, batch):
    grads = []
    for mode in ("sequential", "vmap"):
        model, criterion = small_net(), Margin()
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        stepper = optim.wrap(MSAM(mode=mode), model, sgd, lambda m, b, c=criterion: c(m(b.x), b.y))
        stepper.step(batch)
        grads.append(criterion.centres.grad)
    torch.testing.assert_close(*grads)


def captured_list(net):
    parameters = list(net.parameters())
    return lambda m, b: cross_entropy(m, b) + sum(p.square().sum() for p in parameters)


def captured_dict(net):
    weights = dict(net.named_parameters())

    def loss(m, b):
        return F.cross_entropy(torch.func.functional_call(m, weights, (b.x,)), b.y)

    return loss


@pytest.mark.parametrize("build", [captured_list, captured_dict])
def test_parameters_taken_outside_the_pass_are_refused(build, small_net, batch):
    net = small_net()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    stepper = optim.wrap("sam", net, sgd, build(net))
    before = stepper.walker.w
    with pytest.raises(ValueError, match=r"inside the pass. Got .*0.weight.* call `model.param"):
        stepper.step(batch)
    assert torch.equal(stepper.walker.w, before)


@pytest.mark.parametrize(
    "loss",
    [
        lambda m, b: cross_entropy(m, b).detach(),
        torch.no_grad()(cross_entropy),
        lambda m, b: Margin()(m(b.x).detach(), b.y),
    ],
)
@pytest.mark.parametrize("method", ["sgd", "sam"])
def test_a_loss_without_a_graph_is_refused(loss, method, small_net, batch):
    net = small_net()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="must depend on the model's trainable parameters"):
        optim.wrap(method, net, sgd, loss).step(batch)


def test_a_step_inside_no_grad_is_the_step(small_net, batch):
    """As torch's optimizers do for closures."""
    nets = [small_net(), small_net()]
    for i, net in enumerate(nets):
        sgd = torch.optim.SGD(net.parameters(), lr=0.1)
        with torch.set_grad_enabled(i == 0):
            optim.wrap("sam", net, sgd, cross_entropy).step(batch)
    assert all(map(torch.equal, nets[0].parameters(), nets[1].parameters()))
