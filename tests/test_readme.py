"""The README's Python is run as it stands there, on a tiny network."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import landscape as ls

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
LOOP = [block for block in BLOCKS if "optim.wrap" in block]


@pytest.fixture
def stand_ins(small_net, batches, tmp_path, monkeypatch):
    """What the snippets leave to their reader; what they write goes to an empty folder."""
    monkeypatch.chdir(tmp_path)
    model = small_net()
    return {
        "model": model,
        "loss": lambda model, batch: F.cross_entropy(model(batch.x), batch.y),
        "batches": batches(2),
        "held_out": batches(1, seed=5),
        "loader": [(b.x, b.y) for b in batches(20)],
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    }


def test_snippets_run_one_after_the_other(stand_ins):
    """And mean what their comments say."""
    assert BLOCKS
    start = [p.detach().clone() for p in stand_ins["model"].parameters()]
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), stand_ins)
    assert stand_ins["spectrum"].values.shape == (10,)
    noise, surface = stand_ins["noise"], stand_ins["surface"]
    assert noise.accuracy.shape[:1] == noise.sigma.shape
    assert surface.loss.shape == (len(surface.x), len(surface.y))
    assert {path.name for path in Path().iterdir()} == {"surface.pdf", "surface.html"}
    moved = zip(stand_ins["model"].parameters(), start, strict=True)
    assert not any(torch.equal(p, old) for p, old in moved)
    assert stand_ins["value"].shape == ()


def test_the_loop_is_short_and_learns(stand_ins):
    """At most ten lines."""
    (block,) = LOOP
    assert len(block.splitlines()) <= 10
    data = stand_ins["batches"][0]
    stand_ins |= {"ls": ls, "loader": [(data.x, data.y)] * 30}
    before = stand_ins["loss"](stand_ins["model"], data)
    exec(compile(block, "README.md", "exec"), stand_ins)
    assert stand_ins["value"] < 0.5 * before
