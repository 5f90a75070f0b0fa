"""Where files are looked for, and what is said when they are not there."""

import hashlib

import pytest

from landscape.data.files import Source, compared

SOURCE = Source("Toy", "the two files", ("toy", "."))


@pytest.fixture(autouse=True)
def no_folder_named(monkeypatch):
    monkeypatch.delenv("LANDSCAPE_DATA", raising=False)


def test_the_most_specific_folder_wins_then_the_first_name(tmp_path):
    (tmp_path / "toy").mkdir()
    for name in ("b", "a", "toy/b", "toy/a"):
        (tmp_path / name).touch()
        assert SOURCE.find(tmp_path, "a", "b") == tmp_path / name


def test_the_environment_names_the_folder_unless_the_caller_does(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "a").touch()
    monkeypatch.setenv("LANDSCAPE_DATA", str(there))
    assert SOURCE.find(None, "a") == there / "a"
    assert SOURCE.find(here, "a") == here / "a"


def test_a_missing_file_is_named_with_its_folder_and_what_to_do(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        SOURCE.find(tmp_path, "a", "b")
    assert str(caught.value) == (
        f"Toy needs a in {tmp_path}. Put the two files there "
        "or name their folder with --data-dir or LANDSCAPE_DATA."
    )


@pytest.mark.parametrize("value", [None, ""])
def test_no_folder_named(value, monkeypatch):
    if value is not None:
        monkeypatch.setenv("LANDSCAPE_DATA", value)
    with pytest.raises(FileNotFoundError) as caught:
        SOURCE.find(None, "a")
    assert str(caught.value) == (
        "Toy needs a, and no folder is named. "
        "Name the folder of the two files with --data-dir or LANDSCAPE_DATA."
    )


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_file_is_compared_by_the_checksum_it_is_known_by(kind, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    checksum = hashlib.new(kind, b"content").hexdigest()
    assert compared(path, checksum) == ""
    path.write_bytes(b"contemt")
    found = hashlib.new(kind, b"contemt").hexdigest()
    label = {"md5": "MD5", "sha256": "SHA-256"}[kind]
    assert compared(path, checksum) == f"a.bin is not the published file ({label} {found})."
