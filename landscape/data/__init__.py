"""Data sets by name, all in memory, read from a folder that the user names.

Imports `network.batch`. Start with `dataset.py` (what a loader returns), then `digits.py`;
`files.py` finds and checks the files of a data set.
"""

from collections.abc import Callable

from landscape.data import canvas_digits, csv_table, digits, glue, hub, npz
from landscape.data.cifar import cifar10, cifar100
from landscape.data.dataset import Augment, DataSet, Split, batches, split
from landscape.data.idx_images import fashion_mnist, mnist
from landscape.data.language import intact_text, python_text, shakespeare, text
from landscape.data.svhn import svhn
from landscape.data.text_table import tsv

DATA: dict[str, Callable[..., DataSet]] = {
    "digits": digits.load,
    "canvas-digits": canvas_digits.load,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "svhn": svhn,
    "sst2": glue.sst2,
    "rte": glue.rte,
    "pairs": glue.pairs,
    "shakespeare": shakespeare,
    "text": text,
    "python-text": python_text,
    "intact-text": intact_text,
    "tsv": tsv,
    "csv": csv_table.load,
    "npz": npz.load,
    "hugging-face": hub.load,
}

__all__ = ["DATA", "Augment", "DataSet", "Split", "batches", "split"]
