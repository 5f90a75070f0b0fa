"""FAM on every kind of layer: which way it takes, and that each gives κ and all of its gradient."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call, vmap

from landscape.methods import FAM
from landscape.methods.components import penalty
from landscape.methods.fam import Means
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.network.higher_order import ThirdOrder
from landscape.network.linear_layer import recorded_calls


def cross_entropy(z, y):
    return F.cross_entropy(z.flatten(0, -2), y.flatten())


def squared(z, y):
    return F.mse_loss(z, F.one_hot(y, 3).double())


class Tied(nn.Module):
    """One weight at both ends."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(6, 6), nn.Linear(6, 6)
        self.head.weight = self.first.weight

    def forward(self, x):
        return self.head(self.first(x).tanh())[:, :3]


class Twice(nn.Module):
    """A hidden layer that is called twice."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.head((self.hidden(x) + self.hidden(x * x)).relu())


def perceptron(activation=nn.Tanh, norm=nn.Identity, **options):
    hidden = nn.Linear(6, 4)
    return nn.Sequential(hidden, norm(4), activation(**options), nn.Linear(4, 3))


def convolutional():
    return nn.Sequential(
        nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(15, 3)
    )


class Sequence(nn.Module):
    """Three tokens of two numbers that see each other between the two layers."""

    def __init__(self):
        super().__init__()
        self.value, self.head = nn.Linear(2, 4), nn.Linear(4, 3)

    def forward(self, x):
        values = self.value(x.view(len(x), 3, 2))
        return self.head(values.cumsum(1).tanh())  # (batch, 3, classes)


class Mapped(Sequence):
    """The same, each token by itself inside of a transformation by torch.func."""

    def forward(self, x):
        values = vmap(vmap(self.value))(x.view(len(x), 3, 2))
        return self.head(values.cumsum(1).tanh())


NETS = {
    "softmax head": (perceptron, "3", cross_entropy, "closed"),
    "head, any loss": (perceptron, "3", squared, "exact"),
    "hidden": (perceptron, "0", cross_entropy, "exact"),
    "hidden, any loss": (perceptron, "0", squared, "exact"),
    "before an activation in place": (
        lambda: perceptron(nn.CELU, inplace=True), "0", cross_entropy, "exact",
    ),
    "layer norm": (lambda: perceptron(norm=nn.LayerNorm), "0", cross_entropy, "exact"),
    "tokens' head": (Sequence, "head", cross_entropy, "closed"),
    "batch norm": (lambda: perceptron(norm=nn.BatchNorm1d), "0", cross_entropy, "signs"),
    "convolution": (convolutional, "1", cross_entropy, "signs"),
    "tokens": (Sequence, "value", cross_entropy, "signs"),
    "mapped": (Mapped, "value", cross_entropy, "signs"),
    "mapped, its head": (Mapped, "head", cross_entropy, "closed"),
    "tied": (Tied, "head", cross_entropy, "signs"),
    "called twice": (Twice, "hidden", cross_entropy, "signs"),
}  # fmt: skip
EXACT = [name for name, (*_, way) in NETS.items() if way != "signs"]


def built(build):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return build().double()


@pytest.fixture
def subject(batch, watched_walker):
    """A walker on one of the nets, its layer, its batch, and the naive κ at any parameters."""

    def make(name):
        build, layer, criterion, _ = NETS[name]
        model = built(build)
        y = functional_call(model, leaves(model), batch.x).detach().argmax(-1)  # makes κ positive
        data = Batch(batch.x, y)

        def loss(model, batch):
            return criterion(model(batch.x), batch.y)

        walker = watched_walker(model=model, loss=loss, same_mask=True)

        def naive(parameters, form, frozen=False):
            """The loss, and κ or κ̂ from the dense Hessian of the layer's weight."""
            weight = next(n for n in (f"{layer}.weight", "first.weight") if n in parameters)
            W = parameters[weight]
            held = {n: p.detach() for n, p in parameters.items()} if frozen else parameters

            def at(rows, others):
                with ThirdOrder():  # for layer norm; its own test has finite differences
                    z = functional_call(model, {**others, weight: rows.view(W.shape)}, data.x)
                return criterion(z, data.y)

            rows = W.flatten(1)
            start = rows.detach() if frozen else rows
            h = hessian(lambda w: at(w, held), start, create_graph=True)
            T = torch.einsum("stut->su", h)
            if form == "kappa":
                return at(rows, parameters), (rows @ rows.T * T).sum()
            return at(rows, parameters), rows.square().sum() * T.trace()

        return walker, layer, data, naive

    return make


def leaves(model):
    return {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}


def flat(parameters, y):
    parts = torch.autograd.grad(y, list(parameters.values()), materialize_grads=True)
    return torch.cat([g.flatten() for g in parts])


def test_the_layer_may_be_found_where_others_are_called_inside_of_vmap(subject):
    walker, _, data, _ = subject("mapped")
    fam = FAM()
    fam.step(walker, data)
    assert (fam.chosen, fam.way) == ("head", "closed")


@pytest.mark.parametrize("name", NETS)
def test_the_way_taken(name, subject):
    walker, layer, data, _ = subject(name)
    fam = FAM(layer=layer)
    for _ in range(2):  # the second step does not look for it again
        fam.step(walker, data)
        assert fam.way == NETS[name][-1]


@pytest.mark.thinned(2)
@pytest.mark.parametrize("gradient", ["full", "frozen"])
@pytest.mark.parametrize("form", ["kappa", "kappa_hat"])
@pytest.mark.parametrize("name", EXACT)
def test_the_descent_is_the_definitions(name, form, gradient, subject):
    """F1, F8: ∇L + λ∇κ in every layer from the dense Hessian, to 1e-10."""
    walker, layer, data, naive = subject(name)
    parameters = leaves(walker.model)
    loss, kappa = naive(parameters, form, frozen=gradient == "frozen")
    FAM(lam=0.7, layer=layer, form=form, gradient=gradient).step(walker, data)
    assert kappa > 0
    torch.testing.assert_close(walker.logged["kappa"], kappa.detach(), rtol=1e-10, atol=0)
    expected = flat(parameters, loss + 0.7 * kappa)
    torch.testing.assert_close(walker.descents[0][1], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("gradient", ["full", "frozen"])
@pytest.mark.parametrize("name", ["tokens", "convolution", "mapped"])
def test_the_mean_descent_over_all_signs_is_the_definitions(name, gradient, subject, monkeypatch):
    """F9, in both layers m is 2: 16 matrices are the whole distribution."""
    walker, layer, data, naive = subject(name)
    parameters = leaves(walker.model)
    loss, kappa = naive(parameters, "kappa", frozen=gradient == "frozen")
    assert kappa > 0
    coins = [torch.tensor(c).view(2, 2) for c in itertools.product([0, 1], repeat=4)]
    monkeypatch.setattr(penalty.torch, "randint", lambda *_, **__: coins.pop())
    fam = FAM(lam=0.7, layer=layer, gradient=gradient, draws=16)
    fam.step(walker, data)
    torch.testing.assert_close(walker.logged["kappa"], kappa.detach(), rtol=1e-10, atol=0)
    expected = flat(parameters, loss + 0.7 * kappa)
    torch.testing.assert_close(walker.descents[0][1], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("form", ["kappa", "kappa_hat"])
@pytest.mark.parametrize(
    "name", ["hidden", "layer norm", "convolution", "tied", "called twice", "batch norm"]
)
def test_the_descent_against_finite_differences(name, form, subject):
    """F8 with the signs of one step held: the sum that is logged goes down along what descends."""
    walker, layer, data, _ = subject(name)
    w, draws = walker.w, None if name in EXACT else 4
    u = torch.randn(len(w), generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def penalised(at):
        walker.move_to(at)
        FAM(lam=0.7, layer=layer, form=form, draws=draws).step(walker, data)
        return walker.logged["loss"] + 0.7 * walker.logged["kappa"].clamp(min=0)

    up, down, middle = (penalised(w + h * u) for h in (1e-5, -1e-5, 0.0))
    assert middle > walker.logged["loss"]
    g = walker.descents[-1][1]
    torch.testing.assert_close(g @ u, (up - down) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["softmax head", "hidden", "tokens"])
def test_full_and_frozen_differ(name, subject):
    """A cut gradient through the Hessian would make them equal."""
    found = []
    for gradient in ("full", "frozen"):
        walker, layer, data, _ = subject(name)
        plain = walker.grad(data, at=walker.w)
        FAM(lam=0.7, layer=layer, gradient=gradient, form="kappa_hat").step(walker, data)
        found.append(walker.descents[0][1] - plain)
    full, frozen = found
    assert torch.cosine_similarity(full, frozen, dim=0) < 0.99
    own = walker.layers[f"{layer}.weight"]
    others = torch.cat([frozen[: own.start], frozen[own.stop :]])
    assert others.abs().max() < 1e-15


def test_draws_ask_for_signs(subject):
    """On a softmax head too; their number enters, and the seed of the walker."""
    found = []
    for draws, seed in ((1, 0), (1, 0), (2, 0), (1, 1)):
        walker, layer, data, _ = subject("softmax head")
        walker._passes.seed = seed
        fam = FAM(lam=0.7, layer=layer, draws=draws)
        fam.step(walker, data)
        assert fam.way == "signs"
        found.append(walker.w)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[3])


def test_signs_change_from_step_to_step(subject):
    """Drawn after the pass's dropout masks, from (seed, step, pass)."""
    walker, layer, data, _ = subject("convolution")
    w, fam, seen = walker.w, FAM(layer=layer), set()
    for _ in range(4):
        walker.move_to(w)
        walker.begin(data.size)
        fam.step(walker, data)
        seen.add(walker.logged["kappa"].item())
    assert len(seen) > 1


def bent(start):
    """Loss of one output through -cos: its curvature there is cos z, negative beyond π/2."""
    net = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(net.weight, start)
    base = torch.optim.SGD(net.parameters(), lr=0.1)
    return Walker(net, base, lambda m, b: -m(b.x).cos().mean())


@pytest.mark.parametrize("draws", [None, 1])
def test_negative_flatness_is_no_reward(draws):
    """F12. κ = w² cos w: at w = 2 the descent is that of the loss alone, sin 2; at 1 it is not."""
    data = Batch(torch.ones(3, 1, dtype=torch.float64), torch.zeros(3))
    for start, penalised in ((2.0, False), (1.0, True)):
        walker = bent(start)
        w = walker.w
        FAM(lam=0.5, draws=draws).step(walker, data)
        torch.testing.assert_close(walker.logged["kappa"], (w**2 * w.cos()).squeeze())
        slope = w.sin() + 0.5 * penalised * (2 * w * w.cos() - w**2 * w.sin())
        torch.testing.assert_close(walker.w, w - 0.1 * slope)


def test_relu_networks_are_never_rewarded(batches):
    """F12: κ of a hidden layer is not negative on ReLU and cross-entropy."""
    net = built(lambda: perceptron(nn.ReLU))
    walker = Walker(net, torch.optim.SGD(net.parameters(), lr=0.1), lambda m, b: cross_entropy(
        m(b.x), b.y))  # fmt: skip
    fam = FAM(layer="0")
    for batch in batches(5):
        fam.step(walker, batch)
        assert walker.logged["kappa"] > 0


def attending():
    """A transformer layer before the head."""
    block = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True, norm_first=True)
    return nn.Sequential(nn.Unflatten(1, (3, 2)), nn.Linear(2, 4), block, nn.Linear(4, 3))


@pytest.mark.parametrize("layer", ["1", "2.linear1", "2.self_attn.out_proj"])
def test_attention_is_differentiated_twice(layer, watched_walker, batch):
    """Its fused kernels could not be; `out_proj` is used without being called."""
    data = Batch(batch.x, batch.y[:, None].expand(-1, 3))
    walker = watched_walker(model=built(attending), loss=lambda m, b: cross_entropy(m(b.x), b.y))
    fam = FAM(lam=0.7, layer=layer)
    for _ in range(2):
        fam.step(walker, data)
    assert torch.isfinite(walker.logged["kappa"])
    assert fam.way == ("exact" if layer == "2.linear1" else "signs")


def test_layers_that_cannot_be_penalised_are_refused(watched_walker, batch):
    grouped = nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 4, 3, groups=2), nn.Flatten(), nn.Linear(4, 3)
    ).double()
    with pytest.raises(ValueError, match=r"layer '1': its outputs have different inputs"):
        FAM(layer="1").step(watched_walker(model=grouped), batch)
    FAM(layer="1", form="kappa_hat").step(watched_walker(model=grouped), batch)
    frozen = built(convolutional)
    frozen[1].weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"layer '1': its weight is frozen, or computed"):
        FAM(layer="1").step(watched_walker(model=frozen), batch)


def test_a_frozen_layer_still_moves_the_others(watched_walker, batch):
    """κ of a frozen head goes down through its features; of a frozen trunk's last layer, through
    what follows.
    """
    for layer in ("0", "3"):
        net = built(lambda: perceptron(nn.ReLU))
        net[0].requires_grad_(False)
        net[3].weight.requires_grad_(layer == "0")
        walker = watched_walker(model=net)
        plain = walker.grad(batch, at=walker.w)
        FAM(lam=0.7, layer=layer).step(walker, batch)
        assert (walker.descents[0][1] - plain).norm() > 1e-3


def test_a_layer_called_more_often_later_on(watched_walker, batch):
    walker = watched_walker(model=built(Twice))
    fam = FAM(layer="hidden")
    fam.load_state_dict({"way": "exact", "layer": "hidden", "over": {}})
    with pytest.raises(ValueError, match="Now it was called 2 times"):
        fam.step(walker, batch)


def test_the_try_draws_nothing(batch):
    """Otherwise the signs of the first step would depend on whether there was one."""
    net = built(perceptron)
    with recorded_calls(penalty.candidates(net, "0")) as calls:
        loss = cross_entropy(net(batch.x), batch.y)
    before = torch.get_rng_state()
    assert penalty.choose(penalty.LayerPass(net, "0", loss, calls, batch.y)) == "exact"
    assert torch.equal(torch.get_rng_state(), before)


class Own(torch.autograd.Function):
    """A user's tanh: nobody knows what its backward does."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, g):
        return g * (1 - ctx.saved_tensors[0].tanh() ** 2)


class Applied(nn.Module):
    def forward(self, x):
        return Own.apply(x)


@pytest.mark.parametrize(
    ("layer", "draws", "loss", "way", "warned"),
    [
        ("3", None, cross_entropy, "closed", False),  # differentiated once, as ever
        ("3", None, squared, "exact", False),  # twice only behind the layer
        ("3", None, lambda z, y: squared(Own.apply(z), y), "exact", True),
        ("0", None, cross_entropy, "exact", True),
        ("3", 1, cross_entropy, "signs", True),
    ],
)
def test_a_custom_function_that_is_differentiated_twice_is_warned_of_once(
    layer, draws, loss, way, warned, batch, recwarn
):
    model = perceptron(Applied).double()
    method = FAM(lam=0.1, layer=layer, draws=draws)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    walker = Walker(model, sgd, lambda m, b: loss(m(b.x), b.y))
    for _ in range(2):
        walker.begin(batch.size)
        method.step(walker, batch)
    assert method.way == way
    assert [str(w.message)[:35] for w in recwarn] == [
        "FAM differentiates an autograd.Func"
    ] * warned


CLASS_WEIGHTS = torch.tensor([1.0, 3.0, 1.0], dtype=torch.float64)


def focal(z, y):
    """Cross-entropy for class 1, focal loss for the others."""
    log_p = z.log_softmax(-1).gather(1, y[:, None]).squeeze(1)
    return -(torch.where(y == 1, 1.0, (1 - log_p.exp()) ** 2) * log_p).mean()


def scaled(z, y):
    """Soft labels whose sum is 1 for class 1 alone."""
    targets = F.one_hot(y, 3) * torch.where(y == 1, 1.0, 2.0)[:, None]
    return F.cross_entropy(z, targets.to(z))


LATER = {  # on labels of class 1 alone each is plain cross-entropy
    "ignored labels": lambda z, y: F.cross_entropy(z, y, ignore_index=0),
    "class weights": lambda z, y: F.cross_entropy(z, y, weight=CLASS_WEIGHTS),
    "focal": focal,
    "soft labels": scaled,
    "sample weights": lambda z, y: (
        F.cross_entropy(z, y, reduction="none") * torch.where(y == 1, 1.0, 0.2)
    ).mean(),
    "smoothing": lambda z, y: F.cross_entropy(
        z, y, label_smoothing=0.0 if bool((y == 1).all()) else 0.1
    ),
}


@pytest.mark.parametrize("kind", LATER)
def test_a_loss_that_differs_from_the_second_batch_on(kind, batch, watched_walker):
    """Loss, κ and descent from the dense Hessian of the head, in the second step and the third."""
    criterion, ones = LATER[kind], torch.ones_like(batch.y)
    walker = watched_walker(
        model=built(perceptron), loss=lambda m, b: criterion(m(b.x), b.y), momentum=0.0, wd=0.0
    )
    fam = FAM(lam=0.7)
    for y in (ones, batch.y, ones):
        parameters = leaves(walker.model)

        def at(W, parameters=parameters, y=y):
            return criterion(
                functional_call(walker.model, {**parameters, "3.weight": W}, batch.x), y
            )

        W = parameters["3.weight"]
        h = hessian(at, W, create_graph=True)
        kappa = torch.einsum("sm,tm,sutu->", W, W, h)
        walker.begin(batch.size)
        fam.step(walker, Batch(batch.x, y))
        torch.testing.assert_close(walker.logged["kappa"], kappa.detach(), rtol=1e-10, atol=0)
        expected = flat(parameters, at(W) + 0.7 * kappa)
        torch.testing.assert_close(walker.descents[-1][1], expected, rtol=1e-10, atol=1e-12)


def test_a_weight_that_reaches_the_loss_otherwise_later_is_refused(batch, watched_walker):
    """A penalty on the head's weights that begins after some steps."""
    strength = [0.0]

    def loss(model, b):
        penalty = strength[0] * model[3].weight.square().sum() if strength[0] else 0.0
        return cross_entropy(model(b.x), b.y) + penalty

    walker = watched_walker(model=built(perceptron), loss=loss)
    fam = FAM()
    fam.step(walker, batch)
    strength[0] = 0.1
    with pytest.raises(ValueError, match="In this batch it does not: set `draws`"):
        fam.step(walker, batch)


@pytest.mark.parametrize("criterion", [cross_entropy, squared])
def test_a_value_without_a_gradient_is_penalised_too(criterion, batch, watched_walker):
    """As LETS asks for it with `independent`."""
    walker = watched_walker(model=built(perceptron), loss=lambda m, b: criterion(m(b.x), b.y))
    penalised = FAM(lam=0.7)._penalised(walker, Means(walker, batch))
    with walker.minimising(penalised):
        value, _ = walker.value_and_grad(batch, at=walker.w)
        assert torch.equal(walker.value(batch), value)
        assert not walker.value(batch).requires_grad
    assert value > walker.value(batch)
