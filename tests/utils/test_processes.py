"""Several processes of a launcher would write into one folder."""

from types import SimpleNamespace

import pytest

import landscape as ls
from landscape.analysis.analyze import answers
from landscape.utils.processes import check_single_process

NOTHING = SimpleNamespace()


@pytest.mark.parametrize("name", ["WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
@pytest.mark.parametrize(
    "write",
    [
        lambda out: ls.train("digits", "sam", 0, out),
        lambda out: ls.compare("digits", ["sam"], 1, out),
        lambda out: answers(NOTHING, {}),
    ],
    ids=["train", "compare", "analyze"],
)
def test_whoever_writes_a_folder_refuses(name, write, tmp_path, monkeypatch):
    monkeypatch.setenv(name, "2")
    with pytest.raises(ValueError, match=f"{name}=2: start it without torchrun"):
        write(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [None, "1", ""])
def test_one_process_passes(value, monkeypatch):
    if value is not None:
        monkeypatch.setenv("WORLD_SIZE", value)
    check_single_process()
