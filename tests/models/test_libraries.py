"""Networks of other libraries: asked for by name, and what is said where the library is missing.

The libraries are optional, so here stand-ins answer; with them installed the last tests run too.
"""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from landscape.models import MODELS


@pytest.mark.parametrize(
    ("name", "extra"), [("torchvision", "vision"), ("timm", "vision"), ("transformers", "hf")]
)
def test_a_missing_library_names_its_extra(name, extra, monkeypatch):
    for module in (name, f"{name}.models"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"pip install 'landscape\[{extra}\]'"):
        MODELS[name]()


def test_torchvision_gets_names_and_no_weights(monkeypatch):
    asked = []

    def get_model(*args, **settings):
        asked.append((*args, settings))
        return nn.Linear(1, 1)

    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace())
    builder = {"get_model_builder": lambda name: nn.Linear}
    fake = SimpleNamespace(get_model=get_model, **builder)
    monkeypatch.setitem(sys.modules, "torchvision.models", fake)
    MODELS["torchvision"](classes=7, name="vgg16", dropout=0.1)
    assert asked == [("vgg16", {"weights": None, "num_classes": 7, "dropout": 0.1})]


def test_timm_gets_names_and_no_weights(monkeypatch):
    asked = []
    fake = SimpleNamespace(create_model=lambda *args, **settings: asked.append((*args, settings)))
    monkeypatch.setitem(sys.modules, "timm", fake)
    MODELS["timm"](classes=7, name="convnext_tiny", drop_rate=0.1)
    assert asked == [("convnext_tiny", {"pretrained": False, "num_classes": 7, "drop_rate": 0.1})]


@pytest.mark.parametrize("error", [RuntimeError("Unknown model (x)\nSee:"), TypeError("no x")])
def test_what_a_library_does_not_know_is_told_in_one_line(error, monkeypatch):
    def create_model(*_, **settings):
        raise error

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    with pytest.raises(ValueError, match=r"^timm: (Unknown model \(x\)|no x)\.$"):
        MODELS["timm"](name="x")


class Bag(nn.Module):
    """Counts the tokens that its mask lets through, in the form of transformers' networks."""

    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=(input_ids * attention_mask).sum(1, keepdim=True).float())


def test_transformers_gets_a_mask_and_gives_logits(monkeypatch):
    configured = []
    fake = SimpleNamespace(
        AutoConfig=SimpleNamespace(for_model=lambda *a, **s: configured.append((*a, s))),
        AutoModelForSequenceClassification=SimpleNamespace(from_config=lambda _: Bag()),
    )
    monkeypatch.setitem(sys.modules, "transformers", fake)
    model = MODELS["transformers"](classes=3, name="roberta", hidden_size=8)
    assert configured == [("roberta", {"num_labels": 3, "pad_token_id": 0, "hidden_size": 8})]
    assert model(torch.tensor([[5, 6, 0]])).tolist() == [[11.0]]


@pytest.mark.slow
def test_bert_has_the_published_size():
    """BERT base, uncased: 109,482,240 parameters, and a head of 2 · 769."""
    pytest.importorskip("transformers")
    with torch.device("meta"):
        model = MODELS["transformers"]()
    assert sum(p.numel() for p in model.parameters()) == 109_482_240 + 2 * 769


@pytest.mark.slow
def test_padding_changes_nothing_in_bert():
    pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = MODELS["transformers"](vocab_size=50, intermediate_size=32, **sizes).eval()
    x = torch.tensor([[3, 9, 4]])
    torch.testing.assert_close(model(nn.functional.pad(x, (0, 4))), model(x))
