"""Tables of texts: tab-separated files of your own, SST-2 in GLUE's form, and the vocabulary."""

import pytest
import torch

from landscape.data import DATA, text_table, vocabulary
from landscape.data.vocabulary import PADDING, SEPARATOR, UNKNOWN

TRAIN = "sentence\tlabel\nA good film.\t1\na bad , bad one\t0\nit 's good\t1\n"
TEST = "sentence\tlabel\nbad film\t0\nunseen words\t1\n"


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"train": TRAIN, "test": TEST, **files}.items():
        if text is not None:
            (folder / f"{name}.tsv").write_text(text)
    return folder


def test_words():
    assert vocabulary.words("It's Café-style, n°1!") == [
        "it", "'", "s", "café", "-", "style", ",", "n", "°", "1", "!",
    ]  # fmt: skip


def test_the_commonest_words_come_first_then_the_alphabet():
    tokens = vocabulary.vocabulary([("b a c", "a"), ("c a",)], size=5)
    assert tokens == {"a": 3, "c": 4}
    assert vocabulary.vocabulary([("b a",)], size=100) == {"a": 3, "b": 4}


def test_encoding_by_hand():
    """Two texts with a separator between, an unknown word, padding, and a cut."""
    x = vocabulary.encoded([("a b", "zzz"), ("a a a a a a",), ("",)], {"a": 3, "b": 4}, length=5)
    assert x.tolist() == [[3, 4, SEPARATOR, UNKNOWN, PADDING], [3] * 5, [PADDING] * 5]
    assert x.dtype == torch.int64


@pytest.mark.parametrize("name", ["tsv", "sst2"])
def test_texts_and_classes_arrive(name, tmp_path):
    dataset = DATA[name](write(tmp_path))
    assert dataset.train_x.shape == (3, 64) and dataset.test_x.shape == (2, 64)
    assert dataset.train_y.tolist() == [1, 0, 1] and dataset.test_y.tolist() == [0, 1]
    assert dataset.classes == 2
    row = dataset.train_x[1][dataset.train_x[1] != PADDING]
    assert len(row) == 5 and row[1] == row[3] != row[0]  # a bad , bad one
    assert dataset.test_x[0, 0] == row[1]
    assert dataset.test_x[1, :3].tolist() == [UNKNOWN, UNKNOWN, PADDING]


def test_only_training_texts_make_the_vocabulary(tmp_path):
    before = DATA["tsv"](write(tmp_path / "a")).train_x
    other = TEST.replace("bad film", "other words entirely , again and again")
    assert torch.equal(DATA["tsv"](write(tmp_path / "b", test=other)).train_x, before)


def test_names_of_classes_are_numbered_by_the_training_set(tmp_path):
    train = "label\tpremise\thypothesis\nno\ta\tb\nyes\tc\td\nmaybe\te\tf\n"
    test = "label\tpremise\thypothesis\nyes\ta\td\n"
    dataset = DATA["tsv"](write(tmp_path, train=train, test=test))
    assert dataset.train_y.tolist() == [1, 2, 0] and dataset.test_y.tolist() == [2]
    assert dataset.train_x[0, 1] == SEPARATOR
    assert dataset.classes == 3


def test_numbers_of_classes_keep_their_order(tmp_path):
    train = "sentence\tlabel\n" + "".join(f"a\t{c}\n" for c in (10, 9, 2))
    dataset = DATA["tsv"](write(tmp_path, train=train, test="sentence\tlabel\nb\t9\n"))
    assert dataset.train_y.tolist() == [2, 1, 0] and dataset.test_y.tolist() == [1]


def test_columns_of_numbers_are_no_texts(tmp_path):
    indexed = "index\tsentence\tlabel\n0\tbad film\t0\n1\tunseen words\t1\n"
    plain, numbered = (
        DATA["tsv"](write(tmp_path / name, test=test)).test_x
        for name, test in (("a", TEST), ("b", indexed))
    )
    assert torch.equal(plain, numbered)


@pytest.mark.parametrize("name", ["tsv", "sst2"])
@pytest.mark.parametrize("test", [None, "index\tsentence\n0\tno label here\n"])
def test_where_the_test_set_has_no_labels_dev_is_it(name, test, tmp_path):
    dev = "sentence\tlabel\ngood\t1\n"
    assert DATA[name](write(tmp_path, test=test, dev=dev)).test_y.tolist() == [1]


def test_sst2_notes_other_numbers_of_sentences(tmp_path):
    assert DATA["sst2"](write(tmp_path / "SST-2").parent).note == (
        "3 of the 67,349 training sentences. 2 of the 872 test sentences."
    )


def test_quotation_marks_and_line_ends(tmp_path):
    """A lone quotation mark begins nothing, a Windows line end and U+0085 end or split nothing."""
    (tmp_path / "a.tsv").write_bytes(
        '\ufeffsentence\tlabel\r\n"half\tx\r\nnext\x85line\ty\r\n\r\n'.encode()
    )
    table = text_table.read(tmp_path / "a.tsv")
    assert table.texts == [('"half',), ("next\x85line",)]
    assert table.labels == ["x", "y"]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("", "be a plain text in UTF-8. Got an empty file"),
        ("sentence\tlabel\n", "go on with examples. Got 0 after"),
        ("a\t1\nb\t0\n", "have a column `label`. Got none"),
        ("label\n1\n", "begin with a line of column names"),
        ("sentence\tlabel\na\t1\nb\n", "hold 2 values in each line. Got 1 in example 2"),
        ("sentence\tlabel\na\t1\tx\n", "hold 2 values in each line. Got 3 in example 1"),
    ],
)
def test_a_wrong_file_is_named(train, message, tmp_path):
    folder = write(tmp_path, train=train)
    with pytest.raises(ValueError, match=f"^{folder / 'train.tsv'} must .*{message}"):
        DATA["tsv"](folder)


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", b"sentence\tlabel\na\0b\t1\n", b"\x1f\x8b\x08"])
def test_what_is_no_text_is_named(raw, tmp_path):
    (write(tmp_path) / "train.tsv").write_bytes(raw)
    with pytest.raises(ValueError, match=r"train.tsv must be a plain text in UTF-8. Got"):
        DATA["sst2"](tmp_path)


def test_a_class_that_training_never_saw_is_refused(tmp_path):
    test = "sentence\tlabel\na\t2\n"
    with pytest.raises(
        ValueError, match=r"test.tsv must hold classes of the training set \(0, 1\). Got '2'"
    ):
        DATA["tsv"](write(tmp_path, test=test))


@pytest.mark.parametrize("name", ["tsv", "sst2"])
def test_a_missing_file_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"needs train.tsv in {tmp_path}"):
        DATA[name](tmp_path)


@pytest.mark.slow
def test_the_published_sentences():
    """GLUE's 872 test sentences, the training set or a split of it; all fit, few words unknown."""
    try:
        dataset = DATA["sst2"](None)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    assert len(dataset.train_x) == 67_349 or dataset.note
    assert dataset.test_y.bincount().tolist() == [428, 444]
    assert not dataset.train_x[:, -1].any() and not dataset.test_x[:, -1].any()
    known = dataset.test_x[dataset.test_x != PADDING]
    assert (known == UNKNOWN).double().mean() < 0.1
