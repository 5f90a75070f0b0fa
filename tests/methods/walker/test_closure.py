"""A step by torch's closure is the step on its batch."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import optim
from landscape.methods import METHODS, SAM

REFUSED = {
    "msam": r"MSAM cannot step on a closure: it splits the batch into shards. Call step\(batch\).",
    "lets": "LETS cannot step on a closure: it also takes the loss of other batches",
    "fam": "FAM cannot step on a closure: its penalty looks at outputs inside the network",
    "aace": "AACE cannot step on a closure: its climb follows another loss, of the logits",
    "lookbehind+msam": "MSAM cannot step",
    "lookahead+multistep-sam+aace": "AACE cannot step",
}
SERVED = [name for name in METHODS if name not in REFUSED]


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture
def wrapped(small_net):
    """Method -> stepper, on batch norm and dropout, with momentum and weight decay."""

    def make_stepper(name, dtype=torch.float64, loss=cross_entropy, **options):
        net = small_net(batch_norm=True, dropout=0.3).to(dtype)
        kind = torch.optim.AdamW if name == "adamw" else torch.optim.SGD
        momentum = {} if name == "adamw" else {"momentum": 0.9}
        base = kind(net.parameters(), lr=0.1, weight_decay=0.01, **momentum)
        return optim.wrap(name, net, base, loss, **options)

    return make_stepper


class Asks:
    """A user's own method."""

    def __init__(self, ask):
        self.ask = ask

    def step(self, walker, batch):
        self.ask(walker, batch)


class Looks:
    """A look far away and no step."""

    def __init__(self, distance):
        self.distance = distance

    def step(self, walker, batch):
        walker.grad(batch, at=walker.w + self.distance)


def closure_of(stepper, batch):
    """As a user writes it."""

    def closure():
        stepper.zero_grad()
        loss = cross_entropy(stepper.walker.model, batch)
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("name", [*SERVED, "lookbehind+asam", "lookahead+multistep-sam+asam"])
def test_it_is_the_step_on_the_batch_bit_for_bit(name, wrapped, batches):
    """Weights, running statistics, losses, counts, the global random state."""
    by_batch, by_closure = wrapped(name, max_grad_norm=0.5), wrapped(name, max_grad_norm=0.5)
    rng = torch.get_rng_state()
    for batch in batches(5):
        expected = by_batch.step(batch)
        found = by_closure.step(closure_of(by_closure, batch))
        assert torch.equal(found, expected)
    states = (s.walker.model.state_dict() for s in (by_closure, by_batch))
    assert all(torch.equal(*pair) for pair in zip(*(s.values() for s in states), strict=True))
    for count in ("passes", "grad_evals"):
        assert getattr(by_closure.walker, count) == getattr(by_batch.walker, count)
    assert torch.equal(rng, torch.get_rng_state())
    assert all(p.grad is None for p in by_closure.walker.model.parameters())


def test_every_method_is_served_or_says_why(wrapped, batch):
    for name, reason in REFUSED.items():
        stepper = wrapped(name, held_out=[batch])
        before = stepper.walker.w
        with pytest.raises(ValueError, match=reason):
            stepper.step(closure_of(stepper, batch))
        assert torch.equal(stepper.walker.w, before)


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_a_closure_that_raises_leaves_all_as_it_was(failing, wrapped, batch):
    """R1: weights bit for bit, in float32, where w + e - e is not w; gradients and modes too."""
    stepper = wrapped("multistep-sam+asam", torch.float32)
    stepper.method.k = 4
    net = stepper.walker.model
    calls = []

    def closure():
        net.train()
        calls.append(1)
        if len(calls) == failing:
            net.eval()
            raise RuntimeError("out of memory")
        loss = F.cross_entropy(net(batch.x.float()), batch.y)
        loss.backward()
        return loss

    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    weights, mean, grads = stepper.walker.w, net[1].running_mean, [p.grad for p in net.parameters()]
    with pytest.raises(RuntimeError, match="out of memory"):
        stepper.step(closure)
    assert torch.equal(stepper.walker.w, weights)
    assert all(p.grad is g for p, g in zip(net.parameters(), grads, strict=True))
    assert net[1].running_mean is mean
    assert net[1].num_batches_tracked == (0 if failing == 1 else 1)
    assert net.training == (failing > 1)  # the first pass is the step's own: modes are the user's


def test_an_open_autocast_block_does_not_hide_the_move(small_net, batch):
    """R6: inside one block torch keeps the bfloat16 copies of the weights, whatever they become.

    Two steps in one block are those of a closure that opens a block of its own.
    """

    def run(outside):
        net, losses = small_net().float(), []
        sgd = torch.optim.SGD(net.parameters(), lr=0.5)
        stepper = optim.wrap(SAM(rho=5.0), net, sgd, cross_entropy)

        def block(opened):
            return torch.autocast("cpu", torch.bfloat16) if opened else nullcontext()

        def closure():
            with block(not outside):
                losses.append(F.cross_entropy(net(batch.x.float()), batch.y))
            losses[-1].backward()
            return losses[-1]

        with block(outside):
            for _ in range(2):
                stepper.step(closure)
        return [loss.item() for loss in losses], stepper.walker.w

    (losses, w), (expected, w_expected) = run(outside=True), run(outside=False)
    assert losses == expected
    assert torch.equal(w, w_expected)
    assert len(set(losses)) == 4


def test_a_block_that_stays_open_sees_the_weights_again(small_net, batch):
    """After a look the copies are those of w, not of w + e."""
    net, x = small_net().float(), batch.x.float()
    stepper = optim.wrap(Looks(5.0), net, torch.optim.SGD(net.parameters(), lr=0.1), cross_entropy)

    def closure():
        loss = F.cross_entropy(net(x), batch.y)
        loss.backward()
        return loss

    with torch.autocast("cpu", torch.bfloat16):
        at_w = F.cross_entropy(net(x), batch.y).item()
        stepper.step(closure)
        assert F.cross_entropy(net(x), batch.y).item() == at_w


def test_gradients_may_be_kept_by_the_closure_as_zeros(wrapped, batch):
    """No zero_grad at all, or to zeros: each pass starts from nothing."""
    steppers = [wrapped("sam") for _ in range(3)]

    def closure_with(stepper, clear):
        def closure():
            clear()
            loss = cross_entropy(stepper.walker.model, batch)
            loss.backward()
            return loss.item()

        return closure

    plain, none, zeros = steppers
    for p in none.walker.model.parameters():
        p.grad = torch.zeros_like(p)
    for _ in range(3):
        expected = plain.step(batch).item()
        assert none.step(closure_with(none, lambda: None)).item() == expected
        clear = zeros.optimizer.zero_grad
        assert zeros.step(closure_with(zeros, lambda c=clear: c(set_to_none=False))) == expected


def test_gradients_of_earlier_batches_are_not_left_out_in_silence(wrapped, batch):
    """A trainer that accumulates calls backward several times, and step(closure) at the last."""
    stepper = wrapped("sam")
    before = stepper.walker.w
    cross_entropy(stepper.walker.model, batch).backward()
    with pytest.raises(ValueError, match=r"^Gradients lie in `.grad` already.*zero_grad\(\)"):
        stepper.step(closure_of(stepper, batch))
    assert torch.equal(stepper.walker.w, before)
    stepper.zero_grad()
    stepper.step(closure_of(stepper, batch))


def test_an_unused_parameter_has_gradient_zero(batch):
    net = nn.ModuleList([nn.Linear(6, 3), nn.Linear(6, 3)]).double()
    stepper = optim.wrap("sam", net, torch.optim.SGD(net.parameters(), lr=0.1), cross_entropy)
    before = stepper.walker.w

    def closure():
        loss = F.cross_entropy(net[0](batch.x), batch.y)
        loss.backward()
        return loss

    stepper.step(closure)
    moved = stepper.walker.w - before
    assert moved[stepper.walker.layers["0.weight"]].abs().min() > 0
    assert moved[stepper.walker.layers["1.weight"]].abs().max() == 0


def test_closures_that_are_none_are_refused(wrapped, batch):
    stepper = wrapped("sam")
    net = stepper.walker.model
    with pytest.raises(ValueError, match=r"must call backward\(\) on the loss, and return it"):
        stepper.step(lambda: cross_entropy(net, batch))
    with pytest.raises(ValueError, match=r"of shape \(\). Got NoneType"):
        stepper.step(lambda: cross_entropy(net, batch).backward())
    with pytest.raises(ValueError, match="`autocast` does not reach into a closure"):
        wrapped("sam", torch.float32, autocast=torch.bfloat16).step(lambda: None)


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda w, b: b.shards(2), "`shards`"),
        (lambda w, b: w.logits(b), "`x`"),
        (lambda w, b: w.grad(b, loss=cross_entropy), "another loss of it"),
        (lambda w, b: w.value(b), "`x`"),
    ],
)
def test_a_method_that_asks_for_more_gets_the_reason(ask, what, small_net, batch):
    net = small_net()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    stepper = optim.wrap(Asks(ask), net, sgd, cross_entropy)
    with pytest.raises(ValueError, match=rf"more of a batch than a closure can give: {what}"):
        stepper.step(closure_of(stepper, batch))


def test_a_penalty_around_a_closure_is_not_forgotten(small_net, batch):
    """`minimising` puts another loss in the walker, which a closure would pass over."""

    def ask(walker, batch):
        with walker.minimising(cross_entropy):
            walker.grad(batch)

    net = small_net()
    stepper = optim.wrap(Asks(ask), net, torch.optim.SGD(net.parameters(), lr=0.1), cross_entropy)
    with pytest.raises(ValueError, match="another loss of it"):
        stepper.step(closure_of(stepper, batch))


def test_a_closure_may_accumulate(small_net, batches):
    """Two backward calls in one closure: the gradient of their sum."""
    a, b = batches(2)
    nets = [small_net(), small_net()]
    steppers = [
        optim.wrap("asam", net, torch.optim.SGD(net.parameters(), lr=0.1), cross_entropy)
        for net in nets
    ]

    def closure():
        total = 0.0
        for part in (a, b):
            loss = cross_entropy(nets[0], part) / 2
            loss.backward()
            total += loss.item()
        return total

    for _ in range(3):
        torch.testing.assert_close(
            steppers[0].step(closure), steppers[1].step([a, b]), check_dtype=False
        )
    torch.testing.assert_close(steppers[0].walker.w, steppers[1].walker.w)


def test_a_single_tensor_with_other_strides(batch):
    """channels_last stays, and the step is that on the batch."""
    nets = [
        nn.Sequential(nn.Unflatten(1, (2, 3, 1)), nn.Conv2d(2, 3, (3, 1), bias=False), nn.Flatten())
        for _ in range(2)
    ]
    for net in nets:
        net.double().to(memory_format=torch.channels_last)
        net[1].weight.data.copy_(torch.linspace(-1, 1, 18).view(3, 2, 3, 1))
    closed, plain = (
        optim.wrap("sam", net, torch.optim.SGD(net.parameters(), lr=0.1), cross_entropy)
        for net in nets
    )
    stride = nets[0][1].weight.stride()
    closed.step(closure_of(closed, batch))
    plain.step(batch)
    assert nets[0][1].weight.stride() == stride
    assert torch.equal(closed.walker.w, plain.walker.w)
