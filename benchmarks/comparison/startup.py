"""What the user waits for before anything is computed: imports, a list, one cell of a study."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from statistics import median

from comparison.rounds import OURS, Block, Contender, Scale

TORCH = "import torch"
NAMES = "import torch, landscape as ls; ls.Objective, ls.measures, ls.optim"
BEYOND = 0.3  # seconds after torch's own import
CELL = ("compare", "--task", "digits", "--methods", "sgd", "--seeds", "1", "--epochs", "1")


def commands(scale: Scale) -> Iterator[Block]:
    """CPU time of whole processes, torch's import beside ours; each ran once before, so that its
    modules are there as bytecode.
    """
    where, rounds = "a new process", scale.pick(5, 1)
    for arguments in (("-c", NAMES), ("-m", "landscape_cli.main", "list")):
        python(*arguments)
    one_cell(0)
    alone = median(python("-c", TORCH) for _ in range(rounds))
    bare = {TORCH: Contender(lambda _: python("-c", TORCH))}
    beyond = lambda seconds: f"{median(seconds) - alone:.2f} s beyond torch"  # noqa: E731
    names = Contender(lambda _: python("-c", NAMES), beyond, at_most=alone + BEYOND)
    yield Block("import, all names", where, {OURS: names, **bare}, rounds)
    listed = Contender(partial(command, "list"), at_most=0.6)
    yield Block("`landscape list`", where, {OURS: listed, **bare}, rounds)
    cell = Contender(one_cell, at_most=3.0)
    words = "`landscape compare`, a cell of digits, 1 epoch"
    yield Block(words, where, {OURS: cell, **bare}, scale.pick(3, 1))


def python(*arguments: str) -> float:
    """CPU seconds of a new process, which may keep its bytecode as an installed program does."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], env=kept, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"exit code {done.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def command(*arguments: str) -> float:
    """The same of the command line; the last argument is the round."""
    return python("-m", "landscape_cli.main", *map(str, arguments[:-1]))


def one_cell(turn: int) -> float:
    """Training, all measures, the report."""
    with tempfile.TemporaryDirectory() as folder:
        return command(*CELL, "--quiet", "--out", f"{folder}/study", turn)
