"""The entry: help at once and without torch, usage errors in one line, exit codes."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow  # runs the program from end to end

COMMANDS = ["compare", "train", "analyze", "plot", "audit", "report", "view", "info", "list"]
HELP = """
import sys, time
from landscape_cli.main import run
for command in [[], *([name] for name in sys.argv[1:])]:
    try:
        run([*command, "--help"])
    except SystemExit as end:
        assert end.code == 0, command
    heavy = {"torch", "numpy", "scipy", "matplotlib"} & set(sys.modules)
    assert not heavy, (command, heavy)
    print("END OF ONE")
assert time.process_time() < 1, time.process_time()
"""


def python(*arguments, **options):
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    environment |= {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # whatever runs the tests
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, **options
    )


def test_help_comes_at_once_and_without_torch():
    done = python("-c", HELP, *COMMANDS)
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.split("END OF ONE")[:-1]
    assert "Usage: landscape" in first and "landscape compare --task digits" in first
    for command, text in zip(COMMANDS, others, strict=True):
        assert f"Usage: landscape {command}" in text


def test_an_internal_error_is_no_verdict_of_an_audit(landscape, monkeypatch):
    """Python's own exit code of an exception is 1: that an audit falls short."""
    monkeypatch.setattr("landscape.describe", lambda *_: 1 / 0)
    done = landscape("info", "here")
    assert done.code == 3
    assert "Traceback" in done.err and "ZeroDivisionError" in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(landscape, command):
    assert f"Example: landscape {command}" in landscape(command, "--help").out


def test_alone_it_helps(landscape):
    alone = landscape()
    assert alone.code == 0
    assert alone.out == landscape("--help").out


def test_the_module_runs_as_the_console_script_does():
    done = python("-m", "landscape_cli.main", "--version")
    assert done.returncode == 0
    assert done.stdout.strip()[0].isdigit()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["comapre"], "No such command 'comapre'. Did you mean 'compare'?"),
        (
            ["compare", "--tasks", "digits"],
            "No such option: --tasks (Possible options: --data, --loss, --task)",
        ),
        (["compare"], "What to train? Give --task, or --model and --data."),
        (["train", "--task", "digits"], "Missing option '--method'."),
        (["analyze"], "Missing argument 'RUN...'."),
        (
            ["compare", "--task", "digits", "--seeds", "0"],
            "Invalid value for '--seeds': must be at least 1. Got 0.",
        ),
        (
            ["train", "--task", "digits", "--method", "sgd", "--seed", "-1"],
            "Invalid value for '--seed': must be at least 0. Got -1.",
        ),
    ],
)
def test_wrong_usage_gets_one_line(refused, arguments, expected):
    assert refused(*arguments) == [expected]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_a_shell(shell):
    shown = python("-m", "landscape_cli.main", "--show-completion", shell)
    assert shown.returncode == 0
    assert "landscape" in shown.stdout


def test_a_command_is_completed():
    environment = {
        **os.environ,
        "_LANDSCAPE_COMPLETE": "complete_bash",
        "COMP_WORDS": "landscape tr",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "landscape_cli.main"],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["train"]


def test_a_reader_that_leaves_early_is_no_error():
    """`landscape ... | head -1`: no traceback where the pipe is closed."""
    command = f"sleep 0.3; {sys.executable} -m landscape_cli.main --help"
    done = subprocess.run(
        ["bash", "-c", f"({command}) | true"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_ctrl_c_while_training_keeps_the_run(refused, tmp_path):
    """A real signal to a real process: 130 and one line; the command then says how to go on."""
    arguments = ["train", "--task", "digits", "--method", "sgd", "--epochs", "2000"]
    arguments += ["--device", "cpu", "--out", str(tmp_path / "run")]
    with subprocess.Popen(
        [sys.executable, "-m", "landscape_cli.main", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job may ignore it
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert "train: sgd, seed 0" in process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == (
        "Interrupted. What was trained is kept; the same command with --resume goes on."
    )
    (line,) = refused(*arguments)
    assert line == f"{tmp_path}/run holds an unfinished run. Add --resume to go on with it."
