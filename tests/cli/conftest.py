"""The command line, run in this process and seen from outside."""

import os
from typing import NamedTuple

import pytest

from landscape_cli.main import run


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def last_line(self):
        return self.out.splitlines()[-1]


@pytest.fixture
def landscape(capfd, monkeypatch, tmp_path):
    """Run `landscape ...` in an empty folder: its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANDSCAPE_DATA", raising=False)

    def run_it(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            run([str(argument) for argument in arguments])
        return Outcome(end.value.code, *capfd.readouterr())

    return run_it


@pytest.fixture
def refused(landscape):
    """Run `landscape ...`, see it refused as wrong input should be, and return the error lines."""

    def run_it(*arguments):
        code, out, err = landscape(*arguments)
        assert code == 2
        assert out == ""
        assert "Traceback" not in err
        lines = err.splitlines()
        assert lines
        assert all(line.startswith("error: ") for line in lines)
        return [line.removeprefix("error: ") for line in lines]

    return run_it


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run of one epoch. Tests that add to it measure different things."""
    from landscape.training.train import train

    settings = {"training": {"epochs": 1, "device": "cpu"}}
    return train(
        "digits", "sam", 0, tmp_path_factory.mktemp("runs") / "sam", settings=settings
    ).path


@pytest.fixture
def no_write_access(tmp_path, monkeypatch):
    """A folder that nothing can be written to, also where the tests run as root."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        real = os.open

        def refuse(path, flags, *rest, **options):
            if str(path).startswith(str(folder)) and flags & os.O_CREAT:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, flags, *rest, **options)

        monkeypatch.setattr(os, "open", refuse)
    yield folder
    folder.chmod(0o700)
