"""LETS over any method: its hypergradient by finite differences through the real optimizer."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.optim import Optimizer

from landscape.methods import AACE, LETS, MSAM, SAM, Lookahead, Lookbehind, ascent, make
from landscape.methods.walker.walker import Walker

pytestmark = pytest.mark.slow  # runs the program from end to end

SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
MOMENTUM = (SGD, {"momentum": 0.9, "weight_decay": 0.1, "dampening": 0.2})
NESTEROV = (SGD, {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True})
SETTINGS = {"lookbehind": {"k": 3}, "lookahead": {"same_batch": True}, "asam": {"eta": 0.3}}
ADAPTIVE = {"lookbehind": {"k": 3, "alpha": "adaptive"}}
AVERAGE = {"multistep-sam": {"k": 3, "average": True, "split": True}}


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def third_step(walker, method, batches, hessian):
    """dF/dρ at 0.3 as LETS has it, and by a central difference; after two steps of the base."""
    train, held_out = batches(2)
    for _ in range(2):
        walker.descend(walker.grad(train))
    walker.feed([held_out], None)

    def F_of(rho):
        model = copy.deepcopy(walker.model)
        base = type(walker.optimizer)(model.parameters(), lr=0.05)
        base.load_state_dict(copy.deepcopy(walker.optimizer.state_dict()))
        twin = Walker(model, base, walker.loss, max_grad_norm=walker.max_grad_norm)
        again = copy.deepcopy(method)  # with its memory
        with ascent.radius(again, rho):
            again.step(twin, train)
        return (twin.value(held_out) - twin.value(train)) ** 2 / 2

    expected = ((F_of(0.3 + 1e-4) - F_of(0.3 - 1e-4)) / 2e-4).item()
    LETS(rho=0.3, hessian=hessian, upper="same", over=method).step(walker, train)
    return walker.logged["hypergradient"].item(), expected


@pytest.mark.parametrize(
    ("name", "settings", "base"),
    [
        ("sam", {}, (AdamW, {"weight_decay": 0.1})),
        ("asam", {}, MOMENTUM),
        ("aace", {}, MOMENTUM),
        ("msam+asam", {}, NESTEROV),
        ("multistep-sam+asam", {}, MOMENTUM),
        ("multistep-sam+msam", AVERAGE, (Adam, {})),
        ("lookbehind", {}, (SGD, {})),
        ("lookbehind", {}, MOMENTUM),
        ("lookbehind", ADAPTIVE, NESTEROV),
        ("lookbehind+asam", {}, MOMENTUM),
        ("lookbehind+msam+asam", {}, NESTEROV),
        ("lookbehind+aace", {}, MOMENTUM),
        ("lookahead+sam", {}, MOMENTUM),
        ("lookahead+lookbehind+asam", {}, NESTEROV),
        ("lookahead+friendly-sam", {"lookahead": {"k": 3, "same_batch": True}}, MOMENTUM),
        ("gsam", {"gsam": {"rho_min": 0.01}}, MOMENTUM),
        ("gsam+msam+asam", {"gsam": {"minimize_fp": False}}, (Adam, {})),
        ("gsam+aace", {}, NESTEROV),
        ("wsam", {}, MOMENTUM),
        ("wsam+asam", {}, (AdamW, {"weight_decay": 0.1})),
        ("lookahead+wsam+msam", {"wsam": {"decouple": False}}, NESTEROV),
        ("lookbehind+sam-on+asam", {"sam-on": {"no_norm": True}}, MOMENTUM),
    ],
)
@pytest.mark.parametrize("hessian", ["exact", "difference"])
def test_every_step_is_differentiated(name, settings, base, hessian, small_net, batches):
    """Exact to 1e-6, momentum carried; the forward difference to its own error, which also stands
    for the derivative of aace's adversarial gradient.
    """
    model, (optimizer, options) = small_net(), base
    walker = Walker(model, optimizer(model.parameters(), lr=0.05, **options), cross_entropy)
    method = make(name, SETTINGS | settings)
    found, expected = third_step(walker, method, batches, hessian)
    exact = hessian == "exact" and name != "lookbehind+aace"
    assert found == pytest.approx(expected, rel=1e-6 if exact else 0.02)
    assert expected != 0


def test_through_clipping(small_net, batches):
    model = small_net()
    base = SGD(model.parameters(), lr=0.05, momentum=0.9)
    walker = Walker(model, base, cross_entropy, max_grad_norm=0.1)
    found, expected = third_step(walker, make("lookbehind"), batches, "exact")
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"maximize": True, "lr": 1e-3}])
@pytest.mark.parametrize("optimizer", [Adam, AdamW])
@pytest.mark.parametrize("name", ["lookbehind", "lookbehind+msam+asam", "lookahead+sam"])
def test_moments_are_carried_between_the_descents_of_one_step(
    name, optimizer, options, small_net, batches
):
    """Lookbehind's and Lookahead's base steps through Adam's moments and its decay."""
    model = small_net()
    base = optimizer(model.parameters(), **{"lr": 0.05, **options})
    walker = Walker(model, base, cross_entropy)
    slope, expected = third_step(walker, make(name, SETTINGS), batches, "exact")
    assert slope == pytest.approx(expected, rel=1e-6)
    assert expected != 0


def test_a_wrapped_optimizer_is_differentiated_as_what_it_wraps(small_net, batches):
    """Momentum is carried; before, a wrapper was taken for an optimizer that keeps none."""
    slopes = []
    for wrapper in (lambda o: o, Wrapper):
        model = small_net()
        base = SGD(model.parameters(), lr=0.05, momentum=0.9)
        walker = Walker(model, wrapper(base), cross_entropy, held_out=batches(1, seed=5))
        method = LETS(upper="same", over=make("lookbehind", SETTINGS))
        method.step(walker, batches(1)[0])
        slopes.append(walker.logged["hypergradient"].item())
    assert slopes[0] == slopes[1] != 0


class Wrapper(Optimizer):
    """Keeps an optimizer inside and never runs torch's own __init__."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    param_groups = property(lambda self: self.optimizer.param_groups)
    state = property(lambda self: self.optimizer.state)

    def step(self, closure=None):
        self.optimizer.step(closure)


def test_the_secant_of_lookbehind(net_walker, batches):
    """dφ⁺/dρ = -α lr Σ_i (∇L(z_i) - ∇L(φ))/ρ: the quotient from 0 to ρ, without a further pass."""
    train, held_out = batches(2)
    walker, plain = (net_walker(walker={"held_out": [held_out]}) for _ in range(2))
    z, slope, g = plain.w, 0.0, plain.grad(train)
    for _ in range(3):
        a = plain.grad(train, at=z)
        z = z + 0.2 * a / a.norm()
        slope = slope - 0.4 * 0.1 * (plain.grad(train, at=z) - g) / 0.2
    method = LETS(over=Lookbehind(rho=0.2, k=3, alpha=0.4))
    method.step(walker, train)
    torch.testing.assert_close(method.kept, slope, rtol=1e-10, atol=1e-13)
    assert walker.passes == 6


def test_the_secant_behind_a_step(quadratic_walker):
    """Lookahead's second climb starts where the radius has led: exact in one dimension."""
    slopes = []
    for hessian in ("secant", "exact"):
        method = LETS(hessian=hessian, over=Lookahead(k=3, same_batch=True, over=SAM(rho=0.3)))
        method.step(quadratic_walker([4.0], [1.0], lr=0.05, momentum=0.9), None)
        slopes.append(method.kept)
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["lookbehind+asam", "msam+aace", "lookahead+sam"])
def test_single_precision_and_the_radius_outside_stay(name, small_net, batches):
    """Tangents have the weights' type; the method inside keeps its own radius."""
    model = small_net().float()
    held_out = [type(b)(b.x.float(), b.y) for b in batches(1)]
    base = SGD(model.parameters(), lr=0.05, momentum=0.9)
    walker = Walker(model, base, cross_entropy, held_out=held_out)
    method, inside = LETS(over=make(name)), make(name)
    for batch in batches(3):
        method.step(walker, type(batch)(batch.x.float(), batch.y))
    assert method.kept.dtype == torch.float32
    assert method.over == inside
    assert method.radius.item() != method.start


@pytest.mark.parametrize(
    "over", [MSAM(num_shards=5), Lookahead(same_batch=True, over=SAM()), AACE()], ids=repr
)
def test_the_gap_of_next_is_taken_at_the_start(over, net_walker, batches):
    """Over all shards, and also where the step goes on to further points by passes of its own."""
    train, held_out = batches(2)
    walker = net_walker(walker={"held_out": [held_out]})
    method = LETS(over=over)
    method.step(walker, train)
    expected = walker.value(held_out) - walker.value(train)
    method.step(walker, train)
    torch.testing.assert_close(walker.logged["gap"], expected, rtol=1e-10, atol=0)
