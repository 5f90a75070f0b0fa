"""Base optimizers by name and by reference: each steps as in a plain loop, or says why not."""

import copy
import inspect
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer

from landscape.data import batches
from landscape.methods.walker.base_optimizer import OptimizerGroup
from landscape.study.design import Design
from landscape.tasks import imports
from landscape.tasks.registry import TASKS
from landscape.training.loop import Training
from landscape.training.optimizer.kinds import (
    NOT_DRIVEN,
    OPTIMIZERS,
    build,
    hidden_matrices,
)
from landscape.training.parameter_groups import options_of
from landscape.training.settings import TrainingSettings, resolve
from landscape.training.train import train
from landscape.utils.rng import seed_of

DIGITS = TASKS["digits"]
USUAL = ("sgd", "adamw", "muon")
MINE = """
import torch

class Signs(torch.optim.Optimizer):
    "w - lr * (sign(g) * size + weight_decay * w)"
    def __init__(self, params, lr, weight_decay=0.0, size=1.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "size": size})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    step = p.grad.sign() * group["size"] + group["weight_decay"] * p
                    p -= group["lr"] * step

def two(params):
    "One optimizer for each group, without a learning rate of its own."
    return [torch.optim.SGD([group]) for group in params]

def swaps(params, lr):
    made = torch.optim.SGD(params, lr=lr)
    made.train = made.eval = lambda: None
    return made

def nothing(params, lr):
    return None

def fails(params, lr):
    raise RuntimeError("on purpose")
"""


@pytest.fixture(scope="module")
def digits():
    whole = DIGITS.load(None)
    few = {f"{part}_{a}": getattr(whole, f"{part}_{a}")[:160] for part in ("train", "test")
           for a in "xy"}  # fmt: skip
    return replace(whole, **few, fingerprint="few")


@pytest.fixture
def mine(tmp_path):
    """Where the user's optimizers lie, named in this process."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    imports.allow(f"{path}:{name}" for name in ("Signs", "two", "swaps", "nothing", "fails"))
    return path


def training(dataset, method, **settings):
    shared = {"device": "cpu", "epochs": 2, "lr": 0.01, "weight_decay": 0.0, **settings}
    layer = {"training": shared, "data": {"batch_size": 32, "held_out": 0.2}}
    return Training(resolve("digits", method, 0, layer), DIGITS, dataset)


def run(t):
    while not t.done:
        list(t.run_epoch())
    return t


def torchs(name, model, lr, weight_decay, **arguments):
    """The same in plain torch: Muon on the one hidden matrix and AdamW on the rest."""
    kind, decay = OPTIMIZERS[name], {"weight_decay": weight_decay}
    if name == "muon":
        named = dict(model.named_parameters())
        hidden = [named.pop("hidden1.weight")]
        scaled = {"adjust_lr_fn": "match_rms_adamw"}
        muon = kind(hidden, lr=lr, **decay, **scaled, **arguments)
        return [muon, torch.optim.AdamW(named.values(), lr=lr, **decay, fused=True)]
    extra = {"momentum": 0.9} if name == "sgd" else {}
    extra |= {"fused": True} if name in ("sgd", "adam", "adamw") else {}
    extra |= {} if name == "rprop" else decay
    return [kind(model.parameters(), lr=lr, **extra, **arguments)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_sam_over_each_is_a_plain_loop_bit_for_bit(digits, name):
    """Two steps of SAM at a constant rate, written out with torch's own optimizer."""
    decay = 0.0 if name == "rprop" else 0.01
    ours = training(digits, "sam", optimizer=name, weight_decay=decay, schedule="constant")
    model = copy.deepcopy(ours.model)
    optimizers = torchs(name, model, 0.01, decay)
    order = torch.Generator().manual_seed(seed_of(0, "order", 0))
    stream = batches(ours.examples.train, 32, generator=order, drop_last=True)
    for ours_batch, batch in zip(list(ours.epoch_batches())[:2], stream, strict=False):
        ours.step(ours_batch)
        parameters = list(model.parameters())
        g = torch.autograd.grad(F.cross_entropy(model(batch.x), batch.y), parameters)
        flat = torch.cat([part.flatten() for part in g])
        e = (0.05 * flat / flat.norm()).split([p.numel() for p in parameters])
        away = copy.deepcopy(model)
        with torch.no_grad():
            for p, part in zip(away.parameters(), e, strict=True):
                p += part.view_as(p)
        F.cross_entropy(away(batch.x), batch.y).backward()
        for p, q in zip(parameters, away.parameters(), strict=True):
            p.grad = q.grad
        for optimizer in optimizers:
            optimizer.step()
    assert ours.steps == 2
    found = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.equal(ours.walker.w, found)


@pytest.mark.parametrize(
    "name",
    [n if n in USUAL else pytest.param(n, marks=pytest.mark.slow) for n in OPTIMIZERS],
)
def test_each_goes_on_after_an_interruption_bit_for_bit(digits, name, tmp_path):
    from landscape.training import checkpoint

    whole = run(training(digits, "sam", optimizer=name))
    first, second = (training(digits, "sam", optimizer=name) for _ in range(2))
    list(first.run_epoch())
    checkpoint.save(tmp_path / "c.pt", first.boundary())
    second.restore(checkpoint.load(tmp_path / "c.pt"))
    assert torch.equal(run(second).walker.w, whole.walker.w)
    assert not torch.equal(first.walker.w, whole.walker.w)


def test_every_optimizer_of_torch_is_known_or_refused():
    kinds = [k for k in vars(torch.optim).values() if inspect.isclass(k)]
    names = {k.__name__.lower() for k in kinds if issubclass(k, Optimizer) and k is not Optimizer}
    assert names == {*OPTIMIZERS, *NOT_DRIVEN}


def test_arguments_arrive(digits):
    t = training(digits, "sam", optimizer="Adam", optimizer_args={"betas": [0.8, 0.9], "eps": 1e-3})
    assert t.optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert t.optimizer.param_groups[0]["eps"] == 1e-3
    assert (
        training(digits, "sam", optimizer_args={"dampening": 0.5}).optimizer.defaults["dampening"]
        == 0.5
    )


def test_muon_has_the_hidden_matrices_and_adamw_the_rest(digits):
    t = training(
        digits, "sam", optimizer="muon", optimizer_args={"momentum": 0.9},
        groups=[{"match": "head.*", "lr": 0.5}, {"match": "no-decay"}, {"match": ".*"}],
    )  # fmt: skip
    assert isinstance(t.optimizer, OptimizerGroup)
    muon, adamw = t.optimizer.optimizers
    (hidden,) = muon.param_groups
    assert hidden["params"] == [t.model.hidden1.weight] and hidden["momentum"] == 0.9
    assert hidden["adjust_lr_fn"] == "match_rms_adamw"
    assert [group["lr"] for group in adamw.param_groups] == [0.5, 0.01]


def test_hidden_matrices_are_neither_embeddings_nor_head():
    model = TASKS["text-transformer"].build()
    names = {name for name, p in model.named_parameters() if id(p) in hidden_matrices(model)}
    two = {name for name, p in model.named_parameters() if p.dim() == 2}
    assert names and all("embed" not in name and "token" not in name for name in names)
    assert two - names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "nadm"}, "Did you mean 'nadam'"),
        ({"optimizer": "LBFGS"}, "cannot be LBFGS: it evaluates the loss again"),
        ({"optimizer": "SparseAdam"}, "cannot be SparseAdam"),
        (
            {"optimizer": "adam", "optimizer_args": {"beta": 1}},
            "argument of adam 'beta'. Did you mean 'betas'",
        ),
        ({"optimizer": "adam", "optimizer_args": {"lr": 1}}, "Unknown argument of adam 'lr'"),
        (
            {"optimizer": "sgd", "optimizer_args": {"momentum": 0.5}},
            "Unknown argument of sgd 'momentum'",
        ),
        ({"optimizer": "adam", "optimizer_args": {"maximize": True}}, "Unknown argument of adam"),
    ],
)
def test_what_is_not_known_is_refused_with_the_settings(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        TrainingSettings(**settings)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("sam", {"optimizer": "adam", "optimizer_args": {"eps": -1.0}}, "Adam refuses its"),
        ("sam", {"optimizer": "adam", "optimizer_args": {"betas": 0.9}}, "Adam refuses its"),
        ("sam", {"optimizer": "rprop", "weight_decay": 0.1}, "takes no weight decay. Set"),
        ("lets", {"optimizer": "rmsprop"}, "known for SGD, Adam and AdamW. Got RMSprop"),
        ("lets", {"optimizer": "muon"}, "known for SGD, Adam and AdamW. Got Muon with AdamW"),
        ("lets", {"optimizer_args": {"beta": 0.1}}, "argument of sgd 'beta'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_the_first_step(digits, method, settings, message):
    with pytest.raises(ValueError, match=message) as error:
        training(digits, method, **settings)
    assert len(str(error.value).splitlines()) == 1


def test_muon_needs_a_hidden_matrix():
    model = nn.Linear(3, 2)
    groups = options_of(model, (), 0.1, 0.0)
    with pytest.raises(ValueError, match="muon needs trainable matrices of hidden layers"):
        build("muon", model, groups, {}, lr=0.1, weight_decay=0.0)


def test_one_of_the_users_own_steps_as_written(digits, mine):
    t = training(
        digits, "sgd", optimizer=f"{mine}:Signs", optimizer_args={"size": 0.5}, weight_decay=0.1,
        schedule="constant", groups=[{"match": "head.*", "lr": 0.2}, {"match": ".*"}],
    )  # fmt: skip
    batch = next(t.epoch_batches())
    before = {name: p.detach().clone() for name, p in t.model.named_parameters()}
    F.cross_entropy(t.model(batch.x), batch.y).backward()
    g = {name: p.grad.clone() for name, p in t.model.named_parameters()}
    t.optimizer.zero_grad()
    t.step(batch)
    for name, p in t.model.named_parameters():
        lr = 0.2 if name.startswith("head") else 0.01
        torch.testing.assert_close(
            p.detach(), before[name] - lr * (0.5 * g[name].sign() + 0.1 * before[name])
        )


def test_several_of_the_users_own_step_together(digits, mine):
    t = training(
        digits, "sam", optimizer=f"{mine}:two", groups=[{"match": "head.*"}, {"match": ".*"}]
    )
    assert isinstance(t.optimizer, OptimizerGroup)
    before = t.walker.w
    run(t)
    assert ((t.walker.w - before) != 0).any()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("swaps", {}, "swaps the weights by train.. and eval.."),
        ("nothing", {}, "`optimizer` must be a torch optimizer"),
        ("fails", {}, "fails failed: RuntimeError: on purpose"),
        ("two", {"weight_decay": 0.1}, "two takes no weight decay"),
        (
            "Signs",
            {"optimizer_args": {"sise": 1}},
            "does not take these arguments: got an unexpected",
        ),
        ("Signz", {}, "Did you mean 'Signs'"),
    ],
)
def test_what_is_wrong_with_the_users_own_is_one_line(digits, mine, name, settings, message):
    imports.allow([f"{mine}:Signz"])
    with pytest.raises(ValueError, match=message) as error:
        training(digits, "sam", optimizer=f"{mine}:{name}", **settings)
    assert len(str(error.value).splitlines()) == 1


def test_a_reference_is_imported_where_the_user_names_it_and_not_from_a_folder(tmp_path):
    path = tmp_path / "theirs.py"
    path.write_text(MINE + "\nopen(__file__ + '.ran', 'w').close()\n")
    from landscape.training.run import Run

    settings = {
        "training": {"epochs": 1, "device": "cpu", "optimizer": f"{path}:Signs", "lr": 1e-3}
    }
    done = train("digits", "sam", out=tmp_path / "r", settings=settings)
    (tmp_path / "theirs.py.ran").unlink()
    done.path.rename(tmp_path / "moved")
    path.write_text("raise SystemExit")
    assert Run.open(tmp_path / "moved").model() is not None
    assert not (tmp_path / "theirs.py.ran").exists()


@pytest.mark.parametrize(
    ("methods", "settings", "message"),
    [
        (["sam", "lets"], {"optimizer": "rmsprop"}, "lets: The response of a base step is known"),
        (["sam"], {"groups": [{"match": "hidden.*"}]}, "sam: No group matches the parameter 'head"),
        (["sam"], {"schedule": "StepLR"}, "sam: StepLR refuses its arguments"),
        (["sam"], {"optimizer": "nowhere.py:x"}, "sam: There is no file"),
    ],
)
def test_a_study_is_refused_before_any_of_its_runs(methods, settings, message):
    with pytest.raises(ValueError, match=message):
        Design("digits", methods, settings={"training": settings})
