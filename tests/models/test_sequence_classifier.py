"""A classifier on the language model's body."""

import pytest
import torch

from landscape.models import language_model, sequence_classifier


def test_the_body_is_that_of_the_language_model():
    body, model = language_model(width=64).state_dict(), sequence_classifier().state_dict()
    assert sum(p.numel() for p in language_model(width=64).parameters()) == 124_672
    assert sum(t.numel() for t in model.values()) == 124_802
    assert {n: t.shape for n, t in body.items() if "head" not in n} == {
        n: t.shape for n, t in model.items() if "head" not in n
    }


@pytest.mark.parametrize("pool", ["mean", "first", "last"])
def test_what_the_head_sees(pool):
    torch.manual_seed(0)
    model, x = sequence_classifier(classes=3, pool=pool), torch.randint(0, 256, (2, 7))
    h = model.features(x)
    pooled = {"mean": h.sum(1) / 7, "first": h[:, 0], "last": h[:, 6]}[pool]
    expected = pooled @ model.head.weight.T + model.head.bias
    assert torch.allclose(model(x), expected, atol=1e-6)


def test_an_unknown_pool():
    with pytest.raises(ValueError, match="`pool` must be one of mean, first, last"):
        sequence_classifier(pool="max")
