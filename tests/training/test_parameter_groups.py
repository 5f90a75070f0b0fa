"""Groups of parameters: where their rates arrive, and that frozen parts are no part of w."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.data import DataSet
from landscape.methods import METHODS, make
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.study.cell import cell_folder
from landscape.tasks.registry import TASKS, Task
from landscape.training.loop import Training
from landscape.training.parameter_groups import Group, freeze, groups_by_name, groups_of, options_of
from landscape.training.run import Run
from landscape.training.settings import Settings, resolve
from landscape.training.train import train
from landscape_cli.settings import read

pytestmark = pytest.mark.slow  # runs the program from end to end

CNN = TASKS["digits-cnn"]
BODY = [{"match": "(conv|norm).*", "freeze": True}, {"match": "head.*"}]


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture(scope="module")
def digits():
    whole = CNN.load(None)
    few = {f"{part}_{a}": getattr(whole, f"{part}_{a}")[:160] for part in ("train", "test")
           for a in "xy"}  # fmt: skip
    return replace(whole, **few, fingerprint="few")


def training(dataset, method, task=CNN, **settings):
    shared = {"device": "cpu", "epochs": 2, "lr": 0.05, **settings}
    layer = {"training": shared, "data": {"batch_size": 32, "held_out": 0.2}, "aace": {"rho": 0.02}}
    layer |= {"sam-on": {"no_norm": True}}  # a head behind a frozen body has no normalisation
    return Training(resolve("digits-cnn", method, 0, layer), task, dataset)


def run(t):
    while not t.done:
        list(t.run_epoch())
    return t


def small():
    torch.manual_seed(0)
    layers = (nn.Linear(4, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3))
    return nn.Sequential(*layers).double()


def test_rates_and_decays_arrive_as_in_a_plain_loop_of_sam():
    """Body at a tenth of the rate with no decay, the rest as the settings say: five SAM steps."""
    groups = groups_of([{"match": "0\\..*", "lr": 0.02, "weight_decay": 0.0}, {"match": ".*"}])
    x, y = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
    model, plain = small(), small()
    optimizer = torch.optim.SGD(options_of(model, groups, 0.2, 0.1), momentum=0.9)
    walker, sam = Walker(model, optimizer, cross_entropy), make("sam", {"sam": {"rho": 0.1}})
    momentum = {}
    for _ in range(5):
        sam.step(walker, Batch(x, y))
        names, w = zip(*plain.named_parameters(), strict=True)
        g = torch.autograd.grad(F.cross_entropy(plain(x), y), w)
        norm = sum(part.square().sum() for part in g).sqrt()
        with torch.no_grad():
            for p, part in zip(w, g, strict=True):
                p += 0.1 * part / norm
        up = torch.autograd.grad(F.cross_entropy(plain(x), y), w)
        with torch.no_grad():
            for name, p, part, new in zip(names, w, g, up, strict=True):
                p -= 0.1 * part / norm
                lr, decay = (0.02, 0.0) if name.startswith("0.") else (0.2, 0.1)
                momentum[name] = 0.9 * momentum.get(name, 0.0) + new + decay * p
                p -= lr * momentum[name]
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)


def test_the_schedule_multiplies_every_rate(digits):
    t = training(
        digits, "sgd", schedule="step", milestones=[0.5], gamma=0.1,
        groups=[{"match": "head.*", "lr": 0.4}, {"match": ".*"}],
    )  # fmt: skip
    rates = lambda: [group["lr"] for group in t.optimizer.param_groups]  # noqa: E731
    list(t.run_epoch())
    assert rates() == [0.4, 0.05]
    list(t.run_epoch())
    assert rates() == pytest.approx([0.04, 0.005])


def test_no_decay_means_biases_and_normalisations():
    model = small()
    (exempt, rest) = options_of(model, groups_of("no-decay"), 0.1, 0.01)
    assert (exempt["weight_decay"], rest["weight_decay"], exempt["lr"]) == (0.0, 0.01, 0.1)
    names = {id(p): name for name, p in model.named_parameters()}
    assert [names[id(p)] for p in rest["params"]] == ["0.weight", "3.weight"]
    assert [names[id(p)] for p in exempt["params"]] == ["0.bias", "1.weight", "1.bias", "3.bias"]


def test_the_first_match_wins():
    groups = groups_of([{"match": "0.*", "lr": 1.0}, {"match": "no-decay"}, {"match": ".*"}])
    assigned = groups_by_name(small(), groups)
    assert assigned["0.bias"].lr == 1.0 and assigned["0.bias"].weight_decay is None
    assert assigned["3.bias"].weight_decay == 0.0 and assigned["3.weight"].match == ".*"


@pytest.mark.parametrize("method", [*METHODS, "lets+asam", "lookbehind+msam"])
def test_a_frozen_body_is_a_fixed_map_of_the_inputs(digits, method):
    """Training the head behind it is training that layer alone on the body's features; and the body
    stays bit for bit, running statistics included.
    """
    t = training(digits, method, groups=BODY)
    body = nn.Sequential(*list(t.model.children())[:-1])
    before = {name: tensor.clone() for name, tensor in body.state_dict().items()}
    assert t.walker.weights.names == ("head.weight", "head.bias")
    with torch.no_grad():
        features = [body(x) for x in (digits.train_x, digits.test_x)]
    alone = DataSet("features", features[0], digits.train_y, features[1], digits.test_y, 10)
    linear = Task("digits-cnn", "", "mlp", "digits", {"inputs": 512, "hidden": (), "classes": 10})
    twin = training(alone, method, linear)
    twin.walker.move_to(t.walker.w)
    run(t), run(twin)
    torch.testing.assert_close(t.walker.w, twin.walker.w, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in body.state_dict().items())


def test_a_frozen_batch_norm_is_in_eval_mode_and_its_neighbour_is_not():
    model = CNN.build()
    freeze(model, groups_of([{"match": "norm1.*", "freeze": True}, {"match": ".*"}]))
    assert [n for n, m in model.named_modules() if not m.training] == ["norm1"]
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == [
        "norm1.weight", "norm1.bias",
    ]  # fmt: skip


def test_a_batch_norm_without_parameters_belongs_to_the_group_of_its_statistics():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False), nn.Linear(2, 2))
    freeze(model, groups_of([{"match": "[01]\\..*", "freeze": True}, {"match": ".*"}]))
    assert [m.training for m in model] == [True, False, True]


def test_measures_look_at_the_trained_part_alone(tmp_path):
    settings = {"training": {"device": "cpu", "epochs": 1, "groups": BODY}}
    done = train("digits-cnn", "sam", out=tmp_path / "r", settings=settings)
    objective = Run.open(done.path).objective("train", examples=50)
    assert objective.w.shape == (512 * 10 + 10,)
    assert not objective.model.norm1.training or not objective.model.norm1.weight.requires_grad
    again = train("digits-cnn", "sam", out=tmp_path / "r", settings=settings)
    assert again.metrics == done.metrics


@pytest.mark.parametrize("method", ["sam", "lets"])
def test_a_resumed_training_with_groups_is_the_uninterrupted_one(digits, method):
    groups = [
        {"match": "conv1.*", "freeze": True},
        {"match": "head.*", "lr": 0.2},
        *groups_of("no-decay"),
    ]
    whole = run(training(digits, method, groups=groups))
    first, second = (training(digits, method, groups=groups) for _ in range(2))
    list(first.run_epoch())
    second.restore(first.boundary())
    assert torch.equal(run(second).walker.w, whole.walker.w)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"match": "conv.*"}], r"No group matches the parameter 'norm1.weight'. Let the last"),
        ([{"match": "haed.weight"}, {"match": ".*"}], "Did you mean 'head.weight'"),
        ([{"match": ".*"}, {"match": "head.*"}], r"be first to do so: 'head\.\*' has no parameter"),
    ],
)
def test_groups_that_do_not_fit_the_network_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        groups_by_name(CNN.build(), groups_of(groups))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("nodecay", "must be tables with `match`, or 'no-decay'. Got 'nodecay'."),
        (3, "must be tables with `match`"),
        ([{"lr": 0.1}], "A group needs `match`"),
        ([{"match": ".*", "weigth_decay": 0}], "Did you mean 'weight_decay'"),
        ([{"match": "("}], "must be a regular expression. Got '\\('"),
        ([{"match": ".*", "lr": 0}], "`lr` of group '.*' must be positive. Got 0."),
        ([{"match": ".*", "lr": True}], "must be positive. Got True."),
        ([{"match": ".*", "weight_decay": -1}], "must be non-negative. Got -1."),
        ([{"match": ".*", "lr": math.inf}], "must be positive. Got inf."),
        ([{"match": ".*", "weight_decay": math.inf}], "must be non-negative. Got inf."),
        ([{"match": ".*", "freeze": "yes"}], "must be true or false. Got 'yes'."),
        ([{"match": ".*", "freeze": True, "lr": 0.1}], "is frozen: it takes no lr"),
        ([5], "A group must be a table of match, lr, weight_decay, freeze. Got 5."),
    ],
)
def test_impossible_groups_are_refused_in_one_line(groups, message):
    with pytest.raises(ValueError, match=message) as error:
        groups_of(groups)
    assert len(str(error.value).splitlines()) == 1


def test_settings_keep_groups_and_older_folders_are_found(tmp_path):
    settings = resolve("digits", "sam", 0, {"training": {"groups": BODY}})
    assert settings.training.groups == (Group("(conv|norm).*", freeze=True), Group("head.*"))
    assert Settings.from_dict(settings.to_dict()) == settings
    assert repr(settings.training.groups[0]) == "Group('(conv|norm).*', freeze=True)"
    plain, empty = (
        resolve("digits", "sam", 0),
        resolve("digits", "sam", 0, {"training": {"groups": ()}}),
    )
    assert cell_folder(tmp_path, plain).name == "sam-seed0-3e4fb1eb"
    assert (
        cell_folder(tmp_path, plain)
        == cell_folder(tmp_path, empty)
        != cell_folder(tmp_path, settings)
    )


def test_a_file_has_groups_as_tables(tmp_path):
    path = tmp_path / "run.toml"
    head = "[[groups]]\nmatch = 'head.*'\nlr = 1.0\n"
    path.write_text(f"{head}[[groups]]\nmatch = '.*'\n[sam]\nrho = 0.1\n")
    tree = read(path, [], ["sam"])
    assert tree["sam"] == {"rho": 0.1}
    assert groups_of(tree["training"]["groups"]) == (Group("head.*", lr=1.0), Group(".*"))
    assert read(None, ["training.groups=no-decay"], ["sam"]) == {"training": {"groups": "no-decay"}}
    path.write_text(path.read_text() + "[training]\ngroups = 'no-decay'\n")
    with pytest.raises(ValueError, match="has groups twice"):
        read(path, [], ["sam"])
    with pytest.raises(ValueError, match=r"`sam.training.groups` must be tables"):
        read(None, ["sam.training.groups=decay"], ["sam"])
