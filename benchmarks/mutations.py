"""Plants bugs in a copy of the methods, one at a time, and shows that the tests notice each.

    python benchmarks/mutations.py [--only NAME ...] [--out benchmarks/results/mutations.md]

A bug of mutations.toml is a text that stands exactly once in its file, what takes its place, and
the tests that concern it. The copy is that of the last commit; those tests must pass there first.
The golden numbers are left out: they notice everything and explain nothing.

A bug that does not even run, so that anything would notice it, does not count. Slow tests run where
the others notice nothing.

Exit 1 where a bug is not noticed, or its text is not found.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
GOLDEN = "tests/methods/test_golden.py"
OPTIONS = ["-x", "-p", "no:cacheprovider", "--timeout=120"]
QUICK, SLOW = "not slow and not gpu", "slow and not gpu"
BROKEN = {"NameError", "SyntaxError", "ImportError", "AttributeError", "TypeError"}
PRELOADED = ["torch._dynamo", "scipy.stats", "xarray", "pandas", "matplotlib.figure"]


@dataclass(frozen=True)
class Bug:
    """name; file: where; find: stands there exactly once; replace: the bug; tests: paths."""

    name: str
    file: str
    find: str
    replace: str
    tests: list[str]


@dataclass
class Outcome:
    """code: pytest's; failed: the first test that did, error: the type of what it raised;
    imported: where the package and its command line came from.
    """

    code: int
    failed: str
    error: str
    imported: list[str]
    output: str

    @property
    def ended(self):
        """A test failed, for whatever reason: no further ones are needed."""
        return self.code == pytest.ExitCode.TESTS_FAILED

    @property
    def noticed(self):
        return self.ended and self.error not in BROKEN

    def __str__(self):
        if self.code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return "NOT NOTICED"
        return self.failed if self.noticed else f"DOES NOT RUN: {self.error or self.output}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], help="bugs whose name contains one")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    listed = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["bug"]
    bugs = [Bug(**fields) for fields in listed]
    bugs = [bug for bug in bugs if any(part in bug.name for part in args.only)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve()
        take_commit(copy)
        refuse_misfits(bugs, copy)
        outcomes = plant_each(bugs, copy)
    survivors = [name for name, outcome in outcomes.items() if not outcome.noticed]
    if args.out:
        args.out.write_text(table(bugs, outcomes))
    print(f"{len(bugs) - len(survivors)} of {len(bugs)} bugs noticed.")
    if survivors:
        sys.exit("Not noticed: " + "; ".join(survivors))


def take_commit(folder):
    """The last commit, without what is not committed; the command line by the name it is imported
    by.
    """
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    (folder / "landscape_cli").symlink_to("cli")


def refuse_misfits(bugs, copy):
    """Exit where the list no longer fits the code."""
    misfits = [] if bugs else ["No bug has such a name."]
    if len({bug.name for bug in bugs}) < len(bugs):
        misfits.append("Two bugs have one name.")
    for bug in bugs:
        found = (copy / bug.file).read_text().count(bug.find)
        if found != 1:
            misfits.append(f"{bug.name}: its text must stand once in {bug.file}. Found {found}.")
        elif bug.find == bug.replace:
            misfits.append(f"{bug.name}: it changes nothing.")
    if misfits:
        sys.exit("\n".join(misfits))


def plant_each(bugs, copy):
    """Name -> outcome of its tests; exits where they fail without a bug."""
    context = multiprocessing.get_context("forkserver")  # torch is imported once, ours anew
    context.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:

        def run(tests, marked):
            outcome = pool.submit(run_tests, copy, tests, marked).result()
            for path in outcome.imported:
                if not Path(path).is_relative_to(copy):
                    sys.exit(f"The tests must import the copy. They took {path}.")
            return outcome

        outcomes, left = {}, bugs
        for marked in (QUICK, SLOW):
            if not left:
                break
            tests = sorted({test for bug in left for test in bug.tests})
            print(f"{len(tests)} tests or files of tests without a bug: {marked}", flush=True)
            sound = run(tests, marked)
            if sound.code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                sys.exit(f"The tests must pass without a bug.\n{sound.output}")
            for i, bug in enumerate(left, 1):
                with planted(bug, copy):
                    outcomes[bug.name] = outcome = run(bug.tests, marked)
                print(f"{i}/{len(left)} {bug.name}: {outcome}", flush=True)
            left = [bug for bug in left if not outcomes[bug.name].ended]
    return outcomes


@contextlib.contextmanager
def planted(bug, copy):
    """While open, the bug is in the copy."""
    path = copy / bug.file
    sound = path.read_text()
    path.write_text(sound.replace(bug.find, bug.replace))
    try:
        yield
    finally:
        path.write_text(sound)


def run_tests(copy, tests, marked):
    """One run of pytest in the copy; in a process of its own, where landscape is not imported."""
    os.chdir(copy)
    os.environ["CI"] = "1"  # hypothesis draws the same examples each time
    sys.path.insert(0, str(copy))
    sys.dont_write_bytecode = True  # a bug as long as the text, in the same second, looks unchanged
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTHONPATH"] = str(copy)  # of programs that the tests start
    watch, output = FirstFailure(), io.StringIO()
    with contextlib.redirect_stdout(output):
        code = pytest.main([*OPTIONS, "-m", marked, f"--ignore={GOLDEN}", *tests], plugins=[watch])
    packages = [sys.modules.get(name) for name in ("landscape", "landscape_cli")]
    imported = [package.__file__ for package in packages if package is not None]
    return Outcome(int(code), watch.name, watch.error, imported, output.getvalue()[-4000:])


class FirstFailure:
    """A plugin of pytest: the first test that failed, and the type of its error."""

    name = error = ""

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.name:
            self.name = report.nodeid.removeprefix("tests/")
            self.error = report.longreprtext.rpartition(": ")[2].strip()


def table(bugs, outcomes):
    """Markdown: each bug and the first test that noticed it."""
    noticed = sum(outcome.noticed for outcome in outcomes.values())
    lines = [
        "# Planted bugs",
        "",
        f"{noticed} of {len(bugs)} noticed, one at a time; without a bug the same tests pass. "
        f"Golden numbers left out. torch {torch.__version__}.",
        "",
        "| file | bug | noticed first by |",
        "| --- | --- | --- |",
    ]
    for bug in bugs:
        where, seen = bug.file.removeprefix("landscape/"), outcomes[bug.name]
        lines.append(f"| {where} | {bug.name} | `{seen}` |")
    return "\n".join([*lines, "", "Command: `make mutations`", ""])


if __name__ == "__main__":
    main()
