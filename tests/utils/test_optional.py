"""Optional libraries: imported when asked for, and named with their extra when they fail."""

import sys

import pytest

from landscape.utils.optional import optional


def test_a_module_comes_back():
    assert optional("json", "hf") is sys.modules["json"]
    assert optional("xml.dom", "hf") is sys.modules["xml.dom"]


def test_what_is_not_installed_is_named_with_its_extra():
    with pytest.raises(ValueError) as caught:
        optional("no_such_library.models", "vision")
    assert str(caught.value) == (
        "no_such_library.models is not installed. Install it with: pip install 'landscape[vision]'."
    )


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import no_such_part", "No module named 'no_such_part'"),
        ("raise ImportError('too\\nold')", "too old"),
        ("raise RuntimeError('operator x::y does not exist')", "operator x::y does not exist"),
    ],
)
def test_what_is_installed_and_broken_says_why(code, why, tmp_path, monkeypatch):
    (tmp_path / "broken_library.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=rf"^broken_library fails: {why}. Install .*\[hf\]'.$"):
        optional("broken_library", "hf")
