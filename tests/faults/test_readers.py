"""Files of data sets that are damaged, lie about themselves or grow without end: one line each."""

import io
import shutil
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from landscape.data import DATA, archives, table
from landscape.data.idx_images import unpacked


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Lower limits, so that files that break them are made in no time."""
    monkeypatch.setattr(archives, "SMALL", 2**20)
    monkeypatch.setattr(archives, "MOST_FILES", 100)


def refusal(call, path):
    """The message of a ValueError: one line that begins with the file's path."""
    with pytest.raises(ValueError, match=str(path)) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000
    return str(caught.value)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(shape, kind="<f8"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"shape": shape, "fortran_order": False, "descr": kind}
    )
    return buffer.getvalue()


X, Y = npy(np.arange(12.0).reshape(3, 4)), npy(np.array([0, 1, 2]))


def npz(folder, x=X, y=Y, method=zipfile.ZIP_DEFLATED):
    for name, arrays in (("train", {"x": x, "y": y}), ("test", {"x": X, "y": Y})):
        with zipfile.ZipFile(folder / f"{name}.npz", "w", method) as archive:
            for key, content in arrays.items():
                archive.writestr(f"{key}.npy", content)
    return folder / "train.npz"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": header((10**12,))}, r"`x` of shape \(1000000000000,\) with 0 bytes"),
        ({"x": header((10**30, 10**30))}, "with 0 bytes instead of"),
        ({"x": header((-3, -4)) + b"0" * 96}, r"the shape \(-3, -4\)"),
        ({"x": b"\x93NUMPY\x03\x00" + X[8:]}, r"version \(3, 0\)"),
        ({"x": b"\x93NUMPY\x01\x00\x40\x1f" + b"[" * 8000}, "Got: "),
        ({"x": npy(np.array(1.0))}, r"Got x \(\) and y \(3,\)"),
        ({"y": npy(np.array(1))}, r"and y \(\) of int64"),
        ({"x": npy(np.full((3, 2), 1e300))}, "fit into 32 bits"),
        ({"x": npy(np.full((3, 2), 1j))}, "finite numbers in `x`. Got complex128"),
        ({"y": npy(np.array([0, 1, 10**9]))}, "classes of 0 to 262143 in `y`. Got 1000000000"),
        ({"y": npy(np.array([0, 1, 2**64 - 1], np.uint64))}, "Got 18446744073709551615"),
        ({"y": npy(np.array([0, 1, -1]))}, "classes of 0 to 262143 in `y`. Got -1"),
        ({"y": npy(np.array([0.0, 1.0, 1.5]))}, "a whole number in `y`"),
        ({"x": bytes(2**24)}, r"`x` of 16777216 bytes, \d+ at most"),
    ],
)  # fmt: skip
def test_arrays_that_lie(tmp_path, bounded, arrays, message):
    path = npz(tmp_path, **arrays)
    with pytest.raises(ValueError, match=message):
        DATA["npz"](tmp_path)
    refusal(lambda: DATA["npz"](tmp_path), path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_flipped_bits_of_arrays(tmp_path, method):
    path = npz(tmp_path, x=npy(np.random.default_rng(0).normal(size=(3, 400))), method=method)
    whole = path.read_bytes()
    for at in np.random.default_rng(1).integers(0, len(whole), 40):
        data = bytearray(whole)
        data[at] ^= 1 << int(at) % 8
        path.write_bytes(bytes(data))
        try:
            DATA["npz"](tmp_path)
        except ValueError as error:
            assert "npz must " in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("text", ["a,label\n" + "1" * 140_000 + ",0\n", "a,label\n1,2,3\n"])
def test_long_fields_of_a_table(tmp_path, text):
    (tmp_path / "train.csv").write_text(text)
    refusal(lambda: table.read(tmp_path / "train.csv", ","), tmp_path / "train.csv")


def test_a_wide_line_among_many_takes_no_more_memory_than_the_file(tmp_path, bounded):
    (tmp_path / "train.csv").write_text("," * 200_000 + "\n" + "1\n" * 200_000)
    refusal(lambda: table.read(tmp_path / "train.csv", ","), tmp_path / "train.csv")


def csv(folder, train):
    (folder / "train.csv").write_text(train)
    (folder / "test.csv").write_text("a,label\n1,0\n")
    return folder


@pytest.mark.parametrize(
    "train",
    ["a,label\n1e308,0\n-1e308,0\n", "a,label\n1e300,0\n2e300,0\n", "a,label\n1,0.5\n2,0\n"],
)
def test_numbers_that_overflow_and_labels_that_are_none(tmp_path, train):
    refusal(lambda: DATA["csv"](csv(tmp_path, train)), tmp_path / "train.csv")


def test_a_constant_column_is_not_divided_by_its_rounding(tmp_path):
    dataset = DATA["csv"](csv(tmp_path, "a,label\n" + "0.1,0\n" * 3))
    assert dataset.train_x.abs().max() < 1e-6 and abs(float(dataset.test_x[0, 0]) - 0.9) < 1e-6


def test_labels_that_are_the_same_number_have_one_order_in_every_process(tmp_path):
    for names in (["1", "01", "001"], ["001", "1", "01"]):
        assert list(table.classes_of(names, tmp_path)) == ["001", "01", "1"]


def tar(path, name, content=b"", mode="w:gz", pax=None):
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.size, info.pax_headers = len(content), pax or {}
        archive.addfile(info, io.BytesIO(content))
    return path


def nested_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/" * 2000 + "b", b"")
    return path


def damaged_xz(path):
    raw = bytearray(tar(path, "a", bytes(range(256)) * 40, "w:xz").read_bytes())
    raw[len(raw) // 2] ^= 255
    path.write_bytes(bytes(raw))
    return path


def folders_alone(path):
    with tarfile.open(path, "w") as archive:
        for i in range(archives.MOST_FILES + 1):
            info = tarfile.TarInfo(f"d{i}")
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
    return path


ARCHIVES = {
    "2,000 folders deep, tar": (lambda p: tar(p, "a/" * 2000 + "b"), "folders deep"),
    "2,000 folders deep, zip": (nested_zip, "folders deep"),
    "lzma": (damaged_xz, "a complete tar or zip archive"),
    "folders alone": (folders_alone, "at most 100 files"),
    "a header without end": (
        lambda p: tar(p, "a", pax={"comment": "x" * 2**22}), "short names and headers",
    ),
    "zeros": (lambda p: tar(p, "a", bytes(2**24)), "unpack to at most"),
    "a file that is a folder": (
        lambda p: _two(p, "a", "a/b"), "a complete tar or zip archive",
    ),
}  # fmt: skip


def _two(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"1")
    return path


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_that_do_harm(tmp_path, bounded, kind):
    make, message = ARCHIVES[kind]
    path = make(tmp_path / "x.bin")
    (tmp_path / "out").mkdir()
    assert message in refusal(lambda: archives.unpack(path, tmp_path / "out"), path)


def test_a_gzip_file_of_zeros(tmp_path, bounded):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    squeeze = zlib.compressobj(wbits=31)
    path.write_bytes(b"".join(squeeze.compress(bytes(2**22)) for _ in range(2)) + squeeze.flush())
    assert "must unpack to at most 1048576 bytes" in refusal(lambda: unpacked(path), path)


def test_honest_archives_still_unpack(tmp_path):
    (tmp_path / "in" / "folder").mkdir(parents=True)
    (tmp_path / "in" / "folder" / "a").write_bytes(b"1")
    for kind in ("gztar", "bztar", "xztar", "tar", "zip"):
        made = shutil.make_archive(str(tmp_path / kind), kind, tmp_path / "in")
        archives.unpack(tmp_path / made, tmp_path / f"{kind}-out")
        assert (tmp_path / f"{kind}-out" / "folder" / "a").read_bytes() == b"1"
    assert archives.most_bytes(tmp_path / made) == archives.SMALL
