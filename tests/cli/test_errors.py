"""Errors: the user's in one line, ours with their traceback."""

import errno

import pytest

from landscape_cli.errors import Interrupted, on_interrupt, reported


def failing(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("`rho` must be non-negative. Got -1."), "`rho` must be non-negative. Got -1."),
        (FileNotFoundError("digits needs a file."), "digits needs a file."),
        (FileNotFoundError(2, "No such file or directory", "a.toml"), "a.toml: No such file or"),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied."),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device."),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "runs"), "runs: Is a directory."),
    ],
)
def test_the_users_errors_take_one_line(capsys, error, expected):
    assert reported(failing(error)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {expected}")


def test_several_errors_take_a_line_each(capsys):
    assert reported(failing(ValueError("first\nsecond"))) == 2
    assert capsys.readouterr().err == "error: first\nerror: second\n"


def test_an_internal_error_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        reported(failing(ZeroDivisionError()))


def test_ctrl_c_says_what_is_kept(capsys):
    def command():
        with on_interrupt("Finished cells are kept."):
            raise KeyboardInterrupt

    assert reported(command) == 130
    assert capsys.readouterr().err.strip() == "Finished cells are kept."


def test_only_ctrl_c_becomes_an_interruption():
    with pytest.raises(ValueError, match="other"), on_interrupt("kept"):
        raise ValueError("other")
    with pytest.raises(Interrupted, match="kept"), on_interrupt("kept"):
        raise KeyboardInterrupt


def test_success_is_zero():
    assert reported(lambda: None) == 0
