"""Fixtures for every test: small networks and walkers whose answers are known in closed form, and
a browser.

Libraries are imported where they are used: the process that hands out the tests needs none.
"""

import gc
import importlib
import os
import shutil
import sys
from collections import defaultdict

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SOFTWARE_GL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
               "--enable-unsafe-swiftshader"]  # fmt: skip


def pytest_configure(config):
    """Keep compiled modules where pytest keeps its cache, also where Python is told not to: the
    programs that tests start, and the next run, load in half the time.
    """
    if config.pluginmanager.has_plugin("cacheprovider"):
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a file's tests to one process, so that what they share is made once."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # the last files take least: the processes end together
    return LoadFileScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Modules and tests stay to the end: the collector of garbage need not pass over them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test marked `thinned(n)` one case in n stays, along the diagonals of its parameters, so
    that each value of each is there; the others are slow.
    """
    places = defaultdict(dict)  # function, parameter -> value -> its number
    for item in items:
        if mark := item.get_closest_marker("thinned"):
            diagonal = 0
            for i, value in enumerate(item.callspec._idlist):
                numbers = places[item.function, i]
                diagonal += numbers.setdefault(value, len(numbers))
            if diagonal % mark.args[0]:
                item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The fastest on networks this small, unless the environment names another number."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(autouse=True)
def registries():
    """Whatever a test registers is forgotten after it."""
    from landscape.data import DATA
    from landscape.methods import METHODS
    from landscape.models import MODELS
    from landscape.tasks.registry import TASKS

    kept = [(names, dict(names)) for names in (DATA, METHODS, MODELS, TASKS)]
    yield
    for names, before in kept:
        if names != before:
            names.clear()
            names.update(before)


@pytest.fixture
def no_figures(monkeypatch):
    """Reports without figures, which take longer than all the rest."""
    monkeypatch.setattr(importlib.import_module("landscape.report.write"), "figures", lambda _: [])


def cross_entropy(model, batch):
    from torch.nn.functional import cross_entropy

    return cross_entropy(model(batch.x), batch.y)


@pytest.fixture
def point_walker():
    """loss(model, batch) of a bare vector w as a module, a function of `model.w`; plain SGD unless
    told otherwise.
    """
    import torch

    from landscape.methods.walker.walker import Walker

    def make(start, loss, lr=0.1, optimizer=torch.optim.SGD, walker=None, **options):
        model = torch.nn.Module()
        model.w = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
        return Walker(
            model, optimizer(model.parameters(), lr=lr, **options), loss, **(walker or {})
        )

    return make


@pytest.fixture
def quadratic_walker(point_walker):
    """L(w) = wᵀ diag(d) w / 2."""
    import torch

    def make(diagonal, start, lr=0.1, **options):
        d = torch.tensor(diagonal, dtype=torch.float64)
        return point_walker(start, lambda m, _: 0.5 * (d * m.w**2).sum(), lr=lr, **options)

    return make


@pytest.fixture
def small_net():
    """A fresh classifier of 6 inputs and 3 classes in float64; the same for the same seed."""
    import torch
    from torch import nn

    def make(seed=0, batch_norm=False, dropout=0.0, hidden=5):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            layers = [nn.Linear(6, hidden)]
            if batch_norm:
                layers.append(nn.BatchNorm1d(hidden))
            layers.append(nn.Tanh())
            if dropout:
                layers.append(nn.Dropout(dropout))
            layers.append(nn.Linear(hidden, 3))
            return nn.Sequential(*layers).double()

    return make


@pytest.fixture
def batches():
    """`count` different batches of the same made-up task."""
    import torch

    from landscape.objective.objective import Batch

    def make(count, size=12, seed=0):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(count, size, 6, generator=generator, dtype=torch.float64)
        y = torch.randint(0, 3, (count, size), generator=generator)
        return [Batch(a, b) for a, b in zip(x, y, strict=True)]

    return make


@pytest.fixture
def batch(batches):
    return batches(1)[0]


@pytest.fixture
def net_walker(small_net):
    """A walker on `small_net` with SGD."""
    import torch

    from landscape.methods.walker.walker import Walker

    def make(seed=0, lr=0.1, momentum=0.0, weight_decay=0.0, walker=None, **net):
        model = small_net(seed, **net)
        sgd = torch.optim.SGD(
            model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay
        )
        return Walker(model, sgd, cross_entropy, **(walker or {}))

    return make


@pytest.fixture
def twin_walkers(net_walker):
    """Two walkers that stand at the same point with equal settings."""
    return lambda **settings: (net_walker(**settings), net_walker(**settings))


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE_GL)
        yield opened
        opened.close()


@pytest.fixture
def opened(browser):
    """open(path, **context) -> page; its console errors and requests as `.errors`, `.requests`."""
    contexts = []

    def open_(path, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(120_000)  # milliseconds: software rendering on a busy machine
        contexts.append(context)
        page = context.new_page()
        page.errors, page.requests = [], []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
