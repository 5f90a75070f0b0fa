"""landscape view: the page that is opened, and what is said where there is none."""

import json
import webbrowser

import pytest


@pytest.fixture
def opened(monkeypatch):
    """Addresses that a browser was asked to open."""
    pages = []

    class Browser:
        name = "firefox"

    monkeypatch.setattr(webbrowser, "get", Browser)
    monkeypatch.setattr(webbrowser, "open", lambda address: pages.append(address) or True)
    return pages


@pytest.mark.parametrize("name", ["report.html", "audit.html", "claims.html"])
def test_the_page_of_a_folder_is_opened(landscape, opened, tmp_path, name):
    (tmp_path / "study").mkdir()
    page = tmp_path / "study" / name
    page.touch()
    assert landscape("view", "study").last_line == str(page)
    assert opened == [page.as_uri()]
    assert json.loads(landscape("view", page, "--json").out) == {
        "report": str(page), "opened": True,
    }  # fmt: skip


def test_without_a_browser_the_path_is_printed(landscape, tmp_path, monkeypatch):
    def missing():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", missing)
    (tmp_path / "report.html").touch()
    code, out, err = landscape("view", ".")
    assert (code, out.strip()) == (0, str(tmp_path / "report.html"))
    assert err.startswith("note: there is no browser here")


def test_a_browser_of_the_terminal_is_not_started(landscape, opened, tmp_path, monkeypatch):
    class Text:
        name = "/usr/bin/lynx"

    monkeypatch.setattr(webbrowser, "get", Text)
    (tmp_path / "report.html").touch()
    assert landscape("view", ".").code == 0 and not opened


def test_a_folder_without_a_page_says_what_makes_one(refused, tmp_path, trained):
    for name, words in {
        "nothing": "There is no folder nothing.",
        ".": ". holds no report.html: landscape compare writes one.",
        trained: f"{trained} is one run, which has figures: landscape plot {trained}",
    }.items():
        assert refused("view", name) == [words]
    (tmp_path / "study.json").write_text("{}")
    assert refused("view", ".") == [". has no report yet: landscape report ."]
