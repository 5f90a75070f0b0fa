"""Files of weights, rows and records that are damaged, or ask for more than they hold."""

import collections
import json
import pickle
import struct
import zipfile
from time import monotonic

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from landscape.data import byte_pickle
from landscape.description import describe
from landscape.measures.rows.resumable_rows import KeptRows
from landscape.records import NoiseRecord, Point, load
from landscape.training import checkpoint, read_checkpoint, tables
from landscape.utils import pickle_limits

STATE = {"weight": torch.arange(12.0).reshape(3, 4), "bias": torch.zeros(3)}
POINT = Point(0.1, 0.01, 12.0, 5, 100, "test", "stored", "float32", "cpu", "abc")


def refused(call, path):
    with pytest.raises(ValueError, match=str(path)) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 1000
    return str(caught.value)


def in_zip(path, content, method=zipfile.ZIP_STORED, **entries):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x/data.pkl", content)
        archive.writestr("x/version", "3\n")
        for name, data in entries.items():
            archive.writestr(f"x/{name}", data)


def doubled(levels=60):
    """A dictionary whose key is a tuple of two tuples of two ..., hashed element by element."""
    steps = b"".join(b"2\x86" for _ in range(levels))  # DUP, TUPLE2
    return b"\x80\x02}" + b")" + steps + b"K\x01s."


PICKLES = {
    "sixty MiB of opcodes": b"\x80\x02" + b"N0" * 2**21 + b"}.",
    "place 2**31 - 1 of the memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a frame of 2**60 bytes": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",
    "bytes that are not there": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"N.",
    "a byte array that is not there": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"N.",
    "a tuple of 2**60 elements": doubled(),
    "an integer without end": b"\x80\x02\x8b" + struct.pack("<i", 2**20) + b"\x7f" * 2**20 + b".",
    "lists in lists": b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".",
}


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("form", ["zip", "old", "bytes"])
def test_pickles_that_ask_for_more_than_they_hold(tmp_path, bounded, monkeypatch, kind, form):
    monkeypatch.setattr(pickle_limits, "MOST_OPCODES", 100_000)
    path, start = tmp_path / "model.pt", monotonic()
    path.write_bytes(PICKLES[kind])
    if form == "zip":
        in_zip(path, PICKLES[kind])
    if form == "bytes" and kind == "lists in lists":
        return  # a list like any other
    read = byte_pickle.load if form == "bytes" else read_checkpoint.read
    refused(lambda: read(path), path)
    assert monotonic() - start < 9


def test_an_archive_that_is_compressed_is_refused(tmp_path, bounded):
    path = tmp_path / "model.pt"
    in_zip(path, b"\x80\x02}.", zipfile.ZIP_DEFLATED, zeros=bytes(2**24))
    assert "compressed" in refused(lambda: read_checkpoint.read(path), path)


TENSORS = {
    "repeats one number": torch.ones(1).expand(2**40),
    "without data": torch.ones(3, device="meta"),
    "sparse": torch.ones(3, 3).to_sparse(),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_without_their_numbers(tmp_path, bounded, kind):
    path = tmp_path / "model.pt"
    torch.save({"weight": TENSORS[kind]}, path)
    assert "must hold dense weights" in refused(lambda: describe(path), path)


def test_an_expanded_buffer_is_read(tmp_path):
    torch.save({"weight": torch.ones(3), "places": torch.ones(1).expand(7)}, tmp_path / "m.pt")
    assert describe(tmp_path / "m.pt")["tensors"] == 2


def with_header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


SAFETENSORS = {
    "offsets beyond the end": with_header(
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    ),
    "offsets that overlap": with_header(
        {n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"}, bytes(4)
    ),
    "a shape that does not fit": with_header(
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 4]}}, bytes(4)
    ),
    "an unknown type": with_header({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}),
    "a header of 2**60 bytes": struct.pack("<Q", 2**60) + b"{}",
    "nested headers": with_header(b"[" * 3000),
    "a cut file": with_header({})[:5],
    "nothing but zeros": bytes(64),
}


@pytest.mark.parametrize("kind", SAFETENSORS)
def test_safetensors_that_lie(tmp_path, bounded, kind):
    path = tmp_path / "model.safetensors"
    path.write_bytes(SAFETENSORS[kind])
    refused(lambda: describe(path), path)


def test_flipped_bits_of_checkpoints_are_read_or_refused(tmp_path):
    torch.save(STATE, tmp_path / "a.pt")
    save_file(STATE, tmp_path / "a.safetensors")
    torch.save(
        collections.OrderedDict(STATE), tmp_path / "b.pt", _use_new_zipfile_serialization=False
    )
    for name in ("a.pt", "a.safetensors", "b.pt"):
        path = tmp_path / name
        whole = path.read_bytes()
        for at in np.random.default_rng(1).integers(0, len(whole), 60):
            data = bytearray(whole)
            data[at] ^= 1 << int(at) % 8
            path.write_bytes(bytes(data))
            try:
                describe(path)
            except ValueError as error:
                assert name in str(error) and "\n" not in str(error)


def test_a_checkpoint_with_the_right_sum_and_a_wrong_pickle(tmp_path):
    import hashlib

    path = tmp_path / "checkpoint.pt"
    for payload in (PICKLES["a tuple of 2**60 elements"], pickle.dumps(print), b""):
        digest = hashlib.sha256(payload).hexdigest().encode()
        path.write_bytes(checkpoint.MARK + digest + b"\n" + payload)
        refused(lambda: checkpoint.load(path), path)


def noise(path):
    sigma, draws = np.array([0.0, 0.1]), np.zeros((2, 3))
    record = NoiseRecord(
        sigma=sigma, loss=draws, accuracy=draws, scale="layer", clean_loss=0.1,
        clean_accuracy=0.9, point=POINT,
    )  # fmt: skip
    record.save(path)
    return path


def test_records_of_another_shape(tmp_path, bounded):
    import xarray as xr

    path = noise(tmp_path / "noise.nc")
    with xr.open_dataset(path, engine="scipy") as opened:
        whole = opened.load()
    point = json.loads(whole.attrs["point"])
    changed = {
        "point": ["[]", "3", "{}", "[" * 3000, json.dumps({**point, "loss": "much"})],
        "kind": ["[]", "study", ""],
        "schema": ["one", "99"],
        "settings": ["[]", "3"],
    }
    for name, values in changed.items():
        for value in values:
            whole.assign_attrs({name: value}).to_netcdf(path, engine="scipy")
            refused(lambda: load(path), path)
    whole.transpose().to_netcdf(path, engine="scipy")
    refused(lambda: load(path), path)
    whole.drop_vars("loss").to_netcdf(path, engine="scipy")
    refused(lambda: load(path), path)


def test_bytes_of_records_that_change(tmp_path, bounded):
    """Absurd numbers of dimensions and elements among them."""
    path = noise(tmp_path / "noise.nc")
    whole = path.read_bytes()
    random = np.random.default_rng(2)
    for at in [*range(0, 160, 4), *random.integers(0, len(whole), 40)]:
        data = bytearray(whole)
        data[at : at + 4] = random.choice([b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\x40"])
        path.write_bytes(bytes(data))
        try:
            str(load(path))
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def test_a_flipped_bit_of_a_kept_row_starts_that_row_again(tmp_path):
    path, row = tmp_path / "rows", np.array([0.1, 0.2, 0.3])
    for i in range(3):
        KeptRows(path, "q").add(i, row)
    whole = path.read_bytes()
    begin = whole.index(b"\n") + 1
    for at in np.random.default_rng(0).integers(begin, len(whole), 12):
        for bit in (1, 4, 128):
            data = bytearray(whole)
            data[at] ^= bit
            path.write_bytes(bytes(data))
            again = [KeptRows(path, "q").get(i) for i in range(3)]
            assert all(kept is None or np.array_equal(kept, row) for kept in again), (at, bit)
            assert sum(kept is None for kept in again) >= 1


def test_rows_without_checksums_are_started_again(tmp_path):
    path = tmp_path / "rows"
    KeptRows(path, "q")
    with path.open("a") as file:
        file.write('{"row": 0, "numbers": [1.0]}\n')
    assert KeptRows(path, "q").get(0) is None


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "null", "3", '{"epoch": "a"}', '{"epoch": [1]}', "[" * 3000, "\0"]
)
def test_broken_lines_of_tables(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"epoch": 0}}\n{line}\n{{"epoch": null}}\n')
    assert "line 2" in refused(lambda: tables.read(path), path)
    path.write_text('{"epoch": 0}\n{"epoch": null}\n')
    assert np.isnan(tables.read(path)[1]["epoch"])
