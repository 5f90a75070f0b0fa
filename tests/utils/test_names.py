"""Names in any case, and the nearest of a wrong one."""

import pytest

from landscape.methods import make
from landscape.tasks import published
from landscape.tasks.registry import task
from landscape.utils.names import canonical, look_up, names_of


def test_a_name_in_any_case_is_spelled_as_the_registry_does():
    known = ["sam", "SAM2", "Mine", "mine"]
    assert [canonical("method", name, known) for name in ("SAM", "sam2", "mine", "Mine")] == [
        "sam", "SAM2", "mine", "Mine",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="Unknown method 'MINE'"):
        canonical("method", "MINE", known)
    with pytest.raises(ValueError, match=r"Unknown method 'SAN'\. Did you mean 'sam'"):
        canonical("method", "SAN", known)
    assert names_of("method", ["SAM", "sam", "sam2"], known) == ["sam", "SAM2"]


def test_the_beginning_of_names_suggests_them():
    known = ["eigenvalues", "trace", "noise_accuracy_curve", "noise_loss_curve"]
    with pytest.raises(ValueError, match=r"Did you mean 'eigenvalues'\? Known"):
        look_up("measure", "EIG", dict.fromkeys(known))
    with pytest.raises(ValueError, match="Did you mean 'noise_accuracy_curve' or 'noise_loss_cur"):
        look_up("measure", "noi", dict.fromkeys(known))
    with pytest.raises(ValueError, match="Unknown measure ''\\. Known"):
        look_up("measure", "", dict.fromkeys(known))


def test_keys_of_settings_have_one_spelling():
    with pytest.raises(ValueError, match=r"Unknown setting 'RHO'\. Did you mean 'rho'"):
        look_up("setting", "RHO", {"rho": 1})


def test_registries_take_any_case():
    assert task("DIGITS").name == "digits"
    assert make("LETS+Asam") == make("lets+asam")
    assert published.read("ASAM-cifar10") == published.read("asam-cifar10")


@pytest.mark.parametrize(
    "command",
    [
        ("list", "METHODS"),
        ("plot", "none", "--kind", "Surface", "--format", "PNG", "--width", "Page"),
    ],
)
def test_the_command_line_takes_any_case(command, monkeypatch, tmp_path, capsys):
    """None ends as an internal error, 3."""
    from landscape_cli.main import run

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        run(list(command))
    assert end.value.code == (0 if command[0] == "list" else 2)
    assert "no folder none" in capsys.readouterr().err or command[0] == "list"
