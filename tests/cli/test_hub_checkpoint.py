"""The page's recipe for a checkpoint of torch's hub, from its file to a record."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from torch import nn

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "in-a-trainer.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("\n## Checkpoints of a hub\n")[2]


def code(language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", SECTION)


def test_a_checkpoint_of_torchs_hub(tmp_path, monkeypatch, landscape):
    """The page's file, with a repository that lies here in the place of one of GitHub."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "hubconf.py").write_text(
        "import torch\ndef resnet18(weights=None):\n    return torch.nn.Linear(6, 3)\n"
    )
    (source,) = code("python")
    github = 'dict(repo_or_dir="pytorch/vision", source="github")'
    assert github in source
    source = source.replace(github, f'dict(repo_or_dir={str(tmp_path / "hub")!r}, source="local")')
    examples = (
        "\ndef data():\n    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))\n"
        "    return {'train': (x, x[:, :3].argmax(1)), 'test': (x, x[:, :3].argmax(1))}\n"
    )
    (tmp_path / "mine.py").write_text(source + examples)
    monkeypatch.chdir(tmp_path)
    torch.save(nn.Linear(6, 3).state_dict(), "hub.pt")
    (command,) = code("sh")
    done = landscape(*command.split()[1:], "--device", "cpu")
    assert done.code == 0, done.err
    assert (tmp_path / done.last_line / "records" / "eigenvalues.nc").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_a_checkpoint_of_a_library(name, tmp_path, landscape):
    """The page's options, on weights that are not fetched."""
    try:
        library = pytest.importorskip(f"{name}.models", reason=f"{name} is not installed")
    except RuntimeError as error:  # built for another torch
        pytest.skip(f"{name} does not load: {error}")
    build = getattr(library, "get_model", None) or library.create_model
    torch.save(build("resnet18", num_classes=1000).state_dict(), "model.pt")
    (tmp_path / "mine.py").write_text(
        "import torch\n\ndef data():\n    x = torch.randn(4, 3, 32, 32)\n"
        "    return {'train': (x, torch.arange(4)), 'test': (x, torch.arange(4))}\n"
    )
    (options,) = re.findall(rf"`(--model {name} .*?)`", SECTION)
    done = landscape(
        "analyze", "model.pt", *shlex.split(options), "--data", "mine.py:data",
        "--measures", "noise", "--device", "cpu",
    )  # fmt: skip
    assert done.code == 0, done.err
