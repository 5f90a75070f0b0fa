"""Pickles are read as data: arrays arrive, and nothing that a pickle names is run."""

import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest

from landscape.data import byte_pickle

ARRAY = np.arange(6, dtype=np.uint8).reshape(2, 3)


def write(tmp_path: Path, raw: bytes) -> Path:
    path = tmp_path / "batch"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("array", [ARRAY, ARRAY.T], ids=["C", "Fortran"])
def test_arrays_written_by_this_python(protocol, array, tmp_path):
    path = write(tmp_path, pickle.dumps({b"data": array, b"labels": [6, 9]}, protocol))
    loaded = byte_pickle.load(path)
    assert np.array_equal(loaded[b"data"].values, array)
    assert loaded[b"labels"] == [6, 9]


def python2_pickle(values: np.ndarray) -> bytes:
    """{'data': array, 'labels': [6, 9]} opcode by opcode as Python 2 and its numpy wrote it."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value  # SHORT_BINSTRING: Python 2's str

    rows, columns = values.shape
    dtype = b"cnumpy\ndtype\n(" + text(b"u1") + b"K\x00K\x01tR"
    dtype += b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR"
    array += b"(K\x01(" + bytes([75, rows, 75, columns]) + b"t" + dtype + b"\x89"
    array += text(values.tobytes()) + b"tb"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + b"](K\x06K\x09eu."


def test_arrays_written_by_python_2(tmp_path):
    """The published batches have this form."""
    loaded = byte_pickle.load(write(tmp_path, python2_pickle(ARRAY)))
    assert np.array_equal(loaded[b"data"].values, ARRAY)
    assert loaded[b"labels"] == [6, 9]


class Calls:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def test_a_command_is_not_run(tmp_path):
    """The same bytes do run it under plain pickle: the bait is live."""
    mark = tmp_path / "mark"
    path = write(
        tmp_path, pickle.dumps({b"data": Calls(subprocess.check_call, ["touch", mark.as_posix()])})
    )
    with pytest.raises(
        ValueError, match=r"it names subprocess.check_call, which is not run"
    ) as caught:
        byte_pickle.load(path)
    assert str(path) in str(caught.value)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists()


@pytest.mark.parametrize(
    "name", [b"builtins\neval", b"os\nsystem", b"numpy\nload", b"numpy.core.multiarray\nfromfile"]
)
@pytest.mark.parametrize("opcode", ["GLOBAL", "STACK_GLOBAL"])
def test_a_name_alone_is_refused(name, opcode, tmp_path):
    module, attribute = name.split(b"\n")
    short = [b"\x8c" + bytes([len(part)]) + part for part in (module, attribute)]
    raw = {"GLOBAL": b"c" + name + b"\n.", "STACK_GLOBAL": b"\x80\x04" + b"".join(short) + b"\x93."}
    with pytest.raises(ValueError, match=r"it names .*, which is not run"):
        byte_pickle.load(write(tmp_path, raw[opcode]))


def test_no_allowed_name_is_numpys_own(tmp_path):
    """numpy.ndarray over forged bytes would be a pointer: the name stands for a class of ours."""
    forged = Calls(np.ndarray, (1,), np.dtype(object), b"\x01" * 8)
    with pytest.raises(ValueError, match="ByteArray"):
        byte_pickle.load(write(tmp_path, pickle.dumps(forged, 2)))
    assert not any(
        getattr(stand_in, "__module__", "").startswith("numpy")
        for stand_in in byte_pickle.STANDS_FOR.values()
    )


@pytest.mark.parametrize(
    "values", [np.arange(3.0), np.array([None, "x"]), np.arange(3, dtype="i1")]
)
def test_other_types_are_refused(values, tmp_path):
    with pytest.raises(ValueError, match="an array of type"):
        byte_pickle.load(write(tmp_path, pickle.dumps(values, 2)))


def test_shape_and_bytes_must_agree(tmp_path):
    raw = pickle.dumps(ARRAY, 3).replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86")
    with pytest.raises(ValueError, match=r"an array of shape \(2, 4\) with 6 bytes"):
        byte_pickle.load(write(tmp_path, raw))


@pytest.mark.parametrize("length", [0, 1, 40, -1])
def test_a_damaged_pickle_is_one_clear_error(length, tmp_path):
    path = write(tmp_path, pickle.dumps({b"data": ARRAY}, 2)[:length])
    with pytest.raises(ValueError, match=f"^{path} must be a pickle of plain values"):
        byte_pickle.load(path)
