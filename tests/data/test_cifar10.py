"""CIFAR-10: tiny batches in both published forms, and the published ones where at hand."""

import hashlib
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from landscape.data import DATA, cifar, cifar10

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
STD = torch.tensor([0.2471, 0.2435, 0.2616]).view(3, 1, 1)


def example(n: int, seed: int) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3072), np.uint8), rng.integers(0, 10, n).tolist()


def binary(pixels: np.ndarray, labels: list[int]) -> bytes:
    return b"".join(bytes([c]) + row.tobytes() for c, row in zip(labels, pixels, strict=True))


def python(pixels: np.ndarray, labels: list[int]) -> bytes:
    return pickle.dumps({b"batch_label": b"batch", b"data": pixels, b"labels": labels}, protocol=2)


FORMS = {"bin": (binary, ".bin"), "py": (python, "")}


def write(folder: Path, form: str = "bin", parts: tuple[int, ...] = (1, 2, 3, 4, 5)) -> Path:
    """Batch i has i + 1 images, the test batch 4."""
    encode, suffix = FORMS[form]
    folder.mkdir(parents=True, exist_ok=True)
    for i in parts:
        (folder / f"data_batch_{i}{suffix}").write_bytes(encode(*example(i + 1, seed=i)))
    (folder / f"test_batch{suffix}").write_bytes(encode(*example(4, seed=0)))
    return folder


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("parent", ["", "cifar10/"])
@pytest.mark.parametrize("layout", ["", "cifar-10-batches-{form}"])
def test_images_and_classes_arrive_in_order(form, parent, layout, tmp_path):
    write(tmp_path / (parent + layout.format(form=form)), form)
    dataset = DATA["cifar10"](tmp_path)
    pixels, labels = zip(*(example(i + 1, seed=i) for i in range(1, 6)), strict=True)
    raw = torch.tensor(np.concatenate(pixels)).view(20, 3, 32, 32)
    torch.testing.assert_close(dataset.train_x, (raw / 255 - MEAN) / STD)
    assert dataset.train_y.tolist() == [c for part in labels for c in part]
    assert dataset.test_x.shape == (4, 3, 32, 32)
    assert dataset.test_y.tolist() == example(4, seed=0)[1]


def test_both_forms_are_the_same_data(tmp_path):
    loaded = [cifar10(write(tmp_path / form, form)) for form in FORMS]
    assert loaded[0].fingerprint == loaded[1].fingerprint


def test_red_comes_first_and_rows_before_columns(tmp_path):
    """Byte 1 + 1024 c + 32 i + j of an image is channel c, row i, column j."""
    pixels = np.zeros((1, 3072), np.uint8)
    pixels[0, 1024 * 2 + 32 * 5 + 7] = 255
    (write(tmp_path) / "test_batch.bin").write_bytes(binary(pixels, [3]))
    x = cifar10(tmp_path).test_x[0]
    assert (x == x.max()).nonzero().tolist() == [[2, 5, 7]]


@pytest.mark.parametrize(("parts", "images"), [((1, 2, 3), 9), ((2, 5), 9), ((1,), 2)])
def test_fewer_batches_are_accepted_and_noted(parts, images, tmp_path):
    dataset = cifar10(write(tmp_path, parts=parts))
    assert len(dataset.train_x) == images
    assert dataset.note == f"{images} of the 50,000 training images. 4 of the 10,000 test images."


def test_padding_is_black(tmp_path):
    """A batch of black images is the same after every crop and flip."""
    (write(tmp_path) / "test_batch.bin").write_bytes(binary(np.zeros((8, 3072), np.uint8), [0] * 8))
    dataset = cifar10(tmp_path)
    again = dataset.augment(dataset.test_x, torch.Generator().manual_seed(0))
    torch.testing.assert_close(again, dataset.test_x)


def test_augmentation_shifts_by_at_most_four(tmp_path):
    """One white pixel in 2,000 copies: columns 8 ± 4 and, mirrored, 23 ± 4; rows 16 ± 4."""
    x = torch.zeros(2000, 3, 32, 32)
    x[:, :, 16, 8] = 9.0
    y = cifar10(write(tmp_path)).augment(x, torch.Generator().manual_seed(0))
    _, rows, columns = (y[:, 0] == 9).nonzero().T
    assert len(rows) == 2000
    assert rows.unique().tolist() == list(range(12, 21))
    assert columns.unique().tolist() == [*range(4, 13), *range(19, 28)]


@pytest.mark.parametrize(("name", "parts"), [("test_batch.bin", (1,)), ("data_batch_1.bin", ())])
def test_a_missing_file_is_named(name, parts, tmp_path):
    write(tmp_path, parts=parts)
    (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError) as caught:
        cifar10(tmp_path)
    assert str(caught.value) == (
        f"CIFAR-10 needs {name} in {tmp_path}. Put the official batches, binary or Python, there "
        "or name their folder with --data-dir or LANDSCAPE_DATA."
    )


PIXELS, LABELS = example(2, seed=0)


@pytest.mark.parametrize(
    ("form", "raw", "message"),
    [
        ("bin", b"", "hold 3073 bytes for each image. Got 0"),
        ("bin", binary(PIXELS, LABELS)[:-1], "hold 3073 bytes for each image. Got 6145"),
        ("bin", binary(PIXELS, [3, 10]), "hold classes of 0 to 9. Got 10"),
        ("py", python(PIXELS, [3, 10]), "hold classes of 0 to 9. Got 10"),
        ("py", python(PIXELS, [3, [4]]), r"hold classes of 0 to 9. Got \[4\]"),
        ("py", python(PIXELS, [3]), r"each of its 1 classes. Got data of shape \(2, 3072\)"),
        ("py", python(PIXELS[:, 1:], LABELS), r"hold 3072 values .* shape \(2, 3071\)"),
        ("py", pickle.dumps([1, 2]), "be a dictionary with an array `data`"),
        ("py", pickle.dumps({b"data": 1, b"labels": [1]}), "be a dictionary with an array"),
        ("py", b"not a pickle", "be a pickle of plain values"),
    ],
)
def test_a_damaged_batch_is_named(form, raw, message, tmp_path):
    path = write(tmp_path, form) / f"data_batch_2{FORMS[form][1]}"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=f"^{path} must .*{message}"):
        cifar10(tmp_path)


class Touch:
    """Pickles as a command that makes a file."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return subprocess.check_call, (["touch", self.mark.as_posix()],)


def test_a_malicious_batch_runs_nothing(tmp_path):
    mark = tmp_path / "mark"
    path = write(tmp_path, "py") / "test_batch"
    path.write_bytes(pickle.dumps({b"data": Touch(mark), b"labels": []}, protocol=2))
    with pytest.raises(ValueError, match=f"{path} .* it names .*check_call"):
        cifar10(tmp_path)
    assert not mark.exists()


@pytest.mark.slow
def test_the_published_batches():
    """The channels' mean and deviation over the images at hand; equal classes in the test set."""
    try:
        dataset = cifar10(None)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    assert len(dataset.train_x) == 50_000 or dataset.note
    assert dataset.test_y.bincount().tolist() == [1000] * 10
    assert dataset.train_x.mean((0, 2, 3)).abs().max() < 0.01
    assert (dataset.train_x.std((0, 2, 3)) - 1).abs().max() < 0.01


def test_where_all_images_are_there_unknown_files_are_noted(tmp_path):
    """Sizes first; with all images there, what the checksums say."""
    folder = write(tmp_path)
    paths = [folder / "data_batch_1.bin", folder / "test_batch.bin"]
    found = hashlib.md5(paths[0].read_bytes()).hexdigest()
    said = cifar.note(50_000, 10_000, paths, {"data_batch_1.bin": "0" * 32})
    assert said == (
        f"data_batch_1.bin is not the published file (MD5 {found}). "
        "test_batch.bin could not be compared with the published file."
    )
    assert cifar.note(50_000, 10_000, paths[:1], {"data_batch_1.bin": found}) == ""
