"""The methods in a user's own loop."""

import io

import pytest
import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from landscape import optim
from landscape.methods import LETS, METHODS, SAM, AdamW, make
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch

SGD = torch.optim.SGD


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture
def wrapped(small_net):
    def make(method="sam", optimizer=SGD, base=None, net=None, **options):
        net = small_net() if net is None else net
        base = optimizer(net.parameters(), lr=0.1, **(base or {}))
        return optim.wrap(method, net, base, cross_entropy, **options)

    return make


def test_a_plain_loop_learns(wrapped, batch):
    """Names, objects and pairs (x, y)."""
    by_name, by_object = wrapped("sam"), wrapped(SAM())
    losses = [by_name.step((batch.x, batch.y)).item() for _ in range(10)]
    for _ in range(10):
        by_object.step(batch)
    assert torch.equal(by_name.walker.w, by_object.walker.w)
    assert losses == sorted(losses, reverse=True)
    assert by_name.step(batch).shape == ()


def test_held_out_data_from_a_loader(wrapped, batches):
    """It is cycled; what lets learned can be read."""
    x, y = torch.cat([b.x for b in batches(2)]), torch.cat([b.y for b in batches(2)])
    held_out = DataLoader(TensorDataset(x, y), batch_size=10)
    stepper = wrapped("lets+asam", held_out=held_out, fresh=iter(batches(3)))
    for batch in batches(8):
        stepper.step(batch)
    of_lets = {"rho", "gap", "hypergradient", "agreement", "negative"}
    assert set(stepper.logged) == {*of_lets, "climb_norm"}
    assert stepper.logged["rho"] != 0.5


def test_fresh_batches(wrapped, batches):
    method, fresh = LETS(upper="fresh"), iter(batches(3, seed=4))
    stepper = wrapped(method, held_out=batches(1, seed=5), fresh=fresh)
    for batch in batches(3):
        stepper.step(batch)
    assert next(fresh, None) is None
    with pytest.raises(ValueError, match="needs fresh training batches"):
        stepper.step(batch)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_the_place_in_the_held_out_data_is_kept(steps, wrapped, batches):
    """Also at the very end of a round of two, and between two updates of the radius."""
    held_out, train = batches(2, seed=5), batches(10)
    ours, resumed = (wrapped(LETS(upper="same", every=2), held_out=held_out) for _ in range(2))
    for batch in train[:steps]:
        ours.step(batch)
    resumed.walker.move_to(ours.walker.w)
    resumed.load_state_dict(ours.state_dict())
    for batch in train[steps:]:
        assert ours.step(batch) == resumed.step(batch)
        assert ours.logged == resumed.logged


def test_the_state_is_a_snapshot(wrapped, batches):
    """Later steps do not reach into it."""
    stepper = wrapped("lets", held_out=batches(2))
    for batch in batches(3):
        stepper.step(batch)
    method = {k: torch.as_tensor(v).clone() for k, v in stepper.state_dict()["method"].items()}
    state = stepper.state_dict()["method"]
    for batch in batches(3):
        stepper.step(batch)
    assert all(torch.equal(torch.as_tensor(state[k]), method[k]) for k in method)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", ["sam", "lookahead+sam", "lets+lookbehind", "fam+lets"])
@pytest.mark.parametrize("optimizer", [SGD, torch.optim.AdamW])
def test_five_and_five_steps_are_ten(name, optimizer, wrapped, batches, small_net):
    """With a scheduler: from a state kept in memory, twice, and through a file."""

    def begin():
        base = {"momentum": 0.9} if optimizer is SGD else {}
        net = small_net(batch_norm=True, dropout=0.3)
        stepper = wrapped(name, optimizer, base, net, held_out=batches(3, seed=5))
        return net, stepper, lr_scheduler.CosineAnnealingLR(stepper, T_max=10)

    def run(net, stepper, scheduler, steps):
        for batch in steps:
            stepper.step(batch)
            scheduler.step()
        return stepper.state_dict(), stepper.walker.w, stepper.logged

    ours, steps, file = begin(), batches(10), io.BytesIO()
    state, _, _ = run(*ours, steps[:5])
    weights = {key: value.clone() for key, value in ours[0].state_dict().items()}
    kept = weights, state, ours[2].state_dict()
    torch.save(kept, file)
    file.seek(0)
    expected = run(*ours, steps[5:])
    for found in (kept, kept, torch.load(file, weights_only=True)):
        resumed = begin()
        for part, its in zip(resumed, found, strict=True):
            part.load_state_dict(its)
        _, w, logged = run(*resumed, steps[5:])
        assert torch.equal(w, expected[1])
        assert logged == expected[2]
        for count in ("step_index", "passes", "grad_evals"):
            assert getattr(resumed[1].walker, count) == getattr(ours[1].walker, count)


SCHEDULERS = {
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda i: 1 / (1 + i)),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=6),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.3, total_steps=7),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=0.5),
    "sequence": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.5, 2), lr_scheduler.ExponentialLR(o, 0.5)], [2]
    ),
}


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_schedulers_take_the_stepper_for_an_optimizer(kind, wrapped, batch):
    """The same steps as with the base optimizer in a scheduler; warnings are errors here."""
    on_stepper, on_base = (wrapped("sam", base={"momentum": 0.9}) for _ in range(2))
    rates = []
    for stepper, target in ((on_stepper, on_stepper), (on_base, on_base.optimizer)):
        scheduler = SCHEDULERS[kind](target)
        for _ in range(6):
            loss = stepper.step(batch)
            rates.append((target.param_groups[0]["lr"], target.param_groups[0]["momentum"]))
            scheduler.step(*([loss] if kind == "plateau" else []))
    assert rates[:6] == rates[6:]
    assert len(set(rates)) > 1
    assert torch.equal(on_stepper.walker.w, on_base.walker.w)


def test_groups_are_the_base_optimizers_also_after_loading(wrapped, batch):
    """Whoever loads, and whoever sets the rate."""
    stepper = wrapped("sam")
    assert stepper.param_groups is stepper.optimizer.param_groups
    assert stepper.state is stepper.optimizer.state
    stepper.optimizer.load_state_dict(stepper.optimizer.state_dict())
    assert stepper.state is stepper.optimizer.state
    scheduler = lr_scheduler.LambdaLR(stepper, lambda i: float(i == 0))
    stepper.step(batch)
    scheduler.step()
    w = stepper.walker.w
    stepper.step(batch)
    assert torch.equal(stepper.walker.w, w)


@pytest.mark.parametrize("before", ["nothing", "backward", "unscale_"])
@pytest.mark.parametrize("by_closure", [False, True])
def test_a_gradient_scaler_is_refused(before, by_closure, wrapped, batch):
    """However it is tried."""
    stepper, scaler = wrapped("sam"), torch.amp.GradScaler("cpu")

    def closure():
        loss = scaler.scale(cross_entropy(stepper.walker.model, batch))
        loss.backward()
        return loss

    w = stepper.walker.w
    scaler.scale(torch.ones(()))
    if before != "nothing":
        closure()
    if before == "unscale_":
        scaler.unscale_(stepper)
    with pytest.raises(ValueError, match=r"cannot drive this step: .* autocast=torch.bfloat16"):
        scaler.step(stepper, *([closure] if by_closure else []))
    assert torch.equal(stepper.walker.w, w)


def test_a_scaler_that_is_switched_off_may_stay(wrapped, batch):
    scaled, plain = wrapped("sam"), wrapped("sam")
    torch.amp.GradScaler("cpu", enabled=False).step(scaled, batch)
    plain.step(batch)
    assert torch.equal(scaled.walker.w, plain.walker.w)


@pytest.mark.parametrize("name", METHODS)
def test_bfloat16_keeps_float32_weights(name, wrapped, small_net, batches):
    """Weights, momentum and moments are float32, and hold more digits than bfloat16 has."""
    held_out, *steps = (Batch(b.x.float(), b.y) for b in batches(4))
    optimizer = torch.optim.AdamW if name == "adamw" else SGD
    base = {} if name == "adamw" else {"momentum": 0.9}
    net, seen = small_net().float(), []
    net[0].register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    method = make(name, {"sam-on": {"no_norm": True}})
    stepper = wrapped(method, optimizer, base, net, held_out=[held_out], autocast=torch.bfloat16)
    for batch in steps:
        assert stepper.step(batch).isfinite()
    assert set(seen) == {torch.bfloat16}
    state = [t for s in stepper.optimizer.state.values() for t in s.values()]
    assert {t.dtype for t in (*net.parameters(), *state)} == {torch.float32}
    assert not torch.equal(stepper.walker.w, stepper.walker.w.bfloat16().float())


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("name", ["lookbehind+asam", "lets"])
def test_a_compiled_model(name, wrapped, small_net, batches):
    """The same numbers, from one graph: a move does not compile anew."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    net = small_net(batch_norm=True)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    ours = wrapped(name, net=compiled, held_out=batches(1, seed=5))
    plain = wrapped(name, net=small_net(batch_norm=True), held_out=batches(1, seed=5))
    for batch in batches(3):
        assert torch.equal(ours.step(batch), plain.step(batch))
    assert torch.equal(ours.walker.w, plain.walker.w)
    assert torch.equal(net[1].running_mean, plain.walker.model[1].running_mean)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_misfits_are_refused(wrapped, small_net, batches):
    with pytest.raises(ValueError, match=r"Unknown method 'smam'. Did you mean 'sam'"):
        wrapped("smam")
    with pytest.raises(ValueError, match="`method` must be a method or one of sgd, adamw, sam"):
        wrapped(3)
    with pytest.raises(ValueError, match=r"AdamW needs torch.optim.AdamW .* Got SGD."):
        wrapped("adamw")
    with pytest.raises(ValueError, match=r"SGD needs torch.optim.SGD .* Got Adam."):
        wrapped("sgd", torch.optim.Adam)
    wrapped(AdamW(), torch.optim.AdamW)
    with pytest.raises(ValueError, match="must hold every trainable parameter"):
        optim.wrap("sam", small_net(), SGD(small_net().parameters(), lr=0.1), cross_entropy)
    lets = wrapped("lets", held_out=batches(1))
    with pytest.raises(ValueError, match=r"from the same method, SAM. Got that of LETS\."):
        wrapped("sam").load_state_dict(lets.state_dict())
    with pytest.raises(ValueError, match=r"the same method, LETS. Got that of SAM\."):
        lets.load_state_dict(wrapped("sam").state_dict())
    with pytest.raises(ValueError, match=r"An optimizer's own goes to `stepper.optimizer.load_"):
        lets.load_state_dict(lets.optimizer.state_dict())
    with pytest.raises(ValueError, match=r"a landscape.Batch or a pair"):
        lets.step(3)


@pytest.mark.parametrize("option", [{"max_grad_norm": 0.01}, {"same_mask": True}, {"seed": 1}])
def test_options_reach_the_walker(option, wrapped, small_net, batch):
    """The step is that of a walker with the option, and another one without."""
    ours, plain = (wrapped("sam", net=small_net(dropout=0.5), **o) for o in (option, {}))
    net = small_net(dropout=0.5)
    walker = Walker(net, SGD(net.parameters(), lr=0.1), cross_entropy, **option)
    walker.begin(batch.size)
    for step in (ours.step, plain.step, lambda b: SAM().step(walker, b)):
        step(batch)
    assert torch.equal(ours.walker.w, walker.w)
    assert not torch.equal(plain.walker.w, walker.w)


def test_states_are_refused_by_name_and_old_ones_taken(wrapped, batch):
    """Also between two methods without a memory; states of earlier versions have no name."""
    state = wrapped("sam").state_dict()
    with pytest.raises(ValueError, match=r"same method, MSAM\+ASAM. Got that of SAM\."):
        wrapped("msam+asam").load_state_dict(state)
    del state["name"]
    wrapped("asam").load_state_dict(state)
    with pytest.raises(ValueError, match=r"same method, Lookahead. Got that of another method\."):
        wrapped("lookahead").load_state_dict(state)


def test_the_closure_may_come_by_keyword(wrapped, batch):
    """As training frameworks call a step."""
    by_keyword, by_batch = wrapped("sam"), wrapped("sam")

    def closure():
        by_keyword.zero_grad()
        loss = cross_entropy(by_keyword.walker.model, batch)
        loss.backward()
        return loss

    assert torch.equal(by_keyword.step(closure=closure), by_batch.step(batch))
    assert torch.equal(by_keyword.walker.w, by_batch.walker.w)
    with pytest.raises(ValueError, match=r"step\(closure\) .* In Lightning: .*`training_step`"):
        by_keyword.step()
    with pytest.raises(ValueError, match="a batch or a closure, not both"):
        by_keyword.step(batch, closure)


def muon_and_adamw(net):
    matrices = [p for p in net.parameters() if p.dim() == 2]
    rest = [p for p in net.parameters() if p.dim() != 2]
    return [torch.optim.Muon(matrices, lr=0.02), torch.optim.AdamW(rest, lr=0.05)]


def test_several_optimizers_step_as_one(small_net, batches):
    """SAM over Muon and AdamW against a plain loop; schedules and state are each one's own."""
    net, plain = small_net(), small_net()
    ours, theirs = muon_and_adamw(net), muon_and_adamw(plain)
    stepper = optim.wrap("sam", net, ours, cross_entropy)
    schedules = [lr_scheduler.ExponentialLR(o, 0.5) for o in (ours[1], theirs[1])]
    for batch in batches(4):
        stepper.step(batch)
        parameters = list(plain.parameters())
        g = torch.autograd.grad(cross_entropy(plain, batch), parameters)
        norm = torch.sqrt(sum(t.square().sum() for t in g))
        start = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, t in zip(parameters, g, strict=True):
                p += 0.05 * t / norm
        cross_entropy(plain, batch).backward()
        with torch.no_grad():
            for p, w in zip(parameters, start, strict=True):
                p.copy_(w)
        for optimizer in theirs:
            optimizer.step()
            optimizer.zero_grad()
        for schedule in schedules:
            schedule.step()
    for p, q in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)
    resumed = optim.wrap("sam", net, muon_and_adamw(net), cross_entropy)
    resumed.load_state_dict(stepper.state_dict())
    assert resumed.param_groups[-1]["lr"] == ours[1].param_groups[0]["lr"] == 0.05 / 16
    assert len(resumed.state) == len(parameters)
    with pytest.raises(ValueError, match="Got an empty list"):
        optim.wrap("sam", net, [], cross_entropy)
    with pytest.raises(ValueError, match="must hold every trainable parameter"):
        optim.wrap("sam", net, ours[:1], cross_entropy)


class Wrapper(torch.optim.Optimizer):
    """Passes everything on and never runs torch's own __init__, as accelerate's wrapper does."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    param_groups = property(lambda self: self.optimizer.param_groups)
    state = property(lambda self: self.optimizer.state)
    defaults = property(lambda self: self.optimizer.defaults)

    def step(self, closure=None):
        self.optimizer.step(closure)

    def state_dict(self):
        return self.optimizer.state_dict()

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state)


@pytest.mark.parametrize("name", ["sam", "adamw", "lets+lookbehind"])
def test_wrappers_of_optimizers_step_as_what_they_wrap(name, wrapped, batches):
    AdamW, held_out = torch.optim.AdamW, batches(2, seed=5)
    plain = wrapped(name, AdamW, held_out=held_out)
    ours = wrapped(name, lambda p, lr: Wrapper(AdamW(p, lr=lr)), held_out=held_out)
    for batch in batches(3):
        assert torch.equal(ours.step(batch), plain.step(batch))
    assert torch.equal(ours.walker.w, plain.walker.w)
    ours.load_state_dict(ours.state_dict())
    assert ours.state is ours.optimizer.state
    assert ours.param_groups is ours.optimizer.param_groups
    with pytest.raises(ValueError, match=r"SGD needs torch.optim.SGD .* Got AdamW\."):
        wrapped("sgd", lambda p, lr: Wrapper(AdamW(p, lr=lr)))


class AdaHessian(torch.optim.Optimizer):
    """The interface of those that differentiate the gradient."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    def step(self, closure=None):
        raise AssertionError

    def set_hessian(self):
        raise AssertionError


class SAMOptimizer(AdaHessian):
    """The interface of those that climb themselves."""

    set_hessian = None
    first_step = second_step = AdaHessian.step


@pytest.mark.parametrize(
    ("name", "optimizer", "options", "message"),
    [
        ("sam", torch.optim.LBFGS, {}, "LBFGS evaluates the loss again within its step"),
        ("sam", AdaHessian, {}, "AdaHessian differentiates the gradient again"),
        ("sam", SAMOptimizer, {}, "must not climb itself. Got SAMOptimizer"),
        ("sam", lambda p, lr: 3, {}, "must be a torch optimizer, or a list .* Got int"),
        ("lets", SGD, {}, "needs held-out data"),
        ("fam+lets", SGD, {}, "needs held-out data"),
        (LETS(upper="fresh"), SGD, {"held_out": 1}, "needs fresh training batches"),
        (LETS(independent=True), SGD, {"held_out": 1}, "needs fresh training batches"),
        ("lets", SGD, {"held_out": 0}, "can be gone through again. Got list_iterator"),
        ("lets", torch.optim.RMSprop, {"held_out": 1}, "known for SGD, Adam and AdamW. Got RMSp"),
        (
            "lets",
            lambda p, lr: torch.optim.Adam(p, amsgrad=True),
            {"held_out": 1},
            "not known for amsgrad",
        ),
    ],
)
def test_misfits_are_refused_before_the_first_step(
    name, optimizer, options, message, wrapped, batches
):
    """held_out: 1 a list, 0 an iterator of batches."""
    if "held_out" in options:
        held_out = batches(1)
        options = {"held_out": held_out if options["held_out"] else iter(held_out)}
    with pytest.raises(ValueError, match=message):
        wrapped(name, optimizer, **options)


def test_a_radius_that_does_not_learn_needs_no_held_out_data(wrapped, batch):
    wrapped(LETS(beta=0.0), torch.optim.RMSprop).step(batch)
