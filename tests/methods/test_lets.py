"""LETS: the hypergradient by hand and by finite differences, the radius, the order of a step."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F

from landscape.methods import ASAM, FAM, LETS, SAM, Lookahead, ascent
from landscape.methods.components import learned_radius
from landscape.methods.dual_walker import dual, tangents, unpack
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch

SGD, Adam = torch.optim.SGD, torch.optim.Adam
HESSIANS = ["exact", "difference", "secant", "diagonal"]


@pytest.fixture
def quadratics(point_walker):
    """L(w) = (w - c)ᵀA(w - c)/2 + d with (A, c, d) in the batch; a walker and its three batches."""

    def make(dimension=3, seed=0, optimizer=SGD, **options):
        generator = torch.Generator().manual_seed(seed)

        def loss(model, batch):
            (A,), (c,), (d,) = batch.x
            return (model.w - c) @ A @ (model.w - c) / 2 + d

        def quadratic():
            root, c, d = (
                torch.randn(1, *shape, generator=generator, dtype=torch.float64)
                for shape in ((dimension, dimension), (dimension,), ())
            )
            return Batch((root @ root.mT, c, d), None)

        train, fresh, held_out = (quadratic() for _ in range(3))
        start = torch.randn(dimension, generator=generator, dtype=torch.float64).tolist()
        data = {"held_out": [held_out], "fresh": iter([fresh] * 100)}
        walker = point_walker(start, loss, 0.05, optimizer, data, **options)
        return walker, train, fresh, held_out

    return make


def one_dimension(model, batch):
    """L_tr = w², L_vl = (w - 0.5)²/2 + 0.25."""
    return (model.w**2).sum() if batch.y[0] == 0 else ((model.w - 0.5) ** 2).sum() / 2 + 0.25


@pytest.mark.parametrize(
    ("hessian", "expected"),
    [
        ("exact", -0.0740376),
        ("difference", -0.0740376),
        ("secant", -0.0740376),
        ("diagonal", -0.213228288),
    ],
)
def test_the_hypergradient_by_hand(hessian, expected, point_walker):
    """w = 1, lr 0.1, ρ = 0.2: g̃ = 2.4, w⁺ = 0.76, G = -0.2938, δ = -1.26."""
    train, held_out = (Batch(torch.zeros(1), torch.tensor([y])) for y in (0, 1))
    walker = point_walker([1.0], one_dimension, 0.1, walker={"held_out": [held_out]})
    LETS(rho=0.2, hessian=hessian, upper="same").step(walker, train)
    assert walker.w.item() == pytest.approx(0.76, abs=1e-12)
    assert walker.logged["gap"].item() == pytest.approx(-0.2938, abs=1e-12)
    assert walker.logged["hypergradient"].item() == pytest.approx(expected, abs=1e-10)
    assert walker.logged["agreement"].item() == pytest.approx(1.0)
    assert walker.logged["negative"].item() == 0.0


@pytest.mark.thinned(3)
@pytest.mark.parametrize("hessian", ["exact", "secant", "difference"])
@pytest.mark.parametrize("upper", ["same", "fresh"])
@pytest.mark.parametrize("rule", ["sam", "asam"])
@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (SGD, {}),
        (SGD, {"momentum": 0.9, "weight_decay": 0.1, "dampening": 0.2}),
        (SGD, {"momentum": 0.9, "nesterov": True}),
        (Adam, {"weight_decay": 0.1}),
    ],
)
def test_the_hypergradient_against_finite_differences(
    optimizer, options, rule, upper, hessian, quadratics
):
    """dF/dρ of F = (L_vl(w⁺) - L_tr(w⁺))²/2 through the real optimizer, in its third step."""
    walker, train, fresh, held_out = quadratics(optimizer=optimizer, **options)
    over = {"sam": SAM(), "asam": ASAM(eta=0.3)}[rule]
    for _ in range(2):
        walker.descend(walker.grad(train))

    def F_of(rho):
        model = copy.deepcopy(walker.model)
        base = optimizer(model.parameters(), lr=0.05, **options)
        base.load_state_dict(copy.deepcopy(walker.optimizer.state_dict()))
        twin = Walker(model, base, walker.loss)
        type(over)(**{**vars(over), "rho": rho}).step(twin, train)
        upper_train = fresh if upper == "fresh" else train
        return (twin.value(held_out) - twin.value(upper_train)) ** 2 / 2

    expected = ((F_of(0.3 + 1e-4) - F_of(0.3 - 1e-4)) / 2e-4).item()
    LETS(rho=0.3, hessian=hessian, upper=upper, over=over).step(walker, train)
    assert walker.logged["hypergradient"].item() == pytest.approx(expected, rel=1e-5)


def test_the_exact_hessian_is_that_of_the_perturbed_point(net_walker, batches):
    """On a network, where it differs from w's: dF/dρ by central difference to 1e-6."""
    train, held_out = batches(2)

    def F_of(rho):
        twin = net_walker()
        SAM(rho).step(twin, train)
        return (twin.value(held_out) - twin.value(train)) ** 2 / 2

    walker = net_walker(walker={"held_out": [held_out]})
    LETS(rho=0.5, hessian="exact", upper="same").step(walker, train)
    expected = ((F_of(0.5 + 1e-4) - F_of(0.5 - 1e-4)) / 2e-4).item()
    assert walker.logged["hypergradient"].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("hessian", HESSIANS)
def test_a_linear_loss_has_no_curvature(hessian, point_walker):
    """Which the diagonal of squared gradients does not notice."""

    def loss(model, batch):
        return model.w @ model.w.new_tensor([1.0, 2.0]) * (1.0 + batch.y[0])

    data = {"held_out": [Batch(torch.zeros(1), torch.tensor([1]))]}
    walker = point_walker([1.0, 1.0], loss, 0.1, walker=data)
    LETS(hessian=hessian, upper="same").step(walker, Batch(torch.zeros(1), torch.tensor([0])))
    assert (abs(walker.logged["hypergradient"].item()) < 1e-12) == (hessian != "diagonal")


def naive(net, batches, held_out, fresh, upper):
    """Section 2 in its own variables: secant, plain SGD, ν = log ρ moved by torch's Adam."""
    nu = torch.tensor([0.1], dtype=torch.float64).log().requires_grad_()
    adam, pending, radii = Adam([nu], lr=0.1, eps=0.0), None, []

    def at(theta, B):
        parts = theta.split([p.numel() for p in net.parameters()])
        named = zip(net.named_parameters(), parts, strict=True)
        parts = {name: part.view(p.shape) for (name, p), part in named}
        L = F.cross_entropy(torch.func.functional_call(net, parts, B.x), B.y)
        return L.detach(), torch.autograd.grad(L, theta)[0]

    def learn(theta, B, Hv):
        (L_vl, d_vl), (L_tr, d_tr) = at(theta, next(held_out)), at(theta, B)
        nu.grad = -0.1 * (L_vl - L_tr) * ((d_vl - d_tr) @ Hv) * nu.detach().exp()
        adam.step()

    theta = torch.cat([p.detach().flatten() for p in net.parameters()]).requires_grad_()
    for B in batches:
        rho = nu.detach().exp()
        radii.append(rho.item())
        g, start = at(theta, B)[1], theta
        gt = at(theta + rho * g / g.norm(), B)[1]
        theta, Hv = (theta - 0.1 * gt).detach().requires_grad_(), (gt - g) / rho
        if upper == "next":
            if pending is not None:
                learn(start, B, pending)
            pending = Hv
        else:
            learn(theta, B if upper == "same" else next(fresh), Hv)
    return theta.detach(), radii


@pytest.mark.parametrize("upper", ["next", "same", "fresh"])
def test_ten_steps_against_a_naive_version(upper, small_net, batches, net_walker):
    held_out, fresh = batches(4, seed=7), batches(10, seed=8)
    expected, radii = naive(small_net(), batches(10), iter(held_out * 3), iter(fresh), upper)
    walker = net_walker(walker={"held_out": held_out, "fresh": iter(fresh)})
    method, found = LETS(rho=0.1, beta=0.1, upper=upper), []
    for batch in batches(10):
        method.step(walker, batch)
        found.append(walker.logged["rho"].item())
    assert found == pytest.approx(radii, rel=1e-8)
    assert max(radii) - min(radii) > 0.01
    torch.testing.assert_close(walker.w, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("independent", [True, False])
def test_independent_estimates_have_no_bias(independent, quadratics):
    """Over all draws of two training and two held-out batches the mean is that of their union."""
    kept, a, b, c = quadratics()
    _, d, *_ = quadratics(seed=1)
    both = (
        Batch(tuple(torch.cat(t) for t in zip(p.x, q.x, strict=True)), None)
        for p, q in ((a, b), (c, d))
    )

    def mean_loss(model, batch):
        L = [
            kept.loss(model, Batch(tuple(t[i : i + 1] for t in batch.x), None))
            for i in range(batch.size)
        ]
        return sum(L) / batch.size

    def hypergradient(fresh, held_out, **settings):
        walker, train, *_ = quadratics()
        walker.loss = mean_loss
        walker.feed(held_out, iter(fresh))
        LETS(rho=0.3, upper="fresh", **settings).step(walker, train)
        return walker.logged["hypergradient"].item()

    train, held_out = both
    expected = hypergradient([train], [held_out])
    found = [
        hypergradient(f, h, independent=independent)
        for f in itertools.product((a, b), repeat=2)
        for h in itertools.product((c, d), repeat=2)
    ]
    assert (sum(found) / len(found) == pytest.approx(expected, rel=1e-10)) == independent


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({}, 8 + 3),
        ({"every": 2}, 8 + 1),
        ({"upper": "same"}, 8 + 8),
        ({"upper": "fresh", "every": 4}, 8 + 2),
        ({"hessian": "exact", "upper": "same"}, 8 + 8 + 4),
        ({"hessian": "difference"}, 8 + 3 + 4),
        ({"beta": 0.0}, 8),
    ],
)
def test_passes_of_four_steps(settings, passes, quadratics):
    """With "next" the last update is still to come."""
    walker, train, _, _ = quadratics()
    method = LETS(**settings)
    for _ in range(4):
        method.step(walker, train)
    assert walker.passes == passes


@pytest.mark.parametrize("parameterisation", learned_radius.PARAMETERISATIONS)
def test_the_radius_stays_within_its_bounds(parameterisation):
    """Fifty radii at once, 200 rough updates each way; they reach the bound and stay."""
    generator = torch.Generator().manual_seed(0)
    slopes = torch.randn(200, 50, generator=generator, dtype=torch.float64).exp()
    for sign, bound in ((1.0, 0.02), (-1.0, 40.0)):
        r = learned_radius.begin()
        for slope in slopes:
            r = learned_radius.descend(r, sign * slope, 1.0, parameterisation, (0.02, 40.0))
            assert ((r.value >= 0.02) & (r.value <= 40.0)).all()
        torch.testing.assert_close(r.value, torch.full_like(r.value, bound))


@pytest.mark.parametrize(
    ("parameterisation", "link"),
    [("exp", torch.exp), ("softplus", F.softplus), ("clip", torch.nn.Identity())],
)
def test_the_radius_moves_as_torch_adam_does(parameterisation, link):
    """On ν with value = link(ν): the chain rule and Adam's memory."""
    start = {"exp": 0.0, "softplus": 0.541324854612918, "clip": 1.0}[parameterisation]
    nu = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    adam, r = Adam([nu], lr=0.05, eps=0.0), learned_radius.begin()
    for slope in (0.3, -2.0, 0.7, 1e-9, -0.1):
        value = link(nu)
        torch.testing.assert_close(r.value, value.detach(), rtol=1e-10, atol=0)
        (nu.grad,) = torch.autograd.grad(slope * value, nu)
        adam.step()
        h = torch.tensor(slope, dtype=torch.float64)
        r = learned_radius.descend(r, h, 0.05, parameterisation, (0.02, 40.0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_leaves_the_radius_alone(bad, stepper, batches):
    def loss(model, batch):
        value = F.cross_entropy(model(batch.x), batch.y)
        return value * bad if batch.weight == 2.0 else value

    good, other = batches(2, seed=5)
    bad_batch = Batch(other.x, other.y, weight=2.0)
    ours = stepper("lets", {"lets": {"upper": "same"}}, loss=loss, held_out=[good, bad_batch])
    states = []
    for batch in batches(3):
        ours.step(batch)
        states.append(ours.method.learned)
    assert states[0] == states[1] != states[2]
    assert torch.isfinite(ours.walker.w).all()


def test_the_start_is_that_of_the_inner_method():
    assert LETS().start == 0.05
    assert LETS(over=ASAM()).start == 0.5
    assert LETS(over=ASAM(rho=0.7)).radius.item() == 0.7
    assert LETS(rho=0.2, over=ASAM()).radius.item() == pytest.approx(0.2)


def test_two_instances_share_nothing(stepper, batches):
    first, second = LETS(), LETS()
    ours = stepper("lets")
    for batch in batches(4):
        ours.step(batch)
    assert ours.method.learned.value != first.learned.value == second.learned.value
    assert first == second


def test_wrong_settings_are_refused(net_walker, batch):
    for bad, message in [
        ({"rho": 0.0}, "`rho` must be positive. Got 0.0."),
        ({"over": SAM(rho=0.0)}, "`rho` must be positive. Got 0.0."),
        ({"beta": -1.0}, "`beta` must be non-negative. Got -1.0."),
        ({"hessian": "full"}, "one of exact, difference, secant, diagonal. Got 'full'."),
        ({"upper": "last"}, "`upper` must be one of fresh, same, next. Got 'last'."),
        ({"parameterisation": "log"}, "one of exp, softplus, clip. Got 'log'."),
        ({"every": 0}, "`every` must be a whole number of at least 1. Got 0."),
        ({"bounds": (2.0, 3.0)}, "`bounds` must enclose 1, above zero. Got 2.0, 3.0."),
        ({"over": Lookahead()}, "Got Lookahead: it pulls steps back and perturbs nothing of its"),
        ({"over": LETS()}, "Got LETS: a learned radius goes around everything else."),
        ({"over": FAM()}, "Got FAM: it penalises and perturbs nothing."),
    ]:
        with pytest.raises(ValueError, match="Got") as caught:
            LETS(**bad)
        assert message in str(caught.value)
    with pytest.raises(ValueError, match="needs held-out data"):
        LETS(upper="same").step(net_walker(), batch)
    assert ascent.start(None) == SAM().rho


@pytest.mark.parametrize("climb", ["sam", "asam"])
def test_tangent_of_a_climb_is_the_climb_over_its_radius(climb):
    """e is linear in ρ; its tangent needs none of the shapes that torch works out in Python."""
    w, g = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rules = {
        "sam": lambda rho: ascent.sam(g, w, rho),
        "asam": lambda rho: ascent.asam(g, w, rho, 0.1, []),
    }
    with tangents():
        e, tangent = unpack(rules[climb](dual(torch.tensor(0.3), torch.ones(()))))
    torch.testing.assert_close(e, rules[climb](0.3), rtol=1e-6, atol=0)
    torch.testing.assert_close(tangent, e / 0.3, rtol=1e-6, atol=0)
