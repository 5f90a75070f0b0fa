"""Commands work where the locale, the home folder or the terminal have little to give."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from landscape_cli import say

LANDSCAPE = Path(sys.executable).with_name("landscape")
ASCII = {
    "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
}  # fmt: skip
SURROUNDINGS = {
    "locale C": ASCII,
    "no home": {"HOME": None, "XDG_CONFIG_HOME": None, "XDG_CACHE_HOME": None},
    "read-only home": {"HOME": "/proc", "XDG_CONFIG_HOME": None, "XDG_CACHE_HOME": None},
    "dumb": {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "20"},
}
COMMANDS = (
    "--help",
    "train --help",
    "list",
    "train --task digits --method sgd --epochs 1 --out r",
    "analyze r --measures eigenvalues,noise,surface --set noise.draws=2 --set surface.size=5",
    "plot r --kind curves --out f.png",
    "info r",
    "info missing",
    "compare --task digits --methods sgd,sam --seeds 1 --epochs 1 --measures noise --workers 1 "
    "--out s",
    "report s",
    "audit r --require loss<9 --out a",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_commands(name, tmp_path):
    changes = SURROUNDINGS[name]
    kept = {k: v for k, v in os.environ.items() if k not in changes and k != "PYTHONIOENCODING"}
    environment = kept | {k: v for k, v in changes.items() if v is not None}
    for command in COMMANDS:
        done = subprocess.run(
            [LANDSCAPE, *command.split()], cwd=tmp_path, env=environment, capture_output=True
        )
        assert b"Traceback" not in done.stderr, (command, done.stderr.decode())
        assert done.returncode == (2 if "missing" in command else 0), (command, done.stderr)
        if name == "locale C":
            assert (done.stdout + done.stderr).isascii(), command
        if name == "dumb":
            assert b"\x1b" not in done.stdout + done.stderr, command


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_stream_of_any_encoding_takes_every_sign(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, newline=""))
    say.accept_every_sign()
    say.say("λ ± κ̂ ▲ 名 \udc80")
    sys.stdout.flush()
    written = raw.getvalue().decode(encoding)
    assert written.endswith("\\udc80\n")
    assert ("λ ± κ̂ ▲ 名" if encoding == "utf-8" else "lambda ") in written
