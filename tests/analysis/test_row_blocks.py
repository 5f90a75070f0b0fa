"""Rows of one network over an engine: the bits of one process, whatever happens on the way."""

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import landscape as ls
from landscape.analysis import row_blocks
from landscape.engines import make
from landscape.engines.engine import End, Engine
from landscape.measures import MEASURES, spectral_density
from landscape.measures.rows.resumable_rows import KeptRows

OPTIONS = {
    "surface": {"size": (5, 3)},
    "profile": {"lines": 3, "size": 3},
    "noise": {"draws": 3, "sigmas": (0.0, 0.05)},
    "path": {"size": 5},
    "spectral_density": {"probes": 4, "steps": 5},
    "trace": {"method": "hutchinson", "tolerance": 0.3},
}
UNLIKE = ("ways", "provenance")  # of a record: times and the place


class InTurn(Engine):
    """Runs items backwards in this process."""

    def check(self):
        pass

    def at_once(self, device):
        return 2

    def run(self, items, hear):
        for item in reversed(items):
            try:
                yield End(item, item.run(hear), None)
            except (ValueError, OSError) as error:
                yield End(item, None, error)


class Stopped(InTurn):
    """Stops with all after the first block, as Ctrl-C at the head does."""

    def run(self, items, hear):
        yield next(super().run(items, hear))
        raise KeyboardInterrupt


def trained(folder, seed):
    short = {"training": {"epochs": 1, "device": "cpu"}}
    return ls.train("digits", "sgd", out=folder / f"r{seed}", seed=seed, settings=short).path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs"), 0)


@pytest.fixture(scope="module")
def end(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs"), 1)


def analyzed(run, name, end=None, force=True, **more):
    call = {"options": OPTIONS, "examples": 60, "force": force, "device": "cpu", **more}
    return ls.analyze(run, [name], to=end if name == "path" else None, **call)[name]


@pytest.fixture
def blocks(monkeypatch):
    """The rows of each block that was run, in their order."""
    ran, plain = [], row_blocks.RowBlock.run

    def noted(self, progress):
        ran.append(list(self.share.rows))
        plain(self, progress)

    monkeypatch.setattr(row_blocks.RowBlock, "run", noted)
    return ran


def same(one, two):
    for name in (f.name for f in fields(one) if f.name not in UNLIKE):
        a, b = getattr(one, name), getattr(two, name)
        if isinstance(a, np.ndarray):
            assert a.tobytes() == b.tobytes(), name
        else:
            assert str(a) == str(b), name


@pytest.mark.parametrize("name", OPTIONS)
def test_blocks_have_the_bits_of_one_process(run, end, name, blocks):
    alone = analyzed(run, name, end)
    assert not blocks
    heard = []
    shared = analyzed(run, name, end, engine=InTurn(), progress=heard.append)
    same(alone, shared)
    assert len(blocks) > 1
    assert not list((run / "records").glob(".*rows*"))
    whole = [m.share for m in heard if m.label.endswith(f": {name.replace('_', ' ')}")]
    assert whole and all(0 <= share <= 1 for share in whole) and whole[-1] == 1


def test_a_trace_asks_for_more_directions_in_a_further_round(run, blocks):
    draws = analyzed(run, "trace", engine=InTurn()).draws
    assert draws > 11 and draws == analyzed(run, "trace").draws
    shared = sorted(row for block in blocks for row in block)
    assert shared[:9] == list(range(1, 10)) and shared[9] == 11  # a round's first is the head's
    assert len(set(shared)) == len(shared) and set(shared) < set(range(draws))


def test_what_depends_on_earlier_products_stays_whole(run, blocks):
    options = {"trace": {"method": "layers", "max_hvps": 60}, "noise": OPTIONS["noise"]}
    found = ls.analyze(
        run, ["trace", "noise"], options=options, examples=60, force=True, engine=InTurn()
    )
    assert found["trace"].method == "layers" and [2] in blocks and len(blocks) == 2
    with pytest.raises(ValueError, match=r"trace by hutchinson\. Got trace\."):
        analyzed(run, "trace", engine=InTurn(), options=options | {"noise": {}})
    assert MEASURES["path"](shape="line").splits_into == "points"
    assert MEASURES["path"](shape="bezier").splits_into == ""


def test_the_head_says_how_many_steps_fit_the_memory(run, monkeypatch):
    n = analyzed(run, "spectral_density").n
    for_vectors = [5, 4, 3, 2, 2]  # less and less is free where further processes look
    monkeypatch.setattr(spectral_density, "basis_bytes", lambda _: 4 * n * for_vectors.pop(0))
    shared = analyzed(run, "spectral_density", engine=InTurn())
    assert len(for_vectors) < 4 and shared.nodes.shape == (4, 4)
    monkeypatch.setattr(spectral_density, "basis_bytes", lambda _: 4 * n * 5)
    same(analyzed(run, "spectral_density"), shared)


@pytest.mark.parametrize(
    ("name", "unit", "left"), [("surface", "rows", [[4]]), ("spectral_density", "probes", [])]
)
def test_a_failing_block_is_named_and_the_others_are_kept(
    run, monkeypatch, name, unit, left, blocks
):
    noted = row_blocks.RowBlock.run

    def failing(self, progress):
        if 3 in self.share.rows:
            raise OSError("the disk is on fire.")
        noted(self, progress)

    monkeypatch.setattr(row_blocks.RowBlock, "run", failing)
    reason = (
        rf": {name.replace('_', ' ')}, {unit} 3(-4)?: the disk is on fire. 1 of 2 blocks failed"
    )
    with pytest.raises(ValueError, match=reason):
        analyzed(run, name, engine=InTurn())
    assert list((run / "records").glob(f".{name}.rows*"))
    blocks.clear()
    monkeypatch.setattr(row_blocks.RowBlock, "run", noted)
    shared = analyzed(run, name, engine=InTurn())
    assert blocks == left  # the head takes row 3
    same(analyzed(run, name), shared)


@pytest.mark.parametrize("name", ["path", "spectral_density", "trace"])
def test_after_a_stop_the_same_command_goes_on(run, end, name, blocks):
    with pytest.raises(KeyboardInterrupt):
        analyzed(run, name, end, engine=Stopped())
    (finished,) = blocks
    blocks.clear()
    shared = analyzed(run, name, end, engine=InTurn())
    assert not set(finished) & {row for block in blocks for row in block}
    same(analyzed(run, name, end), shared)


def test_probes_of_one_process_that_was_stopped_are_kept(run):
    def stop(message):
        if message.label.endswith(": spectral density"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyzed(run, "spectral_density", progress=stop)
    (path,) = (run / "records").glob(".spectral_density.rows")
    assert len(path.read_text().splitlines()) == 2  # the question, and a probe
    went_on = analyzed(run, "spectral_density")
    assert not path.exists()
    same(analyzed(run, "spectral_density"), went_on)


@pytest.mark.parametrize("name", ["surface", "trace"])
def test_rows_of_another_question_are_refused(run, monkeypatch, name):
    plain = row_blocks.RowBlock.run

    def on_another_device(self, progress):
        other = replace(self.measure, seed=1)
        plain(replace(self, measure=other), progress)

    monkeypatch.setattr(row_blocks.RowBlock, "run", on_another_device)
    with pytest.raises(ValueError, match=r"rows are missing, or answer another question"):
        analyzed(run, name, engine=InTurn())


def test_shares_beside_a_file_are_taken_in(tmp_path):
    for row in (1, 2):
        KeptRows(tmp_path / f".rows.{row}-{row}", "q").add(row, np.array([row / 3]))
    KeptRows(tmp_path / ".rows.4-4", "another").add(4, np.array([0.0]))
    (tmp_path / ".rows.7-7").write_text("cut sh")
    kept = KeptRows(tmp_path / ".rows", "q")
    assert [kept.get(i) for i in (1, 2)] == [1 / 3, 2 / 3] and kept.get(4) is kept.get(7) is None
    assert [path.name for path in tmp_path.iterdir()] == [".rows"]
    assert KeptRows(tmp_path / ".rows", "q").get(2) == 2 / 3


def test_live_objects_are_refused_where_they_cannot_travel(tmp_path):
    import torch

    net = torch.nn.Linear(4, 2)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    data = [(torch.randn(6, 4), torch.zeros(6, dtype=torch.long))]
    with pytest.raises(ValueError, match="`engine` opens the network in other processes: name"):
        ls.analyze(
            tmp_path / "net.pt", ["profile"], model=lambda: net, data=data, device="cpu",
            options={"profile": {"lines": 3, "size": 3}}, engine=InTurn(), out=tmp_path / "m",
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("engine", ["local", "dask", "ray"])
def test_a_block_whose_process_is_killed_is_tried_again(engine, tmp_path, monkeypatch):
    """The user's loss kills its process once; two real processes."""
    if library := {"dask": "distributed", "ray": "ray"}.get(engine):
        pytest.importorskip(library, reason=f"{library} is not installed")
    (tmp_path / "mine.py").write_text(
        "import os, signal, pathlib, torch\n"
        "def loss(model, batch):\n"
        f"    once = pathlib.Path({str(tmp_path / 'once')!r})\n"
        f"    if os.getpid() != {os.getpid()} and not once.exists():\n"
        "        once.touch()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return torch.nn.functional.cross_entropy(model(batch.x), batch.y)\n"
        "def net():\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))\n"
    )
    monkeypatch.chdir(tmp_path)
    import torch

    torch.save({"1.weight": torch.randn(10, 64), "1.bias": torch.zeros(10)}, "net.pt")
    call = {"model": "mine.py:net", "data": "digits", "loss": "mine.py:loss", "device": "cpu"}
    call |= {"options": OPTIONS, "examples": 60, "force": True}
    names = ["spectral_density", "surface"]
    alone = ls.analyze("net.pt", names, out="m1", **call)
    shared = ls.analyze("net.pt", names, out="m2", engine=make(engine, workers=2), **call)
    assert Path("once").exists()
    for name in names:
        same(alone[name], shared[name])
