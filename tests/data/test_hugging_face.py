"""Data sets of the hub: only with leave, kept in the data folder, read from there ever after.

`datasets` is stood in for: what matters is when it is asked for what.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from landscape.data.glue import sst2
from landscape.data.vocabulary import PADDING

PARTS = {
    "train": {"idx": [0, 1], "sentence": ["good film", "bad film"], "label": [1, 0]},
    "validation": {"idx": [0], "sentence": ["good good"], "label": [1]},
}


class Rows(dict):
    @property
    def column_names(self):
        return list(self)


@pytest.fixture
def hub(monkeypatch):
    """A `datasets` that counts its downloads."""
    asked = []

    def load_dataset(*names):
        asked.append(names)

        def save_to_disk(folder):
            Path(folder).mkdir(parents=True)
            (Path(folder) / "parts.json").write_text(json.dumps(PARTS))

        return SimpleNamespace(save_to_disk=save_to_disk)

    def load_from_disk(folder):
        parts = json.loads((Path(folder) / "parts.json").read_text())
        return {name: Rows(rows) for name, rows in parts.items()}

    fake = SimpleNamespace(load_dataset=load_dataset, load_from_disk=load_from_disk)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.delenv("LANDSCAPE_DOWNLOAD", raising=False)
    monkeypatch.delenv("LANDSCAPE_DATA", raising=False)
    return asked


def test_nothing_is_downloaded_without_leave(hub, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        sst2(tmp_path)
    assert str(caught.value) == (
        f"SST-2 needs train.tsv in {tmp_path}. Put train.tsv and test.tsv or dev.tsv there "
        "or name their folder with --data-dir or LANDSCAPE_DATA. "
        "Or let nyu-mll/glue be downloaded into it: --download."
    )
    assert not hub and not any(tmp_path.iterdir())


@pytest.mark.parametrize("leave", ["0", "", "yes"])
def test_only_1_is_leave(hub, leave, tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", leave)
    with pytest.raises(FileNotFoundError):
        sst2(tmp_path)
    assert not hub


def test_with_leave_once_and_then_from_the_folder(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", "1")
    first = sst2(tmp_path)
    monkeypatch.delenv("LANDSCAPE_DOWNLOAD")
    again = sst2(tmp_path)
    assert hub == [("nyu-mll/glue", "sst2")]
    assert first.fingerprint == again.fingerprint
    assert first.train_y.tolist() == [1, 0] and first.test_y.tolist() == [1]
    x = first.train_x
    assert x[0, 1] == x[1, 1] != PADDING and not x[:, 2:].any()


def test_files_of_ones_own_come_first(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", "1")
    for name in ("train", "test"):
        (tmp_path / f"{name}.tsv").write_text("sentence\tlabel\nmine\t0\n")
    assert len(sst2(tmp_path).train_x) == 1
    assert not hub


def test_without_a_folder_there_is_no_place_for_a_copy(hub, monkeypatch):
    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", "1")
    with pytest.raises(FileNotFoundError, match="no folder is named"):
        sst2(None)
    assert not hub


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": PARTS["train"]}, "must have a part 'validation'. Got train."),
        (
            {**PARTS, "train": {"text": ["a"], "label": [0]}},
            "must have a column 'sentence'. Got text, label.",
        ),
    ],
)
def test_a_copy_of_something_else_is_named(hub, parts, message, tmp_path):
    copy = tmp_path / "huggingface" / "nyu-mll" / "glue" / "sst2"
    copy.mkdir(parents=True)
    (copy / "parts.json").write_text(json.dumps(parts))
    with pytest.raises(ValueError, match=f"^{copy} {message}"):
        sst2(tmp_path)


def test_a_missing_library_names_the_extra(hub, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", "1")
    with pytest.raises(ValueError, match=r"datasets .* pip install 'landscape\[hf\]'"):
        sst2(tmp_path)
