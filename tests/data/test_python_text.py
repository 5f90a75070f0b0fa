"""The text that ships with Python: what is kept for tests, and blocks intact or permuted."""

import torch

from landscape.data import DATA


def texts(x):
    return [bytes(row).decode("latin1") for row in x.tolist()]


def test_the_kept_topics_are_in_no_training_set():
    pretraining, intact = DATA["python-text"](None), DATA["intact-text"](None)
    assert pretraining.train_x.shape[1] == 128
    assert torch.equal(pretraining.train_x[0, 1:], pretraining.train_y[0, :-1])
    seen = " ".join("".join(texts(pretraining.train_x)).split())
    blocks = texts(intact.test_x[intact.test_y == 1])
    assert sum(block.strip() in seen for block in blocks) < 0.02 * len(blocks)
    trained = texts(intact.train_x[intact.train_y == 1])
    assert sum(block.strip() in seen for block in trained) > 0.95 * len(trained)


def test_half_of_the_blocks_are_permuted():
    dataset = DATA["intact-text"](None)
    assert dataset.train_x.shape == (2000, 64) and dataset.test_x.shape == (1000, 64)
    assert dataset.train_y.sum() == 1000 and dataset.test_y.sum() == 500
    assert min(len(text.split()) for text in texts(dataset.train_x)) >= 6
    assert torch.equal(DATA["intact-text"](None).train_x, dataset.train_x)


def test_a_permuted_block_holds_the_words_of_a_block():
    from pydoc_data.topics import topics

    dataset = DATA["intact-text"](None)
    parts = [topics[name] for name in sorted(topics)[::5]]
    cut = [t.encode()[i : i + 64].split() for t in parts for i in range(0, len(t), 64)]
    known, bags = {b" ".join(words) for words in cut}, {tuple(sorted(words)) for words in cut}
    for row, intact in zip(dataset.test_x[:50].tolist(), dataset.test_y[:50], strict=True):
        block = bytes(row).strip()
        assert (block in known) == bool(intact)
        assert tuple(sorted(block.split())) in bags
