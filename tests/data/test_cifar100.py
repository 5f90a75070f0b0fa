"""CIFAR-100: tiny files in both published forms, and the published archives' form."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from landscape.data import DATA, cifar100

MEAN = torch.tensor([0.5071, 0.4865, 0.4409]).view(3, 1, 1)
STD = torch.tensor([0.2673, 0.2564, 0.2762]).view(3, 1, 1)


def example(n: int, seed: int) -> tuple[np.ndarray, list[int], list[int]]:
    rng = np.random.default_rng(seed)
    fine = rng.integers(0, 100, n).tolist()
    return rng.integers(0, 256, (n, 3072), np.uint8), [c // 5 for c in fine], fine


def binary(pixels, coarse, fine) -> bytes:
    rows = zip(coarse, fine, pixels, strict=True)
    return b"".join(bytes([c, f]) + row.tobytes() for c, f, row in rows)


def python(pixels, coarse, fine) -> bytes:
    fields = {b"data": pixels, b"coarse_labels": coarse, b"fine_labels": fine}
    return pickle.dumps(fields, protocol=2)


FORMS = {"binary": (binary, ".bin"), "python": (python, "")}


def write(folder: Path, form: str = "binary") -> Path:
    """Three training images and two test images."""
    encode, suffix = FORMS[form]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"train{suffix}").write_bytes(encode(*example(3, seed=1)))
    (folder / f"test{suffix}").write_bytes(encode(*example(2, seed=2)))
    return folder


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", ["", "cifar100", "cifar-100-{form}"])
def test_images_and_fine_classes_arrive(form, layout, tmp_path):
    write(tmp_path / layout.format(form=form), form)
    dataset = DATA["cifar100"](tmp_path)
    pixels, _, fine = example(3, seed=1)
    raw = torch.tensor(pixels).view(3, 3, 32, 32)
    torch.testing.assert_close(dataset.train_x, (raw / 255 - MEAN) / STD)
    assert dataset.train_y.tolist() == fine
    assert dataset.test_y.tolist() == example(2, seed=2)[2]
    assert dataset.classes == 100
    assert dataset.note == "3 of the 50,000 training images. 2 of the 10,000 test images."


def archive(path: Path, form: str) -> Path:
    encode, suffix = FORMS[form]
    with tarfile.open(path, "w:gz") as file:
        for seed, (name, n) in enumerate({"train": 3, "test": 2}.items(), 1):
            content = encode(*example(n, seed))
            info = tarfile.TarInfo(f"cifar-100-{form}/{name}{suffix}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_a_published_archive_is_read_and_the_folder_left_as_it_was(form, tmp_path):
    path = archive(tmp_path / f"cifar-100-{form}.tar.gz", form)
    dataset = cifar100(tmp_path)
    assert dataset.fingerprint == cifar100(write(tmp_path / "files", form)).fingerprint
    assert dataset.note.startswith(f"{path.name} is not the published file (MD5 ")
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, "files"]


def test_an_archive_without_the_files_is_an_error(tmp_path):
    with tarfile.open(tmp_path / "cifar-100-binary.tar.gz", "w:gz"):
        pass
    with pytest.raises(FileNotFoundError, match=r"CIFAR-100 needs test.bin in "):
        cifar100(tmp_path)


PIXELS, COARSE, FINE = example(2, seed=3)


@pytest.mark.parametrize(
    ("form", "raw", "message"),
    [
        ("binary", b"", "hold 3074 bytes for each image. Got 0"),
        ("binary", binary(PIXELS, COARSE, FINE)[:-1], "hold 3074 bytes for each image. Got 6147"),
        ("binary", binary(PIXELS, COARSE, [0, 100]), "hold classes of 0 to 99. Got 100"),
        ("python", python(PIXELS, COARSE, [0, 100]), "hold classes of 0 to 99. Got 100"),
        ("python", pickle.dumps({b"data": 1}), "with an array `data` and a list `fine_labels`"),
    ],
)
def test_a_damaged_file_is_named(form, raw, message, tmp_path):
    path = write(tmp_path, form) / f"train{FORMS[form][1]}"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=f"^{path} must .*{message}"):
        cifar100(tmp_path)
