"""Any table of the hub as a data set: texts, images and numbers, from a copy in the data folder.

`datasets` is stood in for; nothing here asks for a network.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from landscape.data import DATA


class Rows(dict):
    @property
    def column_names(self):
        return list(self)

    def __len__(self):
        return len(next(iter(self.values())))


def numbers(n, **more):
    return Rows(
        {"idx": range(n), "a": [1.0, 3.0] * n, "b": [5] * 2 * n, "label": [0, 1] * n}, **more
    )


def texts(*labels):
    return Rows(sentence=[f"film {label}" for label in labels], label=list(labels))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A `datasets` with these parts behind every name; answers what was downloaded."""
    asked = []

    def load(parts, data_dir=tmp_path, **arguments):
        def load_dataset(*names):
            asked.append(names)
            return SimpleNamespace(save_to_disk=lambda folder: Path(folder).mkdir(parents=True))

        fake = SimpleNamespace(load_dataset=load_dataset, load_from_disk=lambda folder: parts)
        monkeypatch.setitem(sys.modules, "datasets", fake)
        return DATA["hugging-face"](data_dir, **{"name": "me/mine", **arguments})

    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", "1")
    load.asked = asked
    return load


def test_nothing_is_fetched_without_leave(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", "0")
    with pytest.raises(FileNotFoundError, match=r"me/mine needs a copy .*: --download\.$"):
        hub({})
    assert not hub.asked and not any(tmp_path.iterdir())


def test_numbers_are_standardised_by_the_training_part(hub):
    found = hub({"train": numbers(2), "test": numbers(1)}, config="small")
    assert (found.name, found.classes, hub.asked) == ("me/mine/small", 2, [("me/mine", "small")])
    assert found.train_x.tolist() == [[-1, 0], [1, 0], [-1, 0], [1, 0]]
    assert found.train_x.dtype == torch.float32 and found.train_y.tolist() == [0, 1, 0, 1]
    hub({"train": numbers(2), "test": numbers(1)}, config="small")
    assert len(hub.asked) == 1  # the copy


def test_texts(hub):
    found = hub({"train": texts("good", "bad"), "validation": texts("bad")}, test="validation")
    assert found.train_x.shape == (2, 64) and found.train_y.tolist() == [1, 0]
    assert found.test_x[0].tolist() == found.train_x[1].tolist() and found.test_y.tolist() == [0]


@pytest.mark.parametrize(("shape", "found"), [((4, 6, 3), (3, 4, 6)), ((4, 6), (1, 4, 6))])
def test_images_have_their_channels_first(hub, shape, found):
    images = list(np.random.default_rng(0).integers(0, 256, (8, *shape), np.uint8))
    rows = Rows(image=images, name=list("abcdefgh"), label=[0, 1] * 4)
    data = hub({"train": rows, "test": rows}, columns="image")
    assert data.train_x.shape == (8, *found)
    assert data.train_x.mean((0, 2, 3)).abs().max() < 1e-6
    assert data.train_x.std((0, 2, 3)).sub(1).abs().max() < 0.01
    x = images[1][..., 0] if len(shape) == 3 else images[1]
    correlated = np.corrcoef(x.ravel(), data.train_x[1, 0].numpy().ravel())[0, 1]
    assert correlated == pytest.approx(1)


WRONG = {
    "no name": ({}, {"name": ""}, "`name` must be as on the hub"),
    "a path upwards": ({}, {"name": "../mine"}, "`name` must be as on the hub"),
    "a config upwards": ({}, {"config": ".."}, "`config` must be as on the hub"),
    "no such part": ({"train": texts("a")}, {}, "must have a part 'test'. Got train."),
    "no such column": ({"train": texts("a")}, {"label": "y"}, "must have a column 'y'"),
    "no examples": ({"train": Rows(label=[]), "test": texts("a")}, {}, "at least one example"),
    "hidden labels": (
        {"train": numbers(1), "test": numbers(1, label=[-1, -1])}, {}, "Got '-1'"
    ),
    "texts and numbers": (
        {"train": numbers(1, c=["x", "y"]), "test": numbers(1, c=["x", "y"])}, {}, "columns=..."
    ),
    "ragged": (
        {p: Rows(x=[[1, 2], [3]], label=[0, 1]) for p in ("train", "test")}, {}, "of one shape"
    ),
    "missing values": (
        {p: Rows(x=[float("nan"), 1.0], label=[0, 1]) for p in ("train", "test")}, {}, "Got NaN"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_tables(case, hub):
    parts, arguments, message = WRONG[case]
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as error:
        hub(parts, **arguments)
    assert "\n" not in str(error.value)


def test_what_was_stopped_leaves_no_copy(hub, tmp_path, monkeypatch):
    parts = {"train": numbers(2), "test": numbers(1)}
    hub(parts, name="other")

    def stopped(folder):
        Path(folder).mkdir(parents=True)
        raise ConnectionError("gone\nfar")

    monkeypatch.setattr(
        sys.modules["datasets"],
        "load_dataset",
        lambda *_: SimpleNamespace(save_to_disk=stopped),
    )
    from landscape.data import hub as module

    with pytest.raises(ValueError, match=r"^me/mine could not be downloaded: gone$"):
        module.load(tmp_path, name="me/mine")
    assert not (tmp_path / "huggingface" / "me" / "mine" / "default").exists()
