"""Which examples belong to which task."""

import numpy as np
import pytest
import torch

from landscape.data import DataSet, split
from landscape.lifelong.sequence import check, class_order, seen, sequence_of
from landscape.lifelong.settings import LifelongSettings


def dataset(classes=6, each=20):
    y = torch.arange(classes).repeat(each)
    x = torch.arange(len(y), dtype=torch.float32)[:, None]
    return DataSet("rows", x, y, x[: 2 * classes] + 0.5, y[: 2 * classes], classes)


def test_the_order_of_the_classes_is_numpys_frozen_stream():
    assert class_order(10, 5, seed=0).tolist() == [[2, 8], [4, 9], [1, 6], [7, 3], [0, 5]]
    assert class_order(4, 2, seed=None).tolist() == [[0, 1], [2, 3]]


def test_every_example_belongs_to_one_task_and_is_named_by_its_class_there():
    data = dataset()
    found = sequence_of(data, LifelongSettings(tasks=3), seed=4, held_out=0.1)
    rows = []
    for j in range(3):
        for part, count in ((found.train[j], 36), (found.held_out[j], 4), (found.test[j], 4)):
            assert part.size == count and part.x["task"].tolist() == [j] * count
            classes = torch.from_numpy(found.classes[j])[part.y]
            original = data.train_y if part is not found.test[j] else data.test_y
            assert torch.equal(original[part.x["x"][:, 0].long()], classes)
        rows += [*found.train[j].x["x"][:, 0].tolist(), *found.held_out[j].x["x"][:, 0].tolist()]
    assert sorted(rows) == list(range(120)) and found.sizes == [36] * 3


def test_nothing_may_be_held_out():
    found = sequence_of(dataset(), LifelongSettings(tasks=3), seed=0, held_out=0.0)
    assert [batch.size for batch in found.held_out] == [0, 0, 0]
    assert found.sizes == [40] * 3


def test_parts_are_views_of_the_whole():
    found = sequence_of(dataset(), LifelongSettings(tasks=3), seed=0)
    start = found.all_train.x["x"].untyped_storage().data_ptr()
    assert all(b.x["x"].untyped_storage().data_ptr() == start for b in found.train)
    assert torch.equal(found.all_train.x["task"].unique(), torch.arange(3))


def test_one_task_in_fixed_order_is_the_plain_split():
    data = dataset()
    plain = split(data, seed=3, held_out=0.2, label_noise=0.3)
    settings = LifelongSettings(tasks=1, order="fixed")
    found = sequence_of(data, settings, seed=3, held_out=0.2, label_noise=0.3)
    for part in ("train", "held_out", "test"):
        (ours,) = getattr(found, part)
        assert torch.equal(ours.x["x"], getattr(plain, part).x)
        assert torch.equal(ours.y, getattr(plain, part).y)


def test_outputs_of_all_tasks_have_labels_of_their_own_where_tests_alone_are_masked():
    within = sequence_of(dataset(), LifelongSettings(tasks=3), seed=0)
    among_all = sequence_of(dataset(), LifelongSettings(tasks=3, masked="test"), seed=0)
    for j in range(3):
        assert torch.equal(among_all.test[j].y, within.test[j].y + 2 * j)


def test_the_tasks_so_far_in_one_batch():
    found = sequence_of(dataset(), LifelongSettings(tasks=3), seed=0)
    first = seen(found.train, 2)
    assert first.size == 72 and first.x["task"].tolist() == [0] * 36 + [1] * 36


@pytest.mark.parametrize(
    ("classes", "y", "message"),
    [
        (10, torch.arange(10), "`lifelong.tasks` must divide the number of classes, 10. Got 3."),
        (0, torch.rand(10), "Lifelong learning needs one class for each example. it has other"),
    ],
)
def test_data_that_make_no_sequence_are_refused(classes, y, message):
    x = torch.zeros(10, 1)
    with pytest.raises(ValueError, match=message):
        check(DataSet("it", x, y, x, y, classes), LifelongSettings(tasks=3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replay": "all"}, "Unknown lifelong.replay 'all'"),
        ({"tasks": 0}, "`lifelong.tasks` must be at least 1. Got 0."),
        ({"memory": 0}, "`lifelong.memory` must be at least 1. Got 0."),
        ({"gamma": 0.0}, "`lifelong.gamma` must be positive. Got 0.0."),
        ({"gamma": float("nan")}, "`lifelong.gamma` must be positive. Got nan."),
        ({"gamma": float("inf")}, "`lifelong.gamma` must be positive. Got inf."),
    ],
)
def test_settings_that_do_not_hold_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        LifelongSettings(**values)


def test_seeds_have_other_orders():
    orders = {np.array2string(class_order(10, 5, seed)) for seed in range(5)}
    assert len(orders) == 5
