"""What is checked where an item runs: folders, data, versions; and where it runs then."""

import os
from pathlib import Path

import pytest

from landscape.engines import site
from landscape.engines.engine import End, Engine
from landscape.engines.site import Unfit, ends, shared
from landscape.utils.progress import silent


class Where:
    """An item that says where it runs."""

    label, device = "where", "cpu"

    def run(self, progress):
        return os.getcwd(), os.environ.get("LANDSCAPE_DATA")


class Elsewhere(Engine):
    """An engine that moves to another folder before each item."""

    def check(self):
        pass

    def at_once(self, device):
        return 1

    def run(self, items, hear):
        before = Path.cwd()
        os.chdir("/")
        try:
            for item in items:
                yield End(item, item.run(hear), None)
        finally:
            os.chdir(before)


def test_an_item_runs_in_the_heads_folder_with_its_variables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANDSCAPE_DATA", str(tmp_path))
    item = Where()
    (end,) = ends(Elsewhere(), [item], silent, tmp_path / "study", None)
    assert end == (item, (str(tmp_path), str(tmp_path)), None)
    assert Path.cwd() == tmp_path and not list((tmp_path / "study").iterdir())


@pytest.mark.parametrize("missing", ["folder", "data", "version"])
def test_a_worker_that_lacks_something_says_so_in_one_line(missing, tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr(site, "PATIENCE", 0)
    with shared(tmp_path / "study", data) as place:
        if missing == "folder":
            next((tmp_path / "study").iterdir()).unlink()
        elif missing == "data":
            data.rmdir()
        else:
            monkeypatch.setattr(site, "version_of", lambda package: "0.0")
        with pytest.raises(Unfit) as error, place.entered():
            pass
    expected = {
        "folder": f"does not see {tmp_path / 'study'} as the head does. Write into a folder that",
        "data": f"has no data folder {data}. Put it where all machines see it.",
        "version": "has landscape 0.0. Install 0.1.0, as at the head.",
    }
    assert expected[missing] in str(error.value) and os.uname().nodename in str(error.value)


def test_cuda_builds_are_one_version(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "version_of", lambda package: "2.13.0+cpu")
    with shared(tmp_path, None) as place:
        monkeypatch.setattr(site, "version_of", lambda package: "2.13.0+cu130")
        with place.entered():
            pass
