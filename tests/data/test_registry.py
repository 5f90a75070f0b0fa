"""Every registered source answers to its own name."""

import pytest

from landscape.data import DATA

OFFLINE = ("digits", "canvas-digits", "text", "python-text", "intact-text")


def test_the_names():
    images = ["digits", "canvas-digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "svhn"]
    own = ["text", "python-text", "intact-text", "tsv", "csv", "npz", "hugging-face"]
    assert list(DATA) == [*images, "sst2", "rte", "pairs", "shakespeare", *own]


@pytest.mark.parametrize("name", [name for name in DATA if name not in OFFLINE])
def test_without_a_folder_one_line_says_what_to_do(name, monkeypatch):
    monkeypatch.delenv("LANDSCAPE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"^.* no folder is named\. .* LANDSCAPE_DATA\.$"):
        DATA[name](None)


def test_digits_is_named_digits():
    assert DATA["digits"](None).name == "digits"
