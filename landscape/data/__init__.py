"""Data sets by name, all in memory, read from a folder that the user names.

Imports `network.batch`. Start with `dataset.py` (what a loader returns), then `digits.py`;
`files.py` finds and checks the files of a data set.
"""

from collections.abc import Callable

from landscape.data import (
    cifar10,
    cifar100,
    csv_table,
    digits,
    fashion_mnist,
    hub,
    mnist,
    npz,
    shakespeare,
    sst2,
    text,
    tsv,
)
from landscape.data.dataset import DataSet, Split, batches, split

DATA: dict[str, Callable[..., DataSet]] = {
    "digits": digits.load,
    "mnist": mnist.load,
    "fashion-mnist": fashion_mnist.load,
    "cifar10": cifar10.load,
    "cifar100": cifar100.load,
    "sst2": sst2.load,
    "shakespeare": shakespeare.load,
    "text": text.load,
    "tsv": tsv.load,
    "csv": csv_table.load,
    "npz": npz.load,
    "hugging-face": hub.load,
}

__all__ = ["DATA", "DataSet", "Split", "batches", "split"]
