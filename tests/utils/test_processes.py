"""Several processes of a launcher would write into one folder; cores that may be used."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import landscape as ls
from landscape.analysis.analyze import answers
from landscape.utils import processes
from landscape.utils.processes import check_single_process, control_groups, usable_cores

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


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Control groups of a made-up machine: the text of /proc/self/cgroup and files by name."""

    def made(own: str, files: dict[str, str]):
        monkeypatch.setattr(processes, "GROUPS", tmp_path / "groups")
        monkeypatch.setattr(processes, "OWN_GROUPS", tmp_path / "own")
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "groups"

    return made


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "1000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),
        ("0::/job/task\n", {"job/cpu.max": "400000 100000", "job/task/cpu.max": "max 100000"}, 4),
        (
            "4:cpuacct,cpu:/box\n",
            {"cpu/box/cpu.cfs_quota_us": "200000", "cpu/box/cpu.cfs_period_us": "100000"},
            2,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("0::/gone\n", {"cpu.max": "200000 100000\n"}, 2),
        ("5:memory:/box\n", {"cpu.max": "200000 100000\n"}, 8),
    ],
)
def test_cores_are_those_that_a_container_allows(own, files, cores, groups, eight_cores):
    groups(own, files)
    assert usable_cores() == cores


def test_cores_where_nothing_is_known(groups, monkeypatch, tmp_path):
    groups("", {})
    (tmp_path / "own").unlink()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_groups_go_outwards_and_not_beyond_the_root(groups):
    root = groups("0::/a/b\n", {"a/b/cpu.max": "max 100000"})
    assert list(control_groups("cpu")) == [root / "a" / "b", root / "a", root]


def test_a_study_starts_as_many_runs_as_there_are_usable_cores(groups, eight_cores):
    from landscape.engines.local import Local

    groups("0::/\n", {"cpu.max": "300000 100000\n"})
    assert Local().at_once("cpu") == 3


SPARED = """
import os, sys
from landscape_cli.main import run
try:
    run(["--version"])
except SystemExit:
    pass
assert "torch" not in sys.modules
print(os.environ["OMP_WAIT_POLICY"])
"""


def test_the_program_lets_idle_threads_sleep():
    kept = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", SPARED], capture_output=True, text=True, env=kept, check=True
    )
    assert done.stdout.split()[-1] == "PASSIVE"


def test_threads_are_those_of_the_usable_cores(groups, eight_cores, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    groups("0::/\n", {"cpu.max": "max 100000\n"})
    processes.spare_other_programs()
    assert "OMP_NUM_THREADS" not in os.environ and os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    groups("0::/\n", {"cpu.max": "300000 100000\n"})
    processes.spare_other_programs()
    assert os.environ.pop("OMP_NUM_THREADS") == "3"
