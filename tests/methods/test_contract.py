"""What every method owes its user, by the rules R1 to R6 and R11."""

import copy
import io
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.methods import METHODS, make
from landscape.methods.requirements import cycle
from landscape.network.batch import Batch
from landscape.optim import wrap

PASSES = {
    "sgd": (1, 1.0),
    "adamw": (1, 1.0),
    "sam": (2, 2.0),
    "asam": (2, 2.0),
    "lookbehind": (4, 4.0),
    "lets": (3, 3.0),
    "msam": (8, 2.0),
    "fam": (1, 1.0),
    "aace": (2, 2.0),
    "multistep-sam": (3, 3.0),
    "lookahead": (1, 1.0),
    "lookbehind+msam": (16, 4.0),
    "lets+lookbehind": (5, 5.0),
    "msam+aace": (8, 2.0),
    "lookahead+sam": (2, 2.0),
    "friendly-sam": (2, 2.0),
    "gsam": (2, 2.0),
    "looksam": (6, 6.0),  # of the five steps of a cycle
    "wsam": (2, 2.0),
    "sam-on": (2, 2.0),
    "gsam+friendly-sam": (2, 2.0),
}
NO_LOOK = ("sgd", "adamw", "fam", "lookahead")


def ce(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def test_every_method_is_here():
    """LETS moves its radius, which is positive."""
    assert set(METHODS) <= set(PASSES)
    assert set(METHODS) - {"lets"} <= set(NO_RADIUS)


def test_passes(name, stepper, batches):
    """By the walker's count, from the third step over a cycle; by the docstring, in batches."""
    ours = stepper(name)
    for batch in batches(2):
        ours.step(batch)
    steps = cycle(ours.method)
    ours.walker.passes, ours.walker.grad_evals = 0, 0.0
    for batch in batches(steps):
        ours.step(batch)
    assert (ours.walker.passes, ours.walker.grad_evals) == pytest.approx(PASSES[name])
    if name in METHODS:
        stated = METHODS[name].__doc__.partition("Cost: ")[2]
        number, k, more, kth = re.search(r"(\d*)(k?)(?: \+ (\d)(/k)?)? pass", stated).groups()
        each = int(number or 1) * (ours.method.k if k else 1)
        each += int(more or 0) / (ours.method.k if kth else 1)
        assert each * steps == pytest.approx(PASSES[name][1])


def test_a_raising_look_leaves_no_trace(name, stepper, batch):
    """R1: the loss raises at each pass in turn; the watched walker compares before and after."""
    if name in NO_LOOK:
        pytest.skip("it never looks")
    for failing in range(2, PASSES[name][0] + 1):
        calls = []

        def loss(model, batch, calls=calls, failing=failing):
            calls.append(1)
            if len(calls) == failing:
                raise RuntimeError("out of memory")
            return F.cross_entropy(model(batch.x), batch.y)

        ours = stepper(name, loss=loss, net={"batch_norm": True, "dropout": 0.3})
        rng = torch.get_rng_state()
        with pytest.raises((RuntimeError, ValueError), match="out of memory"):
            for _ in range(max(3, cycle(ours.method))):  # lets looks from the second step on
                ours.step(batch)
        assert torch.equal(rng, torch.get_rng_state())
        assert all(type(p) is nn.Parameter for p in ours.walker.model.parameters())


def test_global_random_state_is_untouched(name, stepper, batch):
    ours = stepper(name, net={"dropout": 0.3})
    rng = torch.get_rng_state()
    ours.step(batch)
    assert torch.equal(rng, torch.get_rng_state())


def test_batch_norm_moves_once(name, stepper, watched_walker, batch):
    """R2: the running statistics are those of one plain pass (msam: of one per shard)."""
    ours, plain = stepper(name, net={"batch_norm": True}), watched_walker(net={"batch_norm": True})
    ours.step(batch)
    for part in batch.shards(4) if "msam" in name.split("+") else [batch]:
        plain.grad(part)
    found, expected = (dict(w.model.named_buffers()) for w in (ours.walker, plain))
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert found["1.num_batches_tracked"] == (4 if "msam" in name.split("+") else 1)


def test_weight_decay_does_not_bend_the_ascent(name, stepper, batch):
    """R3: momentum and weight decay act on the descent alone."""
    if name in NO_LOOK:
        pytest.skip("it never looks")
    points = []
    for wd in (0.0, 0.3):
        ours = stepper(name, wd=wd)
        ours.step(batch)
        points.append(ours.walker.points[0])
    assert torch.equal(*points)


def test_five_and_five_steps_are_ten(name, stepper, batches):
    """R4: through a file that holds numbers and tensors alone, into new objects."""
    net = {"batch_norm": True, "dropout": 0.3}
    steps = batches(10)
    ours = stepper(name, net=net)
    for i, batch in enumerate(steps):
        if i == 5:
            file = io.BytesIO()
            torch.save((ours.walker.model.state_dict(), ours.state_dict()), file)
        ours.step(batch)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    resumed = stepper(name, net=net)
    resumed.walker.model.load_state_dict(weights)
    resumed.load_state_dict(state)
    for batch in steps[5:]:
        resumed.step(batch)
    assert torch.equal(ours.walker.w, resumed.walker.w)


def test_masks_follow_seed_step_and_pass(name, trained, batches):
    """R5: whatever the global generator says, and one mask a step when asked."""
    steps = batches(2)

    def run(global_seed, **options):
        with torch.random.fork_rng():
            torch.manual_seed(global_seed)
            return trained(name, None, steps, net={"dropout": 0.5}, **options)

    assert torch.equal(run(1), run(2))
    assert not torch.equal(run(1), run(1, seed=1))
    assert torch.equal(run(1), run(1, same_mask=True)) == (PASSES[name][0] == 1)


def test_autocast_sees_the_other_point(name, stepper, batch, small_net):
    """R6: under bfloat16 the gradient up there is not that at w, and comes back in float32."""
    if name in NO_LOOK:
        pytest.skip("it never looks")
    single = Batch(batch.x.float(), batch.y)
    coupled = (
        {"wsam": {"decouple": False}} if name == "wsam" else {}
    )  # else that at w is its base's
    ours = stepper(
        name, coupled, model=small_net().float(), held_out=[single], autocast=torch.bfloat16
    )
    ours.step(single)
    _, g = ours.walker.descents[0]
    assert g.dtype == torch.float32
    assert not torch.equal(g, ours.walker.own[0])


def test_returned_vectors_are_the_callers(name, stepper, batches):
    """R11: nothing that the walker handed out changes later."""
    ours = stepper(name, net={"batch_norm": True})
    for batch in batches(3):
        ours.step(batch)
    assert all(torch.equal(t, copied) for t, copied in ours.walker.returned)


def test_no_gradient_is_left_behind(name, stepper, batch):
    ours = stepper(name)
    ours.step(batch)
    assert all(p.grad is None for p in ours.walker.model.parameters())


def test_the_loss_is_the_plain_one_at_w(name, stepper, batch):
    """Whatever a method descends on: cross-entropy before the step."""
    ours = stepper(name)
    expected = F.cross_entropy(ours.walker.model(batch.x), batch.y)
    torch.testing.assert_close(ours.step(batch), expected.detach())


def test_the_descent_leaves_from_where_it_stood(name, stepper, batch):
    ours = stepper(name)
    start = ours.walker.w
    ours.step(batch)
    assert torch.equal(ours.walker.descents[0][0], start)
    assert len(ours.walker.descents) == (2 if "lookbehind" in name else 1)


class Heads(nn.Module):
    """Two heads by turns, and a pooler that nothing uses."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body, self.pooler = nn.Linear(6, 5), nn.Linear(5, 5)
            self.heads = nn.ModuleList(nn.Linear(5, 3) for _ in range(2))
        self.turn = 0
        self.double()

    def forward(self, x):
        return self.heads[self.turn](torch.tanh(self.body(x)))


def test_what_no_pass_reaches_is_left_alone(name, stepper, batches):
    """None is not zero: neither decay nor momentum nor Adam moves what a step did not reach."""
    model = Heads()
    settings = {"lookahead": {"alpha": 1.0}, "fam": {"layer": "body"}}  # no pulling back
    used = {key: value for key, value in settings.items() if key in name.split("+")}
    ours = stepper(name, used, model=model, wd=0.1)
    for i, batch in enumerate(batches(4)):
        model.turn = i % 2
        before = copy.deepcopy(model)
        ours.step(batch)
        for (key, p), old in zip(model.named_parameters(), before.parameters(), strict=True):
            assert torch.equal(p, old) == key.startswith((f"heads.{1 - i % 2}", "pooler")), key


NO_RADIUS = {
    "sgd": {},
    "adamw": {},
    "sam": {"sam": {"rho": 0.0}},
    "asam": {"asam": {"rho": 0.0}},
    "msam": {"msam": {"rho": 0.0, "num_shards": 1}},
    "aace": {"aace": {"rho": 0.0}},
    "fam": {"fam": {"lam": 0.0}},
    "multistep-sam": {"multistep-sam": {"rho": 0.0}},
    "lookahead": {"lookahead": {"alpha": 1.0}},
    "lookahead+sam": {"lookahead": {"alpha": 1.0}, "sam": {"rho": 0.0}},
    "lookbehind": {"lookbehind": {"rho": 0.0, "k": 1, "alpha": 1.0}},
    "lookbehind+msam": {
        "lookbehind": {"rho": 0.0, "k": 1, "alpha": 1.0},
        "msam": {"num_shards": 1},
    },
    "msam+aace": {"msam": {"rho": 0.0, "num_shards": 1}},
    "friendly-sam": {"friendly-sam": {"rho": 0.0}},
    "gsam": {"gsam": {"rho": 0.0, "alpha": 0.0}},
    "looksam": {"looksam": {"rho": 0.0}},
    "wsam": {"wsam": {"rho": 0.0, "gamma": 0.0}},
    "sam-on": {"sam-on": {"rho": 0.0, "no_norm": True}},
    "gsam+friendly-sam": {"gsam": {"alpha": 0.0}, "friendly-sam": {"rho": 0.0}},
}


@pytest.mark.thinned(2)
@pytest.mark.parametrize("base", [torch.optim.SGD, torch.optim.AdamW])
def test_without_a_radius_it_is_a_plain_loop_by_turns(name, base, batches):
    """Bit for bit, with momentum and weight decay."""
    if name not in NO_RADIUS:
        pytest.skip("its radius is positive")
    if (name, base) in (("sgd", torch.optim.AdamW), ("adamw", torch.optim.SGD)):
        pytest.skip("it is the other optimizer")
    options = {"lr": 0.1, "weight_decay": 0.1}
    options |= {"momentum": 0.9} if base is torch.optim.SGD else {}
    model, plain = Heads(), Heads()
    ours = wrap(make(name, NO_RADIUS[name]), model, base(model.parameters(), **options), ce)
    optimizer = base(plain.parameters(), **options)
    for i, batch in enumerate(batches(6)):
        model.turn = plain.turn = i % 2
        ours.step(batch)
        optimizer.zero_grad()
        ce(plain, batch).backward()
        optimizer.step()
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(p, q)


def frozen():
    net = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    net[0].weight.requires_grad_(False)
    return net


def tied():
    net = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3))
    net[2].weight = net[0].weight
    return net.double()


def channels_last():
    net = nn.Sequential(
        nn.Unflatten(1, (2, 3, 1)), nn.Conv2d(2, 4, (3, 1)), nn.Flatten(), nn.Linear(4, 3)
    )
    return net.double().to(memory_format=torch.channels_last)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("build", [frozen, tied, channels_last])
def test_unusual_parameters(name, build, stepper, batches):
    model = build()
    before = copy.deepcopy(model)
    ours = stepper(name, model=model)
    for batch in batches(3):
        ours.step(batch)
    for p, old in zip(model.parameters(), before.parameters(), strict=True):
        assert p.stride() == old.stride()
        assert torch.equal(p, old) != p.requires_grad
    if build is tied:
        assert model[2].weight is model[0].weight


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_float32_follows_float64(name, device, stepper, batches, small_net):
    """Five steps; 1e-3 of the distance moved, as float32 has 1e-7 and a secant loses some of it.

    No bias stands before the batch norm: its gradient is exactly zero, and AdamW would divide the
    rounding of that zero by its own size.
    """

    def model():
        net = small_net(batch_norm=True, hidden=16)
        net[0].bias = None
        return net

    exact = stepper(name, model=model())
    start = exact.walker.w
    held_out = [Batch(b.x.float(), b.y) for b in batches(3, seed=99)]
    ours = stepper(name, model=model().float().to(device), held_out=held_out)
    for batch in batches(5):
        exact.step(batch)
        ours.step(Batch(batch.x.float(), batch.y))
    distance = (ours.walker.w.cpu().double() - exact.walker.w).norm()
    assert distance < 1e-3 * (exact.walker.w - start).norm()
