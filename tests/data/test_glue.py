"""Pairs of texts as mappings, by hand; RTE's files; what a padded model sees."""

import pytest
import torch

from landscape.data import DATA
from landscape.data.glue import LENGTH
from landscape.data.vocabulary import PADDING, SEPARATOR, START, UNKNOWN
from landscape.data.vocabulary import encoded_pairs as encoded
from landscape.models import pair_transformer

TOKENS = {"a": 4, "b": 5, "c": 6}


def test_a_pair_by_hand():
    x = encoded([("a b", "c zzz")], TOKENS, 9)
    ids = [START, 4, 5, SEPARATOR, 6, UNKNOWN, SEPARATOR, PADDING, PADDING]
    assert x["input_ids"].tolist() == [ids]
    assert x["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 0, 0]]
    assert x["attention_mask"].tolist() == [[1] * 7 + [0, 0]]


@pytest.mark.parametrize(
    ("pair", "cut"),
    [
        (("a a a a a", "b"), [4, 4, 4, SEPARATOR, 5]),
        (("a", "b b b b b"), [4, SEPARATOR, 5, 5, 5]),
        (("a a a", "b b b"), [4, 4, SEPARATOR, 5, 5]),
        (("a a a a", "b b b"), [4, 4, SEPARATOR, 5, 5]),
    ],
)
def test_the_longer_text_is_cut_first(pair, cut):
    x = encoded([pair], TOKENS, 7)
    assert x["input_ids"].tolist() == [[START, *cut, SEPARATOR]]


@pytest.mark.parametrize("pool", ["first", "mean", "last"])
def test_padding_does_not_move_logits(pool):
    torch.manual_seed(0)
    model = pair_transformer(vocabulary=20, length=40, pool=pool).eval()
    pairs = [("a b c", "c a"), ("a", "b b b a c")]
    near, far = (model(encoded(pairs, TOKENS, n)) for n in (12, 40))
    assert torch.allclose(near, far, atol=1e-6)
    short = model(encoded(pairs[:1], TOKENS, 8))  # no padding at all
    assert torch.allclose(short, far[:1], atol=1e-6)


def test_types_and_parts_matter():
    torch.manual_seed(0)
    model = pair_transformer(vocabulary=20, length=20).eval()
    x = encoded([("a b", "c a")], TOKENS, 12)
    other = {**x, "token_type_ids": torch.zeros_like(x["token_type_ids"])}
    assert not torch.allclose(model(x), model(other))
    assert sum(p.numel() for p in pair_transformer().parameters()) == 632_834


def write(folder, labels):
    folder.mkdir(parents=True)
    header = "index\tsentence1\tsentence2\tlabel\n"
    rows = "".join(f"{i}\tA dog runs {i}.\tA dog moves.\t{y}\n" for i, y in enumerate(labels))
    for name in ("train.tsv", "dev.tsv"):
        (folder / name).write_text(header + rows)
    (folder / "test.tsv").write_text("index\tsentence1\tsentence2\n0\ta\tb\n")
    return folder


def test_rte_from_its_files(tmp_path):
    write(tmp_path / "RTE", ["entailment", "not_entailment", "entailment"])
    dataset = DATA["rte"](tmp_path)
    assert dataset.classes == 2 and dataset.train_y.tolist() == [0, 1, 0]
    assert dataset.test_x["input_ids"].shape == (3, LENGTH)
    assert dataset.train_x["attention_mask"].sum(1).tolist() == [12, 12, 12]


def test_regression(tmp_path):
    dataset = DATA["pairs"](write(tmp_path / "x", ["0.5", "2", "1.25"]), regression=True)
    assert dataset.classes == 0 and dataset.train_y.tolist() == [0.5, 2.0, 1.25]
    with pytest.raises(ValueError, match="must hold numbers in `label`"):
        DATA["pairs"](write(tmp_path / "y", ["much", "2", "1"]), regression=True)


def test_no_pair(tmp_path):
    (tmp_path / "train.tsv").write_text("sentence\tlabel\na\t1\nb\t0\n")
    (tmp_path / "test.tsv").write_text("sentence\tlabel\na\t1\nb\t0\n")
    with pytest.raises(ValueError, match="two columns of text"):
        DATA["pairs"](tmp_path)
