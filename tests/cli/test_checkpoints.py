"""landscape analyze on checkpoints of the user's own; plot and info of the records."""

import json
from pathlib import Path

import pytest
import torch

from landscape import records
from landscape.measures.context import fingerprint

pytestmark = pytest.mark.slow  # runs the program from end to end

MINE = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def net():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def points(seed):
    x = torch.randn(90, 4, generator=torch.Generator().manual_seed(seed))
    return x, x[:, :3].argmax(1)


def parts():
    train = DataLoader(TensorDataset(*points(0)), batch_size=16, shuffle=True)
    return {"train": train, "test": points(1)}


def whole(turned=False):
    x, y = points(2)
    return (x.flip(0), y.flip(0)) if turned else (x, y)


def doubled(model, batch):
    return 2 * nn.functional.cross_entropy(model(batch.x), batch.y)
"""
NAMED = ("--model", "mine.py:net", "--data", "mine.py:parts", "--examples", "40")
SMALL = ("--measures", "surface,eigenvalues", "--set", "surface.size=3", "--k", "2")


@pytest.fixture
def checkpoint(landscape):
    """model.pt and mine.py in the present folder."""
    Path("mine.py").write_text(MINE)
    return _saved(0)


def _saved(seed, path="model.pt"):
    space: dict = {}
    exec(MINE, space)
    torch.manual_seed(seed)
    model = space["net"]()
    torch.save(model.state_dict(), path)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_from_a_checkpoint_to_its_surface_in_two_commands(landscape, checkpoint):
    done = landscape("analyze", "model.pt", *NAMED, *SMALL)
    assert (done.code, done.last_line) == (0, "minima/model")
    surface = records.load(Path("minima/model/records/surface.nc"))
    assert surface.loss.shape == surface.other_loss.shape == (3, 3)
    assert (surface.point.split, surface.other_point["split"]) == ("train", "test")
    assert surface.point.examples == 40
    assert surface.provenance["checkpoint"] == "model.pt"
    assert surface.provenance["weights"] == fingerprint(checkpoint)
    for format_ in ("pdf", "html"):
        drawn = landscape("plot", "minima/model", "--kind", "surface", "--format", format_)
        assert (drawn.code, drawn.last_line) == (0, f"minima/model/figures/surface.{format_}")
        assert Path(drawn.last_line).stat().st_size > 1000
    told = landscape("info", "minima/model")
    assert told.code == 0
    assert "loss (3×3)" in told.out


def test_what_is_there_is_kept_although_the_loader_shuffles(landscape, checkpoint):
    def times():
        assert landscape("analyze", "model.pt", *NAMED, *SMALL, *more).code == 0
        return {p.name: p.stat().st_mtime_ns for p in Path("minima/model/records").glob("*.nc")}

    more = ()
    first = times()
    assert times() == first
    more = ("--loss", "mine.py:doubled")
    other = times()
    assert all(other[name] > first[name] for name in first)
    more += ("--force",)
    assert all(when > other[name] for name, when in times().items())


def test_memory_of_a_large_network_is_said_before_it_is_measured(
    landscape, checkpoint, monkeypatch
):
    asked = ("analyze", "model.pt", *NAMED, "--measures", "eigenvalues", "--k", "1")
    assert "a vector takes" not in landscape(*asked).err
    monkeypatch.setattr("landscape.measures.curvature.vector_memory.LARGE", 10)
    said = landscape(*asked).err
    n = records.load(Path("minima/model/records/eigenvalues.nc")).point.n
    assert (
        f"note: n = {n:,} weights: a vector takes {n * 4 / 1e6:.3g} MB, and Lanczos keeps" in said
    )
    assert "beside 1 eigenvectors" in said
    assert "a vector takes" not in landscape(*asked, "--quiet").err


def test_parameters_by_name_are_another_question(landscape, checkpoint):
    asked = ("analyze", "model.pt", *NAMED, "--measures", "eigenvalues", "--k", "1")
    path = Path("minima/model/records/eigenvalues.nc")
    landscape(*asked)
    whole = records.load(path).point
    assert landscape(*asked, "--parameters", "bias$").code == 0
    some = records.load(path).point
    assert (whole.parameters, some.parameters) == ("", "bias$")
    assert whole.n > some.n
    assert some.loss == whole.loss
    written = path.stat().st_mtime_ns
    assert landscape(*asked, "--parameters", "bias$").code == 0
    assert path.stat().st_mtime_ns == written


def test_parameters_by_name_that_have_no_meaning_are_refused(landscape, checkpoint):
    _saved(1, "other.pt")
    for more, words in (
        (("--parameters", "lora"), "must match the name of a trainable parameter. Got 'lora'"),
        (("--parameters", "bias", "--to", "other.pt"), "and a path goes through several"),
    ):
        done = landscape("analyze", "model.pt", *NAMED, "--measures", "path", *more)
        assert done.code == 2
        assert words in done.err


def test_the_same_data_in_both_places_are_looked_at_once(landscape, checkpoint):
    named = ("--model", "mine.py:net", "--data", "mine.py:whole")
    assert landscape("analyze", "model.pt", *named, *SMALL, "--out", "here").code == 0
    surface = records.load(Path("here/records/surface.nc"))
    assert surface.other_loss is None
    assert surface.point.split == "given"


def test_other_examples_are_another_question_even_at_the_same_loss(landscape, checkpoint):
    named = ("--model", "mine.py:net", "--data", "mine.py:whole")
    landscape("analyze", "model.pt", *named, *SMALL)
    path = Path("minima/model/records/eigenvalues.nc")
    first = records.load(path).point
    landscape("analyze", "model.pt", *named, *SMALL, "--data-args", "turned=true")
    other = records.load(path).point
    assert other.loss == pytest.approx(first.loss, rel=1e-6)
    assert other.fingerprint != first.fingerprint


def test_several_checkpoints_stand_side_by_side_and_on_a_path(landscape, checkpoint):
    _saved(1, "other.pt")
    assert landscape("analyze", "model.pt", "other.pt", *NAMED, *SMALL).code == 0
    drawn = landscape("plot", "minima/model", "minima/other", "--kind", "spectrum")
    assert drawn.code == 0
    walk = ("--measures", "path", "--to", "other.pt", "--set", "path.size=3")
    assert landscape("analyze", "model.pt", *NAMED, *walk).code == 0
    path = records.load(Path("minima/model/records/path.nc"))
    assert path.end == "other"
    assert path.length > 1


def test_dry_run_says_what_is_there_and_writes_nothing(landscape, checkpoint):
    def planned():
        answer = json.loads(
            landscape("analyze", "model.pt", *NAMED, *SMALL, "--dry-run", "--json").out
        )
        return {part["name"]: (part["count"], part["kept"]) for part in answer["parts"]}

    assert planned() == {"surface": (1, 0), "eigenvalues": (1, 0)}
    assert not Path("minima").exists()
    landscape("analyze", "model.pt", *NAMED, *SMALL)
    assert planned() == {"surface": (0, 1), "eigenvalues": (0, 1)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("model.pt",), "model.pt is a file, not the folder of a run. A checkpoint of your own: "),
        (("gone",), "There is no folder gone."),
        (("gone.pt", *NAMED), "There is no checkpoint gone.pt."),
        (("model.pt", "--model", "mine.py:net"), "model.pt is not one of our runs, so its data"),
        (("model.pt", "--out", "x"), "`--out` is for checkpoints: it needs --model and --data."),
        (("model.pt", "model.pt", *NAMED, "--out", "x"), "`--out` names one folder. Got 2"),
        (("model.pt", *NAMED, "--measures", "path"), "A path needs its other end: --to"),
        (("model.pt", *NAMED, "--cross-check"), "`--cross-check` takes runs, not checkpoints."),
        (
            ("model.pt", *NAMED, "--measures", "surface", "--set", "surface.directions=minima"),
            "A surface with directions minima is drawn of runs, not checkpoints.",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(refused, checkpoint, arguments, message):
    (line,) = refused("analyze", *arguments)
    assert line.startswith(message)


def test_records_of_other_weights_are_not_mixed(landscape, refused, checkpoint):
    landscape("analyze", "model.pt", *NAMED, *SMALL)
    _saved(1)
    (line,) = refused("analyze", "model.pt", *NAMED, *SMALL)
    assert line.startswith("minima/model holds records of other weights.")
