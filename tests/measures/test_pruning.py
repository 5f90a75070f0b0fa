"""Pruning against torch's own, and against counts by hand."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from landscape import Objective
from landscape.measures import Pruning
from landscape.measures.pruning import places


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_equals_torchs_pruning(objective, scope):
    """Of 8 and 24 weights, a quarter and a half: whole numbers in both scopes."""
    model = objective("conv").model
    with torch.no_grad():
        model[0].weight *= 0.1  # or the two scopes would choose nearly the same
    held = objective("conv")
    subject = Objective(model, held.batches, held.loss)
    record = Pruning(fractions=(0.0, 0.25, 0.5), scope=scope)(subject)
    for i, fraction in enumerate((0.0, 0.25, 0.5)):
        model = copy.deepcopy(subject.model).eval()
        layers = [(m, "weight") for m in model if isinstance(m, nn.Conv2d | nn.Linear)]
        if scope == "global":
            prune.global_unstructured(layers, prune.L1Unstructured, amount=fraction)
        else:
            for layer, name in layers:
                prune.l1_unstructured(layer, name, amount=fraction)
        z = torch.cat([model(b.x) for b in subject.batches]).detach()
        y = torch.cat([b.y for b in subject.batches])
        assert record.loss[i] == pytest.approx(F.cross_entropy(z, y).item(), rel=1e-12)
        assert record.accuracy[i] == pytest.approx((z.argmax(1) == y).double().mean())
    assert record.pruned.tolist() == [0, 8, 16]
    assert record.loss[0] == record.clean_loss


def test_which_weights_go(objective):
    """Of the mlp's 45 weights the 5 smallest; its biases stay however small they are."""
    subject, seen = objective("mlp"), []
    with torch.no_grad():
        subject.model[0].bias.fill_(1e-6)
    subject.evaluate([subject.w])  # has chosen its way
    plain = subject.loss
    subject.risk.loss = lambda m, b: (
        seen.append({k: p.detach().clone() for k, p in m.named_parameters()}) or plain(m, b)
    )
    record = Pruning(fractions=(0.1,))(subject)
    clean, pruned = seen[0], seen[len(subject.batches)]
    size = torch.cat([clean[k].flatten() for k in ("0.weight", "2.weight")]).abs()
    kept = torch.cat([pruned[k].flatten() for k in ("0.weight", "2.weight")])
    assert set(size[kept == 0].tolist()) == set(size.sort().values[:5].tolist())
    assert record.pruned.tolist() == [5]
    assert all(torch.equal(clean[k], pruned[k]) for k in ("0.bias", "2.bias"))


def test_all_of_them(objective):
    """Without weights the net says what its last bias says: the same to every example."""
    subject = objective("mlp")
    record = Pruning(fractions=(1.0,))(subject)
    y = torch.cat([b.y for b in subject.batches])
    z = subject.model[2].bias.detach().expand(len(y), 3)
    assert record.loss[0] == pytest.approx(F.cross_entropy(z, y).item())
    assert record.pruned[0] == 45


def test_shares_by_hand():
    """Ties in their order; groups apart; what is not chosen counts for nothing."""
    size = torch.tensor([3.0, 1.0, 1.0, 0.5, 7.0, 6.0])
    groups = torch.tensor([0, 0, 0, 0, 1, 1])
    chosen = torch.tensor([True, True, True, False, True, True])
    assert places(size, groups, chosen).tolist() == [2 / 3, 0.0, 1 / 3, 0.0, 0.5, 0.0]


def test_a_share_that_is_no_whole_number_goes_up(objective):
    assert Pruning(fractions=(0.3, 0.7))(objective("mlp")).pruned.tolist() == [14, 32]


def test_shares_of_ten_are_counted_exactly():
    """0.7 · 10 in floating point is above 7: seven go all the same."""
    place = places(torch.arange(10.0), torch.zeros(10), torch.ones(10, dtype=torch.bool))
    for k in range(11):
        assert int((place < k / 10).sum()) == k


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fractions": ()}, "`fractions` must be non-negative shares"),
        ({"fractions": (-0.1,)}, "`fractions` must be non-negative shares"),
        ({"fractions": (0.5, 1.1)}, "`fractions` must be at most 1"),
        ({"fractions": (0.5, 0.5)}, "`fractions` must rise"),
        ({"scope": "filter"}, "`scope` must be one of global, layer. Got 'filter'"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Pruning(**settings)
