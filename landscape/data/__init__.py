"""Data sets by name, all in memory. They are read from a folder that the user names."""

from collections.abc import Callable
from pathlib import Path

from landscape.data import cifar10, digits, fashion_mnist
from landscape.data.dataset import DataSet, Split, batches, split

DATA: dict[str, Callable[[Path | None], DataSet]] = {
    "digits": digits.load,
    "fashion-mnist": fashion_mnist.load,
    "cifar10": cifar10.load,
}

__all__ = ["DATA", "DataSet", "Split", "batches", "split"]
