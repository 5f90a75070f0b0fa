"""Compiled passes of a training: the eager ones' trajectories, or a line that says why not.

The backend is torch's cheapest that has a backward graph, so the twin agrees bit for bit.
"""

import re
import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import landscape as ls
from landscape.analysis import hints
from landscape.methods import METHODS, make
from landscape.methods.walker.walker import Walker
from landscape.network import compiled
from landscape.study.cell import cell_folder
from landscape.training.compilation.trial import EAGER, compilation_of
from landscape.training.train import settings_for

METHOD_SETTINGS = {"sam-on": {"no_norm": True}}
NETS = [{"batch_norm": True}, {"dropout": 0.5}]


@pytest.fixture
def cheap(monkeypatch):
    """The compiler without code generation; counts its graphs."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")
    return torch._dynamo.utils.counters["stats"]


def steps(walker, name, batches, compilation):
    """Make a step on each batch but the first, which is held out."""
    method, (held_out, *rest) = make(name, METHOD_SETTINGS), batches
    walker.feed([held_out], iter(batches))
    losses = []
    for batch in rest:
        walker.begin(batch.size)
        with compilation.opened():
            method.step(walker, batch)
        losses.append(walker.step_loss)
    return torch.stack(losses)


def check_twins(name, net, twin_walkers, batches):
    ours, eager = twin_walkers(momentum=0.9, **net)
    names = list(ours.model.state_dict())
    compilation = compilation_of(ours, make(name, METHOD_SETTINGS), batches[0])
    assert compilation.reason == ""
    before = dict(torch._dynamo.utils.counters["stats"])
    a, b = (steps(*args) for args in ((ours, name, batches, compilation),
                                      (eager, name, batches, EAGER)))  # fmt: skip
    torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.w, eager.w, rtol=1e-12, atol=1e-14)
    for mine, other in zip(ours.model.buffers(), eager.model.buffers(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-14)
    assert (ours.passes, ours.grad_evals) == (eager.passes, eager.grad_evals)
    assert list(ours.model.state_dict()) == names
    assert "_compiled_call_impl" not in vars(ours.model)
    return before


@pytest.mark.parametrize(("name", "net"), [("sam", NETS[0]), ("lets+asam", NETS[1])])
def test_steps_are_those_of_eager_passes(name, net, cheap, twin_walkers, batches):
    """The twin: running statistics and dropout masks too, and no graph beside the trial's."""
    before = check_twins(name, net, twin_walkers, batches(4))
    assert before["unique_graphs"] == cheap["unique_graphs"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", sorted({*METHODS, "msam+asam"} - {"fam"}))
def test_steps_of_every_method(name, net, cheap, twin_walkers, batches):
    check_twins(name, net, twin_walkers, batches(4))


@pytest.mark.parametrize(
    ("method", "line"),
    [
        (make("fam"), "FAM takes second derivatives, which compiled graphs do not have"),
        (make("lets", {"lets": {"hessian": "exact"}}), "LETS takes second derivatives, .*"),
        (make("lets+asam", {"lets": {"hessian": "exact"}}), "LETS takes second derivatives, .*"),
        (make("msam", {"msam": {"mode": "vmap"}}), "MSAM maps its shards by vmap, .* run eagerly"),
    ],
)
def test_methods_that_run_eagerly_say_why(method, line, net_walker, batch):
    compilation = compilation_of(net_walker(), method, batch)
    assert compilation.network is None
    assert re.fullmatch(line, compilation.reason)


def no_compiler(graph, inputs):
    raise RuntimeError("There is no compiler here.\nSee the manual.")


def one_percent_off(graph, inputs):
    return lambda *given: tuple(1.01 * output for output in graph(*given))


@pytest.mark.parametrize(
    ("backend", "line"),
    [
        (no_compiler, "the network could not be compiled: .*There is no compiler here"),
        (one_percent_off, r"compiled passes are \d.\de-0\d off the eager ones, .*"),
    ],
)
def test_a_compiler_that_fails_or_errs_is_left_out(
    backend, line, cheap, monkeypatch, net_walker, batch
):
    """The walker stands as before, and no pass has counted."""
    monkeypatch.setattr(compiled, "BACKEND", backend)
    walker = net_walker(batch_norm=True)
    state = {name: t.clone() for name, t in walker.model.state_dict().items()}
    compilation = compilation_of(walker, make("sam"), batch)
    assert compilation.network is None
    assert re.fullmatch(line, compilation.reason)
    assert (walker.passes, walker.grad_evals) == (0, 0)
    for name, t in walker.model.state_dict().items():
        assert torch.equal(t, state[name])


def test_a_loss_of_second_derivatives_runs_eagerly(cheap, small_net, batch):
    def penalised(model, batch):
        loss = F.cross_entropy(model(batch.x), batch.y)
        g = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
        return loss + sum(each.square().sum() for each in g)

    model = small_net()
    walker = Walker(model, torch.optim.SGD(model.parameters(), lr=0.1), penalised)
    assert "double backward" in compilation_of(walker, make("sgd"), batch).reason


def test_state_outside_the_network_is_kept_as_by_eager_passes(cheap, small_net, batches):
    """A projection head of the loss: a look leaves its statistics, the step moves them once."""
    found = []
    for on in (True, False):
        head, model = nn.BatchNorm1d(3, affine=False).double(), small_net()

        def loss(model, batch, head=head):
            return F.cross_entropy(head(model(batch.x)), batch.y)

        walker = Walker(model, torch.optim.SGD(model.parameters(), lr=0.1), loss)
        given = batches(3)
        compilation = compilation_of(walker, make("sam"), given[0]) if on else EAGER
        steps(walker, "sam", given, compilation)
        found.append((head.running_mean.clone(), head.num_batches_tracked.item()))
    torch.testing.assert_close(found[0], found[1])
    assert found[0][1] == 2


def test_hooks_on_the_network_run(cheap, net_walker, batches):
    walker = net_walker()
    walker.model.register_forward_hook(lambda module, x, y: 2 * y)
    plain = net_walker()
    plain.model.register_forward_hook(lambda module, x, y: 2 * y)
    compilation = compilation_of(walker, make("sam"), batches(1)[0])
    assert compilation.reason == ""
    a, b = (steps(*args) for args in ((walker, "sam", batches(3), compilation),
                                      (plain, "sam", batches(3), EAGER)))  # fmt: skip
    torch.testing.assert_close(a, b, rtol=1e-12, atol=0)


def test_the_folder_of_a_cell_is_as_before(tmp_path):
    plain, on = (
        cell_folder(tmp_path, settings_for("digits", "sam", 0, {"training": extra}))
        for extra in ({"compile": False}, {"compile": True})
    )
    assert plain == cell_folder(tmp_path, settings_for("digits", "sam", 0, {}))
    assert plain != on


@pytest.mark.slow
def test_a_run_is_that_of_eager_passes(cheap, tmp_path):
    """Weights, names and metrics; a method that runs eagerly has its line."""
    short = {"epochs": 1, "device": "cpu"}
    ours, eager = (
        ls.train("digits-cnn", "sam", out=tmp_path / str(on),
                 settings={"training": short | {"compile": on}})
        for on in (True, False)
    )  # fmt: skip
    assert ours.metrics[-1]["train_loss"] == pytest.approx(eager.metrics[-1]["train_loss"], 1e-5)
    assert list(ours.model().state_dict()) == list(eager.model().state_dict())
    assert hints.of_runs([ours]) == []
    assert ours.metrics[-1]["grad_evals"] == eager.metrics[-1]["grad_evals"]
    fam = ls.train(
        "digits", "fam", out=tmp_path / "fam", settings={"training": short | {"compile": True}}
    )
    assert hints.of_runs([fam]) == [
        "fam ran eagerly: FAM takes second derivatives, which compiled graphs do not have."
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiles C++")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler itself
def test_generated_code_gives_the_eager_trajectory(twin_walkers, batches):
    """Masks of dropout are those of eager kernels; the rest differs by rounding."""
    torch._dynamo.reset()
    ours, eager = twin_walkers(momentum=0.9, batch_norm=True, dropout=0.5)
    compilation = compilation_of(ours, make("asam"), batches(1)[0])
    assert compilation.reason == ""
    a = steps(ours, "asam", batches(5), compilation)
    b = steps(eager, "asam", batches(5), EAGER)
    torch.testing.assert_close(a, b, rtol=1e-9, atol=0)
    torch.testing.assert_close(ours.w, eager.w, rtol=1e-8, atol=1e-10)
