"""Options and config files that are nested or long without end: one line each."""

import subprocess
import sys
from pathlib import Path

import pytest

from landscape_cli import errors, settings, user_code

DEEP = ["[" * 3000, "[" * 3000 + "]" * 3000, "[" * 100 + "]" * 100, "{a=" * 3000, "9" * 5000]


@pytest.mark.parametrize("text", DEEP)
def test_values_that_are_nested_too_deeply(text, tmp_path, capsys):
    path = tmp_path / "deep.toml"
    path.write_text(f"[training]\nepochs = {text}\n")
    calls = {
        "--set": lambda: settings.assigned([f"training.epochs={text}"]),
        "--model-args": lambda: user_code._keywords([f"a={text}"], "--model-args"),
        "--data-args": lambda: user_code._keywords([f"a={text}"], "--data-args"),
        str(path): lambda: settings.from_file(path),
    }
    for named, call in calls.items():
        assert errors.reported(call) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and named in lines[0] and len(lines[0]) < 500


@pytest.mark.parametrize("text", ["[a" + ".a" * 3000 + "]\n", "a" + ".a" * 3000 + " = 1\n"])
def test_keys_that_are_nested_too_deeply(text, tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"deep.toml is not valid TOML: it is nested"):
        settings.from_file(path)
    with pytest.raises(ValueError, match=r"`--set` takes section.key=value"):
        settings.assigned(["a" + ".a" * 3000 + "=1"])


@pytest.mark.slow
def test_the_real_command_refuses_them(tmp_path):
    landscape = Path(sys.executable).with_name("landscape")
    words = ["train", "--task", "digits", "--method", "sgd", "--out", str(tmp_path / "r")]
    for option in ("--set=training.epochs=", "--data-args=a=", "--model-args=a="):
        done = subprocess.run(
            [landscape, *words, option + "[" * 3000], capture_output=True, text=True
        )
        assert done.returncode == 2 and done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr and not (tmp_path / "r").exists()
