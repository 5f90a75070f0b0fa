"""Batch: nested examples, shards by weight, and what counts as right."""

import math
from collections import UserDict
from types import SimpleNamespace

import pytest
import torch

from landscape.network.batch import Batch, are_probabilities, as_batch, correct, scalar


def test_shards_are_contiguous_complete_and_weighted_by_examples():
    batch = Batch({"a": torch.arange(7)}, (torch.arange(7),), weight=14.0)
    shards = batch.shards(3)
    assert [s.x["a"].tolist() for s in shards] == [[0, 1], [2, 3], [4, 5, 6]]
    assert [s.share for s in shards] == [4.0, 4.0, 6.0]
    assert shards[2].y[0].tolist() == [4, 5, 6]


@pytest.mark.parametrize("count", [0, 8])
def test_a_number_of_shards_out_of_range_is_refused(count):
    with pytest.raises(ValueError, match=f"between 1 and the batch's 7 examples. Got {count}."):
        Batch(torch.zeros(7), torch.zeros(7)).shards(count)


def test_a_pair_is_a_batch_and_anything_else_is_refused():
    assert as_batch([torch.zeros(3, 2), torch.zeros(3)]).size == 3
    with pytest.raises(ValueError, match=r"a pair \(x, y\), or a mapping. Got Tensor."):
        as_batch(torch.zeros(3))
    with pytest.raises(ValueError, match=r"Got tuple of 3."):
        as_batch((torch.zeros(3), torch.zeros(3), torch.arange(3)))


def test_a_mapping_is_x_with_its_labels_as_y():
    item = UserDict(input_ids=torch.ones(3, 2), labels=torch.arange(3))  # as a tokenizer's answer
    batch = as_batch(item)
    assert batch.x == dict(item) and batch.y is item["labels"] and batch.size == 3
    assert as_batch({"pixels": torch.zeros(2, 4)}).y is None


def test_a_number_belongs_to_all_examples():
    batch = Batch({"scale": torch.tensor(2.0), "a": torch.arange(4)}, None)
    assert batch.size == 4
    assert [s.x["scale"].item() for s in batch.shards(2)] == [2.0, 2.0]


def test_ignored_labels_do_not_count():
    logits = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    assert correct(logits, torch.tensor([[0, 0, -100]])) == (1, 2)


def test_of_equal_logits_the_first_counts():
    assert correct(torch.zeros(3, 4), torch.tensor([0, 1, 255])) == (1, 2)


@pytest.mark.parametrize("y", [torch.zeros(3), torch.zeros(2, dtype=torch.int64), None])
def test_targets_that_are_no_classes_count_nothing(y):
    assert correct(torch.zeros(3, 4), y) is None


def test_a_loss_that_is_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"of shape \(\). Got shape \(2,\)."):
        scalar(torch.zeros(2))
    assert math.isnan(scalar(torch.tensor(math.nan)))


def test_logits_inside_an_answer_are_counted_where_they_are_of_a_classifier():
    logits, y = torch.tensor([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0]]), torch.tensor([1, 1, 1])
    assert correct(SimpleNamespace(logits=logits), y) == correct(logits, y) == (2, 3)
    sequences = SimpleNamespace(logits=logits[None])
    assert correct(sequences, y[None]) is None
    assert correct(SimpleNamespace(logits=None), y) is None


P = torch.tensor([[0.2, 0.8], [1.0, 0.0], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        (P, True),
        (P.reshape(3, 1, 2), True),
        ((10 * torch.eye(300)).softmax(-1).half(), True),
        (P[:, :1], False),
        (P[:0], False),
        (P.log(), False),
        (2 * P, False),
        (P - 1e-3, False),
        (torch.cat([P, torch.tensor([[0.5, 0.6]])]), False),
        (torch.cat([P, torch.tensor([[-0.5, 1.5]])]), False),
        (torch.eye(2).long(), False),
    ],
)
def test_probabilities_are_told_from_logits(z, expected):
    assert are_probabilities(z) == expected
