"""SVHN, house numbers of Street View, cropped digits: Netzer et al. 2011.

http://ufldl.stanford.edu/housenumbers
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from landscape.data.dataset import DataSet
from landscape.data.files import Source, compared
from landscape.data.images import black, crop_and_flip, normalise

SVHN = Source("SVHN", "train_32x32.mat and test_32x32.mat", ("svhn", "SVHN", "."))
MD5 = {  # as torchvision lists them
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
# Those of CIFAR-10 in the FAM authors' code (arXiv 2307.02337), which takes them for SVHN too.
STATISTICS = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def svhn(data_dir: Path | None = None) -> DataSet:
    """73,257 training and 26,032 test images, x of shape (n, 3, 32, 32), the ten digits.

    data_dir: folder with train_32x32.mat and test_32x32.mat, or with `svhn` that holds them;
        default: the environment variable LANDSCAPE_DATA.

    The note says which files are not the published ones. The extra images are not read.
    Augmentation: random crop of 32 with 4 black pixels of padding, horizontal flip.

    Raises FileNotFoundError when a file is missing, ValueError when one is damaged.
    """
    paths = [SVHN.find(data_dir, name) for name in MD5]
    (train_x, train_y), (test_x, test_y) = map(_read, paths)
    notes = (compared(path, MD5[path.name]) for path in paths)
    return DataSet(
        name="svhn",
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=10,
        augment=partial(crop_and_flip, padding=4, fill=black(*STATISTICS)),
        note=" ".join(filter(None, notes)),
    )


def _read(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised images, float32 (n, 3, 32, 32), and digits, int64 (n,), of a MATLAB file."""
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=("X", "y"))
        x, y = found["X"], found["y"].reshape(-1)
    except Exception as error:  # scipy raises what its readers meet
        raise ValueError(f"{path} is no MATLAB file with X and y: {error}.") from None
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape != (32, 32, 3, len(y)) or not len(y):
        raise ValueError(
            f"{path} must hold X (32, 32, 3, n), uint8, and n digits y. Got X {x.shape}, {x.dtype}."
        )
    if not ((y >= 1) & (y <= 10)).all():
        raise ValueError(f"{path} must hold digits y from 1 to 10, which is 0.")
    return normalise(x.transpose(3, 2, 0, 1), *STATISTICS), torch.tensor(y % 10, dtype=torch.int64)
