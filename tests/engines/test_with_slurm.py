"""Slurm, with the daemons of Debian's packages on this machine: jobs, a killed job, an array."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip(
    "dask_jobqueue", reason="dask_jobqueue is not installed: pip install '.[cluster]'"
)

import landscape as ls
from landscape.engines import make

PATH = f"{os.environ['PATH']}:/usr/sbin"
NEEDED = ("sbatch", "slurmctld", "slurmd", "munged", "runuser")
MISSING = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING) or os.geteuid() != 0,
        reason=f"needs root and slurm-wlm, munge; not here: {', '.join(MISSING) or 'root'}",
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SCRIPT = Path(__file__).with_name("slurm.sh")


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    """Slurm on this machine, with as many places as it has cores."""
    folder = tmp_path_factory.mktemp("slurm")
    os.environ["PATH"] = PATH
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    subprocess.run([SCRIPT, "start", folder], check=True)
    for _ in range(50):
        if "idle" in subprocess.run(["sinfo"], capture_output=True, text=True).stdout:
            break
        time.sleep(0.2)
    yield
    subprocess.run(["scancel", "--user", "root"], check=False)
    subprocess.run([SCRIPT, "stop", folder], check=True)
    del os.environ["SLURM_CONF"]


def jobs():
    """Numbers of the jobs that run."""
    shown = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%i"], capture_output=True, text=True)
    return shown.stdout.split()


def test_a_killed_job_is_submitted_again_and_its_items_end(task, tmp_path):
    tasks = [task("a", 5), task("b", 5), task("c", 1), task("d", 1), task("fails")]
    engine = make(
        "slurm", workers=2, memory="1GB", walltime="00:10:00", log_directory=str(tmp_path / "logs")
    )

    def kill():
        while not (tasks[0].processes and tasks[1].processes):
            time.sleep(0.2)
        subprocess.run(["scancel", "-s", "KILL", "--full", jobs()[0]], check=True)

    killer = threading.Thread(target=kill)
    killer.start()
    ends = {end.item.label: end for end in engine.run(tasks, lambda message: None)}
    killer.join()
    assert [ends[name].answer for name in "abcd"] == ["A", "B", "C", "D"]
    assert str(ends["fails"].error) == "fails as it should"
    assert sorted(len(item.processes) for item in tasks[:2]) == [1, 2]
    assert len(list((tmp_path / "logs").iterdir())) >= 2


def test_an_array_of_parts_is_joined_by_the_report(tmp_path):
    """Three jobs of sbatch, each a part; one of them is killed and submitted again."""
    landscape = Path(sys.executable).with_name("landscape")
    study = tmp_path / "study"
    command = (
        f"{landscape} compare --task digits --methods sgd,sam --seeds 2 --epochs 2 --device cpu "
        f"--measures noise --set noise.draws=2 --workers 1 --out {study} --quiet"
    )

    def submit(array):
        script = f"{command} --part $SLURM_ARRAY_TASK_ID/3"
        options = ["--wait", f"--array={array}", f"--output={tmp_path}/%a.log", "--mem=1G"]
        return subprocess.Popen(
            ["sbatch", *options, "--wrap", script], env={**os.environ, "OMP_NUM_THREADS": "1"}
        )

    array = submit("1-3")
    while not list(study.glob("runs/*/settings.json")):
        time.sleep(0.1)
    first = subprocess.run(
        ["squeue", "-h", "-r", "-t", "R", "-o", "%A %K"], capture_output=True, text=True
    ).stdout.split()
    subprocess.run(["scancel", "-s", "KILL", "--full", first[0]], check=True)
    assert array.wait(200) != 0
    assert submit(first[1]).wait(200) == 0, (tmp_path / f"{first[1]}.log").read_text()
    done = subprocess.run([landscape, "report", study], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    joined = ls.Study(study)
    assert len(joined.runs) == 4 and not joined.failures
    assert "not finished" not in joined.report.read_text()
