"""Files are written whole or not at all."""

import json
import math
import os

import numpy as np
import pytest

from landscape.utils import files


def test_a_failed_write_leaves_what_was_there_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a" / "x.json"
    files.write(path, "old")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_json_has_null_where_there_is_no_number(tmp_path):
    files.write_json(tmp_path / "x.json", {"a": (math.nan, np.float32(1.5)), "b": {"c": math.inf}})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None, 1.5], "b": {"c": None}}


def test_half_written_json_is_named(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1')
    with pytest.raises(ValueError, match=r"x.json is not valid JSON .* half written"):
        files.read_json(tmp_path / "x.json")


def test_new_files_have_the_users_usual_permissions(tmp_path):
    mask = os.umask(0o022)
    try:
        files.write(tmp_path / "x", b"")
    finally:
        os.umask(mask)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644
