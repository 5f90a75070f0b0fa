"""Engines by name, and what each refuses before anything starts."""

import pytest

import landscape as ls
from landscape.engines import ENGINES, make
from landscape_cli.completion import ENGINES as COMPLETED


def test_names_are_those_that_the_command_line_completes():
    assert tuple(ENGINES) == COMPLETED


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("dusk", {}, "Unknown engine 'dusk'. Did you mean 'dask'?"),
        ("local", {"workers": 0}, "`workers` must be at least 1. Got 0."),
        ("local", {"gpus_per_cell": 2.0}, "`gpus_per_cell` must be in (0, 1]. Got 2."),
        ("local", {"gpus_per_cell": 0.0}, "`gpus_per_cell` must be in (0, 1]. Got 0."),
        ("local", {"at": "tcp://a:1"}, "`at` has no effect: the engine is local, on this machine."),
        ("local", {"memory": "4GB"}, "Unknown engine argument 'memory'. Known: none."),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, arguments, expected):
    with pytest.raises(ValueError) as error:
        make(name, **arguments)
    assert str(error.value).startswith(expected) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("dask", "distributed", "cluster"), ("ray", "ray", "ray")],
)
def test_a_missing_library_names_its_extra(name, library, extra, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(ValueError, match=rf"{library} .*pip install 'landscape\[{extra}\]'"):
        make(name, workers=2)


def test_workers_belong_to_an_engine_that_is_made(tmp_path):
    with pytest.raises(ValueError, match="`workers` belongs to the engine"):
        ls.compare("digits", ["sgd"], 1, tmp_path, workers=2, engine=make("local"))


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("ray", "127.0.0.1:1", "No Ray cluster answers at 127.0.0.1:1: "),
        ("ray", "nowhere", "No Ray cluster answers at nowhere: an address is host:port"),
        ("dask", "nonsense://x", "No Dask scheduler answers at nonsense://x: unknown address"),
    ],
)
def test_a_wrong_address_is_one_line_and_leaves_nothing_behind(name, at, expected, tmp_path):
    pytest.importorskip({"ray": "ray", "dask": "distributed"}[name])
    out = tmp_path / "study"
    with pytest.raises(ValueError) as error:
        ls.compare("digits", ["sgd"], 1, out, engine=make(name, at=at))
    assert str(error.value).startswith(expected) and "\n" not in str(error.value)
    assert not out.exists()


@pytest.mark.parametrize(("share", "expected"), [(1.0, 1), (0.5, 2), (0.34, 2), (1 / 3, 3)])
def test_cells_per_card(share, expected):
    assert make(gpus_per_cell=share).per_card == expected
