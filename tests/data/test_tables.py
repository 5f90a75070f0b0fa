"""Your own numbers: CSV tables and numpy's arrays."""

import numpy as np
import pytest
import torch

from landscape.data import DATA, table

TRAIN = "a,label,b\n1,cat,10\n3,dog,10\n5,cat,10\n"
TEST = "a,label,b\n7,dog,11\n"


def write(folder, train=TRAIN, test=TEST):
    for name, text in (("train", train), ("test", test)):
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_columns_are_standardised_by_the_training_set(tmp_path):
    """a has mean 3 and deviation √(8/3); b never moves and is only shifted."""
    dataset = DATA["csv"](write(tmp_path))
    unit = (8 / 3) ** 0.5
    expected = torch.tensor([[-2 / unit, 0], [0, 0], [2 / unit, 0]])
    torch.testing.assert_close(dataset.train_x, expected)
    torch.testing.assert_close(dataset.test_x, torch.tensor([[4 / unit, 1]]))
    assert dataset.train_y.tolist() == [0, 1, 0] and dataset.test_y.tolist() == [1]
    assert dataset.classes == 2 and dataset.train_x.dtype == torch.float32


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("train", "", "be a plain text in UTF-8. Got an empty file"),
        ("train", "a,b\n1,2\n", "have columns of numbers, a column `label` .* Got columns a, b"),
        ("train", "label\n1\n", "have columns of numbers, a column `label`"),
        ("train", "a,label\n", "at least one example. Got columns a, label and 0 examples"),
        ("train", "a,label\nx,1\n", "hold finite numbers. Got 'x' in example 1"),
        ("train", "a,label\n1,1\n,1\n", "hold finite numbers. Got '' in example 2"),
        ("train", "a,label\ninf,1\n", "hold finite numbers. Got 'inf' in example 1"),
        ("train", "a,label\n1,1,1\n", "hold 2 values in each line. Got 3 in example 1"),
        ("train", 'a,label\n"1,1\n', "be a table. Got: unexpected end of data, line 2"),
        ("test", "label,a,b\ncat,1,2\n", None),
        ("test", "b,label,a\n1,cat,2\n", "have the columns of train.csv, a, b. Got b, a"),
        ("test", "a,label,b\n1,cow,2\n", r"classes of the training set \(cat, dog\). Got 'cow'"),
    ],
)
def test_a_wrong_table_is_named(file, text, message, tmp_path):
    write(tmp_path, **{file: text})
    if message is None:
        assert DATA["csv"](tmp_path).test_y.tolist() == [0]
        return
    with pytest.raises(ValueError, match=f"^{tmp_path / file}.csv must .*{message}"):
        DATA["csv"](tmp_path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_quotes_and_blank_lines(end, tmp_path):
    """A number keeps all its digits; a short line is no example with empty values."""
    text = end.join(["a,label,b", '0.1,"cat, or dog",10', "", ",,", "0.30000000000000004,cow,10"])
    write(tmp_path)
    (tmp_path / "train.csv").write_bytes(text.encode())
    columns, rows = table.read(tmp_path / "train.csv", ",")
    assert columns == ["a", "label", "b"]
    assert rows == [["0.1", "cat, or dog", "10"], ["0.30000000000000004", "cow", "10"]]
    (tmp_path / "train.csv").write_bytes((text + end + "1,cat").encode())
    with pytest.raises(ValueError, match=r"hold 3 values in each line. Got 2 in example 4\.$"):
        DATA["csv"](tmp_path)


def save(folder, **arrays):
    x, y = np.arange(12.0).reshape(3, 2, 2), np.array([0, 2, 1], np.uint8)
    for name in ("train", "test"):
        np.savez(folder / f"{name}.npz", **{"x": x, "y": y, **arrays.get(name, {})})
    return folder


def test_arrays_arrive_as_they_are(tmp_path):
    dataset = DATA["npz"](save(tmp_path))
    assert torch.equal(dataset.train_x, torch.arange(12.0).view(3, 2, 2))
    assert dataset.train_y.tolist() == [0, 2, 1] and dataset.train_y.dtype == torch.int64
    assert dataset.classes == 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"y": np.array([0.0, 1.0, 2.0])},
            r"a whole number in `y` .* Got x \(3, 2, 2\) .* float64",
        ),
        ({"y": np.array([0, 1])}, r"a whole number in `y` for each example .* y \(2,\)"),
        ({"x": np.ones((0, 2)), "y": np.ones(0, int)}, "and at least one"),
        ({"y": np.ones((3, 1), int)}, r"y \(3, 1\)"),
        ({"x": np.full((3, 2, 2), np.nan)}, "finite numbers in `x`"),
        ({"x": np.array(["a", "b", "c"])}, "finite numbers in `x`. Got <U1"),
        ({"x": np.array([{}, {}, {}])}, "hold arrays `x` and `y` of numbers. Got: Object arrays"),
    ],
)
def test_wrong_arrays_are_named(arrays, message, tmp_path):
    path = save(tmp_path, train=arrays) / "train.npz"
    with pytest.raises(ValueError, match=f"^{path} must .*{message}"):
        DATA["npz"](tmp_path)


def test_classes_outside_of_the_training_set_and_other_shapes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"hold classes of 0 to 2 in `y`, as train.npz. Got 3"):
        DATA["npz"](save(tmp_path, test={"y": np.array([0, 3, 1])}))
    with pytest.raises(ValueError, match=r"hold classes of 0 to 262143 in `y`. Got -1"):
        DATA["npz"](save(tmp_path, train={"y": np.array([0, -1, 2])}))
    with pytest.raises(ValueError, match=r"examples of shape \(2, 2\), as train.npz. Got \(4,\)"):
        DATA["npz"](save(tmp_path, test={"x": np.ones((3, 4))}))


@pytest.mark.parametrize("raw", [b"", b"not numpy", b"PK\x03\x04 cut"])
def test_what_is_no_archive_of_arrays_is_named(raw, tmp_path):
    path = save(tmp_path) / "test.npz"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=f"^{path} must hold arrays `x` and `y` of numbers. Got: "):
        DATA["npz"](tmp_path)


def test_a_lone_array_is_named(tmp_path):
    save(tmp_path)
    with (tmp_path / "train.npz").open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(ValueError, match="must hold arrays `x` and `y` of numbers"):
        DATA["npz"](tmp_path)
