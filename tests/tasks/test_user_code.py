"""The user's own data, by name."""

import torch

from landscape.tasks import imports, user_code

LOADER = """
import torch
from torch.utils.data import DataLoader, TensorDataset, random_split


def parts():
    train, test = random_split(TensorDataset(torch.arange(40.0), torch.arange(40)), [30, 10])
    return {"train": DataLoader(train, 4, shuffle=True), "test": DataLoader(test, 4)}
"""


def test_a_loader_that_shuffles_gives_the_same_in_every_process(tmp_path, monkeypatch):
    """Else the seeds of a study would not be paired, nor two audits on the same examples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loader.py").write_text(LOADER)
    imports.allow(["loader.py:parts"])
    sets, parts = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        sets.append(user_code.data_set("loader.py:parts", {}, None))
        parts.append(user_code.data("loader.py:parts", {}, None, 12))
        assert torch.initial_seed() == seed
    assert sets[0].fingerprint == sets[1].fingerprint
    assert torch.equal(sets[0].train_x, sets[1].train_x)
    first, second = (torch.cat([batch.x for batch in part.train]) for part in parts)
    assert torch.equal(first, second)
    assert len(first) == 12
    assert not torch.equal(first, first.sort().values)  # it does shuffle
