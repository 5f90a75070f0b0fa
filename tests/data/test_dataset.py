"""The split and the batches: every example once, decided by the seed alone."""

from dataclasses import replace

import pytest
import torch

from landscape.data import DataSet, batches, split
from landscape.data.dataset import noisy
from landscape.network.batch import Batch


def numbered(n: int = 103, m: int = 20) -> DataSet:
    """Example i is the number i, test examples are negative: what went where can be read off."""
    return DataSet(
        name="numbered",
        train_x=torch.arange(n, dtype=torch.float32)[:, None],
        train_y=torch.arange(n) % 3,
        test_x=-torch.arange(1, m + 1, dtype=torch.float32)[:, None],
        test_y=torch.arange(m) % 3,
        classes=3,
    )


def ids(batch: Batch) -> list[int]:
    return batch.x[:, 0].int().tolist()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("held_out", "count"), [(0.0, 0), (0.1, 10), (0.5, 52), (0.999, 102)])
def test_split_is_disjoint_and_complete(held_out, count):
    """103 examples: 10.3, 51.5 and 102.9 round to 10, 52 and (never all) 102."""
    parts = split(numbered(), seed=0, held_out=held_out)
    assert parts.held_out.size == count
    assert not set(ids(parts.train)) & set(ids(parts.held_out))
    assert sorted(ids(parts.train) + ids(parts.held_out)) == list(range(103))


def test_split_keeps_each_example_with_its_class():
    parts = split(numbered(), seed=3, held_out=0.3)
    for batch in (parts.train, parts.held_out):
        assert batch.y.tolist() == [i % 3 for i in ids(batch)]
        assert ids(batch) == sorted(ids(batch))


def test_the_seed_decides_the_split():
    first, again, other = (ids(split(numbered(), seed).held_out) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_every_example_is_held_out_equally_often():
    """2,000 seeds at one half: each of 11 examples 1,000 times, within 5 standard deviations."""
    dataset = numbered(n=11)
    counts = torch.zeros(11)
    for seed in range(2000):
        counts[ids(split(dataset, seed, held_out=6 / 11).held_out)] += 1
    chance = 6 / 11
    assert (counts - 2000 * chance).abs().max() < 5 * (2000 * chance * (1 - chance)) ** 0.5


def test_the_test_set_is_never_touched():
    dataset = numbered()
    for seed, held_out in ((0, 0.0), (1, 0.5)):
        parts = split(dataset, seed, held_out)
        assert torch.equal(parts.test.x, dataset.test_x)
        assert torch.equal(parts.test.y, dataset.test_y)
        assert min(ids(parts.train) + ids(parts.held_out)) >= 0


def test_split_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    split(numbered(), seed=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("held_out", [-0.1, 1.0, float("nan")])
def test_an_impossible_fraction_is_refused(held_out):
    with pytest.raises(ValueError, match=rf"`held_out` must be in \[0, 1\). Got {held_out}\."):
        split(numbered(), seed=0, held_out=held_out)


def test_batches_in_order():
    parts = list(batches(split(numbered(10), 0, 0.0).train, 4))
    assert [ids(part) for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [part.share for part in parts] == [4, 4, 2]


def test_shuffled_batches_hold_every_example_once_with_its_class():
    parts = list(batches(split(numbered(10), 0, 0.0).train, 4, generator=seeded(0)))
    order = [i for part in parts for i in ids(part)]
    assert [part.size for part in parts] == [4, 4, 2]
    assert sorted(order) == list(range(10)) != order
    assert [c for part in parts for c in part.y.tolist()] == [i % 3 for i in order]


def test_the_generator_decides_the_order():
    data = split(numbered(10), 0, 0.0).train

    def epochs(seed):
        generator = seeded(seed)
        return [[ids(b) for b in batches(data, 4, generator=generator)] for _ in range(2)]

    assert epochs(0) == epochs(0) != epochs(1)
    assert epochs(0)[0] != epochs(0)[1]


def test_the_generator_is_drawn_from_once_at_the_call():
    """A generator's state saved after the call tells where the next epoch starts."""
    generator, twin = seeded(0), seeded(0)
    batches(split(numbered(10), 0, 0.0).train, 4, generator=generator)
    torch.randperm(10, generator=twin)
    assert torch.equal(generator.get_state(), twin.get_state())


@pytest.mark.parametrize(("n", "sizes"), [(10, [4, 4]), (8, [4, 4]), (3, [])])
@pytest.mark.parametrize("shuffled", [False, True])
def test_drop_last(n, sizes, shuffled):
    generator = seeded(0) if shuffled else None
    data = split(numbered(n), 0, 0.0).train
    assert [b.size for b in batches(data, 4, generator=generator, drop_last=True)] == sizes


def test_a_given_weight_is_shared_in_proportion():
    batch = Batch(torch.zeros(5, 1), torch.zeros(5), weight=20.0)
    assert [b.weight for b in batches(batch, 2)] == [8.0, 8.0, 4.0]


def test_nothing_held_out_has_no_batches():
    empty = split(numbered(), 0, held_out=0.0).held_out
    assert list(batches(empty, 4)) == list(batches(empty, 4, generator=seeded(0))) == []


def test_a_batch_size_of_zero_is_refused_at_the_call():
    with pytest.raises(ValueError, match=r"`size` must be positive. Got 0."):
        batches(split(numbered(), 0).train, 0)


def test_the_fingerprint_sees_every_array_and_its_shape():
    base = numbered()
    flipped = base.train_x.clone()
    flipped[50] += 1e-5
    changes = [
        {"train_x": flipped},
        {"train_y": base.train_y.flip(0)},
        {"test_x": base.test_x * 2},
        {"test_y": base.test_y.flip(0)},
        {"train_x": base.train_x[:, :, None]},
        {"train_x": base.train_x.double()},
    ]
    prints = [replace(base, fingerprint="", **change).fingerprint for change in changes]
    assert len({base.fingerprint, *prints}) == len(changes) + 1
    assert replace(base, fingerprint="", name="other", note="x").fingerprint == base.fingerprint
    assert replace(base, fingerprint="given").fingerprint == "given"


def test_the_fingerprint_of_fixed_numbers_is_fixed():
    """Stored results name it: a change of the rule must be seen here."""
    assert numbered().fingerprint == (
        "466171a5fed8508cb32018d5d40af2ae1fa5c20117470c39759e5ed35781f008"
    )


def test_the_fingerprint_reads_values_not_memory():
    base = numbered()
    strided = torch.stack((base.train_x, base.train_x), -1)[..., 0]
    assert not strided.is_contiguous()
    assert replace(base, fingerprint="", train_x=strided).fingerprint == base.fingerprint


def test_labels_must_match_the_examples_and_the_classes():
    base = numbered()
    with pytest.raises(
        ValueError, match=r"`train_y` must hold one class for each of the 103 .*\(9"
    ):
        replace(base, train_y=base.train_y[:90])
    with pytest.raises(ValueError, match=r"`test_y` must lie in \[0, 3\). Got 3."):
        replace(base, test_y=base.test_y + 1)
    with pytest.raises(ValueError, match=r"`test_y` must lie in \[0, 3\). Got -1."):
        replace(base, test_y=base.test_y - 1)


@pytest.mark.gpu
def test_order_and_split_are_the_same_on_cuda():
    data = numbered(1000)
    there = replace(data, train_x=data.train_x.cuda(), train_y=data.train_y.cuda())
    here, there = split(data, 0), split(there, 0)
    assert ids(here.held_out) == ids(there.held_out)
    pairs = zip(
        batches(here.train, 64, generator=seeded(1)),
        batches(there.train, 64, generator=seeded(1)),
        strict=True,
    )
    for a, b in pairs:
        assert b.x.is_cuda
        assert b.y.is_cuda
        assert ids(a) == ids(b)


def test_noisy_labels_are_exactly_the_share_and_always_another_class():
    """30 % of 103 is 31 (30.9): all are wrong, and the other classes come equally often."""
    labels, moves = torch.arange(103) % 3, torch.zeros(3)
    for seed in range(200):
        wrong = noisy(labels, 3, 0.3, seed)
        assert (wrong != labels).sum() == 31 and wrong.min() >= 0 and wrong.max() < 3
        moves += torch.bincount((wrong - labels) % 3, minlength=3)
    half = 200 * 31 / 2
    assert (moves[1:] - half).abs().max() < 5 * (half / 2) ** 0.5


def test_noise_is_decided_by_the_seed_and_not_by_the_split():
    dataset = numbered()
    for held_out in (0.0, 0.3):
        parts = split(dataset, 5, held_out, label_noise=0.3)
        given = dict(zip(ids(parts.train), parts.train.y.tolist(), strict=True))
        given |= dict(zip(ids(parts.held_out), parts.held_out.y.tolist(), strict=True))
        assert [given[i] for i in range(103)] == noisy(dataset.train_y, 3, 0.3, 5).tolist()
        assert any(
            y != i % 3 for i, y in zip(ids(parts.train), parts.train.y.tolist(), strict=True)
        )
        assert torch.equal(parts.test.y, dataset.test_y)
    assert not torch.equal(noisy(dataset.train_y, 3, 0.3, 5), noisy(dataset.train_y, 3, 0.3, 6))


def test_noise_changes_neither_the_examples_nor_the_data_set():
    dataset = numbered()
    before, plain = dataset.train_y.clone(), split(dataset, 1, 0.3)
    parts = split(dataset, 1, 0.3, label_noise=0.5)
    assert ids(parts.train) == ids(plain.train) and ids(parts.held_out) == ids(plain.held_out)
    assert torch.equal(dataset.train_y, before)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_an_impossible_share_of_noise_is_refused(share):
    with pytest.raises(ValueError, match=rf"`label_noise` must be in \[0, 1\). Got {share}\."):
        split(numbered(), 0, label_noise=share)


def test_noise_needs_another_class():
    with pytest.raises(ValueError, match=r"`label_noise` needs at least 2 classes. Got 1."):
        noisy(torch.zeros(10, dtype=torch.long), 1, 0.5, 0)


def sequences(n: int = 6, length: int = 4) -> DataSet:
    x = torch.arange(n * length).view(n, length) % 5
    return DataSet("toy", x, (x + 1) % 5, x[:2], x[:2], classes=5)


def test_sequences_have_a_class_for_each_place():
    dataset = sequences()
    parts = split(dataset, seed=0, held_out=0.5)
    assert parts.train.y.shape == (3, 4)
    for part in (parts.train, parts.held_out):
        assert torch.equal(part.y, (part.x + 1) % 5)
    with pytest.raises(ValueError, match=r"`train_y` must lie in \[0, 5\). Got 5."):
        DataSet("toy", dataset.train_x, dataset.train_x + 1, dataset.test_x, dataset.test_y, 5)
    with pytest.raises(ValueError, match=r"`train_y` must hold one class for each .* \(6, 3\)"):
        DataSet("toy", dataset.train_x, dataset.train_y[:, :3], dataset.test_x, dataset.test_y, 5)


def test_noise_on_sequences_is_a_share_of_all_places():
    clean = sequences().train_y
    wrong = split(sequences(), seed=3, held_out=0.0, label_noise=0.25).train.y
    assert (wrong != clean).sum() == 6 and wrong.shape == clean.shape
    assert wrong.min() >= 0 and wrong.max() < 5


@pytest.mark.parametrize("part", ["train", "test"])
def test_no_example_at_all_is_refused(part):
    x, y = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    arrays = {"train_x": x, "train_y": y, "test_x": x, "test_y": y}
    empty = {f"{part}_x": x[:0], f"{part}_y": y[:0]}
    with pytest.raises(ValueError, match=f"`{part}_x` must hold at least one example. Got none."):
        DataSet("toy", **{**arrays, **empty}, classes=2)
