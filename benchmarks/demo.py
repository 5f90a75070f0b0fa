"""The main job: wall time, peak memory of all its processes, and SGD's test accuracy.

    python benchmarks/demo.py [--out benchmarks/results/demo.md]

Memory is the proportional set size, summed over the process and its children, read once a second
(Linux). The job is `landscape compare --task digits`: nine methods x 6 seeds and the report.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import study_table
import torch

from landscape import Study


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds, mebibytes = timed(folder)
        text = table(Study(folder), seconds, mebibytes)
    print(text)
    if args.out:
        args.out.write_text(text)


def timed(folder):
    """Seconds and peak MiB of the job."""
    job = [sys.executable, "-m", "landscape_cli.main", "compare", "--task", "digits"]
    started, most = time.monotonic(), 0
    process = subprocess.Popen([*job, "--out", folder])
    while process.poll() is None:
        most = max(most, sum(map(kibibytes, tree(process.pid))))
        time.sleep(1)
    if process.returncode:
        sys.exit(f"the job failed with exit code {process.returncode}")
    return time.monotonic() - started, most / 1024


def tree(pid):
    """A process and all below it."""
    asked = ["ps", "-o", "pid=", "--ppid", str(pid)]
    children = subprocess.run(asked, capture_output=True, text=True).stdout.split()
    return [pid, *(p for child in children for p in tree(int(child)))]


def kibibytes(pid):
    """Proportional set size; 0 where the process has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def table(study, seconds, mebibytes):
    """Markdown: cost, then what each method reached."""
    shown = ["test_accuracy", "test_loss", "lambda_max", "kappa", "grad_evals"]
    text = [
        "# The main job: nine methods x 6 seeds on digits",
        "",
        f"{seconds:.0f} s, at most {mebibytes:.0f} MiB, {torch.get_num_threads()} cores, "
        f"torch {torch.__version__}. Mean ± half of the 95 % t interval over seeds; * the paired "
        "interval against SGD leaves out zero and Holm's p < 0.05.",
        "",
        *study_table.lines(study, shown),
    ]
    return "\n".join([*text, "", "Command: `python benchmarks/demo.py`", ""])


if __name__ == "__main__":
    main()
